//! A random walk: no sequence of keys, data and sizes panics, draws a control
//! character, or selects what is not shown.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::{
    app::{
        ACTIONS, Effect, Key, Mode,
        fixtures::{Host, at, collector, dead_server, delivering, settings, store},
    },
    model::{
        history::AngleHistory,
        past::{Answer, Covers, Found, Past, Question},
        status::{CollectionState, DeliveryStatus, StoreState},
    },
};

#[derive(Clone, Debug)]
enum Step {
    Press(Key),
    Paste(String),
    Click(u16, u16),
    Wheel(i16),
    Cycle,
    Lose(usize),
    Load(usize, f64),
    Collection(u8),
    Writer(u8),
    Tick(u64),
    Xml(usize, Result<String, String>),
    Size(u16, u16),
    Past(u8),
    Focus(bool),
}

fn key() -> impl Strategy<Value = Key> {
    // Every key that is bound anywhere, so that a new one is walked too.
    let bound: Vec<Key> = ACTIONS.iter().flat_map(|binding| binding.keys).copied().collect();
    let editing =
        ['a', 'e', 'h', 'k', 'u', 'w'].map(Key::Ctrl).into_iter().chain([Key::Backspace, Key::Delete]);
    let movement = [Key::Enter, Key::Esc, Key::Tab, Key::Left, Key::Right, Key::Up, Key::Down, Key::End];
    prop_oneof![
        4 => prop::sample::select(bound),
        3 => prop::sample::select(movement.to_vec()),
        1 => prop::sample::select(editing.collect::<Vec<_>>()),
        1 => any::<char>().prop_map(Key::Char),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => key().prop_map(Step::Press),
        1 => ".{0,40}".prop_map(Step::Paste),
        1 => (0u16..220, 0u16..80).prop_map(|(x, y)| Step::Click(x, y)),
        1 => (-5i16..6).prop_map(Step::Wheel),
        4 => Just(Step::Cycle),
        1 => (0usize..16).prop_map(Step::Lose),
        1 => (0usize..16, 0.0..3.0).prop_map(|(n, load)| Step::Load(n, load)),
        1 => (0u8..4).prop_map(Step::Collection),
        1 => (0u8..4).prop_map(Step::Writer),
        1 => (0u64..100_000).prop_map(Step::Tick),
        1 => (0usize..16, prop::result::maybe_ok(".{0,200}", ".{0,80}")).prop_map(|(n, xml)| Step::Xml(n, xml)),
        2 => (0u16..220, 0u16..70).prop_map(|(w, h)| Step::Size(w, h)),
        2 => (0u8..4).prop_map(Step::Past),
        1 => any::<bool>().prop_map(Step::Focus),
    ]
}

/// What the walk carries along.
struct Walk {
    app: App,
    screen: Screen,
    host: Host,
    size: (u16, u16),
    /// What the record was asked last.
    asked: Option<Question>,
}

/// An answer of the record: the moment, another host's, nothing, an error.
fn past(question: Question, n: u8) -> Answer {
    let seen = |mut host: Host| {
        let frame = host.cycle();
        let mut history = AngleHistory::new(3);
        history.push(&frame.domains[0].rates.angles);
        Found::Seen(Past {
            angles: HashMap::from([(frame.domains[0].identity().uuid, history)]),
            slots: vec![Some(frame.at)],
            covers: Covers { from: at(0), to: frame.at },
            frame,
        })
    };
    let found = match n {
        0 => seen(Host::new()),
        1 => seen(Host::with(40)),
        2 => Found::Nothing { covers: None },
        _ => Found::Failed { why: "the record is off".into() },
    };
    Answer { question, found }
}

