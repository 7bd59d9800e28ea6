//! Every page at three sizes, and what each must say.

use ratatui::style::Color;

use super::*;
use crate::{
    app::{
        Key, Mode,
        fixtures::{Host, at, collector, dead_server, delivering, running, settings, store},
    },
    model::status::{CollectionState, DeliveryState, DeliveryStatus, StoreState},
};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn press(app: &mut App, keys: &[Key]) {
    for &key in keys {
        app.update(Message::Key(key));
    }
}

fn filtered(app: &mut App, filter: &str) {
    press(app, &[Key::Char('/')]);
    app.update(Message::Paste(filter.to_owned()));
    press(app, &[Key::Enter]);
}

fn snapshots(name: &str, app: &App) {
    for (width, height) in SIZES {
        insta::assert_snapshot!(format!("{name}-{width}x{height}"), picture(app, width, height));
    }
}

#[test]
fn fleet() {
    let (app, _host) = running(120);
    snapshots("fleet", &app);
}

#[test]
fn fleet_of_the_first_second() {
    let (app, _host) = running(1);
    let text = picture(&app, 120, 40);
    assert!(text.contains("– first reading"), "{text}");
    assert!(!text.contains("0.0°"), "no rate is not a zero rate: {text}");
}

#[test]
fn a_hung_vm_says_so_in_its_row_and_below() {
    let (mut app, _host) = running(120);
    for (width, height) in SIZES {
        let text = picture(&app, width, height);
        let row = text.lines().find(|line| line.contains("web-batch")).unwrap();
        assert!(row.contains('◌') && row.contains("monitor not answering"), "{row}");
        assert!(row.contains('%'), "its CPU is still read: {row}");
    }
    filtered(&mut app, "web-batch");
    let text = picture(&app, 80, 24);
    assert!(text.lines().rev().nth(1).unwrap().contains("monitor not answering since 14:01:01"), "{text}");
}

#[test]
fn names_are_cut_not_spilled_and_hostile_ones_do_no_harm() {
    let (app, _host) = running(120);
    for (width, height) in [(40, 12), (80, 24), (200, 60)] {
        let mut screen = Screen::new(app.screen());
        let buf = drawn(&mut screen, &app, width, height);
        for cell in &buf.content {
            assert!(!cell.symbol().chars().any(char::is_control), "{:?}", cell.symbol());
            assert!(!cell.symbol().contains('\u{202e}'));
        }
    }
    let text = picture(&app, 80, 24);
    assert!(text.contains("customer-0417…"), "{text}");
    assert!(text.contains("evil_[31m__tx…"), "{text}");
    assert!(picture(&app, 200, 60).contains("虚拟机-测试"));
}

#[test]
fn vm_page() {
    let (mut app, _host) = running(120);
    filtered(&mut app, "db-primary");
    press(&mut app, &[Key::Enter]);
    snapshots("vm", &app);
}

#[test]
fn vm_page_of_a_hung_vm() {
    let (mut app, _host) = running(120);
    filtered(&mut app, "web-batch");
    press(&mut app, &[Key::Enter]);
    snapshots("vm-hung", &app);
}

#[test]
fn on_a_vms_page_the_selected_line_is_in_view_and_explains_itself() {
    let (mut app, _host) = running(120);
    filtered(&mut app, "router");
    press(&mut app, &[Key::Enter, Key::Tab, Key::Down]);
    let mut screen = Screen::new(app.screen());
    let text = text_of(&drawn(&mut screen, &app, 80, 24));
    assert!(text.contains("▶ hostdev0"), "{text}");
    let below = text.lines().rev().nth(1).unwrap();
    assert!(below.contains("passed through: the host cannot count it"), "{text}");
    press(&mut app, &[Key::Tab, Key::End]);
    let text = text_of(&drawn(&mut screen, &app, 80, 24));
    assert!(text.contains("▶ sda") && text.contains("– empty drive"), "{text}");
    press(&mut app, &[Key::BackTab, Key::BackTab]);
    let text = text_of(&drawn(&mut screen, &app, 80, 24));
    assert!(text.contains("CPU ──"), "back at the top: {text}");
}

