//! What is noted for the process that comes after this one.

use uuid::Uuid;

use super::{Sink, engine::Engine, inherited::PastCall, link::Link, notes::Notes, readers::Readers};
use crate::model::WallTime;

impl<R: Readers, S: Sink> Engine<R, S> {
    /// Takes over what earlier processes noted, once.
    pub(super) fn take_over(&mut self) {
        let Some(stem) = self.settings.notes.take() else { return };
        let (notes, calls) = Notes::open(&stem);
        self.notes = notes;
        if !calls.is_empty() {
            tracing::info!(
                "an earlier kvmscope did not end by itself: its {} calls may still hang in libvirtd and count until shown otherwise",
                calls.len()
            );
        }
        self.inherited.adopt(calls);
    }

    /// Notes the calls that hang, and the lists: of them any may be in flight
    /// when this process is killed.
    pub(super) fn note_calls(&mut self) {
        if self.link == Link::Down || self.is_tight() {
            return self.note_exactly(&[]);
        }
        let mut calls = self.hanging();
        calls.extend(self.own_lists().map(in_flight));
        self.notes.write(&calls);
    }

    /// Notes what is about to be asked, where that is not in the note anyway.
    pub(super) fn note_before(&mut self, members: &[Uuid]) {
        if self.is_tight() {
            self.note_exactly(members);
        }
    }

    /// Notes what hangs and what is in flight or about to be, and no more.
    pub(super) fn note_exactly(&mut self, members: &[Uuid]) {
        let mut calls = self.hanging();
        let flying = self.calls.may_come_to_hang().chain([members]).filter(|members| !members.is_empty());
        calls.extend(flying.map(|members| in_flight(members.to_vec())));
        self.notes.write(&calls);
    }

    /// Whether fewer calls may be out than there are lists: noted all at once,
    /// they would seem to be more than there can be.
    fn is_tight(&self) -> bool {
        self.calls_that_hang() + self.own_lists().count() > self.settings.libvirt.max_stuck_calls
    }

    /// The lists without domains that are only asked about singly.
    fn own_lists(&self) -> impl Iterator<Item = Vec<Uuid>> {
        let lists = self.lists.all().iter();
        let own =
            lists.map(|list| list.iter().copied().filter(|uuid| !self.inherited.covers(uuid)).collect());
        own.filter(|list: &Vec<Uuid>| !list.is_empty())
    }

    fn hanging(&self) -> Vec<PastCall> {
        let own = self.blamed().into_iter().filter(|(call, _)| call.can_hang());
        // A note that names the wrong one would have its worker forgotten:
        // the most likely one stands first, and nobody but the cleared is left
        // out.
        let own = own.map(|(call, culprit)| {
            let cleared = |uuid: &Uuid| call.is_cleared(self.answered(uuid));
            let others =
                call.members().iter().copied().filter(|uuid| culprit != Some(*uuid) && !cleared(uuid));
            PastCall { since: call.asked_wall, domains: culprit.into_iter().chain(others).collect() }
        });
        own.chain(self.inherited.calls().cloned()).collect()
    }
}

fn in_flight(domains: Vec<Uuid>) -> PastCall {
    PastCall { since: WallTime(0), domains }
}
