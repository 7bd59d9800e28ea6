//! Hostile input to what takes input from outside: a server's answer, and the
//! names and numbers of a hypervisor. No panic, no hang, and what comes out
//! keeps its promises. (The record's files: `fuzz_record`.)
//!
//! Seeded (`KVMSCOPE_SEED`) and short; ten million inputs with
//! `KVMSCOPE_TORTURE=1`. Each input is made from the seed and its number alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    clippy::print_stdout,
    reason = "a test that fails stops there and shows its seed"
)]

mod fuzzing;
mod lab;
mod sample;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use fuzzing::{Chance, Run, mutate};
use influxdb_line_protocol::{FieldValue, parse_lines};
use kvmscope::{
    config::MissingPolicy,
    delivery::local,
    influx::{
        line::Encoder,
        policy::{Answer, Decision, FailedStep, RefusedLine, decide, summary},
    },
    model::{
        DomainFrame, DomainState, Frame, Identity, Kib, Measured, Missing, MonoTime, Nanos, WallTime, Why,
        name::is_unfit,
        rates::{DiskRates, VcpuRates},
        reading::{
            CpuCounters, DiskCounters, DiskReading, DiskSize, GuestMemory, MemorySize, NicCounters,
            NicReading,
        },
    },
};
use uuid::Uuid;

/// How many inputs a run has in the short form and in the long one.
fn inputs(short: u64, long: u64) -> u64 {
    if lab::torture() { long } else { short }
}

/// As much of a body as the client reads.
const LONGEST_BODY: usize = 64 * 1024;

#[derive(serde::Deserialize)]
struct Transcript {
    request: Request,
    response: Response,
}

#[derive(serde::Deserialize)]
struct Request {
    body: String,
}

#[derive(serde::Deserialize)]
struct Response {
    status: u16,
    body: String,
}

/// Bodies of portals and proxies, and shapes no recording has.
const BODIES: &[&str] = &[
    "<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1><script>if (a<b) {}</script></body>",
    "<!doctype html><style>a{}</style>Sign in",
    r#"{"error":"e","data":[{"error_message":"b","line_number":3},{"error_message":"a","line_number":1}]}"#,
    r#"{"error":"e","data":{"error_message":"m","line_number":18446744073709551615}}"#,
    r#"{"code":"invalid","message":"write buffer error"}"#,
    r#"{"error":"partial write: field type conflict: input field \"f\" is type float dropped=1"}"#,
    "remoteAddr: \"127.0.0.1:44740\"; unsupported path requested: \"/api/v3/write_lp\"",
];

/// What means something in JSON, HTML, UTF-8 or to the policy; one a word.
const IN_BODIES: &str = "\" \\ { [ ]} \0 \r\n \u{1b}[31m null -1 0 1 18446744073709551616 1e999 \"data\": \
    \"data\":[ \"line_number\": \"error\": \"error_message\": \"message\": < > </ <title> </title <script> \
    </script> <STYLE \\ud800 \u{202e} \u{130} \u{feff} ü bucket [[[[[[[[[[[[[[[[ {\"data\":{\"data\":";

#[test]
fn no_answer_breaks_the_policy() {
    let recorded: Vec<Transcript> =
        serde_json::from_str(include_str!("data/influxdb3-transcripts.json")).unwrap();
    let mut bodies: Vec<&str> = recorded.iter().map(|t| t.response.body.as_str()).collect();
    bodies.extend(recorded.iter().map(|t| t.request.body.as_str()));
    bodies.extend(BODIES);
    let mut statuses: Vec<u16> = recorded.iter().map(|t| t.response.status).collect();
    // What looks into bodies most comes most often.
    statuses.extend([400, 400, 400, 400, 400, 413, 422, 422, 422, 422]);
    statuses.extend([200, 204, 301, 401, 404, 408, 429, 501, 503, 0, 99, u16::MAX]);
    let interesting: Vec<&[u8]> = IN_BODIES
        .split(' ')
        .map(str::as_bytes)
        .chain([&b"\xff"[..], b"\xc3", b"database not found"])
        .collect();
    let seen = Mutex::new(HashSet::new());
    Run::new("answers", 20_251_121).over(
        inputs(30_000, 6_000_000),
        |_| (),
        |(), _, chance| {
            let mut body = chance.pick(&bodies).as_bytes().to_vec();
            let other = chance.pick(&bodies).as_bytes();
            mutate(chance, &mut body, other, &interesting, LONGEST_BODY);
            let body = String::from_utf8_lossy(&body).into_owned();
            let answer = if chance.one_in(50) {
                use FailedStep::{Connect, Credentials, Timeout, Tls, Transfer};
                let step = *chance.pick(&[Connect, Tls, Timeout, Transfer, Credentials]);
                Answer::Failed { step, text: body }
            } else {
                let status = if chance.one_in(20) {
                    chance.below(700)
                } else {
                    chance.pick(&statuses).to_owned().into()
                };
                let wish = chance.one_in(3).then(|| Duration::from_secs(chance.next() >> chance.below(64)));
                Answer::Http { status: u16::try_from(status).unwrap(), retry_after: wish, body }
            };
            let lines = *chance.pick(&[1, 2, 3, 9, 320, 100_000]);
            let api = *chance.pick(&["v1", "v2", "v3"]);
            let decision = decide(api, &answer, lines);
            assert_documented(&answer, lines, &decision);
            seen.lock().unwrap().insert(std::mem::discriminant(&decision));
            assert_fit(&summary(&answer), &answer);
        },
    );
    assert_eq!(seen.into_inner().unwrap().len(), 7, "every kind of decision was reached");
}

