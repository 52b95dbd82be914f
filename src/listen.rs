//! Accepts clients on local ports and sockets, and connects each to the target (`-p`, `-P`,
//! `--listen`).

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::addr::{Host, LOOPBACK, SpecialUse};
use crate::connector::{Connector, check_ending};
use crate::error::Error;
use crate::net::Tunnel;
use crate::plan::{ListenAddress, RelaySettings, SocketSettings};
use crate::relay::{self, Ending, KeptSession, Pool};
use crate::sys::{self, Channel, Client, Listener, Ready, Termination};
use crate::trace::{self, trace};

/// Stack size of a session's thread. The system's resolver needs most of it.
const STACK_SIZE: usize = 256 * 1024;
/// Memory, in bytes, that must be available when a client is accepted. A session needs less, not
/// counting what the libraries allocate for TLS and name resolution.
const SESSION_MEMORY: usize = 512 * 1024;
/// Delay before accepting again after an error, usually a lack of file descriptors, memory or
/// threads.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Minimum interval between reports of clients that could not be served.
const ACCEPT_ERROR_INTERVAL: Duration = Duration::from_secs(10);
/// How many ports to try if the system chooses one that is not free at every address.
const MAX_PORTS_TRIED: usize = 32;

/// Runs `-p`: connects the first client to the target, and returns when that session ends.
///
/// # Errors
/// The port could not be opened, or the session failed.
pub fn serve_once(connector: Connector, at: &ListenAddress) -> Result<(), Error> {
    let mut acceptor = Acceptor::open(std::slice::from_ref(at), &connector.plan().sockets)?;
    let Some(client) = acceptor.next_client(Vec::new(), None)? else { return Ok(()) };
    // Close the port, so that further clients are refused.
    acceptor.listeners.clear();
    if acceptor.begin_session()? {
        return Ok(());
    }
    let settings = connector.plan().relay;
    let warning = serve_client(&client, connector.connect_once(Some(&client)), settings, &Pool::default())?;
    if let Some(warning) = warning {
        trace::message(&format!("warning: {}", warning.user_message()));
    }
    Ok(())
}

/// Runs `-P`: connects one client after another to a single session with the target. Returns when
/// the target closes the session, or when standard input reaches EOF while no client is connected.
///
/// # Errors
/// The port could not be opened, the target could not be reached, or the session failed.
pub fn serve_kept(connector: Connector, at: &ListenAddress) -> Result<(), Error> {
    let acceptor = Acceptor::open(std::slice::from_ref(at), &connector.plan().sockets)?;
    let input = Channel::stdin().map_err(|cause| Error::System { what: "use standard input", cause })?;
    let Some(input) = input else { return Ok(()) };
    let settings = connector.plan().relay;
    let (mut connector, mut remote) = (Some(connector), None);
    let mut kept = KeptSession::default();
    while !kept.remote_ended {
        // While data is pending, do not stop when the remote closes, because the next client must
        // still get that data.
        let remote_to_watch = remote.as_ref().filter(|_| kept.pending.is_empty());
        let watched = [Some(CloseWatch::Input(&input)), remote_to_watch.map(CloseWatch::Remote)];
        let idle = remote.as_ref().zip(settings.idle);
        let Some(client) = acceptor.next_client(watched.into_iter().flatten().collect(), idle)? else {
            break;
        };
        if acceptor.begin_session()? {
            return Ok(());
        }
        if let Some(waiting) = &connector {
            match waiting.connect(Some(&client)) {
                Ok(tunnel) => {
                    tunnel.channel.set_reset_on_exit(true);
                    (remote, connector) = (Some(tunnel), None);
                }
                // This client gave up, but the next one may wait long enough for us to reach the
                // target.
                Err(error @ Error::ClientGone) => {
                    trace!("{error}");
                    acceptor.end_session();
                    continue;
                }
                Err(error) => {
                    client.channel.reset_on_close();
                    return Err(error);
                }
            }
        }
        let Some(remote) = &remote else { return Ok(()) };
        trace!("start relaying.");
        match relay::relay_kept(&client.channel, &remote.channel, &mut kept, &remote.peer, settings) {
            // The client is gone. With `-P` the session outlives it.
            Ok(()) | Err(Error::ReaderGone | Error::Input(_) | Error::Output(_)) => trace!("relaying done."),
            Err(error) => return Err(error),
        }
        trace!("closing local port without disconnecting from remote");
        acceptor.end_session();
    }
    // A signal cuts the session with the target off. The other ends of the wait are clean.
    if let Some(remote) = remote.filter(|_| !acceptor.has_signal().unwrap_or(true)) {
        remote.channel.set_reset_on_exit(false);
        kept.remote_ended |= matches!(CloseWatch::Remote(&remote).peek(), Peeked::Closed);
        if kept.remote_ended && !kept.has_received {
            check_ending(&remote, Ending::Silent { after_local: false, has_sent: true })?;
        }
    }
    Ok(())
}

