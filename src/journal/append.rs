//! Appending cycles, and saving figures in the same transaction as what they
//! count.

use rusqlite::{Transaction, params};

use super::{
    Account, Error, Journal, Position, Refused,
    mark::{self, FileId, Mark},
    open::Totals,
};
use crate::model::WallTime;

/// One row to append: a cycle, or a part of one that exceeds a batch.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// When the cycle closed; the same in all its parts.
    pub at: WallTime,
    /// 0 for a cycle's first row, then 1, 2 …
    pub part: u32,
    /// Timestamp of the first line.
    pub first: WallTime,
    /// Timestamp of the last line.
    pub last: WallTime,
    /// How many lines there are; may be 0.
    pub lines: u64,
    /// The lines, each ended by a newline.
    pub bytes: &'a [u8],
    /// What the lines cannot say; with the first part only.
    pub local: Option<Local<'a>>,
}

/// The local part of a cycle: kept beside the lines and never sent. The
/// record does not know its form, only the version of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local<'a> {
    /// Version of the form.
    pub version: u32,
    /// The content.
    pub bytes: &'a [u8],
}

/// An entry as it goes to the file.
struct Packed<'a> {
    entry: Entry<'a>,
    crc: u32,
    lines: Vec<u8>,
    local: Option<Vec<u8>>,
}

impl Packed<'_> {
    fn stored(&self) -> usize {
        self.lines.len() + self.local.as_ref().map_or(0, Vec::len)
    }
}

