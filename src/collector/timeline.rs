//! One domain's timeline: what libvirt's events told of it, in words.
//!
//! Owns the wording, the folding of events that come in swarms, and the
//! bound. It asks nobody: an alias becomes a device's name by what the
//! domain's XML said last, or will say next.

use std::{collections::VecDeque, fmt::Write as _, sync::Arc, time::Duration};

use crate::{
    libvirt::{BlockJobOutcome, DomainEvent, EventKind},
    model::{
        DomainDevices, Happening, Kib, MonoTime, WallTime,
        timeline::{KEPT, Weight},
    },
};

/// The same happening again within this long is counted, not listed anew.
const FOLD: Duration = Duration::from_secs(10);
/// Within [`LOG_SPAN`] so many lines of one domain go to the log. A guest can
/// make some events at will, and must not flood out what others have to say.
const LOG_LINES: u32 = 20;
const LOG_SPAN: Duration = Duration::from_secs(10);

/// What happened to one domain, oldest first.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    entries: VecDeque<Entry>,
    /// What frames share; built anew only after a change.
    shown: Arc<[Happening]>,
    changed: bool,
    /// The balloon's size, as far as it is known.
    balloon: Option<Kib>,
    logged: Logged,
}

#[derive(Debug)]
struct Entry {
    at: (WallTime, MonoTime),
    /// When it came first, in one swarm.
    since: WallTime,
    what: What,
    weight: Weight,
    /// How often it came, in one swarm.
    times: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Said(String),
    /// What became of a device, by its alias until its name is known.
    Device {
        alias: String,
        name: Option<String>,
        became: &'static str,
    },
    Balloon {
        from: Option<Kib>,
        to: Kib,
    },
}

/// Lines of one domain that went to the log lately.
#[derive(Debug, Default)]
struct Logged {
    since: MonoTime,
    lines: u32,
}

impl Timeline {
    /// Takes an event in. `devices` are the domain's as far as they are known.
    pub fn hear(&mut self, event: &DomainEvent, domain: &str, devices: Option<&DomainDevices>) {
        if let EventKind::Balloon { size } = event.kind
            && self.moves_on(size, event.at)
        {
            return;
        }
        let Some((what, weight)) = self.words(&event.kind, devices) else { return };
        self.changed = true;
        let mono = event.at.1;
        if let Some(last) = self.entries.back_mut()
            && mono.since(last.at.1) <= FOLD
            && last.what == what
        {
            last.times = last.times.saturating_add(1);
            last.at = event.at;
            return;
        }
        self.logged.line(domain, &what, weight, mono);
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        let since = self.own_instant(event.at.0);
        self.entries.push_back(Entry { at: event.at, since, what, weight, times: 1 });
    }

    /// `at`, or the next instant that no other entry has: by it the record
    /// knows an entry again.
    fn own_instant(&self, at: WallTime) -> WallTime {
        let free = |since: &WallTime| self.entries.iter().all(|entry| entry.since != *since);
        let mut later = (0..).map(|later| WallTime(at.0.saturating_add(later))).take(KEPT + 1);
        later.find(free).unwrap_or(at)
    }

    /// A balloon that is on its way already has come to `size`. A reading may
    /// have seen that before: QEMU tells one size a second at most.
    fn moves_on(&mut self, size: Kib, at: (WallTime, MonoTime)) -> bool {
        let mut newest_first = self.entries.iter_mut().rev().take_while(|e| at.1.since(e.at.1) <= FOLD);
        let Some((place, entry)) =
            newest_first.by_ref().enumerate().find(|(_, e)| matches!(e.what, What::Balloon { .. }))
        else {
            return false;
        };
        if let What::Balloon { to, .. } = &mut entry.what {
            *to = size;
        }
        if place == 0 {
            entry.at = at;
        }
        self.balloon = Some(size);
        self.changed = true;
        true
    }

    /// The domain's XML was read, asked for at `asked`: devices that went by
    /// their alias get their names. What happened since `asked` it cannot name:
    /// libvirt gives an alias that has come free to the next device.
    pub fn learn(&mut self, devices: &DomainDevices, asked: MonoTime) {
        for entry in self.entries.iter_mut().filter(|entry| entry.at.1 < asked) {
            if let What::Device { alias, name: name @ None, .. } = &mut entry.what
                && let Some((kind, found)) = device(devices, alias)
            {
                *name = Some(format!("{kind} {found}"));
                self.changed = true;
            }
        }
    }

    /// The balloon's size as a reading has it: what the next change starts at.
    pub fn see_balloon(&mut self, size: Kib) {
        self.balloon = Some(size);
    }

    /// What frames show.
    pub fn shown(&mut self) -> Arc<[Happening]> {
        if std::mem::take(&mut self.changed) {
            self.shown = self.entries.iter().map(Entry::happening).collect();
        }
        Arc::clone(&self.shown)
    }

