//! The lines of the log that have what was searched for.
//!
//! tui-logger keeps the lines and shows them; it gives them to nobody but a
//! formatter. So a formatter takes what it is shown.

use std::sync::{Arc, Mutex, PoisonError};

use ratatui::{buffer::Buffer, layout::Rect, text::Line, widgets::Widget};
use tui_logger::{ExtLogRecord, LogFormatter, TuiLoggerWidget};

use super::{Formatter, body, state_of};
use crate::app::{LogSource, LogView};

/// More lines than the log keeps.
const MOST: u16 = 4096;

/// What was found, newest first, each as the lines it is drawn in.
pub struct Found {
    lines: Vec<Vec<Line<'static>>>,
    /// How many lines of that level there are.
    among: usize,
}

impl Found {
    /// Looks through the whole log.
    pub fn look(view: &LogView, width: usize, formatter: &Formatter) -> Self {
        let taken = Arc::new(Mutex::new(Self { lines: Vec::new(), among: 0 }));
        let formatter =
            Taker { taken: Arc::clone(&taken), shows: view.filter(), width, formatter: formatter.clone() };
        let area = Rect::new(0, 0, 1, MOST);
        TuiLoggerWidget::default()
            .formatter(Box::new(formatter))
            .state(&state_of(view.level))
            .render(area, &mut Buffer::empty(area));
        std::mem::replace(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner), Self::nothing())
    }

    fn nothing() -> Self {
        Self { lines: Vec::new(), among: 0 }
    }

    /// `from delivery, “timeout”: 12 of 340`
    pub fn words(&self, view: &LogView) -> String {
        let source = match view.source {
            LogSource::All => String::new(),
            source => format!("from {}, ", source.word()),
        };
        let search = if view.search.is_empty() { String::new() } else { format!("“{}”: ", view.search) };
        format!("{source}{search}{} of {}", self.lines.len(), self.among)
    }

    /// Draws the newest at the bottom, `back` lines above the end and `pages`
    /// further; returns how far back that is.
    pub fn render(&self, pages: i64, back: usize, area: Rect, buf: &mut Buffer) -> usize {
        let height: usize = self.lines.iter().map(Vec::len).sum();
        let view = usize::from(area.height);
        let last = height.saturating_sub(view);
        let back = match pages {
            super::FAR.. => 0,
            1.. => back.saturating_sub(view),
            0 => back,
            _ => back.saturating_add(view),
        }
        .min(last);
        let newest_first = self.lines.iter().flat_map(|event| event.iter().rev()).skip(back);
        // A log shorter than the page begins at its top.
        let bottom = if height < view { area.y + u16::try_from(height).unwrap_or(0) } else { area.bottom() };
        for (y, line) in (area.y..bottom).rev().zip(newest_first) {
            line.render(Rect { y, height: 1, ..area }, buf);
        }
        back
    }
}

/// Takes the events that tui-logger has it format, the newest first.
struct Taker<F> {
    taken: Arc<Mutex<Found>>,
    /// Whether a line is wanted, by its target and text.
    shows: F,
    width: usize,
    formatter: Formatter,
}

impl<F: Fn(&str, &str) -> bool + Send + Sync> LogFormatter for Taker<F> {
    fn min_width(&self) -> u16 {
        1
    }

    fn format(&self, _width: usize, event: &ExtLogRecord) -> Vec<Line<'_>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.among += 1;
        if (self.shows)(event.target(), &body(event)) {
            let lines = self.formatter.format(self.width, event);
            taken.lines.push(lines.into_iter().map(owned).collect());
        }
        // It reckons with at least one line of each.
        vec![Line::default()]
    }
}

fn owned(line: Line<'_>) -> Line<'static> {
    let spans =
        line.spans.into_iter().map(|span| ratatui::text::Span::styled(span.content.into_owned(), span.style));
    Line::from(spans.collect::<Vec<_>>())
}
