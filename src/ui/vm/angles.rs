//! The six angles: now, the plain rate, least, mean and most over the shown
//! span, the sparkline, and below them when something happened.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{Subject, marks, rule};
use crate::{
    app::{Graph, Pane},
    model::{AngleMode, Degrees, DomainRates, Measured, history::Metric},
    ui::{sparkline, text, theme::Palette, units},
};

/// Marker and name.
const NAME: u16 = 13;
/// `37.2° ▲`
const NOW: u16 = 7;
/// `12.46 MB/s`
const RATE: u16 = 12;
/// ` 90.0°`, with a sign for memory
const EDGE: u16 = 7;
/// Least, mean and most.
const EDGES: u16 = 3 * EDGE;
/// Lines of the section beneath its heading: the six, and what happened.
pub const LINES: u16 = 7;

/// The metric's name.
pub fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::Cpu => "cpu",
        Metric::Memory => "memory",
        Metric::DiskRead => "disk read",
        Metric::DiskWrite => "disk write",
        Metric::NetRx => "net rx",
        Metric::NetTx => "net tx",
    }
}

/// The metric's angle now.
pub fn angle(rates: &DomainRates, metric: Metric) -> Measured<Degrees> {
    match metric {
        Metric::Cpu => rates.angles.cpu,
        Metric::Memory => rates.angles.memory,
        Metric::DiskRead => rates.angles.disk_read,
        Metric::DiskWrite => rates.angles.disk_write,
        Metric::NetRx => rates.angles.net_rx,
        Metric::NetTx => rates.angles.net_tx,
    }
}

/// The metric's plain rate in words.
pub fn plain(rates: &DomainRates, metric: Metric) -> Measured<String> {
    match metric {
        Metric::Cpu => rates.cpu_cores.map(|cores| format!("{cores:.2} cores")),
        Metric::Memory => rates.memory_kib_per_s.map(|kib| units::moving_rate(kib * 1024.0)),
        Metric::DiskRead => rates.disk.read_bytes_per_s.map(units::moving_rate),
        Metric::DiskWrite => rates.disk.write_bytes_per_s.map(units::moving_rate),
        Metric::NetRx => rates.net.rx_bytes_per_s.map(units::moving_rate),
        Metric::NetTx => rates.net.tx_bytes_per_s.map(units::moving_rate),
    }
}

/// The metric's ink.
fn ink(palette: &Palette, metric: Metric) -> Style {
    match metric {
        Metric::Cpu | Metric::Memory => palette.load,
        Metric::DiskRead | Metric::NetRx => palette.inward,
        Metric::DiskWrite | Metric::NetTx => palette.outward,
    }
}

/// Draws title, heading, six lines and what happened.
pub fn render(subject: &Subject<'_>, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let edges = area.width >= NAME + NOW + RATE + EDGES + 16;
    let left = NAME + NOW + RATE + if edges { EDGES } else { 0 } + 2;
    let spark = area.width.saturating_sub(left + 1);
    let mode = match subject.app.frame().map(|f| f.scale.mode) {
        Some(AngleMode::Raw) => "raw: 45° is 1 per second",
        _ => "45° is the reference rate",
    };
    let focused = subject.selected(Pane::Angles).is_some();
    rule(
        "degrees",
        &[(mode.to_owned(), palette.dim)],
        focused,
        subject.look,
        Rect { height: 1, ..area },
        buf,
    );
    let y = area.y + 1;
    text::put_right(buf, area.x + NAME, y, NOW, "now  ", palette.faint);
    text::put_right(buf, area.x + NAME + NOW, y, RATE, "rate", palette.faint);
    if edges {
        for (column, heading) in (0..).zip(["least", "mean", "most"]) {
            let x = area.x + NAME + NOW + RATE + column * EDGE;
            text::put_right(buf, x, y, EDGE, heading, palette.faint);
        }
    }
    let span = subject.app.span();
    let interval = subject.app.frame().map_or_else(|| subject.app.poll_interval(), |frame| frame.interval);
    let window = subject.app.series().window(span, interval, spark);
    let each = u32::try_from(window.cycles_per_column()).unwrap_or(u32::MAX);
    let last = format!("last {}", units::whole_span(span));
    let whole = format!("{last}, {} a column", units::whole_span(interval.saturating_mul(each)));
    let heading = if each > 1 && text::width(&whole) <= spark { whole } else { last };
    text::put(buf, area.x + left, y, spark, &heading, palette.faint);
    for (line, metric) in Metric::ALL.into_iter().enumerate() {
        let y = area.y + 2 + u16::try_from(line).unwrap_or(0);
        let row = Rect { y, height: 1, ..area };
        if subject.selected(Pane::Angles) == Some(line) {
            buf.set_style(row, palette.selected);
            text::put(buf, area.x, y, 1, "▶", palette.accent);
        }
        text::put(buf, area.x + 2, y, NAME - 2, name(metric), palette.text);
        let graph = subject.app.series().graph(subject.page.uuid, metric, &window);
        let numbers = Rect { x: area.x + NAME, width: left - NAME, ..row };
        one(subject, metric, edges.then_some(&graph), numbers, buf);
        let ceiling = subject.app.frame().map_or(90.0, |frame| sparkline::ceiling(metric, &frame.scale));
        let place = Rect { x: area.x + left, width: spark, ..row };
        let style = ink(palette, metric);
        let columns = graph.columns.into_iter().map(|angle| angle.map(|angle| (angle, style)));
        sparkline::draw(columns, ceiling, subject.look, place, buf);
    }
    let row = Rect { y: area.y + 8, height: 1, ..area };
    text::put(buf, area.x + 2, row.y, NAME - 2, "events", palette.dim);
    let words = Rect { x: area.x + NAME, width: left - NAME, ..row };
    marks::render(subject, &window, words, Rect { x: area.x + left, width: spark, ..row }, buf);
}

fn one(subject: &Subject<'_>, metric: Metric, graph: Option<&Graph>, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let shown = subject.of(metric);
    let rates = &shown.domain.rates;
    let fresh = |ink: Style| shown.old.map_or(ink, |_| palette.old);
    let (x, y) = (area.x, area.y);
    match angle(rates, metric) {
        Ok(degrees) => {
            let now = format!("{} {}", units::degrees5(degrees), units::arrow(degrees));
            text::put_right(buf, x, y, NOW, &now, fresh(palette.strong));
        }
        Err(missing) => {
            let room = area.width.saturating_sub(1);
            text::put(buf, x, y, room, &text::reason(missing, room), palette.dim);
            return;
        }
    }
    let rate = plain(rates, metric);
    let style = if rate.is_ok() { fresh(palette.dim) } else { palette.faint };
    text::put_right(buf, x + NOW, y, RATE, rate.as_deref().unwrap_or("–"), style);
    let Some(graph) = graph else { return };
    for (column, edge) in (0..).zip([graph.least, graph.mean, graph.most]) {
        let text = edge.map_or_else(
            || "–".to_owned(),
            |degrees| {
                let sign = if degrees <= -0.05 { "▼" } else { "" };
                format!("{sign}{:.1}°", degrees.abs())
            },
        );
        text::put_right(buf, x + NOW + RATE + column * EDGE, y, EDGE, &text, palette.dim);
    }
}
