//! The time that each vCPU has run, for drivers that have no bulk statistics.

use std::ptr;

use virt::{
    domain::Domain,
    error::Error,
    sys::{self, virVcpuInfo},
};

/// libvirt's limit on one answer.
const MOST: u32 = 16_384;

/// Index and time in ns of each vCPU that is online, of the first `count`.
/// Works on a read-only connection.
pub(in super::super) fn times(domain: &Domain, count: u32) -> Result<Vec<(u32, u64)>, Error> {
    let count = count.min(MOST);
    // An entry that libvirt leaves as it is reads as offline.
    let nothing =
        || virVcpuInfo { number: 0, state: sys::VIR_VCPU_OFFLINE.cast_signed(), cpuTime: 0, cpu: -1 };
    let mut entries: Vec<_> = (0..count).map(|_| nothing()).collect();
    // SAFETY: the handle is live while borrowed; `entries` has room for
    // `count` entries, and no CPU maps are asked for.
    let filled = unsafe {
        sys::virDomainGetVcpus(domain.as_ptr(), entries.as_mut_ptr(), count.cast_signed(), ptr::null_mut(), 0)
    };
    let filled = usize::try_from(filled).map_err(|_| Error::last_error())?;
    entries.truncate(filled);
    let online = entries.iter().filter(|entry| entry.state != sys::VIR_VCPU_OFFLINE.cast_signed());
    Ok(online.map(|entry| (entry.number, entry.cpuTime)).collect())
}

#[cfg(test)]
mod tests {
    use virt::connect::Connect;

    use super::times;

    #[test]
    fn every_vcpu_is_told_over_a_read_only_connection_and_its_time_grows() {
        let connection = Connect::open_read_only(Some("test:///default")).unwrap();
        let domain = connection.lookup_domain_by_name("test").unwrap();
        let count = domain.info().unwrap().nr_virt_cpu;
        let first = times(&domain, count).unwrap();
        let numbers: Vec<_> = first.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (0..count).collect::<Vec<_>>());
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !times(&domain, count).unwrap().iter().zip(&first).all(|(now, then)| now.1 > then.1) {
            assert!(std::time::Instant::now() < end, "{first:?} does not grow");
            std::thread::yield_now();
        }
        // Room for more than there are is no vCPU more.
        assert_eq!(times(&domain, count + 5).unwrap().len(), first.len());
    }
}
