//! The stream of a packed form: values one after the other, each as far as it
//! differs from a guess. One walk over the values serves both ways: it sends
//! them, or it receives them and what it says they are counts for nothing.

use std::sync::Arc;

use super::walk::Rare;
use crate::model::{DomainFrame, DomainState, Kib, Measured, Missing, Nanos, Why};

/// What cannot be guessed.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    /// Eight values each: a byte that tells which are not as guessed, and
    /// these.
    bytes: Vec<u8>,
    missing: Vec<Missing>,
    names: Vec<Arc<str>>,
    rare: Vec<Rare>,
    lasts: Vec<Arc<DomainFrame>>,
}

/// Where in the current eight values the stream is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    mask: usize,
    values: u32,
}

/// A stream in one of its directions.
pub(super) struct Flow<'a> {
    side: Side<'a>,
    place: Place,
}

enum Side<'a> {
    Into(&'a mut Store),
    OutOf(&'a Store, At),
}

/// What was taken out already.
#[derive(Default)]
struct At {
    byte: usize,
    missing: usize,
    name: usize,
    rare: usize,
    last: usize,
}

impl Store {
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.missing.shrink_to_fit();
        self.names.shrink_to_fit();
        self.rare.shrink_to_fit();
        self.lasts.shrink_to_fit();
    }

    pub fn held_bytes(&self) -> usize {
        self.bytes.capacity()
            + self.missing.capacity() * size_of::<Missing>()
            + self.names.capacity() * size_of::<Arc<str>>()
            + self.rare.capacity() * size_of::<Rare>()
            + self.lasts.iter().map(|domain| domain.held_bytes()).sum::<usize>()
    }
}

impl<'a> Flow<'a> {
    pub fn into(store: &'a mut Store, place: Place) -> Self {
        Self { side: Side::Into(store), place }
    }

    pub fn out_of(store: &'a Store) -> Self {
        Self { side: Side::OutOf(store, At::default()), place: Place::default() }
    }

    pub fn place(&self) -> Place {
        self.place
    }

    /// A value that is nearly always 0, which takes no more than a bit.
    fn token(&mut self, now: u64) -> u64 {
        let bit = self.place.values % 8;
        self.place.values = (bit + 1) % 8;
        match &mut self.side {
            Side::Into(store) => {
                if bit == 0 {
                    self.place.mask = store.bytes.len();
                    store.bytes.push(0);
                }
                if now != 0 {
                    store.bytes[self.place.mask] |= 1 << bit;
                    let mut rest = now;
                    while rest >= 0x80 {
                        store.bytes.push(rest.to_le_bytes()[0] | 0x80);
                        rest >>= 7;
                    }
                    store.bytes.push(rest.to_le_bytes()[0]);
                }
                now
            }
            Side::OutOf(store, at) => {
                let mut next = || {
                    at.byte += 1;
                    store.bytes.get(at.byte - 1).copied().unwrap_or(0)
                };
                if bit == 0 {
                    self.place.mask = usize::from(next());
                }
                if self.place.mask & (1 << bit) == 0 {
                    return 0;
                }
                let (mut value, mut shift) = (0, 0);
                loop {
                    let byte = next();
                    value |= u64::from(byte & 0x7f) << shift;
                    shift += 7;
                    if byte < 0x80 || shift > 63 {
                        return value;
                    }
                }
            }
        }
    }

    /// A value of which no guess comes near.
    fn whole(&mut self, now: u64) -> u64 {
        match &mut self.side {
            Side::Into(store) => {
                store.bytes.extend(now.to_le_bytes());
                now
            }
            Side::OutOf(store, at) => {
                let bytes = store.bytes.get(at.byte..at.byte + 8);
                at.byte += 8;
                u64::from_le_bytes(bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default())
            }
        }
    }

    /// A number near its guess.
    pub fn number<T: Word>(&mut self, now: T, guess: T) -> T {
        let difference = now.word().wrapping_sub(guess.word()).cast_signed();
        let sent = ((difference << 1) ^ (difference >> 63)).cast_unsigned();
        let token = self.token(sent);
        let difference = (token >> 1) ^ (token & 1).wrapping_neg();
        T::of(guess.word().wrapping_add(difference))
    }

    /// A number that may not be there.
    pub fn optional<T: Word>(&mut self, now: Option<T>, guess: Option<T>) -> Option<T> {
        const NONE: u64 = 1;
        const ANEW: u64 = 2;
        let token = match (now, guess) {
            (None, None) => 0,
            (None, Some(_)) => NONE,
            (Some(_), None) => ANEW,
            (Some(now), Some(guess)) => {
                let difference = now.word().wrapping_sub(guess.word()).cast_signed();
                match ((difference << 1) ^ (difference >> 63)).cast_unsigned() {
                    0 => 0,
                    difference => difference.checked_add(ANEW).unwrap_or(ANEW),
                }
            }
        };
        match self.token(token) {
            0 => guess,
            NONE => None,
            ANEW => Some(T::of(self.whole(now.map_or(0, Word::word)))),
            token => {
                let token = token - ANEW;
                let difference = (token >> 1) ^ (token & 1).wrapping_neg();
                Some(T::of(guess.map_or(0, Word::word).wrapping_add(difference)))
            }
        }
    }

