//! Dials the addresses of a peer until one connects: Happy Eyeballs (RFC 8305).

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::binding::Binding;
use super::connection::Connection;
use super::deadline::Deadline;
use super::own_listeners::OwnListeners;
use super::progress::{Progress, Stage};
use super::resolve::{Found, Resolver, addresses};
use super::waiting::{Wait, WaitError};
use crate::addr::{Endpoint, Host};
use crate::error::{Error, MAX_SHOWN_ADDRESSES, Peer};
use crate::plan::{Limits, SocketSettings, Target};
use crate::sys::{self, Channel};
use crate::text::listed;
use crate::trace::trace;

/// Delay between the start of one attempt and that of the next in parallel (RFC 8305 §8).
const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The event that dialling waits for, as a noun for the status line.
const CONNECTION: &str = "connection";

/// Connects to a peer at any of its addresses.
///
/// # Errors
/// The peer's name cannot be resolved, every address failed, an address leads back to our own
/// listeners, or the deadline has passed.
pub(super) fn dial(
    peer: &Peer,
    resolver: Resolver<'_>,
    settings: &SocketSettings,
    deadline: &Deadline<'_>,
    own: Option<&OwnListeners>,
    progress: &dyn Progress,
) -> Result<Connection, Error> {
    if let Target::Unix(path) = &peer.address {
        return dial_unix(path, peer, deadline, progress).map(|channel| Connection::new(Box::new(channel)));
    }
    let Found { addresses, ignored } = addresses(peer, resolver, deadline)?;
    if let Target::Tcp(Endpoint { host: Host::Name(name), .. }) = &peer.address {
        let addresses: Vec<_> = addresses.iter().map(SocketAddr::ip).collect();
        progress.reached(&Stage::Resolved { name, addresses: &addresses, ignored });
    }
    if let Some(own) = own
        && addresses.iter().any(|address| own.include(*address))
    {
        return Err(Error::Loop { peer: peer.clone() });
    }
    let mut dialling = Dialling::new(addresses, settings, resolver.binding);
    let until = Wait::new(peer, CONNECTION, deadline);
    loop {
        if let Some((at, socket)) = dialling.step(&until).map_err(|error| until.error(error))? {
            progress.reached(&Stage::Dialled { peer, at: Some(at) });
            return Ok(Connection::new(Box::new(Channel::socket(TcpStream::from(socket)))));
        }
        if dialling.has_failed() {
            return Err(Error::Dial { peer: peer.clone(), attempts: dialling.failed, ignored });
        }
        if deadline.has_passed() {
            return Err(Error::TimedOut {
                peer: peer.clone(),
                doing: dialling.unanswered(peer),
                limit: deadline.limit(),
            });
        }
    }
}

/// Connects to a UNIX-domain socket. connect(2) blocks while the listener's backlog is full.
///
/// # Errors
/// The socket does not exist, nothing listens on it, the deadline has passed, or the platform has
/// no UNIX-domain sockets.
pub(super) fn dial_unix(
    path: &Path,
    peer: &Peer,
    deadline: &Deadline<'_>,
    progress: &dyn Progress,
) -> Result<Channel, Error> {
    trace!("connecting to {peer}");
    let deadline = deadline.or_resume(Limits::UNIX_CONNECT_TIMEOUT, Duration::ZERO);
    let until = Wait::new(peer, CONNECTION, &deadline);
    let connected = until.poll_with_status(deadline.left(), |timeout| match Channel::unix(path, timeout) {
        Err(error) if sys::is_transient(&error) => None,
        connected => Some(connected),
    });
    if let Ok(Ok(_)) = &connected {
        progress.reached(&Stage::Dialled { peer, at: None });
    }
    let peer = peer.clone();
    match connected {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(cause)) => {
            let attempts = vec![(peer.address.to_string(), cause)];
            Err(Error::Dial { attempts, peer, ignored: 0 })
        }
        Err(WaitError::TimedOut) => {
            let doing = "did not accept the connection".into();
            Err(Error::TimedOut { peer, doing, limit: deadline.limit() })
        }
        Err(error) => Err(until.error(error)),
    }
}

