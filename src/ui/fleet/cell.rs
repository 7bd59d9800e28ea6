//! What the cells of a VM's row show: each metric's numbers, or why there are
//! none.

use ratatui::style::Style;

use crate::{
    app::fleet::memory_is_reported,
    model::{Degrees, DomainFrame, Measured, history::Metric},
    ui::{
        aged::{Old, Shown},
        theme::{Palette, Severity},
    },
};

/// One metric of a VM, as a cell shows it.
pub struct Cell {
    /// How full the gauge is, and its ink.
    pub fill: (f64, Style),
    /// The percent, and how much it asks for attention.
    pub percent: Option<(f64, Severity)>,
    /// Whether the percent is another value standing in for it.
    pub stand_in: bool,
    /// Both directions, in bytes per second.
    pub rates: Option<[Measured<f64>; 2]>,
    /// The angle.
    pub degrees: Measured<Degrees>,
    /// Whether the angle has a direction of its own.
    pub signed: bool,
    /// What the sparkline is of.
    pub spark: Spark,
    /// What to say of numbers that are not this cycle's.
    pub old: Option<Old>,
}

/// What a sparkline shows, and its ink.
#[derive(Clone, Copy)]
pub enum Spark {
    /// One metric.
    Of(Metric, Style),
    /// In each column the direction that moved more then, in its ink. One that
    /// showed the past of the direction that moves more now would be another
    /// whenever they change places.
    Larger([(Metric, Style); 2]),
}

/// The guest's CPU.
pub fn cpu(domain: &DomainFrame, palette: &Palette, thresholds: (f64, f64)) -> Measured<Cell> {
    let rates = &domain.rates;
    let percent = rates.cpu_percent?;
    let severity = Severity::of(percent, thresholds);
    Ok(Cell {
        fill: (percent / 100.0, palette.fill(severity)),
        percent: Some((percent, severity)),
        stand_in: false,
        rates: None,
        degrees: rates.angles.cpu,
        signed: false,
        spark: Spark::Of(Metric::Cpu, palette.load),
        old: None,
    })
}

/// Memory. Without the guest's report the balloon's size stands in: it says
/// how much the guest has, not how full it is, and is no cause for alarm.
pub fn memory(shown: Shown<'_>, palette: &Palette, thresholds: (f64, f64)) -> Measured<Cell> {
    let rates = &shown.domain.rates;
    let percent = rates.memory_percent?;
    let reported = memory_is_reported(shown.domain);
    let severity = if reported { Severity::of(percent, thresholds) } else { Severity::Calm };
    let fill = match (shown.old, reported) {
        (Some(_), _) => palette.old,
        (None, true) => palette.fill(severity),
        (None, false) => palette.faint,
    };
    Ok(Cell {
        fill: (percent / 100.0, fill),
        percent: Some((percent, severity)),
        stand_in: !reported,
        rates: None,
        degrees: rates.angles.memory,
        signed: true,
        spark: Spark::Of(Metric::Memory, palette.load),
        old: shown.old,
    })
}

/// All disks together.
pub fn disk(shown: Shown<'_>, palette: &Palette) -> Measured<Cell> {
    let rates = &shown.domain.rates;
    let cell = two_way(
        [rates.angles.disk_read, rates.angles.disk_write],
        [rates.disk.read_bytes_per_s, rates.disk.write_bytes_per_s],
        [Metric::DiskRead, Metric::DiskWrite],
        palette,
    )?;
    let fill = if shown.old.is_some() { palette.old } else { cell.fill.1 };
    Ok(Cell { fill: (cell.fill.0, fill), old: shown.old, ..cell })
}

/// All NICs together.
pub fn net(domain: &DomainFrame, palette: &Palette) -> Measured<Cell> {
    let rates = &domain.rates;
    two_way(
        [rates.angles.net_rx, rates.angles.net_tx],
        [rates.net.rx_bytes_per_s, rates.net.tx_bytes_per_s],
        [Metric::NetRx, Metric::NetTx],
        palette,
    )
}

/// Disk or network: gauge and degrees are of the direction that moves more.
fn two_way(
    angles: [Measured<Degrees>; 2],
    rates: [Measured<f64>; 2],
    [inward, outward]: [Metric; 2],
    palette: &Palette,
) -> Measured<Cell> {
    let (degrees, ink) = match angles {
        [Ok(inward), Ok(outward)] if outward.0 > inward.0 => (outward, palette.outward),
        [Ok(inward), _] => (inward, palette.inward),
        [Err(_), Ok(outward)] => (outward, palette.outward),
        [Err(why), Err(_)] => return Err(why),
    };
    Ok(Cell {
        fill: (degrees.0 / 90.0, ink),
        percent: None,
        stand_in: false,
        rates: Some(rates),
        degrees: Ok(degrees),
        signed: false,
        spark: Spark::Larger([(inward, palette.inward), (outward, palette.outward)]),
        old: None,
    })
}
