//! What a VM's page is made of: its panes and the lines one can select.

use std::sync::Arc;

use uuid::Uuid;

use super::order::{Order, Table};
use crate::model::{DomainFrame, WallTime, history::Metric};

/// How many panes there are.
const PANES: usize = 6;

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
    /// Who it is.
    Identity,
}

/// A line of [`Pane::Identity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The uuid.
    Uuid,
    /// libvirt's id.
    Id,
    /// The guest's operating system, as the XML names it.
    Os,
    /// The machine type.
    Machine,
    /// Whether it is started with the host.
    Autostart,
}

impl Fact {
    /// All of them, in the order of the pane.
    pub const ALL: [Self; 5] = [Self::Uuid, Self::Id, Self::Os, Self::Machine, Self::Autostart];
}

impl Pane {
    /// All panes, in the order of the page.
    pub const ALL: [Self; PANES] =
        [Self::Angles, Self::Nics, Self::Disks, Self::Vcpus, Self::Events, Self::Identity];

    /// How many lines it has for `domain`.
    #[must_use]
    pub fn lines(self, domain: &DomainFrame) -> usize {
        match self {
            Self::Angles => Metric::ALL.len(),
            Self::Nics => nic_names(domain).len(),
            Self::Disks => disk_names(domain).len(),
            Self::Vcpus => domain.rates.vcpus.len(),
            Self::Events => domain.timeline.len(),
            Self::Identity => Fact::ALL.len(),
        }
    }
}

/// What a cursor stays on while lines come, go and change places.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    /// A NIC or a disk, by its name.
    Device(Arc<str>),
    /// An event, by the instant no other one of the timeline has.
    Event(WallTime),
}

/// An open VM page.
#[derive(Clone, Debug)]
pub struct VmPage {
    /// Whose page it is.
    pub uuid: Uuid,
    /// Its name when the page was opened, for the time after it is gone.
    pub name: Arc<str>,
    pane: Pane,
    cursors: [usize; PANES],
    held: [Option<Held>; PANES],
    nics: Order,
    disks: Order,
}

impl VmPage {
    pub(super) fn new(uuid: Uuid, name: Arc<str>) -> Self {
        Self {
            uuid,
            name,
            pane: Pane::Angles,
            cursors: [0; PANES],
            held: [const { None }; PANES],
            nics: Order::default(),
            disks: Order::default(),
        }
    }

    /// The pane the keys act on.
    #[must_use]
    pub fn pane(&self) -> Pane {
        self.pane
    }

    /// The selected line of the pane.
    #[must_use]
    pub fn cursor(&self) -> usize {
        self.cursor_of(self.pane)
    }

    /// The selected line of `pane`, whether the keys act on it or not.
    #[must_use]
    pub fn cursor_of(&self, pane: Pane) -> usize {
        self.cursors[pane as usize]
    }

    /// The NICs of `domain` in the order chosen.
    #[must_use]
    pub fn nics(&self, domain: &DomainFrame) -> Vec<Arc<str>> {
        self.nics.names(Table::Nics, domain)
    }

    /// The disks of `domain` in the order chosen.
    #[must_use]
    pub fn disks(&self, domain: &DomainFrame) -> Vec<Arc<str>> {
        self.disks.names(Table::Disks, domain)
    }

    /// The order of the NICs, and of the disks.
    #[must_use]
    pub fn orders(&self) -> (Order, Order) {
        (self.nics, self.disks)
    }

    /// Sorts the pane in focus by its next column, or turns its order round.
    /// Only NICs and disks have an order of their own.
    pub(super) fn sort(&mut self, domain: &DomainFrame, reverse: bool) {
        let (order, table) = match self.pane {
            Pane::Nics => (&mut self.nics, Table::Nics),
            Pane::Disks => (&mut self.disks, Table::Disks),
            _ => return,
        };
        if reverse {
            order.reverse();
        } else {
            order.next(table);
        }
        self.clamp(domain);
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
        self.clamp(domain);
    }

    pub(super) fn point(&mut self, domain: &DomainFrame, pane: Pane, line: usize) {
        self.pane = pane;
        self.place(domain, line);
    }

    pub(super) fn move_by(&mut self, domain: &DomainFrame, step: isize) {
        self.place(domain, self.cursor().saturating_add_signed(step));
    }

    /// Puts the cursor of the pane in focus on `line` and holds what is there.
    fn place(&mut self, domain: &DomainFrame, line: usize) {
        let last = self.pane.lines(domain).saturating_sub(1);
        let line = line.min(last);
        self.cursors[self.pane as usize] = line;
        self.held[self.pane as usize] = self.at(domain, self.pane, line);
    }

    /// What is on a line of a pane whose lines change places.
    fn at(&self, domain: &DomainFrame, pane: Pane, line: usize) -> Option<Held> {
        match pane {
            Pane::Nics => self.nics(domain).into_iter().nth(line).map(Held::Device),
            Pane::Disks => self.disks(domain).into_iter().nth(line).map(Held::Device),
            Pane::Events => domain.timeline.iter().rev().nth(line).map(|event| Held::Event(event.since)),
            Pane::Angles | Pane::Vcpus | Pane::Identity => None,
        }
    }

    /// The line on which `held` is now.
    fn line_of(&self, domain: &DomainFrame, pane: Pane, held: &Held) -> Option<usize> {
        match held {
            Held::Device(name) if pane == Pane::Nics => self.nics(domain).iter().position(|nic| nic == name),
            Held::Device(name) => self.disks(domain).iter().position(|disk| disk == name),
            Held::Event(since) => domain.timeline.iter().rev().position(|event| event.since == *since),
        }
    }

    /// Devices come, go and change places: a cursor stays on what it was put
    /// on, and never points past the last line. Where that is gone it is on
    /// what took its place.
    pub(super) fn clamp(&mut self, domain: &DomainFrame) {
        if self.pane.lines(domain) == 0 {
            self.pane = Pane::Angles;
        }
        for pane in Pane::ALL {
            let last = pane.lines(domain).saturating_sub(1);
            let held = self.held[pane as usize].as_ref();
            let found = held.and_then(|held| self.line_of(domain, pane, held));
            let line = found.unwrap_or(self.cursors[pane as usize]).min(last);
            let keeps = held.is_some() || pane == self.pane;
            self.cursors[pane as usize] = line;
            if keeps && found.is_none() {
                self.held[pane as usize] = self.at(domain, pane, line);
            }
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
