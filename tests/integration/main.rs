//! Tests of the program as its users start it: a process, its standard descriptors, and peers on
//! loopback. Start reading at `harness/mod.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

#[allow(dead_code, unused_imports, reason = "a vocabulary: not every platform and suite uses every word")]
mod harness;

mod cli;
mod dial;
mod floors;
mod http;
mod http_auth;
#[cfg(unix)]
mod password;
#[cfg(unix)]
mod pump;
mod regression;
mod socks4;
mod socks5;
mod trace;
mod wire;