impl Journal {
    /// Appends all `entries` in one transaction, with `delta`: figures of
    /// lines that belong to no row (delivered or lost before they reached the
    /// record). The entries' own lines are counted as emitted here. Returns
    /// when the data is on the disk.
    ///
    /// # Errors
    /// Nothing was appended and nothing counted.
    pub fn append(&mut self, entries: &[Entry<'_>], delta: &Account) -> Result<(), Error> {
        self.keep_log()?;
        let packed = self.pack(entries)?;
        self.make_room(packed.iter().map(Packed::stored).sum())?;
        let wanted = self.target.is_some();
        let mut account = self.account();
        account.add(delta);
        let mut totals = self.totals;
        // A damaged row may say that it has any number of lines.
        let add = |figure: &mut u64, lines: u64| *figure = figure.saturating_add(lines);
        for Packed { entry, .. } in &packed {
            add(&mut account.emitted, entry.lines);
            if !wanted {
                add(&mut account.local, entry.lines);
            }
            totals.rows += 1;
            totals.cycles += u64::from(entry.part == 0);
            add(&mut totals.lines, entry.lines);
            if wanted && entry.lines > 0 {
                add(&mut totals.waiting, entry.lines);
                totals.waiting_rows += 1;
            }
        }
        let next = self.next_row;
        self.commit("appending", account, totals, |tx| {
            let mut cycle = tx.prepare_cached(
                "INSERT INTO cycle (seq, part, at, first, last, lines, bytes, crc, stored, wanted)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?;
            let mut body = tx.prepare_cached(
                "INSERT INTO body (seq, lines, local_version, local_bytes, local) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for (seq, row) in (next..).zip(&packed) {
                let e = &row.entry;
                cycle.execute(params![
                    seq,
                    e.part,
                    e.at.0,
                    e.first.0,
                    e.last.0,
                    whole(e.lines),
                    whole(e.bytes.len() as u64),
                    row.crc,
                    whole(row.stored() as u64),
                    wanted && e.lines > 0,
                ])?;
                let local = e.local.map(|l| (l.version, whole(l.bytes.len() as u64)));
                body.execute(params![
                    seq,
                    row.lines,
                    local.map(|l| l.0),
                    local.map(|l| l.1),
                    row.local.as_deref()
                ])?;
            }
            Ok(())
        })?;
        self.next_row += i64::try_from(packed.len()).unwrap_or(i64::MAX);
        Ok(())
    }

    /// Runs `change` in a transaction of its own, saves in it the account, the
    /// cursor and what was settled but not yet saved, and takes over the new
    /// figures once it is on the disk.
    pub(super) fn commit(
        &mut self,
        action: &'static str,
        account: Account,
        totals: Totals,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Error> {
        self.commit_as("FULL", action, account, totals, change)
    }

    /// As [`Journal::commit`], where nothing but the cursor has moved. What it
    /// writes outlives this process at once and a power cut with the next sync,
    /// be it an append's or the log's own; until then the file is as it was
    /// before, and the lines wait.
    pub(super) fn commit_unsynced(
        &mut self,
        action: &'static str,
        account: Account,
        totals: Totals,
    ) -> Result<(), Error> {
        self.commit_as("NORMAL", action, account, totals, |_| Ok(()))
    }

    fn commit_as(
        &mut self,
        synchronous: &str,
        action: &'static str,
        account: Account,
        totals: Totals,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Error> {
        let saved = (|| {
            self.db.pragma_update(None, "synchronous", synchronous)?;
            let tx = self.db.unchecked_transaction()?;
            change(&tx)?;
            for (name, lines) in account.figures() {
                tx.prepare_cached(
                    "INSERT INTO account (name, lines) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET lines = ?2 WHERE lines <> ?2",
                )?
                .execute(params![name, whole(lines)])?;
            }
            tx.prepare_cached(
                "INSERT INTO mark (name, value) VALUES ('account', ?1)
                 ON CONFLICT (name) DO UPDATE SET value = ?1",
            )?
            .execute([account.checksum(self.id)])?;
            if self.unnamed || account.files != self.account.files {
                save_names(&tx, self.id, &account.files)?;
            }
            if self.unsaved.moved
                && let Some(target) = &self.target
            {
                save_cursor(&tx, target, self.cursor)?;
            }
            for (at, refused) in &self.unsaved.refused {
                save_refused(&tx, *at, self.target.as_deref().unwrap_or_default(), refused)?;
            }
            tx.commit()
        })();
        self.note_log();
        saved.map_err(self.failed(action))?;
        Mark::write(self.id, &account, &self.guard);
        self.unnamed = false;
        self.unsaved = super::open::Unsaved::default();
        self.account = account;
        self.totals = totals;
        Ok(())
    }

    fn pack<'a>(&mut self, entries: &[Entry<'a>]) -> Result<Vec<Packed<'a>>, Error> {
        let mut pack = |bytes: &[u8]| {
            self.packer.compress(bytes).map_err(|source| Error::Codec {
                path: self.path.clone(),
                action: "compressing",
                source,
            })
        };
        entries
            .iter()
            .map(|entry| {
                Ok(Packed {
                    entry: *entry,
                    crc: checksum(entry.bytes),
                    lines: pack(entry.bytes)?,
                    local: entry.local.map(|local| pack(local.bytes)).transpose()?,
                })
            })
            .collect()
    }
}

/// Saves the file's id and those of the files whose figures are in its own.
fn save_names(tx: &Transaction<'_>, id: FileId, counted: &[FileId]) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM mark WHERE name = 'id' OR name LIKE 'counted %'", [])?;
    let mut save = tx.prepare_cached("INSERT INTO mark (name, value) VALUES (?1, ?2)")?;
    save.execute(params!["id", id])?;
    for (order, file) in (0_i64..).zip(counted) {
        save.execute(params![format!("counted {}", mark::hex(*file)), order])?;
    }
    Ok(())
}

fn save_cursor(tx: &Transaction<'_>, target: &str, cursor: Position) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE target SET row = ?2, line = ?3 WHERE name = ?1")?
        .execute(params![target, cursor.row, cursor.line])
        .map(drop)
}

pub(super) fn save_refused(
    tx: &Transaction<'_>,
    at: WallTime,
    target: &str,
    refused: &Refused,
) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT INTO quarantine (at, target, message, line) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![at.0, target, refused.message, refused.line])
        .map(drop)
}

/// `SQLite` knows signed numbers only; no figure here comes near its end.
pub(super) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// CRC-32 of the uncompressed lines.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
