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
    /// All lists as they were divided last.
    pub fn all(&self) -> &[Vec<Uuid>] {
        &self.lists
    }

    /// Brings the lists to `count` (at least one) over exactly `live`. Domains
    /// that stay keep their place; new ones go to the list that weighs least.
    /// Only another `count` or a clear imbalance divides anew.
    pub fn divide(&mut self, live: &[Uuid], count: usize, weight: impl Fn(&Uuid) -> usize) -> &[Vec<Uuid>] {
        let count = count.max(1);
        let living: HashSet<Uuid> = live.iter().copied().collect();
        for list in &mut self.lists {
            list.retain(|uuid| living.contains(uuid));
        }
        if self.lists.len() != count {
            let members: Vec<Uuid> = self.lists.drain(..).flatten().collect();
            self.lists = vec![Vec::new(); count];
            self.deal(members, &weight);
        }
        let held: HashSet<Uuid> = self.lists.iter().flatten().copied().collect();
        let new: Vec<Uuid> = live.iter().copied().filter(|uuid| !held.contains(uuid)).collect();
        self.deal(new, &weight);
        if self.is_lopsided(&weight) {
            let members: Vec<Uuid> = self.lists.iter_mut().flat_map(std::mem::take).collect();
            self.deal(members, &weight);
        }
        &self.lists
    }

    /// Gives each to the list that weighs least by then, the heaviest first.
    fn deal(&mut self, mut members: Vec<Uuid>, weight: impl Fn(&Uuid) -> usize) {
        members.sort_by_key(|uuid| std::cmp::Reverse(weight(uuid)));
        let mut weights: Vec<usize> = self.weights(&weight).collect();
        for uuid in members {
            let lightest = (0..weights.len()).min_by_key(|&place| weights[place]);
            if let Some(place) = lightest {
                weights[place] += weight(&uuid);
                self.lists[place].push(uuid);
            }
        }
    }

    fn weights(&self, weight: impl Fn(&Uuid) -> usize) -> impl Iterator<Item = usize> {
        self.lists.iter().map(move |list| list.iter().map(&weight).sum())
    }

    /// Whether dealing anew would even out more than one domain's weight.
    fn is_lopsided(&self, weight: impl Fn(&Uuid) -> usize) -> bool {
        let most = self.weights(&weight).max().unwrap_or(0);
        let least = self.weights(&weight).min().unwrap_or(0);
        let heaviest = self.lists.iter().flatten().map(&weight).max().unwrap_or(0);
        most > least + heaviest + most / 4
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
        assert_eq!(sorted(lists.divide(&uuids(0..40), 3, |_| 1)), uuids(0..40));
        assert_eq!(sorted(lists.divide(&uuids(5..60), 3, |_| 1)), uuids(5..60));
        assert_eq!(sorted(lists.divide(&uuids(5..60), 1, |_| 1)), uuids(5..60));
        assert!(sorted(lists.divide(&[], 4, |_| 1)).is_empty());
    }

    #[test]
    fn members_keep_their_list_and_order_when_one_comes_and_one_goes() {
        let mut lists = Lists::default();
        let before = lists.divide(&uuids(0..12), 3, |_| 1).to_vec();
        let after = lists.divide(&uuids(1..13), 3, |_| 1).to_vec();
        for (old, new) in before.iter().zip(&after) {
            let stayed: Vec<_> = old.iter().filter(|uuid| new.contains(uuid)).collect();
            let kept: Vec<_> = new.iter().filter(|uuid| old.contains(uuid)).collect();
            assert_eq!(stayed, kept);
        }
        assert_eq!(sorted(&after), uuids(1..13));
    }

    #[test]
    fn a_heavy_domain_gets_light_company() {
        let mut lists = Lists::default();
        let heavy = Uuid::from_u128(0);
        let divided = lists.divide(&uuids(0..10), 2, |uuid| if *uuid == heavy { 9 } else { 1 });
        assert_eq!(divided.iter().map(Vec::len).collect::<Vec<_>>(), [1, 9]);
    }

    #[test]
    fn lists_that_grew_lopsided_are_dealt_anew() {
        let mut lists = Lists::default();
        let first = lists.divide(&uuids(0..30), 3, |_| 1)[0].clone();
        let lengths: Vec<usize> = lists.divide(&first, 3, |_| 1).iter().map(Vec::len).collect();
        assert_eq!(lengths.iter().sum::<usize>(), 10);
        assert!(lengths.iter().all(|n| (3..=4).contains(n)), "{lengths:?}");
    }
}
