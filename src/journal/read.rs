//! Reading rows back, for sending and for looking back.

use rusqlite::{Connection, types::ValueRef};

use super::{Error, Journal};
use crate::model::WallTime;

/// One row as it is in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number; grows in the order of recording.
    pub row: i64,
    /// When its cycle closed.
    pub at: WallTime,
    /// 0 for a cycle's first row, then 1, 2 …
    pub part: u32,
    /// How many lines it has.
    pub lines: u64,
    /// The lines; `None` where the checksum does not fit.
    pub bytes: Option<Vec<u8>>,
    /// Version and content of the local part, where there is one and it can
    /// be unpacked.
    pub local: Option<(u32, Vec<u8>)>,
    /// Whether there is one and it cannot.
    pub local_damaged: bool,
}

impl Journal {
    /// The rows after row `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn rows(&self, after: i64, limit: usize) -> Result<Vec<Stored>, Error> {
        rows(&self.db, after, limit).map_err(self.failed("reading"))
    }

    /// Timestamp of the oldest line in the record.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn covers_since(&self) -> Result<Option<WallTime>, Error> {
        self.db
            .prepare_cached("SELECT first FROM cycle ORDER BY seq LIMIT 1")
            .and_then(|mut query| {
                let mut rows = query.query([])?;
                rows.next()?.map(|row| row.get(0).map(WallTime)).transpose()
            })
            .map_err(self.failed("reading"))
    }

    /// Bytes the record takes on disk, its log and set-aside files included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.own_bytes() + self.aside_bytes
    }

    /// Bytes of the file and its log, which `store.max_bytes` bounds.
    pub(super) fn own_bytes(&self) -> u64 {
        let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        size(&self.path) + self.log_bytes()
    }
}

/// The rows after row `after`, oldest first, at most `limit`.
pub(super) fn rows(db: &Connection, after: i64, limit: usize) -> rusqlite::Result<Vec<Stored>> {
    let mut query = db.prepare_cached(
        "SELECT cycle.seq, at, part, cycle.lines, bytes, crc, body.lines,
                local_version, local_bytes, local
         FROM cycle LEFT JOIN body ON body.seq = cycle.seq
         WHERE cycle.seq > ?1 ORDER BY cycle.seq LIMIT ?2",
    )?;
    query
        .query_map((after, i64::try_from(limit).unwrap_or(i64::MAX)), |row| {
            let lines = match row.get_ref(6)?.as_blob_or_null()? {
                Some(body) => unpack(body, row.get(4)?, row.get(5)?),
                None => None,
            };
            // What stands there instead of a number or bytes is damage to this part alone.
            let version: Option<i64> = row.get(7).unwrap_or(Some(-1));
            let there = version.is_some() || row.get_ref(9)? != ValueRef::Null;
            let local = (|| {
                let version = u32::try_from(version?).ok()?;
                let packed = row.get_ref(9).ok()?.as_blob().ok()?;
                inflate(packed, row.get(8).ok()?).map(|bytes| (version, bytes))
            })();
            Ok(Stored {
                row: row.get(0)?,
                at: WallTime(row.get(1)?),
                part: row.get(2)?,
                lines: row.get::<_, i64>(3)?.unsigned_abs(),
                bytes: lines,
                local_damaged: there && local.is_none(),
                local,
            })
        })?
        .collect()
}

/// The lines of a body, or `None` where they are not what was stored.
pub(super) fn unpack(body: &[u8], bytes: i64, crc: u32) -> Option<Vec<u8>> {
    inflate(body, bytes).filter(|text| super::append::checksum(text) == crc)
}

/// A row is at most a batch; more is damage, and no reason to take memory.
const MOST_BYTES: usize = 64 << 20;

fn inflate(packed: &[u8], bytes: i64) -> Option<Vec<u8>> {
    let size = usize::try_from(bytes).ok().filter(|size| *size <= MOST_BYTES)?;
    zstd::bulk::decompress(packed, size).ok().filter(|text| text.len() == size)
}
