//! Numbers of an earlier cycle: of VMs that wait for their turn, and of one
//! that another job holds.

use ratatui::style::{Modifier, Style};

use super::*;
use crate::{
    app::{
        Key,
        fixtures::{Host, at, collector, delivering, settings, store},
    },
    model::status::{CollectionState, CollectorStatus, SilentDomain, StoreState},
};

/// A host whose memory and disks are read every third cycle, and `name` held
/// by another job for the last `held` cycles.
fn in_turns(cycles: u64, held: Option<(&str, u64)>) -> App {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    host.spread(3);
    for cycle in 0..cycles {
        if let Some((name, _)) = held.filter(|(_, held)| cycle + held == cycles) {
            host.occupy(name);
        }
        app.update(Message::Frame(host.cycle()));
    }
    app.update(Message::Tick(at(cycles)));
    let status = collector(CollectionState::Running { since: at(0) });
    let mut silent = status.silent.clone();
    if let Some((name, held)) = held {
        let why = format!("busy with another job since {}", at(cycles + 1 - held).hms());
        silent.push(SilentDomain { name: name.to_owned(), why });
    }
    app.update(Message::Collector(CollectorStatus { round: 3, silent, ..status }));
    app.update(Message::Delivery(delivering(), store(StoreState::Writable)));
    app
}

fn press(app: &mut App, keys: &[Key]) {
    for &key in keys {
        app.update(Message::Key(key));
    }
}

fn open(app: &mut App, name: &str) {
    press(app, &[Key::Char('/')]);
    app.update(Message::Paste(name.to_owned()));
    press(app, &[Key::Enter, Key::Enter]);
}

fn row<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find(|line| line.contains(name)).unwrap()
}

/// The style of the first cell of `what` in the row of `name`.
fn style_of(buf: &Buffer, name: &str, what: &str) -> Style {
    let text = text_of(buf);
    let (y, line) = text.lines().enumerate().find(|(_, line)| line.contains(name)).unwrap();
    let x = line[..line.find(what).unwrap_or_else(|| panic!("{what}: {line}"))].chars().count();
    buf[(u16::try_from(x).unwrap(), u16::try_from(y).unwrap())].style()
}

#[test]
fn a_staggered_fleet_shows_everybody_every_cycle() {
    let app = in_turns(120, None);
    for (width, height) in [(80, 24), (200, 50)] {
        let text = picture(&app, width, height);
        insta::assert_snapshot!(format!("turns-{width}x{height}"), text);
        assert!(!text.contains("not due"), "a turn is no news: {text}");
    }
    let old: Vec<String> = (119..122)
        .map(|cycles| {
            let text = picture(&in_turns(cycles, None), 80, 24);
            text.lines().rev().nth(1).unwrap().to_owned()
        })
        .filter(|bottom| bottom.contains("memory and disks read "))
        .collect();
    assert_eq!(old.len(), 2, "in two of three cycles: {old:#?}");
    let text = picture(&app, 200, 50);
    assert!(text.contains("memory, disks every 3 cycles"), "{text}");
    assert!(text.contains('~') && text.contains("% of memory given"), "a sum of old sizes says so: {text}");
}

#[test]
fn old_numbers_have_an_ink_of_their_own_in_every_theme_and_alarms_keep_theirs() {
    // Cycle by cycle another third is fresh: some cycle has this one old.
    let mut app = in_turns(120, None);
    let old = |app: &App| app.domain(uuid(app, "web-frontend-2")).unwrap().last_memory().is_some();
    if !old(&app) {
        app = in_turns(121, None);
    }
    assert!(old(&app));
    for _ in 0..4 {
        let mut screen = Screen::new(app.screen());
        let buf = drawn(&mut screen, &app, 200, 50);
        let palette = Palette::of(app.theme());
        let drawn = style_of(&buf, "web-frontend-2", "45%");
        assert_eq!(drawn.fg, palette.old.fg.or(drawn.fg), "{:?}", app.theme());
        assert_eq!(
            drawn.add_modifier.contains(Modifier::DIM),
            palette.old.add_modifier.contains(Modifier::DIM)
        );
        assert_ne!(palette.old, palette.text, "{:?}", app.theme());
        let fresh = style_of(&buf, "web-frontend-2", "28%");
        assert!(!fresh.add_modifier.contains(Modifier::DIM), "CPU is read in every cycle");
        press(&mut app, &[Key::Char('t')]);
    }
}

