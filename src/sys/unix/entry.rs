//! Where the system enters the program, in the place of Rust's own start.
//!
//! Rust's start is made for programs that may do anything: it reads `/proc/self/maps` and sets up a signal stack, to
//! have a word to say when the stack overflows. That takes as long as most of what this program does until the first
//! byte. Of the rest, what we rely on is done here: no standard descriptor is left closed, and a reader that
//! went away is an error of `write` and not the end of the process.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::process::abort;
use std::sync::atomic::{AtomicU8, Ordering};

use super::hardening;

/// A bit for each standard descriptor that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Whether standard descriptor `fd` (0, 1 or 2) was open when the program started: a closed standard output is an
/// error once there is something to write, and the `/dev/null` that we put there is not.
pub(super) fn was_open(fd: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << fd) == 0
}

/// Defines `main` for a program that hands its words to a function and ends with the code that it returns.
#[macro_export]
macro_rules! entry {
    ($run:expr) => {
        // SAFETY: the C library calls the function of this name with these arguments, once.
        #[unsafe(no_mangle)]
        extern "C" fn main(
            count: ::std::ffi::c_int,
            words: *const *const ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            // SAFETY: these are what the system gave us.
            let words: ::std::vec::Vec<::std::ffi::OsString> = unsafe { $crate::sys::start(count, words) };
            let code: u8 = ($run)(words);
            ::std::ffi::c_int::from(code)
        }
    };
}

/// Prepares the process and returns the words that it was started with.
///
/// # Safety
/// To be called with the arguments of `main`, at its start.
#[must_use]
pub unsafe fn start(count: c_int, words: *const *const c_char) -> Vec<OsString> {
    for fd in 0..3 {
        // SAFETY: fcntl with F_GETFD reads one flag of a descriptor; it fails if the descriptor is closed.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1 {
            continue;
        }
        CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        // So that no socket lands there. The lowest free number is this one.
        // SAFETY: the path is a C string.
        if unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) } != fd {
            abort();
        }
    }
    // SAFETY: SIG_IGN is a valid disposition of SIGPIPE. Programs that we start get the default back from Rust.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    hardening::remember(words);
    let count = usize::try_from(count).unwrap_or_default();
    let word = |index| {
        // SAFETY: the caller vouches for `count` pointers to C strings, which live as long as the process.
        let word = unsafe { CStr::from_ptr(*words.add(index)) };
        OsStr::from_bytes(word.to_bytes()).to_owned()
    };
    (0..count).map(word).collect()
}
