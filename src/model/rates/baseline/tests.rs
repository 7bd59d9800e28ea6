use std::{sync::Arc, time::Duration};

use super::*;
use crate::model::{
    Degrees, DomainState, Identity, MonoTime, WallTime,
    rates::{GAP, UNCERTAIN},
    reading::{DiskReading, DiskSize, GuestMemory, MemorySize, NicReading},
};

const SECOND: u64 = 1_000_000_000;

fn identity(id: u32) -> Arc<Identity> {
    Arc::new(Identity { uuid: uuid::Uuid::from_u128(7), id: Some(id), name: "vm".into() })
}

/// A VM of two vCPUs, one disk and one NIC, `seconds` after the start, with
/// counters that grow by `work` per second.
fn reading(id: u32, seconds: u64, work: u64) -> DomainReading {
    let nanos = |per_second: u64| Nanos(seconds * work * per_second);
    DomainReading {
        identity: identity(id),
        state: DomainState::Running,
        state_reason: 1,
        at: WallTime(0),
        mono: MonoTime(seconds * SECOND),
        cpu: Ok(CpuCounters { time: nanos(700_000_000), user: None, system: None }),
        vcpus: Ok((0..2)
            .map(|index| VcpuCounters {
                index,
                time: Some(nanos(250_000_000)),
                wait: None,
                delay: Some(nanos(10_000_000)),
                halted: None,
            })
            .collect()),
        vcpu_count: Ok(2),
        memory: Ok(MemorySize { current: Kib(1000), maximum: Kib(2000) }),
        rss: Ok(Kib(900)),
        guest_memory: Ok(GuestMemory {
            available: Some(Kib(1000)),
            usable: Some(Kib(1000 - seconds * 10)),
            ..GuestMemory::default()
        }),
        nics: Ok(vec![nic("vnet0", seconds * work * 100)]),
        disks: Ok(vec![disk("vda", seconds * work * 10)]),
    }
}

fn nic(name: &str, n: u64) -> NicReading {
    NicReading {
        name: name.into(),
        counters: Ok(NicCounters {
            rx_bytes: Some(n),
            rx_packets: Some(n),
            tx_bytes: Some(2 * n),
            ..NicCounters::default()
        }),
    }
}

fn disk(name: &str, n: u64) -> DiskReading {
    DiskReading {
        name: name.into(),
        counters: Ok(DiskCounters {
            rd_reqs: Some(n),
            rd_bytes: Some(n * 512),
            rd_times: Some(Nanos(n * 2_000_000)),
            wr_reqs: Some(0),
            wr_bytes: Some(0),
            wr_times: Some(Nanos(0)),
            fl_reqs: Some(n / 5),
            fl_times: Some(Nanos(n / 5 * 3_000_000)),
            ..DiskCounters::default()
        }),
        size: DiskSize::default(),
    }
}

fn advance(baseline: &mut Baseline, reading: &DomainReading) -> DomainRates {
    baseline.advance(reading, &Periods::every(Duration::from_secs(1)), &AngleScale::default())
}

#[track_caller]
fn near(value: Measured<f64>, expected: f64) {
    let value = value.expect("there is a rate");
    assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
}

#[test]
fn two_readings_give_every_rate() {
    let mut baseline = Baseline::default();
    let first = advance(&mut baseline, &reading(1, 1, 1));
    assert_eq!(first.cpu_percent, Err(FIRST));
    assert_eq!(first.disk.read_bytes_per_s, Err(FIRST));
    near(first.memory_percent, 0.5);

    let rates = advance(&mut baseline, &reading(1, 3, 1));
    near(rates.cpu_percent, 25.0);
    near(rates.cpu_cores, 0.7);
    near(rates.overhead_cores, 0.2);
    near(rates.steal_percent, 1.0);
    near(rates.vcpus[1].percent, 25.0);
    near(rates.memory_kib_per_s, 10.0);
    near(rates.disk.read_bytes_per_s, 5120.0);
    near(rates.disk.reads_per_s, 10.0);
    near(rates.disk.ms_per_read, 2.0);
    near(rates.disk.flushes_per_s, 2.0);
    near(rates.disk.ms_per_flush, 3.0);
    assert_eq!(rates.disk.ms_per_write, Err(Missing::new(Why::NoRequests)));
    near(rates.net.rx_bytes_per_s, 100.0);
    near(rates.net.tx_bytes_per_s, 200.0);
    assert_eq!(rates.net.tx_packets_per_s, Err(NOT_OFFERED));
    let Degrees(cpu) = rates.angles.cpu.expect("an angle");
    assert!((cpu - 0.25_f64.atan().to_degrees()).abs() < 1e-9);
}

