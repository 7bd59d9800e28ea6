//! The accounting of collector, delivery and store as others read it: the
//! figures of `GET status`, beside what the four of them say in full.
//!
//! No address, path or secret is in it.

use std::time::Duration;

use super::{Json, json::time};
use crate::model::{
    LastErrors, WallTime,
    status::{
        CollectionState, CollectorStatus, DeliveryState, DeliveryStatus, SilentDomain, StoreState,
        StoreStatus, WatchState,
    },
};

/// The whole of it as of `at`.
#[must_use]
pub fn status(
    at: WallTime,
    collector: Option<&CollectorStatus>,
    delivery: &DeliveryStatus,
    store: &StoreStatus,
) -> Json {
    let running = collector.is_some_and(|c| matches!(c.state, CollectionState::Running { .. }));
    let last_error = collector.and_then(|c| c.last_error.as_ref());
    Json::Object(vec![
        ("timestamp", time(at)),
        ("running", running.into()),
        ("collector_initialized", collector.is_some_and(|c| c.initialized).into()),
        ("started_at", collector.and_then(|c| c.started_at).map(time).into()),
        ("total_collections", collector.map(|c| c.total_collections).into()),
        ("total_errors", collector.map(|c| c.total_errors).into()),
        ("last_collection_time", collector.and_then(|c| c.last_collection_at).map(time).into()),
        ("last_error", last_error.map(|(_, text)| text.clone()).into()),
        ("vms_monitored", collector.map(|c| c.vms_monitored as u64).into()),
        ("total_metrics_written", delivery.delivered.into()),
        ("influx_queue_size", delivery.waiting().into()),
        ("collector", collector.map(self::collector).into()),
        ("delivery", self::delivery(delivery)),
        ("store", self::store(store)),
    ])
}

fn seconds(span: Duration) -> Json {
    span.as_secs_f64().into()
}

fn errors(errors: &LastErrors) -> Json {
    let errors = errors.iter().map(|error| {
        Json::Object(vec![
            ("text", error.text.clone().into()),
            ("count", error.count.into()),
            ("first_at", time(error.first)),
            ("last_at", time(error.last)),
        ])
    });
    Json::List(errors.collect())
}

fn collector(status: &CollectorStatus) -> Json {
    let (word, why, since) = match &status.state {
        CollectionState::Stopped { since } => ("stopped", None, since),
        CollectionState::Connecting { since } => ("connecting", None, since),
        CollectionState::Running { since } => ("running", None, since),
        CollectionState::Failed { why, since, .. } => ("failed", Some(why.clone()), since),
    };
    let stuck = status.stuck_calls.iter().map(|call| {
        Json::Object(vec![
            ("domain", call.domain.clone().into()),
            ("among", (call.among as u64).into()),
            ("since", call.since.map(time).into()),
            ("earlier_process", call.earlier.into()),
        ])
    });
    let slowest = status.costs.slowest.iter().map(|cost| {
        Json::Object(vec![
            ("name", cost.name.clone().into()),
            ("took_sec", seconds(cost.took)),
            ("at", time(cost.at)),
        ])
    });
    let watch = match &status.events.watch {
        WatchState::Off => "off",
        WatchState::Connecting { .. } => "connecting",
        WatchState::Connected { .. } => "listening",
        WatchState::NotOffered => "not offered",
        WatchState::Failed { .. } => "failed",
    };
    Json::Object(vec![
        ("state", word.into()),
        ("why", why.into()),
        ("since", time(*since)),
        ("poll_interval_sec", seconds(status.interval)),
        ("last_cycle_sec", status.last_cycle_took.map(|took| took.as_secs_f64()).into()),
        ("lists", (status.lists as u64).into()),
        ("cycles_per_round", status.round.into()),
        ("skipped_ticks", status.skipped_ticks.into()),
        ("reconnects", status.reconnects.into()),
        ("vms_timed", (status.costs.measured as u64).into()),
        ("mean_read_sec", status.costs.mean.map(|mean| mean.as_secs_f64()).into()),
        ("slowest", Json::List(slowest.collect())),
        ("silent", silent(&status.silent)),
        ("stuck_calls", Json::List(stuck.collect())),
        ("max_stuck_calls", (status.max_stuck_calls as u64).into()),
        ("events_seen", status.events.seen.into()),
        ("last_event_at", status.events.last_at.map(time).into()),
        ("events", watch.into()),
        ("errors", errors(&status.errors)),
    ])
}

