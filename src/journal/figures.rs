//! Figures of the record that no total keeps: how fast it grows, and what was
//! refused last.

use rusqlite::OptionalExtension as _;

use super::{Error, Journal, Refused};
use crate::model::{WallTime, status::Growth};

impl Journal {
    /// What a day of recording takes at the pace of the last minutes. `None`
    /// before there are two cycles to tell the pace by.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn growth(&self) -> Result<Option<Growth>, Error> {
        let rows: Vec<(i64, bool, u64)> = (|| {
            let mut query = self.db.prepare_cached(
                "SELECT at, part = 0, stored FROM cycle WHERE seq > ?1 ORDER BY seq DESC LIMIT ?2",
            )?;
            query
                .query_map((self.next_row - 1 - LATELY, LATELY), |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs()))
                })?
                .collect::<rusqlite::Result<_>>()
        })()
        .map_err(self.failed("reading"))?;
        Ok(growth(&rows))
    }

    /// The line that was refused last: when, and the line with the server's
    /// words.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn last_refused(&self) -> Result<Option<(WallTime, Refused)>, Error> {
        self.db
            .prepare_cached("SELECT at, message, line FROM quarantine ORDER BY id DESC LIMIT 1")
            .and_then(|mut query| {
                query
                    .query_row([], |row| {
                        let refused = Refused { message: row.get(1)?, line: row.get(2)? };
                        Ok((WallTime(row.get(0)?), refused))
                    })
                    .optional()
            })
            .map_err(self.failed("reading the quarantine"))
    }
}

/// From rows, newest first: when the cycle closed, whether it is its first
/// row, and the bytes of it.
fn growth(rows: &[(i64, bool, u64)]) -> Option<Growth> {
    let cycles = rows.iter().filter(|(_, first, _)| *first).map(|(at, ..)| *at);
    let mut gaps: Vec<i64> =
        cycles.clone().zip(cycles.clone().skip(1)).map(|(later, at)| later.saturating_sub(at)).collect();
    gaps.retain(|gap| *gap > 0);
    // The middle one: a pause between two runs is not the pace of either.
    gaps.sort_unstable();
    let gap = u128::from(gaps.get(gaps.len() / 2)?.unsigned_abs());
    let bytes: u128 = rows.iter().map(|(.., stored)| u128::from(on_disk(*stored))).sum();
    let a_day =
        |gap: u128| u64::try_from(bytes * DAY / (cycles.clone().count() as u128) / gap).unwrap_or(u64::MAX);
    Some(Growth {
        full: a_day(gap),
        thinned: a_day(gap.max(super::retention::THINNED_TO.unsigned_abs().into())),
    })
}

/// Bytes of the file that a row takes whose content has `stored` bytes. What
/// does not fit into a page of the table goes on in pages of its own, and what
/// is left over shares a page with as many others as fit.
fn on_disk(stored: u64) -> u64 {
    let content = stored + OF_ROW;
    let (pages, local) = if content <= MOST_LOCAL {
        (0, content)
    } else {
        let rest = LEAST_LOCAL + (content - LEAST_LOCAL) % OVERFLOW;
        let local = if rest <= MOST_LOCAL { rest } else { LEAST_LOCAL };
        ((content - local).div_ceil(OVERFLOW), local)
    };
    let sharing = (PAGE / local.max(1)).max(1);
    pages * PAGE + PAGE / sharing + OF_ROW
}

const DAY: u128 = 86_400_000_000_000;
/// Rows that tell the pace.
const LATELY: i64 = 600;
/// Bytes of the row in `cycle`, and beside the content in `body`.
const OF_ROW: u64 = 64;
/// `SQLite`'s page, the most and the least of a row that stay in it, and what
/// a page of the rest takes (its file format, "b-tree pages").
const PAGE: u64 = super::retention::PAGE;
const MOST_LOCAL: u64 = PAGE - 35;
const LEAST_LOCAL: u64 = (PAGE - 12) * 32 / 255 - 23;
const OVERFLOW: u64 = PAGE - 4;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_day_is_told_by_the_pace_and_the_bytes_of_each_cycle() {
        assert_eq!(growth(&[]), None);
        assert_eq!(growth(&[(5 * SECOND, true, 100)]), None);
        // A cycle each second, in two rows of 2 pages; a pause of an hour amid them.
        let mut at = 0;
        let mut rows = Vec::new();
        for cycle in 0..100 {
            at += if cycle == 50 { 3600 } else { 1 } * SECOND;
            rows.push((at, true, 8000));
            rows.push((at, false, 8000));
        }
        rows.reverse();
        let Growth { full, thinned } = growth(&rows).unwrap();
        assert_eq!(full / thinned, 10);
        let a_cycle = full / 86_400;
        assert!((16_000..18_500).contains(&a_cycle), "{a_cycle}");
        // At a cycle a minute there is nothing to thin.
        let rows: Vec<_> = (0..9).rev().map(|cycle| (cycle * 60 * SECOND, true, 500)).collect();
        let slow = growth(&rows).unwrap();
        assert_eq!(slow.full, slow.thinned);
        assert!((500 * 1440..700 * 1440).contains(&slow.full), "{slow:?}");
    }
}