/// Runs `--listen`: connects each client to the target through its own tunnel, until a termination
/// signal arrives. Errors in a tunnel are printed to standard error and do not stop the listeners.
///
/// # Errors
/// A listener could not be opened.
pub fn serve_all(connector: Connector, at: &[ListenAddress]) -> Result<(), Error> {
    sys::raise_descriptor_limit();
    let acceptor = Acceptor::open(at, &connector.plan().sockets)?;
    let shared = Arc::new((connector, Pool::default()));
    // Do not let messages hold up the clients if nobody reads standard error.
    trace::never_block();
    let mut report = ErrorReport::default();
    loop {
        let client = match acceptor.next_client(Vec::new(), None) {
            Ok(Some(client)) => client,
            Ok(None) => return Ok(()),
            Err(error) => {
                report.error(&error);
                thread::sleep(ACCEPT_RETRY_DELAY);
                continue;
            }
        };
        if let Err(cause) = start_session(client, &shared) {
            report.error(&Error::System { what: "serve a client", cause });
            thread::sleep(ACCEPT_RETRY_DELAY);
        }
    }
}

/// Starts a thread that serves a client of `--listen`.
///
/// # Errors
/// Too little memory is available, or the thread cannot be started. In both cases the client's
/// connection is reset.
fn start_session(client: Client, shared: &Arc<(Connector, Pool)>) -> io::Result<()> {
    // Share the client with the thread instead of moving it, so that its connection can be reset if
    // the thread cannot be started.
    let (client, shared) = (Arc::new(client), Arc::clone(shared));
    let run = {
        let client = Arc::clone(&client);
        move || serve_and_report(client, &shared)
    };
    let started = if sys::can_allocate(SESSION_MEMORY) {
        thread::Builder::new().stack_size(STACK_SIZE).spawn(run).map(drop)
    } else {
        Err(io::ErrorKind::OutOfMemory.into())
    };
    // Reset, or the client would mistake a clean close for an empty answer from the target.
    started.inspect_err(|_| client.channel.reset_on_close())
}

/// Serves a client of `--listen`, and prints the error if that fails.
fn serve_and_report(client: Arc<Client>, (connector, pool): &(Connector, Pool)) {
    let result = serve_client(&client, connector.connect(Some(&client)), connector.plan().relay, pool);
    let name = client.name.clone();
    // Close the connection first: the client must not wait until the message is written.
    drop(client);
    match result {
        Ok(None) => {}
        Ok(Some(warning)) => trace::message(&format!("client {name}: warning: {}", warning.user_message())),
        Err(error @ Error::ClientGone) => trace!("client {name}: {error}"),
        Err(error) if error.is_silent() => trace!("client {name} went away"),
        Err(error @ Error::Client { .. }) => trace::message(&error.user_message()),
        Err(error) => trace::message(&format!("client {name}: {}", error.user_message())),
    }
}

/// Reports clients that could not be served, at most one per [`ACCEPT_ERROR_INTERVAL`].
#[derive(Default)]
struct ErrorReport {
    last: Option<Instant>,
    /// The number of errors since the last report.
    unreported: u32,
}

impl ErrorReport {
    fn error(&mut self, error: &Error) {
        if self.last.is_some_and(|last| last.elapsed() < ACCEPT_ERROR_INTERVAL) {
            self.unreported += 1;
            return;
        }
        let count = std::mem::take(&mut self.unreported);
        let more =
            if count > 0 { format!(" ({count} more errors since the last report)") } else { String::new() };
        trace::message(&format!("{error}{more}"));
        self.last = Some(Instant::now());
    }
}

