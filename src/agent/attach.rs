//! Screens that show this agent's collection: a stream of whole values down,
//! and their questions up.
//!
//! A frame is written once for all of them. A screen that is slow misses
//! frames and holds nobody up; one that takes nothing for a while is dropped
//! with its connection. What a screen may ask is what the API's other paths
//! allow as well: start, stop, and looking.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};
use uuid::Uuid;

use super::{Api, LOOK_WITHIN, MOST_LOOKS, fault::Fault, page::Page};
use crate::{
    clock::Clock,
    collector::Command,
    delivery::lookback::{Settings, Sight},
    model::{
        Frame,
        past::{Answer, Question},
        status::{CollectorStatus, ConfigEntry, DeliveryStatus, StoreStatus},
    },
    wire::{self, Ask, BEAT, News, Told},
};

/// How long libvirt may take for an XML before the screen is told so.
const XML_WITHIN: Duration = Duration::from_secs(15);
/// The poll intervals that a configuration may have.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_hours(1);

/// What answers looks into the past, as many as may be under way. Each keeps
/// what it has read.
#[derive(Default)]
pub(super) struct Sights(Mutex<Vec<Sight>>);

impl Sights {
    fn take(&self, settings: impl FnOnce() -> Settings) -> Sight {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| Sight::new(settings()))
    }

    fn put_back(&self, sight: Sight) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < MOST_LOOKS {
            free.push(sight);
        }
    }
}

/// Attaches a screen.
pub(super) fn stream(api: &Api) -> Result<Response, Fault> {
    let permit = Arc::clone(&api.0.streams).try_acquire_owned();
    let permit = permit.map_err(|_| Fault::busy("too many streams are open"))?;
    let sources = api.sources();
    let mut attached = Attached {
        page: api.0.pages.shown(),
        status: sources.status.clone(),
        figures: sources.figures.clone(),
        config: sources.effective.clone(),
        ends: sources.ends.clone(),
        clock: sources.clock.clone(),
        beat: Instant::now(),
        rest: [wire::greeting(&api.who())].into(),
        _permit: permit,
    };
    // What there is comes at once, after the greeting, which has the
    // configuration.
    attached.page.mark_changed();
    attached.status.mark_changed();
    attached.figures.mark_changed();
    attached.config.mark_unchanged();
    let messages = stream::unfold(attached, |mut attached| async move {
        attached.next().await.map(|message| (Ok::<_, Infallible>(message), attached))
    });
    Ok((KIND, Body::from_stream(messages)).into_response())
}

const KIND: [(header::HeaderName, HeaderValue); 1] =
    [(header::CONTENT_TYPE, HeaderValue::from_static(wire::CONTENT_TYPE))];

/// An attached screen.
struct Attached {
    page: watch::Receiver<Arc<Page>>,
    status: watch::Receiver<Option<CollectorStatus>>,
    figures: watch::Receiver<(DeliveryStatus, StoreStatus)>,
    config: watch::Receiver<Vec<ConfigEntry>>,
    ends: watch::Receiver<bool>,
    clock: Clock,
    /// When to say the next time that it is there.
    beat: Instant,
    rest: VecDeque<Bytes>,
    _permit: OwnedSemaphorePermit,
}

/// What a screen is told next.
enum Came {
    Message(Option<Bytes>),
    /// There is a new frame, which may still have to be written.
    Page,
    /// The agent ends.
    End,
}

impl Attached {
    /// The next message; `None`: the agent ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(message) = self.rest.pop_front() {
                return Some(message);
            }
            if *self.ends.borrow() {
                return None;
            }
            // The time before anything else: ages go by it.
            if self.beat <= Instant::now() {
                self.beat = Instant::now() + BEAT;
                return packed(&News::Beat(self.clock.now().0));
            }
            let message = timeout_at(self.beat, async {
                tokio::select! {
                    biased;
                    _ = self.ends.changed() => Came::End,
                    Ok(()) = self.config.changed() => {
                        Came::Message(packed(&News::Config(self.config.borrow_and_update().clone())))
                    }
                    Ok(()) = self.status.changed() => Came::Message(self.status()),
                    Ok(()) = self.figures.changed() => {
                        let figures = self.figures.borrow_and_update().clone();
                        Came::Message(packed(&News::Delivery(Box::new(figures))))
                    }
                    Ok(()) = self.page.changed() => Came::Page,
                }
            });
            match message.await {
                Err(_) => {}
                Ok(Came::End) => return None,
                Ok(Came::Message(message)) => self.rest.extend(message),
                // However long it takes to write: while collection is stopped
                // no other comes.
                Ok(Came::Page) => {
                    let frame = self.frame().await;
                    self.rest.extend(frame);
                }
            }
        }
    }

    fn status(&mut self) -> Option<Bytes> {
        let status = self.status.borrow_and_update().clone()?;
        packed(&News::Collector(Box::new(status)))
    }

    async fn frame(&mut self) -> Option<Bytes> {
        let page = Arc::clone(&self.page.borrow_and_update());
        page.sent().await.ok().filter(|message| !message.is_empty())
    }
}

