//! Forty real QEMU guests on one host, of which one, six, or all hang: nobody
//! else pays, the daemon's workers are spared, and nothing is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a failed test panics, a passed one tells what it measured, and its name documents it"
)]

mod double;
mod lab;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use double::Double;
use lab::{
    guests::Lab,
    processes::{self, Leash},
    terminal::{PATIENCE, Terminal},
};
use rustix::process::Signal;

const GUESTS: u32 = 40;
/// Every guest has its row.
const SIZE: (u16, u16) = (60, 170);
const HUNG: &str = "monitor not answering since ";
const NOT_ASKED: &str = "not asked: 8 calls already hang";
/// As many calls as kvmscope lets hang, unless told otherwise.
const BOUND: u32 = 8;

/// The bars. They are those of a machine that does nothing else; where other
/// tests run beside this one, the long form alone holds them.
struct Bars {
    /// The oldest that the numbers of a sound VM ever are, at one reading a
    /// second.
    fresh: Duration,
    one_named: Duration,
    six_named: Duration,
    whole: Duration,
    all_whole: Duration,
    /// How long the sound ones are watched.
    watch: Duration,
    at_once: Duration,
}

fn bars() -> Bars {
    let seconds = Duration::from_secs;
    if lab::torture() {
        Bars {
            fresh: Duration::from_millis(1500),
            one_named: seconds(3),
            six_named: seconds(8),
            whole: seconds(2),
            all_whole: seconds(10),
            watch: seconds(60),
            at_once: seconds(1),
        }
    } else {
        Bars {
            fresh: seconds(3),
            one_named: seconds(6),
            six_named: seconds(16),
            whole: seconds(5),
            all_whole: seconds(20),
            watch: seconds(12),
            at_once: seconds(5),
        }
    }
}

/// The lab of this file. Its guests are broken, so that only one test at a
/// time may have it.
fn take_lab(test: &str) -> Option<(MutexGuard<'static, ()>, &'static Lab)> {
    static TURN: Mutex<()> = Mutex::new(());
    static LAB: OnceLock<Result<Lab, String>> = OnceLock::new();
    if !lab::installed("virt-admin") {
        lab::skipped(test, "virt-admin (package libvirt-clients) is not installed");
        return None;
    }
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    match LAB.get_or_init(|| Lab::idle(GUESTS)) {
        Ok(lab) => {
            // virsh waits for what a call of an ended program still holds.
            lab.virsh(&["domstats"]);
            Some((turn, lab))
        }
        Err(reason) => {
            lab::skipped(test, reason);
            None
        }
    }
}

fn name(number: u32) -> String {
    format!("idle-{number}")
}

fn everybody() -> impl Iterator<Item = String> {
    (1..=GUESTS).map(name)
}

fn pids(lab: &Lab) -> BTreeMap<String, u32> {
    everybody().map(|guest| (guest.clone(), lab.qemu_pid(&guest))).collect()
}

/// The row of a guest in the fleet table.
fn row<'a>(screen: &'a str, guest: &str) -> Option<&'a str> {
    screen.lines().find(|line| line.split_whitespace().take(3).any(|word| word == guest))
}

fn says(screen: &str, guest: &str, words: &str) -> bool {
    row(screen, guest).is_some_and(|row| row.contains(words))
}

/// Whether a guest's row has its numbers: no reason stands in their place.
fn is_whole(screen: &str, guest: &str) -> bool {
    let reasons = ["not answering", "not asked", "busy", "no answer", "not read"];
    row(screen, guest).is_some_and(|row| !reasons.iter().any(|reason| row.contains(reason)))
}

/// kvmscope on the lab.
fn watching(lab: &Lab, home: &Path, variables: &[(&str, &str)]) -> Terminal {
    Terminal::start(home, SIZE, &["--uri", &lab.uri()], variables)
}

fn wait_until_whole(terminal: &Terminal) {
    terminal.wait("every guest is whole", |screen| everybody().all(|guest| is_whole(screen, &guest)));
}

/// How each guest is made, should it have to be made anew.
fn described(lab: &Lab) -> BTreeMap<String, String> {
    everybody().map(|guest| (guest.clone(), lab.virsh(&["dumpxml", "--inactive", &guest]))).collect()
}

