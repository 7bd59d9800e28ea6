//! One cycle: the roster, the lists in parallel, what comes back short, and
//! the frame that closes it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    Sink,
    assemble::{Gaps, assemble, devices_changed},
    calls::{Call, CallKind, ListCall},
    domains::{Track, frame_order},
    engine::Engine,
    probing::Probe,
    readers::Readers,
};
use crate::{
    libvirt::{Answer, Groups, Member, Question, RawDomain, ReadAt, Reply, Roster, is_this_machine},
    model::{
        DomainFrame, DomainState, Frame, Missing, MonoTime, WallTime, Why,
        domain::Balloon,
        frame::Health,
        rates::{Pass, Periods},
    },
};

/// How long a domain that another client's job holds is left alone before it
/// is asked once more: most jobs are a question to the monitor and over in
/// milliseconds, and at once the second answer would be as short.
const SECOND_TRY: Duration = Duration::from_millis(20);

/// What is read in every cycle. Memory and disks may be spread over more.
const LIGHT: Groups = Groups::ALL.without(Groups::MEMORY).without(Groups::DISKS);

/// A late call teaches the deadlines at most this many times the patience it
/// had: a host that is slow for good is learned in a few calls all the same.
const LESSON: u32 = 4;

/// Where the open cycle stands.
#[derive(Debug, Default)]
pub(super) struct Cycle {
    number: u64,
    begun: MonoTime,
    phase: Phase,
    /// Domains to be asked once more, and when.
    second_tries: Vec<(MonoTime, Vec<Uuid>)>,
    /// Lists that wait for one of the calls that may be out at once.
    pub(super) waiting: VecDeque<ListCall>,
    /// Questions whether a domain is held that wait for the same.
    pub(super) probes: VecDeque<Probe>,
    /// Domains that are not read before the probes are over: a call of an
    /// earlier process may hang on them.
    pub(super) set_aside: Vec<Uuid>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Closed: its frame is out.
    #[default]
    Closed,
    /// Waiting for the roster.
    Roster,
    /// Waiting for the XML of new domains, until then at most.
    Describing(MonoTime),
    /// The lists are asked.
    Lists,
}

impl Cycle {
    /// Forgets the open cycle without a frame.
    pub fn abandon(&mut self) {
        self.phase = Phase::Closed;
        self.second_tries.clear();
        self.waiting.clear();
        self.probes.clear();
        self.set_aside.clear();
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether its lists are being asked.
    pub fn is_reading(&self) -> bool {
        self.phase == Phase::Lists
    }

    /// Whether its frame is out and the next one has not begun.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// When the next domains are asked once more.
    pub fn next_second_try(&self) -> Option<MonoTime> {
        self.second_tries.iter().map(|(due, _)| *due).min()
    }

    /// Until when the open cycle waits for XML at most.
    pub fn describing_until(&self) -> Option<MonoTime> {
        match self.phase {
            Phase::Describing(until) => Some(until),
            _ => None,
        }
    }
}

impl<R: Readers, S: Sink> Engine<R, S> {
    pub(super) fn begin_cycle(&mut self, now: MonoTime) {
        self.cycle.number += 1;
        self.cycle.begun = now;
        self.cycle.phase = Phase::Roster;
        for track in self.domains.values_mut() {
            track.failed = None;
        }
    }

    /// Whether a tick may begin another cycle. While calls are within their
    /// deadline it waits for them; only where no usual time is known yet, or
    /// somebody hangs, it is not worth holding back those who answered.
    pub(super) fn cycle_may_end(&mut self) -> bool {
        if self.cycle.phase == Phase::Closed {
            return true;
        }
        let answered = self.domains.values().any(|track| track.updated.is_some());
        let worth_waiting = !self.pace.is_unsettled()
            && !self.calls.only_repeats_pending(self.link_number, self.cycle.number);
        // A second try is milliseconds away.
        let idle = self.cycle.waiting.is_empty() && self.cycle.second_tries.is_empty();
        if self.cycle.phase == Phase::Lists && answered && idle && !worth_waiting {
            self.close_cycle();
            return true;
        }
        false
    }

