//! Order, selection, columns and cards of the fleet, and what needs somebody.

use std::time::Duration;

use super::*;
use crate::app::{
    attention::{Matter, Value},
    fixtures::HANGS_AT,
};

fn cpu_of(app: &App, name: &str) -> Option<(f64, bool, Option<Duration>)> {
    app.attention().list().iter().find(|c| &*c.name == name).and_then(|c| match c.matter {
        Matter::Over { value: Value::Cpu, percent, critical, lasts, .. } => Some((percent, critical, lasts)),
        _ => None,
    })
}

#[test]
fn a_vm_that_hangs_stands_first_in_every_order_by_load_and_nowhere_else() {
    let (mut app, _host) = running(70);
    for key in SortKey::COLUMNS.into_iter().chain([SortKey::Name]) {
        app.fleet.sort_by(SortKey::Steal);
        app.fleet.sort_by(key);
        for _ in 0..2 {
            app.rearrange();
            let first = shown(&app)[0].clone();
            let by_load = !matches!(key, SortKey::Name | SortKey::Vcpus);
            assert_eq!(first == "web-batch", by_load, "{key:?}: {first}");
            press(&mut app, "O");
        }
    }
}

/// The rows after each of so many cycles in which two VMs take turns at the top.
fn rows_of_turns(app: &mut App, host: &mut Host, cycles: u64) -> Vec<Vec<String>> {
    let mut turn = |cycle: u64| {
        let (busy, idle) =
            if cycle.is_multiple_of(2) { ("builder", "db-primary") } else { ("db-primary", "builder") };
        host.set_load(busy, 0.95);
        host.set_load(idle, 0.3);
        app.update(Message::Frame(host.cycle()));
        shown(app)
    };
    (0..cycles).map(&mut turn).collect()
}

#[test]
fn rows_change_places_every_five_seconds_and_not_with_every_cycle() {
    let (mut app, mut host) = running(30);
    let rows = rows_of_turns(&mut app, &mut host, 20);
    let changes: Vec<usize> = (1..rows.len()).filter(|&nth| rows[nth] != rows[nth - 1]).collect();
    assert!(changes.len() >= 2 && changes.len() <= 4, "after {changes:?}");
    assert!(changes.windows(2).all(|pair| (pair[1] - pair[0]).is_multiple_of(5)), "after {changes:?}");
}

#[test]
fn rows_change_places_at_once_when_somebody_sorts_or_a_vm_hangs_comes_or_goes() {
    let (mut app, mut host) = running(HANGS_AT - 1);
    let stood = shown(&app);
    assert_ne!(stood[0], "web-batch");
    app.update(Message::Frame(host.cycle()));
    app.update(Message::Frame(host.cycle()));
    assert_eq!(shown(&app)[0], "web-batch", "it hangs since this cycle");
    // Amid two columns of the sparklines.
    rows_of_turns(&mut app, &mut host, 2);
    press(&mut app, "OO");
    let top = |app: &App| shown(app).into_iter().find(|name| name == "builder" || name == "db-primary");
    assert_eq!(top(&app).as_deref(), Some("db-primary"), "busy in the last cycle");
    host.remove("db-primary");
    app.update(Message::Frame(host.cycle()));
    assert!(!shown(&app).contains(&"db-primary".to_owned()));
}

#[test]
fn the_selection_stays_on_its_vm_while_columns_move_and_cards_come_and_go() {
    let (mut app, mut host) = running(70);
    for _ in 0..4 {
        key(&mut app, Key::Down);
    }
    let name = selected(&app);
    for keys in ["fJJ ", "jK", "q", "v", "o", "O", "a", "v", "f r", "q"] {
        press(&mut app, keys);
        assert_eq!(selected(&app), name, "after {keys}");
        app.update(Message::Frame(host.cycle()));
        assert_eq!(selected(&app), name, "a cycle after {keys}");
    }
}

#[test]
fn among_cards_arrows_go_to_the_neighbour_and_enter_opens() {
    let (mut app, _host) = running(70);
    app.update(Message::Resize { width: 120, height: 40 });
    press(&mut app, "v");
    assert_eq!(app.mode(), Mode::Cards);
    let row = |app: &App| app.fleet().selected_row().unwrap();
    key(&mut app, Key::Home);
    for (pressed, at) in [
        (Key::Right, 1),
        (Key::Down, 4),
        (Key::Char('j'), 7),
        (Key::Left, 6),
        (Key::Up, 3),
        (Key::Char('k'), 0),
        (Key::Up, 0),
        (Key::Left, 0),
        (Key::End, 15),
        (Key::Down, 15),
        (Key::Up, 12),
        (Key::Home, 0),
    ] {
        key(&mut app, pressed);
        assert_eq!(row(&app), at, "after {pressed}");
    }
    key(&mut app, Key::PageDown);
    assert!(row(&app) >= 9 && row(&app).is_multiple_of(3), "a screen of cards: {}", row(&app));
    let name = selected(&app);
    key(&mut app, Key::Enter);
    assert_eq!(app.vm_page().map(|page| page.name.to_string()), Some(name));
    key(&mut app, Key::Left);
    assert_eq!((app.page(), app.mode()), (Page::Fleet, Mode::Cards));
}