fn take(walk: &mut Walk, step: Step) {
    let Walk { app, screen, host, size, asked } = walk;
    let nth = |app: &App, n: usize| {
        app.frame().and_then(|f| f.domains.get(n).map(|d| d.identity().name.to_string()))
    };
    let message = match step {
        Step::Press(key) => Message::Key(key),
        Step::Paste(text) => Message::Paste(text),
        Step::Click(x, y) => screen.resolve(Message::Mouse(Mouse::Press { x, y })),
        Step::Wheel(lines) => Message::Mouse(Mouse::Scroll(lines)),
        Step::Cycle => Message::Frame(host.cycle()),
        Step::Lose(n) => {
            if let Some(name) = nth(app, n) {
                host.remove(&name);
            }
            Message::Frame(host.cycle())
        }
        Step::Load(n, load) => {
            if let Some(name) = nth(app, n) {
                host.set_load(&name, load);
            }
            Message::Frame(host.cycle())
        }
        Step::Collection(n) => Message::Collector(collector(match n {
            0 => CollectionState::Stopped { since: at(3) },
            1 => CollectionState::Connecting { since: at(3) },
            2 => CollectionState::Running { since: at(3) },
            _ => CollectionState::Failed { why: "no socket".repeat(9), since: at(3), retry_at: at(9) },
        })),
        Step::Writer(n) => match n {
            0 => Message::Delivery(DeliveryStatus::default(), store(StoreState::Off)),
            1 => Message::Delivery(delivering(), store(StoreState::Writable)),
            2 => Message::Delivery(
                dead_server(),
                store(StoreState::Failing { why: "full".into(), since: at(2) }),
            ),
            _ => Message::Delivery(delivering(), store(StoreState::ReadOnly { holder: "pid 7".into() })),
        },
        Step::Tick(seconds) => Message::Tick(at(seconds)),
        Step::Xml(n, xml) => {
            let uuid = app.xml().map(|xml| xml.uuid).filter(|_| n % 4 > 0);
            Message::Xml(uuid.unwrap_or_default(), xml.map(Into::into))
        }
        Step::Size(width, height) => {
            *size = (width, height);
            Message::Resize { width, height }
        }
        Step::Focus(focused) => Message::Focus(focused),
        Step::Past(n) => match *asked {
            Some(question) => Message::Past(past(question, n)),
            None => return,
        },
    };
    for effect in app.update(message) {
        if let Effect::LookBack(question) = effect {
            *asked = Some(question);
        }
    }
}

/// `PROPTEST_CASES` asks for longer walks; a short one belongs to every run.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_the_selection_is_always_shown(
        steps in prop::collection::vec(step(), 1..80),
        ascii: bool,
    ) {
        let mut settings = settings();
        // Little memory, so that the walk goes beyond it.
        settings.screen.history_bytes = 200_000;
        let mut walk = Walk {
            app: App::new(settings).unwrap(),
            host: Host::new(),
            screen: Screen::new(&config::Screen { ascii, ..config::Screen::default() }),
            size: (80, 24),
            asked: None,
        };
        for step in steps {
            take(&mut walk, step);
            let Walk { app, screen, size, .. } = &mut walk;
            let buf = drawn(screen, app, size.0, size.1);
            for cell in &buf.content {
                prop_assert!(!cell.symbol().chars().any(char::is_control), "{:?}", cell.symbol());
                prop_assert!(!ascii || cell.symbol().is_ascii(), "{:?}", cell.symbol());
            }
            // Whoever acts on the selected VM sees which one it is.
            let among_all = matches!(app.mode(), Mode::Fleet | Mode::Cards | Mode::Filter);
            if among_all && !ascii && size.0 >= 40 && size.1 >= 14 && app.fleet().selected_row().is_some() {
                let signs = buf.content.iter().filter(|cell| cell.symbol() == "▶").count();
                prop_assert_eq!(signs, 1, "{}", text_of(&buf));
            }
            let rows = app.fleet().rows();
            match (app.frame(), app.fleet().selected_row()) {
                (Some(frame), Some(row)) => {
                    let shown = frame.domains[rows[row]].identity().uuid;
                    prop_assert_eq!(app.fleet().selected(), Some(shown));
                }
                (_, None) => prop_assert!(rows.is_empty()),
                (None, Some(_)) => prop_assert!(false, "a selection without a frame"),
            }
        }
    }
}
