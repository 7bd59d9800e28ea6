//! The last angles of one domain, for its sparklines: fixed size, gaps kept.
//!
//! A cycle in which a group was not due is no gap: the rate of the next
//! reading spans it, so its angle is that of the next reading, and until that
//! comes the one of the reading before.

use serde::{Deserialize, Serialize};

use super::{Why, rates::Angles};

/// The six metrics that have an angle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Guest CPU.
    Cpu,
    /// Memory growth.
    Memory,
    /// Disk reads.
    DiskRead,
    /// Disk writes.
    DiskWrite,
    /// Network received.
    NetRx,
    /// Network sent.
    NetTx,
}

impl Metric {
    /// All six, in the order of the screen.
    pub const ALL: [Self; 6] =
        [Self::Cpu, Self::Memory, Self::DiskRead, Self::DiskWrite, Self::NetRx, Self::NetTx];
}

/// A gap in a series: no angle in that cycle.
const GAP: i16 = i16::MIN;
/// The group was not due: the next reading spans that cycle.
const NOT_DUE: i16 = i16::MIN + 1;

/// Cycles that a history keeps outside its ring.
pub const YOUNG: usize = 8;

/// The six angles of one cycle as a history keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot([i16; 6]);

impl Slot {
    /// A cycle without any angle.
    pub const GAPS: Self = Self([GAP; 6]);

    /// A missing angle becomes a gap, unless it merely was not due.
    #[must_use]
    pub fn of(angles: &Angles) -> Self {
        let of = |angle: &super::Measured<super::Degrees>| match angle {
            // Angles lie within ±90, so tenths always fit.
            #[allow(clippy::cast_possible_truncation, reason = "±900 fits an i16")]
            Ok(degrees) if degrees.0.is_finite() => (degrees.0.clamp(-90.0, 90.0) * 10.0).round() as i16,
            Err(missing) if missing.why == Why::NotDue => NOT_DUE,
            _ => GAP,
        };
        Self([
            of(&angles.cpu),
            of(&angles.memory),
            of(&angles.disk_read),
            of(&angles.disk_write),
            of(&angles.net_rx),
            of(&angles.net_tx),
        ])
    }
}
/// Most slots that another process's history can ask room for.
const MOST: usize = 100_000;

/// A ring of angles, one slot per cycle, in tenths of a degree:
/// what the screen shows, so that least and most agree with it to the digit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Sent", into = "Sent")]
pub struct AngleHistory {
    capacity: usize,
    /// Slot the next cycle goes to.
    next: usize,
    slots: Vec<[i16; 6]>,
    /// The newest cycles, which the ring does not have yet: of thousands of
    /// histories each ring lies elsewhere in memory, and to go there for every
    /// slot takes longer than all else.
    young: [[i16; 6]; YOUNG],
    /// How many of these there are.
    are_young: u8,
}

/// A history as it is sent from one process to another, its slots from the
/// oldest. Nothing of it is taken on trust.
#[derive(Serialize, Deserialize)]
struct Sent {
    capacity: usize,
    slots: Vec<[i16; 6]>,
}

impl From<AngleHistory> for Sent {
    fn from(history: AngleHistory) -> Self {
        let slots = (0..history.len()).map(|i| history.slot(i)).collect();
        Self { capacity: history.capacity, slots }
    }
}

impl From<Sent> for AngleHistory {
    fn from(Sent { capacity, slots }: Sent) -> Self {
        let mut history = Self::new(capacity.clamp(slots.len().max(1), slots.len().max(MOST)));
        for slot in slots {
            history.put(Slot(slot));
        }
        history
    }
}

