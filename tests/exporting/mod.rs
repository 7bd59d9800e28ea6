//! `kvmscope export` as a process, on a record that is at rest.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use kvmscope::{config::MissingPolicy, influx::line::Encoder, journal::file_name, model::Frame};

use crate::{
    lab::program,
    scenes::{self, Record, Scene},
};

pub const CYCLES: u64 = 44;

/// A user who has a record of the scenes, and nobody who writes it.
pub struct Left {
    pub home: tempfile::TempDir,
    /// Of this test alone: another one may record a test host meanwhile.
    pub uri: String,
    pub frames: Vec<Frame>,
    /// What the database was sent.
    pub sent: String,
}

impl Left {
    /// A record of the scenes, in rows of `most` lines.
    pub fn scenes(most: usize) -> Self {
        let mut scene = Scene::default();
        Self::of((1..=CYCLES).map(|number| scene.cycle(number)).collect(), most)
    }

    pub fn of(frames: Vec<Frame>, most: usize) -> Self {
        let mut left = Self::empty();
        let tags = [("host".to_owned(), "hv 7,x".to_owned())].into();
        let mut encoder = Encoder::new(MissingPolicy::Zero, &tags).unwrap();
        let mut sent = Vec::new();
        left.record(|record| {
            for frame in &frames {
                record.append(frame, most);
                encoder.encode(frame, &mut sent);
            }
        });
        left.sent = String::from_utf8(sent).unwrap();
        left.frames = frames;
        left
    }

    /// One who has no record yet.
    pub fn empty() -> Self {
        let home = tempfile::tempdir().unwrap();
        let uri = format!("test://{}/host.xml", home.path().display());
        Self { home, uri, frames: Vec::new(), sent: String::new() }
    }

    /// Writes a record.
    pub fn record(&self, write: impl FnOnce(&mut Record)) {
        let directory = self.home.path().join("state/kvmscope");
        std::fs::create_dir_all(&directory).unwrap();
        let mut record = Record::open(&directory, MissingPolicy::Zero);
        write(&mut record);
        drop(record);
        std::fs::rename(scenes::path(&directory), self.file()).unwrap();
    }

    /// The lines of one row are others than their checksum says. How many were
    /// there.
    pub fn damage(&self) -> usize {
        let file = rusqlite::Connection::open(self.file()).unwrap();
        let row: i64 = file
            .query_row("SELECT seq FROM body ORDER BY seq LIMIT 1 OFFSET 9", [], |row| row.get(0))
            .unwrap();
        let lines: i64 =
            file.query_row("SELECT lines FROM cycle WHERE seq = ?1", [row], |row| row.get(0)).unwrap();
        file.execute("UPDATE body SET lines = zeroblob(20) WHERE seq = ?1", [row]).unwrap();
        usize::try_from(lines).unwrap()
    }

    pub fn file(&self) -> PathBuf {
        self.home.path().join("state/kvmscope").join(file_name(&self.uri))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        export(self.home.path(), &self.uri, arguments)
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it writes.
    #[track_caller]
    pub fn exported(&self, arguments: &[&str]) -> String {
        whole(&self.run(arguments))
    }
}

/// The command as a user of `home` gives it.
pub fn export(home: &Path, uri: &str, arguments: &[&str]) -> Command {
    let mut command = program::kvmscope(home);
    command.args(["export", "--uri", uri]).args(arguments).stdin(Stdio::null());
    command
}

/// What was written, all being well.
#[track_caller]
pub fn whole(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Exit code and words of one that was refused.
#[track_caller]
pub fn refused(output: &Output) -> (i32, String) {
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code().unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

/// The timestamp of a line.
pub fn stamp(line: &str) -> i64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// RFC 3339.
pub fn at(nanos: i64) -> String {
    jiff::Timestamp::from_nanosecond(nanos.into()).unwrap().to_string()
}
