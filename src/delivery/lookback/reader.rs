//! Answers questions about the past on a thread of its own.
//!
//! The screen asks and goes on; the answer comes through the callback it gave.
//! A question that waits is overtaken by a newer one, so that a held key asks
//! for no more than can be answered. What an answer may take in memory and
//! time is bounded by the lines that are read for it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{
    slots::{Known, Slots},
    trail::Trail,
    way::{BEFORE, Before, Rows, walk},
};
use crate::{
    config,
    journal::{Error, Look, LookError, Outline, file_name},
    model::{
        AngleScale, Frame, Happening, Why,
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

/// What answers questions, and what it remembers from one to the next: asked
/// again, or about the moment beside, it has less to read.
pub struct Sight {
    path: Option<PathBuf>,
    scale: AngleScale,
    known: Known,
    trail: Trail,
}

impl Sight {
    /// One that has read nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let path = settings.store.path.map(|path| path.join(file_name(&settings.libvirt_uri)));
        Self { path, scale: settings.scale, known: Known::default(), trail: Trail::default() }
    }

    /// Reads the record for an answer. A disk may hang: not where anybody
    /// waits for something else.
    pub fn answer(&mut self, question: Question) -> Answer {
        let Self { path, scale, known, trail } = self;
        Answer { question, found: find(path.as_deref(), question, *scale, known, trail) }
    }
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

impl Reader {
    /// Starts the thread. `answer` is called there.
    ///
    /// # Errors
    /// The system gave no thread.
    pub fn start(settings: Settings, answer: impl FnMut(Answer) + Send + 'static) -> std::io::Result<Self> {
        let desk = Arc::<Desk>::default();
        let reader = Self { desk: Arc::clone(&desk) };
        let mut sight = Sight::new(settings);
        std::thread::Builder::new().name("lookback".into()).spawn(move || {
            let mut answer = answer;
            while let Some(question) = desk.next() {
                answer(sight.answer(question));
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

fn find(
    path: Option<&Path>,
    question: Question,
    scale: AngleScale,
    known: &mut Known,
    trail: &mut Trail,
) -> Found {
    let failed = |why: String| Found::Failed { why: why.into() };
    let Some(path) = path else {
        return failed("there is no record to look back into: store.path is none".to_owned());
    };
    let found = Look::open(path).and_then(|look| past(&look, question, scale, known, trail));
    found.unwrap_or_else(|error| failed(error.to_string()))
}

/// The cycle that is asked for, and those before it.
fn past(
    look: &Look,
    question: Question,
    scale: AngleScale,
    known: &mut Known,
    trail: &mut Trail,
) -> Result<Found, LookError> {
    known.are_of(look.file());
    trail.is_of(look.file());
    let Some((first, last)) = look.ends()? else { return Ok(Found::Nothing { covers: None }) };
    let covers = Covers { from: first.at.min(last.at), to: first.at.max(last.at) };
    let row = match question.moment {
        Moment::AtOrBefore(at) => look.at_or_before(at)?,
        Moment::Before(at) => trail.before(look, at)?,
        Moment::After(at) => trail.after(look, at)?,
    };
    let Some(row) = row else { return Ok(Found::Nothing { covers: Some(covers) }) };
    let history = question.history.clamp(1, MOST_HISTORY);
    let mut found = None;
    for before in BEFORE {
        found = shown(look, row, before, scale)?;
        if !found.as_ref().is_some_and(|(_, frame)| lacks(frame)) {
            break;
        }
    }
    // Retention may have taken it while it was looked for.
    let Some(((after, last), mut frame)) = found else {
        return Ok(Found::Nothing { covers: Some(covers) });
    };
    trail.note(frame.at, (after, last));
    known.keep((after, last), &frame, last);
    let Slots { tracks, closed, .. } = known.slots(look, last, history, scale)?;
    tell_timelines(look, &mut frame)?;
    Ok(Found::Seen(Past { frame: Arc::new(frame), angles: tracks, slots: closed.into(), covers }))
}

/// The rows of a cycle: those after the first number, up to the other.
pub(super) type Span = (i64, i64);

/// The cycle of `row`: its rows and its frame; `None`: it is there no more.
fn shown(
    look: &Look,
    row: Outline,
    before: Before,
    scale: AngleScale,
) -> Result<Option<(Span, Frame)>, LookError> {
    let mut found = None;
    let first = Rows::of(look, row)?.first;
    walk(look, first, row.row, before, scale, |after, last, frame| found = Some(((after, last), frame)))?;
    Ok(found.filter(|(_, frame)| frame.at == row.at))
}

/// Whether the walk to this frame has begun too late for some domain whose
/// memory and disks are not read in every cycle.
fn lacks(frame: &Frame) -> bool {
    frame.domains.iter().filter(|domain| domain.fresh).any(|domain| {
        let awaited = domain
            .reading
            .disks
            .as_ref()
            .is_err_and(|missing| missing.why == Why::NotDue && missing.since.is_some());
        let shown = domain.last.as_ref().filter(|_| awaited).map_or(&domain.rates, |last| &last.rates);
        (awaited && domain.last.is_none())
            || shown.disk.read_bytes_per_s.is_err_and(|missing| missing.why == Why::NotRecorded)
    })
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
