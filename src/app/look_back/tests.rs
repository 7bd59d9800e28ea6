//! Stepping through the past, in memory and beyond it.

use std::collections::HashMap;

use super::*;
use crate::{
    app::{
        Key, Message,
        fixtures::{Host, at, running, settings},
    },
    model::{
        history::{AngleHistory, Metric},
        past::{Covers, Past},
    },
};

fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|c| app.update(Message::Key(Key::Char(c)))).collect()
}

/// The cycle on the screen.
fn shown(app: &App) -> u64 {
    app.frame().unwrap().cycle
}

/// An app whose memory holds but the last few of `cycles` cycles.
fn forgetful(cycles: u64) -> (App, Host, u64) {
    let mut settings = settings();
    let mut host = Host::new();
    let first = host.cycle();
    settings.screen.history_bytes = u64::try_from(first.held_bytes(None) * 6).unwrap();
    let mut app = App::new(settings).unwrap();
    app.update(Message::Frame(first));
    for _ in 1..cycles {
        app.update(Message::Frame(host.cycle()));
    }
    app.update(Message::Tick(at(cycles)));
    let oldest = app.recent.oldest().unwrap().frame.cycle;
    assert!(oldest > 2 && oldest < cycles, "{oldest} of {cycles}");
    (app, host, oldest)
}

fn asked(effects: &[Effect]) -> Moment {
    let [Effect::LookBack(question)] = effects else { panic!("{effects:?}") };
    question.moment
}

fn answer(app: &mut App, moment: Moment, found: Found) {
    app.update(Message::Past(Answer { question: Question { moment, history: HISTORY }, found }));
}

/// The record's answer: `frame`, with one known angle before it.
fn recorded(frame: &Arc<Frame>) -> Found {
    let uuid = frame.domains[0].identity().uuid;
    let mut history = AngleHistory::new(4);
    history.push_gap();
    history.push(&frame.domains[0].rates.angles);
    Found::Seen(Past {
        frame: Arc::clone(frame),
        angles: HashMap::from([(uuid, history)]),
        slots: vec![None, Some(frame.at)],
        covers: Covers { from: at(0), to: frame.at },
    })
}

#[test]
fn steps_go_back_and_on_through_memory_while_collection_goes_on() {
    let (mut app, mut host) = running(200);
    let newest = shown(&app);
    let uuid = app.fleet().selected().unwrap();
    let series = |app: &App| app.series().last(uuid, Metric::Cpu, 5).collect::<Vec<_>>();
    let then = {
        press(&mut app, "p");
        let then = series(&app);
        press(&mut app, "p");
        then
    };
    for _ in 0..3 {
        app.update(Message::Frame(host.cycle()));
    }
    assert!(press(&mut app, "[").is_empty(), "memory needs nobody");
    assert_eq!(shown(&app), newest + 2, "from live: one back from the newest");
    press(&mut app, "[[");
    assert_eq!(shown(&app), newest);
    assert_eq!(series(&app), then, "sparklines as of then");
    app.update(Message::Frame(host.cycle()));
    assert_eq!((shown(&app), series(&app)), (newest, then), "news change nothing of the past");
    press(&mut app, "]");
    assert_eq!(shown(&app), newest + 1);
    press(&mut app, "{");
    assert_eq!(shown(&app), newest + 1 - 60);
    press(&mut app, "}");
    assert_eq!(shown(&app), newest + 1);
    press(&mut app, "}");
    assert_eq!(shown(&app), newest + 4, "a minute on is beyond the newest");
    press(&mut app, "]");
    assert_eq!(shown(&app), newest + 4);
    assert!(app.notice().unwrap().contains("newest"), "{:?}", app.notice());
    assert_eq!(app.looking(), Some(Looking::AtMemory));
    press(&mut app, "p");
    app.update(Message::Frame(host.cycle()));
    assert_eq!((shown(&app), app.looking()), (newest + 5, None), "live again");
}

#[test]
fn a_live_screen_has_nothing_to_step_on_to() {
    let (mut app, _host) = running(5);
    press(&mut app, "]}");
    assert_eq!(app.looking(), None);
    assert!(app.notice().unwrap().contains("newest"));
    let mut empty = App::new(settings()).unwrap();
    press(&mut empty, "[{]}p");
    assert!(empty.frame().is_none() && empty.looking().is_none());
}

