//! What can happen to a domain, as libvirt's events tell it: plain values,
//! and the words for libvirt's codes.

use std::time::Duration;

use uuid::Uuid;

use crate::model::{Kib, MonoTime, WallTime, timeline::Weight};

/// One event of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainEvent {
    /// Whose.
    pub uuid: Uuid,
    /// When it was heard of; libvirt's events carry no time of their own.
    pub at: (WallTime, MonoTime),
    /// What happened.
    pub kind: EventKind,
}

/// What happened. Every text in it is fit to store and to show, and short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Started, stopped, paused, resumed, defined and the like.
    Life {
        /// In words, such as `stopped: crashed`.
        text: &'static str,
        /// How much it should worry.
        weight: Weight,
    },
    /// The guest was rebooted without a new process.
    Rebooted,
    /// The guest's watchdog was not served.
    Watchdog {
        /// What QEMU does about it, such as `reset`.
        action: &'static str,
    },
    /// A disk's request failed on the host.
    IoError {
        /// The device's alias (`virtio-disk1`); empty where libvirt tells none.
        alias: String,
        /// The image; empty where libvirt tells none.
        path: String,
        /// Such as `enospc`; empty where the hypervisor tells none.
        reason: String,
    },
    /// At start a disk's image was missing, and the disk was emptied or left
    /// out.
    DiskMissing {
        /// The device's alias.
        alias: String,
    },
    /// The tray of a removable drive was opened or closed.
    Tray {
        /// The device's alias.
        alias: String,
        /// Opened, or else closed.
        open: bool,
    },
    /// The balloon has a new size.
    Balloon {
        /// What the guest has now.
        size: Kib,
    },
    /// A device was plugged in.
    DeviceAdded {
        /// The device's alias.
        alias: String,
    },
    /// A device is gone.
    DeviceRemoved {
        /// The device's alias.
        alias: String,
    },
    /// The guest did not let a device go.
    DeviceRemovalFailed {
        /// The device's alias.
        alias: String,
    },
    /// A job such as a migration or a backup has ended.
    JobCompleted {
        /// Which.
        operation: &'static str,
        /// How long it took.
        took: Option<Duration>,
        /// Whether it succeeded; `true` where libvirt does not say.
        success: bool,
    },
    /// A job on one disk has ended or become ready.
    BlockJob {
        /// The target name (`vda`).
        disk: String,
        /// Which, such as `commit`.
        operation: &'static str,
        /// What became of it.
        outcome: BlockJobOutcome,
    },
    /// The guest agent came or went.
    Agent {
        /// Came, or else went.
        connected: bool,
    },
    /// A disk's image has grown beyond the threshold set for it.
    BlockThreshold {
        /// The target name, which may carry an index (`vda[1]`).
        disk: String,
    },
    /// The host's memory has failed beneath the guest.
    MemoryFailure {
        /// What was done about it, such as `guest told`.
        action: &'static str,
    },
}

/// What became of a job on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockJobOutcome {
    /// Done.
    Completed,
    /// Given up after an error.
    Failed,
    /// Ended on request.
    Cancelled,
    /// All is copied; the operator may now switch over.
    Ready,
}

