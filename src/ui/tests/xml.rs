//! The XML of a VM: asked for, waited for, shown, refused.

use super::*;
use crate::app::{
    Effect, Key, Mode,
    fixtures::{at, running},
};

const XML: &str = "<domain type='kvm' id='1'>\n  <name>web-frontend-1</name>\n  <memory unit='KiB'>8388608</memory>\n\
                   \x20 <devices>\n    <disk type='file' device='disk'>\n      \
                   <source file='/var/lib/libvirt/images/root.qcow2'/>\n    </disk>\n  </devices>\n</domain>\n";

fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for c in keys.chars() {
        let key = match c {
            '\n' => Key::Enter,
            '\u{1b}' => Key::Esc,
            c => Key::Char(c),
        };
        effects.extend(app.update(Message::Key(key)));
    }
    effects
}

fn asked() -> (App, uuid::Uuid) {
    let (mut app, host) = running(120);
    let uuid = host.uuid("web-frontend-1");
    assert_eq!(press(&mut app, "/web-frontend-1\n\nx"), [Effect::Xml(uuid)]);
    (app, uuid)
}

#[test]
fn the_page_says_that_it_waits_then_shows_the_xml_then_goes_back() {
    let (mut app, uuid) = asked();
    app.update(Message::Tick(at(123)));
    let text = picture(&app, 80, 24);
    assert!(text.contains("‹ web-frontend-1  XML") && text.contains("asked for it 3 s ago"), "{text}");
    app.update(Message::Xml(uuid, Ok(XML.into())));
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        insta::assert_snapshot!(format!("xml-{width}x{height}"), picture(&app, width, height));
    }
    assert_eq!(app.mode(), Mode::Xml);
    press(&mut app, "c");
    press(&mut app, "c");
    assert_eq!(app.mode(), Mode::Xml, "back from the status page");
    assert!(press(&mut app, "\u{1b}").is_empty());
    assert_eq!(app.mode(), Mode::Vm);
    assert_eq!(press(&mut app, "x"), [Effect::Xml(uuid)], "asked anew");
    assert!(picture(&app, 80, 24).contains("was asked for it"), "not the old one");
    press(&mut app, "x");
    assert_eq!(app.mode(), Mode::Vm);
}

#[test]
fn a_failure_says_why_and_what_to_do_and_an_answer_for_another_vm_is_nobodys() {
    let (mut app, uuid) = asked();
    app.update(Message::Xml(uuid::Uuid::from_u128(7), Ok("<other/>".into())));
    assert!(!picture(&app, 80, 24).contains("<other/>"));
    let why = "libvirt has not given it within 30 s; see whether libvirtd\u{1b}[31m hangs";
    app.update(Message::Xml(uuid, Err(why.into())));
    let text = picture(&app, 80, 24);
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        joined.contains("– libvirt has not given it within 30 s; see whether libvirtd [31m hangs"),
        "{text}"
    );
    assert!(joined.contains("Esc and x ask once more"), "{text}");
}

#[test]
fn a_long_xml_scrolls_and_says_how_much_is_below() {
    let (mut app, uuid) = asked();
    let long = (0..400).map(|n| format!("  <line n='{n}'/>\n")).collect::<Vec<_>>().concat();
    app.update(Message::Xml(uuid, Ok(format!("<domain>\n{long}</domain>").into())));
    let mut screen = Screen::new(app.screen());
    let text = text_of(&drawn(&mut screen, &app, 80, 24));
    assert!(text.contains("<domain>") && text.contains("381 more ▼"), "{text}");
    press(&mut app, "G");
    let text = text_of(&drawn(&mut screen, &app, 80, 24));
    assert!(text.contains("</domain>") && !text.contains("more ▼"), "{text}");
    press(&mut app, "g");
    drawn(&mut screen, &app, 80, 24);
    press(&mut app, "j");
    let text = text_of(&drawn(&mut screen, &app, 80, 24));
    assert!(!text.contains("<domain>") && text.contains("<line n='0'/>"), "{text}");
}

#[test]
fn of_a_very_large_xml_the_end_says_how_much_is_not_shown_and_keys_still_scroll() {
    let (mut app, uuid) = asked();
    let large = "<line n='1'/>\n".repeat(200_000);
    app.update(Message::Xml(uuid, Ok(large.into())));
    let mut screen = Screen::new(app.screen());
    drawn(&mut screen, &app, 80, 24);
    press(&mut app, "G");
    for (width, height) in [(80, 24), (120, 40)] {
        let text = text_of(&drawn(&mut screen, &app, width, height));
        assert!(text.contains("– 2.42 MB more not shown; virsh dumpxml has all"), "{text}");
    }
    press(&mut app, "kk");
    let text = text_of(&drawn(&mut screen, &app, 120, 40));
    assert!(text.contains("2 more ▼") && text.contains("<line n='1'/>"), "{text}");
}
