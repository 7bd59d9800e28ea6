//! The stream of events: every frame as `vm-telemetry` tells it, and the
//! status whenever collection starts, stops or fails.
//!
//! A reader that is slow misses frames, and holds nobody up: what it gets next
//! is the last one. One that takes nothing for a while is dropped with its
//! connection.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::timeout,
};

use super::{Api, fault::Fault, form::Form, page::Page, routes};
use crate::model::status::{CollectionState, CollectorStatus};

/// So often something is sent, if only a comment: whoever stands between does
/// not take the stream for dead, and one that is dead is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Opens a stream.
pub(super) fn answer(api: &Api) -> Result<Response, Fault> {
    let permit = Arc::clone(&api.0.streams).try_acquire_owned();
    let permit = permit.map_err(|_| Fault::busy("too many streams of events are open"))?;
    let sources = api.sources();
    let mut reader = Reader {
        api: api.clone(),
        page: api.0.pages.watch(),
        status: sources.status.clone(),
        ends: sources.ends.clone(),
        state: None,
        rest: VecDeque::new(),
        _permit: permit,
    };
    // The last frame and the present state come at once.
    reader.page.mark_changed();
    reader.status.mark_changed();
    let events = stream::unfold(reader, |mut reader| async move {
        reader.next().await.map(|event| (Ok::<_, Infallible>(event), reader))
    });
    let head = [(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))];
    Ok((head, Body::from_stream(events)).into_response())
}

/// Who reads a stream.
struct Reader {
    api: Api,
    page: watch::Receiver<Arc<Page>>,
    status: watch::Receiver<Option<CollectorStatus>>,
    ends: watch::Receiver<bool>,
    /// The state that was told last.
    state: Option<CollectionState>,
    /// The rest of an event: a frame's figures are shared by all readers, and
    /// copied for none.
    rest: VecDeque<Bytes>,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    /// The next part of an event; `None`: the agent ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(part) = self.rest.pop_front() {
                return Some(part);
            }
            if *self.ends.borrow() {
                return None;
            }
            let event = timeout(KEEP_ALIVE, async {
                tokio::select! {
                    biased;
                    _ = self.ends.changed() => None,
                    Ok(()) = self.status.changed() => Some(self.status()),
                    Ok(()) = self.page.changed() => Some(self.frame().await),
                }
            });
            match event.await {
                Err(_) => return Some(Bytes::from_static(b":\n\n")),
                Ok(None) => return None,
                Ok(Some(event)) => self.rest = event.unwrap_or_default(),
            }
        }
    }

    /// Where the state is another one, the status.
    fn status(&mut self) -> Option<VecDeque<Bytes>> {
        let state = self.status.borrow_and_update().as_ref().map(|status| status.state.clone());
        if state == self.state {
            return None;
        }
        self.state = state;
        let text = serde_json::to_vec(&routes::status_of(&self.api)).ok()?;
        Some(event("event: status\ndata: ".into(), text.into()))
    }

    async fn frame(&mut self) -> Option<VecDeque<Bytes>> {
        let page = Arc::clone(&self.page.borrow_and_update());
        let head = format!("event: frame\nid: {}\ndata: ", page.cycle()?);
        let figures = page.figures(Form::Plain).await.ok()?;
        Some(event(head.into(), figures))
    }
}

/// An event with one line of data: JSON has no other line's end in it.
fn event(head: Bytes, data: Bytes) -> VecDeque<Bytes> {
    [head, data, Bytes::from_static(b"\n\n")].into()
}
