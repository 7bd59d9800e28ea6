//! The page in the hands of those without a mouse, of those who hear it, and of
//! those who come back to it.
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

use browser::{
    Browser,
    scene::{Scene, card},
};
use lab::guests::{BATCH, GATEWAY, Lab};
use serde_json::{Value, json};

/// The names of the cards that are shown, in their order.
const SHOWN: &str =
    "[...document.querySelectorAll('.card:not([hidden]) bdi')].map((name) => name.textContent).join()";
const FOCUS: &str = "document.activeElement.id || document.activeElement.textContent.trim()";

/// What assistive technology is told of: role and name of each node.
fn heard(browser: &mut Browser) -> Vec<(String, String)> {
    let tree = browser.call("Accessibility.getFullAXTree", &json!({}));
    let text = |node: &Value, part: &str| node[part]["value"].as_str().unwrap_or_default().to_owned();
    let nodes = tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] == false);
    nodes.map(|node| (text(node, "role"), text(node, "name"))).collect()
}

#[test]
fn the_address_keeps_what_is_sought_and_how_it_is_sorted() {
    let names = ["web-1", "web-2", "web-3", "db-1"];
    let Some(mut scene) = Scene::on_names("the page's address", "", names) else { return };
    scene.open();
    let browser = &mut scene.browser;
    browser.until("all are there", &format!("{SHOWN} === 'db-1,web-1,web-2,web-3'"));
    assert_eq!(browser.text("location.hash"), "", "nothing but what was chosen");
    browser.press("/");
    browser.write("web");
    browser.press("Enter");
    browser.until("the first of them", &format!("{FOCUS} === '● web-1'"));
    browser.press("O");
    browser.press("a");
    browser.until("turned", &format!("{SHOWN} === 'web-3,web-2,web-1'"));
    assert_eq!(browser.text("location.hash"), "#find=web&reverse=yes&off=hidden");
    // The link for keyboards leaves it alone.
    browser.value("document.querySelector('.skip').click()");
    assert_eq!(browser.text(FOCUS), "vms");

    browser.call("Page.reload", &json!({}));
    let hash = "#find=web&reverse=yes&off=hidden";
    browser.until("the same", &format!("{SHOWN} === 'web-3,web-2,web-1' && location.hash === {hash:?}"));
    assert_eq!(browser.text("document.getElementById('filter').value"), "web");
    assert_eq!(browser.text("document.getElementById('off').ariaLabel"), "VMs that are off: hidden");
    // Every order is reached by its key alone.
    for order in ["cpu", "memory", "disk", "network", "name"] {
        browser.press("o");
        browser.until(order, &format!("document.getElementById('sort').value === {order:?}"));
        let kept = "new URLSearchParams(location.hash.slice(1)).get('sort') ?? 'name'";
        assert_eq!(browser.text(kept), order);
    }
    // Typed in by hand, too.
    browser.value("location.hash = '#sort=disk&find=db'");
    browser
        .until("another", &format!("{SHOWN} === 'db-1' && document.getElementById('sort').value === 'disk'"));
    browser.press("/");
    browser.press("Escape");
    browser.until("the filter is ended", "location.hash === '#sort=disk'");
    browser.press("G");
    assert_ne!(browser.text(FOCUS), "filter");

    // Somebody else's link is no more than a view.
    let link = "#find=%3Cimg+src%3Dx+onerror%3Dwindow.hacked%3D1%3E&sort=__proto__&reverse=1&token=x";
    browser.value(&format!("location.hash = {link:?}"));
    browser.until("nothing is found", &format!("{SHOWN} === '' && !document.getElementById('empty').hidden"));
    assert_eq!(browser.text("document.getElementById('sort').value"), "name");
    assert_eq!(
        browser.value("window.hacked === undefined && document.querySelector('main img') === null"),
        true
    );
    assert!(!browser.text("location.hash").contains("token"), "what is no view is not kept");
    scene.is_clean();
}

