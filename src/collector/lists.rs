//! Disjoint, sticky lists of live domains.

use std::collections::HashSet;

use uuid::Uuid;

/// Divides the live domains into lists that keep their members and order
/// from cycle to cycle: a domain's place in its list dates its reading, and a
/// constant place makes a constant error, which cancels in rates.
#[derive(Debug, Default)]
pub(super) struct Lists {
    lists: Vec<Vec<Uuid>>,
}

impl Lists {
    /// Brings the lists to `count` (at least one) over exactly `live`. Domains
    /// that stay keep their place; new ones go to the shortest list. Only
    /// another `count` or a clear imbalance divides anew.
    pub fn divide(&mut self, live: &[Uuid], count: usize) -> &[Vec<Uuid>] {
        let count = count.max(1);
        if self.lists.len() != count {
            let mut members: Vec<Uuid> = self.lists.drain(..).flatten().collect();
            self.lists = vec![Vec::new(); count];
            let living: HashSet<Uuid> = live.iter().copied().collect();
            members.retain(|uuid| living.contains(uuid));
            self.deal(members);
        }
        let living: HashSet<Uuid> = live.iter().copied().collect();
        for list in &mut self.lists {
            list.retain(|uuid| living.contains(uuid));
        }
        let held: HashSet<Uuid> = self.lists.iter().flatten().copied().collect();
        let new: Vec<Uuid> = live.iter().copied().filter(|uuid| !held.contains(uuid)).collect();
        self.deal(new);
        if self.is_lopsided() {
            let members: Vec<Uuid> = self.lists.iter_mut().flat_map(std::mem::take).collect();
            self.deal(members);
        }
        &self.lists
    }

    fn deal(&mut self, members: Vec<Uuid>) {
        for uuid in members {
            if let Some(shortest) = self.lists.iter_mut().min_by_key(|list| list.len()) {
                shortest.push(uuid);
            }
        }
    }

    fn is_lopsided(&self) -> bool {
        let longest = self.lists.iter().map(Vec::len).max().unwrap_or(0);
        let shortest = self.lists.iter().map(Vec::len).min().unwrap_or(0);
        longest > shortest + 1 + longest / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uuids(range: std::ops::Range<u128>) -> Vec<Uuid> {
        range.map(Uuid::from_u128).collect()
    }

    fn sorted(lists: &[Vec<Uuid>]) -> Vec<Uuid> {
        let mut all: Vec<Uuid> = lists.iter().flatten().copied().collect();
        all.sort();
        all
    }

    #[test]
    fn every_live_domain_is_in_exactly_one_list() {
        let mut lists = Lists::default();
        assert_eq!(sorted(lists.divide(&uuids(0..40), 3)), uuids(0..40));
        assert_eq!(sorted(lists.divide(&uuids(5..60), 3)), uuids(5..60));
        assert_eq!(sorted(lists.divide(&uuids(5..60), 1)), uuids(5..60));
        assert!(sorted(lists.divide(&[], 4)).is_empty());
    }

    #[test]
    fn members_keep_their_list_and_order_when_one_comes_and_one_goes() {
        let mut lists = Lists::default();
        let before = lists.divide(&uuids(0..12), 3).to_vec();
        let after = lists.divide(&uuids(1..13), 3).to_vec();
        for (old, new) in before.iter().zip(&after) {
            let stayed: Vec<_> = old.iter().filter(|uuid| new.contains(uuid)).collect();
            let kept: Vec<_> = new.iter().filter(|uuid| old.contains(uuid)).collect();
            assert_eq!(stayed, kept);
        }
        assert_eq!(sorted(&after), uuids(1..13));
    }

    #[test]
    fn lists_that_grew_lopsided_are_dealt_anew() {
        let mut lists = Lists::default();
        let first = lists.divide(&uuids(0..30), 3)[0].clone();
        let lengths: Vec<usize> = lists.divide(&first, 3).iter().map(Vec::len).collect();
        assert_eq!(lengths.iter().sum::<usize>(), 10);
        assert!(lengths.iter().all(|n| (3..=4).contains(n)), "{lengths:?}");
    }
}
