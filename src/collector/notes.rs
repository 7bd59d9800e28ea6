//! Notes beside the lock on calls that hang, for the process that comes after.
//!
//! A file per process, named after the libvirt URI and the process and locked
//! while that lives. It has a line per call: since when it hangs (nanoseconds
//! since the epoch; 0: it may merely be in flight), and the domains it may
//! hang on. Nothing in a file is trusted beyond that form. Without a place for
//! it, collection goes on without notes.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use uuid::Uuid;

use super::inherited::PastCall;
use crate::{model::WallTime, rundir};

const SUFFIX: &str = ".stuck";
/// More than this is not read of one file: it is not ours.
const LONGEST: u64 = 1 << 20;
/// More files than these are not read.
const MOST_FILES: usize = 64;

/// This process's notes.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Where the own file belongs; `None`: nowhere.
    path: Option<PathBuf>,
    file: Option<File>,
    written: String,
    /// Files of dead processes, removed once their content is in the own one.
    adopted: Vec<PathBuf>,
}

impl Notes {
    /// Reads what earlier and other processes noted. `stem` is the directory
    /// and the beginning of the files' names.
    pub fn open(stem: &Path) -> (Self, Vec<PastCall>) {
        match Self::read_all(stem) {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(
                    "calls that hang cannot be noted in {}: {error}; after a crash the next kvmscope may add to them",
                    stem.with_extension("*").display()
                );
                (Self::default(), Vec::new())
            }
        }
    }

    fn read_all(stem: &Path) -> io::Result<(Self, Vec<PastCall>)> {
        let (Some(directory), Some(name)) = (stem.parent(), stem.file_name().and_then(|n| n.to_str())) else {
            return Err(io::Error::other("no directory"));
        };
        rundir::prepare(directory).map_err(|fault| match fault {
            rundir::Fault::System(error) => error,
            rundir::Fault::Unsafe => io::Error::other("others may write to its directory"),
        })?;
        let mut notes = Self { path: Some(own_path(stem)), ..Self::default() };
        let mut calls = Vec::new();
        let ours = |file: &str| file.starts_with(&format!("{name}.")) && file.ends_with(SUFFIX);
        let files = fs::read_dir(directory)?.flatten().map(|entry| entry.path());
        let files = files.filter(|path| path.file_name().and_then(|n| n.to_str()).is_some_and(ours));
        for path in files.take(MOST_FILES) {
            let Ok(file) = rundir::open(&path) else { continue };
            calls.extend(read(&file));
            // Whoever holds it open still counts its own calls.
            if file.try_lock().is_ok() {
                notes.adopted.push(path);
            }
        }
        Ok((notes, calls))
    }

    /// Notes exactly these calls. Nothing is written where nothing changed.
    pub fn write(&mut self, calls: &[PastCall]) {
        if self.path.is_none() {
            return;
        }
        let mut text = String::with_capacity(calls.iter().map(|call| 22 + call.domains.len() * 37).sum());
        for call in calls {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}", call.since.0);
            for uuid in &call.domains {
                let _ = write!(text, " {uuid}");
            }
            text.push('\n');
        }
        if text == self.written && self.adopted.is_empty() {
            return;
        }
        let result = if text.is_empty() { self.remove() } else { self.replace(&text) };
        if let Err(error) = result {
            let path = self.path.take().unwrap_or_default();
            tracing::warn!("{} cannot be written: {error}; calls that hang are not noted", path.display());
            return;
        }
        if !text.is_empty() && self.file.is_none() {
            return;
        }
        for path in self.adopted.drain(..) {
            if Some(&path) != self.path.as_ref() {
                // Gone already is as good.
                let _ = fs::remove_file(path);
            }
        }
        self.written = text;
    }

    fn replace(&mut self, text: &str) -> io::Result<()> {
        if self.file.is_none()
            && let Some(path) = &self.path
        {
            let file = rundir::open(path)?;
            // Never waited for: who starts just now looks at every file for a
            // moment, and the next cycle notes it as well.
            if file.try_lock().is_err() {
                return Ok(());
            }
            self.file = Some(file);
        }
        let Some(file) = &self.file else { return Ok(()) };
        // Written over the old text and cut only then: whenever this process
        // is killed, no line is missing.
        let mut padded = text.to_owned();
        for _ in text.len()..self.written.len() {
            padded.push('\n');
        }
        file.write_all_at(padded.as_bytes(), 0)?;
        file.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))
    }

    fn remove(&mut self) -> io::Result<()> {
        self.file = None;
        match self.path.as_ref().map(fs::remove_file) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn own_path(stem: &Path) -> PathBuf {
    // A process may have several collectors, one after the other or at once.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = stem.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}-{count}{SUFFIX}", std::process::id()));
    stem.with_file_name(name)
}

fn read(file: &File) -> Vec<PastCall> {
    let mut bytes = Vec::new();
    // What cannot be read is not known.
    let _ = file.take(LONGEST).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<PastCall> {
    let mut words = line.split_ascii_whitespace();
    let since = WallTime(words.next()?.parse().ok().filter(|since| *since >= 0)?);
    let domains: Vec<Uuid> = words.map_while(|word| Uuid::try_parse(word).ok()).collect();
    (!domains.is_empty()).then_some(PastCall { since, domains })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(since: i64, domains: &[u128]) -> PastCall {
        PastCall { since: WallTime(since), domains: domains.iter().copied().map(Uuid::from_u128).collect() }
    }

    fn files(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn what_one_process_notes_the_next_one_reads() {
        let directory = tempfile::tempdir().unwrap();
        let stem = directory.path().join("qemu-1");
        let (mut first, none) = Notes::open(&stem);
        assert!(none.is_empty());
        let noted = [call(7, &[1]), call(0, &[1, 2, 3])];
        first.write(&noted);
        let (_, read) = Notes::open(&stem);
        assert_eq!(read, noted, "a living process's calls count as well");
        first.write(&noted[..1]);
        drop(first);
        let (mut second, read) = Notes::open(&stem);
        assert_eq!(read, noted[..1]);
        let (_, other) = Notes::open(&directory.path().join("qemu-12"));
        assert!(other.is_empty(), "another host's notes");
        second.write(&[]);
        assert_eq!(files(directory.path()), 0, "nothing hangs: no file");
    }

    #[test]
    fn a_dead_processes_file_goes_once_its_calls_are_noted_anew() {
        let directory = tempfile::tempdir().unwrap();
        let stem = directory.path().join("qemu-1");
        let dead = directory.path().join("qemu-1.99999999.stuck");
        fs::write(&dead, format!("5 {}\n\n\n", Uuid::from_u128(9))).unwrap();
        let (mut notes, read) = Notes::open(&stem);
        assert_eq!(read, [call(5, &[9])]);
        assert!(dead.exists());
        notes.write(&read);
        assert!(!dead.exists());
        assert_eq!(files(directory.path()), 1);
    }

    #[test]
    fn junk_links_and_open_directories_are_harmless() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let directory = tempfile::tempdir().unwrap();
        let stem = directory.path().join("qemu-1");
        let uuid = Uuid::from_u128(4);
        fs::write(
            directory.path().join("qemu-1.1.stuck"),
            format!("-1 {uuid}\nx {uuid}\n3\n4 {uuid} junk {uuid}\n\u{1b}[2J\n"),
        )
        .unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let victim = elsewhere.path().join("victim");
        fs::write(&victim, format!("8 {uuid}\n")).unwrap();
        symlink(&victim, directory.path().join("qemu-1.2.stuck")).unwrap();
        let (_, read) = Notes::open(&stem);
        assert_eq!(read, [call(4, &[4])]);
        assert!(victim.exists());

        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let (mut notes, read) = Notes::open(&stem);
        assert!(read.is_empty());
        notes.write(&[call(1, &[1])]);
        assert_eq!(files(directory.path()), 2, "nothing is written there");
    }
}