#[test]
fn tab_goes_through_it_in_order_seen_at_each_step_and_escape_goes_back() {
    let Some(mut scene) = Scene::on_names("the page by keyboard", "", ["one", "two"]) else { return };
    scene.open();
    let browser = &mut scene.browser;
    browser.until("both are there", &format!("{SHOWN} === 'one,two'"));
    browser.until("the button is there", "!document.getElementById('startstop').disabled");
    let order = [
        "to the VMs",
        "startstop",
        "theme",
        "help",
        "more",
        "filter",
        "sort",
        "reverse",
        "off",
        "● one",
        "● two",
    ];
    for expected in order {
        browser.press("Tab");
        assert_eq!(browser.text(FOCUS), expected);
        let ring = "(({ outlineStyle, outlineWidth }) => outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2)\
            (getComputedStyle(document.activeElement))";
        assert_eq!(browser.value(ring), true, "the focus on {expected} is seen");
        let inside = "(({ left, top, right, bottom }) => left >= 0 && top >= 0 && right <= innerWidth \
            && bottom <= innerHeight)(document.activeElement.getBoundingClientRect())";
        assert_eq!(browser.value(inside), true, "{expected} is in view");
    }
    for (opener, dialog, first) in [("startstop", "ask-stop", "stop-no"), ("help", "help-page", "help-close")]
    {
        browser.value(&format!("document.getElementById({opener:?}).focus()"));
        browser.press("Enter");
        let open = format!("document.getElementById({dialog:?}).open");
        browser.until("it opens", &format!("{open} && document.activeElement.id === {first:?}"));
        // What is behind it cannot be reached.
        for _ in 0..6 {
            browser.press("Tab");
            let within = "document.activeElement === document.body || document.activeElement.closest('dialog') !== null";
            assert_eq!(browser.value(within), true, "{}", browser.text(FOCUS));
        }
        browser.press("Escape");
        browser.until("it closes", &format!("!{open}"));
        assert_eq!(browser.text(FOCUS), opener, "back where it was");
    }
    assert!(scene.collects());
    scene.is_clean();
}

#[test]
fn who_hears_it_is_told_what_it_is_and_is_not_interrupted() {
    let Some(mut scene) = Scene::on_names("the page by ear", "", ["one", "two"]) else { return };
    scene.open();
    let browser = &mut scene.browser;
    browser.until("rates", &format!("/°$/.test({}.querySelector('.nt .deg').textContent)", card("two")));
    let all = heard(browser);
    let nameless: Vec<_> = all
        .iter()
        .filter(|(role, name)| {
            let names = ["button", "searchbox", "combobox", "meter", "image", "link", "article", "region"];
            names.contains(&role.as_str()) && name.trim().is_empty()
        })
        .collect();
    assert!(nameless.is_empty(), "{nameless:?}");
    let names = |role: &str| -> Vec<&str> {
        all.iter().filter(|(of, _)| of == role).map(|(_, name)| name.trim()).collect()
    };
    assert_eq!(names("meter"), ["CPU", "memory", "disk", "network"].repeat(2));
    assert_eq!(names("article"), ["one", "two"]);
    assert!(names("heading").contains(&"one running 2 vCPU · 1 GB"), "{:?}", names("heading"));
    for landmark in ["banner", "navigation", "main"] {
        assert_eq!(names(landmark).len(), 1, "{landmark}");
    }
    // Signs and drawings are for the eye: no name has any.
    let signs = all.iter().filter(|(role, name)| {
        !role.ends_with("Text") && !role.ends_with("TextBox") && name.contains(['●', '▲', '▼', '▸', '◐', '○'])
    });
    assert_eq!(signs.count(), 0, "{all:?}");

    // While all is well, what is read out of itself stays as it is.
    browser.value(
        "window.told = []; document.querySelectorAll('[role=status], [role=alert], [aria-live]').forEach((node) => { \
         const words = () => (node.checkVisibility() ? node.innerText : ''); let last = words(); \
         new MutationObserver(() => { if (words() !== last) window.told.push(node.id); last = words(); }).observe(node, \
         { childList: true, characterData: true, subtree: true, attributes: true }) })",
    );
    let recorded = "document.querySelector('#figures dd').textContent";
    for _ in 0..4 {
        let before = browser.text(recorded);
        browser.until("another cycle is recorded", &format!("{recorded} !== {before:?}"));
    }
    assert_eq!(browser.text("window.told.join()"), "");
    // And that it stops is told at once.
    browser.press("s");
    browser.press("y");
    browser.until("it is told", "['verdict', 'still', 'said'].every((id) => window.told.includes(id))");
    scene.is_clean();
}

