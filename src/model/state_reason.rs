//! Why a domain is in its state: words for libvirt's reason codes.

use super::DomainState;

impl DomainState {
    /// Why a domain is in this state, by libvirt's reason code within it
    /// (`virDomainRunningReason` and its kin); `None` where libvirt does not
    /// say or the code is newer than this program.
    #[must_use]
    pub fn reason(self, code: i64) -> Option<&'static str> {
        let words: &[&str] = match self {
            Self::NoState | Self::Blocked | Self::PmSuspended => &[],
            Self::Running => &[
                "booted",
                "migrated here",
                "restored",
                "from snapshot",
                "unpaused",
                "migration cancelled",
                "save cancelled",
                "woken up",
                "crashed",
                "post-copy",
                "post-copy failed",
            ],
            Self::Paused => &[
                "by the user",
                "migration",
                "save",
                "dump",
                "I/O error",
                "watchdog",
                "from snapshot",
                "shutting down",
                "snapshot",
                "crashed",
                "starting up",
                "post-copy",
                "post-copy failed",
                "API error",
            ],
            Self::Shutdown => &["asked to"],
            Self::Shutoff => &[
                "shut down by the guest",
                "destroyed",
                "crashed",
                "migrated away",
                "saved",
                "failed to start",
                "loaded from snapshot",
                "daemon restart",
            ],
            Self::Crashed => &["panicked"],
        };
        // Code 0 is "unknown" in every state.
        let place = usize::try_from(code).ok()?.checked_sub(1)?;
        words.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::DomainState;

    /// Codes as libvirt's header numbers them.
    #[test]
    fn codes_of_libvirt_have_their_words() {
        for (state, code, words) in [
            (DomainState::Running, 1, "booted"),
            (DomainState::Running, 5, "unpaused"),
            (DomainState::Running, 11, "post-copy failed"),
            (DomainState::Paused, 1, "by the user"),
            (DomainState::Paused, 5, "I/O error"),
            (DomainState::Paused, 11, "starting up"),
            (DomainState::Paused, 14, "API error"),
            (DomainState::Shutoff, 1, "shut down by the guest"),
            (DomainState::Shutoff, 5, "saved"),
            (DomainState::Shutoff, 6, "failed to start"),
            (DomainState::Shutoff, 8, "daemon restart"),
            (DomainState::Crashed, 1, "panicked"),
        ] {
            assert_eq!(state.reason(code), Some(words), "{state:?} {code}");
        }
        for (state, code) in [
            (DomainState::Running, 0),
            (DomainState::Paused, 15),
            (DomainState::NoState, 1),
            (DomainState::Shutoff, -1),
        ] {
            assert_eq!(state.reason(code), None, "{state:?} {code}");
        }
    }
}
