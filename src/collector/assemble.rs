//! From what libvirt gave of one domain to a reading in which every absent
//! value has its reason.

use std::{sync::Arc, time::Duration};

use super::guest_report::Report;
use crate::{
    libvirt::{Groups, RawDisk, RawDomain, ReadAt},
    model::{
        DomainDevices, DomainReading, Identity, Measured, Missing, MonoTime, Why,
        domain::Balloon,
        reading::{DiskCounters, DiskReading, GuestMemory, NicCounters, NicReading},
    },
};

/// A guest report counts as stale after this many of its own periods.
const STALE_PERIODS: u32 = 3;
/// The period assumed where a report comes and the XML at hand names none.
const UNKNOWN_PERIOD: Duration = Duration::from_secs(10);

/// Why whole groups can be absent from an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gaps {
    /// Why the monitor's part is absent although it was asked for.
    pub shortfall: Option<Missing>,
    /// What stands for groups that were not asked for in this cycle.
    pub not_due: Missing,
    /// The guest's report in this answer, and how long it has been the same.
    pub report: Option<Report>,
}

/// Builds the reading. `devices` is what the XML says, where it is known.
pub(super) fn assemble(
    raw: RawDomain,
    identity: Arc<Identity>,
    at: ReadAt,
    devices: Option<&DomainDevices>,
    Gaps { shortfall, not_due, report }: Gaps,
) -> DomainReading {
    let absent = |group: Groups, needs_monitor: bool| match shortfall {
        _ if !raw.asked.has(group) => not_due,
        _ if raw.refused.has(group) => Missing::new(Why::NotOffered),
        Some(missing) if needs_monitor => missing,
        _ => Missing::new(Why::CallFailed),
    };
    let cpu = raw.cpu.ok_or_else(|| absent(Groups::CPU, true));
    let vcpus = raw.vcpus.ok_or_else(|| absent(Groups::VCPUS, true));
    let memory = raw.memory.ok_or_else(|| absent(Groups::MEMORY, true));
    let rss = raw.rss.ok_or_else(|| match absent(Groups::MEMORY, true) {
        // Without RSS in an answer that was otherwise whole, this driver has none.
        missing if missing.why == Why::CallFailed && memory.is_ok() => Missing::new(Why::NotOffered),
        missing => missing,
    });
    let balloon = devices.map(|d| d.balloon);
    let guest_memory =
        guest_memory(raw.guest, balloon, shortfall, report, at.mono).map_err(|missing| match () {
            () if !raw.asked.has(Groups::MEMORY) => not_due,
            () if raw.refused.has(Groups::MEMORY) => Missing::new(Why::NotOffered),
            () => missing,
        });
    let nics = match raw.nics {
        Some(counters) => Ok(nics(counters, devices)),
        None => Err(absent(Groups::NICS, false)),
    };
    let disks = match (raw.disks, shortfall) {
        _ if !raw.asked.has(Groups::DISKS) => Err(not_due),
        (_, Some(missing)) => Err(missing),
        (Some(found), None) => Ok(disks(&found, devices)),
        (None, None) => Err(absent(Groups::DISKS, true)),
    };
    DomainReading {
        identity,
        state: raw.state,
        state_reason: raw.reason,
        at: at.wall,
        mono: at.mono,
        cpu,
        vcpus,
        vcpu_count: raw.vcpu_count.ok_or(Missing::new(Why::CallFailed)),
        memory,
        rss,
        guest_memory,
        nics,
        disks,
    }
}

fn guest_memory(
    guest: Option<GuestMemory>,
    balloon: Option<Balloon>,
    shortfall: Option<Missing>,
    report: Option<Report>,
    now: MonoTime,
) -> Measured<GuestMemory> {
    if let Some(missing) = shortfall {
        return Err(missing);
    }
    let never = Missing::new(match balloon {
        Some(Balloon::Absent) => Why::NoBalloonDriver,
        Some(Balloon::NoPeriod) => Why::NoStatsPeriod,
        Some(Balloon::Period(_)) | None => Why::NoGuestReport,
    });
    let guest = guest.filter(|g| g.available.is_some()).ok_or(never)?;
    let period = match balloon {
        Some(Balloon::Period(seconds)) => Duration::from_secs(seconds.into()),
        _ => UNKNOWN_PERIOD,
    };
    match guest.last_update {
        // Drivers that ask the guest directly tell no time of the report.
        None => Ok(guest),
        Some(0) => Err(never),
        // A guest reports once when its driver loads, and without a period
        // never again: that one number would only grow old.
        Some(_) if balloon == Some(Balloon::NoPeriod) => Err(never),
        // One second more: the report's time is cut to whole seconds.
        Some(_) => match report {
            Some(report) if report.age(now) > period * STALE_PERIODS + Duration::from_secs(1) => {
                Err(Missing::since(Why::GuestReportStale, report.since))
            }
            _ => Ok(guest),
        },
    }
}

