//! Looking back shows what the screen showed: every value of then, and every
//! reason of then, however the record was treated meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod recording;
mod sample;
mod scenes;

use std::{
    path::Path,
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use kvmscope::{
    config::{MissingPolicy, Store},
    delivery::lookback::{Reader, Settings},
    journal::{Event, Limits, Look, LookError},
    model::{
        AngleScale, DomainFrame, Frame, Happening, Measured, Missing, WallTime, Why,
        history::Metric,
        past::{Answer, Found, Moment, Past, Question, is_recorded},
        rates::{DiskRates, NetRates},
        timeline::Weight,
    },
};
use scenes::{GOES, HANGS, PLAIN, POOR, RESTARTS, Record, SECOND, Scene, TAKES_TURNS, UNREAD};

/// A reader and its answers.
struct Asked {
    reader: Reader,
    answers: Receiver<Answer>,
}

impl Asked {
    fn start(directory: Option<&Path>) -> Self {
        let (tell, answers) = mpsc::channel();
        let settings = Settings {
            store: Store { path: directory.map(Path::to_owned), ..Store::default() },
            libvirt_uri: scenes::URI.into(),
            scale: AngleScale::default(),
        };
        let reader = Reader::start(settings, move |answer| drop(tell.send(answer))).unwrap();
        Self { reader, answers }
    }

    fn ask(&self, moment: Moment, history: usize) -> Found {
        self.reader.ask(Question { moment, history });
        let answer = self.answers.recv_timeout(Duration::from_mins(1)).expect("an answer");
        assert_eq!(answer.question, Question { moment, history });
        answer.found
    }

    fn seen(&self, moment: Moment, history: usize) -> Past {
        match self.ask(moment, history) {
            Found::Seen(past) => past,
            other => panic!("{moment:?}: {other:?}"),
        }
    }
}

fn of(frame: &Frame, vm: u32) -> &DomainFrame {
    frame.find(&scenes::uuid(vm)).unwrap_or_else(|| panic!("VM {vm} at {}", frame.cycle))
}

#[track_caller]
fn near(back: Measured<f64>, shown: Measured<f64>, by: f64, what: &str) {
    match (back, shown) {
        (Ok(back), Ok(shown)) => assert!((back - shown).abs() <= by, "{what}: {back} for {shown}"),
        (back, shown) => assert_eq!(back, shown, "{what}"),
    }
}

/// Exactly the same, but for the last digit of a floating number.
#[track_caller]
fn equal(back: Measured<f64>, shown: Measured<f64>, what: &str) {
    near(back, shown, shown.map_or(0.0, |shown| shown.abs() * 1e-9), what);
}

/// Compares all that the screen shows of a domain.
#[track_caller]
fn assert_same(back: &DomainFrame, shown: &DomainFrame, what: &str) {
    assert_eq!(back.identity(), shown.identity(), "{what}");
    assert_eq!((back.fresh, back.health, back.job), (shown.fresh, shown.health, shown.job), "{what}");
    let (r, s) = (&back.reading, &shown.reading);
    assert_eq!(r.state, s.state, "{what}");
    if shown.fresh {
        assert_eq!((r.at, r.state_reason), (s.at, s.state_reason), "{what}");
    }
    assert_eq!((r.cpu, r.vcpu_count, r.memory, r.rss), (s.cpu, s.vcpu_count, s.memory, s.rss), "{what}");
    assert_eq!(r.memory_used(), s.memory_used(), "{what}");
    match (r.guest_memory, s.guest_memory) {
        (Ok(mut r), Ok(mut s)) => {
            (s.last_update, r.last_update) = (None, None);
            s.unused = s.unused.filter(|_| s.usable.is_none());
            assert_eq!(r, s, "{what}");
        }
        (r, s) => assert_eq!(r, s, "{what}"),
    }
    let halted = |of: &DomainFrame| {
        of.reading.vcpus.clone().map(|v| v.iter().map(|v| (v.index, v.halted)).collect::<Vec<_>>())
    };
    assert_eq!(halted(back), halted(shown), "{what}");
    match (&r.nics, &s.nics) {
        (Ok(r), Ok(s)) => {
            let all = |of: &[kvmscope::model::reading::NicReading]| {
                let mut all: Vec<_> = of.iter().map(|nic| (nic.name.clone(), nic.counters)).collect();
                all.sort_by(|a, b| a.0.cmp(&b.0));
                all
            };
            assert_eq!(all(r), all(s), "{what}");
        }
        (r, s) => assert_eq!(r.as_ref().err(), s.as_ref().err(), "{what}"),
    }
    match (&r.disks, &s.disks) {
        (Ok(r), Ok(s)) => {
            assert_eq!(r.len(), s.len());
            for (r, s) in r.iter().zip(s) {
                let timeless = |mut of: kvmscope::model::reading::DiskCounters| {
                    (of.rd_times, of.wr_times, of.fl_reqs, of.fl_times) = (None, None, None, None);
                    of
                };
                assert_eq!((&r.name, r.counters), (&s.name, s.counters.map(timeless)), "{what}");
                assert_eq!(r.size.capacity, s.size.capacity, "{what}");
                let (r, s) = (r.size.allocation.unwrap_or(0), s.size.allocation.unwrap_or(0));
                assert!(r.abs_diff(s) <= s / 100_000, "{what}");
            }
        }
        (r, s) => assert_eq!(r.as_ref().err(), s.as_ref().err(), "{what}"),
    }
    assert_same_rates(back, shown, what);
    for last in [DomainFrame::last_memory, DomainFrame::last_disks] {
        let at = |of: &DomainFrame| last(of).map(|last| last.reading.at);
        assert_eq!(at(back), at(shown), "{what}, last");
        if let (Some(back), Some(shown)) = (last(back), last(shown)) {
            assert_eq!(back.reading.memory_used(), shown.reading.memory_used(), "{what}, last");
            equal(back.rates.memory_percent, shown.rates.memory_percent, what);
            equal(back.rates.disk.read_bytes_per_s, shown.rates.disk.read_bytes_per_s, what);
        }
    }
}

#[track_caller]
fn assert_same_rates(back: &DomainFrame, shown: &DomainFrame, what: &str) {
    let (r, s) = (&back.rates, &shown.rates);
    near(r.cpu_percent, s.cpu_percent, 0.0051, what);
    equal(r.cpu_cores, s.cpu_cores, what);
    near(r.overhead_cores, s.overhead_cores, 0.0051, what);
    near(r.steal_percent, s.steal_percent, 0.0051, what);
    equal(r.memory_percent, s.memory_percent, what);
    equal(r.memory_kib_per_s, s.memory_kib_per_s, &format!("{what}, memory"));
    assert_eq!(r.memory_held, s.memory_held, "{what}");
    assert_eq!(r.vcpus.len(), s.vcpus.len(), "{what}");
    for (r, s) in r.vcpus.iter().zip(&s.vcpus) {
        assert_eq!(r.index, s.index);
        near(r.percent, s.percent, 0.0051, what);
        near(r.steal_percent, s.steal_percent, 0.0051, what);
    }
    let disk = |r: &DiskRates, s: &DiskRates, what: &str| {
        equal(r.read_bytes_per_s, s.read_bytes_per_s, what);
        equal(r.write_bytes_per_s, s.write_bytes_per_s, what);
        equal(r.reads_per_s, s.reads_per_s, what);
        equal(r.writes_per_s, s.writes_per_s, what);
        let third = |s: Measured<f64>| s.map_or(0.0, |s| (s / 190.0).max(0.051));
        near(r.flushes_per_s, s.flushes_per_s, third(s.flushes_per_s), what);
        near(r.ms_per_read, s.ms_per_read, third(s.ms_per_read), what);
        near(r.ms_per_write, s.ms_per_write, third(s.ms_per_write), what);
        near(r.ms_per_flush, s.ms_per_flush, third(s.ms_per_flush), what);
    };
    disk(&r.disk, &s.disk, &format!("{what}, disks"));
    assert_eq!(r.disks.len(), s.disks.len(), "{what}");
    for ((name, r), (of, s)) in r.disks.iter().zip(&s.disks) {
        assert_eq!(name, of);
        disk(r, s, &format!("{what}, {name}"));
    }
    let net = |r: &NetRates, s: &NetRates, what: &str| {
        equal(r.rx_bytes_per_s, s.rx_bytes_per_s, what);
        equal(r.tx_bytes_per_s, s.tx_bytes_per_s, what);
        equal(r.rx_packets_per_s, s.rx_packets_per_s, what);
        equal(r.tx_packets_per_s, s.tx_packets_per_s, what);
        equal(r.errors_per_s, s.errors_per_s, what);
        equal(r.drops_per_s, s.drops_per_s, what);
    };
    net(&r.net, &s.net, &format!("{what}, NICs"));
    assert_eq!(r.nics.len(), s.nics.len(), "{what}");
    for (name, s) in &s.nics {
        // The place of one without any line is not recorded.
        let (_, r) = r.nics.iter().find(|(of, _)| of == name).unwrap();
        net(r, s, &format!("{what}, {name}"));
    }
    let (r, s) = (&r.angles, &s.angles);
    for (back, shown, by) in [
        (r.cpu, s.cpu, 0.01),
        (r.memory, s.memory, 1e-6),
        (r.disk_read, s.disk_read, 1e-6),
        (r.disk_write, s.disk_write, 1e-6),
        (r.net_rx, s.net_rx, 1e-6),
        (r.net_tx, s.net_tx, 1e-6),
    ] {
        near(back.map(|of| of.0), shown.map(|of| of.0), by, &format!("{what}, angle"));
    }
}

#[track_caller]
fn assert_same_frame(back: &Frame, shown: &Frame) {
    let what = format!("cycle {}", shown.cycle);
    assert_eq!((back.cycle, back.at), (shown.cycle, shown.at), "{what}");
    assert_eq!((back.took, back.interval), (shown.took, shown.interval), "{what}");
    assert_eq!((&back.host, back.load), (&shown.host, shown.load), "{what}");
    let names = |of: &Frame| of.domains.iter().map(|d| d.identity().name.clone()).collect::<Vec<_>>();
    assert_eq!(names(back), names(shown), "{what}");
    for (back, shown) in back.domains.iter().zip(&shown.domains) {
        assert_same(back, shown, &format!("{what}, {}", shown.identity().name));
    }
}

fn recorded(directory: &Path, missing: MissingPolicy, cycles: u64) -> (Record, Vec<Frame>) {
    let mut record = Record::open(directory, missing);
    let mut scene = Scene::default();
    let frames: Vec<_> = (1..=cycles).map(|number| scene.cycle(number)).collect();
    for frame in &frames {
        record.append(frame, 12);
    }
    (record, frames)
}

#[test]
fn every_cycle_comes_back_as_the_screen_showed_it() {
    for missing in [MissingPolicy::Zero, MissingPolicy::Omit] {
        let directory = tempfile::tempdir().unwrap();
        let (_record, frames) = recorded(directory.path(), missing, 60);
        let asked = Asked::start(Some(directory.path()));
        for shown in &frames {
            let past = asked.seen(Moment::AtOrBefore(shown.at), 90);
            assert_same_frame(&past.frame, shown);
            assert_eq!((past.covers.from, past.covers.to), (frames[0].at, frames[59].at));
        }
        // The scene had what it is to show.
        let why = |vm, number: usize| of(&frames[number - 1], vm).reading.disks.as_ref().unwrap_err().why;
        assert_eq!((why(HANGS, 22), why(TAKES_TURNS, 22)), (Why::MonitorNotAnswering, Why::NotDue));
        assert_eq!(of(&frames[14], RESTARTS).rates.cpu_cores.unwrap_err().why, Why::FirstReading);
        assert_eq!(of(&frames[34], PLAIN).rates.cpu_cores.unwrap_err().why, Why::Gap);
        assert!(!of(&frames[12], UNREAD).fresh && frames[40].find(&scenes::uuid(GOES)).is_none());
    }
}

#[test]
fn a_short_history_shows_the_same_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let (_record, frames) = recorded(directory.path(), MissingPolicy::Zero, 60);
    let asked = Asked::start(Some(directory.path()));
    for shown in &frames[1..] {
        let past = asked.seen(Moment::AtOrBefore(shown.at), 1);
        assert_same_frame(&past.frame, shown);
        let recorded = |frame: &Frame| frame.domains.iter().all(|domain| is_recorded(&domain.reading));
        assert!(recorded(&past.frame) && !recorded(shown));
        assert_eq!(past.slots, [Some(shown.at)]);
    }
}

