//! Which of the chosen columns the fleet table has in a given width: the
//! important ones first, more of each as room allows.

use crate::app::{SortKey, columns};

/// Marker, glyph and a blank before the name.
pub const LEAD: u16 = 3;
/// Between two columns.
pub const GAP: u16 = 2;
/// `!100%`
const PERCENT: u16 = 5;
/// ` 412K/12.4M`
const RATES: u16 = 11;
/// `51.1°`
const DEGREES: u16 = 5;
/// `▼51.1°`
const SIGNED: u16 = 6;
/// Names are cut to this many columns before anything is left out.
const SHORT: u16 = 8;

/// The parts of one metric's column; 0 is "not shown".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The gauge.
    pub gauge: u16,
    /// Mark and percent; stands right against the gauge.
    pub percent: u16,
    /// Both rates.
    pub rates: u16,
    /// Degrees.
    pub degrees: u16,
    /// Sparkline.
    pub spark: u16,
}

impl Parts {
    /// Columns the whole takes.
    #[must_use]
    pub fn width(self) -> u16 {
        let spaced = [self.rates, self.degrees, self.spark];
        let mut width = self.gauge + self.percent;
        for part in spaced.into_iter().filter(|&part| part > 0) {
            width += part + u16::from(width > 0);
        }
        width
    }
}

/// One column beside the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// What it shows.
    pub key: SortKey,
    /// Of a metric with a gauge, its parts.
    pub parts: Parts,
    /// Of a plain number, its width.
    pub number: u16,
}

impl Column {
    /// Columns it takes; 0: it is left out.
    #[must_use]
    pub fn width(self) -> u16 {
        self.parts.width() + self.number
    }
}

/// Whether a column has gauge, degrees and sparkline.
#[must_use]
pub fn is_metric(key: SortKey) -> bool {
    matches!(key, SortKey::Cpu | SortKey::Memory | SortKey::Disk | SortKey::Net)
}

/// The table's columns with their widths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Columns of the name.
    pub name: u16,
    /// Those beside it, in the chosen order.
    pub shown: Vec<Column>,
    /// Those for which there is no room.
    pub left_out: Vec<SortKey>,
}

impl Columns {
    /// The chosen columns for `width`, with names of up to `longest` columns.
    /// The one the rows are sorted by is always among them: an order by what
    /// cannot be seen is none.
    #[must_use]
    pub fn fit(width: u16, longest: u16, chosen: &columns::Columns, sorted: SortKey) -> Self {
        let usual = chosen.are_usual();
        let mut keys: Vec<SortKey> = chosen.chosen().collect();
        if sorted != SortKey::Name && !keys.contains(&sorted) {
            keys.insert(0, sorted);
        }
        let shown = keys.iter().map(|&key| Column { key, parts: Parts::default(), number: 0 }).collect();
        let mut growing =
            Growing { columns: Self { name: SHORT, shown, left_out: Vec::new() }, width, longest };
        // Who chose wants to see it: from left to right, each at its least.
        for &key in keys.iter().filter(|key| !usual || !key.is_usual()) {
            growing.least(key);
        }
        growing.all();
        let Growing { mut columns, .. } = growing;
        columns.left_out = columns.shown.iter().filter(|c| c.width() == 0).map(|c| c.key).collect();
        columns.shown.retain(|column| column.width() > 0);
        columns
    }

    fn total(&self) -> u16 {
        let widths = self.shown.iter().map(|column| column.width());
        widths.filter(|&w| w > 0).map(|w| w + GAP).sum::<u16>() + LEAD + self.name
    }
}

/// Columns that grow step by step; a step that does not fit is not taken.
struct Growing {
    columns: Columns,
    width: u16,
    longest: u16,
}

impl Growing {
    fn step(&mut self, change: impl FnOnce(&mut Columns)) {
        let mut larger = self.columns.clone();
        change(&mut larger);
        if larger.total() <= self.width {
            self.columns = larger;
        }
    }

    fn names(&mut self, to: u16) {
        let to = to.min(self.longest.max(SHORT));
        self.step(|c| c.name = c.name.max(to));
    }

    /// A step of some columns' parts, taken by those that are chosen.
    fn parts(&mut self, keys: &[SortKey], change: impl Fn(&mut Parts)) {
        self.step(|c| {
            c.shown.iter_mut().filter(|c| keys.contains(&c.key)).for_each(|c| change(&mut c.parts));
        });
    }

    /// As [`Growing::parts`], of the columns that are there already.
    fn present(&mut self, change: impl Fn(&mut Parts)) {
        self.step(|c| {
            let present = c.shown.iter_mut().filter(|c| is_metric(c.key) && c.width() > 0);
            present.for_each(|c| change(&mut c.parts));
        });
    }

