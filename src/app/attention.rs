//! What needs somebody: VMs that hang, crashed or were stopped by an error,
//! troubles of late, and values over their thresholds, the worst first.
//!
//! Owns since when each value has been over its threshold. It changes nothing
//! of the VMs; how the list is drawn is the ui's.

use std::{collections::HashMap, sync::Arc, time::Duration};

use uuid::Uuid;

use crate::model::{
    DomainFrame, Frame, MonoTime, WallTime, Why, frame::Health, glance::Glance, timeline::Weight,
};

/// How long a trouble stays in the list.
const LATELY: Duration = Duration::from_mins(10);
/// Percent a value has to fall below its threshold until it no longer counts
/// as over it: one that swings around the threshold is one crossing.
const SWING: f64 = 5.0;
/// How long a value has to be over its threshold to be worth a word: a burst
/// of a second is no news.
const LASTS: Duration = Duration::from_secs(5);
/// Entries kept of the list: more than any line has room for.
const KEPT: usize = 32;

/// Whether a VM needs somebody whatever it is sorted by: its monitor hangs,
/// it crashed, or an error stopped it.
#[must_use]
pub fn needs_somebody(domain: &DomainFrame) -> bool {
    domain.is_hung() || domain.stopped_by().is_some()
}

/// A value with thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// CPU percent.
    Cpu,
    /// Memory percent, as the guest reports it.
    Memory,
}

/// What is the matter.
#[derive(Clone, Debug, PartialEq)]
pub enum Matter {
    /// Its monitor has not answered since then.
    Hung {
        /// Since when, where that is known.
        since: Option<WallTime>,
    },
    /// Stopped by an error, in libvirt's words.
    Stopped {
        /// What stopped it.
        by: &'static str,
    },
    /// Something happened.
    Trouble {
        /// When.
        at: WallTime,
        /// What.
        text: Arc<str>,
    },
    /// A value is over its threshold.
    Over {
        /// Which.
        value: Value,
        /// Percent now.
        percent: f64,
        /// The threshold, percent.
        threshold: f64,
        /// Whether it is the second one, of the critical.
        critical: bool,
        /// For how long, where that was seen.
        lasts: Option<Duration>,
    },
}

/// One entry of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Concern {
    /// Of which VM.
    pub uuid: Uuid,
    /// Its name.
    pub name: Arc<str>,
    /// What it is.
    pub matter: Matter,
}

impl Matter {
    /// Smaller is worse.
    fn rank(&self) -> u8 {
        match self {
            Self::Hung { .. } => 0,
            Self::Stopped { .. } => 1,
            Self::Trouble { .. } => 2,
            Self::Over { critical: true, .. } => 3,
            Self::Over { .. } => 4,
        }
    }

    /// Whether it is broken or critical, rather than worth a look.
    #[must_use]
    pub fn is_critical(&self) -> bool {
        self.rank() < 4
    }
}

/// Since when a value has been over each of the two thresholds.
#[derive(Clone, Copy, Debug)]
struct Since {
    warn: Moment,
    critical: Option<Moment>,
}

/// An instant on both clocks: the wall clock says whether the shown frame lies
/// before it, and the monotonic one how long ago it is, whatever the wall
/// clock jumped meanwhile.
#[derive(Clone, Copy, Debug)]
struct Moment(WallTime, MonoTime);

impl Moment {
    fn of(frame: &Frame) -> Self {
        Self(frame.at, frame.mono)
    }

    /// How long this has lasted after `since`; `None` where it lies before.
    fn after(self, since: Self) -> Option<Duration> {
        let wall = (self.0 >= since.0).then(|| self.0.since(since.0))?;
        // A frame out of the record may be of another process's clock.
        let mono = self.1.since(since.1);
        Some(if mono.is_zero() { wall } else { wall.min(mono) })
    }
}

/// Which values are over their thresholds, and since when.
#[derive(Clone, Debug)]
pub struct Attention {
    thresholds: (f64, f64),
    over: HashMap<(Uuid, Value), Since>,
    list: Vec<Concern>,
    total: usize,
}

impl Attention {
    /// Nothing seen yet. `thresholds`: warning and critical, percent.
    pub(super) fn new(thresholds: (f64, f64)) -> Self {
        Self { thresholds, over: HashMap::new(), list: Vec::new(), total: 0 }
    }

    /// The worst of what needs somebody in the shown frame, the worst first.
    #[must_use]
    pub fn list(&self) -> &[Concern] {
        &self.list
    }