#[test]
fn missing_memory_reports_say_what_to_do() {
    let (mut app, _host) = running(120);
    filtered(&mut app, "builder");
    press(&mut app, &[Key::Enter, Key::Down]);
    let text = picture(&app, 120, 40);
    assert!(text.contains("guest report: no statistics period"), "{text}");
    assert!(text.contains("virsh dommemstat builder --period 2 --live"), "{text}");
}

#[test]
fn status() {
    let (mut app, _host) = running(120);
    press(&mut app, &[Key::Char('c')]);
    snapshots("status", &app);
}

#[test]
fn status_with_a_dead_server_and_a_failing_record() {
    let (mut app, _host) = running(120);
    let why = "/var/lib/kvmscope: no space left on device; free some".to_owned();
    app.update(Message::Delivery(dead_server(), store(StoreState::Failing { why, since: at(100) })));
    press(&mut app, &[Key::Char('c')]);
    snapshots("status-dead", &app);
}

#[test]
fn the_line_that_was_refused_last_is_shown_clipped_and_harmless() {
    let (mut app, _host) = running(120);
    let mut delivery = delivering();
    let mut refused = delivery.last_refused.unwrap();
    refused.line = format!("vm_metrics,name=\u{1b}[31mred\u{202e} {}", "x=1i,".repeat(900));
    refused.words = "expected float\r\n\u{7}got integer".into();
    delivery.last_refused = Some(refused);
    app.update(Message::Delivery(delivery, store(StoreState::Writable)));
    press(&mut app, &[Key::Char('c')]);
    let text = picture(&app, 200, 60);
    assert!(text.contains("last refused") && text.contains("at 14:00:57"), "{text}");
    assert!(text.contains("expected float___got integer"), "{text}");
    assert!(text.contains("vm_metrics,name=_[31mred_"), "{text}");
    let lines = text.lines().filter(|line| line.contains("x=1i,x=1i")).count();
    assert!((1..=4).contains(&lines) && text.contains('…'), "{lines} lines: {text}");
}

#[test]
fn the_status_page_scrolls_to_the_end_of_the_configuration() {
    let (mut app, _host) = running(120);
    press(&mut app, &[Key::Char('c')]);
    let mut screen = Screen::new(app.screen());
    let first = text_of(&drawn(&mut screen, &app, 80, 24));
    assert!(first.contains("more ▼") && !first.contains("screen.theme"), "{first}");
    press(&mut app, &[Key::End]);
    let text = text_of(&drawn(&mut screen, &app, 80, 24));
    assert!(text.contains("screen.theme") && text.contains("command line --theme"), "{text}");
    press(&mut app, &[Key::Up, Key::Home]);
    assert_eq!(text_of(&drawn(&mut screen, &app, 80, 24)), first);
}

#[test]
fn help() {
    let (mut app, _host) = running(120);
    press(&mut app, &[Key::Char('?')]);
    snapshots("help", &app);
}

#[test]
fn the_help_lists_every_key_of_its_page_and_no_other() {
    use crate::app::bindings;
    for (open, mode) in [("", Mode::Fleet), ("\n", Mode::Vm), ("c", Mode::Status), ("l", Mode::Log)] {
        let (mut app, _host) = running(5);
        for c in open.chars() {
            press(&mut app, &[if c == '\n' { Key::Enter } else { Key::Char(c) }]);
        }
        press(&mut app, &[Key::Char('?')]);
        let text = picture(&app, 120, 60);
        for binding in bindings(mode) {
            assert!(text.contains(binding.help), "{mode:?}: {}", binding.id);
        }
        assert_eq!(text.contains("to the next pane"), mode == Mode::Vm);
        assert_eq!(text.contains("open the selected VM"), mode == Mode::Fleet);
    }
}

#[test]
fn the_footer_offers_labelled_actions_of_its_page() {
    use crate::app::bindings;
    let (mut app, _host) = running(5);
    for page in [None, Some('c'), Some('l')] {
        if let Some(page) = page {
            press(&mut app, &[Key::Char(page)]);
        }
        let text = picture(&app, 200, 10);
        let footer = text.lines().last().unwrap();
        for binding in bindings(app.mode()).filter(|b| !b.label.is_empty()) {
            let back_to_nowhere = binding.id == "back" && page.is_none();
            assert_eq!(footer.contains(binding.label), !back_to_nowhere, "{}: {footer}", binding.id);
        }
    }
}

