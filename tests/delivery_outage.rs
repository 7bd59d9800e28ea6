//! The server is away while lines pile up, and comes back: all of them arrive
//! in order, the process that sends them does not grow, and soon new cycles
//! arrive as fresh as ever. What the screen shows meanwhile is looked at, too.
//!
//! Sixty thousand lines, and a million with `KVMSCOPE_TORTURE=1`. The server
//! is a scripted double that fails now and then; `KVMSCOPE_SEED` repeats a run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a test that fails stops there, and its processes talk"
)]

mod recording;
mod sample;
mod scripted;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use kvmscope::{
    clock::Clock,
    config::MissingPolicy,
    influx::line::Encoder,
    journal::{Account, Entry, Journal, Limits, file_name},
    model::{Frame, Nanos, WallTime, status::DeliveryState},
};
use recording::{LINES, URI, settings, start, wait};
use scripted::{Reply, Scripted, Write};

const VMS: u32 = 40;
const LINES_PER_CYCLE: u64 = VMS as u64 * LINES as u64;
const SECOND: i64 = 1_000_000_000;
/// Cycles that must arrive fresh once nothing waits any more.
const FRESH: u64 = 6;
/// The bars.
const MOST_GROWTH: u64 = 32 << 10;
const MOST_LAG: Duration = Duration::from_secs(5);

fn torture() -> bool {
    std::env::var_os("KVMSCOPE_TORTURE").is_some_and(|value| !value.is_empty())
}

/// The bar is promised of a machine that does little else.
fn most_lag() -> Duration {
    if torture() { MOST_LAG } else { MOST_LAG * 6 }
}

/// A cycle of all VMs at an instant.
fn cycle(number: u64, at: WallTime) -> Frame {
    let domains = (0..VMS).map(|vm| {
        let uuid = format!("550e8400-e29b-41d4-a716-{vm:012}");
        let mut reading = sample::reading(sample::identity(Some(vm + 1), &format!("web-{vm}"), &uuid));
        reading.at = at;
        reading.cpu.as_mut().unwrap().time = Nanos(number * 1_000_003 + u64::from(vm));
        sample::domain(reading)
    });
    let mut frame = sample::frame(domains.collect());
    (frame.cycle, frame.at) = (number, at);
    frame
}

fn now() -> WallTime {
    Clock::system().now().0
}

// ---- the process that records and delivers ----------------------------------

/// Started by the test below as a process of its own; alone it has nothing to
/// do. It talks to that test by lines: orders come in, figures go out.
#[test]
fn the_process_that_delivers() {
    let Ok(order) = std::env::var("KVMSCOPE_OUTAGE") else { return };
    let order: Vec<&str> = order.lines().collect();
    let mut settings = settings(Some(order[1].into()), Some(Path::new(order[0])));
    settings.influx.batch_max_sec = Duration::from_secs(1);
    let every = Duration::from_millis(order[2].parse().unwrap());
    let (said, orders) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            said.send(line.unwrap()).unwrap();
        }
    });
    let handle = start(settings);
    let status = handle.status();
    let (mut next, mut look) = (Instant::now(), Instant::now());
    let mut times = Vec::new();
    let ends = Instant::now() + Duration::from_mins(20);
    let mut resident = 0;
    // Cycles handed over and not yet on disk: the lines there are with each.
    let mut handed = VecDeque::new();
    let mut slowest = Duration::ZERO;
    let mut lines = 0;
    loop {
        assert!(Instant::now() < ends, "the test that started this process is gone");
        if Instant::now() >= next {
            let at = now();
            times.push(at.0.to_string());
            if lines == 0 {
                let (delivery, _) = wait(&handle, "the record is open", |_, store| store.lines > 0);
                lines = delivery.emitted;
            }
            lines += LINES_PER_CYCLE;
            handed.push_back((lines, Instant::now()));
            handle.record(Arc::new(cycle(times.len() as u64, at)));
            next += every;
        }
        if Instant::now() >= look {
            look += Duration::from_millis(50);
            let delivery = status.borrow().0.clone();
            let on_disk = delivery.emitted - delivery.waiting_in_memory;
            while let Some((_, since)) = handed.pop_front_if(|(lines, _)| *lines <= on_disk) {
                slowest = slowest.max(since.elapsed());
            }
            say(&format!(
                "figures {} {} {} {:.0} {} {} {} {}",
                u64::from(matches!(delivery.state, DeliveryState::Retrying { .. })),
                delivery.waiting(),
                delivery.oldest_waiting.map_or(0, |oldest| oldest.0),
                delivery.lines_per_second,
                delivery.time_left.map_or(u64::MAX, |left| left.as_secs()),
                delivery.emitted,
                delivery.delivered,
                delivery.quarantined + delivery.dropped_total(),
            ));
        }
        match orders.recv_timeout(Duration::from_millis(5)).as_deref() {
            Ok("back") => {
                resident = memory("VmRSS:");
                // The peak is counted from here.
                std::fs::write("/proc/self/clear_refs", "5").unwrap();
                handle.retry_now();
            }
            Ok("end") => break,
            Ok(_) | Err(_) => {}
        }
    }
    assert!(handle.shutdown(Duration::from_secs(20)));
    say(&format!("times {}", times.join(" ")));
    say(&format!("memory {resident} {} {}", memory("VmHWM:"), slowest.as_millis()));
}

