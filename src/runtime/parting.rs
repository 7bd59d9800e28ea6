//! What is said at the end, where the screen was or in the agent's log: what
//! became of lines that were not delivered. Pure words; it prints nothing.

use crate::{
    delivery::ledger::reason,
    model::status::{DeliveryState, DeliveryStatus},
};

/// What was still to be delivered when the program ended, or was lost by the
/// end; nothing where all is well.
pub(super) fn words(before: &DeliveryStatus, after: &DeliveryStatus) -> Vec<String> {
    let lost = |status: &DeliveryStatus| status.dropped.get(reason::ENDED).copied().unwrap_or(0);
    let lost = lost(after).saturating_sub(lost(before));
    let mut words = Vec::new();
    if lost > 0 {
        words.push(format!("{} could be neither delivered nor recorded and {} lost", lines(lost), are(lost)));
    }
    let waiting = after.waiting_on_disk;
    if waiting > 0 && after.state != DeliveryState::Off {
        words.push(format!(
            "{} {} in the local record, to be delivered when kvmscope runs again",
            lines(waiting),
            if waiting == 1 { "waits" } else { "wait" }
        ));
    }
    words
}

fn lines(count: u64) -> String {
    format!("{count} line{}", if count == 1 { "" } else { "s" })
}

fn are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: DeliveryState, waiting_on_disk: u64, lost: u64) -> DeliveryStatus {
        let dropped = [(reason::ENDED.to_owned(), lost), (reason::QUEUE_FULL.to_owned(), 9)].into();
        DeliveryStatus { state, waiting_on_disk, dropped, ..DeliveryStatus::default() }
    }

    #[test]
    fn only_what_was_not_delivered_is_worth_a_word() {
        let before = status(DeliveryState::Delivering, 100, 5);
        assert!(words(&before, &status(DeliveryState::Delivering, 0, 5)).is_empty());
        assert!(words(&before, &status(DeliveryState::Off, 100, 5)).is_empty(), "nothing is to be sent");
        assert_eq!(
            words(&before, &status(DeliveryState::Probing, 1204, 5)),
            ["1204 lines wait in the local record, to be delivered when kvmscope runs again"]
        );
        assert_eq!(
            words(&before, &status(DeliveryState::Delivering, 0, 6)),
            ["1 line could be neither delivered nor recorded and is lost"],
            "those of this end alone"
        );
    }
}
