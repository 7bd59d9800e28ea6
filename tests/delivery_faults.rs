//! Nothing accepted is lost: recording and delivery against a server that
//! misbehaves in each way a test names, and a record that cannot be written.
//! The server is a scripted double.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test that fails stops there"
)]

mod recording;
mod sample;
mod scripted;

use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use kvmscope::{
    clock::Clock,
    config::{Api, Auth, SecretSource},
    delivery::{Role, claim_in, local},
    journal::{Account, Journal, Limits, file_name},
    model::{
        Missing, Why,
        status::{DeliveryState, StoreState},
    },
};
use recording::{
    LINES, URI, assert_accounted, assert_same, cycle, lines, record, settings, start, wait, wait_settled,
};
use scripted::{Reply, Scripted, Write};

/// Opens the record that delivery has written.
fn open_record(directory: &std::path::Path) -> Journal {
    let limits = Limits::from(&settings(None, None).store);
    Journal::open(directory, &file_name(URI), limits, &mut Account::default(), Clock::system().now().0)
        .unwrap()
        .journal
}

#[test]
fn lines_arrive_in_order_while_the_server_is_well() {
    let server = Scripted::willing();
    let dir = tempfile::tempdir().unwrap();
    let handle = start(settings(Some(server.url()), Some(dir.path())));
    record(&handle, 1..=30);
    let status = wait_settled(&handle, 30 * LINES as u64);
    assert_same(&server.lines(), &lines(1..=30));
    assert_eq!((status.delivered, status.state.clone()), (150, DeliveryState::Delivering));
    assert_eq!(status.last_answer.as_ref().and_then(|answer| answer.status), Some(204));
    assert_eq!(status.api, Some("v3"));
    assert_accounted(&status);
    let (_, store) = wait(&handle, "store", |_, s| s.cycles == 30);
    assert_eq!((store.state, store.lines), (StoreState::Writable, 150));
}

#[test]
fn a_server_that_is_down_gets_everything_in_order_when_it_is_back() {
    let address = Scripted::willing().address();
    let dir = tempfile::tempdir().unwrap();
    let handle = start(settings(Some(format!("http://{address}")), Some(dir.path())));
    record(&handle, 1..=40);
    let (status, _) = wait(&handle, "retrying", |d, _| {
        matches!(d.state, DeliveryState::Retrying { .. }) && d.waiting_on_disk == 200
    });
    assert!(status.backoff.is_some() && status.oldest_waiting == Some(cycle(1).at));
    assert_accounted(&status);
    let server = Scripted::at(address, |_| Reply::Written);
    handle.retry_now();
    record(&handle, 41..=50);
    let status = wait_settled(&handle, 250);
    assert_same(&server.lines(), &lines(1..=50));
    assert!(status.retries > 0 && status.backoff.is_none());
    assert_accounted(&status);
}

#[test]
fn what_waits_at_the_end_is_delivered_after_the_next_start() {
    let address = Scripted::willing().address();
    let dir = tempfile::tempdir().unwrap();
    let url = format!("http://{address}");
    let handle = start(settings(Some(url.clone()), Some(dir.path())));
    record(&handle, 1..=10);
    drop(handle);
    let handle = start(settings(Some(url.clone()), Some(dir.path())));
    record(&handle, 11..=12);
    let (status, _) = wait(&handle, "both", |d, _| d.waiting_on_disk == 60);
    assert_accounted(&status);
    assert!(handle.shutdown(Duration::from_secs(20)));

    let server = Scripted::at(address, |_| Reply::Written);
    let handle = start(settings(Some(url), Some(dir.path())));
    record(&handle, 13..=13);
    let status = wait_settled(&handle, 65);
    assert_same(&server.lines(), &lines(1..=13));
    assert_eq!(status.delivered, 65);
    assert_accounted(&status);
}

#[test]
fn shutdown_sends_what_waits_and_does_not_outstay_its_deadline() {
    let server = Scripted::willing();
    let dir = tempfile::tempdir().unwrap();
    let handle = start(settings(Some(server.url()), Some(dir.path())));
    record(&handle, 1..=20);
    assert!(handle.shutdown(Duration::from_secs(30)));
    assert_same(&server.lines(), &lines(1..=20));

    server.rescript(|_| Reply::Hang);
    let handle = start(settings(Some(server.url()), Some(dir.path())));
    record(&handle, 21..=21);
    server.wait("the hanging request", |_, writes| writes > 1);
    let begun = Instant::now();
    assert!(handle.shutdown(Duration::from_millis(300)));
    assert!(begun.elapsed() < Duration::from_secs(20), "the request's own timeout is 30 s");
    drop(handle);
    assert_eq!(open_record(dir.path()).waiting(), 5);
}

