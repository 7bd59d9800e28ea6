//! An ssh server of the test's own on a loopback port, and the account of a
//! user who knows it.
//!
//! Server and client see accounts of their own (mount namespaces): neither the
//! machine's `~/.ssh` nor its host keys are read or touched. On the server's
//! side `/run/libvirt` is the directory given, so that a URI is as short as it
//! is for any real host.

use std::{
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{
    installed, port,
    processes::{self, Leash},
    program, skipped, within_or_say,
};

/// A running server. Dropping it ends it and every session.
pub struct Sshd {
    server: Child,
    port: u16,
    // Removed after the server has ended.
    directory: tempfile::TempDir,
}

/// Makes the server's view of the machine and becomes the server. `$1` is the
/// directory, `$2` libvirt's sockets, `$3` the server, `$4` where it came from.
const BECOME_SERVER: &str = r#"
cd "$1"
mount --bind passwd /etc/passwd
mount --bind shadow /etc/shadow
mount --bind /run run
mount -t tmpfs none /run
for place in run/*; do
    case $place in run/libvirt | run/sshd) ;; *) ln -s "$PWD/$place" "/run/${place#run/}" ;; esac
done
mkdir -m 755 /run/sshd
case $2 in /run/*) ln -s "$1$2" /run/libvirt ;; *) ln -s "$2" /run/libvirt ;; esac
if [ "$4" != / ]; then
    for libraries in "$4"/usr/lib/*-linux-gnu; do export LD_LIBRARY_PATH="$libraries"; done
    # Newer servers start programs of their own from there.
    if [ -x "$4/usr/lib/openssh/sshd-session" ]; then mount --bind "$4/usr/lib/openssh" /usr/lib/openssh; fi
fi
exec "$3" -D -e -f "$1/sshd_config"
"#;

/// Makes the client's view of the machine and becomes what is asked for.
const BECOME_CLIENT: &str = r#"mount --bind "$0" /etc/passwd && exec "$@""#;

impl Sshd {
    /// A server for a host whose libvirt has its sockets in `libvirt`, and a
    /// client with the keys `good` (let in), `wrong` (not let in) and `locked`
    /// (let in, behind a passphrase) that knows the server's host key; or
    /// `None` after saying that `test` is skipped.
    pub fn start(test: &str, libvirt: &Path) -> Option<Self> {
        for (tool, package) in [
            ("ssh", "openssh-client"),
            ("ssh-keygen", "openssh-client"),
            ("virt-ssh-helper", "libvirt-daemon"),
        ] {
            if !installed(tool) {
                skipped(test, &format!("{tool} is not installed (make test installs {package})"));
                return None;
            }
        }
        let Some(program) = find_server() else {
            skipped(test, "sshd is not installed (make test unpacks it on Debian and Ubuntu)");
            return None;
        };
        let unshare = Command::new("unshare").args(["--mount", "true"]).output();
        if !unshare.is_ok_and(|output| output.status.success()) {
            skipped(test, "needs root, for mount namespaces");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        write_keys(directory.path());
        write_accounts(directory.path());
        // Another process may take the port between choosing and binding it.
        for _ in 0..5 {
            let port = port::free().port();
            match serve(directory.path(), libvirt, &program, port) {
                Ok(server) => {
                    let sshd = Self { server, port, directory };
                    sshd.know_host("host");
                    return Some(sshd);
                }
                Err(log) if log.contains("Address already in use") => {}
                Err(log) if log.contains("error while loading shared libraries") => {
                    skipped(test, &format!("sshd does not start: {log}"));
                    return None;
                }
                Err(log) => panic!("sshd does not start: {log}"),
            }
        }
        panic!("no port is free, five times");
    }

    /// The host's URI, with one of the client's keys.
    pub fn uri(&self, key: &str) -> String {
        let key = self.directory.path().join(key);
        format!("qemu+ssh://root@127.0.0.1:{}/system?keyfile={}", self.port, key.display())
    }

    /// As [`Sshd::uri`], for a program whose own account knows neither the host
    /// nor the keys.
    pub fn uri_with_client(&self, key: &str) -> String {
        let client = self.directory.path().join("client");
        let known = self.known_hosts();
        let script =
            format!("#!/bin/sh\nexec ssh -F none -o UserKnownHostsFile={} \"$@\"\n", known.display());
        std::fs::write(&client, script).unwrap();
        std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}&command={}", self.uri(key), client.display())
    }

    /// The words that start kvmscope as the client's user.
    pub fn words(&self) -> Vec<String> {
        let passwd = self.directory.path().join("passwd").display().to_string();
        let words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", BECOME_CLIENT, &passwd];
        words.iter().chain(&[program::PATH]).map(|word| (*word).to_owned()).collect()
    }

    /// Lets the client know the host by the public key in file `name` of the
    /// test's directory: `host` is the true one.
    pub fn know_host(&self, name: &str) {
        let key = std::fs::read_to_string(self.directory.path().join(name).with_extension("pub")).unwrap();
        let line = format!("[127.0.0.1]:{} {key}", self.port);
        std::fs::write(self.known_hosts(), line).unwrap();
    }

    /// Lets the client forget every host.
    pub fn forget_host(&self) {
        std::fs::remove_file(self.known_hosts()).unwrap();
    }

    /// A port of this machine that leads to `socket` on the host (`ssh -L`).
    pub fn forward(&self, socket: &Path) -> Forward {
        let port = port::free().port();
        let passwd = self.directory.path().join("passwd");
        let client = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", BECOME_CLIENT])
            .arg(passwd)
            .args(["ssh", "-N", "-F", "none", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o"])
            .arg(format!("UserKnownHostsFile={}", self.known_hosts().display()))
            .arg("-i")
            .arg(self.directory.path().join("good"))
            .args(["-p", &self.port.to_string(), "-L"])
            .arg(format!("127.0.0.1:{port}:{}", socket.display()))
            .arg("root@127.0.0.1")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut forward = Forward { client, port };
        within_or_say(
            Duration::from_secs(30),
            || "ssh forwards no port".to_owned(),
            || {
                assert!(forward.client.try_wait().unwrap().is_none(), "ssh has ended");
                TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(())
            },
        );
        forward
    }

    fn known_hosts(&self) -> PathBuf {
        self.directory.path().join("home/.ssh/known_hosts")
    }

    /// The processes of the sessions that are open.
    pub fn sessions(&self) -> Vec<u32> {
        processes::children(self.server.id()).into_iter().map(|child| child.pid).collect()
    }

    /// How often somebody has been let in so far.
    pub fn logins(&self) -> usize {
        log(self.directory.path()).matches("Accepted publickey").count()
    }

    /// Cuts every session's link, as a machine between that is switched off
    /// and noticed: nothing is said on the way out.
    pub fn cut(&self) {
        for session in self.sessions() {
            processes::send(session, rustix::process::Signal::KILL);
        }
    }

    /// Stops every session that is open: the links stay, and are silent.
    pub fn stall(&self) -> Vec<Leash> {
        self.sessions().into_iter().map(Leash::stop).collect()
    }
}

/// A forwarded port. Dropping it ends the client.
pub struct Forward {
    client: Child,
    pub port: u16,
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let sessions = self.sessions();
        let _ = self.server.kill();
        let _ = self.server.wait();
        for session in sessions {
            processes::send(session, rustix::process::Signal::KILL);
        }
    }
}

/// The server as installed, or beside the `PATH`'s directories, where `make
/// test` unpacks it.
fn find_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let beside =
        std::env::split_paths(&path).map(|directory| directory.with_file_name("sbin")).collect::<Vec<_>>();
    let places = std::env::split_paths(&path).chain(beside).chain(["/usr/sbin".into()]);
    places.map(|directory| directory.join("sshd")).find(|program| program.is_file())
}

fn write_keys(directory: &Path) {
    std::fs::create_dir_all(directory.join("home/.ssh")).unwrap();
    std::fs::create_dir(directory.join("run")).unwrap();
    for (name, passphrase) in
        [("host", ""), ("other", ""), ("good", ""), ("wrong", ""), ("locked", "a passphrase")]
    {
        let output = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f"])
            .arg(directory.join(name))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
    }
    let let_in: String = ["good", "locked"]
        .map(|name| std::fs::read_to_string(directory.join(name).with_extension("pub")).unwrap())
        .concat();
    std::fs::write(directory.join("authorized_keys"), let_in).unwrap();
}

fn write_accounts(directory: &Path) {
    let home = directory.join("home");
    let passwd = format!(
        "root:x:0:0:root:{}:/bin/sh\nsshd:x:64056:65534::/run/sshd:/usr/sbin/nologin\n",
        home.display()
    );
    std::fs::write(directory.join("passwd"), passwd).unwrap();
    std::fs::write(directory.join("shadow"), "root:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n")
        .unwrap();
}

/// Starts the server; its log when it ends at once.
fn serve(directory: &Path, libvirt: &Path, program: &Path, port: u16) -> Result<Child, String> {
    let place = directory.display();
    // Passwords are offered, so that a client that may ask would ask.
    let configuration = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {place}/host\nAuthorizedKeysFile {place}/authorized_keys\n\
         PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication yes\n\
         KbdInteractiveAuthentication yes\nMaxStartups 100\nLogLevel VERBOSE\n"
    );
    std::fs::write(directory.join("sshd_config"), configuration).unwrap();
    let file = std::fs::File::create(directory.join("log")).unwrap();
    // `/` for one that is installed, else where it was unpacked.
    let root = program.ancestors().nth(3).unwrap_or(Path::new("/"));
    let mut server = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-eu", "-c", BECOME_SERVER, "sh"])
        .args([directory, libvirt, program, root])
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let listens = within_or_say(
        Duration::from_secs(20),
        || format!("sshd listens: {}", log(directory)),
        || {
            if log(directory).contains("Server listening") {
                return Some(true);
            }
            server.try_wait().unwrap().map(|_| false)
        },
    );
    if listens { Ok(server) } else { Err(log(directory)) }
}

fn log(directory: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(directory.join("log")).unwrap_or_default()).into_owned()
}