#[test]
fn one_steps_through_the_record_in_both_directions_to_its_ends() {
    let directory = tempfile::tempdir().unwrap();
    let (_record, frames) = recorded(directory.path(), MissingPolicy::Zero, 60);
    let asked = Asked::start(Some(directory.path()));
    let mut at = WallTime(i64::MAX);
    for shown in frames.iter().rev() {
        at = asked.seen(Moment::Before(at), 5).frame.at;
        assert_eq!(at, shown.at);
    }
    let Found::Nothing { covers: Some(covers) } = asked.ask(Moment::Before(at), 5) else { panic!() };
    assert_eq!((covers.from, covers.to), (frames[0].at, frames[59].at));
    for shown in &frames[1..] {
        at = asked.seen(Moment::After(at), 5).frame.at;
        assert_eq!(at, shown.at);
    }
    assert!(matches!(asked.ask(Moment::After(at), 5), Found::Nothing { covers: Some(_) }));
    // Between two cycles the earlier one was on the screen.
    let between = WallTime(frames[9].at.0 + 400_000_000);
    assert_eq!(asked.seen(Moment::AtOrBefore(between), 5).frame.at, frames[9].at);
    // Days before and after.
    assert!(matches!(asked.ask(Moment::AtOrBefore(WallTime(0)), 5), Found::Nothing { .. }));
    assert_eq!(asked.seen(Moment::AtOrBefore(WallTime(i64::MAX)), 5).frame.at, frames[59].at);
    assert_eq!(asked.seen(Moment::After(WallTime(i64::MIN)), 5).frame.at, frames[0].at);
}