/// One line that a screen can show.
fn assert_fit(words: &str, answer: &Answer) {
    assert!(!words.chars().any(is_unfit), "{words:?} of {answer:?}");
    assert!(words.chars().count() <= 300, "{} characters of {answer:?}", words.chars().count());
}

/// Whether the decision is one that the answer may lead to.
fn assert_documented(answer: &Answer, lines: usize, decision: &Decision) {
    let status = match answer {
        Answer::Http { status, .. } => Some(*status),
        Answer::Failed { .. } => None,
    };
    let refused = matches!(status, Some(400 | 422));
    let within = |line: &RefusedLine| {
        assert_fit(&line.message, answer);
        line.index < lines
    };
    let right = match decision {
        Decision::Delivered => matches!(status, Some(200..=299)),
        Decision::DeliveredExcept(named) => {
            let ascending = named.windows(2).all(|pair| pair[0].index < pair[1].index);
            refused && !named.is_empty() && ascending && named.iter().all(within)
        }
        Decision::Retry { after, why } => {
            assert_fit(why, answer);
            let transient = matches!(status, None | Some(408 | 425 | 429 | 500 | 502..=599));
            transient && after.is_none_or(|after| after <= Duration::from_mins(10))
        }
        Decision::Pause { why, mend } => {
            assert_fit(why, answer);
            let named = !mend.is_empty() && (status.is_none() || !why.is_empty());
            named && !matches!(status, Some(408 | 413 | 429 | 503))
        }
        Decision::Halve => status == Some(413) && lines > 1,
        Decision::TakeOut(line) => (refused || (status == Some(413) && lines == 1)) && within(line),
        Decision::Bisect { why } => {
            assert_fit(why, answer);
            refused
        }
    };
    assert!(right, "{decision:?} after {answer:?} to {lines} lines");
}

const NAMES: &[&str] = &[
    "web-1",
    "",
    "\\",
    "a b,c=d\"'",
    "x\\,y\\=z\\ ",
    "#comment",
    "line\nvm_metrics,VMID=1 state=\"on\" 1\n",
    "\u{1b}[31mred\u{7}",
    "\r\t\0\u{85}\u{2028}\u{202e}",
    "Ünïcode-虚拟机-🦀",
    "'\"`$(reboot)",
    "\u{130}\u{feff}",
    "_",
    "time",
    "name=other",
    "{\"error\":1}",
    "a\\\\",
    "\u{10ffff}",
];

const IN_NAMES: &[&[u8]] = &[
    b"\\",
    b",",
    b"=",
    b" ",
    b"\n",
    b"\"",
    b"\0",
    b"\x1b",
    b"#",
    b"\xe2\x80\xa8",
    "ü".as_bytes(),
    b"\\\\",
    b"\t",
];

fn name(chance: &mut Chance) -> Arc<str> {
    let name = *chance.pick(NAMES);
    if chance.one_in(2) {
        return name.into();
    }
    let mut bytes = name.as_bytes().to_vec();
    let other = chance.pick(NAMES).as_bytes();
    let longest = if chance.one_in(500) { 40_000 } else { 120 };
    mutate(chance, &mut bytes, other, IN_NAMES, longest);
    String::from_utf8_lossy(&bytes).into()
}

fn number(chance: &mut Chance) -> u64 {
    const EXTREMES: [u64; 8] =
        [0, 1, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 1 << 32, 10_000_000_000];
    if chance.one_in(2) { *chance.pick(&EXTREMES) } else { chance.next() >> chance.below(64) }
}

fn counter(chance: &mut Chance) -> Option<u64> {
    (!chance.one_in(8)).then(|| number(chance))
}

fn measured<T>(chance: &mut Chance, make: impl FnOnce(&mut Chance) -> T) -> Measured<T> {
    const WHYS: [Why; 5] = [
        Why::NotOffered,
        Why::MonitorNotAnswering,
        Why::HostdevNic,
        Why::NoDisks,
        Why::NotAsked { stuck: u16::MAX },
    ];
    if chance.one_in(5) { Err(Missing::new(*chance.pick(&WHYS))) } else { Ok(make(chance)) }
}

