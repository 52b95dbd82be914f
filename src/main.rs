//! The program; see the library for all of it.
#![cfg_attr(unix, no_main)]

/// All that the program gives back, the libraries' strings as well.
#[global_allocator]
static MEMORY: connect::sys::ZeroizingAllocator = connect::sys::ZeroizingAllocator;

connect::entry!(|words| connect::run(words, |name| std::env::var_os(name)) as u8);
