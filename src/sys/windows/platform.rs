//! Properties of the platform and limits of this process.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// The system-wide parameter file. Windows has none, because a path such as `/etc` would be on the
/// current drive, where any user can create folders.
pub const SYSTEM_FILE: Option<&str> = None;

/// `true` if the names of environment variables are case-insensitive.
pub const VARIABLES_IGNORE_CASE: bool = true;

/// `true` if the character set is UTF-8 when no variable names a locale. The console shows Unicode.
pub const DEFAULT_CHARSET_IS_UTF8: bool = true;

/// The error code of a call that failed because the system is out of buffer space.
pub(in crate::sys) const NO_BUFFER_SPACE: i32 = windows_sys::Win32::Networking::WinSock::WSAENOBUFS;

/// Returns bytes as a string of the system, such as a path. The system's strings are Unicode.
#[must_use]
pub fn os_string(bytes: Vec<u8>) -> OsString {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into()).into()
}

/// Creates a file, whose permissions are those of its directory. Fails if the path exists.
///
/// # Errors
/// The path exists, or the file cannot be created.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Returns `false`: parameter files are in the user's profile directory, which other ordinary users
/// cannot read by default.
#[must_use]
pub fn others_can_read(_: &Metadata) -> bool {
    false
}

/// Returns `true`: parameter files are in the user's profile directory, to which other ordinary
/// users cannot write by default.
#[must_use]
pub fn is_trusted(_: &Metadata) -> bool {
    true
}

/// Does nothing: there is no descriptor limit to raise.
pub fn raise_descriptor_limit() {}

/// Returns `None`: there is no descriptor limit.
#[must_use]
pub fn descriptor_limit() -> Option<u64> {
    None
}

/// Ends the process when memory is exhausted.
pub(crate) fn out_of_memory() -> ! {
    std::process::abort()
}

/// Returns `None`, because Windows protects the files of a user by access control lists.
#[cfg(feature = "ssh")]
#[must_use]
pub fn open_mode(_: &Metadata) -> Option<u32> {
    None
}

/// Creates a directory. It inherits the permissions of the directory that contains it.
///
/// # Errors
/// The path exists, or the directory cannot be created.
#[cfg(feature = "ssh")]
pub fn create_private_directory(path: &Path) -> io::Result<()> {
    std::fs::create_dir(path)
}