/// Relays between a client and its tunnel. Returns a warning if the target sent nothing, but the
/// client may have expected nothing.
fn serve_client(
    client: &Client,
    remote: Result<Tunnel, Error>,
    settings: RelaySettings,
    pool: &Pool,
) -> Result<Option<Error>, Error> {
    // Reset, or the client would mistake a clean close for an empty answer from the target.
    let remote = remote.inspect_err(|_| client.channel.reset_on_close())?;
    remote.channel.set_reset_on_exit(true);
    trace!("start relaying.");
    let result = relay::relay_client(&client.channel, &remote.channel, &remote.peer, settings, pool);
    let ending = result.map_err(|error| match error {
        Error::Input(cause) | Error::Output(cause) => Error::Client { address: client.name.clone(), cause },
        other => other,
    })?;
    trace!("relaying done.");
    Ok(check_ending(&remote, ending)?.filter(|_| settings.warns))
}

/// Opens the listeners for one address of the plan: several if a name has several addresses.
fn listen(at: &ListenAddress) -> Result<Vec<Listener>, Error> {
    trace!("Creating source port to forward.");
    let failed = |cause| Error::Listen { address: at.clone(), cause };
    let listeners = match at {
        ListenAddress::Unix(path) => vec![Listener::unix(path).map_err(failed)?],
        ListenAddress::Tcp { host, port } => {
            let addresses = addresses(host, *port).map_err(failed)?;
            let bound = bind_all(&addresses, &mut sys::bind_tcp);
            let bound = bound.map_err(|(address, cause)| {
                let (host, port) = (Host::Ip(address.ip()), address.port());
                let address =
                    if addresses.len() > 1 { ListenAddress::Tcp { host, port } } else { at.clone() };
                Error::Listen { address, cause }
            })?;
            bound.into_iter().map(Listener::tcp).collect::<Result<_, _>>().map_err(failed)?
        }
        ListenAddress::SystemdSocket(number) => vec![Listener::passed(*number).map_err(failed)?],
    };
    for bound in listeners.iter().filter_map(Listener::address) {
        trace!("waiting new connection at port {} ({bound})", bound.port());
    }
    Ok(listeners)
}

/// Returns the addresses of a host, all with this port.
fn addresses(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    match host {
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, port)]),
        // No name server or hosts file decides which addresses are this machine.
        Host::Name(name) if name.is_localhost() => Ok(LOOPBACK.map(|ip| SocketAddr::new(ip, port)).to_vec()),
        Host::Name(name) => {
            if let Some(why) = name.special_use().and_then(SpecialUse::why_unresolvable) {
                return Err(io::Error::other(why));
            }
            let mut addresses = Vec::new();
            for address in (name.as_str(), port).to_socket_addrs()? {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            Ok(addresses)
        }
    }
}

/// The listeners at all addresses of a host, or the address that could not be bound and the error.
type Bound = Result<Vec<TcpListener>, (SocketAddr, io::Error)>;

