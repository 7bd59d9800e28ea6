//! The answer of `sparklines`: the degrees of some VMs in the last cycles that
//! were recorded, so that whoever begins to follow the stream of events does
//! not begin with nothing.
//!
//! One look answers for all of them, as that of an attached screen does, and
//! what it has read is kept for the next one. Of large hosts a look reads but
//! a few cycles: the answer says that there is more, for whoever asks again.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Api, attach, fault::Fault, query::Query};
use crate::{
    model::{
        WallTime,
        history::{AngleHistory, Metric},
        past::{Found, Moment, Past, Question},
    },
    telemetry::{Json, json::time},
};

const PARAMETERS: [&str; 2] = ["vm", "cycles"];
/// Most VMs of an answer: more than are in view at once.
const MOST_VMS: usize = 64;
/// Most cycles of an answer.
const MOST_CYCLES: usize = 300;
/// How many are told where nobody says.
const USUAL: usize = 60;
/// As `vm-telemetry` calls them.
const FIELDS: [(Metric, &str); 6] = [
    (Metric::Cpu, "cpu_rate"),
    (Metric::Memory, "memory_rate"),
    (Metric::DiskRead, "disk_read_rate"),
    (Metric::DiskWrite, "disk_write_rate"),
    (Metric::NetRx, "network_rx_rate"),
    (Metric::NetTx, "network_tx_rate"),
];

/// What is asked for.
#[derive(Debug)]
struct Asked {
    vms: Vec<Uuid>,
    cycles: usize,
}

/// Answers the question in `text`.
pub(super) async fn answer(api: &Api, text: Option<&str>) -> Result<Json, Fault> {
    let asked = Asked::read(text)?;
    if api.sources().config.store.path.is_none() {
        return Err(Fault::unavailable("there is no local record: store.path is none"));
    }
    let moment = Moment::AtOrBefore(api.sources().clock.now().0);
    let question = Question { moment, history: asked.cycles };
    match attach::past(api, &api.0.pages_looks, question).await?.found {
        Found::Seen(past) => Ok(asked.told(&past)),
        Found::Nothing { .. } => Ok(Told::default().json()),
        Found::Failed { why } => {
            // Its words name files: these are for the log alone.
            tracing::warn!("the past of a page's sparklines is not told: {why}");
            Err(Fault::unavailable("the local record cannot be read; the agent's log says why"))
        }
    }
}

impl Asked {
    fn read(text: Option<&str>) -> Result<Self, Fault> {
        let query = Query::read(text, &PARAMETERS)?;
        let allowed = format!("uuids of VMs, at most {MOST_VMS}, with commas between");
        let list = query.get("vm").ok_or_else(|| Fault::lacking("vm", &*allowed))?;
        let vms = list.split(',').map(Uuid::try_parse).collect::<Result<Vec<_>, _>>();
        let vms = vms.ok().filter(|vms| vms.len() <= MOST_VMS);
        let mut vms = vms.ok_or_else(|| Fault::bad("vm", list, allowed))?;
        vms.sort_unstable();
        vms.dedup();
        let cycles = query.get("cycles").map(|text| {
            let cycles = text.parse().ok().filter(|cycles| (1..=MOST_CYCLES).contains(cycles));
            cycles.ok_or_else(|| Fault::bad("cycles", text, format!("1 to {MOST_CYCLES}")))
        });
        Ok(Self { vms, cycles: cycles.transpose()?.unwrap_or(USUAL) })
    }

    fn told(&self, past: &Past) -> Json {
        // A pause of collection is seen by the times before and after it.
        let first = past.slots.len().saturating_sub(self.cycles);
        let slots = &past.slots[first..];
        let cycles: Vec<WallTime> = slots.iter().flatten().copied().collect();
        let more = first == 0
            && past.slots.len() < self.cycles
            && cycles.first().is_some_and(|oldest| past.covers.from < *oldest);
        let known = |uuid: &Uuid| Some((*uuid, degrees(past.angles.get(uuid)?, slots)));
        Told { cycles, more, vms: self.vms.iter().filter_map(known).collect() }.json()
    }
}

/// The degrees of a VM in each of the `slots` that is a cycle; null where there
/// were none, or the VM was not there.
fn degrees(history: &AngleHistory, slots: &[Option<WallTime>]) -> Json {
    let of = |(metric, name): (Metric, &'static str)| {
        let held: Vec<_> = history.last(metric, slots.len(), 0).collect();
        let before = std::iter::repeat_n(None, slots.len() - held.len());
        let all = before.chain(held).zip(slots).filter(|(_, closed)| closed.is_some());
        (name, Json::List(all.map(|(angle, _)| angle.into()).collect()))
    };
    Json::Object(FIELDS.map(of).into())
}

