//! A disk that does not answer: the file system of the record is frozen while
//! cycles come in. Handing over never waits, what is lost is counted, the
//! figures say what is wrong, and it goes on by itself. A real file system,
//! frozen by the kernel: needs root.
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
#[path = "lab/skip.rs"]
mod skip;

use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use kvmscope::model::status::{DeliveryState, StoreState};
use recording::{LINES, assert_accounted, cycle, lines, record, settings, start, wait, wait_settled};
use scripted::Scripted;

/// Cycles of a small host that wait while nobody takes them.
const WAITING: u64 = 64;

/// A small file system of the test's own, mounted from a file.
struct Disk {
    directory: tempfile::TempDir,
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
}

impl Disk {
    /// Mounts it; or `None` after saying that `test` is skipped.
    fn new(test: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        File::create(&image).unwrap().set_len(64 << 20).unwrap();
        let place = directory.path().join("mounted");
        std::fs::create_dir(&place).unwrap();
        let (image, place) = (image.to_str().unwrap(), place.to_str().unwrap());
        let made = run("mkfs.ext4", &["-q", "-F", image])
            .and_then(|()| run("mount", &["-o", "loop", image, place]))
            // One that cannot be frozen is of no use.
            .and_then(|()| run("fsfreeze", &["--freeze", place]))
            .and_then(|()| run("fsfreeze", &["--unfreeze", place]));
        let disk = Self { directory };
        if let Err(why) = made {
            skip::skipped(test, &format!("no file system to freeze (needs root): {why}"));
            return None;
        }
        Some(disk)
    }

    fn place(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }

    fn freeze(&self) -> Frozen {
        run("fsfreeze", &["--freeze", self.place().to_str().unwrap()]).unwrap();
        Frozen(self.place())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(run("umount", &[self.place().to_str().unwrap()]));
    }
}

/// Frozen until it is dropped, however the test ends.
struct Frozen(PathBuf);

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(run("fsfreeze", &["--unfreeze", self.0.to_str().unwrap()]));
    }
}

fn not_answering(state: &StoreState, place: &Path) -> bool {
    let shown = place.display().to_string();
    matches!(state, StoreState::Failing { why, .. }
             if why.contains("has not answered for") && why.contains(&shown))
}

#[test]
fn a_frozen_disk_is_shown_stops_nobody_and_goes_on_by_itself() {
    let Some(disk) = Disk::new("a frozen disk") else { return };
    let place = disk.place().join("record");
    let server = Scripted::willing();
    let handle = start(settings(Some(server.url()), Some(&place)));
    record(&handle, 1..=5);
    wait_settled(&handle, 5 * LINES as u64);

    let frozen = disk.freeze();
    handle.record(Arc::new(cycle(6)));
    let (status, store) = wait(&handle, "shown", |_, s| not_answering(&s.state, &place));
    assert_accounted(&status);
    let DeliveryState::Paused { why, mend, .. } = &status.state else { panic!("{status:#?}") };
    assert!(why.contains("has not answered for") && mend.contains("by itself"), "{why}; {mend}");
    let StoreState::Failing { since, .. } = store.state else { unreachable!() };
    assert!(since >= cycle(0).at);

    // Nobody takes what is handed over now: some of it waits, the rest counts.
    let begun = Instant::now();
    for number in 7..=300 {
        handle.record(Arc::new(cycle(number)));
    }
    handle.retry_now();
    assert!(begun.elapsed() < Duration::from_secs(2), "handing over waits for nothing");
    let lost = |handed: u64| (handed - WAITING) * LINES as u64;
    let (some, _) = wait(&handle, "what is lost", |d, _| d.dropped_total() == lost(294));
    for number in 301..=310 {
        handle.record(Arc::new(cycle(number)));
    }
    let (later, _) = wait(&handle, "what is lost counts on", |d, s| {
        not_answering(&s.state, &place) && d.dropped_total() == lost(304)
    });
    assert_accounted(&some);
    assert_accounted(&later);

    drop(frozen);
    let emitted = 310 * LINES as u64;
    let status = wait_settled(&handle, emitted);
    let (_, store) = wait(&handle, "writing again", |_, s| s.state == StoreState::Writable);
    assert_accounted(&status);
    assert_eq!(status.dropped_total(), later.dropped_total(), "nothing more was lost");
    assert_eq!(store.lines, emitted - status.dropped_total());
    let arrived: BTreeSet<String> = server.lines().into_iter().collect();
    assert_eq!(arrived.len() as u64, status.delivered);
    assert!(arrived.is_subset(&lines(1..=310).into_iter().collect()));
    assert!(lines(300..=310).iter().all(|line| arrived.contains(line)), "the newest are kept");
    drop(handle);
}

#[test]
fn the_end_does_not_wait_for_a_frozen_disk() {
    let Some(disk) = Disk::new("the end on a frozen disk") else { return };
    let place = disk.place().join("record");
    let server = Scripted::willing();
    let handle = start(settings(Some(server.url()), Some(&place)));
    record(&handle, 1..=5);
    wait_settled(&handle, 5 * LINES as u64);
    let frozen = disk.freeze();
    handle.record(Arc::new(cycle(6)));
    wait(&handle, "shown", |_, s| not_answering(&s.state, &place));
    let begun = Instant::now();
    assert!(!handle.shutdown(Duration::from_secs(1)), "it says that it was left behind");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    drop(frozen);
    // What was left behind ends now, and has kept the cycle.
    wait(&handle, "recorded after all", |d, _| d.emitted == 6 * LINES as u64);
    drop(handle);
    let status = {
        let handle = again(&server, &place);
        wait_settled(&handle, 6 * LINES as u64)
    };
    assert_eq!(status.delivered, 6 * LINES as u64);
}

/// Starts anew once the record is free: what was left behind may have it still.
fn again(server: &Scripted, place: &Path) -> kvmscope::delivery::Handle {
    let handle = start(settings(Some(server.url()), Some(place)));
    wait(&handle, "the record is free", |_, s| s.state == StoreState::Writable && s.cycles == 6);
    handle
}
