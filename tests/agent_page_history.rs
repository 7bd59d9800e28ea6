//! The page's past: its sparklines begin with what the agent has recorded, as
//! the stream would have drawn it, and no host is too large to ask about.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod agent_process;
mod browser;
mod lab;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use agent_process::asking::ask;
use browser::{
    Browser, PATIENCE,
    scene::{IS_STALE, Scene, agent, card},
};
use lab::{guests::DB, within};
use rustix::process::Signal;
use schema::shape;
use serde_json::{Value, json};

const ASKED: &str = "/api/telemetry/sparklines";
const COLUMNS: usize = 48;

/// What a sparkline draws: each column with its height, fallen ones negative.
type Drawn = BTreeMap<usize, String>;

/// Every sparkline in view, by name and row.
fn drawn(browser: &mut Browser) -> BTreeMap<String, Drawn> {
    let all = browser.value(
        "Object.fromEntries([...document.querySelectorAll('.card .spark')].map((spark) => [ \
         `${spark.closest('.card').querySelector('bdi').textContent} ${spark.parentElement.className}`, \
         [...spark.children].map((path) => path.getAttribute('d'))]))",
    );
    let of = |paths: &Value| {
        let mut columns = Drawn::new();
        for (path, sign) in paths.as_array().unwrap().iter().zip(["", "-"]) {
            for column in path.as_str().unwrap_or_default().split('M').filter(|column| !column.is_empty()) {
                let (at, rest) = column.split_once(' ').unwrap();
                let height = rest.split_once('v').unwrap().1.split_once('h').unwrap().0;
                let height = format!("{sign}{}", height.trim_start_matches('-'));
                columns.insert(at.parse().unwrap(), height);
            }
        }
        columns
    };
    all.as_object().unwrap().iter().map(|(name, paths)| (name.clone(), of(paths))).collect()
}

/// How many columns a sparkline draws.
fn columns(name: &str, row: &str) -> String {
    format!(
        "([...{}.querySelectorAll('.{row} .spark path')].map((path) => path.getAttribute('d') ?? '').join('') \
         .split('M').length - 1)",
        card(name)
    )
}

impl Scene {
    fn post(&self, verb: &str) {
        assert_eq!(ask(&self.socket, "POST", &format!("/api/telemetry/{verb}")).status, 200);
    }

    /// Waits for so many cycles of the agent's.
    fn has_collected(&self, cycles: u64) {
        within(PATIENCE, "it collects", || {
            (self.status()["total_collections"].as_u64()? >= cycles).then_some(())
        });
    }

    /// Stops collection, and waits until the record has all of it.
    fn stops(&self) {
        self.post("stop");
        let time = |of: &Value| of.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let last = time(&self.status()["last_collection_time"]);
        let uuid = ask(&self.socket, "GET", "/api/telemetry/vms").json()["vms"][0]["uuid"].clone();
        let asked = format!("{ASKED}?vm={}", uuid.as_str().unwrap());
        within(PATIENCE, "the record has the last cycle", || {
            let told = ask(&self.socket, "GET", &asked).json();
            (time(told["cycles"].as_array()?.last()?) >= last).then_some(())
        });
    }
}

#[test]
fn a_reload_shows_what_the_stream_had_drawn_and_what_was_before_it() {
    let Some(mut scene) = Scene::on_guests("the page's past on guests") else { return };
    scene.has_collected(8);
    // A page that can only listen: what it draws is the stream's.
    scene.browser.call("Network.setBlockedURLs", &json!({ "urls": ["*/sparklines*"] }));
    scene.browser.size(1400, 2000);
    scene.open();
    scene.browser.until("it draws the stream", &format!("{} >= 10", columns(DB, "cpu")));
    scene.stops();
    scene.browser.until("it has heard so", IS_STALE);
    let heard = drawn(&mut scene.browser);
    let cpu = format!("{DB} row cpu");
    assert!(heard[&cpu].len() < COLUMNS - 6, "there is room for what was before: {:?}", heard[&cpu]);

    // The same, reloaded, with the record.
    scene.browser.call("Network.setBlockedURLs", &json!({ "urls": [] }));
    scene.browser.call("Page.reload", &json!({}));
    let more = heard[&cpu].len() + 5;
    scene.browser.until("the past is there", &format!("{} >= {more}", columns(DB, "cpu")));
    let reloaded = drawn(&mut scene.browser);
    let rows = heard.iter().filter(|(_, columns)| !columns.is_empty());
    assert!(rows.clone().count() >= 20, "{heard:?}");
    for (row, columns) in rows {
        // No column where the stream drew a gap. The record's times are those of
        // the wall clock, some µs beside the others: an angle may round to the
        // next tenth of a degree, and a height to the next tenth of a pixel.
        let first = *columns.first_key_value().unwrap().0;
        let same: Drawn = reloaded[row].range(first..).map(|(at, height)| (*at, height.clone())).collect();
        let of = |drawn: &Drawn| drawn.values().map(|at| at.parse().unwrap()).collect::<Vec<f64>>();
        let far = of(&same).iter().zip(of(columns)).any(|(one, other)| (one - other).abs() > 0.11);
        assert!(same.keys().eq(columns.keys()) && !far, "{row}: {same:?}, not {columns:?}");
    }
    let falls = heard.values().flat_map(BTreeMap::values).filter(|height| height.starts_with('-')).count();
    eprintln!("{} sparklines are the same, {falls} columns of them fall", heard.len());
    scene.is_clean();
}

