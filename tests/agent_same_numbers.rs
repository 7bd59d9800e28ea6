//! One frame, told by the API and shown by the screen: the same numbers, digit
//! for digit as far as the screen shows them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod sample;
mod scenes;

use std::{sync::Arc, time::Duration};

use kvmscope::{
    app::{App, Clipboard, Key, Message, Settings},
    config,
    model::{AngleScale, Frame},
    telemetry::answers,
    ui::Screen,
};
use ratatui::{Terminal, backend::TestBackend};
use scenes::Scene;
use serde_json::Value;

const SIZE: (u16, u16) = (220, 70);

/// What the screen shows of each VM of the last frame, on its page.
fn pages(frames: &[Arc<Frame>]) -> Vec<String> {
    let screen = config::Screen::default();
    let now = frames[0].at;
    let interval = Duration::from_secs(1);
    let settings = Settings {
        screen: screen.clone(),
        config: Vec::new(),
        interval,
        log_file: None,
        clipboard: Clipboard::default(),
        now,
    };
    let mut app = App::new(settings).unwrap();
    app.update(Message::Resize { width: SIZE.0, height: SIZE.1 });
    for frame in frames {
        app.update(Message::Frame(Arc::clone(frame)));
    }
    let mut screen = Screen::new(&screen);
    let mut terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1)).unwrap();
    let count = frames.last().unwrap().domains.len();
    let mut pages = Vec::new();
    for row in 0..count {
        app.update(Message::Key(Key::Home));
        for _ in 0..row {
            app.update(Message::Key(Key::Down));
        }
        app.update(Message::Key(Key::Enter));
        terminal.draw(|frame| screen.draw(frame, &app)).unwrap();
        pages.push(terminal.backend().to_string());
        app.update(Message::Key(Key::Esc));
    }
    pages
}

/// The line of the six angles that is called `name`: what stands after it.
fn line<'a>(page: &'a str, name: &str) -> &'a str {
    let begins = |line: &&str| line.trim_start_matches(['"', ' ', '▶']).starts_with(name);
    let after_heading = page.split_once("now").unwrap_or_else(|| panic!("no angles:\n{page}")).1;
    after_heading.lines().find(begins).unwrap_or_else(|| panic!("no {name}:\n{page}"))
}

/// `12.40 MB/s`
fn rate(mut value: f64) -> String {
    let mut unit = 0;
    while value.abs() >= 1023.995 {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = if unit == 0 { 0 } else { 2 };
    let text = format!("{value:.decimals$}");
    let text = if text == "-0" { "0" } else { &text };
    format!("{text} {}/s", ["B", "KB", "MB", "GB", "TB"][unit])
}

#[test]
fn the_api_tells_of_a_frame_what_the_screen_shows_of_it() {
    let mut scene = Scene::default();
    let frames: Vec<Arc<Frame>> = (1..=12).map(|number| Arc::new(scene.cycle(number))).collect();
    let mut compared = 0;
    for last in 2..=frames.len() {
        let frame = &frames[last - 1];
        let pages = pages(&frames[..last]);
        let told = answers::vm_telemetry(Some(frame), AngleScale::default(), Duration::from_secs(1));
        let told: Value = serde_json::from_slice(&told).unwrap();
        for vm in told["vms"].as_array().unwrap() {
            let (name, uuid) = (vm["name"].as_str().unwrap(), vm["uuid"].as_str().unwrap());
            let page = pages.iter().find(|page| page.contains(uuid)).unwrap_or_else(|| panic!("{name}"));
            for (label, degrees, plain) in [
                ("cpu", "cpu_rate", "cpu_cores"),
                ("memory", "memory_rate", "memory_kb_per_sec"),
                ("disk read", "disk_read_rate", "disk_read_bytes_per_sec"),
                ("disk write", "disk_write_rate", "disk_write_bytes_per_sec"),
                ("net rx", "network_rx_rate", "network_rx_bytes_per_sec"),
                ("net tx", "network_tx_rate", "network_tx_bytes_per_sec"),
            ] {
                let shown = line(page, label);
                let what = format!("{label} of {name} in {}: {shown}", frame.cycle);
                // Where it is null the screen shows none either, or an old one that says so.
                let (Some(degrees), Some(plain)) = (vm[degrees].as_f64(), vm[plain].as_f64()) else {
                    continue;
                };
                let plain = match label {
                    "cpu" => format!("{plain:.2} cores"),
                    "memory" => rate(plain * 1024.0),
                    _ => rate(plain),
                };
                // A line of the test's terminal begins with a quotation mark.
                let numbers = shown.trim_start_matches(['"', ' ', '▶']).strip_prefix(label).unwrap();
                let now = numbers.split_whitespace().next().unwrap();
                assert_eq!(now, format!("{:.1}°", degrees.abs()), "{what}");
                assert!(shown.contains(&plain), "{plain}: {what}");
                compared += 2;
            }
            if let Some(percent) = vm["memory_usage_percent"].as_f64() {
                assert!(page.contains(&format!("{percent:.0}%")), "{percent} of {name}:\n{page}");
                compared += 1;
            }
        }
    }
    assert!(compared > 500, "{compared}");
}
