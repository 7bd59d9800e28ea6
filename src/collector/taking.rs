//! What an answer about domains means: who is whole, short, busy or hung, what
//! a domain's frame says of it, and what the deadlines learn.
//!
//! It asks nothing: whom to ask once more is noted with the cycle.

use std::{sync::Arc, time::Duration};

use super::{
    Sink,
    assemble::{Gaps, assemble, devices_changed},
    calls::{Call, CallKind, ListCall},
    engine::Engine,
    readers::Readers,
};
use crate::{
    libvirt::{Answer, Groups, RawDomain, ReadAt, Reply, is_this_machine},
    model::{
        DomainFrame, DomainState, Missing, MonoTime, WallTime, Why,
        domain::Balloon,
        frame::Health,
        rates::{Pass, Periods},
    },
};

/// How long a domain that another client's job holds is left alone before it
/// is asked once more: most jobs are a question to the monitor and over in
/// milliseconds, and at once the second answer would be as short.
const SECOND_TRY: Duration = Duration::from_millis(20);

/// A late call teaches the deadlines at most this many times the patience it
/// had: a host that is slow for good is learned in a few calls all the same.
const LESSON: u32 = 4;

impl<R: Readers, S: Sink> Engine<R, S> {
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
            self.hear_of(single, raw.short && !raw.gone);
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
            let of_kind = readings.iter().filter(|(_, raw)| is_whole(raw) == whole);
            let shares =
                of_kind.map(|(at, raw)| at.share + raw.rest.map_or(Duration::ZERO, |rest| rest.share));
            (shares.clone().count(), shares.sum::<Duration>())
        };
        let ((whole, whole_took), (light, light_took)) = (cost(true), cost(false));
        self.pace.learn(whole, whole_took);
        self.pace.learn_light(light, light_took);
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
            track.hear_cost(raw.alone, at.wall);
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
        let turn = raw.rest.map(|rest| at.error + rest.error);
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
        let (cheap, disk) =
            (track.cheap_period(period), track.whole_period(period * self.figures.round.max(1)));
        let memory = match devices.as_deref().map(|devices| devices.balloon) {
            // A guest's report comes at a pace of its own.
            Some(Balloon::Period(seconds)) => disk.max(Duration::from_secs(seconds.into())),
            _ => disk,
        };
        let pass = match turn {
            _ if list.monitor_free => Pass::MonitorFree,
            None if whole_asked => Pass::Full,
            _ => Pass::Light,
        };
        let periods = Periods { cheap, memory, disk, error: at.error, pass, turn };
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
            track.keep_whole(&frame, period * self.figures.round.max(1));
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
}

/// Whether memory and disks were asked for.
fn is_whole(raw: &RawDomain) -> bool {
    raw.asked.has(Groups::MEMORY | Groups::DISKS)
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
