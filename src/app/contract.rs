//! The keys that were promised, against [`super::ACTIONS`] and README's
//! tables. A key that goes, moves or appears must be put down here too.

use std::collections::BTreeSet;

use super::{
    Action, Key, Keymap, Mode,
    action::{ACTIONS, Context},
};

/// Pages on which the keys that hold everywhere hold.
const PAGES: [Mode; 7] = [Mode::Fleet, Mode::Cards, Mode::Vm, Mode::Xml, Mode::Status, Mode::Log, Mode::Help];
/// Those with something to move through, the list of columns among them.
const LISTS: [Mode; 8] =
    [Mode::Fleet, Mode::Cards, Mode::Vm, Mode::Xml, Mode::Status, Mode::Log, Mode::Help, Mode::Columns];
const FLEET: [Mode; 2] = [Mode::Fleet, Mode::Cards];

use Key::{Char, Ctrl};

/// What was promised: the key, what it does, where.
const PROMISED: &[(Key, Action, &[Mode])] = &[
    (Char('q'), Action::Quit, &PAGES),
    (Ctrl('c'), Action::Quit, &PAGES),
    (Char('?'), Action::Help, &PAGES),
    (Char('s'), Action::ToggleCollection, &PAGES),
    (Char('p'), Action::Freeze, &PAGES),
    (Char(' '), Action::Freeze, &PAGES),
    (Char('l'), Action::Log, &PAGES),
    (Char('c'), Action::Status, &PAGES),
    (Char('+'), Action::IntervalLonger, &PAGES),
    (Char('='), Action::IntervalLonger, &PAGES),
    (Char('-'), Action::IntervalShorter, &PAGES),
    (Char('r'), Action::Reconnect, &PAGES),
    (Char('t'), Action::Theme, &PAGES),
    (Char('m'), Action::Mouse, &PAGES),
    (Char('e'), Action::Export, &PAGES),
    (Char('y'), Action::Copy, &PAGES),
    (Ctrl('z'), Action::Suspend, &Mode::ALL),
    (Ctrl('l'), Action::Redraw, &Mode::ALL),
    (Char('['), Action::StepBack, &PAGES),
    (Char(']'), Action::StepOn, &PAGES),
    (Char('{'), Action::MinuteBack, &PAGES),
    (Char('}'), Action::MinuteOn, &PAGES),
    (Key::Up, Action::Up, &LISTS),
    (Char('k'), Action::Up, &LISTS),
    (Key::Down, Action::Down, &LISTS),
    (Char('j'), Action::Down, &LISTS),
    (Key::PageUp, Action::PageUp, &LISTS),
    (Key::PageDown, Action::PageDown, &LISTS),
    (Char('g'), Action::Top, &LISTS),
    (Key::Home, Action::Top, &LISTS),
    (Char('G'), Action::Bottom, &LISTS),
    (Key::End, Action::Bottom, &LISTS),
    (Key::Enter, Action::Open, &FLEET),
    (Key::Right, Action::Open, &[Mode::Fleet]),
    (Key::Esc, Action::Back, &LISTS),
    (Key::Left, Action::Back, &[Mode::Fleet, Mode::Vm, Mode::Xml, Mode::Status, Mode::Log, Mode::Help]),
    // Among cards left and right lead to the neighbour.
    (Key::Left, Action::CardLeft, &[Mode::Cards]),
    (Key::Right, Action::CardRight, &[Mode::Cards]),
    (Key::Tab, Action::NextPane, &[Mode::Vm]),
    (Key::BackTab, Action::PreviousPane, &[Mode::Vm]),
    (Char('/'), Action::Filter, &[Mode::Fleet, Mode::Cards, Mode::Log]),
    (Char('o'), Action::SortNext, &[Mode::Fleet, Mode::Cards, Mode::Vm]),
    (Char('O'), Action::SortReverse, &[Mode::Fleet, Mode::Cards, Mode::Vm]),
    (Char('f'), Action::Columns, &[Mode::Fleet, Mode::Cards, Mode::Columns]),
    (Char('v'), Action::View, &FLEET),
    (Char('a'), Action::Inactive, &FLEET),
    (Char('x'), Action::Xml, &[Mode::Vm, Mode::Xml]),
    (Char('z'), Action::SpanLonger, &[Mode::Vm]),
    (Char('Z'), Action::SpanShorter, &[Mode::Vm]),
    (Char('>'), Action::LogMore, &[Mode::Log]),
    (Char('<'), Action::LogLess, &[Mode::Log]),
    (Key::Tab, Action::LogSource, &[Mode::Log]),
    (Key::BackTab, Action::LogSourceBack, &[Mode::Log]),
    (Key::Enter, Action::FilterKeep, &[Mode::Filter, Mode::Search]),
    (Key::Esc, Action::FilterDrop, &[Mode::Filter, Mode::Search]),
    (Ctrl('c'), Action::FilterDrop, &[Mode::Filter, Mode::Search]),
    (Char(' '), Action::ColumnToggle, &[Mode::Columns]),
    (Key::Enter, Action::ColumnToggle, &[Mode::Columns]),
    (Char('K'), Action::ColumnEarlier, &[Mode::Columns]),
    (Key::Left, Action::ColumnEarlier, &[Mode::Columns]),
    (Char('J'), Action::ColumnLater, &[Mode::Columns]),
    (Key::Right, Action::ColumnLater, &[Mode::Columns]),
    (Char('r'), Action::ColumnReset, &[Mode::Columns]),
    (Char('q'), Action::Columns, &[Mode::Columns]),
    (Ctrl('c'), Action::Columns, &[Mode::Columns]),
    (Char('y'), Action::Yes, &[Mode::Question]),
    (Char('Y'), Action::Yes, &[Mode::Question]),
    (Ctrl('c'), Action::Yes, &[Mode::Question]),
    (Char('n'), Action::No, &[Mode::Question, Mode::Export]),
    (Char('N'), Action::No, &[Mode::Question]),
    (Key::Esc, Action::No, &[Mode::Question, Mode::Export]),
    (Char('q'), Action::No, &[Mode::Question, Mode::Export]),
    (Ctrl('c'), Action::No, &[Mode::Export]),
    (Char('c'), Action::ExportCsv, &[Mode::Export]),
    (Char('C'), Action::ExportCsv, &[Mode::Export]),
    (Char('j'), Action::ExportJson, &[Mode::Export]),
    (Char('J'), Action::ExportJson, &[Mode::Export]),
];

