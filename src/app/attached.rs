//! A screen that shows an agent's collection: whose it is, what a key may do
//! to it, and how the histories go on from the agent's record.
//!
//! Owns the state of the link as it was told last. Cycles that were recorded
//! before this screen was there, or while the agent was out of reach, are no
//! gap: the agent's record has them.

use std::sync::Arc;

use super::{App, Effect, Overlay, Series, attention::Attention, filling::Lacking};
use crate::model::{
    WallTime,
    link::{Link, LinkState},
    past::Past,
};

/// What is known of the agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Attached {
    /// `None`: this process collects itself.
    link: Option<Link>,
    /// The past that waits for a frame to go on from it.
    history: Option<Arc<Past>>,
    /// Options that were given and are not said yet to mean nothing here.
    idle: Vec<String>,
}

impl Attached {
    pub fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Why nothing can be asked of the agent now.
    pub fn out_of_reach(&self) -> Option<String> {
        let link = self.link.as_ref().filter(|link| !link.is_live())?;
        Some(match &link.state {
            LinkState::Gone { .. } => "the agent does not answer: nothing can be asked of it".to_owned(),
            LinkState::Connecting | LinkState::Attached { .. } => "not attached yet".to_owned(),
        })
    }

    /// By how many nanoseconds its clock is ahead of this machine's.
    pub fn ahead(&self) -> i64 {
        self.link.as_ref().map_or(0, |link| link.ahead)
    }

    /// Whether a past waits for a frame to go on from it.
    pub fn awaits_a_frame(&self) -> bool {
        self.history.is_some()
    }

    /// What `r` has set about.
    pub fn reconnecting(&self) -> &'static str {
        match &self.link {
            None => "connecting to libvirt anew",
            Some(link) if link.is_live() => "the agent connects to libvirt anew",
            Some(_) => "trying the agent now",
        }
    }
}

impl App {
    /// These options were given, and mean nothing where an agent collects: said
    /// once, when it is attached to.
    pub fn means_nothing(&mut self, options: Vec<String>) {
        self.attached.idle = options;
    }

    pub(super) fn take_link(&mut self, mut link: Link) {
        // All times that are shown are of the agent's clock, as its record is.
        let drift = link.ahead.saturating_sub(self.attached.ahead());
        self.now = WallTime(self.now.0.saturating_add(drift));
        if let Some(notice) = &mut self.notice {
            notice.until = WallTime(notice.until.0.saturating_add(drift));
        }
        link.state = link.state.by_clock_ahead(link.ahead);
        let before = self.attached.link.take();
        let known = before.as_ref().and_then(|before| before.agent.as_ref());
        let other = match (known, &link.agent) {
            (Some(known), Some(agent)) => !known.is_same_run(agent),
            _ => false,
        };
        if link.is_live() {
            if let Some(agent) = &link.agent {
                self.config.clone_from(&agent.config);
                if !before.as_ref().is_some_and(Link::is_live) {
                    let again = if known.is_some() { "attached again" } else { "attached" };
                    let what = format!("{again} to kvmscope agent (process {}) at {}", agent.pid, link.place);
                    let idle = std::mem::take(&mut self.attached.idle);
                    self.say(match (&idle[..], idle.join(", ")) {
                        ([], _) => format!("{what}: its collection is shown"),
                        // First, as the rest may be cut off.
                        ([_], option) => format!("{option} means nothing here, it is the agent's: {what}"),
                        (_, all) => format!("{all} mean nothing here, they are the agent's: {what}"),
                    });
                }
            }
        } else {
            // Whoever comes back knows nothing of it.
            self.control.forget_asked();
            self.lacking.forget_asked();
            if self.overlay == Overlay::StopQuestion {
                self.overlay = Overlay::None;
            }
        }
        self.attached.link = Some(link);
        if other {
            self.begin_anew();
        }
    }

    /// The agent was started anew: its cycles are counted anew, by another
    /// clock. What was before is found in its record.
    fn begin_anew(&mut self) {
        let thresholds = (self.screen.warn_percent, self.screen.critical_percent);
        // What is shown stays until there is something newer.
        self.recent.begin_anew();
        let before = std::mem::replace(&mut self.series, Series::new(self.screen.history_cycles));
        if let Some(frozen) = &mut self.frozen {
            frozen.outlive(before);
        }
        self.movers.begin_anew([]);
        self.attention = Attention::new(thresholds);
        self.attached.history = None;
        self.lacking = Lacking::default();
    }

    /// The newest cycles of the agent's record.
    pub(super) fn inherit(&mut self, past: Past) {
        self.attached.history = Some(Arc::new(past));
        if !self.series.is_new() {
            self.go_on_from_history();
            if self.frozen.is_none() {
                self.rearrange();
            }
        }
    }

    /// Has the histories begin with what the agent recorded, and go on with
    /// the frames that came since. Waits for the first of them: without one
    /// nothing is shown that could have a history.
    pub(super) fn go_on_from_history(&mut self) {
        let Some(past) = self.attached.history.take() else { return };
        let (begins, until) = (past.slots.iter().flatten().min().copied(), past.frame.at);
        // A short piece in place of what this screen has seen itself would lose
        // more than it fills.
        if begins.is_none() || begins > self.series.begins() || !self.recent.packs_few_after(until) {
            return;
        }
        let Past { angles, slots, .. } = Arc::unwrap_or_clone(past);
        let mut series = Series::inherited(self.screen.history_cycles, angles, &slots);
        self.recent.number(until, |frame| {
            series.push(frame);
            series.slots_of(frame)
        });
        self.movers.begin_anew(self.recent.moments());
        let frozen = self.frozen.as_ref().filter(|frozen| frozen.series().is_none());
        series.show_as_of(frozen.map(|frozen| series.slots_up_to(frozen.frame.at)));
        self.series = series;
    }

    /// Whether `s` first has to ask, or can ask nobody.
    pub(super) fn asks_before_toggling(&mut self) -> bool {
        if let Some(why) = self.attached.out_of_reach() {
            self.say(why);
            return true;
        }
        let asks = self.attached.link.is_some() && !self.control.is_off();
        if asks {
            self.overlay = Overlay::StopQuestion;
            // The question needs the line.
            self.notice = None;
        }
        asks
    }

    /// The answer was yes.
    pub(super) fn stop_for_all(&mut self) -> Vec<Effect> {
        self.overlay = Overlay::None;
        // Somebody else may have stopped it meanwhile.
        if self.control.is_off() {
            return Vec::new();
        }
        self.control.toggle();
        vec![Effect::StopCollection]
    }
}

#[cfg(test)]
mod tests;
