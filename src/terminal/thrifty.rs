//! What goes to the terminal, in few bytes: people sit at the far end of an
//! ssh connection.
//!
//! Owns the order in which changed cells are sent and the sequences around
//! them. A colour costs more than a jump of the cursor, so all cells of one
//! look are sent together; the whole update is shown at once either way.
//! Everything else is left to ratatui's own backend.

use std::io::{self, Write};

use crossterm::{
    cursor::{Hide, MoveRight, MoveTo},
    queue,
    style::Print,
    terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate},
};
use ratatui::{
    backend::{Backend, ClearType, CrosstermBackend, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
};
use unicode_width::UnicodeWidthStr as _;

mod sgr;

use sgr::{Look, PLAIN, set};

/// A crossterm backend that sends what changed in few bytes, and nothing where
/// nothing changed. What is sent between two flushes is shown at once.
#[derive(Debug)]
pub struct Thrifty<W: Write> {
    backend: CrosstermBackend<W>,
    /// An update that is to be shown at once was begun.
    begun: bool,
    /// The cursor is known to be hidden.
    hidden: bool,
}

impl<W: Write> Thrifty<W> {
    /// A backend that writes to `writer`.
    pub const fn new(writer: W) -> Self {
        Self { backend: CrosstermBackend::new(writer), begun: false, hidden: false }
    }

    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        queue!(self.backend, BeginSynchronizedUpdate)
    }
}

/// Sends cells, given row by row, to `out`.
fn send(out: &mut impl Write, mut cells: Vec<(u16, u16, &Cell)>) -> io::Result<()> {
    // A sign of two columns wipes what it is laid over: then the order is kept.
    if cells.iter().all(|(_, _, cell)| cell.symbol().width() == 1) {
        let mut looks: Vec<Look> = Vec::new();
        let mut place = |cell: &Cell| {
            let own = look(cell);
            looks.iter().position(|look| *look == own).unwrap_or_else(|| {
                looks.push(own);
                looks.len() - 1
            })
        };
        cells.sort_by_cached_key(|&(x, y, cell)| (place(cell), y, x));
    }
    let mut current = PLAIN;
    // Where the cursor is, while that is certain.
    let mut cursor: Option<(u16, u16)> = None;
    for (x, y, cell) in cells {
        match cursor {
            Some(at) if at == (x, y) => {}
            Some((column, row)) if row == y && column < x => queue!(out, MoveRight(x - column))?,
            _ => queue!(out, MoveTo(x, y))?,
        }
        let wanted = look(cell);
        set(out, current, wanted)?;
        current = wanted;
        let symbol = cell.symbol();
        queue!(out, Print(symbol))?;
        // Terminals do not agree on how wide every sign is.
        let next = x.saturating_add(1);
        cursor = is_plain(symbol).then_some((next, y));
    }
    set(out, current, PLAIN)
}

fn look(cell: &Cell) -> Look {
    (cell.fg, cell.bg, cell.modifier)
}

/// Whether every terminal gives it one column: what the screen is made of,
/// names of VMs aside.
fn is_plain(symbol: &str) -> bool {
    let mut signs = symbol.chars();
    let (Some(sign), None) = (signs.next(), signs.next()) else { return false };
    matches!(sign, ' '..='~' | '\u{2500}'..='\u{259f}') || (symbol.width() == 1 && sign < '\u{300}')
}

impl<W: Write> Backend for Thrifty<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let cells: Vec<_> = content.collect();
        if cells.is_empty() {
            return Ok(());
        }
        self.begin()?;
        send(&mut self.backend, cells)
    }

    fn append_lines(&mut self, lines: u16) -> io::Result<()> {
        self.backend.append_lines(lines)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.hidden, true) {
            return Ok(());
        }
        queue!(self.backend, Hide)
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.hidden = false;
        self.backend.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.backend.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.backend.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    /// Whoever clears may have lost the cursor as well.
    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.begin()?;
        self.hidden = false;
        self.backend.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        self.backend.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.backend.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.begun) {
            queue!(self.backend, EndSynchronizedUpdate)?;
        }
        Backend::flush(&mut self.backend)
    }
}

#[cfg(test)]
mod tests;