/// The attempts to connect to one peer. Dropping this closes the sockets of the attempts that are
/// still in progress.
struct Dialling<'a> {
    settings: &'a SocketSettings,
    binding: &'a Binding,
    /// Addresses that have not been tried yet, in order of preference.
    waiting: VecDeque<SocketAddr>,
    /// Attempts in progress, in order of preference.
    started: Vec<(SocketAddr, Socket)>,
    failed: Vec<(String, io::Error)>,
    /// When the next attempt may start; `None` for immediately.
    next: Option<Instant>,
}

impl<'a> Dialling<'a> {
    fn new(
        addresses: impl Into<VecDeque<SocketAddr>>,
        settings: &'a SocketSettings,
        binding: &'a Binding,
    ) -> Self {
        let (waiting, started, failed) = (addresses.into(), Vec::new(), Vec::new());
        Self { settings, binding, waiting, started, failed, next: None }
    }

    /// Starts the next attempt if it is due, and waits for an event. Returns the socket that has
    /// connected, or `None` if none has.
    fn step(&mut self, until: &Wait<'_>) -> Result<Option<(SocketAddr, Socket)>, WaitError> {
        let now = Instant::now();
        if self.next.is_none_or(|next| next <= now) {
            let Some(address) = self.waiting.pop_front() else { return self.wait(until) };
            trace!("connecting to {address}");
            match start(address, self.settings, self.binding) {
                Ok(socket) => {
                    self.started.push((address, socket));
                    self.next = Some(now + CONNECTION_ATTEMPT_DELAY);
                }
                // The attempt could not even start, so the next one is due immediately.
                Err(error) => self.fail(address, error),
            }
            if self.started.is_empty() {
                return Ok(None);
            }
        }
        self.wait(until)
    }

    fn wait(&mut self, until: &Wait<'_>) -> Result<Option<(SocketAddr, Socket)>, WaitError> {
        let next = self.next.filter(|_| !self.waiting.is_empty());
        let next = next.map(|next| next.saturating_duration_since(Instant::now()));
        let mut watches: Vec<_> =
            self.started.iter().map(|(_, socket)| sys::watch(socket, false, true)).collect();
        until.poll(&mut watches, next)?;
        let ready: Vec<_> = watches.iter().map(|watch| sys::Ready::from_watch(watch).write).collect();
        // If several attempts connect in the same wake-up, the preferred address wins.
        let mut connected = None;
        for ((address, socket), ready) in std::mem::take(&mut self.started).into_iter().zip(ready) {
            if !ready || connected.is_some() {
                self.started.push((address, socket));
                continue;
            }
            match sys::connect_error(&socket) {
                None => connected = Some((address, socket)),
                Some(error) => self.fail(address, error),
            }
        }
        Ok(connected)
    }

    fn fail(&mut self, address: SocketAddr, error: io::Error) {
        trace!("connect() to {address} failed: {error}");
        self.failed.push((address.to_string(), error));
        self.next = None;
    }

    fn has_failed(&self) -> bool {
        self.waiting.is_empty() && self.started.is_empty()
    }

    /// Returns "did not answer", followed by the addresses being tried unless the message already
    /// names them.
    fn unanswered(&self, peer: &Peer) -> String {
        let addresses = self.in_flight();
        if addresses == peer.address.to_string() {
            return "did not answer".into();
        }
        format!("did not answer at {addresses}")
    }

    fn in_flight(&self) -> String {
        let addresses: Vec<_> = self.started.iter().map(|(address, _)| address).collect();
        listed(&addresses, MAX_SHOWN_ADDRESSES)
    }
}

/// Starts a non-blocking connect. Sets `TCP_NODELAY` so that keystrokes are sent without delay, and
/// keep-alive to detect a peer that vanished.
fn start(address: SocketAddr, settings: &SocketSettings, binding: &Binding) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    sys::set_keep_alive(&socket, settings.keep_alive);
    socket.set_nonblocking(true)?;
    binding.bind(&socket, address)?;
    match socket.connect(&address.into()) {
        Err(error) if !sys::is_in_progress(&error) => Err(error),
        _ => Ok(socket),
    }
}

#[cfg(test)]
mod tests;
