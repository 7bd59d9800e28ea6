//! What is in the record comes back: lines, names, reasons and what the screen
//! showed beyond the lines, whatever version wrote it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod recording;
mod sample;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use kvmscope::{
    config::{MissingPolicy, Store},
    delivery::{
        local::{self, Decoded},
        recorded::cycles,
    },
    influx::line::Encoder,
    journal::{Account, Entry, Journal, Limits},
    model::{
        DomainFrame, DomainJob, Frame, Happening, HostLoad, Kib, Missing, Nanos, WallTime, Why,
        frame::HostFacts,
        host::{HostCpu, HostMemory, Pressure},
        rates::{Baseline, Periods, VcpuRates},
        reading::{DiskSize, VcpuCounters},
        timeline::Weight,
    },
};
use sample::{AT, disk, domain, identity, nic, reading};

const SECOND: i64 = 1_000_000_000;

fn journal(directory: &Path) -> Journal {
    let limits = Limits { min_free: 0, ..Limits::from(&Store::default()) };
    Journal::open(directory, "record.db", limits, &mut Account::default(), AT).unwrap().journal
}

/// A domain as the collector makes it in cycle `number`, with all that only
/// the local part can say.
fn busy(number: u32, id: u32, baseline: &mut Baseline) -> DomainFrame {
    let grown = u64::from(number) * 1000 + u64::from(id);
    let uuid = format!("550e8400-e29b-41d4-a716-{id:012}");
    let mut reading = reading(identity(Some(id), &format!("web {id}, of=two \\x"), &uuid));
    reading.at = WallTime(AT.0 + i64::from(number) * SECOND);
    reading.mono = kvmscope::model::MonoTime(u64::from(number) * SECOND.unsigned_abs());
    let vcpu = |index| VcpuCounters {
        index,
        time: Some(Nanos(grown * 400_000)),
        wait: None,
        delay: Some(Nanos(grown * 1234)),
        halted: (index == 0).then_some(number.is_multiple_of(2)),
    };
    reading.vcpus = Ok(vec![vcpu(0), vcpu(2)]);
    reading.nics = Ok(vec![nic("vnet0", grown), nic("hostdev0", grown)]);
    if let Ok(nics) = &mut reading.nics {
        nics[1].counters = Err(Missing::new(Why::HostdevNic));
    }
    let mut disks = vec![disk("vda", grown), disk("sda", 0)];
    disks[0].size = DiskSize { capacity: Some(40 << 30), allocation: Some(14_159_265_358), physical: None };
    if let Ok(counters) = &mut disks[0].counters {
        counters.rd_times = Some(Nanos(grown * 328_000));
    }
    disks[1].counters = Err(Missing::new(Why::EmptyDrive));
    reading.disks = Ok(disks);
    let rates = baseline.advance(
        &reading,
        &Periods::every(std::time::Duration::from_secs(1)),
        &kvmscope::model::AngleScale::default(),
    );
    let mut domain = domain(reading);
    domain.rates = rates;
    domain.job = (id == 2).then_some(DomainJob {
        operation: "backup",
        elapsed: Some(std::time::Duration::from_secs(12)),
        remaining: None,
        total: Some(1 << 33),
        done: Some(1 << 32),
        left: None,
    });
    domain
}

/// Cycle `number` of 30 domains, one of which hangs and one of which was not
/// read at all.
fn frame(number: u32, baselines: &mut [Baseline]) -> Frame {
    let mut domains: Vec<_> = (1..).zip(baselines).map(|(id, baseline)| busy(number, id, baseline)).collect();
    domains[4].reading.disks = Err(Missing::since(Why::MonitorNotAnswering, AT));
    domains[5].fresh = false;
    let mut frame = sample::frame(domains);
    frame.cycle = number.into();
    frame.at = WallTime(AT.0 + i64::from(number) * SECOND + 7);
    frame.host = Arc::new(HostFacts { name: Some("hv-07".into()), cpus: Some(64), ..HostFacts::default() });
    frame.load = HostLoad {
        cpu: Ok(HostCpu { user: 12.344, system: 3.1, iowait: Err(Missing::new(Why::CounterRestarted)) }),
        memory: Ok(HostMemory { total: Kib(1 << 28), available: Kib(1 << 27) }),
        pressure: Ok(Pressure { cpu: 0.12, memory: 0.0, io: 99.99 }),
    };
    frame
}

