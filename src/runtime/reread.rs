//! A configuration that is read again: how, what has changed in it, and what
//! becomes of each change while the agent runs.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::{
    agent::door::{DoorError, Keys},
    config::{ConfigErrors, Loaded},
    model::status::ConfigEntry,
};

/// The configuration, and how many keys were read again or why not.
pub(super) type Reread = Result<(Loaded, Result<usize, Vec<DoorError>>), ConfigErrors>;

/// The files being read again: on a thread of its own, for they may stand where
/// nothing answers, and signals and callers are heard meanwhile.
pub(super) enum Reading {
    /// Nothing is read.
    None,
    /// It was begun.
    Begun {
        /// Where it is read.
        thread: JoinHandle<Reread>,
        /// Asked for once more: what is being read may be older than that.
        again: bool,
    },
}

impl Reading {
    /// Begins, or has it done once more after what is being read.
    pub fn begin<F>(&mut self, reread: &Arc<F>, keys: &Keys)
    where
        F: Fn() -> Result<Loaded, ConfigErrors> + Send + Sync + 'static,
    {
        if let Self::Begun { again, .. } = self {
            *again = true;
            tracing::warn!("the configuration is still being read; it is read once more after that");
            return;
        }
        tracing::info!("the configuration is being read again");
        let (reread, keys) = (Arc::clone(reread), keys.clone());
        let thread = tokio::task::spawn_blocking(move || reread().map(|found| (found, keys.reread())));
        *self = Self::Begun { thread, again: false };
    }

    /// What was found; never, while nothing is read.
    pub async fn found(&mut self) -> Reread {
        if let Self::Begun { thread, .. } = self
            // A panic in it ends the program by itself.
            && let Ok(found) = thread.await
        {
            return found;
        }
        std::future::pending().await
    }

    /// It was found; whoever asked meanwhile has it read once more.
    pub fn end<F>(&mut self, reread: &Arc<F>, keys: &Keys)
    where
        F: Fn() -> Result<Loaded, ConfigErrors> + Send + Sync + 'static,
    {
        if let Self::Begun { again: true, .. } = std::mem::replace(self, Self::None) {
            self.begin(reread, keys);
        }
    }
}

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
