//! The `-d` debug lines, in the C program's format because users search for them. Also prints
//! messages for the user.

use std::io::{self, Write};

use log::LevelFilter;

use crate::plan::{ListenAddress, Local, Plan, Protocol, Resolve, Route, Target};
use crate::proto::Wire;
use crate::sys;
use crate::text::{escaped, printable};

/// Writes a debug line to standard error if `-d` was given.
macro_rules! trace {
    ($($arg:tt)*) => { log::debug!(target: "connect", $($arg)*) };
}
pub(crate) use trace;

/// Enables debug lines: `-d` logs each step, `-dd` also dumps relayed data.
pub fn start(debug: u8) {
    let level = if debug > 1 { LevelFilter::Trace } else { LevelFilter::Debug };
    let started = env_logger::Builder::new()
        .filter_module("connect", level)
        .format(|out, record| writeln!(out, "DEBUG: {}", record.args()))
        .try_init();
    debug_assert!(started.is_ok(), "the logger is set once");
}

/// Writes a message for the user to standard error. A failed write is ignored.
pub fn message(line: &str) {
    let _ = writeln!(io::stderr(), "{}", escaped(&format!("connect: {line}")));
}

/// Returns `true` if debug lines are enabled.
#[must_use]
pub fn is_on() -> bool {
    log::log_enabled!(target: "connect", log::Level::Debug)
}

/// Logs the plan.
pub fn plan(plan: &Plan) {
    if !is_on() {
        return;
    }
    for (index, each) in plan.routes.iter().enumerate() {
        if plan.routes.len() > 1 {
            trace!("route {} of {}", index + 1, plan.routes.len());
        }
        route(each);
    }
    local(&plan.local);
    match &plan.target {
        Target::Tcp(target) => {
            trace!("dest_host={}", target.host);
            trace!("dest_port={}", target.port);
        }
        Target::Unix(_) => trace!("dest_host={}", plan.target),
    }
    if let Some(limit) = plan.limits.reach {
        trace!("setting timeout: {} seconds", limit.as_secs_f64());
    }
    if let Some(limit) = plan.relay.idle {
        trace!("setting idle timeout: {} seconds", limit.as_secs_f64());
    }
}

fn route(route: &Route) {
    if route.hops.is_empty() {
        trace!("relay_method = DIRECT (1)");
    }
    for (index, hop) in route.hops.iter().enumerate() {
        if route.hops.len() > 1 {
            trace!("hop {} of {}", index + 1, route.hops.len());
        }
        let method = match &hop.protocol {
            Protocol::Socks4 { .. } | Protocol::Socks5 { .. } => "SOCKS (2)",
            Protocol::Http { .. } => "HTTP (3)",
            Protocol::Telnet { .. } => "TELNET (4)",
        };
        trace!("relay_method = {method}");
        trace!("relay_host={}", hop.proxy.host);
        trace!("relay_port={}", hop.proxy.port);
        let user = hop.protocol.user().map(str::to_owned).or_else(sys::login_name).unwrap_or_default();
        trace!("relay_user={}", printable(user.as_bytes()));
        let Some(resolve) = hop.protocol.resolve() else { continue };
        let is_version_4 = matches!(hop.protocol, Protocol::Socks4 { .. });
        trace!("socks_version={}", if is_version_4 { 4 } else { 5 });
        trace!("socks_resolve={}", resolve_name(resolve));
    }
    if let Some(server) = route.name_server {
        trace!("Using nameserver at {server}");
    }
}

fn local(local: &Local) {
    let listen = |at: &ListenAddress| {
        trace!("local_type=socket");
        match at {
            ListenAddress::Tcp { port, .. } => trace!("local_port={port}"),
            ListenAddress::Unix(_) | ListenAddress::SystemdSocket(_) => trace!("local_port={at}"),
        }
    };
    match local {
        Local::Stdio => trace!("local_type=stdio"),
        Local::FdPass => trace!("local_type=fdpass"),
        Local::Port { at, .. } => listen(at),
        Local::Listen(at) => at.iter().for_each(listen),
    }
}

fn resolve_name(resolve: Resolve) -> &'static str {
    match resolve {
        Resolve::Local | Resolve::Server(_) | Resolve::LocalFirst => "LOCAL (1)",
        Resolve::Remote => "REMOTE (2)",
        Resolve::Both => "BOTH (3)",
    }
}

/// Logs bytes that a handshake sends, with secrets masked.
pub fn sent(wire: &Wire, is_text: bool) {
    if !is_on() {
        return;
    }
    match (is_text, wire.is_secret()) {
        (true, _) => lines(">>>", &wire.masked("xxxxx")),
        (false, true) => trace!(">>> xx xx xx xx ..."),
        (false, false) => trace!(">>> {}", hex(wire.bytes())),
    }
}

/// Logs bytes that a handshake received.
pub fn received(bytes: &[u8], is_text: bool) {
    if is_text {
        lines("<<<", bytes);
    } else {
        trace!("<<< {}", hex(bytes));
    }
}

/// Returns `true` if [`relayed`] prints anything (`-dd`).
#[must_use]
pub fn shows_data() -> bool {
    log::log_enabled!(target: "connect", log::Level::Trace)
}

/// Dumps relayed bytes, 16 per line: offset within the direction, hexadecimal, text.
pub fn relayed(arrow: &str, start: u64, bytes: &[u8]) {
    if !shows_data() {
        return;
    }
    for (offset, row) in (start..).step_by(16).zip(bytes.chunks(16)) {
        let text: String =
            row.iter().map(|&byte| if (32..127).contains(&byte) { byte.into() } else { '.' }).collect();
        log::trace!(target: "connect", "{arrow} {offset:08x}  {:<47}  |{text}|", hex(row));
    }
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

/// Logs each line in quotes, including its line ending: `"HTTP/1.1 200 OK\r\n"`.
fn lines(arrow: &str, text: &[u8]) {
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let end: String = line[line.trim_ascii_end().len()..].escape_ascii().to_string();
        trace!("{arrow} \"{}{end}\"", printable(line));
    }
}
