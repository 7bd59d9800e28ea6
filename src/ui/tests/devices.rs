//! The tables of NICs and disks on a VM's page: their order, and what the
//! cursor stays on.

use std::sync::Arc;

use super::*;
use crate::{
    app::{
        Key, Target,
        fixtures::{Host, running},
    },
    model::{
        Frame, Missing, Why,
        domain::NicDevice,
        reading::{NicCounters, NicReading},
    },
};

const VM: &str = "web-frontend-1";

fn press(app: &mut App, keys: &str) {
    for c in keys.chars() {
        let key = match c {
            '\n' => Key::Enter,
            '\t' => Key::Tab,
            '↓' => Key::Down,
            '↑' => Key::Up,
            '⤓' => Key::End,
            c => Key::Char(c),
        };
        app.update(Message::Key(key));
    }
}

/// A frame in which the VM has these NICs, each with its receive rate, or no
/// counters.
fn frame(host: &mut Host, nics: &[(&str, Option<f64>)]) -> Arc<Frame> {
    let mut frame = (*host.cycle()).clone();
    for domain in frame.domains.iter_mut().filter(|d| &*d.identity().name == VM) {
        let domain = Arc::make_mut(domain);
        let like = domain.rates.nics[0].1;
        let device = |name: &str| NicDevice { name: name.into(), ..domain.devices.nics[0].clone() };
        let mut devices = (*domain.devices).clone();
        devices.nics = nics.iter().map(|(name, _)| device(name)).collect();
        let reading = nics.iter().map(|(name, rate)| NicReading {
            name: (*name).into(),
            counters: match rate {
                Some(_) => Ok(NicCounters { rx_bytes: Some(1), ..NicCounters::default() }),
                None => Err(Missing::new(Why::UserModeNic)),
            },
        });
        domain.reading.nics = Ok(reading.collect());
        let counted = nics.iter().filter_map(|(name, rate)| Some((*name, (*rate)?)));
        domain.rates.nics = counted
            .map(|(name, rate)| {
                let mut rates = like;
                rates.rx_bytes_per_s = Ok(rate);
                (name.into(), rates)
            })
            .collect();
        domain.devices = Arc::new(devices);
    }
    Arc::new(frame)
}

/// The NICs in the order drawn, and the selected one.
fn drawn_nics(app: &App) -> (Vec<String>, Option<String>) {
    let text = picture(app, 120, 60);
    let rows = text.lines().skip_while(|line| !line.starts_with(" NICs ─")).skip(2);
    let rows: Vec<&str> = rows.take_while(|line| !line.trim().is_empty()).collect();
    let name = |row: &str| row.trim_start_matches('▶').split_whitespace().next().unwrap().to_owned();
    let selected = rows.iter().find(|row| row.starts_with('▶')).map(|row| name(row));
    (rows.iter().map(|row| name(row)).collect(), selected)
}

#[test]
fn nics_are_sorted_by_the_column_chosen_and_what_has_no_number_comes_last() {
    let (mut app, mut host) = running(5);
    let nics = [("net0", Some(20.0)), ("net1", None), ("net2", Some(3e6)), ("net3", Some(500.0))];
    app.update(Message::Frame(frame(&mut host, &nics)));
    press(&mut app, &format!("/{VM}\n\n\t"));
    assert_eq!(drawn_nics(&app).0, ["net0", "net1", "net2", "net3"], "as the XML has them");
    press(&mut app, "o");
    assert_eq!(drawn_nics(&app).0, ["net2", "net3", "net0", "net1"]);
    let text = picture(&app, 120, 60);
    assert!(text.contains("by rx B/s ▼") && text.contains("▼rx B/s"), "{text}");
    press(&mut app, "O");
    assert_eq!(drawn_nics(&app).0, ["net0", "net3", "net2", "net1"]);
    assert!(picture(&app, 120, 60).contains("by rx B/s ▲"));
    // Through all columns, the name last, and back to the XML's order.
    press(&mut app, "oooooooo");
    assert_eq!(drawn_nics(&app).0, ["net0", "net1", "net2", "net3"]);
    assert!(picture(&app, 120, 60).contains("by NIC ▲"));
    press(&mut app, "o");
    assert!(!picture(&app, 120, 60).contains("by NIC"));
    press(&mut app, "O");
    assert_eq!(drawn_nics(&app).0, ["net3", "net2", "net1", "net0"]);
    // The disks have an order of their own.
    press(&mut app, "\to");
    let text = picture(&app, 120, 60);
    assert!(text.contains("by read B/s ▼") && text.contains("reversed"), "{text}");
}

