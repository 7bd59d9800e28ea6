//! Opening the record: the figures counted once, and the state that is kept
//! while it is open.

use std::{
    fs::File,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::{
    Account, Error, Limits, Position, Refused,
    account::reason,
    error::Fault,
    mark::{self, FileId, Mark},
    place::{SetAside, guard, make_directory, private_file, put_aside, unusable},
    schema, sharing,
    standing::Seen,
    takeover::add_lost,
};
use crate::model::WallTime;

/// The open record. One per process and file; a second one is refused.
pub struct Journal {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    pub(super) limits: Limits,
    /// What the file says; [`Journal::account`] adds what it does not hold yet.
    pub(super) account: Account,
    pub(super) totals: Totals,
    /// The target in force; `None`: what is appended stays local.
    pub(super) target: Option<String>,
    /// Up to where lines are settled, also where the file could not be told.
    pub(super) cursor: Position,
    /// Settled, but not yet in the file.
    pub(super) unsaved: Unsaved,
    pub(super) next_row: i64,
    /// Rows up to this one are being sent: retention leaves them alone.
    pub(super) sending: Option<i64>,
    pub(super) packer: zstd::bulk::Compressor<'static>,
    pub(super) thinning: super::retention::Thinning,
    /// Device and inode of the file as it was opened.
    pub(super) identity: (u64, u64),
    /// The write-ahead log as it was after the last write.
    pub(super) log: Option<Seen>,
    /// What the set-aside files take, and when they were looked at.
    pub(super) aside_bytes: u64,
    pub(super) tidied_at: Option<WallTime>,
    /// Which file this is.
    pub(super) id: FileId,
    /// Whether the file has yet to be told its id.
    pub(super) unnamed: bool,
    /// Held locked while the record is open; remembers the account.
    pub(super) guard: File,
}

/// What is in the file, kept up with every change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) rows: u64,
    pub(super) cycles: u64,
    pub(super) lines: u64,
    /// Lines the cursor has not passed, and the rows they are in.
    pub(super) waiting: u64,
    pub(super) waiting_rows: u64,
}

/// An advance of the cursor that the file could not be told.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    pub(super) moved: bool,
    pub(super) delta: Account,
    pub(super) refused: Vec<(WallTime, Refused)>,
}

/// A record that was opened, and what happened on the way.
pub struct Opened {
    /// The record.
    pub journal: Journal,
    /// The file that stood there before and could not be used.
    pub set_aside: Option<SetAside>,
}

/// The record's file name for a libvirt URI: records of different
/// hypervisors never mix. The URI itself may name hosts and users, so only
/// its scheme and a checksum are shown.
#[must_use]
pub fn file_name(libvirt_uri: &str) -> String {
    let (scheme, mark) = crate::rundir::key(libvirt_uri);
    format!("record-{scheme}-{mark}.db")
}

impl Journal {
    /// Opens the record `name` in `directory`, making both where they are
    /// missing (0700, 0600). A damaged file, also one that turns out so when it
    /// is first written, or one of a newer kvmscope, is renamed and a new one
    /// begun. `carried` is counted in the file and is empty then.
    ///
    /// # Errors
    /// The place does not allow it, or another process writes this record.
    /// `carried` has then grown by what was in a file that was set aside.
    pub fn open(
        directory: &Path,
        name: &str,
        limits: Limits,
        carried: &mut Account,
        now: WallTime,
    ) -> Result<Opened, Error> {
        make_directory(directory)?;
        let path = directory.join(name);
        let guard = guard(&path)?;
        let _alone = sharing::open(&path)?;
        let mark = Mark::read(&guard);
        let replace = |word: &str, why: &str, carried: &mut Account| {
            let (aside, id, account) = put_aside(&path, word, why, now)?;
            add_lost(carried, id, &account, mark.as_ref());
            Ok(aside)
        };
        let mut set_aside = None;
        if let Some((word, why)) = unusable(&path)? {
            set_aside = Some(replace(word, &why, carried)?);
        }
        let open = || {
            let mut journal = Self::open_file(&path, &guard, limits, mark.as_ref())?;
            journal.compare(mark.as_ref())?;
            Ok(journal)
        };
        let mut journal = match open() {
            Err(error) if Error::fault(&error) == Fault::File => {
                set_aside = Some(replace("damaged", &error.to_string(), carried)?);
                open()?
            }
            opened => opened?,
        };
        if let Err(error) = journal.take_over(mark.as_ref(), carried) {
            if error.fault() != Fault::File {
                return Err(error);
            }
            // It can be read and not written: all that is known of it goes on in a new one.
            let (id, account) = (journal.id, journal.account());
            drop(journal);
            set_aside = Some(put_aside(&path, "damaged", &error.to_string(), now)?.0);
            carried.add_lost(Some(id), &account);
            journal = open()?;
            journal.take_over(mark.as_ref(), carried)?;
        }
        *carried = Account::default();
        Ok(Opened { journal, set_aside })
    }

