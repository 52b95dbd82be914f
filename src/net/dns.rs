//! Names to addresses, by a name server that the user names (`-R ADDRESS`).
//!
//! All of it begins with the question and is gone with the answer: no runtime, no socket and no cache lives before
//! or after. The name server is asked by UDP, and by TCP where its answer is too long for that or none comes. The
//! name is completed as the system would, by the search list; the hosts file and the system's own name servers have
//! no say. As RFC 6761 wants it, `localhost` is this machine and `.invalid` is unknown without a question.

use std::future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
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
use super::waiting::Wait;
use crate::addr::Name;
use crate::error::os_message;
use crate::trace::trace;
use search::Candidates;
use sockets::Sockets;

mod search;
mod sockets;

/// How long the name server has without `-w`. Of this, as of `-w`, UDP gets one half, in which a question that may
/// have been lost is repeated, and TCP what is left.
const LIMIT: Duration = Duration::from_secs(10);

/// All addresses of a name, as this name server knows them. Blocks until it has answered or the deadline has passed.
pub(super) fn lookup(name: &Name, server: SocketAddr, until: &Wait<'_>) -> Result<Vec<IpAddr>, Failure> {
    let failed = |what: String| Failure::Unknown(format!("name server {server} {what}"));
    let names = Candidates::of(name.as_str())
        .map_err(|_| Failure::unknown("it is no DNS name, in which each label has 1 to 63 bytes"))?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(format!("cannot be asked: {}", os_message(&error))))?;
    let until = Wait { deadline: until.deadline.or_start(LIMIT), ..*until };
    let deadline = &until.deadline;
    let mut asking = pin!(ask(&names, server, deadline));
    // It ends by itself: the pieces are for whoever waits at a terminal.
    let answer = until.in_pieces(None, |piece| {
        runtime.block_on(async { time::timeout(piece.unwrap_or(Duration::MAX), asking.as_mut()).await.ok() })
    });
    answer.unwrap_or(Err(Trouble::Silence)).map_err(|trouble| match trouble {
        Trouble::Verdict(what) => failed(what),
        Trouble::Silence => Failure::Silent { server, limit: deadline.limit() },
        no_answer => failed(format!("gives no answer ({})", no_answer.words())),
    })
}

/// Why there is no address.
enum Trouble {
    /// The name server says so.
    Verdict(String),
    /// It cannot be reached, or does not speak DNS.
    NoAnswer(String),
    /// It has one, which must be asked for by TCP.
    TooLong,
    /// It has said nothing in the time that it had.
    Silence,
}

impl Trouble {
    fn words(&self) -> &str {
        match self {
            Self::Verdict(words) | Self::NoAnswer(words) => words,
            Self::TooLong => "too long for it",
            Self::Silence => "timed out",
        }
    }
}

async fn ask(names: &Candidates, server: SocketAddr, deadline: &Deadline) -> Result<Vec<IpAddr>, Trouble> {
    let left = || deadline.left().unwrap_or(LIMIT);
    let udp = match search(names, server, ConnectionConfig::udp(), left() / 2).await {
        known @ (Ok(_) | Err(Trouble::Verdict(_))) => return known,
        Err(trouble) => trouble,
    };
    trace!("name server {server} gives no answer by UDP ({}): asking by TCP", udp.words());
    match (udp, search(names, server, ConnectionConfig::tcp(), left()).await) {
        (_, known @ (Ok(_) | Err(Trouble::Verdict(_)))) => known,
        (Trouble::TooLong | Trouble::Silence, Err(Trouble::Silence)) => Err(Trouble::Silence),
        (udp, Err(tcp)) => Err(Trouble::NoAnswer(format!("UDP: {}, TCP: {}", udp.words(), tcp.words()))),
    }
}

/// Asks for one name after the other, until one has an address. If none has, the verdict on the name as it was
/// typed is the one to tell; a name server that does not answer is not asked again.
async fn search(
    names: &Candidates,
    server: SocketAddr,
    transport: ConnectionConfig,
    patience: Duration,
) -> Result<Vec<IpAddr>, Trouble> {
    let sockets = Sockets::default();
    // Each question has a little less time than there is, so that one answer is not lost for want of the other.
    let client = client(server, transport, patience.mul_f64(0.9), sockets.clone());
    let client = client.map_err(|error| Trouble::NoAnswer(error.to_string()))?;
    let asking = async {
        let mut told = String::new();
        for name in names.iter() {
            match client.lookup_ip(name.clone()).await {
                Ok(found) => return Ok(found.iter().collect()),
                Err(NetError::Dns(error)) if names.is_typed(name) => told = verdict(&error),
                Err(NetError::Dns(_)) => {}
                // The time-out below is the one that counts.
                Err(NetError::Timeout) => return future::pending().await,
                Err(NetError::Truncated) => return Err(Trouble::TooLong),
                Err(error) => return Err(Trouble::NoAnswer(reason(&error, &sockets))),
            }
        }
        Err(Trouble::Verdict(told))
    };
    time::timeout(patience, asking).await.unwrap_or(Err(Trouble::Silence))
}

/// A client that asks nobody else. IPv4 comes first in what it finds: without the system's rules (RFC 6724) that is
/// the family more likely to work, not least from a SOCKS proxy. Without EDNS it suits the oldest name server.
fn client(
    server: SocketAddr,
    mut transport: ConnectionConfig,
    patience: Duration,
    sockets: Sockets,
) -> Result<Resolver<Sockets>, NetError> {
    transport.port = server.port();
    let server = NameServerConfig::new(server.ip(), true, vec![transport]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = Resolver::builder_with_config(config, sockets);
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

/// Why there was no answer. The system's reason is kept by the sockets, since the library loses it.
fn reason(error: &NetError, sockets: &Sockets) -> String {
    match (sockets.trouble(), error) {
        (Some(trouble), _) => trouble.to_owned(),
        (None, NetError::Proto(_)) => "what it sent is no answer".into(),
        (None, error) => error.to_string(),
    }
}
