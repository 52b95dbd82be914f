//! A global allocator that zeroes memory before it is freed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

use zeroize::optimization_barrier;

use super::out_of_memory;

/// The system allocator, except that every freed allocation is zeroed first.
///
/// Passwords pass through strings in libraries that do not wipe the memory they free. Each time
/// such a string grows, it may leave another copy behind.
#[derive(Debug)]
pub struct ZeroizingAllocator;

// SAFETY: every call goes to the system allocator with the caller's layout. The default `realloc`
// is built from these calls, so the old memory is zeroed after a move.
unsafe impl GlobalAlloc for ZeroizingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract of `alloc`, which is the same here.
        exit_if_null(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        exit_if_null(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller passes an allocation of this size that is no longer used.
        unsafe { ptr::write_bytes(start, 0, layout.size()) };
        // Without the barrier the compiler may drop the write, because nothing reads it.
        optimization_barrier(&start);
        // SAFETY: as above.
        unsafe { System.dealloc(start, layout) }
    }
}

/// Allocates a zeroed buffer. Returns `None` if memory is exhausted, whereas any other failed
/// allocation ends the process.
#[must_use]
pub fn try_buffer(length: usize) -> Option<Box<[u8]>> {
    let layout = Layout::array::<u8>(length).ok()?;
    if length == 0 {
        return Some(Box::default());
    }
    // SAFETY: the size is not zero.
    let start = unsafe { System.alloc_zeroed(layout) };
    if start.is_null() {
        return None;
    }
    // SAFETY: the memory has this length and is initialized. It comes from the system allocator, as
    // all of the process's allocations do, so dropping the box may free it.
    Some(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(start, length)) })
}

/// Returns `true` if this much memory can be allocated right now.
#[must_use]
pub fn can_allocate(length: usize) -> bool {
    let Some(layout) = Layout::array::<u8>(length).ok().filter(|layout| layout.size() > 0) else {
        return false;
    };
    // SAFETY: the size is not zero.
    let start = unsafe { System.alloc(layout) };
    // Without the barrier the compiler may remove the allocation, because nothing uses it.
    optimization_barrier(&start);
    if start.is_null() {
        return false;
    }
    // SAFETY: the memory was allocated above with this layout. It was never written to, so there is
    // nothing to zero.
    unsafe { System.dealloc(start, layout) };
    true
}

/// Makes all threads allocate from one heap, so that [`can_allocate`] also answers for threads that
/// start later. Called before the first of them starts.
///
/// By default, glibc reserves 64 MiB of address space as a heap for each new thread. It aborts the
/// process if the reservation fails while the thread starts.
pub fn share_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt(3) only changes a setting, and no other thread is running yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Ends the process if an allocation failed, on Unix with a one-line message. Rust's default
/// handler prints more than one line, raises a signal and may dump core.
fn exit_if_null(memory: *mut u8) -> *mut u8 {
    if memory.is_null() {
        out_of_memory();
    }
    memory
}