#[test]
fn a_restarted_vm_has_no_rate_rather_than_a_negative_one() {
    let mut baseline = Baseline::default();
    advance(&mut baseline, &reading(1, 50, 3));
    let restarted = advance(&mut baseline, &reading(2, 51, 1));
    assert_eq!(restarted.cpu_percent, Err(FIRST));
    assert_eq!(restarted.net.rx_bytes_per_s, Err(FIRST));
    near(advance(&mut baseline, &reading(2, 52, 1)).cpu_percent, 25.0);
}

#[test]
fn a_fallen_counter_of_the_same_incarnation_says_so() {
    let mut baseline = Baseline::default();
    advance(&mut baseline, &reading(1, 50, 3));
    let mut fallen = reading(1, 51, 3);
    fallen.disks = Ok(vec![disk("vda", 1)]);
    fallen.nics = Ok(vec![nic("vnet0", 1)]);
    let rates = advance(&mut baseline, &fallen);
    assert_eq!(rates.disk.read_bytes_per_s, Err(RESTARTED));
    assert_eq!(rates.net.rx_bytes_per_s, Err(RESTARTED));
    near(rates.cpu_percent, 75.0);
}

#[test]
fn a_fallen_cpu_time_is_another_process_and_nothing_is_compared_with_the_old_one() {
    let mut baseline = Baseline::default();
    advance(&mut baseline, &reading(1, 50, 3));
    // libvirtd was restarted and gave the id out again. The new process has
    // done less work, but its disk has read more.
    let mut other = reading(1, 51, 1);
    other.disks = Ok(vec![disk("vda", 1_000_000)]);
    let rates = advance(&mut baseline, &other);
    assert_eq!(rates.cpu_cores, Err(RESTARTED));
    assert_eq!(rates.cpu_percent, Err(FIRST));
    assert_eq!(rates.disk.read_bytes_per_s, Err(FIRST));
    assert_eq!(rates.net.rx_bytes_per_s, Err(FIRST));
    assert_eq!(rates.memory_kib_per_s, Err(FIRST));
    near(advance(&mut baseline, &reading(1, 52, 1)).cpu_percent, 25.0);
}

#[test]
fn a_call_that_took_far_longer_than_the_next_gives_no_rate() {
    let mut baseline = Baseline::default();
    let mut read = |millis: u64, work: u64, call: u64| {
        let mut reading = reading(1, work, 1);
        reading.mono = MonoTime(millis * SECOND / 1000);
        let periods =
            Periods { error: Duration::from_millis(call), ..Periods::every(Duration::from_secs(1)) };
        baseline.advance(&reading, &periods, &AngleScale::default())
    };
    read(1000, 1, 10);
    near(read(2000, 2, 10).cpu_percent, 25.0);
    // The repeat of an overdue call: read at its beginning, and dated near
    // its end.
    read(3850, 3, 900);
    let hasty = read(4010, 4, 10);
    for rate in [hasty.cpu_percent, hasty.cpu_cores, hasty.disk.read_bytes_per_s, hasty.net.rx_bytes_per_s] {
        assert_eq!(rate, Err(UNCERTAIN), "a second's work in {} ms", 160);
    }
    near(read(5010, 5, 10).cpu_percent, 25.0);
    // Calls that are slow alike are off alike.
    near(read(6010, 6, 500).cpu_percent, 25.0);
    near(read(7010, 7, 900).cpu_percent, 25.0);
}