impl AngleHistory {
    /// A history of at most `capacity` cycles (at least one).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), next: 0, slots: Vec::new(), young: [[GAP; 6]; YOUNG], are_young: 0 }
    }

    /// Adds one cycle; a missing angle becomes a gap, unless it merely was not due.
    pub fn push(&mut self, angles: &Angles) {
        self.put(Slot::of(angles));
    }

    /// Adds one cycle without any angle.
    pub fn push_gap(&mut self) {
        self.put(Slot::GAPS);
    }

    /// Adds one cycle.
    pub fn put(&mut self, Slot(slot): Slot) {
        if usize::from(self.are_young) == YOUNG {
            self.settle();
        }
        self.young[usize::from(self.are_young)] = slot;
        self.are_young += 1;
    }

    /// Puts the newest cycles into the ring. It is done in time anyway; whoever
    /// keeps thousands of histories spreads it over the cycles.
    pub fn settle(&mut self) {
        for slot in &self.young[..usize::from(std::mem::take(&mut self.are_young))] {
            let held = self.slots.len();
            if held < self.capacity {
                if held == self.slots.capacity() {
                    // Twice as many as until now, and none that is never used.
                    self.slots.reserve_exact(held.max(YOUNG).min(self.capacity - held));
                }
                self.slots.push(*slot);
            } else {
                self.slots[self.next] = *slot;
            }
            self.next = (self.next + 1) % self.capacity;
        }
    }

    /// The same cycles, with room for `capacity` slots, and with a gap before
    /// each of those that are so many from the newest (1 is the newest), the
    /// oldest first.
    #[must_use]
    pub fn with_gaps(&self, capacity: usize, gaps: &[usize]) -> Self {
        let mut roomy = Self::new(capacity);
        let held = self.len();
        let mut gaps = gaps.iter().filter(|&&gap| gap <= held).peekable();
        for i in 0..held {
            if gaps.next_if(|&&gap| gap == held - i).is_some() {
                roomy.push_gap();
            }
            roomy.put(Slot(self.slot(i)));
        }
        roomy
    }

    /// The same cycles, with those of `older` before them and so many gaps
    /// between the two. Of more than there is room for the oldest go.
    #[must_use]
    pub fn preceded_by(&self, older: &Self, gaps: usize) -> Self {
        let mut joined = Self::new(self.capacity);
        (0..older.len()).for_each(|i| joined.put(Slot(older.slot(i))));
        (0..gaps).for_each(|_| joined.push_gap());
        (0..self.len()).for_each(|i| joined.put(Slot(self.slot(i))));
        joined
    }

    /// The angles of the cycle that came `back` cycles before the newest;
    /// `None`: it is not held.
    #[must_use]
    pub fn before_newest(&self, back: usize) -> Option<Slot> {
        Some(Slot(self.slot(self.len().checked_sub(back + 1)?)))
    }

    /// Has the cycle that came `back` cycles before the newest, where it is
    /// held, have these angles.
    pub fn amend(&mut self, back: usize, Slot(slot): Slot) {
        self.settle();
        let Some(i) = self.len().checked_sub(back + 1) else { return };
        let start = if self.slots.len() < self.capacity { 0 } else { self.next };
        let at = (start + i) % self.capacity;
        if let Some(amended) = self.slots.get_mut(at) {
            *amended = slot;
        }
    }

    /// Cycles held.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.slots.len() + usize::from(self.are_young)).min(self.capacity)
    }

    /// Whether no cycle was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The newest `count` angles of one metric in degrees, oldest first, as
    /// of `back` cycles ago: what came later changes nothing of them. Takes
    /// time in proportion to `count`, however seldom the group is due.
    pub fn last(&self, metric: Metric, count: usize, back: usize) -> impl Iterator<Item = Option<f64>> + '_ {
        let held = self.len().saturating_sub(back);
        let first = held.saturating_sub(count);
        let mut filling = Filling { next: first, ahead: NOT_DUE, before: None };
        (first..held).map(move |i| {
            let angle = match self.raw(metric, i) {
                NOT_DUE => self.filled(metric, i, held, &mut filling),
                angle => {
                    filling.before = Some(angle);
                    angle
                }
            };
            (angle != GAP).then(|| f64::from(angle) / 10.0)
        })
    }

    /// What stands for the `i`th cycle, in which the group was not due: the
    /// next reading, which spans it, else the one before.
    fn filled(&self, metric: Metric, i: usize, held: usize, filling: &mut Filling) -> i16 {
        if filling.next <= i {
            let next = (i + 1..held).find(|&next| self.raw(metric, next) != NOT_DUE);
            filling.next = next.unwrap_or(held);
            filling.ahead = next.map_or(GAP, |next| self.raw(metric, next));
        }
        if filling.ahead != GAP {
            return filling.ahead;
        }
        *filling.before.get_or_insert_with(|| {
            let before = (0..i).rev().map(|before| self.raw(metric, before));
            before.into_iter().find(|&before| before != NOT_DUE).unwrap_or(GAP)
        })
    }

    /// One angle of the `i`th cycle held, from the oldest.
    fn raw(&self, metric: Metric, i: usize) -> i16 {
        self.slot(i)[metric as usize]
    }

    /// The slot of the `i`th cycle held, from the oldest.
    fn slot(&self, i: usize) -> [i16; 6] {
        let (held, all) = (self.slots.len(), self.slots.len() + usize::from(self.are_young));
        // The ring still has some that are beyond the capacity.
        let i = i + all - self.len();
        if i >= held {
            return self.young[i - held];
        }
        let start = if held < self.capacity { 0 } else { self.next };
        let at = start + i;
        self.slots[if at < held { at } else { at - held }]
    }
}

