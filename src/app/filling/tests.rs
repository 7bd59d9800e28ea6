//! What is asked for, and that the sparklines come to be those of a screen that
//! was there all the time.

use std::{collections::HashMap, sync::Arc};

use super::*;
use crate::{
    app::{
        Key, Message,
        fixtures::{Host, at, settings},
    },
    model::{
        Frame,
        history::{AngleHistory, Metric},
        link::{Agent, Link, LinkState},
        past::Covers,
    },
};

/// A record of these frames, which answers at most so many cycles at once.
struct Record {
    frames: Vec<Arc<Frame>>,
    at_once: usize,
    /// Cycles that were told, in the order of the answers.
    told: Vec<WallTime>,
    questions: usize,
}

impl Record {
    fn new(frames: &[Arc<Frame>], at_once: usize) -> Self {
        Self { frames: frames.to_vec(), at_once, told: Vec::new(), questions: 0 }
    }

    fn answer(&mut self, question: Question) -> Answer {
        self.questions += 1;
        let found: Vec<_> = self
            .frames
            .iter()
            .filter(|frame| match question.moment {
                Moment::AtOrBefore(at) => frame.at <= at,
                Moment::Before(at) => frame.at < at,
                Moment::After(_) => panic!("{question:?}"),
            })
            .collect();
        let found = &found[found.len().saturating_sub(question.history.min(self.at_once))..];
        let covers = Covers { from: self.frames[0].at, to: self.frames[self.frames.len() - 1].at };
        let Some(last) = found.last() else {
            return Answer { question, found: Found::Nothing { covers: Some(covers) } };
        };
        self.told.extend(found.iter().rev().map(|frame| frame.at));
        let mut angles: HashMap<_, AngleHistory> = HashMap::new();
        for (n, frame) in found.iter().enumerate() {
            for domain in frame.domains.iter().filter(|domain| domain.is_live()) {
                let history = angles.entry(domain.identity().uuid).or_insert_with(|| {
                    let mut history = AngleHistory::new(question.history);
                    (0..n).for_each(|_| history.push_gap());
                    history
                });
                history.push(&domain.rates.angles);
            }
        }
        let slots = found.iter().map(|frame| Some(frame.at)).collect();
        Answer { question, found: Found::Seen(Past { frame: Arc::clone(last), angles, slots, covers }) }
    }

    /// Answers all that is asked on from `effects`.
    fn serve(&mut self, app: &mut App, mut effects: Vec<Effect>) {
        while let Some(question) = asked(&effects) {
            effects = app.update(Message::History(self.answer(question)));
        }
    }
}

/// A screen attached to an agent whose record has the first forty of `frames`,
/// to which all from then on came but those of `hole`.
fn with_a_hole(frames: &[Arc<Frame>], hole: std::ops::Range<usize>) -> (App, Record) {
    let mut app = App::new(settings()).unwrap();
    let mut record = Record::new(&frames[..40], 500);
    let opened = app.update(live(1));
    record.serve(&mut app, opened);
    show(&mut app, &[&frames[39..hole.start], &frames[hole.end..]].concat());
    (app, record)
}

/// So many seconds pass, and what is asked is answered.
fn go_on(app: &mut App, record: &mut Record, seconds: u32) {
    for _ in 0..seconds {
        let effects = pass(app, 1);
        record.serve(app, effects);
    }
}

/// All is as if nothing had been lost, but for gaps in `gaps`.
fn is_whole_but(app: &App, host: &Host, frames: &[Arc<Frame>], gaps: std::ops::Range<usize>) {
    for (seen, expected) in all(app, host).iter().zip(&all(&witness(frames), host)) {
        assert_eq!(
            (&seen[..gaps.start], &seen[gaps.end..]),
            (&expected[..gaps.start], &expected[gaps.end..])
        );
        assert!(seen[gaps.clone()].iter().all(Option::is_none));
    }
}

fn asked(effects: &[Effect]) -> Option<Question> {
    effects.iter().find_map(|effect| match effect {
        Effect::History(question) => Some(*question),
        _ => None,
    })
}

fn live(pid: u32) -> Message {
    let agent = Agent {
        version: "0.1.0".into(),
        pid,
        since: at(0),
        uri: "qemu:///system".into(),
        config: Vec::new(),
    };
    let state = LinkState::Attached { since: at(0) };
    Message::Link(Link { place: "/run/a.sock".into(), agent: Some(agent), state, ahead: 0 })
}

fn gone() -> Message {
    let Message::Link(link) = live(1) else { panic!() };
    let state = LinkState::Gone { since: at(1), why: "it has ended".into(), next_at: at(2) };
    Message::Link(Link { state, ..link })
}

