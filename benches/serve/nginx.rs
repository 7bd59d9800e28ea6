//! nginx, serving the same bytes as a file: what the machine can do.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{lab, load::Door};

/// A running nginx. Dropping it ends it.
pub struct Nginx {
    process: Child,
    socket: PathBuf,
    address: SocketAddr,
}

impl Nginx {
    /// Starts it on what `body` gives for each of these headers.
    pub fn start(home: &Path, body: impl Fn(&str) -> Vec<u8>) -> Result<Self, String> {
        let program = path().ok_or("nginx is not installed; `make bench` fetches it where it can")?;
        let directory = home.join("nginx");
        let file = directory.join("www/api/telemetry/vm-telemetry");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, body("")).unwrap();
        std::fs::write(file.with_extension("gz"), body("Accept-Encoding: gzip\r\n")).unwrap();
        let socket = directory.join("nginx.sock");
        let address = lab::port::free();
        let config = directory.join("nginx.conf");
        let place = directory.display();
        // One process, as the agent is; as it comes from its authors otherwise.
        let text = format!(
            "daemon off; worker_processes 1; pid {place}/pid; error_log {place}/log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; default_type application/json; gzip_static on;\n\
             client_body_temp_path {place}/a; proxy_temp_path {place}/b; fastcgi_temp_path {place}/c;\n\
             uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;\n\
             server {{ listen {address}; listen unix:{}; root {place}/www; }} }}\n",
            socket.display(),
        );
        std::fs::write(&config, text).unwrap();
        // Its worker is another user where root starts it.
        open_to_others(home);
        let log = std::fs::File::create(directory.join("err")).unwrap();
        let process = Command::new(program)
            .arg("-p")
            .arg(&directory)
            .arg("-e")
            .arg(directory.join("log"))
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut nginx = Self { process, socket, address };
        let end = Instant::now() + Duration::from_secs(10);
        while std::os::unix::net::UnixStream::connect(&nginx.socket).is_err() {
            let ended = nginx.process.try_wait().unwrap().is_some();
            if ended || Instant::now() > end {
                return Err(std::fs::read_to_string(directory.join("err")).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(nginx)
    }

    /// Its socket or its address.
    pub fn door(&self, name: &str) -> Door {
        if name == "socket" { Door::Unix(self.socket.clone()) } else { Door::Tcp(self.address) }
    }
}

/// From the `PATH`, or where `scripts/setup bench` puts it.
fn path() -> Option<PathBuf> {
    let system = PathBuf::from("/usr/sbin/nginx");
    let own = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("lab/tools/usr/sbin/nginx");
    if lab::installed("nginx") {
        return Some("nginx".into());
    }
    [system, own].into_iter().find(|path| path.is_file())
}

fn open_to_others(home: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o755));
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master ends its worker by itself when it is asked to.
        if let Some(pid) = rustix::process::Pid::from_raw(self.process.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
    }
}
