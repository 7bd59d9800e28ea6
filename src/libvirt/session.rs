//! One open connection and what is remembered with it: domain handles, the
//! host's facts, and what the driver does not offer.
//!
//! Handles belong to the connection they came from and end with it.

use std::collections::HashMap;

use uuid::Uuid;
use virt::{connect::Connect, domain::Domain};

use super::{
    Error, Groups,
    decode::{Signs, decode},
    devices, error,
    ffi::{
        self,
        bulk::{self, Record, Records},
    },
    host, job,
    per_domain::{self, CpuClock, Refused},
    question::{Control, Member, RawDomain, ReadAt, Reply, Roster, RosterEntry},
    uri,
};
use crate::{
    clock::Clock,
    model::{DomainState, Identity, Kib, Missing, MonoTime, WallTime, Why, frame::HostFacts, name::storable},
};

/// When a call began and when it returned.
pub(super) type Span = ((WallTime, MonoTime), (WallTime, MonoTime));

/// Calls that one list may take beyond the first while it is searched for the
/// domain that makes libvirt refuse it whole.
const SEARCH_CALLS: u32 = 24;

/// After so many seconds of silence the other side is asked for a sign of
/// life …
const KEEPALIVE_SECONDS: i32 = 3;
/// … and after so many questions without one the connection is given up: a
/// loss is noticed 9 seconds after the last sign.
const KEEPALIVE_COUNT: u32 = 2;

/// Handles that are kept for questions about jobs.
const MOST_HANDLES_FOR_JOBS: usize = 1000;

pub(super) struct Session {
    /// Before the connection, so that they are given back first.
    handles: HashMap<Uuid, Handle>,
    host: Option<HostFacts>,
    load: host::Load,
    /// QEMU's driver: its bulk data is complete, and what waits for a monitor
    /// must never be asked domain by domain.
    qemu: bool,
    /// The driver has the bulk call.
    bulk: bool,
    refused: Refused,
    connection: Connect,
    uri: String,
    clock: Clock,
}

struct Handle {
    domain: Domain,
    id: Option<u32>,
    /// Whether this incarnation has vCPU times: known once they came, or once
    /// a whole answer came without them. An answer without the monitor's part
    /// tells nothing: a QEMU that is just being started has no vCPUs yet.
    vcpu_times: Option<bool>,
}

/// Opens a connection, read-only, whose loss is noticed.
pub(super) fn connect(uri: &str) -> Result<Connect, Error> {
    if let Some(fault) = Error::of_uri(uri).or_else(|| Error::of_builtin_file(uri)) {
        return Err(fault);
    }
    let connection =
        Connect::open_read_only(Some(&uri::to_open(uri))).map_err(|error| Error::of_opening(&error, uri))?;
    // A driver within this process has nothing to keep alive, and says so.
    if let Err(error) = connection.set_keep_alive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT) {
        tracing::debug!("no keepalive: {}", uri::scrubbed(error.message(), uri));
    }
    Ok(connection)
}

impl Session {
    /// Opens the connection, read-only.
    pub(super) fn open(uri: &str, clock: &Clock) -> Result<Self, Error> {
        let connection = connect(uri)?;
        let kind = connection.driver_type().map_err(|error| Error::of_opening(&error, uri))?;
        Ok(Self {
            handles: HashMap::new(),
            host: None,
            load: host::Load::of(&connection, uri),
            qemu: kind == "QEMU",
            bulk: true,
            refused: Refused::by_driver(&kind),
            connection,
            uri: uri.to_owned(),
            clock: clock.clone(),
        })
    }

    /// A call about domains failed.
    fn failed(&self, error: &virt::error::Error, what: &'static str) -> Error {
        Error::of_domain_call(error, &self.connection, what, &self.uri)
    }

    /// The call for the roster failed.
    fn unlisted(&self, error: &virt::error::Error) -> Error {
        Error::of_call(error, &self.connection, "listing the domains", &self.uri)
    }

    /// All domains and the host.
    pub(super) fn roster(&mut self) -> Result<(Span, Reply), Error> {
        let begun = self.clock.now();
        let bulk = if self.bulk { Some(bulk::states_of_all(&self.connection)) } else { None };
        let domains = match bulk {
            Some(Ok(records)) => records.iter().filter_map(entry).collect(),
            Some(Err(error)) if !error::is_not_offered(&error) => return Err(self.unlisted(&error)),
            _ => {
                self.bulk = false;
                let all = self.connection.list_all_domains(0).map_err(|error| self.unlisted(&error))?;
                // One that vanished since is simply not in the list.
                all.iter().filter_map(entry_of_handle).collect()
            }
        };
        let ended = self.clock.now();
        let (connection, uri) = (&self.connection, &self.uri);
        let host = self.host.get_or_insert_with(|| host::facts(connection, uri)).clone();
        let load = self.load.read(connection, &self.clock);
        Ok(((begun, ended), Reply::Roster(Roster { domains, host, load })))
    }

