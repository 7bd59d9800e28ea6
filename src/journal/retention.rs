//! What is deleted when, in small steps that never hold up an append.
//!
//! Delivered (and local) rows go first, oldest first. Rows that wait are
//! never thinned; they go only at the bounds, oldest first, and are counted.
//! Rows that are just being sent stay.
//!
//! `min_free` counts for everybody's bytes. Below it the record gives back
//! what was delivered, but it does not destroy what waits because another
//! program fills the disk: it only stops growing, and new rows take the place
//! of the oldest. Where there is no place to take, an append is refused.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, params};

use super::{Error, Journal, account::reason};
use crate::{config, model::WallTime};

/// The bounds of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes on disk.
    pub max_bytes: u64,
    /// Oldest age kept.
    pub max_age: Duration,
    /// Free bytes of the file system that are never used.
    pub min_free: u64,
    /// Age from which delivered cycles are thinned to one in ten seconds.
    pub full_resolution: Duration,
}

impl From<&config::Store> for Limits {
    fn from(store: &config::Store) -> Self {
        Self {
            max_bytes: store.max_bytes,
            max_age: store.max_age,
            min_free: store.min_free,
            full_resolution: store.full_resolution,
        }
    }
}

/// How far thinning has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Thinning {
    /// Rows up to this one are done.
    pub(super) passed: i64,
    /// The cycle kept last: its other parts are kept with it.
    kept: Option<i64>,
    /// Rows before the first that is not from the future, as it was found.
    ahead: i64,
}

/// A small row, as far as deleting needs it.
struct Row {
    seq: i64,
    at: i64,
    /// `at`, but never in the future once ages are corrected.
    age: i64,
    stored: u64,
    waits: bool,
}

impl Journal {
    /// Does one small step of what is due. Whether more may be due.
    ///
    /// # Errors
    /// The file could not be read or written.
    pub fn maintain(&mut self, now: WallTime) -> Result<bool, Error> {
        self.keep_log()?;
        let more =
            (|| Ok(self.remove_old(now)? || self.keep_bounds()? || self.thin(now)? || self.give_back()?))();
        self.note_log();
        more
    }

    /// Removes what is older than `max_age`.
    fn remove_old(&mut self, now: WallTime) -> Result<bool, Error> {
        let oldest_kept = before(now, self.limits.max_age);
        let mut rows = self.oldest(Which::Any, STEP)?;
        self.correct_ages(&mut rows, now)?;
        let old: Vec<i64> = rows.iter().take_while(|row| row.age < oldest_kept).map(|row| row.seq).collect();
        // Ids only grow, so this also keeps the number of lines; see QUARANTINED_IN.
        let most = (self.limits.max_bytes / QUARANTINED_IN).max(64);
        let quarantined = self
            .db
            .prepare_cached(
                // The oldest alone are looked at: the text of all of them is not to be read each second.
                "DELETE FROM quarantine WHERE id IN
                 (SELECT id FROM (SELECT id, at FROM quarantine ORDER BY id LIMIT 256)
                  WHERE at < ?1 OR id <= (SELECT max(id) FROM quarantine) - ?2)",
            )
            .and_then(|mut delete| delete.execute([oldest_kept, super::append::whole(most)]))
            .map_err(self.failed("removing old rows"))?;
        let events = self.remove_old_events(oldest_kept)?;
        if !old.is_empty() {
            self.remove(&old, reason::TOO_OLD)?;
        }
        Ok(!old.is_empty() || quarantined > 0 || events > 0)
    }

    /// Keeps within `max_bytes`, and gives back bytes below `min_free`.
    fn keep_bounds(&mut self) -> Result<bool, Error> {
        let bytes = self.own_bytes();
        let free_inside = self.free_inside()?;
        let slack = (self.limits.max_bytes / 64).max(SLACK);
        let lacking = self.lacking();
        let settled = self.totals.rows.saturating_sub(self.totals.waiting_rows) > 0;
        if (self.limits.max_bytes + free_inside).saturating_sub(bytes) < slack {
            let which = if settled { Which::Settled } else { Which::Waiting };
            if self.remove_oldest(which, slack / 4)? {
                return Ok(true);
            }
        }
        if lacking > 0 && settled && free_inside < lacking && self.remove_oldest(Which::Settled, lacking)? {
            return Ok(true);
        }
        // Some unused pages stay for the next rows, or each of them would push
        // out another old one where nothing may grow.
        let spare = self.free_inside()?.saturating_sub(RESERVE);
        let too_much = bytes.saturating_sub(self.limits.max_bytes).max(lacking.min(spare));
        if too_much == 0 { Ok(false) } else { self.vacuum(too_much) }
    }

