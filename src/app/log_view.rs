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

    /// Whether a line with this target and text is shown, its level aside.
    #[must_use]
    pub fn shows(&self, target: &str, text: &str) -> bool {
        let found = || text.to_lowercase().contains(&self.search.to_lowercase());
        self.source.includes(target) && (self.search.is_empty() || found())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_by_who_says_it_and_what_it_says() {
        let mut view = LogView::new();
        assert!(view.shows("kvmscope::delivery::sender", "retry"));
        view.source = LogSource::Delivery;
        assert!(
            view.shows("kvmscope::journal::open", "Timeout") && !view.shows("kvmscope::libvirt", "Timeout")
        );
        view.search = "tImE".into();
        assert!(view.shows("kvmscope::influx", "a Timeout") && !view.shows("kvmscope::influx", "retry"));
        view.search.clear();
        view.source = LogSource::Rest;
        assert!(view.shows("hyper::client", "x") && view.shows("kvmscope::runtime", "x"));
        for forward in [true, false] {
            for _ in 0..LogSource::ALL.len() {
                view.turn_source(forward);
            }
            assert_eq!(view.source, LogSource::Rest, "it goes round");
        }
    }
}
