//! The agent's shorter answers: the list of VMs, the configuration, and what
//! starting and stopping say.
//!
//! No address, path or secret is in any of them: where the shape has a field
//! for one, it is `***`.

use std::{sync::Arc, time::Duration};

use super::{Json, json, json::time, value::Fields};
use crate::model::{
    AngleScale, Frame, HostLoad, Missing, MonoTime, WallTime, Why, frame::HostFacts, status::CollectorStatus,
};

/// What stands in the place of an address.
pub const MASKED: &str = "***";

/// What the answers tell of the configuration in force.
#[derive(Clone, Debug)]
pub struct InForce {
    /// `influx.db`
    pub influx_db: String,
    /// `collector.poll_interval`, where the collector has not told its own.
    pub poll_interval: Duration,
    /// `influx.batch_max_lines`
    pub batch_max_lines: usize,
    /// `influx.batch_max_sec`
    pub batch_max_sec: Duration,
    /// `libvirt.device_cache_ttl`
    pub device_cache_ttl: Duration,
}

impl InForce {
    /// The object `config` within `status`. Times in seconds.
    #[must_use]
    pub fn in_status(&self, collector: Option<&CollectorStatus>) -> Json {
        Json::Object(self.head(collector))
    }

    /// The answer of `config`.
    #[must_use]
    pub fn answer(&self, collector: Option<&CollectorStatus>) -> Json {
        let mut config = self.head(collector);
        config.push(("batch_max_lines", (self.batch_max_lines as u64).into()));
        config.push(("batch_max_sec", self.batch_max_sec.as_secs_f64().into()));
        config.push(("device_cache_ttl", self.device_cache_ttl.as_secs_f64().into()));
        Json::Object(vec![("config", Json::Object(config))])
    }

    fn head(&self, collector: Option<&CollectorStatus>) -> Vec<(&'static str, Json)> {
        let interval = collector.map_or(self.poll_interval, |status| status.interval);
        vec![
            ("libvirt_uri", MASKED.into()),
            ("influx_url", MASKED.into()),
            ("influx_db", self.influx_db.as_str().into()),
            ("poll_interval", interval.as_secs_f64().into()),
        ]
    }
}

/// The answer of `vms`.
#[must_use]
pub fn vms(frame: Option<&Frame>) -> Json {
    let domains = frame.map_or(&[][..], |frame| &frame.domains);
    let list = domains.iter().map(|domain| {
        let reading = &domain.reading;
        let mut vm = Fields::default();
        vm.measure("id", reading.identity.id.ok_or(Missing::new(Why::Inactive)));
        vm.put("name", &*reading.identity.name);
        vm.put("uuid", reading.identity.uuid.to_string());
        vm.put("state", reading.state.word());
        vm.measure("cpu_count", reading.vcpu_count);
        vm.measure("memory_max", reading.memory.map(|memory| memory.maximum));
        vm.measure("memory_used", reading.memory_used().map(|(used, _)| used));
        vm.measure("cputime", reading.cpu.map(|cpu| cpu.time));
        vm.finish(domain.identity())
    });
    Json::Object(vec![("count", (domains.len() as u64).into()), ("vms", Json::List(list.collect()))])
}

/// The text of `vm-telemetry`'s answer; before the first reading without VMs
/// and without a time.
#[must_use]
pub fn vm_telemetry(frame: Option<&Frame>, scale: AngleScale, interval: Duration) -> Vec<u8> {
    let none = || Frame {
        cycle: 0,
        at: WallTime(0),
        mono: MonoTime(0),
        took: Duration::ZERO,
        interval,
        host: Arc::new(HostFacts::default()),
        load: HostLoad::missing(Missing::new(Why::NoAnswerYet)),
        scale,
        domains: Vec::new().into(),
    };
    let text = |frame: &Frame, at| {
        let mut text = Vec::with_capacity((frame.domains.len() + 1) * A_VM);
        // Plain values into memory: it cannot fail.
        let _ = serde_json::to_writer(&mut text, &json::Figures { frame, at });
        text.shrink_to_fit();
        text
    };
    frame.map_or_else(|| text(&none(), None), |frame| text(frame, Some(frame.at)))
}

/// About so many bytes are written of a VM.
const A_VM: usize = 2560;

/// The answer of `start`.
#[must_use]
pub fn started(message: &str, running: bool, collector: Option<&CollectorStatus>) -> Json {
    let details = Json::Object(vec![
        ("running", running.into()),
        ("started_at", collector.and_then(|status| status.started_at).map(time).into()),
        ("vms_monitored", collector.map(|status| status.vms_monitored as u64).into()),
        ("total_collections", collector.map(|status| status.total_collections).into()),
    ]);
    Json::Object(vec![("status", "started".into()), ("message", message.into()), ("details", details)])
}

/// The answer of `stop`.
#[must_use]
pub fn stopped(message: &str) -> Json {
    Json::Object(vec![("status", "stopped".into()), ("message", message.into())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::fixture;

    fn text(json: &Json) -> String {
        serde_json::to_string(json).unwrap()
    }

    #[test]
    fn the_list_has_every_vm_and_why_a_number_lacks() {
        let list = text(&vms(Some(&fixture::frame())));
        let live = r#"{"count":5,"vms":[{"id":1,"name":"web-frontend-1","uuid":"550e8400-e29b-41d4-a716-446655440001","state":"running","cpu_count":2,"memory_max":2097152,"#;
        assert!(list.starts_with(live), "{list}");
        let off = list.rsplit("},{\"id\":").next().unwrap();
        assert!(off.starts_with("null,") && off.contains("\"missing\":{\"id\":\"not running\""), "{off}");
        assert_eq!(text(&vms(None)), r#"{"count":0,"vms":[]}"#);
    }

    #[test]
    fn before_the_first_reading_there_is_no_time_and_no_vm() {
        let none = vm_telemetry(None, AngleScale::default(), Duration::from_secs(2));
        let none = String::from_utf8(none).unwrap();
        let head = r#"{"count":0,"timestamp":null,"angle_mode":"scaled","angle_references":{"cpu":1.0,"#;
        assert!(none.starts_with(head) && none.contains("\"interval_sec\":2.0"), "{none}");
        assert!(none.ends_with("\"vms\":[]}"), "{none}");
    }

    #[test]
    fn the_configuration_is_told_without_addresses() {
        let config = InForce {
            influx_db: "vmstats".into(),
            poll_interval: Duration::from_secs(1),
            batch_max_lines: 2000,
            batch_max_sec: Duration::from_millis(500),
            device_cache_ttl: Duration::from_mins(5),
        };
        assert_eq!(
            text(&config.answer(None)),
            r#"{"config":{"libvirt_uri":"***","influx_url":"***","influx_db":"vmstats","poll_interval":1.0,"batch_max_lines":2000,"batch_max_sec":0.5,"device_cache_ttl":300.0}}"#
        );
        assert!(text(&config.answer(None)).contains(text(&config.in_status(None)).trim_matches(['{', '}'])));
    }
}
