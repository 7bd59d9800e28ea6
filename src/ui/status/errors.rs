//! The last different errors of one part of the program, each with how often
//! it came.

use super::{LABEL, labelled, plain};
use crate::{
    app::App,
    model::LastErrors,
    ui::{Look, document::Document, units},
};

/// How many there were and the last of them.
pub fn document(document: &mut Document, errors: &LastErrors, app: &App, look: &Look, width: u16) {
    let ink = if errors.total() > 0 { look.palette.warn } else { look.palette.text };
    document.line(labelled("errors", look, vec![(units::count(errors.total()), ink)]));
    list(document, errors, app, look, width);
}

/// One paragraph each, the latest first; nothing where there were none.
pub fn list(document: &mut Document, errors: &LastErrors, app: &App, look: &Look, width: u16) {
    let palette = &look.palette;
    for error in errors.iter() {
        let when = units::moment(error.last, app.now());
        let label = format!("{when:<LABEL$}");
        let mut text = plain(&error.text);
        if error.count > 1 {
            let first = units::moment(error.first, app.now());
            text = format!("{} times since {first}: {text}", units::count(error.count));
        }
        // The moment of another day is wider than the column of labels.
        let label = if when.len() < LABEL { label } else { format!("{when} ") };
        document.paragraph(&label, &text, width, (palette.dim, palette.warn));
    }
}
