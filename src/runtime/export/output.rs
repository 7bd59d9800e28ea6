//! Where an export goes: standard output, or a file that nobody takes for the
//! whole when it is not.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal as _, Write},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::ExportError;
use crate::rundir;

/// How often a terminal is told how far it is.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Where it goes.
pub(super) struct Output {
    to: Box<dyn Write>,
    /// The file, and which one it is.
    file: Option<(PathBuf, File)>,
    name: String,
    pub(super) bytes: u64,
    /// When a terminal was told last how far it is; `None`: there is none to tell.
    told: Option<Instant>,
    tells: bool,
}

impl Output {
    /// Standard output, or a file of this user's alone that is not there yet.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, ExportError> {
        // Lines would come in between on a terminal that shows both.
        let beside = path.is_some() || !io::stdout().is_terminal();
        let told = (beside && io::stderr().is_terminal()).then(Instant::now);
        let Some(path) = path else {
            let name = "to standard output".to_owned();
            return Ok(Self { to: Box::new(io::stdout()), file: None, name, bytes: 0, told, tells: false });
        };
        let name = path.display().to_string();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let opened = rundir::regular(&mut options, path).and_then(|file| Ok((file.try_clone()?, file)));
        let (to, file) = opened.map_err(|source| ExportError::Output { to: name.clone(), source })?;
        let file = Some((path.to_owned(), file));
        Ok(Self { to: Box::new(to), file, name, bytes: 0, told, tells: false })
    }

    /// Writes a part; false: nobody reads on.
    pub(super) fn take(&mut self, part: &[u8]) -> Result<bool, ExportError> {
        match self.to.write_all(part).and_then(|()| self.to.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
            Err(source) => return Err(ExportError::Output { to: self.name.clone(), source }),
        }
        self.bytes += part.len() as u64;
        if self.told.is_some_and(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            self.tells = true;
            // Whole megabytes do.
            let _ = write!(io::stderr(), "\rkvmscope: {} MB exported", self.bytes / 1_000_000);
        }
        Ok(true)
    }

    /// Ends it as the writing did. A file that holds nothing, or not all, is
    /// removed: nobody takes it for the whole.
    pub(super) fn end(self, done: Result<(), ExportError>) -> Result<(), ExportError> {
        if self.tells {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        let Some((path, file)) = &self.file else { return done };
        let done = done.and_then(|()| {
            file.sync_all().map_err(|source| ExportError::Output { to: self.name.clone(), source })
        });
        let whole = matches!(done, Ok(()) | Err(ExportError::Lost(_)));
        if !whole && is_same(path, file) {
            let _ = fs::remove_file(path);
        }
        done
    }
}

fn is_same(path: &Path, file: &File) -> bool {
    let ours = file.metadata().map(|meta| (meta.dev(), meta.ino()));
    let there = fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()));
    ours.ok().zip(there.ok()).is_some_and(|(ours, there)| ours == there)
}
