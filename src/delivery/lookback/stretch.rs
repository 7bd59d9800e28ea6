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
    /// The last row that was read, and the file it is in.
    place: Option<(i64, (u64, u64))>,
    lost: u64,
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
        let begun = Instant::now();
        let mut after = match self.place {
            Some((row, _)) => row,
            None => match self.first(&look)? {
                Some(first) => first.first.row - 1,
                None => return Ok(false),
            },
        };
        let mut read = 0;
        while let Some(row) = look.rows(after, 1)?.pop() {
            after = row.row;
            if row.at.0 >= self.until.0.saturating_add(nanos(LONGEST_CYCLE)) {
                return Ok(false);
            }
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
        self.place = Some((after, look.file()));
        Ok(look.next(after)?.is_some())
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
        let begun = Instant::now();
        let mut after = match self.place {
            Some((row, _)) => row,
            None => match self.first(&look)? {
                // What changes seldom was told some cycles before.
                Some(first) => beginning(&look, first.first, BEFORE[1])? - 1,
                None => return Ok(false),
            },
        };
        let (mut read, mut enough) = (0, false);
        while !enough && !ends(read, begun, &look) {
            let Some(cycle) = recorded::seen(&look, after.max(0), 1)?.pop() else { return Ok(false) };
            after = cycle.row;
            read += cycle.lines.len();
            self.place = Some((after, look.file()));
            let frame = self.walk.step(&cycle);
            if cycle.at >= self.until {
                return Ok(false);
            }
            if cycle.at >= self.since {
                self.lost += u64::from(cycle.damaged);
                for domain in frame.domains.iter().filter(|domain| self.is_of(domain)) {
                    enough |= each(&frame, domain);
                }
            }
        }
        Ok(look.next(after)?.is_some())
    }

    /// The first cycle that may be in it.
    fn first(&self, look: &Look) -> Result<Option<Rows>, StretchError> {
        let first = look.after(WallTime(self.since.0.saturating_sub(1)))?;
        Ok(first.map(|row| Rows::of(look, row)).transpose()?)
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
            Some((_, file)) if file != look.file() => Err(StretchError::Replaced { path: self.path.clone() }),
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