fn show(app: &mut App, frames: &[Arc<Frame>]) -> Vec<Effect> {
    frames.iter().flat_map(|frame| app.update(Message::Frame(Arc::clone(frame)))).collect()
}

/// So many seconds pass.
fn pass(app: &mut App, seconds: u32) -> Vec<Effect> {
    (0..seconds).flat_map(|_| app.update(Message::Tick(app.now()))).collect()
}

fn all(app: &App, host: &Host) -> Vec<Vec<Option<f64>>> {
    let of = |name, metric| app.series().last(host.uuid(name), metric, 9999).collect();
    ["db-primary", "web-frontend-1"]
        .into_iter()
        .flat_map(|name| Metric::ALL.into_iter().map(move |metric| (name, metric)))
        .map(|(name, metric)| of(name, metric))
        .collect()
}

fn frames(count: usize) -> (Host, Vec<Arc<Frame>>) {
    let mut host = Host::new();
    let frames = (0..count).map(|_| host.cycle()).collect();
    (host, frames)
}

/// A screen that was there all the time.
fn witness(frames: &[Arc<Frame>]) -> App {
    let mut app = App::new(settings()).unwrap();
    show(&mut app, frames);
    app
}

#[test]
fn a_history_comes_in_pieces_of_which_each_tells_only_what_is_new() {
    let (host, frames) = frames(230);
    for at_once in [1, 7, 50, 300] {
        let mut record = Record::new(&frames[..200], at_once);
        let mut app = App::new(settings()).unwrap();
        let opened = app.update(live(1));
        record.serve(&mut app, opened);
        assert_eq!(record.questions, 1, "older ones wait for something to go on from");
        let mut effects = Vec::new();
        for (n, frame) in frames[199..].iter().enumerate() {
            effects.extend(app.update(Message::Frame(Arc::clone(frame))));
            if n == 3 {
                // Frozen meanwhile, and looked back.
                effects.extend(
                    [Key::Char('p'), Key::Char('[')].map(Message::Key).map(|key| app.update(key)).concat(),
                );
                assert_eq!(app.frame().unwrap().cycle, 202);
                record.serve(&mut app, std::mem::take(&mut effects));
                assert_eq!(app.frame().unwrap().cycle, 202);
                let seen = all(&app, &host)[0].len();
                assert_eq!(seen, (at_once * 61).min(200) + 2, "{at_once} at once");
                app.update(Message::Key(Key::Char('p')));
            }
        }
        let pieces = 200_usize.div_ceil(at_once).min(61);
        assert_eq!(record.questions, pieces, "{at_once} at once");
        let mut told = record.told.clone();
        told.sort();
        told.dedup();
        assert_eq!(told.len(), record.told.len(), "{at_once} at once: each cycle is told once");
        let expected: Vec<_> = all(&witness(&frames), &host)
            .into_iter()
            .map(|angles| angles[230 - 30 - told.len()..].to_vec())
            .collect();
        assert_eq!(all(&app, &host), expected, "{at_once} at once");
        assert_eq!(app.series().begins(), Some(frames[200 - told.len()].at));
    }
}

#[test]
fn there_is_never_more_history_than_there_is_room_for() {
    let (host, frames) = frames(400);
    let mut settings = settings();
    settings.screen.history_cycles = 120;
    let mut app = App::new(settings).unwrap();
    let mut record = Record::new(&frames[..380], 50);
    let opened = app.update(live(1));
    record.serve(&mut app, opened);
    let effects = show(&mut app, &frames[379..]);
    record.serve(&mut app, effects);
    let expected: Vec<_> =
        all(&witness(&frames), &host).into_iter().map(|angles| angles[280..].to_vec()).collect();
    assert_eq!(all(&app, &host), expected);
    assert!(record.told.len() <= 120, "{}", record.told.len());
}

#[test]
fn cycles_that_never_came_are_filled_in_once_the_line_is_quiet() {
    let (host, frames) = frames(200);
    let mut app = App::new(settings()).unwrap();
    let mut record = Record::new(&frames, 25);
    let opened = app.update(live(1));
    record.frames.truncate(100);
    record.serve(&mut app, opened);
    let effects = show(&mut app, &frames[99..120]);
    record.serve(&mut app, effects);
    // A stall: sixty cycles are lost, then one, then all is well.
    record.frames = frames[..199].to_vec();
    assert_eq!(asked(&show(&mut app, &frames[180..185])), None);
    assert_eq!(asked(&show(&mut app, &frames[186..])), None);
    assert_eq!(all(&app, &host)[0].iter().flatten().count(), 200 - 61 - 1, "gaps, and the first reading");
    assert_eq!(asked(&pass(&mut app, 2)), None, "the record may not have them yet");
    let before = record.told.len();
    go_on(&mut app, &mut record, 20);
    assert_eq!(all(&app, &host), all(&witness(&frames), &host));
    let mut told = record.told[before..].to_vec();
    told.sort();
    let lost: Vec<_> = frames[120..180].iter().chain(&frames[185..186]).map(|frame| frame.at).collect();
    assert_eq!(told, lost, "and nothing else is asked for");
    assert_eq!(asked(&pass(&mut app, 30)), None, "nothing is lacking any more");
}

