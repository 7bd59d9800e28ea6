//! The record from delivery's side: open, failing and tried again, replaced
//! when it is damaged.

use std::{path::PathBuf, time::Duration};

use crate::{
    journal::{Account, Batch, Error, Fault, Journal, Limits, Refused},
    model::{LastErrors, MonoTime, WallTime},
};

/// Where the record is kept.
#[derive(Clone, Debug)]
pub(in crate::delivery) struct Place {
    pub(in crate::delivery) directory: PathBuf,
    pub(in crate::delivery) name: String,
    pub(in crate::delivery) limits: Limits,
}

/// The record, as far as it can be used.
pub(super) struct Store {
    place: Option<Place>,
    target: Option<String>,
    journal: Option<Journal>,
    trouble: Option<Trouble>,
    /// Grows with each file, so that answers to lines of a lost one are told
    /// apart.
    epoch: u64,
    maintained_at: Option<MonoTime>,
    calendar: Calendar,
    /// Of a file that is closed and will be opened again.
    last_known: Account,
    errors: LastErrors,
}

/// Why the record takes nothing now.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) why: String,
    pub(super) since: WallTime,
    retry_at: MonoTime,
    tries: u32,
}

/// What is done with a file that turns out damaged when it is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replacing {
    /// It is set aside, and a new one begun.
    Damaged,
    /// It was begun a moment ago: that is tried again later.
    Nothing,
}

impl Store {
    pub(super) fn new(place: Option<Place>, target: Option<String>) -> Self {
        Self {
            place,
            target,
            journal: None,
            trouble: None,
            epoch: 0,
            maintained_at: None,
            calendar: Calendar::default(),
            last_known: Account::default(),
            errors: LastErrors::default(),
        }
    }

    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    pub(super) fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    pub(super) fn errors(&self) -> &LastErrors {
        &self.errors
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether lines are expected to reach a file.
    pub(super) fn takes(&self) -> bool {
        self.place.is_some() && self.trouble.is_none()
    }

    /// The record where it can be written.
    pub(super) fn writable(&mut self) -> Option<&mut Journal> {
        if self.trouble.is_some() { None } else { self.journal.as_mut() }
    }

    /// Whether it should be opened, or tried again.
    pub(super) fn is_due(&self, mono: MonoTime) -> bool {
        self.place.is_some()
            && match &self.trouble {
                None => self.journal.is_none(),
                Some(trouble) => mono >= trouble.retry_at,
            }
    }

    /// Opens the record, or tries one that failed again. Whether it can be
    /// written now, as far as is known.
    pub(super) fn open(&mut self, delta: &mut Account, wall: WallTime, mono: MonoTime) -> bool {
        if let Some(journal) = &mut self.journal {
            // The file is open: the surroundings were to blame. What it could
            // not be told is a small write that shows whether they still are.
            return match journal.still_there().and_then(|()| journal.probe()) {
                Ok(()) => {
                    self.recovered();
                    true
                }
                Err(error) => {
                    self.failed(&error, delta, wall, mono);
                    if self.trouble.is_some() && !error.is_full() {
                        // The next try opens it anew. What it could not be told is sent again.
                        self.close();
                    }
                    self.trouble.is_none()
                }
            };
        }
        self.open_file(delta, wall, mono, Replacing::Damaged)
    }

    /// Opens the file, or begins one. `replacing`: whether it is set aside
    /// where it turns out damaged.
    fn open_file(
        &mut self,
        delta: &mut Account,
        wall: WallTime,
        mono: MonoTime,
        replacing: Replacing,
    ) -> bool {
        let Some(place) = &self.place else { return false };
        let before = delta.clone();
        let opened = match Journal::open(&place.directory, &place.name, place.limits, delta, wall) {
            Ok(opened) => opened,
            Err(error) => {
                if *delta != before {
                    // A file is lost, and what it said last is counted there now.
                    self.last_known = Account::default();
                }
                self.note(&error, wall, mono);
                return false;
            }
        };
        if let Some(aside) = opened.set_aside {
            self.errors.note(wall, &aside.why);
            tracing::error!(
                "the record could not be used and was set aside as {}: {}; a new one is begun",
                aside.path.display(),
                aside.why
            );
        }
        self.epoch += 1;
        let mut journal = opened.journal;
        // What was carried over is in the file now, whatever comes next.
        self.last_known = journal.saved_account();
        if let Err(error) = journal.set_target(self.target.as_deref(), wall) {
            if replacing == Replacing::Damaged && error.fault() == Fault::File {
                return self.replace(journal, &error, delta, wall, mono);
            }
            self.note(&error, wall, mono);
            return false;
        }
        self.journal = Some(journal);
        self.recovered();
        true
    }

    /// Sets aside a file that turned out damaged or is gone, counts what was
    /// in it, and begins a new one: once, as where the new one is no better
    /// something else is wrong. Whether there is one that can be written.
    fn replace(
        &mut self,
        journal: Journal,
        error: &Error,
        delta: &mut Account,
        wall: WallTime,
        mono: MonoTime,
    ) -> bool {
        tracing::error!("{error}");
        self.errors.note(wall, &error.to_string());
        let path = journal.path().to_owned();
        delta.add(&journal.abandon());
        self.last_known = Account::default();
        self.epoch += 1;
        if !matches!(error, Error::Gone { .. })
            && let Err(error) = Journal::set_aside(&path, &error.to_string(), wall)
        {
            self.note(&error, wall, mono);
            return false;
        }
        self.open_file(delta, wall, mono, Replacing::Nothing)
    }

    fn recovered(&mut self) {
        if let Some(trouble) = self.trouble.take() {
            tracing::info!("the record takes lines again, after: {}", trouble.why);
        }
    }

    /// Acts on an error: a damaged or vanished file is replaced at once,
    /// anything else is tried again later.
    pub(super) fn failed(&mut self, error: &Error, delta: &mut Account, wall: WallTime, mono: MonoTime) {
        if matches!(error, Error::LogGone { .. }) {
            tracing::warn!("{error}");
            self.close();
            self.open(delta, wall, mono);
            return;
        }
        if error.fault() == Fault::File
            && let Some(journal) = self.journal.take()
        {
            self.replace(journal, error, delta, wall, mono);
            return;
        }
        self.note(error, wall, mono);
    }

    fn note(&mut self, error: &Error, wall: WallTime, mono: MonoTime) {
        let why = error.to_string();
        self.errors.note(wall, &why);
        let (since, tries) = if let Some(before) = self.trouble.take() {
            (before.since, before.tries + 1)
        } else {
            tracing::error!("{why}");
            (wall, 0)
        };
        let wait = Duration::from_secs(1 << tries.min(4));
        self.trouble = Some(Trouble { why, since, retry_at: mono.plus(wait), tries });
    }

    /// Keeps the record within its bounds, for a moment at most.
    pub(super) fn maintain(&mut self, wall: WallTime, mono: MonoTime, delta: &mut Account) {
        if self.maintained_at.is_some_and(|at| mono.since(at) < MAINTAIN_EVERY) {
            return;
        }
        self.maintained_at = Some(mono);
        let today = self.calendar.read(wall, mono);
        if let Some(journal) = self.writable() {
            match journal.tidy(today) {
                Ok(deleted) => deleted.iter().for_each(|gone| {
                    let (path, bytes) = (gone.path.display(), gone.bytes);
                    tracing::warn!("the set-aside record {path} ({bytes} bytes) was deleted: {}", gone.why);
                }),
                // It is in nobody's way: the record itself is sound.
                Err(error) => tracing::warn!("{error}"),
            }
        }
        for _ in 0..MAINTAIN_STEPS {
            let Some(journal) = self.writable() else { return };
            match journal.still_there().and_then(|()| journal.maintain(today)) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.failed(&error, delta, wall, mono),
            }
        }
        // More is due: at once, but after what waits for the lock.
        self.maintained_at = None;
    }

