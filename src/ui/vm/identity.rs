//! Who the VM is: what its XML and libvirt say that no cycle changes.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Subject, rule};
use crate::{
    app::{Fact, Pane},
    model::name::storable,
    ui::text,
};

/// Columns one fact takes: a uuid and its label.
const CELL: u16 = 52;
/// `autostart`
const LABEL: u16 = 11;

/// How many facts stand on one line.
pub fn per_line(width: u16) -> usize {
    usize::from((width / CELL).max(1))
}

/// A fact's name, and its value or why there is none.
fn fact(subject: &Subject<'_>, fact: Fact) -> (&'static str, Result<String, &'static str>) {
    let (identity, devices) = (subject.domain.identity(), &subject.domain.devices);
    let described = **devices != crate::model::DomainDevices::default();
    let unknown = |otherwise| if described { otherwise } else { "its XML was not read yet" };
    match fact {
        Fact::Uuid => ("uuid", Ok(identity.uuid.to_string())),
        Fact::Id => ("id", identity.id.map(|id| id.to_string()).ok_or("not running")),
        Fact::Os => {
            let os = devices.os.as_deref().map(|os| storable(os).into_owned());
            ("OS", os.ok_or(unknown("the XML names none (libosinfo or <title>)")))
        }
        Fact::Machine => {
            let machine = devices.machine.as_deref().map(|machine| storable(machine).into_owned());
            ("machine", machine.ok_or(unknown("the XML names none")))
        }
        Fact::Autostart => {
            let autostart = devices.autostart.map(|on| if on { "yes" } else { "no" }.to_owned());
            ("autostart", autostart.ok_or(unknown("not offered by this hypervisor")))
        }
    }
}

/// Draws title and facts.
pub fn render(subject: &Subject<'_>, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let selected = subject.selected(Pane::Identity);
    let hint = vec![("x shows its XML".to_owned(), palette.dim)];
    rule("identity", &hint, selected.is_some(), subject.look, Rect { height: 1, ..area }, buf);
    let per_line = per_line(area.width);
    let cell = area.width / u16::try_from(per_line).unwrap_or(1);
    for (n, which) in Fact::ALL.into_iter().enumerate() {
        let y = area.y.saturating_add(1).saturating_add(u16::try_from(n / per_line).unwrap_or(u16::MAX));
        let x = area.x + u16::try_from(n % per_line).unwrap_or(0) * cell;
        if selected == Some(n) {
            let width = cell.saturating_sub(2);
            buf.set_style(Rect { x, y, width, height: 1 }.intersection(buf.area), palette.selected);
            text::put(buf, x, y, 1, "▶", palette.accent);
        }
        let (label, value) = fact(subject, which);
        text::put(buf, x + 2, y, LABEL - 1, label, palette.dim);
        let room = cell.saturating_sub(LABEL + 4);
        match value {
            Ok(value) => text::put(buf, x + 2 + LABEL, y, room, &value, palette.text),
            Err(_) => text::put(buf, x + 2 + LABEL, y, room, "–", palette.faint),
        };
    }
}

/// The selected fact in full, or why it is missing.
pub fn describe(subject: &Subject<'_>, cursor: usize) -> (String, Vec<String>, Vec<String>) {
    let which = Fact::ALL[cursor.min(Fact::ALL.len() - 1)];
    let (label, value) = fact(subject, which);
    let (mut words, reasons) = match value {
        Ok(value) => (vec![value], Vec::new()),
        Err(why) => (Vec::new(), vec![why.to_owned()]),
    };
    match which {
        Fact::Uuid => words.push("y copies name, then uuid".to_owned()),
        Fact::Id => words.push("changes with each start".to_owned()),
        Fact::Autostart => words.push("whether libvirt starts it with the host".to_owned()),
        Fact::Os | Fact::Machine => {}
    }
    (label.to_owned(), words, reasons)
}
