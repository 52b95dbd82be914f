//! Waits for clients on one or more listeners.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::bind::listen;
use crate::error::Error;
use crate::plan::{ListenAddress, SocketSettings};
use crate::relay::KeptSession;
use crate::stream::{Events, Interest, PollSet, Stream};
use crate::sys::{self, Channel, Client, Listener, Termination};
use crate::trace;

/// Accepts clients on one or more listeners, until a termination signal arrives.
pub(crate) struct Acceptor {
    pub(super) listeners: Vec<Listener>,
    /// For each listener, the index of its address in the plan.
    origins: Vec<usize>,
    /// The index of the listener to serve first. It follows the one that was served last, so that a
    /// flood of clients at one listener does not starve the others.
    first: Cell<usize>,
    termination: Termination,
    /// Idle time of a client before TCP probes it; `None` for no probes.
    keep_alive: Option<Duration>,
}

impl Acceptor {
    /// Opens the listeners. Installs the signal handlers first, so that a signal cannot leave a
    /// UNIX-domain socket behind.
    pub(crate) fn open(at: &[ListenAddress], settings: &SocketSettings) -> Result<Self, Error> {
        let termination =
            Termination::watch().map_err(|cause| Error::System { what: "watch for signals", cause })?;
        let opened = at.iter().map(listen).collect::<Result<Vec<_>, _>>()?;
        for (listeners, at) in opened.iter().zip(at) {
            // Print the port that the system has chosen, because the user cannot know it otherwise.
            // With -d, a debug line already shows it.
            if matches!(at, ListenAddress::Tcp { port: 0, .. }) && !trace::is_on() {
                for bound in listeners.iter().filter_map(Listener::address) {
                    trace::message(&format!("listening on {bound}"));
                }
            }
        }
        let origins = opened.iter().enumerate().flat_map(|(index, bound)| bound.iter().map(move |_| index));
        let origins = origins.collect();
        let listeners = opened.into_iter().flatten().collect();
        Ok(Self { listeners, origins, first: Cell::new(0), termination, keep_alive: settings.keep_alive })
    }

    /// Returns the address of each TCP listener, with the index of its address in the plan.
    pub(super) fn bound(&self) -> impl Iterator<Item = (usize, SocketAddr)> {
        let listeners = self.origins.iter().zip(&self.listeners);
        listeners.filter_map(|(&index, listener)| Some((index, listener.address()?)))
    }

    /// Lets a signal kill the process from now on. Both connections of the session are then reset
    /// (`Channel::set_reset_on_exit`), and the exit status says that it was cut off. Returns `true`
    /// if a signal is already pending.
    pub(crate) fn begin_session(&self) -> Result<bool, Error> {
        self.termination.set_fatal(true);
        self.has_signal()
    }

    /// Lets a signal end only the wait for the next client.
    pub(super) fn end_session(&self) {
        self.termination.set_fatal(false);
    }

    /// Returns `true` if a signal is pending.
    pub(super) fn has_signal(&self) -> Result<bool, Error> {
        let mut watches = [sys::watch(&self.termination, true, false)];
        sys::poll(&mut watches, Some(Duration::ZERO))
            .map_err(|cause| Error::System { what: "watch for signals", cause })
    }

    /// Waits for the next client. Returns `None` on a termination signal, or when the wait
    /// `between` two clients is over.
    ///
    /// # Errors
    /// [`Error::Idle`] if the kept session exceeds its idle timeout during the wait,
    /// [`Error::remote`] if its connection is lost, or [`Error::System`].
    pub(super) fn next_client(&self, between: Option<Between<'_>>) -> Result<Option<Client>, Error> {
        self.next_client_at(between).map(|accepted| accepted.map(|(_, client)| client))
    }

    /// Waits for the next client as [`next_client`](Self::next_client) does. Also returns the index
    /// of its listener's address in the plan.
    ///
    /// # Errors
    /// See [`next_client`](Self::next_client).
    pub(crate) fn next_client_at(
        &self,
        between: Option<Between<'_>>,
    ) -> Result<Option<(usize, Client)>, Error> {
        self.next_client_until(between, None)
    }

    /// Waits for the next client until this time, regardless of termination signals. Also returns
    /// the index of its listener's address in the plan.
    ///
    /// # Errors
    /// See [`next_client`](Self::next_client).
    pub(crate) fn next_client_before(&self, end: Instant) -> Result<Option<(usize, Client)>, Error> {
        self.next_client_until(None, Some(end))
    }

