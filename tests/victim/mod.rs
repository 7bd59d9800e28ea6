//! kvmscope as its user runs it, to be killed: a host with machines of its own,
//! and what the record had accepted at each kill.
//!
//! The record is looked at in a copy, so that the next start finds what the
//! kill has left. This module judges no server.
#![allow(dead_code, reason = "each test uses its part")]

pub mod kills;

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use influxdb_line_protocol::parse_lines;
use kvmscope::{
    clock::Clock,
    config,
    delivery::local::{self, Decoded},
    journal::{Account, Entry, Journal, Limits, Local, Opened, SetAside, file_name},
    model::{WallTime, name::storable},
};
use tempfile::TempDir;

use crate::lab::{
    terminal::{PATIENCE, Terminal},
    within,
};

/// The database that is written to.
pub const DATABASE: &str = "vmstats";
/// Between two readings of the host.
const INTERVAL: &str = "0.2";
const MACHINES: usize = 24;
/// The first of them have a disk.
const WITH_DISK: usize = 3;
/// What no name may break on its way.
const ODD: [&str; 6] = ["", " a b", ",c=d", " \"q\"", "-ünï-虚拟", "\\"];

/// A host of the test hypervisor, and the home of who watches it.
pub struct Host {
    home: TempDir,
    uri: String,
    url: String,
    /// Name and uuid as they are stored, by id less one.
    machines: Vec<(String, String)>,
}

impl Host {
    /// A host whose lines go to `url`.
    pub fn new(url: &str) -> Self {
        Self::with(url, "")
    }

    /// The same, with more lines of the configuration's `[store]`.
    pub fn with(url: &str, store: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let machines: Vec<(String, String)> = (0..MACHINES)
            .map(|n| {
                (
                    format!("zebra-{n:02}{}", ODD[n % ODD.len()]),
                    format!("{n:08x}-1111-4222-8333-444455556666"),
                )
            })
            .collect();
        let domains: String =
            machines.iter().enumerate().map(|(n, (name, uuid))| domain(n, name, uuid)).collect();
        let file = home.path().join("host.xml");
        fs::write(&file, format!("<node>{domains}</node>")).unwrap();
        let settings = home.path().join("config/kvmscope");
        fs::create_dir_all(&settings).unwrap();
        fs::write(
            settings.join("config.toml"),
            format!(
                "[influx]\nauth = \"none\"\ntimeout = 0.5\nconnect_timeout = 0.5\nbatch_max_lines = 150\n\
                 batch_max_sec = 0.05\n[store]\nmin_free = 0\n{store}"
            ),
        )
        .unwrap();
        let machines =
            machines.iter().map(|(name, uuid)| (storable(name).into_owned(), uuid.clone())).collect();
        Self { uri: format!("test://{}", file.display()), home, url: url.into(), machines }
    }

    /// kvmscope in a terminal.
    pub fn start(&self, arguments: &[&str]) -> Terminal {
        let arguments = [&["--uri", &self.uri][..], arguments].concat();
        let variables =
            [("INFLUX_URL", self.url.as_str()), ("INFLUX_DB", DATABASE), ("POLL_INTERVAL", INTERVAL)];
        Terminal::start(self.home.path(), (24, 120), &arguments, &variables)
    }

    /// The same, and how long it took until it showed its first reading, and
    /// until the first was recorded.
    pub fn started(&self) -> (Terminal, [Duration; 2]) {
        let before = self.emitted();
        let begun = Instant::now();
        let terminal = self.start(&[]);
        terminal.wait_for("zebra-");
        let shown = begun.elapsed();
        within(PATIENCE, "a cycle is recorded", || (self.emitted() > before).then_some(()));
        (terminal, [shown, begun.elapsed()])
    }

    /// Lines that were ever recorded, as the record remembers beside itself
    /// after each write.
    fn emitted(&self) -> u64 {
        let account = fs::read(self.file(".lock")).unwrap_or_default();
        let account = String::from_utf8_lossy(&account);
        account.lines().find_map(|line| line.strip_prefix("emitted=")?.parse().ok()).unwrap_or(0)
    }

    /// Records `cycles` of a hundred lines each, from before anything was
    /// started, which wait for a server.
    pub fn fill(&self, cycles: i64) {
        let mut journal = self.open(&self.place()).journal;
        let now = Clock::system().now().0;
        journal.set_target(Some("a server there was"), now).unwrap();
        for cycle in 0..cycles {
            let at = WallTime(now.0 - (cycles - cycle) * 1_000_000_000);
            let line = |n: i64| {
                let (name, uuid) = &self.machines[0];
                format!(
                    "vm_metrics,VMID=1,name={name},uuid={uuid} cputime_ns={}i {}\n",
                    noise(cycle * 100 + n) >> 1,
                    at.0 + n
                )
            };
            let text: String = (0..100).map(line).collect();
            // Incompressible, so that few cycles fill much.
            let digit = |n: i64| format!("{:016x}", noise(cycle * 10_000 + n));
            let noise: String = (0..1200).map(digit).collect();
            let reasons = format!(
                "{{\"cycle\":{cycle},\"at\":{},\"took_ns\":1,\"interval_ns\":1,\"domains\":\
                 {{\"{}\":{{\"name\":\"{noise}\",\"id\":1,\"missing\":{{}}}}}}}}",
                at.0, self.machines[0].1
            );
            let local = Some(Local { version: 1, bytes: reasons.as_bytes() });
            let entry = Entry { at, part: 0, first: at, last: at, lines: 100, bytes: text.as_bytes(), local };
            journal.append(&[entry], &Account::default()).unwrap();
        }
    }

