//! Reading for days must not cost memory. In a program of its own, because
//! memory is measured per process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test")]

use std::{
    fmt::Write as _,
    fs,
    sync::{Arc, mpsc},
    time::Duration,
};

use kvmscope::{
    clock::Clock,
    libvirt::{Answer, Groups, Member, Question, Reader, Reply, Settings},
};

const DOMAINS: usize = 8;
const CALLS: usize = 20_000;
/// Leaking the bulk records alone would cost some 300 bytes per domain and
/// call, 40 MiB in all.
const ALLOWED_KIB: usize = 8 * 1024;

/// Resident memory of this process.
fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn host() -> String {
    let mut xml = String::from("<node>");
    for number in 0..DOMAINS {
        write!(
            xml,
            "<domain type='test'><name>vm{number}</name><uuid>{}</uuid><memory>1048576</memory>\
             <os><type>hvm</type></os><devices><disk type='file'><source file='/guest/{number}'/>\
             <target dev='vda'/></disk><interface type='bridge'><source bridge='br0'/>\
             <target dev='tap{number}'/></interface></devices></domain>",
            uuid::Uuid::from_u128(number as u128 + 1)
        )
        .unwrap();
    }
    xml + "</node>"
}

#[test]
fn twenty_thousand_readings_leave_memory_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("host.xml");
    fs::write(&file, host()).unwrap();
    let settings = Settings { uri: format!("test://{}", file.display()), timeout: Duration::from_secs(30) };
    let (sender, answers) = mpsc::channel::<Answer>();
    let reader = Reader::start(1, settings, Clock::system(), move |answer| {
        let _ = sender.send(answer);
    })
    .unwrap();
    let ask = |question| {
        assert!(reader.ask(1, question));
        answers.recv_timeout(Duration::from_secs(30)).expect("no answer").reply.expect("no error")
    };
    let members = || {
        let Reply::Roster(roster) = ask(Question::Roster) else { panic!("no roster") };
        let member = |domain: kvmscope::libvirt::RosterEntry| {
            let uuid = domain.identity.uuid;
            let Reply::Description { devices, .. } = ask(Question::Describe { uuid }) else {
                panic!("no description")
            };
            Member {
                uuid,
                id: domain.identity.id.unwrap(),
                devices: Some(Arc::new(devices)),
                groups: Groups::ALL,
            }
        };
        roster.domains.into_iter().map(member).collect::<Vec<_>>()
    };
    let calls = |number: usize| {
        for _ in 0..number / 100 {
            let members = members();
            for _ in 0..100 {
                let question = Question::List { members: members.clone(), monitor_free: false, timed: None };
                let Reply::List(list) = ask(question) else { panic!("no list") };
                assert!(list.len() == DOMAINS && list.iter().all(|raw| raw.nics.is_some()));
            }
        }
    };
    calls(CALLS / 10);
    let before = resident_kib();
    calls(CALLS);
    let after = resident_kib();
    eprintln!("{before} KiB before, {after} KiB after {CALLS} readings of {DOMAINS} domains");
    assert!(
        after < before + ALLOWED_KIB,
        "{CALLS} readings of {DOMAINS} domains cost {} KiB",
        after.saturating_sub(before)
    );
}
