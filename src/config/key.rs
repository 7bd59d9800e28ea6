//! One row of the key table, and what can be asked of it.

use super::{keys::KEYS, shape::Shape};

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.key`
    pub name: &'static str,
    /// The default, as TOML would have it in `config.example.toml`.
    pub default: &'static str,
    /// One sentence for a stranger.
    pub doc: &'static str,
    /// Variable of the environment that overrides the file.
    pub env: Option<&'static str>,
    /// Flag of the command line that overrides both.
    pub flag: Option<&'static str>,
    /// Whether its value may be a secret by mistake: a refused one is not
    /// shown.
    pub hushed: bool,
    /// What its value looks like and where it goes.
    pub shape: Shape,
}

impl Key {
    /// The key of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The section's name.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(section, _)| section)
    }

    /// Whether it may stand in the file.
    #[must_use]
    pub fn in_file(&self) -> bool {
        !matches!(self.shape, Shape::Secret { .. })
    }

    /// The words it takes, if it takes only words.
    #[must_use]
    pub fn words(&self) -> &'static [&'static str] {
        match self.shape {
            Shape::Word { words, .. } => words,
            _ => &[],
        }
    }

    pub(super) const fn env(mut self, name: &'static str) -> Self {
        self.env = Some(name);
        self
    }

    pub(super) const fn flag(mut self, flag: &'static str) -> Self {
        self.flag = Some(flag);
        self
    }

    pub(super) const fn hushed(mut self) -> Self {
        self.hushed = true;
        self
    }
}

/// A row of the table, to which variable and flag may be added.
pub(super) const fn key(name: &'static str, default: &'static str, doc: &'static str, shape: Shape) -> Key {
    Key { name, default, doc, env: None, flag: None, hushed: false, shape }
}
