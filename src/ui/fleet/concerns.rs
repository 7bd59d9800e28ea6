//! The line that names what needs somebody, the worst first.

use std::time::Duration;

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    app::{
        App,
        attention::{Concern, Matter, Value},
    },
    model::name::storable,
    ui::{
        Look,
        glyph::{self, Condition},
        text,
        theme::Severity,
        units,
    },
};

/// Names are cut to this many columns.
const NAME: u16 = 24;
/// Between two entries.
const GAP: u16 = 3;

/// Draws as many as fit, and how many more there are.
pub fn render(app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
    let attention = app.attention();
    let end = area.right().saturating_sub(1);
    let mut x = area.x + 1;
    for (n, concern) in attention.list().iter().enumerate() {
        let parts = words(concern, look);
        let width: u16 = parts.iter().map(|(part, _)| text::width(part)).sum();
        let left = attention.total() - n;
        let more = format!("+{left}");
        // Room stays for the number of those that follow.
        let kept = if left > 1 { GAP + text::width(&more) } else { 0 };
        if n > 0 && x + width + kept > end {
            text::put(buf, x, area.y, end.saturating_sub(x), &more, look.palette.dim);
            return;
        }
        for (part, style) in parts {
            x = text::put(buf, x, area.y, end.saturating_sub(x), &part, style);
        }
        x += GAP;
    }
    let left = attention.total().saturating_sub(attention.list().len());
    if left > 0 {
        text::put(buf, x, area.y, end.saturating_sub(x), &format!("+{left}"), look.palette.dim);
    }
}

/// The worst one in a few words, and how many there are beside it: where there
/// is no line for them all.
pub fn brief(app: &App, look: &Look) -> Option<Vec<(String, Style)>> {
    let worst = app.attention().list().first()?;
    let mut parts: Vec<_> = words(worst, look).into_iter().take(2).collect();
    let others = app.attention().total() - 1;
    if others > 0 {
        parts.push((format!(" +{others}"), look.palette.dim));
    }
    Some(parts)
}

/// Sign, name, and what is the matter.
fn words(concern: &Concern, look: &Look) -> Vec<(String, Style)> {
    let palette = &look.palette;
    let severity = if concern.matter.is_critical() { Severity::Critical } else { Severity::Warn };
    let sign = match &concern.matter {
        Matter::Hung { .. } => Condition::Hung.sign(),
        Matter::Stopped { .. } => Condition::Crashed.sign(),
        Matter::Trouble { .. } | Matter::Over { .. } => glyph::mark(severity),
    };
    let ink = palette.severity(severity, palette.text);
    let mut parts =
        vec![(format!("{sign} "), ink), (text::fit(&concern.name, NAME).into_owned(), palette.text)];
    match &concern.matter {
        Matter::Hung { since } => {
            let since = since.map_or_else(String::new, |since| format!(" since {}", since.hms()));
            parts.push((format!(" hung{since}"), palette.dim));
        }
        Matter::Stopped { by } => parts.push((format!(" stopped: {by}"), palette.dim)),
        Matter::Trouble { at, text } => {
            let happened = storable(text);
            parts.push((format!(": {} {}", text::fit(&happened, 40), at.hms()), palette.dim));
        }
        Matter::Over { value, percent, threshold, lasts, .. } => {
            let value = match value {
                Value::Cpu => "CPU",
                Value::Memory => "MEM",
            };
            parts.push((format!(" {value} {percent:>2.0}%"), ink));
            let lasts = lasts.map_or_else(String::new, lasting);
            parts.push((format!(" over {threshold:.0}{lasts}"), palette.dim));
        }
    }
    parts
}

/// ` for 40 s`, ` for 3 min`: in steps in which the line stands still.
fn lasting(lasts: Duration) -> String {
    match lasts.as_secs() {
        0..10 => String::new(),
        seconds @ 10..60 => format!(" for {} s", seconds / 10 * 10),
        seconds @ 60..3600 => format!(" for {} min", seconds / 60),
        _ => format!(" for {}", units::span(lasts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_it_lasts_moves_in_steps() {
        for (seconds, words) in
            [(3, ""), (10, " for 10 s"), (59, " for 50 s"), (60, " for 1 min"), (3599, " for 59 min")]
        {
            assert_eq!(lasting(Duration::from_secs(seconds)), words);
        }
        assert_eq!(lasting(Duration::from_mins(125)), " for 2 h 5 min");
    }
}
