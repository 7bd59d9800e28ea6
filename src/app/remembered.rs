//! What the screen remembers from one run to the next: view, order, columns,
//! and whether VMs that are off are shown.
//!
//! Owns the words these are kept by. Where and how they are kept is the
//! runtime's; the filter and the selection are of the moment, and are not.

use serde::{Deserialize, Serialize};

use super::{App, Direction, Effect, Fleet, Inactive, SortKey, View, columns::Columns};

/// How the fleet is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Table or cards.
    pub view: View,
    /// What it is sorted by.
    pub sort: SortKey,
    /// Which end comes first.
    pub direction: Direction,
    /// Whether VMs that are off are shown.
    pub inactive: Inactive,
    /// The chosen columns in their order.
    pub columns: Vec<SortKey>,
}

/// The same in words, as a file holds them. A word that is not known, as of
/// another version, counts as not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    view: String,
    sort: String,
    direction: String,
    inactive: String,
    columns: Option<Vec<String>>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self::of(&Fleet::default())
    }
}

impl Remembered {
    fn of(fleet: &Fleet) -> Self {
        let (sort, direction) = fleet.sort();
        let columns = fleet.columns().chosen().collect();
        Self { view: fleet.view(), sort, direction, inactive: fleet.inactive(), columns }
    }

    /// Whether `fleet` is shown like this.
    fn is_of(&self, fleet: &Fleet) -> bool {
        self.view == fleet.view()
            && (self.sort, self.direction) == fleet.sort()
            && self.inactive == fleet.inactive()
            && fleet.columns().chosen().eq(self.columns.iter().copied())
    }

    /// In words.
    #[must_use]
    pub fn words(&self) -> Words {
        let direction = match self.direction {
            Direction::Ascending => "ascending",
            Direction::Descending => "descending",
        };
        Words {
            view: if self.view == View::Cards { "cards" } else { "table" }.into(),
            sort: self.sort.word().into(),
            direction: direction.into(),
            inactive: if self.inactive == Inactive::Hidden { "hidden" } else { "shown" }.into(),
            columns: Some(self.columns.iter().map(|key| key.word().to_owned()).collect()),
        }
    }
}

impl From<&Words> for Remembered {
    fn from(words: &Words) -> Self {
        let usual = Self::default();
        let sort = SortKey::of_word(&words.sort).unwrap_or(usual.sort);
        let columns = words.columns.as_ref().map(|columns| {
            let known: Vec<SortKey> = columns.iter().filter_map(|word| SortKey::of_word(word)).collect();
            Columns::of(&known).chosen().collect()
        });
        Self {
            view: if words.view == "cards" { View::Cards } else { View::Table },
            sort,
            direction: match words.direction.as_str() {
                "ascending" => Direction::Ascending,
                "descending" => Direction::Descending,
                _ => sort.natural(),
            },
            inactive: if words.inactive == "hidden" { Inactive::Hidden } else { Inactive::Shown },
            columns: columns.unwrap_or(usual.columns),
        }
    }
}

impl App {
    /// Shows the fleet as it was shown when the program ran last.
    pub fn recall(&mut self, remembered: Remembered) {
        self.fleet.set_view(remembered.view);
        self.fleet.set_sort(remembered.sort, remembered.direction);
        self.fleet.set_inactive(remembered.inactive);
        self.fleet.columns = Columns::of(&remembered.columns);
        self.remembered = remembered;
        self.rearrange();
        self.changed = true;
    }

    /// Asks for a change to be kept.
    pub(super) fn remember(&mut self) -> Option<Effect> {
        if self.remembered.is_of(&self.fleet) {
            return None;
        }
        self.remembered = Remembered::of(&self.fleet);
        Some(Effect::Remember(self.remembered.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Key, Message, fixtures::running};

    fn press(app: &mut App, keys: &str) -> Vec<Remembered> {
        let effects = keys.chars().flat_map(|c| app.update(Message::Key(Key::Char(c)))).collect::<Vec<_>>();
        let kept = effects.into_iter().filter_map(|effect| match effect {
            Effect::Remember(remembered) => Some(remembered),
            _ => None,
        });
        kept.collect()
    }

    #[test]
    fn every_choice_is_kept_and_comes_back_as_it_was() {
        let (mut app, _host) = running(5);
        for keys in ["v", "a", "o", "O", "fJ", " ", "q"] {
            let kept = press(&mut app, keys);
            assert_eq!(kept.is_empty(), keys == "q", "{keys}: {kept:?}");
            let Some(last) = kept.last() else { continue };
            assert_eq!(Remembered::from(&last.words()), *last);
            let (mut next, _host) = running(5);
            next.recall(last.clone());
            assert!(last.is_of(&next.fleet), "{keys}");
            assert_eq!(next.remember(), None, "nothing new to keep");
        }
        assert!(press(&mut app, "jjyp/web").is_empty(), "what is of the moment is not kept");
    }

    #[test]
    fn words_that_are_not_known_are_left_out() {
        let words = Words {
            view: "hologram".into(),
            sort: "smell".into(),
            columns: Some(["net", "aura", "cpu", "net", "name"].map(String::from).into()),
            ..Words::default()
        };
        let remembered = Remembered::from(&words);
        assert_eq!(remembered.columns, [SortKey::Net, SortKey::Cpu]);
        assert_eq!((remembered.view, remembered.sort), (View::Table, SortKey::Cpu));
        assert_eq!(Remembered::from(&Words::default()), Remembered::default());
    }
}
