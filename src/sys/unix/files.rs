//! Permissions and times of files, for copies.

use std::fs::{DirBuilder, File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

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
    DirBuilder::new().mode(permissions & 0o7777).create(path)
}

/// Sets the permissions of an open file, whatever the umask is.
///
/// # Errors
/// The system refuses.
pub fn set_permissions(file: &File, permissions: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(permissions & 0o7777))
}

/// Sets the permissions of a directory and, if given, its times.
///
/// # Errors
/// The system refuses.
pub fn finish_directory(path: &Path, permissions: u32, times: Option<FileTimes>) -> io::Result<()> {
    let directory = File::open(path)?;
    if let Some(times) = times {
        directory.set_times(times)?;
    }
    set_permissions(&directory, permissions)
}

/// Makes a write beyond the limit on the size of files (`RLIMIT_FSIZE`) fail with an error, instead
/// of a signal that ends the process.
pub fn report_file_size_limit() {
    // SAFETY: ignoring a signal runs no code when it arrives.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}
