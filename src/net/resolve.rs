//! Resolves names to addresses, with the system's resolver or a given name server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use dns_lookup::{AddrFamily, AddrInfoHints, LookupError, LookupErrorKind, SockType};

use super::binding::Binding;
use super::deadline::Deadline;
use super::resolve_error::ResolveError;
use super::waiting::Wait;
use crate::addr::{Endpoint, Family, Host, LOOPBACK, Name, SpecialUse};
use crate::error::{Error, Peer};
use crate::plan::{FamilyLimit, Target};
use crate::trace::trace;

/// The settings for resolving a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver<'a> {
    /// The name server; `None` for the system's resolver.
    pub(super) server: Option<SocketAddr>,
    /// The only family to look up; `None` for both.
    pub(super) family: Option<&'a FamilyLimit>,
    /// The local end of queries to the name server and of connections to the peer.
    pub(super) binding: &'a Binding,
}

impl Resolver<'_> {
    /// Returns the only family to look up; `None` for both.
    fn family(self) -> Option<Family> {
        self.family.map(|limit| limit.family)
    }
}

/// The text of the status line during a lookup.
const NAME_RESOLUTION: &str = "name resolution";

/// Maximum number of addresses to try for one name. A name server can return thousands.
const MAX_ADDRESSES: usize = 16;

/// The addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The addresses to try, in order. Each occurs only once, and the families alternate.
    pub(super) addresses: Vec<SocketAddr>,
    /// The number of further addresses that the name has.
    pub(super) ignored: usize,
}

impl Found {
    /// Selects the addresses to try from all addresses of a name.
    fn select(mut all: Vec<SocketAddr>) -> Self {
        let mut seen = BTreeSet::new();
        all.retain(|address| seen.insert(*address));
        let ignored = all.len().saturating_sub(MAX_ADDRESSES);
        Self { addresses: interleave(all).into_iter().take(MAX_ADDRESSES).collect(), ignored }
    }
}

/// Alternates between the address families, starting with that of the first address (RFC 8305 §4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut interleaved = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return interleaved;
        }
        interleaved.extend(pair.into_iter().flatten());
    }
}

/// Returns the addresses of a peer, in the order to try them. The system's resolver sorts them by
/// preference (RFC 6724).
pub(super) fn addresses(
    peer: &Peer,
    resolver: Resolver<'_>,
    deadline: &Deadline<'_>,
) -> Result<Found, Error> {
    let Target::Tcp(Endpoint { host, port }) = &peer.address else { return Ok(Found::select(Vec::new())) };
    if let (Some(ip), Some(FamilyLimit { family, setting })) = (host.ip(), resolver.family)
        && !family.includes(ip)
    {
        return Err(Error::NoAddress { peer: peer.clone(), family: *family, setting: setting.clone() });
    }
    let name = match host {
        Host::Ip(ip) => return Ok(Found::select(vec![SocketAddr::new(*ip, port.get())])),
        Host::Name(name) => name,
    };
    let mut found = lookup_sockets(name, resolver, &Wait::new(peer, NAME_RESOLUTION, deadline))
        .map_err(|error| error.into_error(peer.clone(), deadline, false))?;
    for address in &mut found.addresses {
        address.set_port(port.get());
        trace!("resolved: {} ({})", name.as_str(), address.ip());
    }
    if found.ignored > 0 {
        trace!("{} has {} more addresses, which are not used", name.as_str(), found.ignored);
    }
    Ok(found)
}

/// Returns the addresses of a name. The status line shows `peer` during the lookup.
pub(super) fn lookup(
    name: &Name,
    peer: &Peer,
    resolver: Resolver<'_>,
    deadline: &Deadline<'_>,
) -> Result<Vec<IpAddr>, ResolveError> {
    let found = lookup_sockets(name, resolver, &Wait::new(peer, NAME_RESOLUTION, deadline))?;
    Ok(found.addresses.iter().map(SocketAddr::ip).collect())
}

/// Resolves a name to socket addresses, because an [`IpAddr`] would lose the zone of a link-local
/// IPv6 address.
fn lookup_sockets(name: &Name, resolver: Resolver<'_>, until: &Wait<'_>) -> Result<Found, ResolveError> {
    trace!("resolving host by name: {}", name.as_str());
    if let Some(why) = name.special_use().and_then(SpecialUse::why_unresolvable) {
        return Err(ResolveError::failed(why));
    }
    match (all_addresses(name, resolver, until), resolver.family) {
        (Err(ResolveError::Failed(cause)), Some(FamilyLimit { family, setting })) => {
            Err(ResolveError::Failed(format!("{cause} (only {family} was looked up, as {setting} requires)")))
        }
        (found, _) => found.map(Found::select),
    }
}