type Held = BTreeSet<(String, String, String)>;

fn held(mode: Mode, key: Key, action: Action) -> (String, String, String) {
    (format!("{mode:?}"), key.to_string(), format!("{action:?}"))
}

#[test]
fn every_promised_key_is_bound_and_every_bound_key_was_promised() {
    let promised: Held = PROMISED
        .iter()
        .flat_map(|(key, action, modes)| modes.iter().map(|m| held(*m, *key, *action)))
        .collect();
    let keymap = Keymap::new().unwrap();
    let keys: BTreeSet<String> = ACTIONS.iter().flat_map(|b| b.keys).map(ToString::to_string).collect();
    let mut bound = Held::new();
    for mode in Mode::ALL {
        for key in ACTIONS.iter().flat_map(|b| b.keys) {
            if let Some(action) = keymap.action(mode, *key) {
                bound.insert(held(mode, *key, action));
            }
        }
    }
    assert!(keys.len() > 40);
    let missing: Vec<_> = promised.difference(&bound).collect();
    let new: Vec<_> = bound.difference(&promised).collect();
    assert!(
        missing.is_empty() && new.is_empty(),
        "promised, not bound: {missing:#?}\nnot promised: {new:#?}"
    );
}

/// Keys named in README's tables of keys: in back quotes, and those that are
/// words.
fn keys_of_readme() -> BTreeSet<String> {
    const WORDS: [&str; 11] =
        ["Ctrl-Z", "Ctrl-L", "space", "Tab", "Shift-Tab", "Enter", "Esc", "PgUp", "PgDn", "Home", "End"];
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme.split("### Keys").nth(1).unwrap().split("\n#").next().unwrap();
    let mut named = BTreeSet::new();
    for row in section.lines().filter(|line| line.starts_with('|')) {
        named.extend(row.split('`').skip(1).step_by(2).map(str::to_owned));
        let said: Vec<&str> = row.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
        named.extend(WORDS.iter().filter(|word| said.contains(word)).map(|word| (*word).to_owned()));
    }
    named
}

#[test]
fn readme_names_every_key() {
    let named = keys_of_readme();
    let bound: BTreeSet<String> = ACTIONS
        .iter()
        // Questions show their answers beside themselves; Ctrl-C is q.
        .filter(|b| !b.contexts.iter().any(|c| matches!(c, Context::Question | Context::Export)))
        .flat_map(|b| b.keys)
        .filter(|key| !matches!(key, Ctrl('c') | Char('=')))
        .map(ToString::to_string)
        .collect();
    let untold: Vec<_> = bound.difference(&named).collect();
    assert!(untold.is_empty(), "not in README: {untold:?}");
    let all: BTreeSet<String> = ACTIONS.iter().flat_map(|b| b.keys).map(ToString::to_string).collect();
    let unknown: Vec<_> = named.difference(&all).filter(|name| *name != "state:paused").collect();
    assert!(unknown.is_empty(), "README names keys that do nothing: {unknown:?}");
}
