//! The way of the cursor over what is to be sent.
//!
//! Owns the order of the runs of one look and the cheapest way from one to the
//! next. Half of what a busy screen sends would else be such jumps: the run
//! below is reached by a line feed and a few backspaces in half the bytes of
//! an address, and the one at the right by writing what lies between again.

use std::{
    io::{self, Write},
    iter::repeat_n,
};

use super::shown::{Look, Shown};

/// A place on the screen: column and row, from 0.
pub type Place = (u16, u16);

/// Neighbouring cells of one look in one row.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Where its first cell is.
    pub start: Place,
    /// Index of its first cell in what is sent.
    pub first: usize,
    /// How many cells it has.
    pub cells: usize,
    /// Where it leaves the cursor; `None` where that is not certain.
    pub end: Option<Place>,
}

/// A way from the cursor to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To a row nearby, then across.
    Near(Rows, Across),
    /// By its address.
    Address,
}

/// A way that keeps the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// So many line feeds. In raw mode they keep the column, and since the
    /// place is on the screen, nothing scrolls.
    Down(u16),
    /// To the row above.
    Up,
}

/// A way within a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Across {
    /// So many backspaces.
    Back(u16),
    /// So many columns to the right.
    Right(u16),
    /// What so many columns show is written again.
    Again(u16),
}

/// Backspaces or line feeds beyond which an address is shorter.
const NEAR: u16 = 8;

impl Way {
    /// The cheapest way while `look` is set, and its bytes.
    pub fn cheapest(from: Option<Place>, to: Place, look: Look, shown: &Shown) -> (Self, u16) {
        let address = 4 + digits(to.0 + 1) + digits(to.1 + 1);
        let near = || {
            let (column, row) = from?;
            let (rows, vertical) = match to.1.checked_sub(row) {
                Some(down) if down <= NEAR => (Rows::Down(down), down),
                None if to.1 + 1 == row => (Rows::Up, 3),
                _ => return None,
            };
            let (across, horizontal) = match to.0.checked_sub(column) {
                None => (Across::Back(column - to.0), column - to.0),
                Some(0) => (Across::Right(0), 0),
                Some(right) => {
                    let jump = if right == 1 { 3 } else { 3 + digits(right) };
                    if right <= jump && shown.is_ascii_of(look, column..to.0, to.1) {
                        (Across::Again(right), right)
                    } else {
                        (Across::Right(right), jump)
                    }
                }
            };
            Some((Self::Near(rows, across), vertical + horizontal))
        };
        near().filter(|(_, bytes)| *bytes < address).unwrap_or((Self::Address, address))
    }

    /// Goes it.
    pub fn go(self, to: Place, shown: &Shown, out: &mut impl Write) -> io::Result<()> {
        let Self::Near(rows, across) = self else {
            return write!(out, "\x1b[{};{}H", to.1 + 1, to.0 + 1);
        };
        match rows {
            Rows::Down(rows) => repeat(b"\n", rows, out)?,
            Rows::Up => out.write_all(b"\x1b[A")?,
        }
        match across {
            Across::Back(columns) => repeat(b"\x08", columns, out),
            Across::Right(0) => Ok(()),
            Across::Right(1) => out.write_all(b"\x1b[C"),
            Across::Right(columns) => write!(out, "\x1b[{columns}C"),
            Across::Again(columns) => out.write_all(shown.ascii(to.0 - columns..to.0, to.1)),
        }
    }
}

fn repeat(sign: &[u8], count: u16, out: &mut impl Write) -> io::Result<()> {
    repeat_n(sign, usize::from(count)).try_for_each(|sign| out.write_all(sign))
}

fn digits(number: u16) -> u16 {
    match number {
        0..10 => 1,
        10..100 => 2,
        100..1000 => 3,
        _ => 5,
    }
}

/// The runs of one look, each once, in an order that takes few bytes.
pub struct Order<'a> {
    /// By row, then column.
    runs: &'a [Run],
    sent: Vec<bool>,
    /// All before it are sent.
    first: usize,
}

impl<'a> Order<'a> {
    /// Of `runs`, sorted by row and column.
    pub fn new(runs: &'a [Run]) -> Self {
        Self { runs, sent: vec![false; runs.len()], first: 0 }
    }

    /// The run that is reached in the fewest bytes, of those left and right of
    /// the cursor and in the rows beside its own.
    pub fn next(&mut self, cursor: Option<Place>, look: Look, shown: &Shown) -> Option<(Run, Way)> {
        while *self.sent.get(self.first)? {
            self.first += 1;
        }
        let (way, bytes) = Way::cheapest(cursor, self.runs.get(self.first)?.start, look, shown);
        let mut best = (self.first, way, bytes);
        if let Some((column, row)) = cursor {
            for row in row.saturating_sub(1)..=row.saturating_add(2) {
                let left = (row, column.saturating_sub(NEAR));
                let from = self.runs.partition_point(|run| (run.start.1, run.start.0) < left);
                for (nth, run) in self.runs.iter().enumerate().skip(from) {
                    if run.start.1 != row {
                        break;
                    }
                    if self.sent.get(nth).is_some_and(|sent| *sent) {
                        continue;
                    }
                    let (way, bytes) = Way::cheapest(cursor, run.start, look, shown);
                    if bytes < best.2 {
                        best = (nth, way, bytes);
                    }
                    // Those farther to the right take more.
                    if run.start.0 > column {
                        break;
                    }
                }
            }
        }
        let (nth, way, _) = best;
        *self.sent.get_mut(nth)? = true;
        Some((*self.runs.get(nth)?, way))
    }
}