/// Appends a cycle as the recorder does, in rows of at most 100 lines.
fn append(journal: &mut Journal, frame: &Frame, locals: &mut local::Encoder) -> Vec<u8> {
    let mut text = Vec::new();
    Encoder::new(MissingPolicy::Zero, &BTreeMap::new()).unwrap().encode(frame, &mut text);
    let bytes = locals.encode(frame);
    let rows = sample::append(journal, frame.at, &text, 100, Some((local::VERSION, &bytes)));
    assert!(rows > 1, "a cycle of several rows");
    text
}

#[test]
fn a_cycle_comes_back_whole_with_its_names_and_reasons() {
    let directory = tempfile::tempdir().unwrap();
    let mut record = journal(directory.path());
    let mut locals = local::Encoder::default();
    let mut baselines = vec![Baseline::default(); 30];
    let frames: Vec<_> = (0..25).map(|number| frame(number, &mut baselines)).collect();
    let texts: Vec<_> = frames.iter().map(|frame| append(&mut record, frame, &mut locals)).collect();
    let first = cycles(&record, 0, 1).unwrap();
    assert_eq!(first.len(), 1, "one row is asked for, and the cycle has several");
    let rest = cycles(&record, first[0].row, 1000).unwrap();
    let all: Vec<_> = first.into_iter().chain(rest).collect();
    assert_eq!(all.len(), frames.len());
    let mut whole = Vec::new();
    for ((cycle, frame), text) in all.iter().zip(&frames).zip(&texts) {
        assert!(cycle.lines == *text && !cycle.damaged);
        let Some(Decoded::Read(local)) = &cycle.local else { panic!("{cycle:?}") };
        assert_eq!((local.number, local.at), (frame.cycle, frame.at));
        let load = local.load.unwrap();
        assert_eq!(load.cpu.map(|cpu| (cpu.user, cpu.system)), Ok((12.34, 3.1)));
        assert_eq!(load.cpu.unwrap().iowait, Err(Missing::new(Why::CounterRestarted)));
        assert_eq!((load.memory, load.pressure), (frame.load.memory, frame.load.pressure));
        if let Some(host) = &local.host {
            assert_eq!(*host, *frame.host);
            whole.push(frame.cycle);
        }
        assert_eq!(local.domains.len(), 30);
        for (read, domain) in local.domains.iter().zip(&frame.domains) {
            assert_same(read, domain, local.host.is_some());
        }
    }
    // AT begins ten seconds: these are the cycles that thinning keeps.
    assert_eq!(whole, [0, 10, 20]);
}

fn assert_same(read: &local::Domain, domain: &DomainFrame, whole: bool) {
    let name = read.name.as_ref().unwrap();
    assert_eq!((name.uuid, &name.name), (domain.identity().uuid, &domain.identity().name));
    assert_eq!(read.missing.disks, domain.reading.disks.as_ref().err().copied());
    let Some(seen) = &read.seen else {
        assert!(!domain.fresh && read.disks.is_empty(), "what was not read has no numbers");
        return;
    };
    let rates = &domain.rates;
    for (kept, shown) in [
        (seen.cpu_percent, rates.cpu_percent),
        (seen.steal_percent, rates.steal_percent),
        (seen.overhead_cores, rates.overhead_cores),
    ] {
        near(kept, shown, 0.0051);
    }
    assert_eq!(seen.vcpus.len(), rates.vcpus.len());
    for (kept, shown) in seen.vcpus.iter().zip(&rates.vcpus) {
        let VcpuRates { index, percent, steal_percent } = *shown;
        assert_eq!(kept.index, index);
        near(kept.percent, percent, 0.0051);
        near(kept.steal_percent, steal_percent, 0.0051);
        let counters = domain.reading.vcpus.as_ref().unwrap();
        assert_eq!(kept.halted, counters.iter().find(|vcpu| vcpu.index == index).unwrap().halted);
    }
    // The NIC that has all its numbers is in the lines alone.
    let first = rates.nics[0].1.rx_bytes_per_s.is_err();
    assert_eq!(read.nics.len(), if first { 2 } else { 1 });
    let hostdev = read.nics.last().unwrap();
    assert_eq!((&*hostdev.name, hostdev.missing.unwrap().why), ("hostdev0", Why::HostdevNic));
    assert_eq!(
        seen.job.as_ref().map(|job| (&*job.operation, job.done)),
        domain.job.map(|job| (job.operation, job.done))
    );
    if domain.reading.disks.is_err() {
        return assert!(read.disks.is_empty());
    }
    let [vda, sda] = &*read.disks else { panic!("{:?}", read.disks) };
    assert_eq!((&*vda.name, &*sda.name), ("vda", "sda"));
    assert_eq!((vda.missing, sda.missing.unwrap().why), (None, Why::EmptyDrive));
    let shown = rates.disks[0].1;
    near(vda.ms_per_read, shown.ms_per_read, 2.0);
    near(vda.ms_per_flush, shown.ms_per_flush, 0.001);
    near(vda.flushes_per_s, shown.flushes_per_s, 5.0);
    assert_eq!(vda.size.is_some(), whole);
    if let Some(size) = vda.size {
        assert_eq!((size.capacity, size.physical), (Some(40 << 30), None));
        assert!(size.allocation.unwrap().abs_diff(14_159_265_358) < 141_592);
    }
    // QEMU counts no errors: the zero in the line is no number.
    assert_eq!(vda.given.0, 0b0_1111_1111);
}

