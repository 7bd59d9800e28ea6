//! Jobs that run on domains (migration, backup, save, dump): whom to ask
//! about one, and what was answered.
//!
//! The question can wait behind another client's job, so it is put by a
//! reader of its own, one domain at a time and between the cycles, never to a
//! domain that has just come back short, and never when the bound of stuck
//! calls is reached.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use uuid::Uuid;

use super::{Sink, calls::CallKind, engine::Engine, readers::Readers};
use crate::{
    libvirt::{Question, ReaderId},
    model::{DomainJob, Measured, MonoTime, Why},
};

/// Each live domain is asked this often …
const ROUND: Duration = Duration::from_secs(10);
/// … but no more than so many between two cycles.
const AT_ONCE: usize = 64;
/// How long a question is waited for.
const DEADLINE: Duration = Duration::from_secs(2);
/// An answer that nothing has confirmed for so long is no longer shown.
const LASTS: Duration = Duration::from_secs(5);

/// What is known of the domains' jobs.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    pub reader: Option<ReaderId>,
    /// When each domain was asked last.
    asked: HashMap<Uuid, MonoTime>,
    running: HashMap<Uuid, Running>,
    /// Whom to ask before the next cycle, the last one first.
    due: Vec<Uuid>,
    /// Who came back short in the cycle that closed last.
    silent: HashSet<Uuid>,
    /// The link whose driver knows no jobs.
    refused: Option<u64>,
}

#[derive(Debug)]
struct Running {
    id: Option<u32>,
    job: DomainJob,
    at: MonoTime,
}

/// A live domain at the end of a cycle.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    uuid: Uuid,
    /// It came back whole.
    whole: bool,
}

impl Jobs {
    /// The job of this incarnation, while it is known to run.
    pub fn of(&self, uuid: &Uuid, id: Option<u32>, now: MonoTime, period: Duration) -> Option<DomainJob> {
        let running = self.running.get(uuid).filter(|running| running.id == id)?;
        (now.since(running.at) <= LASTS.max(period * 3)).then_some(running.job)
    }

    /// Plans whom to ask before the next cycle: known jobs first, then those
    /// who were not asked for the longest time.
    fn plan(&mut self, live: &[Candidate], period: Duration) {
        let here: HashSet<Uuid> = live.iter().map(|candidate| candidate.uuid).collect();
        self.asked.retain(|uuid, _| here.contains(uuid));
        self.running.retain(|uuid, _| here.contains(uuid));
        let mut askable: Vec<Uuid> = live
            .iter()
            .filter(|candidate| candidate.whole && !self.silent.contains(&candidate.uuid))
            .map(|candidate| candidate.uuid)
            .collect();
        self.silent =
            live.iter().filter(|candidate| !candidate.whole).map(|candidate| candidate.uuid).collect();
        askable.sort_by_key(|uuid| (!self.running.contains_key(uuid), self.asked.get(uuid).copied(), *uuid));
        let never = askable.iter().filter(|uuid| !self.asked.contains_key(uuid)).count();
        let known = askable.iter().filter(|uuid| self.running.contains_key(uuid)).count();
        askable.truncate((known + share(live.len(), period).max(never)).min(AT_ONCE));
        askable.reverse();
        self.due = askable;
    }

    /// Takes what was answered about `uuid`.
    fn hear(&mut self, uuid: Uuid, id: Option<u32>, job: Measured<Option<DomainJob>>, at: MonoTime) {
        match job {
            Ok(Some(job)) => drop(self.running.insert(uuid, Running { id, job, at })),
            Ok(None) => drop(self.running.remove(&uuid)),
            // This time alone: what was known grows old by itself.
            Err(_) => (),
        }
    }

    /// Forgets everything that belongs to a link.
    pub fn forget(&mut self) -> Option<ReaderId> {
        let reader = self.reader.take();
        *self = Self::default();
        reader
    }
}

/// How many of `live` domains are due in one period.
fn share(live: usize, period: Duration) -> usize {
    let live = u128::try_from(live).unwrap_or(u128::MAX);
    let due = live.saturating_mul(period.as_millis()).div_ceil(ROUND.as_millis());
    usize::try_from(due).unwrap_or(usize::MAX)
}

impl<R: Readers, S: Sink> Engine<R, S> {
    /// A cycle has closed: plans the questions and puts the first.
    pub(super) fn ask_about_jobs(&mut self) {
        // A cycle may close with lists still out: nobody knows yet whether
        // their members hang.
        let being_read = self.calls.being_read(self.link_number);
        let live: Vec<Candidate> = self
            .domains
            .values()
            .filter(|track| track.is_live())
            .map(|track| Candidate {
                uuid: track.identity.uuid,
                whole: track.silent.is_none()
                    && track.failed.is_none()
                    && !being_read.contains(&track.identity.uuid),
            })
            .collect();
        let period = self.period();
        self.jobs.plan(&live, period);
        self.next_job();
    }

