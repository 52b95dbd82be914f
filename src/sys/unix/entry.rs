//! The program's entry point, which replaces the startup code of Rust's runtime.
//!
//! Rust's runtime reads `/proc/self/maps` and sets up a signal stack to report stack overflows,
//! which takes about as long as everything that this program does before it sends its first byte.
//! This module does the rest of the runtime's work: it opens closed standard descriptors on
//! `/dev/null`, and it ignores `SIGPIPE`, so that a write to a vanished reader fails instead of
//! killing the process. It also unblocks the termination signals, because a parent that forgot to
//! do so would leave a process that nothing but SIGKILL can stop.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::process::abort;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{hardening, signals};

/// One bit for each standard descriptor that was closed at program start.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Returns `true` if standard descriptor `fd` (0, 1 or 2) was open at program start. Output to one
/// that was closed must fail, even though it now refers to `/dev/null`.
pub(super) fn was_open(fd: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << fd) == 0
}

/// Defines `main`, which passes the args to `$run` and exits with the code that `$run` returns.
#[macro_export]
macro_rules! entry {
    ($run:expr) => {
        // SAFETY: the C library calls `main` once, with these arguments.
        #[unsafe(no_mangle)]
        extern "C" fn main(
            count: ::std::ffi::c_int,
            args: *const *const ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            // SAFETY: this is the start of `main`, and these are its arguments.
            let args: ::std::vec::Vec<::std::ffi::OsString> = unsafe { $crate::sys::start(count, args) };
            let code: u8 = ($run)(args);
            ::std::ffi::c_int::from(code)
        }
    };
}

/// Prepares the process, and returns its args.
///
/// # Safety
/// Must be called at the start of `main`, with the arguments of `main`.
#[must_use]
pub unsafe fn start(count: c_int, args: *const *const c_char) -> Vec<OsString> {
    for fd in 0..3 {
        // SAFETY: fcntl with F_GETFD only reads a descriptor's flags, and fails if the descriptor
        // is closed.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1 {
            continue;
        }
        CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        // Otherwise, a socket could be assigned this number. open(2) returns the lowest free
        // number, which is this one.
        // SAFETY: the path is a C string.
        if unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) } != fd {
            abort();
        }
    }
    // SAFETY: SIG_IGN is a valid disposition of SIGPIPE. `Command` restores the default in
    // children.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    signals::unblock(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP]);
    hardening::remember_args(args);
    let count = usize::try_from(count).unwrap_or_default();
    let arg = |index| {
        // SAFETY: `args` holds `count` pointers to C strings, which live as long as the process.
        let arg = unsafe { CStr::from_ptr(*args.add(index)) };
        OsStr::from_bytes(arg.to_bytes()).to_owned()
    };
    (0..count).map(arg).collect()
}
