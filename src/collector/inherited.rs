//! Calls of earlier processes that may still hang in libvirtd.
//!
//! A call from a process that has died goes on holding its domain and one of
//! libvirtd's workers. Each process notes its own beside the lock
//! (`notes.rs`); the next one counts them as stuck and asks libvirt first
//! which of the domains they may hang on are held: a question that waits for
//! nothing. Who is held is then asked singly in every cycle: while it comes
//! back short, the question holds nothing itself; once it comes back whole,
//! the call has returned.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::model::WallTime;

/// One call of an earlier process, as it was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PastCall {
    /// Since when it hangs; 0: it may merely have been in flight.
    pub since: WallTime,
    /// The domains it may hang on, in the order in which it met them: it hangs
    /// on the first that no earlier call held. One: it is known.
    pub domains: Vec<Uuid>,
}

/// Who cannot be told held or free so many times is taken for free: a monitor
/// that is broken is no call that hangs.
const DOUBTS: u32 = 10;

/// All calls of earlier processes that are not known to have returned.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    calls: Vec<Holder>,
    /// How often nothing could be told of a domain.
    doubts: HashMap<Uuid, u32>,
    last: u64,
}

/// One of them.
#[derive(Debug)]
struct Holder {
    number: u64,
    call: PastCall,
    /// Whether the only domain left has come back short: it is held.
    proven: bool,
}

/// A domain to be asked singly, or about, on behalf of an inherited call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Single {
    /// Which inherited call.
    pub number: u64,
    pub uuid: Uuid,
    /// Whether the call is known to hold it: then reading it in full cannot
    /// add to what hangs.
    pub held: bool,
}

impl Inherited {
    pub fn adopt(&mut self, calls: impl IntoIterator<Item = PastCall>) {
        for call in calls {
            self.last += 1;
            self.calls.push(Holder { number: self.last, call, proven: false });
        }
        self.forget_empty();
    }

    /// How many workers of libvirtd they hold, as far as is known.
    pub fn count(&self) -> usize {
        self.calls.len()
    }

    pub fn calls(&self) -> impl Iterator<Item = &PastCall> {
        self.calls.iter().map(|holder| &holder.call)
    }

    /// Whether a call may hang on `uuid`.
    pub fn covers(&self, uuid: &Uuid) -> bool {
        self.calls.iter().any(|holder| holder.call.domains.contains(uuid))
    }

    /// Since when a call is known to hold `uuid`.
    pub fn since(&self, uuid: &Uuid) -> Option<WallTime> {
        let holds = |holder: &&Holder| holder.proven && holder.call.domains.first() == Some(uuid);
        self.calls.iter().find(holds).map(|holder| holder.call.since)
    }

    /// Forgets domains that are not there any more: a call on one that has
    /// ended has returned.
    pub fn keep(&mut self, is_live: impl Fn(&Uuid) -> bool) {
        for holder in &mut self.calls {
            holder.call.domains.retain(&is_live);
        }
        self.doubts.retain(|uuid, _| is_live(uuid));
        self.forget_empty();
    }

    /// Nothing could be told of a domain; `true` when that is so for good.
    pub fn doubt(&mut self, uuid: Uuid) -> bool {
        let doubts = self.doubts.entry(uuid).or_default();
        *doubts += 1;
        *doubts >= DOUBTS
    }

    /// What to ask next: one domain of each call, no domain twice, and none of
    /// `undecided`.
    pub fn to_ask(&self, undecided: &HashSet<Uuid>) -> Vec<Single> {
        let mut singles: Vec<Single> = Vec::new();
        let mut sorted: Vec<&Holder> = self.calls.iter().collect();
        // Who is known to be held is nobody else's to ask about.
        sorted.sort_by_key(|holder| (!holder.proven, holder.call.domains.len()));
        for holder in sorted {
            let free = |uuid: &&Uuid| {
                !undecided.contains(*uuid) && singles.iter().all(|single| single.uuid != **uuid)
            };
            if let Some(uuid) = holder.call.domains.iter().find(free) {
                singles.push(Single { number: holder.number, uuid: *uuid, held: holder.proven });
            }
        }
        singles
    }