    /// Takes the roster: who came, who left, who is another incarnation.
    pub(super) fn take_roster(&mut self, roster: Roster, now: MonoTime) {
        if *self.host != roster.host {
            self.host = Arc::new(roster.host);
        }
        let period = self.period();
        self.host_load.take(&roster.load, self.host.cpus, period);
        let mut kept = std::collections::HashMap::with_capacity(roster.domains.len());
        for entry in &roster.domains {
            let track = if let Some(mut track) = self.domains.remove(&entry.identity.uuid) {
                track.update(entry, now);
                track
            } else {
                self.turns += 1;
                Track::new(entry, self.turns)
            };
            kept.insert(entry.identity.uuid, track);
        }
        self.domains = kept;
        if self.cycle.phase != Phase::Roster {
            return;
        }
        self.cycle.phase = if self.describe_where_needed(now) {
            Phase::Describing(now.plus(self.describing_takes()))
        } else {
            self.ask_lists()
        };
    }

    /// Asks the lists once the XML of new domains is there, or the time for
    /// it is up.
    pub(super) fn ask_lists_when_described(&mut self, now: MonoTime) {
        let Phase::Describing(until) = self.cycle.phase else { return };
        let all_described = self.domains.values().all(|track| !track.is_live() || track.devices().is_some());
        if all_described || !self.describing(now) || until <= now {
            self.cycle.phase = self.ask_lists();
        }
    }

    /// Sends out the lists of this cycle.
    fn ask_lists(&mut self) -> Phase {
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
        let cycle = self.cycle.number;
        // Those that may still be held by an earlier process's call first.
        let to_ask = self.inherited.to_ask().into_iter();
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
        for mut members in lists {
            members.retain(|uuid| !being_read.contains(uuid));
            self.cycle.set_aside.extend(members.extract_if(.., |uuid| self.inherited.covers(uuid)));
            let due = |uuid: &Uuid| {
                self.domains.get(uuid).is_none_or(|track| track.is_due(cycle, self.figures.round))
            };
            let light = members.iter().copied().filter(|uuid| !due(uuid)).collect();
            if !members.is_empty() {
                self.cycle.waiting.push_back(ListCall { light, ..ListCall::new(members, cycle) });
            }
        }
        self.ask_waiting();
        Phase::Lists
    }