fn all_addresses(name: &Name, resolver: Resolver<'_>, until: &Wait<'_>) -> LookupResult {
    if name.is_localhost() {
        return localhost(name, resolver, until);
    }
    // A name with a colon is an address with a zone, which only the system can interpret.
    if let Some(server) = resolver.server.filter(|_| !name.as_str().contains(':')) {
        let found = dns_lookup(name, server, resolver.family(), resolver.binding, until)?;
        return Ok(found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect());
    }
    ask_system(name, resolver.family(), until)
}

/// Returns this machine's addresses for `localhost` and the names below it (RFC 6761 §6.3). No name
/// server is queried for these names, because it could answer with the address of another machine.
/// `localhost` itself is looked up with the system's resolver unless the user specified a name
/// server, because the hosts file may list only one family.
fn localhost(name: &Name, resolver: Resolver<'_>, until: &Wait<'_>) -> LookupResult {
    let mut found = Vec::new();
    if name.is_plain_localhost() && resolver.server.is_none() {
        found = match ask_system(name, resolver.family(), until) {
            Err(ResolveError::Failed(_)) => found,
            answer => answer?,
        };
        found.retain(|address| address.ip().is_loopback());
    }
    if found.is_empty() {
        let is_wanted = |ip: &IpAddr| resolver.family().is_none_or(|family| family.includes(*ip));
        found = LOOPBACK.into_iter().filter(is_wanted).map(|ip| SocketAddr::new(ip, 0)).collect();
    }
    Ok(found)
}

