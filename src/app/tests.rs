//! What keys and data do to the app.

#[path = "tests/fleet.rs"]
mod of_fleet;

use super::{
    fixtures::{Host, at, collector, dead_server, delivering, names, running, settings, store},
    *,
};
use crate::model::{
    Why,
    history::Metric,
    host::Commitment,
    status::{CollectionState, DeliveryState, StoreState},
};

fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|c| app.update(Message::Key(Key::Char(c)))).collect()
}

fn key(app: &mut App, key: Key) -> Vec<Effect> {
    app.update(Message::Key(key))
}

fn shown(app: &App) -> Vec<String> {
    let frame = app.frame().unwrap();
    app.fleet().rows().iter().map(|&i| frame.domains[i].identity().name.to_string()).collect()
}

fn selected(app: &App) -> String {
    names(app)[&app.fleet().selected().unwrap()].clone()
}

#[test]
fn the_selection_stays_on_its_vm_while_rows_move() {
    let (mut app, mut host) = running(5);
    assert_eq!(app.fleet().selected_row(), Some(0), "at first the busiest");
    key(&mut app, Key::Down);
    key(&mut app, Key::Down);
    let name = selected(&app);
    let row = app.fleet().selected_row();
    host.set_load(&name, 0.0001);
    for _ in 0..3 {
        app.update(Message::Frame(host.cycle()));
    }
    assert_eq!(selected(&app), name);
    assert_ne!(app.fleet().selected_row(), row, "the row moved, the selection went along");
}

#[test]
fn when_the_selected_vm_vanishes_its_neighbour_is_selected() {
    let (mut app, mut host) = running(5);
    key(&mut app, Key::Down);
    let order = shown(&app);
    host.remove(&order[1]);
    app.update(Message::Frame(host.cycle()));
    assert_eq!(selected(&app), order[2], "the one below");
    key(&mut app, Key::End);
    let order = shown(&app);
    host.remove(order.last().unwrap());
    app.update(Message::Frame(host.cycle()));
    assert_eq!(selected(&app), order[order.len() - 2], "the one above the last");
    for name in shown(&app) {
        host.remove(&name);
    }
    app.update(Message::Frame(host.cycle()));
    assert_eq!(app.fleet().selected(), None);
    assert_eq!(app.fleet().rows().len(), 0);
}

#[test]
fn live_vms_come_first_and_missing_values_after_known_ones_in_both_directions() {
    let (mut app, _host) = running(70);
    for _ in 0..2 {
        let order = shown(&app);
        let place = |name: &str| order.iter().position(|n| n == name).unwrap();
        assert_eq!(place("fresh-boot"), 12, "no rate yet: last of the live ones");
        assert!(place("old-mail") > 12 && place("test-kernel") > 12, "those that are off follow");
        press(&mut app, "O");
    }
    // CPU, MEM, DISK, NET, STEAL, CHANGE, NAME.
    press(&mut app, "oooooo");
    assert_eq!(app.fleet().sort(), (SortKey::Name, Direction::Ascending));
    let live = shown(&app)[..13].to_vec();
    let mut sorted = live.clone();
    sorted.sort();
    assert_eq!(live, sorted);
}

#[test]
fn rows_of_equal_looks_do_not_trade_places() {
    let (mut app, mut host) = running(20);
    let idle: Vec<_> =
        shown(&app).into_iter().filter(|n| n.starts_with("web-s") || n == "router-sriov").collect();
    for _ in 0..20 {
        app.update(Message::Frame(host.cycle()));
        let again: Vec<_> = shown(&app).into_iter().filter(|n| idle.contains(n)).collect();
        assert_eq!(again, idle);
    }
}

#[test]
fn the_filter_works_while_it_is_written() {
    let (mut app, host) = running(70);
    let all = shown(&app).len();
    press(&mut app, "/WEB-");
    assert_eq!(app.mode(), Mode::Filter);
    assert_eq!(shown(&app).len(), 4, "{:?}", shown(&app));
    press(&mut app, "fq");
    assert_eq!(shown(&app).len(), 0, "keys are text here, q too");
    key(&mut app, Key::Backspace);
    assert_eq!(shown(&app).len(), 2);
    key(&mut app, Key::Enter);
    assert_eq!((app.mode(), app.fleet().filter()), (Mode::Fleet, "WEB-f"));
    key(&mut app, Key::Esc);
    assert_eq!(shown(&app).len(), all, "Esc drops the filter");
    for (filter, count) in
        [("state:paused", 1), ("state:hung", 1), ("state:off", 2), ("state:running web", 3)]
    {
        press(&mut app, "/");
        press(&mut app, filter);
        assert_eq!(shown(&app).len(), count, "{filter}: {:?}", shown(&app));
        key(&mut app, Key::Esc);
    }
    press(&mut app, "/");
    press(&mut app, &host.uuid("builder").to_string().to_uppercase());
    assert_eq!(shown(&app), ["builder"]);
    key(&mut app, Key::Esc);
    press(&mut app, "/");
    let digits: String = host.uuid("builder").to_string().chars().take(2).collect();
    press(&mut app, &digits);
    assert!(!shown(&app).contains(&"builder".to_owned()), "two digits of a uuid are no uuid");
}

