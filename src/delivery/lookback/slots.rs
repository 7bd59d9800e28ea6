//! The sparklines of a moment: a slot for each cycle that led up to it.
//!
//! The angles of cycles that were walked over are kept, so that a step in time
//! reads a few cycles and not all of them anew.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::Duration,
};

use uuid::Uuid;

use super::way::{BEFORE, Rows, walk};
use crate::{
    journal::{Look, LookError},
    model::{
        AngleScale, Degrees, Frame, Measured, Missing, WallTime, Why, history::AngleHistory, rates::Angles,
    },
};

/// A longer time without any cycle is a pause: three of those that thinning keeps.
const PAUSE: Duration = Duration::from_secs(30);
/// Most angles of a VM in a cycle that are kept, at some 40 bytes each.
const MOST_KEPT: usize = 250_000;
/// Most lines that are read for the slots of one answer: a fraction of a
/// second's work. What is read is kept, so that the next answer has more.
const MOST_LINES: u64 = 20_000;

/// The slots of an answer.
pub(super) struct Slots {
    capacity: usize,
    pub(super) tracks: HashMap<Uuid, AngleHistory>,
    /// When the cycle of each slot closed; `None`: a pause.
    pub(super) closed: VecDeque<Option<WallTime>>,
    last: Option<WallTime>,
}

/// Angles of cycles, by the last row of each.
#[derive(Default)]
pub(super) struct Known {
    /// Device and inode of the file they are from.
    file: Option<(u64, u64)>,
    cycles: BTreeMap<i64, Kept>,
    angles: usize,
}

struct Kept {
    /// The row after which the cycle begins.
    after: i64,
    at: WallTime,
    interval: Duration,
    /// `None`: the VM was not read.
    angles: Vec<(Uuid, Option<[i16; 6]>)>,
}

impl Known {
    /// Forgets what is of another file.
    pub(super) fn are_of(&mut self, file: (u64, u64)) {
        if self.file != Some(file) {
            *self = Self { file: Some(file), ..Self::default() };
        }
    }

    /// Keeps the angles of `frame`, whose cycle's rows are those after `after`
    /// up to `last`. What is far from `near` goes first.
    pub(super) fn keep(&mut self, (after, last): (i64, i64), frame: &Frame, near: i64) {
        let of = |domain: &crate::model::DomainFrame| domain.fresh.then(|| packed(&domain.rates.angles));
        let angles: Vec<_> =
            frame.domains.iter().map(|domain| (domain.identity().uuid, of(domain))).collect();
        self.angles += angles.len();
        let kept = Kept { after, at: frame.at, interval: frame.interval, angles };
        if let Some(old) = self.cycles.insert(last, kept) {
            self.angles -= old.angles.len();
        }
        while self.angles > MOST_KEPT && self.cycles.len() > 1 {
            let ends = (self.cycles.first_key_value(), self.cycles.last_key_value());
            let (Some((first, _)), Some((last, _))) = ends else { break };
            let oldest = near.abs_diff(*first) >= near.abs_diff(*last);
            let gone = if oldest { self.cycles.pop_first() } else { self.cycles.pop_last() };
            self.angles -= gone.map_or(0, |(_, gone)| gone.angles.len());
        }
    }

    /// The slots up to the cycle that ends with row `last`, at most `history`.
    pub(super) fn slots(
        &mut self,
        look: &Look,
        last: i64,
        history: usize,
        scale: AngleScale,
    ) -> Result<Slots, LookError> {
        let mut ends = VecDeque::new();
        let mut lines: u64 = 0;
        // Stretches that are not known: their first row, and their last.
        let mut unknown: Vec<(crate::journal::Outline, i64)> = Vec::new();
        let mut goes_on = false;
        let mut next = look.next(last.saturating_sub(1))?;
        while let Some(end) = next.filter(|_| ends.len() < history) {
            if let Some(kept) = self.cycles.get(&end.row).filter(|kept| kept.at == end.at) {
                goes_on = false;
                next = look.previous(kept.after.saturating_add(1))?;
            } else {
                let rows = Rows::of(look, end)?;
                lines = lines.saturating_add(rows.lines);
                if lines > MOST_LINES {
                    break;
                }
                match unknown.last_mut().filter(|_| goes_on) {
                    Some((first, _)) => *first = rows.first,
                    None => unknown.push((rows.first, rows.last)),
                }
                goes_on = true;
                next = look.previous(rows.first.row)?;
            }
            ends.push_front(end.row);
        }
        for (first, end) in unknown {
            let keep = |after, row, frame: Frame| self.keep((after, row), &frame, last);
            walk(look, first, end, BEFORE[1], scale, keep)?;
        }
        let mut slots = Slots::new(history);
        for kept in ends.iter().filter_map(|end| self.cycles.get(end)) {
            slots.push(kept);
        }
        Ok(slots)
    }
}

impl Slots {
    fn new(capacity: usize) -> Self {
        Self { capacity, tracks: HashMap::new(), closed: VecDeque::new(), last: None }
    }

    fn push(&mut self, cycle: &Kept) {
        let pause = PAUSE.max(cycle.interval.saturating_mul(3));
        if self.last.replace(cycle.at).is_some_and(|last| cycle.at.since(last) > pause) {
            self.tracks.values_mut().for_each(AngleHistory::push_gap);
            self.note(None);
        }
        let mut absent: HashSet<Uuid> = self.tracks.keys().copied().collect();
        for (uuid, angles) in &cycle.angles {
            absent.remove(uuid);
            let track = self.tracks.entry(*uuid).or_insert_with(|| AngleHistory::new(self.capacity));
            match angles {
                Some(angles) => track.push(&unpacked(*angles)),
                None => track.push_gap(),
            }
        }
        for uuid in absent {
            if let Some(track) = self.tracks.get_mut(&uuid) {
                track.push_gap();
            }
        }
        self.note(Some(cycle.at));
    }

    fn note(&mut self, at: Option<WallTime>) {
        if self.closed.len() == self.capacity {
            self.closed.pop_front();
        }
        self.closed.push_back(at);
    }
}

/// No angle, and none because the group was not due: a history tells them apart.
const GAP: i16 = i16::MIN;
const NOT_DUE: i16 = i16::MIN + 1;

/// Angles in the tenths that a history keeps.
fn packed(angles: &Angles) -> [i16; 6] {
    let of = |angle: Measured<Degrees>| match angle {
        #[allow(clippy::cast_possible_truncation, reason = "±900 fits an i16")]
        Ok(degrees) if degrees.0.is_finite() => (degrees.0.clamp(-90.0, 90.0) * 10.0).round() as i16,
        Err(missing) if missing.why == Why::NotDue => NOT_DUE,
        _ => GAP,
    };
    [angles.cpu, angles.memory, angles.disk_read, angles.disk_write, angles.net_rx, angles.net_tx].map(of)
}

fn unpacked(tenths: [i16; 6]) -> Angles {
    let [cpu, memory, disk_read, disk_write, net_rx, net_tx] = tenths.map(|tenths| match tenths {
        GAP => Err(Missing::new(Why::NotRecorded)),
        NOT_DUE => Err(Missing::new(Why::NotDue)),
        tenths => Ok(Degrees(f64::from(tenths) / 10.0)),
    });
    Angles { cpu, memory, disk_read, disk_write, net_rx, net_tx }
}