#[test]
fn sparklines_are_as_of_then_with_their_gaps() {
    let directory = tempfile::tempdir().unwrap();
    let (_record, frames) = recorded(directory.path(), MissingPolicy::Zero, 60);
    let asked = Asked::start(Some(directory.path()));
    let past = asked.seen(Moment::AtOrBefore(frames[44].at), 30);
    // Ten cycles since the stop, one slot for it.
    let slots: Vec<_> = frames[16..45].iter().map(|frame| Some(frame.at)).collect();
    assert_eq!(past.slots, [&slots[..18], &[None], &slots[18..]].concat());
    let uuid = of(&frames[0], HANGS).identity().uuid;
    let back: Vec<_> = past.angles[&uuid].last(Metric::DiskRead, 30, 0).collect();
    let expected: Vec<_> = past
        .slots
        .iter()
        .map(|at| {
            let frame = frames.iter().find(|frame| Some(frame.at) == *at)?;
            let angle = of(frame, HANGS).rates.angles.disk_read.ok()?;
            Some((angle.0 * 10.0).round() / 10.0)
        })
        .collect();
    assert_eq!(back, expected);
    assert!(back.contains(&None), "it hung");
    let gone = past.angles.get(&of(&frames[0], GOES).identity().uuid).unwrap();
    let tail: Vec<_> = gone.last(Metric::Cpu, 15, 0).collect();
    assert_eq!(tail, [None; 15], "it has no line any more, and no angle");
}

#[test]
fn what_was_thinned_shows_true_means_and_never_a_gap_that_was_none() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits {
        min_free: 0,
        full_resolution: Duration::from_secs(10),
        max_age: Duration::from_secs(1 << 30),
        ..Limits::from(&Store::default())
    };
    let mut record = Record::with(directory.path(), MissingPolicy::Zero, limits);
    let mut scene = Scene::default();
    let frames: Vec<_> = (scenes::BEFORE_STOP + 1..=460).map(|number| scene.cycle(number)).collect();
    for frame in &frames {
        record.append(frame, 1000);
    }
    let now = WallTime(frames.last().unwrap().at.0 + 100_000_000_000);
    while record.journal.maintain(now).unwrap() {}
    let asked = Asked::start(Some(directory.path()));
    let mut at = WallTime(i64::MIN);
    let mut before: Option<&Frame> = None;
    let mut thinned = 0;
    while let Found::Seen(past) = asked.ask(Moment::After(at), 40) {
        at = past.frame.at;
        let shown = frames.iter().find(|frame| frame.at == at).unwrap();
        let Some(before) = before.replace(shown).filter(|before| shown.cycle - before.cycle > 1) else {
            continue;
        };
        thinned += 1;
        for vm in [PLAIN, HANGS, POOR] {
            let (back, shown, before) = (of(&past.frame, vm), of(shown, vm), of(before, vm));
            let span = (shown.reading.at.0 - before.reading.at.0) as f64 / 1e9;
            let bytes = |of: &DomainFrame| {
                of.reading.disks.as_ref().unwrap()[0].counters.unwrap().rd_bytes.unwrap() as f64
            };
            let mean = (bytes(shown) - bytes(before)) / span;
            near(back.rates.disks[0].1.read_bytes_per_s, Ok(mean), mean * 1e-9, "disk");
            let time = |of: &DomainFrame| of.reading.cpu.unwrap().time.0 as f64;
            let mean = (time(shown) - time(before)) / span / 1e9;
            near(back.rates.cpu_cores, Ok(mean), mean * 1e-9, "cores");
            near(back.rates.cpu_percent, shown.rates.cpu_percent, 0.0051, "percent");
            near(back.rates.disks[0].1.ms_per_read, shown.rates.disks[0].1.ms_per_read, 0.1, "latency");
        }
        assert!(past.slots.iter().all(Option::is_some), "thinned rows are no pause");
    }
    assert!(thinned > 20, "{thinned}");
}

