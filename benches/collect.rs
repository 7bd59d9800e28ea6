//! Collection: our cycle beside the other ways to read the same guests in the
//! same minute, what it costs this process, rates of many VMs, and memory
//! over many cycles.
//!
//! `KVMSCOPE_BENCH_GUESTS` is the number of guests, 40 unless told otherwise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark fails by panicking, and its counts are small"
)]

mod fleet;
#[path = "../tests/lab/mod.rs"]
mod lab;
mod side_by_side;

use std::{
    cell::Cell,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    time::Duration,
};

use kvmscope::{
    clock::Clock,
    collector::{self, Sink},
    config,
    libvirt::{Answer, Groups, Member, Question, Reader, Reply},
    model::{
        AngleScale, DomainReading, Frame,
        rates::{Baseline, Periods},
        status::{CollectionState, CollectorStatus},
    },
};
use virt::{connect::Connect, domain::Domain, sys};

use fleet::Fleet;
use lab::guests::Lab;
use side_by_side::{
    Bar, Rounds, Side, Table, bytes, median, process_cpu, seconds, skipped, timed, torture, wanted, worked,
};

const PATIENCE: Duration = Duration::from_mins(1);
/// An interval in which no cycle begins by itself.
const NEVER: Duration = Duration::from_hours(1);
const AT_ONCE: Duration = Duration::from_millis(1);

/// The real collector, which runs a cycle when told to.
struct Collector {
    handle: collector::Handle,
    frames: mpsc::Receiver<Arc<Frame>>,
}

struct Frames(mpsc::Sender<Arc<Frame>>);

impl Sink for Frames {
    fn frame(&mut self, frame: Arc<Frame>) {
        drop(self.0.send(frame));
    }

    fn status(&mut self, status: CollectorStatus) {
        if let CollectionState::Failed { why, .. } = status.state {
            panic!("{why}");
        }
    }
}

impl Collector {
    /// Starts it and waits for its first cycle.
    fn start(uri: &str, interval: Duration) -> Self {
        let libvirt = config::Libvirt { uri: uri.to_owned(), ..config::Libvirt::default() };
        let settings = collector::Settings { libvirt, interval, scale: AngleScale::default(), notes: None };
        let (sender, frames) = mpsc::channel();
        let handle = collector::start(settings, Clock::system(), Frames(sender)).unwrap();
        handle.command(collector::Command::Start);
        let collector = Self { handle, frames };
        collector.next();
        collector
    }

    fn next(&self) -> Arc<Frame> {
        self.frames.recv_timeout(PATIENCE).expect("a cycle")
    }

    /// One cycle, from the roster to the finished frame.
    fn cycle(&self) -> Arc<Frame> {
        // Due at once; the next one is not due before it is asked for.
        self.handle.command(collector::Command::SetInterval(AT_ONCE));
        self.handle.command(collector::Command::SetInterval(NEVER));
        self.next()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.handle.command(collector::Command::Shutdown);
    }
}

/// One reader that is asked for everything of all guests in one list: what the
/// same bindings give without lists in parallel.
struct OneReader {
    reader: Reader,
    answers: mpsc::Receiver<Answer>,
    members: Vec<Member>,
}

impl OneReader {
    fn start(uri: &str, frame: &Frame) -> Self {
        let (sender, answers) = mpsc::channel();
        let libvirt = config::Libvirt { uri: uri.to_owned(), ..config::Libvirt::default() };
        let reader = Reader::start(0, (&libvirt).into(), Clock::system(), move |answer| {
            drop(sender.send(answer));
        });
        let members = frame.domains.iter().map(|domain| Member {
            uuid: domain.identity().uuid,
            id: domain.identity().id.unwrap(),
            devices: Some(Arc::clone(&domain.devices)),
            groups: Groups::ALL,
        });
        Self { reader: reader.unwrap(), answers, members: members.collect() }
    }

    fn read(&self) {
        let members = self.members.clone();
        let question = Question::List { members, monitor_free: false, timed: None };
        assert!(self.reader.ask(0, question));
        let answer = self.answers.recv_timeout(PATIENCE).expect("an answer");
        match answer.reply.unwrap() {
            Reply::List(domains) => assert!(domains.iter().all(|domain| !domain.short)),
            other => panic!("{other:?}"),
        }
    }
}