#[test]
fn over_the_agents_restart_the_past_stays_and_the_pause_is_a_gap() {
    let Some(mut scene) = Scene::on_names("the page's past over a restart", "", ["one"]) else { return };
    scene.open();
    scene.browser.until("it draws", &format!("{} >= 6", columns("one", "cpu")));
    // What comes while the page hears nothing is in the record.
    scene.browser.call("Network.emulateNetworkConditions", &offline(true));
    scene.agent.signal(Signal::TERM);
    scene.agent.wait();
    scene.agent = agent(scene.home.path(), &scene.uri);
    scene.has_collected(6);
    scene.browser.until("it is lost", "!document.getElementById('lost').hidden");
    scene.browser.call("Network.emulateNetworkConditions", &offline(false));
    scene.browser.value("document.getElementById('retry').click()");
    scene.is_live();
    let now = "one row cpu";
    let (mut before, mut after) = (0, 0);
    within(PATIENCE, "cycles before and after the pause", || {
        let drawn = drawn(&mut scene.browser);
        let at: Vec<usize> = drawn.get(now)?.keys().copied().collect();
        let gap = at.windows(2).position(|two| two[1] > two[0] + 1)?;
        (before, after) = (gap + 1, at.len() - gap - 1);
        (before >= 6 && after >= 5).then_some(())
    });
    // Reloaded, it draws the same gap at the same place among them.
    scene.stops();
    scene.browser.until("it has heard so", IS_STALE);
    let heard = drawn(&mut scene.browser)[now].clone();
    scene.browser.call("Page.reload", &json!({}));
    within(PATIENCE, "the same is drawn", || (drawn(&mut scene.browser).get(now)? == &heard).then_some(()));
    scene.is_clean();
}

fn offline(offline: bool) -> Value {
    json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 })
}

#[test]
fn of_hundreds_of_machines_few_are_asked_about_at_once() {
    let names: Vec<_> = (0..500).map(|number| format!("vm-{number:03}")).collect();
    let names = names.iter().map(String::as_str);
    let Some(mut scene) = Scene::on_names("the past of 500 machines", "", names) else { return };
    scene.has_collected(32);
    // No frame comes any more: what is drawn is of the record, of which one
    // question reads but a part.
    scene.post("stop");
    scene.browser.open(&scene.url());
    let browser = &mut scene.browser;
    browser.until("the first has a past", &format!("{} >= 28", columns("vm-000", "cpu")));
    let in_view = browser.value("document.querySelectorAll('.rows').length").as_u64().unwrap();
    browser.value("window.scrollTo(0, document.body.scrollHeight)");
    browser.until("so has the last", &format!("{} >= 28", columns("vm-499", "cpu")));
    let (asked, at_once) = browser.asked_for(ASKED);
    assert_eq!(at_once, 1, "{asked:?}");
    assert!(asked.len() > asked.iter().collect::<BTreeSet<_>>().len(), "asked again for more: {asked:?}");
    let of: Vec<_> = asked.iter().map(|url| url.split_once("vm=").unwrap().1.split(',').count()).collect();
    assert!(of.iter().all(|vms| (1..=40).contains(vms)), "{of:?}");
    assert!(asked.len() <= 30 && in_view < 80, "{} questions, {in_view} in view", asked.len());
    let between = "00000000-0000-1000-8000-0000000000fa";
    assert!(
        !asked.iter().any(|url| url.contains(between)),
        "those that were never in view are not asked about"
    );
    eprintln!("asked about {of:?} of 500");
    scene.is_clean();
}

