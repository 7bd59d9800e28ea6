//! The last cycles as whole frames, within a budget of bytes: what looking
//! back shows at once.
//!
//! Owns no position: where one looks is `look_back`'s. Frames are found by
//! the number of their cycle, since the wall clock may jump.

use std::{collections::VecDeque, sync::Arc};

use crate::model::{Frame, WallTime, past::Moment};

/// A frame that is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// The frame.
    pub frame: Arc<Frame>,
    /// How many slots the series had when it was added, its own among them.
    pub slots: u64,
    bytes: usize,
}

/// Frames that nobody looks back at any more. To free thousands of VMs takes
/// longer than to draw them: whoever keeps no key waiting drops them.
#[derive(Clone, Debug)]
pub struct OldFrames(pub(super) Vec<Arc<Frame>>);

impl PartialEq for OldFrames {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

/// The newest frames, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    kept: VecDeque<Kept>,
    bytes: usize,
    budget: usize,
}

impl Recent {
    /// Nothing yet; about `budget` bytes at most.
    pub fn new(budget: usize) -> Self {
        Self { kept: VecDeque::new(), bytes: 0, budget }
    }

    /// Adds the newest frame and gives out the oldest beyond the budget. The
    /// newest stays, however large.
    pub fn push(&mut self, frame: &Arc<Frame>, slots: u64) -> Vec<Arc<Frame>> {
        let mut old = Vec::new();
        // A collector that began anew counts its cycles anew: what is from
        // before it is found in the record.
        if self.kept.back().is_some_and(|last| last.frame.cycle >= frame.cycle) {
            old.extend(self.kept.drain(..).map(|kept| kept.frame));
            self.bytes = 0;
        }
        let bytes = frame.held_bytes(self.kept.back().map(|last| &*last.frame));
        self.kept.push_back(Kept { frame: Arc::clone(frame), slots, bytes });
        self.bytes += bytes;
        while self.bytes > self.budget
            && self.kept.len() > 1
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= oldest.bytes;
            old.push(oldest.frame);
        }
        old
    }

    /// The newest one.
    pub fn newest(&self) -> Option<&Kept> {
        self.kept.back()
    }

    /// The oldest one.
    pub fn oldest(&self) -> Option<&Kept> {
        self.kept.front()
    }

    /// How many there are, and the bytes they take.
    pub fn held(&self) -> (usize, usize) {
        (self.kept.len(), self.bytes)
    }

    /// The one that a question to the record would find here.
    pub fn nearest(&self, moment: Moment) -> Option<&Kept> {
        match moment {
            Moment::AtOrBefore(at) => self.kept.iter().rev().find(|kept| kept.frame.at <= at),
            Moment::Before(at) => self.kept.iter().rev().find(|kept| kept.frame.at < at),
            Moment::After(at) => self.kept.iter().find(|kept| kept.frame.at > at),
        }
    }

    /// The one before cycle `cycle`.
    pub fn before(&self, cycle: u64) -> Option<&Kept> {
        let next = self.kept.partition_point(|kept| kept.frame.cycle < cycle);
        self.kept.get(next.checked_sub(1)?)
    }

    /// The one after cycle `cycle`.
    pub fn after(&self, cycle: u64) -> Option<&Kept> {
        self.kept.get(self.kept.partition_point(|kept| kept.frame.cycle <= cycle))
    }

    /// The newest before cycle `cycle` that was closed at `at` or earlier.
    pub fn back_to(&self, cycle: u64, at: WallTime) -> Option<&Kept> {
        let before = self.kept.iter().rev().skip_while(|kept| kept.frame.cycle >= cycle);
        before.into_iter().find(|kept| kept.frame.at <= at)
    }

    /// The oldest after cycle `cycle` that was closed at `at` or later; else
    /// the newest after it.
    pub fn on_to(&self, cycle: u64, at: WallTime) -> Option<&Kept> {
        let mut after = self.kept.iter().skip_while(|kept| kept.frame.cycle <= cycle);
        let newest = self.newest().filter(|newest| newest.frame.cycle > cycle);
        after.find(|kept| kept.frame.at >= at).or(newest)
    }
}
