//! The answer of `diagnostic`: whether everything that is needed works.
//!
//! No address and no path is in it: where the shape has a field for one, it is
//! `***`. Sentences of others are masked by whoever sends them.

use super::{Json, answers::MASKED, json::time, status};
use crate::model::{
    Frame,
    frame::Health,
    status::{CollectionState, CollectorStatus, DeliveryState, DeliveryStatus, StoreState, StoreStatus},
};

/// One prerequisite and whether it holds.
#[derive(Clone, Debug)]
pub struct Prerequisite {
    /// What was looked at.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// How to mend it; empty where there is nothing to mend.
    pub mend: String,
}

/// The whole of it.
#[must_use]
pub fn diagnostic(
    collector: Option<&CollectorStatus>,
    frame: Option<&Frame>,
    delivery: &DeliveryStatus,
    store: &StoreStatus,
    checks: &[Prerequisite],
) -> Json {
    let check = |check: &Prerequisite| {
        Json::Object(vec![
            ("name", check.name.clone().into()),
            ("ok", check.ok.into()),
            ("detail", check.detail.clone().into()),
            ("mend", check.mend.clone().into()),
        ])
    };
    Json::Object(vec![
        ("libvirt", libvirt(collector, frame)),
        ("influx", influx(delivery)),
        ("store", record(store)),
        ("vms", vms(collector, frame)),
        ("checks", Json::List(checks.iter().map(check).collect())),
    ])
}

fn libvirt(collector: Option<&CollectorStatus>, frame: Option<&Frame>) -> Json {
    let state = collector.map(|status| &status.state);
    let (since, error) = match state {
        None => (None, None),
        Some(CollectionState::Failed { why, since, .. }) => (Some(*since), Some(why.clone())),
        Some(
            CollectionState::Stopped { since }
            | CollectionState::Connecting { since }
            | CollectionState::Running { since },
        ) => (Some(*since), None),
    };
    let host = frame.map(|frame| &frame.host);
    Json::Object(vec![
        ("connected", matches!(state, Some(CollectionState::Running { .. })).into()),
        ("uri", MASKED.into()),
        ("version", host.and_then(|host| host.libvirt.clone()).into()),
        ("hypervisor", host.and_then(|host| host.hypervisor.clone()).into()),
        ("since", since.map(time).into()),
        ("error", error.into()),
    ])
}

fn influx(delivery: &DeliveryStatus) -> Json {
    let configured = delivery.state != DeliveryState::Off;
    let answered = delivery.last_answer.as_ref().map(|answer| answer.status.is_some());
    let error = match &delivery.state {
        DeliveryState::Retrying { why, .. } | DeliveryState::Paused { why, .. } => Some(why.clone()),
        DeliveryState::Off | DeliveryState::Probing | DeliveryState::Delivering => None,
    };
    Json::Object(vec![
        ("configured", configured.into()),
        ("api", delivery.api.into()),
        ("reachable", answered.filter(|_| configured).map_or(Json::Null, Json::Flag)),
        ("state", status::delivery_word(&delivery.state).into()),
        ("last_answer", status::last_answer(delivery)),
        ("error", error.into()),
    ])
}

fn record(store: &StoreStatus) -> Json {
    let path = if store.state == StoreState::Off { Json::Null } else { MASKED.into() };
    Json::Object(vec![
        ("path", path),
        ("bytes", store.bytes.into()),
        ("covers_since", store.covers_since.map(time).into()),
        ("writable", (store.state == StoreState::Writable).into()),
    ])
}

fn vms(collector: Option<&CollectorStatus>, frame: Option<&Frame>) -> Json {
    let answering = frame.map_or(0, |frame| {
        frame.domains.iter().filter(|domain| matches!(domain.health, Health::Answering)).count()
    });
    let silent = collector.map_or(&[][..], |status| &status.silent);
    Json::Object(vec![("answering", (answering as u64).into()), ("silent", status::silent(silent))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::WallTime, telemetry::fixture};

    #[test]
    fn what_works_and_what_does_not_is_told_without_places() {
        let mut delivery = DeliveryStatus { api: Some("v3"), ..Default::default() };
        delivery.state = DeliveryState::Retrying { why: "refused".into(), next_at: WallTime(0) };
        let store = StoreStatus {
            path: Some("/var/lib/kvmscope".into()),
            bytes: 7,
            state: StoreState::Writable,
            ..Default::default()
        };
        let frame = fixture::frame();
        let told = diagnostic(None, Some(&frame), &delivery, &store, &[]);
        let text = serde_json::to_string(&told).unwrap();
        assert_eq!(
            text,
            r#"{"libvirt":{"connected":false,"uri":"***","version":"9.0.0","hypervisor":"QEMU 7.2.0","since":null,"error":null},"influx":{"configured":true,"api":"v3","reachable":null,"state":"retrying","last_answer":null,"error":"refused"},"store":{"path":"***","bytes":7,"covers_since":null,"writable":true},"vms":{"answering":3,"silent":[]},"checks":[]}"#
        );
    }
}
