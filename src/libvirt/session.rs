//! One open connection and what is remembered with it: domain handles, the
//! host's facts, and what the driver does not offer.
//!
//! Handles belong to the connection they came from and end with it. Lists of
//! domains, which take several calls, are read in `listing`.

mod listing;
mod xml;

use std::collections::HashMap;

use uuid::Uuid;
use virt::{connect::Connect, domain::Domain};

use super::{
    Error,
    decode::decode,
    devices, error,
    ffi::{
        self,
        bulk::{self, Record},
    },
    host, job,
    per_domain::Refused,
    question::{Control, RawDomain, Reply, Roster, RosterEntry},
    uri,
};
use crate::{
    clock::Clock,
    model::{
        DomainDevices, DomainState, Identity, Missing, MonoTime, WallTime, Why, frame::HostFacts,
        name::storable,
    },
};

/// When a call began and when it returned.
pub(super) type Span = ((WallTime, MonoTime), (WallTime, MonoTime));

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
        // A flag that the driver keeps with the domain: no monitor is asked.
        let autostart = self.handles[&uuid].domain.autostart().ok();
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
        let devices = DomainDevices { autostart, ..devices };
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
    use super::{Handle, MOST_HANDLES_FOR_JOBS, Session};
    use crate::{
        clock::Clock,
        libvirt::{Error, Reply},
        model::{Identity, Missing, Why},
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
}