#[test]
fn without_its_local_part_a_cycle_shows_its_lines_and_no_zero_that_may_be_none() {
    for local in [None, Some((2, b"\x00\xff".as_slice())), Some((9, b"new".as_slice()))] {
        let directory = tempfile::tempdir().unwrap();
        let mut record = Record::open(directory.path(), MissingPolicy::Zero);
        let mut scene = Scene::default();
        let frames: Vec<_> = (1..=20).map(|number| scene.cycle(number)).collect();
        for frame in &frames {
            match frame.cycle {
                10..=15 => record.append_with(frame, 1000, local),
                _ => record.append(frame, 1000),
            }
        }
        let asked = Asked::start(Some(directory.path()));
        let past = asked.seen(Moment::AtOrBefore(frames[11].at), 5);
        let shown = &frames[11];
        let back = of(&past.frame, PLAIN);
        let live = of(shown, PLAIN);
        let lost = Missing::new(Why::NotRecorded);
        assert_eq!(back.reading.memory_used(), live.reading.memory_used());
        equal(back.rates.memory_percent, live.rates.memory_percent, "memory");
        equal(back.rates.cpu_cores, live.rates.cpu_cores, "cores");
        equal(back.rates.disks[0].1.read_bytes_per_s, live.rates.disks[0].1.read_bytes_per_s, "disk");
        for missing in [back.rates.cpu_percent, back.rates.steal_percent, back.rates.disk.ms_per_read] {
            assert_eq!(missing, Err(lost));
        }
        // QEMU counts no errors: that zero was on the wire alone.
        let disk = back.reading.disks.as_ref().unwrap()[0].counters.unwrap();
        assert_eq!((disk.errors, disk.rd_bytes.is_some()), (None, true));
        let poor = of(&past.frame, POOR);
        assert_eq!(poor.reading.memory_used(), of(shown, POOR).reading.memory_used(), "the balloon's size");
        assert_eq!(past.frame.load.cpu.unwrap_err(), lost);
        assert_eq!(past.frame.host.name.as_deref(), Some("hv-07"), "told before");
        // The one that was not read has no line.
        assert!(past.frame.find(&scenes::uuid(UNREAD)).is_none());
        // Afterwards all is as it was.
        let past = asked.seen(Moment::AtOrBefore(frames[17].at), 5);
        for vm in [PLAIN, POOR, HANGS, RESTARTS] {
            assert_same(&of(&past.frame, vm).clone(), of(&frames[17], vm), &format!("VM {vm}"));
        }
    }
}

#[test]
fn a_cycle_that_the_first_version_wrote_shows_its_reasons() {
    let directory = tempfile::tempdir().unwrap();
    let mut record = Record::open(directory.path(), MissingPolicy::Zero);
    let mut scene = Scene::default();
    let frames: Vec<_> = (1..=22).map(|number| scene.cycle(number)).collect();
    for frame in &frames {
        let domains: Vec<String> = frame
            .domains
            .iter()
            .map(|domain| {
                let identity = domain.identity();
                let group = |name: &str, missing: Option<Missing>| {
                    missing.map(|missing| format!("\"{name}\":{}", serde_json::to_string(&missing).unwrap()))
                };
                let reading = &domain.reading;
                let missing: Vec<_> = [
                    group("rss", reading.rss.err()),
                    group("guest_memory", reading.guest_memory.err()),
                    group("memory", reading.memory.err()),
                    group("cpu", reading.cpu.err()),
                    group("nics", reading.nics.as_ref().err().copied()),
                    group("disks", reading.disks.as_ref().err().copied()),
                ]
                .into_iter()
                .flatten()
                .collect();
                format!(
                    "\"{}\":{{\"name\":{},\"id\":{},\"missing\":{{{}}}}}",
                    identity.uuid,
                    serde_json::to_string(&*identity.name).unwrap(),
                    identity.id.unwrap(),
                    missing.join(",")
                )
            })
            .collect();
        let first = format!(
            "{{\"cycle\":{},\"at\":{},\"took_ns\":40123000,\"interval_ns\":1000000000,\"domains\":{{{}}}}}",
            frame.cycle,
            frame.at.0,
            domains.join(",")
        );
        record.append_with(frame, 1000, Some((1, first.as_bytes())));
    }
    let asked = Asked::start(Some(directory.path()));
    let past = asked.seen(Moment::AtOrBefore(frames[21].at), 30);
    let (back, shown) = (of(&past.frame, HANGS), of(&frames[21], HANGS));
    assert_eq!((past.frame.cycle, past.frame.took), (22, Duration::from_micros(40_123)));
    assert_eq!(back.health, shown.health);
    assert_eq!(back.reading.disks.as_ref().err(), shown.reading.disks.as_ref().err());
    assert_eq!(back.reading.memory_used(), shown.reading.memory_used());
    equal(back.rates.cpu_cores, shown.rates.cpu_cores, "cores");
    let (back, shown) = (of(&past.frame, TAKES_TURNS), of(&frames[21], TAKES_TURNS));
    assert_eq!(back.reading.memory, shown.reading.memory);
    let (back, shown) = (of(&past.frame, POOR), of(&frames[21], POOR));
    assert_eq!((back.reading.guest_memory.err(), shown.fresh), (shown.reading.guest_memory.err(), true));
    assert_eq!(of(&past.frame, PLAIN).rates.cpu_percent, Err(Missing::new(Why::NotRecorded)));
    let unread = asked.seen(Moment::AtOrBefore(frames[12].at), 30);
    assert!(!of(&unread.frame, UNREAD).fresh);
    assert_eq!(of(&unread.frame, UNREAD).health, of(&frames[12], UNREAD).health);
}

