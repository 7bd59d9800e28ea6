//! Answers questions about the past on a thread of its own.
//!
//! The screen asks and goes on; the answer comes through the callback it gave.
//! A question that waits is overtaken by a newer one, so that a held key asks
//! for no more than can be answered. What an answer may take in memory and
//! time is bounded by the lines that are read for it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use uuid::Uuid;

use super::{super::recorded, Walk};
use crate::{
    config,
    journal::{Error, Look, LookError, Outline, file_name, thinning_slot},
    model::{
        AngleScale, Frame, Happening, WallTime,
        history::AngleHistory,
        past::{Answer, Covers, Found, Moment, Past, Question},
        timeline,
    },
};

/// What a reader is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[store]`
    pub store: config::Store,
    /// Whose record it is.
    pub libvirt_uri: String,
    /// By which angles are told.
    pub scale: AngleScale,
}

/// The thread that reads the record. Dropping it ends the thread after the
/// question it is at, and does not wait for that: a disk may hang.
#[derive(Debug)]
pub struct Reader {
    desk: Arc<Desk>,
}

/// Where the newest question waits.
#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    question: Option<Question>,
    closed: bool,
}

/// Most cycles of history that are read for a question.
const MOST_HISTORY: usize = 3600;
/// Most lines that are read for the cycles before the one that is asked for:
/// a fraction of a second's work.
const MOST_LINES: u64 = 60_000;
/// Least and most cycles before the first slot that are read for what changes
/// seldom, and for what was not due.
const LEAST_BEFORE: usize = 4;
const MOST_BEFORE: usize = 64;
/// A longer time without any cycle is a pause: three of those that thinning keeps.
const PAUSE: Duration = Duration::from_secs(30);

impl Reader {
    /// Starts the thread. `answer` is called there.
    ///
    /// # Errors
    /// The system gave no thread.
    pub fn start(settings: Settings, answer: impl FnMut(Answer) + Send + 'static) -> std::io::Result<Self> {
        let desk = Arc::<Desk>::default();
        let reader = Self { desk: Arc::clone(&desk) };
        let path = settings.store.path.map(|path| path.join(file_name(&settings.libvirt_uri)));
        let scale = settings.scale;
        std::thread::Builder::new().name("lookback".into()).spawn(move || {
            let mut answer = answer;
            while let Some(question) = desk.next() {
                answer(Answer { question, found: find(path.as_deref(), question, scale) });
            }
        })?;
        Ok(reader)
    }

