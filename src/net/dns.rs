//! A DNS client for the name server that the user specifies (`-R ADDRESS`).
//!
//! Each lookup has its own runtime and sockets, and nothing is cached. A query is sent over UDP,
//! then over TCP if the answer was truncated or missing. Names are completed with the system's
//! search list, but the hosts file and the system's name servers are not used. `resolve` handles
//! the names of special use (RFC 6761).

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

use super::binding::Binding;
use super::deadline::Deadline;
use super::resolve_error::ResolveError;
use super::waiting::Wait;
use crate::addr::{Family, Name};
use crate::error::os_message;
use crate::trace::trace;
use search::Candidates;
use sockets::Sockets;

mod search;
mod sockets;

/// Time limit for one lookup if `-w` is not given. UDP gets half of the limit and retransmits the
/// query in case a packet was lost; TCP gets the rest.
const DNS_TIMEOUT: Duration = Duration::from_secs(10);

/// The name server, and the settings for queries to it.
#[derive(Clone, Copy)]
struct NameServer<'a> {
    address: SocketAddr,
    /// The only family to query; `None` for both.
    family: Option<Family>,
    /// The local end of queries.
    binding: &'a Binding,
}

/// Returns the addresses that the name server has for a name. Blocks until the server has answered
/// or the deadline has passed.
pub(super) fn lookup(
    name: &Name,
    server: SocketAddr,
    family: Option<Family>,
    binding: &Binding,
    until: &Wait<'_>,
) -> Result<Vec<IpAddr>, ResolveError> {
    let server = NameServer { address: server, family, binding };
    let failed = |what: String| ResolveError::Failed(format!("name server {} {what}", server.address));
    let names = Candidates::for_name(name.as_str())
        .map_err(|_| ResolveError::failed("not a DNS name: each label must have 1 to 63 bytes"))?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(format!("cannot be queried: {}", os_message(&error))))?;
    let until = Wait { deadline: until.deadline.or_resume(DNS_TIMEOUT, Duration::ZERO), ..*until };
    let deadline = &until.deadline;
    let mut query = pin!(query(&names, server, deadline, DNS_TIMEOUT));
    // The query enforces its own time limit, so none is passed here. When `timeout` expires, the
    // query continues: `poll_with_status` only updates the status line and checks the client.
    let result = until.poll_with_status(None, |timeout| {
        let timeout = timeout.unwrap_or(Duration::MAX);
        runtime.block_on(async { time::timeout(timeout, query.as_mut()).await.ok() })
    });
    result?.map_err(|failure| match failure {
        DnsFailure::Answer(what) => failed(what),
        DnsFailure::TimedOut => {
            ResolveError::NameServerTimedOut { server: server.address, limit: deadline.limit() }
        }
        no_answer => failed(format!("did not answer ({})", no_answer.cause())),
    })
}

/// The reason why a query returned no address.
enum DnsFailure {
    /// The name server reported that the name has no address, or returned an error.
    Answer(String),
    /// The name server is unreachable or does not speak DNS. `may_answer` is `true` if one of the
    /// transports only timed out.
    NoAnswer { cause: String, may_answer: bool },
    /// The answer was truncated and must be requested over TCP.
    Truncated,
    /// No answer arrived in time.
    TimedOut,
}

impl DnsFailure {
    fn cause(&self) -> &str {
        match self {
            Self::Answer(cause) | Self::NoAnswer { cause, .. } => cause,
            Self::Truncated => "answer truncated",
            Self::TimedOut => "timed out",
        }
    }

    /// Returns `true` if the name server may answer if it gets more time.
    fn may_answer(&self) -> bool {
        matches!(self, Self::TimedOut | Self::NoAnswer { may_answer: true, .. })
    }

    /// Returns the failure of one transport, for this reason.
    fn no_answer(cause: String) -> Self {
        Self::NoAnswer { cause, may_answer: false }
    }
}

/// Queries until the deadline. If that never passes (`-w 0`), repeats the query until the name
/// server answers, and gives each round twice as long as the one before. The first has `limit`.
async fn query(
    names: &Candidates,
    server: NameServer<'_>,
    deadline: &Deadline<'_>,
    mut limit: Duration,
) -> Result<Vec<IpAddr>, DnsFailure> {
    if deadline.left().is_some() {
        return query_once(names, server, deadline).await;
    }
    loop {
        match query_once(names, server, &Deadline::start(Some(limit))).await {
            Err(failure) if failure.may_answer() => limit = limit.saturating_mul(2),
            result => return result,
        }
        trace!("name server {} did not answer: trying again", server.address);
    }
}

/// Queries over UDP, then over TCP if there was no usable answer.
async fn query_once(
    names: &Candidates,
    server: NameServer<'_>,
    deadline: &Deadline<'_>,
) -> Result<Vec<IpAddr>, DnsFailure> {
    let left = || deadline.left().unwrap_or(DNS_TIMEOUT);
    let udp = match search(names, server, ConnectionConfig::udp(), left() / 2).await {
        answered @ (Ok(_) | Err(DnsFailure::Answer(_))) => return answered,
        Err(failure) => failure,
    };
    trace!("name server {} did not answer by UDP ({}): trying TCP", server.address, udp.cause());
    match (udp, search(names, server, ConnectionConfig::tcp(), left()).await) {
        (_, answered @ (Ok(_) | Err(DnsFailure::Answer(_)))) => answered,
        (DnsFailure::Truncated | DnsFailure::TimedOut, Err(DnsFailure::TimedOut)) => {
            Err(DnsFailure::TimedOut)
        }
        (udp, Err(tcp)) => Err(DnsFailure::NoAnswer {
            cause: format!("UDP: {}, TCP: {}", udp.cause(), tcp.cause()),
            may_answer: udp.may_answer() || tcp.may_answer(),
        }),
    }
}

