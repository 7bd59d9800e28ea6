//! Keeps what the screen remembers in a small file beside the record, off the
//! screen's task: a thread reads it once and writes it after each change.
//!
//! It trusts nothing it finds: a damaged file is ignored with a word in the
//! log, and a file that cannot be written costs a notice, nothing more.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use thiserror::Error;

use crate::{
    app::{Remembered, Words},
    rundir,
};

/// Its name.
const FILE: &str = "screen.toml";
/// A file of ours is far shorter.
const LONGEST: u64 = 16 * 1024;
/// How long the start waits for the file: a disk that does not answer must
/// not keep the screen closed.
const READ_WITHIN: Duration = Duration::from_millis(100);
/// How long leaving waits for the last change to be written.
const WRITE_WITHIN: Duration = Duration::from_millis(500);
const HEAD: &str = "# How kvmscope's screen was left; written by it. Delete the file to start afresh.\n";

/// Why nothing could be read or kept.
#[derive(Debug, Error)]
enum Fault {
    #[error("{}: {error}", path.display())]
    System { path: PathBuf, error: io::Error },
    #[error("{}: not what kvmscope writes: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
}

/// The way to the thread.
pub(super) struct Memory {
    changes: Option<mpsc::Sender<Remembered>>,
    ended: mpsc::Receiver<()>,
}

impl Memory {
    /// Starts the thread for the file in `record`'s directory, else in the
    /// user's state directory, and returns what it read. `tell` is called with
    /// a word to the operator when a change cannot be kept.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        record: Option<&Path>,
        tell: impl Fn(String) + Send + 'static,
    ) -> io::Result<(Self, Option<Remembered>)> {
        let (changes, asked) = mpsc::channel::<Remembered>();
        let (answer, read) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let directory = directory(record);
        thread::Builder::new().name("screen-memory".into()).spawn(move || {
            let path = directory.map(|directory| directory.join(FILE));
            let _ = answer.send(path.as_deref().and_then(recalled));
            keep_all(path.as_deref(), &asked, &tell);
            let _ = end.send(());
        })?;
        let remembered = read.recv_timeout(READ_WITHIN).ok().flatten();
        Ok((Self { changes: Some(changes), ended }, remembered))
    }

    /// Has `remembered` kept. Never waits.
    pub fn keep(&self, remembered: Remembered) {
        if let Some(changes) = &self.changes {
            // Fails only when the thread is gone: then there is nobody to ask.
            let _ = changes.send(remembered);
        }
    }
}

impl Drop for Memory {
    /// Leaves time for the last change.
    fn drop(&mut self) {
        self.changes = None;
        let _ = self.ended.recv_timeout(WRITE_WITHIN);
    }
}

/// Where the file stands: beside the record, or where the record would be.
fn directory(record: Option<&Path>) -> Option<PathBuf> {
    let of_user = || {
        let dirs = directories::BaseDirs::new()?;
        Some(dirs.state_dir()?.join("kvmscope"))
    };
    record.map(Path::to_owned).or_else(of_user)
}

/// What the file says; a word in the log where it says nothing of use.
fn recalled(path: &Path) -> Option<Remembered> {
    match read(path) {
        Ok(words) => words.as_ref().map(Remembered::from),
        Err(fault) => {
            tracing::warn!("how the screen was left is not known: {fault}; it starts as usual");
            None
        }
    }
}

/// Writes what it is asked to keep, the newest alone, until nobody asks.
fn keep_all(path: Option<&Path>, asked: &mpsc::Receiver<Remembered>, tell: &impl Fn(String)) {
    let mut told = false;
    while let Ok(mut newest) = asked.recv() {
        while let Ok(newer) = asked.try_recv() {
            newest = newer;
        }
        let Some(path) = path else { continue };
        match write(path, &newest.words()) {
            Ok(()) => told = false,
            // Once is enough, however often it is tried.
            Err(_) if told => {}
            Err(fault) => {
                tracing::warn!("how the screen is shown is not kept: {fault}");
                tell(format!("not remembered for the next run: {fault}"));
                told = true;
            }
        }
    }
}

