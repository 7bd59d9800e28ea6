//! Collection: when which domain is read, what becomes of the answers, and
//! what becomes of those that do not come.
//!
//! Owns the cycle (lists in parallel, deadlines, isolation of hung domains),
//! the start/stop machine and the collector's figures. One thread runs it;
//! it only ever waits on its own inbox, never on libvirt: every call into
//! libvirt is made by a reader's thread (`crate::libvirt`), so that a command
//! takes effect at once whatever hangs. It does not draw, store or send.

mod asking;
mod assemble;
mod calls;
mod costs;
mod cycle;
mod describe;
mod domains;
mod engine;
mod guest_report;
mod host;
mod inherited;
mod jobs;
mod link;
mod lists;
mod notes;
mod noting;
mod pace;
mod probing;
mod readers;
mod report;
mod taking;
mod timeline;
mod watching;
mod xml;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use uuid::Uuid;

use crate::{
    clock::Clock,
    config,
    libvirt::{Answer, WatchNews},
    model::{AngleScale, Frame, status::CollectorStatus},
};

use engine::Engine;
use readers::ThreadReaders;
pub use xml::Xml;
use xml::XmlAnswer;

/// What the operator can ask of the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start collecting; nothing happens when it runs already.
    Start,
    /// Stop collecting at once; calls that hang are left to end by themselves.
    Stop,
    /// Change the poll interval from the next cycle on.
    SetInterval(Duration),
    /// Drop every connection and connect anew, now.
    Reconnect,
    /// End the collector's thread.
    Shutdown,
}

/// Where the collector's results go. Both calls must return at once.
pub trait Sink: Send {
    /// One closed cycle.
    fn frame(&mut self, frame: Arc<Frame>);
    /// The figures after every cycle and every change of state.
    fn status(&mut self, status: CollectorStatus);
}

/// What the collector is given to work with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[libvirt]`
    pub libvirt: config::Libvirt,
    /// The poll interval at start.
    pub interval: Duration,
    /// The references of the angles.
    pub scale: AngleScale,
    /// Directory and beginning of the names of the files in which calls that
    /// hang are noted; `None`: nowhere.
    pub notes: Option<PathBuf>,
}

/// Commands the running collector. Cloned freely; sending never blocks.
#[derive(Clone, Debug)]
pub struct Handle {
    inbox: mpsc::Sender<Event>,
}

impl Handle {
    /// Hands a command over. After the collector has ended it is ignored.
    pub fn command(&self, command: Command) {
        // A send fails only when the collector is gone, and then there is
        // nothing left to command.
        drop(self.inbox.send(Event::Command(command)));
    }

    /// Asks for the XML of one domain. `answer` is called once, on the
    /// collector's thread, within `libvirt.timeout`; it must return at once.
    /// After the collector has ended it is never called.
    pub fn xml(&self, uuid: Uuid, answer: impl FnOnce(Xml) + Send + 'static) {
        drop(self.inbox.send(Event::Xml(uuid, XmlAnswer::new(answer))));
    }
}

#[derive(Debug)]
enum Event {
    Command(Command),
    Xml(Uuid, XmlAnswer),
    Answer(Box<Answer>),
    /// What the watch of this number tells.
    Happened(u64, Box<WatchNews>),
}

/// Starts the collector's thread, stopped; [`Command::Start`] sets it going.
///
/// # Errors
/// When the operating system gives no thread.
pub fn start(settings: Settings, clock: Clock, sink: impl Sink + 'static) -> io::Result<Handle> {
    let (inbox, events) = mpsc::channel();
    let handle = Handle { inbox: inbox.clone() };
    let readers = ThreadReaders::new(&settings.libvirt, clock.clone(), inbox);
    std::thread::Builder::new().name("collector".into()).spawn(move || {
        run(&events, Engine::new(settings, clock, readers, sink));
    })?;
    Ok(handle)
}

fn run<R: readers::Readers, S: Sink>(events: &mpsc::Receiver<Event>, mut engine: Engine<R, S>) {
    loop {
        let event = match engine.wait() {
            Some(wait) => match events.recv_timeout(wait) {
                Ok(event) => Some(event),
                Err(mpsc::RecvTimeoutError::Timeout) => None,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            },
            None => match events.recv() {
                Ok(event) => Some(event),
                Err(mpsc::RecvError) => return,
            },
        };
        match event {
            Some(Event::Command(Command::Shutdown)) => {
                engine.end();
                return;
            }
            Some(Event::Command(command)) => engine.command(command),
            Some(Event::Xml(uuid, answer)) => engine.ask_xml(uuid, answer),
            Some(Event::Answer(answer)) => engine.answer(*answer),
            Some(Event::Happened(watch, news)) => engine.hear(watch, *news),
            None => {}
        }
        engine.on_time();
    }
}
