//! The last cycles as they were, within a budget of bytes: what looking back
//! shows at once.
//!
//! Owns no position: where one looks is `look_back`'s. Frames are found by
//! the number of their cycle, since the wall clock may jump. The newest are
//! whole; older ones of fleets that are not too large are packed as they come,
//! one by one, and unpacked when somebody looks at them.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::model::{
    Frame, MonoTime, WallTime,
    packed::{Packed, Packer},
    past::Moment,
};

/// The newest frames, which stay whole.
const WHOLE: usize = 8;
/// VMs of a frame that is packed: of more it would take longer than a key may
/// wait, at every cycle.
const MOST_PACKED: usize = 100;
/// Frames that are packed together, and domains in them: to unpack the last of
/// them goes through them all.
const TOGETHER: usize = 64;
const DOMAINS_TOGETHER: usize = 1600;
/// Frames that are unpacked to go on from a history: a key waits meanwhile.
const FEW: usize = 16;
/// How far memory reaches for each so many bytes of its budget, where the record
/// has what is older: as far as looking back mostly goes.
const BESIDE_RECORD: Duration = Duration::from_mins(10);
const REACHED_WITH: usize = 16 << 20;

/// A frame that is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// The frame.
    pub frame: Arc<Frame>,
    /// How many slots the series had when it was added, its own among them.
    pub slots: u64,
}

/// Frames that are whole in nobody's memory any more. To free thousands of VMs
/// takes longer than to draw them: whoever keeps no key waiting drops them.
#[derive(Clone, Debug)]
pub struct OldFrames(pub(super) Vec<Arc<Frame>>);

impl PartialEq for OldFrames {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

/// The newest frames, oldest first: packed ones, those that are being packed,
/// whole ones.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    packed: VecDeque<Bundle<Packed>>,
    packing: Bundle<Packer>,
    whole: VecDeque<(Kept, usize)>,
    /// Bytes of what is packed and of what is whole.
    bytes: usize,
    budget: usize,
    /// The next frame is of another collector.
    anew: bool,
}

/// Frames packed together.
#[derive(Clone, Debug, Default)]
struct Bundle<T> {
    frames: T,
    /// [`Kept::slots`] of each.
    slots: Vec<u64>,
}

impl Bundle<Packed> {
    fn held_bytes(&self) -> usize {
        self.frames.held_bytes() + self.slots.capacity() * size_of::<u64>()
    }
}

/// What is known of a frame without unpacking it.
#[derive(Clone, Copy, Debug)]
struct Head {
    cycle: u64,
    at: WallTime,
}

impl Recent {
    /// Nothing yet; about `budget` bytes at most.
    pub fn new(budget: usize) -> Self {
        let (packed, packing) = (VecDeque::new(), Bundle::default());
        Self { packed, packing, whole: VecDeque::new(), bytes: 0, budget, anew: false }
    }

    /// Adds the newest frame and gives out those that are no longer whole. The
    /// oldest go beyond the budget, and where the record has them (it begins
    /// at `recorded`) beyond their reach; the newest stays, however large.
    pub fn push(&mut self, frame: &Arc<Frame>, slots: u64, recorded: Option<WallTime>) -> Vec<Arc<Frame>> {
        let mut old = Vec::new();
        // A collector that began anew counts its cycles anew: what is from
        // before it is found in the record.
        if std::mem::take(&mut self.anew) || self.newest().is_some_and(|last| last.frame.cycle >= frame.cycle)
        {
            old.extend(self.whole.drain(..).map(|(kept, _)| kept.frame));
            *self = Self::new(self.budget);
        }
        let bytes = frame.held_bytes(self.newest().map(|last| &*last.frame));
        self.whole.push_back((Kept { frame: Arc::clone(frame), slots }, bytes));
        self.bytes += bytes;
        // Two, so that after a change of fleets it catches up.
        for _ in 0..2 {
            old.extend(self.pack());
        }
        let newest = frame.mono;
        let reach = self.reach();
        while let Some(oldest) = self.packed.front()
            && let (Some(first), Some(last)) = (oldest.frames.heads().first(), oldest.frames.heads().last())
            && recorded.is_some_and(|begins| begins <= first.at)
            && newest.since(last.mono) > reach
        {
            self.let_go();
        }
        while self.held().1 > self.budget && self.held().0 > 1 {
            old.extend(self.let_go());
        }
        old
    }

    /// How far memory reaches where the record has what is older.
    fn reach(&self) -> Duration {
        let each = u32::try_from(self.budget.div_ceil(REACHED_WITH)).unwrap_or(u32::MAX);
        BESIDE_RECORD.saturating_mul(each.max(1))
    }

    /// Packs the oldest of the whole frames, where there are enough of them.
    fn pack(&mut self) -> Option<Arc<Frame>> {
        let is_packed = |(kept, _): &(Kept, usize)| kept.frame.domains.len() <= MOST_PACKED;
        if self.whole.len() <= WHOLE || !self.whole.front().is_some_and(is_packed) {
            return None;
        }
        let (Kept { frame, slots }, bytes) = self.whole.pop_front()?;
        self.bytes -= bytes;
        self.packing.frames.push(&frame);
        self.packing.slots.push(slots);
        if self.packing.slots.len() >= TOGETHER || self.packing.frames.domains() >= DOMAINS_TOGETHER {
            let Bundle { frames, mut slots } = std::mem::take(&mut self.packing);
            slots.shrink_to_fit();
            let bundle = Bundle { frames: frames.finish(), slots };
            self.bytes += bundle.held_bytes();
            self.packed.push_back(bundle);
        }
        Some(frame)
    }

