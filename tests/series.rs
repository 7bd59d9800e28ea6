//! One domain read from the record over a span: every field of every
//! measurement as it was, and why it was missing; and no more cycles than were
//! asked for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod sample;
mod scenes;

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use kvmscope::{
    config::{MissingPolicy, Store},
    delivery::lookback::series::{Series, SeriesError, Span},
    model::{AngleScale, DomainFrame, Frame, WallTime},
    telemetry::{
        Json,
        measurements::{self, MEASUREMENTS, Measurement},
    },
};
use scenes::{GOES, HANGS, Record, SECOND, Scene};

const CYCLES: u64 = 44;

/// A record of the scenes, its cycles in rows of so many lines.
fn recorded(directory: &Path, most: usize) -> (Record, Vec<Frame>) {
    let mut record = Record::open(directory, MissingPolicy::Zero);
    let mut scene = Scene::default();
    let frames: Vec<Frame> = (1..=CYCLES).map(|number| scene.cycle(number)).collect();
    for frame in &frames {
        record.append(frame, most);
    }
    (record, frames)
}

fn series(directory: &Path) -> Series {
    let store = Store { path: Some(directory.to_owned()), ..Store::default() };
    Series::open(&store, scenes::URI, AngleScale::default()).unwrap()
}

fn span(vm: u32, since: WallTime, until: WallTime, step: i64) -> Span {
    let deadline = Instant::now() + Duration::from_mins(1);
    Span {
        uuid: scenes::uuid(vm).parse().unwrap(),
        since,
        until,
        step,
        lead: false,
        most: u64::MAX,
        deadline,
    }
}

/// Every field of a domain, by measurement, device and name.
fn values(domain: &DomainFrame) -> BTreeMap<String, Result<Json, String>> {
    let names = |domain: &DomainFrame| {
        let nics = domain.reading.nics.iter().flatten().map(|nic| nic.name.to_string());
        let disks = domain.reading.disks.iter().flatten().map(|disk| disk.name.to_string());
        nics.chain(disks).collect::<Vec<_>>()
    };
    let mut all = BTreeMap::new();
    for (measurement, name) in MEASUREMENTS {
        for field in measurements::fields(measurement) {
            let devices =
                if measurement == Measurement::Devices { names(domain) } else { vec![String::new()] };
            for device in devices {
                let value = measurements::value(domain, field, Some(&device));
                all.insert(format!("{name} {device} {}", field.name), value);
            }
        }
    }
    all
}

#[test]
fn every_field_of_every_cycle_is_as_it_was_and_so_is_why_it_was_missing() {
    for most in [2000, 3] {
        let directory = tempfile::tempdir().unwrap();
        let (_record, frames) = recorded(directory.path(), most);
        let series = series(directory.path());
        for vm in 1..=7 {
            let mut shown = frames.iter();
            let span = span(vm, frames[0].at, frames[frames.len() - 1].at, 1);
            series
                .walk(&span, |point| {
                    let frame = shown.next().expect("a cycle too many");
                    assert_eq!(point.closed, frame.at, "VM {vm}");
                    let expected = frame.find(&scenes::uuid(vm));
                    assert_eq!(point.domain.is_some(), expected.is_some(), "VM {vm} in {}", frame.cycle);
                    if let (Some(back), Some(expected)) = (point.domain, expected) {
                        assert_eq!(back.identity(), expected.identity());
                        let (back, expected) = (values(back), values(expected));
                        for (field, value) in &expected {
                            assert_eq!(back.get(field), Some(value), "VM {vm} in {}: {field}", frame.cycle);
                        }
                        assert_eq!(back.len(), expected.len(), "VM {vm} in {}", frame.cycle);
                    }
                })
                .unwrap();
            assert_eq!(shown.len(), 0, "VM {vm}: cycles are not told, rows of {most}");
        }
    }
}

