//! Where every line is: in memory, in the record, or accounted for.
//!
//! Owns the record, the lines in memory and the figures that no file holds
//! yet. Recorder and sender share it behind one lock. It sends nothing and
//! never waits for anything but the disk.
//!
//! Lines reach the record in one transaction with their figures. While the
//! record cannot take them they stay in memory up to `influx.max_queue` and
//! are sent from there; when it can again, all that is left moves to it, in
//! order, with the figures of what happened in between. What was just being
//! sent then is sent again from the record: twice is right, never is not.

mod figures;
mod load;
mod store;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use self::{
    figures::{LastRefused, Lately, Pace},
    store::Store,
};
use super::{
    heard::Heard,
    held::{FromMemory, Held, Part},
    stall::Lost,
};
use crate::{
    clock::Clock,
    config,
    journal::{Account, Batch, Event, Refused},
    model::{
        LastErrors, MonoTime, WallTime,
        status::{DeliveryState, DeliveryStatus, LastAnswer, StoreStatus},
    },
};

pub(super) use self::{
    load::{Load, Origin},
    store::Place,
};

/// The words under which lines are counted as lost on their way to the record.
pub mod reason {
    /// Beyond `influx.max_queue` while the record could not take them.
    pub const QUEUE_FULL: &str = "memory queue full";
    /// The recorder could not keep up with the collector.
    pub const HANDOVER_FULL: &str = "recorder too slow";
    /// They were only in memory when the program ended.
    pub const ENDED: &str = "not recorded or delivered before the end";
}

/// What the sender is doing, for the screen.
#[derive(Clone, Debug, Default)]
pub(super) struct Wire {
    pub(super) state: DeliveryState,
    pub(super) target: Option<String>,
    pub(super) api: Option<&'static str>,
    pub(super) batches: u64,
    pub(super) retries: u64,
    pub(super) last_answer: Option<LastAnswer>,
    pub(super) backoff: Option<Duration>,
    pub(super) errors: LastErrors,
}

/// See the module.
pub(super) struct Ledger {
    clock: Clock,
    store: Store,
    held: Held,
    /// Figures of lines that are neither held nor known to the record.
    delta: Account,
    /// Lines lost before they came here, and how many of them are counted.
    lost_before: Arc<Lost>,
    lost_counted: u64,
    /// Refused lines, sent from memory, that the record has yet to keep.
    refused: Vec<(WallTime, Refused)>,
    last_refused: LastRefused,
    /// Events that the record has yet to keep.
    heard: Heard,
    saturated: u64,
    /// Whether lines are to be delivered at all.
    deliver: bool,
    max_queue: u64,
    batch_lines: u64,
    batch_span: Duration,
    committed_at: Option<MonoTime>,
    pub(super) wire: Wire,
    lately: Lately,
    published_at: Option<MonoTime>,
    pace: Pace,
    database: String,
    published: watch::Sender<(DeliveryStatus, StoreStatus)>,
}

impl Ledger {
    /// A ledger whose record is opened by the first [`Ledger::turn`].
    pub(super) fn new(
        influx: &config::Influx,
        place: Option<Place>,
        target: Option<String>,
        clock: Clock,
        published: watch::Sender<(DeliveryStatus, StoreStatus)>,
    ) -> Self {
        Self {
            clock,
            deliver: target.is_some(),
            wire: Wire { target: target.clone(), ..Wire::default() },
            store: Store::new(place, target),
            held: Held::default(),
            delta: Account::default(),
            lost_before: Arc::default(),
            lost_counted: 0,
            refused: Vec::new(),
            last_refused: LastRefused::default(),
            heard: Heard::default(),
            saturated: 0,
            max_queue: influx.max_queue as u64,
            batch_lines: influx.batch_max_lines as u64,
            batch_span: influx.batch_max_sec,
            committed_at: None,
            lately: Lately::default(),
            published_at: None,
            pace: Pace::default(),
            database: influx.db.clone(),
            published,
        }
    }

    /// Counts from now on what is lost on the way to it, too.
    pub(super) fn with_lost(self, lost_before: Arc<Lost>) -> Self {
        Self { lost_before, ..self }
    }

    /// Takes an encoded cycle. It is in memory until a commit is due.
    pub(super) fn accept(&mut self, parts: impl IntoIterator<Item = Part>, saturated: u64) {
        let (_, mono) = self.clock.now();
        self.saturated += saturated;
        for part in parts {
            self.lately.emitted(mono, part.lines);
            self.held.push(part);
        }
        if self.held.lines() >= self.batch_lines {
            self.commit();
        }
    }