/// A message, ready to send. One that cannot be is left out, and said once for
/// each: it would be longer than any screen takes.
fn packed(value: &impl Serialize) -> Option<Bytes> {
    wire::pack(value).inspect_err(|error| tracing::warn!("an attached screen misses news: {error}")).ok()
}

/// A frame as it is sent; empty where it cannot be.
pub(super) fn written(frame: Arc<Frame>) -> Bytes {
    packed(&News::Frame(frame)).unwrap_or_default()
}

/// Answers a question.
pub(super) async fn ask(api: &Api, body: &[u8]) -> Result<Response, Fault> {
    let not_one = || Fault::malformed("this is no question of an attached screen of this version");
    let message = body.get(4..).ok_or_else(not_one)?;
    let ask: Ask = wire::unpack_within(message, wire::LONGEST_ASK as u64).map_err(|_| not_one())?;
    let collector = &api.sources().collector;
    let told = match ask {
        Ask::Start => done(|| collector.command(Command::Start)),
        Ask::Stop => done(|| collector.command(Command::Stop)),
        Ask::Reconnect => done(|| {
            collector.command(Command::Reconnect);
            api.sources().delivery.retry_now();
        }),
        Ask::Interval(interval) if INTERVALS.contains(&interval) => {
            done(|| collector.command(Command::SetInterval(interval)))
        }
        Ask::Interval(_) => return Err(Fault::malformed("the poll interval is 0.2 to 3600 s")),
        Ask::Past(question) => Told::Past(Box::new(past(api, &api.0.screens_looks, question).await?)),
        Ask::Xml(uuid) => Told::Xml(xml(api, uuid).await),
    };
    let message = wire::pack(&told).map_err(|_| Fault::unavailable("the answer is too large"))?;
    Ok((KIND, message).into_response())
}

fn done(what: impl FnOnce()) -> Told {
    what();
    Told::Done
}

/// A look into the record, on a thread of its own: one of the `looks`.
pub(super) async fn past(api: &Api, looks: &Arc<Semaphore>, question: Question) -> Result<Answer, Fault> {
    let busy = || Fault::busy("the record is being read for others; ask again in a moment");
    let shared = Arc::clone(&api.0);
    let permit = timeout(LOOK_WITHIN, Arc::clone(looks).acquire_owned()).await.map_err(|_| busy())?;
    let permit = permit.map_err(|_| busy())?;
    let read = tokio::task::spawn_blocking(move || {
        let config = &shared.sources.config;
        let settings = || Settings {
            store: config.store.clone(),
            libvirt_uri: config.libvirt.uri.clone(),
            scale: config.angle,
        };
        let mut sight = shared.sights.take(settings);
        let answer = sight.answer(question);
        shared.sights.put_back(sight);
        // As long as it reads, whether or not somebody still waits for it.
        drop(permit);
        answer
    });
    read.await.map_err(|_| Fault::internal())
}

async fn xml(api: &Api, uuid: Uuid) -> Result<Arc<str>, String> {
    let (tell, told) = oneshot::channel();
    // The screen may be gone by then.
    api.sources().collector.xml(uuid, move |xml| drop(tell.send(xml)));
    match timeout(XML_WITHIN, told).await {
        Ok(Ok(xml)) => xml,
        Ok(Err(_)) => Err("the agent is ending".to_owned()),
        Err(_) => Err(format!("libvirt has not answered for {} s; ask again later", XML_WITHIN.as_secs())),
    }
}