/// Queries the candidates in turn until one has an address. If none has, returns the answer for the
/// name as it was typed. Stops at the first query without an answer, because the name server would
/// not answer the others either.
async fn search(
    names: &Candidates,
    server: NameServer<'_>,
    transport: ConnectionConfig,
    limit: Duration,
) -> Result<Vec<IpAddr>, DnsFailure> {
    let sockets = Sockets::new(server.binding);
    // A query must time out before `limit`: A and AAAA run in parallel, and the answer to one must
    // not be discarded because the other is missing.
    let client = client(server, transport, limit.mul_f64(0.9), sockets.clone());
    let client = client.map_err(|error| DnsFailure::no_answer(error.to_string()))?;
    let queries = async {
        let mut typed = String::new();
        for name in names.iter() {
            match client.lookup_ip(name.clone()).await {
                Ok(found) => return Ok(found.iter().collect()),
                Err(NetError::Dns(error)) if names.is_typed(name) => typed = answer(&error),
                Err(NetError::Dns(_)) => {}
                // Wait for the timeout below, so that the lookup takes as long as the error message
                // says.
                Err(NetError::Timeout) => return future::pending().await,
                Err(NetError::Truncated) => return Err(DnsFailure::Truncated),
                Err(error) => return Err(DnsFailure::no_answer(cause(&error, &sockets))),
            }
        }
        Err(DnsFailure::Answer(typed))
    };
    time::timeout(limit, queries).await.unwrap_or(Err(DnsFailure::TimedOut))
}

/// Creates a client that queries only this name server. Results list IPv4 addresses first: the
/// system's sorting rules (RFC 6724) are not applied, and IPv4 is more likely to work, especially
/// from a SOCKS proxy. EDNS is off because some old name servers do not support it.
fn client(
    server: NameServer<'_>,
    mut transport: ConnectionConfig,
    timeout: Duration,
    sockets: Sockets,
) -> Result<Resolver<Sockets>, NetError> {
    transport.port = server.address.port();
    let config = NameServerConfig::new(server.address.ip(), true, vec![transport]);
    let config = ResolverConfig::from_name_servers(vec![config]);
    let mut builder = Resolver::builder_with_config(config, sockets);
    let options = builder.options_mut();
    options.timeout = timeout;
    options.attempts = 0;
    options.edns0 = false;
    options.ip_strategy = match server.family {
        None => LookupIpStrategy::Ipv4AndIpv6,
        Some(Family::V4) => LookupIpStrategy::Ipv4Only,
        Some(Family::V6) => LookupIpStrategy::Ipv6Only,
    };
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}

/// Describes an answer that contains no address. In the message, the text follows "name server" and
/// its address.
fn answer(error: &DnsError) -> String {
    match error {
        DnsError::NoRecordsFound(NoRecords { response_code: ResponseCode::NXDomain, .. }) => {
            "reports no such host (NXDOMAIN)".into()
        }
        DnsError::NoRecordsFound(_) => "reports no address for this name".into(),
        DnsError::ResponseCode(ResponseCode::ServFail) => "failed to resolve it (SERVFAIL)".into(),
        DnsError::ResponseCode(ResponseCode::Refused) => "refused the query (REFUSED)".into(),
        DnsError::ResponseCode(code) => format!("answered with an error: {code}"),
        error => format!("answered with an error: {error}"),
    }
}

/// Returns why there was no answer. Prefers the system's error: hickory drops it, but our sockets
/// record it.
fn cause(error: &NetError, sockets: &Sockets) -> String {
    match (sockets.first_error(), error) {
        (Some(first), _) => first.to_owned(),
        (None, NetError::Proto(_)) => "invalid DNS message".into(),
        (None, error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::{TcpListener, UdpSocket};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;
    use crate::plan::Limits;

    /// `-w 0` did not apply to name servers, which had 10 seconds.
    #[test]
    fn without_a_limit_a_name_server_that_answers_late_was_given_up() {
        let on_one_port = || {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            UdpSocket::bind(tcp.local_addr().unwrap()).ok().map(|udp| (tcp, udp))
        };
        let (tcp, udp) = (0..100).find_map(|_| on_one_port()).unwrap();
        let server = NameServer { address: udp.local_addr().unwrap(), family: None, binding: &Binding::ANY };
        tcp.set_nonblocking(true).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let has_ended = AtomicBool::new(false);
        let result = thread::scope(|scope| {
            // Answers no query over TCP, and none over UDP before the client has used TCP, which it
            // does after UDP has timed out.
            scope.spawn(|| {
                let (mut query, mut connections) = ([0; 512], Vec::new());
                while !has_ended.load(Ordering::SeqCst) {
                    connections.extend(tcp.accept());
                    let Ok((length, client)) = udp.recv_from(&mut query) else { continue };
                    if !connections.is_empty() {
                        // Response, recursion available, NXDOMAIN.
                        query[2..4].copy_from_slice(&[0x81, 0x83]);
                        udp.send_to(&query[..length], client).unwrap();
                    }
                }
            });
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (names, unlimited) =
                (Candidates::for_name("host.example.").unwrap(), Deadline::for_plan(Limits::Unlimited));
            let result = runtime.block_on(async {
                let queries = query(&names, server, &unlimited, Duration::from_millis(200));
                time::timeout(Duration::from_secs(60), queries).await
            });
            has_ended.store(true, Ordering::SeqCst);
            result.unwrap()
        });
        assert!(
            matches!(result, Err(DnsFailure::Answer(_))),
            "{:?}",
            result.map_err(|e| e.cause().to_owned())
        );
    }
}
