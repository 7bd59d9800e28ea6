//! From a key to an action, made from [`ACTIONS`] and checked at start-up.

use std::collections::HashMap;

use super::{
    action::{ACTIONS, Action, Binding, Mode},
    key::Key,
};

/// Two bindings want the same key in the same place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {key} is bound to both {first} and {second} on the {place} page: change one in ACTIONS")]
pub struct Clash {
    /// The key.
    pub key: Key,
    /// One binding's id.
    pub first: &'static str,
    /// The other's.
    pub second: &'static str,
    /// Where both hold.
    pub place: &'static str,
}

/// What each key does in each mode.
#[derive(Clone, Debug)]
pub struct Keymap(HashMap<(Mode, Key), Action>);

impl Keymap {
    /// The keymap of [`ACTIONS`].
    ///
    /// # Errors
    /// Two bindings clash; the program must not start with them.
    pub fn new() -> Result<Self, Clash> {
        Self::of(ACTIONS)
    }

    fn of(actions: &[Binding]) -> Result<Self, Clash> {
        let mut map = HashMap::new();
        let mut taken: HashMap<(Mode, Key), &'static str> = HashMap::new();
        for mode in Mode::ALL {
            for binding in bindings_of(actions, mode) {
                for &key in binding.keys {
                    if let Some(first) = taken.insert((mode, key), binding.id) {
                        return Err(Clash { key, first, second: binding.id, place: mode.title() });
                    }
                    map.insert((mode, key), binding.action);
                }
            }
        }
        Ok(Self(map))
    }

    /// What `key` does in `mode`.
    #[must_use]
    pub fn action(&self, mode: Mode, key: Key) -> Option<Action> {
        self.0.get(&(mode, key)).copied()
    }
}

/// The bindings that hold in `mode`, in the order of the table.
pub fn bindings(mode: Mode) -> impl Iterator<Item = &'static Binding> {
    bindings_of(ACTIONS, mode)
}

fn bindings_of(actions: &[Binding], mode: Mode) -> impl Iterator<Item = &Binding> {
    actions.iter().filter(move |b| b.contexts.iter().any(|c| mode.contexts().contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::action::Context;

    #[test]
    fn the_table_has_no_clash_and_every_binding_can_be_reached() {
        let keymap = Keymap::new().unwrap();
        for binding in ACTIONS {
            assert!(!binding.help.is_empty(), "{}", binding.id);
            let reached = Mode::ALL.iter().any(|&mode| {
                binding.keys.iter().all(|&key| keymap.action(mode, key) == Some(binding.action))
            });
            assert!(reached, "{} is reached in no mode", binding.id);
        }
        let mut ids: Vec<_> = ACTIONS.iter().map(|b| b.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ACTIONS.len(), "ids are unique");
    }

    #[test]
    fn a_clash_names_both_bindings_and_the_key() {
        let collection = ACTIONS.iter().find(|b| b.id == "collection").unwrap();
        let doubled = Binding { id: "twin", contexts: &[Context::Fleet], ..*collection };
        let mut table = ACTIONS.to_vec();
        table.push(doubled);
        let clash = Keymap::of(&table).unwrap_err();
        assert_eq!((clash.key, clash.second), (Key::Char('s'), "twin"));
        assert!(clash.to_string().contains("key s is bound to both"), "{clash}");
    }

    #[test]
    fn the_same_key_may_mean_different_things_in_different_places() {
        let keymap = Keymap::new().unwrap();
        assert_eq!(keymap.action(Mode::Fleet, Key::Char('y')), Some(Action::Copy));
        assert_eq!(keymap.action(Mode::Question, Key::Char('y')), Some(Action::Yes));
        assert_eq!(keymap.action(Mode::Filter, Key::Char('s')), None);
    }
}
