//! An agent with a socket and an address, and a browser on its page.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::MutexGuard,
};

use serde_json::Value;

use super::Browser;
use crate::{
    agent_process::{Agent, asking::ask},
    lab::{guests::Lab, port, test_host::test_host},
};

/// An agent with a socket and an address, and a browser.
pub struct Scene {
    // Ended before the agent.
    pub browser: Browser,
    pub agent: Agent,
    pub socket: PathBuf,
    pub address: SocketAddr,
    pub uri: String,
    pub home: tempfile::TempDir,
    // Held for as long as the guests are asked.
    _alone: Option<MutexGuard<'static, ()>>,
}

impl Scene {
    /// On the lab's guests; `None` after saying that `test` is skipped.
    pub fn on_guests(test: &str) -> Option<Self> {
        let lab = Lab::shared(test)?;
        let alone = Lab::undisturbed();
        Some(Self { _alone: Some(alone), ..Self::start(test, "", |_| lab.uri())? })
    }

    /// On a host of the test driver with machines of these names.
    pub fn on_names<'a>(test: &str, more: &str, names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        Self::start(test, more, |home| test_host(home, names))
    }

    fn start(test: &str, more: &str, uri: impl FnOnce(&Path) -> String) -> Option<Self> {
        let browser = Browser::start(test)?;
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("agent.sock");
        let address = port::free();
        let settings =
            format!("[agent]\nsocket = \"{}\"\nlisten = \"{address}\"\n{more}\n", socket.display());
        std::fs::write(home.path().join("agent.toml"), settings).unwrap();
        let uri = uri(home.path());
        let agent = agent(home.path(), &uri);
        Some(Self { browser, agent, socket, address, uri, home, _alone: None })
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Opens the page and waits for figures of now.
    pub fn open(&mut self) {
        self.open_at(&self.url());
    }

    pub fn open_at(&mut self, url: &str) {
        self.browser.open(url);
        self.is_live();
    }

    pub fn is_live(&mut self) {
        self.browser.until("figures of now", LIVE);
    }

    /// Whether the agent collects, as it says itself.
    pub fn collects(&self) -> bool {
        self.status()["running"].as_bool().unwrap()
    }

    pub fn status(&self) -> Value {
        ask(&self.socket, "GET", "/api/telemetry/status").json()
    }

    /// All that the page asked for is of its own origin, and nothing went wrong.
    pub fn is_clean(&self) {
        let origin = self.url();
        let foreign: Vec<_> = self
            .browser
            .asked()
            .into_iter()
            .filter(|url| !url.starts_with(&origin) && !url.starts_with("data:"))
            .collect();
        assert_eq!(foreign, [] as [String; 0]);
        assert_eq!(self.browser.faults(), [] as [String; 0]);
    }
}

/// Figures are there, and are not marked as old.
pub const LIVE: &str = "document.querySelector('.card .num')?.textContent.length > 0 \
    && !document.documentElement.classList.contains('stale')";
/// Figures are marked as old.
pub const IS_STALE: &str = "document.documentElement.classList.contains('stale')";

/// The scene's agent.
pub fn agent(home: &Path, uri: &str) -> Agent {
    let config = home.join("agent.toml");
    Agent::start(home, &["--config", config.to_str().unwrap(), "--uri", uri, "--poll-interval", "0.5"])
}

/// The card of a VM, as an expression.
pub fn card(name: &str) -> String {
    format!(
        "[...document.querySelectorAll('.card')].find((li) => li.querySelector('bdi').textContent === {name:?})"
    )
}

/// A number of its card.
pub fn figure(name: &str, row: &str) -> String {
    format!("{}.querySelector('.{row} .num').textContent", card(name))
}
