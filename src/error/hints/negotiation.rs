//! Advice for failed negotiations with proxies and servers.

use super::advice::{CHECK_TYPE, NEW_TOKEN};
use super::web;
use crate::addr::{Host, SpecialUse};
use crate::proto::{self, Awaited, BadUpgrade, Unencodable, Unusable, UnusableScheme};

#[cfg(test)]
mod tests;

const ASK_ADMIN: &str = "report this to the proxy's administrator";
const CHECK_TARGET: &str = "check that the target is running and the port is right";
const TARGET_DOWN: &str = "check that the target is up and reachable from the proxy";
const USE_TLS: &str = "use https://, because it expects TLS";
/// The port to which most HTTP proxies allow CONNECT.
const HTTPS_PORT: u16 = 443;

/// Returns the advice for a proxy or server that did not grant the request. `None` if there is
/// nothing to add to the message.
pub(super) fn negotiation_hint(cause: &proto::Error) -> Option<&'static str> {
    use proto::Error as E;
    Some(match cause {
        E::Closed(Awaited::HttpResponse | Awaited::HttpResponseRest) => {
            "check the type and port of the proxy, or use https:// if it expects TLS"
        }
        E::Closed(Awaited::WebSocketResponse | Awaited::WebSocketResponseRest) => {
            "check the port, or use wss:// if the server expects TLS"
        }
        E::Closed(Awaited::Socks5EagerReply) => "try without --eager",
        E::Closed(_) => "check the type and port of the proxy, and that it can reach the target",
        E::MalformedHttp(_) | E::HeaderTooLong(_) => ASK_ADMIN,
        #[cfg(feature = "ssh")]
        E::Ssh(_) => return None,
        E::NotTheProtocol { got, .. } => first_byte_hint(*got),
        E::AddressType(_) => CHECK_TYPE,
        E::NoMethod { userpass_offered: false, .. } => {
            "if it requires a password, set SOCKS5_USER and SOCKS5_PASSWORD, or use -a userpass"
        }
        E::NoMethod { .. } | E::MethodNotOffered(_) => {
            "ask the proxy's administrator which method it requires"
        }
        E::Socks5Refused { target, code } => socks5_hint(*code, form(&target.host))?,
        E::Socks4Refused { target, code: 91 } => match form(&target.host) {
            Form::Address => "check that the target is up and allowed by the proxy",
            Form::Name => {
                "try -5, because the proxy may not resolve names (SOCKS4a), or -R local, which reveals the name to your DNS server"
            }
            Form::OnionName => "check the address, or try -5, because SOCKS5 gives a more specific reason",
        },
        E::Socks4Refused { code: 92 | 93, .. } => {
            "try -5, or ask the proxy's administrator to disable the identd check"
        }
        E::WrongPassword { .. } => "check the user name and password",
        E::WrongHeader { .. } => "check its value, or give a user name and password instead of the header",
        E::NoScheme { offered, .. } => scheme_hint(offered)?,
        E::HttpRefused { expects_tls: true, .. } | E::NotHttp { is_tls: true, .. } => USE_TLS,
        E::NoWebSocket { expects_tls: true, .. } => "use wss:// for TLS",
        E::NoWebSocket { status, .. } => websocket_hint(*status)?,
        E::BadUpgrade(BadUpgrade::Missing(_)) => STRIPPED_UPGRADE,
        E::BadUpgrade(_) => "check host and port, because it may be another kind of server",
        E::Token { sent: true, .. } => NEW_TOKEN,
        E::Token { sent: false, .. } => "use --token-file FILE",
        E::HttpRefused { text, sent_user_agent: false, .. } if mentions_user_agent(text) => {
            "try --user-agent with the text that your browser sends"
        }
        E::HttpRefused { status: 403, target, sent_user_agent, .. } if target.port.get() == HTTPS_PORT => {
            if *sent_user_agent {
                "ask the proxy's administrator to allow this host"
            } else {
                "ask the proxy's administrator to allow this host, or try --user-agent, because some proxies require one"
            }
        }
        E::HttpRefused { status, .. } => status_hint(*status)?,
        E::WebPage { .. } => {
            "check host and port, because it may be a web server; if the network requires a login, log in with a browser first"
        }
        E::NoAnswerLine(_) => "check the command sent to the proxy (-c)",
        E::NotHttp { .. } => "check that it is an HTTP proxy, or use -S for a SOCKS proxy",
        E::NotEncodable(Unencodable::Zone) => "leave out the proxy",
        E::NotEncodable(Unencodable::Socks4Ipv6) => "use SOCKS5 (-5)",
        E::Post(failure) => web::post_hint(failure)?,
        E::Link(failure) => crate::error::link::hint(failure)?,
        E::Socks4Refused { .. }
        | E::TelnetRefused { .. }
        | E::NoRandomness
        | E::TooLong { .. }
        | E::NotEncodable(_) => return None,
    })
}

