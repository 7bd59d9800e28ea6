//! Delivery to a server that goes away, comes back, and comes back as another
//! one: the InfluxDB 3 double.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test that fails stops there"
)]

mod double;
mod recording;
mod sample;

use std::{collections::BTreeSet, fs, time::Duration};

use double::{Double, Fault, Mode, RetryAfter};
use kvmscope::{
    config::{Api, Auth, SecretSource},
    model::status::{DeliveryState, DeliveryStatus},
};
use recording::{LINES, assert_accounted, assert_same, lines, record, settings, start, wait, wait_settled};

const DATABASE: &str = "vmstats";

#[test]
fn the_double_gets_every_line_across_a_restart_and_a_frozen_spell() {
    let server = Double::open();
    let address = server.address();
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.api = Api::Auto;
    settings.influx.timeout = Duration::from_millis(500);
    let handle = start(settings);
    record(&handle, 1..=10);
    let status = wait_settled(&handle, 50);
    assert_eq!(status.api, Some("v3"), "found by asking");
    assert_same(&server.lines(DATABASE), &lines(1..=10));

    server.always(Some(Fault::Hang));
    record(&handle, 11..=20);
    wait(&handle, "retrying", |d, _| matches!(d.state, DeliveryState::Retrying { .. }));
    server.always(None);
    server.next(Fault::WriteThenReset);
    handle.retry_now();
    wait_settled(&handle, 100);
    let arrived: BTreeSet<String> = server.lines(DATABASE).into_iter().collect();
    assert_eq!(arrived, lines(1..=20).into_iter().collect());

    drop(server);
    record(&handle, 21..=30);
    wait(&handle, "retrying", |d, _| matches!(d.state, DeliveryState::Retrying { .. }));
    let server = Double::open_at(address);
    handle.retry_now();
    let status = wait_settled(&handle, 150);
    assert_same(&server.lines(DATABASE), &lines(21..=30));
    assert_accounted(&status);
}

#[test]
fn a_server_that_comes_late_and_never_says_what_it_is_is_found() {
    let address = Double::open().address();
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(format!("http://{address}")), Some(dir.path()));
    settings.influx.api = Api::Auto;
    let handle = start(settings);
    record(&handle, 1..=5);
    let (status, _) =
        wait(&handle, "retrying", |d, _| matches!(d.state, DeliveryState::Retrying { .. }) && d.retries > 0);
    assert_eq!((status.api, status.waiting()), (None, 25));
    let server = Double::open_at(address);
    server.set_mode(Mode::NoPing);
    handle.retry_now();
    let status = wait_settled(&handle, 25);
    assert_eq!((status.api, status.quarantined), (Some("v3"), 0));
    assert_same(&server.lines(DATABASE), &lines(1..=5));
    assert_accounted(&status);
}

#[test]
fn another_server_in_the_place_of_the_first_is_asked_what_it_is() {
    let server = Double::open();
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.api = Api::Auto;
    let handle = start(settings);
    record(&handle, 1..=5);
    assert_eq!(wait_settled(&handle, 25).api, Some("v3"));
    // In the midst of it, without a word.
    server.set_mode(Mode::LikeVictoriaMetrics);
    record(&handle, 6..=10);
    let status = wait_settled(&handle, 50);
    assert_eq!((status.api, status.retries, status.quarantined), (Some("v1"), 0, 0));
    // After a spell of answers that call for patience: asked again each time.
    server.set_mode(Mode::Unavailable(None));
    record(&handle, 11..=15);
    wait(&handle, "retrying", |d, _| matches!(d.state, DeliveryState::Retrying { .. }));
    server.set_mode(Mode::Current);
    handle.retry_now();
    assert_eq!(wait_settled(&handle, 75).api, Some("v3"));
    // And after one that calls for the operator.
    server.set_mode(Mode::Unauthorized);
    record(&handle, 16..=20);
    wait(&handle, "paused", |d, _| matches!(d.state, DeliveryState::Paused { .. }));
    server.set_mode(Mode::WriteOnly);
    handle.retry_now();
    let status = wait_settled(&handle, 100);
    assert_eq!(status.api, Some("v1"));
    assert_same(&server.lines(DATABASE), &lines(1..=20));
    assert_accounted(&status);
}

