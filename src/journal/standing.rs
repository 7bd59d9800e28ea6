//! Whether the record's files are still those that were opened.
//!
//! `SQLite` writes on into a log that was removed, and everything in it is
//! gone with the process. So the log is looked at before each append.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{Error, Journal};

/// Enough to see that a file is another one or was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    device: u64,
    inode: u64,
    bytes: u64,
}

impl Journal {
    /// Whether the file is still the one that was opened.
    ///
    /// # Errors
    /// [`Error::Gone`] where it was removed or replaced.
    pub fn still_there(&self) -> Result<(), Error> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(meta) if (meta.dev(), meta.ino()) == self.identity => Ok(()),
            _ => Err(Error::Gone { path: self.path.clone() }),
        }
    }

    /// Looks at both files. Where the log was removed, replaced or cut, what is in it is brought to
    /// the file while it is still open. The record is to be opened anew then.
    ///
    /// # Errors
    /// [`Error::LogGone`], with nothing lost, [`Error::Gone`], or what stood in
    /// the way.
    pub(super) fn keep_log(&mut self) -> Result<(), Error> {
        self.still_there()?;
        let Some(before) = self.log else { return Ok(()) };
        let now = self.see_log();
        let same = |now: Seen| (now.device, now.inode) == (before.device, before.inode);
        if now.is_some_and(|now| same(now) && now.bytes >= before.bytes) {
            return Ok(());
        }
        let (busy, sound) = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
            .and_then(|busy| {
                let sound = "PRAGMA quick_check(1)";
                Ok((busy, self.db.query_row(sound, [], |row| row.get::<_, String>(0))?))
            })
            .map_err(self.failed("saving its log"))?;
        if busy || sound != "ok" {
            return Err(Error::Inconsistent {
                path: self.path.clone(),
                found: format!("its log was cut: {sound}"),
            });
        }
        // All of it is in the file: whatever stands there now is not needed, and
        // would be taken for the file's log.
        match std::fs::remove_file(self.log_path()) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Place { path: self.log_path(), source })
            }
            _ => Err(Error::LogGone { path: self.path.clone() }),
        }
    }

    /// Notes how the log is after a write.
    pub(super) fn note_log(&mut self) {
        self.log = self.see_log().or(self.log);
    }

    fn see_log(&self) -> Option<Seen> {
        let meta = std::fs::symlink_metadata(self.log_path()).ok()?;
        Some(Seen { device: meta.dev(), inode: meta.ino(), bytes: meta.len() })
    }

    /// Where the write-ahead log is.
    pub(super) fn log_path(&self) -> PathBuf {
        log_of(&self.path)
    }

    /// Bytes of the write-ahead log.
    pub(super) fn log_bytes(&self) -> u64 {
        self.see_log().map_or(0, |log| log.bytes)
    }
}

/// Where the write-ahead log of the record at `path` is.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}
