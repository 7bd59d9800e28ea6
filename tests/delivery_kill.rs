//! Killed at any instant: a process that records and delivers under load, to
//! a server that fails now and then, is ended by SIGKILL at seeded moments.
//! After each the record is whole and its account balances; in the end the
//! server has every line that the record had accepted, none altered and none
//! that was never recorded. Ten kills; two hundred with `KVMSCOPE_TORTURE=1`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test that fails stops there"
)]

mod recording;
mod sample;
mod scripted;

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use kvmscope::{
    clock::Clock,
    journal::{Account, Journal, Limits, file_name},
};
use recording::{LINES, URI, assert_accounted, cycle_at, encoded, settings, start, wait};
use scripted::{Reply, Scripted, Write};

/// Cycles that each process may number.
const CYCLES: u64 = 1_000_000;

/// xorshift64: the same moments for the same seed.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The process that is killed. It ends with the test, however that ends.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Victim {
    fn start(directory: &Path, url: &str, base: i64, first: u64) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_process_that_is_killed", "--nocapture"])
            .env("KVMSCOPE_KILLED", format!("{}\n{url}\n{base}\n{first}", directory.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

/// Started by the test below as a process of its own; alone it has nothing
/// to do.
#[test]
fn the_process_that_is_killed() {
    let Ok(order) = std::env::var("KVMSCOPE_KILLED") else { return };
    let order: Vec<&str> = order.lines().collect();
    let (base, first): (i64, u64) = (order[2].parse().unwrap(), order[3].parse().unwrap());
    let mut settings = settings(Some(order[1].into()), Some(Path::new(order[0])));
    settings.influx.batch_max_sec = Duration::from_millis(5);
    settings.influx.batch_max_lines = 50;
    let handle = start(settings);
    let before = wait(&handle, "the record is open", |_, s| s.bytes > 0).0.emitted;
    let ends = Instant::now() + Duration::from_mins(2);
    for number in first.. {
        handle.record(Arc::new(cycle_at(number, base)));
        if number % 20 == 19 {
            let seen = before + (number - first + 1) * LINES as u64;
            wait(&handle, "recorded", |d, _| d.emitted >= seen);
        }
        assert!(Instant::now() < ends, "the test that should kill this process is gone");
    }
}

/// The lines of what the record holds, from row `after` on, each compared
/// with what was recorded.
fn check_rows(journal: &Journal, after: &mut i64, base: i64, accepted: &mut BTreeSet<String>) {
    loop {
        let rows = journal.rows(*after, 500).unwrap();
        let Some(last) = rows.last() else { return };
        *after = last.row;
        for row in rows {
            let number = u64::try_from(row.at.seconds() - base).unwrap();
            let text = String::from_utf8(row.bytes.expect("the checksum fits")).unwrap();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            recording::assert_same(&lines, &encoded(&cycle_at(number, base)));
            assert_eq!(row.lines, lines.len() as u64);
            assert!(row.local.is_some(), "a cycle has its local part");
            for line in lines {
                assert!(accepted.insert(line), "each cycle is recorded once");
            }
        }
    }
}

#[test]
fn killed_at_any_moment_nothing_accepted_is_lost() {
    let seed = std::env::var("KVMSCOPE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_240_607);
    let kills = if std::env::var_os("KVMSCOPE_TORTURE").is_some() { 200 } else { 10 };
    println!("{kills} kills, KVMSCOPE_SEED={seed}");
    let mut seeded = Seeded(seed);
    let mut moods = Seeded(seed ^ 0x5eed);
    let server = Scripted::new(move |_: &Write| match moods.below(40) {
        0 => Reply::status(503, "busy"),
        1 => Reply::WrittenThenReset,
        _ => Reply::Written,
    });
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits::from(&settings(None, None).store);
    let base = Clock::system().now().0.seconds();
    let open = || {
        Journal::open(dir.path(), &file_name(URI), limits, &mut Account::default(), Clock::system().now().0)
            .unwrap()
    };
    let mut accepted = BTreeSet::new();
    let mut after = 0;
    let (_never, silence) = mpsc::channel::<()>();
    for kill in 0..kills {
        let before = server.writes();
        let mut victim = Victim::start(dir.path(), &server.url(), base, kill * CYCLES);
        let writes = usize::try_from(seeded.below(20)).unwrap();
        server.wait("the process delivers", |_, now| now >= before + writes);
        // The moment within a write is the seed's, too.
        let _ = silence.recv_timeout(Duration::from_micros(seeded.below(30_000)));
        victim.0.kill().unwrap();
        victim.0.wait().unwrap();

        let opened = open();
        assert_eq!(opened.set_aside, None, "kill {kill}");
        let journal = opened.journal;
        let account = journal.account();
        assert_eq!(
            account.dropped_total() + account.quarantined + account.local,
            0,
            "kill {kill}: {account:?}"
        );
        assert_eq!(account.emitted, account.delivered + journal.waiting(), "kill {kill}: {account:?}");
        assert_eq!(account.emitted, journal.lines(), "kill {kill}: the figures and the rows");
        check_rows(&journal, &mut after, base, &mut accepted);
        assert_eq!(accepted.len() as u64, journal.lines(), "kill {kill}");
    }
    assert!(accepted.len() as u64 > kills, "there was load");

    server.rescript(|_| Reply::Written);
    let handle = start(settings(Some(server.url()), Some(dir.path())));
    let (status, _) =
        wait(&handle, "all delivered", |d, s| s.lines == accepted.len() as u64 && d.waiting() == 0);
    assert_eq!(status.delivered, accepted.len() as u64);
    assert_accounted(&status);
    let arrived: BTreeSet<String> = server.lines().into_iter().collect();
    assert_eq!(accepted.difference(&arrived).next(), None, "lost");
    assert_eq!(arrived.difference(&accepted).next(), None, "invented or altered");
}
