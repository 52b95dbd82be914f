//! Which of the standard descriptors were open when the program started.
//!
//! Rust opens `/dev/null` on those that are closed, before `main`, so that no socket lands there. That is what
//! we want, but it hides what we must know: a closed standard output is an error once there is something to
//! write, `/dev/null` is not. So we look before Rust does, in the list of functions that the system's loader
//! calls at the start of every program.

use std::sync::atomic::{AtomicU8, Ordering};

/// A bit for each standard descriptor that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Whether standard descriptor `fd` (0, 1 or 2) was open.
pub(super) fn was_open(fd: u8) -> bool {
    // Names the entry, so that no linker can leave it out.
    std::hint::black_box(&LOOK);
    CLOSED.load(Ordering::Relaxed) & (1 << fd) == 0
}

// SAFETY: the section holds pointers to functions of this signature; `look` allocates nothing and uses no part of
// the Rust runtime, which is not set up yet.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    for fd in 0..3 {
        // SAFETY: fcntl with F_GETFD reads one flag of a descriptor; it fails if the descriptor is closed.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
            CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
}
