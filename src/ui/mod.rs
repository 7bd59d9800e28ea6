//! Draws the [`App`]: every panel is a view made from `&App` and a widget.
//!
//! Owns scroll offsets, colours, glyphs and the width of columns. Drawing is
//! pure: no I/O, no clock, no change of the app. It never sees libvirt, the
//! journal or the writer.

mod aged;
mod attached;
mod banner;
mod cramped;
mod document;
mod fleet;
mod footer;
mod gauge;
mod glyph;
mod header;
mod help;
mod host;
mod log;
mod sparkline;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod text;
pub mod theme;
mod units;
mod vm;

use ratatui::{Frame, buffer::Buffer, layout::Rect, widgets::Widget};

use crate::{
    app::{App, Message, Mouse, Overlay, Page, Target},
    config,
};
use theme::Palette;

/// How things look: the palette, and whether only ASCII is drawn.
#[derive(Clone, Debug)]
pub struct Look {
    /// Colours by meaning.
    pub palette: Palette,
    /// Draw with ASCII only.
    pub ascii: bool,
}

impl Look {
    /// The look of a theme in 256 colours.
    #[must_use]
    pub fn new(theme: config::Theme, ascii: bool) -> Self {
        Self::at(theme, config::Depth::Indexed, ascii)
    }

    /// The look of a theme in so many colours.
    #[must_use]
    pub fn at(theme: config::Theme, depth: config::Depth, ascii: bool) -> Self {
        Self { palette: Palette::at(theme, depth), ascii }
    }
}

/// Smallest terminal that pages are drawn in. Half of 80 by 24 is enough.
const SMALLEST: (u16, u16) = (40, 8);

/// The screen: what drawing remembers from one frame to the next.
#[derive(Debug)]
pub struct Screen {
    theme: config::Theme,
    depth: config::Depth,
    look: Look,
    fleet: fleet::Table,
    vm: vm::Page,
    xml: vm::Xml,
    status: status::Page,
    log: log::Page,
    help: help::Overlay,
    /// What was drawn where, for the mouse.
    targets: Vec<(Rect, Target)>,
}

impl Screen {
    /// A screen that has drawn nothing yet.
    #[must_use]
    pub fn new(screen: &config::Screen) -> Self {
        Self {
            theme: screen.theme,
            depth: screen.depth(),
            look: Look::at(screen.theme, screen.depth(), screen.ascii),
            fleet: fleet::Table::default(),
            vm: vm::Page::default(),
            xml: vm::Xml::default(),
            status: status::Page::default(),
            log: log::Page::default(),
            help: help::Overlay::default(),
            targets: Vec::new(),
        }
    }

    /// Draws `app` over the whole of `frame`.
    pub fn draw(&mut self, frame: &mut Frame<'_>, app: &App) {
        let area = frame.area();
        self.render(app, area, frame.buffer_mut());
    }

    /// As [`Screen::draw`], into a buffer.
    pub fn render(&mut self, app: &App, area: Rect, buf: &mut Buffer) {
        self.targets.clear();
        if area.is_empty() {
            return;
        }
        if app.theme() != self.theme {
            self.theme = app.theme();
            self.look = Look::at(self.theme, self.depth, self.look.ascii);
        }
        buf.set_style(area, self.look.palette.text);
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            cramped::render(app, &self.look, SMALLEST, area, buf);
        } else {
            self.pages(app, area, buf);
        }
        if self.look.ascii {
            glyph::to_ascii(buf);
        }
    }

    fn pages(&mut self, app: &App, area: Rect, buf: &mut Buffer) {
        let look = &self.look;
        let line = |y: u16| Rect { y, height: 1, ..area };
        header::Header::of(app, look, area.width).render(line(area.y), buf);
        let banners = banner::Banners::of(app, look, area.width, area.height / 4);
        let banner_height = banners.height();
        banners.render(Rect { y: area.y + 1, height: banner_height, ..area }, buf);
        let top = area.y + 1 + banner_height;
        let body = Rect { y: top, height: (area.bottom() - 1).saturating_sub(top), ..area };
        match app.page() {
            Page::Fleet => self.fleet.render(app, look, body, buf, &mut self.targets),
            Page::Vm => self.vm.render(app, look, body, buf, &mut self.targets),
            Page::Xml => self.xml.render(app, look, body, buf),
            Page::Status => self.status.render(app, look, body, buf),
            Page::Log => self.log.render(app, look, body, buf),
        }
        attached::age(app, look, body, buf);
        if app.overlay() == Overlay::Help {
            self.targets.clear();
            self.help.render(app, &self.look, body, buf);
        }
        footer::Footer::of(app, &self.look).render(line(area.bottom() - 1), buf, &mut self.targets);
    }

    /// Turns a press of the mouse into a click on what lies there; all other
    /// messages stay as they are.
    #[must_use]
    pub fn resolve(&self, message: Message) -> Message {
        let Message::Mouse(Mouse::Press { x, y }) = message else { return message };
        let hit = self.targets.iter().rev().find(|(area, _)| area.contains((x, y).into()));
        match hit {
            Some((_, target)) => Message::Mouse(Mouse::Click(*target)),
            None => message,
        }
    }
}
