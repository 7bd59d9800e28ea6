//! The account of every line since the record began.

use std::collections::BTreeMap;

use super::mark::FileId;

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
    /// Record files whose figures are in these, the one they are read from
    /// excepted: a file that comes back is not counted a second time.
    pub(super) files: Vec<FileId>,
}

impl Account {
    /// Adds the figures of `other`.
    pub fn add(&mut self, other: &Self) {
        let sum = |figure: &mut u64, more: u64| *figure = figure.saturating_add(more);
        sum(&mut self.emitted, other.emitted);
        sum(&mut self.delivered, other.delivered);
        sum(&mut self.quarantined, other.quarantined);
        sum(&mut self.local, other.local);
        for (reason, lines) in &other.dropped {
            self.drop_lines(reason, *lines);
        }
        for file in &other.files {
            self.count_file(*file);
        }
    }

    /// Notes that the figures of a file are in these.
    pub(super) fn count_file(&mut self, file: FileId) {
        if !self.files.contains(&file) {
            self.files.push(file);
            let excess = self.files.len().saturating_sub(MOST_FILES);
            self.files.drain(..excess);
        }
    }

    /// Adds the figures of a file that is lost: what waited in it is dropped.
    /// Nothing where they are in these already.
    pub(super) fn add_lost(&mut self, file: Option<FileId>, account: &Self) {
        if file.is_some_and(|file| self.files.contains(&file)) {
            return;
        }
        let mut account = account.clone();
        account.add(&account.difference(0, reason::DAMAGED_FILE));
        self.add(&account);
        if let Some(file) = file {
            self.count_file(file);
        }
    }

    /// The figures of `file`, in which `waiting` lines wait, where they are in
    /// these already and the file has come back: what waits in it is not lost.
    pub(super) fn returned(&self, file: FileId, waiting: u64) -> Self {
        let mut account = self.clone();
        account.files.retain(|counted| *counted != file);
        if let Some(lost) = account.dropped.get_mut(reason::DAMAGED_FILE) {
            *lost = lost.saturating_sub(waiting);
        }
        account.dropped.retain(|_, lines| *lines > 0);
        account.add(&account.difference(waiting, reason::DAMAGED_FILE));
        account
    }

    /// Counts `lines` as lost for `reason`.
    pub fn drop_lines(&mut self, reason: &str, lines: u64) {
        if lines > 0 {
            let dropped = self.dropped.entry(reason.to_owned()).or_default();
            *dropped = dropped.saturating_add(lines);
        }
    }

    /// Lines lost, all reasons together.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().fold(0, |sum, lines| sum.saturating_add(*lines))
    }

    /// Lines that went somewhere: emitted less these is what waits.
    #[must_use]
    pub fn settled(&self) -> u64 {
        [self.quarantined, self.local, self.dropped_total()]
            .into_iter()
            .fold(self.delivered, u64::saturating_add)
    }

    /// What is to be added so that the figures fit `waiting` lines: those that
    /// are missing are lost for `reason`, those too many were emitted as well.
    pub(super) fn difference(&self, waiting: u64, reason: &str) -> Self {
        let known = self.settled().saturating_add(waiting);
        let mut found = Self { emitted: known.saturating_sub(self.emitted), ..Self::default() };
        found.drop_lines(reason, self.emitted.saturating_sub(known));
        found
    }

    /// Whether nothing is counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells whether the figures of a file are those that were stored.
    pub(super) fn checksum(&self, file: FileId) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(&file.to_le_bytes());
        for (name, lines) in self.figures().filter(|(_, lines)| *lines > 0) {
            crc.update(name.as_bytes());
            crc.update(&lines.to_le_bytes());
        }
        crc.sum()
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
/// Files that are remembered: the newest.
const MOST_FILES: usize = 32;
