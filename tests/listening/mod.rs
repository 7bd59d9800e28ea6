//! A watch and a reader of the library itself, whose news and answers are
//! waited for.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use kvmscope::{
    clock::Clock,
    libvirt::{Answer, DomainEvent, EventKind, Question, Reader, Reply, Roster, Settings, Watch, WatchNews},
};

use crate::PATIENCE;

fn settings(uri: &str) -> Settings {
    Settings { uri: uri.to_owned(), timeout: Duration::from_secs(30) }
}

/// A watch and what it tells.
pub struct Listening {
    watch: Option<Watch>,
    news: mpsc::Receiver<WatchNews>,
}

impl Listening {
    pub fn to(uri: &str) -> Self {
        let (tell, news) = mpsc::channel();
        let watch = Watch::start(settings(uri), Clock::system(), move |item| drop(tell.send(item))).unwrap();
        Self { watch: Some(watch), news }
    }

    /// As [`Listening::to`], once it listens.
    pub fn connected(uri: &str) -> Self {
        let listening = Self::to(uri);
        listening.wait(|news| match news {
            WatchNews::Connected { .. } => Some(()),
            WatchNews::Ended { why } => panic!("{why:?}"),
            WatchNews::Happened(_) | WatchNews::NotOffered => None,
        });
        listening
    }

    #[track_caller]
    pub fn wait<T>(&self, mut wanted: impl FnMut(WatchNews) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let news = self.news.recv_timeout(left).expect("no such news");
            if let Some(found) = wanted(news) {
                return found;
            }
        }
    }

    #[track_caller]
    pub fn event(&self, wanted: impl Fn(&EventKind) -> bool) -> DomainEvent {
        self.wait(|news| match news {
            WatchNews::Happened(event) if wanted(&event.kind) => Some(event),
            _ => None,
        })
    }

    /// Drops the watch and waits until its thread has given everything back.
    #[track_caller]
    pub fn end(mut self) {
        drop(self.watch.take());
        self.wait(|news| match news {
            WatchNews::Ended { why: None } => Some(()),
            WatchNews::Ended { why } => panic!("{why:?}"),
            _ => None,
        });
    }
}

/// A reader whose answers are waited for.
pub struct Asking {
    reader: Reader,
    pub answers: mpsc::Receiver<Answer>,
    asked: u64,
}

impl Asking {
    pub fn at(uri: &str) -> Self {
        let (tell, answers) = mpsc::channel();
        let reader = Reader::start(1, settings(uri), Clock::system(), move |answer| drop(tell.send(answer)));
        Self { reader: reader.unwrap(), answers, asked: 0 }
    }

    pub fn ask(&mut self, question: Question) {
        self.asked += 1;
        assert!(self.reader.ask(self.asked, question));
    }

    pub fn roster(&mut self) -> Roster {
        self.ask(Question::Roster);
        match self.answers.recv_timeout(PATIENCE).unwrap().reply {
            Ok(Reply::Roster(roster)) => roster,
            other => panic!("{other:?}"),
        }
    }
}