#[test]
fn memory_that_is_the_guests_own_comes_before_a_balloon_that_stands_in() {
    let (mut app, _host) = running(70);
    press(&mut app, "o");
    assert_eq!(app.fleet().sort().0, SortKey::Memory);
    for _ in 0..2 {
        let frame = Arc::clone(app.frame().unwrap());
        let live = app.fleet().rows().iter().map(|&i| &frame.domains[i]).filter(|d| d.is_live());
        let live = live.filter(|d| !attention::needs_somebody(d));
        let own: Vec<bool> = live.map(|d| fleet::memory_is_reported(d)).collect();
        assert!(own.contains(&true) && own.contains(&false), "{own:?}");
        assert!(own.is_sorted_by(|a, b| a >= b), "{own:?}");
        press(&mut app, "O");
    }
}

#[test]
fn pasted_text_goes_into_the_filter_only_and_without_control_characters() {
    let (mut app, _host) = running(3);
    assert!(app.update(Message::Paste("qsq".into())).is_empty());
    assert_eq!(app.mode(), Mode::Fleet);
    press(&mut app, "/");
    app.update(Message::Paste("web\x1b[31m\r\n-front".into()));
    assert_eq!(app.fleet().filter(), "web[31m-front");
    app.update(Message::Paste("x".repeat(100_000)));
    assert!(app.fleet().filter().len() <= 200);
}

#[test]
fn a_frozen_screen_shows_one_moment_while_data_goes_on() {
    let (mut app, mut host) = running(30);
    let uuid = host.uuid("web-frontend-1");
    let then: Vec<_> = app.series().last(uuid, Metric::Cpu, 10).collect();
    let order = shown(&app);
    press(&mut app, "p");
    for _ in 0..15 {
        host.set_load("web-frontend-1", 0.001);
        app.update(Message::Frame(host.cycle()));
    }
    assert_eq!(app.frozen_at(), Some(at(30)));
    assert_eq!(app.frame().unwrap().cycle, 30);
    assert_eq!(app.series().last(uuid, Metric::Cpu, 10).collect::<Vec<_>>(), then);
    assert_eq!(shown(&app), order);
    press(&mut app, " ");
    assert_eq!((app.frozen_at(), app.frame().unwrap().cycle), (None, 45));
    let now: Vec<_> = app.series().last(uuid, Metric::Cpu, 15).collect();
    assert_ne!(now[..10], then[..], "the cycles of the pause were kept");
    assert!(now.iter().all(Option::is_some), "{now:?}");
}

#[test]
fn cycles_that_were_never_seen_leave_gaps() {
    let (mut app, mut host) = running(10);
    let uuid = host.uuid("web-frontend-1");
    host.cycle();
    host.cycle();
    app.update(Message::Frame(host.cycle()));
    let last: Vec<_> = app.series().last(uuid, Metric::Cpu, 4).map(|a| a.is_some()).collect();
    assert_eq!(last, [true, false, false, true]);
}

#[test]
fn a_vm_that_is_gone_for_long_is_forgotten() {
    let (mut app, mut host) = running(3);
    let known = app.series().len();
    host.remove("builder");
    for _ in 0..599 {
        app.update(Message::Frame(host.cycle()));
    }
    assert_eq!(app.series().len(), known);
    for _ in 0..3 {
        app.update(Message::Frame(host.cycle()));
    }
    assert_eq!(app.series().len(), known - 1);
}