fn read(path: &Path) -> Result<Option<Words>, Fault> {
    let system = |error| Fault::System { path: path.to_owned(), error };
    let damaged = |why: String| Fault::Damaged { path: path.to_owned(), why };
    let file = match rundir::regular(OpenOptions::new().read(true), path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(system(error)),
    };
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => damaged("no text".into()),
        _ => system(error),
    })?;
    toml::from_str(&text).map(Some).map_err(|error| damaged(error.message().to_owned()))
}

/// Writes a new file and puts it in the place of the old one: whoever reads
/// sees one or the other.
fn write(path: &Path, words: &Words) -> Result<(), Fault> {
    let system = |error| Fault::System { path: path.to_owned(), error };
    let text = toml::to_string(words)
        .map_err(|error| Fault::Damaged { path: path.to_owned(), why: error.to_string() })?;
    if let Some(directory) = path.parent() {
        rundir::make_private(directory).map_err(system)?;
    }
    let new = path.with_extension(format!("toml.{}", std::process::id()));
    let written = fill(&new, &text).and_then(|()| fs::rename(&new, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&new);
        system(error)
    })
}

fn fill(new: &Path, text: &str) -> io::Result<()> {
    // What an earlier process of this number left behind.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    file.write_all(HEAD.as_bytes())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{SortKey, View};

    fn start(record: &Path) -> (Memory, Option<Remembered>, mpsc::Receiver<String>) {
        let (tell, told) = mpsc::channel();
        let tell = move |text| tell.send(text).unwrap();
        let (memory, remembered) = Memory::start(Some(record), tell).unwrap();
        (memory, remembered, told)
    }

    fn cards() -> Remembered {
        let columns = vec![SortKey::Net, SortKey::Change];
        Remembered { view: View::Cards, sort: SortKey::Net, columns, ..Remembered::default() }
    }

    #[test]
    fn what_is_kept_comes_back_and_the_newest_wins() {
        let home = tempfile::tempdir().unwrap();
        let record = home.path().join("state/kvmscope");
        let (memory, remembered, _told) = start(&record);
        assert_eq!(remembered, None, "a first start");
        for _ in 0..50 {
            memory.keep(Remembered::default());
        }
        memory.keep(cards());
        drop(memory);
        assert_eq!(start(&record).1, Some(cards()));
        let files: Vec<_> = fs::read_dir(&record).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(files, [FILE], "nothing else is left behind");
    }

    #[test]
    fn a_damaged_file_is_ignored_and_replaced_by_the_next_change() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(FILE);
        let long = format!("view = \"{}\"", "x".repeat(100_000));
        for damage in [&b"view = [1"[..], b"\xff\xfe\0", b"view = 7\n", long.as_bytes()] {
            fs::write(&path, damage).unwrap();
            let (memory, remembered, _told) = start(home.path());
            assert_eq!(remembered, None);
            memory.keep(cards());
            drop(memory);
            assert_eq!(start(home.path()).1, Some(cards()));
        }
    }

    #[test]
    fn neither_a_link_nor_a_pipe_in_its_place_is_followed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(FILE);
        let other = home.path().join("other.toml");
        fs::write(&other, "view = \"cards\"\n").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert_eq!(start(home.path()).1, None);
        let (memory, _, _told) = start(home.path());
        memory.keep(Remembered::default());
        drop(memory);
        assert_eq!(
            fs::read_to_string(&other).unwrap(),
            "view = \"cards\"\n",
            "the link's target is untouched"
        );
        fs::remove_file(&path).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(start(home.path()).1, None, "and it does not wait for a writer");
    }

    #[test]
    fn a_change_that_cannot_be_kept_is_told_once() {
        let home = tempfile::tempdir().unwrap();
        // A file in the place of the directory: nobody can write there, root neither.
        let record = home.path().join("record");
        fs::write(&record, "").unwrap();
        let (memory, remembered, told) = start(&record);
        assert_eq!(remembered, None);
        memory.keep(cards());
        let word = told.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(word.starts_with("not remembered for the next run: ") && word.contains(FILE), "{word}");
        memory.keep(Remembered::default());
        drop(memory);
        assert_eq!(told.try_iter().count(), 0);
    }
}