#[test]
fn of_each_step_the_last_cycle_is_told_and_steps_without_any_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let (_record, frames) = recorded(directory.path(), 3);
    let series = series(directory.path());
    let since = frames[0].at;
    for seconds in [2, 5, 20, 1000] {
        let step = i64::try_from(seconds * SECOND).unwrap();
        let mut expected = BTreeMap::new();
        for frame in &frames {
            expected.insert((frame.at.0 - since.0) / step, frame.at);
        }
        let mut told = Vec::new();
        let span = span(HANGS, since, frames[frames.len() - 1].at, step);
        series.walk(&span, |point| told.push(point.closed)).unwrap();
        assert_eq!(told, expected.into_values().collect::<Vec<_>>(), "{seconds} s");
    }
}

#[test]
fn the_cycle_before_a_span_leads_in_and_a_walk_ends_when_it_is_enough() {
    let directory = tempfile::tempdir().unwrap();
    let (_record, frames) = recorded(directory.path(), 3);
    let series = series(directory.path());
    let told = |since: usize, step: i64, lead: bool, most: u64| {
        let mut told = Vec::new();
        let span = Span { lead, most, ..span(1, frames[since].at, frames[20].at, step) };
        series.walk(&span, |point| told.push((point.closed, point.stamp.number))).unwrap();
        told
    };
    let cycle = |at: usize| (frames[at].at, Some(frames[at].cycle));
    assert_eq!(told(5, 1, true, 2), [cycle(4), cycle(5), cycle(6)]);
    assert_eq!(told(5, 1, false, 2), [cycle(5), cycle(6)]);
    assert_eq!(told(0, 1, true, 1), [cycle(0)], "there is none before the first");
    // The steps are counted from the span's beginning all the same.
    let step = i64::try_from(5 * SECOND).unwrap();
    assert_eq!(told(5, step, true, 9)[1..], told(5, step, false, 9));
}

#[test]
fn a_span_is_kept_to_and_what_is_beyond_the_record_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    let (_record, frames) = recorded(directory.path(), 2000);
    let series = series(directory.path());
    let told = |vm: u32, since: WallTime, until: WallTime| {
        let mut told = Vec::new();
        series.walk(&span(vm, since, until, 1), |point| told.push(point.domain.is_some())).unwrap();
        told
    };
    assert_eq!(told(1, frames[4].at, frames[6].at), [true; 3]);
    assert_eq!(told(GOES, frames[27].at, frames[30].at), [true, true, false, false]);
    assert_eq!(told(99, frames[0].at, frames[2].at), [false; 3], "one that never was");
    assert_eq!(told(1, WallTime(0), WallTime(7)), [] as [bool; 0]);
    assert_eq!(told(1, WallTime(i64::MAX - 1), WallTime(i64::MAX)), [] as [bool; 0]);
    let covers = series.covers().unwrap().unwrap();
    assert_eq!((covers.from, covers.to), (frames[0].at, frames[frames.len() - 1].at));
    assert!(series.lines_of_a_cycle().unwrap() >= 7);
}

#[test]
fn what_takes_too_long_is_given_up_and_no_record_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let (_record, frames) = recorded(directory.path(), 2000);
    let series = series(directory.path());
    let late = Span { deadline: Instant::now(), ..span(1, frames[0].at, frames[9].at, 1) };
    let mut told = 0;
    let given_up = series.walk(&late, |_| told += 1);
    assert!(matches!(given_up, Err(SeriesError::TooLong)) && told == 1, "{told}");
    let none = Store { path: None, ..Store::default() };
    assert!(matches!(Series::open(&none, scenes::URI, AngleScale::default()), Err(SeriesError::Off)));
    let elsewhere = tempfile::tempdir().unwrap();
    let store = Store { path: Some(elsewhere.path().to_owned()), ..Store::default() };
    assert!(matches!(Series::open(&store, scenes::URI, AngleScale::default()), Err(SeriesError::Look(_))));
}
