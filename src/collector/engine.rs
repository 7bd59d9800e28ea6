//! The collector's state machine: link, ticks, commands and deadlines. Pure
//! but for its readers and its sink: it never waits and never reads a clock
//! but the one it is given.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use uuid::Uuid;

use super::{
    Command, Settings, Sink,
    calls::{Call, CallKind, Calls},
    domains::Track,
    inherited::Inherited,
    link::{FIRST_BACKOFF, Link},
    lists::Lists,
    notes::Notes,
    pace::Pace,
    readers::Readers,
    report::Figures,
    watching::Watching,
};
use crate::{
    clock::Clock,
    libvirt::{Answer, Control, Question, ReaderId, Reply},
    model::{Missing, MonoTime, Why, frame::HostFacts, status::CollectionState},
};

/// A roster call that takes longer means that libvirt itself hangs.
const ROSTER_DEADLINE: Duration = Duration::from_secs(5);

/// The collector without its thread.
pub(super) struct Engine<R, S> {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) readers: R,
    pub(super) sink: S,
    pub(super) calls: Calls,
    pub(super) lists: Lists,
    pub(super) pace: Pace,
    pub(super) domains: HashMap<Uuid, Track>,
    pub(super) host: Arc<HostFacts>,
    pub(super) host_load: super::host::Host,
    pub(super) to_describe: VecDeque<Uuid>,
    pub(super) idle: Vec<ReaderId>,
    pub(super) cycle: super::cycle::Cycle,
    pub(super) figures: Figures,
    pub(super) inherited: Inherited,
    pub(super) notes: Notes,
    /// Domains met so far: gives each its turn.
    pub(super) turns: u64,
    /// Counts links: answers of an earlier one are only signs of its end.
    pub(super) link_number: u64,
    pub(super) state: CollectionState,
    pub(super) link: Link,
    pub(super) lister: Option<ReaderId>,
    pub(super) describer: Option<ReaderId>,
    pub(super) jobs: super::jobs::Jobs,
    pub(super) next_tick: MonoTime,
    pub(super) backoff: Duration,
    /// An attempt to connect waits for an earlier one to return.
    pub(super) held_back: bool,
    pub(super) watching: Watching,
    pub(super) xml: super::xml::Wanted,
}

impl<R: Readers, S: Sink> Engine<R, S> {
    pub fn new(settings: Settings, clock: Clock, readers: R, sink: S) -> Self {
        let (wall, mono) = clock.now();
        let mut engine = Self {
            settings,
            clock,
            readers,
            sink,
            calls: Calls::default(),
            lists: Lists::default(),
            pace: Pace::default(),
            domains: HashMap::new(),
            host: Arc::new(HostFacts::default()),
            host_load: super::host::Host::default(),
            to_describe: VecDeque::new(),
            idle: Vec::new(),
            cycle: super::cycle::Cycle::default(),
            figures: Figures::default(),
            inherited: Inherited::default(),
            notes: Notes::default(),
            turns: 0,
            link_number: 0,
            state: CollectionState::Stopped { since: wall },
            link: Link::Down,
            lister: None,
            describer: None,
            jobs: super::jobs::Jobs::default(),
            next_tick: mono,
            backoff: FIRST_BACKOFF,
            held_back: false,
            watching: Watching::default(),
            xml: super::xml::Wanted::default(),
        };
        engine.publish_status();
        engine
    }

    /// How long until [`Engine::on_time`] has something to do; `None`: nothing
    /// until a command or an answer comes.
    pub fn wait(&self) -> Option<Duration> {
        let now = self.clock.now().1;
        let own = match self.link {
            Link::Down | Link::Opening => None,
            Link::Up => Some(self.next_tick),
            Link::Broken(retry_at) => Some(retry_at),
        };
        let watch = self.watching.next_try().filter(|_| self.link == Link::Up);
        [own, watch, self.calls.next_deadline(), self.cycle.describing_until(), self.cycle.next_second_try()]
            .into_iter()
            .flatten()
            .min()
            .map(|next| next.since(now))
    }

    pub fn command(&mut self, command: Command) {
        let (wall, mono) = self.clock.now();
        match command {
            Command::Start => {
                if matches!(self.link, Link::Down | Link::Broken(_)) {
                    if self.link == Link::Down {
                        self.figures.started_at = Some(wall);
                        tracing::info!("collection started");
                    }
                    self.take_over();
                    self.connect(wall, mono);
                }
            }
            Command::Stop => {
                if self.link != Link::Down {
                    self.hang_up();
                    self.link = Link::Down;
                    self.state = CollectionState::Stopped { since: wall };
                    self.note_calls();
                    tracing::info!("collection stopped");
                }
            }
            Command::Reconnect => {
                if self.link != Link::Down {
                    self.hang_up();
                    self.backoff = FIRST_BACKOFF;
                    tracing::info!("reconnecting to libvirt");
                    self.connect_now(wall, mono);
                }
            }
            Command::SetInterval(interval) => {
                let last_tick = MonoTime(self.next_tick.0.saturating_sub(nanos(self.settings.interval)));
                self.interval_changes();
                self.settings.interval = interval;
                self.next_tick = last_tick.plus(interval).max(mono);
            }
            // Ends the thread that runs the engine; nothing to do here.
            Command::Shutdown => {}
        }
        self.publish_status();
    }

