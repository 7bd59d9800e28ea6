//! How far one can look back, and out of what.

use super::{LABEL, fact};
use crate::{
    app::App,
    ui::{Look, document::Document, units},
};

/// Whole cycles in memory, and the sparklines.
pub fn document(app: &App, look: &Look, width: u16) -> Document {
    let palette = &look.palette;
    let mut document = Document::default();
    document.title("looking back", width, palette.strong, palette.faint);
    let budget = units::bytes(app.screen().history_bytes);
    let memory = match app.in_memory() {
        None => format!("nothing yet, of {budget}"),
        Some((since, cycles, bytes)) => format!(
            "{} cycles, last {}, {} of {budget}",
            units::count(u64::try_from(cycles).unwrap_or(u64::MAX)),
            units::span(app.now().since(since)),
            units::bytes(u64::try_from(bytes).unwrap_or(u64::MAX)),
        ),
    };
    let label = format!("{:<LABEL$}", "in memory");
    document.paragraph(&label, &memory, width, (palette.dim, palette.text));
    document.line(fact("older", "from the local record, as far as it covers".into(), look));
    let cycles = u64::try_from(app.screen().history_cycles).unwrap_or(u64::MAX);
    document.line(fact("sparklines", format!("the last {} cycles", units::count(cycles)), look));
    document
}
