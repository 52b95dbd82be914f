//! The test kit: runs the program, plays scripted peers, and generates and checks data.
//!
//! Every test target includes it with `#[path = "../kit/mod.rs"] mod kit;`.
//!
//! A failure reports the expected and the actual data, and the program's output. Every wait has a
//! timeout, and every process and thread ends with its test.
//!
//! - [`connect`] describes a run of the program, [`Running`] is one that has started, and
//!   [`Outcome`] holds its output and exit code.
//! - [`script`] describes what a peer does on a connection, and [`Server`] runs such scripts.
//! - [`socks5_none`], [`http_basic`] and similar functions return proxy scripts. Steps added to
//!   these scripts run inside the tunnel.
//! - [`TlsFront`] adds TLS in front of any server; [`Authority`] issues its certificates.
//! - [`exchange`](exchange::exchange) plays one end of a session that sends and checks a lot of
//!   data.
//! - [`NameServer`] answers DNS queries. [`RefusingPort`] and [`SilentPort`] never accept a
//!   connection.
#![allow(dead_code, unused_imports, unused_macros, reason = "no test target uses all of the kit")]

mod data;
#[cfg(unix)]
pub(crate) mod exchange;
mod gate;
mod http_digest;
mod name_server;
mod peers;
#[cfg(feature = "tls")]
mod pki;
mod program;
pub(crate) mod proxy;
mod running;
mod script;
mod scripted;
mod server;
mod show;
pub(crate) mod stream;
mod temp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix;

pub(crate) use data::{Data, Digest, bytes, copy, data, from_windows};
pub(crate) use gate::Gate;
pub(crate) use http_digest::HttpDigest;
pub(crate) use name_server::{Answer, NameServer, Question, Transport};
pub(crate) use peers::{RefusingPort, SilentPort};
#[cfg(feature = "tls")]
pub(crate) use pki::{Authority, CertificateKind, Identity, openssl};
pub(crate) use program::{Io, Program, connect, program_path};
pub(crate) use proxy::{HTTP_GRANTED, NO_METHOD, SOCKS4_GRANTED, SOCKS5_GRANTED, header, reset_on_close};
pub(crate) use running::{Outcome, Running};
pub(crate) use script::{Script, fill_up, script};
pub(crate) use scripted::{
    http_basic, http_ok, http_reply, http_request, socks4_granted, socks4_reply, socks4_request, socks5_none,
    socks5_refused, socks5_request, socks5_userpass,
};
pub(crate) use server::{Record, Server, Session};
pub(crate) use show::show;
pub(crate) use temp::TempPath;
#[cfg(feature = "tls")]
pub(crate) use tls::{Handshake, TlsEnd, TlsFront, TlsServer};
#[cfg(target_os = "linux")]
pub(crate) use unix::{CallFault, open_tun};
#[cfg(unix)]
pub(crate) use unix::{Pty, fill, is_nonblocking, set_nonblocking};

/// Default timeout for waits in the kit. It is long because machines may be busy.
pub(crate) const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// Time limit for a run that must not wait for a silent peer: shorter than the program's time
/// limit of 30 seconds, and long enough for a busy machine.
pub(crate) const PROMPTLY: std::time::Duration = std::time::Duration::from_secs(20);

pub(crate) const MIB: u64 = 1024 * 1024;

/// Returns the read end and the write end of a new pipe.
pub(crate) fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    std::io::pipe().unwrap()
}

/// Accepts the next connection on a listener.
///
/// The new socket is not inheritable, unlike a socket from `std`'s `accept` on Windows. If it were,
/// a program that another test starts at the same time would keep the connection open, and the peer
/// would never see EOF.
pub(crate) fn accept(listener: &std::net::TcpListener) -> std::net::TcpStream {
    socket2::SockRef::from(listener).accept().unwrap().0.into()
}
