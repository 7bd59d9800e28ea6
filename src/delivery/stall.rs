//! Noticing that the record's disk does not answer.
//!
//! A disk that hangs holds the ledger's lock for as long as it does: recorder
//! and sender stand still, and nobody who needs the lock can say so. So the
//! lock tells without being taken since when it is held, and a thread of its
//! own that never takes it publishes that the record does not answer, with the
//! cycles that are lost meanwhile. It writes nothing, and needs no disk.
//!
//! What a process that hangs in the kernel cannot have is an end: it is gone
//! once the disk answers.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, MutexGuard,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::{
    handover::HandOver,
    ledger::{Ledger, reason},
};
use crate::{
    clock::Clock,
    model::{
        MonoTime, WallTime,
        status::{DeliveryState, DeliveryStatus, StoreState, StoreStatus},
    },
};

/// A disk that takes longer does not answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Since when the ledger is in use; known without its lock.
#[derive(Debug, Default)]
pub(super) struct InUse(AtomicU64);

impl InUse {
    /// Since when, or `None` where it is free.
    pub(super) fn since(&self) -> Option<MonoTime> {
        self.0.load(Ordering::Acquire).checked_sub(1).map(MonoTime)
    }

    /// Whether it is in use for longer than a disk should take.
    pub(super) fn is_stalled(&self, now: MonoTime) -> bool {
        self.since().is_some_and(|since| now.since(since) >= PATIENCE)
    }

    /// Says so for as long as the ledger is locked.
    pub(super) fn from<'a>(&'a self, now: MonoTime, ledger: MutexGuard<'a, Ledger>) -> Locked<'a> {
        self.0.store(now.0.saturating_add(1), Ordering::Release);
        Locked { ledger, in_use: self }
    }
}

/// The ledger, locked.
pub(super) struct Locked<'a> {
    ledger: MutexGuard<'a, Ledger>,
    in_use: &'a InUse,
}

impl Deref for Locked<'_> {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Before the lock is free: the next one may take it at once.
        self.in_use.0.store(0, Ordering::Release);
    }
}

/// Lines lost on their way to the recorder, since the start.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// All of them.
    all: AtomicU64,
    /// Those that the ledger has published.
    published: AtomicU64,
}

impl Lost {
    pub(super) fn add(&self, lines: u64) {
        self.all.fetch_add(lines, Ordering::AcqRel);
    }

    pub(super) fn all(&self) -> u64 {
        self.all.load(Ordering::Acquire)
    }

    pub(super) fn is_published(&self, lines: u64) {
        self.published.store(lines, Ordering::Release);
    }

    fn unpublished(&self) -> u64 {
        self.all().saturating_sub(self.published.load(Ordering::Acquire))
    }
}

type Figures = (DeliveryStatus, StoreStatus);

/// The thread that looks.
pub(super) struct Lookout {
    pub(super) in_use: Arc<InUse>,
    pub(super) lost: Arc<Lost>,
    pub(super) handover: Arc<HandOver>,
    pub(super) clock: Clock,
    pub(super) published: watch::Sender<Figures>,
    /// Closed when delivery has ended.
    pub(super) ended: Receiver<()>,
}

/// A stall that was noticed, and the figures before it.
#[derive(Debug)]
struct Stall {
    since: MonoTime,
    before: Figures,
}

/// What earlier looks have seen.
#[derive(Debug, Default)]
struct Seen {
    /// Since when the ledger was in use at the last look. A process that was
    /// stopped meanwhile finds an old use at its first look, and none at the
    /// next.
    in_use: Option<MonoTime>,
    stall: Option<Stall>,
    /// What was published of a stall last, and the figures before that: where
    /// the ledger is in use again before it has published anything, those
    /// still are the last that it has.
    shown: Option<(Figures, Figures)>,
}

