//! The record and the way to a database: lines appended with their sync, bytes
//! they take, lines that real servers accept beside curl, and a million lines
//! that waited for one. `cargo bench --bench deliver -- drain` runs that part
//! alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark fails by panicking, and its counts are small"
)]

mod draining;
mod fleet;
#[path = "../tests/lab/mod.rs"]
mod lab;
mod side_by_side;

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use kvmscope::{
    config::{self, Api, Auth, MissingPolicy},
    delivery::local,
    influx::{
        client::Client,
        line::{Encoder, split},
        policy::Answer,
    },
    journal::{Account, Entry, Journal, Limits, Local},
    model::{Frame, WallTime},
};

use fleet::{Fleet, LINES, START};
use lab::servers::Server;
use side_by_side::{
    Bar, Rounds, Side, Table, bytes, chosen, count, median, process_cpu, seconds, skipped, timed, wanted,
};

const VMS: u32 = 40;
const LINES_PER_CYCLE: usize = VMS as usize * LINES;

/// A cycle as the recorder hands it to the record.
struct Cycle {
    frame: Arc<Frame>,
    lines: Vec<u8>,
    local: Vec<u8>,
}

/// Cycles of a busy fleet, one after the other.
struct Source {
    fleet: Fleet,
    encoder: Encoder,
    locals: local::Encoder,
}

impl Source {
    fn new() -> Self {
        Self::of(VMS)
    }

    fn of(vms: u32) -> Self {
        let mut fleet = Fleet::new(vms);
        // The first cycle has no rates and a line less for each VM.
        fleet.cycle();
        let encoder = Encoder::new(MissingPolicy::Zero, &BTreeMap::new()).unwrap();
        Self { fleet, encoder, locals: local::Encoder::default() }
    }

    /// The next cycle as the collector hands it over.
    fn frame(&mut self) -> Arc<Frame> {
        self.fleet.cycle()
    }

    fn next(&mut self) -> Cycle {
        let frame = self.frame();
        let mut lines = Vec::new();
        let done = self.encoder.encode(&frame, &mut lines);
        assert_eq!(usize::try_from(done.lines), Ok(frame.domains.len() * LINES));
        Cycle { local: self.locals.encode(&frame), frame, lines }
    }
}

fn entry(cycle: &Cycle) -> Entry<'_> {
    let times = || cycle.frame.domains.iter().map(|domain| domain.reading.at);
    Entry {
        at: cycle.frame.at,
        part: 0,
        first: times().min().unwrap(),
        last: times().max().unwrap(),
        lines: LINES_PER_CYCLE as u64,
        bytes: &cycle.lines,
        local: Some(Local { version: local::VERSION, bytes: &cycle.local }),
    }
}

/// A directory on the disk that the build is on: a file system in memory
/// would make syncing free.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn record() {
    const PER_ROUND: usize = 10;
    const ROUNDS: usize = 60;
    const SETTLED: usize = 10;
    let directory = directory();
    let limits = Limits { min_free: 0, ..Limits::from(&config::Store::default()) };
    let opened = Journal::open(directory.path(), "bench.db", limits, &mut Account::default(), START).unwrap();
    let mut journal = opened.journal;
    journal.set_target(Some("bench"), START).unwrap();
    let mut plain = File::create(directory.path().join("plain")).unwrap();
    let mut source = Source::new();
    let cycles: Vec<Cycle> = (0..=ROUNDS * PER_ROUND + PER_ROUND).map(|_| source.next()).collect();
    let (mut ours, mut theirs) = (cycles.iter(), cycles.iter());
    let (mut raw, mut stored, mut beside) = (0, 0, 0);
    let mut packer = kvmscope::journal::packer().unwrap();
    let mut cpu = Vec::new();
    // Cycles and bytes after the first rounds.
    let settled = Cell::new((0.0, 0.0));
    let rounds = Rounds::run(
        ROUNDS,
        &mut [
            Box::new(|| {
                let before = process_cpu();
                let ((), took) = timed(|| {
                    for cycle in ours.by_ref().take(PER_ROUND) {
                        journal.append(&[entry(cycle)], &Account::default()).unwrap();
                    }
                });
                cpu.push((process_cpu() - before) / PER_ROUND as f64);
                if journal.cycles() == (SETTLED * PER_ROUND) as u64 {
                    settled.set((journal.cycles() as f64, journal.bytes() as f64));
                }
                took
            }) as Side<'_>,
            Box::new(|| {
                timed(|| {
                    for cycle in theirs.by_ref().take(PER_ROUND) {
                        let row = packer.compress(&cycle.lines).unwrap();
                        raw += cycle.lines.len();
                        stored += row.len();
                        beside += packer.compress(&cycle.local).unwrap().len();
                        plain.write_all(&row).unwrap();
                        plain.sync_data().unwrap();
                    }
                })
                .1
            }),
        ],
    );
    // The write-ahead log does not grow with the record: what it takes is
    // left out by beginning after it has reached its size.
    let appended = journal.cycles() as f64;
    let grown = journal.bytes() as f64 - settled.get().1;
    let per_round = (PER_ROUND * LINES_PER_CYCLE) as f64;
    let per_vm_second = |bytes: f64, cycles: f64| bytes / cycles / f64::from(VMS);
    let mut table = Table::new(format!(
        "deliver: the record of {VMS} busy VMs, {LINES} lines each, one synced transaction a cycle \
         ({appended:.0} cycles; ratio of speeds)"
    ));
    table.compare(
        "appended with sync",
        format!("{} lines/s", count(per_round / rounds.cost(0))),
        "zstd into a plain file, synced",
        &format!("{} lines/s", count(per_round / rounds.cost(1))),
        rounds.ratio(1, 0),
        Bar::None,
    );
    let whole = per_vm_second(grown, appended - settled.get().0);
    table.figure("bytes per VM-second, all in", format!("{whole:.0}"), whole, Bar::AtMost(450.0));
    table.note(format!(
        "of which lines: {:.0} raw, {:.0} with zstd; beside them (latency, steal, vCPUs …): {:.1}; \
         an append costs {} of CPU",
        per_vm_second(raw as f64, appended),
        per_vm_second(stored as f64, appended),
        per_vm_second(beside as f64, appended),
        seconds(median(cpu)),
    ));
    table.print();
    drop(journal);
}

