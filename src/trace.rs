//! The `-d` debug lines, in the C program's format because users search for them. Also prints
//! messages for the user.

use std::env;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use log::LevelFilter;

use crate::plan::{Bind, FamilyLimit, Limits, ListenAddress, Local, Plan, Route, SocketSettings, Target};
use crate::proto::Wire;
use crate::secret::masked;
use crate::sys;
use crate::text::{escaped, is_utf8_locale, printable, to_ascii};

pub use status_line::{STATUS_INTERVAL, StatusLine, resuming, shorten, width};

mod status_line;

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
        .format(|out, record| writeln!(out, "DEBUG: {}", in_charset(escaped(&record.args().to_string()))))
        .target(env_logger::Target::Pipe(Box::new(DebugOutput)))
        .try_init();
    debug_assert!(started.is_ok(), "the logger is set once");
}

/// `true` if messages are dropped instead of waiting for room in a pipe; see [`never_block`].
static DROPS_MESSAGES: AtomicBool = AtomicBool::new(false);
/// The number of messages dropped since the last one that was written.
static DROPPED: AtomicU32 = AtomicU32::new(0);

/// From now on, drops messages while standard error has no room, for example because it is a pipe
/// that nobody reads. The next message that finds room says how many were dropped.
pub fn never_block() {
    DROPS_MESSAGES.store(true, Ordering::Relaxed);
}

/// Returns a text in the character set of the user's locale. Unless that is UTF-8, our symbols
/// become ASCII.
pub(crate) fn in_charset(text: String) -> String {
    // Most texts are ASCII, and need no look at the environment.
    if text.is_ascii() || is_utf8_locale(|name| env::var_os(name), sys::DEFAULT_CHARSET_IS_UTF8) {
        text
    } else {
        to_ascii(&text)
    }
}

/// Writes a message for the user to standard error. A failed write is ignored.
pub fn message(line: &str) {
    write(|| {
        let dropped = match DROPPED.swap(0, Ordering::Relaxed) {
            0 => String::new(),
            count => format!(" ({count} earlier messages dropped)"),
        };
        let mut line = escaped(&format!("connect: {line}{dropped}"));
        if DROPS_MESSAGES.load(Ordering::Relaxed) && line.len() >= sys::PIPE_ROOM {
            let room = sys::PIPE_ROOM - "…\n".len();
            line.truncate((0..=room).rev().find(|&end| line.is_char_boundary(end)).unwrap_or_default());
            line.push('…');
        }
        line.push('\n');
        in_charset(line).into_bytes()
    });
}

/// Writes to standard error. Counts the message as dropped if [`never_block`] was called and there
/// is no room.
fn write(message: impl FnOnce() -> Vec<u8>) {
    // The lock keeps other threads from using up the room between the check and the write.
    let mut stderr = io::stderr().lock();
    if DROPS_MESSAGES.load(Ordering::Relaxed) && !sys::error_has_room() {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let _ = stderr.write_all(&message());
}

/// The destination of debug lines: standard error.
struct DebugOutput;

impl Write for DebugOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(|| bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
        Target::Tcp(_) if matches!(plan.local, Local::Proxy(_)) => trace!("dest_host=named by each client"),
        Target::Tcp(target) => {
            trace!("dest_host={}", target.host);
            trace!("dest_port={}", target.port);
        }
        Target::Unix(_) | Target::Queue(_) | Target::AtServer(_) => trace!("dest_host={}", plan.target),
    }
    if let Limits::Total(limit) = plan.limits {
        trace!("setting timeout: {} seconds", limit.as_secs_f64());
    }
    if let Some(limit) = plan.relay.idle {
        trace!("setting idle timeout: {} seconds", limit.as_secs_f64());
    }
    if let Some(Bind { to, .. }) = &plan.sockets.bind {
        trace!("binding connections to {to}");
    }
    if let Some(FamilyLimit { family, .. }) = &plan.sockets.family {
        trace!("using only {family}");
    }
    if plan.sockets.keep_alive != SocketSettings::default().keep_alive {
        let seconds = plan.sockets.keep_alive.unwrap_or_default().as_secs();
        trace!("setting TCP keep-alive: {seconds} seconds");
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
        trace!("relay_method = {}", hop.protocol.relay_method());
        trace!("relay_host={}", hop.proxy.host());
        if let Target::Tcp(proxy) = &hop.proxy {
            trace!("relay_port={}", proxy.port);
        }
        let user = hop.protocol.user().map(ToString::to_string).or_else(sys::login_name).unwrap_or_default();
        trace!("relay_user={}", printable(masked(&user).as_bytes()));
        for (name, value) in hop.protocol.trace_facts() {
            trace!("{name}={value}");
        }
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
        Local::Proxy(server) => server.listeners.iter().for_each(|(at, _)| listen(at)),
        Local::Post(server) => server.listeners.iter().for_each(|listener| listen(&listener.at)),
        Local::WebSocket(server) => server.listeners.iter().for_each(|listener| listen(&listener.at)),
        Local::Origin(_) => trace!("local_type=origin"),
        Local::Remote(_) => trace!("local_type=remote"),
        Local::Hub(server) => server.listeners.iter().for_each(|listener| listen(&listener.at)),
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

/// Dumps relayed bytes, 16 per line. Each line shows the offset within this direction, the bytes in
/// hexadecimal, and the bytes as text.
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