/// The bulk call as others make it. This wrapper leaks what it returns, which
/// matters little over a few rounds.
fn bulk(connection: &Connect) -> usize {
    let groups = sys::VIR_DOMAIN_STATS_STATE
        | sys::VIR_DOMAIN_STATS_CPU_TOTAL
        | sys::VIR_DOMAIN_STATS_BALLOON
        | sys::VIR_DOMAIN_STATS_VCPU
        | sys::VIR_DOMAIN_STATS_INTERFACE
        | sys::VIR_DOMAIN_STATS_BLOCK;
    let flags = sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT | sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE;
    connection.all_domain_stats(groups, flags).unwrap().len()
}

/// Every figure of every VM and device by a call of its own. The names of the
/// devices are given, so no XML is read.
fn per_device(guests: &[(Domain, Vec<String>, Vec<String>)]) {
    for (domain, nics, disks) in guests {
        domain.info().unwrap();
        domain.cpu_stats(-1, 1, 0).unwrap();
        domain.memory_stats(0).unwrap();
        for nic in nics {
            domain.interface_stats(nic).unwrap();
        }
        for disk in disks {
            domain.block_stats(disk).unwrap();
        }
    }
}

fn handles(connection: &Connect, frame: &Frame) -> Vec<(Domain, Vec<String>, Vec<String>)> {
    frame
        .domains
        .iter()
        .map(|domain| {
            let handle = connection.lookup_domain_by_uuid(domain.identity().uuid).unwrap();
            let nics = domain.devices.nics.iter().map(|nic| nic.name.to_string()).collect();
            let disks = domain.devices.disks.iter().map(|disk| disk.name.to_string()).collect();
            (handle, nics, disks)
        })
        .collect()
}