/// An answer.
#[derive(Default)]
struct Told {
    /// When each cycle closed, the oldest first.
    cycles: Vec<WallTime>,
    /// Whether the record reaches further back, and asking again tells more.
    more: bool,
    vms: BTreeMap<Uuid, Json>,
}

impl Told {
    fn json(self) -> Json {
        let vms = self.vms.into_iter().map(|(uuid, degrees)| (uuid.to_string(), degrees));
        Json::Object(vec![
            ("cycles", Json::List(self.cycles.into_iter().map(time).collect())),
            ("more", self.more.into()),
            ("vms", Json::Map(vms.collect())),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::model::{AngleScale, Degrees, HostLoad, Missing, MonoTime, Why, past::Covers, rates::Angles};

    const VM: Uuid = Uuid::from_u128(7);
    const LATE: Uuid = Uuid::from_u128(8);

    #[test]
    fn what_cannot_be_answered_is_refused_with_what_can() {
        let refused = |text: &str, words: &str| {
            let told = format!("{:?}", Asked::read(Some(text)).unwrap_err());
            assert!(told.contains(words), "{text}: {told}");
        };
        refused("", "vm is missing");
        refused("vm=web-1", "at most 64");
        refused(&format!("vm={VM},"), "with commas between");
        refused(&format!("vm={}", vec![VM.to_string(); 65].join(",")), "at most 64");
        refused(&format!("vm={VM}&cycles=0"), "1 to 300");
        refused(&format!("vm={VM}&cycles=301"), "1 to 300");
        refused(&format!("vm={VM}&since=2026-01-01T00:00:00Z"), "vm, cycles");
        let asked = Asked::read(Some(&format!("vm={VM},{LATE},{VM}"))).unwrap();
        assert_eq!((asked.vms, asked.cycles), (vec![VM, LATE], USUAL));
    }

    #[test]
    fn a_pause_is_no_cycle_and_who_came_late_has_none_before() {
        let second = |n: i64| WallTime(n * 1_000_000_000);
        let slots = vec![Some(second(1)), Some(second(2)), None, Some(second(90)), Some(second(91))];
        let mut angles = Angles::missing(Missing::new(Why::Gap));
        let mut history = |of: &[Option<f64>]| {
            let mut history = AngleHistory::new(9);
            for degrees in of {
                angles.cpu = degrees.map(Degrees).ok_or(Missing::new(Why::Gap));
                history.push(&angles);
            }
            history
        };
        let all = history(&[Some(1.0), None, None, Some(-4.5), Some(5.0)]);
        let late = history(&[Some(9.0)]);
        let frame = crate::model::Frame {
            cycle: 0,
            at: second(91),
            mono: MonoTime(0),
            took: Duration::ZERO,
            interval: Duration::from_secs(1),
            host: Arc::default(),
            load: HostLoad::missing(Missing::new(Why::NotRecorded)),
            scale: AngleScale::default(),
            domains: Vec::new().into(),
        };
        let past = Past {
            frame: Arc::new(frame),
            angles: [(VM, all), (LATE, late)].into(),
            slots,
            covers: Covers { from: second(1), to: second(91) },
        };
        let told = |cycles, from| {
            let past = Past { covers: Covers { from, ..past.covers }, ..past.clone() };
            let asked = Asked { vms: vec![LATE, VM, Uuid::from_u128(9)], cycles };
            serde_json::to_value(asked.told(&past)).unwrap()
        };
        let all = told(9, second(1));
        assert_eq!(all["cycles"][2], "1970-01-01T00:01:30Z");
        assert_eq!(all["vms"].as_object().unwrap().len(), 2, "one of them was never there");
        let cpu = |told: &serde_json::Value, vm: Uuid| told["vms"][vm.to_string()]["cpu_rate"].to_string();
        assert_eq!(cpu(&all, VM), "[1.0,null,-4.5,5.0]");
        assert_eq!(cpu(&all, LATE), "[null,null,null,9.0]");
        assert_eq!(all["vms"][VM.to_string()]["network_tx_rate"].to_string(), "[null,null,null,null]");
        assert_eq!(all["more"], false, "there is no more");
        assert_eq!(told(9, second(0))["more"], true, "not all of it was read");
        let two = told(2, second(0));
        assert_eq!((cpu(&two, VM).as_str(), &two["more"]), ("[-4.5,5.0]", &false.into()));
        assert_eq!(two["cycles"].as_array().unwrap().len(), 2);
    }
}
