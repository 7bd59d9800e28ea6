//! The mouse: what is clicked is what was drawn there.

use super::*;
use crate::app::{
    Effect, Key, Mode,
    fixtures::{at, dead_server, running, store},
};

/// Clicks on the first `words` on the screen, and returns what is asked of the
/// runtime.
fn click(app: &mut App, screen: &mut Screen, size: (u16, u16), words: &str) -> Vec<Effect> {
    let buf = drawn(screen, app, size.0, size.1);
    let press = find(&buf, words).unwrap_or_else(|| panic!("{words:?} is not on:\n{}", text_of(&buf)));
    let message = screen.resolve(Message::Mouse(Mouse::Press { x: press.0, y: press.1 }));
    app.update(message)
}

/// Where `words` begin.
fn find(buf: &Buffer, words: &str) -> Option<(u16, u16)> {
    let area = buf.area;
    let cells: Vec<&str> = buf.content.iter().map(ratatui::buffer::Cell::symbol).collect();
    let wanted: Vec<String> = words.chars().map(String::from).collect();
    let at = cells.windows(wanted.len()).position(|window| window.iter().eq(wanted.iter()))?;
    let at = u16::try_from(at).unwrap();
    Some((at % area.width, at / area.width))
}

#[test]
fn the_keys_in_the_footer_can_be_clicked() {
    let size = (120, 24);
    let (mut app, _host) = running(120);
    let mut screen = Screen::new(app.screen());
    click(&mut app, &mut screen, size, "? help");
    assert_eq!(app.mode(), Mode::Help);
    // The footer lies beside the help and not under it.
    click(&mut app, &mut screen, size, "Esc back");
    assert_eq!(app.mode(), Mode::Fleet);
    click(&mut app, &mut screen, size, "c status");
    assert_eq!(app.mode(), Mode::Status);
    click(&mut app, &mut screen, size, "Esc back");
    assert_eq!(click(&mut app, &mut screen, size, "s stop"), [Effect::StopCollection]);
    assert_eq!(click(&mut app, &mut screen, size, "q quit"), [Effect::Quit]);
}

#[test]
fn a_question_is_answered_by_a_click_and_only_while_it_is_asked() {
    let size = (80, 24);
    let (mut app, _host) = running(120);
    let mut screen = Screen::new(app.screen());
    let why = "no space left on device".to_owned();
    let failing = crate::model::status::StoreState::Failing { why, since: at(100) };
    app.update(Message::Delivery(dead_server(), store(failing)));
    assert_eq!(click(&mut app, &mut screen, size, "q quit"), []);
    assert_eq!(app.mode(), Mode::Question);
    // Answered by a key before the click that was meant for it arrives.
    let buf = drawn(&mut screen, &app, size.0, size.1);
    let (x, y) = find(&buf, "y yes").unwrap();
    app.update(Message::Key(Key::Char('n')));
    let late = screen.resolve(Message::Mouse(Mouse::Press { x, y }));
    assert_eq!(app.update(late), []);
    click(&mut app, &mut screen, size, "q quit");
    assert_eq!(click(&mut app, &mut screen, size, "y yes"), [Effect::Quit]);
}

#[test]
fn cards_and_rows_are_selected_and_headings_sort() {
    let size = (120, 40);
    let (mut app, _host) = running(120);
    let mut screen = Screen::new(app.screen());
    let selected =
        |app: &App| app.domain(app.fleet().selected().unwrap()).unwrap().identity().name.to_string();
    click(&mut app, &mut screen, size, "db-replica");
    assert_eq!(selected(&app), "db-replica");
    click(&mut app, &mut screen, size, "NAME");
    assert_eq!(app.fleet().sort().0, crate::app::SortKey::Name);
    app.update(Message::Key(Key::Char('v')));
    click(&mut app, &mut screen, size, "builder");
    assert_eq!(selected(&app), "builder");
    // A click anywhere on a card means the card.
    let buf = drawn(&mut screen, &app, size.0, size.1);
    let (x, y) = find(&buf, "db-primary").unwrap();
    app.update(screen.resolve(Message::Mouse(Mouse::Press { x: x + 6, y: y + 3 })));
    assert_eq!(selected(&app), "db-primary");
}

#[test]
fn the_wheel_moves_what_is_in_front() {
    let (mut app, _host) = running(120);
    let before = app.fleet().selected_row();
    app.update(Message::Mouse(Mouse::Scroll(3)));
    assert_eq!(app.fleet().selected_row(), before.map(|row| row + 3));
    app.update(Message::Key(Key::Char('?')));
    let mut screen = Screen::new(app.screen());
    let first = text_of(&drawn(&mut screen, &app, 80, 24));
    app.update(Message::Mouse(Mouse::Scroll(3)));
    let second = text_of(&drawn(&mut screen, &app, 80, 24));
    assert_ne!(first, second, "the help scrolls");
    assert_eq!(app.fleet().selected_row(), before.map(|row| row + 3), "and nothing below it");
}
