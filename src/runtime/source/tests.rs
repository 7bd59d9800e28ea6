//! What an agent sends is what a screen of its own would have got.

use crate::{
    app::fixtures::{Host, collector, dead_server, delivering, store},
    model::{
        Frame, WallTime,
        past::{Answer, Covers, Found, Moment, Past, Question},
        status::{CollectionState, StoreState},
    },
    wire::{self, Cutter, News, Told},
};
use std::sync::Arc;

fn sent<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let mut cutter = Cutter::default();
    cutter.add(&wire::pack(value).unwrap());
    wire::unpack(&cutter.cut(wire::LONGEST).unwrap().unwrap()).unwrap()
}

fn frame(frame: &Arc<Frame>) -> Arc<Frame> {
    match sent(&News::Frame(Arc::clone(frame))) {
        News::Frame(frame) => frame,
        other => panic!("{other:?}"),
    }
}

/// In full, to the last digit of every number.
fn whole(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

#[test]
fn a_frame_arrives_as_it_was_sent() {
    let mut host = Host::new();
    for cycle in 0..90 {
        if cycle == 40 {
            host.spread(4);
            host.occupy("db-primary");
        }
        let original = host.cycle();
        let arrived = frame(&original);
        assert_eq!(whole(&arrived), whole(&original), "cycle {cycle}");
        // As long as the strings are the same, so are the numbers: NaN aside,
        // which never equals itself.
        assert_eq!(postcard::to_stdvec(&arrived).unwrap(), postcard::to_stdvec(&original).unwrap());
        assert!(arrived.domains.iter().any(|domain| domain.last.is_some()) || cycle < 42);
    }
    let many = Host::with(2000).cycle();
    assert_eq!(whole(&frame(&many)), whole(&many));
}

#[test]
fn numbers_that_are_none_arrive_as_well() {
    let mut original = Arc::unwrap_or_clone(Host::with(1).cycle());
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE, 0.1 + 0.2] {
        let mut original = original.clone();
        Arc::make_mut(&mut original.domains[0]).rates.cpu_cores = Ok(number);
        let arrived = frame(&Arc::new(original));
        let got = arrived.domains[0].rates.cpu_cores.unwrap();
        assert_eq!(got.to_bits(), number.to_bits());
    }
    let domain = Arc::make_mut(&mut original.domains[0]);
    domain.reading.at = WallTime(i64::MIN);
    domain.reading.mono.0 = u64::MAX;
    let original = Arc::new(original);
    assert_eq!(whole(&frame(&original)), whole(&original));
}

#[test]
fn figures_arrive_as_they_were_sent() {
    for state in [
        CollectionState::Stopped { since: WallTime(3) },
        CollectionState::Failed { why: "refused".into(), since: WallTime(1), retry_at: WallTime(9) },
    ] {
        let original = News::Collector(Box::new(collector(state)));
        assert_eq!(whole(&sent(&original)), whole(&original));
    }
    for figures in [delivering(), dead_server()] {
        let original = News::Delivery(Box::new((figures, store(StoreState::Writable))));
        assert_eq!(whole(&sent(&original)), whole(&original));
    }
}

#[test]
fn the_past_arrives_with_its_angles() {
    let mut host = Host::new();
    let mut angles = std::collections::HashMap::new();
    let mut slots = Vec::new();
    let mut last = None;
    for _ in 0..50 {
        let frame = host.cycle();
        slots.push(Some(frame.at));
        for domain in frame.domains.iter().filter(|domain| domain.is_live()) {
            angles
                .entry(domain.identity().uuid)
                .or_insert_with(|| crate::model::history::AngleHistory::new(30))
                .push(&domain.rates.angles);
        }
        last = Some(frame);
    }
    let frame = last.unwrap();
    let covers = Covers { from: slots[0].unwrap(), to: frame.at };
    let question = Question { moment: Moment::AtOrBefore(frame.at), history: 50 };
    let past = Past { frame, angles, slots, covers };
    let original = Told::Past(Box::new(Answer { question, found: Found::Seen(past.clone()) }));
    let Told::Past(answer) = sent(&original) else { panic!() };
    let Found::Seen(arrived) = answer.found else { panic!() };
    assert_eq!((arrived.slots, arrived.covers), (past.slots, past.covers));
    assert_eq!(whole(&arrived.frame), whole(&past.frame));
    assert_eq!(arrived.angles.len(), past.angles.len());
    for (uuid, angles) in &past.angles {
        for metric in crate::model::history::Metric::ALL {
            let of = |history: &crate::model::history::AngleHistory| {
                history.last(metric, 99, 0).collect::<Vec<_>>()
            };
            assert_eq!(of(&arrived.angles[uuid]), of(angles));
        }
    }
}

#[test]
fn hostile_names_arrive_fit_to_show() {
    let mut original = Arc::unwrap_or_clone(Host::named(&["plain"]).cycle());
    let evil = "a\u{1b}[31m\n\u{202e}b\\";
    let domain = Arc::make_mut(&mut original.domains[0]);
    let identity = Arc::make_mut(&mut domain.reading.identity);
    identity.name = evil.into();
    Arc::make_mut(&mut original.host).name = Some(evil.into());
    let arrived = frame(&Arc::new(original));
    assert_eq!(&*arrived.domains[0].identity().name, "a_[31m__b_");
    assert_eq!(arrived.host.name.as_deref(), Some("a_[31m__b\\"));
}
