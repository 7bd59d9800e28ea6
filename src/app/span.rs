//! How much of the past the sparklines of a VM's page show, and what stands
//! in each of their columns.
//!
//! Columns keep their place in time: which cycles share one follows from the
//! cycles' own numbers, so that a finished column never changes and the line
//! moves by whole columns only.

use std::time::Duration;

use uuid::Uuid;

use super::Series;
use crate::model::{WallTime, history::Metric};

/// Spans to choose from, as far as the history reaches.
const SPANS: [Duration; 6] = [
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_hours(1),
    Duration::from_hours(6),
    Duration::from_hours(24),
];

/// The span that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(Duration);

impl Default for Span {
    fn default() -> Self {
        Self(Duration::from_mins(5))
    }
}

impl Span {
    /// The next longer one; the longest is all of the history, `kept`.
    pub(super) fn longer(self, kept: Duration) -> Self {
        let next = SPANS.into_iter().find(|&span| span > self.within(kept));
        Self(next.unwrap_or(kept).min(kept))
    }

    /// The next shorter one.
    pub(super) fn shorter(self, kept: Duration) -> Self {
        let next = SPANS.into_iter().rev().find(|&span| span < self.within(kept));
        Self(next.unwrap_or(SPANS[0]).min(kept))
    }

    /// The span shown where the history reaches back `kept` at most.
    #[must_use]
    pub fn within(self, kept: Duration) -> Duration {
        self.0.min(kept)
    }
}

/// A stretch of the past on so many columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Slots in it, newest last.
    slots: usize,
    /// Number of the newest slot since the start.
    newest: u64,
    /// Slots newer than the shown moment.
    hidden: usize,
    /// Cycles that share a column, or columns that one cycle takes.
    scale: Scale,
    columns: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    CyclesPerColumn(u64),
    ColumnsPerCycle(u64),
}

/// One metric over a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// An angle per column, oldest first: of the cycles that share it the
    /// one of largest magnitude, so that no peak is lost. `None` is a gap:
    /// none of them has any.
    pub columns: Vec<Option<f64>>,
    /// The least angle of all cycles.
    pub least: Option<f64>,
    /// The mean of all cycles with an angle.
    pub mean: Option<f64>,
    /// The most.
    pub most: Option<f64>,
}

impl Window {
    /// How many cycles share a column; 1 where each has one, or several.
    #[must_use]
    pub fn cycles_per_column(&self) -> u64 {
        match self.scale {
            Scale::CyclesPerColumn(cycles) => cycles,
            Scale::ColumnsPerCycle(_) => 1,
        }
    }

    /// The columns of the slot that came `back` slots before the newest one,
    /// counted from the left.
    fn columns_of(&self, back: u64) -> std::ops::Range<u16> {
        let from_right = |nth: u64| {
            u64::from(self.columns).checked_sub(nth + 1).and_then(|column| u16::try_from(column).ok())
        };
        let (first, count) = match self.scale {
            Scale::CyclesPerColumn(cycles) => {
                let slot = self.newest.saturating_sub(back);
                (from_right(self.newest / cycles - slot / cycles), 1)
            }
            Scale::ColumnsPerCycle(columns) => (from_right(back * columns + columns - 1), columns),
        };
        let first = first.unwrap_or(self.columns);
        first..first.saturating_add(u16::try_from(count).unwrap_or(u16::MAX)).min(self.columns)
    }
}

/// Cycles that share a column of a short sparkline. One that moves with every
/// cycle is most of what the fleet sends to the terminal, and nobody reads a
/// minute off six columns of a second each.
pub const CYCLES_PER_COLUMN: u64 = 5;

impl Series {
    /// So many columns of [`CYCLES_PER_COLUMN`] cycles each, up to the newest.
    #[must_use]
    pub fn strip(&self, columns: u16) -> Window {
        let hidden = self.hidden();
        let wanted = usize::try_from(u64::from(columns).saturating_mul(CYCLES_PER_COLUMN));
        Window {
            slots: wanted.unwrap_or(usize::MAX).min(self.slots.len(hidden)),
            newest: self.slots.newest(hidden),
            hidden,
            scale: Scale::CyclesPerColumn(CYCLES_PER_COLUMN),
            columns,
        }
    }

    /// The newest `span` on so many columns, at an interval of `interval`.
    #[must_use]
    pub fn window(&self, span: Duration, interval: Duration, columns: u16) -> Window {
        let hidden = self.hidden();
        let slots = self.slots.within(span, hidden);
        let interval = interval.as_nanos().max(1);
        let nominal = u64::try_from(span.as_nanos().div_ceil(interval)).unwrap_or(u64::MAX).max(1);
        // More than that where the interval was shorter; a few more or less
        // are the jitter of cycles, and change no scale.
        let counted = u64::try_from(slots).unwrap_or(u64::MAX);
        let jitter = nominal / 20 + 1;
        let cycles = if counted > nominal.saturating_add(jitter) { counted } else { nominal };
        let room = u64::from(columns.max(1));
        let scale = match room / cycles {
            0 => Scale::CyclesPerColumn(cycles.div_ceil(room)),
            columns => Scale::ColumnsPerCycle(columns),
        };
        Window { slots, newest: self.slots.newest(hidden), hidden, scale, columns }
    }

    /// One metric of one VM over `window`.
    #[must_use]
    pub fn graph(&self, uuid: Uuid, metric: Metric, window: &Window) -> Graph {
        let mut graph =
            Graph { columns: vec![None; usize::from(window.columns)], least: None, mean: None, most: None };
        // A VM that came later has fewer.
        let angles = self.last(uuid, metric, window.slots);
        let held = self.held(uuid, window.slots, window.hidden);
        let (mut sum, mut count) = (0.0, 0.0);
        for (nth, angle) in angles.enumerate() {
            let Some(angle) = angle else { continue };
            sum += angle;
            count += 1.0;
            graph.least = Some(graph.least.map_or(angle, |least| least.min(angle)));
            graph.most = Some(graph.most.map_or(angle, |most| most.max(angle)));
            let back = u64::try_from(held.saturating_sub(nth + 1)).unwrap_or(u64::MAX);
            for column in window.columns_of(back) {
                if let Some(shown) = graph.columns.get_mut(usize::from(column))
                    && shown.is_none_or(|shown| angle.abs() > shown.abs())
                {
                    *shown = Some(angle);
                }
            }
        }
        graph.mean = (count > 0.0).then(|| sum / count);
        graph
    }

    /// The column of `window` in which an event at `at` happened, from the
    /// left; `None`: before it.
    #[must_use]
    pub fn column_at(&self, at: WallTime, window: &Window) -> Option<u16> {
        let back = self.slots.back_of(at, window.hidden).filter(|&back| back < window.slots)?;
        let columns = window.columns_of(u64::try_from(back).ok()?);
        (!columns.is_empty()).then_some(columns.start)
    }
}
