//! One sick VM, or a sick libvirtd, never freezes the rest: on real QEMU
//! guests that are stopped in their tracks, and on a daemon that hangs or dies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod double;
mod lab;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use double::Double;
use lab::{
    guests::{BATCH, DB, GATEWAY, HOSTILE, Lab, STAGING, WEB},
    program,
    terminal::{PATIENCE, Terminal},
};
use serde_json::Value;

/// Wide enough for a reason with its since in a row.
const SIZE: (u16, u16) = (40, 170);
/// Every guest that has a process.
const LIVE: [&str; 6] = [WEB, DB, GATEWAY, BATCH, STAGING, HOSTILE];
/// Within this a hung VM is named.
const NAMED: Duration = Duration::from_secs(3);
/// The oldest that the numbers of the others may ever be, at one reading a
/// second: a wait for the hung one would have no end.
const FRESH: Duration = Duration::from_secs(3);
/// What "at once" may take on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(5);
const HUNG: &str = "monitor not answering since ";

/// The lab of this file. Its guests and its daemon are broken, so that only
/// one test at a time may have it.
fn take_lab(test: &str) -> Option<(MutexGuard<'static, ()>, &'static Lab)> {
    static TURN: Mutex<()> = Mutex::new(());
    static LAB: OnceLock<Result<Lab, String>> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    match LAB.get_or_init(|| Lab::start_waiting_for(&[WEB, DB])) {
        Ok(lab) => {
            // What the test before broke may still be held by a call of a
            // program that has ended: virsh waits for it.
            for guest in LIVE {
                lab.domstats(guest);
            }
            Some((turn, lab))
        }
        Err(reason) => {
            lab::skipped(test, reason);
            None
        }
    }
}

/// kvmscope on the lab, with every guest read.
fn watching(lab: &Lab, home: &Path, variables: &[(&str, &str)]) -> Terminal {
    let terminal = Terminal::start(home, SIZE, &["--uri", &lab.uri()], variables);
    let live = "● 5 running  ‖ 1 paused";
    terminal.wait("every guest", |screen| screen.contains(live) && !screen.contains(HUNG));
    terminal
}

/// The row of a guest in the fleet table.
fn row<'a>(screen: &'a str, guest: &str) -> Option<&'a str> {
    screen.lines().find(|line| line.chars().skip(3).collect::<String>().starts_with(guest))
}

fn is_hung(screen: &str, guest: &str) -> bool {
    row(screen, guest).is_some_and(|row| row.contains(HUNG))
}

#[track_caller]
fn stops_and_starts_at_once(terminal: &mut Terminal) {
    let pressed = Instant::now();
    terminal.press("s");
    terminal.wait_for("COLLECTION STOPPED since");
    terminal.press("s");
    terminal.wait("no banner of being stopped", |screen| {
        !screen.contains("COLLECTION STOPPED") && !screen.contains("COLLECTION STOPPING")
    });
    assert!(pressed.elapsed() < AT_ONCE, "s twice took {:?}", pressed.elapsed());
}

