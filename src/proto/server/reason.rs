//! The reasons for refusing a session to a client.

/// The reason why the target was not connected, for the client: no message contains the names of
/// proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The rules of this listener or of a proxy forbid it.
    NotAllowed,
    /// The target's name could not be resolved.
    UnknownHost,
    /// No route to the target's host.
    HostUnreachable,
    /// No route to the target's network.
    NetworkUnreachable,
    /// The target refused the connection.
    ConnectionRefused,
    /// A time limit has expired.
    TimedOut,
    /// A proxy on the route rejected our credentials, or requires some.
    ProxyAuthentication,
    /// A proxy on the route could not be reached, or violated its protocol.
    ProxyFailed,
    /// Any other reason.
    General,
}

impl Refusal {
    /// All reasons.
    #[cfg(test)]
    pub(super) const ALL: [Self; 9] = [
        Self::NotAllowed,
        Self::UnknownHost,
        Self::HostUnreachable,
        Self::NetworkUnreachable,
        Self::ConnectionRefused,
        Self::TimedOut,
        Self::ProxyAuthentication,
        Self::ProxyFailed,
        Self::General,
    ];

    /// Returns the reason in words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NotAllowed => "not allowed",
            Self::UnknownHost => "unknown host name",
            Self::HostUnreachable => "host unreachable",
            Self::NetworkUnreachable => "network unreachable",
            Self::ConnectionRefused => "connection refused",
            Self::TimedOut => "timed out",
            Self::ProxyAuthentication => "the next proxy requires other credentials",
            Self::ProxyFailed => "the next proxy failed",
            Self::General => "the connection failed",
        }
    }
}

/// The reason for a server to reject its client. Displayed after the client's name: "client
/// 127.0.0.1:50000 …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The client closed the connection, or sent nothing, before its request was complete.
    #[error("closed the connection before its request was complete")]
    Closed,
    /// The client did not complete its request in time.
    #[error("did not complete its request in time")]
    TimedOut,
    /// The first byte belongs to another protocol.
    #[error("did not send {expected} (first byte {got:#04x})")]
    NotTheProtocol {
        /// The expected protocol.
        expected: &'static str,
        /// The first byte received.
        got: u8,
    },
    /// The TLS handshake failed, or the connection broke during it.
    #[error("did not complete its request over TLS: {0}")]
    Tls(String),
    /// The request is malformed.
    #[error("sent a malformed {protocol} request: {why}")]
    Malformed {
        /// The protocol.
        protocol: &'static str,
        /// The violation.
        why: &'static str,
    },
    /// The request's header exceeds this limit, in KiB, or has too many fields.
    #[error("sent an HTTP header of more than {0} KiB or with too many fields")]
    HeaderTooLong(usize),
    /// The request is valid, but the listener does not support it.
    #[error("requested {0}, which is not supported")]
    Unsupported(&'static str),
    /// The client must log in but did not offer to.
    #[error("sent no user name and password")]
    NoPassword,
    /// The user name and password are not in the listener's password file.
    #[error("sent a wrong user name or password")]
    WrongPassword,
    /// The client's HTTP request for a WebSocket was refused.
    #[error("sent a request that was refused: {status} {why}")]
    Web {
        /// The status of the answer.
        status: u16,
        /// The reason, which the client got, too.
        why: String,
    },
    /// The host or port of the target is invalid.
    #[error("named an invalid target")]
    InvalidTarget,
}