/// What a day takes, for a small host and a large one: what the files have
/// grown by, then what is left in them once they are thinned.
fn days() {
    let mut table = Table::new("deliver: bytes of the record a day, a cycle each second".to_owned());
    for (vms, cycles) in [(VMS, 600), (500, 200)] {
        let directory = directory();
        let open = |full_resolution| {
            let limits = Limits { min_free: 0, full_resolution, ..Limits::from(&config::Store::default()) };
            Journal::open(directory.path(), "bench.db", limits, &mut Account::default(), START)
                .unwrap()
                .journal
        };
        let mut source = Source::of(vms);
        let mut append = || {
            let mut journal = open(Duration::from_hours(6));
            for _ in 0..cycles / 2 {
                let cycle = source.next();
                // As the recorder does, a row for each batch of a cycle.
                let parts: Vec<_> = split(&cycle.lines, 2000, 8 << 20).collect();
                let mut rows = Vec::new();
                for (part, piece) in (0..).zip(&parts) {
                    rows.push(Entry {
                        part,
                        lines: piece.lines as u64,
                        bytes: piece.bytes,
                        local: entry(&cycle).local.filter(|_| part == 0),
                        ..entry(&cycle)
                    });
                }
                journal.append(&rows, &Account::default()).unwrap();
            }
            journal.growth().unwrap().unwrap()
        };
        let used = || {
            let db = rusqlite::Connection::open(directory.path().join("bench.db")).unwrap();
            let pages = "SELECT (page_count - freelist_count) * page_size
                         FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
            db.query_row(pages, [], |row| row.get::<_, f64>(0)).unwrap()
        };
        append();
        let before = used();
        let shown = append();
        let full = (used() - before) / f64::from(cycles / 2) * 86_400.0;
        let mut journal = open(Duration::ZERO);
        while journal.maintain(WallTime(START.0 + 3_600_000_000_000)).unwrap() {}
        // The newest rows wait for more of them before they are thinned.
        let left = journal.cycles() as f64;
        drop(journal);
        let thinned = used() / left * 8640.0;
        table.note(format!(
            "{vms} VMs: {} a day, {:.0} bytes per VM-second; {} once thinned (the pane says {} and {})",
            bytes(full),
            full / 86_400.0 / f64::from(vms),
            bytes(thinned),
            bytes(shown.full as f64),
            bytes(shown.thinned as f64),
        ));
    }
    table.print();
}

/// Batches as delivery sends them, each also as a file for curl, plain and
/// with gzip. Every round has batches of its own.
struct Batches {
    bodies: Vec<Vec<u8>>,
    plain: Vec<PathBuf>,
    gzip: Vec<PathBuf>,
}

const BATCH_CYCLES: usize = 6;
const BATCHES: usize = 8;
const SERVER_ROUNDS: usize = 9;

impl Batches {
    fn make(directory: &Path, source: &mut Source, round: usize) -> Self {
        let mut batches = Self { bodies: Vec::new(), plain: Vec::new(), gzip: Vec::new() };
        for number in 0..BATCHES {
            let body: Vec<u8> = (0..BATCH_CYCLES).flat_map(|_| source.next().lines).collect();
            let plain = directory.join(format!("{round}-{number}.lp"));
            std::fs::write(&plain, &body).unwrap();
            let gzip = plain.with_extension("gz");
            let mut packer = GzEncoder::new(File::create(&gzip).unwrap(), Compression::fast());
            packer.write_all(&body).unwrap();
            packer.finish().unwrap();
            batches.bodies.push(body);
            batches.plain.push(plain);
            batches.gzip.push(gzip);
        }
        batches
    }
}