    /// An event in words; `None` where there is nothing to say.
    fn words(&mut self, kind: &EventKind, devices: Option<&DomainDevices>) -> Option<(What, Weight)> {
        use Weight::{Note, Trouble, Warning};
        let named = |alias: &str| Some(device(devices?, alias)?.1.to_string());
        let told = |alias: &str, became| What::Device {
            alias: alias.to_owned(),
            name: devices
                .and_then(|devices| device(devices, alias))
                .map(|(kind, name)| format!("{kind} {name}")),
            became,
        };
        let said = |text: String, weight| Some((What::Said(text), weight));
        match kind {
            EventKind::Life { text, weight } => said((*text).to_owned(), *weight),
            EventKind::Rebooted => said("rebooted".to_owned(), Note),
            EventKind::Watchdog { action } => said(format!("watchdog not served: {action}"), Trouble),
            EventKind::IoError { alias, path, reason } => {
                let file = || path.rsplit('/').find(|part| !part.is_empty()).map(str::to_owned);
                let alias_itself = || (!alias.is_empty()).then(|| alias.clone());
                let mut text = "I/O error".to_owned();
                if let Some(disk) = named(alias).or_else(alias_itself).or_else(file) {
                    text = text + " on " + &disk;
                }
                if !reason.is_empty() {
                    text = text + ": " + reason;
                }
                said(text, Trouble)
            }
            EventKind::DiskMissing { alias } => Some((told(alias, "has no image"), Warning)),
            EventKind::Tray { alias, open: true } => Some((told(alias, "opened"), Note)),
            EventKind::Tray { alias, open: false } => Some((told(alias, "closed"), Note)),
            EventKind::Balloon { size } => {
                let from = self.balloon.replace(*size);
                (from != Some(*size)).then_some((What::Balloon { from, to: *size }, Note))
            }
            // Whatever went by this alias in the XML at hand is another device.
            EventKind::DeviceAdded { alias } => {
                Some((What::Device { alias: alias.clone(), name: None, became: "attached" }, Note))
            }
            EventKind::DeviceRemoved { alias } => Some((told(alias, "detached"), Note)),
            EventKind::DeviceRemovalFailed { alias } => {
                Some((told(alias, "not detached: the guest does not let it go"), Warning))
            }
            EventKind::JobCompleted { operation, took, success } => {
                let mut text = format!("{operation} {}", if *success { "finished" } else { "failed" });
                if let Some(took) = took {
                    text = text + " in " + &span(*took);
                }
                said(text, if *success { Note } else { Trouble })
            }
            EventKind::BlockJob { disk, operation, outcome } => {
                let (became, weight) = match outcome {
                    BlockJobOutcome::Completed => ("finished", Note),
                    BlockJobOutcome::Failed => ("failed", Trouble),
                    BlockJobOutcome::Cancelled => ("cancelled", Warning),
                    BlockJobOutcome::Ready => ("ready", Note),
                };
                said(format!("{operation} of {disk} {became}"), weight)
            }
            EventKind::Agent { connected: true } => said("guest agent connected".to_owned(), Note),
            EventKind::Agent { connected: false } => said("guest agent disconnected".to_owned(), Note),
            EventKind::BlockThreshold { disk } => said(format!("block threshold on {disk}"), Warning),
            EventKind::MemoryFailure { action } => said(format!("host memory failure: {action}"), Trouble),
        }
    }
}

impl Entry {
    fn happening(&self) -> Happening {
        let mut text = self.what.to_string();
        if self.times > 1 {
            // Writing to a string cannot fail.
            let _ = write!(text, " ({} times)", self.times);
        }
        Happening { at: self.at.0, since: self.since, text: text.into(), weight: self.weight }
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Said(text) => f.write_str(text),
            Self::Device { name: Some(name), became, .. } => write!(f, "{name} {became}"),
            Self::Device { alias, name: None, became } => write!(f, "device {alias} {became}"),
            Self::Balloon { from: Some(from), to } => write!(f, "balloon {} → {}", size(*from), size(*to)),
            Self::Balloon { from: None, to } => write!(f, "balloon → {}", size(*to)),
        }
    }
}

impl Logged {
    fn line(&mut self, domain: &str, what: &What, weight: Weight, now: MonoTime) {
        if now.since(self.since) > LOG_SPAN {
            *self = Self { since: now, lines: 0 };
        }
        self.lines = self.lines.saturating_add(1);
        match (self.lines, weight) {
            (..=LOG_LINES, Weight::Note) => tracing::info!("{domain}: {what}"),
            (..=LOG_LINES, _) => tracing::warn!("{domain}: {what}"),
            (lines, _) if lines == LOG_LINES + 1 => {
                tracing::warn!(
                    "{domain}: more happens than the log has room for; its page shows the last {KEPT}"
                );
            }
            _ => {}
        }
    }
}

/// The device that libvirt calls `alias`: `disk` or `NIC`, and its name.
pub(super) fn device<'a>(devices: &'a DomainDevices, alias: &str) -> Option<(&'static str, &'a Arc<str>)> {
    let is = |known: &Option<Arc<str>>| known.as_deref() == Some(alias);
    let disk = devices.disks.iter().find(|disk| is(&disk.alias)).map(|disk| ("disk", &disk.name));
    disk.or_else(|| devices.nics.iter().find(|nic| is(&nic.alias)).map(|nic| ("NIC", &nic.name)))
}

/// `2.00 GB`.
fn size(kib: Kib) -> String {
    #[allow(clippy::cast_precision_loss, reason = "two decimals are shown")]
    let mut number = kib.0 as f64;
    let mut unit = "kB";
    for larger in ["MB", "GB", "TB"] {
        if number < 1024.0 {
            break;
        }
        number /= 1024.0;
        unit = larger;
    }
    format!("{number:.2} {unit}")
}

/// `12 s`, `3 min 4 s`; below ten seconds with a decimal.
fn span(took: Duration) -> String {
    match took.as_secs() {
        0..10 => format!("{:.1} s", took.as_secs_f64()),
        seconds @ 10..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests;