#[test]
fn stopped() {
    let (mut app, _host) = running(120);
    app.update(Message::Collector(collector(CollectionState::Stopped { since: at(118) })));
    app.update(Message::Delivery(
        DeliveryStatus { waiting_on_disk: 1204, ..delivering() },
        store(StoreState::Writable),
    ));
    app.update(Message::Tick(at(150)));
    snapshots("stopped", &app);
    let text = picture(&app, 120, 40);
    assert!(
        text.contains("COLLECTION STOPPED since 14:01:58 — press s to start · 1 204 lines still going out")
    );
    assert!(text.contains("as of 14:02:00"), "the table says how old it is");
    assert!(text.lines().last().unwrap().contains("s start"));
}

#[test]
fn libvirt_not_reached_says_why_and_what_next() {
    let mut app = App::new(settings()).unwrap();
    let why = "qemu:///system: no such socket; is libvirtd or virtqemud running?".to_owned();
    let state = CollectionState::Failed { why, since: at(0), retry_at: at(12) };
    app.update(Message::Tick(at(5)));
    app.update(Message::Collector(collector(state)));
    let text = picture(&app, 80, 24);
    for part in
        ["LIBVIRT NOT REACHED since 14:00:00", "is libvirtd or virtqemud running?", "in 7 s", "r tries now"]
    {
        let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains(part), "{part}: {text}");
    }
}

#[test]
fn banners_for_records_that_fail_or_are_kept_elsewhere() {
    let (mut app, _host) = running(5);
    let holder = "kvmscope agent, pid 812".to_owned();
    app.update(Message::Delivery(DeliveryStatus::default(), store(StoreState::ReadOnly { holder })));
    let text = picture(&app, 80, 24);
    assert!(text.contains("NOT RECORDING HERE: kvmscope agent, pid 812 records this host"), "{text}");
    let state = DeliveryState::Paused {
        why: "401 Unauthorized".into(),
        mend: "set INFLUX_TOKEN".into(),
        next_at: at(300),
    };
    app.update(Message::Delivery(DeliveryStatus { state, ..delivering() }, store(StoreState::Writable)));
    let text = picture(&app, 120, 24);
    assert!(text.contains("DELIVERY PAUSED: 401 Unauthorized — set INFLUX_TOKEN"), "{text}");
}

#[test]
fn a_frozen_screen_and_a_demo_wear_badges() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    host.demo = true;
    app.update(Message::Frame(host.cycle()));
    press(&mut app, &[Key::Char('p')]);
    app.update(Message::Tick(at(43)));
    let text = picture(&app, 80, 24);
    let header = text.lines().next().unwrap();
    assert!(header.contains(" DEMO ") && header.contains("looking at 14:00:01, 42 s ago"), "{header}");
    assert!(text.lines().last().unwrap().contains("p live"), "{text}");
}

#[test]
fn small_terminals_are_degraded_but_true() {
    let (app, _host) = running(120);
    insta::assert_snapshot!("fleet-40x12", picture(&app, 40, 12));
    assert!(picture(&app, 19, 5).contains("a larger window"), "a polite line");
    for (width, height) in [(0, 0), (0, 5), (5, 0), (1, 1), (20, 5), (3, 100), (300, 2)] {
        picture(&app, width, height);
    }
}

#[test]
fn ascii_mode_draws_nothing_else() {
    let (mut app, _host) = running(120);
    let mut screen = Screen::new(&config::Screen { ascii: true, ..config::Screen::default() });
    insta::assert_snapshot!("fleet-ascii-120x40", text_of(&drawn(&mut screen, &app, 120, 40)));
    for key in ['\n', 'c', 'l', '?'] {
        press(&mut app, &[if key == '\n' { Key::Enter } else { Key::Char(key) }]);
        let text = text_of(&drawn(&mut screen, &app, 120, 40));
        assert!(text.is_ascii(), "{text}");
    }
}

#[test]
fn colour_never_speaks_alone() {
    let (mut app, _host) = running(120);
    let coloured = picture(&app, 120, 40);
    for _ in 0..3 {
        press(&mut app, &[Key::Char('t')]);
    }
    app.update(Message::Tick(at(125)));
    assert_eq!(app.theme(), config::Theme::Mono);
    let mut screen = Screen::new(app.screen());
    let buf = drawn(&mut screen, &app, 120, 40);
    let colourless = |c: Color| c == Color::Reset;
    assert!(buf.content.iter().all(|cell| colourless(cell.fg) && colourless(cell.bg)), "no colour at all");
    for sign in ["●", "◌", "‖", "‼", "! ", "paused", "monitor not answering"] {
        assert!(coloured.contains(sign) && text_of(&buf).contains(sign), "{sign}");
    }
}