#[test]
fn a_token_that_is_refused_pauses_and_a_new_one_in_its_file_resumes() {
    let check = |write: &Write| match write.authorization.as_deref() {
        Some("Bearer good") => Reply::Written,
        _ => Reply::status(401, ""),
    };
    let server = Scripted::new(check);
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    fs::write(&token, "rotten-7f3a").unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.auth = Auth::Token(Some(SecretSource::File(token.clone())));
    let handle = start(settings);
    record(&handle, 1..=3);
    let (status, _) = wait(&handle, "paused", |d, _| matches!(d.state, DeliveryState::Paused { .. }));
    let DeliveryState::Paused { mend, .. } = &status.state else { unreachable!() };
    assert!(mend.contains("INFLUX_TOKEN"), "{mend}");
    assert!(!format!("{status:?}").contains("rotten"), "no secret in the figures");
    record(&handle, 4..=6);
    wait(&handle, "all kept", |d, _| d.waiting_on_disk == 30);
    fs::write(&token, "good\n").unwrap();
    let status = wait_settled(&handle, 30);
    assert_same(&server.lines(), &lines(1..=6));
    assert_accounted(&status);
}

#[test]
fn missing_credentials_pause_delivery_and_the_local_record_goes_on() {
    let server = Scripted::willing();
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.auth = Auth::Token(None);
    let handle = start(settings);
    record(&handle, 1..=3);
    let (status, store) =
        wait(&handle, "paused", |d, s| matches!(d.state, DeliveryState::Paused { .. }) && s.lines == 15);
    let DeliveryState::Paused { why, .. } = &status.state else { unreachable!() };
    assert!(why.contains("INFLUX_TOKEN"), "{why}");
    assert_eq!((status.waiting_on_disk, store.state), (15, StoreState::Writable));
    assert_eq!(server.writes(), 0);
}

/// The index of the line of NIC vnet1 in cycles divisible by ten.
fn poisoned(write: &Write) -> Vec<usize> {
    let poison: BTreeSet<String> =
        (1..=10).flat_map(|n| lines([n * 10])).filter(|line| line.contains("device=vnet1")).collect();
    (0..write.lines.len()).filter(|index| poison.contains(&write.lines[*index])).collect()
}

fn all_but(write: &Write, out: &[usize]) -> Vec<usize> {
    (0..write.lines.len()).filter(|index| !out.contains(index)).collect()
}

/// Poisons one line in each of ten cycles and checks that exactly those are
/// quarantined, each with the server's words.
fn poison(api: Api, script: impl FnMut(&Write) -> Reply + Send + 'static, words: &str) {
    let server = Scripted::new(script);
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.api = api;
    // All in one batch or few: siblings are there to show who is to blame.
    settings.influx.batch_max_sec = Duration::from_millis(500);
    let handle = start(settings);
    record(&handle, 1..=100);
    let status = wait_settled(&handle, 500);
    assert_eq!((status.delivered, status.quarantined), (490, 10), "{status:#?}");
    assert_accounted(&status);
    let bad: Vec<String> =
        (1..=10).flat_map(|n| lines([n * 10])).filter(|line| line.contains("device=vnet1")).collect();
    let arrived: BTreeSet<String> = server.lines().into_iter().collect();
    let good: BTreeSet<String> = lines(1..=100).into_iter().filter(|line| !bad.contains(line)).collect();
    assert_eq!(arrived, good);
    // The last one of the ten is shown, with the server's words.
    let shown = status.last_refused.clone().unwrap();
    assert!(bad.contains(&shown.line) && shown.words.contains(words), "{shown:?}");
    drop(handle);
    // After the next start, too.
    let mut again = recording::settings(None, Some(dir.path()));
    again.influx.batch_max_sec = Duration::from_millis(500);
    let handle = start(again);
    let (status, _) = wait(&handle, "opened", |_, s| s.cycles == 100);
    assert_eq!(status.last_refused, Some(shown));
    drop(handle);
    let kept = open_record(dir.path()).quarantine(100).unwrap();
    let kept_lines: Vec<String> =
        kept.iter().map(|(_, _, refused)| String::from_utf8(refused.line.clone()).unwrap()).collect();
    assert_eq!(kept_lines, bad);
    assert!(kept.iter().all(|(_, _, refused)| refused.message.contains(words)), "{kept:?}");
}