fn domstats(uri: &str) {
    let output = Command::new("virsh").args(["--connect", uri, "--readonly", "domstats"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Debian's exporter, from the `PATH` or where `scripts/setup bench` unpacks
/// it. Dropping it ends the process.
struct Exporter {
    process: Child,
    address: SocketAddr,
}

impl Exporter {
    fn start(uri: &str) -> Option<Self> {
        const NAME: &str = "prometheus-libvirt-exporter";
        let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("lab/tools/usr/bin").join(NAME);
        let program = if lab::installed(NAME) {
            Path::new(NAME)
        } else if unpacked.is_file() {
            &unpacked
        } else {
            skipped(
                "collect against an exporter",
                &format!("{NAME} is not installed (make bench unpacks it)"),
            );
            return None;
        };
        let address = lab::port::free();
        let process = Command::new(program)
            .arg(format!("--libvirt.uri={uri}"))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let exporter = Self { process, address };
        lab::within(PATIENCE, "the exporter answers", || lab::http::request(address, "GET", "/", b"").ok());
        Some(exporter)
    }

    /// One scrape; the number of guests in it.
    fn scrape(&self) -> usize {
        let (status, body) = lab::http::request(self.address, "GET", "/metrics", b"").unwrap();
        assert_eq!(status, 200);
        let found =
            body.lines().filter(|line| line.starts_with("libvirt_domain_info_cpu_time_seconds_total{"));
        found.count()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[allow(clippy::too_many_lines, reason = "a list of peers")]
fn guests() {
    const ROUNDS: usize = 15;
    let wish = std::env::var("KVMSCOPE_BENCH_GUESTS").ok().and_then(|number| number.parse().ok());
    let number: u32 = wish.unwrap_or(40);
    let lab = match Lab::idle(number) {
        Ok(lab) => lab,
        Err(reason) => return skipped("collect with real guests", &reason),
    };
    let uri = lab.uri();
    let collector = Collector::start(&uri, NEVER);
    // The devices are read after the first cycle; the lists' usual times are
    // known after a few.
    let mut frame = collector.cycle();
    for _ in 0..5 {
        frame = collector.cycle();
    }
    let count = number as usize;
    assert_eq!(frame.domains.len(), count);
    assert!(frame.domains.iter().all(|d| d.devices.disks.len() == 3 && d.devices.nics.len() == 2));
    let connection = Connect::open_read_only(Some(&uri)).unwrap();
    let handles = handles(&connection, &frame);
    let one = OneReader::start(&uri, &frame);
    let exporter = Exporter::start(&uri);
    if let Some(exporter) = &exporter {
        assert_eq!(exporter.scrape(), count);
    }

    let (own, bulk_own) = (Cell::new(Vec::new()), Cell::new(Vec::new()));
    let note = |costs: &Cell<Vec<f64>>, cost| {
        let mut all = costs.take();
        all.push(cost);
        costs.set(all);
    };
    let mut sides: Vec<Side<'_>> = vec![
        Box::new(|| {
            let before = process_cpu();
            let (frame, took) = timed(|| collector.cycle());
            note(&own, process_cpu() - before);
            assert!(frame.domains.iter().all(|domain| domain.fresh && domain.reading.disks.is_ok()));
            took
        }),
        Box::new(|| {
            let before = process_cpu();
            let (found, took) = timed(|| bulk(&connection));
            note(&bulk_own, process_cpu() - before);
            assert_eq!(found, count);
            took
        }),
        Box::new(|| timed(|| one.read()).1),
        Box::new(|| timed(|| per_device(&handles)).1),
        Box::new(|| timed(|| domstats(&uri)).1),
    ];
    if let Some(exporter) = &exporter {
        sides.push(Box::new(|| timed(|| exporter.scrape()).1));
    }
    let rounds = Rounds::run(ROUNDS, &mut sides);
    drop(sides);

    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut table = Table::new(format!(
        "collect: one cycle over {number} idle guests (3 disks, 2 NICs), {cores} cores (ratio of times)"
    ));
    let peers = [
        ("one bulk call, same bindings", Bar::AtMost(0.65)),
        ("one list by one reader", Bar::None),
        ("a call per figure and device", Bar::AtMost(0.45)),
        ("virsh domstats, spawned", Bar::None),
        ("prometheus-libvirt-exporter", Bar::None),
    ];
    for (side, (peer, bar)) in (1..).zip(peers).take(if exporter.is_some() { 5 } else { 4 }) {
        table.compare(
            "our cycle",
            seconds(rounds.cost(0)),
            peer,
            &seconds(rounds.cost(side)),
            rounds.ratio(0, side),
            bar,
        );
    }
    let per_guest = |costs: Vec<f64>| median(costs) / f64::from(number);
    let (own, bulk_own) = (per_guest(own.take()), per_guest(bulk_own.take()));
    table.compare(
        "own CPU per VM and reading",
        seconds(own),
        "one bulk call, not decoded",
        &seconds(bulk_own),
        own / bulk_own,
        Bar::None,
    );
    table.figure("own CPU per VM and reading, µs", seconds(own), own * 1e6, Bar::AtMost(60.0));
    table.print();
}

/// Rates of many VMs from readings made before.
fn rates() {
    const CYCLES: usize = 12;
    let mut table = Table::new("collect: rates of recorded readings, one core (ratio per VM)");
    let mut before: Option<f64> = None;
    for vms in [1000, 10_000] {
        let mut fleet = Fleet::new(vms);
        let mut baselines = vec![Baseline::default(); vms as usize];
        let periods = Periods::every(Duration::from_secs(1));
        let scale = AngleScale::default();
        let costs = (0..CYCLES).map(|_| {
            let readings: Vec<DomainReading> = fleet.read();
            let mut all = Vec::with_capacity(readings.len());
            worked(|| {
                for (baseline, reading) in baselines.iter_mut().zip(&readings) {
                    all.push(baseline.advance(reading, &periods, &scale));
                }
            })
        });
        let cost = median(costs.skip(2).collect());
        let per_vm = cost / f64::from(vms);
        let what = format!("{vms} VMs");
        match before {
            Some(fewer) => table.compare(
                &what,
                seconds(cost),
                "1000 VMs, per VM",
                &seconds(fewer),
                per_vm / fewer,
                Bar::None,
            ),
            None => table.figure(&what, seconds(cost), cost, Bar::None),
        }
        before = Some(per_vm);
    }
    table.print();
}

/// Resident memory of this process in bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

/// Memory after few and after many cycles on the test hypervisor. It comes
/// first: later it would find room that others have left.
fn memory() {
    let many = if torture() { 10_000 } else { 1000 };
    let collector = Collector::start(&lab::demo_host(), AT_ONCE);
    let after = |cycles: usize| {
        for _ in 0..cycles {
            collector.next();
        }
        resident()
    };
    let few = after(10);
    let warm = after(90);
    let end = after(many - 100);
    let mut table = Table::new("collect: memory over cycles of the demo host (ratio of RSS)");
    table.compare(&format!("after {many} cycles"), bytes(end), "after 10", &bytes(few), end / few, Bar::None);
    table.compare(
        &format!("after {many} cycles"),
        bytes(end),
        "after 100",
        &bytes(warm),
        end / warm,
        Bar::None,
    );
    table.print();
}

fn main() {
    if !wanted() {
        return;
    }
    memory();
    rates();
    guests();
}