    /// Thins settled rows older than `full_resolution` to one cycle in ten
    /// seconds. Counters are cumulative, so rates over what stays are true.
    fn thin(&mut self, now: WallTime) -> Result<bool, Error> {
        let newest = before(now, self.limits.full_resolution);
        let Thinning { mut passed, mut kept, .. } = self.thinning;
        let mut next = self.after(passed, 1)?;
        self.correct_ages(&mut next, now)?;
        if next.first().is_none_or(|row| row.waits || row.age > newest) {
            return Ok(false);
        }
        let mut surplus = Vec::new();
        let mut looked_at = 0;
        let mut rows = self.after(passed, 4 * STEP)?;
        self.correct_ages(&mut rows, now)?;
        for row in rows {
            if row.waits || row.age > newest {
                break;
            }
            let slot = |at: i64| thinning_slot(WallTime(at));
            if kept == Some(row.at) || kept.is_none_or(|kept| slot(kept) != slot(row.at)) {
                kept = Some(row.at);
            } else {
                surplus.push(row.seq);
            }
            passed = row.seq;
            looked_at += 1;
        }
        // A transaction costs a sync: not for every single row.
        if looked_at < STEP {
            return Ok(false);
        }
        self.remove(&surplus, reason::STORE_FULL)?;
        self.db
            .prepare_cached(
                "INSERT INTO mark (name, value) VALUES ('thinned', ?1)
                 ON CONFLICT (name) DO UPDATE SET value = ?1",
            )
            .and_then(|mut save| save.execute([passed]))
            .map_err(self.failed("thinning"))?;
        self.thinning = Thinning { passed, kept, ..self.thinning };
        Ok(true)
    }

    /// Gives pages back to the file system when many are unused.
    fn give_back(&mut self) -> Result<bool, Error> {
        let unused = self.free_inside()?;
        let many = (16 << 20).max(self.own_bytes() / 4);
        if unused > many { self.vacuum(unused - many / 2) } else { Ok(false) }
    }

    /// Before an append of `bytes`: below `min_free` it must fit into what
    /// the file already has, else the oldest rows make room.
    pub(super) fn make_room(&mut self, bytes: usize) -> Result<(), Error> {
        // Page ends, the small row and the log's own growth.
        let need = bytes as u64 + 64 * 1024;
        if bytes == 0 || self.free_outside() >= self.limits.min_free.saturating_add(need) {
            return Ok(());
        }
        while self.free_inside()? < need {
            let lacking = need - self.free_inside()?;
            if !self.remove_oldest(Which::Settled, lacking)?
                && !self.remove_oldest(Which::Waiting, lacking)?
            {
                return Err(Error::NoRoom {
                    path: self.path.clone(),
                    free_mib: self.free_outside() >> 20,
                    min_free_mib: self.limits.min_free >> 20,
                });
            }
        }
        Ok(())
    }

    /// Removes the oldest rows of a kind until they hold `bytes`, at most one
    /// step of them. Whether there were any.
    fn remove_oldest(&mut self, which: Which, bytes: u64) -> Result<bool, Error> {
        let mut gone = 0;
        let mut rows = Vec::new();
        for row in self.oldest(which, STEP)? {
            if gone >= bytes {
                break;
            }
            gone += row.stored.max(256);
            rows.push(row.seq);
        }
        if !rows.is_empty() {
            self.remove(&rows, reason::STORE_FULL)?;
        }
        Ok(!rows.is_empty())
    }

    /// Cuts up to `bytes` of unused pages off the file, one step of them.
    fn vacuum(&mut self, bytes: u64) -> Result<bool, Error> {
        let before = self.own_bytes();
        let pages = (bytes / PAGE + 1).min(VACUUM_STEP);
        let cut = (|| {
            if self.free_inside_pages()? > 0 {
                let mut vacuum = self.db.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
                let mut steps = vacuum.query([])?;
                while steps.next()?.is_some() {}
            }
            self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })();
        cut.map_err(self.failed("giving back space"))?;
        Ok(self.own_bytes() < before)
    }

    fn oldest(&self, which: Which, limit: usize) -> Result<Vec<Row>, Error> {
        let of_kind = match which {
            Which::Any => "true",
            Which::Settled => "NOT waits",
            Which::Waiting => "waits",
        };
        // What is being sent stays: its answer will settle it.
        let sending = self.sending.unwrap_or(self.cursor.row - 1);
        self.select(&format!("{of_kind} AND (seq < ?1 OR seq > ?3) ORDER BY seq LIMIT ?4"), (sending, limit))
    }

