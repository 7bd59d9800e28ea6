//! From where on the record is read to show a cycle: over those before it that
//! tell what changes seldom and what is not read in every cycle. Bounded in
//! cycles and in lines.

use super::{super::recorded, Walk};
use crate::{
    journal::{Error, Look, LookError, Outline, thinning_slot},
    model::{AngleScale, Frame},
};

/// How many cycles before the one that is shown are read.
#[derive(Clone, Copy)]
pub(super) struct Before {
    /// At least so many,
    cycles: usize,
    /// but no more than make so many lines.
    lines: u64,
}

/// As far as it does for most, then farther, while some domain was read longer
/// ago.
pub(super) const BEFORE: [Before; 3] = [
    Before { cycles: 4, lines: 100_000 },
    Before { cycles: 16, lines: 100_000 },
    Before { cycles: MOST_BEFORE, lines: 200_000 },
];
/// Never more than these.
const MOST_BEFORE: usize = 128;
/// Most lines of a row that are believed: it may be damaged.
const MOST_LINES: u64 = 1 << 16;
/// Rows that are read at once: what has been walked over is let go.
const ROWS_AT_ONCE: usize = 16;

/// A cycle's rows.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) first: Outline,
    pub(super) last: i64,
    /// Its lines.
    pub(super) lines: u64,
}

impl Rows {
    /// Those of the cycle of which `row` is the last, or one of the last.
    pub(super) fn of(look: &Look, row: Outline) -> Result<Self, Error> {
        let mut rows = Self { first: row, last: row.row, lines: row.lines.min(MOST_LINES) };
        while rows.first.part > 0 {
            match look.previous(rows.first.row)? {
                Some(before) if before.at == row.at && before.part < rows.first.part => rows.first = before,
                _ => break,
            }
            rows.lines = rows.lines.saturating_add(rows.first.lines.min(MOST_LINES));
        }
        Ok(rows)
    }

    /// Those of the cycle before the one that begins with row `first`.
    pub(super) fn before(look: &Look, first: i64) -> Result<Option<Self>, Error> {
        look.previous(first)?.map(|last| Self::of(look, last)).transpose()
    }
}

/// Walks over the cycles from the one of `first` to that of row `last`, and
/// `each` is given each of them: the row it begins after, that it ends with,
/// and its frame. Whether the last was reached.
pub(super) fn walk(
    look: &Look,
    first: Outline,
    last: i64,
    before: Before,
    scale: AngleScale,
    mut each: impl FnMut(i64, i64, Frame),
) -> Result<bool, LookError> {
    let mut after = beginning(look, first, before)?.saturating_sub(1);
    let mut walk = Walk::new(scale);
    while after < last {
        for cycle in &recorded::seen(look, after, ROWS_AT_ONCE)? {
            let frame = walk.step(cycle);
            if cycle.row >= first.row {
                each(after, cycle.row, frame);
            }
            after = cycle.row;
            if after >= last {
                return Ok(true);
            }
        }
        if look.next(after)?.is_none() {
            break;
        }
        if look.is_waited_for() {
            return Err(look.opening());
        }
    }
    Ok(false)
}

/// The row with which a walk to the cycle of `first` begins.
pub(super) fn beginning(look: &Look, first: Outline, least: Before) -> Result<i64, Error> {
    let mut begins = first.row;
    let (mut cycles, mut lines) = (0, 0_u64);
    while let Some(rows) = Rows::before(look, begins)? {
        let told = thinning_slot(rows.first.at) < thinning_slot(first.at);
        let enough = told && cycles >= least.cycles;
        if enough || cycles >= MOST_BEFORE || (lines >= least.lines && cycles > 0) {
            break;
        }
        cycles += 1;
        lines = lines.saturating_add(rows.lines);
        begins = rows.first.row;
    }
    Ok(begins)
}
