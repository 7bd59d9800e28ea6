//! The VMs that take libvirt longest to read.

use std::time::Duration;

use super::{fact, labelled, plain};
use crate::{
    app::App,
    model::status::CollectorStatus,
    ui::{
        Look,
        document::Document,
        text,
        units::{self, millis},
    },
};

/// Columns of a time, such as `12.4 ms`.
const TIME: usize = 7;

/// A timing that is older than a large host takes for its turns is said so.
const OLD: Duration = Duration::from_mins(10);

/// How many are known and their mean, then the slowest, one a line.
pub fn list(document: &mut Document, status: &CollectorStatus, app: &App, look: &Look, width: u16) {
    let palette = &look.palette;
    let costs = &status.costs;
    let Some(mean) = costs.mean else {
        return document.line(fact("slowest VMs", "none has been timed yet".into(), look));
    };
    let (of, mean) = (status.vms_monitored.max(costs.measured), millis(mean));
    let text = format!("{} of {of} timed, {mean} on average", costs.measured);
    document.line(fact("slowest VMs", text, look));
    let longest = costs.slowest.iter().map(|cost| text::width(&plain(&cost.name))).max().unwrap_or(0);
    for cost in &costs.slowest {
        let took = format!("{:>TIME$}  ", millis(cost.took));
        let age = app.now().since(cost.at);
        let at = if age < OLD { String::new() } else { format!("  timed {} ago", units::span(age)) };
        let most = width.saturating_sub(text::width(super::INDENT) + text::width(&took) + text::width(&at));
        let name = plain(&cost.name);
        let name = text::fit(&name, most).into_owned();
        let blanks = usize::from(longest.min(most).saturating_sub(text::width(&name)));
        let name = format!("{name}{}", " ".repeat(blanks));
        document.line(labelled(
            "",
            look,
            vec![(took, palette.text), (name, palette.text), (at, palette.dim)],
        ));
    }
}
