//! Resolves names to addresses, with the system's resolver or a given name server.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};

use super::deadline::Deadline;
use super::resolve_error::ResolveError;
use super::waiting::Wait;
use crate::addr::{Endpoint, Host, LOOPBACK, Name};
use crate::error::{Error, Peer};
use crate::plan::Target;
use crate::trace::trace;

/// The name of this wait in the status line.
const NAME_RESOLUTION: &str = "name resolution";

/// Returns all addresses of a peer, of both families. The system's resolver returns them in order
/// of preference (RFC 6724).
pub(super) fn addresses(
    peer: &Peer,
    server: Option<SocketAddr>,
    deadline: &Deadline<'_>,
) -> Result<Vec<SocketAddr>, Error> {
    let Target::Tcp(Endpoint { host, port }) = &peer.address else { return Ok(Vec::new()) };
    let name = match host {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, port.get())]),
        Host::Name(name) => name,
    };
    let mut found = lookup_sockets(name, server, &Wait::new(peer, NAME_RESOLUTION, deadline))
        .map_err(|error| error.into_error(peer.clone(), deadline, false))?;
    for address in &mut found {
        address.set_port(port.get());
        trace!("resolved: {} ({})", name.as_str(), address.ip());
    }
    Ok(found)
}

/// Returns all addresses of a name. The status line shows `peer` during the lookup.
pub(super) fn lookup(
    name: &Name,
    peer: &Peer,
    server: Option<SocketAddr>,
    deadline: &Deadline<'_>,
) -> Result<Vec<IpAddr>, ResolveError> {
    let found = lookup_sockets(name, server, &Wait::new(peer, NAME_RESOLUTION, deadline))?;
    Ok(found.iter().map(SocketAddr::ip).collect())
}

/// Resolves a name to socket addresses, because an [`IpAddr`] would lose the zone of a link-local
/// IPv6 address.
fn lookup_sockets(
    name: &Name,
    server: Option<SocketAddr>,
    until: &Wait<'_>,
) -> Result<Vec<SocketAddr>, ResolveError> {
    trace!("resolving host by name: {}", name.as_str());
    if name.is_localhost() {
        return localhost(name, server, until);
    }
    // A name with a colon is an address with a zone, which only the system can interpret.
    if let Some(server) = server.filter(|_| !name.as_str().contains(':')) {
        let found = dns_lookup(name, server, until)?;
        return Ok(found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect());
    }
    ask_system(name, until)
}

/// Returns this machine's addresses for `localhost` and the names below it (RFC 6761 §6.3). No name
/// server is queried for them, because its answer could be another machine. The system resolves
/// `localhost` itself, unless the user names a server: its hosts file may limit it to one family.
fn localhost(name: &Name, server: Option<SocketAddr>, until: &Wait<'_>) -> LookupResult {
    let mut found = Vec::new();
    if name.is_plain_localhost() && server.is_none() {
        found = match ask_system(name, until) {
            Err(ResolveError::Failed(_)) => found,
            answer => answer?,
        };
        found.retain(|address| address.ip().is_loopback());
    }
    Ok(if found.is_empty() { LOOPBACK.map(|ip| SocketAddr::new(ip, 0)).to_vec() } else { found })
}

fn ask_system(name: &Name, until: &Wait<'_>) -> LookupResult {
    // No second thread is needed if nothing can end or accompany the wait.
    if until.deadline.left().is_none() && until.deadline.client().is_none() && !until.shows_status() {
        return system_lookup(name);
    }
    shared_lookup(name, until, system_lookup)
}

type LookupResult = Result<Vec<SocketAddr>, ResolveError>;

/// A lookup by the system, which cannot be interrupted but can be abandoned.
#[derive(Default)]
struct Lookup {
    result: Mutex<Option<LookupResult>>,
    done: Condvar,
}

impl Lookup {
    /// Waits for the result. Returns `None` on timeout.
    fn wait(&self, timeout: Option<Duration>) -> Option<LookupResult> {
        let timeout = timeout.unwrap_or(Duration::MAX);
        let result = self.done.wait_timeout_while(locked(&self.result), timeout, |result| result.is_none());
        let (result, _) = result.unwrap_or_else(PoisonError::into_inner);
        result.clone()
    }
}

