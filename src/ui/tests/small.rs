//! Small terminals: every page at 40 by 12 is degraded but true, and below
//! the limit there is a polite line.

use super::*;
use crate::app::{
    Key,
    fixtures::{at, dead_server, store},
};

/// Every page there is, with the keys that lead there from the fleet.
pub fn pages() -> Vec<(&'static str, App)> {
    let to = |filter: &str, keys: &[Key]| after(filter, keys, (40, 12));
    let key = Key::Char;
    let xml = {
        let mut app = to("db-primary", &[Key::Enter, key('x')]);
        let uuid = app.xml().unwrap().uuid;
        let text = "<domain type='kvm'>\n  <name>db-primary</name>\n  <vcpu>16</vcpu>\n</domain>\n";
        app.update(Message::Xml(uuid, Ok(text.into())));
        app
    };
    let question = {
        let mut app = to("", &[]);
        let why = "no space left on device".to_owned();
        let failing = crate::model::status::StoreState::Failing { why, since: at(100) };
        app.update(Message::Delivery(dead_server(), store(failing)));
        app.update(Message::Key(key('q')));
        app
    };
    vec![
        ("fleet", to("", &[])),
        ("filtered", to("web", &[])),
        ("filtering", to("", &[key('/'), key('d'), key('b')])),
        ("cards", to("", &[key('v')])),
        ("columns", to("", &[key('f')])),
        ("vm", to("db-primary", &[Key::Enter])),
        ("vm-disks", to("db-primary", &[Key::Enter, Key::Tab, Key::Tab])),
        ("vm-hung", to("web-batch", &[Key::Enter])),
        ("xml", xml),
        ("status", to("", &[key('c')])),
        ("log", to("", &[key('l')])),
        ("help", to("", &[key('?')])),
        ("looking-back", to("", &[key('p'), key('['), key('[')])),
        ("stopped", to("", &[key('s')])),
        ("export", to("", &[key('e')])),
        ("quit", question),
    ]
}

#[test]
fn every_page_in_40_by_12_and_in_half_of_80_by_24() {
    for (width, height) in [(40, 12), (80, 11)] {
        let mut all = String::new();
        // What was logged depends on the tests that ran before.
        for (name, app) in pages().into_iter().filter(|(name, _)| *name != "log") {
            all.extend(["──── ", name, "\n", &picture(&app, width, height)]);
        }
        insta::assert_snapshot!(format!("pages-{width}x{height}"), all);
    }
}

#[test]
fn a_question_always_shows_its_answers() {
    for (name, app) in pages() {
        let answers: &[&str] = match name {
            "export" => &["export", "c CSV", "j JSON", "Esc no"],
            "quit" => &["Quit and lose 150 lines?", "y yes", "n no"],
            _ => continue,
        };
        for width in [40, 60, 80, 200] {
            let text = picture(&app, width, 12);
            let footer = text.lines().last().unwrap();
            for answer in answers {
                assert!(footer.contains(answer), "{width}: {footer}");
            }
        }
        let whole = if name == "quit" { "nothing delivers them" } else { "into the working directory" };
        assert!(picture(&app, 80, 24).contains(whole), "{name}");
    }
}

#[test]
fn below_the_limit_a_polite_line_and_what_goes_on() {
    for (name, app) in pages() {
        for (width, height) in [(39, 24), (80, 7), (20, 5)] {
            let text = picture(&app, width, height);
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.starts_with("a larger window, please: 40×8 or more"), "{name}: {text}");
            let collecting = if name == "stopped" { "■ stopping…" } else { "● collecting 1 s" };
            assert!(words.contains(collecting), "{name} at {width}x{height}: {text}");
        }
        assert!(!picture(&app, 40, 8).contains("larger window"), "{name}");
    }
}
