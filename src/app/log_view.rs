//! Which part of the log is shown: how grave, from whom, and what was
//! searched for.

use super::page::LogLevel;

/// Whose lines are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogSource {
    /// Everybody's.
    #[default]
    All,
    /// Cycles, readers, events.
    Collector,
    /// libvirt and its connection.
    Libvirt,
    /// Database and local record.
    Delivery,
    /// The screen, configuration, and anything else.
    Rest,
}

impl LogSource {
    const ALL: [Self; 5] = [Self::All, Self::Collector, Self::Libvirt, Self::Delivery, Self::Rest];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        ["everybody", "collector", "libvirt", "delivery", "the rest"][self as usize]
    }

    /// Whether a line with `target`, the path of the module that says it, is
    /// one of its.
    #[must_use]
    pub fn includes(self, target: &str) -> bool {
        let room = target.strip_prefix("kvmscope::").and_then(|rest| rest.split("::").next());
        let of = match room {
            Some("collector") => Self::Collector,
            Some("libvirt") => Self::Libvirt,
            Some("delivery" | "journal" | "influx") => Self::Delivery,
            _ => Self::Rest,
        };
        self == Self::All || self == of
    }

    fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }

    fn previous(self) -> Self {
        Self::ALL[(self as usize + Self::ALL.len() - 1) % Self::ALL.len()]
    }
}

/// What of the log is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogView {
    /// How grave a line must be.
    pub level: LogLevel,
    /// Whose lines.
    pub source: LogSource,
    /// What a line must have in it, in whichever case; empty: anything.
    pub search: String,
}

impl LogView {
    pub(super) fn new() -> Self {
        Self { level: LogLevel::Info, source: LogSource::All, search: String::new() }
    }

    pub(super) fn turn_source(&mut self, forward: bool) {
        self.source = if forward { self.source.next() } else { self.source.previous() };
    }

    /// Which lines are shown, by target and text, their level aside.
    pub fn filter(&self) -> impl Fn(&str, &str) -> bool + use<> {
        let (source, needle) = (self.source, self.search.to_lowercase());
        move |target, text| {
            source.includes(target) && (needle.is_empty() || text.to_lowercase().contains(&needle))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_by_who_says_it_and_what_it_says() {
        let mut view = LogView::new();
        let shows = |view: &LogView, target, text| view.filter()(target, text);
        assert!(shows(&view, "kvmscope::delivery::sender", "retry"));
        view.source = LogSource::Delivery;
        assert!(
            shows(&view, "kvmscope::journal::open", "Timeout")
                && !shows(&view, "kvmscope::libvirt", "Timeout")
        );
        view.search = "tImE".into();
        assert!(shows(&view, "kvmscope::influx", "a Timeout") && !shows(&view, "kvmscope::influx", "retry"));
        view.search.clear();
        view.source = LogSource::Rest;
        assert!(shows(&view, "hyper::client", "x") && shows(&view, "kvmscope::runtime", "x"));
        for forward in [true, false] {
            for _ in 0..LogSource::ALL.len() {
                view.turn_source(forward);
            }
            assert_eq!(view.source, LogSource::Rest, "it goes round");
        }
    }
}
