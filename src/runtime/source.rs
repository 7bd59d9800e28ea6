//! Where a screen's data comes from and its questions go: the engine of this
//! process, or an agent.
//!
//! Owns that difference; the screen itself knows of none.

mod arrivals;

use std::{io, sync::Arc};

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use self::arrivals::Arrivals;
use super::{News, engine::Engine, recording::Recording};
use crate::{
    app::{Effect, Message},
    attach,
    clock::Clock,
    collector::{self, Command},
    config::Config,
    delivery::{self, lookback},
    model::{
        Frame,
        link::Link,
        past::Answer,
        status::{CollectorStatus, DeliveryStatus, StoreStatus},
    },
    wire::Ask,
};

/// Where the screen has its frames from.
pub(super) enum Frames {
    /// The last one: this screen was there for those before.
    Latest(watch::Receiver<Option<Arc<Frame>>>),
    /// Every one that came over a line, which brings several at once after it
    /// stood still, and how the line is.
    Every(Arrivals),
}

impl Frames {
    /// The next; `None`: nothing that could be shown. Nothing is lost where
    /// nobody waits any more.
    pub async fn next(&mut self) -> Option<Message> {
        match self {
            Self::Latest(frame) => match frame.changed().await {
                Ok(()) => frame.borrow_and_update().clone().map(Message::Frame),
                // The collector has ended, and the screen with it.
                Err(_) => std::future::pending().await,
            },
            Self::Every(arrivals) => Some(arrivals.next().await),
        }
    }
}

/// What carries out what the screen asks for.
pub(super) enum Source {
    /// This process collects.
    Here(Here),
    /// An agent does.
    Attached(attach::Handle),
}

/// Collection of one's own.
pub(super) struct Here {
    collector: collector::Handle,
    delivery: Recording,
    /// What answers questions about the past.
    past: lookback::Reader,
    /// Where answers go.
    words: mpsc::UnboundedSender<Message>,
}

impl Source {
    /// The engine as a source. `said` is the other end of `words`, `turn` tells
    /// of delivery that takes the place of the one before.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn here(
        config: &Config,
        engine: &Engine,
        words: mpsc::UnboundedSender<Message>,
        said: mpsc::UnboundedReceiver<Message>,
        turn: mpsc::UnboundedReceiver<Arc<delivery::Handle>>,
    ) -> io::Result<(Self, News)> {
        let answers = words.clone();
        let settings = lookback::Settings {
            store: config.store.clone(),
            libvirt_uri: config.libvirt.uri.clone(),
            scale: config.angle,
        };
        // The screen may be gone by then, and with it whoever would read this.
        let past =
            lookback::Reader::start(settings, move |answer| drop(answers.send(Message::Past(answer))))?;
        let news = News {
            frames: Frames::Latest(engine.frame.clone()),
            collector: engine.status.clone(),
            delivery: engine.recording.current().status(),
            said,
            turn,
        };
        let here =
            Here { collector: engine.collector.clone(), delivery: engine.recording.clone(), past, words };
        Ok((Self::Here(here), news))
    }

    /// The agent at `place` as a source.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn attached(
        place: attach::Place,
        config: &Config,
        clock: Clock,
        words: mpsc::UnboundedSender<Message>,
        said: mpsc::UnboundedReceiver<Message>,
    ) -> io::Result<(Self, News)> {
        let arrivals = Arrivals::new(usize::try_from(config.screen.history_bytes).unwrap_or(usize::MAX));
        let (statuses, collector) = watch::channel(None);
        let (figures, delivery) = watch::channel(Default::default());
        // Nobody ever takes an agent's place.
        let (_, turn) = mpsc::unbounded_channel();
        let outlets = Outlets { arrivals: arrivals.clone(), statuses, figures, words };
        let handle = attach::start(place, config.agent.clone(), clock, outlets)?;
        let frames = Frames::Every(arrivals);
        Ok((Self::Attached(handle), News { frames, collector, delivery, said, turn }))
    }

    /// Carries out what concerns collection, delivery or the record; gives
    /// back what does not.
    pub fn carry_out(&self, effect: Effect) -> Option<Effect> {
        match self {
            Self::Here(here) => here.carry_out(effect),
            Self::Attached(agent) => {
                let ask = match effect {
                    Effect::StartCollection => Ask::Start,
                    Effect::StopCollection => Ask::Stop,
                    Effect::Reconnect => Ask::Reconnect,
                    Effect::SetInterval(interval) => Ask::Interval(interval),
                    Effect::LookBack(question) => Ask::Past(question),
                    Effect::Xml(uuid) => Ask::Xml(uuid),
                    Effect::History(question) => {
                        agent.history(question);
                        return None;
                    }
                    other => return Some(other),
                };
                agent.ask(ask);
                None
            }
        }
    }
}

impl Here {
    fn carry_out(&self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::StartCollection => self.collector.command(Command::Start),
            Effect::StopCollection => self.collector.command(Command::Stop),
            Effect::Reconnect => {
                self.collector.command(Command::Reconnect);
                self.delivery.current().retry_now();
            }
            Effect::SetInterval(interval) => self.collector.command(Command::SetInterval(interval)),
            Effect::LookBack(question) => self.past.ask(question),
            Effect::Xml(uuid) => {
                let answers = self.words.clone();
                // Fails only when the screen has ended.
                self.collector.xml(uuid, move |xml| drop(answers.send(Message::Xml(uuid, xml))));
            }
            other => return Some(other),
        }
        None
    }
}

/// Hands on what an agent tells. Sending fails only when the screen has ended.
struct Outlets {
    arrivals: Arrivals,
    statuses: watch::Sender<Option<CollectorStatus>>,
    figures: watch::Sender<(DeliveryStatus, StoreStatus)>,
    words: mpsc::UnboundedSender<Message>,
}

impl attach::Sink for Outlets {
    fn frame(&mut self, frame: Arc<Frame>) {
        self.arrivals.frame(frame);
    }

    fn collector(&mut self, status: CollectorStatus) {
        self.statuses.send_replace(Some(status));
    }

    fn delivery(&mut self, delivery: DeliveryStatus, store: StoreStatus) {
        self.figures.send_replace((delivery, store));
    }

    fn link(&mut self, link: Link) {
        self.arrivals.link(link);
    }

    fn history(&mut self, answer: Answer) {
        drop(self.words.send(Message::History(answer)));
    }

    fn past(&mut self, answer: Answer) {
        drop(self.words.send(Message::Past(answer)));
    }

    fn xml(&mut self, uuid: Uuid, xml: Result<Arc<str>, String>) {
        drop(self.words.send(Message::Xml(uuid, xml)));
    }

    fn say(&mut self, words: String) {
        drop(self.words.send(Message::Say(words)));
    }
}

#[cfg(test)]
mod tests;
