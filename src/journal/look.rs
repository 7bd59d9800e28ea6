//! Looking into the record while it is written: a connection of its own that
//! changes nothing, makes nothing and brings no file up to a new version.
//!
//! It reads what the last finished append left. A statement takes a row or a
//! few, so that the log is never held for long.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};
use uuid::Uuid;

use super::{
    Error, Event, Stored, events, read, schema,
    sharing::{self, Looking},
};
use crate::model::WallTime;

/// A look into the record of this process.
pub struct Look {
    db: Connection,
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
    // Let go after the connection.
    looking: Looking,
}

/// A row without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Its number.
    pub row: i64,
    /// When its cycle closed.
    pub at: WallTime,
    /// 0 for a cycle's first row, then 1, 2 …
    pub part: u32,
    /// How many lines it has.
    pub lines: u64,
}

/// Why the record cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// There is no file.
    #[error("there is no record in {path} yet; it is made when collection has begun")]
    None {
        /// Where it would be.
        path: PathBuf,
    },
    /// This process is just opening or replacing it.
    #[error("the record {path} is just being opened; try again in a moment")]
    Opening {
        /// Where.
        path: PathBuf,
    },
    /// Nobody has it open in this process, and another one may.
    #[error("the record {path} is not open here; {}", if *.held {
        "another kvmscope writes it, look back there"
    } else {
        "see the status page for why it is not written"
    })]
    Closed {
        /// Where.
        path: PathBuf,
        /// Whether another process has it.
        held: bool,
    },
    /// It is of another version, or of another program.
    #[error("{path} is no record that this kvmscope reads; see the status page for what becomes of it")]
    Foreign {
        /// Where.
        path: PathBuf,
    },
    /// It could not be read.
    #[error(transparent)]
    Unreadable(#[from] Error),
}

impl Look {
    /// Looks into the record at `path`, which this process writes.
    ///
    /// # Errors
    /// See [`LookError`].
    pub fn open(path: &Path) -> Result<Self, LookError> {
        Self::opened(path, false)
    }

    /// Looks into the record at `path`, which nobody writes: left by a process
    /// that has ended, or been killed. It is left as it is.
    ///
    /// # Errors
    /// See [`LookError`].
    pub fn at_rest(path: &Path) -> Result<Self, LookError> {
        Self::opened(path, true)
    }