#[test]
fn a_clock_that_was_set_makes_no_rate() {
    for step in [-1_i64, 3600, -7200] {
        let directory = tempfile::tempdir().unwrap();
        let mut record = Record::open(directory.path(), MissingPolicy::Zero);
        let mut scene = Scene::default();
        for number in 1..=20 {
            let mut frame = scene.cycle(number);
            if number > 10 {
                frame.at.0 += step * 700_000_000;
                for domain in &mut frame.domains {
                    let mut moved = (**domain).clone();
                    moved.reading.at.0 += step * 700_000_000;
                    *domain = moved.into();
                }
            }
            record.append(&frame, 1000);
            if number == 11 {
                let asked = Asked::start(Some(directory.path()));
                let past = asked.seen(Moment::AtOrBefore(frame.at), 30);
                if past.frame.cycle == 11 {
                    let back = of(&past.frame, PLAIN);
                    let lost = Err(Missing::new(Why::NotRecorded));
                    assert_eq!((back.rates.cpu_cores, back.rates.net.rx_bytes_per_s), (lost, lost), "{step}");
                    assert_eq!(back.rates.disk.read_bytes_per_s, lost, "{step}");
                    near(
                        back.rates.cpu_percent,
                        of(&frame, PLAIN).rates.cpu_percent,
                        0.0051,
                        "of its own clock",
                    );
                }
            }
        }
        let asked = Asked::start(Some(directory.path()));
        let last = asked.seen(Moment::Before(WallTime(i64::MAX)), 5);
        assert_eq!(last.frame.cycle, 20);
        assert!(of(&last.frame, PLAIN).rates.cpu_cores.is_ok(), "the clock runs evenly again");
    }
}

/// A record of 40 cycles: `step` milliseconds were added to the clock after the 20th.
fn set_by(directory: &Path, step: i64) -> (Record, Vec<Frame>) {
    let mut record = Record::open(directory, MissingPolicy::Zero);
    let mut scene = Scene::default();
    let mut frames = Vec::new();
    for number in 1..=40 {
        let mut frame = scene.cycle(number);
        if number > 20 {
            frame.at.0 += step * 1_000_000;
        }
        // Several rows each.
        record.append(&frame, 12);
        frames.push(frame);
    }
    (record, frames)
}

#[test]
fn steps_go_from_cycle_to_cycle_over_a_clock_that_was_set() {
    // The last two: beyond the first cycle, and between two of before.
    for step in [3_600_000, -3_600_000, -7_300] {
        let directory = tempfile::tempdir().unwrap();
        let (_record, frames) = set_by(directory.path(), step);
        let asked = Asked::start(Some(directory.path()));
        let mut at = frames[39].at;
        for shown in frames[..39].iter().rev() {
            let past = asked.seen(Moment::Before(at), 5);
            assert_eq!((past.frame.cycle, past.frame.at), (shown.cycle, shown.at), "{step}");
            at = shown.at;
        }
        assert!(matches!(asked.ask(Moment::Before(at), 5), Found::Nothing { .. }), "{step}");
        for shown in &frames[1..] {
            let past = asked.seen(Moment::After(at), 5);
            assert_eq!((past.frame.cycle, past.frame.at), (shown.cycle, shown.at), "{step}");
            at = shown.at;
        }
        assert!(matches!(asked.ask(Moment::After(at), 5), Found::Nothing { .. }), "{step}");
    }
}

#[test]
fn the_first_step_from_memory_leads_to_the_cycle_before_it() {
    for step in [3_600_000, -3_600_000, -7_300] {
        let directory = tempfile::tempdir().unwrap();
        let (_record, frames) = set_by(directory.path(), step);
        for oldest in [1, 15, 19, 20, 21, 27, 39] {
            // A reader that was asked nothing before.
            let asked = Asked::start(Some(directory.path()));
            let past = asked.seen(Moment::Before(frames[oldest].at), 5);
            assert_eq!(past.frame.cycle, frames[oldest - 1].cycle, "{step}");
        }
        let asked = Asked::start(Some(directory.path()));
        assert!(matches!(asked.ask(Moment::Before(frames[0].at), 5), Found::Nothing { .. }), "{step}");
    }
}

#[test]
fn a_step_from_a_cycle_that_is_gone_goes_on_from_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let (record, frames) = set_by(directory.path(), -3_600_000);
    let asked = Asked::start(Some(directory.path()));
    let mut at = frames[26].at;
    for _ in 0..2 {
        at = asked.seen(Moment::Before(at), 5).frame.at;
    }
    assert_eq!(at, frames[24].at);
    // As retention does, the one that is shown and its neighbours go.
    drop(record);
    let db = rusqlite::Connection::open(scenes::path(directory.path())).unwrap();
    for gone in &frames[23..26] {
        assert!(db.execute("DELETE FROM cycle WHERE at = ?1", [gone.at.0]).unwrap() > 0);
    }
    drop(db);
    let _record = Record::open(directory.path(), MissingPolicy::Zero);
    assert_eq!(asked.seen(Moment::Before(at), 5).frame.cycle, 23);
    assert_eq!(asked.seen(Moment::After(at), 5).frame.cycle, 27);
}