fn near(kept: Result<f64, Missing>, shown: Result<f64, Missing>, by: f64) {
    match (kept, shown) {
        (Ok(kept), Ok(shown)) => assert!((kept - shown).abs() <= by, "{kept} for {shown}"),
        (kept, shown) => assert_eq!(kept, shown),
    }
}

#[test]
fn what_was_altered_is_set_aside_and_the_rest_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut record = journal(directory.path());
    let mut baselines = vec![Baseline::default(); 30];
    let mut rows = Vec::new();
    for number in 0..4 {
        append(&mut record, &frame(number, &mut baselines), &mut local::Encoder::default());
        rows.push(cycles(&record, 0, 1000).unwrap().last().unwrap().row);
    }
    drop(record);
    let db = rusqlite::Connection::open(directory.path().join("record.db")).unwrap();
    let alter = |what: &str, row: i64| {
        db.execute_batch(&format!("UPDATE body SET {what} WHERE seq = {row}")).unwrap();
    };
    alter("local_version = 9", 1);
    alter("local = x'00ff'", rows[0] + 1);
    alter("local_version = 'none'", rows[1] + 1);
    drop(db);
    let read = cycles(&journal(directory.path()), 0, 1000).unwrap();
    let words: Vec<_> = read
        .iter()
        .map(|cycle| match cycle.local.clone().unwrap() {
            Decoded::SetAside { word } => word,
            Decoded::Read(_) => "read".to_owned(),
        })
        .collect();
    assert_eq!(words, ["written by a newer kvmscope, form 9", "damaged", "damaged", "read"]);
    assert!(read.iter().all(|cycle| !cycle.lines.is_empty() && !cycle.damaged), "the lines are sound");
}

#[test]
fn a_lost_row_takes_the_names_of_its_own_domains_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut record = journal(directory.path());
    let frame = frame(0, &mut vec![Baseline::default(); 30]);
    let text = append(&mut record, &frame, &mut local::Encoder::default());
    drop(record);
    let db = rusqlite::Connection::open(directory.path().join("record.db")).unwrap();
    assert_eq!(db.execute("UPDATE body SET lines = x'00ff' WHERE seq = 1", []), Ok(1));
    drop(db);
    let read = cycles(&journal(directory.path()), 0, 1000).unwrap();
    let [cycle] = &*read else { panic!("{read:?}") };
    assert!(cycle.damaged && !cycle.lines.is_empty() && cycle.lines.len() < text.len());
    let Some(Decoded::Read(local)) = &cycle.local else { panic!("{cycle:?}") };
    let kept = String::from_utf8(cycle.lines.clone()).unwrap();
    let mut named = 0;
    for (read, domain) in local.domains.iter().zip(&frame.domains) {
        let there = kept.contains(&format!("vm_metrics,VMID={},", read.id)) || !domain.fresh;
        let name = there.then(|| &domain.identity().name);
        assert_eq!(read.name.as_ref().map(|read| &read.name), name, "{}", read.id);
        named += usize::from(there);
    }
    assert!((2..30).contains(&named), "{named} of 30");
}

