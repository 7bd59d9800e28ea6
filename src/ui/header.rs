//! The first line: which host this is, and what collector and writer do.

use std::time::Duration;

use ratatui::{buffer::Buffer, layout::Rect, style::Style, widgets::Widget};

use super::{
    Look, attached, host,
    text::{self, Strip},
    units,
};
use crate::{
    app::{App, Collection, Looking},
    model::{
        WallTime,
        status::{DeliveryState, StoreState},
    },
};

/// Columns of why the database does not take lines; the status page has it all.
const WHY: u16 = 48;

/// The header, ready to draw.
pub struct Header {
    strip: Strip,
}

impl Header {
    /// The header of `app`, for a line of `width` columns.
    #[must_use]
    pub fn of(app: &App, look: &Look, width: u16) -> Self {
        let palette = &look.palette;
        let mut strip = Strip::new(2);
        let host = app.frame().map(|f| &f.host);
        strip.left(4, vec![("kvmscope".into(), palette.accent)]);
        if let Some(name) = host.and_then(|h| h.name.as_deref()) {
            strip.left(1, vec![(crate::model::name::storable(name).into_owned(), palette.strong)]);
        }
        if host.is_some_and(|h| h.demo) {
            strip.left(0, vec![(" DEMO ".into(), palette.demo)]);
        }
        if let Some(parts) = badge(app, look) {
            strip.left(0, parts);
        }
        if let Some(host) = host {
            let versions =
                [host.hypervisor.clone(), host.libvirt.as_ref().map(|version| format!("libvirt {version}"))];
            let versions: Vec<String> = versions.into_iter().flatten().collect();
            if !versions.is_empty() {
                strip.left(7, vec![(versions.join(" · "), palette.dim)]);
            }
        }
        if let Some(frame) = app.frame() {
            host::pieces(&mut strip, app, frame, look, width);
        }
        strip.right(0, collector_pill(app, look));
        strip.right(2, writer_pill(app, look));
        if let DeliveryState::Retrying { why, .. } = &app.delivery().state {
            strip.right(5, vec![(text::fit(why, WHY).into_owned(), palette.dim)]);
        }
        strip.right(9, vec![(format!("{} UTC", app.now().hms()), palette.faint)]);
        Self { strip }
    }
}

impl Widget for Header {
    fn render(self, area: Rect, buf: &mut Buffer) {
        self.strip.render(buf, area.x + 1, area.y, area.width.saturating_sub(2));
    }
}

/// Which moment is looked at while the screen is frozen.
fn badge(app: &App, look: &Look) -> Option<Vec<(String, Style)>> {
    let palette = &look.palette;
    let at = app.frozen_at()?;
    // Whole seconds: the badge stands still between them.
    let age = Duration::from_secs(app.now().since(at).as_secs());
    let when = units::moment(at, app.now());
    let mut parts = vec![(format!(" looking at {when}, {} ago ", units::span(age)), palette.frozen)];
    match app.looking()? {
        Looking::AtMemory => {}
        Looking::AtRecord => parts.push((" from the record".to_owned(), palette.accent)),
        Looking::Asking(wanted) => {
            let wanted = units::moment(wanted, app.now());
            parts.push((format!(" reading {wanted}…"), palette.accent));
        }
    }
    Some(parts)
}

/// What collection is doing, as a sign and a word.
pub fn collector_pill(app: &App, look: &Look) -> Vec<(String, Style)> {
    let palette = &look.palette;
    if let Some(pill) = attached::pill(app, look) {
        return pill;
    }
    // Whose collection it is; the badge of a frozen screen needs the room.
    let whose = if app.link().is_some() && app.frozen_at().is_none() { "agent " } else { "" };
    let pill = |sign: &str, style: Style, word: String| {
        vec![(format!("{sign} "), style), (format!("{whose}{word}"), palette.text)]
    };
    match app.collection() {
        Collection::Unknown => pill("·", palette.dim, "starting".into()),
        Collection::Starting => pill("·", palette.warn, "starting…".into()),
        Collection::Stopping => pill("■", palette.warn, "stopping…".into()),
        Collection::Stopped { .. } => pill("■", palette.warn, "stopped".into()),
        Collection::Connecting { .. } => pill("·", palette.warn, "connecting…".into()),
        Collection::Running { .. } => {
            pill("●", palette.ok, format!("collecting {}", units::interval(app.poll_interval())))
        }
        Collection::Failed { retry_at, .. } => {
            pill("✖", palette.crit, format!("no libvirt, next try {}", until(retry_at, app.now())))
        }
    }
}

/// What becomes of the lines, as a sign and a word.
pub fn writer_pill(app: &App, look: &Look) -> Vec<(String, Style)> {
    let palette = &look.palette;
    let (delivery, store, now) = (app.delivery(), app.store(), app.now());
    if app.link().is_some_and(|link| !link.is_live()) {
        return vec![("○ ".to_owned(), palette.dim), ("writer not known".to_owned(), palette.text)];
    }
    // While nothing is collected, nothing is recorded either: no green light.
    let idle = !matches!(app.collection(), Collection::Running { .. });
    let waiting = match delivery.waiting() {
        0 => String::new(),
        n => format!(", {} waiting", units::count(n)),
    };
    let (sign, style, word) = match (&delivery.state, &store.state) {
        (_, StoreState::ReadOnly { .. }) => ("○", palette.warn, "not recording".to_owned()),
        (DeliveryState::Off, StoreState::Writable) if idle => {
            ("○", palette.dim, "nothing to record".to_owned())
        }
        (DeliveryState::Delivering, _) if idle && delivery.waiting() == 0 => {
            ("○", palette.dim, "nothing to deliver".to_owned())
        }
        (DeliveryState::Off, StoreState::Writable) => ("●", palette.ok, "recording locally".to_owned()),
        (DeliveryState::Off, StoreState::Off) => ("○", palette.dim, "not recorded".to_owned()),
        (DeliveryState::Off, StoreState::Failing { .. }) => ("✖", palette.crit, "record failing".to_owned()),
        (DeliveryState::Probing, _) => ("·", palette.warn, format!("asking InfluxDB{waiting}")),
        (DeliveryState::Delivering, _) => ("▲", palette.ok, format!("delivering{waiting}")),
        (DeliveryState::Retrying { next_at, .. }, _) => {
            ("!", palette.warn, format!("retry {}{waiting}", until(*next_at, now)))
        }
        (DeliveryState::Paused { .. }, _) => ("‖", palette.crit, format!("paused{waiting}")),
    };
    let mut pill = vec![(format!("{sign} "), style), (word, palette.text)];
    if delivery.dropped_total() > 0 {
        pill.push((format!(", {} lost", units::count(delivery.dropped_total())), palette.crit));
    }
    pill
}

/// `in 3 s`, or `now`.
pub fn until(at: WallTime, now: WallTime) -> String {
    let seconds = at.seconds().saturating_sub(now.seconds());
    match u64::try_from(seconds) {
        Ok(seconds @ 1..) => format!("in {}", units::span(Duration::from_secs(seconds))),
        _ => "now".to_owned(),
    }
}
