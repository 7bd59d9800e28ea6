//! A thread that answers questions, one at a time, over a connection of its
//! own.
//!
//! Owns the connection's life: opened by the thread with the first question,
//! dropped after an error that concerns it, opened anew with the next
//! question. It sets no deadlines: a call that hangs hangs here, and its late
//! answer is the sign that it has come free.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use super::{
    Answer, Error, Question, ReaderId, Reply, Settings, event_loop,
    session::{Session, Span},
};
use crate::clock::Clock;

/// One reader. Dropping it never waits: its thread ends once the call in
/// flight has returned and was answered.
#[derive(Debug)]
pub struct Reader {
    questions: mpsc::Sender<(u64, Question)>,
    dropped: Arc<AtomicBool>,
}

impl Reader {
    /// Starts the thread. Nothing is connected before the first question.
    ///
    /// `answers` is called on that thread, once per question.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn start(
        id: ReaderId,
        settings: Settings,
        clock: Clock,
        answers: impl Fn(Answer) + Send + 'static,
    ) -> std::io::Result<Self> {
        event_loop::ensure()?;
        let (questions, asked) = mpsc::channel();
        let dropped = Arc::new(AtomicBool::new(false));
        let thread = Thread { id, settings, clock, dropped: Arc::clone(&dropped), session: None };
        thread::Builder::new().name(format!("libvirt-{id}")).spawn(move || thread.run(&asked, &answers))?;
        Ok(Self { questions, dropped })
    }

    /// Hands over a question; never waits. Questions are answered in the
    /// order they were asked. `false`: the thread has ended.
    #[must_use]
    pub fn ask(&self, ticket: u64, question: Question) -> bool {
        self.questions.send((ticket, question)).is_ok()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Questions still in the channel are not worth a call any more.
        self.dropped.store(true, Ordering::Relaxed);
    }
}

struct Thread {
    id: ReaderId,
    settings: Settings,
    clock: Clock,
    dropped: Arc<AtomicBool>,
    session: Option<Session>,
}

impl Thread {
    fn run(mut self, asked: &mpsc::Receiver<(u64, Question)>, answers: &impl Fn(Answer)) {
        while let Ok((ticket, question)) = asked.recv() {
            if self.dropped.load(Ordering::Relaxed) {
                return;
            }
            let start = self.clock.now();
            let (span, reply) = match self.answer(question) {
                Ok((span, reply)) => (span, Ok(reply)),
                Err(error) => {
                    if error.is_connection() {
                        self.session = None;
                    }
                    ((start, self.clock.now()), Err(error))
                }
            };
            answers(Answer { reader: self.id, ticket, begun: span.0, ended: span.1, reply });
        }
    }

    fn answer(&mut self, question: Question) -> Result<(Span, Reply), Error> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(Session::open(&self.settings.uri, &self.clock)?),
        };
        match question {
            Question::Roster => session.roster(),
            Question::List { members, monitor_free, timed } => session.list(&members, monitor_free, timed),
            Question::Describe { uuid } => session.describe(uuid),
            Question::Xml { uuid } => session.xml(uuid),
            Question::Control { uuid, id } => session.control(uuid, id),
            Question::Job { uuid, id } => session.job(uuid, id),
        }
    }
}