    /// Takes events. They are kept with the next commit.
    pub(super) fn hear(&mut self, events: Vec<Event>) {
        if self.store.place().is_some() {
            self.heard.push(events);
        }
    }

    /// Counts lines that were lost.
    fn lost(&mut self, lines: u64, why: &str) {
        if lines > 0 {
            self.delta.emitted += lines;
            self.delta.drop_lines(why, lines);
            tracing::warn!(lines, "lines dropped: {why}");
        }
    }

    fn count_lost_before(&mut self) {
        let all = self.lost_before.all();
        self.lost(all - self.lost_counted, reason::HANDOVER_FULL);
        self.lost_counted = all;
    }

    /// Does what is due: commits, tries a failing record again, keeps the
    /// record within its bounds, publishes the figures. Returns after how
    /// long it wants to be called again at the latest.
    pub(super) fn turn(&mut self) -> Duration {
        let (wall, mono) = self.clock.now();
        self.count_lost_before();
        let opened = self.store.is_due(mono) && self.store.open(&mut self.delta, wall, mono);
        let mut next = IDLE;
        let has_something = !self.held.is_empty() || !self.delta.is_empty();
        if has_something && opened {
            self.commit();
        } else if has_something {
            let waited = self.committed_at.map_or(self.batch_span, |at| mono.since(at));
            if waited >= self.batch_span {
                self.commit();
            } else {
                next = next.min(self.batch_span.saturating_sub(waited));
            }
        }
        self.store.maintain(wall, mono, &mut self.delta);
        self.shorten();
        self.publish();
        next
    }

    /// Moves everything to the record, or makes it ready to be sent from
    /// memory where there is none that can take it.
    pub(super) fn commit(&mut self) {
        let (wall, mono) = self.clock.now();
        self.committed_at = Some(mono);
        // A damaged file is replaced at once, so there are two tries.
        for _ in 0..2 {
            let Some(journal) = self.store.writable() else { break };
            match journal.append(&self.held.entries(), &self.delta) {
                Ok(()) => {
                    self.held.moved();
                    self.delta = Account::default();
                    self.keep_refused();
                    self.keep_heard();
                    return;
                }
                Err(error) => self.store.failed(&error, &mut self.delta, wall, mono),
            }
        }
        self.held.make_ready();
        self.shorten();
    }

    fn keep_refused(&mut self) {
        if self.refused.is_empty() {
            return;
        }
        let (wall, mono) = self.clock.now();
        if let Some(journal) = self.store.writable() {
            match journal.keep_refused(&self.refused) {
                Ok(()) => self.refused.clear(),
                // They wait in memory for the next commit.
                Err(error) => self.store.failed(&error, &mut self.delta, wall, mono),
            }
        }
    }

    fn keep_heard(&mut self) {
        if self.heard.is_empty() {
            return;
        }
        let (wall, mono) = self.clock.now();
        if let Some(journal) = self.store.writable() {
            match journal.keep_events(self.heard.all()) {
                Ok(()) => self.heard.kept(),
                // As for refused lines.
                Err(error) => self.store.failed(&error, &mut self.delta, wall, mono),
            }
        }
    }

    fn shorten(&mut self) {
        let gone =
            self.held.shorten(self.max_queue.max(if self.store.takes() { self.batch_lines } else { 0 }));
        self.lost(gone, reason::QUEUE_FULL);
    }

    /// The next lines to send: from the record, then from memory.
    pub(super) fn take(&mut self, max_lines: usize, max_bytes: usize) -> Option<Load> {
        let (wall, mono) = self.clock.now();
        match self.store.next_batch(max_lines, max_bytes) {
            Ok(Some(batch)) => return Some(self.load(batch, max_lines)),
            Ok(None) => {}
            Err(error) => self.store.failed(&error, &mut self.delta, wall, mono),
        }
        let FromMemory { bytes, lines, epoch } = self.held.take(max_lines, max_bytes)?;
        Some(Load { bytes, lines, is_followed: false, origin: Origin::Memory { epoch } })
    }

    fn load(&self, mut batch: Batch, max_lines: usize) -> Load {
        let (bytes, lines) = (std::mem::take(&mut batch.bytes), batch.lines);
        let (_, waiting) = self.store.account();
        Load {
            bytes,
            lines,
            is_followed: waiting >= (lines as u64).saturating_add(max_lines as u64),
            origin: Origin::Record { epoch: self.store.epoch(), batch },
        }
    }

