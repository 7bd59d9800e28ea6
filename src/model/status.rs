//! The accounting that screen, log and API show: collector, delivery, store.
//! Plain values, published by those who own the figures.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, Serialize};

use super::{LastErrors, WallTime};

/// State of collection. Screen and API both read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CollectionState {
    /// Stopped by the operator, or not started yet.
    Stopped {
        /// Since when.
        since: WallTime,
    },
    /// Opening libvirt.
    Connecting {
        /// Since when.
        since: WallTime,
    },
    /// Cycles run.
    Running {
        /// Since when.
        since: WallTime,
    },
    /// libvirt could not be reached; another attempt follows.
    Failed {
        /// What failed, on what, and what to do next.
        why: String,
        /// Since when it fails.
        since: WallTime,
        /// When the next attempt is made.
        retry_at: WallTime,
    },
}

/// A call that has not returned from libvirtd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckCall {
    /// The domain it waits on, once known.
    pub domain: Option<String>,
    /// How many domains it may wait on.
    pub among: usize,
    /// When the call was made; `None` where it is not known.
    pub since: Option<WallTime>,
    /// It was made by an earlier process and still holds a worker of libvirtd.
    pub earlier: bool,
}

/// A domain that did not answer in full in the last cycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentDomain {
    /// Its name.
    pub name: String,
    /// Why, in words, with the since.
    pub why: String,
}

/// What reading a domain in full usually takes: the mean of what it took when
/// it was timed last and of what was known before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadingCost {
    /// The domain's name.
    pub name: String,
    /// How long libvirt takes for it.
    pub took: Duration,
    /// When it was timed last.
    pub at: WallTime,
}

/// What reading the live domains costs. One call reads many of them and does
/// not tell their shares, so in each cycle one domain of every list is timed
/// by itself, in turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadingCosts {
    /// Live domains that have been timed.
    pub measured: usize,
    /// Their mean; `None` while none has been timed.
    pub mean: Option<Duration>,
    /// Those that took longest, at most five, the slowest first.
    pub slowest: Vec<ReadingCost>,
}

/// Whether libvirt's events are listened to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchState {
    /// Not wanted: there is no link to libvirt.
    #[default]
    Off,
    /// Its connection is being opened.
    Connecting {
        /// Since when.
        since: WallTime,
    },
    /// It listens.
    Connected {
        /// Since when.
        since: WallTime,
    },
    /// This hypervisor has no events. The device cache lives as long as it may.
    NotOffered,
    /// It does not, and another attempt follows. Until then the device cache
    /// lives as long as it may.
    Failed {
        /// What failed, and what to do next.
        why: String,
        /// When the next attempt is made.
        retry_at: WallTime,
    },
}

/// Figures of libvirt's events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFigures {
    /// Events heard of since the program started.
    pub seen: u64,
    /// When the last one was heard of.
    pub last_at: Option<WallTime>,
    /// Whether more are heard of.
    pub watch: WatchState,
}

/// Figures of the collector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectorStatus {
    /// What it is doing.
    pub state: CollectionState,
    /// Whether a first reading has succeeded since the program started.
    pub initialized: bool,
    /// When collection was last started.
    pub started_at: Option<WallTime>,
    /// Cycles closed since the program started.
    pub total_collections: u64,
    /// Failed connections, list calls and single calls.
    pub total_errors: u64,
    /// Events of libvirt.
    pub events: EventFigures,
    /// When the last cycle closed.
    pub last_collection_at: Option<WallTime>,
    /// The last error in words, and when.
    pub last_error: Option<(WallTime, String)>,
    /// The last different errors, with how often each came.
    pub errors: LastErrors,
    /// Live domains in the last cycle.
    pub vms_monitored: usize,
    /// What reading them costs.
    pub costs: ReadingCosts,
    /// Poll interval in force.
    pub interval: Duration,
    /// How long the last cycle took.
    pub last_cycle_took: Option<Duration>,
    /// Lists the live domains are read in.
    pub lists: usize,
    /// Cycles from one reading of a domain's memory and disks to the next: 1
    /// where every cycle has time for all of them.
    pub round: u32,
    /// Ticks skipped because the cycle before was still running.
    pub skipped_ticks: u64,
    /// Calls that have not returned, oldest first.
    pub stuck_calls: Vec<StuckCall>,
    /// The bound on them (`libvirt.max_stuck_calls`).
    pub max_stuck_calls: usize,
    /// Domains that did not answer in full.
    pub silent: Vec<SilentDomain>,
    /// Connections opened after the first.
    pub reconnects: u64,
}

