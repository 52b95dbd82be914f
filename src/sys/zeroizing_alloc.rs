//! The program's memory, which is wiped when it is given back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

use zeroize::optimization_barrier;

use super::out_of_memory;

/// The system's allocator, which gets no memory back that still holds something. A password passes through strings of
/// libraries that do not wipe what they free, and it is copied each time such a string grows.
#[derive(Debug)]
pub struct ZeroizingAllocator;

// SAFETY: all is the system allocator's doing, which gets the layouts that we get. `realloc` is the trait's own, made of
// these: it moves what grows, and what is left behind is wiped.
unsafe impl GlobalAlloc for ZeroizingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the promises that the system's allocator asks for.
        or_end(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        or_end(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller gives back memory of this size, which nobody uses any more.
        unsafe { ptr::write_bytes(start, 0, layout.size()) };
        // Without it the compiler may leave out what nobody reads.
        optimization_barrier(&start);
        // SAFETY: as above.
        unsafe { System.dealloc(start, layout) }
    }
}

/// Rust's own way to say that there is no memory is three lines, a signal and a core dump.
fn or_end(memory: *mut u8) -> *mut u8 {
    if memory.is_null() {
        out_of_memory();
    }
    memory
}