#[test]
fn a_token_rotated_while_running_pauses_and_resumes_without_a_restart() {
    let server = Double::guarded("first-token");
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    fs::write(&token, "first-token\n").unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.api = Api::Auto;
    settings.influx.auth = Auth::Token(Some(SecretSource::File(token.clone())));
    let handle = start(settings);
    record(&handle, 1..=3);
    wait_settled(&handle, 15);
    server.set_token(Some("second-token"));
    record(&handle, 4..=4);
    let (status, _) = wait(&handle, "paused", |d, _| matches!(d.state, DeliveryState::Paused { .. }));
    assert_eq!(status.waiting(), 5);
    fs::write(&token, "second-token\n").unwrap();
    let status = wait_settled(&handle, 20);
    assert_same(&server.lines(DATABASE), &lines(1..=4));
    assert!(!format!("{status:?}").contains("-token"), "{status:?}");
    assert_accounted(&status);
}

#[test]
fn a_token_file_that_changes_beside_a_failure_is_read_and_delivery_goes_on() {
    let server = Double::guarded("first-token");
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    fs::write(&token, "first-token\n").unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.api = Api::V3;
    settings.influx.auth = Auth::Token(Some(SecretSource::File(token.clone())));
    let handle = start(settings);
    record(&handle, 1..=3);
    wait_settled(&handle, 15);
    // Long before anything fails.
    fs::write(&token, "first-token\n\n").unwrap();
    server.set_mode(Mode::Unavailable(Some(RetryAfter::Seconds(2))));
    record(&handle, 4..=4);
    wait(&handle, "a second failure", |d, _| d.retries >= 1);
    server.set_mode(Mode::Current);
    wait_settled(&handle, 20);
    // And while the next try is awaited.
    server.set_mode(Mode::Unavailable(Some(RetryAfter::Seconds(2))));
    record(&handle, 5..=5);
    wait(&handle, "retrying", |d, _| matches!(d.state, DeliveryState::Retrying { .. }));
    fs::write(&token, "second-token\n").unwrap();
    server.set_token(Some("second-token"));
    server.set_mode(Mode::Current);
    let status = wait_settled(&handle, 25);
    assert_same(&server.lines(DATABASE), &lines(1..=5));
    assert_accounted(&status);
}

/// `vm_devices` has an older, other type for `rxbytes`: every NIC's line is
/// refused, by each API in its own words, and nothing else is.
fn conflict(api: Api, server: &Double, url: &str) -> DeliveryStatus {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(url.to_owned()), Some(dir.path()));
    settings.influx.api = api;
    settings.influx.batch_max_sec = Duration::from_millis(300);
    let handle = start(settings);
    record(&handle, 1..=20);
    let status = wait_settled(&handle, 20 * LINES as u64);
    assert_eq!((status.delivered, status.quarantined), (60, 40), "{status:#?}");
    assert_accounted(&status);
    let arrived: BTreeSet<String> =
        server.lines(DATABASE).into_iter().filter(|line| !line.starts_with("vm_devices,old")).collect();
    let good: BTreeSet<String> =
        lines(1..=20).into_iter().filter(|line| !line.contains("devtype=nic")).collect();
    assert_eq!(arrived, good);
    status
}

#[test]
fn lines_that_conflict_with_a_column_are_quarantined_on_each_api() {
    for api in [Api::V3, Api::V2, Api::V1] {
        let server = Double::open();
        let old = "vm_devices,old=x rxbytes=1.5 1";
        server.put(DATABASE, old);
        conflict(api, &server, &server.url());
    }
}