    /// The lines that come after a load that is on its way, where a full load
    /// of them waits in the record.
    pub(super) fn take_after(&mut self, origin: &Origin, max_lines: usize, max_bytes: usize) -> Option<Load> {
        let Origin::Record { batch, epoch } = origin else { return None };
        if *epoch != self.store.epoch() {
            return None;
        }
        // What cannot be read is met again when its turn has come.
        let next = self.store.batch_after(batch, max_lines, max_bytes).ok()??;
        Some(self.load(next, max_lines))
    }

    /// Whether a load that was taken early is what comes next now.
    pub(super) fn is_next(&self, load: &Load) -> bool {
        match &load.origin {
            Origin::Record { batch, epoch } => {
                *epoch == self.store.epoch()
                    && self.store.journal().is_some_and(|journal| journal.is_next(batch))
            }
            Origin::Memory { .. } => false,
        }
    }

    /// A load is tried again later: until then the oldest lines in memory may
    /// make room, as ever.
    pub(super) fn rest(&mut self) {
        self.held.rest();
    }

    /// The load is tried again now, unless its lines have moved from memory
    /// to the record, have been dropped, or the record was lost.
    pub(super) fn resume(&mut self, load: &Load) -> bool {
        self.held.resume();
        match &load.origin {
            Origin::Record { epoch, .. } => *epoch == self.store.epoch(),
            Origin::Memory { epoch } => self.held.holds(*epoch),
        }
    }

    /// Whether lines are in memory alone.
    pub(super) fn holds_lines(&self) -> bool {
        self.held.lines() > 0
    }

    /// Gives back a load that is not sent now.
    pub(super) fn release(&mut self) {
        self.store.release();
        self.held.release();
    }

    /// The lines `before..upto` of a load are settled; `refused` of them, by
    /// their place in the load, were refused and all others delivered.
    pub(super) fn settle(&mut self, load: &Load, before: usize, upto: usize, refused: Vec<(usize, String)>) {
        let (wall, mono) = self.clock.now();
        let refused = load.refused(refused);
        if let Some(line) = refused.last() {
            self.last_refused.set(wall, line);
        }
        for line in refused.iter().take(LOGGED) {
            tracing::error!("refused by the server, kept in quarantine: {}", line.message);
        }
        let delivered = match &load.origin {
            Origin::Record { epoch, .. } if *epoch != self.store.epoch() => 0,
            Origin::Record { batch, .. } => match self.store.advance(batch, upto, refused, wall) {
                Ok(delivered) => delivered,
                Err((error, delivered)) => {
                    self.store.failed(&error, &mut self.delta, wall, mono);
                    delivered
                }
            },
            Origin::Memory { epoch } => {
                let lines = self.held.settle(*epoch, (upto - before) as u64);
                if lines > 0 {
                    let refusals = (refused.len() as u64).min(lines);
                    self.delta.emitted += lines;
                    self.delta.quarantined += refusals;
                    self.delta.delivered += lines - refusals;
                    self.refused.extend(refused.into_iter().map(|line| (wall, line)));
                    let excess = self.refused.len().saturating_sub(MOST_REFUSED);
                    self.refused.drain(..excess);
                }
                lines
            }
        };
        self.lately.settled(mono, (upto - before) as u64, delivered);
        self.publish_at_times();
    }

    /// The server takes lines.
    pub(super) fn delivering(&mut self) {
        if self.wire.state != DeliveryState::Delivering {
            self.lately.resume(self.clock.now().1);
            // Shown as soon as the failure before it was.
            self.published_at = None;
        }
        self.wire.state = DeliveryState::Delivering;
        self.wire.backoff = None;
    }

    /// The last thing: whatever is still only in memory is lost, and said so.
    pub(super) fn close(&mut self) {
        self.release();
        self.count_lost_before();
        self.commit();
        let left = self.held.lines();
        self.held.moved();
        self.lost(left, reason::ENDED);
        if left > 0 && self.store.takes() {
            self.commit();
        }
        self.publish();
        self.store.close();
    }
}

/// How long the recorder may wait when nothing happens: the status shows
/// what is due, such as a record that is tried again.
const IDLE: Duration = Duration::from_millis(500);
/// Refused lines kept in memory while no record can keep them.
const MOST_REFUSED: usize = 1000;
/// Refused lines of one answer that are logged one by one.
const LOGGED: usize = 5;
