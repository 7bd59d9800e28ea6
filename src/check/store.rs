//! Whether the local record can be written.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::Check;
use crate::config;

const STORE: &str = "local record";

/// Looks without writing: a check must not leave a record behind.
pub(super) fn checks(settings: &config::Store) -> Vec<Check> {
    let Some(path) = &settings.path else {
        return vec![Check::ok(STORE, "store.path is none: nothing is kept on this machine")];
    };
    let there = nearest_existing(path);
    let shown = path.display();
    if !there.is_dir() {
        return vec![Check::failed(
            STORE,
            format!("{shown}: {} is not a directory", there.display()),
            "name another directory as store.path",
        )];
    }
    if let Err(error) = access(&there, Access::WRITE_OK | Access::EXEC_OK) {
        return vec![Check::failed(
            STORE,
            format!("{shown}: {} is not writable: {error}", there.display()),
            "make it writable for this user, or name another directory as store.path",
        )];
    }
    let free = statvfs(&there).map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    vec![match free {
        Ok(free) if free < settings.min_free => Check::failed(
            STORE,
            format!("{shown}: {} MiB free, store.min_free keeps {} MiB", free >> 20, settings.min_free >> 20),
            "free some space, lower store.min_free, or name another directory as store.path",
        ),
        Ok(free) => Check::ok(STORE, format!("{shown} is writable, {} MiB free", free >> 20)),
        Err(error) => Check::failed(STORE, format!("{shown}: free space unknown: {error}"), ""),
    }]
}

/// The directory itself, or the nearest ancestor that is there.
fn nearest_existing(path: &Path) -> PathBuf {
    let path = if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) };
    path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: Option<PathBuf>) -> Check {
        checks(&config::Store { path, min_free: 0, ..config::Store::default() }).remove(0)
    }

    #[test]
    fn a_directory_that_can_be_made_is_fine_and_is_not_made() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("not/there/yet");
        assert!(check(Some(path.clone())).ok);
        assert!(!path.exists());
        assert!(check(None).ok);
    }

    #[test]
    fn a_file_in_the_way_and_too_little_space_are_named() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        let found = check(Some(file.join("state")));
        assert!(!found.ok && found.detail.contains("not a directory"), "{found:?}");
        let full =
            config::Store { path: Some(home.path().into()), min_free: u64::MAX, ..config::Store::default() };
        let found = checks(&full).remove(0);
        assert!(!found.ok && found.mend.contains("store.min_free"), "{found:?}");
    }
}
