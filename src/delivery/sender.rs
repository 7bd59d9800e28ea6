//! The sender's thread: takes what waits, one request in flight, and does
//! what the policy decides.

use std::{borrow::Cow, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Shared, Stop,
    ahead::{Ready, make_ready},
    attempt::{Attempt, Piece, Verdict},
    backoff::{Random, backoff},
    files::Files,
    ledger::{Load, Wire},
    recorder::MAX_BYTES,
};
use crate::{
    clock::Clock,
    config,
    influx::{
        client::Client,
        policy::{self, Answer, Decision},
    },
    model::status::{DeliveryState, LastAnswer},
};

/// Between two probes while paused.
const PROBE_EVERY: Duration = Duration::from_secs(30);
/// The same while only few lines are waiting: with more lines beside them it
/// can be told whether it is the lines or the set-up that is wrong.
const PROBE_FEW_EVERY: Duration = Duration::from_secs(3);
const FEW: usize = 64;
/// Between two looks at the files of credentials and certificates.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Least size a request is halved to by 413 answers, and successes after
/// which a larger one is tried.
const LEAST_BYTES: usize = 64 << 10;
const GROW_AFTER: u32 = 64;

const CHECK_SETTINGS: &str =
    "check influx.db, influx.api and that the server is the one meant; the lines are kept";
const MEND_SETTINGS: &str = "mend the setting or its file; it is tried again by itself";

/// See the module.
pub(super) struct Sender {
    shared: Arc<Shared>,
    settings: config::Influx,
    clock: Clock,
    stop: watch::Receiver<Stop>,
    client: Option<Client>,
    random: Random,
    /// Failed requests in a row.
    failures: u32,
    /// Most bytes of a request; less than [`MAX_BYTES`] after a 413.
    max_bytes: usize,
    successes: u32,
    /// Every line of the last batch was refused.
    all_alike: bool,
    /// What comes after the load on its way, made ready meanwhile.
    ahead: Option<Ready>,
    /// What credentials and certificates come from.
    files: Files,
}

/// What ended a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Woken {
    /// Its time, or somebody who wants a try now.
    Up,
    /// A file of credentials or certificates has changed.
    Files,
    /// The program is about to end.
    Stop,
    /// The deadline for that has come.
    Over,
}

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    GoOn,
    End,
}

impl Sender {
    pub(super) fn new(
        shared: Arc<Shared>,
        settings: config::Influx,
        clock: Clock,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        let files = Files::of(&settings);
        Self {
            shared,
            settings,
            clock,
            stop,
            client: None,
            random: Random::new(),
            failures: 0,
            max_bytes: MAX_BYTES,
            successes: 0,
            all_alike: false,
            ahead: None,
            files,
        }
    }

    /// Sends until it is told to stop and everything is sent, or the deadline
    /// has come.
    pub(super) async fn run(mut self) {
        while !self.is_over() {
            if self.client.is_none() {
                match Client::new(&self.settings) {
                    Ok(client) => {
                        let target = client.target();
                        self.client = Some(client);
                        self.show(|wire| {
                            wire.target = Some(target);
                            wire.state = DeliveryState::Probing;
                        });
                    }
                    Err(error) => {
                        if self.pause(error.to_string(), MEND_SETTINGS, PROBE_EVERY).await == Flow::End {
                            break;
                        }
                        continue;
                    }
                }
            }
            // Asked before the look at what is left: nothing is recorded after it.
            let last = self.is_stopping() && self.shared.recorder_ended();
            let flow = match self.next_load() {
                Some(ready) => self.deliver(&ready).await,
                None if last => Flow::End,
                None => self.idle().await,
            };
            if flow == Flow::End {
                break;
            }
        }
        self.shared.ledger().release();
    }

    /// Most lines of the next request. Where all lines of the last one were
    /// refused alike they get company, whatever `batch_max_lines` says: one
    /// poisoned line that is always alone would hold up all others for ever.
    fn most_lines(&self) -> usize {
        let wanted = self.settings.batch_max_lines;
        if self.all_alike { wanted.max(FEW) } else { wanted }
    }

    /// What to send next, most likely made ready while the last was sent.
    fn next_load(&mut self) -> Option<Ready> {
        let mut ledger = self.shared.ledger();
        if let Some(ready) = self.ahead.take() {
            if ledger.is_next(&ready.load) {
                return Some(ready);
            }
            ledger.release();
        }
        let load = ledger.take(self.most_lines(), self.max_bytes);
        drop(ledger);
        Ready::new(load?, self.client.as_ref().map(Client::packer))
    }

