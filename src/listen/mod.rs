//! Accepts clients on local ports and sockets, and connects each to the target (`-p`, `-P`,
//! `--listen`).

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::connector::{Connector, check_ending};
use crate::error::Error;
use crate::net::{Peers, Tunnel};
use crate::plan::{ListenAddress, ProxyServer};
use crate::relay::{self, Ending, KeptSession, Reactors};
use crate::stream::{self, Stream};
use crate::sys::{self, Channel, Client, Listener};
use crate::trace::{self, trace};
pub(crate) use acceptor::Acceptor;
use acceptor::Between;
pub(crate) use gate::{Gate, Lease, unix_time};
use handshakes::{Handlers, Handshakes, Ready};
pub(crate) use openers::Openers;
use proxy::{Proxy, ProxyClient, Session};
use unauthenticated::MAX_CONNECTIONS;

mod acceptor;
pub(crate) mod bind;
mod gate;
mod handshake;
mod handshakes;
mod openers;
mod post;
mod proxy;
mod report;
mod unauthenticated;
mod websocket;

pub use post::serve_post;
pub(crate) use report::{ErrorReport, Report, client_text};
pub(crate) use unauthenticated::Unauthenticated;
pub use websocket::serve_websocket;

/// Memory, in bytes, that must be available when a client is accepted. A session needs less, not
/// counting what the libraries allocate for TLS and name resolution.
const SESSION_MEMORY: usize = 512 * 1024;
/// Delay before accepting again after an error, usually a lack of file descriptors, memory or
/// threads.
pub(crate) const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Interval between checks for signals while no client is accepted.
const SIGNAL_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Runs `-p`: connects the first client to the target, and returns when that session ends.
///
/// # Errors
/// The port could not be opened, or the session failed.
pub fn serve_once(connector: Connector, at: &ListenAddress) -> Result<(), Error> {
    let mut acceptor = Acceptor::open(std::slice::from_ref(at), &connector.plan().sockets)?;
    let Some(client) = acceptor.next_client(None)? else { return Ok(()) };
    // Close the port, so that further clients are refused.
    acceptor.listeners.clear();
    if acceptor.begin_session()? {
        return Ok(());
    }
    let (settings, name) = (connector.plan().relay, client.name.clone());
    let (client, tunnel) = connect_client(client, |client| connector.connect_once(Some(client)))?;
    trace!("start relaying.");
    let Tunnel { stream, peers } = tunnel;
    let result = relay::relay_client(client, stream, peers.remote.clone(), settings);
    let warning = client_result(result, &name, &peers)?;
    trace!("relaying done.");
    if let Some(warning) = warning.filter(|_| settings.warns) {
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
    let (mut connector, mut kept, mut peers) = (Some(connector), None::<KeptSession>, None);
    while !kept.as_ref().is_some_and(|kept| kept.remote_ended) {
        let between =
            Between { input: &input, kept: kept.as_mut(), idle: settings.idle, watches_remote: true };
        let Some(client) = acceptor.next_client(Some(between))? else { break };
        if acceptor.begin_session()? {
            return Ok(());
        }
        if let Some(waiting) = &connector {
            match waiting.connect(Some(&client)) {
                Ok(Tunnel { mut stream, peers: all }) => {
                    stream.set_reset_on_exit(true);
                    (kept, connector) = (Some(KeptSession::new(stream, all.remote.clone())), None);
                    peers = Some(all);
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
        let Some(kept) = &mut kept else { return Ok(()) };
        trace!("start relaying.");
        match kept.relay(Box::new(client.channel), settings) {
            // The client is gone. With `-P` the session outlives it.
            Ok(()) | Err(Error::ReaderGone | Error::Input(_) | Error::Output(_)) => trace!("relaying done."),
            Err(error) if kept.has_received => return Err(error),
            Err(error) => {
                return Err(match &peers {
                    Some(peers) => peers.session_error(error),
                    None => error,
                });
            }
        }
        trace!("closing local port without disconnecting from remote");
        acceptor.end_session();
    }
    // A signal aborts the session with the target. Any other end of the wait is clean.
    let is_clean = !acceptor.has_signal().unwrap_or(true);
    let Some((mut kept, peers)) = kept.zip(peers).filter(|_| is_clean) else { return Ok(()) };
    let is_silent = kept.has_ended() && !kept.has_received;
    if let Some(mut remote) = kept.into_remote() {
        remote.set_reset_on_exit(false);
        stream::close(remote);
    }
    if is_silent {
        check_ending(&peers, Ok(Ending::Silent { after_local: false, has_sent: true }))?;
    }
    Ok(())
}

/// Runs `--listen`: connects each client to the target through its own tunnel, until a termination
/// signal arrives. Errors in a tunnel are printed to standard error and do not stop the listeners.
///
/// # Errors
/// A listener could not be opened, or the reactors could not be started.
pub fn serve_all(connector: Connector, at: &[ListenAddress]) -> Result<(), Error> {
    let reactors = start_reactors()?;
    let acceptor = Acceptor::open(at, &connector.plan().sockets)?;
    // The socket represents one at the other end of the link, such as that of an ssh agent.
    let only_same_user = connector.plan().hops().any(|hop| hop.protocol.multiplexes());
    let openers = Openers::new(move |client: Client| {
        let name = client.name.clone();
        let connected = connect_client(client, |client| connector.connect(Some(client)));
        let settings = connector.plan().relay;
        let opened = connected.map(|(client, tunnel)| (client, tunnel, settings));
        begin_session(name, opened, &reactors);
    });
    let serve = |_, client: Client| {
        if only_same_user && client.addrs.is_none() && !sys::is_same_user(&client.channel)? {
            trace::message(&format!("refused client {}: a process of another user", client.name));
            return Ok(());
        }
        openers.run(client)
    };
    accept_clients(&acceptor, |timeout| openers.wait_for_room(timeout), serve)
}

/// Runs `--listen` with a scheme: connects each client to the target that it names.
///
/// # Errors
/// See [`serve_all`]. The certificate for the clients could not be read.
pub fn serve_proxy(connector: Connector, server: ProxyServer) -> Result<(), Error> {
    let at: Vec<_> = server.listeners.iter().map(|(at, _)| at.clone()).collect();
    let mut proxy = Proxy::new(server)?;
    let reactors = start_reactors()?;
    let acceptor = Acceptor::open(&at, &connector.plan().sockets)?;
    connector.set_own_listeners(proxy.bound_to(acceptor.bound()));
    let proxy = Arc::new(proxy);
    let server = Arc::clone(&proxy);
    let handlers = Handlers {
        serve: Box::new(move |ready: Ready<_, ProxyClient>| {
            let name = ready.2.name.clone();
            begin_session(name, server.connect(ready, &connector), &reactors);
        }),
        failed: Box::new(|client, _, error| report_end(&client.name, Err(error))),
    };
    // Many programs on one machine may share the proxy, so there is no limit for an address.
    let limits = Unauthenticated::with_limits(MAX_CONNECTIONS, MAX_CONNECTIONS);
    let handshakes = Handshakes::start(limits, handlers)?;
    let serve = |_, client: Client| {
        let name = client.name.clone();
        match proxy.begin(client) {
            Ok(visit) => handshakes.add(visit),
            Err(error) => report_end(&name, Err(error)),
        }
        Ok(())
    };
    accept_clients(&acceptor, |timeout| handshakes.wait_for_room(timeout), serve)
}

/// Binds an address for a check, and releases it. Returns the addresses that were bound, none for a
/// UNIX-domain socket.
pub(crate) fn try_to_bind(at: &ListenAddress) -> Result<Vec<SocketAddr>, Error> {
    Ok(bind::listen(at)?.iter().filter_map(Listener::address).collect())
}

/// Prepares the process for as many clients as the system permits.
pub(crate) fn prepare_for_many_clients() {
    sys::raise_descriptor_limit();
    if let Some(limit) = sys::descriptor_limit() {
        trace!("limit of open files: {limit}");
    }
    sys::share_heap();
}

/// Starts the threads that relay. Called before the listeners are opened, so that clients never
/// wait for the threads.
pub(crate) fn start_reactors() -> Result<Reactors, Error> {
    prepare_for_many_clients();
    let count = thread::available_parallelism().map_or(1, NonZero::get);
    Reactors::start(count).map_err(|cause| Error::System { what: "start the threads that relay", cause })
}

/// Accepts clients until a termination signal arrives. `has_room` waits until more can be served,
/// at most for the given time. `serve` gets each client, with the index of its listener's address
/// in the plan, and must not block.
fn accept_clients(
    acceptor: &Acceptor,
    has_room: impl Fn(Duration) -> bool,
    serve: impl Fn(usize, Client) -> io::Result<()>,
) -> Result<(), Error> {
    // Do not let messages hold up the clients if nobody reads standard error.
    trace::never_block();
    let mut report = ErrorReport::default();
    loop {
        while !has_room(SIGNAL_CHECK_INTERVAL) {
            if acceptor.has_signal()? {
                return Ok(());
            }
        }
        let (index, client) = match acceptor.next_client_at(None) {
            Ok(Some(accepted)) => accepted,
            Ok(None) => return Ok(()),
            Err(error) => {
                report.error(&error);
                thread::sleep(ACCEPT_RETRY_DELAY);
                continue;
            }
        };
        // A client that is not served is dropped, which resets its connection
        // (`Channel::set_reset_on_exit`).
        let served = if sys::can_allocate(SESSION_MEMORY) {
            serve(index, client)
        } else {
            Err(io::ErrorKind::OutOfMemory.into())
        };
        if let Err(cause) = served {
            report.error(&Error::System { what: "serve a client", cause });
            thread::sleep(ACCEPT_RETRY_DELAY);
        }
    }
}

/// Passes the session of a client to a reactor, or reports why there is none.
fn begin_session(name: String, opened: Result<Session, Error>, reactors: &Reactors) {
    match opened {
        Ok((client, Tunnel { stream, peers }, settings)) => {
            trace!("start relaying.");
            let first = peers.remote.clone();
            let report = move |result| {
                let result = client_result(result, &name, &peers);
                report_end(&name, result.map(|warning| warning.filter(|_| settings.warns)));
            };
            reactors.relay(client, stream, first, settings, Box::new(report));
        }
        Err(error) => report_end(&name, Err(error)),
    }
}

/// Prints why a session of `--listen` failed, or a warning. Called once the client's connection is
/// closed, so that the client does not wait until the message is written.
pub(crate) fn report_end(name: &str, result: Result<Option<Error>, Error>) {
    match result {
        Ok(None) => trace!("relaying done."),
        Ok(Some(warning)) => trace::message(&format!("client {name}: warning: {}", warning.user_message())),
        Err(error @ Error::ClientGone) => trace!("client {name}: {error}"),
        Err(error) if error.is_silent() => trace!("client {name} went away"),
        Err(error @ Error::Client { .. }) => trace::message(&error.user_message()),
        Err(error) => trace::message(&format!("client {name}: {}", error.user_message())),
    }
}

/// Connects to the target for a client. Returns both ends of the session, which are reset unless it
/// ends cleanly.
fn connect_client(
    client: Client,
    connect: impl FnOnce(&Client) -> Result<Tunnel, Error>,
) -> Result<(Box<dyn Stream>, Tunnel), Error> {
    // Reset, or the client would mistake a clean close for an empty answer from the target.
    let mut tunnel = connect(&client).inspect_err(|_| client.channel.reset_on_close())?;
    tunnel.stream.set_reset_on_exit(true);
    Ok((Box::new(client.channel), tunnel))
}

/// Names the client in the error of its session. Returns a warning if the target sent nothing and
/// the client may have expected nothing.
pub(crate) fn client_result(
    result: Result<Ending, Error>,
    name: &str,
    peers: &Peers,
) -> Result<Option<Error>, Error> {
    let result = result.map_err(|error| match error {
        Error::Input(cause) | Error::Output(cause) => Error::Client { address: name.into(), cause },
        other => other,
    });
    check_ending(peers, result)
}