/// The VMs that did not answer in full.
pub(super) fn silent(domains: &[SilentDomain]) -> Json {
    let of = |domain: &SilentDomain| {
        Json::Object(vec![("name", domain.name.clone().into()), ("why", domain.why.clone().into())])
    };
    Json::List(domains.iter().map(of).collect())
}

/// The word of `delivery.state`.
pub(super) fn delivery_word(state: &DeliveryState) -> &'static str {
    match state {
        DeliveryState::Off => "off",
        DeliveryState::Probing => "probing",
        DeliveryState::Delivering => "delivering",
        DeliveryState::Retrying { .. } => "retrying",
        DeliveryState::Paused { .. } => "paused",
    }
}

/// The server's last answer, or what stood in its place.
pub(super) fn last_answer(status: &DeliveryStatus) -> Json {
    let answer = status.last_answer.as_ref().map(|answer| {
        Json::Object(vec![
            ("at", time(answer.at)),
            ("status", answer.status.map(u32::from).into()),
            ("took_sec", seconds(answer.took)),
            ("text", answer.text.clone().into()),
        ])
    });
    answer.into()
}

fn delivery(status: &DeliveryStatus) -> Json {
    let (why, mend, next_at) = match &status.state {
        DeliveryState::Off | DeliveryState::Probing | DeliveryState::Delivering => (None, None, None),
        DeliveryState::Retrying { why, next_at } => (Some(why), None, Some(*next_at)),
        DeliveryState::Paused { why, mend, next_at } => (Some(why), Some(mend), Some(*next_at)),
    };
    let dropped = status.dropped.iter().map(|(reason, count)| (reason.clone(), (*count).into()));
    Json::Object(vec![
        ("state", delivery_word(&status.state).into()),
        ("why", why.cloned().into()),
        ("mend", mend.cloned().into()),
        ("next_try_at", next_at.map(time).into()),
        ("api", status.api.into()),
        ("emitted", status.emitted.into()),
        ("delivered", status.delivered.into()),
        ("waiting", status.waiting().into()),
        ("waiting_on_disk", status.waiting_on_disk.into()),
        ("waiting_in_memory", status.waiting_in_memory.into()),
        ("quarantined", status.quarantined.into()),
        ("dropped", Json::Map(dropped.collect())),
        ("oldest_waiting", status.oldest_waiting.map(time).into()),
        ("batches", status.batches.into()),
        ("retries", status.retries.into()),
        ("saturated", status.saturated.into()),
        ("lines_per_sec", status.lines_per_second.into()),
        ("time_left_sec", status.time_left.map(|left| left.as_secs_f64()).into()),
        ("last_answer", last_answer(status)),
        ("errors", errors(&status.errors)),
    ])
}

fn store(status: &StoreStatus) -> Json {
    let (word, why) = match &status.state {
        StoreState::Off => ("off", None),
        StoreState::Writable => ("writing", None),
        StoreState::Failing { why, .. } => ("failing", Some(why.clone())),
        StoreState::ReadOnly { holder } => ("another process records", Some(holder.clone())),
    };
    Json::Object(vec![
        ("state", word.into()),
        ("why", why.into()),
        ("bytes", status.bytes.into()),
        ("max_bytes", status.max_bytes.into()),
        ("covers_since", status.covers_since.map(time).into()),
        ("cycles", status.cycles.into()),
        ("lines", status.lines.into()),
        ("bytes_per_day", status.growth.map(|growth| growth.full).into()),
        ("bytes_per_day_thinned", status.growth.map(|growth| growth.thinned).into()),
        ("errors", errors(&status.errors)),
    ])
}
