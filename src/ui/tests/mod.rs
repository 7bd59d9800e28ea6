//! The pages as a whole: pictures with fixed data, and a random walk.

mod attached;
mod devices;
mod events;
mod fleet;
mod inks;
mod log;
mod mouse;
mod names;
mod pages;
mod pictures;
mod small;
mod span;
mod svg;
mod turns;
mod walk;
mod xml;

use super::*;

/// The text of a buffer, a line per row.
fn text_of(buf: &Buffer) -> String {
    let width = usize::from(buf.area.width);
    let mut text = String::new();
    for row in buf.content.chunks(width.max(1)) {
        let mut line = String::new();
        let mut hidden = 0;
        for cell in row {
            if hidden > 0 {
                hidden -= 1;
                continue;
            }
            line.push_str(cell.symbol());
            hidden = super::text::width(cell.symbol()).saturating_sub(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn drawn(screen: &mut Screen, app: &App, width: u16, height: u16) -> Buffer {
    let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
    screen.render(app, buf.area, &mut buf);
    buf
}

fn picture(app: &App, width: u16, height: u16) -> String {
    let mut screen = Screen::new(app.screen());
    text_of(&drawn(&mut screen, app, width, height))
}

/// The fixture host after two minutes in a terminal of that size, filtered by
/// `filter` (empty: not), with `keys` pressed.
fn after(filter: &str, keys: &[crate::app::Key], (width, height): (u16, u16)) -> App {
    use crate::app::{Key, fixtures::running};
    // The cycle in which rows found their places.
    let (mut app, _host) = running(121);
    app.update(Message::Resize { width, height });
    if !filter.is_empty() {
        app.update(Message::Key(Key::Char('/')));
        app.update(Message::Paste(filter.to_owned()));
        app.update(Message::Key(Key::Enter));
    }
    for &key in keys {
        app.update(Message::Key(key));
    }
    app
}
