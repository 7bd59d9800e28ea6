//! What is sent next, and the cursor that moves after the answer.

use rusqlite::{OptionalExtension as _, params};

use super::{Error, Journal, account::reason};
use crate::model::WallTime;

/// Up to where lines are settled: all rows before `row`, and `line` lines of
/// `row` itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The row.
    pub row: i64,
    /// Settled lines of it.
    pub line: i64,
}

/// Lines that wait, in order, from one or more rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The lines, each ended by a newline.
    pub bytes: Vec<u8>,
    /// How many they are.
    pub lines: usize,
    /// Timestamp of the oldest.
    pub oldest: WallTime,
    /// Where the cursor is when these lines are next.
    from: Position,
    /// Each row's place in the batch.
    rows: Vec<BatchRow>,
}

/// One row's place in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BatchRow {
    row: i64,
    /// Lines of the row that are before the batch.
    skipped: usize,
    /// The batch's line at which the row begins, and after which it ends.
    begin: usize,
    end: usize,
}

/// A line the target refused, and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The line.
    pub line: Vec<u8>,
    /// What the server said.
    pub message: String,
}

impl Batch {
    /// The position after the first `settled` lines of the batch.
    #[must_use]
    pub fn position_after(&self, settled: usize) -> Option<Position> {
        let row = self.rows.iter().rev().find(|row| row.begin < settled)?;
        let within = row.skipped + settled.min(row.end) - row.begin;
        Some(Position { row: row.row, line: i64::try_from(within).unwrap_or(i64::MAX) })
    }
}

impl Journal {
    /// Puts a target in force, or none: what is appended from now on is its
    /// to get, or stays local. A target takes over what waits for the one
    /// used before it; the first one ever begins at the end of the record.
    ///
    /// # Errors
    /// The file could not be written; nothing has changed.
    pub fn set_target(&mut self, target: Option<&str>, now: WallTime) -> Result<(), Error> {
        if let Some(name) = target {
            let known: Option<i64> = self
                .db
                .query_row("SELECT max(used) FROM target", [], |row| row.get(0))
                .map_err(self.failed("reading the cursor"))?;
            let nothing_waits = known.is_none() || self.totals.waiting == 0;
            let cursor = if nothing_waits { self.end()? } else { self.cursor };
            // Later than any before, also where the clock went back.
            let used = known.map_or(now.0, |known| now.0.max(known.saturating_add(1)));
            self.commit("setting the target", self.account(), self.totals, |tx| {
                tx.execute(
                    "INSERT INTO target (name, row, line, used) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (name) DO UPDATE SET row = ?2, line = ?3, used = ?4",
                    params![name, cursor.row, cursor.line, used],
                )
                .map(drop)
            })?;
            self.cursor = cursor;
        }
        self.target = target.map(str::to_owned);
        self.recount()
    }

    /// The position behind the last row.
    fn end(&self) -> Result<Position, Error> {
        self.db
            .query_row("SELECT seq, lines FROM cycle ORDER BY seq DESC LIMIT 1", [], |row| {
                Ok(Position { row: row.get(0)?, line: row.get(1)? })
            })
            .optional()
            .map(|end| end.unwrap_or(self.cursor).max(self.cursor))
            .map_err(self.failed("reading"))
    }

    /// The next lines that wait, at most `max_lines` and `max_bytes` of them
    /// (one line at least), or `None`. They stay where they are, and
    /// retention leaves them alone, until [`Journal::advance`] or
    /// [`Journal::release`]. A row that is damaged is counted as lost.
    ///
    /// # Errors
    /// The file could not be read, or lines wait in it that cannot be reached.
    pub fn next_batch(&mut self, max_lines: usize, max_bytes: usize) -> Result<Option<Batch>, Error> {
        let mut looked = None;
        for _ in 0..MOST_LOOKS {
            if self.totals.waiting == 0 {
                return Ok(None);
            }
            let (batch, damaged) = self.read_batch(self.cursor, max_lines, max_bytes)?;
            if batch.lines > 0 {
                self.sending = batch.rows.last().map(|row| row.row);
                return Ok(Some(batch));
            }
            if looked.as_ref() == Some(&damaged) {
                // What was counted is not found again, or what was removed is: the
                // table's own order is broken, and lines would wait for ever.
                let found = format!("{} lines wait in it and cannot be reached", self.totals.waiting);
                return Err(Error::Inconsistent { path: self.path.clone(), found });
            }
            if damaged.is_empty() {
                // The figures say that lines wait and the file has none.
                self.recount()?;
            } else {
                self.remove_counted_anew(&damaged, reason::DAMAGED_ROW)?;
            }
            looked = Some(damaged);
        }
        // Others want the record too; the rest is looked at when asked again.
        Ok(None)
    }

