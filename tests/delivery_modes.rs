//! One recording through every mode of the InfluxDB 3 double: the fault comes,
//! is seen, and goes; everything accepted arrives or is accounted for, nothing
//! is invented, and every figure published on the way adds up.
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
#[path = "lab/skip.rs"]
mod skip;

use std::{collections::BTreeSet, ops::RangeInclusive, path::Path, time::Duration};

use double::{Double, Mode, RetryAfter, Tls, certificates};
use kvmscope::{
    config::Api,
    delivery::{Handle, Settings, ledger::reason},
    model::status::{DeliveryState, DeliveryStatus},
};
use recording::{
    LINES, assert_same, lines, quarantined, record, settings, start, wait, wait_settled, watcher,
};

const DATABASE: &str = "vmstats";
/// For a whole request: short, so that a server that hangs does not hold the test up.
const TIMEOUT: Duration = Duration::from_millis(400);

/// Cycles before the fault, while it is there, and after it.
const BEFORE: RangeInclusive<u64> = 1..=10;
const DURING: RangeInclusive<u64> = 11..=50;
const AFTER: RangeInclusive<u64> = 51..=70;

/// What an operator sees while the fault is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    /// All goes on.
    Delivering,
    /// It is tried again, after at least so long.
    Retrying(Duration),
    /// The operator is asked to do something, with this word in it.
    Paused(&'static str),
}

