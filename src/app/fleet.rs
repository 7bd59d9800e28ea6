//! Which VMs the table shows, in which order, and which one is selected.
//!
//! Owns filter, sort and selection. The selection is a uuid, so that it stays
//! on its VM while rows move; when the VM is gone, its neighbour is selected.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    columns::Columns,
    movers::Movers,
    sort::{Direction, Rank, SortKey},
    span::CYCLES_PER_COLUMN,
};
use crate::model::{DomainFrame, DomainState, Frame, MonoTime, glance::Glance};

/// Whether VMs that are off have rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inactive {
    /// At the end of the table.
    #[default]
    Shown,
    /// Only counted.
    Hidden,
}

/// How VMs are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// A row each.
    #[default]
    Table,
    /// A card each.
    Cards,
}

/// The table's rows and the cursor in them.
#[derive(Clone, Debug)]
pub struct Fleet {
    sort: SortKey,
    direction: Direction,
    inactive: Inactive,
    view: View,
    pub(super) columns: Columns,
    filter: String,
    /// Indices into the shown frame's domains.
    rows: Vec<usize>,
    /// The same rows as uuids, to find a neighbour when one is gone.
    order: Vec<Uuid>,
    selected: Option<usize>,
    /// When the order was found, while values gave the rows one.
    found: Option<Found>,
    /// Whether the cursor has a VM of its own: once it was moved, or the
    /// first values gave the rows an order. Before, it is on the first row.
    settled: bool,
}

/// When an order was found, and what would change it at once.
#[derive(Clone, Debug)]
struct Found {
    at: MonoTime,
    /// The column of the sparklines at that time.
    column: u64,
    /// Of each of the frame's domains.
    places: Vec<Place>,
}

/// How long an order stands by itself. Busy VMs whose rows change places with
/// every cycle cannot be read, and cost most of what goes to the terminal.
const STANDS: Duration = Duration::from_secs(5);

/// In which part of the table a domain belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It has no row.
    Nowhere,
    Needy,
    Live,
    Off,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            sort: SortKey::Cpu,
            direction: Direction::Descending,
            inactive: Inactive::default(),
            view: View::default(),
            columns: Columns::default(),
            filter: String::new(),
            rows: Vec::new(),
            order: Vec::new(),
            selected: None,
            found: None,
            settled: false,
        }
    }
}

impl Fleet {
    /// The shown rows as indices into the frame's domains.
    #[must_use]
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The row of the cursor.
    #[must_use]
    pub fn selected_row(&self) -> Option<usize> {
        self.selected
    }

    /// The VM of the cursor; always one that is shown.
    #[must_use]
    pub fn selected(&self) -> Option<Uuid> {
        self.selected.and_then(|row| self.order.get(row)).copied()
    }

    /// Column and direction of the order.
    #[must_use]
    pub fn sort(&self) -> (SortKey, Direction) {
        (self.sort, self.direction)
    }

    /// The filter in force; empty: none.
    #[must_use]
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Whether VMs that are off are shown.
    #[must_use]
    pub fn inactive(&self) -> Inactive {
        self.inactive
    }

    /// A row or a card for each VM.
    #[must_use]
    pub fn view(&self) -> View {
        self.view
    }

