//! The programs that kvmscope is compared with.

use std::path::Path;

use crate::{lab, pty::Program, side_by_side::skipped};

/// A peer that is on this machine.
pub struct Peer {
    /// Its name.
    pub name: &'static str,
    path: String,
    arguments: &'static [&'static str],
}

/// btop and bottom, each at one screen a second and its default screen
/// otherwise; says which is skipped.
pub fn all() -> Vec<Peer> {
    let peers: [(_, _, &[_]); 2] =
        [("btop", "btop", &["--utf-force"]), ("bottom", "btm", &["--rate", "1000"])];
    let found = peers.into_iter().filter_map(|(name, program, arguments)| {
        let path = path(program);
        if path.is_none() {
            let where_from = "is not installed; `make bench` fetches it where it can";
            skipped(&format!("screen against {name}"), &format!("{program} {where_from}"));
        }
        Some(Peer { name, path: path?, arguments })
    });
    found.collect()
}

/// From the `PATH`, or where `scripts/setup bench` puts it.
fn path(program: &str) -> Option<String> {
    if lab::installed(program) {
        return Some(program.to_owned());
    }
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("lab/tools/usr/bin");
    let own = tools.join(program);
    own.is_file().then(|| own.display().to_string())
}

impl Peer {
    /// Starts it.
    pub fn start(&self, home: &Path, size: (u16, u16)) -> Program {
        let directory = home.join("config/btop");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("btop.conf"), "update_ms = 1000\n").unwrap();
        let words: Vec<&str> =
            [self.path.as_str()].into_iter().chain(self.arguments.iter().copied()).collect();
        Program::start(home, size, &words, &[])
    }
}
