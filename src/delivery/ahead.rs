//! The load after the one that is on its way: read and compressed while the
//! server is at work. It is sent only once the ledger says that it is next.

use std::sync::Arc;

use super::{
    Shared,
    ledger::{Load, Origin},
};
use crate::influx::client::{Packed, Packer};

/// A load as it is posted.
pub(super) struct Ready {
    pub(super) load: Load,
    pub(super) body: Packed,
}

impl Ready {
    /// Makes a load ready; `None` where nobody can be sent to.
    pub(super) fn new(load: Load, packer: Option<Packer>) -> Option<Self> {
        let body = packer?.pack(&load.bytes);
        Some(Self { load, body })
    }
}

/// Reads and compresses what comes after a load, on a thread of its own: the
/// server is at work on that load meanwhile. One load at most is made ready.
pub(super) async fn make_ready(
    shared: Option<Arc<Shared>>,
    after: &Origin,
    most_lines: usize,
    max_bytes: usize,
    packer: Packer,
) -> Option<Ready> {
    let (shared, after) = (shared?, after.clone());
    let read = move || {
        let load = shared.ledger().take_after(&after, most_lines, max_bytes);
        Ready::new(load?, Some(packer))
    };
    tokio::task::spawn_blocking(read).await.ok()?
}
