//! The record's place: directory and permissions, the guard against a second
//! writer, and files that cannot be used set aside.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    Account, Error,
    error::is_damage,
    mark::FileId,
    open::{stored_account, stored_id},
    schema,
};
use crate::model::WallTime;

/// A file that could not be used and was renamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Its new name.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

pub(super) fn make_directory(directory: &Path) -> Result<(), Error> {
    crate::rundir::make_private(directory)
        .map_err(|source| Error::Place { path: directory.to_owned(), source })
}

/// Opens or makes a file of ours; a symbolic link in its place is refused.
pub(super) fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(crate::rundir::NO_FOLLOW)
        .open(path)
}

/// Locks the record against a second writer, for as long as the file lives.
pub(super) fn guard(path: &Path) -> Result<File, Error> {
    let beside = path.with_added_extension("lock");
    let place = |source| Error::Place { path: beside.clone(), source };
    let file = private_file(&beside).map_err(place)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(place(source)),
    }
}

/// Why the file at `path` cannot be this program's record; `None` when it can
/// be, or when there is none.
pub(super) fn unusable(path: &Path) -> Result<Option<(&'static str, String)>, Error> {
    let place = |source| Error::Place { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // A log without its file would be taken for the new file's.
            for side in SIDES {
                match std::fs::remove_file(path.with_added_extension_raw(side)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(place(error)),
                    _ => {}
                }
            }
            return Ok(None);
        }
        Err(error) => return Err(place(error)),
        Ok(meta) if !meta.is_file() => return Err(Error::NotAFile { path: path.to_owned() }),
        Ok(meta) if meta.len() == 0 => return Ok(None),
        Ok(_) => {}
    }
    let look = || -> rusqlite::Result<Option<(&'static str, String)>> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let application: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let version = schema::version(&db)?;
        let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        // Otherwise the permissions or the file system are to blame, and can be mended.
        let asks_for_newer =
            db.is_readonly(rusqlite::MAIN_DB)? && has_newer_header(path) && may_be_written(path);
        Ok(if tables > 0 && application != schema::APPLICATION {
            Some(("foreign", "it is a database of another program".to_owned()))
        } else if asks_for_newer {
            Some((
                "damaged",
                "it is damaged: its header asks for an SQLite that is not written yet".to_owned(),
            ))
        } else if version > schema::VERSION {
            let known = schema::VERSION;
            let why = format!("it was written by a newer kvmscope (form {version}, this one knows {known})");
            Some(("newer", why))
        } else {
            None
        })
    };
    match look() {
        Ok(why) => Ok(why),
        Err(error) if is_damage(&error) => Ok(Some(("damaged", format!("it is damaged: {error}")))),
        Err(source) => Err(Error::Sqlite { path: path.to_owned(), action: "opening", source }),
    }
}

/// Whether the file's header asks for a newer `SQLite` to write it: byte 18 is
/// the version of the format, and 2 is the highest there is.
fn has_newer_header(path: &Path) -> bool {
    let mut header = [0; 19];
    File::open(path).and_then(|mut file| file.read_exact(&mut header)).is_ok() && header[18] > 2
}

/// Whether the system lets this user write the file at `path`.
fn may_be_written(path: &Path) -> bool {
    OpenOptions::new().write(true).custom_flags(crate::rundir::NO_FOLLOW).open(path).is_ok()
}

/// What `SQLite` keeps beside the file.
pub(super) const SIDES: [&str; 2] = ["-wal", "-shm"];

/// Renames the file and its sides, notes the reason beside it, and brings
/// away what of its id and account can still be read.
pub(super) fn put_aside(
    path: &Path,
    word: &str,
    why: &str,
    now: WallTime,
) -> Result<(SetAside, Option<FileId>, Account), Error> {
    let place = |source| Error::Place { path: path.to_owned(), source };
    let stamp = jiff::Timestamp::from_second(now.seconds())
        .map_or_else(|_| now.seconds().to_string(), |t| t.strftime("%Y%m%dT%H%M%SZ").to_string());
    let mut aside = path.with_added_extension_raw(&format!(".{word}-{stamp}"));
    let mut attempt = 1;
    while aside.symlink_metadata().is_ok() {
        attempt += 1;
        aside = path.with_added_extension_raw(&format!(".{word}-{stamp}-{attempt}"));
    }
    for side in SIDES {
        match std::fs::rename(path.with_added_extension_raw(side), aside.with_added_extension_raw(side)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(place(error)),
            _ => {}
        }
    }
    std::fs::rename(path, &aside).map_err(place)?;
    if let Ok(mut note) = private_file(&aside.with_added_extension_raw(".reason")) {
        // The reason is also logged and shown; a note that cannot be written changes nothing.
        let _ = writeln!(note, "{why}");
    }
    let (id, account) = Connection::open_with_flags(&aside, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .and_then(|db| Ok((stored_id(&db)?, stored_account(&db)?)))
        .unwrap_or_default();
    Ok((SetAside { path: aside, why: why.to_owned() }, id, account))
}

/// Appends to the file name as it is, with no dot in between.
trait RawExtension {
    fn with_added_extension_raw(&self, tail: &str) -> PathBuf;
}

impl RawExtension for Path {
    fn with_added_extension_raw(&self, tail: &str) -> PathBuf {
        let mut name = self.as_os_str().to_owned();
        name.push(tail);
        PathBuf::from(name)
    }
}