/// Whether and how lines leave for the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// No `influx.url`: the record is local.
    #[default]
    Off,
    /// Asking the server which API it speaks.
    Probing,
    /// Everything accepted so far is delivered, or on its way.
    Delivering,
    /// The last attempt failed; the batch is kept and tried again.
    Retrying {
        /// What failed.
        why: String,
        /// When the next attempt is made.
        next_at: WallTime,
    },
    /// Needs the operator: credentials, path, database. Everything is kept.
    Paused {
        /// What the server said.
        why: String,
        /// What to do.
        mend: String,
        /// When it is probed next.
        next_at: WallTime,
    },
}

/// The last answer of the server, or what stood in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAnswer {
    /// When it came.
    pub at: WallTime,
    /// HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
    /// From request to answer.
    pub took: Duration,
    /// One line for the screen, free of secrets and control characters.
    pub text: String,
}

/// `v1`, `v2` or `v3`. Under a name of its own: serde would take a reference
/// for something borrowed from what it reads.
type Api = &'static str;

/// Figures of recording and delivery. Always
/// `emitted = delivered + waiting + quarantined + dropped`, in lines, where
/// delivery is on; with delivery off nothing waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeliveryStatus {
    /// What it is doing.
    pub state: DeliveryState,
    /// Host and path of the target without credentials; `None` when off.
    pub target: Option<String>,
    /// Database or bucket.
    pub database: String,
    /// `v1`, `v2` or `v3` once known.
    #[serde(deserialize_with = "read_api")]
    pub api: Option<Api>,
    /// Lines handed over by the collector since the record began.
    pub emitted: u64,
    /// Lines the server has confirmed.
    pub delivered: u64,
    /// Lines waiting in the journal.
    pub waiting_on_disk: u64,
    /// Lines waiting in memory because the journal cannot take them or is off.
    pub waiting_in_memory: u64,
    /// Lines the server refused, kept aside.
    pub quarantined: u64,
    /// Lines lost, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Timestamp of the oldest line that waits.
    pub oldest_waiting: Option<WallTime>,
    /// Requests that were answered with success.
    pub batches: u64,
    /// Requests repeated.
    pub retries: u64,
    /// Values cut to `i64::MAX` by the encoder.
    pub saturated: u64,
    /// The last answer.
    pub last_answer: Option<LastAnswer>,
    /// Current backoff, while retrying.
    pub backoff: Option<Duration>,
    /// Lines per second delivered lately.
    pub lines_per_second: f64,
    /// How long what waits will take at that rate, less what is new meanwhile.
    /// `None`: nothing is behind, or it does not become less.
    pub time_left: Option<Duration>,
    /// The line that the server refused last, in this run or one before.
    pub last_refused: Option<RefusedLine>,
    /// The last different errors on the way to the server, in this run, with
    /// how often each came.
    pub errors: LastErrors,
}

/// A line that the server refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLine {
    /// When.
    pub at: WallTime,
    /// The line, or its beginning; free of control characters.
    pub line: String,
    /// The server's words, likewise.
    pub words: String,
}

fn read_api<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'static str>, D::Error> {
    let api = Option::<String>::deserialize(from)?;
    Ok(["v1", "v2", "v3"].into_iter().find(|known| api.as_deref() == Some(*known)))
}

impl DeliveryStatus {
    /// Lines accepted and not yet delivered, wherever they wait
    /// (`influx_queue_size`).
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting_on_disk + self.waiting_in_memory
    }

    /// Lines lost, all reasons together.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// The local record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// Whether it takes what it is given.
    pub state: StoreState,
    /// Directory of the record.
    pub path: Option<String>,
    /// Bytes it takes on disk.
    pub bytes: u64,
    /// `store.max_bytes`.
    pub max_bytes: u64,
    /// Timestamp of its oldest line.
    pub covers_since: Option<WallTime>,
    /// Cycles it holds.
    pub cycles: u64,
    /// Lines it holds.
    pub lines: u64,
    /// What a day of recording adds to it; `None` while that is not known.
    pub growth: Option<Growth>,
    /// The last different errors of the record, in this run, with how often
    /// each came.
    pub errors: LastErrors,
}

/// Bytes that a day of recording takes at the present pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// Every cycle.
    pub full: u64,
    /// One cycle in ten seconds, as what is old and delivered is thinned to.
    pub thinned: u64,
}

/// Whether the local record works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreState {
    /// `store.path = "none"`.
    #[default]
    Off,
    /// Writing.
    Writable,
    /// Cannot write; collection and delivery go on from memory.
    Failing {
        /// What failed and what to do.
        why: String,
        /// Since when.
        since: WallTime,
    },
    /// Another process on this host records; this one only looks.
    ReadOnly {
        /// Who records: program and process id.
        holder: String,
    },
}

/// One line of the effective configuration, fit to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigEntry {
    /// `section.key`.
    pub key: String,
    /// The value, secrets as `***`.
    pub value: String,
    /// Where it came from: `default`, `file PATH:LINE`, `environment NAME`,
    /// `command line --FLAG`.
    pub origin: String,
}
