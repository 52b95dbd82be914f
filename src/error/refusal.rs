//! Translates errors into the reasons that a listener gives its clients.

use std::io::ErrorKind;

use super::Error;
use crate::proto;
use crate::proto::server::Refusal;

impl Error {
    /// Returns the reason for the client of a listener.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::TargetNotAllowed { .. } | Self::ClientNotAllowed | Self::Loop { .. } => Refusal::NotAllowed,
            Self::Resolve { peer, .. } if peer.protocol.is_none() => Refusal::UnknownHost,
            Self::Dial { peer, attempts, .. } if peer.protocol.is_none() => {
                attempts.last().map_or(Refusal::General, |(_, cause)| dial_refusal(cause.kind()))
            }
            Self::TimedOut { .. } => Refusal::TimedOut,
            Self::Negotiation { cause, .. } => negotiation_refusal(cause),
            Self::NoPassword { .. } | Self::RejectedBefore { .. } => Refusal::ProxyAuthentication,
            Self::NoRoute { failed, .. } => {
                failed.last().map_or(Refusal::General, |(_, error)| error.refusal())
            }
            Self::Resolve { .. } | Self::Dial { .. } | Self::Tls { .. } | Self::Lost { .. } => {
                Refusal::ProxyFailed
            }
            _ => Refusal::General,
        }
    }
}

fn dial_refusal(cause: ErrorKind) -> Refusal {
    match cause {
        ErrorKind::ConnectionRefused => Refusal::ConnectionRefused,
        ErrorKind::HostUnreachable => Refusal::HostUnreachable,
        ErrorKind::NetworkUnreachable => Refusal::NetworkUnreachable,
        ErrorKind::TimedOut => Refusal::TimedOut,
        _ => Refusal::General,
    }
}

/// Translates the reason that a proxy has given.
fn negotiation_refusal(cause: &proto::Error) -> Refusal {
    use proto::Error as E;
    match cause {
        E::Socks5Refused { code: 2, .. } | E::HttpRefused { status: 403, .. } => Refusal::NotAllowed,
        E::Socks5Refused { code: 3, .. } => Refusal::NetworkUnreachable,
        E::Socks5Refused { code: 4, .. } => Refusal::HostUnreachable,
        E::Socks5Refused { code: 5, .. } => Refusal::ConnectionRefused,
        E::Socks5Refused { code: 6, .. } | E::HttpRefused { status: 504, .. } => Refusal::TimedOut,
        E::Socks4Refused { .. }
        | E::Socks5Refused { .. }
        | E::HttpRefused { .. }
        | E::TelnetRefused { .. } => Refusal::General,
        E::NoMethod { .. } | E::NoScheme { .. } | E::WrongPassword { .. } | E::WrongHeader { .. } => {
            Refusal::ProxyAuthentication
        }
        #[cfg(feature = "ssh")]
        E::Ssh(failure) => ssh_refusal(failure),
        _ => Refusal::ProxyFailed,
    }
}

/// Translates the reason of an SSH server, which for a failed connection is the text of its system.
#[cfg(feature = "ssh")]
fn ssh_refusal(failure: &proto::ssh::Failure) -> Refusal {
    use crate::ssh::error::Error as E;
    let (reason, text) = match &failure.cause {
        E::ChannelRefused { reason, text } => (*reason, text.to_ascii_lowercase()),
        _ if failure.is_login() => return Refusal::ProxyAuthentication,
        _ => return Refusal::ProxyFailed,
    };
    let texts = [
        ("connection refused", Refusal::ConnectionRefused),
        ("timed out", Refusal::TimedOut),
        ("no route to host", Refusal::HostUnreachable),
        ("network is unreachable", Refusal::NetworkUnreachable),
        ("name or service not known", Refusal::UnknownHost),
        ("name resolution", Refusal::UnknownHost),
    ];
    match reason {
        1 => Refusal::NotAllowed,
        _ => texts.iter().find(|(part, _)| text.contains(part)).map_or(Refusal::General, |(_, found)| *found),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Duration;

    use super::*;
    use crate::addr::{Endpoint, Host};
    use crate::error::Peer;
    use crate::plan::Target;

    #[test]
    fn the_reason_is_passed_on_unless_it_is_about_a_proxy() {
        let endpoint =
            || Endpoint { host: Host::parse("host.example").unwrap(), port: 22.try_into().unwrap() };
        let target = Peer::target(&Target::Tcp(endpoint()));
        let proxy = Peer { protocol: Some("SOCKS5"), ..target.clone() };
        let dial = |peer: &Peer, kind: ErrorKind| Error::Dial {
            peer: peer.clone(),
            attempts: vec![
                ("192.0.2.1:22".into(), ErrorKind::TimedOut.into()),
                ("192.0.2.2:22".into(), kind.into()),
            ],
            ignored: 0,
        };
        let resolve =
            |peer: &Peer| Error::Resolve { peer: peer.clone(), cause: "no".into(), explicit: false };
        let refused = |cause| Error::Negotiation { peer: proxy.clone(), cause };
        let socks5 = |code| refused(proto::Error::Socks5Refused { target: endpoint().into(), code });
        let http = |status| {
            refused(proto::Error::HttpRefused {
                target: endpoint().into(),
                status,
                text: String::new(),
                expects_tls: false,
                sent_user_agent: false,
            })
        };
        for (error, expected) in [
            (resolve(&target), Refusal::UnknownHost),
            (resolve(&proxy), Refusal::ProxyFailed),
            (dial(&target, ErrorKind::ConnectionRefused), Refusal::ConnectionRefused),
            (dial(&target, ErrorKind::HostUnreachable), Refusal::HostUnreachable),
            (dial(&target, ErrorKind::NetworkUnreachable), Refusal::NetworkUnreachable),
            (dial(&target, ErrorKind::TimedOut), Refusal::TimedOut),
            (dial(&target, ErrorKind::PermissionDenied), Refusal::General),
            (dial(&proxy, ErrorKind::ConnectionRefused), Refusal::ProxyFailed),
            (
                Error::TimedOut {
                    peer: target.clone(),
                    doing: "did not answer".into(),
                    limit: Duration::ZERO,
                },
                Refusal::TimedOut,
            ),
            (socks5(1), Refusal::General),
            (socks5(2), Refusal::NotAllowed),
            (socks5(3), Refusal::NetworkUnreachable),
            (socks5(4), Refusal::HostUnreachable),
            (socks5(5), Refusal::ConnectionRefused),
            (socks5(6), Refusal::TimedOut),
            (http(403), Refusal::NotAllowed),
            (http(502), Refusal::General),
            (http(504), Refusal::TimedOut),
            (
                refused(proto::Error::WrongPassword { user: "me".into(), text: String::new() }),
                Refusal::ProxyAuthentication,
            ),
            (refused(proto::Error::AddressType(9)), Refusal::ProxyFailed),
            (Error::Loop { peer: target.clone() }, Refusal::NotAllowed),
            (Error::TargetNotAllowed { target: endpoint() }, Refusal::NotAllowed),
            (
                Error::NoRoute { target: "x".into(), failed: vec![(1, socks5(2)), (2, resolve(&target))] },
                Refusal::UnknownHost,
            ),
            (Error::System { what: "x", cause: ErrorKind::Other.into() }, Refusal::General),
        ] {
            assert_eq!(error.refusal(), expected, "{error}");
        }
    }
}
