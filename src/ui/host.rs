//! The host's load as the header shows it: what matters most stays longest
//! when the line grows short. What is missing is said in full on the status
//! page.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, widgets::Widget};

use super::{Look, gauge::Gauge, glyph, text::Strip, theme::Severity, units};
use crate::{
    app::App,
    model::{Frame, Measured, host::Pressure, missing::Kind},
};

/// Percent of the last ten seconds in which something waited, from which
/// pressure is a warning, and critical.
pub const PRESSURE: (f64, f64) = (20.0, 50.0);
/// vCPUs per CPU, and percent of the host's memory, from which what was given
/// away is worth a warning: what nobody needs at once costs nobody anything.
const FULL: f64 = 100.0;
/// Columns of a gauge, and of a line that has room for gauges.
const GAUGE: u16 = 6;
const WITH_GAUGES: u16 = 110;

/// Adds the host's pieces to the header's line of `width` columns.
pub fn pieces(strip: &mut Strip, app: &App, frame: &Frame, look: &Look, width: u16) {
    let palette = &look.palette;
    let screen = app.screen();
    let thresholds = (screen.warn_percent, screen.critical_percent);
    let load = &frame.load;
    let memory = load.memory.and_then(|memory| memory.used_percent());
    for (label, percent) in [("CPU ", load.cpu.map(|cpu| cpu.busy())), ("MEM ", memory)] {
        if let Some(parts) = share(label, percent, thresholds, look, width >= WITH_GAUGES) {
            strip.left(3, parts);
        }
    }
    let given = app.tally().map(|tally| (tally.given, tally.given_is_old));
    if let (Some(Ok(vcpus)), Some(cpus)) = (given.map(|(given, _)| given.vcpus), frame.host.cpus) {
        strip.left(5, vec![("vCPU ".into(), palette.dim), (format!("{vcpus}:{cpus}"), palette.text)]);
    }
    if let Some((Ok(percent), old)) = given.map(|(given, old)| (given.memory_percent, old)) {
        let severity = if percent > FULL { Severity::Warn } else { Severity::Calm };
        let mark = if old { glyph::STAND_IN } else { "" };
        let number = format!("{}{mark}{percent:.0}%", glyph::mark(severity).trim());
        strip.left(
            6,
            vec![
                (number, palette.severity(severity, palette.text)),
                (" of memory given".to_owned(), palette.dim),
            ],
        );
    }
    if let Ok(pressure) = load.pressure {
        let (rank, parts) = waiting(pressure, look);
        strip.left(rank, parts);
    }
}

/// A gauge and its percent. What this host can never tell takes no room.
fn share(
    label: &str,
    percent: Measured<f64>,
    thresholds: (f64, f64),
    look: &Look,
    gauge: bool,
) -> Option<Vec<(String, Style)>> {
    let palette = &look.palette;
    let mut parts = vec![(label.to_owned(), palette.dim)];
    match percent {
        Ok(percent) => {
            let severity = Severity::of(percent, thresholds);
            if gauge {
                parts.extend(drawn(percent / 100.0, palette.fill(severity), look));
            }
            let number = format!("{}{}", glyph::mark(severity), units::percent4(percent));
            let number = if gauge { number } else { number.trim_start().to_owned() };
            parts.push((number, palette.severity(severity, palette.text)));
        }
        Err(missing) if missing.kind() == Kind::NeverThere => return None,
        Err(_) => parts.push(("–".to_owned(), palette.faint)),
    }
    Some(parts)
}

/// A gauge as pieces of text.
fn drawn(fraction: f64, fill: Style, look: &Look) -> Vec<(String, Style)> {
    let mut buf = Buffer::empty(Rect::new(0, 0, GAUGE, 1));
    Gauge { fraction, fill, look }.render(buf.area, &mut buf);
    buf.content.iter().map(|cell| (cell.symbol().to_owned(), cell.style())).collect()
}

/// Pressure, and how soon it may be left out: never for want of room while it
/// is high.
fn waiting(pressure: Pressure, look: &Look) -> (u8, Vec<(String, Style)>) {
    let palette = &look.palette;
    let all = [("cpu", pressure.cpu), ("mem", pressure.memory), ("io", pressure.io)];
    let high = all.iter().any(|(_, percent)| *percent >= PRESSURE.0);
    let mut parts = vec![("pressure".to_owned(), palette.dim)];
    for (label, percent) in all {
        let severity = Severity::of(percent, PRESSURE);
        // Where one is high, the calm ones would only hide it.
        if !high || severity != Severity::Calm {
            parts.push((format!(" {label}"), palette.dim));
            let number = format!("{}{percent:.0}%", glyph::mark(severity));
            parts.push((number, palette.severity(severity, palette.text)));
        }
    }
    (if high { 4 } else { 8 }, parts)
}