#[track_caller]
fn quits_at_once(mut terminal: Terminal) {
    let pressed = Instant::now();
    terminal.press("q");
    terminal.ends_well();
    assert!(pressed.elapsed() < AT_ONCE, "q took {:?}", pressed.elapsed());
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// When the lines that begin with `measurement` and hold `tag` were read, of
/// what the database has got; each once, in order, none before `since`.
fn read_at(database: &Double, measurement: &str, tag: &str, since: i64) -> Vec<i64> {
    let (begin, tag) = (format!("{measurement},"), format!(",{tag}"));
    let lines = database.lines("vmstats");
    let of_it = lines.iter().filter(|line| line.starts_with(&begin) && line.contains(&tag));
    let mut times: Vec<i64> = of_it
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .filter(|at| *at > since)
        .collect();
    times.sort_unstable();
    times.dedup();
    times
}

#[test]
fn one_stopped_qemu_is_named_and_harms_nobody_else() {
    let Some((_turn, lab)) = take_lab("one_stopped_qemu_is_named_and_harms_nobody_else") else { return };
    let database = Double::open();
    let home = tempfile::tempdir().unwrap();
    let url = database.url();
    let mut terminal = watching(lab, home.path(), &[("INFLUX_URL", &url), ("INFLUX_TOKEN", "a-token")]);
    let tags: BTreeMap<&str, String> =
        LIVE.iter().map(|guest| (*guest, format!("uuid={}", lab.uuid(guest)))).collect();
    let has = |guest: &str, measurement: &str, since: i64, count: usize| {
        read_at(&database, measurement, &tags[guest], since).len() >= count
    };
    lab::within(PATIENCE, "each guest is recorded", || {
        LIVE.iter().all(|guest| has(guest, "vm_features", 0, 2)).then_some(())
    });

    let stopped_at = now();
    let frozen = lab.freeze(WEB);
    let since = Instant::now();
    let screen = terminal.wait("the stopped guest is named", |screen| is_hung(screen, WEB));
    let took = since.elapsed();
    assert!(took < NAMED, "named only after {took:?}");
    for guest in LIVE.iter().filter(|guest| **guest != WEB) {
        assert!(!is_hung(&screen, guest), "{guest} is called hung:\n{screen}");
    }

    // From the stop on: whatever the hung one does, the others are read.
    let named_at = now();
    let others: Vec<&str> = LIVE.into_iter().filter(|guest| *guest != WEB).collect();
    lab::within(PATIENCE, "six more readings of all others, and of what the hung one still gives", || {
        let whole = others.iter().all(|guest| has(guest, "vm_totals", named_at, 6));
        (whole && has(WEB, "vm_metrics", named_at, 4)).then_some(())
    });
    for guest in &others {
        let times = read_at(&database, "vm_totals", &tags[guest], stopped_at - 1_000_000_000);
        let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest < i64::try_from(FRESH.as_nanos()).unwrap(), "{guest} was not read for {longest} ns");
        let disks = format!("{},devtype=disk", tags[guest]);
        assert!(read_at(&database, "vm_devices", &disks, named_at).len() >= 5, "no disks of {guest}");
    }
    // What needs no monitor goes on; what does is left out, not made up.
    let nic = format!("{},devtype=nic,device=web0", tags[WEB]);
    assert!(read_at(&database, "vm_devices", &nic, named_at).len() >= 3, "no network of the hung guest");
    let disk = format!("{},devtype=disk", tags[WEB]);
    let from_nowhere = read_at(&database, "vm_devices", &disk, named_at);
    assert!(from_nowhere.is_empty(), "disk counters of a hung guest, read at {from_nowhere:?}");
    let lines = database.lines("vmstats");
    let last = lines.iter().rfind(|l| l.starts_with("vm_metrics,") && l.contains(&tags[WEB])).unwrap();
    assert!(last.contains("state=\"running\"") && last.contains("cputime_ns="), "{last}");
    assert!(!last.contains("memory_used_kb"), "{last}");

    // One call hangs, and one only; stopping and starting adds none.
    terminal.press("c");
    terminal.wait_for("1 of at most 8");
    terminal.press("c");
    stops_and_starts_at_once(&mut terminal);
    terminal.wait("still named", |screen| is_hung(screen, WEB));
    terminal.press("c");
    let screen = terminal.wait_for("1 of at most 8");
    assert!(screen.contains(WEB), "the stuck call names nobody:\n{screen}");
    terminal.press("c");

    drop(frozen);
    let continued_at = now();
    terminal.wait("it is whole again", |screen| row(screen, WEB).is_some_and(|row| !row.contains("monitor")));
    lab::within(PATIENCE, "its disk is recorded again", || {
        (!read_at(&database, "vm_devices", &disk, continued_at).is_empty()).then_some(())
    });
    terminal.press("c");
    terminal.wait_for("0 of at most 8");
    terminal.press("c");

    // Another one hangs, and `q` waits for nobody.
    let frozen = lab.freeze(DB);
    terminal.wait("the other one is named", |screen| is_hung(screen, DB));
    quits_at_once(terminal);
    drop(frozen);
}

/// `once --json` on the lab: exit code and VMs by name.
fn once(lab: &Lab) -> (Option<i32>, BTreeMap<String, Value>) {
    let home = tempfile::tempdir().unwrap();
    let output =
        program::kvmscope(home.path()).args(["once", "--json", "--uri", &lab.uri()]).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let vms = answer["vms"].as_array().unwrap();
    let by_name = vms.iter().map(|vm| (vm["name"].as_str().unwrap().to_owned(), vm.clone()));
    (output.status.code(), by_name.collect())
}

