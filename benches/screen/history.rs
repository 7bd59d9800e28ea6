//! What an hour of history takes: the screen's state in a process of its own,
//! which takes in 3,600 frames as fast as it can.

use std::process::Command;

use kvmscope::{
    app::Message,
    model::status::{DeliveryStatus, StoreState, StoreStatus},
};

use crate::{
    drawn::Drawn,
    fleet::{Fleet, START},
    pty,
};

/// Cycles after which everything has its size but the history.
pub const MINUTE: u32 = 60;
/// Cycles of an hour.
pub const HOUR: u32 = 3600;
/// Says that this process is the child, and how many VMs it is about.
const VARIABLE: &str = "KVMSCOPE_BENCH_HISTORY";

/// Whether this process was started by [`of`].
pub fn is_child() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Resident bytes of the screen's state and of what it is fed with.
#[derive(Clone, Copy)]
pub struct Size {
    /// After a minute.
    pub minute: f64,
    /// After an hour.
    pub hour: f64,
}

/// What an hour of so many VMs takes.
pub fn of(vms: u32) -> Size {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.env(VARIABLE, vms.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut figures = text.split_whitespace().map(|figure| figure.parse().unwrap());
    Size { minute: figures.next().unwrap(), hour: figures.next().unwrap() }
}

/// Takes the frames in and prints how large this process was after a minute
/// and after an hour.
#[allow(clippy::print_stdout, reason = "what the parent reads")]
pub fn child() {
    let vms = std::env::var(VARIABLE).unwrap().parse().unwrap();
    let mut fleet = Fleet::new(vms);
    let mut drawn = Drawn::new(200, 50);
    // As the whole program, which records.
    let state = StoreState::Writable;
    let store = StoreStatus { state, covers_since: Some(START), ..StoreStatus::default() };
    drawn.app.update(Message::Delivery(DeliveryStatus::default(), store));
    for cycle in 1..=HOUR {
        drawn.app.update(Message::Frame(fleet.cycle()));
        drawn.draw();
        if cycle == MINUTE || cycle == HOUR {
            println!("{}", resident());
        }
    }
}

fn resident() -> f64 {
    pty::resident(&std::fs::read_to_string("/proc/self/status").unwrap())
}