#[test]
fn a_record_that_has_not_written_all_of_it_yet_is_asked_again_and_every_cycle_is_in_its_place() {
    let (host, frames) = frames(120);
    let (mut app, mut record) = with_a_hole(&frames, 70..90);
    // Of the twenty that were lost it has twelve so far.
    record.frames = frames[..82].to_vec();
    go_on(&mut app, &mut record, 5);
    assert_eq!(record.questions, 2);
    assert_eq!(all(&app, &host)[0].iter().skip(1).filter(|angle| angle.is_none()).count(), 20);
    record.frames.clone_from(&frames);
    go_on(&mut app, &mut record, 10);
    assert_eq!(all(&app, &host), all(&witness(&frames), &host));
    assert_eq!(record.questions, 3);
}

#[test]
fn what_the_record_lacks_stays_a_gap_and_is_not_asked_for_for_ever() {
    let (host, frames) = frames(120);
    let mut app = App::new(settings()).unwrap();
    let mut record = Record::new(&[&frames[..50], &frames[60..]].concat(), 500);
    let opened = app.update(live(1));
    record.frames.truncate(40);
    record.serve(&mut app, opened);
    show(&mut app, &[&frames[39..50], &frames[60..]].concat());
    record.frames = [&frames[..50], &frames[60..]].concat();
    go_on(&mut app, &mut record, 100);
    assert!(record.questions < 8, "{}", record.questions);
    is_whole_but(&app, &host, &frames, 50..60);
}

#[test]
fn over_a_line_that_breaks_for_a_moment_what_was_missed_is_all_that_is_asked_for() {
    let (host, frames) = frames(150);
    let mut app = App::new(settings()).unwrap();
    let mut record = Record::new(&frames[..50], 500);
    let opened = app.update(live(1));
    record.serve(&mut app, opened);
    show(&mut app, &frames[49..90]);
    app.update(gone());
    record.frames = frames[..149].to_vec();
    assert_eq!(asked(&app.update(live(1))), None);
    show(&mut app, &frames[100..]);
    let before = record.told.len();
    go_on(&mut app, &mut record, 10);
    assert_eq!(record.told.len() - before, 10);
    assert_eq!(all(&app, &host), all(&witness(&frames), &host));
    // Another run of the agent is asked from the beginning.
    app.update(gone());
    let question = asked(&app.update(live(2))).unwrap();
    assert_eq!(question.moment, Moment::AtOrBefore(WallTime(i64::MAX)));
}

#[test]
fn a_record_that_fails_is_asked_again_later_and_not_for_ever() {
    let (_, frames) = frames(60);
    let mut app = App::new(settings()).unwrap();
    let mut questions = Vec::new();
    let mut effects = app.update(live(1));
    show(&mut app, &frames[50..]);
    for second in 0..100 {
        if let Some(question) = asked(&effects) {
            questions.push(second);
            let found = Found::Failed { why: "busy".into() };
            assert_eq!(asked(&app.update(Message::History(Answer { question, found }))), None, "not at once");
        }
        effects = pass(&mut app, 1);
    }
    assert!((2..=5).contains(&questions.len()), "{questions:?}");
    // A screen that collects itself asks nobody.
    let mut own = witness(&frames[..20]);
    show(&mut own, &frames[30..]);
    assert_eq!(asked(&pass(&mut own, 30)), None);
}

#[test]
fn cycles_that_the_record_lacks_within_a_hole_move_no_other() {
    let (host, frames) = frames(120);
    let (mut app, mut record) = with_a_hole(&frames, 70..90);
    record.frames = [&frames[..75], &frames[80..]].concat();
    go_on(&mut app, &mut record, 10);
    is_whole_but(&app, &host, &frames, 75..80);
}

#[test]
fn an_answer_that_is_longer_than_what_was_asked_for_is_none() {
    let (host, frames) = frames(120);
    let mut app = App::new(settings()).unwrap();
    let mut record = Record::new(&frames[..100], 500);
    let question = asked(&app.update(live(1))).unwrap();
    let mut answer = record.answer(question);
    let Found::Seen(past) = &mut answer.found else { panic!() };
    past.slots.splice(..0, vec![None; question.history * 2]);
    app.update(Message::History(answer));
    show(&mut app, &frames[100..]);
    assert_eq!(all(&app, &host)[0].len(), 20);
}