    /// The devices of one domain.
    pub(super) fn describe(&mut self, uuid: Uuid) -> Result<(Span, Reply), Error> {
        const WHAT: &str = "reading a domain's XML";
        if !self.look_up(uuid, None, WHAT)? {
            return Err(self.no_such(uuid));
        }
        let begun = self.clock.now();
        let xml = self.handles[&uuid].domain.xml_desc(0);
        let ended = self.clock.now();
        // Asked again minutes later at the soonest, if ever: kept, the handles
        // of all domains that ever were would pile up.
        self.handles.remove(&uuid);
        let xml = xml.map_err(|error| {
            if error::is_no_domain(&error) { self.no_such(uuid) } else { self.failed(&error, WHAT) }
        })?;
        let devices = devices::devices(&xml).map_err(|error| Error::Call {
            uri: uri::masked(&self.uri),
            what: WHAT,
            detail: error.to_string(),
        })?;
        Ok(((begun, ended), Reply::Description { uuid, devices }))
    }

    /// The job that runs on one domain.
    ///
    /// The handle is kept for the usual answer, that none does. A job that
    /// runs is asked about once more through a handle taken anew, which knows
    /// whose job it is: the domain may have been started again since.
    pub(super) fn job(&mut self, uuid: Uuid, id: u32) -> Result<(Span, Reply), Error> {
        let kept = self.handles.get(&uuid).is_some_and(|handle| handle.id == Some(id));
        let (span, reply) = self.ask_for_job(uuid, id)?;
        if kept && matches!(reply, Reply::Job { job: Ok(Some(_)), .. }) {
            self.handles.remove(&uuid);
            return self.ask_for_job(uuid, id);
        }
        if self.handles.len() > MOST_HANDLES_FOR_JOBS {
            // Those that are still asked about come back one by one.
            self.handles.clear();
        }
        Ok((span, reply))
    }

    fn ask_for_job(&mut self, uuid: Uuid, id: u32) -> Result<(Span, Reply), Error> {
        const WHAT: &str = "asking about a domain's job";
        if !self.look_up(uuid, Some(id), WHAT)? {
            return Err(self.no_such(uuid));
        }
        let begun = self.clock.now();
        let handle = &self.handles[&uuid];
        let (id, answer) = (handle.id, ffi::job::of(&handle.domain));
        let ended = self.clock.now();
        let job = match answer {
            Ok(answer) => Ok(answer.runs().then(|| job::decode(answer.params()))),
            Err(error) if error::is_not_offered(&error) => Err(Missing::new(Why::NotOffered)),
            Err(error) if error::is_no_domain(&error) => {
                self.handles.remove(&uuid);
                return Err(self.no_such(uuid));
            }
            Err(error) => {
                self.handles.remove(&uuid);
                let failure = self.failed(&error, WHAT);
                if failure.is_connection() {
                    return Err(failure);
                }
                // Stopped since, or held by another job for half a minute.
                tracing::debug!("{failure}");
                Err(Missing::new(Why::CallFailed))
            }
        };
        Ok(((begun, ended), Reply::Job { uuid, id, job }))
    }

    /// Whether a call holds one domain.
    pub(super) fn control(&mut self, uuid: Uuid, id: u32) -> Result<(Span, Reply), Error> {
        const WHAT: &str = "asking whether a domain is held";
        let begun = self.clock.now();
        let control = if self.look_up(uuid, Some(id), WHAT)? {
            match ffi::control::of(&self.handles[&uuid].domain) {
                Ok(control) => control,
                // Stopped since: what held it has returned.
                Err(error) if error::is_no_domain(&error) => Control::Free,
                Err(error) => {
                    let failure = self.failed(&error, WHAT);
                    if failure.is_connection() {
                        return Err(failure);
                    }
                    tracing::debug!("{failure}");
                    Control::Unknown
                }
            }
        } else {
            Control::Free
        };
        Ok(((begun, self.clock.now()), Reply::Control(control)))
    }

    fn no_such(&self, uuid: Uuid) -> Error {
        Error::NoSuchDomain { uri: uri::masked(&self.uri), uuid }
    }

