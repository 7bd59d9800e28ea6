//! The answer of `history`: one field of one VM over time, from the local
//! record.
//!
//! Without a step every cycle is told, with one the last cycle of each; a
//! counter's rate is the true mean since the cycle told before. A question that
//! would take too much gets a larger step, and the answer says so.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{Api, fault::Fault, find, query::Query};
use crate::{
    delivery::lookback::{
        frame::Stamp,
        series::{Point, Series, Span},
    },
    model::{Frame, WallTime},
    telemetry::{
        Json,
        json::time,
        measurements::{self, Field, Kind, MEASUREMENTS},
    },
};

/// Most points of an answer.
const MOST_POINTS: u64 = 10_000;
/// Most lines that are read for one: a second's work.
const MOST_LINES: u64 = 1_500_000;
/// What is asked for where nobody says since when.
const USUAL: Duration = Duration::from_hours(1);
/// Old cycles are thinned to one in so much time.
const THINNED_TO: Duration = Duration::from_secs(10);
/// Most reasons that are told apart.
const MOST_REASONS: usize = 64;

const PARAMETERS: [&str; 8] = ["vm", "measurement", "field", "device", "since", "until", "step", "rate"];

/// What is asked for.
struct Question {
    uuid: Uuid,
    field: &'static Field,
    device: Option<String>,
    since: WallTime,
    until: WallTime,
    /// `None`: every cycle.
    step: Option<Duration>,
    /// Of the cycles now.
    interval: Duration,
    /// Whether a counter is told as a rate.
    rate: bool,
}

/// Answers the question in `text`.
pub(super) async fn answer(api: &Api, text: Option<&str>) -> Result<Json, Fault> {
    let now = api.sources().clock.now().0;
    let interval = api.collector().map_or(api.0.in_force.poll_interval, |status| status.interval);
    let question = Question::read(text, api.frame().as_deref(), now, interval)?;
    api.look(move |series, deadline| question.answered(series, deadline)).await
}

impl Question {
    fn read(
        text: Option<&str>,
        frame: Option<&Frame>,
        now: WallTime,
        interval: Duration,
    ) -> Result<Self, Fault> {
        let query = Query::read(text, &PARAMETERS)?;
        let vm = query.get("vm").ok_or_else(|| Fault::lacking("vm", "a libvirt id, a uuid or a name"))?;
        let uuid = vm_of(frame, vm).ok_or_else(|| Fault::no_vm(vm))?;
        let field = field(&query)?;
        let device = query.get("device").map(str::to_owned);
        if field.measurement == measurements::Measurement::Devices && device.is_none() {
            return Err(Fault::lacking("device", "a device's target name, such as vda or vnet0"));
        }
        let rate = query.flag("rate")?;
        if rate && field.kind != Kind::Counter {
            return Err(Fault::bad("rate", "true", "false: this field is no counter"));
        }
        let until = query.time("until")?.unwrap_or(now);
        let since = query.time("since")?.unwrap_or(back(until, USUAL));
        if since > until {
            return Err(Fault::bad(
                "since",
                query.get("since").unwrap_or_default(),
                "an instant before until",
            ));
        }
        let step = query.span("step")?;
        Ok(Self { uuid, field, device, since, until, step, interval, rate })
    }

    fn answered(&self, series: &Series, deadline: Instant) -> Result<Json, Fault> {
        // Outside of what is recorded there is nothing to go through.
        let covers = series.covers()?;
        let (since, until) = covers.map_or((self.since, self.until), |covers| {
            (self.since.max(covers.from).min(self.until), self.until.min(covers.to).max(self.since))
        });
        let most = (MOST_LINES / series.lines_of_a_cycle()?.max(1)).clamp(100, MOST_POINTS);
        let least = step_for(until.since(since), most);
        let all = |step: Option<Duration>| -> Result<Points<'_>, Fault> {
            let mut points = Points::new(self, step, since);
            if covers.is_some() {
                let nanos = step.map_or(1, |step| i64::try_from(step.as_nanos()).unwrap_or(i64::MAX));
                let span = Span {
                    uuid: self.uuid,
                    since,
                    until,
                    step: nanos,
                    lead: self.rate,
                    // One more tells that it is too many.
                    most: most.saturating_add(1),
                    deadline,
                };
                series.walk(&span, |point| points.take(&point))?;
            }
            Ok(points)
        };
        if self.step.is_none() && least <= self.interval {
            let points = all(None)?;
            if points.taken.len() as u64 <= most {
                return Ok(points.told(since, until));
            }
            // Cycles of then were closer than they are now.
        }
        Ok(all(Some(self.step.unwrap_or(least).max(least)))?.told(since, until))
    }
}