    fn open_file(path: &Path, guard: &File, limits: Limits, mark: Option<&Mark>) -> Result<Self, Error> {
        let place = |source| Error::Place { path: path.to_owned(), source };
        // Made by hand: SQLite would make it readable by others.
        drop(private_file(path).map_err(place)?);
        let meta = path.metadata().map_err(place)?;
        let fail = |action| {
            let path = path.to_owned();
            move |source| Error::Sqlite { path, action, source }
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db =
            Connection::open_with_flags_and_vfs(path, flags, sharing::ALONE).map_err(fail("opening"))?;
        schema::prepare(&db).map_err(fail("opening"))?;
        #[cfg(test)]
        super::tests::full_disk::apply(&db);
        schema::bring_up(&mut db).map_err(fail("making the tables"))?;
        let packer = super::packing::packer().map_err(|source| Error::Codec {
            path: path.to_owned(),
            action: "starting compression",
            source,
        })?;
        let mut journal = Self {
            db,
            path: path.to_owned(),
            limits,
            account: Account::default(),
            totals: Totals::default(),
            target: None,
            cursor: Position::default(),
            unsaved: Unsaved::default(),
            next_row: 1,
            sending: None,
            packer,
            thinning: super::retention::Thinning::default(),
            identity: (meta.dev(), meta.ino()),
            log: None,
            aside_bytes: super::asides::bytes(path),
            tidied_at: None,
            id: mark::new_id(),
            unnamed: true,
            guard: guard.try_clone().map_err(place)?,
        };
        journal.load(mark).map_err(fail("reading"))?;
        journal.recount()?;
        journal.note_log();
        Ok(journal)
    }

    /// Reads account, cursor and totals.
    fn load(&mut self, mark: Option<&Mark>) -> rusqlite::Result<()> {
        self.account = stored_account(&self.db)?;
        if let Some(id) = stored_id(&self.db)? {
            (self.id, self.unnamed) = (id, false);
        }
        let checksum: Option<i64> = self
            .db
            .query_row("SELECT value FROM mark WHERE name = 'account'", [], |row| row.get(0))
            .optional()?;
        if checksum.is_some_and(|sum| sum != i64::from(self.account.checksum(self.id))) {
            // Not what was stored; the rows may well be. Where nothing tells
            // better, counting begins with what waits.
            (self.id, self.account) =
                mark.map_or_else(|| (self.id, Account::default()), |mark| (mark.id, mark.account.clone()));
            self.unnamed = true;
        }
        self.cursor = self
            .db
            .query_row("SELECT row, line FROM target ORDER BY used DESC LIMIT 1", [], |row| {
                Ok(Position { row: row.get(0)?, line: row.get(1)? })
            })
            .optional()?
            .unwrap_or_default();
        self.thinning.passed = self
            .db
            .query_row("SELECT value FROM mark WHERE name = 'thinned'", [], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        self.count()
    }

    /// Counts what is in the file, by its small rows.
    pub(super) fn count(&mut self) -> rusqlite::Result<()> {
        let (totals, last) = self.totals_without(&[])?;
        let last = last.max(self.cursor.row);
        if last > LAST_ROW {
            return Err(rusqlite::Error::IntegralValueOutOfRange(5, last));
        }
        self.totals = totals;
        self.next_row = last + 1;
        Ok(())
    }

    /// What the file holds beside `rows`, and the number of its last row.
    pub(super) fn totals_without(&self, rows: &[i64]) -> rusqlite::Result<(Totals, i64)> {
        let waits = "wanted AND (seq > ?1 OR (seq = ?1 AND lines > ?2))";
        let rows: Vec<String> = rows.iter().map(i64::to_string).collect();
        let rows = rows.join(", ");
        let sql = format!(
            "SELECT count(*), count(*) FILTER (WHERE part = 0), coalesce(sum(lines), 0),
                    coalesce(sum(CASE WHEN seq = ?1 THEN lines - ?2 ELSE lines END) FILTER (WHERE {waits}), 0),
                    count(*) FILTER (WHERE {waits}), coalesce(max(seq), 0)
             FROM cycle WHERE seq NOT IN ({rows})"
        );
        self.db.query_row(&sql, (self.cursor.row, self.cursor.line), |row| {
            let n = |i| row.get::<_, i64>(i).map(i64::unsigned_abs);
            let totals =
                Totals { rows: n(0)?, cycles: n(1)?, lines: n(2)?, waiting: n(3)?, waiting_rows: n(4)? };
            Ok((totals, row.get::<_, i64>(5)?))
        })
    }

    /// Counts anew, and counts rows that vanished or changed without this
    /// program's doing (a file cut, or mended by another tool) as lost. The
    /// file is told with the next write.
    pub(super) fn recount(&mut self) -> Result<(), Error> {
        self.count().map_err(self.failed("counting"))?;
        let found = self.account().difference(self.totals.waiting, reason::DAMAGED_FILE);
        if !found.is_empty() {
            self.unsaved.delta.add(&found);
            self.unsaved.moved = true;
        }
        Ok(())
    }

    /// As [`Journal::recount`], where the figures show that there is a reason.
    pub(super) fn recount_if_wrong(&mut self) -> Result<(), Error> {
        if self.account().difference(self.totals.waiting, reason::DAMAGED_FILE).is_empty() {
            return Ok(());
        }
        self.recount()
    }

    /// Renames the file of a record that was abandoned, so that a new one can
    /// be begun in its place.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn set_aside(path: &Path, why: &str, now: WallTime) -> Result<SetAside, Error> {
        let _alone = sharing::open(path)?;
        put_aside(path, "damaged", why, now).map(|(aside, ..)| aside)
    }

    /// Ends the use of a file that has turned out damaged or gone: what
    /// waited in it is lost and counted so. The caller opens a new one, with
    /// this account carried over.
    #[must_use]
    pub fn abandon(self) -> Account {
        if self.still_there().is_err() {
            // Where it was moved it keeps what is in its log; there is no harm where this fails.
            let _ = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        let mut lost = Account::default();
        lost.add_lost(Some(self.id), &self.account());
        lost
    }

    /// The account, with what the file could not be told yet.
    #[must_use]
    pub fn account(&self) -> Account {
        let mut account = self.account.clone();
        account.add(&self.unsaved.delta);
        account
    }

    /// The account as the file has it.
    #[must_use]
    pub fn saved_account(&self) -> Account {
        self.account.clone()
    }

    /// Where the record is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the file grow no further, as on a full disk, or again (`None`).
    #[cfg(test)]
    pub(crate) fn fill_disk(&self, full: bool) {
        let most = if full { 1_i64 } else { i64::from(u32::MAX) - 1 };
        // SQLite raises the bound to the pages that are there.
        self.db.pragma_update_and_check(None, "max_page_count", most, |_| Ok(())).unwrap();
    }

    /// Forgets the pages in memory, so that the file itself is read.
    #[cfg(test)]
    pub(crate) fn forget_cache(&self) {
        self.db.execute_batch("PRAGMA cache_size = 10; PRAGMA shrink_memory").unwrap();
    }

    /// Lines the cursor has not passed.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.totals.waiting
    }

    /// Cycles in the record.
    #[must_use]
    pub fn cycles(&self) -> u64 {
        self.totals.cycles
    }

    /// Lines in the record, delivered ones included.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.totals.lines
    }

    pub(super) fn failed(&self, action: &'static str) -> impl FnOnce(rusqlite::Error) -> Error + use<> {
        let path = self.path.clone();
        move |source| Error::Sqlite { path, action, source }
    }
}

/// A row or a cursor beyond it is damage: no record is written for so long, and
/// no other row fits behind the last number there is.
const LAST_ROW: i64 = i64::MAX / 2;

/// The file's own id, if it was ever told.
pub(super) fn stored_id(db: &Connection) -> rusqlite::Result<Option<FileId>> {
    db.query_row("SELECT value FROM mark WHERE name = 'id'", [], |row| row.get(0)).optional()
}

pub(super) fn stored_account(db: &Connection) -> rusqlite::Result<Account> {
    let mut account = Account::default();
    let mut query = db.prepare("SELECT name, lines FROM account")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        account.set(&row.get::<_, String>(0)?, row.get::<_, i64>(1)?.unsigned_abs());
    }
    let mut query = db.prepare("SELECT name FROM mark WHERE name LIKE 'counted %' ORDER BY value")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(file) = row.get::<_, String>(0)?.strip_prefix("counted ").and_then(mark::unhex) {
            account.count_file(file);
        }
    }
    Ok(account)
}
