//! A line between an agent and a screen that does what lines do: it stands
//! still, brings what it held in one burst, loses, and falls silent. It knows
//! what was asked over it.

#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use kvmscope::{
    model::{
        WallTime,
        past::{Found, Question},
    },
    wire::{self, Ask, Cutter, News, Told},
};

use crate::agent_process::{
    PATIENCE,
    asking::{Answer, exchange, request, unix},
};

/// What becomes of a message on its way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// It waits, and comes in one burst when the line passes again.
    Hold,
    /// A frame is lost; all else passes.
    Lose,
    /// All is lost.
    Silent,
}

/// A question to the record, and the cycles that were told.
#[derive(Clone, Debug)]
pub struct Looked {
    pub question: Question,
    pub told: Vec<WallTime>,
}

/// What the line does, and has seen.
pub struct State {
    pub mode: Mode,
    /// What is added to the clock of the agent's machine, in nanoseconds.
    pub ahead: i64,
    /// Cycles that came to the screen's end, held, and lost.
    pub passed: Vec<u64>,
    pub held: Vec<u64>,
    pub lost: Vec<u64>,
    pub looked: Vec<Looked>,
    /// Questions of any kind that were answered.
    pub answered: usize,
}

/// The line. It lasts as long as the test.
#[derive(Clone)]
pub struct Relay {
    shared: Arc<(Mutex<State>, Condvar)>,
    agent: PathBuf,
}

impl Relay {
    /// From `socket`, where a screen attaches, to the agent at `agent`.
    pub fn start(socket: &Path, agent: &Path, ahead: i64) -> Self {
        let state = State {
            mode: Mode::Pass,
            ahead,
            passed: Vec::new(),
            held: Vec::new(),
            lost: Vec::new(),
            looked: Vec::new(),
            answered: 0,
        };
        let relay = Self { shared: Arc::new((Mutex::new(state), Condvar::new())), agent: agent.to_owned() };
        let listener = UnixListener::bind(socket).unwrap();
        let serving = relay.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let relay = serving.clone();
                std::thread::spawn(move || relay.serve(stream));
            }
        });
        relay
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, mode: Mode) {
        self.state().mode = mode;
        self.shared.1.notify_all();
    }

    /// Waits until the line has seen what `ask` wants.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, ask: impl Fn(&State) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut state = self.state();
        loop {
            if let Some(answer) = ask(&state) {
                return answer;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what}: passed {:?}, looked {:?}", state.passed, state.looked);
            state = self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// One connection.
    fn serve(&self, stream: UnixStream) {
        let mut reading = BufReader::new(stream.try_clone().unwrap());
        let (mut first, mut length) = (String::new(), 0);
        if reading.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            if reading.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        if first.starts_with("POST") {
            let mut body = vec![0; length];
            reading.read_exact(&mut body).unwrap();
            self.ask(stream, &body);
        } else {
            self.stream(stream);
        }
    }

    fn ask(&self, mut screen: UnixStream, body: &[u8]) {
        let length = body.len().to_string();
        let mut bytes = request("POST", wire::ASK, "localhost", &[("Content-Length", &length)]).into_bytes();
        bytes.extend_from_slice(body);
        let answer = Answer::read(&exchange(unix(&self.agent), &bytes));
        if let (Ask::Past(question), 200) = (message(body), answer.status)
            && let Told::Past(told) = message(&answer.body)
        {
            let slots = match told.found {
                Found::Seen(past) => past.slots.into_iter().flatten().collect(),
                Found::Nothing { .. } | Found::Failed { .. } => Vec::new(),
            };
            self.state().looked.push(Looked { question, told: slots });
        }
        let head = format!(
            "HTTP/1.1 {} -\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            answer.status,
            wire::CONTENT_TYPE,
            answer.body.len()
        );
        let _ = screen.write_all(&[head.as_bytes(), &answer.body].concat());
        self.state().answered += 1;
        self.shared.1.notify_all();
    }

    /// The stream: read without ever waiting for the screen's end, and passed
    /// on by another thread as the line allows.
    fn stream(&self, mut screen: UnixStream) {
        let mut agent = BufReader::new(unix(&self.agent));
        agent.get_mut().write_all(request("GET", wire::STREAM, "localhost", &[]).as_bytes()).unwrap();
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            agent.read_line(&mut line).unwrap();
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {}\r\n\r\n", wire::CONTENT_TYPE);
        screen.write_all(head.as_bytes()).unwrap();
        let mut cutter = Cutter::default();
        let mut greeted = false;
        let mut waiting: Vec<u8> = Vec::new();
        loop {
            while let Some(message) = cutter.cut(wire::LONGEST).unwrap() {
                let length = u32::try_from(message.len()).unwrap().to_be_bytes();
                let raw = [&length[..], &message].concat();
                let mut state = self.state();
                // The greeting is of another form.
                let news = greeted.then(|| wire::unpack::<News>(&message).unwrap());
                greeted = true;
                let (cycle, bytes) = shifted(news, raw, state.ahead);
                let seen = match state.mode {
                    Mode::Pass => &mut state.passed,
                    Mode::Hold => &mut state.held,
                    Mode::Lose | Mode::Silent => &mut state.lost,
                };
                seen.extend(cycle);
                match state.mode {
                    Mode::Pass | Mode::Hold => waiting.extend(bytes),
                    Mode::Lose if cycle.is_none() => waiting.extend(bytes),
                    Mode::Lose | Mode::Silent => {}
                }
                if !matches!(state.mode, Mode::Hold | Mode::Silent) {
                    let late = std::mem::take(&mut state.held);
                    state.passed.extend(late);
                    state.passed.sort_unstable();
                }
                let goes = !matches!(state.mode, Mode::Hold | Mode::Silent);
                drop(state);
                self.shared.1.notify_all();
                if goes && screen.write_all(&std::mem::take(&mut waiting)).is_err() {
                    return;
                }
            }
            line.clear();
            if agent.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            if size == 0 || agent.read_exact(&mut chunk).is_err() {
                return;
            }
            cutter.add(&chunk[..size]);
        }
    }
}

/// What a body holds, whose length stands before it.
fn message<T: serde::de::DeserializeOwned>(body: &[u8]) -> T {
    let mut cutter = Cutter::default();
    cutter.add(body);
    wire::unpack(&cutter.cut(wire::LONGEST).unwrap().unwrap()).unwrap()
}

/// The message of an agent whose machine's clock is so far ahead, and the
/// cycle of a frame.
fn shifted(news: Option<News>, raw: Vec<u8>, ahead: i64) -> (Option<u64>, Vec<u8>) {
    let there = |at: WallTime| WallTime(at.0 + ahead);
    match news {
        Some(News::Beat(at)) => (None, wire::pack(&News::Beat(there(at))).unwrap().to_vec()),
        Some(News::Frame(frame)) => {
            let cycle = frame.cycle;
            let mut frame = Arc::unwrap_or_clone(frame);
            frame.at = there(frame.at);
            (Some(cycle), wire::pack(&News::Frame(Arc::new(frame))).unwrap().to_vec())
        }
        Some(News::Collector(mut status)) => {
            status.last_collection_at = status.last_collection_at.map(there);
            status.started_at = status.started_at.map(there);
            (None, wire::pack(&News::Collector(status)).unwrap().to_vec())
        }
        _ => (None, raw),
    }
}
