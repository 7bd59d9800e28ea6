//! What the encoder writes and the client sends, read back from real servers:
//! InfluxDB 1.6 and VictoriaMetrics, each a process of its own on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod lab;
mod sample;

use std::collections::{BTreeMap, BTreeSet};

use influxdb_line_protocol::{FieldValue, parse_lines};
use kvmscope::{
    config::{Api, Auth, Influx, MissingPolicy, SecretSource},
    influx::{
        client::{Check, Client},
        line::Encoder,
        policy::{Decision, decide},
    },
    model::{DomainState, Frame, Missing, Why},
};
use lab::servers::Server;
use sample::{AT, disk, domain, identity, nic, reading};
use serde_json::Value as Json;

/// A name with everything that separates, quotes or escapes.
const HOSTILE: &str = "a b,c=d\"e'f\\g\\,h\n\u{1b}[31m虚拟\\";

async fn get(server: &Server, path: &str, query: &[(&str, &str)]) -> String {
    let url = url::Url::parse_with_params(&format!("{}{path}", server.url()), query).unwrap();
    let response = reqwest::get(url).await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

fn settings(server: &Server) -> Influx {
    Influx {
        url: Some(server.url()),
        db: "vmstats".into(),
        auth: Auth::None,
        tags: BTreeMap::from([("host".to_owned(), "kvm 1".to_owned())]),
        ..Influx::default()
    }
}

/// Several domains: one in full, one of a hostile name, one that hangs, one
/// at the limits of numbers, one that is off.
fn several_domains() -> Frame {
    let uuid = |last: u8| format!("550e8400-e29b-41d4-a716-4466554400{last:02x}");
    let whole = reading(identity(Some(1), "ubuntu-vm", &uuid(1)));
    let mut hostile = reading(identity(Some(2), HOSTILE, &uuid(2)));
    hostile.nics = Ok(vec![nic("tap 0,=\"\\", 7)]);
    let mut hung = reading(identity(Some(3), "hung", &uuid(3)));
    let silent = Missing::new(Why::MonitorNotAnswering);
    (hung.guest_memory, hung.disks, hung.vcpu_count) = (Err(silent), Err(silent), Err(silent));
    hung.state = DomainState::Paused;
    let mut huge = reading(identity(Some(u32::MAX), "huge", &uuid(4)));
    huge.disks = Ok(vec![disk("vda", u64::MAX - 9)]);
    let off = reading(identity(None, "off", &uuid(5)));
    let mut domains: Vec<_> = [whole, hostile, hung, huge, off].into_iter().map(domain).collect();
    domains[0].rates.memory_kib_per_s = Ok(-1234.5678);
    domains[1].rates.memory_kib_per_s = Ok(1e-7);
    sample::frame(domains)
}

fn encoded(settings: &Influx) -> String {
    let mut lines = Vec::new();
    let mut encoder = Encoder::new(MissingPolicy::Zero, &settings.tags).unwrap();
    // The four huge counters of one disk, and their totals.
    assert_eq!(encoder.encode(&several_domains(), &mut lines).saturated, 8);
    String::from_utf8(lines).unwrap()
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Int(i64),
    Float(f64),
    Text(String),
}

/// Measurement, tags, field: what one value belongs to.
type Key = (String, BTreeMap<String, String>, String);

/// What was sent, value by value.
fn sent(lines: &str) -> BTreeMap<Key, Value> {
    let mut all = BTreeMap::new();
    for line in parse_lines(lines) {
        let line = line.unwrap();
        assert_eq!(line.timestamp, Some(AT.0));
        let tags: BTreeMap<_, _> =
            line.series.tag_set.unwrap().into_iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        for (field, value) in line.field_set {
            let value = match value {
                FieldValue::I64(value) => Value::Int(value),
                FieldValue::F64(value) => Value::Float(value),
                FieldValue::String(value) => Value::Text(value.to_string()),
                other => panic!("{other:?} is no type of ours"),
            };
            let key = (line.series.measurement.to_string(), tags.clone(), field.to_string());
            assert!(all.insert(key, value).is_none());
        }
    }
    let measurements: BTreeSet<_> = all.keys().map(|key| key.0.as_str()).collect();
    let all_four = BTreeSet::from(["vm_metrics", "vm_features", "vm_devices", "vm_totals"]);
    assert_eq!(measurements, all_four);
    assert!(all.keys().any(|key| key.1["name"] == "a b,c=d\"e'f\\g_,h__[31m虚拟_"));
    all
}

#[track_caller]
fn are(checks: &[Check], expected: &[bool]) {
    let found: Vec<bool> = checks.iter().map(|check| check.ok).collect();
    assert_eq!(found, expected, "{checks:#?}");
}

/// Everything InfluxDB 1 has of the four measurements, with its types.
async fn read_back(server: &Server) -> BTreeMap<Key, Value> {
    let mut all = BTreeMap::new();
    for measurement in ["vm_metrics", "vm_features", "vm_devices", "vm_totals"] {
        let query = format!("SHOW FIELD KEYS FROM {measurement}; SELECT * FROM {measurement} GROUP BY *");
        let text = get(server, "/query", &[("db", "vmstats"), ("epoch", "ns"), ("q", &query)]).await;
        let answer: Json = serde_json::from_str(&text).unwrap();
        let rows = |n: usize| answer["results"][n]["series"].as_array().unwrap_or_else(|| panic!("{text}"));
        let types: BTreeMap<_, _> = rows(0)[0]["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
            .collect();
        for series in rows(1) {
            let tags: BTreeMap<String, String> =
                serde_json::from_value::<BTreeMap<String, String>>(series["tags"].clone())
                    .unwrap()
                    .into_iter()
                    .filter(|(_, value)| !value.is_empty())
                    .collect();
            let points = series["values"].as_array().unwrap();
            assert_eq!(points.len(), 1, "{series}");
            assert_eq!(points[0][0], AT.0);
            for (name, value) in
                series["columns"].as_array().unwrap().iter().zip(points[0].as_array().unwrap()).skip(1)
            {
                let name = name.as_str().unwrap();
                let value = match (types[name], value) {
                    (_, Json::Null) => continue,
                    ("integer", value) => Value::Int(value.as_i64().unwrap()),
                    ("float", value) => Value::Float(value.as_f64().unwrap()),
                    ("string", value) => Value::Text(value.as_str().unwrap().to_owned()),
                    other => panic!("{other:?} is no type of ours"),
                };
                all.insert((measurement.to_owned(), tags.clone(), name.to_owned()), value);
            }
        }
    }
    all
}

#[tokio::test]
async fn influxdb_1_gives_back_every_field() {
    let Some(server) = Server::influxd("influxdb_1_gives_back_every_field") else { return };
    let settings = settings(&server);
    let lines = encoded(&settings);
    let mut client = Client::new(&settings).unwrap();

    // Without its database it takes nothing, and everything says so.
    are(&client.check().await, &[true, true, false]);
    let (answer, _) = client.write(lines.as_bytes()).await;
    let Decision::Pause { mend, .. } = decide("v1", &answer, 9) else { panic!("{answer:?}") };
    assert!(mend.contains("create the database") && mend.contains("influx.db"), "{mend}");

    let create = reqwest::Client::new().post(format!("{}/query?q=CREATE+DATABASE+vmstats", server.url()));
    assert_eq!(create.send().await.unwrap().status(), 200);
    are(&client.check().await, &[true, true, true]);
    // Twice: the same lines again change nothing.
    for _ in 0..2 {
        let (answer, _) = client.write(lines.as_bytes()).await;
        assert_eq!(decide("v1", &answer, 9), Decision::Delivered, "{answer:?}");
    }
    assert_eq!(client.api(), Some("v1"));
    assert_eq!(client.target(), format!("{}/write", server.address()));
    assert_eq!(read_back(&server).await, sent(&lines));

    // Its own words for a line it cannot take: the others are written, the
    // line is not named. Types are per shard, so the time is the same.
    let mixed = format!("vm_metrics,name=x cpu_count=1.5 {0}\nvm_metrics,name=y cpu_count=2i {0}\n", AT.0);
    let (answer, _) = client.write(mixed.as_bytes()).await;
    let Decision::Bisect { why } = decide("v1", &answer, 2) else { panic!("{answer:?}") };
    assert!(why.contains("partial write: field type conflict"), "{why}");
    let written =
        get(&server, "/query", &[("db", "vmstats"), ("q", "SELECT * FROM vm_metrics WHERE \"name\"='y'")]);
    assert!(written.await.contains("\"y\""));
}

#[tokio::test]
async fn influxdb_1_with_passwords() {
    let Some(server) = Server::influxd_with_passwords("influxdb_1_with_passwords") else { return };
    let http = reqwest::Client::new();
    let query = |q: &str| {
        let url = url::Url::parse_with_params(&format!("{}/query", server.url()), [("q", q)]).unwrap();
        http.post(url).basic_auth("ann", Some("s3cret"))
    };
    for q in ["CREATE USER ann WITH PASSWORD 's3cret' WITH ALL PRIVILEGES", "CREATE DATABASE vmstats"] {
        assert_eq!(query(q).send().await.unwrap().status(), 200, "{q}");
    }
    let client = |password: &str| {
        let password = Some(SecretSource::Environment(password.into()));
        Client::new(&Influx { auth: Auth::Basic { user: Some("ann".into()), password }, ..settings(&server) })
            .unwrap()
    };
    let mut right = client("s3cret");
    are(&right.check().await, &[true, true, true]);
    let (answer, _) = right.write(encoded(&settings(&server)).as_bytes()).await;
    assert_eq!(decide("v1", &answer, 9), Decision::Delivered, "{answer:?}");
    let mut wrong = client("wr0ng");
    let checks = wrong.check().await;
    are(&checks, &[true, false]);
    assert!(checks[1].mend.contains("INFLUX_PASSWORD"), "{:?}", checks[1]);
    let (answer, _) = wrong.write(b"m f=1i 1\n").await;
    let Decision::Pause { mend, .. } = decide("v1", &answer, 1) else { panic!("{answer:?}") };
    assert!(mend.contains("INFLUX_PASSWORD"), "{mend}");
}

/// What VictoriaMetrics has: one float series per field, milliseconds.
async fn exported(server: &Server) -> BTreeMap<(String, BTreeMap<String, String>), f64> {
    get(server, "/internal/force_flush", &[]).await;
    let text = get(server, "/api/v1/export", &[("match[]", "{__name__=~\"vm_.*\",host=\"kvm 1\"}")]).await;
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let series: Json = serde_json::from_str(line).unwrap();
        let mut tags: BTreeMap<String, String> = serde_json::from_value(series["metric"].clone()).unwrap();
        let name = tags.remove("__name__").unwrap();
        tags.remove("db");
        assert_eq!(series["timestamps"], serde_json::json!([AT.0 / 1_000_000]), "{line}");
        all.insert((name, tags), series["values"][0].as_f64().unwrap());
    }
    all
}

#[tokio::test]
async fn victoria_metrics_gives_back_every_number() {
    for api in [Api::Auto, Api::V2] {
        let test = "victoria_metrics_gives_back_every_number";
        let Some(server) = Server::victoria_metrics(test) else { return };
        let settings = Influx { api, ..settings(&server) };
        let lines = encoded(&settings);
        let mut client = Client::new(&settings).unwrap();
        let (answer, _) = client.write(lines.as_bytes()).await;
        assert_eq!(decide("v1", &answer, 9), Decision::Delivered, "{answer:?}");
        // It tells no version at /ping; /write is what all understand.
        assert_eq!(client.api(), Some(if api == Api::Auto { "v1" } else { "v2" }));
        are(&client.check().await, &[true, true, true]);

        let exported = exported(&server).await;
        let sent = sent(&lines);
        for ((measurement, tags, field), value) in &sent {
            // It keeps 64-bit floats and nothing but numbers; text reads 0.
            #[allow(clippy::cast_precision_loss, reason = "that is what the server does")]
            let expected = match value {
                Value::Int(value) => *value as f64,
                Value::Float(value) => *value,
                Value::Text(_) => 0.0,
            };
            let name = format!("{measurement}_{field}");
            let stored =
                exported.get(&(name.clone(), tags.clone())).unwrap_or_else(|| panic!("no {name} {tags:?}"));
            assert!((stored - expected).abs() <= expected.abs() * 1e-12, "{name}: {stored} for {expected}");
        }
        assert_eq!(exported.len(), sent.len());

        // An address it does not know is a pause, and no hunt for a bad line.
        let mut v3 = Client::new(&Influx { api: Api::V3, ..settings.clone() }).unwrap();
        let (answer, _) = v3.write(lines.as_bytes()).await;
        let Decision::Pause { mend, .. } = decide("v3", &answer, 9) else { panic!("{answer:?}") };
        assert!(mend.contains("influx.api"), "{mend}");
    }
}