    /// Everything that is due by now.
    pub fn on_time(&mut self) {
        let (wall, mono) = self.clock.now();
        let overdue = self.calls.overdue(mono);
        let stuck = !overdue.is_empty();
        for ticket in overdue {
            self.give_up_waiting(ticket, mono);
        }
        if let Link::Broken(retry_at) = self.link
            && retry_at <= mono
        {
            self.connect(wall, mono);
            self.publish_status();
        }
        if self.link == Link::Up {
            self.ask_lists_when_described(mono);
            self.try_again(mono);
            self.ask_waiting();
            if self.next_tick <= mono {
                self.tick(mono);
            }
            self.close_cycle_when_complete();
            self.watch_again(mono);
        }
        if stuck {
            self.note_calls();
            self.publish_status();
        }
    }

    /// The process ends: leaves word of what goes on hanging.
    pub fn end(&mut self) {
        self.note_exactly(&[]);
    }

    /// An answer, in time or late.
    pub fn answer(&mut self, answer: Answer) {
        let Some((call, was_stuck)) = self.calls.returned(answer.ticket) else { return };
        if let CallKind::Xml { uuid } = call.kind {
            // Of no link: it has a reader of its own, and somebody waits.
            return self.take_xml(uuid, &call, answer, was_stuck);
        }
        if was_stuck {
            tracing::info!(
                "a call that hung for {:.1} s has returned",
                call.age(answer.ended.1).as_secs_f64()
            );
            self.late_answer(&call, &answer);
        }
        if was_stuck || call.link != self.link_number {
            self.take_back_reader(&call, &answer);
            self.go_on_after(&call);
            if was_stuck {
                self.note_calls();
                self.publish_status();
            }
            return;
        }
        if let (CallKind::List(list), Ok(_)) = (&call.kind, &answer.reply)
            && answer.ended.1 > call.deadline
        {
            // Late although nobody has looked at the deadline meanwhile: this
            // program was suspended, say. How the call's time divides among
            // its domains is not known, so neither is when each was read.
            let list = list.clone();
            self.late_answer(&call, &answer);
            self.idle.push(call.reader);
            self.repeat_list(&list);
            return;
        }
        if let Err(error) = &answer.reply
            && error.is_connection()
        {
            self.readers.end(call.reader);
            self.break_link(error.to_string());
            return;
        }
        match (call.kind, answer.reply) {
            (CallKind::Roster, Ok(Reply::Roster(roster))) => {
                let now = self.clock.now();
                if self.link == Link::Opening {
                    self.link = Link::Up;
                    self.backoff = FIRST_BACKOFF;
                    self.figures.connections += 1;
                    self.pace.learn_connecting(answer.begun.1.since(call.asked));
                    self.state = CollectionState::Running { since: now.0 };
                    self.next_tick = now.1.plus(self.settings.interval);
                    self.begin_cycle(call.asked);
                    tracing::info!("connected to libvirt: {} domains", roster.domains.len());
                    self.watch();
                }
                self.take_roster(roster, now.1);
                self.place_waiting();
                self.publish_status();
            }
            (CallKind::List(list), Ok(Reply::List(raw))) => {
                self.idle.push(call.reader);
                self.take_list(&list, raw, (answer.begun, answer.ended));
            }
            (CallKind::Control(probe), Ok(Reply::Control(control))) => {
                self.idle.push(call.reader);
                self.take_control(probe, control);
            }
            (CallKind::Control(probe), Err(error)) => {
                self.idle.push(call.reader);
                self.note_error(error.to_string());
                self.take_control(probe, Control::Unknown);
            }
            (CallKind::Describe { uuid, id }, Ok(Reply::Description { devices, .. })) => {
                let now = self.clock.now().1;
                // Of another incarnation by now, it is asked for anew.
                if let Some(track) = self.domains.get_mut(&uuid).filter(|track| track.identity.id == id) {
                    track.describe(devices, call.asked, now);
                }
                self.described(call.reader);
            }
            (CallKind::Job { uuid, .. }, Ok(Reply::Job { id, job, .. })) => self.take_job(uuid, id, job),
            (CallKind::Job { uuid, .. }, Err(error)) => {
                tracing::debug!("job of {uuid}: {error}");
                self.take_job(uuid, None, Ok(None));
            }
            (CallKind::Roster, Err(error)) => self.break_link(error.to_string()),
            // Taken above, whatever it was.
            (CallKind::Xml { .. }, Err(_)) => {}
            (CallKind::List(list), Err(error)) => {
                self.idle.push(call.reader);
                self.note_error(error.to_string());
                for uuid in &list.members {
                    if let Some(track) = self.domains.get_mut(uuid) {
                        track.failed = Some(Missing::new(Why::CallFailed));
                    }
                }
            }
            (CallKind::Describe { uuid, .. }, Err(error)) => {
                // A domain that vanished meanwhile is no error worth a count.
                tracing::debug!("XML of {uuid}: {error}");
                self.described(call.reader);
            }
            (kind, Ok(_)) => {
                self.note_error(format!("libvirt reader gave an answer that does not fit {kind:?}"));
            }
        }
    }

