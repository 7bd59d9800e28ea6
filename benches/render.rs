//! The screen: what a frame costs to take in and to draw for 10, 1,000 and
//! 10,000 VMs, and how many bytes it sends to the terminal beside btop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

mod fleet;
#[path = "../tests/lab/mod.rs"]
mod lab;
mod side_by_side;

use std::{
    fmt::Write as _,
    io::{self, Read as _, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kvmscope::{
    app::{App, Key, Message, Settings},
    config,
    model::status::{CollectionState, CollectorStatus},
    ui::Screen,
};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};

use fleet::{Fleet, START};
use side_by_side::{Bar, Table, bytes, median, seconds, skipped, wanted, worked};

const VMS: u32 = 40;
const SECOND: Duration = Duration::from_secs(1);
/// What a synchronized update adds to each draw: `ESC[?2026h` and `ESC[?2026l`.
const SYNCHRONIZED: u64 = 16;

/// A terminal that only counts.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicU64>);

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The screen as the runtime keeps it, with a counting terminal.
struct Drawn {
    app: App,
    screen: Screen,
    terminal: Terminal<CrosstermBackend<Counted>>,
    sent: Counted,
}

impl Drawn {
    fn new(width: u16, height: u16) -> Self {
        let screen = config::Screen::default();
        let settings = Settings {
            screen: screen.clone(),
            config: Vec::new(),
            interval: SECOND,
            log_file: None,
            now: START,
        };
        let mut app = App::new(settings).unwrap();
        app.update(Message::Resize { width, height });
        app.update(Message::Collector(running()));
        let sent = Counted::default();
        let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
        let backend = CrosstermBackend::new(sent.clone());
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport }).unwrap();
        Self { app, screen: Screen::new(&screen), terminal, sent }
    }

    /// Draws, and returns the bytes that went to the terminal.
    fn draw(&mut self) -> u64 {
        let before = self.sent.0.load(Ordering::Relaxed);
        let Self { app, screen, terminal, .. } = self;
        terminal.draw(|frame| screen.draw(frame, app)).unwrap();
        self.sent.0.load(Ordering::Relaxed) - before + SYNCHRONIZED
    }
}

fn running() -> CollectorStatus {
    CollectorStatus {
        events: kvmscope::model::status::EventFigures::default(),
        state: CollectionState::Running { since: START },
        initialized: true,
        started_at: Some(START),
        total_collections: 0,
        total_errors: 0,
        last_collection_at: None,
        last_error: None,
        vms_monitored: 0,
        interval: SECOND,
        last_cycle_took: None,
        lists: 3,
        round: 1,
        skipped_ticks: 0,
        stuck_calls: Vec::new(),
        max_stuck_calls: 8,
        silent: Vec::new(),
        reconnects: 0,
    }
}

/// Median seconds of CPU for one frame.
struct Cost {
    /// Taking it in.
    update: f64,
    /// Freeing the frame before it, which the app drops when it takes this one.
    free: f64,
    /// Drawing it.
    draw: f64,
    /// A key press, and drawing without new data.
    key: f64,
}

impl Cost {
    fn whole(&self) -> f64 {
        self.update + self.free + self.draw
    }
}

fn frame_cost(vms: u32, cycles: usize, sort_by_cpu: bool) -> Cost {
    let mut fleet = Fleet::new(vms);
    let mut drawn = Drawn::new(200, 60);
    let mut costs: [Vec<f64>; 4] = Default::default();
    let mut before = None;
    for cycle in 0..cycles {
        let frame = fleet.cycle();
        if cycle == 0 && sort_by_cpu {
            // From the order by name to the next one, by vCPUs, to CPU.
            drawn.app.update(Message::Key(Key::Char('o')));
            drawn.app.update(Message::Key(Key::Char('o')));
        }
        let taken = Arc::clone(&frame);
        let update = worked(|| drop(drawn.app.update(Message::Frame(taken))));
        let free = worked(|| drop(before.replace(frame)));
        let draw = worked(|| _ = drawn.draw());
        let key = worked(|| {
            drawn.app.update(Message::Key(Key::Down));
            drawn.draw();
        });
        // The first frames fill tables that stay filled.
        if cycle >= cycles / 10 {
            for (all, cost) in costs.iter_mut().zip([update, free, draw, key]) {
                all.push(cost);
            }
        }
    }
    let [update, free, draw, key] = costs.map(median);
    Cost { update, free, draw, key }
}

fn frames() {
    let mut table = Table::new("render: one frame at 200×60, CPU of the screen's task");
    for sort_by_cpu in [false, true] {
        let order = if sort_by_cpu { "by CPU" } else { "by name" };
        let mut fewer: Option<(u32, f64)> = None;
        for (vms, cycles, bar) in
            [(10, 600, Bar::None), (1000, 200, Bar::AtMost(2.0)), (10_000, 60, Bar::AtMost(5.0))]
        {
            let cost = frame_cost(vms, cycles, sort_by_cpu);
            let whole = cost.whole();
            let shown = seconds(whole);
            let what = format!("{vms} VMs {order}");
            table.figure(&what, shown, whole * 1e3, bar);
            let per_vm = fewer.map_or(String::new(), |(fewer, cheaper)| {
                let ratio = whole / cheaper * f64::from(fewer) / f64::from(vms);
                format!("; a VM costs {ratio:.2} of what one of {fewer} does")
            });
            table.note(format!(
                "{what}: take in {}, free the frame before {}, draw {}; a key {}{per_vm}",
                seconds(cost.update),
                seconds(cost.free),
                seconds(cost.draw),
                seconds(cost.key),
            ));
            fewer = Some((vms, whole));
        }
    }
    table.note("Bars are milliseconds. A key is its update and the draw after it.");
    table.print();
}

