//! Killed at any instant: the program as its user runs it, under load, to
//! servers that fail in changing ways, is ended by SIGKILL at seeded moments,
//! while it starts too. After each the record is whole, its account closes and
//! the next start is quick; in the end the server has every line that the
//! record had accepted, none altered and none that was never recorded.
//!
//! Thirteen kills; 260 with `KVMSCOPE_TORTURE=1`. `KVMSCOPE_SEED`
//! chooses the moments.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    clippy::print_stdout,
    reason = "a test that fails stops there and shows its seed"
)]

mod double;
mod lab;
mod victim;

use std::{
    collections::{BTreeMap, HashSet},
    sync::mpsc,
    time::Duration,
};

use double::{Double, Mode, RetryAfter};
use influxdb_line_protocol::{FieldValue, parse_lines};
use lab::{processes::Leash, servers::Server};
use serde_json::Value;
use victim::{
    Accepted, DATABASE, Host,
    kills::{Seeded, Starts, alone, kill},
};

/// Kills so often, a third of the time while the program starts, and looks
/// at the record each time. Returns how quick the starts were.
fn kill_again_and_again(
    test: &str,
    host: &Host,
    accepted: &mut Accepted,
    seeded: &mut Seeded,
    kills: u64,
) -> Starts {
    let mut starts = Starts::default();
    let mut while_starting = 0;
    let mut early = false;
    for number in 0..kills {
        // After an early one a start is always timed.
        early = !early && number > 0 && seeded.below(2) == 0;
        while_starting += u64::from(early);
        if early {
            kill(host.start(&[]), seeded.millis(300));
        } else {
            kill(starts.of(host), seeded.millis(if lab::torture() { 2500 } else { 1200 }));
        }
        let found = accepted.look();
        assert_eq!(found.set_aside, None, "kill {number}");
        assert_eq!(
            found.account.dropped_total() + found.account.local,
            0,
            "kill {number}: {:?}",
            found.account
        );
    }
    println!(
        "{test}: {kills} kills, {while_starting} of them while starting, {} lines",
        accepted.lines.len()
    );
    starts
}

/// Changes what the double does at seeded moments until it is told to end.
/// Returns how many requests met it.
fn weather(double: &Double, mut seeded: Seeded, ended: &mpsc::Receiver<()>) -> usize {
    let mut met = 0;
    loop {
        double.set_mode(match seeded.below(20) {
            0 => Mode::Unavailable(None),
            1 => Mode::Unavailable(Some(RetryAfter::Seconds(1))),
            2 => Mode::TooManyRequests(Some(RetryAfter::Date(Duration::from_secs(1)))),
            3 => Mode::Hang,
            4 | 5 => Mode::WriteThenReset,
            6 => Mode::Drip(Duration::from_millis(2)),
            7 => Mode::Disconnect,
            8 => Mode::Failing,
            9 => Mode::Page(502),
            10 => Mode::TooLarge(4000),
            11 => Mode::Unauthorized,
            _ => Mode::Current,
        });
        let ends = ended.recv_timeout(Duration::from_millis(20) + seeded.millis(300));
        met += double.met();
        if ends != Err(mpsc::RecvTimeoutError::Timeout) {
            double.set_mode(Mode::Current);
            return met;
        }
    }
}

#[test]
fn killed_under_a_failing_influxdb_3_nothing_accepted_is_lost() {
    const TEST: &str = "killed under a failing InfluxDB 3";
    let _alone = alone();
    let mut seeded = Seeded::new(TEST, 20_251_121);
    let double = Double::open();
    // Of another type than ours: every line of a disk is refused, in part of a write.
    let before = "vm_devices,VMID=0,name=n,uuid=u,devtype=disk,device=d errors=1.5 1";
    double.put(DATABASE, before);
    let host = Host::new(&double.url());
    let mut accepted = Accepted::of(&host);
    let storm = Seeded(seeded.below(u64::MAX) | 1);
    let (met, starts) = std::thread::scope(|scope| {
        let (end, ended) = mpsc::channel();
        let double = &double;
        let storm = scope.spawn(move || weather(double, storm, &ended));
        let kills = if lab::torture() { 200 } else { 9 };
        let starts = kill_again_and_again(TEST, &host, &mut accepted, &mut seeded, kills);
        drop(end);
        (storm.join().unwrap(), starts)
    });
    assert!(met > 0, "the server failed now and then");
    host.deliver_the_rest();

    let found = accepted.look();
    let journal = host.record();
    let quarantine: HashSet<String> = journal
        .quarantine(usize::MAX)
        .unwrap()
        .into_iter()
        .map(|(_, _, refused)| String::from_utf8(refused.line).unwrap())
        .collect();
    assert!(!quarantine.is_empty() && quarantine.iter().all(|line| line.contains("devtype=disk")));
    assert_eq!(found.account.quarantined, quarantine.len() as u64, "{:?}", found.account);
    let arrived: HashSet<String> = double.lines(DATABASE).into_iter().filter(|line| line != before).collect();
    println!(
        "{TEST}: {met} requests met a fault, {} lines arrived, {} refused",
        arrived.len(),
        quarantine.len()
    );
    let there: HashSet<&String> = arrived.union(&quarantine).collect();
    assert_eq!(accepted.lines.iter().find(|line| !there.contains(line)), None, "lost");
    assert_eq!(arrived.iter().find(|line| !accepted.lines.contains(*line)), None, "invented or altered");
    assert_eq!(arrived.intersection(&quarantine).next(), None, "both");
    assert_eq!(found.account.delivered, arrived.len() as u64, "{:?}", found.account);
    starts.judge(TEST);
}