    /// A rate: as it follows, as it was before, or as it is.
    pub fn rate(
        &mut self,
        now: Measured<f64>,
        follows: Measured<f64>,
        before: Measured<f64>,
    ) -> Measured<f64> {
        const BEFORE: u64 = 1;
        const ANEW: u64 = 2;
        const MISSING: u64 = 3;
        let token = match now {
            _ if same(now, follows) => 0,
            _ if same(now, before) => BEFORE,
            Ok(_) => ANEW,
            Err(_) => MISSING,
        };
        match self.token(token) {
            0 => follows,
            BEFORE => before,
            ANEW => Ok(f64::from_bits(self.whole(now.map_or(0, f64::to_bits)))),
            _ => Err(self.missing(now.err())),
        }
    }

    /// What may be missing. `there` gets what is sent, where that is there.
    pub fn measured<T: Clone>(
        &mut self,
        now: &Measured<T>,
        before: &Measured<T>,
        there: impl FnOnce(&mut Self, Option<&T>) -> T,
    ) -> Measured<T> {
        const THERE: u64 = 1;
        const MISSING: u64 = 2;
        let token = match (now, before) {
            (Ok(_), Ok(_)) => 0,
            (Err(now), Err(before)) if now == before => 0,
            (Ok(_), Err(_)) => THERE,
            (Err(_), _) => MISSING,
        };
        match (self.token(token), before) {
            (0, Err(missing)) => Err(*missing),
            (0 | THERE, _) => Ok(there(self, now.as_ref().ok())),
            _ => Err(self.missing(now.as_ref().err().copied())),
        }
    }

    fn missing(&mut self, now: Option<Missing>) -> Missing {
        let unknown = Missing::new(Why::NotRecorded);
        match &mut self.side {
            Side::Into(store) => {
                let now = now.unwrap_or(unknown);
                store.missing.push(now);
                now
            }
            Side::OutOf(store, at) => {
                at.missing += 1;
                store.missing.get(at.missing - 1).copied().unwrap_or(unknown)
            }
        }
    }

    /// A name, of which `guess` is shared where it is the same.
    pub fn name(&mut self, now: Option<&Arc<str>>, guess: Option<&Arc<str>>) -> Arc<str> {
        let token = u64::from(now != guess);
        match (self.token(token), guess, &mut self.side) {
            (0, Some(guess), _) => Arc::clone(guess),
            (_, _, Side::Into(store)) => {
                let now = now.cloned().unwrap_or_default();
                store.names.push(Arc::clone(&now));
                now
            }
            (_, _, Side::OutOf(store, at)) => {
                at.name += 1;
                store.names.get(at.name - 1).cloned().unwrap_or_default()
            }
        }
    }

    /// What seldom changes; `None`: it is as it was.
    pub fn rare(&mut self, now: Option<&Rare>, before: &Rare) -> Rare {
        let token = u64::from(now.is_some_and(|now| now != before));
        if self.token(token) == 0 {
            return before.clone();
        }
        match &mut self.side {
            Side::Into(store) => {
                let now = now.unwrap_or(before);
                store.rare.push(now.clone());
                now.clone()
            }
            Side::OutOf(store, at) => {
                at.rare += 1;
                store.rare.get(at.rare - 1).unwrap_or(before).clone()
            }
        }
    }

    /// The older domain that a domain has beside it, where one of its own was
    /// not read.
    pub fn last(&mut self, now: Option<&DomainFrame>, before: &Arc<DomainFrame>) -> Option<Arc<DomainFrame>> {
        const BEFORE: u64 = 1;
        const NONE: u64 = 2;
        const ANEW: u64 = 3;
        let now = now.and_then(|now| now.last.as_ref());
        let is = |other: &Arc<DomainFrame>| now.is_some_and(|now| Arc::ptr_eq(now, other));
        let token = match &before.last {
            Some(last) if is(last) => 0,
            None if now.is_none() => 0,
            _ if is(before) => BEFORE,
            _ if now.is_none() => NONE,
            _ => ANEW,
        };
        match (self.token(token), &mut self.side) {
            (0, _) => before.last.clone(),
            (BEFORE, _) => Some(Arc::clone(before)),
            (NONE, _) => None,
            (_, Side::Into(store)) => {
                store.lasts.extend(now.cloned());
                now.cloned()
            }
            (_, Side::OutOf(store, at)) => {
                at.last += 1;
                store.lasts.get(at.last - 1).cloned()
            }
        }
    }
}

/// To the last bit.
fn same(a: Measured<f64>, b: Measured<f64>) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => a.to_bits() == b.to_bits(),
        (Err(a), Err(b)) => a == b,
        _ => false,
    }
}

/// What goes through as 64 bits.
pub(super) trait Word: Copy {
    fn word(self) -> u64;
    /// Of what [`Word::word`] gave.
    fn of(word: u64) -> Self;
}

macro_rules! words {
    ($($type:ty: $value:ident => $to:expr, $word:ident => $of:expr;)*) => {
        $(impl Word for $type {
            fn word(self) -> u64 {
                let $value = self;
                $to
            }

            fn of($word: u64) -> Self {
                $of
            }
        })*
    };
}

words! {
    u64: value => value, word => word;
    i64: value => value.cast_unsigned(), word => word.cast_signed();
    u32: value => value.into(), word => Self::try_from(word).unwrap_or(Self::MAX);
    usize: value => value as u64, word => Self::try_from(word).unwrap_or(Self::MAX);
    bool: value => value.into(), word => word != 0;
    Kib: value => value.0, word => Self(word);
    Nanos: value => value.0, word => Self(word);
    DomainState: value => value.code().into(), word => Self::from_code(word.cast_signed());
}
