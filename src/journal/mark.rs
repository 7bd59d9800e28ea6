//! What is remembered beside the record: the account as of the last write.
//!
//! It stands in the file that guards the record against a second writer, and
//! is written after each transaction, without a sync. So it survives a killed
//! process. After a power cut what it says of emitted lines is at most behind;
//! delivered lines may be more than the record knows, which takes back the last
//! moves of the cursor and sends those lines again. `SQLite` takes back
//! silently what a lost, cut or altered write-ahead log held; the mark tells
//! how much that was, and what was in a record that cannot be read or is gone.

use std::{
    fmt::Write as _,
    fs::File,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    os::unix::fs::FileExt as _,
};

use super::{Account, account::reason, append::checksum};

/// Tells record files apart, wherever they are moved to.
pub(super) type FileId = i64;

/// An id that no other file has.
pub(super) fn new_id() -> FileId {
    RandomState::new().build_hasher().finish().cast_signed()
}

/// An account and the file it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) id: FileId,
    pub(super) account: Account,
}

impl Mark {
    /// What the guard remembers. Nothing where it never was told or where it
    /// makes no sense.
    pub(super) fn read(guard: &File) -> Option<Self> {
        let mut content = vec![0; MOST];
        let mut filled = 0;
        loop {
            match guard.read_at(content.get_mut(filled..)?, filled as u64) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(_) => return None,
            }
        }
        let (head, rest) = content.get(..filled)?.split_at_checked(HEAD)?;
        let mut head = std::str::from_utf8(head).ok()?.strip_prefix(WORD)?.split_ascii_whitespace();
        let body = rest.get(..head.next()?.parse().ok()?)?;
        if u32::from_str_radix(head.next()?, 16).ok()? != checksum(body) {
            return None;
        }
        let mut id = None;
        let mut account = Account::default();
        for line in std::str::from_utf8(body).ok()?.lines() {
            let (name, value) = line.rsplit_once('=')?;
            match name {
                "id" => id = Some(unhex(value)?),
                "counted" => account.count_file(unhex(value)?),
                _ => account.set(name, value.parse().ok()?),
            }
        }
        Some(Self { id: id?, account })
    }

    /// Tells the guard. Where that fails the mark stays behind, which costs
    /// no more than what it is there for.
    pub(super) fn write(id: FileId, account: &Account, guard: &File) {
        let mut body = format!("id={}\n", hex(id));
        for (name, lines) in account.figures() {
            // Into a String this cannot fail.
            let _ = writeln!(body, "{name}={lines}");
        }
        for file in &account.files {
            let _ = writeln!(body, "counted={}", hex(*file));
        }
        let head = format!("{WORD}{:<8} {:08x}\n", body.len(), checksum(body.as_bytes()));
        let _ = guard.write_all_at((head + &body).as_bytes(), 0);
    }

    /// What `file`, the same file as it was found, has lost since: figures to
    /// add. Lines that waited are lost. Of the others the file takes back that
    /// they were settled; they count as what they were where that is sure,
    /// and as lost where it is not.
    pub(super) fn lost_since(&self, file: &Account) -> Account {
        let missing = self.account.emitted.saturating_sub(file.emitted);
        let waited = self.account.emitted.saturating_sub(self.account.settled());
        let settled = missing - missing.min(waited);
        let local = settled.min(self.account.local.saturating_sub(file.local));
        let unsure = self.account.quarantined.saturating_sub(file.quarantined)
            + self.account.dropped_total().saturating_sub(file.dropped_total());
        let delivered = (settled - local).saturating_sub(unsure);
        let mut found = Account { emitted: missing, local, delivered, ..Account::default() };
        found.drop_lines(reason::DAMAGED_FILE, missing - local - delivered);
        found
    }
}

pub(super) fn hex(id: FileId) -> String {
    format!("{:016x}", id.cast_unsigned())
}

pub(super) fn unhex(text: &str) -> Option<FileId> {
    u64::from_str_radix(text, 16).ok().map(u64::cast_signed)
}

const WORD: &str = "kvmscope record 1 ";
/// Bytes of the first line.
const HEAD: usize = WORD.len() + 8 + 1 + 8 + 1;
/// More than any mark has.
const MOST: usize = 64 << 10;