#[test]
fn s_acts_at_once_and_shows_the_state_passing_through() {
    let (mut app, _host) = running(3);
    let state = |state| Message::Collector(collector(state));
    assert_eq!(press(&mut app, "s"), [Effect::StopCollection]);
    assert_eq!(app.collection(), Collection::Stopping);
    app.update(state(CollectionState::Running { since: at(0) }));
    assert_eq!(app.collection(), Collection::Stopping, "old news do not undo it");
    app.update(state(CollectionState::Stopped { since: at(4) }));
    assert_eq!(app.collection(), Collection::Stopped { since: at(4) });
    assert!(app.is_on(Action::ToggleCollection), "the footer offers start");
    assert_eq!(press(&mut app, "s"), [Effect::StartCollection]);
    assert_eq!(app.collection(), Collection::Starting);
    app.update(state(CollectionState::Stopped { since: at(4) }));
    assert_eq!(app.collection(), Collection::Starting);
    // Asked again before any confirmation: the last wish counts.
    assert_eq!(press(&mut app, "s"), [Effect::StopCollection]);
    assert_eq!(press(&mut app, "s"), [Effect::StartCollection]);
    app.update(state(CollectionState::Connecting { since: at(6) }));
    assert_eq!(app.collection(), Collection::Connecting { since: at(6) });
    let why = "libvirt: refused".to_owned();
    app.update(state(CollectionState::Failed { why, since: at(7), retry_at: at(9) }));
    assert_eq!(press(&mut app, "s"), [Effect::StopCollection], "a failing collection can be stopped");
}

#[test]
fn quitting_asks_only_when_lines_would_be_lost() {
    let (mut app, _host) = running(3);
    let deliver = |status| Message::Delivery(status, store(StoreState::Writable));
    assert_eq!(press(&mut app, "q"), [Effect::Quit], "what waits on disk survives");
    app.update(deliver(DeliveryStatus { waiting_in_memory: 9, ..delivering() }));
    assert_eq!(press(&mut app, "q"), [Effect::Quit], "what is on its way is flushed");
    app.update(deliver(DeliveryStatus { state: DeliveryState::Off, ..dead_server() }));
    assert_eq!(press(&mut app, "q"), [Effect::Quit], "with delivery off nothing waits");
    app.update(deliver(dead_server()));
    assert_eq!(press(&mut app, "q"), [Effect::Quit], "what waits for its batch is recorded on leaving");
    let deliver = |status| Message::Delivery(status, store(StoreState::Off));
    app.update(deliver(dead_server()));
    assert_eq!(press(&mut app, "q"), []);
    assert_eq!(app.mode(), Mode::Question);
    assert_eq!(press(&mut app, "n"), []);
    assert_eq!(app.mode(), Mode::Fleet);
    assert_eq!(press(&mut app, "qy"), [Effect::Quit]);
    app.update(deliver(DeliveryStatus { waiting_in_memory: 0, ..dead_server() }));
    press(&mut app, "n");
    assert_eq!(press(&mut app, "q"), [Effect::Quit]);
}

#[test]
fn interval_steps_are_asked_for_and_shown_until_confirmed() {
    let (mut app, _host) = running(3);
    assert_eq!(press(&mut app, "+"), [Effect::SetInterval(Duration::from_secs(2))]);
    app.update(Message::Collector(collector(CollectionState::Running { since: at(0) })));
    assert_eq!(app.poll_interval(), Duration::from_secs(2), "the old interval does not flicker back");
    assert_eq!(press(&mut app, "--"), [1.0, 0.5].map(|s| Effect::SetInterval(Duration::from_secs_f64(s))));
    press(&mut app, "---");
    assert_eq!(app.poll_interval(), Duration::from_millis(200));
    assert_eq!(press(&mut app, "-"), [], "not below what is allowed");
}

#[test]
fn y_copies_the_name_and_then_the_uuid() {
    let (mut app, host) = running(3);
    let name = selected(&app);
    let uuid = host.uuid(&name).to_string();
    assert_eq!(press(&mut app, "y"), [Effect::Copy(name.clone())]);
    assert_eq!(press(&mut app, "y"), [Effect::Copy(uuid)]);
    assert!(app.notice().is_some());
    app.update(Message::Tick(at(60)));
    assert_eq!(app.notice(), None);
    assert_eq!(press(&mut app, "y"), [Effect::Copy(name)]);
}

#[test]
fn where_tmux_may_keep_it_nothing_is_said_to_be_copied_for_sure() {
    let mut app = App::new(Settings { clipboard: Clipboard::Tmux, ..settings() }).unwrap();
    app.update(Message::Frame(Host::new().cycle()));
    press(&mut app, "y");
    assert!(app.notice().unwrap().contains("if tmux has set-clipboard on"), "{:?}", app.notice());
}

#[test]
fn on_the_page_of_the_xml_it_is_the_xml_that_is_written() {
    let (mut app, _host) = running(3);
    let name = selected(&app).into();
    key(&mut app, Key::Enter);
    let [Effect::Xml(uuid)] = press(&mut app, "x")[..] else { panic!() };
    assert_eq!(press(&mut app, "e"), [], "it has not come yet");
    assert!(app.notice().unwrap().contains("nothing to export yet"));
    let text: Arc<str> = "<domain/>".into();
    app.update(Message::Xml(uuid, Ok(Arc::clone(&text))));
    let [Effect::Export(ExportForm::Xml, written)] = &press(&mut app, "e")[..] else { panic!() };
    assert_eq!(*written, Exported::Xml { name, at: written.at(), text });
    assert_eq!(app.overlay(), Overlay::None, "there is but one form of it");
}

