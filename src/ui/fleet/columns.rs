//! Which columns the fleet table has in a given width: the important ones
//! first, more of each as room allows.

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

/// The widths of all columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Name.
    pub name: u16,
    /// vCPUs.
    pub vcpus: u16,
    /// CPU.
    pub cpu: Parts,
    /// Memory.
    pub memory: Parts,
    /// Disk.
    pub disk: Parts,
    /// Network.
    pub net: Parts,
    /// Steal.
    pub steal: u16,
}

impl Columns {
    /// The columns for `width`, with names of up to `longest` columns.
    #[must_use]
    pub fn fit(width: u16, longest: u16) -> Self {
        let mut columns = Self { name: 8, ..Self::default() };
        let mut grow = |step: &dyn Fn(&mut Self)| {
            let mut larger = columns;
            step(&mut larger);
            if larger.total() <= width {
                columns = larger;
            }
        };
        let name = |to: u16| move |c: &mut Self| c.name = c.name.max(to.min(longest.max(8)));
        grow(&|c| c.cpu.percent = PERCENT);
        grow(&|c| c.memory.percent = PERCENT);
        grow(&name(12));
        grow(&|c| {
            c.cpu.gauge = 4;
            c.memory.gauge = 4;
        });
        grow(&|c| c.cpu.degrees = DEGREES);
        grow(&|c| c.disk.degrees = DEGREES);
        grow(&|c| c.net.degrees = DEGREES);
        grow(&|c| c.memory.degrees = SIGNED);
        grow(&|c| {
            c.disk.gauge = 4;
            c.net.gauge = 4;
        });
        grow(&name(14));
        grow(&|c| c.gauges(5));
        grow(&|c| c.cpu.spark = 6);
        grow(&name(16));
        grow(&|c| {
            c.disk.rates = RATES;
            c.net.rates = RATES;
        });
        grow(&|c| c.vcpus = 4);
        grow(&|c| c.net.spark = 6);
        grow(&|c| c.disk.spark = 6);
        grow(&|c| c.memory.spark = 6);
        grow(&|c| c.steal = 6);
        grow(&name(20));
        grow(&|c| c.gauges(8));
        grow(&name(28));
        grow(&|c| c.sparks(10));
        grow(&|c| c.gauges(10));
        for to in [36, 44, 52, 60] {
            grow(&name(to));
        }
        for to in 11..40 {
            grow(&|c| c.sparks(to));
        }
        columns
    }

    fn gauges(&mut self, width: u16) {
        for parts in [&mut self.cpu, &mut self.memory, &mut self.disk, &mut self.net] {
            parts.gauge = width;
        }
    }

    fn sparks(&mut self, width: u16) {
        for parts in [&mut self.cpu, &mut self.memory, &mut self.disk, &mut self.net] {
            parts.spark = width;
        }
    }

    fn total(&self) -> u16 {
        let rest = [
            self.vcpus,
            self.cpu.width(),
            self.memory.width(),
            self.disk.width(),
            self.net.width(),
            self.steal,
        ];
        rest.into_iter().filter(|&w| w > 0).map(|w| w + GAP).sum::<u16>() + LEAD + self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_and_more_width_never_takes_a_column_away() {
        for longest in [3, 14, 60] {
            for width in 20..260 {
                let columns = Columns::fit(width, longest);
                assert!(columns.total() <= width, "{width}: {columns:?}");
            }
        }
        let at = |width| Columns::fit(width, 60);
        for metric in [at(80).cpu, at(80).memory, at(80).disk, at(80).net] {
            assert!(metric.gauge >= 4 && metric.degrees > 0, "all gauges and degrees at 80 columns");
        }
        assert!(at(40).cpu.percent > 0 && at(40).memory.percent > 0);
        let all = at(150);
        assert!(all.vcpus > 0 && all.steal > 0 && all.disk.rates > 0, "{all:?}");
        for metric in [all.cpu, all.memory, all.disk, all.net] {
            assert!(metric.spark >= 6, "{all:?}");
        }
    }
}
