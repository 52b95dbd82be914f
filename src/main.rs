//! The program; see the library for all of it.
#![cfg_attr(unix, no_main)]

connect::entry!(|words| connect::run(words, |name| std::env::var_os(name)) as u8);
