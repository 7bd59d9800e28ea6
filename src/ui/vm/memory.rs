//! The memory panel: one bar of the most the guest may have, divided into what
//! it uses, its cache, what the balloon leaves it beyond that, and what the
//! balloon has taken; across it a mark at what the VM holds of the host.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Subject,
    bar::Part,
    panels::{Lines, percent_value, thresholds, with_age},
    rule,
};
use crate::{
    app::fleet::memory_is_reported,
    model::{
        DomainReading, Kib, Measured, Missing, Why,
        reading::{MemorySize, MemorySource},
    },
    ui::{glyph, theme::Severity, units},
};

/// The guest's page cache.
const CACHE: &str = "▒";
/// Left to the guest by the balloon.
const GIVEN: &str = "░";
/// Taken by the balloon. Where a track has a ground of its own that is sign
/// enough.
const TAKEN: (&str, &str) = (" ", "·");

/// Where the parts of the bar end, as shares of the maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shares {
    /// In use by the guest; nothing where it does not say.
    used: f64,
    /// In use and cache.
    cached: f64,
    /// What the balloon leaves to the guest.
    given: f64,
    /// What the VM holds of the host's memory. May be beyond the maximum.
    resident: Option<f64>,
}

impl Shares {
    fn of(reading: &DomainReading, size: MemorySize) -> Option<Self> {
        #[allow(clippy::cast_precision_loss, reason = "a share of some columns")]
        let share = |kib: Kib| (size.maximum.0 > 0).then(|| kib.0 as f64 / size.maximum.0 as f64);
        let given = share(size.current)?;
        let used = match reading.memory_used() {
            Ok((used, MemorySource::Guest)) => share(used)?.min(given),
            _ => 0.0,
        };
        let cached = reading.guest_memory.as_ref().ok().and_then(|guest| {
            // Without it the cache is part of what is in use already.
            guest.usable?;
            share(guest.disk_caches?)
        });
        let cached = (used + cached.unwrap_or(0.0)).min(given);
        Some(Self { used, cached, given, resident: reading.rss.ok().and_then(share) })
    }
}

/// Draws title, bar and numbers.
pub fn panel(subject: &Subject<'_>, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let shown = subject.memory();
    let (reading, rates) = (&shown.domain.reading, &shown.domain.rates);
    let reported = memory_is_reported(shown.domain);
    let severity = |percent: f64| {
        if reported { Severity::of(percent, thresholds(subject)) } else { Severity::Calm }
    };
    let value = match rates.memory_percent {
        Ok(percent) if reported => percent_value(subject, percent, severity(percent)),
        Ok(percent) => vec![(format!("{}{percent:.0}%", glyph::STAND_IN), palette.strong)],
        Err(_) => vec![("–".to_owned(), palette.faint)],
    };
    let value = with_age(subject, shown.old, "memory", value, area.width);
    rule("memory", &value, false, subject.look, Rect { height: 1, ..area }, buf);
    let mut lines = Lines::of(subject, shown.old, area);
    let shares = reading.memory.ok().and_then(|size| Shares::of(reading, size));
    match (rates.memory_percent, shares) {
        (Ok(percent), Some(shares)) => {
            let fill = lines.ink(palette.fill(severity(percent)));
            let taken = if palette.track_is_coloured && !subject.look.ascii { TAKEN.0 } else { TAKEN.1 };
            let part = |end, sign, ink| Part { end, sign, ink };
            let parts = [
                part(shares.cached, CACHE, lines.ink(palette.load)),
                part(shares.given, GIVEN, lines.ink(palette.faint)),
                part(1.0, taken, palette.faint),
            ];
            let mark = shares.resident.map(|share| (share, lines.ink(palette.strong)));
            lines.bar(shares.used, fill, &parts, mark, buf);
        }
        (Err(missing), _) => lines.reason(&missing.to_string(), buf),
        (Ok(_), None) => lines.reason("size: not offered by this hypervisor", buf),
    }
    numbers(&mut lines, reading, buf);
}