/// What is remembered on the way along a series, so that no reading is looked
/// for twice.
struct Filling {
    /// Cycle of the next reading, as far as one was looked for.
    next: usize,
    /// That reading.
    ahead: i16,
    /// The last reading passed.
    before: Option<i16>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Degrees, Missing, Why};

    #[test]
    fn the_ring_keeps_the_newest_and_its_gaps() {
        let mut history = AngleHistory::new(3);
        assert_eq!(history.last(Metric::Cpu, 5, 0).count(), 0);
        let mut angles = Angles::missing(Missing::new(Why::FirstReading));
        for degrees in [Some(1.0), Some(-2.5), None, Some(90.0)] {
            angles.cpu = degrees.map(Degrees).ok_or(Missing::new(Why::Gap));
            history.push(&angles);
        }
        let last: Vec<_> = history.last(Metric::Cpu, 9, 0).collect();
        assert_eq!(last, [Some(-2.5), None, Some(90.0)]);
        assert_eq!(history.last(Metric::Cpu, 1, 0).collect::<Vec<_>>(), [Some(90.0)]);
        assert!(history.last(Metric::Memory, 3, 0).all(|a| a.is_none()));
    }

    #[test]
    fn older_cycles_are_put_before_and_one_that_was_missed_is_amended() {
        let of = |cycles: std::ops::Range<i16>, capacity| {
            let mut history = AngleHistory::new(capacity);
            cycles.for_each(|cycle| history.put(Slot([cycle * 10; 6])));
            history
        };
        let seen = |history: &AngleHistory| history.last(Metric::Cpu, 99, 0).collect::<Vec<_>>();
        for held in [3, 12, 30] {
            let joined = of(20..20 + held, 40).preceded_by(&of(0..5, 9), 2);
            let expected: Vec<_> = (0..5)
                .map(|cycle| Some(f64::from(cycle)))
                .chain([None, None])
                .chain((20..20 + held).map(|cycle| Some(f64::from(cycle))))
                .collect();
            assert_eq!(seen(&joined), expected);
        }
        // With room for fewer the newest stay; what is not held is not amended.
        let mut full = of(20..27, 9).preceded_by(&of(0..5, 9), 0);
        assert_eq!(seen(&full)[..3], [Some(3.0), Some(4.0), Some(20.0)]);
        full.put(Slot::GAPS);
        for back in [0, 1, 8, 9, 99] {
            assert_eq!(full.before_newest(back).is_some(), back < 9);
            full.amend(back, Slot([i16::try_from(back).unwrap(); 6]));
        }
        let all = seen(&full);
        assert_eq!((all[0], all[1], all[7], all[8]), (Some(0.8), Some(20.0), Some(0.1), Some(0.0)));
    }

    #[test]
    fn when_the_newest_settle_changes_nothing_of_what_is_seen() {
        let mut plain = Vec::new();
        let mut histories: Vec<_> = (0..5_usize).map(|_| AngleHistory::new(21)).collect();
        for cycle in 0..100_i16 {
            plain.push(Some(f64::from(cycle) / 10.0));
            for (nth, history) in histories.iter_mut().enumerate() {
                history.put(Slot([cycle; 6]));
                // One of them only when it must, the others each in its turn.
                if nth > 0 && usize::try_from(cycle).unwrap() % (nth + 2) == 0 {
                    history.settle();
                }
                assert_eq!(history.len(), plain.len().min(21));
                for back in [0, 1, 9, 20] {
                    let held = &plain[..plain.len().saturating_sub(back)];
                    let first = plain.len().saturating_sub(21).min(held.len());
                    let seen: Vec<_> = history.last(Metric::NetTx, 99, back).collect();
                    assert_eq!(seen, held[first..], "history {nth}, {back} before cycle {cycle}");
                }
            }
        }
    }

    #[test]
    fn cycles_without_a_turn_take_the_angle_that_spans_them_and_are_no_gap() {
        let mut history = AngleHistory::new(8);
        let mut angles = Angles::missing(Missing::new(Why::FirstReading));
        let (first, not_due, hung) = (
            Err(Missing::new(Why::FirstReading)),
            Err(Missing::new(Why::NotDue)),
            Err(Missing::new(Why::MonitorNotAnswering)),
        );
        let mut push = |degrees| {
            angles.disk_read = degrees;
            history.push(&angles);
            history.last(Metric::DiskRead, 9, 0).collect::<Vec<_>>()
        };
        push(first);
        assert_eq!(push(not_due), [None, None], "nothing is known yet");
        assert_eq!(push(Ok(Degrees(10.0))), [None, Some(10.0), Some(10.0)]);
        assert_eq!(push(not_due)[3..], [Some(10.0)], "held until the next reading");
        assert_eq!(push(Ok(Degrees(30.0)))[2..], [Some(10.0), Some(30.0), Some(30.0)]);
        push(not_due);
        let gap = push(hung);
        assert_eq!(gap[4..], [Some(30.0), Some(30.0), None], "a hang is a gap");
        push(Ok(Degrees(50.0)));
        let as_of_then: Vec<_> = history.last(Metric::DiskRead, 9, 4).collect();
        assert_eq!(as_of_then, [None, Some(10.0), Some(10.0), Some(10.0)], "as it was four cycles ago");
    }

    #[test]
    fn a_long_history_that_is_seldom_due_is_read_in_one_pass() {
        // Against the plain rule, cycle by cycle, over runs of every length.
        let plain = |slots: &[i16], first: usize| -> Vec<Option<f64>> {
            (first..slots.len())
                .map(|i| {
                    let known = |&j: &usize| slots[j] != NOT_DUE;
                    let angle = match slots[i] {
                        NOT_DUE => (i..slots.len())
                            .find(known)
                            .map(|j| slots[j])
                            .filter(|&angle| angle != GAP)
                            .or_else(|| (0..i).rev().find(known).map(|j| slots[j]))
                            .unwrap_or(GAP),
                        angle => angle,
                    };
                    (angle != GAP).then(|| f64::from(angle) / 10.0)
                })
                .collect()
        };
        let mut seed = 7u64;
        let mut slots = Vec::new();
        let mut history = AngleHistory::new(4000);
        while slots.len() < 4000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (run, kind) = ((seed >> 33) % 40, (seed >> 20) % 5);
            slots.extend(std::iter::repeat_n(NOT_DUE, usize::try_from(run).unwrap()));
            slots.push(if kind == 0 { GAP } else { i16::try_from(kind).unwrap() * 100 });
        }
        slots.truncate(4000);
        for &slot in &slots {
            history.put(Slot([slot; 6]));
        }
        for (count, back) in [(4000, 0), (3600, 0), (3600, 17), (50, 3), (1, 0)] {
            let drawn: Vec<_> = history.last(Metric::DiskRead, count, back).collect();
            let held = &slots[..4000 - back];
            assert_eq!(drawn, plain(held, held.len().saturating_sub(count)), "{count} of {back} ago");
        }
    }
}
