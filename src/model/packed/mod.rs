//! Many frames in little memory: each as what it differs in from the one
//! before, and unpacked again exactly as it was.
//!
//! Owns the packed form, which lives in memory alone and has no version. Most
//! of a frame follows from the one before: what stands still, the names, and
//! the rates, which are computed again from the counters. What does not follow
//! stands in the packed form as it is, so that nothing depends on the guess
//! being right.

mod flow;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

use uuid::Uuid;

use super::{DomainFrame, Domains, Frame, WallTime};
use flow::{Flow, Place, Store};
use walk::{Step, Track};

/// Packed frames, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    /// All of each frame but its domains.
    heads: Vec<Frame>,
    store: Store,
}

/// Packs frames as they come.
#[derive(Clone, Debug, Default)]
pub struct Packer {
    packed: Packed,
    tracks: Tracks,
    place: Place,
    domains: usize,
}

/// What is known of the domains of the frames until now.
#[derive(Clone, Debug, Default)]
struct Tracks {
    all: Vec<Track>,
    /// Those of the domains of the last frame, in its order.
    order: Vec<usize>,
    /// When that was.
    at: Option<WallTime>,
}

impl Packer {
    /// Adds a frame, which is newer than the others.
    pub fn push(&mut self, frame: &Frame) {
        let mut flow = Flow::into(&mut self.packed.store, self.place);
        self.tracks.walk(&mut flow, frame, Some(&frame.domains));
        self.place = flow.place();
        self.domains += frame.domains.len();
        self.packed.heads.push(head(frame));
    }

    /// Domains packed, those of all frames together: unpacking the last frame
    /// takes time in proportion.
    #[must_use]
    pub fn domains(&self) -> usize {
        self.domains
    }

    /// What is packed until now.
    #[must_use]
    pub fn packed(&self) -> &Packed {
        &self.packed
    }

    /// The frames, and not a byte more.
    #[must_use]
    pub fn finish(self) -> Packed {
        let mut packed = self.packed;
        packed.heads.shrink_to_fit();
        packed.store.shrink();
        packed
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.packed.held_bytes() + self.tracks.all.iter().map(Track::held_bytes).sum::<usize>()
    }
}

impl Packed {
    /// How many frames there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// All frames without their domains.
    #[must_use]
    pub fn heads(&self) -> &[Frame] {
        &self.heads
    }

    /// The `nth` frame as it was.
    #[must_use]
    pub fn unpack(&self, nth: usize) -> Option<Frame> {
        let mut flow = Flow::out_of(&self.store);
        let mut tracks = Tracks::default();
        let mut domains = Vec::new();
        for head in self.heads.get(..=nth)? {
            domains = tracks.walk(&mut flow, head, None);
        }
        Some(Frame { domains: Domains::from(domains), ..head(self.heads.get(nth)?) })
    }

    /// About how many bytes they take.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.heads.capacity() * size_of::<Frame>() + self.store.held_bytes()
    }
}

/// All of a frame but its domains.
fn head(frame: &Frame) -> Frame {
    let &Frame { cycle, at, mono, took, interval, ref host, load, scale, domains: _ } = frame;
    let host = Arc::clone(host);
    Frame { cycle, at, mono, took, interval, host, load, scale, domains: Domains::default() }
}

impl Tracks {
    /// Sends the domains of a frame, or receives them: then `now` is `None`,
    /// and they are returned.
    fn walk(
        &mut self,
        flow: &mut Flow<'_>,
        head: &Frame,
        now: Option<&[Arc<DomainFrame>]>,
    ) -> Vec<Arc<DomainFrame>> {
        let since = self.at.replace(head.at).map_or(0, |before| head.at.0.wrapping_sub(before.0));
        let step = Step { since, scale: head.scale };
        let count = flow.number(now.map_or(0, <[_]>::len), self.order.len());
        let mut order = Vec::with_capacity(count);
        let mut domains = Vec::new();
        for nth in 0..count {
            let told = now.and_then(|now| now.get(nth));
            let likely = self.order.get(nth).copied().unwrap_or(self.all.len());
            let place = flow.number(told.map_or(likely, |d| self.place(d.identity().uuid, likely)), likely);
            let known = self.all.get(place);
            let is_same = known.zip(told).is_some_and(|(track, told)| Arc::ptr_eq(&track.before, told));
            if known.is_none() {
                self.all.push(Track::blank());
            }
            let track = &mut self.all[place];
            let domain = if flow.number(is_same, false) {
                Arc::clone(&track.before)
            } else {
                track.walk(flow, told, step)
            };
            order.push(place);
            if now.is_none() {
                domains.push(domain);
            }
        }
        self.order = order;
        domains
    }

    /// The place of a domain's track; of a new one the next that is free.
    fn place(&self, uuid: Uuid, likely: usize) -> usize {
        let is_it = |track: &Track| track.before.identity().uuid == uuid;
        if self.all.get(likely).is_some_and(is_it) {
            return likely;
        }
        self.all.iter().position(is_it).unwrap_or(self.all.len())
    }
}