#[test]
fn an_open_card_leaves_no_hole_and_what_is_said_has_room() {
    let names = ["a-1", "a-2", "a-3", "a-4", "a-5", "a-6", "a-7", "a-8", "a-9"];
    let Some(mut scene) = Scene::on_names("the page's layout", "", names) else { return };
    scene.open();
    let browser = &mut scene.browser;
    browser.size(1280, 800);
    browser.until("all are there", "document.querySelectorAll('.card').length === 9");
    let place = |name: &str, edge: &str| format!("{}.getBoundingClientRect().{edge}", card(name));
    browser.value(&format!("{}.querySelector('.name').click()", card("a-2")));
    browser.until("it is open", &format!("{}.querySelector('.all') !== null", card("a-2")));
    let below = format!("{} - {}", place("a-4", "top"), place("a-1", "bottom"));
    browser.until("the next is right below", &format!("{below} > 4 && {below} < 60"));
    assert_eq!(
        browser.value(&format!("{} === {}", place("a-5", "left"), place("a-3", "left"))),
        true,
        "in their order, beside the open one"
    );
    // The control of the collector stays on the line of the verdict.
    let line = "document.getElementById('more').getBoundingClientRect().top \
        - document.getElementById('verdict').getBoundingClientRect().top";
    let off = browser.value(line).as_f64().unwrap();
    assert!(off.abs() < 16.0, "{off} px");

    browser.size(390, 844);
    browser.press("s");
    browser.press("y");
    browser.until("it is said", "document.getElementById('said').textContent !== ''");
    let box_of = "(({ left, right, height }) => [left, document.documentElement.clientWidth - right, height])\
        (document.getElementById('said').getBoundingClientRect())";
    let said = browser.value(box_of);
    let [left, right, height] = [0, 1, 2].map(|at| said[at].as_f64().unwrap());
    assert!((left - right).abs() < 2.0 && left > 4.0 && height < 64.0, "{said}");
    scene.is_clean();
}

#[test]
fn a_reason_is_said_once_and_in_full_and_the_past_stays_beside_it() {
    let test = "reasons in the page";
    let Some(mut scene) = Scene::on_guests(test) else { return };
    let Some(lab) = Lab::shared(test) else { return };
    scene.open();
    let browser = &mut scene.browser;
    browser.size(1280, 900);
    let of = |name: &str, what: &str| format!("{}.querySelector('{what}')", card(name));
    let drawn = format!("{}?.getAttribute('d').split('M').length - 1", of(GATEWAY, ".dw .spark path"));
    browser.until("it has a past", &format!("{drawn} >= 6"));
    let frozen = lab.freeze(GATEWAY);
    browser.until(
        "its card says why",
        &format!("/^monitor not answering since /.test({}.textContent)", of(GATEWAY, ".note")),
    );
    for row in ["mem", "dr", "dw"] {
        browser.until(row, &format!("{}.textContent === '–'", of(GATEWAY, &format!(".{row} .num"))));
    }
    let title = format!("{}.title === {}.textContent", of(GATEWAY, ".dw .num"), of(GATEWAY, ".note"));
    assert_eq!(browser.value(&title), true, "and so does each value");
    let gauge = format!("{}.ariaLabel", of(GATEWAY, ".dr .meter"));
    assert!(browser.text(&gauge).starts_with("disk: not known: monitor not answering since "));
    let spark = of(GATEWAY, ".dw .spark");
    assert_eq!(browser.value(&format!("{spark}.checkVisibility() && {drawn} >= 5")), true, "what was before");
    browser.until(
        "and the gap",
        &format!("Math.max(...[...{spark}.firstElementChild.getAttribute('d').matchAll(/M(\\d+) /g)].map((m) => Number(m[1]))) < 46"),
    );
    drop(frozen);
    browser.until("it answers again", &format!("/B\\/s$/.test({}.textContent)", of(GATEWAY, ".dw .num")));

    // What holds for both directions stands there once, and nothing of it is cut off.
    let (first, second) = (of(BATCH, ".nr .num"), of(BATCH, ".nt .num"));
    assert_eq!(browser.text(&format!("{first}.innerText")), "– user-mode NIC: no host counters");
    assert_eq!(browser.value(&format!("{second}.checkVisibility()")), false);
    for width in [390, 1280] {
        browser.size(width, 900);
        browser.until(
            "it is drawn",
            &format!("{first} !== null && {first}.scrollWidth <= {first}.clientWidth && {first}.scrollHeight <= {first}.clientHeight + 1"),
        );
    }
    scene.is_clean();
}