impl Lookout {
    /// Looks until delivery has ended.
    pub(super) fn run(self) {
        let mut seen = Seen::default();
        while self.ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            self.look(&mut seen);
        }
    }

    fn look(&self, seen: &mut Seen) {
        let (wall, mono) = self.clock.now();
        let in_use = self.in_use.since();
        let before = std::mem::replace(&mut seen.in_use, in_use);
        let since = in_use.filter(|since| mono.since(*since) >= PATIENCE && before == in_use);
        if let Some(over) = seen.stall.take_if(|stall| since != Some(stall.since)) {
            let seconds = mono.since(over.since).as_secs();
            tracing::info!("the record answers again, after {seconds} s at most");
        }
        let Some(since) = since else { return };
        let is_new = seen.stall.is_none();
        let stall = seen.stall.get_or_insert_with(|| {
            let published = self.published.borrow().clone();
            let before = seen.shown.take().filter(|(shown, _)| *shown == published);
            Stall { since, before: before.map_or(published, |(_, before)| before) }
        });
        let now = self.figures(stall, wall, mono);
        self.published.send_if_modified(|figures| {
            // The ledger publishes only while it is not stalled.
            let stalled = self.in_use.since() == Some(stall.since);
            if !stalled {
                return false;
            }
            seen.shown = Some((now.clone(), stall.before.clone()));
            let changed = *figures != now;
            figures.clone_from(&now);
            changed
        });
        if is_new && let StoreState::Failing { why, .. } = &now.1.state {
            // The log may be on the same disk.
            tracing::error!("{why}");
        }
    }

    /// The figures before the stall, with what has happened since.
    fn figures(&self, stall: &Stall, wall: WallTime, mono: MonoTime) -> Figures {
        let (mut delivery, mut store) = stall.before.clone();
        let waited = mono.since(stall.since);
        let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        let path = store.path.clone().unwrap_or_default();
        let silent = format!("{path}: the disk of the record has not answered for {} s", waited.as_secs());
        let mend = "see what holds it up (dmesg, mount); it goes on by itself when the disk answers";
        let held = self.handover.frames();
        store.state = StoreState::Failing {
            why: format!("{silent}; {held} cycles wait in memory, later the oldest of them go; {mend}"),
            since: WallTime(wall.0.saturating_sub(nanos(waited))),
        };
        if delivery.state != DeliveryState::Off {
            let next_at = WallTime(wall.0.saturating_add(nanos(LOOK_EVERY)));
            delivery.state = DeliveryState::Paused { why: silent, mend: mend.to_owned(), next_at };
        }
        (delivery.lines_per_second, delivery.time_left) = (0.0, None);
        let lost = self.lost.unpublished();
        if lost > 0 {
            delivery.emitted += lost;
            *delivery.dropped.entry(reason::HANDOVER_FULL.to_owned()).or_default() += lost;
        }
        (delivery, store)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{Mutex, mpsc},
    };

    use super::*;
    use crate::{
        config::{Influx, MissingPolicy},
        influx::line::Encoder,
    };

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_ledger_that_is_held_is_shown_and_what_is_lost_meanwhile_counts_at_once() {
        let now = Arc::new(AtomicU64::new(100 * SECOND));
        let clock = {
            let now = Arc::clone(&now);
            Clock::from_fn(move || {
                let now = now.load(Ordering::Relaxed);
                (WallTime(now.cast_signed()), MonoTime(now))
            })
        };
        let (published, mut status) = watch::channel(Figures::default());
        let lost = Arc::new(Lost::default());
        let ledger =
            Ledger::new(&Influx::default(), None, Some("target".into()), clock.clone(), published.clone());
        let ledger = Mutex::new(ledger.with_lost(Arc::clone(&lost)));
        let in_use = Arc::new(InUse::default());
        let encoder = Encoder::new(MissingPolicy::Zero, &BTreeMap::new()).unwrap();
        let (_ends, ended) = mpsc::channel();
        let lookout = Lookout {
            in_use: Arc::clone(&in_use),
            lost: Arc::clone(&lost),
            handover: Arc::new(HandOver::new(encoder, 100, Arc::clone(&lost))),
            clock: clock.clone(),
            published,
            ended,
        };
        let mut seen = Seen::default();
        let mut pass = |seconds: u64| {
            now.fetch_add(seconds * SECOND, Ordering::Relaxed);
            lookout.look(&mut seen);
            status.borrow_and_update().clone()
        };
        lost.add(7);
        let mut locked = in_use.from(clock.now().1, ledger.lock().unwrap());
        locked.delivering();
        locked.turn();
        assert_eq!((pass(1).0.emitted, pass(0).1.state), (7, StoreState::Off), "a second is nothing");

        lost.add(5);
        let (delivery, store) = pass(9);
        let StoreState::Failing { why, since } = store.state else { panic!("{:?}", store.state) };
        assert!(why.contains("has not answered for 10 s"), "{why}");
        assert_eq!(since, WallTime(100 * SECOND.cast_signed()));
        assert!(matches!(delivery.state, DeliveryState::Paused { .. }));
        assert_eq!((delivery.emitted, delivery.dropped_total()), (12, 12));
        lost.add(1);
        let (delivery, store) = pass(1);
        assert_eq!((delivery.emitted, delivery.dropped_total()), (13, 13));
        assert!(matches!(store.state, StoreState::Failing { why, .. } if why.contains("for 11 s")));

        // In use again before anything was published: nothing counts twice.
        drop(locked);
        let mut locked = in_use.from(clock.now().1, ledger.lock().unwrap());
        assert_eq!(pass(1).0.emitted, 13);
        let (delivery, store) = pass(4);
        assert_eq!((delivery.emitted, delivery.dropped_total()), (13, 13));
        assert!(matches!(store.state, StoreState::Failing { why, .. } if why.contains("for 5 s")));

        locked.publish();
        drop(locked);
        let (delivery, store) = pass(5);
        assert_eq!((delivery.emitted, delivery.dropped_total(), store.state), (13, 13, StoreState::Off));

        // A process that was stopped while it held the ledger.
        let locked = in_use.from(clock.now().1, ledger.lock().unwrap());
        assert_eq!(pass(60).1.state, StoreState::Off, "seen for the first time");
        drop(locked);
        assert_eq!(pass(1).1.state, StoreState::Off);
    }
}
