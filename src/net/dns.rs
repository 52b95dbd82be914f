//! Names to addresses, by a name server that the user names (`-R ADDRESS`).
//!
//! All of it begins with the question and is gone with the answer: no runtime, no socket and no cache lives before
//! or after. The name server is asked by UDP, and by TCP where its answer is too long for that or none comes. The
//! name is completed as the system would, by the search list; the hosts file and the system's own name servers have
//! no say. As RFC 6761 wants it, `localhost` is this machine and `.invalid` is unknown without a question.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use tokio::{runtime, time};

use super::deadline::Deadline;
use super::resolve::Failure;
use crate::addr::Name;
use crate::error::words;
use crate::trace::trace;
use search::Candidates;
use udp::Sockets;

mod search;
mod udp;

/// How long the name server has without `-w`. Of this, as of `-w`, UDP gets one half, in which a question that may
/// have been lost is repeated, and TCP what is left.
const LIMIT: Duration = Duration::from_secs(10);

/// All addresses of a name, as this name server knows them. Blocks until it has answered or the deadline has passed.
pub(super) fn lookup(name: &Name, server: SocketAddr, deadline: &Deadline) -> Result<Vec<IpAddr>, Failure> {
    let names = Candidates::of(name.as_str()).map_err(|error| Failure::Unknown(error.to_string()))?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::Unknown(format!("name server {server} cannot be asked: {}", words(&error)))
    })?;
    let deadline = deadline.or_start(LIMIT);
    let patience = deadline.left().unwrap_or(LIMIT);
    let asked = runtime.block_on(async { time::timeout(patience, ask(&names, server, patience / 2)).await });
    match asked {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(Trouble::Verdict(words))) => Err(Failure::Unknown(format!("name server {server} {words}"))),
        Ok(Err(Trouble::NoAnswer(_))) | Err(_) => Err(Failure::Silent { server, limit: deadline.limit() }),
    }
}

/// Why there is no address.
enum Trouble {
    /// The name server says so, or will never say anything.
    Verdict(String),
    /// It has not given an answer, or none that can be understood.
    NoAnswer(NetError),
}

async fn ask(names: &Candidates, server: SocketAddr, patience: Duration) -> Result<Vec<IpAddr>, Trouble> {
    let both = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let by_udp = match search(names, server, both, patience).await {
        Err(Trouble::NoAnswer(error)) => reason(&error),
        known => return known,
    };
    trace!("no answer by UDP: {by_udp}; asking by TCP");
    match search(names, server, vec![ConnectionConfig::tcp()], patience).await {
        Err(Trouble::NoAnswer(error)) if !matches!(error, NetError::Timeout) => {
            Err(Trouble::Verdict(format!("gives no answer (UDP: {by_udp}, TCP: {})", reason(&error))))
        }
        result => result,
    }
}

/// Asks for one name after the other, until one has an address. If none has, the verdict on the name as it was
/// typed is the one to tell; a name server that does not answer is not asked again.
async fn search(
    names: &Candidates,
    server: SocketAddr,
    transports: Vec<ConnectionConfig>,
    patience: Duration,
) -> Result<Vec<IpAddr>, Trouble> {
    let resolver = client(server, transports, patience).map_err(Trouble::NoAnswer)?;
    let mut told = String::new();
    for name in names.iter() {
        match resolver.lookup_ip(name.clone()).await {
            Ok(found) => return Ok(found.iter().collect()),
            Err(NetError::Dns(error)) if names.is_typed(name) => told = verdict(&error),
            Err(NetError::Dns(_)) => {}
            Err(error) => return Err(Trouble::NoAnswer(error)),
        }
    }
    Err(Trouble::Verdict(told))
}

/// A client that asks nobody else. IPv4 comes first in what it finds: without the system's rules (RFC 6724) that is
/// the family more likely to work, not least from a SOCKS proxy. Without EDNS it suits the oldest name server.
fn client(
    server: SocketAddr,
    mut transports: Vec<ConnectionConfig>,
    patience: Duration,
) -> Result<Resolver<Sockets>, NetError> {
    for transport in &mut transports {
        transport.port = server.port();
    }
    let server = NameServerConfig::new(server.ip(), true, transports);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = Resolver::builder_with_config(config, Sockets::default());
    let options = builder.options_mut();
    options.timeout = patience;
    options.attempts = 0;
    options.edns0 = false;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}

/// What the name server said in the place of an address.
fn verdict(error: &DnsError) -> String {
    match error {
        DnsError::NoRecordsFound(NoRecords { response_code: ResponseCode::NXDomain, .. }) => {
            "says that there is no such name".into()
        }
        DnsError::NoRecordsFound(_) => "says that the name has no address".into(),
        DnsError::ResponseCode(ResponseCode::ServFail) => "failed to look it up (SERVFAIL)".into(),
        DnsError::ResponseCode(ResponseCode::Refused) => "refuses to look it up (REFUSED)".into(),
        DnsError::ResponseCode(code) => format!("answered with an error: {code}"),
        error => format!("answered with an error: {error}"),
    }
}

/// Why there was no answer.
fn reason(error: &NetError) -> String {
    match error {
        NetError::Io(error) => words(error),
        NetError::Timeout => "timed out".into(),
        NetError::Proto(_) => "what it sent is not DNS".into(),
        error => error.to_string(),
    }
}