    /// What becomes of the reader of a call that is of no more use. One of
    /// this link whose list came late has a connection that works, which may
    /// have taken longer to open than any deadline: it is not thrown away.
    fn take_back_reader(&mut self, call: &Call, answer: &Answer) {
        let wanted = call.link == self.link_number
            && matches!((&call.kind, &answer.reply), (CallKind::List(_), Ok(_)))
            && self.idle.len() < self.settings.libvirt.max_parallel;
        let asks_about_jobs = call.link == self.link_number
            && self.jobs.reader.is_none()
            && matches!((&call.kind, &answer.reply), (CallKind::Job { .. }, Ok(_)));
        if wanted {
            self.idle.push(call.reader);
        } else if asks_about_jobs {
            self.jobs.reader = Some(call.reader);
        } else {
            self.readers.end(call.reader);
        }
    }

    /// What had to wait for a call of an earlier link, or a stuck one.
    fn go_on_after(&mut self, call: &Call) {
        match call.kind {
            CallKind::Roster if self.held_back => {
                let (wall, mono) = self.clock.now();
                self.connect(wall, mono);
                self.publish_status();
            }
            CallKind::Describe { .. } if self.link == Link::Up => self.describe_next(),
            _ => {}
        }
    }

    /// Asks a reader and enters the call; `false` when the reader is gone.
    pub(super) fn ask(
        &mut self,
        reader: ReaderId,
        kind: CallKind,
        question: Question,
        patience: Duration,
    ) -> bool {
        let (asked_wall, asked) = self.clock.now();
        let ticket = self.calls.ticket();
        if !self.readers.ask(reader, ticket, question) {
            return false;
        }
        let deadline = asked.plus(patience);
        self.calls.insert(ticket, Call { reader, kind, asked_wall, asked, deadline, link: self.link_number });
        true
    }

    /// An idle reader, or a fresh one; `true` beside a fresh one.
    pub(super) fn reader(&mut self) -> Result<(ReaderId, bool), String> {
        match self.idle.pop() {
            Some(reader) => Ok((reader, false)),
            None => self.readers.start().map(|reader| (reader, true)),
        }
    }

    fn tick(&mut self, mono: MonoTime) {
        let interval = self.settings.interval;
        self.next_tick = self.next_tick.plus(interval);
        if self.next_tick <= mono {
            // Ticks that passed while the program slept are counted, not made up for.
            let behind = nanos(mono.since(self.next_tick)) / nanos(interval).max(1) + 1;
            self.figures.skipped_ticks += behind;
            self.next_tick = MonoTime(self.next_tick.0 + behind * nanos(interval));
        }
        if self.next_tick.since(mono) < interval / 2 {
            // This tick comes so late that the next would follow on its heels:
            // a rate over a few milliseconds is more error than rate.
            self.figures.skipped_ticks += 1;
            self.next_tick = self.next_tick.plus(interval);
        }
        if !self.cycle_may_end() {
            self.figures.skipped_ticks += 1;
            return;
        }
        if self.calls.roster_in_flight(self.link_number) {
            self.figures.skipped_ticks += 1;
            return;
        }
        let Some(lister) = self.lister else { return };
        self.begin_cycle(mono);
        self.ask_roster(lister, ROSTER_DEADLINE.min(self.settings.libvirt.timeout));
    }

    /// A call is past its deadline and counts as stuck from now on.
    fn give_up_waiting(&mut self, ticket: u64, mono: MonoTime) {
        let Some(call) = self.calls.stuck_call(ticket) else { return };
        let age = call.age(mono);
        if let CallKind::Xml { uuid } = call.kind {
            return self.give_up_xml(uuid, age);
        }
        if call.link != self.link_number {
            return;
        }
        match &call.kind {
            CallKind::Roster => {
                let waited = age.as_secs_f64();
                self.lister = None;
                self.break_link(format!(
                    "libvirt at {} has not answered for {waited:.0} s; {}",
                    crate::libvirt::masked(&self.settings.libvirt.uri),
                    crate::libvirt::hang_advice(&self.settings.libvirt.uri),
                ));
            }
            CallKind::List(list) => {
                let list = list.clone();
                if let Some(single) = list.single {
                    self.inherited.hangs(&single.uuid);
                }
                self.repeat_list(&list);
            }
            CallKind::Control(probe) => {
                let probe = *probe;
                self.take_control(probe, Control::Unknown);
            }
            CallKind::Job { .. } => self.jobs.reader = None,
            CallKind::Xml { .. } => {}
            CallKind::Describe { uuid, .. } => {
                let uuid = *uuid;
                self.describer = self.describer.filter(|describer| *describer != call.reader);
                self.note_error(format!(
                    "libvirt has not given the XML of {uuid} in time; its devices may be out of date"
                ));
            }
        }
    }
}

pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