#[test]
fn once_shows_a_stopped_qemu_with_reasons_and_everybody_else_whole() {
    let name = "once_shows_a_stopped_qemu_with_reasons_and_everybody_else_whole";
    let Some((_turn, lab)) = take_lab(name) else { return };
    let (code, before) = once(lab);
    let ill: Vec<_> = before.values().filter(|vm| vm["health"] == "impaired").collect();
    assert_eq!(code, Some(0), "{ill:#?}");
    let frozen = lab.freeze(DB);
    let (code, vms) = once(lab);
    drop(frozen);
    assert_eq!(code, Some(3), "some VM did not answer");
    assert_eq!(vms.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let hung = &vms[DB];
    assert_eq!(hung["state"], "running");
    assert_eq!(hung["health"], "impaired");
    // CPU and network need no monitor.
    for field in ["cputime", "cpu_usage_percent", "cpu_count", "network_rx_bytes", "network_tx_bytes_per_sec"]
    {
        assert!(hung[field].is_number(), "{field}: {hung:#}");
    }
    for field in
        ["health", "memory_used", "memory_usage_percent", "disk_read_bytes", "disk_write_bytes_per_sec"]
    {
        assert!(field == "health" || hung[field].is_null(), "{field} is {}", hung[field]);
        let reason = hung["missing"][field].as_str().unwrap_or_default();
        assert!(reason.starts_with(HUNG), "{field}: {reason:?} in {hung:#}");
    }
    for (name, vm) in vms.iter().filter(|(name, _)| *name != DB) {
        assert_eq!(vm["health"], before[name]["health"], "{name}");
        for field in [
            "cputime",
            "cpu_usage_percent",
            "memory_used",
            "disk_read_bytes",
            "disk_write_bytes_per_sec",
            "network_rx_bytes",
        ] {
            assert_eq!(vm[field].is_number(), before[name][field].is_number(), "{field} of {name}: {vm:#}");
        }
    }
}

#[test]
fn a_hanging_daemon_is_told_and_recovered_from() {
    let Some((_turn, lab)) = take_lab("a_hanging_daemon_is_told_and_recovered_from") else { return };
    let home = tempfile::tempdir().unwrap();
    let mut terminal = watching(lab, home.path(), &[("LIBVIRT_TIMEOUT", "2")]);
    let frozen = lab.freeze_daemon();
    let screen = terminal.wait_for_words("LIBVIRT NOT REACHED since");
    assert!(screen.contains("has not answered for 2 s"), "{screen}");
    terminal.wait("every VM says so", |screen| {
        LIVE.iter()
            .filter(|guest| **guest != HOSTILE)
            .all(|guest| row(screen, guest).is_some_and(|row| row.contains("libvirt not answering since")))
    });
    stops_and_starts_at_once(&mut terminal);
    drop(frozen);
    terminal.wait("it collects again by itself", |screen| {
        screen.contains("● collecting")
            && !screen.contains("LIBVIRT NOT REACHED")
            && !screen.contains("not answering")
            && row(screen, WEB).is_some()
    });
    quits_at_once(terminal);
}

#[test]
fn a_killed_daemon_is_told_and_its_successor_found() {
    let Some((_turn, lab)) = take_lab("a_killed_daemon_is_told_and_its_successor_found") else { return };
    let home = tempfile::tempdir().unwrap();
    let mut terminal = watching(lab, home.path(), &[]);
    lab.kill_daemon();
    let screen = terminal.wait_for_words("LIBVIRT NOT REACHED since");
    assert!(screen.contains("Check that libvirtd or virtqemud runs"), "{screen}");
    stops_and_starts_at_once(&mut terminal);
    terminal.wait_for("LIBVIRT NOT REACHED since");
    lab.start_daemon();
    terminal.wait("it collects again by itself", |screen| {
        screen.contains("● collecting")
            && !screen.contains("LIBVIRT NOT REACHED")
            && row(screen, WEB).is_some_and(|row| !row.contains("not answering"))
    });
    quits_at_once(terminal);
}