/// NICs in the order of the XML, then those that the XML at hand lacks yet.
fn nics(counters: Vec<(String, NicCounters)>, devices: Option<&DomainDevices>) -> Vec<NicReading> {
    let mut left = counters;
    let mut nics = Vec::with_capacity(left.len());
    for device in devices.iter().flat_map(|d| &d.nics) {
        let found = left.iter().position(|(name, _)| **name == *device.name);
        let counters = match (found, device.uncounted) {
            (Some(i), _) => Ok(left.swap_remove(i).1),
            (None, Some(why)) => Err(Missing::new(why)),
            (None, None) => Err(Missing::new(Why::CallFailed)),
        };
        nics.push(NicReading { name: Arc::clone(&device.name), counters });
    }
    nics.extend(
        left.into_iter().map(|(name, counters)| NicReading { name: name.into(), counters: Ok(counters) }),
    );
    nics
}

/// Disks in the order of the XML, then those that the XML at hand lacks yet.
fn disks(found: &[RawDisk], devices: Option<&DomainDevices>) -> Vec<DiskReading> {
    let known: &[_] = devices.map_or(&[], |d| &d.disks);
    let reading = |name: Arc<str>, raw: Option<&RawDisk>, empty: bool| DiskReading {
        name,
        counters: match raw {
            // QEMU counts zeros for a drive without a medium; with one it
            // knows a size. What it has counted before the medium was ejected
            // stands and goes on with the next one: without it totals would
            // fall, and rise again.
            _ if empty && raw.is_none_or(|raw| raw.size.capacity.is_none() && !has_counted(raw)) => {
                Err(Missing::new(Why::EmptyDrive))
            }
            raw => raw.and_then(|raw| raw.counters).ok_or(Missing::new(Why::CallFailed)),
        },
        size: raw.map(|raw| raw.size).unwrap_or_default(),
    };
    let listed = known.iter().map(|device| {
        let raw = found.iter().find(|raw| *raw.name == *device.name);
        reading(Arc::clone(&device.name), raw, device.source.is_none())
    });
    let unlisted = found
        .iter()
        .filter(|raw| !known.iter().any(|device| *device.name == *raw.name))
        .map(|raw| reading(raw.name.as_str().into(), Some(raw), false));
    listed.chain(unlisted).collect()
}

fn has_counted(disk: &RawDisk) -> bool {
    let Some(DiskCounters { rd_reqs, rd_bytes, wr_reqs, wr_bytes, fl_reqs, errors, .. }) = disk.counters
    else {
        return false;
    };
    [rd_reqs, rd_bytes, wr_reqs, wr_bytes, fl_reqs, errors].into_iter().flatten().any(|count| count > 0)
}

/// Whether the devices that answered are not those the XML at hand names:
/// something was plugged, unplugged or ejected, and the XML must be read anew.
pub(super) fn devices_changed(reading: &DomainReading, devices: &DomainDevices) -> bool {
    let failed = Missing::new(Why::CallFailed);
    let nics = reading.nics.as_ref().is_ok_and(|nics| {
        nics.len() != devices.nics.len() || nics.iter().any(|nic| nic.counters == Err(failed))
    });
    let disks = reading.disks.as_ref().is_ok_and(|disks| {
        disks.len() != devices.disks.len()
            || disks.iter().any(|disk| disk.counters == Err(failed))
            || medium_changed(disks, devices)
    });
    nics || disks
}

