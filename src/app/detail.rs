//! What a VM's page is made of: its panes and the lines one can select.

use std::sync::Arc;

use uuid::Uuid;

use crate::model::{DomainFrame, history::Metric};

/// A part of a VM's page with lines to select.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pane {
    /// The six angles.
    Angles,
    /// The NICs.
    Nics,
    /// The disks.
    Disks,
    /// The vCPUs.
    Vcpus,
    /// What happened to it, newest first.
    Events,
}

impl Pane {
    /// All panes, in the order of the page.
    pub const ALL: [Self; 5] = [Self::Angles, Self::Nics, Self::Disks, Self::Vcpus, Self::Events];

    /// How many lines it has for `domain`.
    #[must_use]
    pub fn lines(self, domain: &DomainFrame) -> usize {
        match self {
            Self::Angles => Metric::ALL.len(),
            Self::Nics => nic_names(domain).len(),
            Self::Disks => disk_names(domain).len(),
            Self::Vcpus => domain.rates.vcpus.len(),
            Self::Events => domain.timeline.len(),
        }
    }
}

/// An open VM page.
#[derive(Clone, Debug)]
pub struct VmPage {
    /// Whose page it is.
    pub uuid: Uuid,
    /// Its name when the page was opened, for the time after it is gone.
    pub name: Arc<str>,
    pane: Pane,
    cursors: [usize; 5],
}

impl VmPage {
    pub(super) fn new(uuid: Uuid, name: Arc<str>) -> Self {
        Self { uuid, name, pane: Pane::Angles, cursors: [0; 5] }
    }

    /// The pane the keys act on.
    #[must_use]
    pub fn pane(&self) -> Pane {
        self.pane
    }

    /// The selected line of the pane.
    #[must_use]
    pub fn cursor(&self) -> usize {
        self.cursors[self.pane as usize]
    }

    pub(super) fn turn(&mut self, domain: &DomainFrame, forward: bool) {
        let count = Pane::ALL.len();
        let step = if forward { 1 } else { count - 1 };
        let mut at = self.pane as usize;
        for _ in 0..count {
            at = (at + step) % count;
            if Pane::ALL[at].lines(domain) > 0 {
                break;
            }
        }
        self.pane = Pane::ALL[at];
    }

    pub(super) fn point(&mut self, pane: Pane, line: usize) {
        self.pane = pane;
        self.cursors[pane as usize] = line;
    }

    pub(super) fn move_by(&mut self, domain: &DomainFrame, step: isize) {
        let last = self.pane.lines(domain).saturating_sub(1);
        let cursor = &mut self.cursors[self.pane as usize];
        *cursor = cursor.saturating_add_signed(step).min(last);
    }

    /// Devices come and go: a cursor never points past the last line.
    pub(super) fn clamp(&mut self, domain: &DomainFrame) {
        for pane in Pane::ALL {
            let last = pane.lines(domain).saturating_sub(1);
            let cursor = &mut self.cursors[pane as usize];
            *cursor = (*cursor).min(last);
        }
        if self.pane.lines(domain) == 0 {
            self.pane = Pane::Angles;
        }
    }
}

/// The NICs of a domain: those of its XML in that order, then any that were
/// read without being in it.
#[must_use]
pub fn nic_names(domain: &DomainFrame) -> Vec<Arc<str>> {
    let known = domain.devices.nics.iter().map(|nic| &nic.name);
    let read = domain.reading.nics.iter().flatten().map(|nic| &nic.name);
    merged(known, read)
}

/// The disks of a domain, as [`nic_names`].
#[must_use]
pub fn disk_names(domain: &DomainFrame) -> Vec<Arc<str>> {
    let known = domain.devices.disks.iter().map(|disk| &disk.name);
    let read = domain.reading.disks.iter().flatten().map(|disk| &disk.name);
    merged(known, read)
}

fn merged<'a>(
    known: impl Iterator<Item = &'a Arc<str>>,
    read: impl Iterator<Item = &'a Arc<str>>,
) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = known.map(Arc::clone).collect();
    let in_xml = names.len();
    for name in read {
        if !names[..in_xml].contains(name) {
            names.push(Arc::clone(name));
        }
    }
    names
}
