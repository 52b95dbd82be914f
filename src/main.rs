//! The `connect` program; all of its code is in the library.
#![cfg_attr(unix, no_main)]

/// Zeroes every freed allocation, because dependencies may leave copies of a password behind.
#[global_allocator]
static MEMORY: connect::sys::ZeroizingAllocator = connect::sys::ZeroizingAllocator;

connect::entry!(|args| connect::run(args, |name| std::env::var_os(name)));
