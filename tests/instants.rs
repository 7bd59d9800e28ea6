//! The instants that are told of readings fit the calls that read: where NICs of
//! all come in one call and CPU guest by guest, and where memory and disks of
//! those whose turn it is come in a call of their own.
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

/// A reader of idle guests, with their number and incarnation.
struct Asking {
    reader: Reader,
    answers: mpsc::Receiver<Answer>,
    members: Vec<Member>,
    _lab: Lab,
}

impl Asking {
    fn start(test: &str) -> Option<Self> {
        let lab = Lab::idle(GUESTS).map_err(|reason| skipped(test, &reason)).ok()?;
        let (sender, answers) = mpsc::channel::<Answer>();
        let settings = Settings { uri: lab.uri(), timeout: Duration::from_secs(30) };
        let reader =
            Reader::start(1, settings, looked_at(), move |answer| drop(sender.send(answer))).unwrap();
        let mut asking = Self { reader, answers, members: Vec::new(), _lab: lab };
        let Ok(Reply::Roster(roster)) = asking.ask(Question::Roster).reply else { panic!("no roster") };
        let member = |uuid, id| Member { uuid, id, devices: None, groups: Groups::ALL };
        let live =
            roster.domains.iter().filter_map(|entry| Some(member(entry.identity.uuid, entry.identity.id?)));
        asking.members = live.collect();
        assert_eq!(u32::try_from(asking.members.len()), Ok(GUESTS));
        Some(asking)
    }

    fn ask(&self, question: Question) -> Answer {
        assert!(self.reader.ask(1, question));
        self.answers.recv_timeout(Duration::from_secs(30)).expect("no answer")
    }
}

#[test]
fn a_cpu_time_is_dated_by_the_call_that_read_it() {
    const TEST: &str = "a_cpu_time_is_dated_by_the_call_that_read_it";
    let Some(asking) = Asking::start(TEST) else { return };
    let members = asking.members.clone();
    let answer = asking.ask(Question::List { members, monitor_free: true, timed: None });
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

#[test]
fn whoevers_turn_it_is_everybodys_cpu_is_read_at_its_place() {
    const TEST: &str = "whoevers_turn_it_is_everybodys_cpu_is_read_at_its_place";
    const LIGHT: Groups = Groups::ALL.without(Groups::MEMORY).without(Groups::DISKS);
    let Some(asking) = Asking::start(TEST) else { return };
    let mut places = Vec::new();
    for turn in 0..asking.members.len() {
        let mut members = asking.members.clone();
        for (place, member) in members.iter_mut().enumerate() {
            member.groups = if place == turn { Groups::ALL } else { LIGHT };
        }
        let answer = asking.ask(Question::List { members, monitor_free: false, timed: None });
        let Ok(Reply::List(list)) = answer.reply else { panic!("no list") };
        let whole = &list[turn];
        assert!(whole.memory.is_some() && whole.rss.is_some() && !whole.short, "{whole:?}");
        let disks = whole.disks.as_ref().unwrap();
        assert!(disks.len() == 3 && disks.iter().all(|disk| disk.counters.is_some()), "{disks:?}");
        let read = |place: usize| list[place].read.unwrap();
        let rest = whole.rest.expect("memory and disks were read by themselves");
        assert!(rest.mono.since(read(list.len() - 1).mono) > Duration::ZERO, "after everybody's CPU");
        for raw in &list {
            assert!(raw.cpu.is_some() && raw.vcpus.is_some() && !raw.short, "{raw:?}");
            assert_eq!(raw.nics.as_ref().map(Vec::len), Some(2));
            assert_eq!(raw.disks.is_some(), raw.uuid == whole.uuid);
            assert_eq!(raw.rest.is_some(), raw.uuid == whole.uuid);
        }
        let begun = answer.begun.1;
        places.push((0..list.len()).map(|place| read(place).mono.since(begun)).collect::<Vec<_>>());
    }
    assert!(places.windows(2).all(|pair| pair[0] == pair[1]), "{places:?}");
}

#[test]
fn a_guest_that_is_timed_is_read_in_its_place_and_nobodys_date_jumps() {
    const TEST: &str = "a_guest_that_is_timed_is_read_in_its_place_and_nobodys_date_jumps";
    let Some(asking) = Asking::start(TEST) else { return };
    for (nth, member) in asking.members.iter().enumerate() {
        let members = asking.members.clone();
        let question = Question::List { members, monitor_free: false, timed: Some(member.uuid) };
        let answer = asking.ask(question);
        let Ok(Reply::List(list)) = answer.reply else { panic!("no list") };
        let order: Vec<_> = list.iter().map(|raw| raw.uuid).collect();
        assert_eq!(order, asking.members.iter().map(|member| member.uuid).collect::<Vec<_>>());
        for (place, raw) in list.iter().enumerate() {
            assert!(!raw.short && raw.rss.is_some() && raw.disks.is_some() && raw.nics.is_some(), "{raw:?}");
            assert_eq!(raw.alone.is_some(), place == nth, "{place}, {nth}");
        }
        // One look before its calls and one after them.
        assert_eq!(list[nth].alone, Some(Duration::from_secs(1)));
        // All are dated by the span from the first call to the last.
        let read: Vec<_> = list.iter().map(|raw| raw.read.unwrap()).collect();
        assert!(read.iter().all(|at| at.share == read[0].share && at.error == read[0].error));
        assert!(read.windows(2).all(|pair| pair[1].mono.since(pair[0].mono) == read[0].share), "{read:?}");
    }
}
