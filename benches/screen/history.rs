//! What an hour of history takes: the screen's state in a process of its own,
//! which takes in 3,600 frames as fast as it can.

use std::process::Command;

use kvmscope::app::Message;

use crate::{drawn::Drawn, fleet::Fleet, pty};

/// Cycles after which everything has its size but the history.
pub const MINUTE: u32 = 60;
/// Cycles of an hour.
pub const HOUR: u32 = 3600;
/// Says that this process is the child, and how many VMs it is about.
const VARIABLE: &str = "KVMSCOPE_BENCH_HISTORY";

/// Whether this process was started by [`growth`].
pub fn is_child() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Bytes by which the resident memory grows between a minute and an hour.
pub fn growth(vms: u32) -> f64 {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.env(VARIABLE, vms.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// Takes the frames in and prints by how much this process grew.
#[allow(clippy::print_stdout, reason = "what the parent reads")]
pub fn child() {
    let vms = std::env::var(VARIABLE).unwrap().parse().unwrap();
    let mut fleet = Fleet::new(vms);
    let mut drawn = Drawn::new(200, 50);
    let mut after_a_minute = 0.0;
    for cycle in 1..=HOUR {
        drawn.app.update(Message::Frame(fleet.cycle()));
        drawn.draw();
        if cycle == MINUTE {
            after_a_minute = resident();
        }
    }
    println!("{}", resident() - after_a_minute);
}

fn resident() -> f64 {
    pty::resident(&std::fs::read_to_string("/proc/self/status").unwrap())
}