/// The reading of this second's work, dated at `millis`, from a call of 0.4 s.
fn of_pass(baseline: &mut Baseline, pass: Pass, millis: u64, reading: &DomainReading) -> DomainRates {
    let reading = DomainReading { mono: MonoTime(millis * SECOND / 1000), ..reading.clone() };
    let error = Duration::from_millis(400);
    let periods = Periods { error, pass, ..Periods::every(Duration::from_secs(1)) };
    baseline.advance(&reading, &periods, &AngleScale::default())
}

#[test]
fn between_two_passes_the_errors_of_the_instants_add_up() {
    let mut baseline = Baseline::default();
    let mut read = |second: u64, pass| of_pass(&mut baseline, pass, second * 1000, &reading(1, second, 1));
    read(1, Pass::Full);
    let moved = read(2, Pass::Light);
    for rate in [moved.cpu_percent, moved.cpu_cores, moved.steal_percent, moved.net.rx_bytes_per_s] {
        assert_eq!(rate, Err(UNCERTAIN));
    }
    for second in 3..10 {
        let rates = read(second, Pass::Light);
        near(rates.cpu_percent, 25.0);
        near(rates.cpu_cores, 0.7);
        near(rates.net.rx_bytes_per_s, 100.0);
    }
    // A longer time bears the same errors.
    let back = of_pass(&mut baseline, Pass::Full, 11_000, &reading(1, 11, 1));
    near(back.cpu_percent, 25.0);
}

#[test]
fn memory_is_a_first_reading_again_when_the_guest_reports_it_otherwise() {
    let mut baseline = Baseline::default();
    advance(&mut baseline, &reading(1, 1, 1));
    // Rebooted into a kernel that knows no `usable`.
    let rebooted = |seconds| {
        let mut rebooted = reading(1, seconds, 1);
        let (usable, unused) = (None, Some(Kib(100 - seconds)));
        rebooted.guest_memory =
            Ok(GuestMemory { available: Some(Kib(1000)), usable, unused, ..GuestMemory::default() });
        rebooted
    };
    assert_eq!(advance(&mut baseline, &rebooted(2)).memory_kib_per_s, Err(FIRST));
    near(advance(&mut baseline, &rebooted(3)).memory_kib_per_s, 1.0);
}

#[test]
fn a_group_that_did_not_answer_costs_only_itself_and_the_next_rate_spans_the_gap() {
    let mut baseline = Baseline::default();
    advance(&mut baseline, &reading(1, 1, 1));
    let hung = Missing::since(Why::MonitorNotAnswering, WallTime(5));
    let mut silent = reading(1, 2, 1);
    silent.disks = Err(hung);
    silent.guest_memory = Err(hung);
    let rates = advance(&mut baseline, &silent);
    assert_eq!(rates.disk.read_bytes_per_s, Err(hung));
    assert_eq!(rates.memory_kib_per_s, Err(hung));
    assert_eq!(rates.memory_percent, Err(hung));
    near(rates.cpu_percent, 25.0);
    near(rates.net.rx_bytes_per_s, 100.0);
    let rates = advance(&mut baseline, &reading(1, 3, 1));
    near(rates.disk.read_bytes_per_s, 5120.0);
    near(rates.memory_kib_per_s, 10.0);
}

#[test]
fn more_than_three_periods_apart_is_a_gap() {
    let mut baseline = Baseline::default();
    advance(&mut baseline, &reading(1, 1, 1));
    near(advance(&mut baseline, &reading(1, 4, 1)).cpu_percent, 25.0);
    let late = advance(&mut baseline, &reading(1, 8, 1));
    assert_eq!(late.cpu_percent, Err(GAP));
    assert_eq!(late.net.rx_bytes_per_s, Err(GAP));
    assert_eq!(late.disk.reads_per_s, Err(GAP));
}