    /// Asks; never waits. A question that still waits is dropped and gets no
    /// answer; one that is being answered does.
    pub fn ask(&self, question: Question) {
        self.desk.state().question = Some(question);
        self.desk.changed.notify_all();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.desk.state().closed = true;
        self.desk.changed.notify_all();
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next question; `None`: it is the end.
    fn next(&self) -> Option<Question> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(question) = state.question.take() {
                return Some(question);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn find(path: Option<&Path>, question: Question, scale: AngleScale) -> Found {
    let failed = |why: String| Found::Failed { why: why.into() };
    let Some(path) = path else {
        return failed("there is no record to look back into: store.path is none".to_owned());
    };
    let found = Look::open(path).and_then(|look| past(&look, question, scale));
    found.unwrap_or_else(|error| failed(error.to_string()))
}

/// The cycle that is asked for, and those before it.
fn past(look: &Look, question: Question, scale: AngleScale) -> Result<Found, LookError> {
    let Some((first, last)) = look.ends()? else { return Ok(Found::Nothing { covers: None }) };
    let covers = Covers { from: first.at.min(last.at), to: first.at.max(last.at) };
    let row = match question.moment {
        Moment::AtOrBefore(at) => look.at_or_before(at)?,
        Moment::Before(at) => look.at_or_before(WallTime(at.0.saturating_sub(1)))?,
        Moment::After(at) => look.after(at)?,
    };
    let Some(row) = row else { return Ok(Found::Nothing { covers: Some(covers) }) };
    let history = question.history.clamp(1, MOST_HISTORY);
    let way = Way::to(look, row, history)?;
    let mut walk = Walk::new(scale);
    let mut slots = Slots::new(history);
    let mut after = way.after;
    let mut shown: Option<Frame> = None;
    while shown.is_none() {
        // Few at a time: what has been walked over is let go.
        let cycles = recorded::seen(look, after, ROWS_AT_ONCE)?;
        let Some(end) = cycles.last() else { break };
        after = end.row;
        let passed = after >= row.row;
        for cycle in &cycles {
            let frame = walk.step(cycle);
            if cycle.row >= way.first_slot {
                slots.push(&frame);
            }
            if cycle.row >= row.row {
                shown = Some(frame).filter(|frame| frame.at == row.at);
                break;
            }
        }
        if passed {
            break;
        }
        if look.is_waited_for() {
            return Err(look.opening());
        }
    }
    // Retention may have taken it while it was looked for.
    let Some(mut frame) = shown else {
        return Ok(Found::Nothing { covers: Some(covers) });
    };
    tell_timelines(look, &mut frame)?;
    let Slots { tracks, closed, .. } = slots;
    Ok(Found::Seen(Past { frame: Arc::new(frame), angles: tracks, slots: closed.into(), covers }))
}

/// Rows that are read at once.
const ROWS_AT_ONCE: usize = 16;

/// From where on the record is read.
struct Way {
    /// The row before the first that is read.
    after: i64,
    /// Cycles that end before this row have no slot.
    first_slot: i64,
}

impl Way {
    /// The way to the cycle of `row`: over `history` cycles, and before them
    /// those that tell what changes seldom.
    fn to(look: &Look, row: Outline, history: usize) -> Result<Self, Error> {
        let mut at = first_of_cycle(look, row)?;
        let (mut cycles, mut lines) = (1, at.lines);
        let mut first_slot = at;
        let mut before = 0;
        while let Some(last) = look.previous(at.row)? {
            if cycles < history && lines < MOST_LINES {
                cycles += 1;
                at = first_of_cycle(look, last)?;
                lines = lines.saturating_add(last.lines);
                first_slot = at;
                continue;
            }
            let told = thinning_slot(last.at) < thinning_slot(first_slot.at);
            if (told && before >= LEAST_BEFORE)
                || before >= MOST_BEFORE
                || lines >= 2 * MOST_LINES && before > 0
            {
                break;
            }
            before += 1;
            at = first_of_cycle(look, last)?;
            lines = lines.saturating_add(last.lines);
        }
        Ok(Self { after: at.row - 1, first_slot: first_slot.row })
    }
}

/// The first row of the cycle that `row` belongs to.
fn first_of_cycle(look: &Look, mut row: Outline) -> Result<Outline, Error> {
    while row.part > 0 {
        match look.previous(row.row)? {
            Some(before) if before.at == row.at && before.part < row.part => row = before,
            _ => break,
        }
    }
    Ok(row)
}

/// The sparklines' slots.
struct Slots {
    capacity: usize,
    tracks: HashMap<Uuid, AngleHistory>,
    closed: VecDeque<Option<WallTime>>,
    last: Option<WallTime>,
}

impl Slots {
    fn new(capacity: usize) -> Self {
        Self { capacity, tracks: HashMap::new(), closed: VecDeque::new(), last: None }
    }

    fn push(&mut self, frame: &Frame) {
        let pause = PAUSE.max(frame.interval.saturating_mul(3));
        if self.last.replace(frame.at).is_some_and(|last| frame.at.since(last) > pause) {
            self.tracks.values_mut().for_each(AngleHistory::push_gap);
            self.note(None);
        }
        let mut absent: HashSet<Uuid> = self.tracks.keys().copied().collect();
        for domain in &frame.domains {
            let uuid = domain.identity().uuid;
            absent.remove(&uuid);
            let track = self.tracks.entry(uuid).or_insert_with(|| AngleHistory::new(self.capacity));
            if domain.fresh {
                track.push(&domain.rates.angles);
            } else {
                track.push_gap();
            }
        }
        for uuid in absent {
            if let Some(track) = self.tracks.get_mut(&uuid) {
                track.push_gap();
            }
        }
        self.note(Some(frame.at));
    }

    fn note(&mut self, at: Option<WallTime>) {
        if self.closed.len() == self.capacity {
            self.closed.pop_front();
        }
        self.closed.push_back(at);
    }
}

/// Gives every domain what had happened to it by then. Of what came again
/// later, the words are those of the last time.
fn tell_timelines(look: &Look, frame: &mut Frame) -> Result<(), Error> {
    for domain in &mut frame.domains {
        let events = look.events_of(domain.identity().uuid, frame.at, timeline::KEPT)?;
        if !events.is_empty() {
            let happenings = events.into_iter().map(|event| event.happening);
            Arc::make_mut(domain).timeline =
                happenings.map(|of| Happening { at: of.at.min(frame.at), ..of }).collect();
        }
    }
    Ok(())
}
