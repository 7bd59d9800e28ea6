//! The lab: `scripts/lab` run for as long as a test process lives.
//!
//! The script ends the lab when its standard input ends, which the kernel sees
//! to even when the test process is killed.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{repository, skipped, within, within_or_say};

/// Computes 40 % of the time on one of its two vCPUs.
pub const WEB: &str = "web-frontend-1";
/// Writes 1 MiB and reads 256 KiB about four times a second, on `vda`.
pub const DB: &str = "db-main";
/// Pings the host's side of `gw0` fifty times a second with 1000 bytes.
pub const GATEWAY: &str = "gateway";
/// Runs idle; user-mode NIC, empty CD-ROM, balloon without a period.
pub const BATCH: &str = "batch";
/// Paused, without an operating system.
pub const STAGING: &str = "staging";
/// Runs without an operating system and without a balloon.
pub const HOSTILE: &str = "we b,host=1 \"q\" [31m größe \u{202e}desrever";
/// Defined and off.
pub const BACKUP: &str = "backup";

/// The guests whose load and balloon reports [`Lab`] waits for.
pub const LOADED: [&str; 3] = [WEB, DB, GATEWAY];

/// A running lab. Dropping it ends the daemon and the guests.
pub struct Lab {
    name: String,
    held: Option<ChildStdin>,
    script: Child,
}

