use std::{collections::HashMap, time::Duration};

use super::*;
use crate::{
    app::{
        Key, Message, Mode,
        fixtures::{Host, at, collector, running, settings},
    },
    model::{
        Frame, MonoTime, WallTime,
        history::{AngleHistory, Metric},
        link::Agent,
        past::{Answer, Covers, Found, Moment, Question},
        status::{CollectionState, StoreState},
    },
};

fn agent(pid: u32) -> Agent {
    Agent {
        version: "0.1.0".into(),
        pid,
        since: at(0),
        uri: "qemu:///system".into(),
        config: settings().config[..2].to_vec(),
    }
}

fn link(pid: u32, state: LinkState) -> Message {
    Message::Link(Link { place: "/run/kvmscope/a.sock".into(), agent: Some(agent(pid)), state, ahead: 0 })
}

fn live(pid: u32) -> Message {
    link(pid, LinkState::Attached { since: at(0) })
}

fn gone(pid: u32) -> Message {
    link(pid, LinkState::Gone { since: at(50), why: "it has ended".into(), next_at: at(51) })
}

fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|c| app.update(Message::Key(Key::Char(c)))).collect()
}

/// A screen attached to an agent that collects.
fn attached() -> (App, Host) {
    let (mut app, host) = running(5);
    app.update(live(1));
    (app, host)
}

/// What a record says of `frames`, the last of which it has.
fn recorded(frames: &[Arc<Frame>]) -> Past {
    let mut angles: HashMap<_, AngleHistory> = HashMap::new();
    for (n, frame) in frames.iter().enumerate() {
        for domain in frame.domains.iter().filter(|domain| domain.is_live()) {
            let history = angles.entry(domain.identity().uuid).or_insert_with(|| {
                let mut history = AngleHistory::new(frames.len());
                (0..n).for_each(|_| history.push_gap());
                history
            });
            history.push(&domain.rates.angles);
        }
    }
    let (first, last) = (&frames[0], &frames[frames.len() - 1]);
    Past {
        frame: Arc::clone(last),
        angles,
        slots: frames.iter().map(|frame| Some(frame.at)).collect(),
        covers: Covers { from: first.at, to: last.at },
    }
}

/// The answer to the first question for the sparklines.
fn told(past: Past) -> Message {
    let moment = Moment::AtOrBefore(WallTime(i64::MAX));
    let question = Question { moment, history: settings().screen.history_cycles };
    Message::History(Answer { question, found: Found::Seen(past) })
}

fn show(app: &mut App, frames: &[Arc<Frame>]) {
    for frame in frames {
        app.update(Message::Frame(Arc::clone(frame)));
    }
}

fn angles(app: &App, host: &Host) -> Vec<Option<f64>> {
    app.series().last(host.uuid("db-primary"), Metric::Cpu, 999).collect()
}

#[test]
fn stopping_an_agents_collection_asks_and_starting_does_not() {
    let (mut app, _) = attached();
    assert!(press(&mut app, "s").is_empty());
    assert_eq!(app.mode(), Mode::Question);
    assert!(press(&mut app, "n").is_empty());
    assert_eq!((app.mode(), app.overlay()), (Mode::Fleet, Overlay::None));
    assert!(press(&mut app, "s").is_empty());
    assert_eq!(press(&mut app, "y"), [Effect::StopCollection]);
    app.update(Message::Collector(collector(CollectionState::Stopped { since: at(6) })));
    assert_eq!(press(&mut app, "s"), [Effect::StartCollection]);
    // A screen of its own asks nothing.
    let (mut own, _) = running(5);
    assert_eq!(press(&mut own, "s"), [Effect::StopCollection]);
}

#[test]
fn a_question_whose_matter_somebody_else_has_settled_stops_nothing() {
    let (mut app, _) = attached();
    press(&mut app, "s");
    app.update(Message::Collector(collector(CollectionState::Stopped { since: at(6) })));
    assert!(press(&mut app, "y").is_empty(), "it is stopped already, and must not be started");
    app.update(Message::Collector(collector(CollectionState::Running { since: at(7) })));
    press(&mut app, "s");
    app.update(gone(1));
    assert_eq!(app.mode(), Mode::Fleet, "there is nobody to stop any more");
}

#[test]
fn quitting_an_attached_screen_never_asks() {
    let (mut app, _) = attached();
    let mut delivery = crate::app::fixtures::dead_server();
    delivery.waiting_in_memory = 9;
    let store = crate::app::fixtures::store(StoreState::Off);
    app.update(Message::Delivery(delivery, store));
    assert_eq!(press(&mut app, "q"), [Effect::Quit]);
}

#[test]
fn nothing_is_asked_of_an_agent_that_is_out_of_reach() {
    let (mut app, _) = attached();
    app.update(gone(1));
    for key in ["s", "+", "-"] {
        assert!(press(&mut app, key).is_empty(), "{key}");
        assert!(app.notice().unwrap().contains("does not answer"), "{key}");
    }
    assert_eq!(press(&mut app, "r"), [Effect::Reconnect], "but it is tried");
    app.update(live(1));
    assert_eq!(press(&mut app, "+").len(), 1);
}

