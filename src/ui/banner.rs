//! Full-width lines for what nobody may overlook: collection is stopped or
//! failed, the record is failing, somebody else records.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{Look, attached, header::until, text, units};
use crate::{
    app::{App, Collection},
    model::status::{DeliveryState, StoreState},
};

/// The banners, ready to draw.
pub struct Banners {
    lines: Vec<(String, Style)>,
}

impl Banners {
    /// The banners of `app` in `width` columns and at most `most` lines.
    #[must_use]
    pub fn of(app: &App, look: &Look, width: u16, most: u16) -> Self {
        let mut lines: Vec<(String, Style)> = Vec::new();
        let mut add = |text: String, style: Style| {
            let wrapped = text::wrap(&text, width.saturating_sub(2));
            lines.extend(wrapped.into_iter().map(|line| (line, style)));
        };
        let palette = &look.palette;
        if let Some((text, style)) = attached::banner(app, look) {
            add(text, style);
        }
        // What an agent that is out of reach told last may be so no more.
        if app.link().is_some_and(|link| !link.is_live()) {
            lines.truncate(usize::from(most.max(1)));
            return Self { lines };
        }
        if let StoreState::Failing { why, since } = &app.store().state {
            add(
                format!("LOCAL RECORD FAILING since {}: {why}; lines wait in memory", since.hms()),
                palette.banner_crit,
            );
        }
        if let Some((text, style)) = collection(app, look, width.saturating_sub(2)) {
            add(text, style);
        }
        if let DeliveryState::Paused { why, mend, next_at } = &app.delivery().state {
            let next = until(*next_at, app.now());
            add(format!("DELIVERY PAUSED: {why} — {mend} · next try {next}"), palette.banner_warn);
        }
        if let StoreState::ReadOnly { holder } = &app.store().state {
            add(format!("NOT RECORDING HERE: {holder} records this host"), palette.banner_note);
        }
        lines.truncate(usize::from(most.max(1)));
        Self { lines }
    }

    /// Lines it takes.
    #[must_use]
    pub fn height(&self) -> u16 {
        u16::try_from(self.lines.len()).unwrap_or(u16::MAX)
    }

    /// Draws them.
    pub fn render(&self, area: Rect, buf: &mut Buffer) {
        for (y, (line, style)) in (area.top()..area.bottom()).zip(&self.lines) {
            buf.set_style(Rect { y, height: 1, ..area }, *style);
            text::put(buf, area.x + 1, y, area.width.saturating_sub(2), line, *style);
        }
    }
}

fn collection(app: &App, look: &Look, room: u16) -> Option<(String, Style)> {
    let palette = &look.palette;
    let waiting = match (app.delivery().waiting(), &app.delivery().state) {
        (0, _) | (_, DeliveryState::Off) => String::new(),
        (1, DeliveryState::Delivering) => " · 1 line still going out".to_owned(),
        (n, DeliveryState::Delivering) => format!(" · {} lines still going out", units::count(n)),
        (n, _) => format!(" · {} lines wait for the server", units::count(n)),
    };
    match app.collection() {
        Collection::Stopping => {
            Some((format!("COLLECTION STOPPING — s starts it again{waiting}"), palette.banner_warn))
        }
        Collection::Stopped { since } => {
            let text = format!("COLLECTION STOPPED since {} — press s to start{waiting}", since.hms());
            // One line where one line can say it.
            let brief = text.replace(" still going out", " going out").replace("press s to", "s to");
            Some((if text::width(&text) > room { brief } else { text }, palette.banner_warn))
        }
        Collection::Failed { why, since, retry_at } => Some((
            format!(
                "LIBVIRT NOT REACHED since {}: {why} · next try {}, r tries now",
                since.hms(),
                until(retry_at, app.now())
            ),
            palette.banner_crit,
        )),
        Collection::Unknown
        | Collection::Starting
        | Collection::Connecting { .. }
        | Collection::Running { .. } => None,
    }
}