    /// Lets go what is oldest, and gives out what of it is whole.
    fn let_go(&mut self) -> Option<Arc<Frame>> {
        if let Some(bundle) = self.packed.pop_front() {
            self.bytes -= bundle.held_bytes();
            return None;
        }
        if !self.packing.slots.is_empty() {
            self.packing = Bundle::default();
            return None;
        }
        let (oldest, bytes) = self.whole.pop_front()?;
        self.bytes -= bytes;
        Some(oldest.frame)
    }

    /// The next frame is of another collector, whatever its number.
    pub fn begin_anew(&mut self) {
        self.anew = true;
    }

    /// Whether no more than so many packed frames are younger than `until`.
    pub fn packs_few_after(&self, until: WallTime) -> bool {
        let packed = self.heads().count() - self.whole.len();
        self.heads().take(packed).filter(|head| head.at > until).count() <= FEW
    }

    /// Says anew, oldest first, how many slots the series had at each. Packed
    /// frames up to `until` are told of without their domains.
    pub fn number(&mut self, until: WallTime, mut slots: impl FnMut(&Frame) -> u64) {
        let renumber = |frames: &Packed, numbers: &mut [u64], slots: &mut dyn FnMut(&Frame) -> u64| {
            for (nth, (head, number)) in frames.heads().iter().zip(numbers).enumerate() {
                let whole = if head.at > until { frames.unpack(nth) } else { None };
                *number = slots(whole.as_ref().unwrap_or(head));
            }
        };
        for bundle in &mut self.packed {
            renumber(&bundle.frames, &mut bundle.slots, &mut slots);
        }
        renumber(self.packing.frames.packed(), &mut self.packing.slots, &mut slots);
        self.whole.iter_mut().for_each(|(kept, _)| kept.slots = slots(&kept.frame));
    }

    /// All of them: instant and slots, oldest first.
    pub fn moments(&self) -> impl Iterator<Item = (MonoTime, u64)> + '_ {
        let packed = self.packed.iter().map(|bundle| (&bundle.frames, &bundle.slots));
        let packed = packed.chain([(self.packing.frames.packed(), &self.packing.slots)]);
        let packed = packed.flat_map(|(frames, slots)| {
            frames.heads().iter().map(|head| head.mono).zip(slots.iter().copied())
        });
        packed.chain(self.whole.iter().map(|(kept, _)| (kept.frame.mono, kept.slots)))
    }

    /// The newest one.
    pub fn newest(&self) -> Option<&Kept> {
        self.whole.back().map(|(kept, _)| kept)
    }

    /// The oldest one.
    pub fn oldest(&self) -> Option<Kept> {
        self.get(0)
    }

    /// When the oldest one was closed.
    pub fn begins(&self) -> Option<WallTime> {
        self.heads().next().map(|head| head.at)
    }

    /// How many there are, and the bytes they take.
    pub fn held(&self) -> (usize, usize) {
        (self.heads().count(), self.bytes + self.packing.frames.held_bytes())
    }

    /// The one that a question to the record would find here.
    pub fn nearest(&self, moment: Moment) -> Option<Kept> {
        match moment {
            Moment::AtOrBefore(at) => self.last_with(|head| head.at <= at),
            Moment::Before(at) => self.last_with(|head| head.at < at),
            Moment::After(at) => self.first_with(|head| head.at > at),
        }
    }

    /// The one before cycle `cycle`.
    pub fn before(&self, cycle: u64) -> Option<Kept> {
        self.last_with(|head| head.cycle < cycle)
    }

    /// The one after cycle `cycle`.
    pub fn after(&self, cycle: u64) -> Option<Kept> {
        self.first_with(|head| head.cycle > cycle)
    }

    /// The newest before cycle `cycle` that was closed at `at` or earlier.
    pub fn back_to(&self, cycle: u64, at: WallTime) -> Option<Kept> {
        self.last_with(|head| head.cycle < cycle && head.at <= at)
    }

    /// The oldest after cycle `cycle` that was closed at `at` or later; else
    /// the newest after it.
    pub fn on_to(&self, cycle: u64, at: WallTime) -> Option<Kept> {
        let newest = || self.newest().filter(|newest| newest.frame.cycle > cycle).cloned();
        self.first_with(|head| head.cycle > cycle && head.at >= at).or_else(newest)
    }

    fn first_with(&self, is_it: impl Fn(Head) -> bool) -> Option<Kept> {
        self.get(self.heads().position(is_it)?)
    }

    fn last_with(&self, is_it: impl Fn(Head) -> bool) -> Option<Kept> {
        self.get(self.heads().enumerate().filter(|(_, head)| is_it(*head)).last()?.0)
    }

    /// All of them, oldest first.
    fn heads(&self) -> impl Iterator<Item = Head> + '_ {
        let packed = self.packed.iter().map(|bundle| &bundle.frames);
        let packed = packed.chain([self.packing.frames.packed()]).flat_map(Packed::heads);
        packed
            .chain(self.whole.iter().map(|(kept, _)| &*kept.frame))
            .map(|frame| Head { cycle: frame.cycle, at: frame.at })
    }

    /// The `nth` from the oldest.
    fn get(&self, mut nth: usize) -> Option<Kept> {
        let packed = self.packed.iter().map(|bundle| (&bundle.frames, &bundle.slots));
        for (frames, slots) in packed.chain([(self.packing.frames.packed(), &self.packing.slots)]) {
            if let Some(&slots) = slots.get(nth) {
                return Some(Kept { frame: Arc::new(frames.unpack(nth)?), slots });
            }
            nth -= frames.len();
        }
        self.whole.get(nth).map(|(kept, _)| kept.clone())
    }
}

#[cfg(test)]
mod tests;
