//! Which columns the fleet table has, in which order, and the cursor of the
//! list in which they are chosen.
//!
//! Owns the choice. Which of the chosen ones fit is the ui's to find out.

use super::SortKey;

/// Every column there is, in the chosen order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    order: Vec<(SortKey, bool)>,
    cursor: usize,
}

impl Default for Columns {
    fn default() -> Self {
        Self { order: SortKey::COLUMNS.map(|key| (key, key.is_usual())).to_vec(), cursor: 0 }
    }
}

impl Columns {
    /// The columns of `shown` in that order; the others follow, hidden.
    #[must_use]
    pub fn of(shown: &[SortKey]) -> Self {
        let mut order: Vec<(SortKey, bool)> = Vec::with_capacity(SortKey::COLUMNS.len());
        let chosen = shown.iter().filter(|key| SortKey::COLUMNS.contains(key));
        for (key, shown) in chosen.map(|&key| (key, true)).chain(SortKey::COLUMNS.map(|key| (key, false))) {
            if order.iter().all(|(known, _)| *known != key) {
                order.push((key, shown));
            }
        }
        Self { order, cursor: 0 }
    }

    /// Every column, and whether it is chosen.
    #[must_use]
    pub fn all(&self) -> &[(SortKey, bool)] {
        &self.order
    }

    /// The chosen columns, the most important first.
    pub fn chosen(&self) -> impl Iterator<Item = SortKey> + '_ {
        self.order.iter().filter(|(_, shown)| *shown).map(|(key, _)| *key)
    }

    /// Whether nobody chose otherwise.
    #[must_use]
    pub fn are_usual(&self) -> bool {
        self.chosen().eq(SortKey::COLUMNS.into_iter().filter(|key| key.is_usual()))
    }

    /// The line of the cursor in [`Columns::all`].
    #[must_use]
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    pub(super) fn move_by(&mut self, step: isize) {
        self.cursor = self.cursor.saturating_add_signed(step).min(self.order.len() - 1);
    }

    pub(super) fn toggle(&mut self) {
        if let Some((_, shown)) = self.order.get_mut(self.cursor) {
            *shown = !*shown;
        }
    }

    /// Moves the column of the cursor, and the cursor with it.
    pub(super) fn carry(&mut self, step: isize) {
        let to = self.cursor.saturating_add_signed(step).min(self.order.len() - 1);
        let column = self.order.remove(self.cursor);
        self.order.insert(to, column);
        self.cursor = to;
    }

    /// Back to what nobody chose.
    pub(super) fn reset(&mut self) {
        *self = Self { cursor: self.cursor, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_toggled_and_carried_and_come_back() {
        let mut columns = Columns::default();
        assert!(columns.are_usual());
        columns.move_by(1);
        columns.carry(-5);
        assert_eq!((columns.all()[0], columns.cursor()), ((SortKey::Cpu, true), 0));
        columns.move_by(100);
        assert_eq!(columns.all()[columns.cursor()], (SortKey::Rss, false));
        columns.toggle();
        columns.carry(100);
        assert!(!columns.are_usual());
        let chosen: Vec<SortKey> = columns.chosen().collect();
        assert_eq!(chosen.first(), Some(&SortKey::Cpu));
        assert_eq!(chosen.last(), Some(&SortKey::Rss));
        assert_eq!(Columns::of(&chosen).chosen().collect::<Vec<_>>(), chosen);
        columns.reset();
        assert!(columns.are_usual());
    }

    #[test]
    fn a_choice_from_elsewhere_names_every_column_once() {
        let columns = Columns::of(&[SortKey::Net, SortKey::Name, SortKey::Net, SortKey::Cpu]);
        assert_eq!(columns.chosen().collect::<Vec<_>>(), [SortKey::Net, SortKey::Cpu]);
        assert_eq!(columns.all().len(), SortKey::COLUMNS.len());
        assert_eq!(Columns::of(&[]).chosen().count(), 0, "none at all is a choice too");
    }
}
