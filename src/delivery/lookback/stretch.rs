//! A stretch of the record, page by page: for whoever writes it elsewhere.
//!
//! Owns where it begins and ends and whose lines are in it. Between two pages
//! the record is let go, so that whoever takes the pages may be as slow as he
//! likes: collection, delivery and retention never wait for him. In memory is
//! one page, whatever the record holds.
//!
//! A line is in the stretch by its own timestamp, a cycle by when it closed:
//! from `since` on, and before `until`, so that stretches can be joined.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    super::recorded,
    Walk, parse,
    way::{BEFORE, Rows, beginning},
};
use crate::{
    config,
    journal::{Look, LookError, file_name},
    model::{AngleScale, DomainFrame, Frame, WallTime, name::storable, past::Covers},
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// From this instant on,
    pub since: WallTime,
    /// and before this one.
    pub until: WallTime,
    /// A VM's uuid or name; `None`: all.
    pub vm: Option<String>,
}

/// Whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// This process writes it.
    Own,
    /// Nobody does.
    AtRest,
}

/// A stretch that is being read.
pub struct Stretch {
    path: PathBuf,
    access: Access,
    since: WallTime,
    until: WallTime,
    vm: Option<Vm>,
    walk: Walk,
    place: Option<Reached>,
    lost: u64,
}

/// How far it was read.
#[derive(Clone, Copy)]
struct Reached {
    /// The last row that was read,
    row: i64,
    /// and the last one that may be in it.
    last: i64,
    /// The file they are in.
    file: (u64, u64),
}