fn uuid(app: &App, name: &str) -> uuid::Uuid {
    let frame = app.frame().unwrap();
    frame.domains.iter().find(|d| &*d.identity().name == name).unwrap().identity().uuid
}

#[test]
fn a_busy_vm_shows_its_last_numbers_with_their_age() {
    let mut app = in_turns(120, Some(("db-replica", 40)));
    for (width, height) in [(80, 24), (200, 50)] {
        let text = picture(&app, width, height);
        insta::assert_snapshot!(format!("busy-{width}x{height}"), text);
        let row = row(&text, "db-replica");
        assert!(row.contains('◐') && row.contains("92%"), "{row}");
        let age = if width == 80 { " 41s" } else { "busy 41s" };
        assert!(row.contains(age), "{row}");
    }
    press(&mut app, &[Key::Char('/')]);
    app.update(Message::Paste("db-replica".to_owned()));
    press(&mut app, &[Key::Enter]);
    let text = picture(&app, 120, 24);
    let bottom = text.lines().rev().nth(1).unwrap();
    assert!(bottom.contains("busy with another job since 14:01:21, read 4"), "{bottom}");
}

#[test]
fn the_page_of_a_vm_that_waits_for_its_turn_says_how_old_its_numbers_are() {
    let mut app = in_turns(120, None);
    let waiting = app
        .frame()
        .unwrap()
        .domains
        .iter()
        .find(|d| d.last_disks().is_some() && d.identity().name.starts_with("db-"))
        .unwrap()
        .identity()
        .name
        .clone();
    open(&mut app, &waiting);
    for (width, height) in [(80, 24), (120, 40), (200, 50)] {
        let text = picture(&app, width, height);
        insta::assert_snapshot!(format!("vm-turns-{width}x{height}"), text);
        for panel in [" memory ─", " disk ─"] {
            let title = text.lines().find(|line| line.contains(panel)).unwrap();
            assert!(title.contains(" s ago"), "{title}");
        }
        assert!(!text.contains("– not due"), "{text}");
    }
    let text = picture(&app, 120, 40);
    assert!(row(&text, " vda ").contains('K') || row(&text, " vda ").contains('M'), "its numbers: {text}");
}

#[test]
fn the_page_of_a_busy_vm_says_why_and_since_when() {
    let mut app = in_turns(120, Some(("db-replica", 40)));
    open(&mut app, "db-replica");
    let text = picture(&app, 200, 50);
    insta::assert_snapshot!("vm-busy-200x50", text);
    let disks = text.lines().find(|line| line.contains(" disks ─")).unwrap();
    assert!(disks.contains("busy with another job since 14:01:21, read 4"), "{disks}");
    press(&mut app, &[Key::Down]);
    let text = picture(&app, 120, 40);
    assert!(text.lines().rev().nth(1).unwrap().contains("busy with another job"), "{text}");
}

#[test]
fn the_status_page_tells_the_turns() {
    let mut app = in_turns(120, Some(("db-replica", 40)));
    press(&mut app, &[Key::Char('c')]);
    let text = picture(&app, 120, 40);
    insta::assert_snapshot!("status-turns-120x40", text);
    assert!(text.contains("memory, disks in turns, of each VM every 3 cycles (3 s)"), "{text}");
    assert!(text.contains("db-replica: busy with another job since"), "{text}");
}
