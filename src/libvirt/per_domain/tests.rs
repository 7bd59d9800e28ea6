//! On the test hypervisor: real calls, and real refusals.

use std::sync::Arc;

use virt::connect::Connect;

use super::{Call, Refused, fill, vcpu_times};
use crate::{
    libvirt::{
        Groups, devices,
        question::{Member, RawDomain},
    },
    model::DomainDevices,
};

fn connection() -> Connect {
    Connect::open_read_only(Some("test:///default")).unwrap()
}

/// The host's one domain, with devices that it has and `more` that it has not.
fn member(connection: &Connect, more: &str) -> (virt::domain::Domain, Member) {
    let domain = connection.lookup_domain_by_name("test").unwrap();
    let xml = domain.xml_desc(0).unwrap().replace("</devices>", &format!("{more}</devices>"));
    let devices: DomainDevices = devices(&xml).unwrap();
    let member =
        Member { uuid: domain.uuid().unwrap(), id: 1, devices: Some(Arc::new(devices)), groups: Groups::ALL };
    (domain, member)
}

/// A call that this driver does not have.
fn not_there(domain: &virt::domain::Domain) -> virt::error::Error {
    domain.job_info().expect_err("the test hypervisor has no jobs")
}

#[test]
fn a_refused_call_is_not_made_again_on_the_same_connection() {
    let connection = connection();
    let domain = connection.lookup_domain_by_name("test").unwrap();
    let (mut refused, mut made) = (Refused::default(), 0);
    for _ in 0..5 {
        let answer: Option<()> = refused.unless(Call::MemoryStats, || {
            made += 1;
            Err(not_there(&domain))
        });
        assert_eq!(answer, None);
    }
    assert_eq!(made, 1, "asked once, remembered");
    assert!(!refused.has(Call::CpuStats), "the others are still asked");
    // A new connection has a memory of its own.
    let anew: Option<()> = Refused::by_driver("QEMU").unless(Call::MemoryStats, || {
        made += 1;
        Ok(())
    });
    assert_eq!((anew, made), (Some(()), 2));
}

#[test]
fn a_failure_of_one_time_is_no_refusal() {
    let connection = connection();
    let gone = connection.lookup_domain_by_name("no-such-domain").expect_err("there is none");
    let mut refused = Refused::default();
    assert_eq!(refused.unless(Call::MemoryStats, || Err::<(), _>(gone)), None);
    assert_eq!(refused.unless(Call::MemoryStats, || Ok(7)), Some(7));
}

#[test]
fn a_device_that_cannot_be_counted_does_not_blind_the_others() {
    let connection = connection();
    let more = "<disk type='file'><source file='/x'/><target dev='vdz'/></disk>
                <interface type='bridge'><source bridge='b'/><target dev='nowhere'/></interface>";
    let (domain, member) = member(&connection, more);
    let mut refused = Refused::by_driver("Test");
    for _ in 0..2 {
        let mut raw = RawDomain::empty(member.uuid);
        fill(&domain, &member, Groups::ALL, false, &mut refused, &mut raw);
        let disks = raw.disks.expect("the disks are read");
        let vdz = disks.iter().find(|disk| disk.name == "vdz").unwrap();
        assert_eq!(vdz.counters, None, "nobody counts it: no counters, and no zeros");
        let nics = raw.nics.expect("the NICs are read");
        assert!(!nics.iter().any(|(name, _)| name == "nowhere"));
        assert!(!raw.refused.has(Groups::DISKS) && !raw.refused.has(Groups::NICS));
        assert!(raw.cpu.is_some() && raw.memory.is_some() && raw.rss.is_some());
    }
    assert_eq!(refused.0, [Call::Vcpus], "only what was known before");
}

#[test]
fn vcpu_times_come_whole_or_not_at_all() {
    let connection = connection();
    let domain = connection.lookup_domain_by_name("test").unwrap();
    let count = domain.info().unwrap().nr_virt_cpu;
    let mut refused = Refused::default();
    let times = vcpu_times(&domain, count, &mut refused).unwrap();
    assert_eq!(times.len(), usize::try_from(count).unwrap());
    assert!(times.iter().all(|vcpu| vcpu.time.is_some() && vcpu.delay.is_none()));
    assert_eq!(vcpu_times(&domain, count + 1, &mut refused), None, "one of them is not told");
    assert_eq!(vcpu_times(&domain, count, &mut Refused::by_driver("Test")), None);
}