impl Lab {
    /// The lab that all tests of this process share, started by the first that
    /// asks; or `None` after saying that `test` is skipped and why. A test that
    /// stops or breaks guests starts its own with [`Lab::start`].
    pub fn shared(test: &str) -> Option<&'static Self> {
        static SHARED: OnceLock<Result<Lab, String>> = OnceLock::new();
        match SHARED.get_or_init(Self::start) {
            Ok(lab) => Some(lab),
            Err(reason) => {
                skipped(test, reason);
                None
            }
        }
    }

    /// Keeps the other tests of this process from asking the guests at the same
    /// time: a guest whose monitor serves one question puts the next one off,
    /// and then its numbers are missing for a good reason.
    pub fn undisturbed() -> MutexGuard<'static, ()> {
        static ASKING: Mutex<()> = Mutex::new(());
        ASKING.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lab of one's own, with every load running.
    ///
    /// # Errors
    /// Why this machine cannot run one, in words.
    pub fn start() -> Result<Self, String> {
        Self::start_waiting_for(&[WEB, DB, GATEWAY, BATCH])
    }

    /// As [`Lab::start`], but only the loads of `guests` are waited for.
    ///
    /// # Errors
    /// As [`Lab::start`].
    pub fn start_waiting_for(guests: &[&str]) -> Result<Self, String> {
        let lab = Self::up(0)?;
        lab.wait_for_loads(guests);
        Ok(lab)
    }

    /// A lab of so many idle guests with 3 disks and 2 NICs each, and no
    /// others: for benchmarks.
    ///
    /// # Errors
    /// Why this machine cannot run one, in words.
    pub fn idle(guests: u32) -> Result<Self, String> {
        Self::up(guests)
    }

    /// Runs the script with the usual guests, or with so many idle ones.
    fn up(idle: u32) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("kvmscope-t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut script = Command::new(repository().join("scripts/lab"))
            .args(["hold", &name])
            .env("KVMSCOPE_LAB_STATE", states())
            .env("KVMSCOPE_LAB_IDLE", idle.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("scripts/lab does not start: {error}"))?;
        let held = script.stdin.take();
        let output = BufReader::new(script.stdout.take().unwrap());
        let errors = BufReader::new(script.stderr.take().unwrap());
        let complaint = std::thread::spawn(move || errors.lines().map_while(Result::ok).collect::<Vec<_>>());
        // The script's own waits have deadlines; it says "up" or ends.
        if !output.lines().map_while(Result::ok).any(|line| line == "up") {
            drop(held);
            let _ = script.wait();
            let lines = complaint.join().unwrap();
            return Err(lines.last().cloned().unwrap_or_else(|| "scripts/lab failed without a word".into()));
        }
        Ok(Self { name, held, script })
    }

    /// The URI of the read-only socket: what kvmscope is given.
    pub fn uri(&self) -> String {
        format!("{}-ro", self.writable_uri())
    }

    /// The URI that may change guests, for tests that act as the operator.
    pub fn writable_uri(&self) -> String {
        format!("qemu:///system?socket=/run/{}/libvirt/libvirt-sock", self.name)
    }

    /// Runs `virsh` with `arguments` as the operator and returns what it prints.
    pub fn virsh(&self, arguments: &[&str]) -> String {
        self.try_virsh(arguments).unwrap_or_else(|refusal| panic!("virsh {arguments:?}: {refusal}"))
    }

    /// As [`Lab::virsh`], for what libvirt may refuse.
    ///
    /// # Errors
    /// What virsh complained of.
    pub fn try_virsh(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("virsh")
            .args(["--quiet", "--connect", &self.writable_uri()])
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }

    /// The directory of the guests' disk images.
    pub fn images(&self) -> PathBuf {
        states().join(&self.name).join("images")
    }

    /// The partition that the lab's guests are in: one outside of it could
    /// share a control group with another lab's.
    pub fn partition(&self) -> String {
        format!("/{}", self.name)
    }

    /// `virsh domstats` of one guest: every parameter by its name.
    pub fn domstats(&self, guest: &str) -> BTreeMap<String, String> {
        parse_domstats(&self.virsh(&["domstats", guest]))
    }

    /// The uuid of a guest.
    pub fn uuid(&self, guest: &str) -> String {
        self.virsh(&["domuuid", guest]).trim().to_owned()
    }

    /// The process of a running guest.
    pub fn qemu_pid(&self, guest: &str) -> u32 {
        // By uuid: in the pid file's name libvirt escapes what it finds odd.
        let uuid = self.uuid(guest);
        pid_files(&self.directory())
            .find(|&pid| command_line(pid).is_some_and(|line| line.contains(&format!("-uuid {uuid} "))))
            .unwrap_or_else(|| panic!("{guest} has no process"))
    }

    /// Stops a guest's QEMU in its tracks, until the returned value is dropped.
    pub fn freeze(&self, guest: &str) -> Frozen {
        Frozen::process(self.qemu_pid(guest))
    }

    /// Stops the daemon in its tracks, until the returned value is dropped.
    pub fn freeze_daemon(&self) -> Frozen {
        Frozen::process(self.daemon_pid())
    }

    /// Ends the daemon as a crash would; the guests run on.
    pub fn kill_daemon(&self) {
        let pid = self.daemon_pid();
        send(pid, Signal::KILL).unwrap();
        within(Duration::from_secs(30), "the daemon is gone", || {
            (!command_line(pid).is_some_and(|line| line.contains(&self.name))).then_some(())
        });
    }

    /// Starts the daemon again after [`Lab::kill_daemon`], as an init system
    /// would, and waits until it answers.
    pub fn start_daemon(&self) {
        self.start_daemon_with(&[]);
    }

    /// Adds `lines` to the daemon's configuration and starts it anew with
    /// `options`, such as `--listen`.
    pub fn reconfigure_daemon(&self, lines: &str, options: &[&str]) {
        let file = states().join(&self.name).join("etc/libvirtd.conf");
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, before + lines).unwrap();
        self.kill_daemon();
        self.start_daemon_with(options);
    }

    /// How many of the daemon's ordinary workers are at work or held.
    pub fn busy_workers(&self) -> u32 {
        let pool = self.admin("server-threadpool-info");
        pool["nWorkers"] - pool["freeWorkers"]
    }

    /// How many connections the daemon has.
    pub fn clients(&self) -> u32 {
        self.admin("server-clients-info")["nclients"]
    }

    /// What the daemon's own administration tells of its main server.
    fn admin(&self, what: &str) -> BTreeMap<String, u32> {
        let socket = format!("libvirtd:///system?socket=/run/{}/libvirt/libvirt-admin-sock", self.name);
        let output =
            Command::new("virt-admin").args(["--connect", &socket, what, "libvirtd"]).output().unwrap();
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().parse().unwrap())).collect()
    }

    /// The network namespace that the daemon and its guests live in.
    pub fn network(&self) -> &str {
        &self.name
    }

    fn start_daemon_with(&self, options: &[&str]) {
        // The guests still live in the lab's view of the file system.
        let inside = self.directory().join("qemu");
        let guest = pid_files(&self.directory())
            .find(|&pid| command_line(pid).is_some_and(|line| line.contains(&self.name)))
            .unwrap_or_else(|| panic!("no guest runs below {}", inside.display()));
        let pid_file = Path::new("/run").join(&self.name).join("libvirtd.pid");
        let status = Command::new("nsenter")
            .arg(format!("--mount=/proc/{guest}/ns/mnt"))
            .arg(format!("--net=/run/netns/{}", self.name))
            // Where the tests run in a changed root, so does the daemon.
            .arg(format!("--root=/proc/{guest}/root"))
            .arg("libvirtd")
            .args(options)
            .args(["--daemon", "--config", "/etc/libvirt/libvirtd.conf", "--pid-file"])
            .arg(&pid_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "libvirtd does not start again: {status}");
        within(Duration::from_mins(1), "the daemon answers again", || {
            let mut virsh = Command::new("virsh");
            virsh.args(["--quiet", "--connect", &self.writable_uri(), "list"]);
            virsh.output().unwrap().status.success().then_some(())
        });
    }

    /// Runs a command that sees the files as the daemon does: what it mounts
    /// is there for the daemon and its guests alone, and ends with them.
    pub fn inside(&self, command: &[&str]) {
        let status = Command::new("nsenter")
            .arg(format!("--mount=/proc/{}/ns/mnt", self.daemon_pid()))
            // Where the tests run in a changed root, so does the daemon.
            .arg(format!("--root=/proc/{}/root", self.daemon_pid()))
            .args(command)
            .status()
            .unwrap();
        assert!(status.success(), "{command:?}: {status}");
    }

    fn daemon_pid(&self) -> u32 {
        let file = Path::new("/run").join(&self.name).join("libvirtd.pid");
        std::fs::read_to_string(file).unwrap().trim().parse().unwrap()
    }

    /// What a guest wrote to its serial console so far.
    pub fn console(&self, guest: &str) -> String {
        let path = states().join(&self.name).join("consoles").join(format!("{guest}.log"));
        String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
    }

    /// The daemon's run directory, where its sockets are, as seen from outside.
    pub fn directory(&self) -> PathBuf {
        Path::new("/run").join(&self.name).join("libvirt")
    }

    /// Until each load has done a whole round and each balloon has reported
    /// twice: before that, rates are those of booting.
    fn wait_for_loads(&self, guests: &[&str]) {
        for guest in guests {
            let last_words = || {
                let console = self.console(guest);
                let from = console.char_indices().rev().nth(1500).map_or(0, |(at, _)| at);
                format!("{guest} runs its load; its console: {}", &console[from..])
            };
            within_or_say(Duration::from_mins(3), last_words, || {
                self.console(guest).contains("load runs").then_some(())
            });
        }
        for guest in guests.iter().filter(|guest| LOADED.contains(guest)) {
            let mut first = None;
            within(Duration::from_mins(1), &format!("the balloon of {guest} reports"), || {
                let stats = self.domstats(guest);
                stats.get("balloon.usable")?;
                let report = stats.get("balloon.last-update").filter(|time| *time != "0")?;
                (first.get_or_insert_with(|| report.clone()) != report).then_some(())
            });
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.held.take());
        let _ = self.script.wait();
    }
}

/// A process that is stopped. Dropping it lets the process go on, also when a
/// test fails.
pub struct Frozen(u32);

impl Frozen {
    fn process(pid: u32) -> Self {
        send(pid, Signal::STOP).unwrap();
        Self(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        let _ = send(self.0, Signal::CONT);
    }
}

fn send(pid: u32, signal: Signal) -> std::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    Ok(kill_process(pid, signal)?)
}

/// Reads the output of `virsh domstats` for one domain.
pub fn parse_domstats(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Where the script keeps images, consoles and the guests' kernel.
fn states() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("lab")
}

fn pid_files(directory: &Path) -> impl Iterator<Item = u32> + use<> {
    let entries = std::fs::read_dir(directory.join("qemu")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pid"))
        .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
}

fn command_line(pid: u32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
}
