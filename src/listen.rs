//! The program as a server: local ports and sockets whose clients are joined to the target.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::addr::Host;
use crate::connector::Connector;
use crate::error::Error;
use crate::net::Tunnel;
use crate::plan::{ListenAddress, RelaySettings};
use crate::relay::{self, KeptSession, Pool};
use crate::sys::{self, Channel, Listener, Ready, Termination};
use crate::trace::{self, trace};

/// A thread that dials, negotiates and relays needs little more than the system's resolver does.
const STACK_SIZE: usize = 256 * 1024;
/// How long to wait before accepting again, when this machine is out of something.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// How long it is enough to have said so.
const ACCEPT_ERROR_INTERVAL: Duration = Duration::from_secs(10);

/// `-p`: joins the first client to the target, and ends with it.
///
/// # Errors
/// The port cannot be had, or the session failed.
pub fn serve_once(connector: Connector, at: &ListenAddress) -> Result<(), Error> {
    let mut acceptor = Acceptor::open(std::slice::from_ref(at))?;
    let Some((client, from)) = acceptor.next_client(Vec::new(), None)? else { return Ok(()) };
    acceptor.listeners.clear();
    if acceptor.restore_signal_defaults()? {
        return Ok(());
    }
    let how = connector.plan().relay;
    serve_client(&client, &from, connector.connect_once(Some(&client)), how, &Pool::default())
}

/// `-P`: joins one client after another to one session with the target, until that ends or standard input does.
///
/// # Errors
/// The port cannot be had, the target cannot be reached, or the session broke.
pub fn serve_kept(connector: Connector, at: &ListenAddress) -> Result<(), Error> {
    let acceptor = Acceptor::open(std::slice::from_ref(at))?;
    let input = Channel::stdin().map_err(|cause| Error::System { what: "use standard input", cause })?;
    let Some(input) = input else { return Ok(()) };
    let how = connector.plan().relay;
    let (mut connector, mut remote) = (Some(connector), None);
    let mut kept = KeptSession::default();
    while !kept.remote_ended {
        // Its end is behind what is pending, and that is for the next client.
        let at_rest = remote.as_ref().filter(|_| kept.pending.is_empty());
        let ends = [Some(CloseWatch::Input(&input)), at_rest.map(CloseWatch::Remote)];
        let idle = remote.as_ref().zip(how.idle);
        let Some((client, _)) = acceptor.next_client(ends.into_iter().flatten().collect(), idle)? else {
            return Ok(());
        };
        if acceptor.restore_signal_defaults()? {
            return Ok(());
        }
        if let Some(connector) = connector.take() {
            remote = Some(connector.connect_once(Some(&client)).inspect_err(|_| client.reset_on_close())?);
        }
        let Some(remote) = &remote else { return Ok(()) };
        trace!("start relaying.");
        match relay::relay_kept(&client, &remote.channel, &mut kept, &remote.peer, how) {
            // The client went away: that is what `-P` is for.
            Ok(()) | Err(Error::ReaderGone | Error::Input(_) | Error::Output(_)) => trace!("relaying done."),
            Err(error) => return Err(error),
        }
        trace!("closing local port without disconnecting from remote");
    }
    Ok(())
}

/// `--listen`: joins every client to the target by a tunnel of its own, until a signal ends it.
///
/// # Errors
/// A listener cannot be had. What befalls a tunnel is told on standard error, and the listeners live on.
pub fn serve_all(connector: Connector, at: &[ListenAddress]) -> Result<(), Error> {
    sys::raise_descriptor_limit();
    let acceptor = Acceptor::open(at)?;
    let shared = Arc::new((connector, Pool::default()));
    let mut told: Option<Instant> = None;
    loop {
        let (client, from) = match acceptor.next_client(Vec::new(), None) {
            Ok(Some(accepted)) => accepted,
            Ok(None) => return Ok(()),
            Err(error) => {
                // Not each time that it is tried again.
                if told.is_none_or(|told| told.elapsed() >= ACCEPT_ERROR_INTERVAL) {
                    trace::message(&error.to_string());
                    told = Some(Instant::now());
                }
                thread::sleep(ACCEPT_RETRY_DELAY);
                continue;
            }
        };
        let tunnel = Arc::clone(&shared);
        let run = move || {
            let (connector, pool) = &*tunnel;
            match serve_client(&client, &from, connector.connect(Some(&client)), connector.plan().relay, pool)
            {
                Ok(()) => {}
                Err(error) if error.is_silent() => trace!("client {from} went away"),
                Err(error @ Error::Client { .. }) => trace::message(&error.user_message()),
                Err(error) => trace::message(&format!("client {from}: {}", error.user_message())),
            }
        };
        if let Err(error) = thread::Builder::new().stack_size(STACK_SIZE).spawn(run) {
            trace::message(&format!("no thread for another client: {error}"));
            thread::sleep(ACCEPT_RETRY_DELAY);
        }
    }
}

/// One client, one tunnel.
fn serve_client(
    client: &Channel,
    from: &str,
    remote: Result<Tunnel, Error>,
    how: RelaySettings,
    pool: &Pool,
) -> Result<(), Error> {
    // An end without a byte could be all that the target had to say.
    let remote = remote.inspect_err(|_| client.reset_on_close())?;
    trace!("start relaying.");
    let ended = relay::relay_client(client, &remote.channel, &remote.peer, how, pool);
    ended.map_err(|error| match error {
        Error::Input(cause) | Error::Output(cause) => Error::Client { at: from.to_owned(), cause },
        other => other,
    })?;
    trace!("relaying done.");
    Ok(())
}

