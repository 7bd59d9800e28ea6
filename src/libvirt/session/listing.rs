//! Reading a list of domains: in bulk as far as the driver goes, halved where
//! libvirt refuses it whole, and call by call for what bulk does not give.
//!
//! Owns what the records of an answer mean for each domain asked about: gone,
//! short, or the zeros of a process that has ended. It must not call what
//! waits for QEMU's monitor domain by domain.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Session, Span};
use crate::{
    libvirt::{
        Error, Groups,
        decode::{Signs, decode},
        error,
        ffi::bulk::{self, Records},
        per_domain::{self, CpuClock},
        question::{Member, RawDomain, ReadAt, Reply},
    },
    model::{DomainState, Kib},
};

/// Calls that one list may take beyond the first while it is searched for the
/// domain that makes libvirt refuse it whole.
const SEARCH_CALLS: u32 = 24;

impl Session {
    /// Statistics of these domains, one entry each, in their order.
    pub(in crate::libvirt) fn list(
        &mut self,
        members: &[Member],
        monitor_free: bool,
        timed: Option<Uuid>,
    ) -> Result<(Span, Reply), Error> {
        const WHAT: &str = "finding a domain";
        let mut list: Vec<_> = members
            .iter()
            .map(|member| RawDomain { asked: member.groups, ..RawDomain::empty(member.uuid) })
            .collect();
        let mut places = Vec::with_capacity(members.len());
        for (place, member) in members.iter().enumerate() {
            match self.look_up(member.uuid, Some(member.id), WHAT) {
                Ok(true) => places.push(place),
                Ok(false) => list[place].gone = true,
                Err(error) if error.is_connection() => return Err(error),
                Err(error) => list[place].error = Some(error),
            }
        }
        let timed = members.iter().position(|member| timed == Some(member.uuid));
        let begun = self.clock.now();
        let mut read = Read { monitor_free, timed, calls_left: SEARCH_CALLS, list: &mut list };
        // What is wanted of all comes first, in one call over all of them, so
        // that each keeps its place whoever's turn the rest is.
        let common = places.iter().map(|&place| read.list[place].asked).reduce(Groups::and);
        let common = common.unwrap_or_default();
        if self.bulk && !common.is_empty() {
            let (begun, ended) = self.bulk_timed(&mut read, &places, common)?;
            for (nth, &place) in places.iter().enumerate() {
                read.list[place].read = Some(ReadAt::estimate(begun, ended, nth, places.len()));
            }
        }
        let rest = |read: &Read<'_>, place: usize| read.list[place].asked.without(common);
        let mut left = places.clone();
        left.retain(|&place| {
            let raw = &read.list[place];
            let readable = !raw.gone && raw.error.is_none() && self.handles.contains_key(&raw.uuid);
            readable && !monitor_free && !rest(&read, place).is_empty()
        });
        while self.bulk && !left.is_empty() {
            let groups = left.iter().map(|&place| rest(&read, place)).max().unwrap_or_default();
            let (now, later) = left.into_iter().partition::<Vec<_>, _>(|&place| rest(&read, place) == groups);
            let (begun, ended) = self.bulk_timed(&mut read, &now, groups)?;
            for (nth, &place) in now.iter().enumerate() {
                read.list[place].rest = Some(ReadAt::estimate(begun, ended, nth, now.len()));
            }
            left = later;
        }
        if !self.bulk || !self.qemu || monitor_free {
            self.domain_by_domain(members, &mut read, &places)?;
        }
        self.forget_strangers(members);
        Ok(((begun, self.clock.now()), Reply::List(list)))
    }

    /// One bulk call over the members at `places`, or three where one of them
    /// is to be timed: those before it, it alone, and those behind it. The
    /// order is the same, and so is the span from the first to the last, by
    /// which they are dated: from one cycle to the next nobody's place jumps.
    fn bulk_timed(&mut self, read: &mut Read<'_>, places: &[usize], groups: Groups) -> Result<Span, Error> {
        let Some(nth) = read.timed.and_then(|timed| places.iter().position(|&place| place == timed)) else {
            return self.bulk(read, places, groups);
        };
        let (before, after) = (&places[..nth], &places[nth + 1..]);
        let first = if before.is_empty() { None } else { Some(self.bulk(read, before, groups)?) };
        let alone = self.bulk(read, &places[nth..=nth], groups)?;
        let last = if after.is_empty() { None } else { Some(self.bulk(read, after, groups)?) };
        let cost = &mut read.list[places[nth]].alone;
        *cost = Some(cost.unwrap_or_default() + alone.1.1.since(alone.0.1));
        Ok((first.unwrap_or(alone).0, last.unwrap_or(alone).1))
    }