/// Which lines are refused, and a part of the words kept with each.
type Refusal = (fn(&str) -> bool, &'static str);

/// One row of the table.
struct Row {
    name: &'static str,
    mode: Mode,
    shows: Shows,
    /// Lines that must end in quarantine, of those recorded during the fault.
    refused: Option<Refusal>,
    /// One line of each cycle conflicts with a column, before and after too.
    poisoned: bool,
}

fn row(name: &'static str, mode: Mode, shows: Shows) -> Row {
    Row { name, mode, shows, refused: None, poisoned: false }
}

const AT_ONCE: Shows = Shows::Retrying(Duration::ZERO);

fn table() -> Vec<Row> {
    let seconds = Duration::from_secs;
    let date = |span| Some(RetryAfter::Date(seconds(span)));
    vec![
        Row { poisoned: true, ..row("3.10", Mode::Current, Shows::Delivering) },
        Row { poisoned: true, ..row("before 3.10", Mode::Before310, Shows::Delivering) },
        row("no /ping", Mode::NoPing, Shows::Delivering),
        row("/write alone", Mode::WriteOnly, Shows::Delivering),
        row("VictoriaMetrics' addresses", Mode::LikeVictoriaMetrics, Shows::Delivering),
        row("503", Mode::Unavailable(None), AT_ONCE),
        row("503, seconds", Mode::Unavailable(Some(RetryAfter::Seconds(20))), Shows::Retrying(seconds(20))),
        // A date has whole seconds: up to one of them is cut off.
        row("503, date", Mode::Unavailable(date(20)), Shows::Retrying(seconds(19))),
        row("429", Mode::TooManyRequests(None), AT_ONCE),
        row("429, seconds", Mode::TooManyRequests(Some(RetryAfter::Seconds(9))), Shows::Retrying(seconds(9))),
        row("429, date", Mode::TooManyRequests(date(3600)), Shows::Retrying(seconds(599))),
        row("401, then mended", Mode::Unauthorized, Shows::Paused("INFLUX_TOKEN")),
        row("413 above 1200 bytes", Mode::TooLarge(1200), Shows::Delivering),
        Row {
            refused: Some((|line| line.len() + 1 > 300, "max request size")),
            ..row("413 above 300 bytes", Mode::TooLarge(300), Shows::Delivering)
        },
        row("500, plain text", Mode::Failing, AT_ONCE),
        row("a page, 200", Mode::Page(200), Shows::Paused("a web page answered")),
        row("a page, 502", Mode::Page(502), AT_ONCE),
        row("hang", Mode::Hang, AT_ONCE),
        row("drip", Mode::Drip(Duration::from_millis(2)), Shows::Delivering),
        row("drip for ever", Mode::Drip(Duration::from_millis(100)), AT_ONCE),
        row("written, then reset", Mode::WriteThenReset, AT_ONCE),
        row("disconnect mid-request", Mode::Disconnect, AT_ONCE),
    ]
}

fn prepared(url: String, directory: Option<&Path>) -> Settings {
    let mut settings = settings(Some(url), directory);
    settings.influx.api = Api::Auto;
    settings.influx.timeout = TIMEOUT;
    settings.influx.connect_timeout = TIMEOUT;
    settings
}

fn is_shown(status: &DeliveryStatus, shows: Shows) -> bool {
    match (&status.state, shows) {
        (DeliveryState::Delivering, Shows::Delivering) => true,
        (DeliveryState::Retrying { .. }, Shows::Retrying(least)) => {
            status.backoff.is_some_and(|backoff| backoff >= least)
        }
        (DeliveryState::Paused { mend, .. }, Shows::Paused(word)) => mend.contains(word),
        _ => false,
    }
}

/// What arrived, each line where it came first: an answer that was lost makes
/// a line come twice, which is the same point.
fn firsts(arrived: Vec<String>) -> Vec<String> {
    let mut known = BTreeSet::new();
    arrived.into_iter().filter(|line| known.insert(line.clone())).collect()
}

/// Lines of these cycles.
fn count(cycles: &RangeInclusive<u64>) -> u64 {
    cycles.clone().count() as u64 * LINES as u64
}

/// Hands over one cycle after the other, each once the one before is recorded.
fn record_slowly(handle: &Handle, cycles: RangeInclusive<u64>) {
    cycles.for_each(|cycle| record(handle, [cycle]));
}

/// Records through one fault at `double`.
fn through(row: &Row, double: &Double, ca: Option<&Path>) {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = prepared(double.url(), Some(dir.path()));
    settings.influx.ca_file = ca.map(Path::to_owned);
    if row.poisoned {
        // Another type than the lines of this measurement have.
        double.put(DATABASE, "vm_totals,old=x cputime=\"text\" 1");
    }
    if matches!(row.mode, Mode::NoPing) {
        // Nothing else is asked there than what it lacks.
        double.set_mode(row.mode.clone());
    }
    let handle = start(settings);
    let watcher = watcher::Watcher::start(&handle);
    record_slowly(&handle, BEFORE);
    wait_settled(&handle, count(&BEFORE));
    let met_before = double.met();
    double.set_mode(row.mode.clone());
    record_slowly(&handle, DURING);
    wait(&handle, row.name, |status, _| is_shown(status, row.shows));
    if row.shows == Shows::Delivering {
        wait_settled(&handle, count(&BEFORE) + count(&DURING));
    }
    assert!(row.poisoned || met_before + double.met() > 0, "{}: the fault was not met", row.name);
    double.set_mode(Mode::Current);
    handle.retry_now();
    record_slowly(&handle, AFTER);
    let all = *AFTER.end();
    wait_settled(&handle, all * LINES as u64);
    assert!(handle.shutdown(Duration::from_secs(10)), "{}", row.name);
    drop(handle);
    let (figures, last) = watcher.end();
    assert!(figures > 10, "{}: only {figures} figures seen", row.name);

    let during = lines(DURING);
    let is_refused = |line: &String| {
        row.refused.is_some_and(|(refused, _)| refused(line)) && during.contains(line)
            || row.poisoned && line.starts_with("vm_totals,")
    };
    let (refused, good): (Vec<_>, Vec<_>) = lines(1..=all).into_iter().partition(is_refused);
    let mut arrived = firsts(double.lines(DATABASE));
    arrived.retain(|line| !line.starts_with("vm_totals,old="));
    let mut expected = good.clone();
    if matches!(row.mode, Mode::Before310) {
        // Lines that are tried alone, to see whether any is taken, come before
        // their elders.
        arrived.sort_unstable();
        expected.sort_unstable();
    }
    assert_same(&arrived, &expected);
    let kept = quarantined(dir.path());
    assert_eq!(kept.iter().map(|(line, _)| line).collect::<Vec<_>>(), refused.iter().collect::<Vec<_>>());
    let words = row.refused.map_or("column 'cputime'", |(_, words)| words);
    assert!(kept.iter().all(|(_, message)| message.contains(words)), "{}: {kept:?}", row.name);
    assert_eq!(
        row.refused.is_some() || row.poisoned,
        !kept.is_empty(),
        "{}: a row of refusals has some",
        row.name
    );
    assert_eq!((last.delivered, last.quarantined), (good.len() as u64, refused.len() as u64), "{}", row.name);
    assert_eq!((last.waiting(), last.dropped_total()), (0, 0), "{}", row.name);
}

#[test]
fn every_fault_is_seen_survived_and_accounted_for() {
    std::thread::scope(|scope| {
        for row in table() {
            let thread = std::thread::Builder::new().name(row.name.to_owned());
            thread.spawn_scoped(scope, move || through(&row, &Double::open(), None)).unwrap();
        }
    });
}

#[test]
fn an_encrypted_server_with_an_own_ca_is_no_different() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    if !certificates::made_in(directory.path()) {
        skip::skipped("an_encrypted_server_with_an_own_ca", "openssl is not installed");
        return;
    }
    let (certificate, key, ca) = (at("server.pem"), at("server.key"), at("ca.pem"));
    for mode in [Mode::Unavailable(None), Mode::WriteThenReset, Mode::Disconnect, Mode::Hang] {
        let double = Double::encrypted(&Tls { certificate: &certificate, key: &key, client_ca: None });
        through(&row("TLS", mode, AT_ONCE), &double, Some(&ca));
    }
}