#[test]
fn a_plugged_disk_starts_its_own_series_and_never_borrows_anothers() {
    let mut baseline = Baseline::default();
    advance(&mut baseline, &reading(1, 1, 1));
    let mut plugged = reading(1, 2, 1);
    plugged.disks = Ok(vec![disk("vdb", 1_000_000), disk("vda", 20)]);
    let rates = advance(&mut baseline, &plugged);
    assert_eq!(rates.disks[0].1.read_bytes_per_s, Err(FIRST));
    near(rates.disks[1].1.read_bytes_per_s, 5120.0);
    near(rates.disk.read_bytes_per_s, 5120.0);
    // Unplugged and plugged again under the same name: a new device.
    let mut unplugged = reading(1, 3, 1);
    unplugged.disks = Ok(vec![disk("vda", 30)]);
    advance(&mut baseline, &unplugged);
    let mut again = reading(1, 4, 1);
    again.disks = Ok(vec![disk("vda", 40), disk("vdb", 5)]);
    assert_eq!(advance(&mut baseline, &again).disks[1].1.read_bytes_per_s, Err(FIRST));
}

#[test]
fn memory_is_a_first_reading_again_when_its_source_changes() {
    let mut baseline = Baseline::default();
    advance(&mut baseline, &reading(1, 1, 1));
    let mut without_report = reading(1, 2, 1);
    without_report.guest_memory = Err(Missing::new(Why::NoGuestReport));
    assert_eq!(without_report.memory_used(), Ok((Kib(1000), MemorySource::Balloon)));
    assert_eq!(advance(&mut baseline, &without_report).memory_kib_per_s, Err(FIRST));
    assert_eq!(advance(&mut baseline, &reading(1, 3, 1)).memory_kib_per_s, Err(FIRST));
    near(advance(&mut baseline, &reading(1, 4, 1)).memory_kib_per_s, 10.0);
}

#[test]
fn a_report_seen_twice_is_no_zero_and_the_next_one_no_spike() {
    let mut baseline = Baseline::default();
    let periods = Periods { memory: Duration::from_secs(5), ..Periods::every(Duration::from_secs(1)) };
    // The guest's memory in use grows by 10 KiB a second; it reports every
    // five seconds, and is read every second.
    let mut rates = |second: u64| {
        let mut reading = reading(1, second, 1);
        let report = second / 5 * 5;
        if let Ok(guest) = &mut reading.guest_memory {
            guest.usable = Some(Kib(1000 - report * 10));
            guest.last_update = Some(1_000 + report);
        }
        baseline.advance(&reading, &periods, &AngleScale::default())
    };
    assert_eq!(rates(5).memory_kib_per_s, Err(FIRST));
    for second in 6..10 {
        assert_eq!(rates(second).memory_kib_per_s, Err(FIRST), "still the first report");
    }
    for second in 10..30 {
        let rates = rates(second);
        near(rates.memory_kib_per_s, 10.0);
        assert_eq!(rates.memory_held, second % 5 != 0, "at {second}");
    }
}

#[test]
fn a_vm_without_devices_has_a_reason_and_no_zero() {
    let mut bare = reading(1, 1, 1);
    bare.disks = Ok(Vec::new());
    bare.nics = Ok(Vec::new());
    let rates = advance(&mut Baseline::default(), &bare);
    assert_eq!(rates.disk.read_bytes_per_s, Err(Missing::new(Why::NoDisks)));
    assert_eq!(rates.angles.net_tx, Err(Missing::new(Why::NoNics)));
}

#[test]
fn without_vcpu_times_the_process_stands_in_but_not_when_they_merely_failed() {
    let mut baseline = Baseline::default();
    let without = |seconds, why| {
        let mut r = reading(1, seconds, 1);
        r.vcpus = Err(Missing::new(why));
        r
    };
    advance(&mut baseline, &without(1, Why::NotOffered));
    near(advance(&mut baseline, &without(2, Why::NotOffered)).cpu_percent, 35.0);
    let failed = advance(&mut baseline, &without(3, Why::CallFailed));
    assert_eq!(failed.cpu_percent, Err(Missing::new(Why::CallFailed)));
}

