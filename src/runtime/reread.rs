//! What has changed in a configuration that was read again, and what becomes
//! of each change while the agent runs.

use crate::model::status::ConfigEntry;

/// A key whose value has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// `collector.poll_interval`
    Interval,
    /// `log.level`
    Level,
    /// It is taken at start alone.
    AfterRestart(String),
    /// The agent does not use it.
    NotOurs(String),
}

/// Whether a change of this key is taken over while the agent runs.
pub(super) fn is_live(key: &str) -> bool {
    matches!(key, "collector.poll_interval" | "log.level")
}

/// The keys whose value differs. Of a secret only the place it stands in is
/// told apart: the value itself is in neither list.
pub(super) fn changes(before: &[ConfigEntry], now: &[ConfigEntry]) -> Vec<Change> {
    let differs = |now: &&ConfigEntry| before.iter().any(|old| old.key == now.key && old.value != now.value);
    now.iter()
        .filter(differs)
        .map(|entry| match entry.key.as_str() {
            "collector.poll_interval" => Change::Interval,
            "log.level" => Change::Level,
            key if key.starts_with("screen.") || matches!(key, "log.file" | "log.max_bytes") => {
                Change::NotOurs(key.to_owned())
            }
            key => Change::AfterRestart(key.to_owned()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KEYS;

    fn entries(value: impl Fn(&str) -> String) -> Vec<ConfigEntry> {
        let entry = |key: &str| ConfigEntry { key: key.into(), value: value(key), origin: "default".into() };
        KEYS.iter().map(|key| entry(key.name)).collect()
    }

    #[test]
    fn every_key_has_its_fate_and_what_stays_has_none() {
        let before = entries(|_| "1".into());
        let live = KEYS.iter().filter(|key| is_live(key.name)).count();
        assert_eq!(changes(&before, &before), []);
        let after = entries(|_| "2".into());
        let all = changes(&before, &after);
        assert_eq!(all.len(), KEYS.len());
        let taken = all.iter().filter(|change| matches!(change, Change::Interval | Change::Level)).count();
        assert_eq!(taken, live);
        for change in [Change::Interval, Change::Level, Change::AfterRestart("libvirt.uri".into())] {
            assert!(all.contains(&change), "{change:?}");
        }
        let one = entries(|key| if key == "screen.theme" { "2" } else { "1" }.into());
        assert_eq!(changes(&before, &one), [Change::NotOurs("screen.theme".into())]);
    }
}