/// libvirt's lifecycle event and its detail (`virDomainEventType` and the
/// detail types named after it) in words. `None`: nothing an operator would
/// miss.
pub(super) fn life(event: i32, detail: i32) -> Option<EventKind> {
    use Weight::{Note, Trouble, Warning};
    let (text, weight) = match (event, detail) {
        (0, 0) => ("defined", Note),
        (0, 2) => ("renamed", Note),
        (0, 3) => ("defined from a snapshot", Note),
        (0, _) => ("definition changed", Note),
        // The other half of a renaming.
        (1, 1) => return None,
        (1, _) => ("undefined", Note),
        (2, 1) => ("started (migrated here)", Note),
        (2, 2) => ("started (restored)", Note),
        (2, 3) => ("started from a snapshot", Note),
        (2, 4) => ("woken up", Note),
        (2, _) => ("started", Note),
        (3, 1) => ("paused: migrating", Note),
        (3, 2) => ("paused: I/O error", Trouble),
        (3, 3) => ("paused: watchdog", Trouble),
        (3, 4) => ("paused: restored so", Note),
        (3, 5) => ("paused: snapshot", Note),
        (3, 6) => ("paused: a call of libvirt failed", Trouble),
        (3, 7) => ("paused: post-copy migration", Note),
        (3, 8) => ("paused: post-copy migration failed", Trouble),
        (3, 9) => ("paused: the guest has shut down", Note),
        (3, _) => ("paused", Warning),
        (4, 1) => ("resumed (migrated)", Note),
        (4, 2) => ("resumed from a snapshot", Note),
        (4, 3) => ("resumed (post-copy migration)", Note),
        (4, 4) => ("resumed (post-copy migration failed)", Trouble),
        (4, _) => ("resumed", Note),
        (5, 1) => ("stopped: destroyed", Warning),
        (5, 2) => ("stopped: crashed", Trouble),
        (5, 3) => ("stopped: migrated away", Note),
        (5, 4) => ("stopped: saved", Note),
        (5, 5) => ("stopped: failed", Trouble),
        (5, 6) => ("stopped: snapshot", Note),
        (5, _) => ("stopped: shut down", Note),
        (6, 1) => ("shutting down (by the guest)", Note),
        (6, 2) => ("shutting down (by the host)", Note),
        (6, _) => ("shutting down", Note),
        (7, 1) => ("suspended to disk by the guest", Note),
        (7, _) => ("suspended to memory by the guest", Note),
        (8, 0) => ("crashed: the guest panicked", Trouble),
        (8, 1) => ("crashed: the guest panicked and loads its crash kernel", Trouble),
        (8, _) => ("crashed", Trouble),
        _ => return None,
    };
    Some(EventKind::Life { text, weight })
}

/// `virDomainEventWatchdogAction`.
pub(super) fn watchdog(action: i32) -> &'static str {
    match action {
        1 => "paused",
        2 => "reset",
        3 => "powered off",
        4 => "shut down",
        6 => "NMI injected",
        _ => "nothing done",
    }
}

/// `virDomainJobOperation`.
pub(super) fn job(operation: i64) -> &'static str {
    match operation {
        1 => "start",
        2 => "save",
        3 => "restore",
        4 => "migration in",
        5 => "migration out",
        6 => "snapshot",
        7 => "snapshot revert",
        8 => "dump",
        9 => "backup",
        10 => "snapshot deletion",
        _ => "job",
    }
}

/// `virDomainBlockJobType`.
pub(super) fn block_job(kind: i32) -> &'static str {
    match kind {
        1 => "pull",
        2 => "copy",
        3 => "commit",
        4 => "active commit",
        5 => "backup",
        _ => "job",
    }
}

/// `virConnectDomainEventBlockJobStatus`.
pub(super) fn block_job_outcome(status: i32) -> Option<BlockJobOutcome> {
    match status {
        0 => Some(BlockJobOutcome::Completed),
        1 => Some(BlockJobOutcome::Failed),
        2 => Some(BlockJobOutcome::Cancelled),
        3 => Some(BlockJobOutcome::Ready),
        _ => None,
    }
}

/// `virDomainMemoryFailureActionType`.
pub(super) fn memory_failure(action: i32) -> &'static str {
    match action {
        1 => "guest told",
        2 => "guest ended",
        3 => "guest reset",
        _ => "ignored",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_libvirt_become_words_with_a_weight() {
        let of = |event, detail| match life(event, detail) {
            Some(EventKind::Life { text, weight }) => Some((text, weight)),
            _ => None,
        };
        assert_eq!(of(2, 0), Some(("started", Weight::Note)));
        assert_eq!(of(2, 1), Some(("started (migrated here)", Weight::Note)));
        assert_eq!(of(3, 2), Some(("paused: I/O error", Weight::Trouble)));
        assert_eq!(of(5, 2), Some(("stopped: crashed", Weight::Trouble)));
        assert_eq!(of(5, 99), Some(("stopped: shut down", Weight::Note)), "a detail of a newer libvirt");
        assert_eq!(of(1, 1), None, "a renaming is told once");
        assert_eq!(of(99, 0), None);
    }
}
