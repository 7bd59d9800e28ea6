//! The agent's page in a real browser: it lives, it starts and stops, it says
//! what is missing and what is old, and nothing that a VM is called does
//! anything there.
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

use agent_process::asking::{ask, ask_tcp};
use browser::{
    Browser,
    forward::{forward, tampering},
    scene::{IS_STALE, Scene, agent, card, figure},
};
use kvmscope::model::name::storable;
use lab::{
    guests::{BACKUP, BATCH, DB, HOSTILE, WEB},
    sshd::Sshd,
    within,
};
use serde_json::Value;

const TOKEN: &str = "tok-6f1c0a52b9e84d7733aa";

#[test]
fn values_change_and_what_is_missing_says_why() {
    let Some(mut scene) = Scene::on_guests("the page on guests") else { return };
    scene.open();
    let browser = &mut scene.browser;
    assert_eq!(browser.value("document.querySelectorAll('.card').length"), 7);
    assert_eq!(browser.value("document.querySelector('dialog[open]')"), Value::Null, "no question is asked");

    // The guest that writes to its disk, and what has been recorded.
    browser.until("rates", &format!("/B\\/s$/.test({})", figure(DB, "dw")));
    for expression in [figure(DB, "dw"), "document.querySelector('#figures dd').textContent".to_owned()] {
        let before = browser.text(&expression);
        browser.until("another value", &format!("{expression} !== {before:?}"));
    }
    let way = format!("{}.querySelector('.dw .deg').textContent", card(DB));
    browser.until("it writes", &format!("/^▲ ?\\d+\\.\\d°$/.test({way})"));
    browser.until(
        "a sparkline",
        &format!(
            "{}.querySelectorAll('.dw .spark path')[0].getAttribute('d').split('M').length > 3",
            card(DB)
        ),
    );
    let gauge = format!("{}.querySelector('.cpu .meter')", card(WEB));
    browser.until(
        "a gauge tells its value",
        &format!(
            "{gauge}.role === 'meter' && {gauge}.ariaLabel === 'CPU' && Number({gauge}.ariaValueNow) > 0 \
             && /%, rising [0-9.]+ degrees$/.test({gauge}.ariaValueText)"
        ),
    );

    // The guest whose NIC the host cannot count.
    let why = "user-mode NIC: no host counters";
    assert_eq!(browser.text(&figure(BATCH, "nr")), format!("– {why}"));
    let gauge = format!("{}.querySelector('.nr .meter')", card(BATCH));
    assert_eq!(browser.text(&format!("{gauge}.ariaLabel")), format!("network: not known: {why}"));
    assert_eq!(browser.value(&format!("{gauge}.ariaValueNow")), Value::Null, "no number stands for it");
    // All of its reasons, by the keyboard alone: the first card is its.
    browser.press("j");
    assert_eq!(browser.text("document.activeElement.textContent.trim()"), format!("● {BATCH}"));
    browser.press("Enter");
    browser.until(
        "the card opens",
        &format!(
            "{}.querySelector('.all')?.textContent.includes('connect the NIC to a bridge') === true",
            card(BATCH)
        ),
    );

    assert!(browser.text(&format!("{}.textContent", card(BACKUP))).contains("off"));
    let name = storable(HOSTILE);
    assert_ne!(browser.value(&card(&name)), Value::Null, "a hostile name is a name");
    scene.is_clean();
}

