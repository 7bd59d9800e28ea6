//! The figures as screen, log and API show them.

use std::{collections::VecDeque, time::Duration};

use super::{Ledger, reason};
use crate::{
    journal::{Account, Journal, Refused},
    model::{
        MonoTime, WallTime,
        name::is_unfit,
        status::{DeliveryState, DeliveryStatus, Growth, RefusedLine, StoreState, StoreStatus},
    },
};

/// What came and went in the last [`SPAN`], or since delivery goes on after a
/// failure where that is less.
#[derive(Debug, Default)]
pub(super) struct Lately {
    moments: VecDeque<Moment>,
    since: Option<MonoTime>,
}

/// Lines of a moment of [`MOMENT`].
#[derive(Debug)]
struct Moment {
    at: MonoTime,
    emitted: u64,
    delivered: u64,
    settled: u64,
}

/// The span that "lately" means.
const SPAN: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(250);
/// What is longer is an outage.
const HICCUP: Duration = Duration::from_secs(2);
/// Before this nothing can be said of a second.
const LEAST: Duration = Duration::from_secs(1);
/// What takes longer than lines are kept is no estimate.
const LONGEST: f64 = 7.0 * 86_400.0;

impl Lately {
    pub(super) fn emitted(&mut self, at: MonoTime, lines: u64) {
        if let Some(moment) = self.moment(at, lines) {
            moment.emitted += lines;
        }
    }

    pub(super) fn settled(&mut self, at: MonoTime, lines: u64, delivered: u64) {
        if let Some(moment) = self.moment(at, lines) {
            moment.settled += lines;
            moment.delivered += delivered;
        }
    }

    /// Delivery goes on. What was before an outage says nothing of its speed;
    /// a request that failed and was soon repeated is a part of it.
    pub(super) fn resume(&mut self, at: MonoTime) {
        let last = self.moments.iter().rev().find(|moment| moment.settled > 0);
        if last.is_none_or(|last| at.since(last.at) > HICCUP) {
            *self = Self { moments: VecDeque::new(), since: Some(at) };
        }
    }

    fn moment(&mut self, at: MonoTime, lines: u64) -> Option<&mut Moment> {
        if lines == 0 {
            return None;
        }
        self.since.get_or_insert(at);
        self.forget(at);
        if self.moments.back().is_none_or(|last| at.since(last.at) > MOMENT) {
            self.moments.push_back(Moment { at, emitted: 0, delivered: 0, settled: 0 });
        }
        self.moments.back_mut()
    }

    fn forget(&mut self, now: MonoTime) {
        while self.moments.front().is_some_and(|moment| now.since(moment.at) > SPAN) {
            self.moments.pop_front();
        }
    }

    /// Lines delivered per second.
    fn per_second(&mut self, now: MonoTime) -> f64 {
        self.forget(now);
        self.sum(|moment| moment.delivered) / self.seconds(now)
    }

    /// How long `waiting` lines will take, less what is new meanwhile; `None`
    /// where they do not become fewer, or are no more than what is just new.
    fn time_left(&mut self, now: MonoTime, waiting: u64) -> Option<Duration> {
        self.forget(now);
        if self.since.is_none_or(|since| now.since(since) < LEAST) {
            return None;
        }
        let seconds = self.seconds(now);
        let new = self.sum(|moment| moment.emitted) / seconds;
        let net = self.sum(|moment| moment.settled) / seconds - new;
        let waiting = number(waiting);
        if waiting <= new * 2.0 || net <= 0.0 || waiting / net > LONGEST {
            return None;
        }
        Duration::try_from_secs_f64((waiting / net).ceil()).ok()
    }

    fn seconds(&self, now: MonoTime) -> f64 {
        self.since.map_or(SPAN, |since| now.since(since)).clamp(LEAST, SPAN).as_secs_f64()
    }

    fn sum(&self, figure: impl Fn(&Moment) -> u64) -> f64 {
        number(self.moments.iter().map(figure).sum())
    }
}

fn number(lines: u64) -> f64 {
    u32::try_from(lines).map_or(f64::from(u32::MAX), f64::from)
}

/// The line that was refused last.
#[derive(Debug, Default)]
pub(super) struct LastRefused {
    line: Option<RefusedLine>,
    /// The file that was asked already for what was refused before.
    asked: Option<u64>,
}

/// Characters kept of a refused line, and of the server's words.
const CHARACTERS: usize = 1000;

impl LastRefused {
    pub(super) fn set(&mut self, at: WallTime, refused: &Refused) {
        let fit = |text: &str| {
            let fit = |c| if is_unfit(c) { '_' } else { c };
            text.chars().take(CHARACTERS).map(fit).collect::<String>()
        };
        let line = fit(&String::from_utf8_lossy(&refused.line));
        self.line = Some(RefusedLine { at, line, words: fit(&refused.message) });
    }

