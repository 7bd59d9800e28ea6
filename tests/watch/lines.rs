//! The lines made of each frame: every one must be read by an independent
//! parser, and totals must not fall while the devices stay.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use influxdb_line_protocol::{FieldValue, parse_lines};
use kvmscope::{config::MissingPolicy, influx::line::Encoder, model::Frame};
use uuid::Uuid;

use super::{Who, device_names};

/// The numbers of one domain's lines: measurement, device and field.
pub type Values = BTreeMap<(String, String, String), f64>;

/// Reads lines into numbers, by domain.
pub fn values(text: &str) -> HashMap<Uuid, Values> {
    let mut all: HashMap<Uuid, Values> = HashMap::new();
    for line in parse_lines(text) {
        let line = line.unwrap_or_else(|error| panic!("{error} in {text}"));
        let tag = |key| line.tag_value(key).map(ToString::to_string).unwrap_or_default();
        let uuid = tag("uuid").parse().unwrap();
        let measurement = line.series.measurement.to_string();
        assert!(line.timestamp.is_some(), "{measurement} without a time");
        for (field, value) in &line.field_set {
            #[allow(clippy::cast_precision_loss, reason = "counters of a short run")]
            let value = match value {
                FieldValue::I64(value) => *value as f64,
                FieldValue::F64(value) => *value,
                FieldValue::String(_) => continue,
                other => panic!("{measurement} {field}: {other}"),
            };
            let name = (measurement.clone(), tag("device"), field.to_string());
            let before = all.entry(uuid).or_default().insert(name.clone(), value);
            assert!(before.is_none(), "{name:?} of {uuid} twice in one cycle");
        }
    }
    all
}

/// The totals of every incarnation.
pub struct Totals {
    encoder: Encoder,
    last: HashMap<Who, (BTreeSet<String>, BTreeMap<String, f64>)>,
}

impl Totals {
    pub fn new() -> Self {
        let encoder = Encoder::new(MissingPolicy::Zero, &BTreeMap::new()).unwrap();
        Self { encoder, last: HashMap::new() }
    }

    /// Encodes a frame and compares its totals with those before.
    pub fn frame(&mut self, frame: &Frame, replaced: impl Fn(&Uuid) -> bool) {
        let mut bytes = Vec::new();
        let done = self.encoder.encode(frame, &mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(parse_lines(&text).count() as u64, done.lines);
        let mut values = values(&text);
        for domain in frame.domains.iter().filter(|domain| domain.fresh && domain.is_live()) {
            let identity = domain.identity();
            let values = values.remove(&identity.uuid).unwrap_or_default();
            let totals: BTreeMap<String, f64> = values
                .into_iter()
                .filter(|((measurement, _, field), _)| {
                    measurement == "vm_totals" && (field.starts_with("net_") || field.starts_with("disk_"))
                })
                .map(|((_, _, field), value)| (field, value))
                .collect();
            let devices = device_names(&domain.reading);
            let who = (identity.uuid, identity.id.unwrap());
            let (stood, last) = self.last.entry(who).or_default();
            let answered = domain.reading.disks.is_ok() && domain.reading.nics.is_ok();
            if answered && !stood.is_subset(&devices) || replaced(&identity.uuid) {
                last.clear();
            }
            for (field, value) in &totals {
                let before = last.get(field).copied().unwrap_or_default();
                assert!(*value >= before, "{}: {field} fell from {before} to {value}", identity.name);
            }
            last.extend(totals);
            if answered {
                *stood = devices;
            }
        }
        self.last.retain(|(uuid, _), _| frame.domains.iter().any(|d| d.identity().uuid == *uuid));
    }
}