/// The numbers behind the bar, each with the sign of its part.
fn numbers(lines: &mut Lines<'_>, reading: &DomainReading, buf: &mut Buffer) {
    let size = |kib: Kib| units::bytes(kib.bytes());
    let known = |kib: Option<Kib>| kib.map(size).ok_or(Missing::new(Why::NotOffered));
    let most: (&str, Measured<String>) = ("of ", reading.memory.map(|m| size(m.maximum)));
    let given = ("░ balloon ", reading.memory.map(|m| size(m.current)));
    let resident = ("│ host RSS ", reading.rss.map(size));
    let used = |sign| (sign, reading.memory_used().map(|(kib, _)| size(kib)));
    match &reading.guest_memory {
        Ok(guest) => {
            let used = used("█ used ");
            let cache = ("▒ cache ", known(guest.disk_caches));
            let unused = ("unused ", known(guest.unused));
            let swapped = [("swap in ", known(guest.swap_in)), ("out ", known(guest.swap_out))];
            let [swap_in, swap_out] = swapped;
            if lines.narrow() {
                lines.facts(&[used, most, cache, swap_in, given, swap_out, resident], 2, buf);
            } else if lines.width() < 50 {
                lines.facts(&[used, cache, given, most], 2, buf);
                lines.facts(&[resident, swap_in, swap_out], 3, buf);
            } else {
                lines.facts(&[used, cache, unused, given, resident, most, swap_in, swap_out], 3, buf);
            }
        }
        Err(missing) => {
            let facts = [given, most, resident];
            lines.facts(&facts, if lines.narrow() || lines.width() < 50 { 2 } else { 3 }, buf);
            lines.reason(&format!("guest report: {missing}"), buf);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::fixtures::running,
        model::{DomainFrame, reading::GuestMemory},
    };

    fn reading(change: impl Fn(&mut DomainReading)) -> DomainReading {
        let (app, host) = running(3);
        let domain: &DomainFrame = app.domain(host.uuid("web-frontend-1")).unwrap();
        let mut reading = domain.reading.clone();
        reading.memory = Ok(MemorySize { current: Kib(800), maximum: Kib(1000) });
        reading.rss = Ok(Kib(700));
        change(&mut reading);
        reading
    }

    fn shares(reading: &DomainReading) -> Shares {
        Shares::of(reading, reading.memory.unwrap()).unwrap()
    }

    fn guest(usable: Option<u64>) -> GuestMemory {
        GuestMemory {
            available: Some(Kib(780)),
            usable: usable.map(Kib),
            unused: Some(Kib(380)),
            disk_caches: Some(Kib(100)),
            ..GuestMemory::default()
        }
    }

    #[test]
    fn the_parts_are_shares_of_the_maximum_and_no_cache_is_counted_twice() {
        let whole = reading(|r| r.guest_memory = Ok(guest(Some(480))));
        let expected = Shares { used: 0.3, cached: 0.4, given: 0.8, resident: Some(0.7) };
        assert_eq!(shares(&whole), expected);
        let without_usable = reading(|r| r.guest_memory = Ok(guest(None)));
        let expected = Shares { used: 0.4, cached: 0.4, given: 0.8, resident: Some(0.7) };
        assert_eq!(shares(&without_usable), expected);
        let silent = reading(|r| {
            r.guest_memory = Err(Missing::new(Why::NoStatsPeriod));
            r.rss = Err(Missing::new(Why::NotOffered));
        });
        assert_eq!(shares(&silent), Shares { used: 0.0, cached: 0.0, given: 0.8, resident: None });
        let none = reading(|r| r.memory = Ok(MemorySize { current: Kib(0), maximum: Kib(0) }));
        assert_eq!(Shares::of(&none, none.memory.unwrap()), None, "no share of nothing");
    }
}