/// As [`wait_until_whole`]. A daemon that was killed while its guests hung does
/// not always get hold of all of them again, and ends those: that is libvirt's
/// affair, and the other tests need the guest. How many were made anew.
fn wait_until_whole_but_for_lost(
    terminal: &Terminal,
    lab: &Lab,
    described: &BTreeMap<String, String>,
) -> usize {
    let mut lost = 0;
    let what = || format!("every guest is whole; the screen:\n{}", terminal.screen());
    lab::within_or_say(PATIENCE, what, || {
        let screen = terminal.screen();
        for guest in everybody().filter(|guest| row(&screen, guest).is_none()) {
            let refusal = lab.try_virsh(&["domid", &guest]).err();
            if refusal.is_some_and(|words| words.contains("failed to get domain")) {
                let file = tempfile::NamedTempFile::new().unwrap();
                std::fs::write(file.path(), &described[&guest]).unwrap();
                lab.virsh(&["create", "--paused", &file.path().display().to_string()]);
                eprintln!("the daemon lost {guest}");
                lost += 1;
            }
        }
        everybody().all(|guest| is_whole(&screen, &guest)).then_some(())
    });
    lost
}

/// Waits for the line of the status page about the calls that hang, and for
/// what else there must be; then the fleet is shown again.
fn stuck_calls(terminal: &mut Terminal, line: &str, named: impl Fn(&str) -> bool) {
    terminal.press("c");
    terminal.wait(line, |screen| screen.contains(line) && named(screen));
    terminal.press("c");
    terminal.wait("the fleet again", |screen| row(screen, "idle-1").is_some());
}

#[track_caller]
fn stops_and_starts_at_once(terminal: &mut Terminal, at_once: Duration) {
    let pressed = Instant::now();
    terminal.press("s");
    terminal.wait_for("COLLECTION STOPPED since");
    terminal.press("s");
    terminal.wait("no banner of being stopped", |screen| {
        !screen.contains("COLLECTION STOPPED") && !screen.contains("COLLECTION STOPPING")
    });
    let took = pressed.elapsed();
    assert!(took < at_once, "s twice took {took:?}");
    eprintln!("s twice took {took:?}");
}