#[test]
fn rows_that_all_claim_to_go_on_are_not_read_at_once() {
    for claim in ["part = 1", "part = 1, at = 7"] {
        let directory = tempfile::tempdir().unwrap();
        let mut record = journal(directory.path());
        let mut baselines = vec![Baseline::default(); 30];
        for number in 0..4 {
            append(&mut record, &frame(number, &mut baselines), &mut local::Encoder::default());
        }
        drop(record);
        let db = rusqlite::Connection::open(directory.path().join("record.db")).unwrap();
        let rows = db.execute(&format!("UPDATE cycle SET {claim}"), []).unwrap();
        drop(db);
        let record = journal(directory.path());
        let first = cycles(&record, 0, 1).unwrap();
        assert!(rows > 4 && !first.is_empty() && first.last().unwrap().row < 4, "{claim}: {rows} rows");
        // What is asked for piece by piece is all that is there.
        let (mut last, mut lines) = (0, 0);
        while let Some(cycle) = cycles(&record, last, 1).unwrap().pop() {
            last = cycle.row;
            lines += cycle.lines.len();
        }
        let whole: usize = cycles(&record, 0, rows).unwrap().iter().map(|cycle| cycle.lines.len()).sum();
        assert_eq!((last, lines), (i64::try_from(rows).unwrap(), whole), "{claim}");
    }
}

#[test]
fn cycles_with_much_in_them_are_read_in_pieces() {
    let directory = tempfile::tempdir().unwrap();
    let mut record = journal(directory.path());
    let line = [b"vm_metrics,VMID=1 x=1i 7".as_slice(), &b" ".repeat(16 << 20), b"\n"].concat();
    for number in 0..6 {
        let at = WallTime(AT.0 + number * SECOND);
        let entry = Entry { at, part: 0, first: at, last: at, lines: 1, bytes: &line, local: None };
        record.append(&[entry], &Account::default()).unwrap();
    }
    let some = cycles(&record, 0, 1000).unwrap();
    assert_eq!(some.len(), 4, "64 MiB are enough at once");
    let rest = cycles(&record, some[3].row, 1000).unwrap();
    assert!(rest.len() == 2 && rest[1].lines == line);
}

#[test]
fn what_happened_to_a_vm_is_recorded_as_its_timeline_had_it() {
    let directory = tempfile::tempdir().unwrap();
    let handle = recording::start(recording::settings(None, Some(directory.path())));
    let happening = |second: i64, text: &str, weight| {
        let at = WallTime(AT.0 + second * SECOND);
        Happening { at, since: at, text: text.into(), weight }
    };
    let mut timeline = vec![happening(1, "started", Weight::Note)];
    let mut uuid = None;
    for number in 1..=30_u64 {
        if number == 10 {
            timeline.push(happening(10, "I/O error on vda: enospc", Weight::Trouble));
        }
        if number == 20 {
            // It came again: one entry, counted.
            timeline[1].at = WallTime(AT.0 + 20 * SECOND);
            timeline[1].text = "I/O error on vda: enospc (2 times)".into();
        }
        let mut frame = recording::cycle(number);
        let mut domain = (*frame.domains[0]).clone();
        domain.timeline = timeline.clone().into();
        uuid = Some(domain.identity().uuid);
        frame.domains = vec![Arc::new(domain)].into();
        handle.record(Arc::new(frame));
    }
    recording::wait(&handle, "recorded", |_, store| store.cycles == 30);
    drop(handle);
    let limits = Limits { min_free: 0, ..Limits::from(&Store::default()) };
    let name = kvmscope::journal::file_name(recording::URI);
    let record = Journal::open(directory.path(), &name, limits, &mut Account::default(), AT).unwrap().journal;
    let events = record.events_of(uuid.unwrap(), 100).unwrap();
    let told: Vec<_> = events.into_iter().map(|event| (event.name.to_string(), event.happening)).collect();
    assert_eq!(told, timeline.into_iter().map(|h| ("web-1".to_owned(), h)).collect::<Vec<_>>());
}

#[test]
fn the_record_of_the_first_version_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let content = zstd::decode_all(&include_bytes!("data/record-v1.db.zst")[..]).unwrap();
    std::fs::write(directory.path().join("record.db"), content).unwrap();
    let read = cycles(&journal(directory.path()), 0, 1000).unwrap();
    assert_eq!(read.len(), 30);
    for cycle in &read {
        // That file's local parts hold the cycle's number alone.
        assert_eq!(cycle.local, Some(Decoded::SetAside { word: "damaged, form 1".to_owned() }));
        assert!(!cycle.lines.is_empty());
    }
}