#[test]
fn a_damaged_row_leaves_the_other_domains_and_no_wrong_number() {
    let directory = tempfile::tempdir().unwrap();
    let (record, frames) = recorded(directory.path(), MissingPolicy::Zero, 20);
    drop(record);
    let db = rusqlite::Connection::open(scenes::path(directory.path())).unwrap();
    let row: i64 = db
        .query_row("SELECT seq FROM cycle WHERE at = ?1 AND part = 1", [frames[17].at.0], |row| row.get(0))
        .unwrap();
    assert_eq!(db.execute("UPDATE body SET lines = x'00ff' WHERE seq = ?1", [row]), Ok(1));
    drop(db);
    let _record = Record::open(directory.path(), MissingPolicy::Zero);
    let asked = Asked::start(Some(directory.path()));
    let past = asked.seen(Moment::AtOrBefore(frames[17].at), 10);
    assert_eq!(past.frame.domains.len(), frames[17].domains.len(), "who it was is known from before");
    let lost = Missing::new(Why::NotRecorded);
    let mut whole = 0;
    for (back, shown) in past.frame.domains.iter().zip(&frames[17].domains) {
        let kept = |back: Measured<f64>, shown: Measured<f64>| {
            if back != Err(lost) {
                equal(back, shown, "what was kept");
            }
            back != Err(lost)
        };
        whole += usize::from(kept(back.rates.cpu_cores, shown.rates.cpu_cores));
        kept(back.rates.net.rx_bytes_per_s, shown.rates.net.rx_bytes_per_s);
        kept(back.rates.disk.read_bytes_per_s, shown.rates.disk.read_bytes_per_s);
        near(back.rates.cpu_percent, shown.rates.cpu_percent, 0.0051, "the local part is sound");
    }
    assert!((1..7).contains(&whole), "{whole} of 7");
    // The next rates span what was lost.
    let past = asked.seen(Moment::AtOrBefore(frames[18].at), 10);
    assert!(past.frame.domains.iter().all(|domain| domain.rates.cpu_cores.is_ok()));
}

#[test]
fn the_timeline_ends_at_the_moment_that_is_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let (mut record, frames) = recorded(directory.path(), MissingPolicy::Zero, 20);
    let plain = of(&frames[0], PLAIN).identity().clone();
    let event = |at: WallTime, last: WallTime, text: &str| Event {
        uuid: plain.uuid,
        name: plain.name.clone(),
        happening: Happening { at: last, since: at, text: text.into(), weight: Weight::Warning },
    };
    let at = |number: usize| frames[number].at;
    record
        .journal
        .keep_events(&[
            event(at(2), at(2), "started"),
            event(at(5), at(9), "I/O error on vda (4 times)"),
            event(at(12), at(12), "disk vdc attached"),
        ])
        .unwrap();
    let asked = Asked::start(Some(directory.path()));
    let texts = |number: usize| {
        let past = asked.seen(Moment::AtOrBefore(at(number)), 5);
        assert!(of(&past.frame, HANGS).timeline.is_empty());
        of(&past.frame, PLAIN).timeline.iter().map(|of| (of.text.to_string(), of.at)).collect::<Vec<_>>()
    };
    assert_eq!(texts(1), []);
    assert_eq!(texts(2).len(), 1);
    assert_eq!(texts(6), [("started".into(), at(2)), ("I/O error on vda (4 times)".into(), at(6))]);
    assert_eq!(texts(15).len(), 3);
}

#[test]
fn a_record_that_cannot_be_read_says_so_in_words() {
    let why = |found| match found {
        Found::Failed { why } => why.to_string(),
        other => panic!("{other:?}"),
    };
    let now = Moment::AtOrBefore(WallTime(i64::MAX));
    assert!(why(Asked::start(None).ask(now, 5)).contains("store.path"));
    let directory = tempfile::tempdir().unwrap();
    let asked = Asked::start(Some(directory.path()));
    assert!(why(asked.ask(now, 5)).contains("no record"), "none yet");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "looking makes no file");
    // Empty, but open.
    let record = Record::open(directory.path(), MissingPolicy::Zero);
    assert!(matches!(asked.ask(now, 5), Found::Nothing { covers: None }));
    drop(record);
    let count = || std::fs::read_dir(directory.path()).unwrap().count();
    let files = count();
    assert!(why(asked.ask(now, 5)).contains("not open here"));
    assert_eq!(count(), files, "looking makes no log");
    std::fs::write(scenes::path(directory.path()), "no database at all, but long enough to be one").unwrap();
    std::fs::write(scenes::path(directory.path()).with_extension("db-wal"), "").unwrap();
    let said = why(asked.ask(now, 5));
    assert!(said.contains("record-test") && !said.is_empty(), "{said}");
}

#[test]
fn damage_under_the_reader_is_told_and_never_a_frame_of_nonsense() {
    let directory = tempfile::tempdir().unwrap();
    let (record, frames) = recorded(directory.path(), MissingPolicy::Zero, 60);
    drop(record);
    let path = scenes::path(directory.path());
    let mut bytes = std::fs::read(&path).unwrap();
    let from = bytes.len() / 3;
    for byte in &mut bytes[from..from * 2] {
        *byte ^= 0x5a;
    }
    let asked = Asked::start(Some(directory.path()));
    std::fs::write(&path, &bytes).unwrap();
    std::fs::write(path.with_extension("db-wal"), "").unwrap();
    let mut told = 0;
    for shown in &frames {
        match asked.ask(Moment::AtOrBefore(shown.at), 5) {
            Found::Failed { why } => {
                told += 1;
                assert!(why.contains("record-test"), "{why}");
            }
            Found::Seen(past) => {
                for back in &past.frame.domains {
                    let cores = back.rates.cpu_cores;
                    assert!(cores.is_err() || cores.unwrap() >= 0.0);
                }
            }
            Found::Nothing { .. } => told += 1,
        }
    }
    assert!(told > 0, "some of it was hit");
}