#[test]
fn the_cursor_stays_on_its_device_while_rows_change_places_come_and_go() {
    let (mut app, mut host) = running(5);
    let mut show = |app: &mut App, nics: &[(&str, Option<f64>)]| {
        app.update(Message::Frame(frame(&mut host, nics)));
    };
    show(&mut app, &[("net0", Some(1.0)), ("net1", Some(2.0)), ("net2", Some(3.0))]);
    press(&mut app, &format!("/{VM}\n\n\to↑"));
    let selected = |app: &App| drawn_nics(app).1.unwrap();
    assert_eq!((drawn_nics(&app).0.join(" "), selected(&app)), ("net2 net1 net0".into(), "net1".into()));
    show(&mut app, &[("net0", Some(1.0)), ("net1", Some(9.0)), ("net2", Some(3.0))]);
    assert_eq!((drawn_nics(&app).0.join(" "), selected(&app)), ("net1 net2 net0".into(), "net1".into()));
    show(&mut app, &[("new", Some(99.0)), ("net1", Some(0.5)), ("net2", Some(3.0))]);
    assert_eq!((drawn_nics(&app).0.join(" "), selected(&app)), ("new net2 net1".into(), "net1".into()));
    press(&mut app, "O");
    assert_eq!(selected(&app), "net1");
    // It is unplugged: what took its place is selected.
    show(&mut app, &[("new", Some(99.0)), ("net2", Some(3.0))]);
    assert_eq!(selected(&app), "net2");
    show(&mut app, &[]);
    assert_eq!(app.vm_page().unwrap().pane(), crate::app::Pane::Angles);
}

#[test]
fn a_click_selects_the_device_that_was_drawn_there() {
    let (mut app, mut host) = running(5);
    app.update(Message::Frame(frame(&mut host, &[("net0", Some(1.0)), ("net1", Some(2.0))])));
    press(&mut app, &format!("/{VM}\n\n\to"));
    let mut screen = Screen::new(app.screen());
    let text = text_of(&drawn(&mut screen, &app, 120, 60));
    let y = text.lines().position(|line| line.starts_with("  net1")).unwrap();
    let click = screen.resolve(Message::Mouse(Mouse::Press { x: 12, y: u16::try_from(y).unwrap() }));
    assert!(matches!(click, Message::Mouse(Mouse::Click(Target::Line(..)))), "{click:?}");
    app.update(click);
    assert_eq!(drawn_nics(&app).1.unwrap(), "net1");
}

#[test]
fn a_long_table_scrolls_within_itself_and_says_where_it_is() {
    let (mut app, mut host) = running(5);
    let names: Vec<String> = (0..100).map(|n| format!("net{n:02}")).collect();
    let nics: Vec<(&str, Option<f64>)> = names.iter().map(|name| (name.as_str(), Some(1.0))).collect();
    app.update(Message::Frame(frame(&mut host, &nics)));
    press(&mut app, &format!("/{VM}\n\n\t"));
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let mut screen = Screen::new(app.screen());
        press(&mut app, "g");
        let text = text_of(&drawn(&mut screen, &app, width, height));
        assert!(text.contains("NIC  ") && text.contains("▶ net00") && text.contains(" of 100"), "{text}");
        press(&mut app, "⤓");
        let text = text_of(&drawn(&mut screen, &app, width, height));
        assert!(text.contains("▶ net99") && text.contains("–100 of 100"), "{text}");
        assert!(text.contains("NIC  "), "its headings stay in view: {text}");
    }
}

#[test]
fn every_dash_of_a_device_says_why_when_it_is_selected() {
    let (mut app, mut host) = running(5);
    let mut anew = (*frame(&mut host, &[("net0", Some(1.0))])).clone();
    for domain in anew.domains.iter_mut().filter(|d| &*d.identity().name == VM) {
        let domain = Arc::make_mut(domain);
        let mut devices = (*domain.devices).clone();
        devices.nics[0] = NicDevice {
            name: "net0".into(),
            alias: None,
            uncounted: None,
            model: None,
            mac: None,
            source: None,
        };
        devices.os = None;
        devices.autostart = None;
        domain.devices = Arc::new(devices);
        domain.rates.nics[0].1.tx_packets_per_s = Err(Missing::new(Why::CounterRestarted));
    }
    app.update(Message::Frame(Arc::new(anew)));
    press(&mut app, &format!("/{VM}\n\n\t"));
    let below = |app: &App| picture(app, 250, 60).lines().rev().nth(1).unwrap().to_owned();
    let line = below(&app);
    for word in [
        "model: not in the XML",
        "MAC: not in the XML",
        "tx packets: counter restarted",
        "tx total not offered",
        "errors not offered",
    ] {
        assert!(line.contains(word), "{word}: {line}");
    }
    app.update(Message::Key(Key::BackTab));
    app.update(Message::Key(Key::BackTab));
    for (down, word) in [
        (0, "550e8400-e29b-41d4-a716-000000000000"),
        (2, "the XML names none (libosinfo or <title>)"),
        (2, "not offered by this hypervisor"),
    ] {
        press(&mut app, &"↓".repeat(down));
        assert!(below(&app).contains(word), "{word}: {}", below(&app));
    }
}
