//! Where this user's short-lived files stand: the lock of a recorded host, and
//! beside it the notes on calls that hang.
//!
//! For root that is `/run/kvmscope`, for others `$XDG_RUNTIME_DIR/kvmscope`,
//! else the record's directory. It trusts nothing it finds there: a directory
//! that others can write to and a symbolic link are refused. Root and the
//! agent's own user share `/run/kvmscope`, so that one lock counts for both.

use std::{
    fs::{DirBuilder, File, Metadata, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
};

/// `O_NOFOLLOW`: a symbolic link in the place of a file of ours is refused.
pub const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// Why a directory cannot be used.
#[derive(Debug)]
pub enum Fault {
    /// What the system said.
    System(io::Error),
    /// Others than this user could change what stands in it.
    Unsafe,
}

/// The directory meant for this user; `record` is the record's.
#[must_use]
pub fn directory(record: Option<&Path>) -> Option<PathBuf> {
    let root = rustix::process::geteuid().is_root();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    place(root, runtime.as_deref(), record)
}

/// As [`directory`], for any user.
#[must_use]
pub fn place(root: bool, runtime: Option<&Path>, record: Option<&Path>) -> Option<PathBuf> {
    if root {
        return Some(PathBuf::from("/run/kvmscope"));
    }
    runtime
        .filter(|path| path.is_absolute())
        .map(|path| path.join("kvmscope"))
        .or_else(|| record.map(Path::to_owned))
}

/// Makes `directory` (0755: who records is no secret) where it is missing, and
/// sees whether this user may lock and note in it: it is this user's own and
/// writable for nobody else, or, for root, one that root has given to a
/// service (`is_given`).
///
/// # Errors
/// It cannot be made, or others could write to it.
pub fn prepare(directory: &Path) -> Result<(), Fault> {
    let meta = made(directory)?;
    let user = rustix::process::geteuid();
    let usable = is_closed(&meta) && (meta.uid() == user.as_raw() || (user.is_root() && is_given(directory)));
    if usable { Ok(()) } else { Err(Fault::Unsafe) }
}

/// As [`prepare`], for what is made by its name there, such as a socket: in a
/// directory that is this user's own alone. In one of another's even root must
/// not change a file by its name, which may be a link by then.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_own(directory: &Path) -> Result<(), Fault> {
    let meta = made(directory)?;
    let ours = meta.uid() == rustix::process::geteuid().as_raw();
    if ours && is_closed(&meta) { Ok(()) } else { Err(Fault::Unsafe) }
}

fn made(directory: &Path) -> Result<Metadata, Fault> {
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(Fault::System)?;
    directory.metadata().map_err(Fault::System)
}

/// Nobody but its owner writes to it.
fn is_closed(meta: &Metadata) -> bool {
    meta.mode() & 0o022 == 0
}

/// Whether root has given this directory to its owner: it stands where root
/// alone makes and moves entries. The service manager makes `/run/kvmscope` for
/// the agent's user so, and root's screen has to find the agent's lock there.
///
/// What its owner can do to root by what stands there is bounded by [`open`]:
/// keep root from recording, which is what the agent's lock is for, and no more.
fn is_given(directory: &Path) -> bool {
    let above = directory.parent().and_then(|above| above.metadata().ok());
    above.is_some_and(|above| above.uid() == 0 && is_closed(&above))
}

/// Opens a file in a directory that is prepared, for reading and writing; made
/// where it is missing, and then its directory's owner's: an agent can take the
/// lock that root's screen has left.
///
/// One that is there already must be a regular file of this user's or of the
/// directory's owner, under this one name: behind a second name could stand a
/// file of root's that is to be emptied.
///
/// # Errors
/// What the system said, or that it is no such file.
pub fn open(path: &Path) -> io::Result<File> {
    let directory = path.parent().unwrap_or(Path::new("/")).metadata()?;
    let user = rustix::process::geteuid().as_raw();
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match regular(options.clone().create_new(true).mode(0o644), path) {
        Ok(file) => {
            if directory.uid() != user {
                fchown(&file, Some(directory.uid()), Some(directory.gid()))?;
            }
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = regular(&mut options, path)?;
            let meta = file.metadata()?;
            if meta.uid() != user && meta.uid() != directory.uid() {
                return Err(io::Error::other("it belongs to another user"));
            }
            if meta.nlink() != 1 {
                return Err(io::Error::other("this is not its one name"));
            }
            Ok(file)
        }
        Err(error) => Err(error),
    }
}

/// Opens `path` as `options` say; neither through a link nor into a pipe, which
/// nobody is kept waiting by.
///
/// # Errors
/// What the system said, or that it is no regular file.
pub fn regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file =
        options.custom_flags(NO_FOLLOW | rustix::fs::OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

/// Makes `directory` its owner's alone (0700) where it is missing.
///
/// # Errors
/// What the system said.
pub fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// The socket, in `directory`, of the agent that records `libvirt_uri`.
#[must_use]
pub fn socket(directory: &Path, libvirt_uri: &str) -> PathBuf {
    let (scheme, mark) = key(libvirt_uri);
    directory.join(format!("{scheme}-{mark}.sock"))
}

/// What names a URI's files: its scheme, and a checksum of the whole, which
/// may name users and hosts.
#[must_use]
pub fn key(libvirt_uri: &str) -> (String, String) {
    let scheme: String = libvirt_uri
        .split(':')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(16)
        .collect();
    // FNV-1a, 64 bit: the same in every version, which the standard hasher does not promise.
    let mark = libvirt_uri.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let scheme = if scheme.is_empty() { "libvirt".to_owned() } else { scheme };
    (scheme, format!("{mark:016x}"))
}
