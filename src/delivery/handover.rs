//! Handing frames from the collector to the recorder: bounded, and never
//! waiting for anything but a lock that is held for a moment.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::stall::Lost;
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
    lost: Arc<Lost>,
}

#[derive(Debug)]
struct Inner {
    frames: VecDeque<Arc<Frame>>,
    closed: bool,
    /// Counts the lines of a frame that is dropped unencoded.
    counter: Encoder,
}

/// What the recorder took.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) frames: VecDeque<Arc<Frame>>,
    /// Nothing more will come.
    pub(super) closed: bool,
}

impl HandOver {
    /// At most about `max_lines` lines wait in it. The lines of frames that
    /// had to make room are counted in `lost`.
    pub(super) fn new(counter: Encoder, max_lines: usize, lost: Arc<Lost>) -> Self {
        let inner = Inner { frames: VecDeque::new(), closed: false, counter };
        Self { inner: Mutex::new(inner), ready: Condvar::new(), max_lines, lost }
    }

    /// Hands over a frame. Where too many wait, the oldest goes.
    pub(super) fn push(&self, frame: Arc<Frame>) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        inner.frames.push_back(frame);
        while self.too_many(&inner.frames) {
            if let Some(oldest) = inner.frames.pop_front() {
                let mut lines = Vec::new();
                self.lost.add(inner.counter.encode(&oldest, &mut lines).lines);
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
        Taken { frames: std::mem::take(&mut inner.frames), closed: inner.closed }
    }

    /// How many frames wait.
    pub(super) fn frames(&self) -> usize {
        self.lock().frames.len()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;

    use super::*;
    use crate::{
        config::MissingPolicy,
        model::{
            AngleScale, DomainDevices, DomainFrame, DomainRates, DomainReading, DomainState, Identity,
            Missing, MonoTime, WallTime, Why,
            frame::{Health, HostFacts},
            reading::CpuCounters,
            units::Nanos,
        },
    };

    fn encoder() -> Encoder {
        Encoder::new(MissingPolicy::Zero, &BTreeMap::new()).unwrap()
    }

    /// A cycle of `domains` domains of which only CPU time and state are known.
    fn frame(cycle: u64, domains: u32) -> Arc<Frame> {
        let why = Missing::new(Why::Busy);
        let domain = |id: u32| {
            let identity =
                Identity { uuid: Uuid::from_u128(u128::from(id)), id: Some(id), name: "vm".into() };
            let mut reading = DomainReading::unanswered(
                Arc::new(identity),
                DomainState::Running,
                WallTime(1),
                MonoTime(1),
                why,
            );
            reading.cpu = Ok(CpuCounters { time: Nanos(5), user: None, system: None });
            Arc::new(DomainFrame {
                reading,
                rates: DomainRates::missing(why),
                devices: Arc::new(DomainDevices::default()),
                health: Health::Answering,
                fresh: true,
                timeline: Arc::default(),
                job: None,
                last: None,
            })
        };
        Arc::new(Frame {
            cycle,
            at: WallTime(1),
            mono: MonoTime(1),
            took: Duration::ZERO,
            interval: Duration::from_secs(1),
            host: Arc::new(HostFacts::default()),
            load: crate::model::HostLoad::default(),
            scale: AngleScale::default(),
            domains: (0..domains).map(domain).collect(),
        })
    }

    #[test]
    fn when_nobody_takes_frames_the_oldest_go_and_their_lines_are_counted_exactly() {
        let lost = Arc::new(Lost::default());
        let handover = HandOver::new(encoder(), 1_000_000, Arc::clone(&lost));
        let total = MOST_FRAMES as u64 + 10;
        for cycle in 0..total {
            handover.push(frame(cycle, 3));
        }
        let taken = handover.take(Duration::ZERO);
        let cycles: Vec<u64> = taken.frames.iter().map(|frame| frame.cycle).collect();
        assert_eq!(cycles, (10..total).collect::<Vec<_>>());
        let mut lines = Vec::new();
        let of_one = encoder().encode(&frame(0, 3), &mut lines).lines;
        assert!(of_one > 0);
        assert_eq!(lost.all(), 10 * of_one);
    }

    #[test]
    fn large_frames_are_bounded_by_their_lines() {
        let handover = HandOver::new(encoder(), 2000, Arc::default());
        for cycle in 0..40 {
            handover.push(frame(cycle, 100));
        }
        assert_eq!(handover.take(Duration::ZERO).frames.len(), FEWEST_FRAMES);
    }

    #[test]
    fn after_the_end_nothing_is_accepted() {
        let handover = HandOver::new(encoder(), 2000, Arc::default());
        handover.push(frame(1, 1));
        handover.close();
        handover.push(frame(2, 1));
        let taken = handover.take(Duration::from_mins(1));
        assert_eq!((taken.frames.len(), taken.closed), (1, true));
    }
}
