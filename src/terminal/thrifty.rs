//! What goes to the terminal, in few bytes: people sit at the far end of an
//! ssh connection.
//!
//! Owns the order in which changed cells are sent and the sequences around
//! them. A colour costs more than a jump of the cursor, so all cells of one
//! look are sent together; the whole update is shown at once either way.
//! Everything else is left to ratatui's own backend.

use std::io::{self, Write};

use crossterm::{
    cursor::Hide,
    queue,
    terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate},
};
use ratatui::{
    backend::{Backend, ClearType, CrosstermBackend, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
};
use unicode_width::UnicodeWidthStr as _;

mod path;
mod sgr;
mod shown;

use path::{Order, Place, Run, Way};
use sgr::{PLAIN, set};
use shown::{Look, Shown, look, same_blank};

/// A crossterm backend that sends what changed in few bytes, and nothing where
/// nothing changed. What is sent between two flushes is shown at once.
#[derive(Debug)]
pub struct Thrifty<W: Write> {
    backend: CrosstermBackend<W>,
    /// An update that is to be shown at once was begun.
    begun: bool,
    /// The cursor is known to be hidden.
    hidden: bool,
    shown: Shown,
}

impl<W: Write> Thrifty<W> {
    /// A backend that writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self { backend: CrosstermBackend::new(writer), begun: false, hidden: false, shown: Shown::default() }
    }

    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        queue!(self.backend, BeginSynchronizedUpdate)
    }
}

/// Sends cells, given row by row, to `out`.
fn send(out: &mut impl Write, cells: &[(u16, u16, &Cell)], shown: &mut Shown) -> io::Result<()> {
    for (x, y, cell) in cells {
        shown.keep(*x, *y, cell);
    }
    let mut pen = Pen { look: PLAIN, cursor: None };
    let runs = runs(cells);
    // A sign of two columns wipes what it is laid over: then the order is kept.
    if cells.iter().all(|(_, _, cell)| cell.symbol().width() == 1) {
        let mut looks: Vec<(Look, Vec<Run>)> = Vec::new();
        for (look, run) in runs {
            match looks.iter_mut().find(|(own, _)| *own == look) {
                Some((_, runs)) => runs.push(run),
                None => looks.push((look, vec![run])),
            }
        }
        for (look, runs) in looks {
            let mut order = Order::new(&runs);
            while let Some((run, way)) = order.next(pen.cursor, look, shown) {
                pen.write(out, look, (run, way), cells, shown)?;
            }
        }
    } else {
        for (look, run) in runs {
            let (way, _) = Way::cheapest(pen.cursor, run.start, look, &Shown::default());
            pen.write(out, look, (run, way), cells, shown)?;
        }
    }
    set(out, pen.look, PLAIN)
}

/// What the next sign is written with.
struct Pen {
    look: Look,
    /// Where the cursor is, while that is certain.
    cursor: Option<Place>,
}

impl Pen {
    fn write(
        &mut self,
        out: &mut impl Write,
        look: Look,
        (run, way): (Run, Way),
        cells: &[(u16, u16, &Cell)],
        shown: &Shown,
    ) -> io::Result<()> {
        set(out, self.look, look)?;
        self.look = look;
        way.go(run.start, shown, out)?;
        self.cursor = run.end;
        let cells = cells.iter().skip(run.first).take(run.cells);
        cells.map(|(_, _, cell)| cell.symbol()).try_for_each(|symbol| out.write_all(symbol.as_bytes()))
    }
}

/// The runs of cells, in their order, with the look of each.
fn runs(cells: &[(u16, u16, &Cell)]) -> Vec<(Look, Run)> {
    // After the last column a terminal may stand on it or behind it.
    let edge = cells.iter().map(|(x, ..)| x.saturating_add(1)).max().unwrap_or(0);
    let mut runs: Vec<(Look, Run)> = Vec::new();
    for (nth, (&(x, y, cell), look)) in cells.iter().zip(looks(cells)).enumerate() {
        let next = x.saturating_add(1);
        // Terminals do not agree on how wide every sign is.
        let end = (next < edge && is_plain(cell.symbol())).then_some((next, y));
        match runs.last_mut() {
            Some((own, run)) if *own == look && run.end == Some((x, y)) => {
                run.cells += 1;
                run.end = end;
            }
            _ => runs.push((look, Run { start: (x, y), first: nth, cells: 1, end })),
        }
    }
    runs
}

/// The look of each cell; a blank has that of what is beside it, where nobody
/// can see the difference.
fn looks(cells: &[(u16, u16, &Cell)]) -> Vec<Look> {
    let mut looks: Vec<Look> = cells.iter().map(|(_, _, cell)| look(cell)).collect();
    let beside = |one: usize, other: usize| {
        let ((x, y, blank), (other_x, other_y, _)) = (cells[one], cells[other]);
        blank.symbol() == " " && y == other_y && x.abs_diff(other_x) == 1
    };
    let pairs = (1..cells.len()).map(|nth| (nth, nth - 1));
    for (blank, other) in pairs.clone().chain(pairs.rev().map(|(nth, before)| (before, nth))) {
        if beside(blank, other) && same_blank(looks[blank], looks[other]) {
            looks[blank] = looks[other];
        }
    }
    looks
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
        send(&mut self.backend, &cells, &mut self.shown)
    }

    fn append_lines(&mut self, lines: u16) -> io::Result<()> {
        self.shown.forget();
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
        self.shown.forget();
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