#[test]
fn stop_asks_first_and_the_agent_stops_and_starts() {
    let Some(mut scene) = Scene::on_guests("start and stop in the page") else { return };
    scene.open();
    for name in [WEB, DB] {
        scene
            .browser
            .until("rates", &format!("/°$/.test({}.querySelector('.nt .deg')?.textContent)", card(name)));
    }
    let question = "document.getElementById('ask-stop').open";
    scene.browser.until("the button is there", "!document.getElementById('startstop').disabled");

    // Asked, and thought better of.
    scene.browser.press("s");
    scene.browser.until("it asks", question);
    assert!(scene.collects());
    scene.browser.press("Escape");
    scene.browser.until("it is gone", &format!("!{question}"));
    scene.browser.click("#startstop");
    scene.browser.until("it asks", question);
    // Enter is no yes.
    scene.browser.press("Enter");
    scene.browser.until("it is gone", &format!("!{question}"));
    assert!(scene.collects());
    assert_eq!(scene.status()["collector"]["state"], "running");

    scene.browser.press("s");
    scene.browser.until("it asks", question);
    scene.browser.press("y");
    within(browser::PATIENCE, "the agent has stopped", || (!scene.collects()).then_some(()));
    let browser = &mut scene.browser;
    browser.until(
        "a banner says so and since when",
        "/^Collection is stopped since \\d\\d:\\d\\d:\\d\\d: nothing is recorded\\. The figures below are of/\
         .test(document.getElementById('still').innerText)",
    );
    browser.until("old numbers are marked", IS_STALE);
    browser.until(
        "the record's line says so",
        "/^No: collection is stopped/.test(document.querySelector('#verdict .words').textContent)",
    );
    numbers_are_those_of_the_api(browser, &ask(&scene.socket, "GET", "/api/telemetry/vm-telemetry").json());
    let button = "document.getElementById('startstop')";
    browser.until("the button starts", &format!("{button}.textContent === 'start' && !{button}.disabled"));

    browser.click("#startstop");
    scene.is_live();
    scene.browser.until("the banner is gone", "document.getElementById('still').hidden");
    assert!(scene.collects());
    scene.is_clean();
}

/// Percent and degrees of every machine that runs, of the one last frame.
fn numbers_are_those_of_the_api(browser: &mut Browser, told: &Value) {
    let mut compared = 0;
    for vm in told["vms"].as_array().unwrap().iter().filter(|vm| vm["health"] == "answering") {
        let name = vm["name"].as_str().unwrap();
        let mut is = |row: &str, cell: &str, expected: String| {
            let text = format!("{}.querySelector('.{row} .{cell}').textContent", card(name));
            browser.until(&format!("{row} of {name} is {expected}"), &format!("{text} === {expected:?}"));
            compared += 1;
        };
        let balloon = if vm["memory_source"] == "balloon" { "~" } else { "" };
        for (row, field, sign) in [("cpu", "cpu_usage_percent", ""), ("mem", "memory_usage_percent", balloon)]
        {
            if let Some(percent) = vm[field].as_f64() {
                is(row, "num", format!("{sign}{percent:.1} %"));
            }
        }
        for (row, field) in [
            ("cpu", "cpu_rate"),
            ("mem", "memory_rate"),
            ("dr", "disk_read_rate"),
            ("dw", "disk_write_rate"),
            ("nr", "network_rx_rate"),
            ("nt", "network_tx_rate"),
        ] {
            if let Some(degrees) = vm[field].as_f64() {
                let arrow = if degrees >= 0.05 {
                    '▲'
                } else if degrees <= -0.05 {
                    '▼'
                } else {
                    ' '
                };
                is(row, "deg", format!("{arrow}{:>4.1}°", degrees.abs()));
            }
        }
    }
    // Two of them have all of their rates by now.
    assert!(compared >= 16, "{compared} numbers");
}

#[test]
fn a_hostile_name_stays_text_and_nothing_of_it_runs() {
    let names = [
        "<img src=x onerror=window.hacked=1>",
        "<script>window.hacked=1",
        "\"><svg onload=window.hacked=1>",
        "' autofocus onfocus=window.hacked=1 x='",
        "javascript:window.hacked=1",
        "${window.hacked=1} {{window.hacked=1}}",
        "txt.\u{202e}gnp\u{2066}exe",
        "zero\u{200b}width",
        "&lt;b&gt; &amp;",
        "__proto__",
    ];
    let Some(mut scene) = Scene::on_names("hostile names in the page", "", names) else { return };
    scene.open();
    let told = ask(&scene.socket, "GET", "/api/telemetry/vms").json();
    let browser = &mut scene.browser;
    browser.until("all are there", &format!("document.querySelectorAll('.card').length === {}", names.len()));
    // Opened, they show all there is of them.
    browser.value("document.querySelectorAll('.name').forEach((name) => name.click())");
    browser.until("all are open", &format!("document.querySelectorAll('.all').length === {}", names.len()));
    for vm in told["vms"].as_array().unwrap() {
        let name = vm["name"].as_str().unwrap();
        assert_eq!(browser.value(&format!("{} !== undefined", card(name))), true, "{name} is shown as it is");
    }
    let shown = browser.text("document.getElementById('cards').textContent");
    assert!(!shown.contains(['\u{202e}', '\u{2066}']), "{shown}");
    // A filter is text as well.
    browser.press("/");
    browser.write("<img src=x");
    browser.until("one is found", "document.querySelectorAll('.card:not([hidden])').length === 1");
    assert_eq!(browser.value("window.hacked === undefined && ({}).hacked === undefined"), true);
    let made =
        "document.querySelectorAll('main :is(img, script, svg:not(.dial, .spark), b, a, iframe)').length";
    assert_eq!(browser.value(made), 0);
    scene.is_clean();
}

