//! Every vCPU with a bar of its work and its steal, in as many columns as fit.

use ratatui::{buffer::Buffer, layout::Rect, widgets::Widget};

use super::{
    Subject,
    bar::{Bar, Part},
    panels::STEAL,
    rule,
};
use crate::{
    app::Pane,
    ui::{glyph, text, theme::Severity, units},
};

/// Columns one vCPU takes.
const CELL: u16 = 38;

/// How many vCPUs stand on one line.
pub fn per_line(width: u16) -> usize {
    usize::from((width / CELL).max(1))
}

/// Draws title and vCPUs.
pub fn render(subject: &Subject<'_>, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let selected = subject.selected(Pane::Vcpus);
    let hint = vec![("z halted  ▒ steal: ready, and kept waiting by the host".to_owned(), palette.dim)];
    rule("vCPUs", &hint, selected.is_some(), subject.look, Rect { height: 1, ..area }, buf);
    let per_line = per_line(area.width);
    let cell = area.width / u16::try_from(per_line).unwrap_or(1);
    let thresholds = (subject.app.screen().warn_percent, subject.app.screen().critical_percent);
    for (n, vcpu) in subject.domain.rates.vcpus.iter().enumerate() {
        let line = u16::try_from(n / per_line).unwrap_or(u16::MAX);
        let y = area.y.saturating_add(1).saturating_add(line);
        if y >= area.bottom() {
            break;
        }
        let x = area.x + u16::try_from(n % per_line).unwrap_or(0) * cell;
        if selected == Some(n) {
            buf.set_style(Rect { x, y, width: cell.saturating_sub(2), height: 1 }, palette.selected);
            text::put(buf, x, y, 1, "▶", palette.accent);
        }
        text::put_right(buf, x + 1, y, 4, &vcpu.index.to_string(), palette.dim);
        let counters = subject.domain.reading.vcpus.iter().flatten().find(|c| c.index == vcpu.index);
        if counters.and_then(|c| c.halted) == Some(true) {
            text::put(buf, x + 5, y, 1, "z", palette.dim);
        }
        let gauge = cell.saturating_sub(26).clamp(4, 40);
        let at = x + 6 + gauge;
        match vcpu.percent {
            Ok(percent) => {
                let severity = Severity::of(percent, thresholds);
                let area = Rect { x: x + 6, y, width: gauge, height: 1 };
                let busy = percent / 100.0;
                let kept = vcpu.steal_percent.map_or(0.0, |steal| steal / 100.0);
                let steal = [Part { end: busy + kept, sign: STEAL, ink: palette.dim }];
                let fill = palette.fill(severity);
                Bar { first: busy, fill, parts: &steal, mark: None, look: subject.look }.render(area, buf);
                let number = format!("{}{}", glyph::mark(severity), units::percent4(percent));
                text::put(buf, at, y, 5, &number, palette.severity(severity, palette.text));
            }
            Err(_) => text::put_right(buf, at, y, 5, "–", palette.faint),
        }
        match vcpu.steal_percent {
            Ok(steal) => {
                text::put(buf, at + 6, y, 12, &format!("steal{}", units::percent6(steal)), palette.dim)
            }
            Err(_) => text::put(buf, at + 6, y, 12, "steal     –", palette.faint),
        };
    }
}
