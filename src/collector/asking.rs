//! What is asked of the domains in a cycle: the lists in parallel, those that
//! are repeated because they are overdue, and second tries.
//!
//! Owns how many calls may be out, and that those that hang stay within
//! `max_stuck_calls`. What the answers mean is told in `taking`.

use std::collections::HashSet;

use uuid::Uuid;

use super::{
    Sink,
    calls::{CallKind, Calls, ListCall},
    domains::Track,
    engine::Engine,
    probing::Probe,
    readers::Readers,
};
use crate::{
    libvirt::{Groups, Member, Question},
    model::MonoTime,
};

/// What is read in every cycle. Memory and disks may be spread over more.
const LIGHT: Groups = Groups::ALL.without(Groups::MEMORY).without(Groups::DISKS);

impl<R: Readers, S: Sink> Engine<R, S> {
    /// Sends out the lists of this cycle.
    pub(super) fn ask_lists(&mut self) {
        let being_read = self.calls.being_read(self.link_number);
        let mut live: Vec<Uuid> =
            self.domains.values().filter(|track| track.is_live()).map(|track| track.identity.uuid).collect();
        live.sort_unstable();
        let domains = &self.domains;
        self.inherited.keep(|uuid| domains.get(uuid).is_some_and(Track::is_live));
        let count = self.pace.lists(live.len(), self.settings.libvirt.max_parallel);
        let lists: Vec<Vec<Uuid>> =
            self.lists.divide(&live, count, |uuid| weight(domains.get(uuid))).to_vec();
        self.figures.lists = lists.iter().filter(|list| !list.is_empty()).count();
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        self.figures.round = self.pace.round(longest, self.settings.interval);
        self.note_calls();
        let cycle = self.cycle.number();
        // Those that may still be held by an earlier process's call first.
        let to_ask = self.inherited.to_ask(&self.cycle.undecided).into_iter();
        for single in to_ask.filter(|single| !being_read.contains(&single.uuid)) {
            if single.held {
                self.cycle.waiting.push_back(self.single(single));
            } else {
                self.cycle.probes.push_back(Probe::Earlier(single));
            }
        }
        if self.calls_out() >= self.settings.libvirt.max_stuck_calls {
            self.probe_our_own();
        }
        // An answer that came between two cycles is this one's reading: another
        // on its heels would take it out of every frame, and the next rate
        // would be since a reading that nobody has seen.
        let read = |uuid: &Uuid| self.domains.get(uuid).is_some_and(|track| track.updated.is_some());
        for mut members in lists {
            members.retain(|uuid| !being_read.contains(uuid) && !read(uuid));
            self.cycle.set_aside.extend(members.extract_if(.., |uuid| self.inherited.covers(uuid)));
            let due = |uuid: &Uuid| {
                self.domains.get(uuid).is_none_or(|track| track.is_due(cycle, self.figures.round))
            };
            let light: HashSet<Uuid> = members.iter().copied().filter(|uuid| !due(uuid)).collect();
            let timed = self.to_time(members.iter().filter(|uuid| !light.contains(uuid)));
            if !members.is_empty() {
                self.cycle.waiting.push_back(ListCall { light, timed, ..ListCall::new(members, cycle) });
            }
        }
        self.go_on_after_probes();
    }

    /// Asks lists that wait as far as calls may be out: at most
    /// `max_parallel`, and every call that is out may come to hang, so that
    /// together with those that hang already they stay within the bound.
    pub(super) fn ask_waiting(&mut self) {
        self.ask_probes();
        let in_flight = |calls: &Calls, link| calls.all_lists_in_flight() + calls.probes_in_flight(link);
        while in_flight(&self.calls, self.link_number) < self.settings.libvirt.max_parallel
            && let Some(mut list) = self.cycle.waiting.pop_front()
        {
            // One that takes the place of an inherited call adds nothing.
            if list.single.is_none()
                && !list.monitor_free
                && self.calls_out() >= self.settings.libvirt.max_stuck_calls
            {
                if self.calls.in_flight_that_can_hang() > 0 {
                    self.cycle.waiting.push_front(list);
                    return;
                }
                list.monitor_free = true;
            }
            self.ask_list(list);
        }
    }

    fn ask_list(&mut self, mut list: ListCall) {
        list.members.retain(|uuid| self.domains.get(uuid).is_some_and(Track::is_live));
        if list.members.is_empty() {
            return;
        }
        let members: Vec<Member> = list
            .members
            .iter()
            .filter_map(|uuid| {
                let track = self.domains.get(uuid)?;
                let groups = if list.light.contains(uuid) { LIGHT } else { Groups::ALL };
                Some(Member {
                    uuid: *uuid,
                    id: track.identity.id?,
                    devices: track.devices().cloned(),
                    groups,
                })
            })
            .collect();
        if !list.monitor_free && list.single.is_none() {
            self.note_before(&list.members);
        }
        let timed = list.timed.filter(|_| !list.monitor_free);
        let question = Question::List { members, monitor_free: list.monitor_free, timed };
        match self.reader() {
            Ok((reader, fresh)) => {
                // A repeat has more time: on a host that is merely slow it
                // must have a chance to return before the next one is made.
                let patience = self.pace.patience(list.load(), fresh) * (1 << list.overdue.min(2));
                if !self.ask(reader, CallKind::List(list), question, patience) {
                    self.note_error("a libvirt reader has ended by itself".into());
                }
            }
            Err(error) => self.note_error(error),
        }
    }

    /// A list is overdue: a fresh reader repeats it at once, and those who
    /// come back short are the hung ones. A call that needs no monitor is not
    /// repeated: nobody hangs, the host is slow.
    pub(super) fn repeat_list(&mut self, list: &ListCall) {
        if list.monitor_free {
            return;
        }
        let cycle = self.cycle.number();
        let monitor_free = self.calls_out() >= self.settings.libvirt.max_stuck_calls;
        self.ask_list(ListCall {
            overdue: list.overdue + 1,
            monitor_free,
            // In full: what comes back short is the sign of who hangs.
            ..ListCall::new(list.members.clone(), cycle)
        });
    }

    /// Asks those once more whose time for it has come.
    pub(super) fn try_again(&mut self, now: MonoTime) {
        let cycle = self.cycle.number();
        let due = self.cycle.second_tries.extract_if(.., |(due, _)| *due <= now).collect::<Vec<_>>();
        for (_, members) in due {
            let monitor_free = self.calls_out() >= self.settings.libvirt.max_stuck_calls;
            self.ask_list(ListCall { again: true, monitor_free, ..ListCall::new(members, cycle) });
        }
    }

    /// Calls that hang, or may come to hang, on a domain: of this process and
    /// of earlier ones.
    pub(super) fn calls_out(&self) -> usize {
        self.calls_that_hang() + self.calls.in_flight_that_can_hang()
    }

    /// Calls that hang on a domain, of this process and of earlier ones.
    pub(super) fn calls_that_hang(&self) -> usize {
        self.calls.stuck_on_domains() + self.calls.stuck_descriptions() + self.inherited.count()
    }
}

/// How much reading a domain weighs against others, by what its XML names:
/// each disk is a question to the monitor, as is the balloon.
fn weight(track: Option<&Track>) -> usize {
    2 + track.and_then(Track::devices).map_or(1, |devices| devices.disks.len())
}