fn ask_system(name: &Name, family: Option<Family>, until: &Wait<'_>) -> LookupResult {
    // Without a deadline, a client or a status line, a blocking call on this thread is enough.
    if until.deadline.left().is_none() && until.deadline.client().is_none() && !until.shows_status() {
        let _report = until.signal_report();
        return system_lookup(name, family);
    }
    shared_lookup(name, family, until, system_lookup)
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

/// Maximum number of lookups in progress, because the clients of a listener can name any number of
/// hosts and give up on each lookup.
const MAX_LOOKUPS: usize = 256;

/// The lookups in progress, at most one for each name and family. Without sharing, each session
/// that gives up on a lookup would leave another thread behind.
static LOOKUPS: Mutex<BTreeMap<LookupKey, Arc<Lookup>>> = Mutex::new(BTreeMap::new());

/// A name, and the only family to look up.
type LookupKey = (String, Option<Family>);

fn shared_lookup(
    name: &Name,
    family: Option<Family>,
    until: &Wait<'_>,
    ask_system: fn(&Name, Option<Family>) -> LookupResult,
) -> LookupResult {
    let key = (name.as_str().to_owned(), family);
    let mut lookups = locked(&LOOKUPS);
    let lookup = if let Some(in_progress) = lookups.get(&key) {
        Arc::clone(in_progress)
    } else {
        let lookup = Arc::<Lookup>::default();
        let (asked, on_thread, entry) = (name.clone(), Arc::clone(&lookup), key.clone());
        let work = move || {
            let result = ask_system(&asked, family);
            locked(&LOOKUPS).remove(&entry);
            *locked(&on_thread.result) = Some(result);
            on_thread.done.notify_all();
        };
        let start = || thread::Builder::new().name("resolver".into()).spawn(work);
        if lookups.len() >= MAX_LOOKUPS || start().is_err() {
            // Occupy the session's own thread, which is one of a limited number.
            drop(lookups);
            return ask_system(name, family);
        }
        lookups.insert(key, Arc::clone(&lookup));
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
fn dns_lookup(
    _: &Name,
    _: SocketAddr,
    _: Option<Family>,
    _: &Binding,
    _: &Wait<'_>,
) -> Result<Vec<IpAddr>, ResolveError> {
    Err(ResolveError::failed("this build has no DNS client"))
}

fn system_lookup(name: &Name, family: Option<Family>) -> LookupResult {
    let address = match family {
        None => AddrInfoHints::default().address,
        Some(Family::V4) => AddrFamily::Inet.into(),
        Some(Family::V6) => AddrFamily::Inet6.into(),
    };
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), address, ..AddrInfoHints::default() };
    let found = ::dns_lookup::getaddrinfo(Some(name.as_str()), None, Some(hints))
        .map_err(|error| system_error(&error))?;
    let addresses: Vec<_> = found.flatten().map(|info| info.sockaddr).collect();
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
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_families_alternate_starting_with_that_of_the_first_address() {
        let v4 = |n: u8| SocketAddr::from((Ipv4Addr::new(192, 0, 2, n), 22));
        let v6 = |n: u16| SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n), 22));
        for (addresses, expected) in [
            (vec![], vec![]),
            (vec![v4(1)], vec![v4(1)]),
            (vec![v6(1), v6(2), v4(1), v4(2)], vec![v6(1), v4(1), v6(2), v4(2)]),
            (vec![v4(1), v4(2), v6(1), v6(2)], vec![v4(1), v6(1), v4(2), v6(2)]),
            (vec![v6(1), v6(2), v6(3), v4(1)], vec![v6(1), v4(1), v6(2), v6(3)]),
            (vec![v6(1), v4(1), v4(2), v4(3)], vec![v6(1), v4(1), v4(2), v4(3)]),
            (vec![v4(1), v4(2), v4(3)], vec![v4(1), v4(2), v4(3)]),
            (vec![v4(1), v6(1), v4(2), v6(2)], vec![v4(1), v6(1), v4(2), v6(2)]),
        ] {
            assert_eq!(interleave(addresses.clone()), expected, "{addresses:?}");
        }
    }

    #[test]
    fn duplicates_and_addresses_beyond_the_limit_are_not_used() {
        let v4 = |n: u8| SocketAddr::from(([192, 0, 2, n], 22));
        let v6 = |n: u16| SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n), 22));
        let all: Vec<_> = (0..100).map(v4).chain([v4(7)]).chain((0..3).map(v6)).collect();
        let Found { addresses, ignored } = Found::select(all);
        assert_eq!(addresses[..6], [v4(0), v6(0), v4(1), v6(1), v4(2), v6(2)]);
        assert_eq!((addresses.len(), ignored), (MAX_ADDRESSES, 103 - MAX_ADDRESSES));
        let few = Found { addresses: vec![v4(1), v4(2)], ignored: 0 };
        assert_eq!(Found::select(vec![v4(1), v4(1), v4(2)]), few);
    }

    static LOOKUP_COUNT: AtomicUsize = AtomicUsize::new(0);
    static NAME_SERVER: Mutex<()> = Mutex::new(());

    fn ask_system(_: &Name, _: Option<Family>) -> LookupResult {
        LOOKUP_COUNT.fetch_add(1, Ordering::Relaxed);
        drop(locked(&NAME_SERVER));
        Err(ResolveError::failed("no such host"))
    }

    #[test]
    fn abandoned_lookups_do_not_pile_up() {
        let Ok(Host::Name(name)) = Host::parse("host.example") else { unreachable!() };
        let Some(port) = Port::new(22) else { unreachable!() };
        let peer = Peer::target(&Target::Tcp(Endpoint { host: Host::Name(name.clone()), port }));
        let within = |limit| Wait::new(&peer, NAME_RESOLUTION, &Deadline::start(Some(limit)));
        let hang = locked(&NAME_SERVER);
        for _ in 0..3 {
            let result = shared_lookup(&name, None, &within(Duration::from_millis(20)), ask_system);
            assert!(matches!(result, Err(ResolveError::TimedOut)), "{result:?}");
        }
        assert_eq!(LOOKUP_COUNT.load(Ordering::Relaxed), 1);
        drop(hang);
        let result = shared_lookup(&name, None, &within(Duration::from_secs(60)), ask_system);
        assert!(matches!(result, Err(ResolveError::Failed(_))), "{result:?}");
        let before = LOOKUP_COUNT.load(Ordering::Relaxed);
        assert!(before <= 2);

        // A client that named many hosts, and gave up each time, left a thread behind for each.
        let names: Vec<_> = (0..MAX_LOOKUPS + 8)
            .filter_map(|n| match Host::parse(&format!("host{n}.example")) {
                Ok(Host::Name(name)) => Some(name),
                _ => None,
            })
            .collect();
        let hang = locked(&NAME_SERVER);
        thread::scope(|scope| {
            let start = |name| {
                let limit = Duration::from_millis(1);
                scope.spawn(move || shared_lookup(name, None, &within(limit), ask_system))
            };
            let lookups: Vec<_> = names.iter().map(start).collect();
            while LOOKUP_COUNT.load(Ordering::Relaxed) < before + names.len() {
                thread::yield_now();
            }
            drop(hang);
            let results = lookups.into_iter().map(thread::ScopedJoinHandle::join);
            let abandoned = results.filter(|result| matches!(result, Ok(Err(ResolveError::TimedOut))));
            assert!(abandoned.count() <= MAX_LOOKUPS);
        });
    }
}
