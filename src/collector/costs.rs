//! What reading each domain costs: whom to time next, and who is slowest.
//!
//! One call reads a whole list and does not tell its members' shares. So in
//! every cycle one member of each list is read by a call of its own, at its
//! place between the others; it is in turn, and nobody is read twice.

use std::{cmp::Reverse, time::Duration};

use uuid::Uuid;

use super::{Sink, domains::Track, engine::Engine, readers::Readers};
use crate::model::status::{ReadingCost, ReadingCosts};

/// Domains named as the slowest.
const MOST: usize = 5;

impl<R: Readers, S: Sink> Engine<R, S> {
    /// Of these domains the one that was timed the longest time ago, or never.
    pub(super) fn to_time<'a>(&self, members: impl Iterator<Item = &'a Uuid>) -> Option<Uuid> {
        let timed = |uuid: &&Uuid| self.domains.get(uuid).and_then(|track| track.cost).map(|(at, _)| at);
        members.min_by_key(timed).copied()
    }

    /// Of all live domains.
    pub(super) fn costs(&self) -> ReadingCosts {
        costs(self.domains.values().filter(|track| track.is_live()))
    }
}

fn costs<'a>(tracks: impl Iterator<Item = &'a Track>) -> ReadingCosts {
    let (mut measured, mut sum) = (0, Duration::ZERO);
    let mut slowest = Vec::with_capacity(MOST + 1);
    for track in tracks {
        let Some((at, took)) = track.cost else { continue };
        measured += 1;
        sum += took;
        let key = |(track, took, _): &(&Track, Duration, _)| (Reverse(*took), track.identity.uuid);
        let entry = (track, took, at);
        let place = slowest.partition_point(|other| key(other) < key(&entry));
        if place < MOST {
            slowest.insert(place, entry);
            slowest.truncate(MOST);
        }
    }
    let name = |track: &Track| track.identity.name.to_string();
    let slowest = slowest.into_iter().map(|(track, took, at)| ReadingCost { name: name(track), took, at });
    ReadingCosts {
        measured,
        mean: u32::try_from(measured).ok().and_then(|measured| sum.checked_div(measured)),
        slowest: slowest.collect(),
    }
}
