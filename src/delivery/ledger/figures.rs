//! The figures as screen, log and API show them.

use std::{collections::VecDeque, time::Duration};

use super::Ledger;
use crate::{
    journal::Account,
    model::{
        MonoTime, WallTime,
        status::{DeliveryStatus, StoreState, StoreStatus},
    },
};

/// What was delivered in the last [`SPAN`].
#[derive(Debug, Default)]
pub(super) struct Lately {
    answers: VecDeque<(MonoTime, u64)>,
}

/// The span that "lately" means.
const SPAN: Duration = Duration::from_secs(10);

impl Lately {
    pub(super) fn delivered(&mut self, at: MonoTime, lines: u64) {
        if lines > 0 {
            self.answers.push_back((at, lines));
        }
    }

    fn per_second(&mut self, now: MonoTime) -> f64 {
        while self.answers.front().is_some_and(|(at, _)| now.since(*at) > SPAN) {
            self.answers.pop_front();
        }
        let lines: u64 = self.answers.iter().map(|(_, lines)| lines).sum();
        u32::try_from(lines).map_or(f64::from(u32::MAX), f64::from) / SPAN.as_secs_f64()
    }
}

impl Ledger {
    /// Publishes the figures where they have changed.
    pub(in crate::delivery) fn publish(&mut self) {
        let now = (self.delivery(), self.store());
        self.published.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
    }

    fn delivery(&mut self) -> DeliveryStatus {
        let (_, mono) = self.clock.now();
        let journal = self.store.journal();
        let (mut account, on_disk) = self.store.account();
        account.add(&self.delta);
        let oldest_on_disk = journal.and_then(|journal| journal.oldest_waiting().ok().flatten());
        let in_memory = self.held.lines();
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
        }
    }

    fn store(&self) -> StoreStatus {
        let Some(place) = self.store.place() else { return StoreStatus::default() };
        let journal = self.store.journal();
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
        }
    }
}
