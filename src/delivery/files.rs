//! The files that credentials and certificates come from, and whether they
//! have changed. It reads none of them.

use std::path::{Path, PathBuf};

use crate::config::{self, Auth, SecretSource};

/// Enough to see that a file is another one or has other content.
type Stamp = (std::time::SystemTime, u64, u64);

/// Those files, as they were when last looked at.
pub(super) struct Files(Vec<(PathBuf, Option<Stamp>)>);

impl Files {
    /// The files that the settings name.
    pub(super) fn of(settings: &config::Influx) -> Self {
        let secret = match &settings.auth {
            Auth::Token(source) => source.as_ref(),
            Auth::Basic { password, .. } => password.as_ref(),
            Auth::None => None,
        };
        let secret = match secret {
            Some(SecretSource::File(path)) => Some(path.clone()),
            _ => None,
        };
        let paths =
            [secret, settings.ca_file.clone(), settings.client_cert.clone(), settings.client_key.clone()];
        Self(paths.into_iter().flatten().map(|path| (stamp(&path), path)).map(|(s, p)| (p, s)).collect())
    }

    /// Whether one has changed since this was asked last.
    pub(super) fn have_changed(&mut self) -> bool {
        let mut changed = false;
        for (path, before) in &mut self.0 {
            let now = stamp(path);
            changed |= now != *before;
            *before = now;
        }
        changed
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = path.metadata().ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}
