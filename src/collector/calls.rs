//! The calls that are out: within their deadline, or stuck beyond it.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use uuid::Uuid;

use super::{inherited::Single, pace::Load, probing::Probe};
use crate::{
    libvirt::ReaderId,
    model::{MonoTime, WallTime},
};

/// One question that has not been answered yet.
#[derive(Debug)]
pub(super) struct Call {
    pub reader: ReaderId,
    pub kind: CallKind,
    pub asked_wall: WallTime,
    pub asked: MonoTime,
    pub deadline: MonoTime,
    /// The link the call belongs to; an answer from an earlier link is
    /// only a sign that the call is over.
    pub link: u64,
}

/// What was asked.
#[derive(Debug)]
pub(super) enum CallKind {
    /// Who is there.
    Roster,
    /// The readings of these domains.
    List(ListCall),
    /// Whether a call of an earlier process still holds a domain.
    Control(Probe),
    /// One domain's XML.
    Describe {
        /// Which domain.
        uuid: Uuid,
        /// Its incarnation: an answer is of no other.
        id: Option<u32>,
    },
    /// One domain's XML, to be shown.
    Xml {
        /// Which domain.
        uuid: Uuid,
    },
    /// The job that runs on one domain.
    Job {
        /// Which domain.
        uuid: Uuid,
        /// A job was known to run: then the answer is the monitor's.
        known: bool,
    },
}

/// A list call.
#[derive(Clone, Debug)]
pub(super) struct ListCall {
    pub members: Vec<Uuid>,
    /// The cycle that asked.
    pub cycle: u64,
    /// The domains came back short once in this cycle already.
    pub again: bool,
    /// How many calls over these members were overdue before this one.
    pub overdue: u32,
    /// Only what needs no monitor was asked: it cannot hang.
    pub monitor_free: bool,
    /// Members that are not read in full: memory and disks are not due.
    pub light: HashSet<Uuid>,
    /// Asked about one domain on behalf of a call of an earlier process.
    pub single: Option<Single>,
    /// The member that is timed by itself.
    pub timed: Option<Uuid>,
}

impl ListCall {
    /// A first call over `members`, in full.
    pub fn new(members: Vec<Uuid>, cycle: u64) -> Self {
        Self {
            members,
            cycle,
            again: false,
            overdue: 0,
            monitor_free: false,
            light: HashSet::new(),
            single: None,
            timed: None,
        }
    }

    /// How many of its members are read how.
    pub fn load(&self) -> Load {
        let light = self.members.iter().filter(|uuid| self.light.contains(uuid)).count();
        Load { whole: self.members.len() - light, light }
    }
}

/// All calls that are out.
#[derive(Debug, Default)]
pub(super) struct Calls {
    last_ticket: u64,
    in_flight: HashMap<u64, Call>,
    /// Oldest first.
    stuck: Vec<(u64, Call)>,
}

impl Calls {
    /// A new ticket.
    pub fn ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    pub fn insert(&mut self, ticket: u64, call: Call) {
        self.in_flight.insert(ticket, call);
    }

    /// Removes the call of `ticket`; `true` beside it if it was stuck.
    pub fn returned(&mut self, ticket: u64) -> Option<(Call, bool)> {
        if let Some(call) = self.in_flight.remove(&ticket) {
            return Some((call, false));
        }
        let place = self.stuck.iter().position(|(stuck, _)| *stuck == ticket)?;
        Some((self.stuck.remove(place).1, true))
    }

    /// Moves every call past its deadline to the stuck ones and tells their
    /// tickets, oldest first.
    pub fn overdue(&mut self, now: MonoTime) -> Vec<u64> {
        let mut late: Vec<u64> = self
            .in_flight
            .iter()
            .filter(|(_, call)| call.deadline <= now)
            .map(|(ticket, _)| *ticket)
            .collect();
        late.sort_unstable();
        for ticket in &late {
            if let Some(call) = self.in_flight.remove(ticket) {
                self.stuck.push((*ticket, call));
            }
        }
        late
    }

