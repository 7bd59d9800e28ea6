//! The collector's figures and the status made of them.

use std::time::Duration;

use uuid::Uuid;

use super::{Sink, calls::Call, engine::Engine, readers::Readers};
use crate::model::{
    LastErrors, MonoTime, WallTime, Why,
    status::{CollectorStatus, SilentDomain, StuckCall},
};

/// Figures that only grow.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub initialized: bool,
    pub started_at: Option<WallTime>,
    pub collections: u64,
    pub errors: u64,
    pub last_collection_at: Option<WallTime>,
    pub last_error: Option<(WallTime, String)>,
    pub last_errors: LastErrors,
    pub last_took: Option<Duration>,
    pub lists: usize,
    /// Cycles over which the reading of memory and disks is spread.
    pub round: u32,
    pub skipped_ticks: u64,
    pub connections: u64,
}

impl<R: Readers, S: Sink> Engine<R, S> {
    pub(super) fn note_error(&mut self, error: String) {
        self.figures.errors += 1;
        tracing::warn!("{error}");
        let at = self.clock.now().0;
        self.figures.last_errors.note(at, &error);
        self.figures.last_error = Some((at, error));
    }

    pub(super) fn publish_status(&mut self) {
        let status = self.status();
        self.sink.status(status);
    }

    fn status(&self) -> CollectorStatus {
        let mut silent: Vec<SilentDomain> = self
            .domains
            .values()
            .filter(|track| track.is_live())
            .filter_map(|track| {
                let why = track.failed.or(track.silent)?;
                Some(SilentDomain { name: track.identity.name.to_string(), why: why.to_string() })
            })
            .collect();
        silent.sort_by(|a, b| a.name.cmp(&b.name));
        CollectorStatus {
            state: self.state.clone(),
            initialized: self.figures.initialized,
            started_at: self.figures.started_at,
            total_collections: self.figures.collections,
            total_errors: self.figures.errors,
            events: self.watching.figures.clone(),
            last_collection_at: self.figures.last_collection_at,
            last_error: self.figures.last_error.clone(),
            errors: self.figures.last_errors.clone(),
            vms_monitored: self.domains.values().filter(|track| track.is_live()).count(),
            costs: self.costs(),
            interval: self.settings.interval,
            last_cycle_took: self.figures.last_took,
            lists: self.figures.lists,
            skipped_ticks: self.figures.skipped_ticks,
            round: self.figures.round.max(1),
            stuck_calls: self.stuck_calls(),
            max_stuck_calls: self.settings.libvirt.max_stuck_calls,
            silent,
            reconnects: self.figures.connections.saturating_sub(1),
        }
    }

    /// Each stuck call of this process with the domain it most likely waits on.
    pub(super) fn blamed(&self) -> Vec<(&Call, Option<Uuid>)> {
        self.calls.blame(|uuid| self.is_hung(uuid), |uuid| self.answered(uuid))
    }

    /// Whether a domain's monitor does not answer, as far as is known.
    pub(super) fn is_hung(&self, uuid: &Uuid) -> bool {
        let silent = self.domains.get(uuid).and_then(|track| track.silent);
        silent.is_some_and(|missing| missing.why == Why::MonitorNotAnswering)
    }

    /// When a domain last answered in full.
    pub(super) fn answered(&self, uuid: &Uuid) -> Option<MonoTime> {
        self.domains.get(uuid).and_then(|track| track.answered)
    }

    /// Every call that hangs, of this process and of earlier ones, oldest
    /// first.
    fn stuck_calls(&self) -> Vec<StuckCall> {
        let name = |uuid: &Uuid| self.domains.get(uuid).map(|t| t.identity.name.to_string());
        let own = self.blamed().into_iter().map(|(call, domain)| StuckCall {
            domain: domain.as_ref().and_then(name),
            among: call.members().len(),
            since: Some(call.asked_wall),
            earlier: false,
        });
        let earlier = self.inherited.calls().map(|call| StuckCall {
            domain: call.domains.first().filter(|_| call.domains.len() == 1).and_then(name),
            among: call.domains.len(),
            since: Some(call.since).filter(|since| since.0 != 0),
            earlier: true,
        });
        let mut calls: Vec<StuckCall> = earlier.chain(own).collect();
        calls.sort_by_key(|call| call.since);
        calls
    }
}
