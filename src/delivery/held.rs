//! Lines in memory: until the next commit, or for as long as the record
//! cannot take them. Bounded; beyond the bound the oldest go and are counted.

use std::collections::VecDeque;

use crate::{
    journal::{Entry, Local},
    model::WallTime,
};

/// A cycle's lines, or a part of them, as they will stand in the record.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) at: WallTime,
    /// 0 for a cycle's first part, then 1, 2 …
    pub(super) number: u32,
    pub(super) first: WallTime,
    pub(super) last: WallTime,
    pub(super) lines: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) local: Option<Vec<u8>>,
}

impl Part {
    /// Takes away its first `lines` lines.
    fn cut(&mut self, lines: u64) {
        let skip: usize = self
            .bytes
            .split_inclusive(|byte| *byte == b'\n')
            .take(usize::try_from(lines).unwrap_or(usize::MAX))
            .map(<[u8]>::len)
            .sum();
        self.bytes.drain(..skip);
        self.lines -= lines;
    }

    /// As the record takes it.
    pub(super) fn entry(&self) -> Entry<'_> {
        Entry {
            at: self.at,
            part: self.number,
            first: self.first,
            last: self.last,
            lines: self.lines,
            bytes: &self.bytes,
            local: self.local.as_deref().map(|bytes| Local { version: super::local::VERSION, bytes }),
        }
    }
}

/// The lines in memory, oldest first.
#[derive(Debug, Default)]
pub(super) struct Held {
    parts: VecDeque<Part>,
    lines: u64,
    /// Parts at the front that may be sent from here.
    ready: usize,
    /// Parts at the front that are just being sent: they do not go.
    sending: usize,
    /// The same between two tries of sending them: then they may go.
    resting: usize,
    /// Grows when lines that were to be sent from here are no longer here:
    /// moved to the record, and sent again from there, or dropped.
    epoch: u64,
}

/// Lines to be sent from memory.
#[derive(Debug)]
pub(super) struct FromMemory {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: usize,
    pub(super) epoch: u64,
}

impl Held {
    pub(super) fn push(&mut self, part: Part) {
        self.lines += part.lines;
        self.parts.push_back(part);
    }

    /// Lines held.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The parts as the record takes them.
    pub(super) fn entries(&self) -> Vec<Entry<'_>> {
        self.parts.iter().map(Part::entry).collect()
    }

    /// All of it is in the record.
    pub(super) fn moved(&mut self) {
        *self = Self { epoch: self.epoch + 1, ..Self::default() };
    }

    /// What is held now may be sent from here.
    pub(super) fn make_ready(&mut self) {
        self.ready = self.parts.len();
    }

    /// Drops the oldest lines beyond `max_lines`. What is being sent right now
    /// comes on top of that: its answer will say what became of it. Returns
    /// how many lines went.
    pub(super) fn shorten(&mut self, max_lines: u64) -> u64 {
        let sending: u64 = self.parts.iter().take(self.sending).map(|part| part.lines).sum();
        let mut gone = 0;
        while let excess = (self.lines - sending).saturating_sub(max_lines)
            && excess > 0
            && let Some(part) = self.parts.get_mut(self.sending)
        {
            let lines = part.lines.min(excess);
            if lines < part.lines {
                part.cut(lines);
            } else {
                self.parts.remove(self.sending);
                if self.ready > self.sending {
                    self.ready -= 1;
                }
            }
            self.lines -= lines;
            gone += lines;
            if self.resting > 0 {
                self.resting = 0;
                self.epoch += 1;
            }
        }
        gone
    }

    /// The timestamp of the oldest line.
    pub(super) fn oldest(&self) -> Option<WallTime> {
        self.parts.iter().find(|part| part.lines > 0).map(|part| part.first)
    }

    /// The next lines to send, whole parts within the limits, at least one.
    pub(super) fn take(&mut self, max_lines: usize, max_bytes: usize) -> Option<FromMemory> {
        let mut taken = FromMemory { bytes: Vec::new(), lines: 0, epoch: self.epoch };
        self.release();
        for part in self.parts.iter().take(self.ready) {
            let lines = usize::try_from(part.lines).unwrap_or(usize::MAX);
            let full = taken.lines + lines > max_lines || taken.bytes.len() + part.bytes.len() > max_bytes;
            if taken.lines > 0 && full {
                break;
            }
            taken.bytes.extend_from_slice(&part.bytes);
            taken.lines += lines;
            self.sending += 1;
        }
        (taken.lines > 0).then_some(taken)
    }

    /// Nothing is being sent any more.
    pub(super) fn release(&mut self) {
        self.sending = 0;
        self.resting = 0;
    }

    /// What was being sent is to be sent again later.
    pub(super) fn rest(&mut self) {
        self.resting = std::mem::take(&mut self.sending);
    }

    /// It is being sent again.
    pub(super) fn resume(&mut self) {
        self.sending = std::mem::take(&mut self.resting);
    }

    /// The first `lines` lines of what is being sent are settled. Returns how
    /// many of them were still here: none, where all has moved to the record.
    pub(super) fn settle(&mut self, epoch: u64, mut lines: u64) -> u64 {
        if epoch != self.epoch {
            return 0;
        }
        let before = self.lines;
        while let Some(front) = self.parts.front_mut() {
            if front.lines > lines {
                front.cut(lines);
                self.lines -= lines;
                break;
            }
            // A cycle without lines goes with the one before it.
            lines -= front.lines;
            self.lines -= front.lines;
            self.parts.pop_front();
            self.ready = self.ready.saturating_sub(1);
            self.sending = self.sending.saturating_sub(1);
            if lines == 0 {
                break;
            }
        }
        before - self.lines
    }

    /// Whether lines taken at `epoch` are still held here.
    pub(super) fn holds(&self, epoch: u64) -> bool {
        self.epoch == epoch
    }
}