#[test]
fn lines_that_no_longer_fit_into_memory_are_dropped_by_their_reason() {
    // Of all lines, by their place.
    let fault =
        usize::try_from(count(&BEFORE)).unwrap()..usize::try_from(count(&BEFORE) + count(&DURING)).unwrap();
    let double = Double::open();
    let mut settings = prepared(double.url(), None);
    settings.influx.max_queue = 6 * LINES;
    let handle = start(settings);
    let watcher = watcher::Watcher::start(&handle);
    // Not more at once than fits: only the fault is to cost lines.
    let one_by_one = |cycles: RangeInclusive<u64>| {
        for cycle in cycles {
            record(&handle, [cycle]);
            wait(&handle, "settled", |status, _| {
                status.emitted == cycle * LINES as u64 && status.waiting() == 0
            });
        }
    };
    one_by_one(BEFORE);
    double.set_mode(Mode::Hang);
    record_slowly(&handle, DURING);
    wait(&handle, "dropped", |status, _| status.dropped_total() > 0);
    double.set_mode(Mode::Current);
    handle.retry_now();
    wait(&handle, "settled", |status, _| status.emitted == fault.end as u64 && status.waiting() == 0);
    one_by_one(AFTER);
    let all = lines(1..=*AFTER.end());
    drop(handle);
    let (_, last) = watcher.end();
    let arrived = firsts(double.lines(DATABASE));
    assert_eq!(last.dropped.keys().collect::<Vec<_>>(), [reason::QUEUE_FULL]);
    assert_eq!(arrived.len() as u64, last.delivered);
    assert_eq!(last.delivered + last.dropped_total(), all.len() as u64);
    // What is left is whole, in order, and lacks only the oldest of the fault.
    let gone: Vec<usize> = (0..all.len()).filter(|index| !arrived.contains(&all[*index])).collect();
    assert_eq!(gone.len() as u64, last.dropped_total());
    let left: Vec<String> = all.iter().filter(|line| arrived.contains(line)).cloned().collect();
    assert_same(&arrived, &left);
    assert!(gone.iter().all(|index| fault.contains(index)), "{gone:?}");
}
