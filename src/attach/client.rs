//! Keeps the connection: greeting, news, questions, and another attempt when
//! it is lost.

use std::{sync::Arc, time::Duration};

use reqwest::Response;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{Handle, Place, Sink, line::Line, share::share};
use crate::{
    clock::Clock,
    config,
    model::{
        Frame, WallTime,
        link::{Agent, Link, LinkState},
        name::fit,
        past::{Answer, Found, Moment, Question},
    },
    wire::{self, Ask, Cutter, Greeting, News, Told},
};

/// How long an agent may say nothing before it counts as gone.
const SILENT: Duration = Duration::from_secs(8);
/// The time before the second attempt; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long the record is given to take in the last cycles before the first
/// one that came here: what it has not written yet it cannot tell.
const WRITES_WITHIN: Duration = Duration::from_secs(2);
/// How often it is asked for those.
const MOST_HOLES: u32 = 5;
/// Most bytes of a greeting.
const LONGEST_GREETING: usize = 1 << 20;
/// How often the record is asked for more of the sparklines: of large fleets
/// an answer brings but a few cycles.
const MOST_PIECES: u32 = 20;

/// Starts the thread that keeps a connection to the agent at `place`. `cycles`
/// of its record are asked for at once, for the sparklines.
///
/// # Errors
/// The system gives no thread, or nothing to wait for a connection with.
pub fn start(
    place: Place,
    settings: config::Agent,
    cycles: usize,
    clock: Clock,
    sink: impl Sink,
) -> std::io::Result<Handle> {
    let (asks, asked) = unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client {
        place,
        settings,
        cycles,
        clock,
        asked,
        sink,
        agent: None,
        frame: None,
        first: None,
        gone: None,
        attached: WallTime(0),
        said: String::new(),
    };
    std::thread::Builder::new().name("attach".into()).spawn(move || runtime.block_on(client.run()))?;
    Ok(Handle { asks })
}

struct Client<S> {
    place: Place,
    settings: config::Agent,
    cycles: usize,
    clock: Clock,
    asked: UnboundedReceiver<Ask>,
    sink: S,
    /// Who was reached last.
    agent: Option<Agent>,
    /// The last frame that came.
    frame: Option<Arc<Frame>>,
    /// When the first frame of this connection was closed, and its interval.
    first: Option<(WallTime, Duration)>,
    /// Since when nobody is reached.
    gone: Option<WallTime>,
    /// Since when somebody is.
    attached: WallTime,
    /// What was logged of that last.
    said: String,
}

/// How a connection ended.
enum End {
    /// The screen has.
    Left,
    /// The agent has, or never was.
    Lost(String),
}

/// What the sparklines lack after an answer.
enum More {
    Nothing,
    /// Older cycles: how often they were asked for, and how many there are.
    Older(u32, usize),
    /// The last ones before the first that came here.
    Newer,
}

/// A question that was asked, and what for.
struct Asked {
    ask: Ask,
    /// For the sparklines: how often it was asked, and what it brought.
    piece: Option<(u32, usize)>,
    told: Result<Told, String>,
}

