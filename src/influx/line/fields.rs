//! One line under construction: fields are added, missing ones by their kind.

use super::escape;
use crate::{
    config::MissingPolicy,
    model::{Measured, missing::Kind},
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
    ($name:literal) => {
        concat!(",", $name, "=")
    };
}
pub(super) use key;

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
    saturated: u64,
}

impl<'a> Line<'a> {
    /// Begins a line; `head` is the measurement, then each part of the tags.
    #[inline]
    pub fn begin<const N: usize>(
        out: &'a mut Vec<u8>,
        done: &'a mut Encoded,
        missing: MissingPolicy,
        head: [&[u8]; N],
    ) -> Self {
        let start = out.len();
        for part in head {
            out.extend_from_slice(part);
        }
        let fields = out.len();
        Self { out, done, missing, start, fields, saturated: 0 }
    }

    /// An integer field; a missing one by its kind and the policy. `key` is
    /// made by [`key`].
    #[allow(clippy::inline_always, reason = "the key is a constant only where it is inlined")]
    #[inline(always)]
    pub fn int(&mut self, key: &'static str, value: Field<u64>) {
        let value = match (value, self.missing) {
            (Ok(value), _) => value,
            (Err(Kind::NeverThere), MissingPolicy::Zero) => 0,
            (Err(Kind::NeverThere), MissingPolicy::Omit) | (Err(Kind::NotThisTime), _) => return,
        };
        let fitting = i64::try_from(value).unwrap_or_else(|_| {
            self.saturated += 1;
            i64::MAX
        });
        self.out.extend_from_slice(key.as_bytes());
        escape::number(self.out, fitting, b'i');
    }

    /// A float field; a value that is not finite is left out: servers
    /// refuse it, or take it and break on it later.
    pub fn float(&mut self, key: &'static str, value: f64) {
        if value.is_finite() {
            self.out.extend_from_slice(key.as_bytes());
            self.out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
        }
    }

    /// A string field.
    pub fn string(&mut self, key: &'static str, value: &str) {
        self.out.extend_from_slice(key.as_bytes());
        escape::string_value(self.out, value);
    }

    /// Ends the line with its timestamp; a line without a field is taken back.
    pub fn end(self, nanoseconds: i64) {
        let Some(comma) = self.out.get_mut(self.fields) else { return self.out.truncate(self.start) };
        *comma = b' ';
        self.out.push(b' ');
        escape::number(self.out, nanoseconds, b'\n');
        self.done.lines += 1;
        self.done.saturated += self.saturated;
    }
}
