//! Cycles read back from the record: lines and local part, whatever version
//! wrote them. For looking back; it changes nothing.

use super::local::{self, Decoded};
use crate::{
    journal::{Error, Journal, Look, Stored},
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

/// Most bytes, of lines and of what local parts take in memory, with which
/// one more cycle is read, and with which one more row of a cycle is.
const MOST_BYTES: usize = 64 << 20;
const MOST_OF_CYCLE: usize = 256 << 20;
/// Most rows beyond the limit that the last cycle is read for.
const MOST_ROWS: usize = 1 << 16;

/// The cycles after row `after` (0: from the beginning), oldest first, at
/// least one where there is one, about `limit` rows of them; fewer where they
/// are large.
///
/// # Errors
/// The file could not be read.
pub fn cycles(journal: &Journal, after: i64, limit: usize) -> Result<Vec<Recorded>, Error> {
    read(|after| Ok(journal.rows(after, 1)?.pop()), after, limit)
}

/// As [`cycles`], while the record is written.
///
/// # Errors
/// The file could not be read.
pub fn seen(look: &Look, after: i64, limit: usize) -> Result<Vec<Recorded>, Error> {
    read(|after| Ok(look.rows(after, 1)?.pop()), after, limit)
}

fn read(
    next: impl Fn(i64) -> Result<Option<Stored>, Error>,
    after: i64,
    limit: usize,
) -> Result<Vec<Recorded>, Error> {
    let mut read = Reading::default();
    // A row alone may be large, so that they are read one by one.
    let mut row = next(after)?;
    while let Some(taken) = row.filter(|row| read.wants(row, limit.max(1))) {
        let last = taken.row;
        read.take(taken);
        row = next(last)?;
    }
    for cycle in &mut read.cycles {
        if let Some(Decoded::Read(local)) = &mut cycle.local {
            local.name_by(&cycle.lines);
        }
    }
    Ok(read.cycles)
}

/// Cycles that are being read.
#[derive(Default)]
struct Reading {
    cycles: Vec<Recorded>,
    /// How many rows have been taken, and the bytes they came to.
    rows: usize,
    bytes: usize,
    /// The last row's part.
    part: u32,
}

impl Reading {
    /// The cycle that `row` goes on with, if it does not begin one.
    fn going_on(&mut self, row: &Stored) -> Option<&mut Recorded> {
        let part = self.part;
        self.cycles.last_mut().filter(|cycle| row.part > part && cycle.at == row.at)
    }

    /// Whether `row` belongs to what was asked for: the last cycle may go on
    /// beyond the limit, but what a row claims to be is not believed forever.
    fn wants(&mut self, row: &Stored, limit: usize) -> bool {
        if self.going_on(row).is_some() {
            self.rows < limit.saturating_add(MOST_ROWS) && self.bytes < MOST_OF_CYCLE
        } else {
            self.rows < limit && self.bytes < MOST_BYTES
        }
    }

    fn take(&mut self, row: Stored) {
        let damaged = row.bytes.is_none();
        let lines = row.bytes.as_deref().unwrap_or_default();
        self.rows += 1;
        self.bytes = self.bytes.saturating_add(lines.len());
        if let Some(cycle) = self.going_on(&row) {
            cycle.row = row.row;
            cycle.lines.extend_from_slice(lines);
            cycle.damaged |= damaged;
        } else {
            let local = match row.local {
                Some((version, bytes)) => {
                    self.bytes = self.bytes.saturating_add(bytes.len());
                    Some(local::decode(version, &bytes))
                }
                None if row.local_damaged => Some(Decoded::SetAside { word: "damaged".to_owned() }),
                None => None,
            };
            if let Some(Decoded::Read(local)) = &local {
                self.bytes = self.bytes.saturating_add(local.held());
            }
            let lines = row.bytes.unwrap_or_default();
            self.cycles.push(Recorded { at: row.at, row: row.row, lines, damaged, local });
        }
        self.part = row.part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(row: i64, at: i64, part: u32) -> Stored {
        let bytes = Some(b"line\n".to_vec());
        Stored { row, at: WallTime(at), part, lines: 1, bytes, local: None, local_damaged: false }
    }

    fn reading(rows: usize, bytes: usize) -> Reading {
        let mut read = Reading::default();
        read.take(row(1, 7, 0));
        Reading { rows, bytes, ..read }
    }

    #[test]
    fn beyond_the_limit_only_the_last_cycle_goes_on() {
        let mut read = reading(10, 0);
        assert!(read.wants(&row(2, 7, 1), 10) && read.wants(&row(2, 7, 2), 10));
        for other in [row(2, 8, 0), row(2, 7, 0), row(2, 8, 1)] {
            assert!(!read.wants(&other, 10) && read.wants(&other, 11), "{other:?}");
        }
        read.take(row(2, 7, 3));
        assert!(!read.wants(&row(3, 7, 3), 10) && !read.wants(&row(3, 7, 1), 10), "it has been there");
        assert!(!reading(10 + MOST_ROWS, 0).wants(&row(2, 7, 1), 10), "not for ever");
    }

    #[test]
    fn what_is_large_is_read_in_pieces() {
        let (begins, goes_on) = (row(2, 8, 0), row(2, 7, 1));
        let mut read = reading(1, MOST_BYTES);
        assert!(!read.wants(&begins, 10) && read.wants(&goes_on, 10), "a cycle stays whole");
        assert!(!reading(1, MOST_OF_CYCLE).wants(&goes_on, 10));
        assert!(reading(1, MOST_BYTES - 1).wants(&begins, 10));
        read.take(goes_on);
        assert_eq!((read.bytes, read.cycles.len(), read.cycles[0].lines.len()), (MOST_BYTES + 5, 1, 10));
    }
}