fn any_domain(chance: &mut Chance) -> DomainFrame {
    const RATES: [f64; 9] = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        -0.0,
        f64::MIN_POSITIVE,
        5e-324,
        -1.5,
    ];
    let kib = |chance: &mut Chance| counter(chance).map(Kib);
    let nanos = |chance: &mut Chance| counter(chance).map(Nanos);
    let identity = Arc::new(Identity {
        // Few, so that domains come back, change, and are there twice.
        uuid: Uuid::from_u128(u128::from(chance.byte() % 3)),
        id: (!chance.one_in(6)).then(|| *chance.pick(&[0, 1, 7, u32::MAX])),
        name: name(chance),
    });
    let mut reading = sample::reading(identity);
    reading.state = DomainState::from_code(i64::from(chance.byte() % 9));
    reading.at = WallTime(*chance.pick(&[0, -1, i64::MIN, i64::MAX, sample::AT.0]));
    reading.mono = MonoTime(0);
    reading.cpu =
        measured(chance, |c| CpuCounters { time: Nanos(number(c)), user: nanos(c), system: nanos(c) });
    reading.vcpu_count = measured(chance, |c| u32::try_from(number(c)).unwrap_or(u32::MAX));
    reading.memory = measured(chance, |c| MemorySize { current: Kib(number(c)), maximum: Kib(number(c)) });
    reading.rss = measured(chance, |c| Kib(number(c)));
    reading.guest_memory = measured(chance, |c| GuestMemory {
        available: kib(c),
        usable: kib(c),
        unused: kib(c),
        swap_in: kib(c),
        swap_out: kib(c),
        major_faults: counter(c),
        minor_faults: counter(c),
        disk_caches: kib(c),
        last_update: counter(c),
    });
    reading.nics = measured(chance, |c| {
        let nic = |c: &mut Chance| NicReading {
            name: name(c),
            counters: measured(c, |c| NicCounters {
                rx_bytes: counter(c),
                rx_packets: counter(c),
                tx_bytes: counter(c),
                tx_drops: counter(c),
                ..NicCounters::default()
            }),
        };
        (0..c.below(4)).map(|_| nic(c)).collect()
    });
    reading.disks = measured(chance, |c| {
        let disk = |c: &mut Chance| DiskReading {
            name: name(c),
            counters: measured(c, |c| DiskCounters {
                rd_reqs: counter(c),
                rd_bytes: counter(c),
                wr_bytes: counter(c),
                errors: counter(c),
                ..DiskCounters::default()
            }),
            size: DiskSize::default(),
        };
        (0..c.below(4)).map(|_| disk(c)).collect()
    });
    let mut domain = sample::domain(reading);
    let rate = |c: &mut Chance| if c.one_in(2) { *c.pick(&RATES) } else { f64::from_bits(c.next()) };
    domain.rates.memory_kib_per_s = measured(chance, rate);
    domain.rates.memory_held = chance.one_in(6);
    domain.rates.cpu_percent = measured(chance, rate);
    domain.rates.overhead_cores = measured(chance, rate);
    domain.rates.steal_percent = measured(chance, rate);
    domain.rates.vcpus = (0..chance.below(4))
        .map(|_| VcpuRates {
            index: *chance.pick(&[0, 1, 2, u32::MAX]),
            percent: measured(chance, rate),
            steal_percent: measured(chance, rate),
        })
        .collect();
    let disks: Vec<Arc<str>> = domain.reading.disks.iter().flatten().map(|d| d.name.clone()).collect();
    domain.rates.disks = disks
        .into_iter()
        .map(|name| {
            let mut rates = DiskRates::missing(Missing::new(Why::FirstReading));
            rates.ms_per_read = measured(chance, rate);
            rates.ms_per_flush = measured(chance, rate);
            rates.flushes_per_s = measured(chance, rate);
            rates.reads_per_s = measured(chance, rate);
            (name, rates)
        })
        .collect();
    domain.fresh = !chance.one_in(8);
    domain
}

