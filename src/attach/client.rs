//! Keeps the connection: greeting, news, questions, and another attempt when
//! it is lost.

use std::{sync::Arc, time::Duration};

use reqwest::Response;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{Handle, Place, Sink, Wanted, line::Line, share::share, skew::Skew};
use crate::{
    clock::Clock,
    config,
    model::{
        Frame, WallTime,
        link::{Agent, Link, LinkState},
        name::fit,
        past::{Answer, Found},
    },
    wire::{self, Ask, Cutter, Greeting, News, Told},
};

/// How long an agent may say nothing before it counts as gone.
const SILENT: Duration = Duration::from_secs(8);
/// The time before the second attempt; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Most bytes of a greeting.
const LONGEST_GREETING: usize = 1 << 20;

/// Starts the thread that keeps a connection to the agent at `place`.
///
/// # Errors
/// The system gives no thread, or nothing to wait for a connection with.
pub fn start(
    place: Place,
    settings: config::Agent,
    clock: Clock,
    sink: impl Sink,
) -> std::io::Result<Handle> {
    let (asks, asked) = unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client {
        place,
        settings,
        clock,
        asked,
        sink,
        agent: None,
        frame: None,
        skew: Skew::default(),
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
    clock: Clock,
    asked: UnboundedReceiver<Wanted>,
    sink: S,
    /// Who was reached last.
    agent: Option<Agent>,
    /// The last frame that came.
    frame: Option<Arc<Frame>>,
    /// How its clock goes.
    skew: Skew,
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

/// A question and what came of it.
struct Asked {
    wanted: Wanted,
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
        let (place, agent) = (self.place.to_string(), self.agent.clone());
        self.sink.link(Link { place, agent, state, ahead: self.skew.ahead() });
    }

    /// Waits before the next attempt; false: the screen has ended.
    async fn pause(&mut self, wait: Duration, why: &str) -> bool {
        let end = Instant::now() + wait;
        loop {
            tokio::select! {
                biased;
                ask = self.asked.recv() => match ask {
                    None => return false,
                    Some(Wanted::Ask(Ask::Reconnect)) => return true,
                    Some(wanted) => self.fail(wanted, why),
                },
                () = sleep_until(end) => return true,
            }
        }
    }

    /// A question that nobody answers.
    fn fail(&mut self, wanted: Wanted, why: &str) {
        let why = format!("the agent does not answer: {why}");
        let failed = |question, why: String| Answer { question, found: Found::Failed { why: why.into() } };
        match wanted {
            Wanted::Ask(Ask::Past(question)) => self.sink.past(failed(question, why)),
            Wanted::Ask(Ask::Xml(uuid)) => self.sink.xml(uuid, Err(why)),
            Wanted::Ask(Ask::Start | Ask::Stop | Ask::Interval(_) | Ask::Reconnect) => self.sink.say(why),
            Wanted::History(question) => {
                tracing::info!("the agent's record gives no history: {why}");
                self.sink.history(failed(question, why));
            }
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
                        Some(Wanted::Ask(Ask::Reconnect)) => {}
                        Some(wanted) => self.fail(wanted, "it is being connected to"),
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
            self.skew = Skew::default();
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
        // Answers to questions come by connections of their own, and say
        // nothing of this one.
        let mut heard = Instant::now();
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
                wanted = self.asked.recv() => match wanted {
                    None => return End::Left,
                    Some(wanted) if wanted.is_look() && looks => waits = Some(wanted),
                    Some(wanted) => {
                        looks |= wanted.is_look();
                        put(&mut out, line, wanted);
                    }
                },
                Some(done) = out.join_next() => {
                    let Ok(asked) = done else { continue };
                    if asked.wanted.is_look() {
                        looks = waits.is_some();
                        if let Some(next) = waits.take() {
                            put(&mut out, line, next);
                        }
                    }
                    self.answered(asked);
                }
                come = response.chunk() => match come {
                    Ok(Some(bytes)) => {
                        heard = Instant::now();
                        cutter.add(&bytes);
                    }
                    Ok(None) => return End::Lost("it has ended".into()),
                    Err(_) => return End::Lost("the connection broke off".into()),
                },
                () = sleep_until(heard + SILENT) => {
                    return End::Lost(format!("it has said nothing for {} s", SILENT.as_secs()));
                }
            }
        }
    }

    fn take(&mut self, news: News) {
        match news {
            News::Beat(there) => {
                if let Some(ahead) = self.skew.heard(there, self.clock.now().0) {
                    let apart = Duration::from_nanos(ahead.unsigned_abs());
                    let word = if ahead > 0 { "ahead of" } else { "behind" };
                    tracing::info!("the clock of the agent's machine is {apart:?} {word} this one's");
                    self.tell(LinkState::Attached { since: self.attached });
                }
            }
            News::Frame(mut frame) => {
                if let (Some(before), Some(frame)) = (&self.frame, Arc::get_mut(&mut frame)) {
                    share(frame, before);
                }
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

    /// What came of a question.
    fn answered(&mut self, asked: Asked) {
        match (asked.told, asked.wanted) {
            (Ok(Told::Past(answer)), Wanted::History(question)) if answer.question == question => {
                self.sink.history(*answer);
            }
            (Ok(Told::Past(answer)), Wanted::Ask(Ask::Past(question))) if answer.question == question => {
                self.sink.past(*answer);
            }
            (Ok(Told::Xml(xml)), Wanted::Ask(Ask::Xml(uuid))) => {
                self.sink.xml(uuid, xml.map(|xml| shown(&xml)));
            }
            (Ok(Told::Done), Wanted::Ask(Ask::Start | Ask::Stop | Ask::Interval(_) | Ask::Reconnect)) => {}
            (Err(why), wanted) => self.fail(wanted, &why),
            (Ok(_), wanted) => self.fail(wanted, "its answer is another question's"),
        }
    }
}

/// Asks off this task.
fn put(out: &mut JoinSet<Asked>, line: &Line, wanted: Wanted) {
    let line = line.clone();
    let ask = match wanted {
        Wanted::Ask(ask) => ask,
        Wanted::History(question) => Ask::Past(question),
    };
    out.spawn(async move { Asked { told: line.ask(&ask).await, wanted } });
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
