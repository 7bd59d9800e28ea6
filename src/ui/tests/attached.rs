//! What an attached screen shows of its agent.

use super::*;
use crate::{
    app::{
        Key, Message,
        fixtures::{START, at, running, settings},
    },
    model::link::{Agent, Link, LinkState},
    ui::theme::Palette,
};

fn link(state: LinkState, known: bool) -> Message {
    let agent = Agent {
        version: "0.0.9".into(),
        pid: 4711,
        since: START,
        uri: "qemu:///system".into(),
        config: settings().config,
    };
    Message::Link(Link {
        place: "/run/kvmscope/qemu.sock".into(),
        agent: known.then_some(agent),
        state,
        ahead: 0,
    })
}

fn gone(known: bool) -> Message {
    let why = "it has ended".to_owned();
    link(LinkState::Gone { since: at(92), why, next_at: at(98) }, known)
}

#[test]
fn whose_collection_it_is_stands_in_the_header_and_on_the_status_page() {
    let (mut app, _) = running(90);
    app.update(link(LinkState::Attached { since: at(80) }, true));
    assert!(picture(&app, 80, 24).contains("agent collecting 1 s"));
    app.update(Message::Key(Key::Char('c')));
    let status = picture(&app, 120, 60);
    for said in
        ["/run/kvmscope/qemu.sock", "4711, started 14:00:00", "0.0.9; this screen is", "since 14:01:20"]
    {
        assert!(status.contains(said), "{said} is not on\n{status}");
    }
}

#[test]
fn numbers_of_an_agent_that_is_gone_are_old_ones_with_their_age() {
    let (mut app, _) = running(90);
    app.update(link(LinkState::Attached { since: at(80) }, true));
    app.update(gone(true));
    app.update(Message::Tick(at(95)));
    let text = picture(&app, 120, 40);
    for said in [
        "AGENT GONE since 14:01:32",
        "next try in 3 s",
        "numbers are 5 s old",
        "as of 14:01:30",
        "✖ agent gone",
    ] {
        assert!(text.contains(said), "{said} is not on\n{text}");
    }
    assert!(!text.contains("collecting") && !text.contains("delivering"), "nothing green is left:\n{text}");
    // No number has the ink of a fresh one: all below the banner are old.
    let palette = Palette::of(app.theme());
    for page in [None, Some(Key::Enter)] {
        page.map(|key| app.update(Message::Key(key)));
        let buf = drawn(&mut Screen::new(app.screen()), &app, 120, 40);
        for y in 3..39 {
            for x in 0..120 {
                let cell = &buf[(x, y)];
                assert!(
                    cell.symbol().trim().is_empty() || Some(cell.fg) == palette.old.fg,
                    "{:?} at {x}, {y}",
                    cell.symbol()
                );
            }
        }
    }
    // On the smallest screens the word is there as well.
    assert!(picture(&app, 40, 8).contains("agent gone"));
    assert!(picture(&app, 30, 6).contains("agent gone"));
}

#[test]
fn without_an_agent_nothing_pretends_to_be_connecting_to_libvirt() {
    let mut app = App::new(settings()).unwrap();
    app.update(link(LinkState::Connecting, false));
    let text = picture(&app, 80, 24);
    assert!(text.contains("attaching…") && text.contains("Attaching to the agent…"), "{text}");
    app.update(gone(false));
    let text = picture(&app, 80, 24);
    assert!(
        text.contains("NO AGENT at /run/kvmscope/qemu.sock") && text.contains("no agent is reached"),
        "{text}"
    );
    assert!(!text.contains("libvirt"), "{text}");
}

#[test]
fn the_question_before_stopping_says_for_whom() {
    let (mut app, _) = running(90);
    app.update(link(LinkState::Attached { since: at(80) }, true));
    app.update(Message::Key(Key::Char('s')));
    let text = picture(&app, 80, 24);
    assert!(text.contains("Stop the agent's collection, for everybody?  y yes  n no"), "{text}");
}