fn listen(at: &ListenAddress) -> Result<Listener, Error> {
    trace!("Creating source port to forward.");
    let listener = match at {
        ListenAddress::Unix(path) => Listener::unix(path),
        ListenAddress::Tcp { host, port } => bind(host, *port).and_then(Listener::tcp),
        ListenAddress::SystemdSocket(number) => Listener::passed(*number),
    };
    let listener = listener.map_err(|cause| Error::Listen { at: at.to_string(), cause })?;
    if let Some(bound) = listener.address() {
        trace!("waiting new connection at port {} ({bound})", bound.port());
    }
    Ok(listener)
}

/// The standard library sets `SO_REUSEADDR` where that means that a port is free again at once.
fn bind(host: &Host, port: u16) -> io::Result<TcpListener> {
    match host {
        Host::Ip(ip) => TcpListener::bind(SocketAddr::new(*ip, port)),
        Host::Name(name) => TcpListener::bind((name.as_str(), port)),
    }
}

/// Where clients come in, until a signal closes it.
struct Acceptor {
    listeners: Vec<Listener>,
    termination: Termination,
}

impl Acceptor {
    /// Signals are watched for before there is anything that a signal must not leave behind.
    fn open(at: &[ListenAddress]) -> Result<Self, Error> {
        let termination =
            Termination::watch().map_err(|cause| Error::System { what: "watch for signals", cause })?;
        let listeners = at.iter().map(listen).collect::<Result<_, _>>()?;
        Ok(Self { listeners, termination })
    }

    /// Before a session during which nobody looks for signals: from now on one ends the program at once, which has
    /// nothing to put in order. Returns whether one has come already.
    fn restore_signal_defaults(&self) -> Result<bool, Error> {
        self.termination.exit_on_signal();
        let mut watches = [sys::watch(&self.termination, true, false)];
        sys::poll(&mut watches, Some(Duration::ZERO))
            .map_err(|cause| Error::System { what: "watch for signals", cause })
    }

    /// Waits for a client. Nobody comes if a signal or one of the `ends` ends the waiting. It is an error that nobody
    /// has come for so long that the session which is kept for him is `idle`.
    fn next_client(
        &self,
        mut ends: Vec<CloseWatch<'_>>,
        idle: Option<(&Tunnel, Duration)>,
    ) -> Result<Option<(Channel, String)>, Error> {
        let failed = |what| move |cause| Error::System { what, cause };
        let started = Instant::now();
        loop {
            let mut watches = vec![sys::watch(&self.termination, true, false)];
            watches.extend(self.listeners.iter().map(|listener| sys::watch(listener, true, false)));
            watches.extend(ends.iter().map(|end| sys::watch(end.channel(), true, false)));
            let left = idle.map(|(_, limit)| limit.saturating_sub(started.elapsed()));
            let came = sys::poll(&mut watches, left).map_err(failed("wait for a client"))?;
            if let (false, Some((kept, limit))) = (came, idle) {
                kept.channel.reset_on_close();
                return Err(Error::Idle { peer: kept.peer.clone(), limit });
            }
            let ready: Vec<_> = watches.iter().map(|watch| Ready::from_watch(watch).read).collect();
            drop(watches);
            let (signal, ready) = ready.split_at(1);
            let (clients, ended) = ready.split_at(self.listeners.len());
            if signal[0] {
                return Ok(None);
            }
            for index in (0..ends.len()).rev().filter(|&index| ended[index]) {
                match ends[index].peek() {
                    Peeked::Ended => return Ok(None),
                    Peeked::Broken(error) => return Err(error),
                    Peeked::NotNow => {}
                    Peeked::HasData => drop(ends.remove(index)),
                }
            }
            for (listener, _) in self.listeners.iter().zip(clients).filter(|(_, ready)| **ready) {
                match listener.accept() {
                    Ok(accepted) => return Ok(Some(accepted)),
                    // It left again before we came to it.
                    Err(error)
                        if sys::is_transient(&error) || error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(cause) => return Err(failed("take a client")(cause)),
                }
            }
        }
    }
}

/// What ends the waiting for a client when it ends.
enum CloseWatch<'a> {
    /// Standard input. What is typed while nobody is connected is for nobody.
    Input(&'a Channel),
    /// The kept session. What it says while nobody is connected is for the next client.
    Remote(&'a Tunnel),
}

enum Peeked {
    Ended,
    Broken(Error),
    NotNow,
    /// It has something to say to the next client: until then it will not end.
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
        let (seen, then) = match self {
            Self::Input(input) => (input.read(&mut [0; 4096]), Peeked::NotNow),
            Self::Remote(remote) => (remote.channel.peek(&mut [0; 1]), Peeked::HasData),
        };
        match seen {
            Ok(0) => Peeked::Ended,
            Ok(_) => then,
            Err(error) if sys::is_transient(&error) => Peeked::NotNow,
            Err(cause) => match self {
                Self::Input(_) => Peeked::Ended,
                Self::Remote(remote) => Peeked::Broken(Error::Remote { peer: remote.peer.clone(), cause }),
            },
        }
    }
}