    /// Puts the next question, unless one is out already, of whatever link.
    pub(super) fn next_job(&mut self) {
        let full = self.calls_out() >= self.settings.libvirt.max_stuck_calls;
        if self.jobs.refused == Some(self.link_number) || self.calls.jobs() > 0 || full {
            self.jobs.due.clear();
            return;
        }
        let Some(uuid) = self.jobs.due.pop() else { return };
        let Some(id) = self.domains.get(&uuid).and_then(|track| track.identity.id) else { return };
        let (reader, patience) = match self.jobs.reader {
            Some(reader) => (reader, DEADLINE),
            None => match self.readers.start() {
                // A fresh one opens a connection first.
                Ok(reader) => (
                    *self.jobs.reader.insert(reader),
                    DEADLINE + self.pace.patience(super::pace::Load::default(), true),
                ),
                Err(error) => return self.note_error(error),
            },
        };
        let now = self.clock.now().1;
        self.jobs.asked.insert(uuid, now);
        let known = self.jobs.running.contains_key(&uuid);
        if !self.ask(reader, CallKind::Job { uuid, known }, Question::Job { uuid, id }, patience) {
            self.jobs.reader = None;
        }
    }

    /// Takes an answer, in time.
    pub(super) fn take_job(&mut self, uuid: Uuid, id: Option<u32>, job: Measured<Option<DomainJob>>) {
        if job.is_err_and(|missing| missing.why == Why::NotOffered) {
            self.jobs.refused = Some(self.link_number);
            self.jobs.due.clear();
            return;
        }
        let now = self.clock.now().1;
        self.jobs.hear(uuid, id, job, now);
        if self.cycle.is_closed() {
            self.next_job();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Missing;

    const SECOND: u64 = 1_000_000_000;
    const PERIOD: Duration = Duration::from_secs(1);

    fn whole(range: std::ops::Range<u128>) -> Vec<Candidate> {
        range.map(|n| Candidate { uuid: Uuid::from_u128(n), whole: true }).collect()
    }

    fn job() -> DomainJob {
        DomainJob {
            operation: "backup",
            elapsed: None,
            remaining: None,
            total: Some(100),
            done: Some(40),
            left: Some(60),
        }
    }

    /// Plans a cycle and answers every question of it with "no job".
    fn cycle(jobs: &mut Jobs, live: &[Candidate], at: u64) -> Vec<Uuid> {
        jobs.plan(live, PERIOD);
        let mut asked = Vec::new();
        while let Some(uuid) = jobs.due.pop() {
            jobs.asked.insert(uuid, MonoTime(at * SECOND + asked.len() as u64));
            asked.push(uuid);
        }
        asked
    }

    #[test]
    fn everybody_is_asked_at_first_and_then_once_in_ten_seconds() {
        let (mut jobs, live) = (Jobs::default(), whole(0..40));
        assert_eq!(cycle(&mut jobs, &live, 0).len(), 40);
        let mut count: HashMap<Uuid, u32> = HashMap::new();
        for at in 1..=20 {
            let asked = cycle(&mut jobs, &live, at);
            assert_eq!(asked.len(), 4, "a tenth of them in each second");
            for uuid in asked {
                *count.entry(uuid).or_default() += 1;
            }
        }
        assert!(count.len() == 40 && count.values().all(|&n| n == 2), "{count:?}");
    }

    #[test]
    fn a_known_job_is_asked_about_in_every_cycle_and_a_newcomer_at_once() {
        let (mut jobs, live) = (Jobs::default(), whole(0..40));
        cycle(&mut jobs, &live, 0);
        let busy = Uuid::from_u128(7);
        jobs.hear(busy, Some(1), Ok(Some(job())), MonoTime(0));
        for at in 1..5 {
            assert_eq!(cycle(&mut jobs, &live, at)[0], busy);
        }
        let asked = cycle(&mut jobs, &whole(0..41), 5);
        assert!(asked.contains(&Uuid::from_u128(40)) && asked.contains(&busy), "{asked:?}");
    }

    #[test]
    fn who_came_back_short_in_this_or_the_last_cycle_is_left_alone() {
        let (mut jobs, mut live) = (Jobs::default(), whole(0..2));
        let short = live[1].uuid;
        live[1].whole = false;
        assert!(!cycle(&mut jobs, &live, 0).contains(&short));
        live[1].whole = true;
        assert!(!cycle(&mut jobs, &live, 1).contains(&short), "short in the last cycle");
        assert!(cycle(&mut jobs, &live, 2).contains(&short));
    }

    #[test]
    fn a_job_is_shown_for_its_own_incarnation_while_it_is_confirmed() {
        let (mut jobs, uuid) = (Jobs::default(), Uuid::from_u128(1));
        jobs.hear(uuid, Some(4), Ok(Some(job())), MonoTime(SECOND));
        let of = |jobs: &Jobs, id, at: u64| jobs.of(&uuid, Some(id), MonoTime(at * SECOND), PERIOD);
        assert_eq!(of(&jobs, 4, 2), Some(job()));
        assert_eq!(of(&jobs, 5, 2), None, "another incarnation");
        assert_eq!(of(&jobs, 4, 7), None, "old");
        jobs.hear(uuid, Some(4), Err(Missing::new(Why::CallFailed)), MonoTime(2 * SECOND));
        assert_eq!(of(&jobs, 4, 3), Some(job()), "a failed question says nothing");
        jobs.hear(uuid, Some(4), Ok(None), MonoTime(3 * SECOND));
        assert_eq!(of(&jobs, 4, 3), None);
    }
}
