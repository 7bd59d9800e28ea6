//! About how many bytes of memory a frame takes, for those who keep many.

use std::{mem::size_of, sync::Arc};

use super::{DomainFrame, Frame};

/// What an allocation takes beside its content: its header and what rounding
/// it up costs, on the mean.
const ALLOCATION: usize = 16;

/// Domains that are looked at in one frame.
const MOST_LOOKED_AT: usize = 256;

impl Frame {
    /// About how many bytes this frame takes that `before` does not take
    /// already. What an incarnation keeps from cycle to cycle (identity,
    /// devices, timeline) is left out.
    #[must_use]
    pub fn held_bytes(&self, before: Option<&Self>) -> usize {
        let shared = |place: usize, domain: &Arc<DomainFrame>| {
            before.and_then(|before| before.domains.get(place)).is_some_and(|old| Arc::ptr_eq(old, domain))
        };
        // Of thousands some stand for all: every one that is looked at costs
        // a way through memory.
        let step = self.domains.len().div_ceil(MOST_LOOKED_AT).max(1);
        let some = self.domains.iter().enumerate().step_by(step);
        let held: usize = some
            .filter(|(place, domain)| !shared(*place, domain))
            .map(|(_, domain)| domain.held_bytes())
            .sum();
        let domains = held.saturating_mul(step);
        size_of::<Self>() + ALLOCATION + self.domains.held_bytes() + 2 * ALLOCATION + domains
    }
}

impl DomainFrame {
    pub(super) fn held_bytes(&self) -> usize {
        let (reading, rates) = (&self.reading, &self.rates);
        let lists = [
            reading.vcpus.as_ref().map_or(0, list),
            reading.nics.as_ref().map_or(0, list),
            reading.disks.as_ref().map_or(0, list),
            list(&rates.vcpus),
            list(&rates.nics),
            list(&rates.disks),
        ];
        size_of::<Self>() + ALLOCATION + lists.iter().sum::<usize>()
    }
}

fn list<T>(items: &Vec<T>) -> usize {
    if items.capacity() == 0 { 0 } else { items.capacity() * size_of::<T>() + ALLOCATION }
}
