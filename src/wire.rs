//! What an agent and the screens attached to it say to each other, and how it
//! is written: whole values, equal on both sides, packed, each after its
//! length.
//!
//! Owns the form and its bounds. It opens no connection. Neither side takes
//! anything on trust: a message that is too long, packed or unpacked, is
//! refused before it is held, and one that cannot be read is an error.

use std::{io::Read as _, sync::Arc, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::model::{
    Frame, WallTime,
    link::Agent,
    past::{Answer, Question},
    status::{CollectorStatus, ConfigEntry, DeliveryStatus, StoreStatus},
};

/// The form of everything after the greeting. Another one cannot be read:
/// whoever changes a value that is sent gives it the next number.
pub const FORM: u32 = 2;
/// Where a screen attaches.
pub const STREAM: &str = "/api/attach";
/// Where it asks.
pub const ASK: &str = "/api/attach/ask";
/// The content type of both.
pub const CONTENT_TYPE: &str = "application/x-kvmscope";
/// The trailer of an export that counts the lines it lacks because they are
/// damaged in the record.
pub const DAMAGED: &str = "x-kvmscope-damaged";
/// So often an agent says that it is there, whatever else it says.
pub const BEAT: Duration = Duration::from_secs(2);

/// Most bytes of a packed message.
pub const LONGEST: usize = 64 * 1024 * 1024;
/// Most bytes of one that is unpacked.
const LONGEST_UNPACKED: u64 = 128 * 1024 * 1024;
/// Most bytes of a question.
pub const LONGEST_ASK: usize = 4096;
/// No message needs a longer memory of what was packed before (2^23 bytes).
const WINDOW_LOG: u32 = 23;
/// Bytes of a message's length before it.
const LENGTH: usize = 4;

/// The first message: JSON, so that every version can read who the other is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// [`FORM`] of what follows.
    pub form: u32,
    /// The version of kvmscope.
    pub version: String,
    /// Who it is; only to be read where the form is the same.
    pub agent: serde_json::Value,
}

/// What an agent tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum News {
    /// It is there, and its machine's clock says this.
    Beat(WallTime),
    /// A cycle was closed.
    Frame(Arc<Frame>),
    /// The collector's figures.
    Collector(Box<CollectorStatus>),
    /// Those of delivery and of the record.
    Delivery(Box<(DeliveryStatus, StoreStatus)>),
    /// The configuration in effect has changed.
    Config(Vec<ConfigEntry>),
}

/// What a screen asks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Start collection.
    Start,
    /// Stop it.
    Stop,
    /// Connect to libvirt and the database anew, now.
    Reconnect,
    /// Keep this interval from now on.
    Interval(Duration),
    /// A moment of the past.
    Past(Question),
    /// The XML of a domain.
    Xml(Uuid),
}

/// What it is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Told {
    /// It was handed on; what comes of it is told by [`News`].
    Done,
    /// What the record says.
    Past(Box<Answer>),
    /// The XML, or why there is none.
    Xml(Result<Arc<str>, String>),
}

/// Why something cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// It would be too long.
    #[error("a message of {0} bytes is longer than any may be")]
    TooLong(u64),
    /// It cannot be unpacked.
    #[error("a message cannot be unpacked: {0}")]
    Packing(#[from] std::io::Error),
    /// It is not what it should be.
    #[error("a message cannot be read: {0}")]
    Value(#[from] postcard::Error),
}

/// The greeting of `agent`, with its length.
#[must_use]
pub fn greeting(agent: &Agent) -> Bytes {
    let greeting = Greeting {
        form: FORM,
        version: agent.version.clone(),
        // Plain values into memory: it cannot fail.
        agent: serde_json::to_value(agent).unwrap_or_default(),
    };
    with_length(&serde_json::to_vec(&greeting).unwrap_or_default())
}

/// `value`, packed, with its length.
///
/// # Errors
/// It is longer than any message may be.
pub fn pack(value: &impl Serialize) -> Result<Bytes, WireError> {
    let plain = postcard::to_stdvec(value)?;
    if plain.len() as u64 > LONGEST_UNPACKED {
        return Err(WireError::TooLong(plain.len() as u64));
    }
    let packed = zstd::bulk::compress(&plain, 1)?;
    if packed.len() > LONGEST {
        return Err(WireError::TooLong(packed.len() as u64));
    }
    Ok(with_length(&packed))
}

fn with_length(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], message].concat().into()
}

/// The value of a message without its length.
///
/// # Errors
/// It is none, or too long.
pub fn unpack<T: DeserializeOwned>(packed: &[u8]) -> Result<T, WireError> {
    unpack_within(packed, LONGEST_UNPACKED)
}

/// The same, of no more than `longest` bytes unpacked: few bytes can become
/// very many.
///
/// # Errors
/// It is none, or too long.
pub fn unpack_within<T: DeserializeOwned>(packed: &[u8], longest: u64) -> Result<T, WireError> {
    let mut unpacking = zstd::Decoder::with_buffer(packed)?;
    unpacking.window_log_max(WINDOW_LOG)?;
    let mut plain = Vec::new();
    unpacking.take(longest.saturating_add(1)).read_to_end(&mut plain)?;
    if plain.len() as u64 > longest {
        return Err(WireError::TooLong(plain.len() as u64));
    }
    match postcard::take_from_bytes(&plain)? {
        (value, []) => Ok(value),
        _ => Err(postcard::Error::DeserializeBadEncoding.into()),
    }
}

/// Cuts a stream of bytes into messages.
#[derive(Debug, Default)]
pub struct Cutter {
    held: BytesMut,
}

impl Cutter {
    /// Adds what has come.
    pub fn add(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next message without its length, once it is there in whole.
    ///
    /// # Errors
    /// It says that it is longer than `most`: nothing after it can be found.
    pub fn cut(&mut self, most: usize) -> Result<Option<Bytes>, WireError> {
        let Some(length) = self.held.first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > most {
            return Err(WireError::TooLong(length as u64));
        }
        if self.held.len() < LENGTH + length {
            return Ok(None);
        }
        self.held.advance(LENGTH);
        Ok(Some(self.held.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests;