    /// Waits for something to send.
    async fn idle(&mut self) -> Flow {
        self.shared.ledger().publish();
        let stop = self.stop.clone();
        tokio::select! {
            () = self.shared.data.notified() => {}
            _ = self.stop.changed() => {}
            () = deadline(stop) => return Flow::End,
        }
        Flow::GoOn
    }

    /// Sends a load until every line of it is settled or it must wait.
    async fn deliver(&mut self, ready: &Ready) -> Flow {
        let load = &ready.load;
        let mut attempt = Attempt::new(load.lines, &load.bytes);
        let mut settled = 0;
        while let Some(piece) = attempt.next() {
            if self.is_over() {
                return Flow::End;
            }
            let Some((answer, decision)) = self.request(ready, &piece).await else { return Flow::End };
            match decision {
                Decision::Retry { after, why } => {
                    if self.retry(&answer, after, why).await == Flow::End {
                        return Flow::End;
                    }
                    // Another client begins with the same lines anew.
                    if self.client.is_none() || !self.shared.ledger().resume(load) {
                        break;
                    }
                }
                Decision::Pause { why, mend } => return self.pause(why, &mend, PROBE_EVERY).await,
                decision => {
                    self.note_size(&decision, load, &piece);
                    self.failures = 0;
                    let verdict = attempt.learn(decision);
                    if let Some(new) = attempt.settled() {
                        let mut ledger = self.shared.ledger();
                        ledger.delivering();
                        ledger.settle(load, settled, new.upto, new.refused);
                        settled = new.upto;
                    }
                    if let Verdict::AllAlike { why } = verdict {
                        self.all_alike = true;
                        let span = if load.lines < FEW { PROBE_FEW_EVERY } else { PROBE_EVERY };
                        return self.pause(why, CHECK_SETTINGS, span).await;
                    }
                }
            }
        }
        if self.ahead.is_none() {
            self.shared.ledger().release();
        }
        self.all_alike = false;
        Flow::GoOn
    }

    /// One request. `None`: the deadline has come.
    async fn request(&mut self, ready: &Ready, piece: &Piece) -> Option<(Answer, Decision)> {
        let load = &ready.load;
        let (most_lines, max_bytes) = (self.most_lines(), self.max_bytes);
        let client = self.client.as_mut()?;
        let before = client.api();
        let packer = client.packer();
        let text = load.text(piece);
        let body =
            if load.is_whole(piece) { Cow::Borrowed(&ready.body) } else { Cow::Owned(packer.pack(&text)) };
        let stop = self.stop.clone();
        let shared = (load.is_followed && self.ahead.is_none()).then(|| Arc::clone(&self.shared));
        let ahead = make_ready(shared, load.origin(), most_lines, max_bytes, packer);
        let ((answer, took), next) = tokio::select! {
            both = async { tokio::join!(client.write_packed(&text, &body), ahead) } => both,
            () = deadline(stop) => return None,
        };
        self.ahead = next.or(self.ahead.take());
        let api = client.api();
        let mut decision = policy::decide(api.or(before).unwrap_or("v1"), &answer, piece.len());
        let never_sent = api.is_none() && before.is_none();
        if never_sent && !matches!(decision, Decision::Retry { .. } | Decision::Pause { .. }) {
            // The answer is about the question what the server is, and says nothing of lines.
            decision = Decision::Retry { after: None, why: policy::summary(&answer) };
        }
        let target = client.target();
        if matches!(decision, Decision::Retry { .. } | Decision::Pause { .. }) {
            // What answers next may be another server.
            client.forget_api();
        }
        let at = self.clock.now().0;
        let status = match &answer {
            Answer::Http { status, .. } => Some(*status),
            Answer::Failed { .. } => None,
        };
        let success = matches!(decision, Decision::Delivered | Decision::DeliveredExcept(_));
        let text = policy::summary(&answer);
        self.note(|wire| {
            wire.last_answer = Some(LastAnswer { at, status, took, text });
            wire.api = api.or(wire.api);
            wire.target = Some(target);
            wire.batches += u64::from(success);
        });
        Some((answer, decision))
    }

