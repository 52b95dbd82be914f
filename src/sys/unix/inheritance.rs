//! Inheritance by child processes: the standard descriptors, and the resource limits that this
//! process was started with. Children do not inherit signals that our parent ignores or blocks in a
//! way that breaks programs: `Command` unblocks all signals and restores the default for SIGPIPE,
//! and this module does so for SIGCHLD.

use std::fs;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, Once, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The first descriptor after standard input, output and error.
const FIRST: RawFd = 3;
/// Maximum number of descriptors to try if the system does not list the open ones.
const MAX_TRIED: u64 = 1 << 16;

/// The limits that we changed, with their values at program start.
static ORIGINAL_LIMITS: Mutex<Vec<(Resource, Rlimit)>> = Mutex::new(Vec::new());

/// Makes a child inherit only the standard descriptors, and the resource limits that applied before
/// [`change_limit`] was called. Makes its exit status available to wait(2).
pub(in crate::sys) fn restrict_inheritance(command: &mut Command) {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        mark_inherited();
        accept_exit_status();
    });
    let limits = ORIGINAL_LIMITS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if limits.is_empty() {
        return;
    }
    let restore = move || {
        for (resource, limit) in &limits {
            // Cannot fail: the value is not above the maximum.
            let _ = setrlimit(*resource, *limit);
        }
        Ok(())
    };
    // SAFETY: between fork and exec, the closure only makes system calls. It allocates nothing and
    // takes no lock.
    unsafe { command.pre_exec(restore) };
}

/// Changes a resource limit of this process. Its children get the original value.
pub(super) fn change_limit(resource: Resource, change: impl FnOnce(Rlimit) -> Rlimit) {
    let before = getrlimit(resource);
    let mut originals = ORIGINAL_LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
    if !originals.iter().any(|(changed, _)| *changed == resource) {
        originals.push((resource, before));
    }
    // If this fails, the old limit still applies.
    let _ = setrlimit(resource, change(before));
}

/// Undoes [`change_limit`].
#[cfg(not(target_os = "linux"))]
pub(super) fn restore_limit(resource: Resource) {
    let originals = ORIGINAL_LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, limit)) = originals.iter().find(|(changed, _)| *changed == resource) {
        let _ = setrlimit(resource, *limit);
    }
}

/// Restores the default action for SIGCHLD. If our parent ignores the signal, we inherit that, and
/// the kernel then discards the exit status of our children (wait(2) fails with `ECHILD`).
///
/// Like [`mark_inherited`], called only before the first child process starts.
fn accept_exit_status() {
    // SAFETY: SIG_DFL is a valid disposition of SIGCHLD, and this program installs no handler for
    // it.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Marks the descriptors inherited from the parent process as close-on-exec. One of them may be the
/// descriptor of `--password-fd`. All descriptors that we open ourselves are marked from the start.
///
/// Called only before the first child process starts, so a run without children pays nothing.
fn mark_inherited() {
    if mark_all() {
        return;
    }
    let listed = listed();
    // A complete list contains at least the descriptor of the directory being listed.
    if listed.is_empty() {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(MAX_TRIED).min(MAX_TRIED);
        (FIRST..RawFd::try_from(limit).unwrap_or(RawFd::MAX)).for_each(mark);
    } else {
        listed.into_iter().for_each(mark);
    }
}

fn mark(number: RawFd) {
    // SAFETY: F_SETFD only changes a descriptor's flags, and fails if the descriptor is closed.
    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// Marks all descriptors with one system call. Returns `false` if the call is not available, as on
/// Linux before 5.11 or in a container that forbids it.
#[cfg(target_os = "linux")]
fn mark_all() -> bool {
    // SAFETY: with this flag, close_range(2) changes only a flag of each descriptor.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    result == 0
}

/// Returns `false`: the call is used only on Linux.
#[cfg(not(target_os = "linux"))]
fn mark_all() -> bool {
    false
}

/// Returns the numbers of the open descriptors after the standard ones. Empty if the system does
/// not list them.
fn listed() -> Vec<RawFd> {
    let directory = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|number| *number >= FIRST).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::fd::{AsRawFd, OwnedFd};

    use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

    use super::*;

    /// Systems without `close_range(2)` need the fallback.
    #[test]
    fn inherited_descriptors_are_marked_with_and_without_close_range() {
        let inherited = OwnedFd::from(fs::File::open("/").unwrap());
        let number = inherited.as_raw_fd();
        let ways: [fn(); 2] = [mark_inherited, || listed().into_iter().for_each(mark)];
        for way in ways {
            fcntl_setfd(&inherited, FdFlags::empty()).unwrap();
            way();
            assert!(fcntl_getfd(&inherited).unwrap().contains(FdFlags::CLOEXEC), "{number}: {:?}", listed());
        }
    }
}
