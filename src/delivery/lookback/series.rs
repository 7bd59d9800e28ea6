//! One domain over a span of the record: for questions about a field over
//! time, where a whole frame for every cycle would be too much.
//!
//! Of each cycle only the lines and reasons of that domain are read on; rules
//! and reasons are those of [`Walk`]. What an answer may take is bounded by
//! the caller: by a step, of which one cycle each is read, and by a deadline.

use std::{path::PathBuf, time::Instant};

use uuid::Uuid;

use super::{
    super::{local::Decoded, recorded},
    Walk,
    frame::Stamp,
    way::Rows,
};
use crate::{
    config,
    journal::{Error, Look, LookError, Outline, file_name},
    model::{AngleScale, DomainFrame, WallTime, past::Covers},
};

/// A look into the record for one domain after the other.
pub struct Series {
    look: Look,
    scale: AngleScale,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The domain.
    pub uuid: Uuid,
    /// From this instant on,
    pub since: WallTime,
    /// up to and with this one.
    pub until: WallTime,
    /// Of each stretch of so many nanoseconds the last cycle is read, counted
    /// from `since`; 1 or less: every cycle.
    pub step: i64,
    /// Whether the last cycle before `since` is given as well, for what is
    /// counted from one cycle to the next.
    pub lead: bool,
    /// It is enough after so many cycles of the span.
    pub most: u64,
    /// When to give up.
    pub deadline: Instant,
}

/// One cycle of the domain's.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    /// When the cycle closed.
    pub closed: WallTime,
    /// The domain in it; `None`: it was not there.
    pub domain: Option<&'a DomainFrame>,
    /// How the cycle stands in time.
    pub stamp: Stamp,
}

/// Why there is no series.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// Nothing is kept on this machine.
    #[error("there is no record to look back into: store.path is none")]
    Off,
    /// The record cannot be looked into.
    #[error(transparent)]
    Look(#[from] LookError),
    /// It is read for too long.
    #[error("the record is read for too long; ask for a shorter span or a larger step")]
    TooLong,
}

impl From<Error> for SeriesError {
    fn from(error: Error) -> Self {
        Self::Look(error.into())
    }
}

impl Series {
    /// Looks into the record of `libvirt_uri`, which this process writes.
    ///
    /// # Errors
    /// There is none, or it cannot be looked into.
    pub fn open(store: &config::Store, libvirt_uri: &str, scale: AngleScale) -> Result<Self, SeriesError> {
        let path: PathBuf = store.path.as_ref().ok_or(SeriesError::Off)?.join(file_name(libvirt_uri));
        Ok(Self { look: Look::open(&path)?, scale })
    }

    /// What the record covers; `None`: it is empty.
    ///
    /// # Errors
    /// It could not be read.
    pub fn covers(&self) -> Result<Option<Covers>, SeriesError> {
        let covers = |(first, last): (Outline, Outline)| Covers {
            from: first.at.min(last.at),
            to: first.at.max(last.at),
        };
        Ok(self.look.ends()?.map(covers))
    }

    /// How many lines its last cycle has: what reading a cycle costs.
    ///
    /// # Errors
    /// It could not be read.
    pub fn lines_of_a_cycle(&self) -> Result<u64, SeriesError> {
        let Some((_, last)) = self.look.ends()? else { return Ok(0) };
        Ok(Rows::of(&self.look, last)?.lines)
    }

    /// Gives `each` cycle of the span, oldest first: those of the steps that
    /// have any.
    ///
    /// # Errors
    /// It could not be read, or not by the deadline.
    pub fn walk(&self, span: &Span, mut each: impl FnMut(Point<'_>)) -> Result<(), SeriesError> {
        let mut walk = Walk::new(self.scale);
        let before = WallTime(span.since.0.saturating_sub(1));
        let lead = if span.lead { self.look.at_or_before(before)? } else { None };
        if let Some(row) = lead.filter(|row| row.at < span.since) {
            self.tell(row, span.uuid, &mut walk, &mut each)?;
        }
        let mut next = self.look.after(before)?;
        let mut told = 0;
        while let Some(row) = next.filter(|row| row.at <= span.until && told < span.most) {
            let row = self.last_of_step(row, span)?;
            let last = self.tell(row, span.uuid, &mut walk, &mut each)?;
            told += 1;
            if Instant::now() >= span.deadline {
                return Err(SeriesError::TooLong);
            }
            if self.look.is_waited_for() {
                return Err(self.look.opening().into());
            }
            next = self.look.next(last)?;
        }
        Ok(())
    }

    /// Gives `each` the cycle of which `row` is one of the last; returns the
    /// number of its last row.
    fn tell(
        &self,
        row: Outline,
        uuid: Uuid,
        walk: &mut Walk,
        each: &mut impl FnMut(Point<'_>),
    ) -> Result<i64, SeriesError> {
        let rows = Rows::of(&self.look, row)?;
        let Some(mut cycle) = recorded::seen(&self.look, rows.first.row - 1, 1)?.pop() else {
            return Ok(row.row);
        };
        only(&mut cycle, uuid);
        let number = match &cycle.local {
            Some(Decoded::Read(local)) => Some(local.number),
            _ => None,
        };
        let frame = walk.step(&cycle);
        let stamp = Stamp { number, at: frame.at, interval: frame.interval, took: frame.took };
        let domain = frame.domains.iter().find(|domain| domain.identity().uuid == uuid);
        each(Point { closed: cycle.at, domain: domain.map(AsRef::as_ref), stamp });
        Ok(row.row.max(cycle.row))
    }

    /// The last row of the step that `row` is in.
    fn last_of_step(&self, row: Outline, span: &Span) -> Result<Outline, SeriesError> {
        if span.step <= 1 {
            return Ok(row);
        }
        let steps = row.at.0.saturating_sub(span.since.0) / span.step;
        let end = span.since.0.saturating_add(steps.saturating_add(1).saturating_mul(span.step));
        let end = WallTime((end - 1).min(span.until.0));
        // A few rows on it mostly is: that costs less than a search by halves.
        let mut last = row;
        for _ in 0..FEW {
            match self.look.next(last.row)? {
                Some(next) if next.at <= end && next.at >= last.at => last = next,
                _ => return Ok(last),
            }
        }
        Ok(self.look.at_or_before(end)?.filter(|found| found.row > last.row).unwrap_or(last))
    }
}

/// How many rows are looked at one by one.
const FEW: usize = 12;

/// Leaves of a cycle what is about one domain.
fn only(cycle: &mut recorded::Recorded, uuid: Uuid) {
    let mut buffer = Uuid::encode_buffer();
    let tag = format!(",uuid={}", uuid.hyphenated().encode_lower(&mut buffer));
    let mut lines = Vec::new();
    for line in cycle.lines.split_inclusive(|byte| *byte == b'\n') {
        // Whether it is that tag and not a name that looks like it, the parser knows.
        if line.windows(tag.len()).any(|window| window == tag.as_bytes()) {
            lines.extend_from_slice(line);
        }
    }
    cycle.lines = lines;
    if let Some(Decoded::Read(local)) = &mut cycle.local {
        local.domains.retain(|domain| domain.name.as_ref().is_none_or(|name| name.uuid == uuid));
    }
}
