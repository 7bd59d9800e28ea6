//! Key to screen with a thousand VMs, one of them hung, and a dead server.

use std::{net::TcpListener, path::Path, process::Command, time::Duration};

use crate::{
    fleet::Random,
    lab::test_host::test_host_of,
    pty::Program,
    side_by_side::{Bar, Spread, Table, bytes, seconds, share, skipped},
};

const MACHINES: u32 = 1000;
const PRESSES: usize = 1000;
const HANGS: &str = "vm-0500";
/// The sign before the selected row, which moves with each of these keys.
const CURSOR: &str = "▶";
const KEYS: [&str; 6] = ["j", "k", "\x1b[6~", "\x1b[5~", "G", "g"];

/// Builds what makes one machine hang; says so where that cannot be.
fn hang(home: &Path) -> Option<String> {
    let source = crate::lab::repository().join("benches/screen/hang.c");
    let library = home.join("hang.so");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).output();
    match built {
        Ok(output) if output.status.success() => Some(library.display().to_string()),
        Ok(output) => {
            skipped("a hung VM among the thousand", &String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(error) => {
            skipped("a hung VM among the thousand", &format!("cc does not start: {error}"));
            None
        }
    }
}

/// Presses keys at random moments and shows how soon the screen answers.
pub fn thousand() {
    let home = tempfile::tempdir().unwrap();
    let uri = test_host_of(home.path(), MACHINES);
    // It takes connections, and never says a word.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", dead.local_addr().unwrap());
    let hang = hang(home.path());
    let mut variables = vec![("INFLUX_URL", url.as_str()), ("INFLUX_TOKEN", "a-token")];
    if let Some(library) = &hang {
        variables.extend([("LD_PRELOAD", library.as_str()), ("KVMSCOPE_BENCH_HANGS", HANGS)]);
    }
    let words = [crate::lab::program::PATH, "--uri", &uri];
    let mut ours = Program::start(home.path(), (200, 50), &words, &variables);
    ours.until_shown("angles of a thousand", |screen| screen.contains('°') && screen.contains("vm-0"));
    if hang.is_some() {
        ours.until_shown("calls that hang", |screen| screen.contains("hang") || screen.contains("hung"));
    }
    // What a pseudo-terminal takes by itself, in the same minute.
    let mut echo = Program::start(home.path(), (200, 50), &["sh", "-c", "stty raw -echo; exec cat"], &[]);
    echo.answer("x", "x");
    std::thread::sleep(Duration::from_secs(5));
    ours.press("g");
    std::thread::sleep(Duration::from_secs(1));
    let [mut answers, mut echoes]: [Vec<f64>; 2] = Default::default();
    let mut random = Random::new(7);
    for press in 0..PRESSES {
        // At no fixed place between two cycles or two frames.
        std::thread::sleep(Duration::from_millis(15 + random.below(90)));
        answers.push(ours.answer(KEYS[press % KEYS.len()], CURSOR).as_secs_f64());
        echoes.push(echo.answer("x", "x").as_secs_f64());
    }
    let one = if hang.is_some() { "one whose disks never answer" } else { "none that hangs" };
    let mut table = Table::new(format!(
        "screen: key to screen at 200×50 with {MACHINES} VMs, {one}, and a server that never answers"
    ));
    let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|below| share(&answers, below));
    let whole = Spread::of(&answers).shown(seconds);
    let (floor, ratio) = (Spread::of(&echoes).shown(seconds), Spread::of_ratios(&answers, &echoes));
    table.compare_pairs("median (10–90 %)", whole, "cat", &floor, ratio, Bar::None);
    table.figure("p50", seconds(p50), p50 * 1e3, Bar::None);
    table.figure("p99", seconds(p99), p99 * 1e3, Bar::AtMost(20.0));
    table.figure("worst", seconds(worst), worst * 1e3, Bar::None);
    let resident = ours.resident();
    table.figure("resident", bytes(resident), resident, Bar::None);
    table.note(format!(
        "{PRESSES} presses at random moments of keys that move the cursor a row, a page and to the ends; \
         timed from the press to the byte that draws it. Bars are milliseconds."
    ));
    table.note(
        "Resident: libvirt's test hypervisor lies in this process, all machines once for each connection.",
    );
    table.print();
}