#[test]
fn what_is_written_into_the_page_does_not_run_there() {
    const SCRIPT: &str = "<script>window.injected = 1</script><img src='x' onerror='window.injected = 2'>\
        <style>body { outline: 7px solid red }</style>";
    let Some(mut scene) = Scene::on_names("the page's policy", "", ["one"]) else { return };

    let page = ask(&scene.socket, "GET", "/");
    let policy = page.header("content-security-policy").unwrap().to_owned();
    for part in [
        "default-src 'none'",
        "script-src 'sha256-",
        "style-src 'sha256-",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let tag = page.header("etag").unwrap();
    let again = ask_tcp(scene.address, "GET", "/", &[("If-None-Match", tag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(ask_tcp(scene.address, "POST", "/", &[]).status, 405);

    // Without its policy, what was written into it runs: the test could fail.
    let bare = tampering(&scene.socket, |head, body| {
        let head: Vec<_> = head.lines().filter(|line| !line.starts_with("content-security-policy")).collect();
        (head.join("\r\n"), body.replacen("<body>", &format!("<body>{SCRIPT}"), 1))
    });
    scene.open_at(&format!("http://{bare}/"));
    scene.browser.until("it runs", "window.injected !== undefined");

    let held =
        tampering(&scene.socket, |head, body| (head, body.replacen("<body>", &format!("<body>{SCRIPT}"), 1)));
    scene.open_at(&format!("http://{held}/"));
    let browser = &mut scene.browser;
    assert_eq!(browser.value("window.injected === undefined"), true);
    assert_eq!(browser.text("getComputedStyle(document.body).outlineStyle"), "none");
    assert_eq!(
        browser.value("document.querySelectorAll('body > script, body > img').length"),
        3,
        "it was there"
    );
    assert!(
        browser.faults().iter().any(|fault| fault.contains("Content Security Policy")),
        "and was refused"
    );
    // Nor does markup come of text, even for a script of the page's own.
    assert!(browser.try_value("document.body.innerHTML = '<b>x</b>'").is_err());
    assert!(browser.try_value("document.createElement('script').text = 'window.injected = 3'").is_err());
    assert!(browser.try_value("fetch('http://127.0.0.1:9/')").is_err());

    // A site elsewhere whose name was made to lead here is told nothing.
    for path in ["/", "/api/telemetry/vms"] {
        let elsewhere = [("Host", "evil.example:8080")];
        let forwarded = forward(&scene.socket);
        for address in [scene.address, forwarded] {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", elsewhere[0].1);
            let bytes =
                agent_process::asking::exchange(agent_process::asking::tcp(address), request.as_bytes());
            assert_eq!(agent_process::asking::Answer::read(&bytes).status, 403, "{path}");
        }
    }
}

#[test]
fn the_socket_serves_the_page_through_ssh() {
    let test = "the page over ssh";
    let Some(mut scene) = Scene::on_names(test, "", ["one", "two"]) else { return };
    let Some(sshd) = Sshd::start(test, scene.home.path()) else { return };
    let forward = sshd.forward(&scene.socket);
    scene.open_at(&format!("http://localhost:{}/", forward.port));
    scene.browser.until("the button is there", "!document.getElementById('startstop').disabled");
    scene.browser.press("s");
    scene.browser.until("it asks", "document.getElementById('ask-stop').open");
    scene.browser.click("#stop-yes");
    within(browser::PATIENCE, "the agent has stopped", || (!scene.collects()).then_some(()));
    // The link breaks, and the page says so.
    drop(forward);
    scene.browser.until("it is gone", "!document.getElementById('lost').hidden");
    assert_eq!(scene.browser.faults(), [] as [String; 0]);
}

#[test]
fn a_token_is_asked_for_and_a_wrong_one_is_said_to_be_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let more = format!("token_file = \"{}\"", file.display());
    let Some(mut scene) = Scene::on_names("the page with a token", &more, ["one", "two"]) else { return };
    assert_eq!(ask_tcp(scene.address, "GET", "/", &[]).status, 200, "the page holds nothing");
    assert_eq!(ask_tcp(scene.address, "GET", "/api/telemetry/vms", &[]).status, 401);

    scene.browser.open(&scene.url());
    let browser = &mut scene.browser;
    browser.until(
        "it asks for the token",
        "document.getElementById('ask-token')?.open === true && document.activeElement.id === 'token'",
    );
    assert_eq!(browser.value("document.querySelectorAll('.card').length"), 0);
    assert_eq!(browser.text("document.getElementById('token').type"), "password");
    browser.write("tok-of-somebody-elses");
    browser.press("Enter");
    browser.until(
        "it says that it is wrong",
        "document.getElementById('ask-token').open \
         && document.getElementById('token-wrong').textContent.startsWith('This token is not accepted')",
    );
    browser.write(TOKEN);
    browser.press("Enter");
    scene.is_live();
    let browser = &mut scene.browser;
    assert_eq!(browser.value("document.querySelector('dialog[open]')"), Value::Null);
    let place = "location.href + document.cookie + JSON.stringify(localStorage) + document.body.textContent \
        + document.getElementById('token').value";
    assert!(!browser.text(place).contains(TOKEN), "it stays where it is");

    // A reload asks for nothing; a start and stop carry it.
    browser.call("Page.reload", &serde_json::json!({}));
    scene.is_live();
    scene.browser.until("the button is there", "!document.getElementById('startstop').disabled");
    scene.browser.press("s");
    scene.browser.press("y");
    within(browser::PATIENCE, "the agent has stopped", || (!scene.collects()).then_some(()));

    // The token is another one now.
    std::fs::write(&file, "tok-a-new-one-of-some-length").unwrap();
    scene.agent.signal(rustix::process::Signal::HUP);
    scene.browser.call("Page.reload", &serde_json::json!({}));
    scene.browser.until("it asks again", "document.getElementById('ask-token')?.open === true");

    assert!(!scene.browser.asked().iter().any(|url| url.contains("tok-")), "in no address");
    scene.agent.end();
    assert!(!scene.agent.log.join("\n").contains(TOKEN), "in no log");
    scene.is_clean();
}

#[test]
fn when_the_agent_is_gone_nothing_old_looks_new_and_the_page_lives_again() {
    let Some(mut scene) = Scene::on_names("the page over the agent's restart", "", ["one"]) else { return };
    scene.open();
    assert_eq!(scene.browser.value("document.getElementById('lost').hidden"), true);

    scene.agent.signal(rustix::process::Signal::KILL);
    scene.agent.wait();
    let browser = &mut scene.browser;
    browser.until(
        "a banner says since when",
        "/^No connection to the agent since \\d\\d:\\d\\d:\\d\\d .*The figures below are of \\d\\d:\\d\\d:\\d\\d, not of now/\
         .test(document.getElementById('lost').innerText)",
    );
    browser.until("old numbers are marked", IS_STALE);
    assert_eq!(browser.text("getComputedStyle(document.querySelector('.card .num')).fontStyle"), "italic");
    assert_eq!(browser.value("document.getElementById('startstop').disabled"), true);
    browser.until(
        "nobody knows whether it is recorded",
        "/^Not known: the agent has not answered/.test(document.querySelector('#verdict .words').textContent)",
    );
    let seen = browser.text("document.getElementById('cards').textContent");
    browser.until("it tries again", "/next try in/.test(document.getElementById('lost').textContent)");
    assert_eq!(browser.text("document.getElementById('cards').textContent"), seen, "nothing moves");

    scene.agent = agent(scene.home.path(), &scene.uri);
    scene.browser.value("document.getElementById('retry').click()");
    scene.is_live();
    let browser = &mut scene.browser;
    browser.until("the banner is gone", "document.getElementById('lost').hidden");
    let lines = "document.querySelector('#figures dd').textContent";
    let before = browser.text(lines);
    browser.until("it goes on", &format!("{lines} !== {before:?}"));
    scene.is_clean();
}

#[test]
fn of_hundreds_of_machines_only_those_in_view_are_drawn() {
    let names: Vec<_> = (0..500).map(|number| format!("vm-{number:03}")).collect();
    let names = names.iter().map(String::as_str);
    let Some(mut scene) = Scene::on_names("the page of 500 machines", "", names) else { return };
    scene.open();
    let browser = &mut scene.browser;
    browser.until("all are there", "document.querySelectorAll('.card').length === 500");
    let drawn = "document.querySelectorAll('.rows').length";
    browser.until("some are drawn", &format!("{drawn} > 8 && {drawn} < 80"));
    assert_eq!(browser.value(&format!("{}.querySelector('.rows')", card("vm-400"))), Value::Null);
    // The nodes stay: what changes is their text.
    browser.value("window.first = document.querySelector('.card .num')");
    browser.value("window.scrollTo(0, document.body.scrollHeight)");
    browser.until("the last is drawn", &format!("{}.querySelector('.rows') !== null", card("vm-499")));
    browser.until(
        "those out of sight are not",
        &format!("{}.querySelector('.rows') === null && {drawn} < 80", card("vm-000")),
    );

    browser.press("/");
    browser.write("vm-12");
    browser.until("ten are left", "document.querySelectorAll('.card:not([hidden])').length === 10");
    browser.until("they have figures", &format!("/%$/.test({})", figure("vm-123", "cpu")));
    browser.value("window.first = [document.querySelector('.card:not([hidden])'), document.querySelector('.card:not([hidden]) .num')]");
    browser.press("Escape");
    browser.until("all are left", "document.querySelectorAll('.card:not([hidden])').length === 500");
    let first = "document.querySelector('.card:not([hidden]) bdi').textContent";
    assert_eq!(browser.text(first), "vm-000");
    browser.press("O");
    browser.until("the order is turned", &format!("{first} === 'vm-499'"));
    browser.press("o");
    browser.until("by CPU, the busiest first", "document.getElementById('sort').value === 'cpu'");
    scene.is_clean();
}

/// Every text that can be seen, whose contrast with its ground is too small,
/// and everything that is wider than the window.
const HARD_TO_READ: &str = r"(() => {
    const parse = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const colour = parse(getComputedStyle(at).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        throw new Error('no ground');
    };
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let seen = 0;
    while (walk.nextNode()) {
        const node = walk.currentNode.parentElement;
        if (!walk.currentNode.data.trim() || !node.checkVisibility({ visibilityProperty: true })) continue;
        if (node.closest('script, style, template, .vh, .skip')) continue;
        seen += 1;
        const [one, other] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${walk.currentNode.data.trim().slice(0, 40)}`);
    }
    if (seen < 40) found.push(`only ${seen} texts`);
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    if (wide > 0) found.push(`${wide} px too wide`);
    return found.join('\n');
})()";

#[test]
fn it_can_be_read_in_both_themes_at_every_width_and_in_every_state() {
    let long = "a-name-of-sixty-characters-that-nobody-would-ever-type-twice";
    let names = ["one", long, "three"];
    let Some(mut scene) = Scene::on_names("reading the page", "", names) else { return };
    scene.open();
    scene.browser.press("c");
    scene.browser.value("document.querySelector('.name').click()");
    scene.browser.until("rates", &format!("/B\\/s$/.test({})", figure("one", "dw")));
    let judge = |browser: &mut Browser, state: &str| {
        for scheme in ["dark", "light"] {
            browser.prefers(scheme);
            for width in [360, 800, 1400, 2560] {
                browser.size(width, 900);
                let found = browser.text(HARD_TO_READ);
                assert_eq!(found, "", "{state}, {scheme}, {width} px");
            }
        }
    };
    judge(&mut scene.browser, "live");
    scene.browser.press("?");
    scene.browser.until("help", "document.getElementById('help-page').open");
    judge(&mut scene.browser, "help");
    scene.browser.press("Escape");
    scene.browser.press("s");
    scene.browser.press("y");
    scene.browser.until("it has stopped", "!document.getElementById('still').hidden");
    judge(&mut scene.browser, "stopped");
    scene.agent.signal(rustix::process::Signal::KILL);
    scene.browser.until("it is gone", "!document.getElementById('lost').hidden");
    judge(&mut scene.browser, "gone");
    // The switch overrules the system, and is kept.
    scene.browser.prefers("dark");
    let ground = "getComputedStyle(document.body).backgroundColor";
    let dark = scene.browser.text(ground);
    scene.browser.press("t");
    assert_eq!(scene.browser.text(ground), dark, "dark by choice");
    scene.browser.press("t");
    assert_ne!(scene.browser.text(ground), dark, "light by choice");
}
