//! The answers that are made from one frame alone: written once, shared by all
//! who ask while that frame is the last.
//!
//! Owns when they are written: when the frame comes, by a thread of their own,
//! in every form that somebody has asked for of late. Whoever asks meanwhile
//! gets those of the frame before, whose time they tell. Where nobody has asked
//! for a while nothing is written: the first who asks then waits for it.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{OnceCell, watch};

use super::{
    Api, attach,
    fault::Fault,
    form::{FORMS, Form},
};
use crate::{
    config::Config,
    model::{AngleScale, Frame},
    telemetry::{answers, prometheus},
};

/// How long after a question the same one is expected again.
const EXPECTED: Duration = Duration::from_mins(1);

/// The answers of a frame.
pub(super) struct Page {
    frame: Option<Arc<Frame>>,
    /// By which it will be told, and how often, before there is any.
    scale: AngleScale,
    interval: Duration,
    figures: [OnceCell<Bytes>; FORMS],
    metrics: OnceCell<Bytes>,
    sent: OnceCell<Bytes>,
}

/// The pages, of which the last is the one to answer from.
pub(super) struct Pages {
    last: watch::Sender<Arc<Page>>,
    /// The same for attached screens, which wait for none of the other forms.
    shown: watch::Sender<Arc<Page>>,
    begun: Instant,
    /// Milliseconds since it began until which each form is expected to be
    /// asked for; 0: it never was.
    expected: [AtomicU64; FORMS],
}

impl Pages {
    /// That of no frame.
    pub fn new(config: &Config) -> Self {
        let none = Arc::new(Page::new(None, config));
        let (last, shown) = (watch::Sender::new(Arc::clone(&none)), watch::Sender::new(none));
        Self { last, shown, begun: Instant::now(), expected: Default::default() }
    }

    /// The last page.
    pub fn last(&self) -> Arc<Page> {
        Arc::clone(&self.last.borrow())
    }

    /// Tells of every new page.
    pub fn watch(&self) -> watch::Receiver<Arc<Page>> {
        self.last.subscribe()
    }

    /// Tells attached screens of every new page.
    pub fn shown(&self) -> watch::Receiver<Arc<Page>> {
        self.shown.subscribe()
    }

    /// The last page, from which `vm-telemetry` is to be answered in `form`.
    pub fn asked(&self, form: Form) -> Arc<Page> {
        let until = self.begun.elapsed() + EXPECTED;
        self.expected[form.place()]
            .store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.last()
    }

    fn is_expected(&self, form: Form) -> bool {
        let until = Duration::from_millis(self.expected[form.place()].load(Ordering::Relaxed));
        self.begun.elapsed() < until
    }
}

/// Makes a page of every frame, until `ends` says true.
pub(super) async fn write(api: Api, mut ends: watch::Receiver<bool>) {
    let pages = &api.0.pages;
    let mut frames = api.sources().frame.clone();
    // The one that is there already.
    frames.mark_changed();
    loop {
        tokio::select! {
            biased;
            _ = ends.wait_for(|ends| *ends) => return,
            changed = frames.changed() => if changed.is_err() { return },
        }
        let frame = frames.borrow_and_update().clone();
        let page = Arc::new(Page::new(frame, &api.sources().config));
        if pages.shown.receiver_count() > 0 {
            let _ = page.sent().await;
        }
        pages.shown.send_replace(Arc::clone(&page));
        for form in Form::ALL {
            let is_streamed = form == Form::Plain && pages.last.receiver_count() > 0;
            if is_streamed || pages.is_expected(form) {
                // One that could not be written now is tried again by whoever asks.
                let _ = page.figures(form).await;
            }
        }
        pages.last.send_replace(page);
    }
}

impl Page {
    fn new(frame: Option<Arc<Frame>>, config: &Config) -> Self {
        let (scale, interval) = (config.angle, config.collector.poll_interval);
        Self {
            frame,
            scale,
            interval,
            figures: Default::default(),
            metrics: OnceCell::new(),
            sent: OnceCell::new(),
        }
    }

    /// The number of its cycle.
    pub fn cycle(&self) -> Option<u64> {
        self.frame.as_ref().map(|frame| frame.cycle)
    }

    /// What tells the answer of `vm-telemetry` in `form` from every other.
    pub fn tag(&self, form: Form) -> String {
        let suffix = form.suffix();
        self.frame.as_ref().map_or_else(
            || format!("\"none{suffix}\""),
            // Cycles are counted anew with every start, at another time.
            |frame| format!("\"{:x}-{:x}{suffix}\"", frame.at.0, frame.cycle),
        )
    }

    /// The answer of `vm-telemetry`.
    pub async fn figures(&self, form: Form) -> Result<Bytes, Fault> {
        let (frame, scale, interval) = (self.frame.clone(), self.scale, self.interval);
        let plain = once(&self.figures[Form::Plain.place()], move || {
            Ok(answers::vm_telemetry(frame.as_deref(), scale, interval))
        });
        let plain = plain.await?;
        match form {
            Form::Plain => Ok(plain),
            Form::Gzip => once(&self.figures[form.place()], move || gzip(&plain)).await,
            Form::Zstd => once(&self.figures[form.place()], move || zstd::bulk::compress(&plain, 1)).await,
        }
    }

    /// The VMs' part of `metrics`.
    pub async fn metrics(&self) -> Result<Bytes, Fault> {
        let frame = self.frame.clone();
        once(&self.metrics, move || {
            Ok(frame.as_deref().map(prometheus::vms).unwrap_or_default().into_bytes())
        })
        .await
    }

    /// The frame as attached screens get it; empty where there is none, or it
    /// cannot be sent.
    pub async fn sent(&self) -> Result<Bytes, Fault> {
        let frame = self.frame.clone();
        once(&self.sent, move || Ok(frame.map(attach::written).unwrap_or_default())).await
    }
}

/// What is in `cell`, or comes of `write` on a thread of its own: a thousand
/// VMs take milliseconds to write.
async fn once<B: Into<Bytes> + Send + 'static>(
    cell: &OnceCell<Bytes>,
    write: impl FnOnce() -> std::io::Result<B> + Send + 'static,
) -> Result<Bytes, Fault> {
    let written = cell.get_or_try_init(|| async {
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(written)) => Ok(written.into()),
            Ok(Err(error)) => {
                tracing::error!("an answer could not be written: {error}");
                Err(Fault::internal())
            }
            Err(_) => Err(Fault::internal()),
        }
    });
    written.await.cloned()
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer =
        flate2::write::GzEncoder::new(Vec::with_capacity(plain.len() / 8), flate2::Compression::fast());
    packer.write_all(plain)?;
    packer.finish()
}
