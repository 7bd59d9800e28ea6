//! A look at every figure that delivery publishes, from beside the test.
//!
//! The figures come through a channel in which the latest wins, so what is
//! seen is what any reader of them can see: each that stays for longer than
//! this thread needs for one look.

use std::thread::JoinHandle;

use kvmscope::{
    delivery::Handle,
    model::status::{DeliveryStatus, StoreStatus},
};

/// Looks until delivery has ended.
pub struct Watcher {
    thread: JoinHandle<Seen>,
}

#[derive(Default)]
struct Seen {
    figures: usize,
    /// The first that did not add up, or went back, and the one before it.
    wrong: Option<(DeliveryStatus, DeliveryStatus)>,
    last: DeliveryStatus,
}

impl Watcher {
    /// Begins to look at the figures of `handle`.
    pub fn start(handle: &Handle) -> Self {
        let mut status = handle.status();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut seen = Seen::default();
            loop {
                let now = status.borrow_and_update().0.clone();
                seen.look(now);
                if runtime.block_on(status.changed()).is_err() {
                    // What was published last may not have been looked at.
                    let now: (DeliveryStatus, StoreStatus) = status.borrow().clone();
                    seen.look(now.0);
                    return seen;
                }
            }
        });
        Self { thread }
    }

    /// Once delivery has ended (its handle is gone): how many figures were
    /// seen, and the last. Fails where one of them did not add up:
    /// `emitted = delivered + waiting + quarantined + dropped`, and nothing
    /// that was settled is ever unsettled.
    #[track_caller]
    pub fn end(self) -> (usize, DeliveryStatus) {
        let seen = self.thread.join().unwrap();
        if let Some((before, wrong)) = seen.wrong {
            panic!("figure {} does not add up: {wrong:#?}\nafter {before:#?}", seen.figures);
        }
        (seen.figures, seen.last)
    }
}

impl Seen {
    fn look(&mut self, now: DeliveryStatus) {
        self.figures += 1;
        let whole = now.emitted == now.delivered + now.waiting() + now.quarantined + now.dropped_total();
        let before = &self.last;
        let onward = before.emitted <= now.emitted
            && before.delivered <= now.delivered
            && before.quarantined <= now.quarantined
            && before.dropped_total() <= now.dropped_total()
            && before.retries <= now.retries
            && before.batches <= now.batches;
        if self.wrong.is_none() && !(whole && onward) {
            self.wrong = Some((before.clone(), now.clone()));
        }
        self.last = now;
    }
}