/// The VM that is meant: one of the last cycle, or any by its uuid.
fn vm_of(frame: Option<&Frame>, vm: &str) -> Option<Uuid> {
    let known = frame.and_then(|frame| find(frame, vm)).map(|domain| domain.identity().uuid);
    known.or_else(|| Uuid::try_parse(vm).ok())
}

fn field(query: &Query<'_>) -> Result<&'static Field, Fault> {
    let all = MEASUREMENTS.map(|(_, name)| name).join(", ");
    let name = query.get("measurement").ok_or_else(|| Fault::lacking("measurement", &*all))?;
    let measurement = measurements::measurement(name).ok_or_else(|| Fault::bad("measurement", name, all))?;
    let fields = || measurements::fields(measurement).map(|field| field.name).collect::<Vec<_>>().join(", ");
    let name = query.get("field").ok_or_else(|| Fault::lacking("field", fields()))?;
    measurements::fields(measurement)
        .find(|field| field.name == name)
        .ok_or_else(|| Fault::bad("field", name, fields()))
}

fn back(at: WallTime, span: Duration) -> WallTime {
    WallTime(at.0.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
}

/// The least step with which so long a span has no more than `most` points, in
/// tenths of a second.
fn step_for(span: Duration, most: u64) -> Duration {
    let tenths = span.as_millis().div_ceil(u128::from(most)).div_ceil(100);
    Duration::from_millis(u64::try_from(tenths * 100).unwrap_or(u64::MAX))
}

/// The points of an answer in the making.
struct Points<'a> {
    question: &'a Question,
    /// `None`: every cycle.
    step: Option<Duration>,
    /// Cycles before this one are not told.
    since: WallTime,
    taken: Vec<Json>,
    /// The counter's last value: of which incarnation, when.
    last: Option<(Option<u32>, Stamp, u64)>,
    missing: BTreeMap<String, u64>,
}

impl<'a> Points<'a> {
    fn new(question: &'a Question, step: Option<Duration>, since: WallTime) -> Self {
        Self { question, step, since, taken: Vec::new(), last: None, missing: BTreeMap::new() }
    }

    fn take(&mut self, point: &Point<'_>) {
        let told = match point.domain {
            None => Err((point.closed, "not running".to_owned())),
            Some(domain) => {
                let at = domain.reading.at;
                let value = measurements::value(domain, self.question.field, self.question.device.as_deref());
                let value = match value {
                    Ok(Json::Whole(now)) if self.question.rate => {
                        self.rate(domain.identity().id, Stamp { at, ..point.stamp }, now)
                    }
                    other => other,
                };
                value.map(|value| (at, value)).map_err(|why| (at, why))
            }
        };
        if point.closed < self.since {
            // It is there for the rate of the one after it.
            return;
        }
        let (at, value) = match told {
            Ok(told) => told,
            Err((at, why)) => {
                let why = if self.missing.len() < MOST_REASONS { why } else { "other reasons".to_owned() };
                *self.missing.entry(why).or_default() += 1;
                (at, Json::Null)
            }
        };
        self.taken.push(Json::List(vec![time(at), value]));
    }

    fn step(&self) -> Duration {
        self.step.unwrap_or(self.question.interval)
    }

    /// The growth per second since the value before.
    fn rate(&mut self, id: Option<u32>, at: Stamp, now: u64) -> Result<Json, String> {
        let (before_id, before_at, before) =
            self.last.replace((id, at, now)).ok_or_else(|| "first reading".to_owned())?;
        if before_id != id || now < before {
            return Err("counter restarted".to_owned());
        }
        let span = at.at.since(before_at.at);
        let period = self.step().max(THINNED_TO).max(before_at.interval).max(at.interval);
        if span.is_zero() || span > period.saturating_mul(3) {
            return Err("gap since the last reading".to_owned());
        }
        if !before_at.leads_to(&at) {
            // The time between was not recorded but by that clock.
            return Err("the clock was set, or cycles are missing".to_owned());
        }
        #[allow(clippy::cast_precision_loss, reason = "a difference, far below 2^53")]
        Ok(Json::Real((now - before) as f64 / span.as_secs_f64()))
    }

    fn told(self, since: WallTime, until: WallTime) -> Json {
        let question = self.question;
        let unit = question.field.unit;
        let unit = if question.rate { format!("{unit}/s") } else { unit.to_owned() };
        let mut fields = vec![
            ("vm", Json::from(question.uuid.to_string())),
            ("measurement", question.field.measurement.to_string().into()),
            ("field", question.field.name.into()),
            ("unit", unit.into()),
            ("step", self.step().as_secs_f64().into()),
            ("since", time(since)),
            ("until", time(until)),
        ];
        if let Some(device) = &question.device {
            fields.insert(3, ("device", device.as_str().into()));
        }
        let asked = question.step.unwrap_or(question.interval);
        if self.step() > asked || (question.step.is_none() && self.step.is_some()) {
            fields.push(("step_asked", asked.as_secs_f64().into()));
            fields.push(("note", "the span is too wide for the step asked for, so that it is larger".into()));
        }
        let missing = self.missing.into_iter().map(|(why, count)| (why, count.into()));
        fields.push(("points", Json::List(self.taken)));
        fields.push(("missing", Json::Map(missing.collect())));
        Json::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Question, Fault> {
        Question::read(Some(text), None, WallTime(1_700_000_000_000_000_000), Duration::from_secs(1))
    }

    const VM: &str = "vm=550e8400-e29b-41d4-a716-446655440000";

    #[test]
    fn what_cannot_be_answered_is_refused_with_what_can() {
        let refused = |text: &str, words: &str| {
            let fault = read(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
            let told = format!("{fault:?}");
            assert!(told.contains(words), "{text}: {told}");
        };
        let vm_metrics = format!("{VM}&measurement=vm_metrics");
        refused("", "vm is missing");
        refused("vm=web-1&measurement=vm_metrics&field=state", "there is no VM");
        refused(VM, "vm_metrics, vm_features, vm_devices, vm_totals");
        refused(&format!("{VM}&measurement=cpu"), "measurement cannot be");
        refused(&vm_metrics, "state, cpu_count");
        refused(&format!("{vm_metrics}&field=rxbytes"), "cputime_ns");
        refused(&format!("{VM}&measurement=vm_devices&field=rxbytes"), "device is missing");
        refused(&format!("{vm_metrics}&field=cpu_count&rate=true"), "no counter");
        refused(&format!("{vm_metrics}&field=cpu_count&since=yesterday"), "RFC 3339");
        refused(&format!("{vm_metrics}&field=cpu_count&since=2033-01-01T00:00:00Z"), "before until");
        refused(&format!("{vm_metrics}&field=cpu_count&limit=5"), "since, until, step, rate");
    }

    #[test]
    fn an_hour_by_the_interval_is_what_nobody_asks_otherwise() {
        let question = read(&format!("{VM}&measurement=vm_metrics&field=cputime_ns&rate=true")).unwrap();
        assert_eq!(question.until.since(question.since), USUAL);
        assert_eq!((question.step, question.interval), (None, Duration::from_secs(1)));
        assert!(question.rate);
    }

    #[test]
    fn a_wide_question_gets_a_step_that_keeps_it_within_its_points() {
        assert_eq!(step_for(Duration::from_secs(100), 10_000), Duration::from_millis(100));
        let week = Duration::from_hours(168);
        let step = step_for(week, 10_000);
        assert_eq!(step, Duration::from_millis(60_500));
        assert!(week.as_nanos() / step.as_nanos() <= 10_000);
    }

    #[test]
    fn a_counters_rate_is_of_one_incarnation_that_did_not_fall() {
        let question = read(&format!("{VM}&measurement=vm_metrics&field=cputime_ns&rate=true")).unwrap();
        let mut points = Points::new(&question, None, question.since);
        let second = |n: i64| Stamp {
            number: None,
            at: WallTime(n * 1_000_000_000),
            interval: Duration::from_secs(1),
            took: Duration::ZERO,
        };
        assert_eq!(points.rate(Some(1), second(0), 100), Err("first reading".into()));
        assert_eq!(points.rate(Some(1), second(2), 300), Ok(Json::Real(100.0)));
        assert_eq!(points.rate(Some(1), second(3), 200), Err("counter restarted".into()));
        assert_eq!(points.rate(Some(2), second(4), 300), Err("counter restarted".into()));
        assert_eq!(points.rate(Some(2), second(60), 400), Err("gap since the last reading".into()));
        assert_eq!(points.rate(Some(2), second(60), 500), Err("gap since the last reading".into()));
        assert_eq!(points.rate(Some(2), second(61), 500), Ok(Json::Real(0.0)));
        // A minute apart is no gap where cycles were.
        let minutely = |n| Stamp { interval: Duration::from_mins(1), ..second(n) };
        assert_eq!(points.rate(Some(2), minutely(121), 1100), Ok(Json::Real(10.0)));
        // Two cycles one after the other, and the clock was set between.
        let counted = |number, n| Stamp { number: Some(number), ..second(n) };
        let _ = points.rate(Some(2), counted(7, 200), 1200);
        let set = points.rate(Some(2), counted(8, 220), 1300);
        assert_eq!(set, Err("the clock was set, or cycles are missing".into()));
        assert_eq!(points.rate(Some(2), counted(9, 221), 1400), Ok(Json::Real(100.0)));
    }
}
