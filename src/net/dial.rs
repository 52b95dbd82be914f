//! TCP connections to whichever address of a peer answers first: Happy Eyeballs (RFC 8305).

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::connection::Connection;
use super::deadline::Deadline;
use super::progress::{Progress, Stage};
use super::resolve::addresses;
use super::waiting::Wait;
use crate::addr::{Endpoint, Host};
use crate::error::{Error, Peer};
use crate::plan::Target;
use crate::sys::{self, Channel};
use crate::trace::trace;

/// How long an attempt has the field to itself: the Connection Attempt Delay of RFC 8305 §8.
const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to a peer at any of its addresses, which this name server knows, or else the system.
///
/// # Errors
/// Its name is unknown, no address takes the connection, or the deadline has passed.
pub(super) fn dial(
    peer: &Peer,
    name_server: Option<SocketAddr>,
    deadline: &Deadline,
    progress: &dyn Progress,
) -> Result<Connection, Error> {
    let addresses = addresses(peer, name_server, deadline)?;
    if let Target::Tcp(Endpoint { host: Host::Name(name), .. }) = &peer.address {
        let addresses: Vec<_> = addresses.iter().map(SocketAddr::ip).collect();
        progress.reached(&Stage::Resolved { name, addresses: &addresses });
    }
    let waiting = interleave(addresses);
    let mut dialling = Dialling { waiting, ..Dialling::default() };
    let until = Wait::new(peer, "the connection", deadline);
    loop {
        if let Some((at, socket)) =
            dialling.round(&until).map_err(|cause| Error::System { what: "dial", cause })?
        {
            progress.reached(&Stage::Dialled { peer, at });
            return Ok(Connection::new(Channel::socket(TcpStream::from(socket))));
        }
        if dialling.has_failed() {
            return Err(Error::Dial { peer: peer.clone(), attempts: dialling.failed });
        }
        if deadline.has_passed() {
            return Err(Error::TimedOut {
                peer: peer.clone(),
                doing: dialling.silence(peer),
                limit: deadline.limit(),
            });
        }
    }
}

/// Connects to a UNIX-domain socket.
///
/// # Errors
/// It does not exist, nobody listens or takes us in before the deadline, or the system has none.
pub(super) fn dial_unix(path: &Path, peer: &Peer, deadline: &Deadline) -> Result<Channel, Error> {
    trace!("connecting to {peer}");
    let dialled = loop {
        match Channel::unix(path, deadline.left()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            dialled => break dialled,
        }
    };
    let peer = peer.clone();
    dialled.map_err(|cause| match cause.kind() {
        io::ErrorKind::WouldBlock => {
            let doing = "did not take the connection".into();
            Error::TimedOut { peer, doing, limit: deadline.limit() }
        }
        _ => Error::Dial { attempts: vec![(peer.to_string(), cause)], peer },
    })
}

/// The attempts to reach one peer. Those that lose are closed when this is dropped.
#[derive(Default)]
struct Dialling {
    waiting: VecDeque<SocketAddr>,
    started: Vec<(SocketAddr, Socket)>,
    failed: Vec<(String, io::Error)>,
    /// When the next attempt may start; at once if there is none.
    next: Option<Instant>,
}

impl Dialling {
    /// Starts what is due and waits for something to happen. Returns the first socket that is connected.
    fn round(&mut self, until: &Wait<'_>) -> io::Result<Option<(SocketAddr, Socket)>> {
        let now = Instant::now();
        if self.next.is_none_or(|next| next <= now) {
            let Some(address) = self.waiting.pop_front() else { return self.wait(until) };
            trace!("connecting to {address}");
            match start(address) {
                Ok(socket) => {
                    self.started.push((address, socket));
                    self.next = Some(now + CONNECTION_ATTEMPT_DELAY);
                }
                // Not even started: the next one need not wait.
                Err(error) => self.fail(address, error),
            }
            if self.started.is_empty() {
                return Ok(None);
            }
        }
        self.wait(until)
    }

    fn wait(&mut self, until: &Wait<'_>) -> io::Result<Option<(SocketAddr, Socket)>> {
        let next = self.next.filter(|_| !self.waiting.is_empty());
        let next = next.map(|next| next.saturating_duration_since(Instant::now()));
        let mut watches: Vec<_> =
            self.started.iter().map(|(_, socket)| sys::watch(socket, false, true)).collect();
        until.poll(&mut watches, next)?;
        let ready: Vec<_> = watches.iter().map(|watch| sys::Ready::from_watch(watch).write).collect();
        for index in (0..ready.len()).rev().filter(|&index| ready[index]) {
            let (address, socket) = self.started.remove(index);
            match socket.take_error()? {
                None => return Ok(Some((address, socket))),
                Some(error) => self.fail(address, error),
            }
        }
        Ok(None)
    }

    fn fail(&mut self, address: SocketAddr, error: io::Error) {
        trace!("connect() to {address} failed: {error}");
        self.failed.push((address.to_string(), error));
        self.next = None;
    }

    fn has_failed(&self) -> bool {
        self.waiting.is_empty() && self.started.is_empty()
    }

    /// "did not answer", and where, if that is not known already.
    fn silence(&self, peer: &Peer) -> String {
        let addresses = self.in_flight();
        if addresses == peer.address.to_string() {
            return "did not answer".into();
        }
        format!("did not answer at {addresses}")
    }

    fn in_flight(&self) -> String {
        let addresses: Vec<_> = self.started.iter().map(|(address, _)| address.to_string()).collect();
        addresses.join(", ")
    }
}

/// Begins to connect. Every TCP socket has `TCP_NODELAY`, since keystrokes must not wait for company, and
/// keep-alive, since a peer that vanished must be noticed.
fn start(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if !sys::is_in_progress(&error) => Err(error),
        _ => Ok(socket),
    }
}

/// Takes turns between the families, the first address's first (RFC 8305 §4).
fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = VecDeque::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests;
