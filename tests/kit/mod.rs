//! The test kit: runs of the program, peers that follow a script, and data to send through them.
//!
//! Every test target includes it with `#[path = "../kit/mod.rs"] mod kit;`.
//!
//! Every failure says what was expected and what came, with what the program had printed; every
//! wait has a limit; nothing that was started outlives its test.
#![allow(dead_code, unused_imports, unused_macros, reason = "no test target uses all of the kit")]

mod data;
mod gate;
mod http_digest;
mod name_server;
mod peers;
#[cfg(feature = "tls")]
mod pki;
mod program;
mod running;
mod script;
mod scripted;
mod server;
mod show;
mod temp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix;

pub(crate) use data::{Data, Digest, bytes, copy, data};
pub(crate) use gate::Gate;
pub(crate) use http_digest::HttpDigest;
pub(crate) use name_server::{Answer, NameServer, Question, Transport};
pub(crate) use peers::{RefusingPort, SilentPort};
#[cfg(feature = "tls")]
pub(crate) use pki::{Authority, CertificateKind, Identity};
pub(crate) use program::{Io, Program, connect, define_connect_for_relay_mode, program_path};
pub(crate) use running::{Outcome, Running};
pub(crate) use script::{Script, fill_up, script};
pub(crate) use scripted::{
    SOCKS4_GRANTED, SOCKS5_GRANTED, http_basic, http_ok, http_reply, http_request, socks4_granted,
    socks4_reply, socks4_request, socks5_none, socks5_refused, socks5_request, socks5_userpass,
};
pub(crate) use server::{Record, Server, Session};
pub(crate) use show::show;
pub(crate) use temp::TempPath;
#[cfg(feature = "tls")]
pub(crate) use tls::{Handshake, TlsEnd, TlsFront, TlsServer};
#[cfg(unix)]
pub(crate) use unix::{Pty, fill, is_nonblocking, set_nonblocking};

/// How long anything may take before a test fails: long, for machines that do something else as well.
pub(crate) const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// One mebibyte.
pub(crate) const MIB: u64 = 1024 * 1024;

/// A pipe: what is written to the second comes out of the first.
pub(crate) fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    std::io::pipe().unwrap()
}

/// The next connection of a listener. No program inherits it that another test starts meanwhile: it would keep the
/// connection open, which on Windows is what the standard library's would do to those that wait for its end.
pub(crate) fn accept(listener: &std::net::TcpListener) -> std::net::TcpStream {
    socket2::SockRef::from(listener).accept().unwrap().0.into()
}
