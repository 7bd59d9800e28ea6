//! What happened to a VM, on its page; whether anything is heard, on the
//! status page.

use std::sync::Arc;

use super::*;
use crate::{
    app::{
        Key,
        fixtures::{at, collector, running},
    },
    model::{
        Happening,
        status::{CollectionState, WatchState},
        timeline::Weight,
    },
};

fn happening(seconds: u64, text: &str, weight: Weight) -> Happening {
    Happening { at: at(seconds), since: at(seconds), text: text.into(), weight }
}

/// The page of `web-frontend-1`, to which all this happened.
fn page_of(happenings: &[Happening]) -> App {
    let (mut app, mut host) = running(120);
    let mut frame = (*host.cycle()).clone();
    for domain in &mut frame.domains {
        if &*domain.identity().name == "web-frontend-1" {
            Arc::make_mut(domain).timeline = happenings.into();
        }
    }
    app.update(Message::Frame(Arc::new(frame)));
    app.update(Message::Key(Key::Char('/')));
    app.update(Message::Paste("web-frontend-1".to_owned()));
    app.update(Message::Key(Key::Enter));
    app.update(Message::Key(Key::Enter));
    app
}

#[test]
fn a_vms_page_lists_what_happened_to_it_newest_first() {
    let app = page_of(&[
        happening(10, "started", Weight::Note),
        happening(20, "disk vdc attached", Weight::Note),
        happening(30, "paused", Weight::Warning),
        happening(40, "I/O error on vdb: enospc", Weight::Trouble),
    ]);
    let text = picture(&app, 200, 60);
    let lines: Vec<&str> = text.lines().collect();
    let title = lines.iter().position(|line| line.contains(" events ─")).expect("a title");
    let told: Vec<&str> = lines[title + 1..title + 5].iter().map(|line| line.trim()).collect();
    assert_eq!(
        told,
        [
            "14:00:40 ‼ I/O error on vdb: enospc",
            "14:00:30 ! paused",
            "14:00:20 · disk vdc attached",
            "14:00:10 · started",
        ]
    );
    // The last one stands beside the name as well, wherever the page is.
    assert!(lines.iter().take(6).any(|line| line.contains("14:00:40 ‼ I/O error on vdb")), "{text}");
    assert!(!picture(&page_of(&[]), 200, 60).contains(" events ─"), "nothing happened, nothing is said");
}

#[test]
fn long_timelines_are_reached_by_key_on_a_small_screen() {
    let many: Vec<_> = (0..64).map(|n| happening(n, &format!("event number {n}"), Weight::Note)).collect();
    let app = &mut page_of(&many);
    // Backwards from the first pane to the last but one.
    app.update(Message::Key(Key::BackTab));
    app.update(Message::Key(Key::BackTab));
    let mut screen = Screen::new(app.screen());
    let text = text_of(&drawn(&mut screen, app, 80, 24));
    assert!(text.contains("event number 63"), "{text}");
    app.update(Message::Key(Key::End));
    let text = text_of(&drawn(&mut screen, app, 80, 24));
    assert!(text.lines().any(|line| line.starts_with('▶') && line.contains("event number 0")), "{text}");
}

#[test]
fn no_happening_reaches_the_terminal_raw() {
    let app = page_of(&[happening(1, "I/O error on \u{1b}[31m\u{202e}x\n", Weight::Trouble)]);
    let text = picture(&app, 120, 60);
    assert!(text.contains("I/O error on _[31m_x_"), "{text}");
}

#[test]
fn the_status_page_says_what_is_heard_and_why_not() {
    let (mut app, _host) = running(120);
    app.update(Message::Key(Key::Char('c')));
    let line = |app: &App| {
        let text = picture(app, 120, 40);
        text.lines().find(|line| line.contains("events  ")).expect("a line").to_owned()
    };
    assert!(line(&app).contains("seen, last 14:01:59"), "{}", line(&app));
    let mut status = collector(CollectionState::Running { since: at(0) });
    let why = "libvirt at qemu:///system cannot be reached".to_owned();
    status.events.watch = WatchState::Failed { why, retry_at: at(125) };
    app.update(Message::Collector(status));
    assert!(line(&app).contains("not heard, next try"), "{}", line(&app));
    assert!(picture(&app, 120, 40).contains("cannot be reached"));
}