    /// The answer to a single: whether its domain is held.
    pub fn answered(&mut self, single: Single, held: bool, now: WallTime) {
        let uuid = single.uuid;
        self.doubts.remove(&uuid);
        for holder in &mut self.calls {
            if held && holder.number == single.number {
                holder.call.domains = vec![uuid];
                holder.proven = true;
                if holder.call.since == WallTime(0) {
                    // It was merely in flight when it was noted.
                    holder.call.since = now;
                }
            } else {
                // Held by another call, or by none.
                holder.call.domains.retain(|suspect| *suspect != uuid);
            }
        }
        self.forget_empty();
    }

    /// What to ask next on behalf of the same call as `single`, if anything.
    pub fn next(&self, single: Single, undecided: &HashSet<Uuid>) -> Option<Single> {
        self.to_ask(undecided).into_iter().find(|next| next.number == single.number)
    }

    /// A single hangs itself: its domain was not held by an earlier call.
    pub fn hangs(&mut self, uuid: &Uuid) {
        for holder in &mut self.calls {
            holder.call.domains.retain(|suspect| suspect != uuid);
        }
        self.forget_empty();
    }

    fn forget_empty(&mut self) {
        self.calls.retain(|holder| !holder.call.domains.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime(100);

    fn uuids(numbers: &[u128]) -> Vec<Uuid> {
        numbers.iter().copied().map(Uuid::from_u128).collect()
    }

    fn to_ask(inherited: &Inherited) -> Vec<Single> {
        inherited.to_ask(&HashSet::new())
    }

    fn answered(inherited: &mut Inherited, single: Single, held: bool) -> Option<Single> {
        inherited.answered(single, held, NOW);
        inherited.next(single, &HashSet::new())
    }

    fn call(since: i64, numbers: &[u128]) -> PastCall {
        PastCall { since: WallTime(since), domains: uuids(numbers) }
    }

    #[test]
    fn suspects_are_asked_in_order_until_one_is_short() {
        let mut inherited = Inherited::default();
        inherited.adopt([call(5, &[1, 2, 3])]);
        let first = to_ask(&inherited)[0];
        assert_eq!((first.uuid, first.held), (Uuid::from_u128(1), false));
        let second = answered(&mut inherited, first, false).unwrap();
        assert_eq!(second.uuid, Uuid::from_u128(2));
        assert_eq!(inherited.since(&second.uuid), None, "not known yet");
        let full = answered(&mut inherited, second, true).unwrap();
        assert!(full.held && full.uuid == second.uuid, "read in full from now on");
        assert_eq!(inherited.since(&Uuid::from_u128(2)), Some(WallTime(5)));
        assert!(!inherited.covers(&Uuid::from_u128(3)), "what comes after it was never reached");
        assert_eq!(inherited.count(), 1);
        let again = to_ask(&inherited)[0];
        assert_eq!(again, full);
        assert_eq!(answered(&mut inherited, again, false), None);
        assert_eq!(inherited.count(), 0, "the call has returned");
    }

    #[test]
    fn calls_over_one_list_are_held_by_different_domains() {
        let mut inherited = Inherited::default();
        inherited.adopt([call(1, &[1, 2, 3]), call(2, &[1, 2, 3]), call(3, &[2])]);
        let singles = to_ask(&inherited);
        assert_eq!(singles.iter().map(|s| s.uuid).collect::<Vec<_>>(), uuids(&[2, 1, 3]));
        for single in singles {
            answered(&mut inherited, single, true);
        }
        assert_eq!(inherited.count(), 3);
        assert!(to_ask(&inherited).iter().all(|single| single.held));
        // One hangs anew: its earlier call has returned, and ours counts now.
        inherited.hangs(&Uuid::from_u128(2));
        assert_eq!(inherited.count(), 2);
        inherited.keep(|uuid| *uuid == Uuid::from_u128(1));
        assert_eq!(inherited.count(), 1);
    }

    #[test]
    fn a_call_that_nobody_is_short_of_has_returned() {
        let mut inherited = Inherited::default();
        inherited.adopt([call(1, &[1, 2]), call(1, &[])]);
        assert_eq!(inherited.count(), 1);
        let mut next = to_ask(&inherited).pop();
        while let Some(single) = next {
            next = answered(&mut inherited, single, false);
        }
        assert_eq!(inherited.count(), 0);
        assert!(!inherited.covers(&Uuid::from_u128(1)));
    }
}