#[test]
fn pages_open_and_close_the_way_they_came() {
    let (mut app, mut host) = running(3);
    key(&mut app, Key::Enter);
    assert_eq!(app.page(), Page::Vm);
    press(&mut app, "c");
    press(&mut app, "l");
    assert_eq!(app.page(), Page::Log);
    key(&mut app, Key::Esc);
    assert_eq!(app.page(), Page::Vm, "back to where one came from");
    press(&mut app, "cc");
    assert_eq!(app.page(), Page::Vm);
    press(&mut app, "?");
    assert_eq!((app.overlay(), app.mode()), (Overlay::Help, Mode::Help));
    assert_eq!(press(&mut app, "s"), [Effect::StopCollection], "the help steals no keys");
    key(&mut app, Key::Esc);
    assert_eq!((app.overlay(), app.page()), (Overlay::None, Page::Vm));
    host.remove(&selected(&app));
    app.update(Message::Frame(host.cycle()));
    assert!(app.vm_domain().is_none());
    key(&mut app, Key::Left);
    assert_eq!(app.page(), Page::Fleet);
}

#[test]
fn on_a_vms_page_tab_goes_through_the_panes_and_arrows_through_their_lines() {
    let (mut app, _host) = running(3);
    press(&mut app, "/router");
    key(&mut app, Key::Enter);
    key(&mut app, Key::Enter);
    let at = |app: &App| app.vm_page().map(|p| (p.pane(), p.cursor())).unwrap();
    assert_eq!(at(&app), (Pane::Angles, 0));
    key(&mut app, Key::End);
    assert_eq!(at(&app), (Pane::Angles, 5));
    key(&mut app, Key::Tab);
    key(&mut app, Key::PageDown);
    assert_eq!(at(&app), (Pane::Nics, 1), "vnet8 and hostdev0");
    key(&mut app, Key::BackTab);
    assert_eq!(at(&app), (Pane::Angles, 5), "a pane keeps its line");
    key(&mut app, Key::BackTab);
    assert_eq!(at(&app).0, Pane::Identity);
    key(&mut app, Key::BackTab);
    assert_eq!(at(&app).0, Pane::Vcpus, "nothing happened: that pane is passed");
}

#[test]
fn inactive_vms_can_be_hidden() {
    let (mut app, _host) = running(3);
    assert_eq!(shown(&app).len(), 16);
    press(&mut app, "a");
    assert_eq!(shown(&app).len(), 13);
    key(&mut app, Key::End);
    press(&mut app, "a");
    assert_eq!(shown(&app).len(), 16);
}

#[test]
fn a_tick_within_the_same_second_changes_nothing() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    app.update(Message::Frame(host.cycle()));
    assert!(app.take_changed());
    assert!(!app.take_changed());
    app.update(Message::Tick(at(1)));
    assert!(!app.take_changed());
    app.update(Message::Tick(at(2)));
    assert!(app.take_changed());
    app.update(Message::Key(Key::Down));
    assert!(app.take_changed());
}

#[test]
fn rows_keep_their_place_between_turns_and_sparklines_have_no_holes() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    host.spread(3);
    for key in [SortKey::Memory, SortKey::Disk] {
        app.fleet.sort_by(key);
        for _ in 0..9 {
            app.update(Message::Frame(host.cycle()));
        }
        for _ in 0..4 {
            app.update(Message::Frame(host.cycle()));
            let place = |name: &str| shown(&app).iter().position(|shown| shown == name);
            let places = [place("db-primary"), place("db-replica")];
            assert!(
                places.iter().all(|place| place.is_some_and(|place| place < 3)),
                "by {key:?}: {places:?}"
            );
        }
    }
    let uuid = host.uuid("db-primary");
    let frame = app.frame().unwrap();
    let waits = frame.domains.iter().filter(|d| d.last_disks().is_some()).count();
    assert!(waits > 5, "most wait for their turn: {waits}");
    let angles: Vec<_> = app.series().last(uuid, Metric::DiskWrite, 12).collect();
    assert!(angles.iter().all(Option::is_some), "{angles:?}");
    assert_eq!(Commitment::of(frame).memory.unwrap_err().why, Why::NotDue, "no sum of old numbers");
    let (shown, old) = Commitment::shown(frame);
    assert!(old && shown.memory.is_ok(), "shown, and marked");
}