    pub fn stuck_call(&self, ticket: u64) -> Option<&Call> {
        self.stuck.iter().find(|(stuck, _)| *stuck == ticket).map(|(_, call)| call)
    }

    /// The next deadline of a call in flight.
    pub fn next_deadline(&self) -> Option<MonoTime> {
        self.in_flight.values().map(|call| call.deadline).min()
    }

    /// Calls that hold, or may come to hold, a worker of libvirtd: the stuck
    /// ones that can hang on a domain, of whatever link.
    pub fn stuck_on_domains(&self) -> usize {
        self.stuck.iter().filter(|(_, call)| call.can_hang()).count()
    }

    /// Calls in flight that may come to hang on a domain and hold one more
    /// worker. One on behalf of an earlier process's call takes that one's
    /// place if it does.
    pub fn in_flight_that_can_hang(&self) -> usize {
        self.in_flight.values().filter(|call| call.can_hang() && !call.is_single()).count()
    }

    /// Lists in flight, of whatever link.
    pub fn all_lists_in_flight(&self) -> usize {
        self.in_flight.values().filter(|call| matches!(call.kind, CallKind::List(_))).count()
    }

    /// The members of each list call in flight that may come to hang and hold
    /// one more worker.
    pub fn may_come_to_hang(&self) -> impl Iterator<Item = &[Uuid]> {
        self.in_flight.values().filter(|call| call.can_hang() && !call.is_single()).map(Call::members)
    }

    /// Calls for the roster or a connection that are out, of whatever link,
    /// within their deadline or not: attempts to reach libvirt.
    pub fn attempts(&self) -> usize {
        self.all().filter(|call| matches!(call.kind, CallKind::Roster)).count()
    }

    /// When the last of these attempts was made.
    pub fn last_attempt(&self) -> Option<MonoTime> {
        self.all().filter(|call| matches!(call.kind, CallKind::Roster)).map(|call| call.asked).max()
    }

    /// Questions for XML that are out, of whatever link, stuck or not.
    pub fn descriptions(&self) -> impl Iterator<Item = &Call> {
        self.all().filter(|call| matches!(call.kind, CallKind::Describe { .. }))
    }

    /// Questions for XML that are stuck: each holds a worker of libvirtd.
    pub fn stuck_descriptions(&self) -> usize {
        let of_xml = |kind: &_| matches!(kind, CallKind::Describe { .. } | CallKind::Xml { .. });
        self.stuck.iter().filter(|(_, call)| of_xml(&call.kind)).count()
    }

    /// Questions for XML to be shown that are out, stuck or not.
    pub fn xml(&self) -> impl Iterator<Item = &Call> {
        self.all().filter(|call| matches!(call.kind, CallKind::Xml { .. }))
    }

    /// Questions for a job that are out, of whatever link, stuck or not.
    pub fn jobs(&self) -> usize {
        self.all().filter(|call| matches!(call.kind, CallKind::Job { .. })).count()
    }

    fn all(&self) -> impl Iterator<Item = &Call> {
        self.in_flight.values().chain(self.stuck.iter().map(|(_, call)| call))
    }

    /// Domains not to be asked now: their list call is in flight on this
    /// link, and asking them twice at once would make them look busy; or even
    /// a call that needs no monitor has not returned, and another would only
    /// add to the load of a host that is that slow.
    pub fn being_read(&self, link: u64) -> HashSet<Uuid> {
        let slow =
            self.stuck.iter().filter(|(_, call)| call.link == link).filter_map(|(_, call)| {
                match &call.kind {
                    CallKind::List(list) if list.monitor_free => Some(list),
                    _ => None,
                }
            });
        self.lists_in_flight(link).chain(slow).flat_map(|list| list.members.iter().copied()).collect()
    }

    /// Questions whether a domain is held that are out, of whatever link, stuck
    /// or not.
    pub fn probes(&self) -> impl Iterator<Item = &Uuid> {
        self.all().filter_map(|call| match &call.kind {
            CallKind::Control(probe) => Some(probe.uuid()),
            _ => None,
        })
    }