    /// The next lines that wait in the record, also while it cannot be
    /// written.
    pub(super) fn next_batch(&mut self, max_lines: usize, max_bytes: usize) -> Result<Option<Batch>, Error> {
        match &mut self.journal {
            Some(journal) => journal.next_batch(max_lines, max_bytes),
            None => Ok(None),
        }
    }

    /// The lines behind a batch that is on its way.
    pub(super) fn batch_after(
        &mut self,
        batch: &Batch,
        max_lines: usize,
        max_bytes: usize,
    ) -> Result<Option<Batch>, Error> {
        match &mut self.journal {
            Some(journal) => journal.batch_after(batch, max_lines, max_bytes),
            None => Ok(None),
        }
    }

    /// Moves the cursor behind the first `upto` lines of a batch. Returns the
    /// lines delivered, beside an error where the file could not be told.
    pub(super) fn advance(
        &mut self,
        batch: &Batch,
        upto: usize,
        refused: Vec<Refused>,
        wall: WallTime,
    ) -> Result<u64, (Error, u64)> {
        let (Some(journal), Some(to)) = (&mut self.journal, batch.position_after(upto)) else { return Ok(0) };
        let before = journal.account().delivered;
        journal.advance(to, refused, wall).map_err(|error| (error, journal.account().delivered - before))
    }

    pub(super) fn release(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.release();
        }
    }

    /// Closes the file, if it is open.
    pub(super) fn close(&mut self) {
        if let Some(journal) = self.journal.take() {
            self.last_known = journal.saved_account();
            self.epoch += 1;
        }
    }

    /// The record's account and what waits in it; while it is closed, what
    /// its file said last.
    pub(super) fn account(&self) -> (Account, u64) {
        if let Some(journal) = &self.journal {
            return (journal.account(), journal.waiting());
        }
        let account = self.last_known.clone();
        let waiting = account.emitted.saturating_sub(account.settled());
        (account, waiting)
    }
}

/// The time by which rows are old. A wall clock that jumps by more than a
/// day is believed only when it has stayed so for an hour: a wrong year must
/// not empty the record.
#[derive(Debug, Default)]
struct Calendar {
    /// An instant on both clocks that belong together.
    anchor: Option<(WallTime, MonoTime)>,
    jumped_at: Option<MonoTime>,
}

impl Calendar {
    fn read(&mut self, wall: WallTime, mono: MonoTime) -> WallTime {
        let (wall_then, mono_then) = *self.anchor.get_or_insert((wall, mono));
        let passed = i64::try_from(mono.since(mono_then).as_nanos()).unwrap_or(i64::MAX);
        let expected = WallTime(wall_then.0.saturating_add(passed));
        if wall.since(expected).max(expected.since(wall)) <= JUMP {
            self.jumped_at = None;
            return wall;
        }
        let jumped_at = *self.jumped_at.get_or_insert(mono);
        if mono.since(jumped_at) < BELIEVED_AFTER {
            return expected;
        }
        *self = Self { anchor: Some((wall, mono)), jumped_at: None };
        wall
    }
}

const JUMP: Duration = Duration::from_hours(24);
const BELIEVED_AFTER: Duration = Duration::from_hours(1);

/// How often the bounds are looked at.
const MAINTAIN_EVERY: Duration = Duration::from_secs(1);
/// Steps in a row before others get the lock.
const MAINTAIN_STEPS: usize = 4;