    /// The columns of the table.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    pub(super) fn set_filter(&mut self, filter: &str) {
        filter.trim().clone_into(&mut self.filter);
    }

    pub(super) fn toggle_inactive(&mut self) {
        self.inactive = match self.inactive {
            Inactive::Shown => Inactive::Hidden,
            Inactive::Hidden => Inactive::Shown,
        };
    }

    pub(super) fn set_view(&mut self, view: View) {
        self.view = view;
    }

    pub(super) fn set_sort(&mut self, sort: SortKey, direction: Direction) {
        (self.sort, self.direction) = (sort, direction);
    }

    pub(super) fn set_inactive(&mut self, inactive: Inactive) {
        self.inactive = inactive;
    }

    /// Sorts by the next of the name, the columns of the table, and the
    /// change, which is worth an order even without a column.
    pub(super) fn sort_next(&mut self) {
        let name = std::iter::once(SortKey::Name);
        let change = self.columns.chosen().all(|key| key != SortKey::Change).then_some(SortKey::Change);
        let keys: Vec<SortKey> = name.chain(self.columns.chosen()).chain(change).collect();
        let next = keys.iter().position(|&key| key == self.sort).map_or(0, |at| at + 1);
        self.sort_by(keys[next % keys.len()]);
    }

    /// Sorts by `key`; by the same key again: the other way round.
    pub(super) fn sort_by(&mut self, key: SortKey) {
        if key == self.sort {
            self.reverse();
        } else {
            self.sort = key;
            self.direction = key.natural();
        }
    }

    pub(super) fn reverse(&mut self) {
        self.direction = self.direction.reversed();
    }

    pub(super) fn select(&mut self, uuid: Uuid) {
        if let Some(row) = self.order.iter().position(|&u| u == uuid) {
            self.selected = Some(row);
            self.settled = true;
        }
    }

    pub(super) fn move_by(&mut self, step: isize) {
        self.settled = true;
        if let (Some(row), Some(last)) = (self.selected, self.rows.len().checked_sub(1)) {
            self.selected = Some(row.saturating_add_signed(step).min(last));
        }
    }

    /// Moves the cursor by lines of `side_by_side` VMs and keeps its place
    /// within the line; beyond either end it goes to the first or last VM, and
    /// within the first or last line a step up or down has nowhere to go.
    pub(super) fn move_lines(&mut self, lines: isize, side_by_side: usize) {
        let (Some(row), Some(last)) = (self.selected, self.rows.len().checked_sub(1)) else {
            return self.move_by(lines);
        };
        let width = side_by_side.max(1);
        let edge = if lines < 0 { row / width == 0 } else { row / width == last / width };
        if edge && lines.abs() == 1 && width > 1 {
            return;
        }
        self.move_by(lines.saturating_mul(isize::try_from(width).unwrap_or(1)));
    }

    /// Finds the rows of the newest `frame`: anew where a VM came, went, or
    /// needs somebody, and every now and then; else they stay as they are.
    /// `cycle` counts the cycles of the sparklines, with which rows move.
    pub(super) fn follow(&mut self, frame: &Frame, movers: &Movers, cycle: u64) {
        let column = cycle / CYCLES_PER_COLUMN;
        let stands = self.found.as_ref().is_some_and(|found| {
            found.column == column
                && u128::from(frame.mono.0.abs_diff(found.at.0)) < STANDS.as_nanos()
                && self.is_arranged(frame, &found.places)
        });
        if stands {
            return;
        }
        if self.arrange(Some(frame), movers) {
            let places = self.places(frame).collect();
            self.found = Some(Found { at: frame.mono, column, places });
        }
    }

    /// Whether the rows are those of `frame`, in the same parts of the table.
    fn is_arranged(&self, frame: &Frame, places: &[Place]) -> bool {
        let glances = frame.domains.glances();
        let uuids = self.rows.iter().map(|&row| glances.get(row).map(|glance| glance.uuid));
        self.places(frame).eq(places.iter().copied()) && uuids.eq(self.order.iter().copied().map(Some))
    }

    /// Where each domain of `frame` belongs.
    fn places(&self, frame: &Frame) -> impl Iterator<Item = Place> {
        let needle = Needle::new(&self.filter);
        let domains = frame.domains.iter().zip(frame.domains.glances());
        domains.map(move |(domain, glance)| self.place(glance, domain, &needle))
    }

    fn place(&self, glance: &Glance, domain: &DomainFrame, needle: &Needle) -> Place {
        if (self.inactive == Inactive::Hidden && !glance.live) || !needle.matches(domain) {
            Place::Nowhere
        } else if !glance.live {
            Place::Off
        } else if glance.needy {
            Place::Needy
        } else {
            Place::Live
        }
    }

    /// Finds the rows of `frame` anew and keeps the cursor on its VM. Returns
    /// whether values gave them an order.
    pub(super) fn arrange(&mut self, frame: Option<&Frame>, movers: &Movers) -> bool {
        self.found = None;
        let Some(frame) = frame else { return false };
        let needle = Needle::new(&self.filter);
        let glances = frame.domains.glances();
        let mut keyed: Vec<(Rank, usize)> = frame
            .domains
            .iter()
            .zip(glances)
            .enumerate()
            .filter(|(_, (domain, glance))| self.place(glance, domain, &needle) != Place::Nowhere)
            .map(|(i, (domain, glance))| (Rank::of(glance, domain, self.sort, movers), i))
            .collect();
        // A frame's domains stand in the order of their names already.
        keyed.sort_by(|(a, i), (b, j)| {
            a.compare(b, self.direction).then_with(|| match (self.sort, self.direction) {
                (SortKey::Name, Direction::Descending) => j.cmp(i),
                _ => i.cmp(j),
            })
        });
        let ordered = keyed.iter().any(|(rank, _)| rank.orders());
        let rows: Vec<usize> = keyed.into_iter().map(|(_, i)| i).collect();
        let order: Vec<Uuid> = rows.iter().map(|&i| glances[i].uuid).collect();
        self.selected = self.keep_cursor(&order);
        self.settled |= ordered;
        self.rows = rows;
        self.order = order;
        ordered
    }

    /// The row in `order` of the VM that was selected, or of the nearest
    /// neighbour that is still there: the ones below first, then those above.
    fn keep_cursor(&self, order: &[Uuid]) -> Option<usize> {
        if order.is_empty() {
            return None;
        }
        let Some(old) = self.selected.filter(|_| self.settled) else { return Some(0) };
        let current = self.order.get(old).copied();
        if let Some(row) = current.and_then(|uuid| order.iter().position(|&u| u == uuid)) {
            return Some(row);
        }
        let places: std::collections::HashMap<Uuid, usize> =
            order.iter().enumerate().map(|(row, &uuid)| (uuid, row)).collect();
        let below = self.order.iter().skip(old + 1);
        let above = self.order.iter().take(old).rev();
        let neighbour = below.chain(above).find_map(|uuid| places.get(uuid).copied());
        Some(neighbour.unwrap_or_else(|| old.min(order.len() - 1)))
    }
}

