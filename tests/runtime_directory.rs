//! One lock for root's screen and for an agent that is a user of its own, in
//! the directory that root has given to that user: with a real second user.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::{
    fs::{self, Permissions},
    io::{BufRead as _, BufReader},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use kvmscope::{
    journal::lock::{LockError, acquire_in},
    rundir,
};
use lab::{processes::send, program::Nobody};
use rustix::process::Signal;

/// The user that the service has here.
const SERVICE: u32 = 65534;
const URI: &str = "test:///default";

/// `run`, root's alone as `/run` is, and in it `kvmscope`, the service's.
struct Place {
    nobody: Nobody,
    run: tempfile::TempDir,
}

impl Place {
    fn new(test: &str) -> Option<Self> {
        let nobody = Nobody::new(test)?;
        let run = tempfile::tempdir().unwrap();
        fs::set_permissions(run.path(), Permissions::from_mode(0o755)).unwrap();
        let place = Self { nobody, run };
        let directory = place.directory();
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
        chown(&directory, Some(SERVICE), Some(SERVICE)).unwrap();
        Some(place)
    }

    fn directory(&self) -> PathBuf {
        self.run.path().join("kvmscope")
    }

    /// The lock's file.
    fn lock(&self) -> PathBuf {
        let (scheme, mark) = rundir::key(URI);
        self.directory().join(format!("{scheme}-{mark}.lock"))
    }

    /// The agent, as the service's user.
    fn agent(&self) -> Child {
        let mut command = self.nobody.kvmscope();
        command.args(["agent", "--uri", URI]).env("XDG_RUNTIME_DIR", self.run.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

fn holder(directory: &Path) -> Option<String> {
    match acquire_in(directory, URI, "kvmscope") {
        Err(LockError::Held(holder)) => Some(holder.program),
        Ok(_) => None,
        Err(other) => panic!("{other}"),
    }
}

fn owner(path: &Path) -> u32 {
    fs::metadata(path).unwrap().uid()
}

#[test]
fn root_is_told_of_the_services_agent_and_the_agent_of_roots_screen() {
    let Some(place) = Place::new("root and the service share one lock") else { return };
    let directory = place.directory();
    // Root first: what it leaves there, the service can take.
    let screen = acquire_in(&directory, URI, "kvmscope").unwrap();
    assert_eq!(owner(&place.lock()), SERVICE);
    let refused = place.agent().wait_with_output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    let told = format!("kvmscope (process {}) already records this host", std::process::id());
    assert!(!refused.status.success() && said.contains(&told), "{said}");
    drop(screen);
    // Then the service.
    let mut agent = place.agent();
    // Asked any earlier, the question itself could hold the lock when the agent wants it.
    let mut log = BufReader::new(agent.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("collecting;")));
    assert_eq!(holder(&directory).as_deref(), Some("kvmscope agent"));
    send(agent.id(), Signal::TERM);
    assert!(agent.wait().unwrap().success());
    assert_eq!(holder(&directory), None, "it is free again");
}

#[test]
fn root_trusts_no_directory_that_the_user_could_have_put_there() {
    let Some(place) = Place::new("root and a directory of another user's") else { return };
    let directory = place.directory();
    let is_refused = |why: &str| {
        let result = acquire_in(&directory, URI, "kvmscope");
        assert!(matches!(result, Err(LockError::Unsafe { .. })), "{why}: {result:?}");
    };
    for mode in [0o775, 0o757] {
        fs::set_permissions(&directory, Permissions::from_mode(mode)).unwrap();
        is_refused("others write to it");
    }
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(place.run.path(), Permissions::from_mode(0o1777)).unwrap();
    is_refused("anybody could have made it");
    fs::set_permissions(place.run.path(), Permissions::from_mode(0o755)).unwrap();
    chown(place.run.path(), Some(SERVICE), None).unwrap();
    is_refused("its owner could have put it there");
    assert!(!place.lock().exists());
    chown(place.run.path(), Some(0), None).unwrap();
    acquire_in(&directory, URI, "kvmscope").unwrap();
}

#[test]
fn what_the_user_puts_in_the_locks_place_leads_root_nowhere() {
    let Some(place) = Place::new("root and what another user puts there") else { return };
    let (directory, lock) = (place.directory(), place.lock());
    let victim = place.run.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let is_refused = |why: &str| {
        let result = acquire_in(&directory, URI, "kvmscope");
        assert!(matches!(result, Err(LockError::Place { .. })), "{why}: {result:?}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{why}");
        assert_eq!(owner(&victim), 0, "{why}");
        fs::remove_file(&lock).unwrap();
    };
    symlink(&victim, &lock).unwrap();
    is_refused("a link");
    symlink(place.run.path().join("nothing"), &lock).unwrap();
    is_refused("a link to nothing");
    assert!(!place.run.path().join("nothing").exists());
    fs::hard_link(&victim, &lock).unwrap();
    is_refused("a second name");
    let pipe = Command::new("mkfifo").arg(&lock).status().unwrap();
    assert!(pipe.success());
    is_refused("a pipe");
    fs::write(&lock, "").unwrap();
    chown(&lock, Some(SERVICE - 1), None).unwrap();
    is_refused("a third user's");
}

#[test]
fn nobody_else_uses_a_directory_that_is_not_his() {
    let Some(place) = Place::new("another user and root's directory") else { return };
    chown(place.directory(), Some(0), Some(0)).unwrap();
    let refused = place.agent().wait_with_output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("must belong to this user"), "{said}");
    assert_eq!(fs::read_dir(place.directory()).unwrap().count(), 0);
}