    /// Learns from 413 how large a request may be.
    fn note_size(&mut self, decision: &Decision, load: &Load, piece: &Piece) {
        match decision {
            Decision::Halve => {
                // Never more than it was: this load may be from before the last answer.
                self.max_bytes = (load.text(piece).len() / 2).clamp(LEAST_BYTES, self.max_bytes);
                self.successes = 0;
            }
            Decision::Delivered if self.max_bytes < MAX_BYTES => {
                self.successes += 1;
                if self.successes >= GROW_AFTER {
                    self.max_bytes = (self.max_bytes * 2).min(MAX_BYTES);
                    self.successes = 0;
                }
            }
            _ => {}
        }
    }

    /// Waits before the same lines are sent again.
    async fn retry(&mut self, answer: &Answer, after: Option<Duration>, why: String) -> Flow {
        let wait = backoff(self.failures, self.random.next()).max(after.unwrap_or_default());
        if self.failures == 0 {
            tracing::warn!("delivery failed and is tried again: {}", policy::summary(answer));
        }
        self.failures = self.failures.saturating_add(1);
        let next_at = self.later(wait);
        self.shared.ledger().rest();
        let at = self.clock.now().0;
        self.show(|wire| {
            wire.errors.note(at, &why);
            wire.state = DeliveryState::Retrying { why, next_at };
            wire.backoff = Some(wait);
        });
        let flow = self.wait_for_next(wait).await;
        if flow == Flow::GoOn {
            self.show(|wire| wire.retries += 1);
        }
        flow
    }

    /// Waits for the operator, looking now and then whether it is mended.
    async fn pause(&mut self, why: String, mend: &str, wait: Duration) -> Flow {
        let next_at = self.later(wait);
        self.ahead = None;
        self.shared.ledger().release();
        let at = self.clock.now().0;
        self.show(|wire| {
            wire.errors.note(at, &why);
            if !matches!(&wire.state, DeliveryState::Paused { why: before, .. } if *before == why) {
                tracing::error!("delivery is paused: {why}; {mend}");
            }
            wire.state = DeliveryState::Paused { why, mend: mend.to_owned(), next_at };
            wire.backoff = None;
        });
        self.wait_for_next(wait).await
    }

    /// A try failed: whether another one is worth the wait, and the wait.
    async fn wait_for_next(&mut self, span: Duration) -> Flow {
        let only_in_memory = self.shared.recorder_ended() && self.shared.ledger().holds_lines();
        if self.is_stopping() && !only_in_memory {
            // What is on disk is safe there.
            return Flow::End;
        }
        match self.wait(span).await {
            Woken::Over => return Flow::End,
            // Certificates are read when a client is made.
            Woken::Files => self.client = None,
            // The program ends: one try more, at once.
            Woken::Up | Woken::Stop => {}
        }
        Flow::GoOn
    }

    /// Waits for `span`, or less.
    async fn wait(&mut self, span: Duration) -> Woken {
        let end = Instant::now() + span;
        let shared = Arc::clone(&self.shared);
        let stopping = self.is_stopping();
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                () = sleep_until(end) => return Woken::Up,
                () = shared.kick.notified() => return Woken::Up,
                () = deadline(self.stop.clone()) => return Woken::Over,
                _ = stop.changed(), if !stopping => return Woken::Stop,
                () = sleep(LOOK_EVERY) => {
                    if self.files.have_changed() {
                        return Woken::Files;
                    }
                }
            }
        }
    }

    fn later(&self, span: Duration) -> crate::model::WallTime {
        let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        crate::model::WallTime(self.clock.now().0.0.saturating_add(nanos))
    }

    /// Shows a change at once.
    fn show(&self, change: impl FnOnce(&mut Wire)) {
        let mut ledger = self.shared.ledger();
        change(&mut ledger.wire);
        ledger.publish();
    }

    /// Notes a change that many others like it follow.
    fn note(&self, change: impl FnOnce(&mut Wire)) {
        let mut ledger = self.shared.ledger();
        change(&mut ledger.wire);
        ledger.publish_at_times();
    }

    fn is_stopping(&self) -> bool {
        matches!(*self.stop.borrow(), Stop::By(_))
    }

    /// Whether the deadline has come.
    fn is_over(&self) -> bool {
        matches!(*self.stop.borrow(), Stop::By(deadline) if Instant::now() >= deadline)
    }
}

/// Ends when the deadline for stopping has come.
async fn deadline(mut stop: watch::Receiver<Stop>) {
    loop {
        let by = *stop.borrow_and_update();
        match by {
            Stop::By(deadline) => return sleep_until(deadline).await,
            Stop::No => {
                if stop.changed().await.is_err() {
                    // The handle is gone, which it never is without having said when.
                    return;
                }
            }
        }
    }
}
