//! The whole program in a pseudo-terminal, beside btop and bottom where they do
//! the same: bytes per second to the terminal, CPU and memory, start to the
//! first frame, key to screen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark fails by panicking, and its counts are small"
)]

#[path = "../tests/busy_guest/mod.rs"]
mod busy_guest;
mod drawn;
mod fleet;
#[path = "screen/history.rs"]
mod history;
#[path = "screen/hosts.rs"]
mod hosts;
#[path = "screen/keys.rs"]
mod keys;
#[path = "../tests/lab/mod.rs"]
mod lab;
#[path = "screen/peers.rs"]
mod peers;
mod pty;
mod side_by_side;
#[path = "screen/steady.rs"]
mod steady;

use hosts::Host;
use side_by_side::{chosen, wanted};

fn main() {
    if history::is_child() {
        return history::child();
    }
    if !wanted() {
        return;
    }
    if chosen("steady") || chosen("start") {
        let host = Host::busy();
        if chosen("start") {
            steady::start(&host);
        }
        if chosen("steady") {
            steady::minute(&host);
        }
    }
    if chosen("takes") {
        steady::takes(&Host::quiet());
    }
    if chosen("keys") {
        keys::thousand();
    }
}
