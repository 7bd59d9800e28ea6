//! Handing frames from the collector to the recorder: bounded, and never
//! waiting for anything but a lock that is held for a moment.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{influx::line::Encoder, model::Frame};

/// Most frames that wait, whatever their size.
const MOST_FRAMES: usize = 64;
/// Fewest frames that may wait, so that a large host can hand over at all.
const FEWEST_FRAMES: usize = 16;
/// Lines a domain makes, roughly: decides only how many frames may wait.
const LINES_PER_DOMAIN: usize = 8;

/// The frames on their way to the recorder.
#[derive(Debug)]
pub(super) struct HandOver {
    inner: Mutex<Inner>,
    ready: Condvar,
    max_lines: usize,
}

#[derive(Debug)]
struct Inner {
    frames: VecDeque<Arc<Frame>>,
    lost: u64,
    closed: bool,
    /// Counts the lines of a frame that is dropped unencoded.
    counter: Encoder,
}

/// What the recorder took.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) frames: VecDeque<Arc<Frame>>,
    /// Lines of frames that had to make room.
    pub(super) lost: u64,
    /// Nothing more will come.
    pub(super) closed: bool,
}

impl HandOver {
    /// At most about `max_lines` lines wait in it.
    pub(super) fn new(counter: Encoder, max_lines: usize) -> Self {
        let inner = Inner { frames: VecDeque::new(), lost: 0, closed: false, counter };
        Self { inner: Mutex::new(inner), ready: Condvar::new(), max_lines }
    }

    /// Hands over a frame. Where too many wait, the oldest goes and its lines
    /// are counted.
    pub(super) fn push(&self, frame: Arc<Frame>) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        inner.frames.push_back(frame);
        while self.too_many(&inner.frames) {
            if let Some(oldest) = inner.frames.pop_front() {
                let mut lines = Vec::new();
                inner.lost += inner.counter.encode(&oldest, &mut lines).lines;
            }
        }
        drop(inner);
        self.ready.notify_one();
    }

    fn too_many(&self, frames: &VecDeque<Arc<Frame>>) -> bool {
        let lines: usize = frames.iter().map(|frame| frame.domains.len() * LINES_PER_DOMAIN).sum();
        frames.len() > MOST_FRAMES || (frames.len() > FEWEST_FRAMES && lines > self.max_lines)
    }

    /// Waits up to `span` for something to do and takes it.
    pub(super) fn take(&self, span: Duration) -> Taken {
        let mut inner = self.lock();
        if inner.frames.is_empty() && !inner.closed {
            inner = self.ready.wait_timeout(inner, span).unwrap_or_else(PoisonError::into_inner).0;
        }
        Taken {
            frames: std::mem::take(&mut inner.frames),
            lost: std::mem::take(&mut inner.lost),
            closed: inner.closed,
        }
    }

    /// No frame is accepted from here on.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