#[test]
fn numbers_that_no_row_of_ours_has_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let (record, frames) = recorded(directory.path(), MissingPolicy::Zero, 12);
    drop(record);
    let db = rusqlite::Connection::open(scenes::path(directory.path())).unwrap();
    for (seq, at) in [(i64::MIN, i64::MIN), (-1, frames[5].at.0), (0, i64::MAX)] {
        let row = "INSERT INTO cycle SELECT ?1, 0, ?2, first, last, lines, bytes, crc, stored, wanted
                   FROM cycle WHERE seq = 1";
        assert_eq!(db.execute(row, [seq, at]), Ok(1));
    }
    drop(db);
    let record = Record::open(directory.path(), MissingPolicy::Zero);
    let asked = Asked::start(Some(directory.path()));
    for shown in &frames {
        let past = asked.seen(Moment::AtOrBefore(shown.at), 30);
        assert_same_frame(&past.frame, shown);
    }
    let Found::Nothing { covers: Some(covers) } = asked.ask(Moment::Before(frames[0].at), 5) else {
        panic!("nothing is before the first row");
    };
    assert_eq!((covers.from, covers.to), (frames[0].at, frames[11].at));
    assert_eq!(asked.seen(Moment::After(WallTime(i64::MIN)), 5).frame.at, frames[0].at);
    let look = Look::open(&scenes::path(directory.path())).unwrap();
    assert_eq!(look.rows(i64::MIN, 1).unwrap()[0].row, 1);
    assert_eq!((look.previous(1).unwrap(), look.next(i64::MIN).unwrap().unwrap().row), (None, 1));
    drop((look, record));
    let db = rusqlite::Connection::open(scenes::path(directory.path())).unwrap();
    let there = db.query_row("SELECT count(*) FROM cycle WHERE seq < 1", [], |row| row.get(0));
    assert_eq!(there, Ok(3), "they were there all the time");
}

#[test]
fn another_process_keeps_its_record_to_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (_record, _) = recorded(directory.path(), MissingPolicy::Zero, 3);
    // Another program's way to the file: held, not read and not harmed.
    let path = scenes::path(directory.path());
    let output = std::process::Command::new("python3")
        .args(["-c", "import sqlite3,sys; sqlite3.connect(sys.argv[1], timeout=0).execute('select count(*) from cycle')"])
        .arg(&path)
        .output();
    match output {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("locked") || said.contains("busy"), "{said}");
        }
        Err(error) => eprintln!("SKIPPED: another_process_keeps_its_record_to_itself: no python3: {error}"),
    }
    assert!(Look::open(&path).is_ok());
}

#[test]
fn writing_and_deleting_go_on_while_the_past_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits {
        min_free: 0,
        full_resolution: Duration::from_secs(5),
        max_age: Duration::from_secs(200),
        ..Limits::from(&Store::default())
    };
    let mut record = Record::with(directory.path(), MissingPolicy::Zero, limits);
    let mut scene = Scene::default();
    let first = scenes::BEFORE_STOP + 1;
    for number in first..first + 50 {
        record.append(&scene.cycle(number), 12);
    }
    let asked = Asked::start(Some(directory.path()));
    let (mut answers, mut seen) = (0, 0);
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut slowest = Duration::ZERO;
    let mut number = first + 50;
    while (number < first + 800 || seen < 40) && Instant::now() < deadline {
        // Somewhere within what was recorded, some of which is being deleted.
        let back = number * 7919 % 300;
        let at = sample::AT.0 + i64::try_from(scenes::elapsed(number.saturating_sub(back))).unwrap();
        asked.reader.ask(Question { moment: Moment::AtOrBefore(WallTime(at)), history: 60 });
        let frame = scene.cycle(number);
        let began = Instant::now();
        record.append(&frame, 12);
        record.journal.maintain(frame.at).unwrap();
        slowest = slowest.max(began.elapsed());
        number += 1;
        while let Ok(answer) = asked.answers.try_recv() {
            answers += 1;
            match answer.found {
                Found::Seen(past) => {
                    seen += 1;
                    for domain in past.frame.domains.iter().filter(|domain| domain.fresh) {
                        assert!(
                            domain.rates.cpu_cores.is_ok_and(|cores| (0.0..10.0).contains(&cores))
                                || domain.rates.cpu_cores.is_err()
                        );
                    }
                }
                Found::Nothing { .. } => {}
                Found::Failed { why } => panic!("{why}"),
            }
        }
    }
    assert!(seen >= 40, "{seen} of {answers}");
    println!("slowest append and step of retention beside {answers} answers: {slowest:?}");
}

#[test]
fn of_questions_that_wait_the_newest_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let (_record, frames) = recorded(directory.path(), MissingPolicy::Zero, 60);
    let asked = Asked::start(Some(directory.path()));
    for frame in frames.iter().rev() {
        asked.reader.ask(Question { moment: Moment::AtOrBefore(frame.at), history: 60 });
    }
    let newest = Question { moment: Moment::AtOrBefore(frames[0].at), history: 60 };
    let mut answers = 0;
    loop {
        let answer = asked.answers.recv_timeout(Duration::from_mins(1)).expect("the newest is answered");
        answers += 1;
        if answer.question == newest {
            break;
        }
    }
    println!("{answers} answers to {} questions", frames.len());
    assert!(asked.answers.try_recv().is_err(), "nothing comes after the newest");
}

