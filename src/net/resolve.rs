//! Names to addresses, by the system's resolver unless a name server is given.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};

use super::deadline::Deadline;
use super::waiting::Wait;
use crate::addr::{Endpoint, Host, Name};
use crate::error::{Error, Peer};
use crate::plan::Target;
use crate::trace::trace;

/// Why a name has no address.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    TimedOut,
    /// This name server did not answer in this time.
    #[cfg_attr(not(feature = "dns"), expect(dead_code, reason = "there is none to ask"))]
    Silent {
        server: SocketAddr,
        limit: Duration,
    },
    Unknown(String),
}

impl Failure {
    pub(super) fn unknown(cause: &str) -> Self {
        Self::Unknown(cause.to_owned())
    }

    pub(super) fn cause(&self) -> &str {
        match self {
            Self::TimedOut | Self::Silent { .. } => "timed out",
            Self::Unknown(cause) => cause,
        }
    }

    pub(super) fn into_error(self, peer: Peer, deadline: &Deadline, explicit: bool) -> Error {
        match self {
            Self::TimedOut => Error::TimedOut {
                peer,
                doing: "has a name that was not resolved".into(),
                limit: deadline.limit(),
            },
            Self::Silent { server, limit } => Error::TimedOut {
                peer,
                doing: format!("has a name that name server {server} did not resolve"),
                limit,
            },
            Self::Unknown(cause) => Error::Resolve { peer, cause, explicit },
        }
    }
}

/// What is waited for, as it reads at the terminal.
const ADDRESS: &str = "the address of its name";

/// All addresses of a peer, of both families; the system orders its own by preference (RFC 6724).
pub(super) fn addresses(
    peer: &Peer,
    server: Option<SocketAddr>,
    deadline: &Deadline,
) -> Result<Vec<SocketAddr>, Error> {
    let Target::Tcp(Endpoint { host, port }) = &peer.address else { return Ok(Vec::new()) };
    let name = match host {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, port.get())]),
        Host::Name(name) => name,
    };
    let mut found = lookup_sockets(name, server, &Wait::new(peer, ADDRESS, deadline))
        .map_err(|failure| failure.into_error(peer.clone(), deadline, false))?;
    for address in &mut found {
        address.set_port(port.get());
        trace!("resolved: {} ({})", name.as_str(), address.ip());
    }
    Ok(found)
}

/// All addresses of the name of a peer.
pub(super) fn lookup(
    name: &Name,
    peer: &Peer,
    server: Option<SocketAddr>,
    deadline: &Deadline,
) -> Result<Vec<IpAddr>, Failure> {
    let found = lookup_sockets(name, server, &Wait::new(peer, ADDRESS, deadline))?;
    Ok(found.iter().map(SocketAddr::ip).collect())
}

/// Keeps the zone of an IPv6 address, which an [`IpAddr`] cannot.
fn lookup_sockets(
    name: &Name,
    server: Option<SocketAddr>,
    until: &Wait<'_>,
) -> Result<Vec<SocketAddr>, Failure> {
    trace!("resolving host by name: {}", name.as_str());
    // An address with a zone is a name that only the system understands.
    if let Some(server) = server.filter(|_| !name.as_str().contains(':')) {
        let found = ask(name, server, until)?;
        return Ok(found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect());
    }
    // Only from a thread of its own can it be left behind, or be told of.
    if until.deadline.left().is_none() && !until.may_be_told() {
        return system_lookup(name);
    }
    shared_lookup(name, until, system_lookup)
}

type Found = Result<Vec<SocketAddr>, Failure>;

/// A lookup by the system, which cannot be interrupted, but can be left behind.
#[derive(Default)]
struct Lookup {
    found: Mutex<Option<Found>>,
    done: Condvar,
}

impl Lookup {
    /// Waits for so long; nothing if it is not done by then.
    fn wait(&self, patience: Option<Duration>) -> Option<Found> {
        let patience = patience.unwrap_or(Duration::MAX);
        let found = self.done.wait_timeout_while(locked(&self.found), patience, |found| found.is_none());
        let (found, _) = found.unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }
}

