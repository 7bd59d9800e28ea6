//! Files that were set aside: how long they stay.
//!
//! Everything in them is counted as lost already; they are kept for whoever
//! wants to look. The newest stays for `store.max_age`, older ones as well
//! while all together are within a share of `store.max_bytes`; below
//! `store.min_free` all go before anything of the record does. A database of
//! another program is not ours to delete.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::{Error, Journal, place::SIDES};
use crate::model::WallTime;

/// A file that was set aside and has been deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// What its name was.
    pub path: PathBuf,
    /// What it took on disk, with what stood beside it.
    pub bytes: u64,
    /// Why.
    pub why: &'static str,
}

/// A file that was set aside, with what stands beside it.
struct Aside {
    path: PathBuf,
    /// From its name: when, and which of that second.
    at: (WallTime, u32),
    bytes: u64,
}

impl Journal {
    /// Deletes set-aside files that are too old or too many, and says which.
    /// Looks once an hour, and whenever the file system lacks free space.
    ///
    /// # Errors
    /// One of them could not be deleted.
    pub fn tidy(&mut self, now: WallTime) -> Result<Vec<Deleted>, Error> {
        let lacking = self.aside_bytes > 0 && self.lacks_free_space();
        let looked = self.tidied_at.is_some_and(|at| now.0 >= at.0 && now.since(at) < LOOK_EVERY);
        if looked && !lacking {
            return Ok(Vec::new());
        }
        self.tidied_at = Some(now);
        let mut kept = 0;
        let mut deleted = Vec::new();
        for (rank, aside) in find(&self.path).into_iter().enumerate() {
            let why = if lacking {
                "less than store.min_free is free"
            } else if now.0 >= aside.at.0.0 && now.since(aside.at.0) > self.limits.max_age {
                "it is older than store.max_age"
            } else if rank > 0 && kept + aside.bytes > self.limits.max_bytes / SHARE {
                "there are newer ones, and all together take much of store.max_bytes"
            } else {
                kept += aside.bytes;
                continue;
            };
            for beside in with_sides(&aside.path) {
                match std::fs::remove_file(&beside) {
                    Err(source) if source.kind() != ErrorKind::NotFound => {
                        return Err(Error::Place { path: beside, source });
                    }
                    _ => {}
                }
            }
            deleted.push(Deleted { path: aside.path, bytes: aside.bytes, why });
        }
        self.aside_bytes = kept;
        Ok(deleted)
    }
}

/// Bytes of everything that was set aside from `record`.
pub(super) fn bytes(record: &Path) -> u64 {
    find(record).iter().map(|aside| aside.bytes).sum()
}

/// What was set aside from `record`, newest first. Where the directory cannot
/// be read there is nothing to delete.
fn find(record: &Path) -> Vec<Aside> {
    let (Some(directory), Some(name)) = (record.parent(), record.file_name().and_then(|name| name.to_str()))
    else {
        return Vec::new();
    };
    let mut found: Vec<Aside> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let at = stamp(entry.file_name().to_str()?.strip_prefix(name)?.strip_prefix('.')?)?;
            let path = entry.path();
            let bytes = with_sides(&path)
                .filter_map(|path| path.symlink_metadata().ok())
                .map(|meta| meta.len())
                .sum();
            Some(Aside { path, at, bytes })
        })
        .collect();
    found.sort_by_key(|aside| std::cmp::Reverse(aside.at));
    found
}

fn with_sides(path: &Path) -> impl Iterator<Item = PathBuf> {
    SIDES.into_iter().chain([".reason", ""]).map(|side| {
        let mut name = path.as_os_str().to_owned();
        name.push(side);
        PathBuf::from(name)
    })
}

/// When a file was set aside, and which of that second it is, from what
/// follows the record's name. `None` for every other file.
fn stamp(tail: &str) -> Option<(WallTime, u32)> {
    let tail = tail.strip_prefix("damaged-").or_else(|| tail.strip_prefix("newer-"))?;
    let (stamp, number) = match tail.split_once('-') {
        Some((stamp, number)) => (stamp, number.parse().ok()?),
        None => (tail, 1),
    };
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp).ok()?;
    let second = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    Some((WallTime(second.checked_mul(1_000_000_000)?), number))
}

/// Older ones get so many'th part of `store.max_bytes`.
const SHARE: u64 = 4;
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_hours(1);
