//! Lines on their way to the server, and where they came from.

use std::borrow::Cow;

use super::super::attempt::Piece;
use crate::journal::{Batch, Refused};

/// Lines on their way to the server.
#[derive(Debug)]
pub(in crate::delivery) struct Load {
    pub(in crate::delivery) bytes: Vec<u8>,
    pub(in crate::delivery) lines: usize,
    /// Whether a full one waits behind it.
    pub(in crate::delivery) is_followed: bool,
    pub(super) origin: Origin,
}

/// Where lines are that are on their way.
#[derive(Clone, Debug)]
pub(in crate::delivery) enum Origin {
    /// In the record; the batch without its bytes.
    Record { batch: Batch, epoch: u64 },
    /// In memory alone.
    Memory { epoch: u64 },
}

impl Load {
    /// Where its lines are.
    pub(in crate::delivery) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether a piece is all of it.
    pub(in crate::delivery) fn is_whole(&self, piece: &Piece) -> bool {
        piece.begin == 0 && piece.len() == self.lines
    }

    /// The text of a piece of it.
    pub(in crate::delivery) fn text(&self, piece: &Piece) -> Cow<'_, [u8]> {
        if self.is_whole(piece) {
            return Cow::Borrowed(&self.bytes);
        }
        let mut wanted = piece.indices().peekable();
        let mut text = Vec::new();
        for (index, line) in self.bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if wanted.next_if_eq(&index).is_some() {
                text.extend_from_slice(line);
            }
        }
        Cow::Owned(text)
    }

    /// The text of refused lines.
    pub(super) fn refused(&self, refused: Vec<(usize, String)>) -> Vec<Refused> {
        let mut lines = self.bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
        refused
            .into_iter()
            .filter_map(|(index, message)| {
                let (_, line) = lines.by_ref().find(|(at, _)| *at == index)?;
                Some(Refused { line: line.trim_ascii_end().to_vec(), message })
            })
            .collect()
    }
}