/// Where the test runner's own words do not stand.
fn say(line: &str) {
    eprintln!("{line}");
}

/// A figure of this process, in KiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// That process, as the test holds it.
struct Sender {
    child: Child,
    words: mpsc::Receiver<String>,
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the pane shows.
#[derive(Clone, Copy, Debug)]
struct Figures {
    retrying: bool,
    waiting: u64,
    oldest: i64,
    rate: u64,
    left: Option<u64>,
    emitted: u64,
    delivered: u64,
    lost: u64,
}

impl Sender {
    fn start(directory: &Path, url: &str, every: Duration) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_process_that_delivers", "--nocapture"])
            .env("KVMSCOPE_OUTAGE", format!("{}\n{url}\n{}", directory.display(), every.as_millis()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (said, words) = mpsc::channel();
        std::thread::spawn(move || lines.for_each(|line| drop(said.send(line.unwrap()))));
        Self { child, words }
    }

    fn order(&mut self, word: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{word}").unwrap();
    }

    /// The rest of the next line that begins with `word`.
    fn word(&self, word: &str) -> String {
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            let line = self.words.recv_timeout(end.saturating_duration_since(Instant::now())).unwrap();
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
            assert!(line.starts_with("figures"), "{line}");
        }
    }

    /// The next figures, the identity checked.
    fn figures(&self) -> Figures {
        let text = self.word("figures");
        let n: Vec<u64> = text.split(' ').map(|figure| figure.parse().unwrap()).collect();
        let figures = Figures {
            retrying: n[0] == 1,
            waiting: n[1],
            oldest: i64::try_from(n[2]).unwrap(),
            rate: n[3],
            left: (n[4] != u64::MAX).then_some(n[4]),
            emitted: n[5],
            delivered: n[6],
            lost: n[7],
        };
        assert_eq!(figures.emitted, figures.delivered + figures.waiting + figures.lost, "{figures:?}");
        figures
    }
}

// ---- what arrives ------------------------------------------------------------

/// Everything that has arrived, by series.
#[derive(Default)]
struct Arrived {
    /// Times of a series' lines as they came first; each later than the last.
    series: HashMap<String, Vec<i64>>,
    lines: u64,
    /// A line that came after a later one of its series.
    out_of_order: Option<String>,
    /// When the last line of the backlog came.
    drained: Option<WallTime>,
    /// How late the lines of each cycle after that were, by its time.
    lags: BTreeMap<i64, Duration>,
}

impl Arrived {
    fn take(&mut self, write: &Write, backlog: u64) {
        let now = now();
        for line in &write.lines {
            let (series, at) = (line.split(' ').next().unwrap(), line.rsplit(' ').next().unwrap());
            let at: i64 = at.parse().unwrap();
            let times = match self.series.get_mut(series) {
                Some(times) => times,
                None => self.series.entry(series.to_owned()).or_default(),
            };
            if times.last().is_none_or(|last| *last < at) {
                times.push(at);
                self.lines += 1;
            } else if times.binary_search(&at).is_err() {
                self.out_of_order.get_or_insert_with(|| line.clone());
            }
            if self.drained.is_some_and(|drained| at > drained.0) {
                let lag = self.lags.entry(at).or_default();
                *lag = (*lag).max(now.since(WallTime(at)));
            }
        }
        if self.lines >= backlog {
            self.drained.get_or_insert(now);
        }
    }
}

/// Records `cycles` cycles, a second apart and the last one just now, for
/// which no server was there. Returns their times.
fn pile_up(directory: &Path, cycles: u64) -> Vec<i64> {
    let limits = Limits::from(&settings(None, None).store);
    let mut journal =
        Journal::open(directory, &file_name(URI), limits, &mut Account::default(), now()).unwrap().journal;
    journal.set_target(Some("away"), now()).unwrap();
    let mut encoder = Encoder::new(MissingPolicy::Zero, &BTreeMap::new()).unwrap();
    let begun = now().0 - i64::try_from(cycles).unwrap() * SECOND;
    let times: Vec<i64> = (0..i64::try_from(cycles).unwrap()).map(|number| begun + number * SECOND).collect();
    for few in times.chunks(50) {
        let texts: Vec<(WallTime, Vec<u8>)> = few
            .iter()
            .map(|at| {
                let mut text = Vec::new();
                encoder.encode(&cycle(0, WallTime(*at)), &mut text);
                (WallTime(*at), text)
            })
            .collect();
        let entries: Vec<Entry<'_>> = texts
            .iter()
            .map(|(at, bytes)| Entry {
                at: *at,
                part: 0,
                first: *at,
                last: *at,
                lines: LINES_PER_CYCLE,
                bytes,
                local: None,
            })
            .collect();
        journal.append(&entries, &Account::default()).unwrap();
    }
    assert_eq!(journal.waiting(), cycles * LINES_PER_CYCLE);
    times
}

#[test]
fn what_piled_up_while_the_server_was_away_arrives_in_order_and_new_cycles_are_fresh_again() {
    let torture = torture();
    let seed: u64 = std::env::var("KVMSCOPE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(41);
    let lines: u64 = if torture { 1_000_000 } else { 60_000 };
    let every = Duration::from_millis(if torture { 1000 } else { 250 });
    println!("{lines} lines, KVMSCOPE_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let times = pile_up(dir.path(), lines / LINES_PER_CYCLE);
    let address = Scripted::willing().address();
    let mut sender = Sender::start(dir.path(), &format!("http://{address}"), every);

    // Away: everything waits, and the pane says how much and for how long.
    let away = loop {
        let figures = sender.figures();
        if figures.retrying && figures.waiting >= lines + 4 * LINES_PER_CYCLE {
            break figures;
        }
    };
    assert_eq!((away.oldest, away.rate, away.left), (times[0], 0, None), "{away:?}");

    // Back, and failing now and then.
    let arrived = Arc::new(Mutex::new(Arrived::default()));
    let book = Arc::clone(&arrived);
    let mut random = seed | 1;
    // In the short form the server takes no more than can be looked at.
    let (looked, looks) = mpsc::sync_channel(1);
    let server = Scripted::at(address, move |write| {
        if !torture {
            let _ = looks.recv_timeout(Duration::from_secs(1));
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        match random % 60 {
            0 => return Reply::status(503, "busy"),
            1 => {
                book.lock().unwrap().take(write, lines);
                return Reply::WrittenThenReset;
            }
            _ => book.lock().unwrap().take(write, lines),
        }
        Reply::status(204, "")
    });
    let (begun, back) = (Instant::now(), now());
    sender.order("back");
    let mut shown = Vec::new();
    let end = begun + Duration::from_mins(if torture { 10 } else { 2 });
    loop {
        let figures = sender.figures();
        shown.push(figures);
        let _ = looked.try_send(());
        let arrived = arrived.lock().unwrap();
        assert_eq!(arrived.out_of_order, None, "a line came after a later one of its series");
        if arrived.lags.len() as u64 >= FRESH && figures.waiting <= LINES_PER_CYCLE {
            break;
        }
        assert!(Instant::now() < end, "{figures:?}, {} lines arrived", arrived.lines);
    }
    sender.order("end");
    let live: Vec<i64> = sender.word("times").split(' ').map(|time| time.parse().unwrap()).collect();
    let memory: Vec<u64> = sender.word("memory").split(' ').map(|kib| kib.parse().unwrap()).collect();
    assert!(sender.child.wait().unwrap().success());
    drop(server);

    let arrived = arrived.lock().unwrap();
    assert_eq!(arrived.out_of_order, None, "a line came after a later one of its series");
    let all: Vec<i64> = times.iter().chain(&live).copied().collect();
    assert_eq!(arrived.series.len() as u64, LINES_PER_CYCLE);
    for (series, times) in &arrived.series {
        assert!(*times == all, "{series}: {} lines of {} arrived", times.len(), all.len());
    }
    let worst = arrived.lags.values().max().unwrap();
    assert!(*worst <= most_lag(), "new cycles are late: {:?}", arrived.lags);
    let growth = memory[1].saturating_sub(memory[0]);
    assert!(
        Duration::from_millis(memory[2]) <= most_lag(),
        "a cycle was on disk only after {} ms",
        memory[2]
    );
    assert!(growth <= MOST_GROWTH, "{growth} KiB more than the {} KiB before", memory[0]);
    check_progress(&shown, lines);
    println!(
        "drained after {:?}, {} KiB more than the {} KiB before, new cycles on disk after \
         {} ms at most, and delivered after {worst:?} once nothing waited",
        arrived.drained.unwrap().since(back),
        growth,
        memory[0],
        memory[2],
    );
}

/// What the pane has shown while the backlog went down.
fn check_progress(shown: &[Figures], lines: u64) {
    for (before, after) in shown.iter().zip(&shown[1..]) {
        assert!(after.delivered >= before.delivered && after.emitted >= before.emitted, "{after:?}");
        assert!(after.waiting == 0 || after.oldest >= before.oldest, "{before:?} {after:?}");
    }
    let draining: Vec<&Figures> =
        shown.iter().filter(|figures| figures.delivered > 0 && figures.waiting > lines / 20).collect();
    // A machine that is fast enough, or busy enough with other things, has
    // nothing to show between full and empty.
    if draining.len() > 10 {
        assert!(draining.last().unwrap().waiting < lines / 2, "{draining:#?}");
    }
    assert!(draining.iter().all(|figures| figures.lost == 0));
    assert!(shown.iter().any(|figures| figures.rate > 0), "{shown:#?}");
    let left: Vec<u64> = draining.iter().filter_map(|figures| figures.left).collect();
    // Nothing is said in the first second, nor while a failed request waits.
    if draining.len() > 60 {
        assert!(left.len() > 3, "the time left is told: {draining:#?}");
        // On a machine that does little else.
        assert!(!torture() || left.last() <= left.first(), "{left:?}");
    }
}