    fn opened(path: &Path, at_rest: bool) -> Result<Self, LookError> {
        let path = path.to_owned();
        let file = match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_file() => (meta.dev(), meta.ino()),
            Ok(_) => return Err(LookError::Foreign { path }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(LookError::None { path });
            }
            Err(source) => return Err(Error::Place { path, source }.into()),
        };
        let Some(looking) = sharing::look(&path) else { return Err(LookError::Opening { path }) };
        // Without its log nobody writes it, and opening it makes one.
        let has_log = std::fs::symlink_metadata(super::standing::log_of(&path)).is_ok();
        if !has_log && !at_rest {
            return Err(LookError::Closed { path, held: false });
        }
        // Read-only files have no part in what a process's connections share,
        // so that it is opened like the writer's, and then kept from writing.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = (|| {
            let db = Connection::open_with_flags_and_vfs(&path, flags, sharing::ALONE)?;
            db.busy_timeout(std::time::Duration::ZERO)?;
            db.pragma_update(None, "query_only", true)?;
            // Where the writer has closed it meanwhile, its log is left as it
            // is. The one that this look made goes with it.
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
            db.pragma_update(None, "cell_size_check", true)?;
            db.pragma_update(None, "trusted_schema", false)?;
            db.pragma_update(None, "temp_store", "MEMORY")?;
            let application: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
            let ours = application == schema::APPLICATION && schema::version(&db)? == schema::VERSION;
            Ok((db, ours))
        })();
        match opened {
            Ok((db, true)) => Ok(Self { db, path, file, looking }),
            Ok((_, false)) => Err(LookError::Foreign { path }),
            Err(error) if is_held(&error) => Err(LookError::Closed { path, held: true }),
            Err(source) => Err(Error::Sqlite { path, action: "looking into it", source }.into()),
        }
    }

    /// Which file it is: device and inode. Rows of another are others.
    #[must_use]
    pub fn file(&self) -> (u64, u64) {
        self.file
    }

    /// Whether the record is about to be opened anew, which waits for this
    /// look to end.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.looking.is_waited_for()
    }

    /// What to say when the look was ended for that.
    #[must_use]
    pub fn opening(&self) -> LookError {
        LookError::Opening { path: self.path.clone() }
    }

    /// The first and the last row there is. Rows are numbered from 1: what has
    /// a lower number is no row of ours, here as in every other answer.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn ends(&self) -> Result<Option<(Outline, Outline)>, Error> {
        let first = self.outline(FROM, 1, 0)?;
        let last = self.outline(LAST, 0, 0)?;
        Ok(first.zip(last))
    }

    /// The last row that closed at `at` or before it. Rows are in the order of
    /// their numbers; where the clock was set back, one of several stretches
    /// is taken, and what is returned did close then.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn at_or_before(&self, at: WallTime) -> Result<Option<Outline>, Error> {
        let Some((first, last)) = self.ends()? else { return Ok(None) };
        if last.at <= at {
            return Ok(Some(last));
        }
        // By halves only where the ends are in order.
        let later = if first.at > last.at { i64::MAX } else { self.first_later(at)? };
        self.outline(AT_OR_BEFORE, later, at.0)
    }

    /// The first row that closed after `at`, as [`Look::at_or_before`].
    ///
    /// # Errors
    /// The file could not be read.
    pub fn after(&self, at: WallTime) -> Result<Option<Outline>, Error> {
        let Some((first, last)) = self.ends()? else { return Ok(None) };
        if first.at > at {
            return Ok(Some(first));
        }
        let later = if first.at > last.at { 1 } else { self.first_later(at)? };
        self.outline(AFTER, later, at.0)
    }

    /// The last row of the cycle that closed at this very instant; where the
    /// clock was set back, only if it is among the newest rows.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn closed_at(&self, at: WallTime) -> Result<Option<Outline>, Error> {
        if let Some(row) = self.at_or_before(at)?.filter(|row| row.at == at) {
            return Ok(Some(row));
        }
        let Some((_, last)) = self.ends()? else { return Ok(None) };
        self.outline(CLOSED_AT, last.row.saturating_sub(NEWEST).max(1), at.0)
    }

    /// The numbers of the first and the last row whose cycles closed from
    /// `since` on and before `until`; `None`: there is none. Where the clock was
    /// set back, rows between them may have closed at other times, and none
    /// beyond them did in this one. Goes through the times of all rows: for
    /// questions that read much anyway.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn between(&self, since: WallTime, until: WallTime) -> Result<Option<(i64, i64)>, Error> {
        let ends = |row: &rusqlite::Row<'_>| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?));
        let found = self.db.query_row(BETWEEN, [since.0, until.0], ends);
        found.map_err(self.failed("reading"))
    }

    /// By halves, the number of the first row that closed after `at`; one
    /// beyond the last where none did.
    fn first_later(&self, at: WallTime) -> Result<i64, Error> {
        let Some((first, last)) = self.ends()? else { return Ok(1) };
        let (mut low, mut high) = (first.row, last.row.saturating_add(1));
        while low < high {
            let middle = i64::midpoint(low, high);
            match self.outline(FROM, middle, 0)? {
                Some(row) if row.row < high && row.at <= at => low = row.row.saturating_add(1),
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The last row before row `row`.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn previous(&self, row: i64) -> Result<Option<Outline>, Error> {
        self.outline(BEFORE, row, 0)
    }

    /// The first row after row `row`.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn next(&self, row: i64) -> Result<Option<Outline>, Error> {
        self.outline(BEYOND, row.max(0), 0)
    }

    fn outline(&self, which: &str, first: i64, second: i64) -> Result<Option<Outline>, Error> {
        let sql = format!("SELECT seq, at, part, lines FROM cycle {which}");
        (|| {
            let mut query = self.db.prepare_cached(&sql)?;
            for (place, value) in [(1, first), (2, second)] {
                if place <= query.parameter_count() {
                    query.raw_bind_parameter(place, value)?;
                }
            }
            let mut rows = query.raw_query();
            rows.next()?
                .map(|row| {
                    Ok(Outline {
                        row: row.get(0)?,
                        at: WallTime(row.get(1)?),
                        part: row.get(2)?,
                        lines: row.get::<_, i64>(3)?.unsigned_abs(),
                    })
                })
                .transpose()
        })()
        .map_err(self.failed("reading"))
    }

    /// The rows after row `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn rows(&self, after: i64, limit: usize) -> Result<Vec<Stored>, Error> {
        read::rows(&self.db, after.max(0), limit).map_err(self.failed("reading"))
    }

    /// The last `limit` events of a domain that were first heard of at `until`
    /// or before, oldest first.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn events_of(&self, uuid: Uuid, until: WallTime, limit: usize) -> Result<Vec<Event>, Error> {
        events::of(&self.db, uuid, until, limit).map_err(self.failed("reading events"))
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(rusqlite::Error) -> Error + use<> {
        let path = self.path.clone();
        move |source| Error::Sqlite { path, action, source }
    }
}

