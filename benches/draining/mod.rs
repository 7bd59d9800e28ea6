//! A million lines that wait when the server is back: how fast they leave
//! beside curl that posts the same batches, what memory that takes, and how
//! late new cycles are afterwards.
//!
//! Recording and delivery run in a process of their own, so that nothing else
//! is in its memory. The server is frozen (SIGSTOP) until all is ready.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use kvmscope::{
    clock::Clock,
    config::{self, Api, Auth},
    delivery::{self, Role, Settings},
    journal::{Account, Journal, Limits, file_name},
};

use crate::{
    LINES_PER_CYCLE, Source, VMS, curl, directory, entry,
    fleet::START,
    lab::{self, processes::Leash, servers::Server},
    side_by_side::{Bar, Table, bytes, count, median, process_cpu, seconds, skipped},
};

const PART: &str = "deliver: drain";
const CYCLES: usize = 3125;
const LINES: usize = CYCLES * LINES_PER_CYCLE;
/// `influx.batch_max_lines`.
const BATCH: usize = 2000;
const URI: &str = "bench:///drain";
const DB: &str = "drain";
/// New cycles that are timed once nothing waits.
const LATER: usize = 8;
/// Says to a process of this bench what it is: directory and URL.
const ORDER: &str = "KVMSCOPE_BENCH_DRAIN";
const TEN_YEARS: Duration = Duration::from_hours(24 * 3650);

/// The part of the process that records and delivers, if this is that one.
pub fn is_child() -> bool {
    let Ok(order) = std::env::var(ORDER) else { return false };
    let (directory, url) = order.split_once('\n').unwrap();
    deliver(Path::new(directory), url);
    true
}

/// The bounds of the record: the cycles of the bench may be old.
fn store(directory: &Path) -> config::Store {
    config::Store {
        path: Some(directory.to_owned()),
        min_free: 0,
        max_age: TEN_YEARS,
        full_resolution: TEN_YEARS,
        ..config::Store::default()
    }
}

/// Fills the record with what waits, and makes of the same lines the files
/// that curl posts.
fn fill(place: &Path, files: &Path) -> Vec<PathBuf> {
    let limits = Limits::from(&store(place));
    let opened = Journal::open(place, &file_name(URI), limits, &mut Account::default(), START).unwrap();
    let mut journal = opened.journal;
    journal.set_target(Some("bench"), START).unwrap();
    let mut source = Source::new();
    let mut batches = Vec::new();
    let mut text: Vec<u8> = Vec::new();
    let mut waiting = 0;
    let mut done = 0;
    while done < CYCLES {
        let cycles: Vec<_> = (0..25.min(CYCLES - done)).map(|_| source.next()).collect();
        done += cycles.len();
        let entries: Vec<_> = cycles.iter().map(entry).collect();
        journal.append(&entries, &Account::default()).unwrap();
        for line in cycles.iter().flat_map(|cycle| cycle.lines.split_inclusive(|byte| *byte == b'\n')) {
            text.extend_from_slice(line);
            waiting += 1;
            if waiting == BATCH {
                batches.push(pack(files, batches.len(), &text));
                text.clear();
                waiting = 0;
            }
        }
    }
    if waiting > 0 {
        batches.push(pack(files, batches.len(), &text));
    }
    batches
}

fn pack(files: &Path, number: usize, text: &[u8]) -> PathBuf {
    let path = files.join(format!("{number}.gz"));
    let mut packer = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    packer.write_all(text).unwrap();
    packer.finish().unwrap();
    path
}

/// What the process that delivers has measured.
struct Drained {
    seconds: f64,
    lines: f64,
    cpu: f64,
    resident: f64,
    peak: f64,
    lag: f64,
    worst: f64,
}

