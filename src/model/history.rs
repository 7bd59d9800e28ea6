//! The last angles of one domain, for its sparklines: fixed size, gaps kept.

use super::rates::Angles;

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

/// A ring of angles, one slot per cycle, in tenths of a degree:
/// what the screen shows, so that least and most agree with it to the digit.
#[derive(Clone, Debug)]
pub struct AngleHistory {
    capacity: usize,
    /// Slot the next cycle goes to.
    next: usize,
    slots: Vec<[i16; 6]>,
}

impl AngleHistory {
    /// A history of at most `capacity` cycles (at least one).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), next: 0, slots: Vec::new() }
    }

    /// Adds one cycle; a missing angle becomes a gap.
    pub fn push(&mut self, angles: &Angles) {
        let of = |angle: &super::Measured<super::Degrees>| match angle {
            // Angles lie within ±90, so tenths always fit.
            #[allow(clippy::cast_possible_truncation, reason = "±900 fits an i16")]
            Ok(degrees) if degrees.0.is_finite() => (degrees.0.clamp(-90.0, 90.0) * 10.0).round() as i16,
            _ => GAP,
        };
        self.put([
            of(&angles.cpu),
            of(&angles.memory),
            of(&angles.disk_read),
            of(&angles.disk_write),
            of(&angles.net_rx),
            of(&angles.net_tx),
        ]);
    }

    /// Adds one cycle without any angle.
    pub fn push_gap(&mut self) {
        self.put([GAP; 6]);
    }

    fn put(&mut self, slot: [i16; 6]) {
        if self.slots.len() < self.capacity {
            self.slots.push(slot);
        } else {
            self.slots[self.next] = slot;
        }
        self.next = (self.next + 1) % self.capacity;
    }

    /// Cycles held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no cycle was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The newest `count` angles of one metric in degrees, oldest first.
    pub fn last(&self, metric: Metric, count: usize) -> impl Iterator<Item = Option<f64>> + '_ {
        let held = self.slots.len();
        let count = count.min(held);
        let start = if held < self.capacity { 0 } else { self.next };
        (held - count..held).map(move |i| {
            let raw = self.slots[(start + i) % held][metric as usize];
            (raw != GAP).then(|| f64::from(raw) / 10.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Degrees, Missing, Why};

    #[test]
    fn the_ring_keeps_the_newest_and_its_gaps() {
        let mut history = AngleHistory::new(3);
        assert_eq!(history.last(Metric::Cpu, 5).count(), 0);
        let mut angles = Angles::missing(Missing::new(Why::FirstReading));
        for degrees in [Some(1.0), Some(-2.5), None, Some(90.0)] {
            angles.cpu = degrees.map(Degrees).ok_or(Missing::new(Why::Gap));
            history.push(&angles);
        }
        let last: Vec<_> = history.last(Metric::Cpu, 9).collect();
        assert_eq!(last, [Some(-2.5), None, Some(90.0)]);
        assert_eq!(history.last(Metric::Cpu, 1).collect::<Vec<_>>(), [Some(90.0)]);
        assert!(history.last(Metric::Memory, 3).all(|a| a.is_none()));
    }
}