    /// Asks lists that wait as far as calls may be out: at most
    /// `max_parallel`, and every call that is out may come to hang, so that
    /// together with those that hang already they stay within the bound.
    pub(super) fn ask_waiting(&mut self) {
        self.ask_probes();
        while self.calls.all_lists_in_flight() < self.settings.libvirt.max_parallel
            && let Some(mut list) = self.cycle.waiting.pop_front()
        {
            // One that takes the place of an inherited call adds nothing.
            if list.single.is_none() && self.calls_out() >= self.settings.libvirt.max_stuck_calls {
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
        let question = Question::List { members, monitor_free: list.monitor_free };
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
        let cycle = self.cycle.number;
        let monitor_free = self.calls_out() >= self.settings.libvirt.max_stuck_calls;
        self.ask_list(ListCall {
            overdue: list.overdue + 1,
            monitor_free,
            // In full: what comes back short is the sign of who hangs.
            ..ListCall::new(list.members.clone(), cycle)
        });
    }

    /// Takes a list's answer, in time.
    pub(super) fn take_list(
        &mut self,
        list: &ListCall,
        raw: Vec<RawDomain>,
        (begun, ended): ((WallTime, MonoTime), (WallTime, MonoTime)),
    ) {
        let count = raw.len();
        let readings = raw
            .into_iter()
            .enumerate()
            .map(|(place, raw)| {
                (raw.read.unwrap_or_else(|| ReadAt::estimate(begun, ended, place, count)), raw)
            })
            .collect::<Vec<_>>();
        if !list.monitor_free && !list.again && list.single.is_none() {
            self.learn(&readings);
        }
        if let (Some(single), Some((_, raw))) = (list.single, readings.first())
            && raw.error.is_none()
        {
            self.take_single(single, raw.short && !raw.gone);
        }
        let mut busy = Vec::new();
        for (at, raw) in readings {
            let uuid = raw.uuid;
            if self.take_domain(list, raw, at) == Outcome::AskAgain {
                busy.push(uuid);
            }
        }
        if !busy.is_empty() {
            let due = self.clock.now().1.plus(SECOND_TRY);
            self.cycle.second_tries.push((due, busy));
        }
    }

    /// Learns what a domain costs, each kind of reading by itself.
    fn learn(&mut self, readings: &[(ReadAt, RawDomain)]) {
        let cost = |whole: bool| {
            let shares = readings.iter().filter(|(_, raw)| is_whole(raw) == whole).map(|(at, _)| at.share);
            (shares.clone().count(), shares.sum::<Duration>())
        };
        let ((whole, whole_took), (light, light_took)) = (cost(true), cost(false));
        self.pace.learn(whole, whole_took);
        self.pace.learn_light(light, light_took);
    }

    /// Asks those once more whose time for it has come.
    pub(super) fn try_again(&mut self, now: MonoTime) {
        let cycle = self.cycle.number;
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

    fn take_domain(&mut self, list: &ListCall, mut raw: RawDomain, at: ReadAt) -> Outcome {
        if self.host.demo
            && let Some(guest) = &mut raw.guest
        {
            // The test hypervisor gives a constant of 1989 as the time of
            // every report.
            guest.last_update = None;
        }
        let hanging = self.calls_that_hang();
        let period = self.period();
        let job = self.jobs.of(&raw.uuid, raw.id, at.mono, period);
        let since =
            self.calls.stuck_since(&raw.uuid, self.answered(&raw.uuid)).or(self.inherited.since(&raw.uuid));
        let Some(track) = self.domains.get_mut(&raw.uuid) else { return Outcome::Taken };
        if raw.gone || raw.id != track.identity.id {
            // Stopped or started between roster and list: the next roster
            // tells; this reading belongs to nobody.
            track.failed = Some(Missing::new(Why::NoAnswerYet));
            return Outcome::Taken;
        }
        if let Some(error) = &raw.error {
            let error = error.to_string();
            tracing::debug!("{}: {error}", track.identity.name);
            track.failed = Some(Missing::new(Why::CallFailed));
            self.note_error(error);
            return Outcome::Taken;
        }
        let silent = if list.monitor_free {
            let stuck = u16::try_from(hanging).unwrap_or(u16::MAX);
            // Who was found hung before the bound was reached is still hung.
            match track.silent {
                Some(missing) if missing.why == Why::MonitorNotAnswering => Some(missing),
                _ => Some(Missing::new(Why::NotAsked { stuck })),
            }
        } else if !raw.short {
            None
        } else if let Some(since) = since {
            Some(match track.silent {
                Some(missing) if missing.why == Why::MonitorNotAnswering => missing,
                _ => Missing::since(Why::MonitorNotAnswering, since),
            })
        } else if list.again {
            let why = if is_migrating(&raw) { Why::Migrating } else { Why::Busy };
            Some(match track.silent {
                Some(missing) if missing.why == why => missing,
                _ => Missing::since(why, at.wall),
            })
        } else {
            return Outcome::AskAgain;
        };
        if silent.is_none() && is_whole(&raw) {
            track.answered = Some(at.mono);
        }
        track.hear(silent);
        let one_clock = is_this_machine(&self.settings.libvirt.uri);
        let report = track.hear_report(raw.guest.as_ref(), &at, one_clock);
        if let Some(memory) = raw.memory {
            track.timeline.see_balloon(memory.current);
        }
        track.hear_vcpus(&mut raw.vcpus);
        let devices = track.devices().cloned();
        let whole_asked = is_whole(&raw);
        let whole = whole_asked && silent.is_none();
        let not_due = Missing { why: Why::NotDue, since: track.last_whole().map(|last| last.reading.at) };
        let gaps = Gaps { shortfall: silent, not_due, report };
        let reading = assemble(raw, Arc::clone(&track.identity), at, devices.as_deref(), gaps);
        track.hear_staleness(&reading.guest_memory);
        if let Some(devices) = &devices
            && devices_changed(&reading, devices)
        {
            track.outdate_devices();
        }
        let disk = period * track.round(self.figures.round);
        let memory = match devices.as_deref().map(|devices| devices.balloon) {
            // A guest's report comes at a pace of its own.
            Some(Balloon::Period(seconds)) => disk.max(Duration::from_secs(seconds.into())),
            _ => disk,
        };
        let pass = match whole_asked {
            _ if list.monitor_free => Pass::MonitorFree,
            true => Pass::Full,
            false => Pass::Light,
        };
        let periods = Periods { cheap: period, memory, disk, error: at.error, pass };
        let rates = track.baseline.advance(&reading, &periods, &self.settings.scale);
        track.state = reading.state;
        track.failed = None;
        let before = if whole { None } else { track.last_whole().cloned() };
        let frame = Arc::new(DomainFrame {
            reading,
            rates,
            devices: devices.unwrap_or_default(),
            health: silent.map_or(Health::Answering, Health::Impaired),
            fresh: true,
            timeline: track.timeline.shown(),
            job,
            last: before,
        });
        if whole {
            track.keep_whole(&frame, self.figures.round);
        }
        track.updated = Some(frame);
        Outcome::Taken
    }

    /// A late call has returned: whole, it was a slow host and not a hang,
    /// and the deadlines learn from it. Not without bound: it may have been a
    /// hang whose domain has answered others since, or a program suspended
    /// for hours, and deadlines of hours would be none.
    pub(super) fn late_answer(&mut self, call: &Call, answer: &Answer) {
        if let (CallKind::List(list), Ok(Reply::List(raw))) = (&call.kind, &answer.reply)
            && !list.monitor_free
            && raw.iter().all(|raw| !raw.short && !self.is_hung(&raw.uuid))
        {
            let patience = call.deadline.since(call.asked);
            let took = answer.ended.1.since(answer.begun.1);
            self.pace.learn_late(list.load(), took.min(patience * LESSON));
        }
    }

    pub(super) fn close_cycle_when_complete(&mut self) {
        if self.cycle.phase == Phase::Lists
            && self.cycle.second_tries.is_empty()
            && self.cycle.waiting.is_empty()
            && self.cycle.probes.is_empty()
            && self.calls.probes_in_flight(self.link_number) == 0
            && self.calls.pending_of_cycle(self.link_number, self.cycle.number) == 0
        {
            self.close_cycle();
        }
    }

    fn close_cycle(&mut self) {
        self.cycle.abandon();
        self.figures.collections += 1;
        self.figures.initialized = true;
        let (wall, mono) = self.clock.now();
        self.figures.last_collection_at = Some(wall);
        self.figures.last_took = Some(mono.since(self.cycle.begun));
        self.publish_frame();
        self.publish_status();
        self.ask_about_jobs();
    }

    /// How often cycles come: one that takes longer than the interval is its
    /// own period.
    pub(super) fn period(&self) -> Duration {
        let interval = self.settings.interval;
        self.figures.last_took.map_or(interval, |took| interval.max(took))
    }

    /// Builds the frame of what was read since the last one and hands it out.
    pub(super) fn publish_frame(&mut self) {
        let (wall, mono) = self.clock.now();
        let mut domains: Vec<Arc<DomainFrame>> = self
            .domains
            .values_mut()
            .map(|track| track.updated.take().unwrap_or_else(|| Arc::new(track.unread(wall, mono))))
            .collect();
        domains.sort_by(|a, b| frame_order(a, b));
        self.sink.frame(Arc::new(Frame {
            cycle: self.figures.collections,
            at: wall,
            mono,
            took: mono.since(self.cycle.begun),
            interval: self.settings.interval,
            host: Arc::clone(&self.host),
            load: self.host_load.load,
            scale: self.settings.scale,
            domains,
        }));
    }
}

/// Whether memory and disks were asked for.
fn is_whole(raw: &RawDomain) -> bool {
    raw.asked.has(Groups::MEMORY | Groups::DISKS)
}

/// How much reading a domain weighs against others, by what its XML names:
/// each disk is a question to the monitor, as is the balloon.
fn weight(track: Option<&Track>) -> usize {
    2 + track.and_then(Track::devices).map_or(1, |devices| devices.disks.len())
}

/// Whether libvirt's reason for the pause is a migration, pre- or post-copy
/// (`virDomainPausedReason`).
fn is_migrating(raw: &RawDomain) -> bool {
    const MIGRATION: i64 = 2;
    const POST_COPY: i64 = 12;
    const POST_COPY_FAILED: i64 = 13;
    raw.state == DomainState::Paused && matches!(raw.reason, MIGRATION | POST_COPY | POST_COPY_FAILED)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Read, or known why not.
    Taken,
    /// Short while no call of ours hangs: once more in this cycle.
    AskAgain,
}
