//! What comes from an agent and has an order: its frames, and how the way to it
//! stands.
//!
//! A line that stood still brings many frames at once. Each of them reaches the
//! screen, which draws once for all that it has taken meanwhile. Bounded: while
//! the screen takes nothing, such as before a terminal that is held, the oldest
//! frames are let go. Their cycles are a gap then, until the agent's record has
//! told of them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    app::Message,
    model::{Frame, link::Link},
};

/// Most frames that wait. Beyond them it takes longer to show them all than to
/// ask for what they tell.
const MOST: usize = 600;

/// The queue. Copies share it.
#[derive(Clone)]
pub(in crate::runtime) struct Arrivals(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    come: Notify,
    /// Most bytes of frames that wait; the newest always does.
    budget: usize,
}

#[derive(Default)]
struct Waiting {
    arrived: VecDeque<Arrived>,
    /// Of which are frames, and their bytes.
    frames: usize,
    bytes: usize,
    /// The last one that came.
    last: Option<Arc<Frame>>,
    /// Frames that were let go since the last word of it.
    let_go: u64,
}

enum Arrived {
    /// With the bytes that it takes beside the one before.
    Frame(Arc<Frame>, usize),
    Link(Link),
}

impl Arrivals {
    pub fn new(budget: usize) -> Self {
        Self(Arc::new(Shared { waiting: Mutex::default(), come: Notify::new(), budget }))
    }

    /// A frame came.
    pub fn frame(&self, frame: Arc<Frame>) {
        let mut waiting = self.waiting();
        let bytes = frame.held_bytes(waiting.last.as_deref());
        waiting.last = Some(Arc::clone(&frame));
        waiting.arrived.push_back(Arrived::Frame(frame, bytes));
        waiting.frames += 1;
        waiting.bytes += bytes;
        while waiting.frames > 1 && (waiting.frames > MOST || waiting.bytes > self.0.budget) {
            waiting.let_go();
        }
        drop(waiting);
        self.0.come.notify_one();
    }

    /// The way to the agent is another.
    pub fn link(&self, link: Link) {
        let mut waiting = self.waiting();
        waiting.arrived.push_back(Arrived::Link(link));
        let links = waiting.arrived.iter().rev().take_while(|arrived| arrived.is_link()).count();
        let from = waiting.arrived.len() - links;
        waiting.join_links(from, links);
        drop(waiting);
        self.0.come.notify_one();
    }

    /// The next of what came. Nothing is lost where nobody waits any more.
    pub async fn next(&self) -> Message {
        loop {
            if let Some(message) = self.take() {
                return message;
            }
            self.0.come.notified().await;
        }
    }

    fn take(&self) -> Option<Message> {
        let mut waiting = self.waiting();
        let message = match waiting.arrived.pop_front()? {
            Arrived::Frame(frame, bytes) => {
                waiting.frames -= 1;
                waiting.bytes -= bytes;
                Message::Frame(frame)
            }
            Arrived::Link(link) => Message::Link(link),
        };
        if waiting.frames == 0 && waiting.let_go > 0 {
            let count = std::mem::take(&mut waiting.let_go);
            tracing::warn!("{count} cycles came while the screen took none; the agent's record has them");
        }
        Some(message)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrived {
    fn is_link(&self) -> bool {
        matches!(self, Self::Link(_))
    }
}

impl Waiting {
    /// Lets the oldest frame go.
    fn let_go(&mut self) {
        let oldest = self.arrived.iter().position(|arrived| matches!(arrived, Arrived::Frame(..)));
        if let Some(Arrived::Frame(_, bytes)) = oldest.and_then(|place| self.arrived.remove(place)) {
            self.frames -= 1;
            self.bytes -= bytes;
            self.let_go += 1;
            let links = self.arrived.iter().take_while(|arrived| arrived.is_link()).count();
            self.join_links(0, links);
        }
    }

    /// Of so many words in a row on how the way stands, the last one counts, and
    /// before it whether the way was broken meanwhile.
    fn join_links(&mut self, from: usize, count: usize) {
        let Some(last) = count.checked_sub(1).map(|before| from + before) else { return };
        let is_live = |place: &usize| matches!(&self.arrived[*place], Arrived::Link(link) if link.is_live());
        let broken = (from..last).rev().find(|place| !is_live(place)).filter(|_| is_live(&last));
        for place in (from..last).rev().filter(|place| Some(*place) != broken) {
            self.arrived.remove(place);
        }
    }
}

#[cfg(test)]
mod tests;
