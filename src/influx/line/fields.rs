//! One line under construction: fields are added, missing ones by their kind.

use super::escape;
use crate::{
    config::MissingPolicy,
    model::{Measured, WallTime, missing::Kind},
};

/// A value of a field, or which kind of missing it is.
pub(super) type Field<T> = Result<T, Kind>;

/// Forgets why a value is missing and keeps which kind it is.
pub(super) fn field<T>(measured: Measured<T>) -> Field<T> {
    measured.map_err(crate::model::Missing::kind)
}

/// A counter the driver may not have: `None` is never there.
pub(super) fn offered(counter: Option<u64>) -> Field<u64> {
    counter.ok_or(Kind::NeverThere)
}

/// What one call of the encoder has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Lines appended.
    pub lines: u64,
    /// Values above `i64::MAX` that were written as `i64::MAX`.
    pub saturated: u64,
}

/// How a field's name stands in a line; the line's first comma becomes the
/// blank between tags and fields.
macro_rules! key {
    ($name:literal) => {{
        const KEY: &str = concat!(",", $name, "=");
        const { assert!(KEY.len() <= $crate::influx::line::fields::LONGEST_KEY) };
        KEY
    }};
}
pub(super) use key;

/// Most bytes of a key, with comma and equals sign; [`key`] sees to it.
pub(super) const LONGEST_KEY: usize = 32;
/// What one field takes at most.
const FIELD: usize = LONGEST_KEY + escape::ROOM;
/// The largest value that is written as it is.
const MOST: u64 = i64::MAX.cast_unsigned();
/// Fields gathered before they go to the buffer: a line's, mostly.
const GATHERED: usize = 2048;

/// Where the fields of a line are gathered. Its bytes are there already, so
/// that writing one neither asks for memory nor moves a vector's end.
#[derive(Debug)]
pub(super) struct Gathered([u8; GATHERED]);

impl Default for Gathered {
    fn default() -> Self {
        Self([0; GATHERED])
    }
}

/// A time as it stands at the end of lines, spelled once for all of them.
#[derive(Clone, Copy)]
pub(super) struct Stamp {
    text: [u8; escape::ROOM],
    length: usize,
}

impl Stamp {
    pub fn new(at: WallTime) -> Self {
        let mut text = [0; escape::ROOM];
        let length = escape::number(&mut text, at.0, b'\n');
        Self { text, length }
    }
}

/// A line whose measurement and tags are written and whose fields follow.
/// Ended without any field it leaves no trace in the buffer.
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
    done: &'a mut Encoded,
    missing: MissingPolicy,
    /// Where the line begins in the buffer.
    start: usize,
    /// Where its first field begins.
    fields: usize,
    /// Fields that are not in the buffer yet, and how many bytes they are.
    gathered: &'a mut [u8; GATHERED],
    end: usize,
    at: &'a Stamp,
    saturated: u64,
}

impl<'a> Line<'a> {
    /// Begins a line; `head` is the measurement and its tags, in parts, and
    /// `at` what it ends with.
    #[inline]
    pub fn begin<const N: usize>(
        out: &'a mut Vec<u8>,
        done: &'a mut Encoded,
        missing: MissingPolicy,
        gathered: &'a mut Gathered,
        at: &'a Stamp,
        head: [&[u8]; N],
    ) -> Self {
        let start = out.len();
        for part in head {
            out.extend_from_slice(part);
        }
        let fields = out.len();
        Self { out, done, missing, start, fields, gathered: &mut gathered.0, end: 0, at, saturated: 0 }
    }

    /// An integer field; a missing one by its kind and the policy. `key` is
    /// made by [`key`].
    #[allow(clippy::inline_always, reason = "the key is a constant only where it is inlined")]
    #[inline(always)]
    pub fn int(&mut self, key: &'static str, value: Field<u64>) {
        let fitting = match value {
            Ok(value) if value <= MOST => value.cast_signed(),
            other => match self.unusual(other) {
                Some(value) => value,
                None => return,
            },
        };
        if let Some(field) = self.field() {
            let (name, rest) = field.split_at_mut(key.len());
            name.copy_from_slice(key.as_bytes());
            if let Some(room) = rest.first_chunk_mut() {
                self.end += key.len() + escape::number(room, fitting, b'i');
            }
        }
    }

    /// What is written for a value that is missing or too large.
    #[cold]
    fn unusual(&mut self, value: Field<u64>) -> Option<i64> {
        match (value, self.missing) {
            (Ok(_), _) => {
                self.saturated += 1;
                Some(i64::MAX)
            }
            (Err(Kind::NeverThere), MissingPolicy::Zero) => Some(0),
            (Err(Kind::NeverThere), MissingPolicy::Omit) | (Err(Kind::NotThisTime), _) => None,
        }
    }

    /// Room for one more field: always some.
    #[allow(clippy::inline_always, reason = "the room is a constant only where it is inlined")]
    #[inline(always)]
    fn field(&mut self) -> Option<&mut [u8; FIELD]> {
        if self.end > GATHERED - FIELD {
            self.flush();
        }
        self.gathered[self.end..].first_chunk_mut()
    }

    /// Moves what is gathered to the buffer.
    fn flush(&mut self) {
        self.out.extend_from_slice(&self.gathered[..self.end]);
        self.end = 0;
    }

    /// A float field; a value that is not finite is left out: servers
    /// refuse it, or take it and break on it later.
    pub fn float(&mut self, key: &'static str, value: f64) {
        if value.is_finite() {
            self.flush();
            self.out.extend_from_slice(key.as_bytes());
            self.out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
        }
    }

    /// A string field.
    pub fn string(&mut self, key: &'static str, value: &str) {
        self.flush();
        self.out.extend_from_slice(key.as_bytes());
        escape::string_value(self.out, value);
    }

    /// Ends the line with its timestamp; a line without a field is taken back.
    pub fn end(mut self) {
        if self.end == 0 && self.out.len() == self.fields {
            return self.out.truncate(self.start);
        }
        let at = self.at;
        if let Some([blank, rest @ ..]) = self.field()
            && let Some(room) = rest.first_chunk_mut()
        {
            *blank = b' ';
            *room = at.text;
            self.end += 1 + at.length;
        }
        self.flush();
        // In place of the comma before the first field.
        self.out[self.fields] = b' ';
        self.done.lines += 1;
        self.done.saturated += self.saturated;
    }
}
