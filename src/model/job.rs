//! A job that runs on a domain: migration, backup, save, dump.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

/// One of [`OPERATIONS`]. Under a name of its own: serde would take a reference
/// for something borrowed from what it reads.
type Word = &'static str;

/// Progress of a domain's job, as `virDomainGetJobStats` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainJob {
    /// What runs, such as `migration out` or `backup` (the `operation` parameter).
    #[serde(deserialize_with = "read_operation")]
    pub operation: Word,
    /// How long it has run (`time_elapsed`).
    pub elapsed: Option<Duration>,
    /// How long it will go on, where QEMU can tell (`time_remaining`).
    pub remaining: Option<Duration>,
    /// Bytes in all (`data_total`; of a backup `disk_total`, of a dump
    /// `memory_total`); grows while the guest dirties memory.
    pub total: Option<u64>,
    /// Bytes done (`…_processed`).
    pub done: Option<u64>,
    /// Bytes left (`…_remaining`), else what is not done yet.
    pub left: Option<u64>,
}

impl DomainJob {
    /// Share done, 0–100, where total and rest are known.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a percentage needs no more digits")]
    pub fn percent(&self) -> Option<f64> {
        let (total, left) = (self.total?, self.left?);
        (total > 0).then(|| total.saturating_sub(left) as f64 / total as f64 * 100.0)
    }
}

/// The words for what runs, in the order of libvirt's codes
/// (`virDomainJobOperation`); the first stands for any other.
pub const OPERATIONS: [&str; 11] = [
    "job",
    "start",
    "save",
    "restore",
    "migration in",
    "migration out",
    "snapshot",
    "snapshot revert",
    "dump",
    "backup",
    "snapshot delete",
];

fn read_operation<'de, D: Deserializer<'de>>(from: D) -> Result<&'static str, D::Error> {
    String::deserialize(from).map(|word| operation(&word))
}

/// The word of [`OPERATIONS`] that `word` is; the first where it is none.
#[must_use]
pub fn operation(word: &str) -> &'static str {
    OPERATIONS.into_iter().find(|known| *known == word).unwrap_or(OPERATIONS[0])
}
