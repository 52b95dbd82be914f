//! Properties of the platform and limits of this process.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::process::{Resource, Rlimit, getuid};

use super::inheritance::change_limit;

/// The system-wide parameter file.
pub const SYSTEM_FILE: Option<&str> = Some("/etc/connectrc");

/// `true` if the names of environment variables are case-insensitive.
pub const VARIABLES_IGNORE_CASE: bool = false;

/// `true` if the character set is UTF-8 when no variable names a locale.
pub const DEFAULT_CHARSET_IS_UTF8: bool = false;

/// The error code of a call that failed because the kernel is out of buffer space.
pub(in crate::sys) const NO_BUFFER_SPACE: i32 = libc::ENOBUFS;

/// Returns bytes as a string of the system, such as a path.
#[must_use]
pub fn os_string(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}

/// Creates a file that only its owner can read and write. Fails if the path exists.
///
/// # Errors
/// The path exists, or the file cannot be created.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Creates a directory that only its owner can use.
///
/// # Errors
/// The path exists, or the directory cannot be created.
#[cfg(feature = "ssh")]
pub fn create_private_directory(path: &Path) -> io::Result<()> {
    super::files::create_directory(path, 0o700)
}

/// Returns the permissions of a file that the user owns and others can use. `None` if they cannot,
/// or if somebody else, who decides about the permissions, owns the file.
#[cfg(feature = "ssh")]
#[must_use]
pub fn open_mode(data: &Metadata) -> Option<u32> {
    let mode = data.mode() & 0o7777;
    Some(mode).filter(|mode| mode & 0o077 != 0 && data.uid() == getuid().as_raw())
}

/// Returns `true` if users other than the owner can read the file.
#[must_use]
pub fn others_can_read(data: &Metadata) -> bool {
    data.mode() & 0o044 != 0
}

/// Returns `true` if the file belongs to the user or root and nobody else can write to it.
#[must_use]
pub fn is_trusted(data: &Metadata) -> bool {
    let owner = data.uid();
    (owner == 0 || owner == getuid().as_raw()) && data.mode() & 0o022 == 0
}

/// Raises the limit on open file descriptors to the maximum, but not for child processes. If this
/// fails, the old limit still applies, and reaching it is reported as an error.
pub fn raise_descriptor_limit() {
    change_limit(Resource::Nofile, |limit| Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Returns the limit on open file descriptors; `None` if there is none.
#[must_use]
pub fn descriptor_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).current
}

/// Reports that memory is exhausted and exits, without allocating. Safe to call while other threads
/// are running.
pub(crate) fn out_of_memory() -> ! {
    // A failed write to stderr cannot be reported anywhere.
    let _ = rustix::io::write(rustix::stdio::stderr(), b"connect: this machine is out of memory\n");
    // SAFETY: _exit(2) ends the process at once, without exit handlers.
    unsafe { libc::_exit(1) }
}