/// Bytes per second that 40 busy VMs cost at one draw a second, by size.
fn busy_bytes(width: u16, height: u16) -> f64 {
    const WARM: u64 = 60;
    const MEASURED: u64 = 120;
    let mut fleet = Fleet::new(VMS);
    let mut drawn = Drawn::new(width, height);
    let mut sent = 0;
    for cycle in 0..WARM + MEASURED {
        drawn.app.update(Message::Frame(fleet.cycle()));
        let now = drawn.draw();
        if cycle >= WARM {
            sent += now;
        }
    }
    rate(sent, SECOND * u32::try_from(MEASURED).unwrap())
}

#[allow(clippy::cast_precision_loss, reason = "bytes of a minute")]
fn rate(bytes: u64, span: Duration) -> f64 {
    bytes as f64 / span.as_secs_f64()
}

/// A program in a pseudo-terminal whose bytes are counted. Dropping it ends
/// the program.
struct Watched {
    process: Box<dyn portable_pty::Child + Send + Sync>,
    sent: Arc<AtomicU64>,
    // The terminal hangs up when this is dropped.
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Watched {
    fn start(home: &Path, (width, height): (u16, u16), program: &str, arguments: &[String]) -> Self {
        let size = PtySize { rows: height, cols: width, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(home);
        for (name, value) in lab::program::environment(home) {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            }
        }
        for (name, value) in [
            ("TERM", "xterm-256color"),
            ("COLORTERM", "truecolor"),
            ("LC_ALL", "C.UTF-8"),
            ("LANG", "C.UTF-8"),
        ] {
            command.env(name, value);
        }
        let process = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let sent = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&sent);
        let mut reader = pair.master.try_clone_reader().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 1 << 13];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                count.fetch_add(read as u64, Ordering::Relaxed);
            }
        });
        Self { process, sent, _master: pair.master }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A host of 40 running VMs for the test hypervisor.
fn test_host(home: &Path) -> String {
    let mut xml = String::from("<node>");
    for vm in 0..VMS {
        write!(
            xml,
            "<domain type='test'><name>customer-{vm:05}-web</name><memory unit='GiB'>4</memory>\
             <vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os><devices>"
        )
        .unwrap();
        for disk in ["vda", "vdb", "vdc"] {
            write!(
                xml,
                "<disk type='file' device='disk'><source file='/srv/{vm}-{disk}'/>\
                 <target dev='{disk}' bus='virtio'/></disk>"
            )
            .unwrap();
        }
        for nic in 0..2 {
            write!(
                xml,
                "<interface type='bridge'><source bridge='br{nic}'/><target dev='vnet{}'/></interface>",
                vm * 2 + nic
            )
            .unwrap();
        }
        xml.push_str("</devices></domain>");
    }
    xml.push_str("</node>");
    let path = home.join("host.xml");
    std::fs::write(&path, xml).unwrap();
    format!("test://{}", path.display())
}

/// btop from the `PATH` or where `scripts/setup bench` unpacks it.
fn btop() -> Option<String> {
    if lab::installed("btop") {
        return Some("btop".into());
    }
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("lab").join("tools/usr/bin/btop");
    unpacked.is_file().then(|| unpacked.display().to_string())
}

/// btop at one screen a second, its default screen otherwise.
fn start_btop(home: &Path, size: (u16, u16), program: &str) -> Watched {
    let directory = home.join("config/btop");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("btop.conf"), "update_ms = 1000\n").unwrap();
    Watched::start(home, size, program, &["--utf-force".to_owned()])
}

fn terminal_bytes() {
    const WARM: Duration = Duration::from_secs(4);
    const MEASURED: Duration = Duration::from_secs(20);
    let btop = btop();
    if btop.is_none() {
        skipped("render against btop", "btop is not installed (make bench unpacks it on Debian and Ubuntu)");
    }
    let mut table =
        Table::new(format!("render: bytes per second to the terminal at 1 Hz, {VMS} VMs (ratio of bytes)"));
    for (width, height, bar) in [(80, 24, Bar::None), (200, 50, Bar::AtMost(0.35))] {
        let size = format!("{width}×{height}");
        let home = tempfile::tempdir().unwrap();
        let other_home = tempfile::tempdir().unwrap();
        let uri = test_host(home.path());
        let ours = Watched::start(
            home.path(),
            (width, height),
            env!("CARGO_BIN_EXE_kvmscope"),
            &["--uri".into(), uri],
        );
        let mut theirs = btop.as_ref().map(|program| start_btop(other_home.path(), (width, height), program));
        std::thread::sleep(WARM);
        let first = ours.sent();
        let first_theirs = theirs.as_ref().map_or(0, Watched::sent);
        std::thread::sleep(MEASURED);
        let steady = rate(ours.sent() - first, MEASURED);
        let their_rate = theirs
            .as_mut()
            .and_then(|watched| watched.is_running().then_some(watched))
            .map(|watched| rate(watched.sent() - first_theirs, MEASURED));
        let busy = busy_bytes(width, height);
        for (what, figure) in
            [("busy VMs, drawn once a second", busy), ("test hypervisor, whole program", steady)]
        {
            let what = format!("{size}: {what}");
            let shown = format!("{}/s", bytes(figure));
            match their_rate {
                Some(theirs) => {
                    table.compare(
                        &what,
                        shown,
                        "btop",
                        &format!("{}/s", bytes(theirs)),
                        figure / theirs,
                        bar,
                    );
                }
                None => table.figure(&what, shown, figure, Bar::None),
            }
        }
    }
    table.note("btop shows the machine as it is while this runs: an idle machine sends less.");
    table.print();
}

fn main() {
    if !wanted() {
        return;
    }
    frames();
    terminal_bytes();
}