/// Runs the process that delivers. The server is frozen while it starts.
fn drained(place: &Path, server: &Server) -> Drained {
    let frozen = Leash::stop(server.pid());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--bench")
        .env(ORDER, format!("{}\n{}", place.display(), server.url()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut words = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut word = || words.next().expect("the process that delivers has ended");
    assert_eq!(word(), "ready");
    drop(frozen);
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let figures: Vec<f64> = word().split(' ').map(|figure| figure.parse().unwrap()).collect();
    let [seconds, lines, cpu, resident, peak, lag, worst] = figures[..] else { panic!("{figures:?}") };
    assert!(child.wait().unwrap().success());
    Drained { seconds, lines, cpu, resident, peak, lag, worst }
}

/// The process that delivers: a cycle a second, before and while what waits
/// is sent, and some after that.
fn deliver(place: &Path, url: &str) {
    let settings = Settings {
        influx: config::Influx {
            url: Some(url.to_owned()),
            db: DB.to_owned(),
            auth: Auth::None,
            api: Api::V1,
            ..config::Influx::default()
        },
        record: config::Record::default(),
        store: store(place),
        libvirt_uri: URI.into(),
        role: Role::Recording(None),
    };
    // Cycles that come after those that wait.
    let mut source = Source::new();
    (0..CYCLES).for_each(|_| drop(source.frame()));
    let handle = delivery::start(settings, Clock::system()).unwrap();
    let status = handle.status();
    let mut recorded = LINES;
    let mut on_the_way = VecDeque::new();
    let mut lags = Vec::new();
    let mut next = Instant::now();
    // One look at the figures; a new cycle where its second has come. Tells
    // the lines delivered and waiting, and the cycles that have arrived.
    let mut look = || {
        if Instant::now() >= next {
            on_the_way.push_back((recorded + LINES_PER_CYCLE, Instant::now()));
            handle.record(source.frame());
            recorded += LINES_PER_CYCLE;
            next += Duration::from_secs(1);
        }
        std::thread::park_timeout(Duration::from_millis(2));
        let (delivered, waiting) = {
            let figures = status.borrow();
            (figures.0.delivered, figures.0.waiting())
        };
        while on_the_way.front().is_some_and(|(lines, _)| *lines as u64 <= delivered) {
            lags.extend(on_the_way.pop_front().map(|(_, since): (_, Instant)| since.elapsed().as_secs_f64()));
        }
        (delivered, waiting, lags.clone())
    };
    while look().1 < (LINES + 3 * LINES_PER_CYCLE) as u64 {}
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let resident = memory("VmRSS:");
    say("ready");
    std::io::stdin().lines().next().unwrap().unwrap();
    let (begun, cpu, before) = (Instant::now(), process_cpu(), look().0);
    let (lines, arrived) = loop {
        let (delivered, waiting, lags) = look();
        if waiting <= LINES_PER_CYCLE as u64 {
            break (delivered - before, lags.len());
        }
    };
    let (took, cpu) = (begun.elapsed().as_secs_f64(), process_cpu() - cpu);
    let lags = loop {
        let (.., lags) = look();
        if lags.len() > arrived + LATER {
            break lags[arrived + 1..].to_vec();
        }
    };
    let worst = lags.iter().copied().fold(0.0, f64::max);
    let peak = memory("VmHWM:");
    say(&format!("{took} {lines} {cpu} {resident} {peak} {} {worst}", median(lags)));
}

#[allow(clippy::print_stdout, reason = "the other process reads it")]
fn say(words: &str) {
    println!("{words}");
}

/// A figure of this process, in bytes.
fn memory(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

fn one(name: &str, server: &Server, filled: &Path, files: &[PathBuf], table: &mut Table) {
    let place = directory();
    std::fs::copy(filled.join(file_name(URI)), place.path().join(file_name(URI))).unwrap();
    // Half of curl's turn before ours and half after it: a neighbour that
    // comes or goes meets both.
    let settings = directory();
    let (first, second) = files.split_at(files.len() / 2);
    let curl = |files| curl(settings.path(), &server.url(), "curl", files, true);
    let before = curl(first);
    let ours = drained(place.path(), server);
    let after = curl(second);
    let (speed, theirs) = (ours.lines / ours.seconds, LINES as f64 / (before + after));
    table.compare(
        &format!("{name}, lines drained"),
        format!("{} lines/s", count(speed)),
        "curl, packed before",
        &format!("{} lines/s", count(theirs)),
        speed / theirs,
        Bar::AtLeast(0.9),
    );
    let grown = ours.peak - ours.resident;
    let mib = grown / f64::from(1 << 20);
    table.figure("  memory gained meanwhile, MiB", bytes(grown), mib, Bar::AtMost(32.0));
    table.figure("  new cycles late afterwards, s", seconds(ours.worst), ours.worst, Bar::AtMost(5.0));
    table.note(format!(
        "{name}: {} in {}, {} of CPU; {} resident before; new cycles arrive after {} (median)",
        count(ours.lines),
        seconds(ours.seconds),
        seconds(ours.cpu),
        bytes(ours.resident),
        seconds(ours.lag),
    ));
}

/// The part.
pub fn drain() {
    if !lab::installed("curl") {
        return skipped(PART, "curl is not installed");
    }
    let (place, files) = (directory(), directory());
    let batches = fill(place.path(), files.path());
    let mut table = Table::new(format!(
        "deliver: {} lines of {VMS} VMs wait for a server that comes back, batches of {BATCH} with gzip, a \
         new cycle a second",
        count(LINES as f64)
    ));
    if let Some(influxd) = Server::influxd(PART) {
        for db in [DB, "curl"] {
            influxd.influxql("", &format!("CREATE DATABASE {db}"));
        }
        one("InfluxDB 1.6", &influxd, place.path(), &batches, &mut table);
    }
    if let Some(victoria) = Server::victoria_metrics(PART) {
        one("VictoriaMetrics", &victoria, place.path(), &batches, &mut table);
    }
    table.note("curl's times are its own, without its start; ours begin when the server goes on.");
    table.print();
}