#[test]
fn memory_keeps_to_its_budget_and_the_newest_frame_stays() {
    let (app, _host, oldest) = forgetful(50);
    let (since, frames, bytes) = app.in_memory().unwrap();
    assert!(frames < 10, "{frames}");
    assert!(bytes <= usize::try_from(app.screen().history_bytes).unwrap(), "{bytes}");
    assert_eq!(since, app.recent.oldest().unwrap().frame.at);
    assert_eq!(oldest, 50 - frames as u64 + 1);
    let mut settings = settings();
    settings.screen.history_bytes = 1;
    let mut app = App::new(settings).unwrap();
    let mut host = Host::new();
    app.update(Message::Frame(host.cycle()));
    app.update(Message::Frame(host.cycle()));
    assert_eq!(app.in_memory().unwrap().1, 1);
}

#[test]
fn beyond_memory_the_record_is_asked_and_the_screen_stays_until_it_answers() {
    let (mut app, mut host, oldest) = forgetful(50);
    press(&mut app, "p");
    while shown(&app) > oldest {
        assert!(press(&mut app, "[").is_empty());
    }
    let here = app.frame().unwrap().at;
    let moment = asked(&press(&mut app, "["));
    assert_eq!(moment, Moment::Before(here));
    assert_eq!((shown(&app), app.looking()), (oldest, Some(Looking::Asking(here))));
    assert!(press(&mut app, "[").is_empty(), "asked once");
    app.update(Message::Frame(host.cycle()));
    let past = Host::new().cycle();
    answer(&mut app, Moment::Before(at(3)), recorded(&past));
    assert_eq!(shown(&app), oldest, "an answer to another question");
    answer(&mut app, moment, recorded(&past));
    assert_eq!((shown(&app), app.looking()), (1, Some(Looking::AtRecord)));
    let uuid = past.domains[0].identity().uuid;
    assert_eq!(app.series().last(uuid, Metric::Cpu, 9).count(), 2, "the record's own angles");
    // On from there, to where memory begins anew.
    let moment = asked(&press(&mut app, "]"));
    assert_eq!(moment, Moment::After(past.at));
    let first = app.recent.oldest().unwrap().frame;
    answer(&mut app, moment, recorded(&first));
    assert_eq!((shown(&app), app.looking()), (first.cycle, Some(Looking::AtMemory)));
    press(&mut app, "p");
    assert_eq!(app.looking(), None);
}

#[test]
fn minutes_add_up_while_the_record_is_asked() {
    let (mut app, _host, _) = forgetful(50);
    let now = app.frame().unwrap().at;
    let minute = |n: i64| WallTime(now.0 - n * 60_000_000_000);
    assert_eq!(asked(&press(&mut app, "{")), Moment::AtOrBefore(minute(1)));
    assert_eq!(asked(&press(&mut app, "{")), Moment::AtOrBefore(minute(2)));
    answer(&mut app, Moment::AtOrBefore(minute(1)), recorded(&Host::new().cycle()));
    assert_eq!(app.looking(), Some(Looking::Asking(minute(2))), "the first one was overtaken");
    press(&mut app, "p");
    answer(&mut app, Moment::AtOrBefore(minute(2)), recorded(&Host::new().cycle()));
    assert_eq!(app.looking(), None, "live: the answer comes too late");
}

#[test]
fn what_the_record_cannot_answer_is_said_and_one_stays_where_one_is() {
    let (mut app, _host, oldest) = forgetful(50);
    press(&mut app, "p");
    while shown(&app) > oldest {
        press(&mut app, "[");
    }
    let moment = asked(&press(&mut app, "["));
    answer(&mut app, moment, Found::Failed { why: "the record is off".into() });
    assert!(app.notice().unwrap().contains("the record is off"));
    assert_eq!((shown(&app), app.looking()), (oldest, Some(Looking::AtMemory)));
    let moment = asked(&press(&mut app, "["));
    let covers = Some(Covers { from: at(1), to: at(9) });
    answer(&mut app, moment, Found::Nothing { covers });
    assert!(app.notice().unwrap().contains("begins here"));
    // From the record on, past its end: memory goes on.
    let moment = asked(&press(&mut app, "["));
    answer(&mut app, moment, recorded(&Host::new().cycle()));
    let moment = asked(&press(&mut app, "]"));
    answer(&mut app, moment, Found::Nothing { covers });
    assert_eq!((shown(&app), app.looking()), (oldest, Some(Looking::AtMemory)));
}

