//! The last steps to the target, once a connection or a tunnel leads to it: the PROXY protocol
//! header and TLS.

use std::io;
use std::time::Duration;

use super::connection::Connection;
use super::deadline::Deadline;
use super::hop::{ClientEnd, Context};
use super::tls;
use crate::error::{Error, Peer};
use crate::plan::{Limits, Plan, Target};
use crate::proto::{Ends, ProxyProtocol, Wire};
use crate::stream::Stream;
use crate::sys;
use crate::trace::{self, trace};

/// An established connection on which every byte belongs to the session.
#[derive(Debug)]
pub struct Tunnel {
    /// The connection, with its layers.
    pub stream: Box<dyn Stream>,
    /// The peers of the connection.
    pub peers: Peers,
}

/// The peers of a tunnel.
#[derive(Clone, Debug)]
pub struct Peers {
    /// The other end of the connection: the first hop, or the target if there are no hops or TLS
    /// with the target protects the connection end to end.
    pub remote: Peer,
    /// The last hop, which granted the request for the target; `None` if there are no hops, or if a
    /// TLS handshake proved that the tunnel leads to the target.
    pub granted_by: Option<Peer>,
    /// The target.
    pub target: Target,
    /// The last hop [reports](crate::plan::Protocol::reports_ends) whether the tunnel has ended
    /// normally.
    pub reports_ends: bool,
    /// The last hop has received the client's HTTP request, and forwards it.
    pub is_forwarding: bool,
}

impl Peers {
    /// Returns the error to report if the connection is closed before the target sends anything.
    #[must_use]
    pub fn nothing_received(&self) -> Error {
        self.silent_end(false)
    }

    /// Returns the error to report for a session that failed with `error`. If a proxy granted the
    /// request and the connection was reset before the target sent anything, the proxy may have
    /// closed it with our data unread, so the tunnel most likely led nowhere. A proxy that reports
    /// ends has said what failed.
    #[must_use]
    pub fn session_error(&self, error: Error) -> Error {
        match error {
            Error::Remote { cause, unanswered: true, .. }
                if self.granted_by.is_some() && !self.reports_ends && is_reset(&cause) =>
            {
                self.silent_end(true)
            }
            other => other,
        }
    }

    fn silent_end(&self, was_reset: bool) -> Error {
        let granted_by = self.granted_by.clone().map(Box::new);
        Error::NothingReceived { granted_by, target: self.target.to_string().into(), was_reset }
    }
}

fn is_reset(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted)
}

/// Prepares TLS with the target. Returns `None` if the plan has none.
pub(super) fn tls_client(plan: &Plan, context: Context<'_>) -> Result<Option<tls::Client>, Error> {
    let Some(tls) = &plan.target_tls else { return Ok(None) };
    tls::Client::new(tls, &Peer::target(&plan.target), &context.shared.tls).map(Some)
}

/// Sends the PROXY protocol header, then performs the TLS handshake with the target. The header is
/// not encrypted, because it is for the load balancer in front of the TLS server.
pub(super) fn finish(
    mut tunnel: Tunnel,
    plan: &Plan,
    tls: Option<&tls::Client>,
    deadline: &Deadline<'_>,
    context: Context<'_>,
) -> Result<Tunnel, Error> {
    trace!("connected");
    if let Some(version) = plan.proxy_protocol {
        send_proxy_header(version, &mut tunnel, context.client)?;
    }
    let Some(tls) = tls else { return Ok(tunnel) };
    let peer = Peer::target(&plan.target);
    let until = deadline.or_resume(Limits::HANDSHAKE_TIMEOUT, Duration::ZERO);
    let connection = tls.secure(Connection::new(tunnel.stream), &peer, &until, context.progress)?;
    let peers = Peers { remote: peer, granted_by: None, ..tunnel.peers };
    Ok(Tunnel { stream: connection.into_stream(), peers })
}

/// Sends the PROXY protocol header, which must precede all bytes of the session. The header
/// contains both addresses of the client's connection, or of our own if there is no client. Without
/// a client, a tunnel through a proxy has no known source address, because only the proxy knows the
/// address from which it connects.
fn send_proxy_header(
    version: ProxyProtocol,
    tunnel: &mut Tunnel,
    client: Option<ClientEnd<'_>>,
) -> Result<(), Error> {
    let ends = match client {
        Some(client) => client.addrs.map(|(ours, theirs)| Ends { source: theirs, destination: ours }),
        None if tunnel.peers.remote.protocol.is_some() => None,
        None => tunnel
            .stream
            .as_channel()
            .and_then(sys::socket_addrs)
            .map(|(ours, theirs)| Ends { source: ours, destination: theirs }),
    };
    let header = version.header(ends);
    trace::sent(&Wire::public(header.clone()), version == ProxyProtocol::V1);
    let failed = |cause| Error::Remote { peer: tunnel.peers.remote.clone(), cause, unanswered: true };
    // One write is enough: the send buffer is empty, or nearly so after a negotiation.
    match tunnel.stream.write(&header).map_err(failed)? {
        sent if sent == header.len() => Ok(()),
        _ => Err(failed(io::ErrorKind::WriteZero.into())),
    }
}
