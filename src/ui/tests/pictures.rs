//! The pictures in README: drawn by the program from the fixture host, and
//! compared at every test run, so that they never go stale. `make pictures`
//! writes them anew.

use std::path::Path;

use super::{svg, *};
use crate::app::Key;

/// Set by `make pictures`: the pictures are written and not compared.
const WRITE: &str = "KVMSCOPE_PICTURES";

/// The fixture host after two minutes, with `keys` pressed.
fn screen_after(keys: &[Key], filter: &str, (width, height): (u16, u16)) -> Buffer {
    let app = after(filter, keys, (width, height));
    let mut screen = Screen::new(app.screen());
    drawn(&mut screen, &app, width, height)
}

fn check(name: &str, title: &str, buf: &Buffer) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/screenshots").join(format!("{name}.svg"));
    let drawn = svg::of(buf, title);
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        return std::fs::write(&path, drawn).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    // Not assert_eq: nobody wants to read two pictures as text.
    assert!(drawn == kept, "{} is not what the program draws: run `make pictures`", path.display());
}

#[test]
fn the_picture_of_the_fleet_is_what_the_program_draws() {
    check("fleet", "kvmscope: the fleet", &screen_after(&[], "", (134, 24)));
}

#[test]
fn the_picture_of_a_vm_is_what_the_program_draws() {
    let buf = screen_after(&[Key::Enter], "db-primary", (134, 42));
    check("vm", "kvmscope: one machine", &buf);
}

#[test]
fn the_picture_of_the_status_page_is_what_the_program_draws() {
    check("status", "kvmscope: collector and writer", &screen_after(&[Key::Char('c')], "", (134, 42)));
}

#[test]
fn a_picture_shows_what_the_buffer_holds_and_nothing_a_name_smuggles_in() {
    use ratatui::style::{Color, Modifier, Style};
    let mut buf = Buffer::empty(Rect::new(0, 0, 12, 2));
    buf.set_string(0, 0, "<a&b> ▄", Style::new().fg(Color::Indexed(203)));
    buf.set_string(0, 1, "x", Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD));
    buf.set_string(4, 1, "虚\"", Style::new().fg(Color::Rgb(1, 2, 3)));
    let picture = svg::of(&buf, "a \"title\"");
    assert!(picture.contains("aria-label=\"a &quot;title&quot;\""), "{picture}");
    assert!(picture.contains("fill=\"#ff5f5f\">&lt;a&amp;b&gt;</text>"), "{picture}");
    // The lower half of the seventh cell.
    assert!(
        picture.contains("<rect x=\"48\" y=\"8\" width=\"8\" height=\"9\" fill=\"#ff5f5f\"/>"),
        "{picture}"
    );
    // Reversed: its ink is the ground.
    assert!(
        picture.contains("<rect x=\"0\" y=\"17\" width=\"8\" height=\"17\" fill=\"#d0d0d0\"/>"),
        "{picture}"
    );
    assert!(picture.contains("fill=\"#121418\" font-weight=\"bold\">x</text>"), "{picture}");
    // A wide sign takes two cells, and what follows it starts after them.
    assert!(picture.contains("<text x=\"32\" y=\"30\" textLength=\"16\""), "{picture}");
    assert!(picture.contains("<text x=\"48\" y=\"30\" textLength=\"8\""), "{picture}");
    assert!(roxmltree::Document::parse(&picture).is_ok(), "it is well-formed");
}
