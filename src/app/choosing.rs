//! What the fleet's own keys do: columns and cards.

use super::{Action, App, Overlay, SortKey, View, cards};
use crate::model::Frame;

impl App {
    /// Carries out an action of the fleet page.
    pub(super) fn choose(&mut self, action: Action) {
        let columns = &mut self.fleet.columns;
        match action {
            Action::Columns => {
                let open = self.overlay == Overlay::Columns;
                self.overlay = if open { Overlay::None } else { Overlay::Columns };
            }
            Action::ColumnToggle => columns.toggle(),
            Action::ColumnEarlier => columns.carry(-1),
            Action::ColumnLater => columns.carry(1),
            Action::ColumnReset => columns.reset(),
            Action::View => {
                let cards = self.fleet.view() == View::Cards;
                self.fleet.set_view(if cards { View::Table } else { View::Cards });
            }
            Action::CardLeft => self.fleet.move_by(-1),
            Action::CardRight => self.fleet.move_by(1),
            _ => {}
        }
        self.rearrange();
    }

    /// Moves the cursor by lines of the screen, but never by less than a card.
    pub(super) fn move_in_fleet(&mut self, lines: isize) {
        match self.fleet.view() {
            View::Table => self.fleet.move_by(lines),
            View::Cards => {
                let across = cards::side_by_side(self.size, self.fleet.rows().len());
                let whole = lines / isize::try_from(cards::HEIGHT).unwrap_or(1);
                self.fleet.move_lines(if whole == 0 { lines.signum() } else { whole }, across);
            }
        }
    }

    /// Works out what the fleet page says beside the rows.
    pub(super) fn look_at(&mut self, frame: Option<&Frame>) {
        let Some(frame) = frame else { return };
        self.attention.look(frame);
        let wanted = self.fleet.sort().0 == SortKey::Change
            || self.fleet.columns().chosen().any(|key| key == SortKey::Change);
        self.movers.look(frame, &self.series, wanted);
    }
}
