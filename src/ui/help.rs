//! The help: the keys that work here, from the one table, and what every
//! sign, colour and number means.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    widgets::{Clear, Widget},
};

use super::{
    Look,
    document::{Document, Scroller, more},
    glyph::{Condition, mark},
    theme::Severity,
    vm::reference,
};
use crate::{
    app::{App, Binding, CYCLES_PER_COLUMN, Mode, Scroll, action::Context, bindings},
    model::{AngleMode, AngleScale, history::Metric},
};

/// Narrower than this, everything stands in one column.
const SIDE_BY_SIDE: u16 = 104;
/// Columns of the keys.
const KEYS: usize = 14;

/// The help's own memory.
#[derive(Debug, Default)]
pub struct Overlay {
    scroller: Scroller,
}

impl Overlay {
    /// Draws the help over `area`.
    pub fn render(&mut self, app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
        Clear.render(area, buf);
        buf.set_style(area, look.palette.text);
        let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        let wide = inner.width >= SIDE_BY_SIDE;
        let half = if wide { (inner.width - 4) / 2 } else { inner.width };
        let mut left = keys(app, look, half);
        let right = legend(app, look, half);
        let asked = app.scrolled(Scroll::Help);
        if wide {
            let height = left.height().max(right.height());
            let offset = self.scroller.follow(asked, height, inner.height);
            left.draw(offset, Rect { width: half, ..inner }, buf);
            right.draw(offset, Rect { x: inner.x + half + 4, width: half, ..inner }, buf);
            more(offset, height, inner, look.palette.accent, buf);
        } else {
            left.blank();
            left.append(right);
            let offset = self.scroller.follow(asked, left.height(), inner.height);
            left.draw(offset, inner, buf);
            more(offset, left.height(), inner, look.palette.accent, buf);
        }
    }
}

/// The keys of the page below: first its own, then those that hold everywhere.
fn keys(app: &App, look: &Look, width: u16) -> Document {
    let palette = &look.palette;
    let mode = app.page_mode();
    let everywhere =
        |b: &Binding| b.contexts.iter().any(|c| matches!(c, Context::Everywhere | Context::Terminal));
    let mut document = Document::default();
    let mut list = |title: &str, bindings: &mut dyn Iterator<Item = &'static Binding>| {
        document.title(title, width, palette.strong, palette.faint);
        // Keys that do the same in several places are one line.
        let mut lines: Vec<(&Binding, Vec<String>)> = Vec::new();
        for binding in bindings {
            let keys = binding.keys.iter().map(ToString::to_string);
            match lines.iter_mut().find(|(known, _)| known.action == binding.action) {
                Some((known, all)) if known.help == binding.help => all.extend(keys),
                _ => lines.push((binding, keys.collect())),
            }
        }
        for (binding, keys) in lines {
            let keys = keys.join(" ");
            let inks = (palette.accent, palette.text);
            document.paragraph(&format!("{keys:<KEYS$}"), binding.help, width, inks);
        }
        document.blank();
    };
    list(&format!("keys: {}", mode.title()), &mut bindings(mode).filter(|b| !everywhere(b)));
    list("keys: everywhere", &mut bindings(mode).filter(|b| everywhere(b)));
    if matches!(mode, Mode::Fleet | Mode::Cards | Mode::Log) {
        let own = |b: &&'static Binding| !everywhere(b);
        list("keys: while a filter or search is written", &mut bindings(Mode::Filter).filter(own));
    }
    if matches!(mode, Mode::Fleet | Mode::Cards) {
        let own = |b: &&'static Binding| b.contexts.contains(&Context::Chooser);
        list("keys: in the list of columns", &mut bindings(Mode::Columns).filter(own));
    }
    document
}