#[test]
fn a_plugged_vcpu_does_not_blank_the_others() {
    let mut baseline = Baseline::default();
    advance(&mut baseline, &reading(1, 1, 1));
    let mut more = reading(1, 2, 1);
    if let Ok(vcpus) = &mut more.vcpus {
        let time = Some(Nanos(9_999_999_999_999));
        vcpus.push(VcpuCounters { index: 2, time, wait: None, delay: None, halted: None });
    }
    more.vcpu_count = Ok(3);
    let rates = advance(&mut baseline, &more);
    // Nothing is known yet of the third: it is in neither sum nor count.
    near(rates.cpu_percent, 25.0);
    near(rates.steal_percent, 1.0);
    assert_eq!(rates.vcpus[2].percent, Err(FIRST));
}

#[test]
fn a_device_plugged_in_again_begins_anew_whatever_its_counters_say() {
    let mut baseline = Baseline::default();
    advance(&mut baseline, &reading(1, 1, 1));
    advance(&mut baseline, &reading(1, 2, 1));
    baseline.forget_device("vda", MonoTime(3 * SECOND));
    // Read before it was unplugged, come in after.
    let late = advance(&mut baseline, &reading(1, 3, 1));
    assert_eq!(late.disk.reads_per_s, Err(FIRST));
    // Another disk of that name, with counters far beyond: no spike.
    let again = advance(&mut baseline, &reading(1, 4, 1_000_000));
    assert_eq!(again.disks[0].1.read_bytes_per_s, Err(FIRST));
    near(advance(&mut baseline, &reading(1, 5, 1_000_000)).disk.read_bytes_per_s, {
        // 10 requests of 512 bytes a second, a million times.
        5_120_000_000.0
    });
    // Nothing else of the domain was touched.
    assert!(late.net.rx_bytes_per_s.is_ok() && again.cpu_cores.is_ok());
}

#[test]
fn vcpus_are_told_apart_by_index_and_one_plugged_again_starts_anew() {
    let mut baseline = Baseline::default();
    let with = |seconds: u64, times: &[(u32, u64)]| {
        let mut reading = reading(1, seconds, 1);
        let vcpu = |(index, time): &(u32, u64)| {
            let time = Some(Nanos(*time));
            VcpuCounters { index: *index, time, wait: None, delay: Some(Nanos(0)), halted: None }
        };
        reading.vcpus = Ok(times.iter().map(vcpu).collect());
        reading.vcpu_count = Ok(u32::try_from(times.len()).unwrap());
        reading
    };
    let half = SECOND / 2;
    advance(&mut baseline, &with(1, &[(0, 0), (1, 50 * SECOND), (2, 90 * SECOND)]));
    // The middle one is unplugged.
    let rates = advance(&mut baseline, &with(2, &[(0, half), (2, 90 * SECOND)]));
    near(rates.cpu_percent, 25.0);
    // Plugged again, its thread is another, and counts from 0.
    let rates = advance(&mut baseline, &with(3, &[(0, 2 * half), (1, half), (2, 90 * SECOND)]));
    near(rates.cpu_percent, 25.0);
    assert_eq!(rates.vcpus[1].percent, Err(FIRST));
    // The same within one interval.
    let rates = advance(&mut baseline, &with(4, &[(0, 3 * half), (1, half / 2), (2, 90 * SECOND)]));
    assert_eq!(rates.vcpus[1].percent, Err(RESTARTED));
    assert_eq!(rates.cpu_percent, Err(RESTARTED));
}

#[test]
fn qemus_own_cost_is_never_below_nothing_and_never_made_up() {
    let mut baseline = Baseline::default();
    let idle = |seconds: u64| {
        let mut reading = reading(1, seconds, 1);
        // The process's counter lags behind those of its vCPUs.
        reading.cpu = Ok(CpuCounters { time: Nanos(seconds * 499_000_000), user: None, system: None });
        reading
    };
    assert_eq!(advance(&mut baseline, &idle(1)).overhead_cores, Err(FIRST));
    near(advance(&mut baseline, &idle(2)).overhead_cores, 0.0);
    let mut without = idle(3);
    without.vcpus = Err(NOT_OFFERED);
    assert_eq!(advance(&mut baseline, &without).overhead_cores, Err(NOT_OFFERED));
}