    /// Lets a kvmscope that collects nothing deliver what waits, and end.
    pub fn deliver_the_rest(&self) {
        for _ in 0..10 {
            let mut terminal = self.start(&["--stopped"]);
            terminal.wait("nothing waits any more", |screen| {
                let settled =
                    ["nothing to deliver", "asking InfluxDB"].iter().any(|words| screen.contains(words));
                screen.contains("COLLECTION STOPPED") && settled && !screen.contains("waiting")
            });
            terminal.press("q");
            assert!(terminal.wait_for_end().success());
            if self.open(&self.place()).journal.waiting() == 0 {
                return;
            }
        }
        panic!("lines wait, and nothing delivers them");
    }

    /// The record, once nobody has it open.
    pub fn record(&self) -> Journal {
        let opened = self.open(&self.place());
        assert_eq!(opened.set_aside, None);
        opened.journal
    }

    /// The record's file, its log or what stands beside it.
    pub fn file(&self, side: &str) -> PathBuf {
        self.place().join(format!("{}{side}", file_name(&self.uri)))
    }

    fn place(&self) -> PathBuf {
        self.home.path().join("state/kvmscope")
    }

    fn open(&self, place: &Path) -> Opened {
        let limits = Limits { min_free: 0, ..Limits::from(&config::Store::default()) };
        let now = Clock::system().now().0;
        Journal::open(place, &file_name(&self.uri), limits, &mut Account::default(), now).unwrap()
    }

    /// Fails where a line is not one of this host's machines.
    fn assert_known(&self, line: &str) {
        let parsed =
            parse_lines(line).next().expect("a line").unwrap_or_else(|error| panic!("{error}: {line}"));
        let tags = parsed.series.tag_set.unwrap();
        let tag = |at: usize| tags[at].1.to_string();
        let id: usize = tag(0).parse().unwrap();
        assert_eq!(self.machines.get(id - 1), Some(&(tag(1), tag(2))), "{line}");
    }
}

/// splitmix64: a number that looks like chance.
fn noise(number: i64) -> u64 {
    let mut mixed = number.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn domain(number: usize, name: &str, uuid: &str) -> String {
    let name = name.replace('"', "&quot;");
    let disk = if number < WITH_DISK {
        format!(
            "<disk type='file' device='disk'><source file='/srv/{number}.img'/>\
             <target dev='vda' bus='virtio'/></disk>"
        )
    } else {
        String::new()
    };
    format!(
        "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>512</memory>\
         <vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os><devices>{disk}\
         <interface type='bridge'><source bridge='br0'/><target dev='net{number}'/></interface>\
         </devices></domain>"
    )
}

/// Every line that the record of a host was ever seen to have.
pub struct Accepted<'a> {
    host: &'a Host,
    scratch: TempDir,
    pub lines: HashSet<String>,
    /// Up to which row the file was read, and which file that is.
    after: i64,
    file: Option<(u64, u64)>,
}

/// The record as a kill has left it.
pub struct Found {
    pub account: Account,
    pub waiting: u64,
    /// Whether it could not be used and was set aside, in the copy.
    pub set_aside: Option<SetAside>,
}

impl<'a> Accepted<'a> {
    pub fn of(host: &'a Host) -> Self {
        let memory = Path::new("/dev/shm");
        let scratch = tempfile::tempdir_in(if memory.is_dir() { memory } else { host.home.path() }).unwrap();
        Self { host, scratch, lines: HashSet::new(), after: 0, file: None }
    }

    /// Reads what was recorded since the last look, and holds the account to
    /// it: every line there ever was is counted once.
    #[track_caller]
    pub fn look(&mut self) -> Found {
        for entry in fs::read_dir(self.scratch.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for side in ["", "-wal", ".lock"] {
            let from = self.host.file(side);
            if from.exists() {
                fs::copy(&from, self.scratch.path().join(from.file_name().unwrap())).unwrap();
            }
        }
        let file = fs::metadata(self.host.file("")).ok().map(|meta| (meta.dev(), meta.ino()));
        let Opened { journal, set_aside } = self.host.open(self.scratch.path());
        if set_aside.is_none() && file.is_some() {
            if file != self.file {
                (self.file, self.after) = (file, 0);
            }
            self.read(&journal);
        }
        let (account, waiting) = (journal.account(), journal.waiting());
        assert_eq!(account.emitted, account.settled() + waiting, "{account:?}");
        assert_eq!(account.emitted, self.lines.len() as u64, "{waiting} wait: {account:?}");
        Found { account, waiting, set_aside }
    }

    fn read(&mut self, journal: &Journal) {
        loop {
            let rows = journal.rows(self.after, 500).unwrap();
            let Some(last) = rows.last() else { return };
            self.after = last.row;
            for row in rows {
                let text = String::from_utf8(row.bytes.expect("the checksum fits")).unwrap();
                assert_eq!(row.lines, text.lines().count() as u64);
                let local = row.local.map(|(version, local)| local::decode(version, &local));
                assert!(!matches!(local, Some(Decoded::SetAside { .. })), "{local:?}");
                assert_eq!(local.is_some(), row.part == 0, "a cycle has one local part");
                for line in text.lines() {
                    self.host.assert_known(line);
                    assert!(self.lines.insert(line.to_owned()), "recorded twice: {line}");
                }
            }
        }
    }
}