/// Kills, restarts and freezes the server at seeded moments until it is told
/// to end; leaves it running. Returns how often.
fn trials(server: &mut Server, mut seeded: Seeded, ended: &mpsc::Receiver<()>) -> u64 {
    for trial in 0.. {
        if ended.recv_timeout(seeded.millis(1500)) != Err(mpsc::RecvTimeoutError::Timeout) {
            return trial;
        }
        if seeded.below(3) == 0 {
            let frozen = Leash::stop(server.pid());
            let _ = ended.recv_timeout(seeded.millis(1000));
            drop(frozen);
        } else {
            server.kill();
            let _ = ended.recv_timeout(seeded.millis(500));
            server.restart();
        }
    }
    unreachable!("there is always a next trial");
}

/// A line without the form it is written in: measurement, time and tags, and
/// its fields.
type Points = BTreeMap<(String, i64, BTreeMap<String, String>), BTreeMap<String, Value>>;

fn points<'a>(lines: impl IntoIterator<Item = &'a String>) -> Points {
    let parsed = |line: &String| {
        let line = parse_lines(line).next().unwrap().unwrap();
        let tags = line.series.tag_set.iter().flatten();
        let tags = tags.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let value = |value: &FieldValue| match value {
            FieldValue::I64(value) => Value::from(*value),
            FieldValue::F64(value) => Value::from(*value),
            FieldValue::String(text) => Value::from(text.to_string()),
            other => panic!("{other:?}"),
        };
        let fields = line.field_set.iter().map(|(name, field)| (name.to_string(), value(field))).collect();
        ((line.series.measurement.to_string(), line.timestamp.unwrap(), tags), fields)
    };
    lines.into_iter().map(parsed).collect()
}

fn in_influxdb_1(server: &Server) -> Points {
    const TAGS: [&str; 5] = ["VMID", "name", "uuid", "devtype", "device"];
    let mut points = Points::new();
    for measurement in ["vm_metrics", "vm_features", "vm_devices", "vm_totals"] {
        let answer = server.influxql(DATABASE, &format!("SELECT * FROM {measurement}"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let series = &answer["results"][0]["series"][0];
        let columns: Vec<&str> =
            series["columns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        for row in series["values"].as_array().unwrap() {
            let (mut tags, mut fields) = (BTreeMap::new(), BTreeMap::new());
            for (column, value) in columns.iter().zip(row.as_array().unwrap()).skip(1) {
                match value {
                    Value::Null => {}
                    value if TAGS.contains(column) => {
                        tags.insert((*column).to_owned(), value.as_str().unwrap().to_owned());
                    }
                    value => {
                        fields.insert((*column).to_owned(), value.clone());
                    }
                }
            }
            points.insert((measurement.to_owned(), row[0].as_i64().unwrap(), tags), fields);
        }
    }
    points
}

/// Whether the fields are the same, as far as the way through JSON tells: a 1.0
/// becomes a 1 there, and the last digit of a long one may differ.
fn is_same(one: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>) -> bool {
    let near = |one: &Value, other: &Value| match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= 2.0 * f64::EPSILON * one.abs(),
        _ => false,
    };
    let pairs = one.iter().zip(other);
    one.len() == other.len()
        && pairs.into_iter().all(|((name, value), (other_name, other_value))| {
            name == other_name && (value == other_value || (value.is_f64() && near(value, other_value)))
        })
}

#[test]
fn killed_while_a_real_server_is_killed_nothing_accepted_is_lost() {
    const TEST: &str = "killed while InfluxDB 1 is killed";
    let _alone = alone();
    let Some(mut server) = Server::influxd("killed_while_a_real_server_is_killed") else { return };
    let mut seeded = Seeded::new(TEST, 4_711);
    server.influxql("", &format!("CREATE DATABASE {DATABASE}"));
    let host = Host::new(&server.url());
    let mut accepted = Accepted::of(&host);
    let storm = Seeded(seeded.below(u64::MAX) | 1);
    let (trials, starts) = std::thread::scope(|scope| {
        let (end, ended) = mpsc::channel();
        let server = &mut server;
        let storm = scope.spawn(move || trials(server, storm, &ended));
        let kills = if lab::torture() { 60 } else { 4 };
        let starts = kill_again_and_again(TEST, &host, &mut accepted, &mut seeded, kills);
        drop(end);
        (storm.join().unwrap(), starts)
    });
    host.deliver_the_rest();
    let found = accepted.look();
    assert_eq!(found.account.delivered, accepted.lines.len() as u64, "{:?}", found.account);
    let (expected, there) = (points(&accepted.lines), in_influxdb_1(&server));
    println!("{TEST}: the server was killed or frozen {trials} times, and has {} lines", there.len());
    assert_eq!(expected.len(), accepted.lines.len());
    assert_eq!(expected.iter().find(|(point, _)| !there.contains_key(point)), None, "lost");
    assert_eq!(there.iter().find(|(point, _)| !expected.contains_key(point)), None, "invented");
    let altered = expected.iter().find(|(point, fields)| !is_same(fields, &there[point]));
    assert_eq!(altered.map(|(point, fields)| (point, fields, &there[point])), None, "altered");
    starts.judge(TEST);
}