    /// Statistics of these domains, one entry each, in their order.
    pub(super) fn list(&mut self, members: &[Member], monitor_free: bool) -> Result<(Span, Reply), Error> {
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
        let begun = self.clock.now();
        let mut read = Read { monitor_free, calls_left: SEARCH_CALLS, list: &mut list };
        let mut left = places.clone();
        while self.bulk && !left.is_empty() {
            let groups = left.iter().map(|&place| read.list[place].asked).max().unwrap_or_default();
            let (now, later) =
                left.into_iter().partition::<Vec<_>, _>(|&place| read.list[place].asked == groups);
            let (begun, ended) = self.bulk(&mut read, &now, groups)?;
            for (nth, &place) in now.iter().enumerate() {
                read.list[place].read = Some(ReadAt::estimate(begun, ended, nth, now.len()));
            }
            left = later;
        }
        if !self.bulk || !self.qemu || monitor_free {
            self.domain_by_domain(members, &mut read, &places)?;
        }
        self.forget_strangers(members);
        Ok(((begun, self.clock.now()), Reply::List(list)))
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
            let signs = decode(raw, record.params());
            if self.qemu {
                forget_dead_process(raw);
                raw.short = raw.id.is_some() && is_short(asked, signs);
            }
            if let Some(handle) = self.handles.get_mut(&raw.uuid) {
                if raw.id != handle.id {
                    handle.vcpu_times = None;
                    handle.id = raw.id;
                }
                if self.qemu && asked.has(Groups::VCPUS) {
                    let came = raw.vcpus.is_some();
                    if came || (!raw.short && handle.vcpu_times.is_none()) {
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
                raw.read = Some(ReadAt::estimate(begun, self.clock.now(), 0, 1));
            }
        }
        if matches!(self.connection.is_alive(), Ok(true)) {
            return Ok(());
        }
        Err(Error::of_closed(&self.uri, "reading the domains one by one"))
    }

    /// Makes sure there is a handle for `uuid`, taken anew if the asker knows
    /// another id than it had. `false`: there is no such domain.
    fn look_up(&mut self, uuid: Uuid, id: Option<u32>, what: &'static str) -> Result<bool, Error> {
        if self.handles.get(&uuid).is_some_and(|handle| id.is_none() || handle.id == id) {
            return Ok(true);
        }
        match self.connection.lookup_domain_by_uuid(uuid) {
            Ok(domain) => {
                let handle = Handle { id: domain.id(), domain, vcpu_times: None };
                self.handles.insert(uuid, handle);
                Ok(true)
            }
            Err(error) if error::is_no_domain(&error) => {
                self.handles.remove(&uuid);
                Ok(false)
            }
            Err(error) => Err(self.failed(&error, what)),
        }
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

fn entry(record: Record<'_>) -> Option<RosterEntry> {
    let mut raw = RawDomain::empty(record.uuid()?);
    decode(&mut raw, record.params());
    let name = storable(&record.name()).into();
    let identity = Identity { uuid: raw.uuid, id: record.id(), name };
    Some(RosterEntry { identity, state: raw.state, reason: raw.reason })
}

fn entry_of_handle(domain: &Domain) -> Option<RosterEntry> {
    let identity =
        Identity { uuid: domain.uuid().ok()?, id: domain.id(), name: storable(&domain.name().ok()?).into() };
    let state = DomainState::from_code(domain.info().ok()?.state.to_raw().into());
    Some(RosterEntry { identity, state, reason: 0 })
}

#[cfg(test)]
mod tests {
    use super::{Handle, MOST_HANDLES_FOR_JOBS, Session, Signs, forget_dead_process, is_short};
    use crate::{
        clock::Clock,
        libvirt::{Error, Groups, RawDomain, Reply},
        model::{Identity, Kib, Missing, Nanos, Why, reading::CpuCounters},
    };

    #[test]
    fn a_described_domain_leaves_no_handle_behind() {
        let mut session = Session::open("test:///default", &Clock::system()).unwrap();
        let Ok((_, Reply::Roster(roster))) = session.roster() else { panic!("no roster") };
        for entry in &roster.domains {
            session.describe(entry.identity.uuid).unwrap();
        }
        assert!(!roster.domains.is_empty() && session.handles.is_empty());
    }

    #[test]
    fn a_refusal_about_one_domain_is_no_end_of_the_connection() {
        let mut session = Session::open("test:///default", &Clock::system()).unwrap();
        let Ok((_, Reply::Roster(roster))) = session.roster() else { panic!("no roster") };
        let uuid = roster.domains[0].identity.uuid;
        session.look_up(uuid, None, "finding a domain").unwrap();
        // libvirt's own refusal: the connection may only read.
        let refusal = session.handles[&uuid].domain.suspend().unwrap_err();
        let one = session.failed(&refusal, "reading a domain's XML");
        assert!(matches!(one, Error::Call { .. }) && !one.is_connection(), "{one:?}");
        let all = session.unlisted(&refusal);
        assert!(matches!(all, Error::NoPermission { .. }) && all.is_connection(), "{all:?}");
    }

    #[test]
    fn a_question_about_a_job_keeps_its_handle_and_not_too_many() {
        let mut session = Session::open("test:///default", &Clock::system()).unwrap();
        let Ok((_, Reply::Roster(roster))) = session.roster() else { panic!("no roster") };
        let Identity { uuid, id, .. } = roster.domains[0].identity;
        let ask = |session: &mut Session| match session.job(uuid, id.unwrap()) {
            Ok((_, Reply::Job { id: told, job, .. })) => {
                // The test driver knows no jobs.
                assert_eq!((told, job), (id, Err(Missing::new(Why::NotOffered))));
                session.handles.len()
            }
            other => panic!("{:?}", other.map(|_| ())),
        };
        assert_eq!([ask(&mut session), ask(&mut session)], [1, 1]);
        let domain = session.connection.lookup_domain_by_uuid(uuid).unwrap();
        for n in 0..=MOST_HANDLES_FOR_JOBS {
            let handle = Handle { domain: domain.clone(), id, vcpu_times: None };
            session.handles.insert(uuid::Uuid::from_u128(n as u128), handle);
        }
        assert_eq!(ask(&mut session), 0, "all go at once, and come back when they are asked about");
        assert_eq!(ask(&mut session), 1);
    }

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
