//! Permissions and times of files, for copies.
//!
//! The system calls come from `rustix`: each function of the C library that the program uses makes
//! every start slower, because the loader looks it up.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{Mode, RawMode, Timespec, Timestamps};

/// Returns the permissions of a file.
#[must_use]
pub fn permissions(data: &Metadata) -> u32 {
    data.mode() & 0o7777
}

/// Creates a file with these permissions, less the umask. Fails if the path exists, even as a
/// symbolic link.
///
/// # Errors
/// The path exists, or the file cannot be created.
pub fn create_file(path: &Path, permissions: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(permissions & 0o7777).open(path)
}

/// Creates a directory with these permissions, less the umask.
///
/// # Errors
/// The path exists, or the directory cannot be created.
pub fn create_directory(path: &Path, permissions: u32) -> io::Result<()> {
    Ok(rustix::fs::mkdir(path, mode(permissions))?)
}

/// Sets the permissions of an open file, whatever the umask is.
///
/// # Errors
/// The system refuses.
pub fn set_permissions(file: &File, permissions: u32) -> io::Result<()> {
    Ok(rustix::fs::fchmod(file, mode(permissions))?)
}

/// Sets the times of the last access and modification of an open file, in seconds since 1970.
///
/// # Errors
/// The system refuses.
pub fn set_times(file: &File, (access, modification): (u64, u64)) -> io::Result<()> {
    let time = |seconds: u64| Timespec { tv_sec: seconds.try_into().unwrap_or_default(), tv_nsec: 0 };
    let times = Timestamps { last_access: time(access), last_modification: time(modification) };
    Ok(rustix::fs::futimens(file, &times)?)
}

/// Renames a file, and replaces an existing one.
///
/// # Errors
/// The system refuses.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::rename(from, to)?)
}

fn mode(permissions: u32) -> Mode {
    // The type has 16 bits on some systems.
    Mode::from_raw_mode((permissions & 0o7777) as RawMode)
}

/// Sets the permissions of a directory and, if given, its times.
///
/// # Errors
/// The system refuses.
pub fn finish_directory(path: &Path, permissions: u32, times: Option<(u64, u64)>) -> io::Result<()> {
    let directory = File::open(path)?;
    if let Some(times) = times {
        set_times(&directory, times)?;
    }
    set_permissions(&directory, permissions)
}

/// Makes a write beyond the limit on the size of files (`RLIMIT_FSIZE`) fail with an error, instead
/// of a signal that ends the process.
pub fn report_file_size_limit() {
    // SAFETY: ignoring a signal runs no code when it arrives.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}