/// The lookups in progress, at most one for each name. Without sharing, each session that gives up
/// on a lookup would leave another thread behind.
static LOOKUPS: Mutex<BTreeMap<String, Arc<Lookup>>> = Mutex::new(BTreeMap::new());

fn shared_lookup(name: &Name, until: &Wait<'_>, ask_system: fn(&Name) -> LookupResult) -> LookupResult {
    let mut lookups = locked(&LOOKUPS);
    let lookup = if let Some(in_progress) = lookups.get(name.as_str()) {
        Arc::clone(in_progress)
    } else {
        let lookup = Arc::<Lookup>::default();
        let (asked, on_thread) = (name.clone(), Arc::clone(&lookup));
        let work = move || {
            let result = ask_system(&asked);
            locked(&LOOKUPS).remove(asked.as_str());
            *locked(&on_thread.result) = Some(result);
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
    until.poll_with_status(until.deadline.left(), |timeout| lookup.wait(timeout))?
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(feature = "dns")]
use super::dns::lookup as dns_lookup;

#[cfg(not(feature = "dns"))]
fn dns_lookup(_: &Name, _: SocketAddr, _: &Wait<'_>) -> Result<Vec<IpAddr>, ResolveError> {
    Err(ResolveError::failed("this build has no DNS client"))
}

fn system_lookup(name: &Name) -> Result<Vec<SocketAddr>, ResolveError> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = ::dns_lookup::getaddrinfo(Some(name.as_str()), None, Some(hints))
        .map_err(|error| system_error(&error))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for info in found.flatten() {
        if !addresses.contains(&info.sockaddr) {
            addresses.push(info.sockaddr);
        }
    }
    if addresses.is_empty() { Err(ResolveError::failed("the name has no address")) } else { Ok(addresses) }
}

/// Describes an error from getaddrinfo(3).
fn system_error(error: &LookupError) -> ResolveError {
    ResolveError::failed(match error.kind() {
        LookupErrorKind::NoName => "no such host",
        LookupErrorKind::NoData => "the name has no address",
        LookupErrorKind::Again => "the name server did not answer or failed; try again later",
        LookupErrorKind::Fail => "the name server failed",
        _ => {
            let number = error.error_num();
            return ResolveError::Failed(format!("the system's resolver failed with error {number}"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Port;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static LOOKUP_COUNT: AtomicUsize = AtomicUsize::new(0);
    static NAME_SERVER: Mutex<()> = Mutex::new(());

    fn ask_system(_: &Name) -> LookupResult {
        LOOKUP_COUNT.fetch_add(1, Ordering::Relaxed);
        drop(locked(&NAME_SERVER));
        Err(ResolveError::failed("no such host"))
    }

    #[test]
    fn abandoned_lookups_of_one_name_do_not_pile_up() {
        let Ok(Host::Name(name)) = Host::parse("host.example") else { unreachable!() };
        let Some(port) = Port::new(22) else { unreachable!() };
        let peer = Peer::target(&Target::Tcp(Endpoint { host: Host::Name(name.clone()), port }));
        let within = |limit| Wait::new(&peer, NAME_RESOLUTION, &Deadline::start(Some(limit)));
        let hang = locked(&NAME_SERVER);
        for _ in 0..3 {
            let result = shared_lookup(&name, &within(Duration::from_millis(20)), ask_system);
            assert!(matches!(result, Err(ResolveError::TimedOut)), "{result:?}");
        }
        assert_eq!(LOOKUP_COUNT.load(Ordering::Relaxed), 1);
        drop(hang);
        let result = shared_lookup(&name, &within(Duration::from_secs(60)), ask_system);
        assert!(matches!(result, Err(ResolveError::Failed(_))), "{result:?}");
        assert!(LOOKUP_COUNT.load(Ordering::Relaxed) <= 2);
    }
}