    fn number(&mut self, key: SortKey) {
        let number = match key {
            SortKey::Vcpus => 4,
            SortKey::Rss => 5,
            SortKey::Steal | SortKey::Cores => 6,
            SortKey::Change => 12,
            _ => 0,
        };
        self.step(|c| {
            c.shown.iter_mut().filter(|c| c.key == key).for_each(|c| c.number = number);
        });
    }

    /// The least of a column that is worth having.
    fn least(&mut self, key: SortKey) {
        match key {
            SortKey::Cpu | SortKey::Memory => self.parts(&[key], |parts| parts.percent = PERCENT),
            SortKey::Disk | SortKey::Net => self.parts(&[key], |parts| parts.degrees = DEGREES),
            _ => self.number(key),
        }
    }

    fn all(&mut self) {
        use SortKey::{Cpu, Disk, Memory, Net, Steal, Vcpus};
        self.least(Cpu);
        self.least(Memory);
        self.names(12);
        self.parts(&[Cpu, Memory], |p| p.gauge = 4);
        self.parts(&[Cpu], |p| p.degrees = DEGREES);
        self.least(Disk);
        self.least(Net);
        self.parts(&[Memory], |p| p.degrees = SIGNED);
        self.parts(&[Disk, Net], |p| p.gauge = 4);
        self.names(14);
        self.present(|p| p.gauge = 5);
        self.parts(&[Cpu], |p| p.spark = 6);
        self.names(16);
        self.parts(&[Disk, Net], |p| p.rates = RATES);
        self.number(Vcpus);
        self.parts(&[Net], |p| p.spark = 6);
        self.parts(&[Disk], |p| p.spark = 6);
        self.parts(&[Memory], |p| p.spark = 6);
        self.number(Steal);
        self.names(20);
        self.present(|p| p.gauge = 8);
        self.names(28);
        self.present(|p| p.spark = 10);
        self.present(|p| p.gauge = 10);
        for to in [36, 44, 52, 60] {
            self.names(to);
        }
        for to in 11..40 {
            self.present(|p| p.spark = to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(width: u16, longest: u16) -> Columns {
        Columns::fit(width, longest, &columns::Columns::default(), SortKey::Cpu)
    }

    fn parts(columns: &Columns, key: SortKey) -> Parts {
        columns.shown.iter().find(|c| c.key == key).map(|c| c.parts).unwrap_or_default()
    }

    const METRICS: [SortKey; 4] = [SortKey::Cpu, SortKey::Memory, SortKey::Disk, SortKey::Net];

    #[test]
    fn columns_fit_into_any_width_and_all_are_accounted_for() {
        for longest in [3, 14, 60] {
            for width in 20..260 {
                let columns = fit(width, longest);
                assert!(columns.total() <= width, "{width}: {columns:?}");
                assert_eq!(columns.shown.len() + columns.left_out.len(), 6);
            }
        }
        for metric in METRICS.map(|key| parts(&fit(80, 60), key)) {
            assert!(metric.gauge >= 4 && metric.degrees > 0, "all gauges and degrees at 80 columns");
        }
        let small = fit(40, 60);
        assert!(parts(&small, SortKey::Cpu).percent > 0 && parts(&small, SortKey::Memory).percent > 0);
        let all = fit(150, 60);
        assert!(all.left_out.is_empty() && parts(&all, SortKey::Disk).rates > 0, "{all:?}");
        for metric in METRICS.map(|key| parts(&all, key)) {
            assert!(metric.spark >= 6, "{all:?}");
        }
    }

    #[test]
    fn of_chosen_columns_those_at_the_right_give_way_first() {
        let chosen = columns::Columns::of(&[SortKey::Change, SortKey::Net, SortKey::Rss, SortKey::Cpu]);
        let at = |width| Columns::fit(width, 60, &chosen, SortKey::Net);
        let keys = |columns: &Columns| columns.shown.iter().map(|c| c.key).collect::<Vec<_>>();
        assert_eq!(keys(&at(80)), [SortKey::Change, SortKey::Net, SortKey::Rss, SortKey::Cpu]);
        assert_eq!(keys(&at(41)), [SortKey::Change, SortKey::Net, SortKey::Rss]);
        assert_eq!(at(41).left_out, [SortKey::Cpu]);
        assert_eq!(keys(&at(27)), [SortKey::Change]);
    }

    #[test]
    fn what_is_sorted_by_is_shown_even_where_it_was_not_chosen() {
        for width in 30..200 {
            for sorted in SortKey::COLUMNS {
                let columns = Columns::fit(width, 60, &columns::Columns::default(), sorted);
                assert!(columns.total() <= width);
                if !sorted.is_usual() {
                    assert!(columns.shown.iter().any(|c| c.key == sorted), "{width} {sorted:?}");
                }
            }
        }
    }
}
