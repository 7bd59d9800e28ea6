//! The columns of form 2 as what they hold: flags, numbers that may be missing,
//! reasons, texts.

use std::{sync::Arc, vec::IntoIter};

use super::{
    column::{Damaged, Reader},
    form::Given,
    reasons,
    scale::hundredths,
};
use crate::model::{Measured, Missing, WallTime};

/// Most different texts and reasons.
const MOST_WORDS: usize = 1 << 18;
/// Most of what differs from one to the next: those take a bit each at least.
pub(super) const DIFFERING: usize = 8;

/// A local part that is being read.
pub(super) struct In<'a> {
    pub(super) columns: Reader<'a>,
    /// How many bytes it has.
    length: usize,
    texts: Vec<Arc<str>>,
    reasons: Vec<Missing>,
}

impl<'a> In<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let length = bytes.len();
        let (text, rest) = bytes.split_first_chunk::<4>().ok_or(Damaged)?;
        let (tables, rest) = rest.split_first_chunk::<4>().ok_or(Damaged)?;
        let size = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).map_err(|_| Damaged);
        let (text, rest) = rest.split_at_checked(size(text)?).ok_or(Damaged)?;
        let (tables, rest) = rest.split_at_checked(size(tables)?).ok_or(Damaged)?;
        let most_reasons = MOST_WORDS.min(tables.len().saturating_mul(DIFFERING));
        let mut tables = Reader::new(tables);
        let reasons = reason_table(&mut tables, most_reasons)?;
        // They differ, so that one of them at most is empty.
        let count = bounded(tables.number()?, MOST_WORDS.min(text.len() + 1))?;
        let mut text = std::str::from_utf8(text).map_err(|_| Damaged)?;
        let mut texts = Vec::new();
        for length in tables.column(count)? {
            let length = usize::try_from(length).map_err(|_| Damaged)?;
            let (one, rest) = text.split_at_checked(length).ok_or(Damaged)?;
            texts.push(one.into());
            text = rest;
        }
        if !text.is_empty() || !tables.ends_here() {
            return Err(Damaged);
        }
        Ok(Self { columns: Reader::new(rest), length, texts, reasons })
    }

    /// How many are believed of what comes to `each_byte` at most: `most`, and
    /// no more than these bytes are worth, as columns of one number cost
    /// nothing whatever count they claim.
    pub(super) fn believed(&self, most: usize, each_byte: usize) -> usize {
        most.min(self.length.saturating_mul(each_byte))
    }

    pub(super) fn flag(&mut self) -> Result<bool, Damaged> {
        one(self.flags(1)?)
    }

    pub(super) fn flags(&mut self, count: usize) -> Result<Vec<bool>, Damaged> {
        flags(self.columns.column(count)?)
    }

    pub(super) fn given(&mut self, count: usize) -> Result<Vec<Given>, Damaged> {
        let given = |bits| u16::try_from(bits).map(Given).map_err(|_| Damaged);
        self.columns.column(count)?.into_iter().map(given).collect()
    }

    pub(super) fn optional(&mut self, count: usize) -> Result<Vec<Option<u64>>, Damaged> {
        let there = self.flags(count)?;
        let mut values = self.columns.column(count_of(&there))?.into_iter();
        there.into_iter().map(|there| if there { next(&mut values).map(Some) } else { Ok(None) }).collect()
    }

    pub(super) fn reasons(&mut self, count: usize) -> Result<Vec<Option<Missing>>, Damaged> {
        let reason = |number: u64| match number.checked_sub(1) {
            None => Ok(None),
            Some(place) => {
                let place = usize::try_from(place).map_err(|_| Damaged)?;
                self.reasons.get(place).copied().map(Some).ok_or(Damaged)
            }
        };
        self.columns.column(count)?.into_iter().map(reason).collect()
    }

    pub(super) fn measured(
        &mut self,
        count: usize,
        value: fn(u64) -> f64,
    ) -> Result<Vec<Measured<f64>>, Damaged> {
        let reasons = self.reasons(count)?;
        let there = reasons.iter().filter(|reason| reason.is_none()).count();
        let mut values = self.columns.column(there)?.into_iter();
        reasons
            .into_iter()
            .map(|reason| match reason {
                Some(missing) => Ok(Err(missing)),
                None => next(&mut values).map(|code| Ok(value(code))),
            })
            .collect()
    }

    pub(super) fn hundredths(&mut self, count: usize) -> Result<Vec<Measured<f64>>, Damaged> {
        self.measured(count, hundredths::value)
    }

    pub(super) fn texts(&mut self, count: usize) -> Result<Vec<Arc<str>>, Damaged> {
        let text = |number: u64| {
            let place = usize::try_from(number).map_err(|_| Damaged)?;
            self.texts.get(place).cloned().ok_or(Damaged)
        };
        self.columns.column(count)?.into_iter().map(text).collect()
    }
}

fn reason_table(tables: &mut Reader<'_>, most: usize) -> Result<Vec<Missing>, Damaged> {
    let count = bounded(tables.number()?, most)?;
    let codes = tables.column(count)?;
    let beside = tables.column(count)?;
    let dated = flags(tables.column(count)?)?;
    let mut since = tables.column(count_of(&dated))?.into_iter();
    let missing = |((code, beside), dated)| {
        let since = if dated { Some(WallTime(zagzig(next(&mut since)?))) } else { None };
        Ok(Missing { why: reasons::why(code, beside)?, since })
    };
    codes.into_iter().zip(beside).zip(dated).map(missing).collect()
}

fn flags(column: Vec<u64>) -> Result<Vec<bool>, Damaged> {
    let flag = |bit| match bit {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Damaged),
    };
    column.into_iter().map(flag).collect()
}

pub(super) fn count_of(flags: &[bool]) -> usize {
    flags.iter().filter(|flag| **flag).count()
}

pub(super) fn bounded(count: u64, most: usize) -> Result<usize, Damaged> {
    usize::try_from(count).ok().filter(|count| *count <= most).ok_or(Damaged)
}

pub(super) fn total(counts: &[u64], most: usize) -> Result<usize, Damaged> {
    bounded(counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count)), most)
}

pub(super) fn next<T>(values: &mut IntoIter<T>) -> Result<T, Damaged> {
    values.next().ok_or(Damaged)
}

pub(super) fn several<T>(values: &mut IntoIter<T>, count: u64) -> Result<Vec<T>, Damaged> {
    (0..count).map(|_| next(values)).collect()
}

pub(super) fn one<T>(values: Vec<T>) -> Result<T, Damaged> {
    values.into_iter().next().ok_or(Damaged)
}

pub(super) fn array<T, const N: usize>(values: Vec<T>) -> Result<[T; N], Damaged> {
    values.try_into().map_err(|_| Damaged)
}

pub(super) fn zagzig(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}
