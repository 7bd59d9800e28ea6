//! Asking about jobs for days must not cost memory. In a program of its own,
//! because memory is measured per process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::{sync::mpsc, time::Duration};

use kvmscope::{
    clock::Clock,
    libvirt::{Answer, Question, Reader, Reply, Settings},
};
use lab::{guests::Lab, skipped};

const CALLS: usize = 10_000;
/// Leaking a job's parameters would cost some 500 bytes per call, 5 MiB in
/// all.
const ALLOWED_KIB: usize = 2 * 1024;

/// Resident memory of this process.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_questions_about_a_running_job_leave_memory_as_it_was() {
    const TEST: &str = "ten_thousand_questions_about_a_running_job_leave_memory_as_it_was";
    let Some(lab) = Lab::idle(1).map_err(|reason| skipped(TEST, &reason)).ok() else { return };
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    let xml = format!(
        "<domainbackup mode='pull'><server transport='unix' socket='{}'/><disks>\
         <disk name='vda' backup='yes' type='file'><scratch file='{}'/></disk>\
         <disk name='vdb' backup='no'/><disk name='vdc' backup='no'/></disks></domainbackup>",
        place("nbd.sock"),
        place("scratch.qcow2"),
    );
    std::fs::write(place("backup.xml"), xml).unwrap();
    lab.virsh(&["backup-begin", "idle-1", &place("backup.xml")]);

    let (sender, answers) = mpsc::channel::<Answer>();
    let settings = Settings { uri: lab.uri(), timeout: Duration::from_secs(30) };
    let reader = Reader::start(1, settings, Clock::system(), move |answer| {
        let _ = sender.send(answer);
    })
    .unwrap();
    let ask = |question| {
        assert!(reader.ask(1, question));
        answers.recv_timeout(Duration::from_secs(30)).expect("no answer").reply.expect("no error")
    };
    let Reply::Roster(roster) = ask(Question::Roster) else { panic!("no roster") };
    assert!(roster.load.cpu.is_ok() && roster.load.memory.is_ok(), "{:?}", roster.load);
    let (uuid, id) = (roster.domains[0].identity.uuid, roster.domains[0].identity.id.unwrap());
    let calls = |number: usize| {
        for call in 0..number {
            let Reply::Job { job, .. } = ask(Question::Job { uuid, id }) else { panic!("no job") };
            assert_eq!(job.unwrap().unwrap().operation, "backup");
            if call % 10 == 0 {
                // The host's figures come with the roster.
                ask(Question::Roster);
            }
        }
    };
    calls(CALLS / 10);
    let before = resident_kib();
    calls(CALLS);
    let after = resident_kib();
    eprintln!("{before} KiB before, {after} KiB after {CALLS} questions");
    assert!(after < before + ALLOWED_KIB, "{CALLS} questions cost {} KiB", after.saturating_sub(before));
    lab.virsh(&["domjobabort", "idle-1"]);
}
