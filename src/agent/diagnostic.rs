//! The answer of `diagnostic`, and the checks in it: those of `kvmscope
//! check`, run at most once in a while, whoever asks how often.
//!
//! The collector's libvirt is not asked beside it where calls hang already: a
//! question more would hang as well, and libvirtd has few workers.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::Api;
use crate::{
    check::{self, Check},
    model::status::{CollectionState, CollectorStatus},
    telemetry::{
        Json,
        diagnostic::{Prerequisite, diagnostic},
    },
};

/// How long what was found is told again.
const KEPT: Duration = Duration::from_secs(15);
/// How long a caller waits for checks that are being run.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks that were run, or are.
pub(super) struct Checks {
    begun: Instant,
    found: watch::Receiver<Option<Arc<[Prerequisite]>>>,
}

impl Checks {
    /// Whether they are still good for an answer.
    fn hold(&self) -> bool {
        let running = self.found.borrow().is_none() && self.found.has_changed().is_ok();
        running || self.begun.elapsed() < KEPT
    }
}

/// The answer.
pub(super) async fn answer(api: &Api) -> Json {
    let checks = checks(api).await;
    let (delivery, store) = api.sources().figures.borrow().clone();
    let collector = api.collector();
    let answer = diagnostic(collector.as_ref(), api.frame().as_deref(), &delivery, &store, &checks);
    api.0.mask.over(answer)
}

async fn checks(api: &Api) -> Arc<[Prerequisite]> {
    let mut found = {
        let mut checks = api.0.checks.lock().unwrap_or_else(PoisonError::into_inner);
        match &*checks {
            Some(checks) if checks.hold() => checks.found.clone(),
            _ => {
                let found = run(api);
                *checks = Some(Checks { begun: Instant::now(), found: found.clone() });
                found
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, found.wait_for(Option::is_some)).await;
    let told = told.ok().and_then(Result::ok).and_then(|told| told.clone());
    told.unwrap_or_else(|| {
        let detail = "they are not finished: libvirt or the database does not answer";
        [failed("checks", detail.to_owned(), "ask again in a while")].into()
    })
}

/// Runs them on a thread of their own: they wait for libvirt and the database.
fn run(api: &Api) -> watch::Receiver<Option<Arc<[Prerequisite]>>> {
    let (tell, found) = watch::channel(None);
    let (config, clock) = (Arc::clone(&api.sources().config), api.sources().clock.clone());
    let libvirt = of_collector(api.collector().as_ref());
    tokio::task::spawn_blocking(move || {
        let Ok(tasks) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        let checks = tasks.block_on(async {
            match libvirt {
                None => check::run(&config, &clock).await.into_iter().map(Prerequisite::from).collect(),
                Some(libvirt) => {
                    let others = check::run_beside(&config).await;
                    std::iter::once(libvirt).chain(others.into_iter().map(Prerequisite::from)).collect()
                }
            }
        });
        tell.send_replace(Some(checks));
    });
    found
}

/// What the collector knows of libvirt, where that is not to be asked.
fn of_collector(collector: Option<&CollectorStatus>) -> Option<Prerequisite> {
    let collector = collector?;
    let hang = "see why libvirtd hangs: `virsh list`, its log, the storage and the monitors of the VMs named";
    match &collector.state {
        CollectionState::Failed { why, .. } => Some(failed("libvirt", why.clone(), "")),
        CollectionState::Connecting { since } => {
            Some(failed("libvirt", format!("connecting since {} UTC", since.hms()), "ask again in a while"))
        }
        _ if !collector.stuck_calls.is_empty() => {
            let stuck = collector.stuck_calls.len();
            Some(failed("libvirt", format!("not asked: {stuck} calls hang already"), hang))
        }
        _ => None,
    }
}

fn failed(name: &str, detail: String, mend: &str) -> Prerequisite {
    Prerequisite { name: name.to_owned(), ok: false, detail, mend: mend.to_owned() }
}

impl From<Check> for Prerequisite {
    fn from(check: Check) -> Self {
        Self { name: check.name, ok: check.ok, detail: check.detail, mend: check.mend }
    }
}
