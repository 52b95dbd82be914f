//! Permissions and times of files, for copies. Windows protects files by access control lists,
//! which they inherit from their directory.

use std::fs::{File, FileTimes, Metadata, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns permissions for a file: those of an ordinary file, or of a read-only one.
#[must_use]
pub fn permissions(data: &Metadata) -> u32 {
    let mode = if data.is_dir() { 0o755 } else { 0o644 };
    if data.permissions().readonly() { mode & 0o555 } else { mode }
}

/// Creates a file. Fails if the path exists.
///
/// # Errors
/// The path exists, or the file cannot be created.
pub fn create_file(path: &Path, _: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Creates a directory.
///
/// # Errors
/// The path exists, or the directory cannot be created.
pub fn create_directory(path: &Path, _: u32) -> io::Result<()> {
    std::fs::create_dir(path)
}

/// Does nothing.
///
/// # Errors
/// None.
pub fn set_permissions(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}

/// Sets the times of the last access and modification of an open file, in seconds since 1970.
///
/// # Errors
/// The system refuses.
pub fn set_times(file: &File, (access, modification): (u64, u64)) -> io::Result<()> {
    let time = |seconds| -> SystemTime {
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH)
    };
    file.set_times(FileTimes::new().set_accessed(time(access)).set_modified(time(modification)))
}

/// Renames a file, and replaces an existing one.
///
/// # Errors
/// The system refuses.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}

/// Does nothing: the times of a directory change with its entries.
///
/// # Errors
/// None.
pub fn finish_directory(_: &Path, _: u32, _: Option<(u64, u64)>) -> io::Result<()> {
    Ok(())
}

/// Does nothing: Windows has no such limit.
pub fn report_file_size_limit() {}