    /// Waits for the next client. With an `end`, ignores termination signals.
    fn next_client_until(
        &self,
        mut between: Option<Between<'_>>,
        end: Option<Instant>,
    ) -> Result<Option<(usize, Client)>, Error> {
        let failed = |what| move |cause| Error::System { what, cause };
        let started = Instant::now();
        loop {
            let mut polls = PollSet::with_capacity(self.listeners.len() + 3);
            polls.push_watch(sys::watch(&self.termination, end.is_none(), false));
            for listener in &self.listeners {
                polls.push_watch(sys::watch(listener, true, false));
            }
            if let Some(between) = &between {
                between.register(&mut polls);
            }
            let left = between.as_ref().and_then(Between::idle_limit);
            let left = left.map(|limit| limit.saturating_sub(started.elapsed()));
            let left = left.or_else(|| end.map(|end| end.saturating_duration_since(Instant::now())));
            let Some(mut events) = polls.wait(left).map_err(failed("wait for a client"))? else {
                return between.map_or(Ok(None), |between| between.idle_error().map(|()| None));
            };
            if events.take().read && end.is_none() {
                return Ok(None);
            }
            let clients: Vec<_> = self.listeners.iter().map(|_| events.take().read).collect();
            if let Some(between) = &mut between
                && between.is_over(&mut events)?
            {
                return Ok(None);
            }
            let (before, from_first) = clients.split_at(self.first.get());
            let in_turn = from_first.iter().chain(before).zip((0..clients.len()).cycle().skip(before.len()));
            for (_, index) in in_turn.filter(|(ready, _)| **ready) {
                match self.listeners[index].accept() {
                    Ok(client) => {
                        if client.addrs.is_some() {
                            sys::set_keep_alive(&client.channel, self.keep_alive);
                        }
                        self.first.set((index + 1) % self.listeners.len());
                        return Ok(Some((self.origins[index], client)));
                    }
                    // The client disconnected before we accepted it.
                    Err(error)
                        if sys::is_transient(&error) || error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(cause) => return Err(failed("accept a connection")(cause)),
                }
            }
        }
    }
}

/// The wait between two clients of `-P`. It is over when standard input or the remote closes.
pub(crate) struct Between<'a> {
    /// Standard input. Data that arrives while no client is connected is discarded.
    pub(super) input: &'a Channel,
    /// The session with the target; `None` before the first client.
    pub(super) kept: Option<&'a mut KeptSession>,
    /// The idle timeout of the session.
    pub(super) idle: Option<Duration>,
    /// The remote has sent no data for the next client yet.
    pub(super) watches_remote: bool,
}

