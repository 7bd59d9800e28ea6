//! The XML that the operator wants to see: whom it holds up, and what is said
//! when it does not come.

use std::sync::Mutex;

use super::*;
use crate::collector::xml::{Xml, XmlAnswer};

/// What was answered, in order.
#[derive(Clone, Default)]
struct Answers(Arc<Mutex<Vec<(u128, Xml)>>>);

impl Answers {
    fn ask(&self, host: &mut Host, number: u128) {
        let answers = Arc::clone(&self.0);
        let tell = move |xml| answers.lock().unwrap().push((number, xml));
        host.engine.ask_xml(Uuid::from_u128(number), XmlAnswer::new(tell));
    }

    fn take(&self) -> Vec<(u128, Xml)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn readers(host: &Host) -> usize {
    let asked = host.asked.lock().unwrap();
    usize::try_from(asked.started).unwrap() - asked.ended.len()
}

#[test]
fn an_xml_is_given_whether_collection_runs_or_not_and_its_reader_is_let_go() {
    let mut host = Host::new(2, 8);
    let answers = Answers::default();
    answers.ask(&mut host, 1);
    host.pass(10);
    assert!(matches!(&answers.take()[..], [(1, Ok(xml))] if xml.contains("<domain>")));
    assert_eq!(readers(&host), 0);
    assert!(matches!(host.state(), CollectionState::Stopped { .. }));
    host.start();
    host.pass(3_000);
    let before = readers(&host);
    answers.ask(&mut host, 2);
    answers.ask(&mut host, 2);
    host.pass(10);
    assert!(matches!(&answers.take()[..], [(2, Ok(_)), (2, Ok(_))]), "one question, two who wait");
    assert_eq!(readers(&host), before);
}

#[test]
fn an_xml_that_hangs_fails_with_words_and_costs_no_cycle_and_nobody_elses_xml() {
    let mut host = Host::new(4, 8);
    let answers = Answers::default();
    host.start();
    host.pass(3_500);
    host.undescribed = vec![1];
    answers.ask(&mut host, 1);
    host.pass(1_000);
    answers.ask(&mut host, 2);
    host.pass(10);
    assert!(matches!(&answers.take()[..], [(2, Ok(_))]), "the other one's comes at once");
    let skip = host.seen.frames.lock().unwrap().len();
    host.pass(31_000);
    let told = answers.take();
    let [(1, Err(why))] = &told[..] else { panic!("{told:?}") };
    assert!(why.contains("within 30 s") && why.contains("libvirtd"), "{why}");
    let frames = host.seen.frames.lock().unwrap()[skip..].to_vec();
    assert_eq!(frames.len(), 31);
    assert!(frames.iter().all(|f| f.took < Duration::from_millis(100)));
    assert!(frames.iter().all(|f| f.domains.iter().all(|d| d.fresh && d.health == Health::Answering)));
    assert_eq!(host.status().stuck_calls.len(), 1, "it is counted and named");
    // Asked for again it says so at once, and asks nothing more.
    let open = host.open().len();
    answers.ask(&mut host, 1);
    assert_eq!(host.open().len(), open);
    let told = answers.take();
    assert!(matches!(&told[..], [(1, Err(why))] if why.contains("has not answered yet")), "{told:?}");
    // Late it is a sign of the call's end, and nothing else.
    host.undescribed.clear();
    host.pass(1_000);
    assert!(host.status().stuck_calls.is_empty() && answers.take().is_empty());
    answers.ask(&mut host, 1);
    host.pass(10);
    assert!(matches!(&answers.take()[..], [(1, Ok(_))]));
}

#[test]
fn questions_for_xml_stay_within_their_bound_and_within_that_of_stuck_calls() {
    let mut host = Host::new(9, 8);
    let answers = Answers::default();
    host.start();
    host.pass(3_500);
    host.undescribed = (1..=9).collect();
    for number in 1..=9 {
        answers.ask(&mut host, number);
    }
    let xml = |host: &Host| {
        host.open().iter().filter(|(_, _, question)| matches!(question, Question::Xml { .. })).count()
    };
    assert_eq!((xml(&host), answers.take().len()), (2, 7), "the others are told at once");
    for _ in 0..20 {
        host.engine.command(Command::Reconnect);
        host.pass(5_000);
        answers.ask(&mut host, 5);
        assert!(xml(&host) <= 2);
    }
    // With all calls stuck that may be, none is asked.
    let mut host = Host::new(9, 1);
    host.start();
    host.pass(3_500);
    host.stopped = vec![3];
    host.pass(10_000);
    answers.take();
    answers.ask(&mut host, 5);
    let told = answers.take();
    assert!(matches!(&told[..], [(5, Err(why))] if why.contains("not asked: 1 other")), "{told:?}");
}

#[test]
fn a_domain_that_is_gone_is_told_and_does_not_break_the_link() {
    let mut host = Host::new(2, 8);
    let answers = Answers::default();
    host.start();
    host.pass(3_500);
    host.undescribed = vec![1];
    answers.ask(&mut host, 1);
    let (reader, ticket, _) =
        host.open().into_iter().find(|(_, _, question)| matches!(question, Question::Xml { .. })).unwrap();
    host.asked.lock().unwrap().open.retain(|(_, open, _)| *open != ticket);
    host.give(reader, ticket, Err(lost()));
    assert!(matches!(&answers.take()[..], [(1, Err(_))]));
    assert!(matches!(host.state(), CollectionState::Running { .. }), "its connection was its own");
}