/// Binds the same port at each address, because some clients try only one of a name's addresses.
/// Skips addresses that this machine lacks, such as `::1` without IPv6, unless it lacks all of
/// them. For port 0, the system chooses a port that is free at each address.
///
/// # Errors
/// A port that another process uses at one of the addresses is an error, because clients could
/// reach that process instead of us.
fn bind_all(addresses: &[SocketAddr], bind: &mut dyn FnMut(SocketAddr) -> io::Result<TcpListener>) -> Bound {
    let is_chosen = addresses.first().is_some_and(|address| address.port() == 0);
    let is_taken = |cause: &io::Error| {
        matches!(cause.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
    };
    for _ in 1..MAX_PORTS_TRIED {
        match bind_once(addresses, bind) {
            Err((_, cause)) if is_chosen && is_taken(&cause) => {}
            bound => return bound,
        }
    }
    bind_once(addresses, bind)
}

/// Does what [`bind_all`] does, but tries only one of the ports that the system can choose.
fn bind_once(addresses: &[SocketAddr], bind: &mut dyn FnMut(SocketAddr) -> io::Result<TcpListener>) -> Bound {
    let (mut listeners, mut port, mut missing) = (Vec::new(), None, None);
    for &(mut address) in addresses {
        address.set_port(port.unwrap_or(address.port()));
        match bind(address).and_then(|listener| Ok((listener.local_addr()?.port(), listener))) {
            Ok((bound, listener)) => {
                port = Some(bound);
                listeners.push(listener);
            }
            Err(error) if sys::is_missing_address(&error) => missing = missing.or(Some((address, error))),
            Err(error) => return Err((address, error)),
        }
    }
    missing.filter(|_| listeners.is_empty()).map_or(Ok(listeners), Err)
}

/// Accepts clients on one or more listeners, until a termination signal arrives.
struct Acceptor {
    listeners: Vec<Listener>,
    /// The index of the listener to serve first. It follows the one that was served last, so that a
    /// flood of clients at one listener does not starve the others.
    first: Cell<usize>,
    termination: Termination,
    /// How long a client may send nothing before TCP probes it; `None` for no probes.
    keep_alive: Option<Duration>,
}

impl Acceptor {
    /// Installs the signal handlers before it opens the listeners, so that a signal cannot leave a
    /// UNIX-domain socket behind.
    fn open(at: &[ListenAddress], settings: &SocketSettings) -> Result<Self, Error> {
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
        let listeners = opened.into_iter().flatten().collect();
        Ok(Self { listeners, first: Cell::new(0), termination, keep_alive: settings.keep_alive })
    }

    /// Lets a signal kill the process from now on. Both connections of the session are then reset
    /// (`Channel::set_reset_on_exit`), and the exit status says that it was cut off. Returns `true`
    /// if a signal is already pending.
    fn begin_session(&self) -> Result<bool, Error> {
        self.termination.set_fatal(true);
        self.has_signal()
    }

    /// Lets a signal end only the wait for the next client.
    fn end_session(&self) {
        self.termination.set_fatal(false);
    }

    /// Returns `true` if a signal is pending.
    fn has_signal(&self) -> Result<bool, Error> {
        let mut watches = [sys::watch(&self.termination, true, false)];
        sys::poll(&mut watches, Some(Duration::ZERO))
            .map_err(|cause| Error::System { what: "watch for signals", cause })
    }

    /// Waits for the next client. Returns `None` on a termination signal, or when one of the
    /// `close_watches` closes.
    ///
    /// # Errors
    /// [`Error::Idle`] if the kept session in `idle` exceeds its idle timeout during the wait,
    /// [`Error::Remote`] if its connection is lost, or [`Error::System`].
    fn next_client(
        &self,
        mut close_watches: Vec<CloseWatch<'_>>,
        idle: Option<(&Tunnel, Duration)>,
    ) -> Result<Option<Client>, Error> {
        let failed = |what| move |cause| Error::System { what, cause };
        let started = Instant::now();
        loop {
            let mut watches = vec![sys::watch(&self.termination, true, false)];
            watches.extend(self.listeners.iter().map(|listener| sys::watch(listener, true, false)));
            watches.extend(close_watches.iter().map(|end| sys::watch(end.channel(), true, false)));
            let left = idle.map(|(_, limit)| limit.saturating_sub(started.elapsed()));
            let is_ready = sys::poll(&mut watches, left).map_err(failed("wait for a client"))?;
            if let (false, Some((kept, limit))) = (is_ready, idle) {
                kept.channel.reset_on_close();
                return Err(Error::Idle { peer: kept.peer.clone(), limit });
            }
            let ready: Vec<_> = watches.iter().map(|watch| Ready::from_watch(watch).read).collect();
            drop(watches);
            let (signal, ready) = ready.split_at(1);
            let (clients, closing) = ready.split_at(self.listeners.len());
            if signal[0] {
                return Ok(None);
            }
            for index in (0..close_watches.len()).rev().filter(|&index| closing[index]) {
                match close_watches[index].peek() {
                    Peeked::Closed => return Ok(None),
                    Peeked::Failed(error) => return Err(error),
                    Peeked::Open => {}
                    Peeked::HasData => drop(close_watches.remove(index)),
                }
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
                        return Ok(Some(client));
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

/// A channel to watch while waiting for a client: if it closes, the wait ends.
enum CloseWatch<'a> {
    /// Standard input. Data that arrives while no client is connected is discarded.
    Input(&'a Channel),
    /// The remote connection that is kept open between clients. Data that arrives between two
    /// clients is for the next one.
    Remote(&'a Tunnel),
}

/// The result of [`CloseWatch::peek`].
enum Peeked {
    Closed,
    Failed(Error),
    Open,
    /// Data for the next client is available. EOF is not visible until that data has been read, so
    /// the channel no longer needs to be polled.
    HasData,
}

impl CloseWatch<'_> {
    fn channel(&self) -> &Channel {
        match self {
            Self::Input(channel) => channel,
            Self::Remote(tunnel) => &tunnel.channel,
        }
    }

    fn peek(&self) -> Peeked {
        let (result, after_data) = match self {
            Self::Input(input) => (input.read(&mut [0; 4096]), Peeked::Open),
            Self::Remote(remote) => (remote.channel.peek(&mut [0; 1]), Peeked::HasData),
        };
        match result {
            Ok(0) => Peeked::Closed,
            Ok(_) => after_data,
            Err(error) if sys::is_transient(&error) => Peeked::Open,
            Err(cause) => match self {
                Self::Input(_) => Peeked::Closed,
                Self::Remote(remote) => Peeked::Failed(Error::Remote { peer: remote.peer.clone(), cause }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::TcpStream;

    use super::*;

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
                let client = acceptor.next_client(Vec::new(), None).unwrap().unwrap();
                addresses.iter().position(|address| *address == client.addrs.unwrap().0).unwrap()
            })
            .collect();
        assert_eq!(served, [0, 1, 2, 0, 0, 0]);
    }

    /// Calls [`bind_all`], and lets it fail where `fails` returns an error for an address. Returns
    /// the addresses that it tried to bind, too.
    fn bound_with(
        host: &str,
        mut fails: impl FnMut(SocketAddr) -> Option<io::ErrorKind>,
    ) -> (Bound, Vec<SocketAddr>) {
        let mut asked = Vec::new();
        let bound = bind_all(&addresses(&Host::parse(host).unwrap(), 0).unwrap(), &mut |address| {
            asked.push(address);
            fails(address).map_or_else(|| TcpListener::bind(address), |error| Err(error.into()))
        });
        (bound, asked)
    }

    #[test]
    fn a_port_that_is_free_at_one_address_only_was_not_replaced() {
        let mut taken = None;
        let (bound, asked) = bound_with("localhost", |address| {
            let is_first = address.is_ipv6() && taken.is_none();
            is_first.then(|| {
                taken = Some(address.port());
                io::ErrorKind::AddrInUse
            })
        });
        let bound: Vec<_> = bound.unwrap().iter().map(|each| each.local_addr().unwrap()).collect();
        assert_eq!(bound.iter().map(SocketAddr::ip).collect::<Vec<_>>(), LOOPBACK);
        assert_eq!(bound[0].port(), bound[1].port());
        assert_eq!((asked.len(), asked[1].port()), (4, taken.unwrap()));
        // Nor does it try forever.
        let (bound, asked) =
            bound_with("localhost", |address| address.is_ipv6().then_some(io::ErrorKind::AddrInUse));
        assert_eq!((bound.is_err(), asked.len()), (true, 2 * MAX_PORTS_TRIED));
    }

    #[test]
    fn a_machine_without_one_of_the_address_families_serves_the_other() {
        let missing = io::ErrorKind::AddrNotAvailable;
        for is_missing in [SocketAddr::is_ipv4, SocketAddr::is_ipv6] {
            let (bound, _) = bound_with("localhost", |address| is_missing(&address).then_some(missing));
            let bound = bound.unwrap();
            assert!(matches!(bound.as_slice(), [other] if !is_missing(&other.local_addr().unwrap())));
        }
        for (host, first) in [("localhost", LOOPBACK[0]), ("::1", LOOPBACK[1])] {
            let (bound, _) = bound_with(host, |_| Some(missing));
            assert!(matches!(bound, Err((address, _)) if address.ip() == first), "{host}");
        }
    }

    #[test]
    fn the_connection_of_a_client_has_the_keep_alive_of_the_others() {
        let at = ListenAddress::Tcp { host: Host::parse("127.0.0.1").unwrap(), port: 0 };
        for keep_alive in [Some(Duration::from_secs(30)), None] {
            let acceptor = Acceptor::open(
                std::slice::from_ref(&at),
                &SocketSettings { keep_alive, ..SocketSettings::default() },
            )
            .unwrap();
            let _theirs = TcpStream::connect(acceptor.listeners[0].address().unwrap()).unwrap();
            let client = acceptor.next_client(Vec::new(), None).unwrap().unwrap();
            let socket = socket2::SockRef::from(&client.channel);
            assert_eq!(socket.keepalive().unwrap(), keep_alive.is_some());
            // On Windows, the time cannot be read back.
            #[cfg(unix)]
            assert!(keep_alive.is_none_or(|time| socket.tcp_keepalive_time().unwrap() == time));
        }
    }

    #[test]
    fn errors_are_reported_once_per_interval() {
        let mut report = ErrorReport::default();
        for count in 0..3 {
            report.error(&Error::ClientGone);
            assert_eq!(report.unreported, count);
        }
    }
}