#[test]
fn a_click_finds_what_was_drawn_there() {
    let (mut app, _host) = running(120);
    let mut screen = Screen::new(app.screen());
    let text = text_of(&drawn(&mut screen, &app, 120, 40));
    let y = text.lines().position(|line| line.contains("windows-dc")).unwrap();
    let press = Message::Mouse(Mouse::Press { x: 10, y: u16::try_from(y).unwrap() });
    app.update(screen.resolve(press));
    let name = app.domain(app.fleet().selected().unwrap()).unwrap().identity().name.clone();
    assert_eq!(&*name, "windows-dc");
    let y = text.lines().position(|line| line.contains("NAME")).unwrap();
    app.update(screen.resolve(Message::Mouse(Mouse::Press { x: 4, y: u16::try_from(y).unwrap() })));
    assert_eq!(app.fleet().sort().0, crate::app::SortKey::Name);
}

#[test]
fn the_log_shows_what_was_logged_and_nothing_that_moves_the_cursor() {
    use tracing_subscriber::layer::SubscriberExt;
    tui_logger::set_default_level(tui_logger::LevelFilter::Trace);
    let subscriber = tracing_subscriber::registry().with(tui_logger::TuiTracingSubscriberLayer);
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!(target: "kvmscope::delivery", "server\x1b[2J answered 503");
        tracing::debug!(target: "kvmscope::delivery", "a finer line");
    });
    tui_logger::move_events();
    let (mut app, _host) = running(5);
    press(&mut app, &[Key::Char('l')]);
    let mut screen = Screen::new(app.screen());
    let text = text_of(&drawn(&mut screen, &app, 80, 24));
    assert!(text.contains("WARN  server_[2J answered 503 (delivery)"), "{text}");
    assert!(!text.contains("a finer line"));
    press(&mut app, &[Key::Char('>')]);
    let text = text_of(&drawn(&mut screen, &app, 80, 24));
    assert!(text.contains("DEBUG a finer line") && text.contains("debug and graver"), "{text}");
}

#[test]
fn ten_thousand_vms_are_drawn_as_fast_as_a_screenful() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::with(10_000);
    app.update(Message::Frame(host.cycle()));
    app.update(Message::Frame(host.cycle()));
    press(&mut app, &[Key::End]);
    let text = picture(&app, 120, 40);
    assert!(text.contains("10000 / 10000") || text.contains("10 000 / 10 000"), "{text}");
}

#[test]
fn pressure_that_is_high_stays_in_the_header_and_a_calm_one_gives_way() {
    use crate::model::{Frame, HostLoad, host::Pressure};
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    app.update(Message::Frame(host.cycle()));
    let calm = picture(&app, 134, 24);
    assert!(!calm.lines().next().unwrap().contains("pressure"), "{calm}");
    assert!(calm.lines().next().unwrap().contains("CPU –"), "a first reading is no 0%: {calm}");
    let frame = host.cycle();
    let pressure = Ok(Pressure { cpu: 3.0, memory: 0.0, io: 62.4 });
    let load = HostLoad { pressure, ..frame.load };
    app.update(Message::Frame(std::sync::Arc::new(Frame { load, ..(*frame).clone() })));
    let text = picture(&app, 134, 24);
    let header = text.lines().next().unwrap();
    assert!(header.contains("pressure io‼62%") && header.contains("vCPU 63:64"), "{header}");
    assert!(header.contains("48%") && header.contains("64%"), "{header}");
}

#[test]
fn a_host_that_tells_nothing_of_itself_says_why_on_the_status_page() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    host.demo = true;
    app.update(Message::Frame(host.cycle()));
    app.update(Message::Collector(collector(CollectionState::Running { since: at(0) })));
    press(&mut app, &[Key::Char('c')]);
    let text = picture(&app, 134, 60);
    for line in ["CPU           – not offered by this hypervisor", "pressure      – not offered"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("vCPUs given   63 on 64 CPUs"), "{text}");
}