impl Between<'_> {
    /// Returns the connection to the remote, and the events to wait for. Data that arrives between
    /// two clients is for the next one, and EOF is not visible until that data has been read. Even
    /// without any interest, layers send the rest of the last client's data.
    fn remote(&self) -> Option<(&(dyn Stream + 'static), Interest)> {
        let kept = self.kept.as_deref()?;
        let read = self.watches_remote && !kept.has_pending();
        Some((kept.remote()?, Interest { read, ..Interest::default() }))
    }

    fn register<'p>(&'p self, polls: &mut PollSet<'p>) {
        polls.push(self.input, Interest::READ);
        if let Some((remote, want)) = self.remote() {
            remote.register(want, polls);
        }
    }

    fn idle_limit(&self) -> Option<Duration> {
        self.idle.filter(|_| self.kept.is_some())
    }

    /// Resets the session, which has been idle for too long, and returns the error.
    fn idle_error(self) -> Result<(), Error> {
        let (Some(kept), Some(limit)) = (self.kept, self.idle) else { return Ok(()) };
        kept.reset();
        Err(Error::Idle { peer: kept.peer.clone(), limit })
    }

    /// Handles the events of the streams that [`register`](Self::register) added. Returns `true` if
    /// one of them has closed.
    fn is_over(&mut self, events: &mut Events) -> Result<bool, Error> {
        if events.take().read {
            match self.input.read(&mut [0; 4096]) {
                Ok(1..) => {}
                Err(error) if sys::is_transient(&error) => {}
                Ok(0) | Err(_) => return Ok(true),
            }
        }
        let Some((remote, want)) = self.remote() else { return Ok(false) };
        let ready = remote.ready(want, events);
        let Some(remote) = self.kept.as_mut().and_then(|kept| kept.remote_mut()) else {
            return Ok(false);
        };
        if ready.write {
            // If flushing fails, the next read from the connection fails, too.
            let _ = remote.flush();
        }
        if !want.read || !ready.read {
            return Ok(false);
        }
        match remote.peek(&mut [0; 1]) {
            Ok(0) => Ok(true),
            Ok(_) => {
                self.watches_remote = false;
                Ok(false)
            }
            Err(error) if sys::is_transient(&error) => Ok(false),
            Err(cause) => {
                let peer = self.kept.as_ref().map(|kept| kept.peer.clone());
                Err(peer.map_or(Error::ClientGone, |peer| Error::remote(peer, cause, false)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::*;
    use crate::addr::Host;
    use crate::error::Peer;
    use crate::plan::Target;
    use crate::stream::Layered;
    use crate::stream::testing::Frames;

    /// Regression test: the first listener was served for as long as it had clients.
    #[test]
    fn a_flood_of_clients_at_one_listener_starved_the_others() {
        let at = ListenAddress::Tcp { host: Host::parse("127.0.0.1").unwrap(), port: 0 };
        let acceptor = Acceptor::open(&[at.clone(), at.clone(), at], &SocketSettings::default()).unwrap();
        let addresses: Vec<_> =
            acceptor.listeners.iter().map(|listener| listener.address().unwrap()).collect();
        let connect = |index: usize| TcpStream::connect(addresses[index]).unwrap();
        let _clients = [0, 0, 0, 2, 0, 1].map(connect);
        let served: Vec<_> = (0..6)
            .map(|_| {
                let client = acceptor.next_client(None).unwrap().unwrap();
                addresses.iter().position(|address| *address == client.addrs.unwrap().0).unwrap()
            })
            .collect();
        assert_eq!(served, [0, 1, 2, 0, 0, 0]);
    }

    /// The remote did not receive the client's last bytes until the next client came, and the wait
    /// for that client occupied a processor.
    #[test]
    fn bytes_that_a_layer_held_after_a_client_of_a_kept_port_were_not_sent() {
        let connected = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            (Channel::socket(stream), peer)
        };
        let at = ListenAddress::Tcp { host: Host::parse("127.0.0.1").unwrap(), port: 0 };
        for watches_remote in [true, false] {
            let acceptor = Acceptor::open(std::slice::from_ref(&at), &SocketSettings::default()).unwrap();
            let (input, input_peer) = connected();
            let (remote, mut remote_peer) = connected();
            let mut remote = Layered::new(Box::new(remote), Frames::default());
            let mut sent = 0;
            while let Ok(count) = remote.write(&[7; 200]) {
                sent += count / 200 * 201;
            }
            let reader = thread::spawn(move || {
                remote_peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let received = remote_peer.read_exact(&mut vec![0; sent]).map(|()| remote_peer);
                // Ends the wait.
                drop(input_peer);
                received
            });
            let peer = Peer::target(&Target::Unix("somewhere".into()));
            let mut kept = KeptSession::new(Box::new(remote), peer);
            let between = Between { input: &input, kept: Some(&mut kept), idle: None, watches_remote };
            assert!(acceptor.next_client(Some(between)).unwrap().is_none());
            reader.join().unwrap().unwrap();
        }
    }

    #[test]
    fn the_connection_of_a_client_has_the_keep_alive_of_the_others() {
        let at = ListenAddress::Tcp { host: Host::parse("127.0.0.1").unwrap(), port: 0 };
        for keep_alive in [Some(Duration::from_secs(30)), None] {
            let settings = SocketSettings { keep_alive, ..SocketSettings::default() };
            let acceptor = Acceptor::open(std::slice::from_ref(&at), &settings).unwrap();
            let _theirs = TcpStream::connect(acceptor.listeners[0].address().unwrap()).unwrap();
            let client = acceptor.next_client(None).unwrap().unwrap();
            let socket = socket2::SockRef::from(&client.channel);
            assert_eq!(socket.keepalive().unwrap(), keep_alive.is_some());
            // On Windows, the time cannot be read back.
            #[cfg(unix)]
            assert!(keep_alive.is_none_or(|time| socket.tcp_keepalive_time().unwrap() == time));
        }
    }
}