/// Those that go on. A name has one at most, so that a listener whose sessions all give up does not leave a thread behind
/// for each of them.
static LOOKUPS: Mutex<BTreeMap<String, Arc<Lookup>>> = Mutex::new(BTreeMap::new());

fn shared_lookup(name: &Name, until: &Wait<'_>, ask_system: fn(&Name) -> Found) -> Found {
    let mut lookups = locked(&LOOKUPS);
    let lookup = if let Some(going_on) = lookups.get(name.as_str()) {
        Arc::clone(going_on)
    } else {
        let lookup = Arc::<Lookup>::default();
        let (asked, on_thread) = (name.clone(), Arc::clone(&lookup));
        let work = move || {
            let found = ask_system(&asked);
            locked(&LOOKUPS).remove(asked.as_str());
            *locked(&on_thread.found) = Some(found);
            on_thread.done.notify_all();
        };
        if thread::Builder::new().name("resolver".into()).spawn(work).is_err() {
            drop(lookups);
            return ask_system(name);
        }
        lookups.insert(name.as_str().to_owned(), Arc::clone(&lookup));
        lookup
    };
    drop(lookups);
    let found = until.in_pieces(until.deadline.left(), |piece| lookup.wait(piece));
    found.unwrap_or(Err(Failure::TimedOut))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(feature = "dns")]
use super::dns::lookup as ask;

#[cfg(not(feature = "dns"))]
fn ask(_: &Name, _: SocketAddr, _: &Wait<'_>) -> Result<Vec<IpAddr>, Failure> {
    Err(Failure::unknown("this build has no DNS client"))
}

fn system_lookup(name: &Name) -> Result<Vec<SocketAddr>, Failure> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found =
        dns_lookup::getaddrinfo(Some(name.as_str()), None, Some(hints)).map_err(|error| failure(&error))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for info in found.flatten() {
        if !addresses.contains(&info.sockaddr) {
            addresses.push(info.sockaddr);
        }
    }
    if addresses.is_empty() { Err(Failure::unknown("it has no address")) } else { Ok(addresses) }
}

/// The resolver's verdict in words.
fn failure(error: &LookupError) -> Failure {
    Failure::unknown(match error.kind() {
        LookupErrorKind::NoName => "no such name",
        LookupErrorKind::NoData => "the name has no address",
        LookupErrorKind::Again => "the name server did not answer or failed; it may work later",
        LookupErrorKind::Fail => "the name server failed",
        _ => {
            return Failure::Unknown(format!(
                "the system's resolver failed with error {}",
                error.error_num()
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Port;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static ASKED: AtomicUsize = AtomicUsize::new(0);
    static NAME_SERVER: Mutex<()> = Mutex::new(());

    fn ask_system(_: &Name) -> Found {
        ASKED.fetch_add(1, Ordering::Relaxed);
        drop(locked(&NAME_SERVER));
        Err(Failure::unknown("no such name"))
    }

    #[test]
    fn lookups_that_hang_do_not_pile_up() {
        let Ok(Host::Name(name)) = Host::parse("host.example") else { unreachable!() };
        let Some(port) = Port::new(22) else { unreachable!() };
        let peer = Peer::target(&Target::Tcp(Endpoint { host: Host::Name(name.clone()), port }));
        let within = |limit| Wait::new(&peer, ADDRESS, &Deadline::start(Some(limit)));
        let hangs = locked(&NAME_SERVER);
        for _ in 0..3 {
            let found = shared_lookup(&name, &within(Duration::from_millis(20)), ask_system);
            assert!(matches!(found, Err(Failure::TimedOut)), "{found:?}");
        }
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
        drop(hangs);
        let found = shared_lookup(&name, &within(Duration::from_secs(60)), ask_system);
        assert!(matches!(found, Err(Failure::Unknown(_))), "{found:?}");
        assert!(ASKED.load(Ordering::Relaxed) <= 2);
    }
}
