//! Whom a call holds, asked of libvirt at the beginning of a cycle: those that
//! a call of an earlier process may hang on, before they are read; and at the
//! bound, where nobody can come back short, those that our own hang on.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Sink,
    calls::{CallKind, ListCall},
    engine::Engine,
    inherited::Single,
    readers::Readers,
};
use crate::{
    libvirt::{Control, Question},
    model::{Missing, Why},
};

/// Who is held for less may be so by a question that anybody asks.
const HELD: Duration = Duration::from_secs(1);
/// How long an answer is waited for: it waits for nothing itself.
const DEADLINE: Duration = Duration::from_secs(2);

/// Questions about our own calls in one cycle.
const AT_ONCE: usize = 64;

/// A question whether a domain is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// On behalf of a call of an earlier process.
    Earlier(Single),
    /// A call of our own may hang on it.
    Own(Uuid),
}

impl Probe {
    pub fn uuid(&self) -> &Uuid {
        match self {
            Self::Earlier(single) => &single.uuid,
            Self::Own(uuid) => uuid,
        }
    }
}

impl<R: Readers, S: Sink> Engine<R, S> {
    /// Has everybody asked about that one of our own calls may hang on and of
    /// whom nobody knows yet.
    pub(super) fn probe_our_own(&mut self) {
        let nameless = self.blamed().into_iter().filter(|(_, domain)| domain.is_none());
        let mut suspects: Vec<Uuid> = nameless
            .flat_map(|(call, _)| call.members().iter().filter(|uuid| !call.is_cleared(self.answered(uuid))))
            .copied()
            .filter(|uuid| !self.is_hung(uuid))
            .collect();
        suspects.sort_unstable();
        suspects.dedup();
        // Nobody is cleared while nothing is asked in full, so each cycle asks
        // about the next ones.
        let cycle = usize::try_from(self.cycle.number()).unwrap_or(0);
        if let Some(begin) = cycle.wrapping_mul(AT_ONCE).checked_rem(suspects.len()) {
            suspects.rotate_left(begin);
        }
        self.cycle.probes.extend(suspects.into_iter().take(AT_ONCE).map(Probe::Own));
    }

    /// Asks as many probes as calls may be out at once. One that does not
    /// return, of whatever link, is one less: others would not return either.
    pub(super) fn ask_probes(&mut self) {
        let most = self.settings.libvirt.max_parallel;
        while let Some(probe) = self.cycle.probes.pop_front() {
            let in_flight = self.calls.probes_in_flight(self.link_number);
            if in_flight + self.calls.all_lists_in_flight() >= most && in_flight > 0 {
                self.cycle.probes.push_front(probe);
                return;
            }
            let uuid = *probe.uuid();
            if self.calls.probes().count() >= most || self.calls.probes().any(|probed| *probed == uuid) {
                continue;
            }
            let Some(id) = self.domains.get(&uuid).and_then(|track| track.identity.id) else {
                continue;
            };
            let question = Question::Control { uuid, id };
            match self.reader() {
                Ok((reader, fresh)) => {
                    let patience = DEADLINE + self.pace.patience(super::pace::Load::default(), fresh);
                    if !self.ask(reader, CallKind::Control(probe), question, patience) {
                        self.note_error("a libvirt reader has ended by itself".into());
                    }
                }
                Err(error) => self.note_error(error),
            }
        }
    }

    /// Takes the answer to a probe, in time; [`Control::Unknown`] where there
    /// is none.
    pub(super) fn take_control(&mut self, probe: Probe, control: Control) {
        let held = match control {
            Control::Free => Some(false),
            Control::Held(time) if time >= HELD => Some(true),
            Control::Held(_) | Control::Unknown => None,
        };
        match (probe, held) {
            (Probe::Earlier(single), Some(held)) => self.hear_of(single, held),
            (Probe::Earlier(single), None) => self.pass_over(single),
            (Probe::Own(uuid), Some(true)) => {
                let since = self.calls.stuck_since(&uuid, self.answered(&uuid));
                if let (Some(since), Some(track)) = (since, self.domains.get_mut(&uuid)) {
                    track.hear(Some(Missing::since(Why::MonitorNotAnswering, since)));
                }
            }
            (Probe::Own(_), _) => {}
        }
        self.go_on_after_probes();
    }

    /// Nothing can be told of a suspect in this cycle: the next one is asked
    /// about.
    fn pass_over(&mut self, single: Single) {
        if self.inherited.doubt(single.uuid) {
            return self.hear_of(single, false);
        }
        self.cycle.undecided.insert(single.uuid);
        self.ask_next_of(single);
    }

    /// What is known now of a domain that a call of an earlier process may
    /// hang on: from a probe, or from having read it singly.
    pub(super) fn hear_of(&mut self, single: Single, held: bool) {
        self.inherited.answered(single, held, self.clock.now().0);
        if !(single.held && held) {
            self.ask_next_of(single);
        }
        self.note_calls();
    }

    /// Asks about the next suspect of the same call, or reads the one it holds.
    fn ask_next_of(&mut self, single: Single) {
        let next = self.inherited.next(single, &self.cycle.undecided);
        match next.filter(|_| self.cycle.is_reading()) {
            Some(next) if next.held => self.cycle.waiting.push_front(self.single(next)),
            Some(next) => self.cycle.probes.push_front(Probe::Earlier(next)),
            None => {}
        }
    }

    /// The call that reads a held domain.
    pub(super) fn single(&self, single: Single) -> ListCall {
        ListCall { single: Some(single), ..ListCall::new(vec![single.uuid], self.cycle.number()) }
    }

    /// Asks what there is left to ask. When the last probe is over, those that
    /// nothing holds are read as ever, and of those of whom that is not known
    /// what needs no monitor.
    pub(super) fn go_on_after_probes(&mut self) {
        self.ask_probes();
        if self.calls.probes_in_flight(self.link_number) == 0
            && self.cycle.probes.is_empty()
            && self.cycle.is_reading()
        {
            let aside = std::mem::take(&mut self.cycle.set_aside);
            let (covered, free): (Vec<_>, Vec<_>) =
                aside.into_iter().partition(|uuid| self.inherited.covers(uuid));
            let unsure: Vec<_> =
                covered.into_iter().filter(|uuid| self.inherited.since(uuid).is_none()).collect();
            let cycle = self.cycle.number();
            let share = free.len().div_ceil(self.figures.lists.max(1)).max(1);
            let lists = free.chunks(share).map(|members| ListCall::new(members.to_vec(), cycle));
            self.cycle.waiting.extend(lists);
            if !unsure.is_empty() {
                self.cycle.waiting.push_back(ListCall { monitor_free: true, ..ListCall::new(unsure, cycle) });
            }
        }
        self.ask_waiting();
    }
}
