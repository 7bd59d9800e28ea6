//! The watch for events as the engine sees it: when one is started, what its
//! news do, and what comes too late.

use super::*;
use crate::{
    libvirt::{DomainEvent, EventKind, WatchNews},
    model::status::WatchState,
};

impl Host {
    fn watches(&self) -> Vec<u64> {
        self.asked.lock().unwrap().watches.clone()
    }

    /// The newest watch tells this.
    fn tell(&mut self, news: WatchNews) {
        let watch = *self.watches().last().expect("a watch");
        self.engine.hear(watch, news);
        self.engine.on_time();
    }

    fn happens(&mut self, number: u128, kind: EventKind) {
        let at = self.engine.clock.now();
        self.tell(WatchNews::Happened(DomainEvent { uuid: Uuid::from_u128(number), at, kind }));
    }

    fn texts(&self, number: u128) -> Vec<String> {
        let frame = self.frame();
        let domain = frame.find(&format!("vm-{number}")).expect("the domain");
        domain.timeline.iter().map(|happening| happening.text.to_string()).collect()
    }

    /// Questions for the XML of this domain that are open.
    fn being_described(&self, number: u128) -> Vec<(ReaderId, u64, Question)> {
        let is = |q: &Question| matches!(q, Question::Describe { uuid } if uuid.as_u128() == number);
        self.open().into_iter().filter(|(_, _, question)| is(question)).collect()
    }
}

fn ended() -> WatchNews {
    WatchNews::Ended { why: Some(lost()) }
}

fn connected() -> WatchNews {
    WatchNews::Connected { refused: vec![] }
}

fn attached() -> EventKind {
    EventKind::DeviceAdded { alias: "virtio-disk0".into() }
}

#[test]
fn the_watch_lives_and_dies_with_the_link() {
    let mut host = Host::new(2, 8);
    assert!(host.watches().is_empty());
    host.start();
    host.pass(1_500);
    assert_eq!(host.watches().len(), 1);
    assert!(matches!(host.status().events.watch, WatchState::Connecting { .. }));
    host.tell(connected());
    assert!(matches!(host.status().events.watch, WatchState::Connected { .. }));
    host.happens(1, EventKind::Rebooted);
    host.pass(1_000);
    assert_eq!(host.texts(1), ["rebooted"]);
    assert_eq!((host.status().events.seen, host.texts(2).len()), (1, 0));

    host.engine.command(Command::Stop);
    assert_eq!(host.status().events.watch, WatchState::Off);
    // What the old one still says is not of this link.
    host.happens(1, EventKind::Rebooted);
    host.tell(WatchNews::Ended { why: None });
    assert_eq!((host.status().events.seen, host.watches().len()), (1, 1));
    host.start();
    host.pass(1_500);
    assert_eq!(host.watches().len(), 2);
    assert_eq!(host.texts(1), ["rebooted"], "the timeline outlives the link");
}

#[test]
fn a_watch_that_fails_is_started_anew_with_growing_waits_and_collection_goes_on() {
    let mut host = Host::new(2, 8);
    host.start();
    host.pass(1_500);
    host.tell(ended());
    let WatchState::Failed { why, .. } = host.status().events.watch else { panic!() };
    assert!(why.contains("broke"), "{why}");
    host.pass(900);
    assert_eq!(host.watches().len(), 1, "not at once");
    host.pass(200);
    assert_eq!(host.watches().len(), 2);
    host.tell(ended());
    host.pass(1_500);
    assert_eq!(host.watches().len(), 2, "the second wait is longer");
    host.pass(1_000);
    assert_eq!(host.watches().len(), 3);
    host.tell(connected());
    assert!(matches!(host.status().events.watch, WatchState::Connected { .. }));
    assert!(matches!(host.state(), CollectionState::Running { .. }));
    assert_eq!(host.status().skipped_ticks, 0);
}