#[test]
fn a_down_from_the_line_above_a_short_one_reaches_its_last_card() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::with(7);
    app.update(Message::Frame(host.cycle()));
    app.update(Message::Resize { width: 120, height: 22 });
    press(&mut app, "v");
    for (pressed, at) in [(Key::Home, 0), (Key::Right, 1), (Key::Right, 2), (Key::Down, 5), (Key::Down, 6)] {
        key(&mut app, pressed);
        assert_eq!(app.fleet().selected_row(), Some(at), "after {pressed}");
    }
}

#[test]
fn the_list_of_columns_has_the_keys_while_it_is_open_and_no_longer() {
    let (mut app, _host) = running(5);
    press(&mut app, "f");
    assert_eq!((app.mode(), app.overlay()), (Mode::Columns, Overlay::Columns));
    let effects = press(&mut app, "s ");
    assert!(!effects.contains(&Effect::StopCollection), "{effects:?}");
    assert!(app.frozen_at().is_none());
    assert!(!app.fleet().columns().all()[0].1, "space chose");
    key(&mut app, Key::Enter);
    assert!(app.fleet().columns().are_usual(), "Enter chose again");
    key(&mut app, Key::Esc);
    assert_eq!(app.mode(), Mode::Fleet);
    assert_eq!(press(&mut app, "s"), [Effect::StopCollection]);
    press(&mut app, "fq");
    assert_eq!(app.mode(), Mode::Fleet, "q closes the list, not the program");
}

#[test]
fn sorting_goes_through_the_columns_that_are_shown() {
    let (mut app, _host) = running(5);
    app.fleet.columns = columns::Columns::of(&[SortKey::Rss, SortKey::Cpu]);
    let mut seen = Vec::new();
    for _ in 0..4 {
        press(&mut app, "o");
        seen.push(app.fleet().sort().0);
    }
    assert_eq!(seen, [SortKey::Change, SortKey::Name, SortKey::Rss, SortKey::Cpu]);
}

#[test]
fn a_value_counts_as_over_its_threshold_since_it_crossed_it_and_until_it_fell_well_below() {
    let (mut app, mut host) = running(20);
    let name = "windows-dc";
    let mut cycle = |app: &mut App, load: f64, times: usize| {
        host.set_load(name, load);
        for _ in 0..times {
            app.update(Message::Frame(host.cycle()));
        }
    };
    cycle(&mut app, 0.01, 3);
    assert_eq!(cpu_of(&app, name), None);
    cycle(&mut app, 9.0, 3);
    assert_eq!(cpu_of(&app, name), None, "a burst is no news");
    cycle(&mut app, 9.0, 30);
    let (percent, critical, lasts) = cpu_of(&app, name).unwrap();
    assert!(percent > 99.0 && critical);
    assert!(lasts.unwrap().abs_diff(Duration::from_secs(32)) <= Duration::from_secs(1), "{lasts:?}");
    cycle(&mut app, 0.01, 1);
    assert_eq!(cpu_of(&app, name), None, "once it fell well below, it is over");
}

#[test]
fn a_value_that_swings_around_its_threshold_is_one_crossing() {
    let frame = |percent: f64, seconds: u64| {
        let mut host = Host::with(1);
        host.cycle();
        let frame = host.cycle();
        let mut domain = (*frame.domains[0]).clone();
        domain.rates.cpu_percent = Ok(percent);
        let mono = crate::model::MonoTime(seconds * 1_000_000_000);
        // The wall clock jumps an hour ahead on the way.
        let jump = if seconds >= 40 { 3600 } else { 0 };
        Frame { at: at(seconds + jump), mono, domains: vec![Arc::new(domain)].into(), ..(*frame).clone() }
    };
    let mut attention = attention::Attention::new((70.0, 90.0));
    let mut seen = Vec::new();
    for (second, percent) in (0..).zip([60.0, 71.0, 69.0, 72.0, 66.0, 71.0, 65.0, 92.0, 89.0, 64.9, 69.0]) {
        let frame = frame(percent, second * 10);
        attention.follow(&frame);
        attention.look(&frame);
        seen.push(attention.list().first().map(|concern| match &concern.matter {
            Matter::Over { threshold, lasts, .. } => (*threshold, lasts.unwrap().as_secs()),
            other => panic!("{other:?}"),
        }));
    }
    let over = |threshold, lasts| Some((threshold, lasts));
    assert_eq!(
        seen,
        [
            None,
            None,
            over(70.0, 10),
            over(70.0, 20),
            over(70.0, 30),
            over(70.0, 40),
            over(70.0, 50),
            over(70.0, 60),
            over(90.0, 10),
            None,
            None
        ]
    );
}

