//! The line under the table: the selected VM in words, first of all why
//! something of it is missing.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{concerns, short};
use crate::{
    app::App,
    model::{DomainFrame, Missing, frame::Health},
    ui::{Look, aged, glyph::Condition, text, text::Strip, units, vm::job_words},
};

/// Draws the line for the selected VM. `alone`: what needs somebody has no
/// line of its own, and a word of it stands here.
pub fn render(app: &App, look: &Look, area: Rect, alone: bool, buf: &mut Buffer) {
    let Some(domain) = app.fleet().selected().and_then(|uuid| app.domain(uuid)) else { return };
    let Some(now) = app.frame().map(|frame| frame.at) else { return };
    let palette = &look.palette;
    let identity = domain.identity();
    let condition = Condition::of(domain);
    let mut strip = Strip::new(2);
    let shown = text::fit(&identity.name, area.width / 3);
    let name = text::width(&shown);
    let state = state(domain, condition);
    let state = match domain.state().reason(domain.reading.state_reason) {
        // What runs, runs: how it came to is told on its page.
        Some(why) if !matches!(condition, Condition::Running | Condition::Impaired | Condition::Hung) => {
            format!("{state}: {why}")
        }
        _ => state.to_owned(),
    };
    strip.left(
        0,
        vec![
            (format!("{} ", condition.sign()), condition.style(palette)),
            (shown.into_owned(), palette.text),
            (format!(" {state}"), palette.dim),
        ],
    );
    // The first reason is always told, shortened if need be; more as fits.
    let mut room = area.width.saturating_sub(2 + 2 + name + text::width(&state) + 3);
    let (memory, disks) = (aged::memory(domain, now), aged::disks(domain, now));
    let old = memory.old.or(disks.old);
    for (rank, (what, missing)) in (0..).zip(reasons(domain, memory.domain, disks.domain)) {
        let reason = format!("{what}{missing}");
        let mend = missing.mend(identity).map(|mend| format!("{reason} ({mend})"));
        // Of whom old numbers are shown, how old they are.
        let age = old.filter(|_| what.is_empty()).map(|old| format!("{reason}, {}", old.read()));
        let text = mend.or(age).filter(|text| text::width(text) <= room).unwrap_or(reason);
        let text = if rank == 0 { text::fit(&text, room).into_owned() } else { text };
        room = room.saturating_sub(text::width(&text) + 2);
        strip.left(rank, vec![(text, palette.warn)]);
    }
    if let Some(job) = &domain.job {
        strip.left(1, vec![(job_words(job), palette.accent)]);
    }
    if let Some(old) = old.filter(|old| old.waits_for_its_turn()) {
        strip.left(10, vec![(format!("memory and disks {}", old.read()), palette.old)]);
    }
    if let Ok(cores) = domain.rates.cpu_cores {
        strip.left(11, vec![(format!("{cores:.2} cores"), palette.dim)]);
    }
    if let Some(change) = app.movers().change(identity.uuid) {
        strip.left(10, vec![(super::row::change(change).trim_end().to_owned(), palette.dim)]);
    }
    if let Ok((used, _)) = memory.domain.reading.memory_used() {
        let ink = memory.old.map_or(palette.dim, |_| palette.old);
        strip.left(12, vec![(format!("{} used", units::bytes(used.bytes())), ink)]);
    }
    if let Some(concern) = concerns::brief(app, look).filter(|_| alone) {
        strip.right(9, concern);
    }
    strip.right(14, vec![(short(identity.uuid), palette.faint)]);
    if let Some(id) = identity.id {
        strip.right(13, vec![(format!("id {id}"), palette.faint)]);
    }
    strip.render(buf, area.x + 1, area.y, area.width.saturating_sub(2));
}

fn state(domain: &DomainFrame, condition: Condition) -> &'static str {
    match condition {
        Condition::Hung | Condition::Impaired => domain.state().word(),
        other => other.word(),
    }
}

/// Why values of this VM are missing, each reason once. `memory` and `disks`
/// are the frames of which these are shown.
fn reasons(domain: &DomainFrame, memory: &DomainFrame, disks: &DomainFrame) -> Vec<(&'static str, Missing)> {
    let rates = &domain.rates;
    let mut reasons: Vec<(&'static str, Missing)> = Vec::new();
    if !domain.is_live() {
        return reasons;
    }
    let mut add = |what: &'static str, missing: Option<Missing>| {
        if let Some(missing) = missing
            && !reasons.iter().any(|(_, known)| known.why == missing.why)
        {
            reasons.push((what, missing));
        }
    };
    if let Health::Impaired(missing) = domain.health {
        add("", Some(missing));
    }
    add("CPU: ", rates.cpu_percent.err());
    add("memory: ", memory.rates.memory_percent.err());
    add("disk: ", disks.rates.disk.read_bytes_per_s.err());
    add("network: ", rates.net.rx_bytes_per_s.err());
    add("steal: ", rates.steal_percent.err());
    add("guest memory: ", memory.reading.guest_memory.as_ref().err().copied());
    reasons
}