#[test]
fn a_hypervisor_without_events_is_not_asked_again() {
    let mut host = Host::new(2, 8);
    host.start();
    host.pass(1_500);
    host.tell(WatchNews::NotOffered);
    host.tell(WatchNews::Ended { why: None });
    host.pass(120_000);
    assert_eq!((host.status().events.watch, host.watches().len()), (WatchState::NotOffered, 1));
    host.engine.command(Command::Reconnect);
    host.pass(1_500);
    assert_eq!(host.watches().len(), 2, "another link may lead to another hypervisor");
}

#[test]
fn watches_that_hang_in_connecting_do_not_pile_up() {
    let mut host = Host::new(2, 8);
    host.start();
    for _ in 0..10 {
        host.pass(1_500);
        host.engine.command(Command::Reconnect);
    }
    host.pass(1_500);
    assert_eq!(host.watches().len(), 2, "two hang, and no third is started");
    assert!(matches!(host.status().events.watch, WatchState::Failed { .. }));
    let first = host.watches()[0];
    host.engine.hear(first, WatchNews::Ended { why: None });
    host.pass(61_000);
    assert_eq!(host.watches().len(), 3, "one has returned, so another is tried");
}

#[test]
fn an_event_about_devices_reads_the_xml_at_once_and_names_what_it_found() {
    let mut host = Host::new(3, 8);
    host.start();
    host.pass(2_500);
    host.undescribed = vec![2];
    host.happens(2, attached());
    assert_eq!(host.being_described(2).len(), 1, "in the middle of a cycle");
    host.pass(1_000);
    assert_eq!(host.texts(2), ["device virtio-disk0 attached"]);
    host.undescribed.clear();
    host.pass(100);
    assert!(host.being_described(2).is_empty());
    host.pass(5_000);
    // It was asked for in the instant of the event: only the next is trusted.
    assert_eq!(host.texts(2), ["disk vda attached"]);
    assert!(host.being_described(2).is_empty(), "once is enough");
}

#[test]
fn an_xml_that_was_asked_for_before_the_event_is_not_trusted() {
    let mut host = Host::new(1, 8);
    host.start();
    host.pass(2_500);
    host.undescribed = vec![1];
    host.happens(1, attached());
    let asked = host.being_described(1);
    host.pass(20);
    host.happens(1, EventKind::DeviceRemoved { alias: "virtio-disk0".into() });
    assert_eq!(host.being_described(1).len(), 1, "one question at a time");
    // The first answer may be of before the second event.
    let (reader, ticket, question) = asked[0].clone();
    host.asked.lock().unwrap().open.retain(|(_, open, _)| *open != ticket);
    let reply = host.reply(question);
    host.give(reader, ticket, Ok(reply));
    assert_eq!(host.being_described(1).len(), 1, "asked again");
    assert_ne!(host.being_described(1)[0].1, ticket);
}

#[test]
fn what_happens_to_a_domain_before_the_roster_has_it_is_told_when_it_does() {
    let mut host = Host::new(1, 8);
    host.start();
    host.pass(1_500);
    let started = EventKind::Life { text: "started", weight: crate::model::timeline::Weight::Note };
    host.happens(2, started.clone());
    // Domains that never appear take nobody's place for ever.
    for stranger in 100..2_000 {
        host.happens(stranger, started.clone());
    }
    host.happens(2, started);
    host.domains = 2;
    host.pass(1_000);
    host.pass(1_000);
    assert_eq!(host.texts(2), ["started"]);
    assert_eq!(host.status().events.seen, 1_902);
}

#[test]
fn a_listener_that_was_away_reads_every_xml_anew() {
    let mut host = Host::new(3, 8);
    host.start();
    host.pass(2_500);
    host.undescribed = vec![1, 2, 3];
    host.tell(connected());
    let being = (1..=3).map(|number| host.being_described(number).len()).sum::<usize>();
    assert_eq!(being, 1, "one after the other");
    host.undescribed.clear();
    host.pass(1_000);
    assert!((1..=3).all(|number| host.being_described(number).is_empty()));
}