#[test]
fn it_says_whose_collection_is_shown_and_shows_its_configuration() {
    let (app, _) = attached();
    let notice = app.notice().unwrap();
    assert!(notice.contains("kvmscope agent (process 1)") && notice.contains("/run/kvmscope/a.sock"));
    assert_eq!(app.config(), &settings().config[..2]);
}

#[test]
fn options_that_mean_nothing_are_named_once() {
    let (mut app, _) = running(5);
    app.means_nothing(vec!["--influx-url".into(), "--poll-interval".into()]);
    app.update(live(1));
    let notice = app.notice().unwrap();
    assert!(notice.starts_with("--influx-url, --poll-interval mean nothing here"), "{notice}");
    assert!(notice.contains("attached to kvmscope agent (process 1)"), "{notice}");
    app.update(gone(1));
    app.update(live(1));
    assert!(app.notice().unwrap().starts_with("attached again to"), "once is enough");
}

#[test]
fn ages_are_right_however_far_the_clocks_of_two_machines_are_apart() {
    for minutes in [5_i64, -5] {
        let ahead = minutes * 60_000_000_000;
        // Frames are of the agent's clock, ticks and the way to it of this one's.
        let here = |seconds: u64| WallTime(at(seconds).0 - ahead);
        let mut host = Host::new();
        let mut app = App::new(crate::app::Settings { now: here(0), ..settings() }).unwrap();
        let state = LinkState::Attached { since: here(0) };
        let Message::Link(live) = live(1) else { panic!() };
        let linked = |state| Message::Link(Link { state, ahead, ..live.clone() });
        app.update(linked(state));
        for second in 1..=20 {
            let frame = host.cycle();
            assert_eq!(frame.at, at(second));
            app.update(Message::Frame(frame));
            for part in 0..3 {
                app.update(Message::Tick(WallTime(here(second).0 + part * 300_000_000)));
                let age = app.now().since(app.frame().unwrap().at);
                assert_eq!(age, Duration::from_millis(300) * u32::try_from(part).unwrap(), "{minutes} min");
            }
        }
        assert!(app.notice().is_none(), "it has had its time, by any clock");
        app.update(linked(LinkState::Gone { since: here(21), why: "gone".into(), next_at: here(25) }));
        app.update(Message::Tick(here(23)));
        let LinkState::Gone { since, next_at, .. } = &app.link().unwrap().state else { panic!() };
        assert_eq!((app.now(), app.now().since(*since)), (at(23), Duration::from_secs(2)));
        assert_eq!(next_at.since(app.now()), Duration::from_secs(2));
    }
}

#[test]
fn a_clock_that_turns_out_to_be_ahead_moves_no_notice() {
    let (mut app, _) = attached();
    let now = app.now();
    app.update(Message::Say("exported".into()));
    let Message::Link(live) = live(1) else { panic!() };
    let later = |seconds: i64| Message::Tick(WallTime(now.0 + seconds * 1_000_000_000));
    for ahead in [300_000_000_000, -300_000_000_000] {
        app.update(Message::Link(Link { ahead, ..live.clone() }));
        app.update(later(1));
        assert_eq!(app.notice(), Some("exported"), "{ahead}");
    }
    app.update(later(5));
    assert_eq!(app.notice(), None);
    // What an agent may say of its clock does no harm.
    for ahead in [i64::MAX, i64::MIN, 0] {
        app.update(Message::Link(Link { ahead, ..live.clone() }));
        app.update(later(6));
    }
    assert_eq!(app.now(), WallTime(now.0 + 6_000_000_000));
}

#[test]
fn histories_begin_with_what_the_agent_recorded_before_the_screen_opened() {
    let mut host = Host::new();
    let frames: Vec<_> = (0..40).map(|_| host.cycle()).collect();
    // A screen that was there all the time.
    let mut old = App::new(settings()).unwrap();
    show(&mut old, &frames);
    // One that was opened in cycle 30. The record may be ahead of what came
    // here, or behind it.
    for known in [25, 29, 33, 40] {
        let mut new = App::new(settings()).unwrap();
        new.update(live(1));
        let history = told(recorded(&frames[..known]));
        show(&mut new, &frames[29..31]);
        new.update(history);
        show(&mut new, &frames[31..]);
        let (expected, found) = (angles(&old, &host), angles(&new, &host));
        if known == 25 {
            // Cycles 26 to 29 are neither in the record nor here: a gap.
            assert_eq!(found.len(), 40);
            assert!(found[25..29].iter().all(Option::is_none));
            assert_eq!((&found[..25], &found[29..]), (&expected[..25], &expected[29..]));
        } else {
            assert_eq!(found, expected, "the record had {known}");
        }
        let expected = found;
        // Frozen, and looked back at, the slots are those of then.
        press(&mut new, "[[");
        assert_eq!(new.frame().unwrap().cycle, 38);
        assert_eq!(angles(&new, &host), expected[..38]);
    }
}