    /// The lines that come after `batch`, which is on its way: a full batch of
    /// them, or `None` where fewer wait or the first are damaged. They are to
    /// be sent once [`Journal::is_next`] says so; until then retention leaves
    /// them alone as well.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn batch_after(
        &mut self,
        batch: &Batch,
        max_lines: usize,
        max_bytes: usize,
    ) -> Result<Option<Batch>, Error> {
        let Some(from) = batch.position_after(batch.lines) else { return Ok(None) };
        let full = (batch.lines as u64).saturating_add(max_lines as u64);
        if batch.from != self.cursor || self.totals.waiting < full {
            return Ok(None);
        }
        let (next, _) = self.read_batch(from, max_lines, max_bytes)?;
        if next.lines == 0 {
            return Ok(None);
        }
        self.sending = next.rows.last().map(|row| row.row).max(self.sending);
        Ok(Some(next))
    }

    /// Whether the cursor has come to where these lines begin.
    #[must_use]
    pub fn is_next(&self, batch: &Batch) -> bool {
        batch.from == self.cursor
    }

    /// Reads rows from a position until a limit or a damaged one. Where
    /// damaged ones come first, their numbers are returned.
    fn read_batch(
        &self,
        from: Position,
        max_lines: usize,
        max_bytes: usize,
    ) -> Result<(Batch, Vec<i64>), Error> {
        let mut batch = Batch { from, ..Batch::default() };
        let mut damaged = Vec::new();
        (|| {
            let mut query = self.db.prepare_cached(
                "SELECT cycle.seq, cycle.lines, bytes, crc, first, body.lines
                 FROM cycle LEFT JOIN body ON body.seq = cycle.seq
                 WHERE wanted AND (cycle.seq > ?1 OR (cycle.seq = ?1 AND cycle.lines > ?2))
                 ORDER BY cycle.seq",
            )?;
            let mut rows = query.query((from.row, from.line))?;
            while batch.lines < max_lines
                && batch.bytes.len() < max_bytes
                && damaged.len() < MOST_DAMAGED
                && let Some(row) = rows.next()?
            {
                let seq: i64 = row.get(0)?;
                let lines = usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                let body = row.get_ref(5)?.as_blob_or_null()?;
                let text = body
                    .and_then(|body| super::read::unpack(body, row.get(2).ok()?, row.get(3).ok()?))
                    // The row's own count is what the account rests on.
                    .filter(|text| text.split_inclusive(|byte| *byte == b'\n').count() == lines);
                let Some(text) = text else {
                    if batch.lines > 0 {
                        break;
                    }
                    damaged.push(seq);
                    continue;
                };
                if !damaged.is_empty() {
                    break;
                }
                let skipped = if seq == from.row { from.line } else { 0 };
                let skipped = usize::try_from(skipped).unwrap_or(0);
                let begin = batch.lines;
                if begin == 0 {
                    batch.oldest = WallTime(row.get(4)?);
                }
                let whole = batch.take(&text, skipped, max_lines, max_bytes);
                batch.rows.push(BatchRow { row: seq, skipped, begin, end: batch.lines });
                if !whole {
                    break;
                }
            }
            Ok(())
        })()
        .map_err(self.failed("reading"))?;
        Ok((batch, damaged))
    }

    /// Moves the cursor: the lines up to `to` are settled. `refused` of them
    /// go to quarantine, all others are delivered. Figures, cursor and
    /// quarantine change in one transaction, without a sync of its own: a
    /// power cut takes back all of it together, and those lines are sent
    /// again. Returns the lines delivered.
    ///
    /// # Errors
    /// The file could not be told. The cursor has moved all the same, so that
    /// nothing is sent or counted twice, and the file is told with the next
    /// write that succeeds; if the program ends before, the lines are sent
    /// again. Only where the file cannot even be read nothing has moved.
    pub fn advance(&mut self, to: Position, refused: Vec<Refused>, now: WallTime) -> Result<u64, Error> {
        let (lines, rows) = self.between(self.cursor, to)?;
        let delivered = lines.saturating_sub(refused.len() as u64);
        // Of the last row the rest may still be on its way.
        let ended = self.row_ends_at(to)?;
        self.sending = self.sending.filter(|last| *last > to.row || (*last == to.row && !ended));
        self.cursor = to;
        self.totals.waiting = self.totals.waiting.saturating_sub(lines);
        self.totals.waiting_rows = self.totals.waiting_rows.saturating_sub(rows);
        self.unsaved.moved = true;
        self.unsaved.delta.delivered += delivered;
        self.unsaved.delta.quarantined += refused.len() as u64;
        self.unsaved.refused.extend(refused.into_iter().map(|line| (now, line)));
        if self.unsaved.refused.len() > MOST_UNSAVED {
            // The disk has been full for long. The lines' text cannot be kept, their number is.
            let excess = self.unsaved.refused.len() - MOST_UNSAVED;
            self.unsaved.refused.drain(..excess);
            self.unsaved.delta.quarantined -= excess as u64;
            self.unsaved.delta.drop_lines(QUARANTINE_LOST, excess as u64);
        }
        // Rows that were sent may have vanished meanwhile.
        self.recount_if_wrong()?;
        self.save()?;
        Ok(delivered)
    }

    /// Keeps lines that were refused before they reached the record; their
    /// number comes with the `delta` of an append.
    ///
    /// # Errors
    /// They could not be written.
    pub fn keep_refused(&mut self, refused: &[(WallTime, Refused)]) -> Result<(), Error> {
        let target = self.target.clone().unwrap_or_default();
        self.commit("keeping refused lines", self.account(), self.totals, |tx| {
            refused.iter().try_for_each(|(at, line)| super::append::save_refused(tx, *at, &target, line))
        })
    }

    /// Tells the file what it could not be told before; nothing to do is no
    /// write.
    ///
    /// # Errors
    /// It still cannot be told.
    pub fn save(&mut self) -> Result<(), Error> {
        if self.unsaved.moved {
            self.commit_unsynced("moving the cursor", self.account(), self.totals)?;
        }
        Ok(())
    }

    /// Whether the file can be written, by writing what it could not be told
    /// or, where there is nothing, a mark.
    ///
    /// # Errors
    /// It cannot.
    pub fn probe(&mut self) -> Result<(), Error> {
        self.keep_log()?;
        self.commit("writing", self.account(), self.totals, |tx| {
            tx.prepare_cached(
                "INSERT INTO mark (name, value) VALUES ('probed', 1)
                 ON CONFLICT (name) DO UPDATE SET value = value + 1",
            )?
            .execute([])
            .map(drop)
        })
    }

    /// Waiting lines between two positions, and rows that end there.
    fn between(&self, from: Position, to: Position) -> Result<(u64, u64), Error> {
        self.db
            .prepare_cached(
                "SELECT coalesce(sum(CASE WHEN seq = ?3 THEN min(lines, ?4) ELSE lines END
                                   - CASE WHEN seq = ?1 THEN ?2 ELSE 0 END), 0),
                        count(*) FILTER (WHERE seq < ?3 OR lines <= ?4)
                 FROM cycle
                 WHERE wanted AND seq >= ?1 AND seq <= ?3 AND (seq > ?1 OR lines > ?2)",
            )
            .and_then(|mut query| {
                query.query_row((from.row, from.line, to.row, to.line), |row| {
                    Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs()))
                })
            })
            .map_err(self.failed("reading"))
    }

    /// Whether a position is the end of its row.
    fn row_ends_at(&self, to: Position) -> Result<bool, Error> {
        self.db
            .prepare_cached("SELECT lines <= ?2 FROM cycle WHERE seq = ?1")
            .and_then(|mut query| query.query_row((to.row, to.line), |row| row.get(0)).optional())
            .map(|ended| ended.unwrap_or(true))
            .map_err(self.failed("reading"))
    }

    /// Gives back a batch that was not sent, so that retention may act again.
    pub fn release(&mut self) {
        self.sending = None;
    }

    /// Timestamp of the oldest line that waits.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn oldest_waiting(&self) -> Result<Option<WallTime>, Error> {
        if self.totals.waiting == 0 {
            return Ok(None);
        }
        self.db
            .prepare_cached(
                "SELECT first FROM cycle WHERE wanted AND (seq > ?1 OR (seq = ?1 AND lines > ?2))
                 ORDER BY seq LIMIT 1",
            )
            .and_then(|mut q| {
                q.query_row((self.cursor.row, self.cursor.line), |row| row.get(0).map(WallTime)).optional()
            })
            .map_err(self.failed("reading"))
    }

    /// The quarantined lines, oldest first, at most `limit`: when, the
    /// target, and the line with the server's words.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn quarantine(&self, limit: usize) -> Result<Vec<(WallTime, String, Refused)>, Error> {
        (|| {
            let mut query = self
                .db
                .prepare_cached("SELECT at, target, message, line FROM quarantine ORDER BY id LIMIT ?1")?;
            query
                .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                    let refused = Refused { message: row.get(2)?, line: row.get(3)? };
                    Ok((WallTime(row.get(0)?), row.get(1)?, refused))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        })()
        .map_err(self.failed("reading the quarantine"))
    }
}

/// Damaged rows that are removed together: each time all rows are counted.
const MOST_DAMAGED: usize = 256;
/// Reads in a row that find nothing to send, before others get the record.
const MOST_LOOKS: usize = 16;
/// Refused lines kept in memory while the file cannot be told.
const MOST_UNSAVED: usize = 10_000;
const QUARANTINE_LOST: &str = "refused while the record could not be written";

impl Batch {
    /// Takes lines of a row, from line `skipped` on, within the limits.
    /// Whether the row was taken to its end.
    fn take(&mut self, text: &[u8], skipped: usize, max_lines: usize, max_bytes: usize) -> bool {
        let mut rest = text.split_inclusive(|byte| *byte == b'\n').skip(skipped);
        for line in rest.by_ref() {
            let full = self.lines >= max_lines || self.bytes.len() + line.len() > max_bytes;
            if full && self.lines > 0 {
                return false;
            }
            self.bytes.extend_from_slice(line);
            self.lines += 1;
        }
        true
    }

    #[cfg(test)]
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }
}
