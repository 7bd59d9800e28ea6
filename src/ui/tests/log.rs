//! The log page: what was logged, searched for, and by whom it was said.

use super::*;
use crate::app::{Key, fixtures::running};

/// Logs as the rooms do. The ring is one for all tests of this process, so
/// that each looks for words of its own.
fn log(lines: &[(&'static str, &str)]) {
    use tracing_subscriber::layer::SubscriberExt;
    tui_logger::set_default_level(tui_logger::LevelFilter::Trace);
    let subscriber = tracing_subscriber::registry().with(tui_logger::TuiTracingSubscriberLayer);
    tracing::subscriber::with_default(subscriber, || {
        for (room, text) in lines {
            match *room {
                "delivery" => tracing::warn!(target: "kvmscope::delivery::sender", "{text}"),
                "journal" => tracing::warn!(target: "kvmscope::journal", "{text}"),
                "libvirt" => tracing::warn!(target: "kvmscope::libvirt", "{text}"),
                _ => tracing::debug!(target: "kvmscope::runtime", "{text}"),
            }
        }
    });
    tui_logger::move_events();
}

fn press(app: &mut App, keys: &[Key]) {
    for &key in keys {
        app.update(Message::Key(key));
    }
}

fn write(app: &mut App, text: &str) {
    app.update(Message::Key(Key::Char('/')));
    app.update(Message::Paste(text.to_owned()));
}

#[test]
fn a_search_shows_what_has_it_and_marks_where() {
    log(&[
        ("delivery", "the Zebrafish answered 503"),
        ("libvirt", "another animal"),
        ("journal", "a zebrafish again\nforged"),
        ("debug", "a fine zebrafish"),
    ]);
    let (mut app, _host) = running(5);
    press(&mut app, &[Key::Char('l')]);
    write(&mut app, "ZEBRAFISH");
    let mut screen = Screen::new(app.screen());
    let buf = drawn(&mut screen, &app, 100, 24);
    let text = text_of(&buf);
    assert!(
        text.contains("the Zebrafish answered 503") && text.contains("a zebrafish again_forged"),
        "{text}"
    );
    assert!(!text.contains("another animal") && !text.contains("a fine zebrafish"), "{text}");
    assert!(text.contains("“ZEBRAFISH”: 2 of "), "{text}");
    assert!(text.lines().next_back().unwrap().contains("/ZEBRAFISH"), "the line that is written: {text}");
    let y = text.lines().position(|line| line.contains("the Zebrafish")).unwrap();
    let x = text.lines().nth(y).unwrap().chars().position(|c| c == 'Z').unwrap();
    let style = |x: usize| buf[(u16::try_from(x).unwrap(), u16::try_from(y).unwrap())].style();
    assert_ne!(style(x), style(x - 2), "what was found stands out");
    press(&mut app, &[Key::Enter, Key::Char('>')]);
    let text = text_of(&drawn(&mut screen, &app, 100, 24));
    assert!(text.contains("a fine zebrafish") && text.contains(": 3 of "), "{text}");
    press(&mut app, &[Key::Tab, Key::Tab, Key::Tab]);
    let text = text_of(&drawn(&mut screen, &app, 100, 24));
    assert!(text.contains("from delivery, “ZEBRAFISH”: 2 of "), "{text}");
    press(&mut app, &[Key::Esc, Key::BackTab, Key::BackTab, Key::BackTab]);
    let text = text_of(&drawn(&mut screen, &app, 100, 24));
    assert!(!text.contains(" of ") || !text.contains("ZEBRAFISH”"), "{text}");
    assert_eq!(app.page(), Page::Log, "the first Esc drops the search");
    press(&mut app, &[Key::Esc]);
    assert_eq!(app.page(), Page::Fleet);
}

#[test]
fn what_was_found_is_paged_through_and_the_end_follows() {
    let many: Vec<String> = (0..100).map(|n| format!("quagga number {n:03}")).collect();
    let lines: Vec<_> = many.iter().map(|text| ("delivery", text.as_str())).collect();
    log(&lines);
    let (mut app, _host) = running(5);
    press(&mut app, &[Key::Char('l')]);
    write(&mut app, "quagga");
    press(&mut app, &[Key::Enter]);
    let mut screen = Screen::new(app.screen());
    let newest = text_of(&drawn(&mut screen, &app, 100, 24));
    assert!(newest.contains("number 099") && !newest.contains("number 050"), "{newest}");
    let mut seen = String::new();
    for _ in 0..8 {
        press(&mut app, &[Key::PageUp]);
        seen += &text_of(&drawn(&mut screen, &app, 100, 24));
    }
    assert!(seen.contains("number 050") && seen.contains("number 000"));
    press(&mut app, &[Key::End]);
    log(&[("delivery", "quagga number 100")]);
    let text = text_of(&drawn(&mut screen, &app, 100, 24));
    assert!(text.contains("number 100") && text.contains("number 099"), "{text}");
}

#[test]
fn the_title_says_where_the_log_is_kept_and_e_says_it_too() {
    let (mut app, _host) = running(5);
    press(&mut app, &[Key::Char('l')]);
    let text = picture(&app, 120, 24);
    assert!(text.contains("kept in /var/lib/kvmscope/kvmscope.log"), "{text}");
    press(&mut app, &[Key::Char('e')]);
    assert!(app.notice().unwrap().contains("/var/lib/kvmscope/kvmscope.log"));
    // Too narrow for all of it: what is shown goes before where it is kept.
    let text = picture(&app, 44, 12);
    let title = text.lines().find(|line| line.starts_with(" log ")).unwrap();
    assert!(title.contains("info and graver") && !title.contains("kept in"), "{title}");
}