#[test]
fn a_frozen_screen_names_what_needed_somebody_then() {
    let (mut app, mut host) = running(HANGS_AT + 10);
    let then = app.attention().list().to_vec();
    assert_eq!(&*then[0].name, "web-batch");
    press(&mut app, "p");
    host.remove("web-batch");
    for _ in 0..20 {
        app.update(Message::Frame(host.cycle()));
    }
    assert_eq!(app.attention().list(), then);
    press(&mut app, "p");
    assert!(app.attention().list().iter().all(|concern| &*concern.name != "web-batch"));
}

#[test]
fn troubles_of_late_and_vms_stopped_by_an_error_are_named() {
    use crate::model::{DomainState, Happening, timeline::Weight};
    let mut host = Host::with(3);
    host.cycle();
    let frame = host.cycle();
    let mut domains = frame.domains.clone();
    let happening = |seconds, weight, text: &str| Happening {
        at: at(seconds),
        since: at(seconds),
        text: text.into(),
        weight,
    };
    let mut first = (*domains[0]).clone();
    first.timeline = [
        happening(1, Weight::Trouble, "long ago"),
        happening(700, Weight::Trouble, "I/O error on vdb"),
        happening(701, Weight::Note, "disk vdc attached"),
    ]
    .into();
    let mut second = (*domains[1]).clone();
    (second.reading.state, second.reading.state_reason) = (DomainState::Paused, 5);
    domains[0] = Arc::new(first);
    domains[1] = Arc::new(second);
    let frame = |seconds| Frame { at: at(seconds), domains: domains.clone(), ..(*frame).clone() };
    let mut attention = attention::Attention::new((99.9, 100.0));
    attention.look(&frame(720));
    let matters: Vec<_> = attention.list().iter().map(|c| c.matter.clone()).collect();
    let trouble = Matter::Trouble { at: at(700), text: "I/O error on vdb".into() };
    assert_eq!(matters, [Matter::Stopped { by: "I/O error" }, trouble]);
    attention.look(&frame(1400));
    assert_eq!(attention.total(), 1, "a trouble of long ago is history");
}

#[test]
fn top_movers_compare_with_five_minutes_ago() {
    let (mut app, mut host) = running(30);
    while app.fleet().sort().0 != SortKey::Change {
        press(&mut app, "o");
    }
    let uuid = host.uuid("windows-dc");
    assert_eq!((app.movers().change(uuid), app.movers().span()), (None, None), "too little is known");
    for _ in 0..60 {
        app.update(Message::Frame(host.cycle()));
    }
    let span = app.movers().span().unwrap();
    assert!((60..90).contains(&span.as_secs()), "against the beginning: {span:?}");
    for _ in 0..300 {
        app.update(Message::Frame(host.cycle()));
    }
    let quiet = app.movers().change(uuid).unwrap();
    assert!(quiet.degrees.abs() < 5.0, "{quiet:?}");
    host.set_load("windows-dc", 0.9);
    for _ in 0..30 {
        app.update(Message::Frame(host.cycle()));
    }
    assert_eq!(app.movers().span().map(|span| span.as_secs()), Some(300));
    let change = app.movers().change(uuid).unwrap();
    assert_eq!(change.metric, Metric::Cpu);
    assert!(change.degrees > 25.0, "{change:?}");
    let order = shown(&app);
    let place = |name: &str| order.iter().position(|shown| shown == name).unwrap();
    assert!(place("windows-dc") <= 2, "{order:?}");
    assert!(place("fresh-boot") > place("windows-dc"), "of it no past is known: {order:?}");
    // The same load for five more minutes is no change any more.
    for _ in 0..320 {
        app.update(Message::Frame(host.cycle()));
    }
    let settled = app.movers().change(uuid).unwrap();
    assert!(settled.degrees.abs() < 20.0, "{settled:?}");
}

#[test]
fn a_vm_that_is_late_for_a_cycle_keeps_its_place() {
    use crate::model::{DomainRates, Missing, frame::Health};
    let (mut app, mut host) = running(20);
    let order = shown(&app);
    let frame = host.cycle();
    let late = Missing::new(Why::NoAnswerYet);
    let domains = frame.domains.iter().map(|domain| {
        if &*domain.identity().name != "builder" {
            return Arc::clone(domain);
        }
        let mut unread = (**domain).clone();
        (unread.rates, unread.health) = (DomainRates::missing(late), Health::Impaired(late));
        (unread.fresh, unread.last) = (false, Some(Arc::clone(domain)));
        Arc::new(unread)
    });
    app.update(Message::Frame(Arc::new(Frame { domains: domains.collect(), ..(*frame).clone() })));
    let place = |order: &[String]| order.iter().position(|name| name == "builder");
    assert_eq!(place(&shown(&app)), place(&order));
}