impl<S: Sink> Client<S> {
    async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        self.tell(LinkState::Connecting);
        loop {
            let End::Lost(why) = self.connection().await else { return };
            let now = self.clock.now().0;
            if self.gone.is_none() {
                wait = FIRST_WAIT;
            }
            let since = *self.gone.get_or_insert(now);
            if self.said != why {
                tracing::warn!("the agent at {} is not attached to: {why}", self.place);
                self.said.clone_from(&why);
            }
            let nanos = i64::try_from(wait.as_nanos()).unwrap_or(0);
            let next_at = WallTime(now.0.saturating_add(nanos));
            self.tell(LinkState::Gone { since, why: why.clone(), next_at });
            if !self.pause(wait, &why).await {
                return;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn tell(&mut self, state: LinkState) {
        self.sink.link(Link { place: self.place.to_string(), agent: self.agent.clone(), state });
    }

    /// Waits before the next attempt; false: the screen has ended.
    async fn pause(&mut self, wait: Duration, why: &str) -> bool {
        let end = Instant::now() + wait;
        loop {
            tokio::select! {
                biased;
                ask = self.asked.recv() => match ask {
                    None => return false,
                    Some(Ask::Reconnect) => return true,
                    Some(ask) => self.fail(ask, why),
                },
                () = sleep_until(end) => return true,
            }
        }
    }

    /// A question that nobody answers.
    fn fail(&mut self, ask: Ask, why: &str) {
        let why = format!("the agent does not answer: {why}");
        match ask {
            Ask::Past(question) => {
                self.sink.past(Answer { question, found: Found::Failed { why: why.into() } });
            }
            Ask::Xml(uuid) => self.sink.xml(uuid, Err(why)),
            Ask::Start | Ask::Stop | Ask::Interval(_) | Ask::Reconnect => self.sink.say(why),
        }
    }

    /// One connection, from its beginning to its end.
    async fn connection(&mut self) -> End {
        let line = match Line::to(&self.place, &self.settings) {
            Ok(line) => line,
            Err(why) => return End::Lost(why),
        };
        let opened = {
            let opening = greeted(&line);
            tokio::pin!(opening);
            loop {
                tokio::select! {
                    biased;
                    opened = opening.as_mut() => break opened,
                    ask = self.asked.recv() => match ask {
                        None => return End::Left,
                        Some(Ask::Reconnect) => {}
                        Some(ask) => self.fail(ask, "it is being connected to"),
                    },
                }
            }
        };
        let (response, cutter, agent) = match opened {
            Ok(opened) => opened,
            Err(why) => return End::Lost(why),
        };
        if self.agent.as_ref().is_some_and(|before| !before.is_same_run(&agent)) {
            self.frame = None;
        }
        tracing::info!("attached to kvmscope {} (process {}) at {}", agent.version, agent.pid, self.place);
        self.agent = Some(agent);
        self.gone = None;
        self.said.clear();
        self.attached = self.clock.now().0;
        self.tell(LinkState::Attached { since: self.attached });
        self.news(&line, response, cutter).await
    }

    /// While news come.
    async fn news(&mut self, line: &Line, mut response: Response, mut cutter: Cutter) -> End {
        let mut out = JoinSet::new();
        self.first = None;
        // When the record is asked again for what it had not written, and how
        // often it was.
        let (mut again, mut holes) = (None, 0);
        let newest = Question { moment: Moment::AtOrBefore(WallTime(i64::MAX)), history: self.cycles };
        put(&mut out, line, Ask::Past(newest), Some((1, 0)));
        // Of a held key only the last question counts.
        let (mut looks, mut waits) = (false, None);
        loop {
            loop {
                match cutter.cut(wire::LONGEST) {
                    Ok(None) => break,
                    Ok(Some(message)) => match wire::unpack(&message) {
                        Ok(news) => self.take(news),
                        Err(error) => return End::Lost(garbled(&error)),
                    },
                    Err(error) => return End::Lost(garbled(&error)),
                }
            }
            tokio::select! {
                biased;
                ask = self.asked.recv() => match ask {
                    None => return End::Left,
                    Some(ask @ Ask::Past(_)) if looks => waits = Some(ask),
                    Some(ask) => {
                        looks |= matches!(ask, Ask::Past(_));
                        put(&mut out, line, ask, None);
                    }
                },
                Some(done) = out.join_next() => {
                    let Ok(asked) = done else { continue };
                    if asked.piece.is_none() && matches!(asked.ask, Ask::Past(_)) {
                        looks = waits.is_some();
                        if let Some(next) = waits.take() {
                            put(&mut out, line, next, None);
                        }
                    }
                    match self.answered(asked) {
                        More::Older(times, had) => put(&mut out, line, Ask::Past(newest), Some((times, had))),
                        More::Newer if holes < MOST_HOLES => again = Some(Instant::now() + WRITES_WITHIN),
                        More::Newer | More::Nothing => {}
                    }
                }
                Some(()) = until(again) => {
                    (again, holes) = (None, holes + 1);
                    put(&mut out, line, Ask::Past(newest), Some((1, 0)));
                }
                come = timeout(SILENT, response.chunk()) => match come {
                    Ok(Ok(Some(bytes))) => cutter.add(&bytes),
                    Ok(Ok(None)) => return End::Lost("it has ended".into()),
                    Ok(Err(_)) => return End::Lost("the connection broke off".into()),
                    Err(_) => return End::Lost(format!("it has said nothing for {} s", SILENT.as_secs())),
                },
            }
        }
    }

    fn take(&mut self, news: News) {
        match news {
            News::Beat => {}
            News::Frame(mut frame) => {
                if let (Some(before), Some(frame)) = (&self.frame, Arc::get_mut(&mut frame)) {
                    share(frame, before);
                }
                self.first.get_or_insert((frame.at, frame.interval));
                self.frame = Some(Arc::clone(&frame));
                self.sink.frame(frame);
            }
            News::Collector(status) => self.sink.collector(*status),
            News::Delivery(figures) => self.sink.delivery(figures.0, figures.1),
            News::Config(config) => {
                if let Some(agent) = &mut self.agent {
                    agent.config = config;
                }
                self.tell(LinkState::Attached { since: self.attached });
            }
        }
    }

    /// What came of a question, and what the sparklines want more.
    fn answered(&mut self, asked: Asked) -> More {
        match (asked.told, asked.ask, asked.piece) {
            (Ok(Told::Past(answer)), _, Some((times, had))) => {
                let Found::Seen(past) = answer.found else { return More::Nothing };
                let cycles = past.slots.len();
                let begins = past.slots.first().copied().flatten() <= Some(past.covers.from);
                let more = cycles < self.cycles && !begins && cycles > had && times < MOST_PIECES;
                let hole = self.first.is_some_and(|(first, interval)| {
                    first.since(past.frame.at) > interval.saturating_add(interval / 2)
                });
                self.sink.history(past);
                return match (more, hole) {
                    (true, _) => More::Older(times + 1, cycles),
                    (false, true) => More::Newer,
                    (false, false) => More::Nothing,
                };
            }
            // The sparklines grow from here on.
            (Err(why), _, Some(_)) => tracing::info!("the agent's record gives no history: {why}"),
            (Ok(Told::Past(answer)), Ask::Past(question), None) if answer.question == question => {
                self.sink.past(*answer);
            }
            (Ok(Told::Xml(xml)), Ask::Xml(uuid), _) => self.sink.xml(uuid, xml.map(|xml| shown(&xml))),
            (Ok(Told::Done), Ask::Start | Ask::Stop | Ask::Interval(_) | Ask::Reconnect, _) => {}
            (Err(why), ask, None) => self.fail(ask, &why),
            (Ok(_), ask, _) => self.fail(ask, "its answer is another question's"),
        }
        More::Nothing
    }
}

/// Waits for an instant; without one there is nothing to wait for.
async fn until(instant: Option<Instant>) -> Option<()> {
    sleep_until(instant?).await;
    Some(())
}

/// Asks off this task.
fn put(out: &mut JoinSet<Asked>, line: &Line, ask: Ask, piece: Option<(u32, usize)>) {
    let line = line.clone();
    out.spawn(async move { Asked { told: line.ask(&ask).await, ask, piece } });
}

/// Opens a stream and reads who is there.
async fn greeted(line: &Line) -> Result<(Response, Cutter, Agent), String> {
    let mut response = line.open().await?;
    let mut cutter = Cutter::default();
    let greeting = async {
        loop {
            if let Some(message) = cutter.cut(LONGEST_GREETING).map_err(|error| garbled(&error))? {
                return Ok(message);
            }
            match response.chunk().await {
                Ok(Some(bytes)) => cutter.add(&bytes),
                _ => return Err("the connection broke off before a greeting".to_owned()),
            }
        }
    };
    let message = timeout(SILENT, greeting).await.map_err(|_| "there is no greeting".to_owned())??;
    let greeting: Greeting =
        serde_json::from_slice(&message).map_err(|_| "its greeting cannot be read".to_owned())?;
    let version = fit(&greeting.version);
    if greeting.form != wire::FORM {
        return Err(format!(
            "the agent is kvmscope {version}, this is {}: restart the agent with the same version",
            env!("CARGO_PKG_VERSION")
        ));
    }
    let agent: Agent = serde_json::from_value(greeting.agent)
        .map_err(|_| format!("the greeting of kvmscope {version} cannot be read"))?;
    Ok((response, cutter, cleaned(agent)))
}

/// The agent with nothing in its words that must not reach a terminal.
fn cleaned(mut agent: Agent) -> Agent {
    let entries = agent.config.iter_mut();
    let texts = entries.flat_map(|entry| [&mut entry.key, &mut entry.value, &mut entry.origin]);
    for text in texts.chain([&mut agent.version, &mut agent.uri]) {
        *text = fit(text).into_owned();
    }
    agent
}

fn garbled(error: &wire::WireError) -> String {
    format!("it says what no agent says: {}", fit(&error.to_string()))
}

/// XML as text for the screen: its lines' ends stay.
fn shown(xml: &str) -> Arc<str> {
    xml.lines().map(|line| fit(&line.replace('\t', "    ")).into_owned() + "\n").collect::<String>().into()
}
