//! What can go wrong with the record, in words an operator can act on.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why the record could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory or the file cannot be made or entered.
    #[error(
        "the record cannot be kept in {path}: {source}; make the directory writable for this user, \
         or set store.path to one that is"
    )]
    Place {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something that is no regular file stands where the record should be.
    #[error("{path} is not a regular file, so the record is not kept there; remove it or set store.path")]
    NotAFile {
        /// Where.
        path: PathBuf,
    },
    /// Another process has the same record open for writing.
    #[error("another kvmscope writes the record in {path}; stop it, or set store.path to another directory")]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// The file system has less than `store.min_free` left and the record
    /// holds nothing that could make room.
    #[error(
        "{path}: only {free_mib} MiB of the file system are free and store.min_free keeps \
         {min_free_mib} MiB of it free; free space or lower store.min_free"
    )]
    NoRoom {
        /// Where.
        path: PathBuf,
        /// Free now.
        free_mib: u64,
        /// To be kept free.
        min_free_mib: u64,
    },
    /// The file was removed or replaced under the running program.
    #[error("the record {path} was removed or replaced while it was open; a new one is begun")]
    Gone {
        /// Where.
        path: PathBuf,
    },
    /// The file and its log do not fit each other.
    #[error("the record {path} is damaged: {found}; the file is set aside and a new one begun")]
    Inconsistent {
        /// Where.
        path: PathBuf,
        /// The first thing that makes no sense.
        found: String,
    },
    /// The write-ahead log was removed or replaced under the running program.
    #[error("the log of the record {path} was removed or replaced while it was open; it is opened anew")]
    LogGone {
        /// The record.
        path: PathBuf,
    },
    /// `SQLite` could not do it.
    #[error("the record {path}: {action} failed: {source}{}", advice(source))]
    Sqlite {
        /// Where.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What `SQLite` said.
        source: rusqlite::Error,
    },
    /// Compression or decompression failed.
    #[error("the record {path}: {action} failed: {source}; check the machine's memory")]
    Codec {
        /// Where.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the codec said.
        source: std::io::Error,
    },
}

/// What an error asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file itself is broken or gone: set it aside, begin a new one.
    File,
    /// The surroundings do not allow it now: try again later.
    Surroundings,
}

impl Error {
    /// Whether there was no room: what is open is sound and worth keeping.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::NoRoom { .. } => true,
            Self::Sqlite { source, .. } => source.sqlite_error_code() == Some(ErrorCode::DiskFull),
            _ => false,
        }
    }

    /// Whether the file is to blame or what surrounds it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Gone { .. } | Self::Inconsistent { .. } => Fault::File,
            Self::Sqlite { source, .. } if is_damage(source) => Fault::File,
            _ => Fault::Surroundings,
        }
    }
}

/// Whether `SQLite` says that the content of the file makes no sense.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            let makes_no_sense = matches!(
                failure.code,
                ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    // A missing table, a wrong type or a broken key: not what this program wrote.
                    | ErrorCode::Unknown
                    | ErrorCode::TypeMismatch
                    | ErrorCode::ConstraintViolation
            );
            // A page that should be there is beyond the file's end.
            makes_no_sense || failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ
        }
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..) => true,
        _ => false,
    }
}

fn advice(error: &rusqlite::Error) -> &'static str {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return "; the file is set aside and a new one begun";
    };
    match failure.code {
        ErrorCode::DiskFull => "; free space on its file system",
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
            "; make it writable for this user or set store.path"
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "; another program holds it locked: close that"
        }
        ErrorCode::SystemIoFailure => "; check the disk and its free space",
        _ if is_damage(error) => "; the file is set aside and a new one begun",
        _ => "",
    }
}
