//! Where this user's short-lived files stand: the lock of a recorded host, and
//! beside it the notes on calls that hang.
//!
//! For root that is `/run/kvmscope`, for others `$XDG_RUNTIME_DIR/kvmscope`,
//! else the record's directory. It trusts nothing it finds there: a directory
//! that others can write to and a symbolic link are refused.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
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

/// Makes `directory` (0755: who records is no secret) where it is missing.
///
/// # Errors
/// It cannot be made, or others could write to it.
pub fn prepare(directory: &Path) -> Result<(), Fault> {
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(Fault::System)?;
    let meta = directory.metadata().map_err(Fault::System)?;
    if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
        return Err(Fault::Unsafe);
    }
    Ok(())
}

/// Opens a file for reading and writing, made where it is missing.
///
/// # Errors
/// What the system said, or that it is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644), path)
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
