//! One poisoned line in each of 100 batches: exactly those end in quarantine,
//! each with the server's words, and all others are delivered. By each API of
//! the InfluxDB 3 double, and by InfluxDB 1.6 as a process of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test that fails stops there"
)]

mod double;
mod lab;
mod recording;
mod sample;

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use double::{Double, Mode};
use kvmscope::{
    clock::Clock,
    config::Api,
    model::status::{DeliveryState, DeliveryStatus},
};
use lab::servers::Server;
use recording::{LINES, cycle_at, encoded, quarantined, settings, start, wait, watcher::Watcher};

const DATABASE: &str = "vmstats";
const BATCHES: u64 = 100;

/// The first cycle's time, so that all of them, and what comes before, lie in
/// one week of InfluxDB 1, which keeps column types by the week.
fn base() -> i64 {
    const WEEK: i64 = 7 * 86_400;
    // Weeks begin on Mondays; the epoch was a Thursday.
    let begun = |seconds: i64| (seconds + 3 * 86_400) / WEEK;
    let now = Clock::system().now().0.seconds();
    let span = i64::try_from(BATCHES).unwrap() + 60;
    if begun(now - span) == begun(now + span) { now } else { now - 3 * span }
}

/// A line with which `cputime` of `vm_totals` is text, and each cycle has one
/// line that says otherwise.
fn old(base: i64) -> String {
    format!("vm_totals,old=x cputime=\"text\" {}", (base - 30) * 1_000_000_000)
}

fn is_poisoned(line: &str) -> bool {
    line.starts_with("vm_totals,")
}

/// Records and delivers the batches to `url`; returns the figures at the end.
/// What is in quarantine then is held against the lines that are poisoned.
fn deliver(url: String, api: Api, base: i64, words: &str) -> DeliveryStatus {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(url), Some(dir.path()));
    settings.influx.api = api;
    settings.influx.batch_max_lines = LINES;
    settings.influx.batch_max_sec = Duration::from_millis(500);
    let handle = start(settings);
    let watcher = Watcher::start(&handle);
    for number in 1..=BATCHES {
        handle.record(Arc::new(cycle_at(number, base)));
        if number % 15 == 0 {
            wait(&handle, "recorded", |status, _| status.emitted >= number * LINES as u64);
        }
    }
    let all = BATCHES * LINES as u64;
    wait(&handle, "settled", |status, _| status.emitted == all && status.waiting() == 0);
    drop(handle);
    let (_, status) = watcher.end();
    assert_eq!((status.delivered, status.quarantined), (all - BATCHES, BATCHES), "{status:#?}");
    assert_eq!((status.dropped_total(), status.state.clone()), (0, DeliveryState::Delivering));
    assert_quarantined(dir.path(), base, words);
    status
}

fn lines(base: i64) -> Vec<String> {
    (1..=BATCHES).flat_map(|number| encoded(&cycle_at(number, base))).collect()
}

fn assert_quarantined(directory: &Path, base: i64, words: &str) {
    let kept = quarantined(directory);
    let poisoned: Vec<String> = lines(base).into_iter().filter(|line| is_poisoned(line)).collect();
    assert_eq!(kept.iter().map(|(line, _)| line.clone()).collect::<Vec<_>>(), poisoned);
    assert!(kept.iter().all(|(_, message)| message.contains(words)), "{:?}", kept.first());
}

#[test]
fn exactly_the_poisoned_lines_are_quarantined_by_each_api() {
    let base = base();
    for (api, mode) in [
        (Api::V3, Mode::Current),
        (Api::V3, Mode::Before310),
        (Api::V2, Mode::Current),
        (Api::V1, Mode::Current),
        (Api::Auto, Mode::LikeVictoriaMetrics),
    ] {
        let double = Double::open();
        double.set_mode(mode);
        double.put(DATABASE, &old(base));
        deliver(double.url(), api, base, "column 'cputime'");
        // Nothing else is there, and each line as it was; where a batch is
        // taken apart, a line may come more than once.
        let arrived: BTreeSet<String> =
            double.lines(DATABASE).into_iter().filter(|line| !line.contains("old=x")).collect();
        let good: BTreeSet<String> = lines(base).into_iter().filter(|line| !is_poisoned(line)).collect();
        assert_eq!(arrived, good, "{api:?}");
        let batches: BTreeSet<String> = double
            .requests()
            .into_iter()
            .filter(double::Request::is_write)
            .map(|request| request.text())
            .filter(|text| text.lines().count() == LINES && text.lines().any(is_poisoned))
            .collect();
        assert_eq!(batches.len() as u64, BATCHES, "{api:?}: each batch has one of them");
    }
}

#[test]
fn exactly_the_poisoned_lines_are_quarantined_by_influxdb_1() {
    let Some(server) = Server::influxd("exactly_the_poisoned_lines_are_quarantined_by_influxdb_1") else {
        return;
    };
    let base = base();
    server.influxql("", &format!("CREATE DATABASE {DATABASE}"));
    let (status, answer) = lab::http::request(
        server.address(),
        "POST",
        &format!("/write?db={DATABASE}&precision=ns"),
        old(base).as_bytes(),
    )
    .unwrap();
    assert_eq!(status, 204, "{answer}");
    deliver(server.url(), Api::Auto, base, "field type conflict");

    let rows = |statement: &str| -> Vec<Vec<serde_json::Value>> {
        let json: serde_json::Value = serde_json::from_str(&server.influxql(DATABASE, statement)).unwrap();
        let series = json["results"][0]["series"].as_array().cloned().unwrap_or_default();
        series
            .iter()
            .flat_map(|series| series["values"].as_array().unwrap().clone())
            .map(|row| row.as_array().unwrap().clone())
            .collect()
    };
    let found: Vec<_> =
        rows("SELECT cputime_ns FROM vm_metrics").iter().map(|row| row[1].as_u64().unwrap()).collect();
    assert_eq!(found, (1..=BATCHES).map(|number| number * 1_000_003).collect::<Vec<_>>());
    let count = |field: &str| rows(&format!("SELECT count({field}) FROM vm_devices"))[0][1].as_u64();
    assert_eq!((count("rxbytes"), count("rd_bytes")), (Some(2 * BATCHES), Some(BATCHES)));
    let totals = rows("SELECT * FROM vm_totals");
    assert_eq!(totals.len(), 1, "the old line alone: {totals:?}");
}