    /// Questions whether a domain is held that are in flight on this link.
    pub fn probes_in_flight(&self, link: u64) -> usize {
        let probes = |call: &&Call| call.link == link && matches!(call.kind, CallKind::Control(_));
        self.in_flight.values().filter(probes).count()
    }

    /// List calls of this link and cycle that are still within their deadline.
    pub fn pending_of_cycle(&self, link: u64, cycle: u64) -> usize {
        self.lists_in_flight(link).filter(|list| list.cycle == cycle).count()
    }

    /// Whether all that this cycle still waits for are lists that were overdue
    /// once: somebody hangs, and nobody else shall wait for that.
    pub fn only_repeats_pending(&self, link: u64, cycle: u64) -> bool {
        self.lists_in_flight(link).filter(|list| list.cycle == cycle).all(|list| list.overdue > 0)
    }

    fn lists_in_flight(&self, link: u64) -> impl Iterator<Item = &ListCall> {
        self.in_flight.values().filter(move |call| call.link == link).filter_map(|call| match &call.kind {
            CallKind::List(list) => Some(list),
            _ => None,
        })
    }

    /// Whether a roster call of this link is in flight.
    pub fn roster_in_flight(&self, link: u64) -> bool {
        self.in_flight.values().any(|call| call.link == link && matches!(call.kind, CallKind::Roster))
    }

    /// Whether a reader has a call out.
    pub fn is_asked(&self, reader: ReaderId) -> bool {
        self.all().any(|call| call.reader == reader)
    }

    /// Since when a stuck call may hang on `uuid`, which has answered in full
    /// at `answered` last.
    pub fn stuck_since(&self, uuid: &Uuid, answered: Option<MonoTime>) -> Option<WallTime> {
        let stuck = self.stuck.iter().map(|(_, call)| call);
        let mut suspects = stuck.filter(|call| call.covers(uuid) && !call.is_cleared(answered));
        suspects.next().map(|call| call.asked_wall)
    }

    /// Each stuck call with the domain it most likely waits on. A list call
    /// waits on the first hung member whose job no earlier call holds, and
    /// that has not answered in full (`answered`) while the call hung.
    pub fn blame(
        &self,
        is_hung: impl Fn(&Uuid) -> bool,
        answered: impl Fn(&Uuid) -> Option<MonoTime>,
    ) -> Vec<(&Call, Option<Uuid>)> {
        let mut blamed = HashSet::new();
        self.stuck
            .iter()
            .map(|(_, call)| {
                let domain = match &call.kind {
                    CallKind::Roster => None,
                    CallKind::Describe { uuid, .. } | CallKind::Xml { uuid } | CallKind::Job { uuid, .. } => {
                        Some(*uuid)
                    }
                    CallKind::Control(probe) => Some(*probe.uuid()),
                    CallKind::List(list) if list.members.len() == 1 => list.members.first().copied(),
                    CallKind::List(list) => list.members.iter().copied().find(|uuid| {
                        is_hung(uuid) && !blamed.contains(uuid) && !call.is_cleared(answered(uuid))
                    }),
                };
                blamed.extend(domain);
                (call, domain)
            })
            .collect()
    }
}

impl Call {
    /// Whether it can hang on a domain and hold a worker of libvirtd.
    pub fn can_hang(&self) -> bool {
        match &self.kind {
            CallKind::List(list) => !list.monitor_free,
            CallKind::Job { .. } => true,
            CallKind::Roster | CallKind::Describe { .. } | CallKind::Xml { .. } | CallKind::Control(_) => {
                false
            }
        }
    }

    fn is_single(&self) -> bool {
        matches!(&self.kind, CallKind::List(list) if list.single.is_some())
    }

