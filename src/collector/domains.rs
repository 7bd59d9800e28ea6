//! What the collector remembers of each domain between cycles.

use std::{collections::HashSet, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{guest_report::Report, timeline::Timeline};
use crate::{
    libvirt::{ReadAt, RosterEntry},
    model::{
        DomainDevices, DomainFrame, DomainRates, DomainReading, DomainState, Identity, Measured, Missing,
        MonoTime, WallTime, Why,
        domain::Balloon,
        frame::Health,
        rates::Baseline,
        reading::{GuestMemory, VcpuCounters},
    },
};

/// One domain, from its first appearance in the roster to its last.
#[derive(Debug)]
pub(super) struct Track {
    pub identity: Arc<Identity>,
    pub state: DomainState,
    pub reason: i64,
    pub baseline: Baseline,
    devices: Option<Described>,
    /// Why the monitor's part is missing, and since when, while it is.
    pub silent: Option<Missing>,
    /// Read in the open cycle, waiting for the cycle to close.
    pub updated: Option<Arc<DomainFrame>>,
    /// When it last answered in full, or began: no call from before hangs on
    /// it, of those that were overdue by then.
    pub answered: Option<MonoTime>,
    /// Why the open cycle has no reading, where that is known already.
    pub failed: Option<Missing>,
    /// What the guest reported last.
    last_report: Option<Report>,
    /// Whether the report of the last reading was stale.
    stale: bool,
    /// How often it was meant to be read at most, since it was read last.
    period: Duration,
    /// The last frame with memory and disks, and how often such a reading was
    /// meant to come at most since then.
    whole: Option<(Arc<DomainFrame>, Duration)>,
    /// When it was timed last, and what reading it in full usually takes.
    pub cost: Option<(WallTime, Duration)>,
    /// Its turn when memory and disks are spread over cycles.
    turn: u64,
    /// What happened to it.
    pub timeline: Timeline,
    /// When an event last told that its devices changed.
    devices_changed_at: Option<MonoTime>,
    /// Indices of the vCPUs that have run in this incarnation.
    ran: HashSet<u32>,
}

#[derive(Debug)]
struct Described {
    devices: Arc<DomainDevices>,
    id: Option<u32>,
    at: MonoTime,
    outdated: bool,
    /// When it was asked for: what happened since may be lacking.
    asked: MonoTime,
}

impl Track {
    /// `turn` tells when it is due where not all domains are in every cycle.
    pub fn new(entry: &RosterEntry, turn: u64) -> Self {
        Self {
            identity: Arc::new(entry.identity.clone()),
            state: entry.state,
            reason: entry.reason,
            baseline: Baseline::default(),
            devices: None,
            silent: None,
            updated: None,
            answered: None,
            failed: None,
            last_report: None,
            stale: false,
            period: Duration::ZERO,
            whole: None,
            cost: None,
            turn,
            timeline: Timeline::default(),
            devices_changed_at: None,
            ran: HashSet::new(),
        }
    }

    /// Takes what the roster says. Another id is another incarnation.
    pub fn update(&mut self, entry: &RosterEntry, now: MonoTime) {
        if *self.identity != entry.identity {
            if self.identity.id != entry.identity.id {
                self.silent = None;
                self.answered = Some(now);
                self.whole = None;
                self.cost = None;
                self.last_report = None;
                self.ran.clear();
            }
            self.identity = Arc::new(entry.identity.clone());
        }
        self.state = entry.state;
        self.reason = entry.reason;
    }

    pub fn is_live(&self) -> bool {
        self.identity.id.is_some()
    }

    /// Devices of this very incarnation, however old.
    pub fn devices(&self) -> Option<&Arc<DomainDevices>> {
        self.devices.as_ref().filter(|d| d.id == self.identity.id).map(|d| &d.devices)
    }

    /// Takes what the XML says that was asked for at `asked`.
    pub fn describe(&mut self, devices: DomainDevices, asked: MonoTime, at: MonoTime) {
        self.timeline.learn(&devices, asked);
        // Unchanged devices keep their allocation, and with it every Arc
        // that frames already share.
        let devices = match self.devices.take() {
            Some(old) if *old.devices == devices => old.devices,
            _ => Arc::new(devices),
        };
        self.devices = Some(Described { devices, id: self.identity.id, at, outdated: false, asked });
    }

    /// Notes that an event told of other devices: what was asked for before it
    /// is of no use.
    pub fn devices_changed_at(&mut self, at: MonoTime) {
        self.devices_changed_at = self.devices_changed_at.max(Some(at));
    }

    /// Notes that the devices that answered are not those of the XML.
    pub fn outdate_devices(&mut self) {
        if let Some(described) = &mut self.devices {
            described.outdated = true;
        }
    }

    /// A guest that goes on reporting although its XML names no period was
    /// given one since: the XML is out of date. Tells the report's age.
    pub fn hear_report(
        &mut self,
        guest: Option<&GuestMemory>,
        at: &ReadAt,
        one_clock: bool,
    ) -> Option<Report> {
        let last_update = guest.and_then(|guest| guest.last_update)?;
        let before = self.last_report;
        self.last_report = Some(Report::follow(before, last_update, at, one_clock));
        let goes_on = before.is_some_and(|before| before.last_update != last_update);
        if goes_on && self.devices().is_some_and(|d| d.balloon == Balloon::NoPeriod) {
            self.outdate_devices();
        }
        self.last_report
    }

    /// A report that has just become stale may have been given another period,
    /// or none, since the XML was read: it is read again, once.
    pub fn hear_staleness(&mut self, report: &Measured<GuestMemory>) {
        let stale = report.as_ref().is_err_and(|missing| missing.why == Why::GuestReportStale);
        if stale && !self.stale {
            self.outdate_devices();
        }
        self.stale = stale;
    }

    /// Whether memory and disks are read in this cycle, of `round` cycles.
    /// Who has none yet is due, and who did not answer: for it the question
    /// is cheap, and its answer is the news.
    pub fn is_due(&self, cycle: u64, round: u32) -> bool {
        self.whole.is_none()
            || self.silent.is_some()
            || cycle.wrapping_add(self.turn).is_multiple_of(u64::from(round.max(1)))
    }

    /// The last frame of this incarnation with memory and disks.
    pub fn last_whole(&self) -> Option<&Arc<DomainFrame>> {
        self.whole.as_ref().map(|(frame, _)| frame)
    }

    /// Keeps a frame with memory and disks, which are meant to be read once in
    /// `period`.
    pub fn keep_whole(&mut self, frame: &Arc<DomainFrame>, period: Duration) {
        self.whole = Some((Arc::clone(frame), period));
    }

    /// The next reading may come after so long, and one of memory and disks
    /// after `whole`.
    pub fn may_come_after(&mut self, cheap: Duration, whole: Duration) {
        self.period = self.period.max(cheap);
        if let Some((_, period)) = &mut self.whole {
            *period = whole.max(*period);
        }
    }

    /// How often it is meant to be read, by the longest since its last reading,
    /// so that a change of the interval is no gap. Of a reading.
    pub fn cheap_period(&mut self, now: Duration) -> Duration {
        now.max(std::mem::replace(&mut self.period, now))
    }

    /// The same of memory and disks, whose pace may change as well.
    pub fn whole_period(&self, now: Duration) -> Duration {
        self.whole.as_ref().map_or(now, |(_, before)| now.max(*before))
    }

    /// Takes out of an answer the vCPUs that have never run although they have:
    /// their threads have ended, with QEMU or by being unplugged, and libvirt
    /// gives times of zero until it has taken notice.
    pub fn hear_vcpus(&mut self, vcpus: &mut Option<Vec<VcpuCounters>>) {
        let Some(list) = vcpus else { return };
        let ran = &mut self.ran;
        list.retain(|vcpu| {
            let runs = [vcpu.time, vcpu.delay].into_iter().flatten().any(|time| time.0 > 0);
            if runs {
                ran.insert(vcpu.index);
            }
            runs || !ran.contains(&vcpu.index)
        });
        if list.is_empty() {
            *vcpus = None;
        }
    }

    /// Takes note of what reading it in full took, where it was timed. One timing is as good as what
    /// was known before: a host that is busy for a moment makes nobody slow.
    pub fn hear_cost(&mut self, took: Option<Duration>, at: WallTime) {
        let Some(took) = took else { return };
        let usual = self.cost.map_or(took, |(_, before)| (before + took) / 2);
        self.cost = Some((at, usual));
    }

    /// Takes note of whether the monitor's part came, and logs a change.
    pub fn hear(&mut self, silent: Option<Missing>) {
        match (self.silent, silent) {
            (None, Some(missing)) => tracing::warn!("{}: {missing}", self.identity.name),
            (Some(_), None) => tracing::info!("{}: answers in full again", self.identity.name),
            _ => {}
        }
        self.silent = silent;
    }

    /// Whether the XML must be read: never read for this incarnation, too
    /// old, older than an event that told of a change, or proven out of date
    /// at least one interval ago.
    pub fn needs_description(&self, now: MonoTime, ttl: Duration, interval: Duration) -> bool {
        match &self.devices {
            Some(described) if described.id == self.identity.id => {
                let age = now.since(described.at);
                age >= ttl
                    || self.devices_changed_at.is_some_and(|at| described.asked <= at)
                    || (described.outdated && age >= interval)
            }
            _ => true,
        }
    }

    /// The frame of a domain that was not read in this cycle.
    pub fn unread(&mut self, wall: WallTime, mono: MonoTime) -> DomainFrame {
        let (missing, health) = if self.is_live() {
            let missing = self.failed.or(self.silent).unwrap_or(Missing::new(Why::NoAnswerYet));
            (missing, Health::Impaired(missing))
        } else {
            (Missing::new(Why::Inactive), Health::Inactive)
        };
        let mut reading =
            DomainReading::unanswered(Arc::clone(&self.identity), self.state, wall, mono, missing);
        reading.state_reason = self.reason;
        DomainFrame {
            reading,
            rates: DomainRates::missing(missing),
            devices: self.devices().cloned().unwrap_or_default(),
            health,
            fresh: false,
            timeline: self.timeline.shown(),
            job: None,
            last: self.last_whole().filter(|_| self.is_live()).cloned(),
        }
    }
}

/// Live first, then by name, then by uuid: the order of a frame.
pub(super) fn frame_order(a: &DomainFrame, b: &DomainFrame) -> std::cmp::Ordering {
    let key = |d: &DomainFrame| -> (bool, Arc<str>, Uuid) {
        (!d.is_live(), Arc::clone(&d.identity().name), d.identity().uuid)
    };
    key(a).cmp(&key(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Nanos;

    #[test]
    fn vcpus_that_have_run_and_stand_at_zero_have_ended() {
        let entry = |id| {
            let identity = Identity { uuid: Uuid::from_u128(1), id: Some(id), name: "vm".into() };
            RosterEntry { identity, state: DomainState::Running, reason: 0 }
        };
        let mut track = Track::new(&entry(1), 0);
        let heard = |track: &mut Track, times: [u64; 2]| {
            let vcpu = |(index, time): (u32, u64)| {
                let time = Some(Nanos(time));
                VcpuCounters { index, time, wait: None, delay: None, halted: None }
            };
            let mut vcpus = Some((0..).zip(times).map(vcpu).collect());
            track.hear_vcpus(&mut vcpus);
            vcpus.map(|vcpus| vcpus.len())
        };
        assert_eq!(heard(&mut track, [0, 0]), Some(2), "started paused");
        assert_eq!(heard(&mut track, [5, 0]), Some(2), "the second has not run yet");
        assert_eq!(heard(&mut track, [6, 1]), Some(2));
        assert_eq!(heard(&mut track, [7, 0]), Some(1), "the second is being unplugged");
        assert_eq!(heard(&mut track, [0, 0]), None, "QEMU has ended");
        track.update(&entry(2), MonoTime(1));
        assert_eq!(heard(&mut track, [0, 0]), Some(2), "another incarnation");
    }
}
