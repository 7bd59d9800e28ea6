//! The account of every line since the record began.

use std::collections::BTreeMap;

/// The words under which lost lines are counted.
pub mod reason {
    /// Undelivered lines pushed out by `store.max_bytes` or `store.min_free`.
    pub const STORE_FULL: &str = "store full";
    /// Undelivered lines older than `store.max_age`.
    pub const TOO_OLD: &str = "older than store.max_age";
    /// A row whose checksum does not fit, found when it was to be sent.
    pub const DAMAGED_ROW: &str = "damaged in the record";
    /// Lines that waited in a file that was set aside or has vanished.
    pub const DAMAGED_FILE: &str = "record damaged or removed";
}

/// Lines counted. Always
/// `emitted = delivered + waiting + quarantined + dropped + local`, where
/// `waiting` is what the cursor has not passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Lines handed over.
    pub emitted: u64,
    /// Lines the target has confirmed.
    pub delivered: u64,
    /// Lines the target refused, kept aside.
    pub quarantined: u64,
    /// Lines recorded while no target was configured: never to be sent.
    pub local: u64,
    /// Lines lost, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl Account {
    /// Adds the figures of `other`.
    pub fn add(&mut self, other: &Self) {
        self.emitted += other.emitted;
        self.delivered += other.delivered;
        self.quarantined += other.quarantined;
        self.local += other.local;
        for (reason, lines) in &other.dropped {
            self.drop_lines(reason, *lines);
        }
    }

    /// Counts `lines` as lost for `reason`.
    pub fn drop_lines(&mut self, reason: &str, lines: u64) {
        if lines > 0 {
            *self.dropped.entry(reason.to_owned()).or_default() += lines;
        }
    }

    /// Lines lost, all reasons together.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Lines that went somewhere: emitted less these is what waits.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.delivered + self.quarantined + self.local + self.dropped_total()
    }

    /// What is to be added so that the figures fit `waiting` lines: those that
    /// are missing are lost for `reason`, those too many were emitted as well.
    pub(super) fn difference(&self, waiting: u64, reason: &str) -> Self {
        let known = self.settled() + waiting;
        let mut found = Self { emitted: known.saturating_sub(self.emitted), ..Self::default() };
        found.drop_lines(reason, self.emitted.saturating_sub(known));
        found
    }

    /// Whether nothing is counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every figure under the name it is stored by.
    pub(super) fn figures(&self) -> impl Iterator<Item = (String, u64)> {
        [
            ("emitted", self.emitted),
            ("delivered", self.delivered),
            ("quarantined", self.quarantined),
            ("local", self.local),
        ]
        .into_iter()
        .map(|(name, lines)| (name.to_owned(), lines))
        .chain(self.dropped.iter().map(|(reason, lines)| (format!("{DROPPED}{reason}"), *lines)))
    }

    /// Takes one stored figure; a name of a newer kvmscope is passed over.
    pub(super) fn set(&mut self, name: &str, lines: u64) {
        match name {
            "emitted" => self.emitted = lines,
            "delivered" => self.delivered = lines,
            "quarantined" => self.quarantined = lines,
            "local" => self.local = lines,
            _ => {
                if let Some(reason) = name.strip_prefix(DROPPED) {
                    self.dropped.insert(reason.to_owned(), lines);
                }
            }
        }
    }
}

const DROPPED: &str = "dropped: ";
