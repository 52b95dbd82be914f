//! Advice for the errors of WebSocket hops and POST tunnels.

use crate::error::Peer;
use crate::proto;
use crate::proto::post::{Failure, ResetCode};

/// The schemes of a hop whose server is a web server.
struct Schemes {
    plain: &'static str,
    tls: &'static str,
}

impl Schemes {
    /// Returns `None` for a peer of another kind.
    fn of(peer: &Peer) -> Option<Self> {
        match peer.protocol? {
            "WebSocket" => Some(Self { plain: "ws://", tls: "wss://" }),
            "HTTP POST" => Some(Self { plain: "post+http://", tls: "post+https://" }),
            _ => None,
        }
    }
}

/// Returns the advice for a server that did not answer with valid HTTP; `None` for another error or
/// peer.
pub(super) fn negotiation_hint(peer: &Peer, cause: &proto::Error) -> Option<String> {
    let Schemes { tls, .. } = Schemes::of(peer)?;
    Some(match cause {
        proto::Error::NotHttp { is_tls: true, .. } => format!("use {tls}, because it expects TLS"),
        proto::Error::NotHttp { .. } => "check host and port, because it is another kind of server".into(),
        proto::Error::MalformedHttp(_) | proto::Error::HeaderTooLong(_) => {
            "check host and port, or report this to the administrator of the web server".into()
        }
        _ => return None,
    })
}

/// Returns the advice for a server that does not speak TLS; `None` for another peer.
pub(super) fn tls_hint(peer: &Peer) -> Option<String> {
    let Schemes { plain, .. } = Schemes::of(peer)?;
    Some(format!("check the port, or use {plain} if the server does not use TLS"))
}

/// Returns the advice for a tunnel that could not be opened.
pub(super) fn post_hint(failure: &Failure) -> Option<&'static str> {
    Some(match failure {
        Failure::NotATunnel(what) if what.starts_with("HTTP status 404") => {
            "check the path, and that connect --listen serves it"
        }
        Failure::NotATunnel(_) => {
            "check host, port and path; if the network requires a login, log in with a browser first"
        }
        Failure::NotOpened(what) if what.starts_with("HTTP status 5") => {
            "check that connect --listen runs behind the web server"
        }
        Failure::Malformed { expects_tls: true } => "use post+https:// for TLS",
        Failure::NotOpened(what) if !what.starts_with("HTTP status") => {
            "check the port, or use post+https:// if the server expects TLS"
        }
        Failure::Reset(reset) if reset.code == ResetCode::Unreachable => {
            "check the target that the server was started with"
        }
        _ => return None,
    })
}
