//! The log's file: bounded in size, shared by processes, never waited for.
//!
//! Owns the file and its turning. A thread of its own writes, so that who
//! logs never waits for a disk; what that thread cannot keep up with is left
//! out of the file and still on the log page.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

use crate::rundir;

/// How long the start waits for the file: a disk that does not answer must
/// not keep the screen closed.
const OPEN_WITHIN: Duration = Duration::from_millis(500);
/// Lines that may wait for the disk.
const MOST_WAITING: usize = 4096;

/// Opens the log file and starts its thread. What is written until the guard
/// is dropped reaches the file.
///
/// # Errors
/// The file or its directory cannot be made or written, or not within a time
/// that keeps no screen closed.
pub(super) fn open(path: &Path, max_bytes: u64) -> io::Result<(NonBlocking, WorkerGuard)> {
    let mut file = LogFile { path: path.to_owned(), max_bytes, open: None };
    let (done, opened) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("log-open".into()).spawn(move || {
        // As the record's own directory: its owner's alone.
        let made = file.path.parent().map_or(Ok(()), rundir::make_private);
        // Nobody waits for it any more where it came too late.
        let _ = done.send(made.and_then(|()| file.reopen()).map(|()| file));
    })?;
    let file = opened.recv_timeout(OPEN_WITHIN).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let builder = NonBlockingBuilder::default().buffered_lines_limit(MOST_WAITING).thread_name("log-file");
    Ok(builder.finish(file))
}

/// A file to which events are appended, one write each.
struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    /// `None`: it could not be opened, or written.
    open: Option<File>,
}

impl LogFile {
    fn reopen(&mut self) -> io::Result<()> {
        self.open = None;
        // Neither through a link nor into a pipe: what stands there in place
        // of the file is somebody else's.
        let mut options = OpenOptions::new();
        self.open = Some(rundir::regular(options.append(true).create(true).mode(0o600), &self.path)?);
        Ok(())
    }

    /// Sets the file aside and begins a new one, unless another process on
    /// this host just did so.
    fn turn(&mut self) -> io::Result<()> {
        let Some(file) = &self.open else { return self.reopen() };
        // Held by the file itself until it is closed: of two processes that
        // come to the bound at once, the second finds the path changed.
        flock(file, FlockOperation::LockExclusive)?;
        let (ours, there) = (file.metadata()?, std::fs::metadata(&self.path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            let mut aside = self.path.clone().into_os_string();
            aside.push(".1");
            std::fs::rename(&self.path, aside)?;
        }
        self.reopen()
    }
}

impl Write for LogFile {
    /// Appends one event. Control characters within it are no business of a
    /// log file: they become `_`, so that nothing forges a line.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let body = event.strip_suffix(b"\n").unwrap_or(event);
        let mut line: Vec<u8> = body.iter().map(|b| if b.is_ascii_control() { b'_' } else { *b }).collect();
        line.push(b'\n');
        // Asked each time: another process may write to the same file.
        match self.open.as_ref().map(File::metadata).transpose()? {
            None => self.reopen()?,
            // Removed by somebody.
            Some(there) if there.nlink() == 0 => self.reopen()?,
            Some(there) if there.len() + line.len() as u64 > self.max_bytes => self.turn()?,
            Some(_) => {}
        }
        if let Some(file) = &mut self.open
            && let Err(error) = file.write_all(&line)
        {
            // A disk that is full or gone: the next event tries again.
            self.open = None;
            return Err(error);
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_file_turns_at_its_bound_and_two_processes_lose_nothing_to_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kvmscope.log");
        let open = || {
            let mut file = LogFile { path: path.clone(), max_bytes: 400, open: None };
            file.reopen().unwrap();
            file
        };
        let mut both = [open(), open()];
        for n in 0..30 {
            both[n % 2].write_all(format!("event {n:03}\n").as_bytes()).unwrap();
        }
        assert_eq!(lines(&path).len(), 30, "not yet at the bound");
        for n in 30..70 {
            both[n % 2].write_all(format!("event {n:03}\n").as_bytes()).unwrap();
        }
        let aside = directory.path().join("kvmscope.log.1");
        let all = [lines(&aside), lines(&path)].concat();
        let mut sorted = all.clone();
        sorted.sort();
        assert_eq!(sorted, (0..70).map(|n| format!("event {n:03}")).collect::<Vec<_>>());
        assert_eq!((lines(&aside).len(), lines(&path).len()), (40, 30));
        // Much later two files are left, and both are bounded.
        for n in 0..1000 {
            both[n % 2].write_all(b"another one\n").unwrap();
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
        for file in [&path, &aside] {
            assert!(std::fs::metadata(file).unwrap().len() <= 400, "{}", file.display());
        }
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it_and_the_file_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("below").join("kvmscope.log");
        let (mut writer, guard) = open(&path, 1 << 20).unwrap();
        writer.write_all(b"vm \x1b[31mred\nforged line\n").unwrap();
        drop(guard);
        assert_eq!(lines(&path), ["vm _[31mred_forged line"]);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_made_is_an_error_and_one_that_is_removed_is_made_anew() {
        assert!(open(Path::new("/proc/no/kvmscope.log"), 1 << 20).is_err());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kvmscope.log");
        let mut file = LogFile { path: path.clone(), max_bytes: 1000, open: None };
        file.reopen().unwrap();
        file.write_all(b"an event\n").unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(b"another\n").unwrap();
        assert_eq!(lines(&path), ["another"]);
    }

    #[test]
    fn what_is_no_file_of_ours_is_not_written_to_and_keeps_nobody_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("victim"), "").unwrap();
        std::os::unix::fs::symlink(at("victim"), at("link.log")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe.log"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        for name in ["link.log", "pipe.log"] {
            assert!(open(&at(name), 1 << 20).is_err(), "{name}");
        }
        assert_eq!(lines(&at("victim")).len(), 0);
    }
}