#[test]
fn a_history_that_comes_late_loses_nothing_of_what_was_seen() {
    let mut host = Host::new();
    let frames: Vec<_> = (0..90).map(|_| host.cycle()).collect();
    let mut old = App::new(settings()).unwrap();
    show(&mut old, &frames);
    for known in [31, 60, 80] {
        // By then most of what came is packed; some of it the record has not.
        let mut new = App::new(settings()).unwrap();
        new.update(live(1));
        show(&mut new, &frames[29..70]);
        press(&mut new, "p[[");
        new.update(told(recorded(&frames[..known])));
        assert_eq!(new.frame().unwrap().cycle, 68);
        let few = known > 31;
        let seen = if few { &angles(&old, &host)[..68] } else { &angles(&old, &host)[29..68] };
        assert_eq!(angles(&new, &host), *seen, "frozen, the record had {known}");
        press(&mut new, "]p");
        show(&mut new, &frames[70..]);
        let seen = if few { &angles(&old, &host)[..] } else { &angles(&old, &host)[29..] };
        assert_eq!(angles(&new, &host), *seen, "the record had {known}");
        press(&mut new, &"[".repeat(45));
        assert_eq!((new.frame().unwrap().cycle, new.in_memory().unwrap().1), (45, 61));
        assert_eq!(angles(&new, &host).last(), angles(&old, &host).get(44));
        // One that nobody asked for takes nothing away.
        press(&mut new, "p");
        let held = angles(&new, &host).len();
        new.update(told(recorded(&frames[50..85])));
        assert_eq!(angles(&new, &host).len(), held);
    }
}

#[test]
fn a_moment_of_the_run_before_is_left_by_its_time_and_not_by_its_number() {
    let mut host = Host::new();
    let frames: Vec<_> = (0..20).map(|_| host.cycle()).collect();
    let mut app = App::new(settings()).unwrap();
    app.update(live(1));
    show(&mut app, &frames);
    press(&mut app, "p[[");
    let then = angles(&app, &host);
    app.update(gone(1));
    app.update(live(2));
    for n in 0..30 {
        let mut frame = Arc::unwrap_or_clone(host.cycle());
        (frame.cycle, frame.mono, frame.at) = (n + 1, MonoTime((n + 1) * 1_000_000_000), at(30 + n));
        app.update(Message::Frame(Arc::new(frame)));
    }
    assert_eq!((app.frozen_at(), angles(&app, &host)), (Some(at(18)), then));
    for key in ["[", "]"] {
        let asked = press(&mut app, key);
        assert!(matches!(asked[..], [Effect::LookBack(_)]), "{key}: {asked:?}");
        assert_eq!(app.frozen_at(), Some(at(18)), "until the record answers");
    }
}

#[test]
fn a_history_that_comes_before_any_frame_waits_for_one() {
    let mut host = Host::new();
    let frames: Vec<_> = (0..20).map(|_| host.cycle()).collect();
    let mut app = App::new(settings()).unwrap();
    app.update(live(1));
    app.update(told(recorded(&frames[..19])));
    app.update(Message::Frame(Arc::clone(&frames[19])));
    assert_eq!(angles(&app, &host).len(), 20);
}

#[test]
fn over_a_restart_of_the_agent_the_history_has_the_pause_and_nothing_else() {
    let mut host = Host::new();
    let before: Vec<_> = (0..10).map(|_| host.cycle()).collect();
    let mut app = App::new(settings()).unwrap();
    app.update(live(1));
    show(&mut app, &before);
    app.update(gone(1));
    assert_eq!(app.frame().unwrap().cycle, 10, "what was shown stays");
    // Its cycles are counted anew and its clock begins anew. That it has got
    // further than before makes it no less another run.
    let after: Vec<_> = (0..30)
        .map(|n: u64| {
            let mut frame = Arc::unwrap_or_clone(host.cycle());
            frame.cycle = n + 1;
            frame.mono = MonoTime((n + 1) * 1_000_000_000);
            frame.at = WallTime(at(20 + n).0);
            Arc::new(frame)
        })
        .collect();
    app.update(live(2));
    app.update(Message::Frame(Arc::clone(&after[20])));
    let past = recorded(&[&before[..], &after[..20]].concat());
    app.update(told(past));
    assert_eq!(app.in_memory().unwrap().1, 1, "frames of the run before are the record's");
    app.update(Message::Frame(Arc::clone(&after[21])));
    let found = angles(&app, &host);
    // Its first reading has no rate yet.
    let gaps: Vec<_> = (0..found.len()).filter(|&n| found[n].is_none()).collect();
    assert_eq!((found.len(), gaps), (33, vec![0, 10]), "{found:?}");
    press(&mut app, "[");
    assert_eq!(app.frame().unwrap().cycle, 21);
}