/// What the gauges and numbers mean, and the order.
const NUMBERS: [(&str, &str); 15] = [
    (
        "CPU ",
        "the guest's own work in percent of all its vCPUs; cores: what the whole process costs the host",
    ),
    (
        "MEM ",
        "memory in use of the maximum, as the guest reports it; grey with ~: no report, the balloon's size instead",
    ),
    (
        "DISK NET ",
        "gauge, degrees and each column of the sparkline are those of the larger direction then, in its colour; 45° is \
         half full",
    ),
    ("MEM DISK ", "dimmed: read in an earlier cycle; late ones show their age in place of the degrees"),
    (
        "█▒░│ ",
        "on a VM's page, of its memory: used, cache, left by the balloon beyond that, host RSS; of its CPUs: ▒ steal",
    ),
    ("RSS ", "host memory the VM really holds"),
    ("CORES ", "what the whole process costs the host, QEMU's own work included"),
    (
        "CHANGE ",
        "top movers: of CPU, read, write, rx and tx, the one whose degrees changed most between the last \
         10 s and the 10 s five minutes before (after a start: as far back as is known, a minute at least)",
    ),
    (
        "order ",
        "rows change places every 5 s, and at once when you sort; sorted by a load, VMs that hang or were stopped by \
         an error stand first, at once; missing values last",
    ),
    (
        "last line ",
        "what needs somebody, the worst first: hung, stopped by an error, trouble of the last 10 min, \
         values over their thresholds until they fall 5 below; +3: three more",
    ),
    ("steal ", "time a vCPU was ready and the host kept it waiting"),
    ("QEMU ", "cores the process needs beside the guest's own work"),
    ("vCPU 7:2 ", "vCPUs of all live VMs on so many CPUs of the host"),
    ("pressure ", "part of the last 10 s in which something waited; only where the host is this machine"),
    ("K M G ", "bytes per second in 1024s; rx and tx as the guest sees them"),
];

fn legend(app: &App, look: &Look, width: u16) -> Document {
    let palette = &look.palette;
    let inks = (palette.accent, palette.text);
    let mut document = Document::default();
    document.title("signs", width, palette.strong, palette.faint);
    for pair in Condition::ALL.chunks(3) {
        let pieces = pair.iter().flat_map(|condition| {
            [
                (format!("{} ", condition.sign()), condition.style(palette)),
                (format!("{:<14}", condition.word()), palette.text),
            ]
        });
        document.line(pieces.collect());
    }
    let (warn, critical) = (app.screen().warn_percent, app.screen().critical_percent);
    document.line(vec![
        (format!("{} ", mark(Severity::Warn)), palette.warn),
        (format!("{:<14}", format!("{warn:.0}% and more")), palette.text),
        (format!("{} ", mark(Severity::Critical)), palette.crit),
        (format!("{critical:.0}% and more"), palette.text),
    ]);
    document.line(vec![
        ("█ ".into(), palette.inward),
        (format!("{:<14}", "read, rx"), palette.text),
        ("█ ".into(), palette.outward),
        (format!("{:<14}", "write, tx"), palette.text),
        ("█ ".into(), palette.load),
        ("CPU, memory".into(), palette.text),
    ]);
    document.paragraph("– ", "missing; the reason stands in the row, or below it when selected", width, inks);
    document.paragraph("▲▼ ", "growing, shrinking", width, inks);
    document.blank();
    document.title("gauges and numbers", width, palette.strong, palette.faint);
    for (label, text) in NUMBERS {
        document.paragraph(label, text, width, inks);
    }
    document.blank();
    let scale = app.frame().map_or_else(AngleScale::default, |frame| frame.scale);
    document.title("degrees", width, palette.strong, palette.faint);
    let meaning = match scale.mode {
        AngleMode::Scaled => "how steep a rate is: the angle of rate / reference, up to 90°",
        AngleMode::Raw => "angle.mode is raw: the reference is 1, so every busy VM reads near 90°",
    };
    document.paragraph("", meaning, width, inks);
    for (name, metric) in [
        ("cpu ", Metric::Cpu),
        ("memory ", Metric::Memory),
        ("disk ", Metric::DiskRead),
        ("network ", Metric::NetRx),
    ] {
        document
            .line(vec![(format!("{name:<8} "), palette.accent), (reference(&scale, metric), palette.text)]);
    }
    document.blank();
    document.title("sparklines", width, palette.strong, palette.faint);
    let text = format!(
        "the newest at the right, a column for {CYCLES_PER_COLUMN} cycles, on a VM's page as its heading says; of \
         several cycles the steepest; a blank is a gap, a line at the foot is zero, cycles between two turns show \
         the rate that spans them, a bar from the top is shrinking memory. Full height is 90°, for CPU all vCPUs \
         busy."
    );
    document.paragraph("", &text, width, inks);
    document.paragraph("· ! ‼ ", "below them: something happened; worth a look; trouble", width, inks);
    document
}