#[track_caller]
fn quits_at_once(mut terminal: Terminal, at_once: Duration) {
    let pressed = Instant::now();
    terminal.press("q");
    let status = terminal.wait_for_end();
    assert!(status.success(), "{status:?}\n{}", terminal.screen());
    let took = pressed.elapsed();
    assert!(took < at_once, "q took {took:?}");
    eprintln!("q took {took:?}");
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// When whole readings of each guest were made since `since`, as the database
/// has them: those with the counters of its first disk.
fn readings(database: &Double, measurement: &str, tag: &str, since: i64) -> BTreeMap<String, Vec<i64>> {
    let (begin, tag) = (format!("{measurement},"), format!(",{tag}"));
    let mut times: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for line in database.lines("vmstats") {
        if !line.starts_with(&begin) || !line.contains(&tag) {
            continue;
        }
        let at: i64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
        let guest = line.split([',', ' ']).find_map(|tag| tag.strip_prefix("name=")).unwrap();
        if at >= since {
            times.entry(guest.to_owned()).or_default().push(at);
        }
    }
    for times in times.values_mut() {
        times.sort_unstable();
        times.dedup();
    }
    times
}

/// Watches so long, and returns the oldest that the disk counters of any of
/// `guests` ever were between `from` and the end: the time from one reading to
/// the next.
fn oldest(database: &Double, guests: &[String], from: i64, watch: Duration) -> (String, Duration) {
    let until = now() + i64::try_from(watch.as_nanos()).unwrap();
    lab::within(watch + PATIENCE, "every sound guest is read until the end of the watch", || {
        if now() < until {
            return None;
        }
        let times = readings(database, "vm_devices", "devtype=disk,device=vda", from);
        let all =
            guests.iter().all(|guest| times.get(guest).is_some_and(|times| times.last() >= Some(&until)));
        all.then_some(())
    });
    let times = readings(database, "vm_devices", "devtype=disk,device=vda", from - 1_500_000_000);
    let gaps = guests.iter().map(|guest| {
        let gap = times[guest].windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        (guest.clone(), Duration::from_nanos(gap.unsigned_abs()))
    });
    gaps.max_by_key(|(_, gap)| *gap).unwrap()
}

/// So many samples in a row …
const SAMPLES: usize = 10;
/// … at this distance make a worker held that is taken in all of them.
const PAUSE: Duration = Duration::from_millis(100);

/// Counts the workers of the daemon that stay taken: a worker that hangs is
/// taken all through a second, one that is used is free again.
struct Held {
    stop: Arc<AtomicBool>,
    samples: Arc<AtomicUsize>,
    thread: JoinHandle<u32>,
}

impl Held {
    fn count(lab: &'static Lab) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let thread = std::thread::spawn({
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            move || {
                let mut samples = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    samples.push(lab.busy_workers());
                    count.store(samples.len(), Ordering::Relaxed);
                    std::thread::park_timeout(PAUSE);
                }
                assert!(samples.len() >= SAMPLES, "watched for too short a time");
                samples.windows(SAMPLES).filter_map(|window| window.iter().min().copied()).max().unwrap()
            }
        });
        Self { stop, samples: count, thread }
    }

    /// Waits until as many samples were taken since the call as make a hold
    /// certain, twice.
    fn watch_for_a_while(&self) {
        let until = self.samples.load(Ordering::Relaxed) + 2 * SAMPLES;
        lab::within(PATIENCE, "the daemon's workers are counted", || {
            (self.samples.load(Ordering::Relaxed) >= until).then_some(())
        });
    }

    /// The most that were ever held at a time.
    fn most(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn one_of_forty_hangs() {
    let Some((_turn, lab)) = take_lab("one_of_forty_hangs") else { return };
    let bars = bars();
    let database = Double::open();
    let home = tempfile::tempdir().unwrap();
    let url = database.url();
    let terminal = watching(lab, home.path(), &[("INFLUX_URL", &url), ("INFLUX_TOKEN", "a-token")]);
    wait_until_whole(&terminal);
    let hung = name(17);
    let sound: Vec<String> = everybody().filter(|guest| *guest != hung).collect();
    lab::within(PATIENCE, "each guest is recorded", || {
        (readings(&database, "vm_devices", "devtype=disk,device=vda", 0).len() == GUESTS as usize)
            .then_some(())
    });

    let pid = lab.qemu_pid(&hung);
    let (stopped_at, since) = (now(), Instant::now());
    let leash = Leash::stop(pid);
    let screen = terminal.wait("it is named", |screen| says(screen, &hung, HUNG));
    let took = since.elapsed();
    eprintln!("named after {took:?}");
    assert!(took < bars.one_named, "named only after {took:?}");
    assert!(!sound.iter().any(|guest| says(&screen, guest, HUNG)), "a sound one is called hung:\n{screen}");

    let (guest, age) = oldest(&database, &sound, stopped_at, bars.watch);
    eprintln!("the oldest numbers of a sound guest were {age:?}, of {guest}");
    assert!(age <= bars.fresh, "{guest} was not read for {age:?}");
    // What needs no monitor is live.
    let cycles = usize::try_from(bars.watch.as_secs()).unwrap();
    for (measurement, tag) in [("vm_metrics", "name="), ("vm_devices", "devtype=nic")] {
        let count = readings(&database, measurement, tag, stopped_at).get(&hung).map_or(0, Vec::len);
        assert!(count >= cycles / 2, "{measurement} of the hung guest came {count} times in {cycles} s");
    }

    let since = Instant::now();
    drop(leash);
    terminal.wait("it is whole again", |screen| is_whole(screen, &hung));
    let took = since.elapsed();
    eprintln!("whole again after {took:?}");
    assert!(took < bars.whole, "whole only after {took:?}");
    quits_at_once(terminal, bars.at_once);
}

#[test]
fn six_of_forty_hang() {
    let Some((_turn, lab)) = take_lab("six_of_forty_hang") else { return };
    let bars = bars();
    let database = Double::open();
    let home = tempfile::tempdir().unwrap();
    let url = database.url();
    let mut terminal = watching(lab, home.path(), &[("INFLUX_URL", &url), ("INFLUX_TOKEN", "a-token")]);
    wait_until_whole(&terminal);
    let hung: Vec<String> = [3, 4, 11, 22, 30, 39].into_iter().map(name).collect();
    let sound: Vec<String> = everybody().filter(|guest| !hung.contains(guest)).collect();
    let pids = pids(lab);
    let held = Held::count(lab);

    let since = Instant::now();
    let leashes: Vec<Leash> = hung.iter().map(|guest| Leash::stop(pids[guest])).collect();
    terminal.wait("all six are named", |screen| hung.iter().all(|guest| says(screen, guest, HUNG)));
    let took = since.elapsed();
    eprintln!("six named after {took:?}");
    assert!(took < bars.six_named, "named only after {took:?}");
    let named_at = now();

    let (guest, age) = oldest(&database, &sound, named_at, bars.watch / 2);
    eprintln!("the oldest numbers of a sound guest were {age:?}, of {guest}");
    assert!(age <= bars.fresh, "{guest} was not read for {age:?}");
    stuck_calls(&mut terminal, "6 of at most 8", |page| hung.iter().all(|guest| page.contains(guest)));
    let screen = terminal.screen();
    assert!(!sound.iter().any(|guest| says(&screen, guest, HUNG)), "a sound one is called hung:\n{screen}");

    // Another user's virsh is served as ever.
    let mut virsh = Command::new("setpriv");
    virsh.args(["--reuid=65534", "--regid=65534", "--clear-groups", "virsh", "--readonly", "--connect"]);
    virsh.args([&lab.uri(), "domstats", "idle-1"]).env("HOME", "/nonexistent").stdin(Stdio::null());
    let since = Instant::now();
    let output = virsh.output().unwrap();
    let took = since.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("block.2.rd.reqs="), "not whole");
    eprintln!("domstats of another user took {took:?}");
    assert!(took < bars.at_once, "domstats of another user took {took:?}");
    assert_eq!(held.most(), 6, "workers of the daemon that are held");

    let since = Instant::now();
    drop(leashes);
    wait_until_whole(&terminal);
    eprintln!("all whole after {:?}", since.elapsed());
    stuck_calls(&mut terminal, "0 of at most 8", |_| true);
    quits_at_once(terminal, bars.at_once);
}

