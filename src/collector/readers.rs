//! The readers at the engine's disposal, behind a trait so that the engine
//! can be driven through hangs and failures without waiting for them.

use std::{collections::HashMap, sync::mpsc};

use super::Event;
use crate::{
    clock::Clock,
    config,
    libvirt::{Answer, Question, Reader, ReaderId, Settings, Watch, WatchNews},
};

/// Starts readers, asks them and lets them go. No call blocks.
pub(super) trait Readers {
    /// Starts a reader and gives its id.
    ///
    /// # Errors
    /// What the operating system said when it gave no thread.
    fn start(&mut self) -> Result<ReaderId, String>;
    /// Asks; `false` when the reader is gone.
    fn ask(&mut self, reader: ReaderId, ticket: u64, question: Question) -> bool;
    /// Lets a reader go: it ends once its call in flight has returned, and
    /// that answer still arrives.
    fn end(&mut self, reader: ReaderId);
    /// Starts a watch for events in place of the one there may be; its news
    /// come with this number.
    ///
    /// # Errors
    /// What the operating system said when it gave no thread.
    fn watch(&mut self, number: u64) -> Result<(), String>;
    /// Lets the watch go: it ends in its own time, and says so.
    fn unwatch(&mut self);
}

/// Real readers: a thread and a libvirt connection each.
pub(super) struct ThreadReaders {
    settings: Settings,
    clock: Clock,
    inbox: mpsc::Sender<Event>,
    last_id: ReaderId,
    readers: HashMap<ReaderId, Reader>,
    watch: Option<Watch>,
}

impl ThreadReaders {
    pub fn new(libvirt: &config::Libvirt, clock: Clock, inbox: mpsc::Sender<Event>) -> Self {
        let settings = Settings { uri: libvirt.uri.clone(), timeout: libvirt.timeout };
        Self { settings, clock, inbox, last_id: 0, readers: HashMap::new(), watch: None }
    }
}

impl Readers for ThreadReaders {
    fn start(&mut self) -> Result<ReaderId, String> {
        self.last_id += 1;
        let inbox = self.inbox.clone();
        let deliver = move |answer: Answer| {
            // Fails only when the collector has ended.
            drop(inbox.send(Event::Answer(Box::new(answer))));
        };
        let reader = Reader::start(self.last_id, self.settings.clone(), self.clock.clone(), deliver)
            .map_err(|error| {
                format!("cannot start a reader thread: {error}; the limit on processes may be reached")
            })?;
        self.readers.insert(self.last_id, reader);
        Ok(self.last_id)
    }

    fn ask(&mut self, reader: ReaderId, ticket: u64, question: Question) -> bool {
        self.readers.get(&reader).is_some_and(|reader| reader.ask(ticket, question))
    }

    fn end(&mut self, reader: ReaderId) {
        self.readers.remove(&reader);
    }

    fn watch(&mut self, number: u64) -> Result<(), String> {
        let inbox = self.inbox.clone();
        let tell = move |news: WatchNews| {
            // Fails only when the collector has ended.
            drop(inbox.send(Event::Happened(number, Box::new(news))));
        };
        let watch = Watch::start(self.settings.clone(), self.clock.clone(), tell)
            .map_err(|error| format!("cannot start the thread that listens for events: {error}"))?;
        self.watch = Some(watch);
        Ok(())
    }

    fn unwatch(&mut self) {
        self.watch = None;
    }
}