    /// Domains it may hang on.
    pub fn members(&self) -> &[Uuid] {
        match &self.kind {
            CallKind::List(list) => &list.members,
            CallKind::Describe { uuid, .. } | CallKind::Xml { uuid } | CallKind::Job { uuid, .. } => {
                std::slice::from_ref(uuid)
            }
            CallKind::Control(probe) => std::slice::from_ref(probe.uuid()),
            CallKind::Roster => &[],
        }
    }

    /// Whether the call, once it is stuck, says of the domain that its
    /// monitor hangs. A question for a job says so only where one was known
    /// to run: else it waits behind another client's job, without asking the
    /// monitor anything.
    fn covers(&self, uuid: &Uuid) -> bool {
        match &self.kind {
            CallKind::List(list) => !list.monitor_free && list.members.contains(uuid),
            CallKind::Job { uuid: asked, known } => *known && asked == uuid,
            CallKind::Roster | CallKind::Describe { .. } | CallKind::Xml { .. } | CallKind::Control(_) => {
                false
            }
        }
    }

    /// Whether a domain that has answered in full at `answered` is not the
    /// one that this stuck call hangs on: it was free while the call hung.
    pub fn is_cleared(&self, answered: Option<MonoTime>) -> bool {
        answered.is_some_and(|answered| answered > self.deadline)
    }

    /// How long the call has been out.
    pub fn age(&self, now: MonoTime) -> Duration {
        now.since(self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(members: &[u128], asked: u64) -> Call {
        Call {
            reader: 1,
            kind: CallKind::List(ListCall::new(members.iter().copied().map(Uuid::from_u128).collect(), 1)),
            asked_wall: WallTime(i64::try_from(asked).unwrap()),
            asked: MonoTime(asked),
            deadline: MonoTime(asked + 10),
            link: 1,
        }
    }

    #[test]
    fn an_overdue_call_is_stuck_until_it_returns_and_covers_its_members_meanwhile() {
        let mut calls = Calls::default();
        let ticket = calls.ticket();
        calls.insert(ticket, list(&[1, 2], 100));
        assert!(calls.overdue(MonoTime(109)).is_empty());
        assert_eq!(calls.overdue(MonoTime(110)), [ticket]);
        assert_eq!(calls.stuck_on_domains(), 1);
        assert_eq!(calls.stuck_since(&Uuid::from_u128(2), None), Some(WallTime(100)));
        assert_eq!(calls.stuck_since(&Uuid::from_u128(3), None), None);
        let while_it_was_out = Some(MonoTime(105));
        assert_eq!(calls.stuck_since(&Uuid::from_u128(2), while_it_was_out), Some(WallTime(100)));
        let while_it_hung = Some(MonoTime(111));
        assert_eq!(calls.stuck_since(&Uuid::from_u128(2), while_it_hung), None);
        assert!(calls.returned(ticket).is_some_and(|(_, stuck)| stuck));
        assert_eq!(calls.stuck_on_domains(), 0);
        assert!(calls.returned(ticket).is_none());
    }

    #[test]
    fn each_stuck_call_is_blamed_on_its_own_hung_domain() {
        let mut calls = Calls::default();
        for asked in [100, 200] {
            let ticket = calls.ticket();
            calls.insert(ticket, list(&[1, 2, 3], asked));
        }
        calls.overdue(MonoTime(1000));
        let hung = [Uuid::from_u128(2), Uuid::from_u128(3)];
        let blamed: Vec<_> =
            calls.blame(|uuid| hung.contains(uuid), |_| None).into_iter().map(|(_, domain)| domain).collect();
        assert_eq!(blamed, [Some(hung[0]), Some(hung[1])]);
        // The first one has answered long after the first call was given up.
        let answered = |uuid: &Uuid| (*uuid == hung[0]).then_some(MonoTime(150));
        let blamed: Vec<_> = calls.blame(|uuid| hung.contains(uuid), answered).into_iter().collect();
        assert_eq!(
            blamed.into_iter().map(|(_, domain)| domain).collect::<Vec<_>>(),
            [Some(hung[1]), Some(hung[0])]
        );
    }
}