/// Whether a medium was inserted or ejected: only a drive with one has a
/// size. Drivers that tell no sizes at all are not judged.
fn medium_changed(disks: &[DiskReading], devices: &DomainDevices) -> bool {
    let sized = |disk: &DiskReading| disk.size.capacity.is_some();
    disks.iter().any(sized)
        && devices.disks.iter().any(|device| {
            let removable = matches!(&*device.kind, "cdrom" | "floppy");
            let found = disks.iter().find(|disk| disk.name == device.name);
            found.is_some_and(|disk| match device.source {
                None => sized(disk),
                Some(_) => removable && !sized(disk),
            })
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::model::{
        DomainState, Kib, MonoTime, WallTime,
        domain::{DiskDevice, NicDevice},
        reading::{DiskSize, MemorySize},
    };

    const NOW: i64 = 1_700_000_000;

    fn at() -> ReadAt {
        ReadAt {
            wall: WallTime(NOW * 1_000_000_000),
            mono: MonoTime(1),
            share: Duration::ZERO,
            error: Duration::ZERO,
        }
    }

    fn gaps(shortfall: Option<Missing>) -> Gaps {
        Gaps { shortfall, not_due: Missing::since(Why::NotDue, WallTime(3)), report: None }
    }

    fn identity() -> Arc<Identity> {
        Arc::new(Identity { uuid: Uuid::from_u128(1), id: Some(3), name: "vm".into() })
    }

    fn report(last_update: Option<u64>) -> GuestMemory {
        GuestMemory {
            available: Some(Kib(100)),
            usable: Some(Kib(40)),
            last_update,
            ..GuestMemory::default()
        }
    }

    fn raw() -> RawDomain {
        let counters = Some(DiskCounters { rd_bytes: Some(1), ..DiskCounters::default() });
        let disk = |name: &str, counters| RawDisk { name: name.into(), counters, size: DiskSize::default() };
        let zeros = Some(DiskCounters { rd_bytes: Some(0), ..DiskCounters::default() });
        RawDomain {
            id: Some(3),
            state: DomainState::Running,
            memory: Some(MemorySize { current: Kib(100), maximum: Kib(200) }),
            rss: Some(Kib(80)),
            guest: Some(report(Some(u64::try_from(NOW).unwrap() - 1))),
            nics: Some(vec![
                ("vnet1".into(), NicCounters::default()),
                ("vnet0".into(), NicCounters::default()),
            ]),
            disks: Some(vec![disk("vda", counters), disk("sda", zeros)]),
            ..RawDomain::empty(Uuid::from_u128(1))
        }
    }

    fn devices() -> DomainDevices {
        let nic = |name: &str, uncounted| NicDevice {
            name: name.into(),
            alias: None,
            uncounted,
            model: None,
            mac: None,
            source: None,
        };
        let disk = |name: &str, source: Option<&str>| DiskDevice {
            name: name.into(),
            alias: None,
            kind: "disk".into(),
            bus: None,
            source: source.map(Into::into),
        };
        DomainDevices {
            nics: vec![nic("vnet0", None), nic("hostdev0", Some(Why::HostdevNic)), nic("vnet1", None)],
            disks: vec![disk("vda", Some("/a.img")), disk("sda", None)],
            balloon: Balloon::Period(2),
            ..DomainDevices::default()
        }
    }

    fn why<T: std::fmt::Debug>(value: &Measured<T>) -> Why {
        value.as_ref().expect_err("a reason").why
    }

    #[test]
    fn devices_stand_in_the_order_of_the_xml_each_with_counters_or_a_reason() {
        let devices = devices();
        let reading = assemble(raw(), identity(), at(), Some(&devices), gaps(None));
        let nics = reading.nics.as_ref().unwrap();
        let names: Vec<&str> = nics.iter().map(|n| &*n.name).collect();
        assert_eq!(names, ["vnet0", "hostdev0", "vnet1"]);
        assert_eq!(why(&nics[1].counters), Why::HostdevNic);
        assert!(nics[0].counters.is_ok() && nics[2].counters.is_ok());
        assert_eq!(why(&reading.disks.as_ref().unwrap()[1].counters), Why::EmptyDrive);
        assert!(!devices_changed(&reading, &devices));
    }

    #[test]
    fn a_drive_keeps_what_it_counted_when_its_medium_is_ejected() {
        let mut ejected = raw();
        let counters = DiskCounters { rd_bytes: Some(2048), rd_reqs: Some(1), ..DiskCounters::default() };
        ejected.disks.as_mut().unwrap()[1].counters = Some(counters);
        let reading = assemble(ejected, identity(), at(), Some(&devices()), gaps(None));
        assert_eq!(reading.disks.as_ref().unwrap()[1].counters, Ok(counters));
        assert!(!devices_changed(&reading, &devices()));
    }

    #[test]
    fn plugged_unplugged_and_ejected_devices_outdate_the_xml() {
        let known = devices();
        let mut plugged = raw();
        plugged.nics.as_mut().unwrap().push(("vnet9".into(), NicCounters::default()));
        let reading = assemble(plugged, identity(), at(), Some(&known), gaps(None));
        assert!(devices_changed(&reading, &known));
        assert!(reading.nics.unwrap().iter().any(|n| &*n.name == "vnet9" && n.counters.is_ok()));

        let mut unplugged = raw();
        unplugged.disks.as_mut().unwrap().remove(0);
        let reading = assemble(unplugged, identity(), at(), Some(&known), gaps(None));
        assert!(devices_changed(&reading, &known));

        let mut loaded = raw();
        loaded.disks.as_mut().unwrap()[1].size.capacity = Some(1 << 20);
        let reading = assemble(loaded, identity(), at(), Some(&known), gaps(None));
        assert!(devices_changed(&reading, &known));
    }

    #[test]
    fn the_guests_report_is_taken_only_while_it_is_fresh() {
        let with = |balloon, last_update| {
            let mut raw = raw();
            raw.guest = Some(report(last_update));
            let devices = DomainDevices { balloon, ..devices() };
            let report = last_update.map(|time| Report::follow(None, time, &at(), true));
            assemble(raw, identity(), at(), Some(&devices), Gaps { report, ..gaps(None) }).guest_memory
        };
        let now = u64::try_from(NOW).unwrap();
        assert!(with(Balloon::Period(2), Some(now - 7)).is_ok());
        let stale = with(Balloon::Period(2), Some(now - 8)).unwrap_err();
        assert_eq!(stale.why, Why::GuestReportStale);
        assert_eq!(stale.since, Some(WallTime((NOW - 8) * 1_000_000_000)));
        assert_eq!(why(&with(Balloon::Period(2), Some(0))), Why::NoGuestReport);
        assert_eq!(why(&with(Balloon::NoPeriod, Some(0))), Why::NoStatsPeriod);
        assert_eq!(why(&with(Balloon::Absent, Some(0))), Why::NoBalloonDriver);
        assert_eq!(why(&with(Balloon::NoPeriod, Some(now))), Why::NoStatsPeriod, "it never comes again");
        assert!(with(Balloon::NoPeriod, None).is_ok(), "drivers that tell no time of the report");
    }

    #[test]
    fn a_hung_monitor_costs_memory_and_disks_and_nothing_else() {
        let hung = Missing::since(Why::MonitorNotAnswering, WallTime(5));
        let mut short = raw();
        short.rss = None;
        short.guest = None;
        short.disks.as_mut().unwrap()[0].counters = None;
        let reading = assemble(short, identity(), at(), Some(&devices()), gaps(Some(hung)));
        assert_eq!(reading.disks.unwrap_err(), hung);
        assert_eq!(reading.guest_memory, Err(hung));
        assert_eq!(reading.rss, Err(hung));
        assert!(reading.memory.is_ok() && reading.nics.is_ok());
    }

    #[test]
    fn what_was_not_due_says_since_when_and_is_not_called_missing_otherwise() {
        let mut light = raw();
        (light.rss, light.guest, light.memory, light.disks) = (None, None, None, None);
        light.asked = Groups::ALL.without(Groups::MEMORY | Groups::DISKS);
        let reading = assemble(light, identity(), at(), Some(&devices()), gaps(None));
        let not_due = gaps(None).not_due;
        assert_eq!(reading.memory, Err(not_due));
        assert_eq!(reading.rss, Err(not_due));
        assert_eq!(reading.guest_memory, Err(not_due));
        assert_eq!(reading.disks.unwrap_err(), not_due);
        assert!(reading.nics.is_ok());
    }

    #[test]
    fn what_a_driver_does_not_offer_is_never_there() {
        let mut poor = raw();
        poor.disks = None;
        poor.guest = None;
        poor.rss = None;
        poor.refused = Groups::DISKS | Groups::MEMORY | Groups::VCPUS;
        let reading = assemble(poor, identity(), at(), Some(&devices()), gaps(None));
        assert_eq!(why(&reading.disks), Why::NotOffered);
        assert_eq!(why(&reading.guest_memory), Why::NotOffered);
        assert_eq!(why(&reading.vcpus), Why::NotOffered);
        assert_eq!(why(&reading.rss), Why::NotOffered);
    }
}