/// Returns a hint based on the protocol that the first byte of a non-SOCKS answer suggests.
fn first_byte_hint(got: u8) -> &'static str {
    match got {
        b'H' => "try -H, because it may be an HTTP proxy",
        b'S' => "leave out the proxy if this is the ssh server",
        // 0x15 is the record type of a TLS alert (RFC 8446 §5.1), which a TLS server sends in reply
        // to anything but TLS.
        0x15 => "add +tls to the scheme if it expects TLS, as in -x socks5h+tls://HOST",
        // Without -R remote, -4 would show the target's name to a name server.
        0 | 4 => "try -4 -R remote, because it may be a SOCKS4 proxy",
        5 => "try -5, because it may be a SOCKS5 proxy",
        _ => CHECK_TYPE,
    }
}

/// The form in which a request names its target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Address,
    Name,
    /// A name that no name server may see (RFC 7686), so no hint may advise to resolve it here.
    OnionName,
}

fn form(host: &Host) -> Form {
    match host {
        Host::Ip(_) => Form::Address,
        Host::Name(name) if name.special_use() == Some(SpecialUse::Onion) => Form::OnionName,
        Host::Name(_) => Form::Name,
    }
}

fn socks5_hint(code: u8, target: Form) -> Option<&'static str> {
    Some(match (code, target) {
        (1 | 3 | 6, _) | (4, Form::Address) => TARGET_DOWN,
        (2 | 7, _) => "ask the proxy's administrator to allow it",
        (4, Form::Name) => "check the host name, or try -R local, which reveals the name to your DNS server",
        (4, Form::OnionName) | (0xf0 | 0xf2 | 0xf3 | 0xf7, _) => {
            "check the address, or try again later, because the onion service may be down"
        }
        (5, _) => CHECK_TARGET,
        (8, Form::Address) => "give the target's name, with -R remote",
        (8, Form::Name) => "try -R local, which reveals the name to your DNS server",
        (8, Form::OnionName) => "use Tor itself as the proxy, because only Tor can resolve the name",
        (0xf1, _) => "try again later, or update Tor",
        (0xf4, _) => "store the key that you got for the service in Tor's ClientOnionAuthDir",
        (0xf5, _) => "check the key for the service in Tor's ClientOnionAuthDir",
        (0xf6, _) => "check it for typos",
        _ => return None,
    })
}

fn scheme_hint(offered: &[UnusableScheme]) -> Option<&'static str> {
    let any = |reason: &Unusable| offered.iter().any(|scheme| scheme.reason == *reason);
    if any(&Unusable::NotAllowed) {
        Some("leave out -a, or add the scheme to it")
    } else if any(&Unusable::NeedsRelay) {
        Some("run a local proxy that supports it (cntlm, px), and pass its address to -H")
    } else {
        None
    }
}

/// Returns `true` if a refusal says that it is about the `User-Agent`.
fn mentions_user_agent(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("user-agent") || text.contains("user agent")
}

fn status_hint(status: u16) -> Option<&'static str> {
    Some(match status {
        300..=399 | 511 => "if the network requires a login, log in with a browser first",
        403 => "many proxies allow CONNECT to port 443 only",
        400 | 404 | 405 | 501 => {
            "check host and port: it may be a web server, or a proxy that does not support CONNECT"
        }
        502..=504 => "check the name and port of the target",
        _ => return None,
    })
}

/// A hint for a response without the fields of an upgrade.
const STRIPPED_UPGRADE: &str =
    "a proxy on the way may remove the Upgrade field; use wss://, or configure the proxy to pass it on";

fn websocket_hint(status: u16) -> Option<&'static str> {
    Some(match status {
        200..=399 | 511 => {
            "check the path, because it may be a web page; if the network requires a login, log in with a browser first"
        }
        400 | 426 => STRIPPED_UPGRADE,
        404 | 405 | 501 => "check host, port and path",
        502..=504 => "check that the server can reach its target",
        _ => return None,
    })
}
