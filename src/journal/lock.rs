//! One collector per host: a lock that dies with its process.
//!
//! The lock file stands where [`rundir`] says. Its name is made from the
//! libvirt URI, its content says who holds it. The kernel holds the lock
//! itself, so it ends with the process however that ends; the file stays.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{model::name::storable, rundir};

/// How often, and after how long, a holder's name is read once more. A process
/// that cannot be seen from here, in another container, costs all of it once.
const READ_AGAIN: u32 = 25;
const SOON: Duration = Duration::from_millis(4);

/// The lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    path: PathBuf,
}

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Process id; 0 where the holder has not written it yet.
    pub pid: u32,
    /// Program and mode, such as `kvmscope agent`.
    pub program: String,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process records this host.
    #[error("{} (process {}) already records this host; this one only looks", .0.program, .0.pid)]
    Held(Holder),
    /// The lock file cannot be made.
    #[error(
        "the lock {path} cannot be made: {source}; make its directory writable for this user alone, or \
         remove what stands there"
    )]
    Place {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The directory could be written by others, who could hold the lock.
    #[error(
        "{path} must belong to this user and be writable for nobody else; mend that with chown and chmod"
    )]
    Unsafe {
        /// The directory.
        path: PathBuf,
    },
    /// There is no place for a lock.
    #[error("no place for the lock: set XDG_RUNTIME_DIR to a directory of this user's, or set store.path")]
    Nowhere,
}

impl Lock {
    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes the lock for `libvirt_uri` in the place meant for this user.
/// `record` is the record's directory; `program` is what another process
/// will be told, such as `kvmscope agent`.
///
/// # Errors
/// Another process holds it, or it cannot be made.
pub fn acquire(libvirt_uri: &str, record: Option<&Path>, program: &str) -> Result<Lock, LockError> {
    let directory = rundir::directory(record).ok_or(LockError::Nowhere)?;
    acquire_in(&directory, libvirt_uri, program)
}

/// Takes the lock for `libvirt_uri` in `directory`, which is made (0755: who
/// records is no secret) where it is missing.
///
/// # Errors
/// As [`acquire`].
pub fn acquire_in(directory: &Path, libvirt_uri: &str, program: &str) -> Result<Lock, LockError> {
    let (scheme, mark) = rundir::key(libvirt_uri);
    let path = directory.join(format!("{scheme}-{mark}.lock"));
    let place = |source| LockError::Place { path: path.clone(), source };
    rundir::prepare(directory).map_err(|fault| match fault {
        rundir::Fault::System(source) => place(source),
        rundir::Fault::Unsafe => LockError::Unsafe { path: directory.to_owned() },
    })?;
    let mut file = rundir::open(&path).map_err(place)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(LockError::Held(read_holder(&mut file))),
        Err(TryLockError::Error(source)) => return Err(place(source)),
    }
    let content = format!("{} {}\n", std::process::id(), storable(program));
    file.set_len(0).and_then(|()| file.write_all(content.as_bytes())).map_err(place)?;
    Ok(Lock { _file: file, path })
}

/// Reads who holds the lock. Whoever took it this very moment has not written
/// its name yet, and that of the one before may still stand there: such a name
/// is read once more.
fn read_holder(file: &mut File) -> Holder {
    let mut tries = 0;
    loop {
        let holder = read_name(file);
        let is_there = holder.pid != 0 && Path::new("/proc").join(holder.pid.to_string()).exists();
        if is_there || tries == READ_AGAIN {
            return holder;
        }
        tries += 1;
        thread::sleep(SOON);
    }
}

/// Reads what stands in the lock file, trusting none of it.
fn read_name(file: &mut File) -> Holder {
    let mut content = Vec::new();
    let text = match file.rewind().and_then(|()| file.take(256).read_to_end(&mut content)) {
        Ok(_) => String::from_utf8_lossy(&content),
        Err(_) => String::new().into(),
    };
    let (pid, program) = text.trim_end().split_once(' ').unwrap_or(("0", "kvmscope"));
    Holder { pid: pid.parse().unwrap_or(0), program: storable(program).into_owned() }
}