    /// What a file that was opened says of the runs before this one.
    fn ask(&mut self, journal: &Journal, epoch: u64) {
        if self.asked.replace(epoch) == Some(epoch) {
            return;
        }
        if let Ok(Some((at, refused))) = journal.last_refused()
            && self.line.as_ref().is_none_or(|known| known.at < at)
        {
            self.set(at, &refused);
        }
    }
}

/// How fast the record grows, looked at now and then.
#[derive(Debug, Default)]
pub(super) struct Pace {
    looked_at: Option<MonoTime>,
    growth: Option<Growth>,
}

/// How often the pace is looked at; it is that of several minutes.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Pace {
    fn growth(&mut self, journal: Option<&Journal>, now: MonoTime) -> Option<Growth> {
        let due = self.looked_at.is_none_or(|at| now.since(at) >= LOOK_EVERY);
        if let Some(journal) = journal.filter(|_| due) {
            self.looked_at = Some(now);
            self.growth = journal.growth().unwrap_or(self.growth);
        }
        self.growth
    }
}

impl Ledger {
    /// Publishes the figures if that is due: while much is sent they change
    /// faster than anybody looks. Who goes on to wait calls
    /// [`Ledger::publish`] before.
    pub(in crate::delivery) fn publish_at_times(&mut self) {
        let (_, mono) = self.clock.now();
        if self.published_at.is_none_or(|at| mono.since(at) >= PUBLISH_EVERY) {
            self.publish();
        }
    }

    /// Publishes the figures where they have changed.
    pub(in crate::delivery) fn publish(&mut self) {
        self.published_at = Some(self.clock.now().1);
        let lost = self.lost_before.all();
        let now = (self.delivery(lost - self.lost_counted), self.store());
        self.published.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
        self.lost_before.is_published(lost);
    }

    /// The figures, with `lost` lines that are not counted yet.
    fn delivery(&mut self, lost: u64) -> DeliveryStatus {
        let (_, mono) = self.clock.now();
        let journal = self.store.journal();
        if let Some(journal) = journal {
            self.last_refused.ask(journal, self.store.epoch());
        }
        let (mut account, on_disk) = self.store.account();
        account.add(&self.delta);
        account.emitted += lost;
        account.drop_lines(reason::HANDOVER_FULL, lost);
        let oldest_on_disk = journal.and_then(|journal| journal.oldest_waiting().ok().flatten());
        let in_memory = self.held.lines();
        let time_left = match self.wire.state {
            DeliveryState::Delivering => self.lately.time_left(mono, on_disk + in_memory),
            _ => None,
        };
        let Account { emitted, delivered, quarantined, local, dropped, .. } = account;
        // What was recorded while there was no target was never to be sent.
        let emitted = (emitted + in_memory).saturating_sub(if self.deliver { local } else { 0 });
        DeliveryStatus {
            state: self.wire.state.clone(),
            target: self.wire.target.clone(),
            database: self.database.clone(),
            api: self.wire.api,
            emitted,
            delivered,
            waiting_on_disk: on_disk,
            waiting_in_memory: in_memory,
            quarantined,
            dropped,
            oldest_waiting: oldest_on_disk.or_else(|| self.held.oldest()),
            batches: self.wire.batches,
            retries: self.wire.retries,
            saturated: self.saturated,
            last_answer: self.wire.last_answer.clone(),
            backoff: self.wire.backoff,
            lines_per_second: self.lately.per_second(mono),
            time_left,
            last_refused: self.last_refused.line.clone(),
            errors: self.wire.errors.clone(),
        }
    }

    fn store(&mut self) -> StoreStatus {
        let (_, mono) = self.clock.now();
        let Some(place) = self.store.place() else { return StoreStatus::default() };
        let journal = self.store.journal();
        let growth = self.pace.growth(journal, mono);
        let state = match self.store.trouble() {
            Some(trouble) => StoreState::Failing { why: trouble.why.clone(), since: trouble.since },
            None => StoreState::Writable,
        };
        let covers_since: Option<WallTime> =
            journal.and_then(|journal| journal.covers_since().ok().flatten());
        StoreStatus {
            state,
            path: Some(place.directory.display().to_string()),
            bytes: journal.map_or(0, crate::journal::Journal::bytes),
            max_bytes: place.limits.max_bytes,
            covers_since,
            cycles: journal.map_or(0, crate::journal::Journal::cycles),
            lines: journal.map_or(0, crate::journal::Journal::lines),
            growth,
            errors: self.store.errors().clone(),
        }
    }
}

/// The screen shows them no more often.
const PUBLISH_EVERY: Duration = Duration::from_millis(100);
