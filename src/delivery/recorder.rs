//! The recorder's thread: frames in, lines and reasons into the ledger.

use std::{sync::Arc, time::Duration};

use super::{Shared, handover::HandOver, heard::Timelines, held::Part, local};
use crate::{
    influx::line::{self, Encoder},
    model::{Frame, WallTime},
};

/// Most uncompressed bytes of one row and of one request.
pub(super) const MAX_BYTES: usize = 8 << 20;

/// What makes of a frame what is kept beside its lines.
#[derive(Default)]
struct Beside {
    locals: local::Encoder,
    timelines: Timelines,
}

/// Encodes frames and has them recorded until the hand-over is closed.
pub(super) struct Recorder {
    pub(super) handover: Arc<HandOver>,
    pub(super) shared: Arc<Shared>,
    pub(super) encoder: Encoder,
    pub(super) max_lines: usize,
}

impl Recorder {
    /// The thread.
    pub(super) fn run(mut self) {
        let mut buffer = Vec::new();
        let mut beside = Beside::default();
        let mut wait = self.turn();
        loop {
            let taken = self.handover.take(wait);
            for frame in &taken.frames {
                self.record(frame, &mut buffer, &mut beside);
            }
            wait = self.turn();
            if taken.closed {
                break;
            }
        }
        self.shared.ledger().commit();
        self.shared.recorder_has_ended();
    }

    fn turn(&self) -> Duration {
        let wait = self.shared.ledger().turn();
        self.shared.data.notify_one();
        wait
    }

    fn record(&mut self, frame: &Frame, buffer: &mut Vec<u8>, beside: &mut Beside) {
        buffer.clear();
        let encoded = self.encoder.encode(frame, buffer);
        let (first, last) = span(frame);
        let mut local = Some(beside.locals.encode(frame));
        let mut part = |number: usize, bytes: &[u8], lines: usize| Part {
            at: frame.at,
            number: u32::try_from(number).unwrap_or(u32::MAX),
            first,
            last,
            lines: lines as u64,
            bytes: bytes.to_vec(),
            local: local.take(),
        };
        let mut parts: Vec<Part> = line::split(buffer, self.max_lines, MAX_BYTES)
            .enumerate()
            .map(|(number, piece)| part(number, piece.bytes, piece.lines))
            .collect();
        if parts.is_empty() {
            // Nothing to send, but reasons to keep.
            parts.push(part(0, &[], 0));
        }
        let news = beside.timelines.news(frame);
        let mut ledger = self.shared.ledger();
        ledger.hear(news);
        ledger.accept(parts, encoded.saturated);
    }
}

/// Timestamps of the first and the last line.
fn span(frame: &Frame) -> (WallTime, WallTime) {
    let times = || frame.domains.iter().filter(|d| d.fresh && d.is_live()).map(|d| d.reading.at);
    (times().min().unwrap_or(frame.at), times().max().unwrap_or(frame.at))
}
