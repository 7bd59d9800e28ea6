//! What the terminal shows, as far as it can be written again for a byte a cell.

use std::ops::Range;

use ratatui::{
    buffer::Cell,
    style::{Color, Modifier},
};
use unicode_width::UnicodeWidthStr as _;

/// How a cell looks: ink, ground and modifiers.
pub type Look = (Color, Color, Modifier);

/// What can be seen where nothing is written.
const SEEN_ON_BLANKS: Modifier = Modifier::UNDERLINED.union(Modifier::REVERSED).union(Modifier::CROSSED_OUT);

/// How `cell` looks.
pub fn look(cell: &Cell) -> Look {
    (cell.fg, cell.bg, cell.modifier)
}

/// Whether a blank of the one look is a blank of the other: it shows no ink.
pub fn same_blank(one: Look, other: Look) -> bool {
    one.1 == other.1 && !one.2.union(other.2).intersects(SEEN_ON_BLANKS)
}

/// The ASCII signs that the terminal shows, with their looks.
#[derive(Debug, Default)]
pub struct Shown {
    rows: Vec<Row>,
}

#[derive(Debug, Default)]
struct Row {
    /// 0: something else, or not known.
    signs: Vec<u8>,
    looks: Vec<Look>,
}

impl Shown {
    /// `cell` was sent to this place.
    pub fn keep(&mut self, x: u16, y: u16, cell: &Cell) {
        let (column, row) = (usize::from(x), usize::from(y));
        if self.rows.len() <= row {
            self.rows.resize_with(row + 1, Row::default);
        }
        let Some(row) = self.rows.get_mut(row) else { return };
        let symbol = cell.symbol();
        let end = column + symbol.width().max(1);
        if row.signs.len() < end {
            row.signs.resize(end, 0);
            row.looks.resize(end, (Color::Reset, Color::Reset, Modifier::empty()));
        }
        let sign = match symbol.as_bytes() {
            [sign @ b' '..=b'~'] => *sign,
            _ => 0,
        };
        for place in column..end {
            row.signs[place] = sign;
            row.looks[place] = look(cell);
        }
    }

    /// Nothing is known any more.
    pub fn forget(&mut self) {
        self.rows.clear();
    }

    /// Whether all of these columns can be written again while `look` is set.
    pub fn is_ascii_of(&self, look: Look, columns: Range<u16>, row: u16) -> bool {
        let columns = usize::from(columns.start)..usize::from(columns.end);
        let Some(row) = self.rows.get(usize::from(row)) else { return false };
        let (Some(signs), Some(looks)) = (row.signs.get(columns.clone()), row.looks.get(columns)) else {
            return false;
        };
        signs
            .iter()
            .zip(looks)
            .all(|(sign, own)| *sign != 0 && (*own == look || (*sign == b' ' && same_blank(*own, look))))
    }

    /// The signs of these columns, which are known.
    pub fn ascii(&self, columns: Range<u16>, row: u16) -> &[u8] {
        let columns = usize::from(columns.start)..usize::from(columns.end);
        self.rows.get(usize::from(row)).and_then(|row| row.signs.get(columns)).unwrap_or_default()
    }
}