#[test]
fn without_a_record_it_begins_with_now_and_does_not_insist() {
    let more = "[store]\npath = \"none\"";
    let Some(mut scene) = Scene::on_names("the page without a record", more, ["one"]) else { return };
    scene.open();
    scene.browser.until("it draws", &format!("{} >= 6", columns("one", "cpu")));
    let uuid = ask(&scene.socket, "GET", "/api/telemetry/vms").json()["vms"][0]["uuid"].clone();
    let refused = ask(&scene.socket, "GET", &format!("{ASKED}?vm={}", uuid.as_str().unwrap()));
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (503, &"there is no local record: store.path is none".into())
    );
    let (asked, _) = scene.browser.asked_for(ASKED);
    assert!((1..=3).contains(&asked.len()), "{asked:?}");
    scene.is_clean();
}

#[test]
fn what_is_told_of_the_past_has_its_shape_and_is_refused_with_what_is_allowed() {
    let Some(scene) = Scene::on_names("the shape of the past", "", ["one", "two"]) else { return };
    scene.has_collected(4);
    let vms = ask(&scene.socket, "GET", "/api/telemetry/vms").json();
    let uuids: Vec<_> =
        vms["vms"].as_array().unwrap().iter().map(|vm| vm["uuid"].as_str().unwrap()).collect();
    let told = within(PATIENCE, "the record has them", || {
        let told = ask(&scene.socket, "GET", &format!("{ASKED}?vm={}&cycles=3", uuids.join(","))).json();
        (told["cycles"].as_array()?.len() == 3).then_some(told)
    });
    shape("sparklines").holds(&told);
    assert_eq!(told["vms"].as_object().unwrap().len(), 2, "{told}");
    for uuid in uuids {
        assert_eq!(told["vms"][uuid]["network_tx_rate"].as_array().unwrap().len(), 3);
    }
    let stranger =
        ask(&scene.socket, "GET", &format!("{ASKED}?vm=550e8400-e29b-41d4-a716-446655440000")).json();
    shape("sparklines").holds(&stranger);
    assert_eq!(stranger["vms"], json!({}));
    for (asked, allowed) in [
        ("", "uuids of VMs, at most 64"),
        ("?vm=one", "uuids of VMs"),
        (&format!("?vm={}&cycles=x", uuid()), "1 to 300"),
    ] {
        let answer = ask(&scene.socket, "GET", &format!("{ASKED}{asked}"));
        assert_eq!(answer.status, 400, "{asked}");
        shape("error").holds(&answer.json());
        assert!(answer.json()["allowed"].as_str().unwrap().contains(allowed), "{asked}: {}", answer.json());
    }
}

fn uuid() -> &'static str {
    "550e8400-e29b-41d4-a716-446655440000"
}

#[test]
fn gauges_warn_from_where_the_configuration_says() {
    let class = format!("{}.querySelector('.cpu .meter').className", card("one"));
    let told = format!("Number({}.querySelector('.cpu .meter').ariaValueNow)", card("one"));
    let legend =
        "[...document.querySelectorAll('#warn-from, #critical-from')].map((of) => of.textContent).join()";
    for (warn, critical, tone, words) in [
        ("0.0", "100.0", "warn", "0\u{a0}%,100\u{a0}%"),
        ("0.0", "0.01", "crit", "0\u{a0}%,0.01\u{a0}%"),
        ("99.5", "100.0", "", "99.5\u{a0}%,100\u{a0}%"),
    ] {
        let more = format!("[screen]\nwarn_percent = {warn}\ncritical_percent = {critical}");
        let Some(mut scene) = Scene::on_names("thresholds in the page", &more, ["one"]) else { return };
        scene.open();
        let browser = &mut scene.browser;
        browser.until("a value", &format!("{told} > 0.01 && {told} < 99"));
        browser.until(
            "its tone",
            &format!(
                "{class}.split(' ').filter((word) => ['warn', 'crit'].includes(word)).join() === {tone:?}"
            ),
        );
        assert_eq!(browser.text(legend), words);
        let thresholds = &scene.status()["thresholds"];
        assert_eq!(thresholds["warn_percent"], warn.parse::<f64>().unwrap());
        scene.is_clean();
    }
}