    /// One bulk call over the members at `places`. If libvirt refuses the
    /// list as a whole, its halves are asked, down to the one domain at fault.
    fn bulk(&mut self, read: &mut Read<'_>, places: &[usize], groups: Groups) -> Result<Span, Error> {
        let begun = self.clock.now();
        if places.is_empty() {
            return Ok((begun, begun));
        }
        let free = Groups::NICS;
        let asked = if read.monitor_free { groups.and(free) } else { groups };
        let handles = places.iter().filter_map(|&place| self.handles.get(&read.list[place].uuid));
        let records = bulk::of_domains(handles.map(|handle| &handle.domain), asked);
        let ended = self.clock.now();
        match records {
            Ok(records) => {
                self.take(read, places, asked, &records);
                Ok((begun, ended))
            }
            Err(error) if error::is_not_offered(&error) => {
                self.bulk = false;
                Ok((begun, ended))
            }
            Err(error) => self.bulk_of_halves(read, places, groups, &error, (begun, ended)),
        }
    }

    fn bulk_of_halves(
        &mut self,
        read: &mut Read<'_>,
        places: &[usize],
        groups: Groups,
        error: &virt::error::Error,
        span: Span,
    ) -> Result<Span, Error> {
        let failure = self.failed(error, "reading the domains' statistics");
        if failure.is_connection() {
            return Err(failure);
        }
        if let [place] = *places {
            let raw = &mut read.list[place];
            self.handles.remove(&raw.uuid);
            if error::is_no_domain(error) {
                raw.gone = true;
            } else {
                raw.error = Some(failure);
            }
            return Ok(span);
        }
        if read.calls_left < 2 {
            for &place in places {
                read.list[place].error = Some(failure.clone());
            }
            return Ok(span);
        }
        read.calls_left -= 2;
        let (first, second) = places.split_at(places.len() / 2);
        let (begun, _) = self.bulk(read, first, groups)?;
        let (_, ended) = self.bulk(read, second, groups)?;
        Ok((begun, ended))
    }

    /// Puts the records into the members' places.
    fn take(&mut self, read: &mut Read<'_>, places: &[usize], asked: Groups, records: &Records) {
        let place_of: HashMap<Uuid, usize> =
            places.iter().map(|&place| (read.list[place].uuid, place)).collect();
        let mut answered = vec![false; read.list.len()];
        for record in records.iter() {
            let Some(&place) = record.uuid().and_then(|uuid| place_of.get(&uuid)) else { continue };
            answered[place] = true;
            let raw = &mut read.list[place];
            raw.id = record.id();
            let mut part = RawDomain::empty(raw.uuid);
            let signs = decode(&mut part, record.params());
            if self.qemu {
                forget_dead_process(&mut part);
                raw.short |= raw.id.is_some() && is_short(asked, signs);
            }
            put(raw, part, asked);
            if let Some(handle) = self.handles.get_mut(&raw.uuid) {
                if raw.id != handle.id {
                    handle.vcpu_times = None;
                    handle.id = raw.id;
                }
                if self.qemu && raw.asked.has(Groups::VCPUS) {
                    let came = raw.vcpus.is_some();
                    let whole = asked.has(Groups::MEMORY) && !raw.short;
                    if came || (whole && handle.vcpu_times.is_none()) {
                        handle.vcpu_times = Some(came);
                    }
                    if handle.vcpu_times == Some(false) {
                        raw.refused |= Groups::VCPUS;
                    }
                }
            }
            if raw.id.is_none() {
                // libvirt gives an inactive domain counters of zero.
                let RawDomain { uuid, asked, state, reason, .. } = *raw;
                *raw = RawDomain { asked, state, reason, ..RawDomain::empty(uuid) };
            }
        }
        // libvirt skips a domain that has vanished since it was looked up.
        for &place in place_of.values().filter(|&&place| !answered[place]) {
            let raw = &mut read.list[place];
            raw.gone = true;
            self.handles.remove(&raw.uuid);
        }
    }

    /// What bulk does not give, call by call.
    fn domain_by_domain(
        &mut self,
        members: &[Member],
        read: &mut Read<'_>,
        places: &[usize],
    ) -> Result<(), Error> {
        for &place in places {
            let raw = &mut read.list[place];
            let Some(handle) = self.handles.get(&raw.uuid) else { continue };
            let domain = &handle.domain;
            let begun = self.clock.now();
            if !self.bulk {
                match domain.info() {
                    Ok(info) => {
                        raw.id = handle.id;
                        raw.state = DomainState::from_code(info.state.to_raw().into());
                    }
                    Err(error) if error::is_no_domain(&error) => {
                        raw.gone = true;
                        self.handles.remove(&raw.uuid);
                        continue;
                    }
                    Err(error) => {
                        let failure = self.failed(&error, "reading a domain's state");
                        if failure.is_connection() {
                            return Err(failure);
                        }
                        read.list[place].error = Some(failure);
                        continue;
                    }
                }
            }
            if raw.id.is_none() {
                continue;
            }
            let refused = &mut self.refused;
            if self.qemu {
                per_domain::fill_monitor_free(domain, raw.asked, CpuClock::Summary, refused, raw);
                // The CPU time is of now, the NICs are of the bulk call.
                raw.read = raw.read.map(|nics| nics.to_the_end_of(begun, self.clock.now()));
            } else {
                per_domain::fill(domain, &members[place], raw.asked, read.monitor_free, refused, raw);
                let at = ReadAt::estimate(begun, self.clock.now(), 0, 1);
                (raw.read, raw.alone) = (Some(at), Some(at.share));
            }
        }
        if matches!(self.connection.is_alive(), Ok(true)) {
            return Ok(());
        }
        Err(Error::of_closed(&self.uri, "reading the domains one by one"))
    }

