//! What is read of a guest without its monitor: NICs of all in one call, CPU
//! guest by guest. The instants that are told must fit both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::{
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use kvmscope::{
    clock::Clock,
    libvirt::{Answer, Groups, Member, Question, Reader, Reply, Settings},
    model::{MonoTime, WallTime},
};
use lab::{guests::Lab, skipped};

const GUESTS: u32 = 5;

/// A clock on which a second passes whenever somebody looks: the instants
/// tell between which looks a call was made, however fast the machine is.
fn looked_at() -> Clock {
    let looks = AtomicU64::new(0);
    Clock::from_fn(move || {
        let nanos = looks.fetch_add(1, Ordering::SeqCst) * 1_000_000_000;
        (WallTime(i64::try_from(nanos).unwrap()), MonoTime(nanos))
    })
}

#[test]
fn a_cpu_time_is_dated_by_the_call_that_read_it() {
    const TEST: &str = "a_cpu_time_is_dated_by_the_call_that_read_it";
    let Some(lab) = Lab::idle(GUESTS).map_err(|reason| skipped(TEST, &reason)).ok() else { return };
    let (sender, answers) = mpsc::channel::<Answer>();
    let settings = Settings { uri: lab.uri(), timeout: Duration::from_secs(30) };
    let reader = Reader::start(1, settings, looked_at(), move |answer| drop(sender.send(answer))).unwrap();
    let ask = |question| {
        assert!(reader.ask(1, question));
        answers.recv_timeout(Duration::from_secs(30)).expect("no answer")
    };
    let Ok(Reply::Roster(roster)) = ask(Question::Roster).reply else { panic!("no roster") };
    let member = |uuid, id| Member { uuid, id, devices: None, groups: Groups::ALL };
    let members: Vec<_> = roster
        .domains
        .iter()
        .filter_map(|entry| Some(member(entry.identity.uuid, entry.identity.id?)))
        .collect();
    assert_eq!(u32::try_from(members.len()), Ok(GUESTS));

    let answer = ask(Question::List { members, monitor_free: true });
    let Ok(Reply::List(list)) = answer.reply else { panic!("no list") };
    // The bulk call for the NICs begins with the next look.
    let nics_begun = answer.begun.1.plus(Duration::from_secs(1));
    let mut before = nics_begun;
    for raw in &list {
        assert!(raw.cpu.is_some() && raw.nics.as_ref().is_some_and(|nics| nics.len() == 2), "{raw:?}");
        let read = raw.read.expect("an instant");
        // One look before the calls about each guest, and one after them.
        assert!(read.mono.since(before) >= Duration::from_secs(1), "{:?} after {before:?}", read.mono);
        assert!(read.mono < answer.ended.1);
        assert!(read.error >= read.mono.since(nics_begun), "as far off as it is of the NICs");
        before = read.mono;
    }
}