fn client(url: &str, db: &str, gzip: bool) -> Client {
    let settings = config::Influx {
        url: Some(url.to_owned()),
        db: db.to_owned(),
        auth: Auth::None,
        api: Api::V1,
        gzip,
        ..config::Influx::default()
    };
    Client::new(&settings).unwrap()
}

/// Posts all files over one connection; the seconds that curl says its
/// transfers took, without its own start.
fn curl(directory: &Path, url: &str, db: &str, files: &[PathBuf], gzip: bool) -> f64 {
    let mut settings = String::new();
    for file in files {
        write!(
            settings,
            "url = \"{url}/write?db={db}&precision=ns\"\ndata-binary = \"@{}\"\nheader = \"Expect:\"\n\
             header = \"Content-Type: text/plain; charset=utf-8\"\noutput = \"/dev/null\"\n\
             write-out = \"%{{http_code}} %{{time_total}}\\n\"\n{}silent\nnext\n",
            file.display(),
            if gzip { "header = \"Content-Encoding: gzip\"\n" } else { "" },
        )
        .unwrap();
    }
    let path = directory.join("curl");
    std::fs::write(&path, settings).unwrap();
    let output = Command::new("curl").arg("--config").arg(&path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert_eq!(answers.len(), files.len(), "{text}");
    assert!(answers.iter().all(|(status, _)| *status == "204"), "{text}");
    answers.iter().map(|(_, time)| time.parse::<f64>().unwrap()).sum()
}

fn server(name: &str, server: &Server, table: &mut Table) {
    let directory = directory();
    let mut source = Source::new();
    let rounds: Vec<Batches> =
        (0..=SERVER_ROUNDS).map(|round| Batches::make(directory.path(), &mut source, round)).collect();
    let url = server.url();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ours = |db: &'static str, gzip: bool| {
        let mut client = client(&url, db, gzip);
        let mut turns = rounds.iter();
        let runtime = &runtime;
        Box::new(move || {
            let batches = turns.next().unwrap();
            timed(|| {
                for body in &batches.bodies {
                    let (answer, _) = runtime.block_on(client.write(body));
                    assert!(matches!(answer, Answer::Http { status: 204, .. }), "{answer:?}");
                }
            })
            .1
        }) as Side<'_>
    };
    let theirs = |db: &'static str, gzip: bool| {
        let mut turns = rounds.iter();
        let (directory, url) = (directory.path(), &url);
        Box::new(move || {
            let batches = turns.next().unwrap();
            curl(directory, url, db, if gzip { &batches.gzip } else { &batches.plain }, gzip)
        }) as Side<'_>
    };
    let times = Rounds::run(
        SERVER_ROUNDS,
        &mut [
            ours("ours_plain", false),
            theirs("curl_plain", false),
            ours("ours_gzip", true),
            theirs("curl_gzip", true),
        ],
    );
    let lines = (BATCHES * BATCH_CYCLES * LINES_PER_CYCLE) as f64;
    let speed = |side| format!("{} lines/s", count(lines / times.cost(side)));
    for (what, side) in [("plain", 0), ("gzip", 2)] {
        table.compare(
            &format!("{name}, {what}"),
            speed(side),
            if side == 0 { "curl" } else { "curl, packed before" },
            &speed(side + 1),
            times.ratio(side + 1, side),
            Bar::AtLeast(0.9),
        );
    }
}

fn servers() {
    const PART: &str = "deliver against curl";
    if !lab::installed("curl") {
        return skipped(PART, "curl is not installed");
    }
    let mut table = Table::new(format!(
        "deliver: lines accepted by real servers, batches of {} lines (ratio of speeds)",
        BATCH_CYCLES * LINES_PER_CYCLE
    ));
    if let Some(influxd) = Server::influxd(PART) {
        for db in ["ours_plain", "curl_plain", "ours_gzip", "curl_gzip"] {
            influxd.influxql("", &format!("CREATE DATABASE {db}"));
        }
        server("InfluxDB 1.6", &influxd, &mut table);
    }
    if let Some(victoria) = Server::victoria_metrics(PART) {
        server("VictoriaMetrics", &victoria, &mut table);
    }
    table.note("curl's times are its own, without its start; ours are whole, compression included.");
    table.print();
}

fn main() {
    if !wanted() || draining::is_child() {
        return;
    }
    for (name, part) in
        [("record", record as fn()), ("days", days), ("servers", servers), ("drain", draining::drain)]
    {
        if chosen(name) {
            part();
        }
    }
}
