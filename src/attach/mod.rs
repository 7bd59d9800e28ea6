//! The screen's side of an agent: finds it, keeps a connection to it, and
//! turns what it tells into the values that a collector of one's own would
//! give.
//!
//! Owns the connection, what is asked over it and when it is tried again. It
//! shows nothing and collects nothing, and never falls back to doing so: what
//! it finds goes to a [`Sink`]. Everything happens on a thread of its own, so
//! that no agent, however slow, keeps a key waiting. An export, which no screen
//! waits for, is [`fetch`]ed by whoever wants it.

mod client;
pub mod fetch;
mod knock;
mod line;
mod place;
mod share;
mod skew;
mod trust;

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

pub use client::start;
pub use knock::{Knock, knock};
pub use place::{Place, PlaceError};

use crate::{
    model::{
        Frame,
        link::Link,
        past::{Answer, Question},
        status::{CollectorStatus, DeliveryStatus, StoreStatus},
    },
    wire::Ask,
};

/// Where what the agent tells goes. No call may wait.
pub trait Sink: Send + 'static {
    /// A cycle was closed.
    fn frame(&mut self, frame: Arc<Frame>);
    /// The collector's figures changed.
    fn collector(&mut self, status: CollectorStatus);
    /// Those of delivery or of the record changed.
    fn delivery(&mut self, delivery: DeliveryStatus, store: StoreStatus);
    /// The way to the agent is another, or it told who it is.
    fn link(&mut self, link: Link);
    /// The record answered a question for the sparklines.
    fn history(&mut self, answer: Answer);
    /// The record answered a look into the past.
    fn past(&mut self, answer: Answer);
    /// A domain's XML came, or why it does not.
    fn xml(&mut self, uuid: Uuid, xml: Result<Arc<str>, String>);
    /// A word to the operator.
    fn say(&mut self, words: String);
}

/// What the agent is asked by. Dropping it ends the connection.
#[derive(Clone, Debug)]
pub struct Handle {
    asks: UnboundedSender<Wanted>,
}

/// What is asked, and what for.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// What a key wants.
    Ask(Ask),
    /// What the sparklines want of the record.
    History(Question),
}

impl Wanted {
    /// Whether somebody looks into the past.
    fn is_look(&self) -> bool {
        matches!(self, Self::Ask(Ask::Past(_)))
    }
}

impl Handle {
    /// Asks; never waits. While the agent is not reached, [`Ask::Reconnect`]
    /// has it tried at once, and other questions are answered by saying so.
    pub fn ask(&self, ask: Ask) {
        // Fails only when the thread has ended, and the screen with it.
        let _ = self.asks.send(Wanted::Ask(ask));
    }

    /// Asks the record for what the sparklines lack; never waits.
    pub fn history(&self, question: Question) {
        let _ = self.asks.send(Wanted::History(question));
    }
}