    /// Rows from the future (the clock was set back) are as old as the first
    /// row after them that is not, or new where there is none yet.
    fn correct_ages(&mut self, rows: &mut [Row], now: WallTime) -> Result<(), Error> {
        let Some(last) = rows.last() else { return Ok(()) };
        let mut following = if last.at > now.0 { self.first_past(last.seq, now)? } else { last.at };
        for row in rows.iter_mut().rev() {
            if row.at > now.0 {
                row.age = following;
            } else {
                following = row.at;
            }
        }
        Ok(())
    }

    /// The time of the first row after `row` that is not from the future.
    fn first_past(&mut self, row: i64, now: WallTime) -> Result<i64, Error> {
        // What was looked at is not looked at each second anew.
        let from = row.max(self.thinning.ahead);
        let found: Option<(i64, i64)> = self
            .db
            .prepare_cached("SELECT seq, at FROM cycle WHERE seq > ?1 AND at <= ?2 ORDER BY seq LIMIT 1")
            .and_then(|mut q| q.query_row([from, now.0], |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .map_err(self.failed("reading"))?;
        self.thinning.ahead = found.map_or(self.next_row, |(seq, _)| seq) - 1;
        Ok(found.map_or(now.0, |(_, at)| at))
    }

    fn after(&self, row: i64, limit: usize) -> Result<Vec<Row>, Error> {
        self.select("seq > ?3 ORDER BY seq LIMIT ?4", (row, limit))
    }

    fn select(&self, tail: &str, (third, limit): (i64, usize)) -> Result<Vec<Row>, Error> {
        (|| {
            let mut query = self.db.prepare_cached(&format!(
                "SELECT seq, at, stored, wanted AND (seq > ?1 OR (seq = ?1 AND lines > ?2)) AS waits
                 FROM cycle WHERE {tail}"
            ))?;
            query
                .query_map(
                    params![
                        self.cursor.row,
                        self.cursor.line,
                        third,
                        i64::try_from(limit).unwrap_or(i64::MAX)
                    ],
                    |row| {
                        Ok(Row {
                            seq: row.get(0)?,
                            at: row.get(1)?,
                            age: row.get(1)?,
                            stored: row.get::<_, i64>(2)?.unsigned_abs(),
                            waits: row.get(3)?,
                        })
                    },
                )?
                .collect::<rusqlite::Result<Vec<_>>>()
        })()
        .map_err(self.failed("reading"))
    }

    /// Bytes of the file's unused pages, which the next rows will take.
    fn free_inside(&self) -> Result<u64, Error> {
        self.free_inside_pages().map(|pages| pages * PAGE).map_err(self.failed("reading"))
    }

    fn free_inside_pages(&self) -> rusqlite::Result<u64> {
        self.db
            .prepare_cached("PRAGMA freelist_count")?
            .query_row([], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
    }

    /// Bytes that are missing to `min_free`.
    fn lacking(&self) -> u64 {
        self.limits.min_free.saturating_sub(self.free_outside())
    }

    pub(super) fn lacks_free_space(&self) -> bool {
        self.lacking() > 0
    }

    /// Bytes free on the file system for this user. Where the system does
    /// not say, there is no reason to hold back.
    fn free_outside(&self) -> u64 {
        rustix::fs::statvfs(&self.path).map_or(u64::MAX, |fs| fs.f_bavail.saturating_mul(fs.f_frsize))
    }
}

#[derive(Clone, Copy)]
enum Which {
    Any,
    Settled,
    Waiting,
}

/// For each so many bytes of `max_bytes` one quarantined line is kept, the
/// newest: a server that refuses every line must not fill the record with
/// them and push out what waits. All of them stay counted.
const QUARANTINED_IN: u64 = 16 << 10;
/// Rows per step: a few milliseconds of work.
const STEP: usize = 128;
/// Pages per step of giving back.
const VACUUM_STEP: u64 = 256;
/// `SQLite`'s page size.
pub(super) const PAGE: u64 = 4096;
/// Least room kept within `max_bytes`.
const SLACK: u64 = 256 * 1024;
/// Unused pages that are not given back below `min_free`.
const RESERVE: u64 = 1 << 20;
/// Nanoseconds that one kept cycle stands for.
pub(super) const THINNED_TO: i64 = 10_000_000_000;

/// Which ten seconds an instant is in. Of the cycles of one of them, thinning
/// keeps the first.
#[must_use]
pub fn thinning_slot(at: WallTime) -> i64 {
    at.0.div_euclid(THINNED_TO)
}

fn before(now: WallTime, span: Duration) -> i64 {
    now.0.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
}
