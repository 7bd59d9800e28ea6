//! Processes as the kernel lists them.

use rustix::process::{Pid, Signal, kill_process};

/// A child of some process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// The program's name.
    pub name: String,
    /// It has ended and nobody has asked how.
    pub is_zombie: bool,
}

/// The children that process `parent` has now.
pub fn children(parent: u32) -> Vec<Process> {
    let pids = std::fs::read_dir("/proc").unwrap();
    pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| {
            let (parent_of, process) = look(pid)?;
            (parent_of == parent).then_some(process)
        })
        .collect()
}

/// Whether process `pid` is there and is called `name`.
pub fn is_there(pid: u32, name: &str) -> bool {
    look(pid).is_some_and(|(_, process)| process.name == name && !process.is_zombie)
}

/// A process and the pid of its parent.
fn look(pid: u32) -> Option<(u32, Process)> {
    // `pid (name) state ppid …`, and the name may hold anything.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = tail.split_whitespace();
    let is_zombie = fields.next()? == "Z";
    Some((fields.next()?.parse().ok()?, Process { pid, name: name.to_owned(), is_zombie }))
}

/// Sends a signal to a process, which may have ended meanwhile.
pub fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// A process that is stopped. Dropping it lets it go on.
pub struct Leash(u32);

impl Leash {
    /// Stops process `pid` in its tracks.
    pub fn stop(pid: u32) -> Self {
        send(pid, Signal::STOP);
        Self(pid)
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        send(self.0, Signal::CONT);
    }
}