/// A filter taken apart: every word must be met.
struct Needle {
    words: Vec<Word>,
}

enum Word {
    /// Part of the name or, from four characters on, of the uuid, in lower
    /// case: shorter texts such as `db` stand in nearly every uuid.
    Text(String),
    /// Beginning of the state's word, or of `hung`.
    State(String),
}

impl Needle {
    fn new(filter: &str) -> Self {
        let words = filter
            .split_whitespace()
            .map(|word| {
                let word = word.to_lowercase();
                match word.strip_prefix("state:") {
                    Some(state) => Word::State(state.to_owned()),
                    None => Word::Text(word),
                }
            })
            .collect();
        Self { words }
    }

    fn matches(&self, domain: &DomainFrame) -> bool {
        self.words.iter().all(|word| match word {
            Word::Text(text) => {
                domain.identity().name.to_lowercase().contains(text)
                    || (text.len() >= 4 && domain.identity().uuid.to_string().contains(text))
            }
            Word::State(state) => {
                domain.state().word().starts_with(state.as_str())
                    || ("hung".starts_with(state.as_str()) && is_hung(domain))
                    || ("off".starts_with(state.as_str()) && domain.state() == DomainState::Shutoff)
            }
        })
    }
}

/// Whether memory in use is what the guest says. Without its report the
/// balloon's size stands in: what the guest has, not how full it is.
#[must_use]
pub fn memory_is_reported(domain: &DomainFrame) -> bool {
    domain.memory_is_reported()
}

/// Whether the domain's monitor does not answer.
#[must_use]
pub fn is_hung(domain: &DomainFrame) -> bool {
    domain.is_hung()
}

/// How many VMs are in which condition, over the whole frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Running or blocked, and answering in full or in part.
    pub running: usize,
    /// Paused or suspended.
    pub paused: usize,
    /// Live, and the monitor does not answer.
    pub hung: usize,
    /// Crashed, or in no state.
    pub crashed: usize,
    /// Not live.
    pub off: usize,
}

impl Counts {
    /// Counts the VMs of `frame`.
    #[must_use]
    pub fn of(frame: &Arc<Frame>) -> Self {
        let mut counts = Self::default();
        for glance in frame.domains.glances() {
            let bin = if glance.hung {
                &mut counts.hung
            } else {
                match glance.state {
                    DomainState::Crashed => &mut counts.crashed,
                    _ if !glance.live => &mut counts.off,
                    DomainState::Paused | DomainState::PmSuspended => &mut counts.paused,
                    _ => &mut counts.running,
                }
            };
            *bin += 1;
        }
        counts
    }
}