#[test]
fn a_record_that_does_not_answer_keeps_nobody_from_what_is_in_memory() {
    let (mut app, _host, oldest) = forgetful(50);
    press(&mut app, "p");
    while shown(&app) > oldest {
        press(&mut app, "[");
    }
    let asked_for = asked(&press(&mut app, "["));
    assert!(press(&mut app, "]").is_empty(), "no question");
    assert_eq!((shown(&app), app.looking()), (oldest + 1, Some(Looking::AtMemory)));
    answer(&mut app, asked_for, recorded(&Host::new().cycle()));
    assert_eq!(shown(&app), oldest + 1, "the late answer is to nobody");
    press(&mut app, "[[");
    assert!(matches!(app.looking(), Some(Looking::Asking(_))));
    press(&mut app, "}");
    assert_eq!((shown(&app), app.looking()), (50, Some(Looking::AtMemory)));
}

#[test]
fn on_from_the_record_no_cycle_of_memory_is_skipped() {
    let (mut app, _host, oldest) = forgetful(50);
    press(&mut app, "p");
    while shown(&app) > oldest {
        press(&mut app, "[");
    }
    let moment = asked(&press(&mut app, "["));
    answer(&mut app, moment, recorded(&Host::new().cycle()));
    let moment = asked(&press(&mut app, "]"));
    // The record lacks what memory has: its next cycle is the newest.
    let newest = app.recent.newest().unwrap().frame.clone();
    answer(&mut app, moment, recorded(&newest));
    assert_eq!((shown(&app), app.looking()), (oldest, Some(Looking::AtMemory)));
}

#[test]
fn a_minute_back_goes_as_far_as_there_is_anything() {
    let (mut app, _host, oldest) = forgetful(50);
    press(&mut app, "p");
    let here = app.frame().unwrap().at;
    let moment = asked(&press(&mut app, "{"));
    // The record begins 20 s before: that is where it goes.
    let from = WallTime(here.0 - 20_000_000_000);
    let covers = Some(Covers { from, to: here });
    let question = Question { moment, history: HISTORY };
    let found = Found::Nothing { covers };
    let again = app.update(Message::Past(Answer { question, found: found.clone() }));
    assert_eq!(asked(&again), Moment::AtOrBefore(from));
    let question = Question { moment: Moment::AtOrBefore(from), history: HISTORY };
    assert!(app.update(Message::Past(Answer { question, found })).is_empty(), "it asks once");
    // Without a record: the oldest in memory.
    press(&mut app, "pp");
    let moment = asked(&press(&mut app, "{"));
    answer(&mut app, moment, Found::Failed { why: "the record is off".into() });
    assert_eq!((shown(&app), app.looking()), (oldest, Some(Looking::AtMemory)));
    assert!(app.notice().unwrap().contains("the record is off"));
}

#[test]
fn sparklines_of_a_large_fleet_grow_while_their_moment_stands() {
    let (mut app, _host, _) = forgetful(50);
    press(&mut app, "p");
    let moment = asked(&press(&mut app, "{"));
    let frame = Host::new().cycle();
    let uuid = frame.domains[0].identity().uuid;
    let seen = |cycles: u64| {
        let mut history = AngleHistory::new(20);
        (0..cycles).for_each(|_| history.push(&frame.domains[0].rates.angles));
        let instant = |n: u64| Some(WallTime(frame.at.0 - i64::try_from(n).unwrap() * 1_000_000_000));
        Found::Seen(Past {
            frame: Arc::clone(&frame),
            angles: HashMap::from([(uuid, history)]),
            slots: (0..cycles).rev().map(instant).collect(),
            covers: Covers { from: WallTime(0), to: frame.at },
        })
    };
    let question = Question { moment, history: HISTORY };
    let bring = |app: &mut App, cycles| app.update(Message::Past(Answer { question, found: seen(cycles) }));
    let known = |app: &App| app.series().last(uuid, Metric::Cpu, 99).count();
    assert_eq!((asked(&bring(&mut app, 3)), known(&app)), (moment, 3));
    assert_eq!(app.looking(), Some(Looking::AtRecord), "it is shown; nobody waits");
    assert_eq!((asked(&bring(&mut app, 9)), known(&app)), (moment, 9));
    assert!(bring(&mut app, 9).is_empty(), "there is no more");
    assert!(bring(&mut app, 12).is_empty() && known(&app) == 9, "nobody asked");
}
