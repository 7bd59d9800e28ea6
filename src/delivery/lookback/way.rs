//! From where on the record is read to show one cycle: over the cycles of its
//! sparklines, and before them over those that tell what changes seldom and
//! what is not read in every cycle. Bounded in cycles and in lines.

use crate::journal::{Error, Look, Outline, thinning_slot};

/// Most lines that are read for the cycles before the one that is asked for:
/// a fraction of a second's work.
const MOST_LINES: u64 = 60_000;

/// Cycles before the first slot: for what changes seldom, and for what is not
/// read in every cycle.
#[derive(Clone, Copy)]
pub(super) struct Before {
    /// At least so many,
    cycles: usize,
    /// but no more than make so many lines.
    lines: u64,
}

pub(super) const BEFORE: Before = Before { cycles: 4, lines: 2 * MOST_LINES };
pub(super) const FAR_BEFORE: Before = Before { cycles: MOST_BEFORE, lines: 4 * MOST_LINES };
/// Never more than these.
const MOST_BEFORE: usize = 200;

/// From where on the record is read.
pub(super) struct Way {
    /// The row before the first that is read.
    pub(super) after: i64,
    /// Cycles that end before this row have no slot.
    pub(super) first_slot: i64,
}

impl Way {
    /// The way to the cycle of `row`: over `history` cycles, and before them
    /// those that tell what changes seldom.
    pub(super) fn to(look: &Look, row: Outline, history: usize, least: Before) -> Result<Self, Error> {
        let (mut at, mut lines) = cycle_of(look, row)?;
        let mut cycles = 1;
        let mut first_slot = at;
        let mut before = 0;
        while let Some(last) = look.previous(at.row)? {
            if cycles < history && lines < MOST_LINES {
                cycles += 1;
                lines += going_back(look, &mut at, last)?;
                first_slot = at;
                continue;
            }
            let told = thinning_slot(last.at) < thinning_slot(first_slot.at);
            let enough = told && before >= least.cycles;
            if enough || before >= MOST_BEFORE || (lines >= least.lines && before > 0) {
                break;
            }
            before += 1;
            lines += going_back(look, &mut at, last)?;
        }
        Ok(Self { after: at.row - 1, first_slot: first_slot.row })
    }
}

/// Goes to the cycle that ends with row `last`; how many lines that has.
fn going_back(look: &Look, at: &mut Outline, last: Outline) -> Result<u64, Error> {
    let (first, lines) = cycle_of(look, last)?;
    *at = first;
    Ok(lines)
}

/// The first row of the cycle that `row` belongs to, and its lines up to that.
fn cycle_of(look: &Look, mut row: Outline) -> Result<(Outline, u64), Error> {
    // What a damaged row claims is not believed.
    let believed = |row: &Outline| row.lines.min(MOST_LINES);
    let mut lines = believed(&row);
    while row.part > 0 {
        match look.previous(row.row)? {
            Some(before) if before.at == row.at && before.part < row.part => row = before,
            _ => break,
        }
        lines += believed(&row);
    }
    Ok((row, lines))
}