#[test]
fn a_look_goes_on_while_the_record_is_closed_and_keeps_nobody_from_opening_it() {
    let directory = tempfile::tempdir().unwrap();
    let (record, frames) = recorded(directory.path(), MissingPolicy::Zero, 10);
    let path = scenes::path(directory.path());
    let look = Look::open(&path).unwrap();
    drop(record);
    assert_eq!(look.ends().unwrap().unwrap().1.at, frames[9].at);
    let opened = std::thread::scope(|scope| {
        let opening = scope.spawn(|| Record::open(directory.path(), MissingPolicy::Zero));
        let deadline = Instant::now() + Duration::from_secs(4);
        while !look.is_waited_for() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(look.is_waited_for());
        assert!(matches!(Look::open(&path), Err(LookError::Opening { .. })));
        drop(look);
        opening.join().unwrap()
    });
    assert_eq!(opened.journal.cycles(), 10, "nothing is lost");
    assert!(Look::open(&path).is_ok());
}

#[test]
fn a_step_takes_the_same_time_in_a_large_record() {
    let directory = tempfile::tempdir().unwrap();
    let (mut record, frames) = recorded(directory.path(), MissingPolicy::Zero, 5);
    // A million rows, as if many cycles had been recorded since.
    drop(record);
    let db = rusqlite::Connection::open(scenes::path(directory.path())).unwrap();
    db.execute_batch(
        "INSERT INTO cycle SELECT max.seq + n, 0, at + n * 1000000000, at, at, 0, 0, 0, 0, 0
         FROM (SELECT max(seq) AS seq, max(at) AS at FROM cycle) AS max,
              (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000000) SELECT n FROM c)",
    )
    .unwrap();
    drop(db);
    record = Record::open(directory.path(), MissingPolicy::Zero);
    let asked = Asked::start(Some(directory.path()));
    let base = frames[4].at.0;
    for seconds in [1, 499_999, 999_999_i64] {
        let at = WallTime(base + seconds * i64::try_from(SECOND).unwrap());
        let began = Instant::now();
        let past = asked.seen(Moment::AtOrBefore(at), 60);
        println!("one of a million cycles: {:?}", began.elapsed());
        assert_eq!(past.frame.at, at);
        let began = Instant::now();
        let past = asked.seen(Moment::Before(at), 60);
        println!("the one before it: {:?}", began.elapsed());
        assert_eq!(past.frame.at.0, at.0 - i64::try_from(SECOND).unwrap());
    }
    drop(record);
}

#[test]
fn the_past_is_there_while_delivery_records_and_survives_a_lost_log() {
    let directory = tempfile::tempdir().unwrap();
    let handle = recording::start(recording::settings(None, Some(directory.path())));
    let asked = Asked::start(Some(directory.path()));
    let newest = |number: u64| {
        let at = recording::cycle(number).at;
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            match asked.ask(Moment::AtOrBefore(WallTime(i64::MAX)), 30) {
                Found::Seen(past) if past.frame.at == at => return past,
                // Not appended yet, or the record is just being opened anew.
                other => assert!(Instant::now() < deadline, "{other:?}"),
            }
        }
    };
    for number in 1..=20 {
        handle.record(std::sync::Arc::new(recording::cycle(number)));
        let past = newest(number);
        assert_eq!(past.frame.cycle, number);
        assert_eq!(past.slots.len() as u64, number);
    }
    // What is looked into is replaced under both.
    std::fs::remove_file(scenes::path(directory.path()).with_extension("db-wal")).unwrap();
    for number in 21..=30 {
        handle.record(std::sync::Arc::new(recording::cycle(number)));
    }
    assert_eq!(newest(30).slots.len(), 30, "no cycle is lost");
    assert!(handle.shutdown(Duration::from_secs(10)));
}

#[test]
fn a_host_of_many_vms_is_read_in_bounded_steps() {
    let directory = tempfile::tempdir().unwrap();
    let mut record = Record::open(directory.path(), MissingPolicy::Zero);
    let mut scenes: Vec<_> = (0..6).map(|_| Scene::default()).collect();
    let mut last = None;
    for number in 1..=140 {
        let mut whole = scenes[0].cycle(number);
        for (copy, scene) in (1_u128..).zip(&mut scenes[1..]) {
            for domain in scene.cycle(number).domains {
                let mut domain = (*domain).clone();
                let mut identity = domain.identity().clone();
                identity.uuid = uuid::Uuid::from_u128(identity.uuid.as_u128() + (copy << 32));
                identity.id = identity.id.map(|id| id + 1000 * u32::try_from(copy).unwrap());
                domain.reading.identity = identity.into();
                whole.domains.push(domain.into());
            }
        }
        whole.domains.sort_by_key(|domain| (domain.identity().name.clone(), domain.identity().uuid));
        record.append(&whole, 1000);
        last = Some(whole);
    }
    let last = last.unwrap();
    let asked = Asked::start(Some(directory.path()));
    let mut slots = Vec::new();
    for history in [1, 60, 120, 120, 120] {
        let began = Instant::now();
        let past = asked.seen(Moment::AtOrBefore(last.at), history);
        println!(
            "{} VMs, {} of {history} slots: {:?}",
            past.frame.domains.len(),
            past.slots.len(),
            began.elapsed()
        );
        assert_same_frame(&past.frame, &last);
        slots.push(past.slots.len());
    }
    // So many lines are read at once; what was read is not read again.
    assert!(slots[2] > slots[1] && slots[1] == 60 && slots[0] == 1, "{slots:?}");
    assert_eq!(slots.last(), Some(&120));
}
