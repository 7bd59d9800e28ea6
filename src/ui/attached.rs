//! What an attached screen says of its agent: whose collection this is, and
//! that numbers are old while the agent does not answer.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    Look,
    document::{Document, Pieces},
    header::until,
    status::{fact, labelled, plain},
    units,
};
use crate::{
    app::{App, Page},
    model::link::{Link, LinkState},
};

/// Clocks that are less apart agree.
const CLOCKS_AGREE: std::time::Duration = std::time::Duration::from_secs(2);

/// The banner of an agent that does not answer.
pub fn banner(app: &App, look: &Look) -> Option<(String, Style)> {
    let link = app.link()?;
    let LinkState::Gone { since, why, next_at } = &link.state else { return None };
    let next = format!("next try {}, r tries now", until(*next_at, app.now()));
    let text = match (&link.agent, app.frame().filter(|_| app.frozen_at().is_none())) {
        (None, _) => format!("NO AGENT at {}: {why} · {next}", plain(&link.place)),
        (Some(_), None) => format!("AGENT GONE since {}: {why} · {next}", since.hms()),
        (Some(_), Some(frame)) => {
            // Whole seconds stand still between them.
            let age = std::time::Duration::from_secs(app.now().since(frame.at).as_secs());
            format!("AGENT GONE since {}: {why} · {next} · numbers are {} old", since.hms(), units::span(age))
        }
    };
    Some((text, look.palette.banner_crit))
}

/// What stands in place of the collector's state, where that is not known.
pub fn pill(app: &App, look: &Look) -> Option<Vec<(String, Style)>> {
    let palette = &look.palette;
    let (sign, style, word) = match (&app.link()?.state, &app.link()?.agent) {
        (LinkState::Attached { .. }, _) => return None,
        (LinkState::Connecting, _) => ("·", palette.warn, "attaching…"),
        (LinkState::Gone { .. }, Some(_)) => ("✖", palette.crit, "agent gone"),
        (LinkState::Gone { .. }, None) => ("✖", palette.crit, "no agent"),
    };
    Some(vec![(format!("{sign} "), style), (word.to_owned(), palette.text)])
}

/// Numbers of an agent that does not answer are drawn as old ones.
pub fn age(app: &App, look: &Look, body: Rect, buf: &mut Buffer) {
    let numbers = matches!(app.page(), Page::Fleet | Page::Vm) && app.frozen_at().is_none();
    if numbers && app.link().is_some_and(|link| !link.is_live()) {
        buf.set_style(body, look.palette.old);
    }
}

/// The agent's part of the status page.
pub fn document(app: &App, look: &Look, width: u16) -> Option<Document> {
    let link = app.link()?;
    let palette = &look.palette;
    let mut document = Document::default();
    document.title("agent", width, palette.strong, palette.faint);
    document.line(labelled("state", look, state(app, link, look)));
    if let LinkState::Gone { why, .. } = &link.state {
        document.paragraph(super::status::INDENT, &plain(why), width, (palette.dim, palette.crit));
    }
    document.paragraph(
        &format!("{:<14}", "asked at"),
        &plain(&link.place),
        width,
        (palette.dim, palette.text),
    );
    if let Some(agent) = &link.agent {
        let runs = units::span(app.now().since(agent.since));
        let process = format!("{}, started {}, {runs} ago", agent.pid, agent.since.hms());
        document.line(fact("process", process, look));
        let ours = env!("CARGO_PKG_VERSION");
        let version = if agent.version == ours {
            format!("{}, as this screen's", plain(&agent.version))
        } else {
            format!("{}; this screen is {ours}", plain(&agent.version))
        };
        document.line(fact("version", version, look));
        document.line(fact("libvirt", plain(&agent.uri), look));
        if let Some(clock) = clock(link.ahead) {
            document.paragraph(&format!("{:<14}", "clock"), &clock, width, (palette.dim, palette.warn));
        }
    }
    document.blank();
    Some(document)
}

/// That the clock of the agent's machine is another than this one's.
fn clock(ahead: i64) -> Option<String> {
    let apart = std::time::Duration::from_nanos(ahead.unsigned_abs());
    let half = std::time::Duration::from_millis(500);
    let apart = std::time::Duration::from_secs(apart.saturating_add(half).as_secs());
    let word = if ahead > 0 { "ahead of" } else { "behind" };
    let clock = || format!("{} {word} this machine's; times shown are the agent's", units::span(apart));
    (apart >= CLOCKS_AGREE).then(clock)
}

fn state(app: &App, link: &Link, look: &Look) -> Pieces {
    let palette = &look.palette;
    let ago = |at| format!("since {}, {}", crate::model::WallTime::hms(at), units::span(app.now().since(at)));
    match &link.state {
        LinkState::Connecting => vec![("attaching".to_owned(), palette.warn)],
        LinkState::Attached { since } => {
            vec![("attached ".to_owned(), palette.ok), (ago(*since), palette.dim)]
        }
        LinkState::Gone { since, next_at, .. } => vec![
            ("out of reach ".to_owned(), palette.crit),
            (format!("{}; next try {}", ago(*since), until(*next_at, app.now())), palette.dim),
        ],
    }
}