#[test]
fn poisoned_lines_that_v3_lists_are_quarantined_and_all_others_delivered() {
    let script = |write: &Write| {
        let bad = poisoned(write);
        if bad.is_empty() {
            return Reply::Written;
        }
        let listed: Vec<String> = bad
            .iter()
            .map(|index| {
                format!(
                    r#"{{"original_line":"vm_de","line_number":{},"error_message":"no such type"}}"#,
                    index + 1
                )
            })
            .collect();
        let body =
            format!(r#"{{"error":"partial write of line protocol occurred","data":[{}]}}"#, listed.join(","));
        Reply::Partly(400, body, all_but(write, &bad))
    };
    poison(Api::V3, script, "no such type");
}

#[test]
fn poisoned_lines_that_are_named_one_by_one_are_taken_out() {
    let script = |write: &Write| match poisoned(write).first() {
        None => Reply::Written,
        Some(index) => Reply::status(
            400,
            &format!(
                r#"{{"error":"parsing failed","data":{{"original_line":"","line_number":{},"error_message":"bad value"}}}}"#,
                index + 1
            ),
        ),
    };
    poison(Api::V1, script, "bad value");
}

#[test]
fn poisoned_lines_that_nobody_names_are_found_by_halving() {
    let script = |write: &Write| {
        if poisoned(write).is_empty() {
            Reply::Written
        } else {
            Reply::status(400, r#"{"code":"invalid","message":"unable to parse: invalid number"}"#)
        }
    };
    poison(Api::V2, script, "invalid number");
}

#[test]
fn a_poisoned_line_that_is_always_alone_in_its_batch_holds_nothing_up() {
    let server = Scripted::new(|write| match poisoned(write)[..] {
        [] => Reply::Written,
        _ => Reply::status(400, r#"{"code":"invalid","message":"unable to parse"}"#),
    });
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.api = Api::V2;
    settings.influx.batch_max_lines = 1;
    let handle = start(settings);
    record(&handle, 9..=12);
    handle.retry_now();
    let status = wait_settled(&handle, 20);
    assert_eq!((status.delivered, status.quarantined), (19, 1), "{status:#?}");
    assert_accounted(&status);
}

#[test]
fn when_every_line_fails_alike_nothing_is_quarantined_and_all_of_it_waits() {
    let server = Scripted::new(|_| Reply::status(400, r#"{"error":"I do not like this"}"#));
    let dir = tempfile::tempdir().unwrap();
    let handle = start(settings(Some(server.url()), Some(dir.path())));
    record(&handle, 1..=30);
    let (status, _) = wait(&handle, "paused with all of it", |d, _| {
        matches!(d.state, DeliveryState::Paused { .. }) && d.emitted == 150
    });
    assert_eq!((status.waiting(), status.quarantined), (150, 0));
    server.rescript(|_| Reply::Written);
    handle.retry_now();
    let status = wait_settled(&handle, 150);
    assert_eq!(status.delivered, 150);
    assert_same(&server.lines(), &lines(1..=30));
}

#[test]
fn too_large_requests_are_halved_until_they_fit() {
    let server =
        Scripted::new(
            |write| {
                if write.bytes > 2000 { Reply::status(413, "too large") } else { Reply::Written }
            },
        );
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.batch_max_sec = Duration::from_millis(200);
    let handle = start(settings);
    record(&handle, 1..=50);
    let status = wait_settled(&handle, 250);
    assert_same(&server.lines(), &lines(1..=50));
    assert_accounted(&status);
}

#[test]
fn an_answer_that_is_lost_repeats_lines_and_counts_them_once() {
    let mut requests = 0;
    let server = Scripted::new(move |_| {
        requests += 1;
        if requests % 3 == 1 { Reply::WrittenThenReset } else { Reply::Written }
    });
    let dir = tempfile::tempdir().unwrap();
    let handle = start(settings(Some(server.url()), Some(dir.path())));
    record(&handle, 1..=5);
    wait_settled(&handle, 25);
    record(&handle, 6..=10);
    let status = wait_settled(&handle, 50);
    assert_eq!(status.delivered, 50);
    let mut seen = BTreeSet::new();
    let first_time: Vec<String> =
        server.lines().into_iter().filter(|line| seen.insert(line.clone())).collect();
    assert_same(&first_time, &lines(1..=10));
    assert_accounted(&status);
}

#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::clone(&asked);
    let server = Scripted::new(move |_| {
        let mut times = times.lock().unwrap();
        times.push(Instant::now());
        if times.len() == 1 {
            Reply::Status(503, "retry-after: 2\r\n".into(), "busy".into())
        } else {
            Reply::Written
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let handle = start(settings(Some(server.url()), Some(dir.path())));
    record(&handle, 1..=1);
    wait_settled(&handle, 5);
    let asked = asked.lock().unwrap();
    assert!(asked[1] - asked[0] >= Duration::from_secs(2), "{:?}", asked[1] - asked[0]);
}

#[test]
fn a_record_that_cannot_be_kept_is_red_and_lines_go_from_memory_until_it_can() {
    let address = Scripted::willing().address();
    let dir = tempfile::tempdir().unwrap();
    // A file where a directory should be: not even root can write below it.
    let blocked = dir.path().join("state");
    fs::write(&blocked, "").unwrap();
    let place = blocked.join("kvmscope");
    let mut settings = settings(Some(format!("http://{address}")), Some(&place));
    settings.influx.max_queue = 10 * LINES;
    let handle = start(settings);
    record(&handle, 1..=10);
    let (status, store) = wait(&handle, "in memory", |d, s| {
        d.waiting_in_memory == 50 && matches!(s.state, StoreState::Failing { .. })
    });
    assert_accounted(&status);
    let StoreState::Failing { why, .. } = &store.state else { unreachable!() };
    assert!(why.contains("state/kvmscope") && why.contains("store.path"), "{why}");

    record(&handle, 11..=14);
    // What is just being sent comes on top of the bound, until it has failed.
    let (status, _) =
        wait(&handle, "the oldest dropped", |d, _| d.emitted == 70 && d.waiting_in_memory == 50);
    assert_eq!(status.dropped_total(), 20);
    assert!(status.dropped.contains_key("memory queue full"));

    fs::remove_file(&blocked).unwrap();
    let (status, store) = wait(&handle, "on disk again", |d, s| d.waiting_on_disk == 50 && s.lines == 50);
    assert_eq!((store.state, status.waiting_in_memory), (StoreState::Writable, 0));
    assert_accounted(&status);
    let server = Scripted::at(address, |_| Reply::Written);
    handle.retry_now();
    record(&handle, 15..=15);
    let status = wait_settled(&handle, 75);
    assert_same(&server.lines(), &lines(5..=15));
    assert_accounted(&status);
    // The loss is still told after a restart.
    drop(handle);
    assert_eq!(open_record(&place).account().dropped_total(), 20);
}

#[test]
fn without_a_record_lines_are_delivered_from_memory() {
    let mut requests = 0;
    let server = Scripted::new(move |_| {
        requests += 1;
        if requests < 3 { Reply::status(503, "") } else { Reply::Written }
    });
    let handle = start(settings(Some(server.url()), None));
    record(&handle, 1..=20);
    let status = wait_settled(&handle, 100);
    assert_same(&server.lines(), &lines(1..=20));
    assert_eq!(status.delivered, 100);
    assert_accounted(&status);
    record(&handle, 21..=22);
    assert!(handle.shutdown(Duration::from_secs(30)));
    assert_same(&server.lines(), &lines(1..=22));
}

#[test]
fn lines_that_were_in_memory_alone_at_the_end_are_counted_as_lost() {
    let address = Scripted::willing().address();
    let handle = start(settings(Some(format!("http://{address}")), None));
    record(&handle, 1..=4);
    let status = handle.status();
    assert!(handle.shutdown(Duration::from_millis(100)));
    let (delivery, _) = status.borrow().clone();
    assert_eq!((delivery.emitted, delivery.dropped_total(), delivery.waiting()), (20, 20, 0));
    assert_accounted(&delivery);
}

#[test]
fn without_a_url_the_record_is_local_and_complete() {
    let dir = tempfile::tempdir().unwrap();
    let handle = start(settings(None, Some(dir.path())));
    let mut hung = cycle(2);
    let mut domain = (*hung.domains[0]).clone();
    let since = cycle(1).at;
    domain.reading.disks = Err(Missing::since(Why::MonitorNotAnswering, since));
    hung.domains = vec![Arc::new(domain)].into();
    record(&handle, [1]);
    handle.record(Arc::new(hung.clone()));
    record(&handle, [3]);
    let (status, store) = wait(&handle, "recorded", |_, s| s.cycles == 3);
    assert_eq!((status.state, status.waiting_on_disk, status.target), (DeliveryState::Off, 0, None));
    assert_eq!(store.covers_since, Some(cycle(1).at));
    drop(handle);

    let rows = open_record(dir.path()).rows(0, 10).unwrap();
    let text: Vec<String> = rows
        .iter()
        .flat_map(|row| {
            String::from_utf8(row.bytes.clone().unwrap())
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(text[..5] == lines([1]) && text[text.len() - 5..] == lines([3]));
    let (version, local) = rows[1].local.clone().unwrap();
    assert_eq!(version, local::VERSION);
    let local::Decoded::Read(mut read) = local::decode(version, &local) else { panic!("set aside") };
    read.name_by(rows[1].bytes.as_deref().unwrap());
    let [domain] = &*read.domains else { panic!("{read:?}") };
    let name = domain.name.as_ref().unwrap();
    assert_eq!((&*name.name, read.number), ("web-1", 2));
    assert_eq!(name.uuid.to_string(), "550e8400-e29b-41d4-a716-446655440000");
    assert_eq!(domain.missing.disks, Some(Missing::since(Why::MonitorNotAnswering, since)));
}

#[test]
fn a_url_that_is_set_later_gets_what_is_recorded_from_then_on() {
    let server = Scripted::willing();
    let dir = tempfile::tempdir().unwrap();
    let handle = start(settings(None, Some(dir.path())));
    record(&handle, 1..=5);
    assert!(handle.shutdown(Duration::ZERO));
    let handle = start(settings(Some(server.url()), Some(dir.path())));
    record(&handle, 6..=8);
    let status = wait_settled(&handle, 15);
    assert_same(&server.lines(), &lines(6..=8));
    assert_accounted(&status);
}

#[test]
fn a_record_that_is_removed_while_in_use_is_begun_anew_and_its_loss_counted() {
    let address = Scripted::willing().address();
    let dir = tempfile::tempdir().unwrap();
    let handle = start(settings(Some(format!("http://{address}")), Some(dir.path())));
    record(&handle, 1..=4);
    wait(&handle, "recorded", |d, _| d.waiting_on_disk == 20);
    for entry in fs::read_dir(dir.path()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let (status, store) = wait(&handle, "noticed", |d, _| d.dropped_total() == 20);
    assert_accounted(&status);
    assert_eq!(store.state, StoreState::Writable);
    record(&handle, 5..=6);
    let server = Scripted::at(address, |_| Reply::Written);
    handle.retry_now();
    let status = wait_settled(&handle, 30);
    assert_eq!(status.delivered, 10);
    assert_same(&server.lines(), &lines(5..=6));
    assert_accounted(&status);
}

#[test]
fn a_second_process_on_the_host_only_looks() {
    let locks = tempfile::tempdir().unwrap();
    let first = claim_in(locks.path(), URI, "kvmscope agent").unwrap();
    assert!(matches!(first, Role::Recording(Some(_))));
    let second = claim_in(locks.path(), URI, "kvmscope").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("record");
    let server = Scripted::willing();
    let handle =
        start(kvmscope::delivery::Settings { role: second, ..settings(Some(server.url()), Some(&place)) });
    handle.record(Arc::new(cycle(1)));
    let (delivery, store) = handle.status().borrow().clone();
    let StoreState::ReadOnly { holder } = &store.state else { panic!("{store:?}") };
    assert_eq!(*holder, format!("kvmscope agent (process {})", std::process::id()));
    assert_eq!((delivery.state, delivery.emitted), (DeliveryState::Off, 0));
    assert!(handle.shutdown(Duration::ZERO));
    assert!(!place.exists() && server.writes() == 0, "it records and sends nothing");

    // The lock is held until the recording process has ended its delivery.
    let recorder = start(kvmscope::delivery::Settings { role: first, ..settings(None, Some(&place)) });
    assert!(matches!(claim_in(locks.path(), URI, "x").unwrap(), Role::Looking { .. }));
    recorder.shutdown(Duration::ZERO);
    assert!(matches!(claim_in(locks.path(), URI, "x").unwrap(), Role::Recording(Some(_))));
}