/// Threads and descriptors of a process.
fn threads_and_files(pid: u32) -> (usize, usize) {
    let count = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
    (count("task"), count("fd"))
}

#[test]
fn all_forty_hang_and_kvmscope_and_the_daemon_are_killed() {
    let test = "all_forty_hang_and_kvmscope_and_the_daemon_are_killed";
    let Some((_turn, lab)) = take_lab(test) else { return };
    let bars = bars();
    let home = tempfile::tempdir().unwrap();
    let mut terminal = watching(lab, home.path(), &[]);
    wait_until_whole(&terminal);
    let (threads, files) = threads_and_files(terminal.pid());
    let clients = lab.clients();
    let pids = pids(lab);
    let described = described(lab);

    let held = Held::count(lab);
    let leashes: Vec<Leash> = pids.values().map(|pid| Leash::stop(*pid)).collect();
    let bounded = |terminal: &Terminal| {
        terminal.wait("the bound is reached and said", |screen| {
            let of = |words: &str| everybody().filter(|guest| says(screen, guest, words)).count();
            of(HUNG) == BOUND as usize && of(NOT_ASKED) == (GUESTS - BOUND) as usize
        });
    };
    let since = Instant::now();
    bounded(&terminal);
    eprintln!("all 40 have their reason after {:?}", since.elapsed());
    stuck_calls(&mut terminal, "8 of at most 8", |page| {
        everybody().filter(|guest| page.contains(guest.as_str())).count() >= BOUND as usize
    });
    stops_and_starts_at_once(&mut terminal, bars.at_once);

    for _ in 0..3 {
        terminal.signal(Signal::KILL);
        terminal.wait_for_end();
        let since = Instant::now();
        terminal = watching(lab, home.path(), &[]);
        bounded(&terminal);
        eprintln!("a new one knows after {:?}", since.elapsed());
        stuck_calls(&mut terminal, "8 of at most 8", |_| true);
        stops_and_starts_at_once(&mut terminal, bars.at_once);
    }
    let most = held.most();
    assert!(most <= BOUND, "{most} workers of the daemon were held");
    eprintln!("at most {most} workers were held");

    lab.kill_daemon();
    terminal.wait_for_words("LIBVIRT NOT REACHED since");
    stops_and_starts_at_once(&mut terminal, bars.at_once);
    lab.start_daemon();
    let held = Held::count(lab);
    terminal.wait("it collects again", |screen| !screen.contains("LIBVIRT NOT REACHED"));
    stops_and_starts_at_once(&mut terminal, bars.at_once);
    held.watch_for_a_while();

    let since = Instant::now();
    drop(leashes);
    let lost = wait_until_whole_but_for_lost(&terminal, lab, &described);
    let took = since.elapsed();
    eprintln!("all whole after {took:?}, {lost} of them anew");
    assert!(lost > 0 || took < bars.all_whole, "whole only after {took:?}");
    let most = held.most();
    assert!(most <= BOUND, "{most} workers of the new daemon were held");
    stuck_calls(&mut terminal, "0 of at most 8", |_| true);

    let pid = terminal.pid();
    lab::within_or_say(
        PATIENCE,
        || format!("no more than {threads} threads and {files} files: {:?}", threads_and_files(pid)),
        || {
            let (threads_now, files_now) = threads_and_files(pid);
            (threads_now <= threads && files_now <= files).then_some(())
        },
    );
    lab::within_or_say(
        PATIENCE,
        || format!("no more than {clients} connections: {}", lab.clients()),
        || (lab.clients() <= clients).then_some(()),
    );
    quits_at_once(terminal, bars.at_once);
    lab::within(PATIENCE, "no connection is left", || (lab.clients() == 0).then_some(()));
    assert!(!processes::is_there(pid, "kvmscope"));
}