    /// Domains come and go for months: handles of those that this reader is
    /// no longer asked about are let go before they pile up.
    fn forget_strangers(&mut self, members: &[Member]) {
        if self.handles.len() > 2 * members.len() + 64 {
            let known: std::collections::HashSet<_> = members.iter().map(|member| member.uuid).collect();
            self.handles.retain(|uuid, _| known.contains(uuid));
        }
    }
}

/// A list being read.
struct Read<'a> {
    monitor_free: bool,
    /// Place of the member that is to be timed.
    timed: Option<usize>,
    /// Further bulk calls that may be made to find a domain at fault.
    calls_left: u32,
    list: &'a mut [RawDomain],
}

/// Whether the monitor's part was asked for and is absent. QEMU's driver gives
/// the RSS exactly when it had the domain's lock and the monitor answered, for
/// every active domain, with or without balloon, disks or a running guest. It
/// is the sign wherever memory was asked for; without it, counters of disks
/// that have a medium are.
fn is_short(asked: Groups, signs: Signs) -> bool {
    !signs.monitor && (asked.has(Groups::MEMORY) || (asked.has(Groups::DISKS) && signs.media))
}

/// Puts what a call over these groups gave into a domain's reading.
fn put(raw: &mut RawDomain, part: RawDomain, asked: Groups) {
    raw.state = part.state;
    raw.reason = part.reason;
    raw.gone |= part.gone;
    if asked.has(Groups::CPU) {
        raw.cpu = part.cpu;
    }
    if asked.has(Groups::VCPUS) {
        raw.vcpu_count = part.vcpu_count;
        raw.vcpus = part.vcpus;
    }
    if asked.has(Groups::MEMORY) {
        raw.memory = part.memory;
        raw.rss = part.rss;
        raw.guest = part.guest;
    }
    if asked.has(Groups::NICS) {
        raw.nics = part.nics;
    }
    if asked.has(Groups::DISKS) {
        raw.disks = part.disks;
    }
}

/// Takes out what libvirt gives of a process that has ended and that it has not
/// buried yet: zeros. A QEMU that lives has used some time and some memory.
fn forget_dead_process(raw: &mut RawDomain) {
    if raw.cpu.is_some_and(|cpu| cpu.time.0 == 0) {
        raw.cpu = None;
    }
    if raw.rss == Some(Kib(0)) {
        raw.gone = true;
    }
}

#[cfg(test)]
mod tests {
    use super::{Signs, forget_dead_process, is_short};
    use crate::{
        libvirt::{Groups, RawDomain},
        model::{Kib, Nanos, reading::CpuCounters},
    };

    #[test]
    fn the_zeros_of_a_process_that_has_ended_are_no_readings() {
        let read = |time: u64, rss: u64| {
            let cpu = CpuCounters { time: Nanos(time), user: None, system: None };
            let mut raw = RawDomain {
                cpu: Some(cpu),
                rss: Some(Kib(rss)),
                ..RawDomain::empty(uuid::Uuid::from_u128(1))
            };
            forget_dead_process(&mut raw);
            (raw.cpu.is_some(), raw.gone)
        };
        assert_eq!(read(1, 1), (true, false));
        assert_eq!(read(0, 1), (false, false));
        assert_eq!(read(1, 0), (true, true));
    }

    #[test]
    fn short_means_that_something_asked_for_is_absent() {
        let nothing = Signs::default();
        let media = Signs { media: true, monitor: false };
        let full = Signs { media: true, monitor: true };
        assert!(is_short(Groups::ALL, nothing));
        assert!(is_short(Groups::MEMORY, nothing));
        assert!(is_short(Groups::DISKS, media));
        assert!(!is_short(Groups::DISKS, nothing), "no medium, so nothing to miss");
        assert!(!is_short(Groups::ALL, full));
        assert!(!is_short(Groups::CPU | Groups::VCPUS | Groups::NICS, media), "none of it was asked for");
        assert!(!is_short(Groups::NONE, nothing));
    }
}
