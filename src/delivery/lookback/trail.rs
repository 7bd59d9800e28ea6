//! Where the last answers stand in the record, by the instant each was of: a
//! step from one of them goes by the numbers of rows, which a clock that was
//! set does not touch. It holds no frames.

use std::collections::VecDeque;

use crate::{
    journal::{Error, Look, Outline},
    model::WallTime,
};

use super::{reader::Span, way::Rows};

/// Answers that are remembered: the screen may have passed over the last ones
/// while a key was held.
const KEPT: usize = 32;

/// The last answers, the newest last.
#[derive(Default)]
pub(super) struct Trail {
    /// Device and inode of the file they are from.
    file: Option<(u64, u64)>,
    answers: VecDeque<(WallTime, Span)>,
}

impl Trail {
    /// Forgets what is of another file.
    pub(super) fn is_of(&mut self, file: (u64, u64)) {
        if self.file != Some(file) {
            *self = Self { file: Some(file), ..Self::default() };
        }
    }

    /// Notes that the cycle of `span` was the answer for `at`.
    pub(super) fn note(&mut self, at: WallTime, span: Span) {
        self.answers.retain(|(known, _)| *known != at);
        if self.answers.len() == KEPT {
            self.answers.pop_front();
        }
        self.answers.push_back((at, span));
    }

    /// The last row before the cycle of `at`. Where none closed at that very
    /// instant, the last that closed before it.
    pub(super) fn before(&self, look: &Look, at: WallTime) -> Result<Option<Outline>, Error> {
        match self.span(look, at)? {
            Some((after, _)) => look.previous(after.saturating_add(1)),
            None => look.at_or_before(WallTime(at.0.saturating_sub(1))),
        }
    }

    /// The first row after the cycle of `at`; else the first that closed after.
    pub(super) fn after(&self, look: &Look, at: WallTime) -> Result<Option<Outline>, Error> {
        match self.span(look, at)? {
            Some((_, last)) => look.next(last),
            None => look.after(at),
        }
    }

    /// The rows of the cycle that closed at `at`: of those that were shown, or
    /// else of those that the record has.
    fn span(&self, look: &Look, at: WallTime) -> Result<Option<Span>, Error> {
        if let Some((_, (after, last))) = self.answers.iter().rfind(|(known, _)| *known == at) {
            // It may have been deleted meanwhile, and its number given anew.
            let now = look.next(last.saturating_sub(1))?.filter(|row| row.row == *last);
            if now.is_none_or(|row| row.at == at) {
                return Ok(Some((*after, *last)));
            }
        }
        let Some(last) = look.closed_at(at)? else { return Ok(None) };
        let first = Rows::of(look, last)?.first;
        Ok(Some((first.row.saturating_sub(1), last.row)))
    }
}
