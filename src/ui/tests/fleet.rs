//! The fleet page beyond its plain table: cards, the list of columns, and the
//! line of what needs somebody.

use super::*;
use crate::app::{
    Key, SortKey, View,
    fixtures::{Host, running, settings},
};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn press(app: &mut App, keys: &str) {
    for c in keys.chars() {
        app.update(Message::Key(if c == '\n' { Key::Enter } else { Key::Char(c) }));
    }
}

fn sized(app: &mut App, (width, height): (u16, u16)) -> String {
    app.update(Message::Resize { width, height });
    picture(app, width, height)
}

#[test]
fn cards() {
    let (mut app, _host) = running(120);
    press(&mut app, "v");
    for size in SIZES {
        let (width, height) = size;
        insta::assert_snapshot!(format!("cards-{width}x{height}"), sized(&mut app, size));
    }
}

#[test]
fn chooser() {
    let (mut app, _host) = running(120);
    press(&mut app, "fjjjj ");
    for size in SIZES {
        let (width, height) = size;
        insta::assert_snapshot!(format!("chooser-{width}x{height}"), sized(&mut app, size));
    }
}

#[test]
fn top_movers() {
    let (mut app, mut host) = running(400);
    host.set_load("customer-0417-production-postgresql-replica-eu-central-1b-03", 0.99);
    for _ in 0..20 {
        app.update(Message::Frame(host.cycle()));
    }
    while app.fleet().sort().0 != SortKey::Change {
        press(&mut app, "o");
    }
    for size in SIZES {
        let (width, height) = size;
        insta::assert_snapshot!(format!("movers-{width}x{height}"), sized(&mut app, size));
    }
}

#[test]
fn the_list_of_columns_shows_each_choice_at_once_and_gives_the_keys_back() {
    let (mut app, _host) = running(120);
    press(&mut app, "f");
    let before = picture(&app, 120, 40);
    assert!(before.contains("[x] STEAL") && before.contains("no room in this width"), "{before}");
    press(&mut app, "j ");
    let text = picture(&app, 120, 40);
    assert!(text.contains("[ ] CPU"), "{text}");
    let headings = text.lines().find(|line| line.contains("NAME")).unwrap();
    assert!(headings.contains("CPU▼"), "sorted by it, it stays: {headings}");
    assert!(text.contains("shown while it is sorted by"), "{text}");
    press(&mut app, "f");
    assert!(!picture(&app, 120, 40).contains("[x]"));
    press(&mut app, "p");
    assert!(app.frozen_at().is_some(), "the keys are the page's again");
}

#[test]
fn the_line_at_the_foot_names_the_worst_first_and_counts_the_rest() {
    let (app, _host) = running(200);
    let text = picture(&app, 200, 60);
    let line = text.lines().rev().nth(2).unwrap();
    let at = |what: &str| line.find(what).unwrap_or_else(|| panic!("{what}: {line}"));
    assert!(at("◌ web-batch hung since 14:01:01") < at("‼ db-replica MEM"), "{line}");
    assert!(at("over 90 for 3 min") < at("! db-primary MEM"), "{line}");
    let narrow = picture(&app, 80, 24);
    let line = narrow.lines().rev().nth(2).unwrap();
    assert!(line.contains("web-batch hung") && line.trim_end().contains('+'), "{line}");
    let small = picture(&app, 60, 14);
    let line = small.lines().rev().nth(1).unwrap();
    assert!(line.contains("◌ web-batch +"), "without a line of its own: {small}");
}

#[test]
fn a_calm_host_keeps_the_line_free_so_that_rows_do_not_move() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::with(40);
    for _ in 0..10 {
        app.update(Message::Frame(host.cycle()));
    }
    let place = |text: &str| text.lines().position(|line| line.contains("NAME")).unwrap();
    let (with, _) = running(120);
    assert_eq!(place(&picture(&app, 80, 24)), place(&picture(&with, 80, 24)));
}

#[test]
fn cards_of_any_host_and_size_are_drawn_within_their_bounds() {
    for count in [0, 1, 2, 7, 500] {
        let mut app = App::new(settings()).unwrap();
        let mut host = Host::with(count);
        press(&mut app, "v");
        for _ in 0..3 {
            app.update(Message::Frame(host.cycle()));
        }
        assert_eq!(app.fleet().view(), View::Cards);
        for size in [(20, 5), (40, 9), (40, 12), (80, 24), (81, 25), (300, 100)] {
            app.update(Message::Key(Key::End));
            let text = sized(&mut app, size);
            if count > 0 && size.1 >= 9 {
                assert!(text.contains('▶'), "the selected card is in view: {size:?} {count}\n{text}");
            }
            app.update(Message::Key(Key::Home));
            sized(&mut app, size);
        }
    }
}

#[test]
fn a_filter_for_a_state_nobody_is_in_names_the_states_there_are() {
    let (mut app, _host) = running(5);
    press(&mut app, "/state:zombie\n");
    let text = picture(&app, 80, 24);
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        joined.contains("No virtual machine matches “state:zombie”. States are running, paused"),
        "{text}"
    );
    assert!(text.contains("0 of 16"), "{text}");
}

#[test]
fn a_vm_of_which_nothing_was_read_says_how_old_its_last_reading_is() {
    use crate::model::{DomainRates, DomainReading, Frame, Missing, Why, frame::Health};
    use std::sync::Arc;
    let (mut app, mut host) = running(120);
    let (whole, _) = (host.cycle(), host.cycle());
    let frame = host.cycle();
    let late = Missing::new(Why::NoAnswerYet);
    let domains = frame.domains.iter().map(|domain| {
        if &*domain.identity().name != "db-replica" {
            return Arc::clone(domain);
        }
        let identity = Arc::clone(&domain.reading.identity);
        let at = (domain.reading.at, domain.reading.mono);
        let mut unread = (**domain).clone();
        unread.reading = DomainReading::unanswered(identity, domain.state(), at.0, at.1, late);
        (unread.rates, unread.health) = (DomainRates::missing(late), Health::Impaired(late));
        unread.last = whole.domains.iter().find(|d| d.identity() == domain.identity()).cloned();
        unread.fresh = false;
        Arc::new(unread)
    });
    app.update(Message::Frame(Arc::new(Frame { domains: domains.collect(), ..(*frame).clone() })));
    let text = picture(&app, 200, 60);
    let row = text.lines().find(|line| line.contains("db-replica  ")).unwrap();
    assert!(row.contains("– no answer yet, read 2 s ago"), "{row}");
    press(&mut app, "v");
    let cards = sized(&mut app, (200, 60));
    assert!(cards.contains("– no answer yet, read 2 s ago"), "{cards}");
}

#[test]
fn a_database_that_refuses_says_why_where_there_is_room() {
    use crate::{
        app::fixtures::{dead_server, store},
        model::status::StoreState,
    };
    let (mut app, _host) = running(5);
    app.update(Message::Delivery(dead_server(), store(StoreState::Writable)));
    let header = picture(&app, 200, 24).lines().next().unwrap().to_owned();
    assert!(header.contains("22 348 waiting") && header.contains("connection refused"), "{header}");
}
