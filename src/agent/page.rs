//! The answers that are made from one frame alone: written once, by whoever
//! asks first, and shared by all who ask while that frame is the last.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::fault::Fault;
use crate::{
    model::{AngleScale, Frame},
    telemetry::{answers, prometheus},
};

/// The answers of a frame.
pub(super) struct Page {
    frame: Option<Arc<Frame>>,
    scale: AngleScale,
    interval: Duration,
    figures: OnceCell<Bytes>,
    metrics: OnceCell<Bytes>,
}

impl Page {
    pub fn new(frame: Option<Arc<Frame>>, scale: AngleScale, interval: Duration) -> Self {
        Self { frame, scale, interval, figures: OnceCell::new(), metrics: OnceCell::new() }
    }

    /// Whether it is of that frame.
    pub fn is_of(&self, frame: Option<&Arc<Frame>>) -> bool {
        match (&self.frame, frame) {
            (Some(ours), Some(frame)) => Arc::ptr_eq(ours, frame),
            (None, None) => true,
            _ => false,
        }
    }

    /// The number of its cycle.
    pub fn cycle(&self) -> Option<u64> {
        self.frame.as_ref().map(|frame| frame.cycle)
    }

    /// The answer of `vm-telemetry`.
    pub async fn figures(&self) -> Result<Bytes, Fault> {
        let (scale, interval) = (self.scale, self.interval);
        let write = move |frame: Option<&Frame>| {
            serde_json::to_vec(&answers::vm_telemetry(frame, scale, interval)).unwrap_or_default()
        };
        self.once(&self.figures, write).await
    }

    /// The VMs' part of `metrics`.
    pub async fn metrics(&self) -> Result<Bytes, Fault> {
        let write = |frame: Option<&Frame>| frame.map(prometheus::vms).unwrap_or_default().into_bytes();
        self.once(&self.metrics, write).await
    }

    /// A thousand VMs take milliseconds to write: not on the task that answers
    /// everybody.
    async fn once(
        &self,
        cell: &OnceCell<Bytes>,
        write: impl FnOnce(Option<&Frame>) -> Vec<u8> + Send + 'static,
    ) -> Result<Bytes, Fault> {
        let written = cell.get_or_try_init(|| async {
            let frame = self.frame.clone();
            let written = tokio::task::spawn_blocking(move || Bytes::from(write(frame.as_deref())));
            written.await.map_err(|_| Fault::internal())
        });
        written.await.cloned()
    }
}
