//! Cycles read back from the record: lines and local part, whatever version
//! wrote them. For looking back; it changes nothing.

use super::local::{self, Decoded};
use crate::{
    journal::{Error, Journal, Stored},
    model::WallTime,
};

/// One cycle as it stands in the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// When it closed.
    pub at: WallTime,
    /// The number of its last row: the next cycle begins after it.
    pub row: i64,
    /// Its lines, those of all its rows. Rows that are damaged lack.
    pub lines: Vec<u8>,
    /// Whether rows of it are damaged.
    pub damaged: bool,
    /// Its local part, the domains named by the lines; `None` where the row
    /// has none, such as one whose first part was dropped.
    pub local: Option<Decoded>,
}

/// The cycles after row `after` (0: from the beginning), oldest first, at
/// least one where there is one, about `limit` rows of them.
///
/// # Errors
/// The file could not be read.
pub fn cycles(journal: &Journal, after: i64, limit: usize) -> Result<Vec<Recorded>, Error> {
    let mut cycles: Vec<Recorded> = Vec::new();
    let mut next = journal.rows(after, limit.max(1))?;
    while let Some(last) = next.last().map(|row| row.row) {
        for row in next {
            take(&mut cycles, row);
        }
        // The last cycle may go on beyond the limit.
        next = journal.rows(last, 1)?;
        next.retain(|row| row.part > 0);
    }
    for cycle in &mut cycles {
        if let Some(Decoded::Read(local)) = &mut cycle.local {
            local.name_by(&cycle.lines);
        }
    }
    Ok(cycles)
}

fn take(cycles: &mut Vec<Recorded>, row: Stored) {
    let local = match row.local {
        Some((version, bytes)) => Some(local::decode(version, &bytes)),
        None if row.local_damaged => Some(Decoded::SetAside { word: "damaged".to_owned() }),
        None => None,
    };
    let damaged = row.bytes.is_none();
    let bytes = row.bytes.unwrap_or_default();
    match cycles.last_mut().filter(|cycle| row.part > 0 && cycle.at == row.at) {
        Some(cycle) => {
            cycle.row = row.row;
            cycle.lines.extend_from_slice(&bytes);
            cycle.damaged |= damaged;
        }
        None => cycles.push(Recorded { at: row.at, row: row.row, lines: bytes, damaged, local }),
    }
}