/// How many of the newest numbers are looked through for an instant, a few
/// milliseconds' work: what is in memory whole is among them.
const NEWEST: i64 = 1 << 16;
const BETWEEN: &str = "SELECT min(seq), max(seq) FROM cycle WHERE seq > 0 AND at >= ?1 AND at < ?2";
const AT_OR_BEFORE: &str = "WHERE seq > 0 AND seq < ?1 AND at <= ?2 ORDER BY seq DESC LIMIT 1";
const AFTER: &str = "WHERE seq >= ?1 AND at > ?2 ORDER BY seq LIMIT 1";
const CLOSED_AT: &str = "WHERE seq >= ?1 AND at = ?2 ORDER BY seq DESC LIMIT 1";
const FROM: &str = "WHERE seq >= ?1 ORDER BY seq LIMIT 1";
const LAST: &str = "WHERE seq > 0 ORDER BY seq DESC LIMIT 1";
const BEFORE: &str = "WHERE seq > 0 AND seq < ?1 ORDER BY seq DESC LIMIT 1";
const BEYOND: &str = "WHERE seq > ?1 ORDER BY seq LIMIT 1";

fn is_held(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests;

    #[test]
    fn no_question_reads_the_whole_record() {
        let directory = tempfile::tempdir().unwrap();
        let _journal = tests::open(directory.path());
        let look = Look::open(&directory.path().join("record.db")).unwrap();
        for which in [AT_OR_BEFORE, AFTER, CLOSED_AT, FROM, LAST, BEFORE, BEYOND] {
            let sql = format!("EXPLAIN QUERY PLAN SELECT seq, at, part, lines FROM cycle {which}");
            let mut query = look.db.prepare(&sql).unwrap();
            let steps = query.raw_query().mapped(|row| row.get::<_, String>(3));
            let steps: Vec<_> = steps.map(Result::unwrap).collect();
            let [step] = &*steps else { panic!("{steps:?}") };
            assert!(step.starts_with("SEARCH cycle USING INTEGER PRIMARY KEY"), "{which}: {step}");
        }
    }

    #[test]
    fn a_look_can_change_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let _journal = tests::open(directory.path());
        let look = Look::open(&directory.path().join("record.db")).unwrap();
        for change in ["DELETE FROM cycle", "CREATE TABLE t (a)", "PRAGMA user_version = 9"] {
            assert!(look.db.execute_batch(change).is_err(), "{change}");
        }
    }

    #[test]
    fn a_record_at_rest_is_looked_into_and_left_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record.db");
        drop(tests::open(directory.path()));
        let files = || {
            let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.collect();
            names.sort();
            (names, std::fs::read(&path).unwrap())
        };
        let before = files();
        assert!(matches!(Look::open(&path), Err(LookError::Closed { held: false, .. })));
        let look = Look::at_rest(&path).unwrap();
        assert_eq!(look.ends().unwrap(), None);
        drop(look);
        assert_eq!(files(), before);
    }
}