#[test]
fn no_frame_breaks_the_encoder() {
    Run::new("frames", 4_711).over(
        inputs(8_000, 3_500_000),
        |_| (Vec::new(), Vec::new()),
        |(out, again), number, chance| {
            let missing = *chance.pick(&[MissingPolicy::Zero, MissingPolicy::Omit]);
            let tags = match chance.below(3) {
                0 => BTreeMap::from([("rack".to_owned(), name(chance).to_string())]),
                _ => BTreeMap::new(),
            };
            let mut encoder = Encoder::new(missing, &tags).unwrap();
            let mut twin = Encoder::new(missing, &tags).unwrap();
            // The encoder remembers: it sees a few frames of the same domains.
            for _ in 0..=chance.below(3) {
                let domains = (0..chance.below(4)).map(|_| any_domain(chance)).collect();
                let frame = sample::frame(domains);
                out.clear();
                let done = encoder.encode(&frame, out);
                assert_lines(out, done.lines);
                if number % 8 == 0 {
                    again.clear();
                    assert_eq!(twin.encode(&frame, again), done);
                    assert!(out == again, "one input, two outputs");
                    assert_read_back(&frame, out, done.lines);
                }
            }
        },
    );
}

/// What is kept beside the lines comes back as it went in, and damage to it is
/// set aside with a word.
#[test]
fn no_local_part_breaks_its_reader() {
    Run::new("local parts", 3_141).over(
        inputs(8_000, 500_000),
        |_| (local::Encoder::default(), Encoder::new(MissingPolicy::Zero, &BTreeMap::new()).unwrap()),
        |(locals, encoder), _, chance| {
            let domains: Vec<_> = (0..chance.below(4)).map(|_| any_domain(chance)).collect();
            let names: Vec<_> =
                domains.iter().filter(|d| d.is_live()).map(|d| d.reading.identity.clone()).collect();
            let frame = sample::frame(domains);
            let mut lines = Vec::new();
            encoder.encode(&frame, &mut lines);
            let bytes = locals.encode(&frame);
            let local::Decoded::Read(mut read) = local::decode(local::VERSION, &bytes) else {
                panic!("set aside: {frame:?}")
            };
            let mut made = local::Cycle::of(&frame, read.host.is_some());
            // Sizes are told once in ten seconds, of each domain.
            let mut sized = local::Cycle::of(&frame, true);
            for ((read, made), sized) in read.domains.iter().zip(&mut made.domains).zip(&mut sized.domains) {
                if read.disks.iter().any(|disk| disk.size.is_some()) {
                    std::mem::swap(&mut made.disks, &mut sized.disks);
                }
            }
            assert_eq!(*read, made);
            read.name_by(&lines);
            for (domain, identity) in read.domains.iter().zip(&names) {
                let name = domain.name.as_ref().unwrap();
                let as_stored = kvmscope::model::name::storable(&identity.name);
                assert!(*name.name == *as_stored || *name.name == *identity.name, "{name:?} {identity:?}");
                assert_eq!((Some(domain.id), name.uuid), (identity.id, identity.uuid));
            }
            let mut damaged = bytes.clone();
            mutate(chance, &mut damaged, &bytes, &[b"\xff\xff\xff\xff", b"\0\0\0\0"], 64 * 1024);
            for version in [1, 2, 3] {
                if let local::Decoded::SetAside { word } = local::decode(version, &damaged) {
                    assert!(!word.is_empty());
                }
            }
        },
    );
}

fn assert_lines(out: &[u8], lines: u64) {
    assert_eq!(out.split_inclusive(|byte| *byte == b'\n').count() as u64, lines);
    assert!(out.is_empty() || out.ends_with(b"\n"));
    let control = out.iter().find(|byte| **byte != b'\n' && byte.is_ascii_control());
    assert_eq!(control, None, "{}", String::from_utf8_lossy(out));
}

/// The parser of `InfluxData` takes every line, each for one of ours.
fn assert_read_back(frame: &Frame, out: &[u8], lines: u64) {
    let text = std::str::from_utf8(out).unwrap();
    let mut seen = 0;
    for line in parse_lines(text) {
        let line = line.unwrap_or_else(|error| panic!("{error} in {text}"));
        seen += 1;
        let measurement = line.series.measurement.as_str();
        let ours = ["vm_metrics", "vm_features", "vm_devices", "vm_totals"];
        assert!(ours.contains(&measurement), "{measurement:?} in {text}");
        let tags = line.series.tag_set.unwrap();
        assert!(["VMID", "name", "uuid"].iter().zip(&tags).all(|(key, (found, _))| found == key), "{text}");
        let uuid = tags[2].1.to_string();
        let known = frame.domains.iter().filter(|d| d.is_live() && d.identity().uuid.to_string() == uuid);
        let at = line.timestamp.unwrap();
        assert!(known.clone().any(|domain| domain.fresh && domain.reading.at.0 == at), "{text}");
        for (key, value) in line.field_set {
            let sound = match value {
                FieldValue::I64(value) => value >= 0,
                FieldValue::F64(value) => value.is_finite() && measurement == "vm_features",
                FieldValue::String(_) => key == "state" && measurement == "vm_metrics",
                _ => false,
            };
            assert!(sound, "{key} in {text}");
        }
    }
    assert_eq!(seen, lines, "{text}");
}