    /// How many there are in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Follows the thresholds through the newest frame.
    pub(super) fn follow(&mut self, frame: &Frame) {
        let (warn, critical) = self.thresholds;
        let mut over = HashMap::with_capacity(self.over.len());
        for glance in frame.domains.glances().iter().filter(|glance| glance.live) {
            for (value, percent) in percents(glance) {
                if percent < warn - SWING {
                    continue;
                }
                let key = (glance.uuid, value);
                let before = self.over.get(&key);
                if before.is_none() && percent < warn {
                    continue;
                }
                let known = before.and_then(|since| since.critical);
                let stays = percent >= critical || (known.is_some() && percent >= critical - SWING);
                let since = Since {
                    warn: before.map_or(Moment::of(frame), |since| since.warn),
                    critical: stays.then(|| known.unwrap_or(Moment::of(frame))),
                };
                over.insert(key, since);
            }
        }
        self.over = over;
    }

    /// Makes the list for the shown frame. Of a moment that lies before a
    /// value's crossing nothing is said of how long it lasts.
    pub(super) fn look(&mut self, frame: &Frame) {
        let mut found = Vec::new();
        let near = self.thresholds.0 - SWING;
        for (place, (glance, domain)) in frame.domains.glances().iter().zip(&frame.domains).enumerate() {
            let quiet = !glance.needy && !glance.trouble && percents(glance).all(|(_, of)| of < near);
            if quiet || !glance.live {
                continue;
            }
            self.concerns(glance, domain, Moment::of(frame), |matter| {
                found.push(((matter.rank(), order(&matter), place), matter));
            });
        }
        self.total = found.len();
        if found.len() > KEPT {
            found.select_nth_unstable_by_key(KEPT, |(key, _)| *key);
            found.truncate(KEPT);
        }
        found.sort_by_key(|(key, _)| *key);
        let named = found.into_iter().filter_map(|((_, _, place), matter)| {
            let identity = frame.domains.get(place)?.identity();
            Some(Concern { uuid: identity.uuid, name: Arc::clone(&identity.name), matter })
        });
        self.list = named.collect();
    }

    fn concerns(&self, glance: &Glance, domain: &DomainFrame, now: Moment, mut add: impl FnMut(Matter)) {
        if let Health::Impaired(missing) = domain.health
            && missing.why == Why::MonitorNotAnswering
        {
            add(Matter::Hung { since: missing.since });
        }
        if let Some(by) = domain.stopped_by() {
            add(Matter::Stopped { by });
        }
        // Of one VM the newest trouble is enough: its page has the others.
        let lately = |at: WallTime| at <= now.0 && now.0.since(at) <= LATELY;
        let trouble = domain.timeline.iter().rev().find(|h| h.weight == Weight::Trouble && lately(h.at));
        if let Some(trouble) = trouble {
            add(Matter::Trouble { at: trouble.at, text: Arc::clone(&trouble.text) });
        }
        for (value, percent) in percents(glance) {
            if let Some(matter) = self.over(glance.uuid, value, percent, now) {
                add(matter);
            }
        }
    }

    fn over(&self, uuid: Uuid, value: Value, percent: f64, now: Moment) -> Option<Matter> {
        let (warn, critical) = self.thresholds;
        if percent < warn - SWING {
            return None;
        }
        let over = |critical: bool, threshold: f64, lasts: Option<Duration>| Matter::Over {
            value,
            percent,
            threshold,
            critical,
            lasts,
        };
        let Some(since) = self.over.get(&(uuid, value)).filter(|since| now.after(since.warn).is_some())
        else {
            // A moment of the past that was not followed.
            return match percent {
                _ if percent >= critical => Some(over(true, critical, None)),
                _ if percent >= warn => Some(over(false, warn, None)),
                _ => None,
            };
        };
        let lasts =
            |since: Option<Moment>| since.and_then(|since| now.after(since)).filter(|lasts| *lasts >= LASTS);
        let most = lasts(since.critical).map(|lasts| over(true, critical, Some(lasts)));
        most.or_else(|| lasts(Some(since.warn)).map(|lasts| over(false, warn, Some(lasts))))
    }
}

/// Newest troubles first; of all else what has lasted longest. What is equal
/// keeps the order of the frame, which is that of the names.
fn order(matter: &Matter) -> i128 {
    match matter {
        Matter::Hung { since } => since.map_or(0, |since| i128::from(since.0)),
        Matter::Stopped { .. } => 0,
        Matter::Trouble { at, .. } => -i128::from(at.0),
        Matter::Over { lasts, .. } => {
            -lasts.map_or(0, |lasts| i128::try_from(lasts.as_nanos()).unwrap_or(i128::MAX))
        }
    }
}

/// The values of a VM that have thresholds, as far as they are known: the
/// last ones, where it merely is not its turn. What stands in for memory in
/// use says nothing of how full it is.
fn percents(glance: &Glance) -> impl Iterator<Item = (Value, f64)> {
    let reported = glance.memory_percent.filter(|_| glance.memory_reported);
    let cpu = glance.cpu_percent.map(|percent| (Value::Cpu, percent));
    cpu.into_iter().chain(reported.map(|percent| (Value::Memory, percent)))
}
