//! The answer of `export`: a stretch of the record, as it is read.
//!
//! Owns the forms of an export, and its way to a caller: a thread that yields
//! to every other reads page by page, and no further than the caller takes
//! them. One at a time; the record is let go while it waits.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use hyper::body::Frame as Part;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{Api, fault::Fault, query::Query};
use crate::{
    config::Config,
    delivery::lookback::stretch::{Access, Stretch, StretchError, Wanted},
    telemetry::recorded::{self, Rows},
    wire::DAMAGED,
};

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Line protocol, as the database was sent it.
    Lines,
    /// A table.
    Csv,
    /// A JSON object a line.
    Json,
}

impl Format {
    /// The words for the forms.
    pub const WORDS: [(&str, Self); 3] = [("lp", Self::Lines), ("csv", Self::Csv), ("jsonl", Self::Json)];

    /// The form that is called `word`.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, format)| *format)
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, format)| *format == self).map_or("", |(word, _)| word)
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Lines => "text/plain; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/jsonl",
        })
    }
}

/// An export that is being written.
pub struct Export {
    stretch: Stretch,
    format: Format,
    rows: Rows,
    more: bool,
}

/// About so many bytes are a page.
const A_PAGE: usize = 1 << 20;

impl Export {
    /// An export of the record that `config` names.
    ///
    /// # Errors
    /// There is none.
    pub fn new(
        config: &Config,
        wanted: Wanted,
        format: Format,
        access: Access,
    ) -> Result<Self, StretchError> {
        let stretch = Stretch::new(&config.store, &config.libvirt.uri, config.angle, wanted, access)?;
        Ok(Self { stretch, format, rows: Rows::default(), more: true })
    }

    /// The next page, which may be empty; `None`: that was all.
    ///
    /// # Errors
    /// The record could not be read.
    pub fn page(&mut self) -> Result<Option<Vec<u8>>, StretchError> {
        if !self.more {
            return Ok(None);
        }
        let mut page = Vec::new();
        self.more = match self.format {
            Format::Lines => self.stretch.lines(A_PAGE, &mut page)?,
            Format::Csv => self.stretch.cycles(|frame, domain| {
                self.rows.row(frame, domain, &mut page);
                page.len() >= A_PAGE
            })?,
            Format::Json => self.stretch.cycles(|frame, domain| {
                recorded::line(frame, domain, &mut page);
                page.len() >= A_PAGE
            })?,
        };
        Ok(Some(page))
    }

    /// What it is read from.
    #[must_use]
    pub fn stretch(&self) -> &Stretch {
        &self.stretch
    }
}

const PARAMETERS: [&str; 4] = ["since", "until", "vm", "format"];

/// Answers the question in `text`.
pub(super) async fn answer(api: &Api, text: Option<&str>) -> Result<Response, Fault> {
    let query = Query::read(text, &PARAMETERS)?;
    let allowed = "RFC 3339, such as 2026-01-31T14:02:11Z";
    let since = query.time("since")?.ok_or_else(|| Fault::lacking("since", allowed))?;
    let until = query.time("until")?.unwrap_or(api.sources().clock.now().0);
    if since >= until {
        return Err(Fault::bad("since", query.get("since").unwrap_or_default(), "an instant before until"));
    }
    let format = match query.get("format") {
        None => Format::Lines,
        Some(word) => Format::named(word)
            .ok_or_else(|| Fault::bad("format", word, Format::WORDS.map(|(word, _)| word).join(", ")))?,
    };
    let wanted = Wanted { since, until, vm: query.get("vm").map(str::to_owned) };
    let permit = Arc::clone(&api.0.exports).try_acquire_owned();
    let permit =
        permit.map_err(|_| Fault::busy("another export is under way; ask again when it has ended"))?;
    let config = Arc::clone(&api.sources().config);
    let export = Export::new(&config, wanted, format, Access::Own).map_err(fault)?;

    let (begun, begins) = oneshot::channel();
    let (pages, taken) = mpsc::channel(1);
    let lost = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&lost);
    std::thread::Builder::new()
        .name("export".into())
        .spawn(move || write(export, begun, &pages, &counted, permit))
        .map_err(|_| Fault::busy("no thread is to be had"))?;
    // What is wrong from the beginning is an answer of its own.
    begins.await.map_err(|_| Fault::internal())?.map_err(fault)?;
    let head =
        [(header::CONTENT_TYPE, format.content_type()), (header::TRAILER, HeaderValue::from_static(DAMAGED))];
    Ok((head, Body::new(Pages { taken, lost, ended: false })).into_response())
}

fn fault(error: StretchError) -> Fault {
    match error {
        StretchError::Off => Fault::unavailable("there is no local record: store.path is none"),
        error => {
            // Its words name files: these are for the log alone.
            tracing::warn!("an export came to nothing: {error}");
            Fault::unavailable("the local record cannot be read; the agent's log says why")
        }
    }
}

/// Behind all others: an export is never worth a late cycle.
const YIELDS: i32 = 15;

/// Reads page by page, and waits until each is taken.
fn write(
    mut export: Export,
    begun: oneshot::Sender<Result<(), StretchError>>,
    pages: &mpsc::Sender<io::Result<Bytes>>,
    lost: &AtomicU64,
    _permit: OwnedSemaphorePermit,
) {
    // Of this thread alone; where it may not, it is as important as others.
    let _ = rustix::process::nice(YIELDS);
    let mut begun = Some(begun);
    loop {
        let page = export.page();
        lost.store(export.stretch().lost(), Ordering::Relaxed);
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                if let Some(begun) = begun.take() {
                    let _ = begun.send(Err(error));
                } else {
                    tracing::warn!("an export ended early: {error}");
                    // It is cut off: nobody takes it for all.
                    let _ = pages.blocking_send(Err(io::Error::other("the record")));
                }
                return;
            }
        };
        if let Some(begun) = begun.take() {
            let _ = begun.send(Ok(()));
        }
        let Some(page) = page else { return };
        // Nobody takes it any more: whoever asked is gone.
        if pages.is_closed() || (!page.is_empty() && pages.blocking_send(Ok(page.into())).is_err()) {
            return;
        }
    }
}

/// The pages as they are sent.
struct Pages {
    taken: mpsc::Receiver<io::Result<Bytes>>,
    lost: Arc<AtomicU64>,
    ended: bool,
}

impl hyper::body::Body for Pages {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Part<Bytes>>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(page) = ready!(self.taken.poll_recv(context)) {
            return Poll::Ready(Some(page.map(Part::data)));
        }
        self.ended = true;
        let lost = HeaderValue::from(self.lost.load(Ordering::Relaxed));
        let trailers = HeaderMap::from_iter([(HeaderName::from_static(DAMAGED), lost)]);
        Poll::Ready(Some(Ok(Part::trailers(trailers))))
    }
}
