//! Nothing is lost uncounted when the record is damaged: its file and its log
//! cut, bit-flipped, replaced and deleted at seeded places, while delivery runs
//! and while it does not, and a disk that is filled to its last byte. The
//! server is a scripted double.
//!
//! A few blows per test; a hundred and fifty with `KVMSCOPE_TORTURE=1`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    clippy::print_stdout,
    reason = "a test that fails stops there and shows its seed"
)]

mod lab;
mod recording;
mod sample;
mod scripted;

use std::{
    collections::HashSet,
    fs,
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use kvmscope::{
    clock::Clock,
    delivery::Handle,
    journal::{Account, Journal, Limits, file_name},
    model::status::{DeliveryStatus, StoreState},
};
use recording::{LINES, URI, lines, record, settings, start, wait};
use scripted::{Reply, Scripted};

/// xorshift64: the same blows for the same seed.
struct Seeded(u64);

impl Seeded {
    /// The seed of this test's own, said so that it can be repeated.
    fn new(test: &str, own: u64) -> Self {
        let seed = std::env::var("KVMSCOPE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(own);
        println!("{test}: KVMSCOPE_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What happens to a file.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Cut,
    Flip,
    Scribble,
    Replace,
    Delete,
}

impl Blow {
    fn any(seeded: &mut Seeded) -> Self {
        [Self::Cut, Self::Flip, Self::Scribble, Self::Replace, Self::Delete]
            [usize::try_from(seeded.below(5)).unwrap()]
    }

    /// Strikes `path`, if it is there.
    fn strike(self, path: &Path, seeded: &mut Seeded) {
        let Ok(file) = fs::OpenOptions::new().read(true).write(true).open(path) else { return };
        let length = file.metadata().unwrap().len();
        match self {
            Self::Cut => file.set_len(seeded.below(length + 1)).unwrap(),
            Self::Flip if length > 0 => {
                for _ in 0..=seeded.below(8) {
                    let place = seeded.below(length);
                    let mut byte = [0];
                    // The program may cut its log at the same time.
                    if file.read_at(&mut byte, place).unwrap() == 1 {
                        file.write_all_at(&[byte[0] ^ (1 << seeded.below(8))], place).unwrap();
                    }
                }
            }
            Self::Scribble if length > 0 => {
                let noise: Vec<u8> =
                    (0..seeded.below(9000)).map(|_| u8::try_from(seeded.below(256)).unwrap()).collect();
                file.write_all_at(&noise, seeded.below(length)).unwrap();
            }
            Self::Replace => {
                let copy = path.with_added_extension("copy");
                fs::write(&copy, b"something else altogether").unwrap();
                fs::rename(&copy, path).unwrap();
            }
            Self::Delete => fs::remove_file(path).unwrap(),
            Self::Flip | Self::Scribble => {}
        }
    }
}

/// Checks the identity on every figure that is published while `handle` lives.
struct Auditor {
    thread: Option<std::thread::JoinHandle<()>>,
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Auditor {
    fn of(handle: &Handle) -> Self {
        let mut status = handle.status();
        let wrong = Arc::new(Mutex::new(Vec::new()));
        let found = Arc::clone(&wrong);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async move {
                let mut emitted = 0;
                loop {
                    let now = status.borrow_and_update().0.clone();
                    let there = now.delivered + now.waiting() + now.quarantined + now.dropped_total();
                    if now.emitted != there {
                        found.lock().unwrap().push(format!("{} is not {there}: {now:#?}", now.emitted));
                    }
                    if now.emitted < emitted {
                        found.lock().unwrap().push(format!("emitted fell from {emitted}: {now:#?}"));
                    }
                    emitted = now.emitted;
                    if status.changed().await.is_err() {
                        return;
                    }
                }
            });
        });
        Self { thread: Some(thread), wrong }
    }

    /// After the handle is gone.
    #[track_caller]
    fn end(mut self) {
        self.thread.take().unwrap().join().unwrap();
        let wrong = self.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{} figures are wrong, the first: {}", wrong.len(), wrong[0]);
    }
}

/// Delivery, its server and the cycles that were handed over.
struct Storm {
    server: Scripted,
    directory: PathBuf,
    handle: Option<(Handle, Auditor)>,
    cycles: u64,
}

impl Storm {
    fn new(directory: &Path) -> Self {
        let server = Scripted::willing();
        let mut storm = Self { server, directory: directory.to_owned(), handle: None, cycles: 0 };
        storm.start();
        storm
    }

    fn start(&mut self) {
        let handle = start(settings(Some(self.server.url()), Some(&self.directory)));
        let auditor = Auditor::of(&handle);
        self.handle = Some((handle, auditor));
    }

    fn stop(&mut self) -> DeliveryStatus {
        let (handle, auditor) = self.handle.take().unwrap();
        assert!(handle.shutdown(Duration::from_millis(1)), "it does not hang");
        let last = handle.status().borrow().0.clone();
        drop(handle);
        auditor.end();
        last
    }

    fn handle(&self) -> &Handle {
        &self.handle.as_ref().unwrap().0
    }

    fn file(&self, side: &str) -> PathBuf {
        self.directory.join(format!("{}{side}", file_name(URI)))
    }

    fn cycles(&mut self, count: u64) {
        record(self.handle(), self.cycles + 1..=self.cycles + count);
        self.cycles += count;
    }

    fn server_is_up(&self, up: bool) {
        self.server.rescript(move |_| if up { Reply::Written } else { Reply::status(503, "") });
        self.handle().retry_now();
    }

    /// Hands over cycles until one of them arrives, and everything is settled.
    #[track_caller]
    fn resumes(&mut self, after: &str) -> DeliveryStatus {
        for _ in 0..100 {
            self.cycles(1);
            self.handle().retry_now();
            let (status, _) = wait(self.handle(), after, |d, _| d.waiting() == 0);
            let last = lines([self.cycles]);
            let arrived = self.server.lines();
            if last.iter().all(|line| arrived.iter().rev().take(200).any(|there| there == line)) {
                return status;
            }
        }
        panic!("nothing arrives any more after: {after}");
    }

    /// Nothing was invented, and what never arrived is counted as lost.
    #[track_caller]
    fn assert_explained(&self, status: &DeliveryStatus) {
        let emitted: HashSet<String> = lines(1..=self.cycles).into_iter().collect();
        let arrived: HashSet<String> = self.server.lines().into_iter().collect();
        assert!(arrived.is_subset(&emitted), "{:?}", arrived.difference(&emitted).next());
        let missing = (emitted.len() - arrived.len()) as u64;
        let counted = status.dropped_total() + status.quarantined;
        assert!(missing <= counted, "{missing} lines never arrived, {counted} are counted: {status:#?}");
        assert_eq!(status.emitted, emitted.len() as u64, "{status:#?}");
    }
}

fn blows() -> u64 {
    if lab::torture() { 150 } else { 6 }
}

#[test]
fn whatever_happens_to_the_files_while_it_runs_delivery_goes_on_and_every_loss_is_counted() {
    let mut seeded = Seeded::new("while it runs", 20_251_121);
    let dir = tempfile::tempdir().unwrap();
    let mut storm = Storm::new(dir.path());
    for number in 0..blows() {
        storm.server_is_up(false);
        storm.cycles(1 + seeded.below(60));
        let side = if seeded.below(2) == 0 { "" } else { "-wal" };
        let blow = Blow::any(&mut seeded);
        blow.strike(&storm.file(side), &mut seeded);
        storm.cycles(seeded.below(20));
        storm.server_is_up(true);
        let after = format!("blow {number}, {blow:?} to {side:?}");
        let status = storm.resumes(&after);
        println!("{after}: {} dropped of {}", status.dropped_total(), status.emitted);
        storm.assert_explained(&status);
    }
    storm.stop();
}

#[test]
fn whatever_happens_to_the_files_while_nothing_runs_every_loss_is_counted() {
    let mut seeded = Seeded::new("while nothing runs", 4_711);
    let dir = tempfile::tempdir().unwrap();
    let mut storm = Storm::new(dir.path());
    for number in 0..blows() {
        storm.server_is_up(false);
        storm.cycles(1 + seeded.below(60));
        let blow = Blow::any(&mut seeded);
        let copies = seeded.below(2) == 0;
        let side = if copies && seeded.below(2) == 0 { "-wal" } else { "" };
        wait(storm.handle(), "recorded", |d, _| d.waiting_in_memory == 0);
        // As a killed process leaves them: what is in the log is not in the file yet.
        let kept: Vec<_> = ["", "-wal", ".lock"]
            .map(|side| (storm.file(side), fs::read(storm.file(side)).unwrap_or_default()))
            .into();
        storm.stop();
        if copies {
            for (path, content) in &kept {
                fs::write(path, content).unwrap();
            }
        }
        blow.strike(&storm.file(side), &mut seeded);
        println!("blow {number}: {blow:?} to {side:?}, killed: {copies}");
        storm.start();
        storm.server_is_up(true);
        let after = format!("blow {number}, {blow:?} to {side:?}");
        let status = storm.resumes(&after);
        println!("{after}: {} dropped of {}", status.dropped_total(), status.emitted);
        storm.assert_explained(&status);
    }
    storm.stop();
}

/// A file system of 8 MiB of the test's own.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path) -> Result<Self, String> {
        fs::create_dir_all(at).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "kvmscope-test"])
            .arg(at)
            .output()
            .map_err(|error| error.to_string())?;
        if mount.status.success() {
            Ok(Self(at.to_owned()))
        } else {
            Err(String::from_utf8_lossy(&mount.stderr).into_owned())
        }
    }

    /// Fills it to the last byte.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut filler = fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
        for size in [64 << 10, 4096, 1] {
            while filler.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_filled_to_the_last_byte_costs_no_more_than_is_counted_and_is_used_again_when_freed() {
    const TEST: &str = "a_disk_filled_to_the_last_byte";
    let dir = tempfile::tempdir().unwrap();
    let disk = match Tmpfs::mount(&dir.path().join("disk")) {
        Ok(disk) => disk,
        Err(why) => return lab::skipped(TEST, &format!("no file system of its own: {why}")),
    };
    let place = disk.0.join("record");
    let server = Scripted::new(|_| Reply::status(503, ""));
    let mut settings = settings(Some(server.url()), Some(&place));
    settings.influx.max_queue = 400;
    let handle = start(settings);
    let auditor = Auditor::of(&handle);
    let mut cycles = 0;
    let mut more = |count: u64| {
        record(&handle, cycles + 1..=cycles + count);
        cycles += count;
        cycles
    };
    for round in 0..if lab::torture() { 20 } else { 2 } {
        server.rescript(|_| Reply::status(503, ""));
        more(30);
        wait(&handle, "on disk", |d, s| s.state == StoreState::Writable && d.waiting_in_memory == 0);
        let before = handle.status().borrow().0.dropped_total();
        let filler = disk.fill();
        // The log may have room for some of it.
        let mut tries = 0;
        while handle.status().borrow().1.state == StoreState::Writable {
            more(15);
            disk.fill();
            tries += 1;
            assert!(tries < 100, "the disk is full and nobody says so");
        }
        let (_, store) = wait(&handle, "red", |_, s| matches!(s.state, StoreState::Failing { .. }));
        let StoreState::Failing { why, .. } = store.state else { unreachable!() };
        assert!(why.contains("free space"), "{why}");
        more(150);
        let (status, _) = wait(&handle, "dropped", |d, _| d.dropped_total() > before);
        assert!(status.waiting_in_memory <= 400, "{status:#?}");
        // Delivery goes on from disk and memory while it is full, in every other round.
        if round % 2 == 0 {
            server.rescript(|_| Reply::Written);
            handle.retry_now();
            wait(&handle, "settled while full", |d, _| d.waiting() == 0);
        }
        fs::remove_file(filler).unwrap();
        server.rescript(|_| Reply::Written);
        handle.retry_now();
        let last = more(10);
        wait(&handle, "used again", |_, s| s.state == StoreState::Writable);
        let (status, _) = wait(&handle, "settled", |d, _| d.waiting() == 0);
        assert_eq!(status.emitted, last * LINES as u64);
        let emitted: HashSet<String> = lines(1..=last).into_iter().collect();
        let arrived: HashSet<String> = server.lines().into_iter().collect();
        assert!(arrived.is_subset(&emitted));
        assert_eq!((emitted.len() - arrived.len()) as u64, status.dropped_total(), "{status:#?}");
        assert!(lines([last]).iter().all(|line| arrived.contains(line)));
    }
    assert!(handle.shutdown(Duration::from_secs(10)));
    let last = handle.status().borrow().0.clone();
    drop(handle);
    auditor.end();
    let limits = Limits { min_free: 0, ..Limits::from(&recording::settings(None, None).store) };
    let now = Clock::system().now().0;
    let kept = Journal::open(&place, &file_name(URI), limits, &mut Account::default(), now).unwrap().journal;
    let account = kept.account();
    assert_eq!(
        (account.emitted, account.delivered, &account.dropped),
        (last.emitted, last.delivered, &last.dropped)
    );
}