/// Whom the lines are of.
struct Vm {
    uuid: Option<Uuid>,
    /// As it is stored.
    name: String,
}

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StretchError {
    /// Nothing is kept on this machine.
    #[error("there is no record: store.path is none")]
    Off,
    /// The record cannot be looked into.
    #[error(transparent)]
    Look(#[from] LookError),
    /// It was replaced between two pages.
    #[error("the record {path} was begun anew meanwhile; ask again for what is in it now")]
    Replaced {
        /// Where.
        path: PathBuf,
    },
}

impl From<crate::journal::Error> for StretchError {
    fn from(error: crate::journal::Error) -> Self {
        Self::Look(error.into())
    }
}

/// With so many bytes read, or after so long, a page ends.
const MOST_READ: usize = 8 << 20;
const MOST_TIME: Duration = Duration::from_millis(250);
/// How long after a line's timestamp its cycle may have closed.
const LONGEST_CYCLE: Duration = Duration::from_mins(5);
/// How long it waits while the record is just being opened.
const PATIENCE: Duration = Duration::from_secs(10);

impl Stretch {
    /// A stretch of the record of `libvirt_uri`.
    ///
    /// # Errors
    /// There is no record.
    pub fn new(
        store: &config::Store,
        libvirt_uri: &str,
        scale: AngleScale,
        wanted: Wanted,
        access: Access,
    ) -> Result<Self, StretchError> {
        let path = store.path.as_ref().ok_or(StretchError::Off)?.join(file_name(libvirt_uri));
        let Wanted { since, until, vm } = wanted;
        let vm = vm.as_deref().map(|vm| Vm { uuid: Uuid::try_parse(vm).ok(), name: storable(vm).into() });
        Ok(Self { path, access, since, until, vm, walk: Walk::new(scale), place: None, lost: 0 })
    }

    /// Lines that lack because their rows are damaged.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Where the record is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the record covers; `None`: it is empty.
    ///
    /// # Errors
    /// It could not be read.
    pub fn covers(&self) -> Result<Option<Covers>, StretchError> {
        let ends = self.look()?.ends()?;
        Ok(ends.map(|(first, last)| Covers { from: first.at.min(last.at), to: first.at.max(last.at) }))
    }

    /// Appends the next lines to `out`, as they were sent: about `most` bytes
    /// at most. False: that was the last page.
    ///
    /// # Errors
    /// The record could not be read.
    pub fn lines(&mut self, most: usize, out: &mut Vec<u8>) -> Result<bool, StretchError> {
        let look = self.look()?;
        let until = WallTime(self.until.0.saturating_add(nanos(LONGEST_CYCLE)));
        let Some(mut reached) = self.reached(&look, until)? else { return Ok(false) };
        let begun = Instant::now();
        let mut read = 0;
        while let Some(row) = look.rows(reached.row, 1)?.pop().filter(|row| row.row <= reached.last) {
            reached.row = row.row;
            match row.bytes {
                Some(lines) => {
                    read += lines.len();
                    for line in lines.split_inclusive(|byte| *byte == b'\n') {
                        if self.has(line) {
                            out.extend_from_slice(line);
                        }
                    }
                }
                None => self.lost += row.lines,
            }
            if out.len() >= most || ends(read, begun, &look) {
                break;
            }
        }
        self.place = Some(reached);
        reached.goes_on(&look)
    }

    /// Gives `each` domain of the next cycles, oldest first, with its cycle,
    /// until it says that it has enough for a page. False: that was the last
    /// page.
    ///
    /// # Errors
    /// The record could not be read.
    pub fn cycles(
        &mut self,
        mut each: impl FnMut(&Frame, &DomainFrame) -> bool,
    ) -> Result<bool, StretchError> {
        let look = self.look()?;
        let is_begun = self.place.is_some();
        let Some(mut reached) = self.reached(&look, self.until)? else { return Ok(false) };
        // Finding the beginning may take as long as a page.
        let begun = Instant::now();
        if !is_begun && let Some(first) = look.next(reached.row)? {
            // What changes seldom was told some cycles before.
            reached.row = beginning(&look, first, BEFORE[1])? - 1;
        }
        self.place = Some(reached);
        let (mut read, mut enough) = (0, false);
        loop {
            let cycle = recorded::seen(&look, reached.row.max(0), 1)?.pop();
            let Some(cycle) = cycle.filter(|cycle| cycle.row <= reached.last) else { return Ok(false) };
            reached.row = cycle.row;
            read += cycle.lines.len();
            self.place = Some(reached);
            let frame = self.walk.step(&cycle);
            if (self.since..self.until).contains(&cycle.at) {
                self.lost += u64::from(cycle.damaged);
                for domain in frame.domains.iter().filter(|domain| self.is_of(domain)) {
                    enough |= each(&frame, domain);
                }
            }
            // At least one is read, however slow the record is.
            if enough || ends(read, begun, &look) {
                return reached.goes_on(&look);
            }
        }
    }

    /// How far it was read: at first, before the first cycle that may be in it.
    /// `None`: no cycle closed from its beginning on and before `until`.
    fn reached(&self, look: &Look, until: WallTime) -> Result<Option<Reached>, StretchError> {
        if self.place.is_some() {
            return Ok(self.place);
        }
        let Some((first, last)) = look.between(self.since, until)? else { return Ok(None) };
        let (first, newest) = (look.next(first - 1)?, look.ends()?);
        let Some((first, (_, newest))) = first.zip(newest) else { return Ok(None) };
        // What is recorded meanwhile may be in it as well.
        let last = if last == newest.row { i64::MAX } else { last };
        Ok(Some(Reached { row: Rows::of(look, first)?.first.row - 1, last, file: look.file() }))
    }

    fn look(&self) -> Result<Look, StretchError> {
        let until = Instant::now() + PATIENCE;
        let look = loop {
            let look = match self.access {
                Access::Own => Look::open(&self.path),
                Access::AtRest => Look::at_rest(&self.path),
            };
            match look {
                Err(LookError::Opening { .. }) if Instant::now() < until => {
                    std::thread::park_timeout(Duration::from_millis(50));
                }
                look => break look?,
            }
        };
        match self.place {
            Some(reached) if reached.file != look.file() => {
                Err(StretchError::Replaced { path: self.path.clone() })
            }
            _ => Ok(look),
        }
    }

    /// Whether a line is in it.
    fn has(&self, line: &[u8]) -> bool {
        parse::stamp(line).is_some_and(|at| (self.since..self.until).contains(&at))
            && self
                .vm
                .as_ref()
                .is_none_or(|vm| parse::whose(line).is_some_and(|(uuid, name)| vm.is(uuid, &name)))
    }

    fn is_of(&self, domain: &DomainFrame) -> bool {
        let identity = domain.identity();
        self.vm.as_ref().is_none_or(|vm| vm.is(identity.uuid, &identity.name))
    }
}

impl Reached {
    /// Whether there is more to be read.
    fn goes_on(self, look: &Look) -> Result<bool, StretchError> {
        Ok(look.next(self.row)?.is_some_and(|next| next.row <= self.last))
    }
}

/// Whether a page has gone on for long enough.
fn ends(read: usize, begun: Instant, look: &Look) -> bool {
    read >= MOST_READ || begun.elapsed() >= MOST_TIME || look.is_waited_for()
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

impl Vm {
    fn is(&self, uuid: Uuid, name: &str) -> bool {
        self.uuid == Some(uuid) || self.name == name
    }
}
