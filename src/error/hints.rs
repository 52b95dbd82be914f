//! Advice for the user, based on the cause of a failure. This is the only module that knows both
//! the causes and the flags.

use std::io::ErrorKind;

use super::{CertificateProblem, Error, ExitCode, MAX_SHOWN_ADDRESSES, Peer, TlsAlert, TlsFailure, web};
use crate::addr::{Host, SpecialUse};
use crate::plan::{ListenAddress, Target};
use crate::proto::{self, Awaited, BadUpgrade, Unencodable, Unusable, UnusableScheme};
use crate::text::listed;

const CHECK_TYPE: &str = "check the type and port of the proxy";
const USE_TLS: &str = "use https://, because it expects TLS";
const USE_PLAIN: &str = "check the port, or use http:// if the proxy does not use TLS";
const LEAVE_OUT_TLS: &str = "check the port, or leave out --tls-target if the target does not use TLS";
const ASK_ADMIN: &str = "report this to the proxy's administrator";
const CHECK_TARGET: &str = "check that the target is running and the port is right";
const NEW_TOKEN: &str = "get a new token";
const TARGET_DOWN: &str = "check that the target is up and reachable from the proxy";
/// The port to which most HTTP proxies allow CONNECT.
const HTTPS_PORT: u16 = 443;
/// Advice after a signal that usually comes from the program that started us.
pub(crate) const GIVEN_UP: &str = "if ssh gave up too early, raise its ConnectTimeout";

impl Error {
    /// Returns advice for the user. `None` if there is nothing to add to the message.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        hint(self)
    }
}

fn hint(error: &Error) -> Option<String> {
    let hint = match error {
        Error::Usage(_) => "see connect --help",
        Error::Resolve { peer, .. } if peer.is_onion() => {
            "connect through Tor, as with -S 127.0.0.1:9050 or -x socks5h://127.0.0.1:9050"
        }
        Error::Resolve { peer, .. } if peer.has_zone() => {
            "check the zone after the '%', which names a network interface of this machine"
        }
        Error::Resolve { explicit: true, .. } => "try -R both, or -R remote to let the proxy resolve it",
        Error::Resolve { peer: Peer { protocol: None, .. }, .. } => {
            "check the spelling and the name server, or let a proxy resolve it (-S, -H)"
        }
        Error::Resolve { .. } => "check the spelling and the name server",
        Error::Dial { peer, .. } if peer.lacks_zone() => "append the network interface, as in fe80::1%eth0",
        Error::Dial { peer, attempts, .. } => {
            dial_hint(attempts.last()?.1.kind(), matches!(peer.address, Target::Unix(_)))?
        }
        Error::Negotiation { peer, cause } => match web::negotiation_hint(peer, cause) {
            None => negotiation_hint(cause)?,
            hint => return hint,
        },
        Error::Tls { peer, cause, only_in_url } => return tls_hint(peer, cause, *only_in_url),
        Error::Lost { peer: Peer { protocol: None, .. }, .. } => LEAVE_OUT_TLS,
        Error::Lost { .. } => CHECK_TYPE,
        Error::NothingReceived { granted_by: Some(_), .. } => {
            "check that the target is up and accepts the proxy's address, and that the port is not blocked behind the proxy"
        }
        Error::NothingReceived { granted_by: None, .. } => {
            "check that the service on the target works and accepts your address"
        }
        Error::Remote { .. } if error.exit_code() == ExitCode::Authentication => NEW_TOKEN,
        Error::RejectedBefore { .. } => "correct the credentials and restart connect",
        Error::TimedOut { .. } => "check host, port and firewall, or raise the limit with -w SECONDS",
        Error::NoPassword { variables, .. } => {
            return variables.map(|names| format!("set {names}, or run connect in a terminal"));
        }
        Error::Listen { address, cause } => listen_hint(address, cause.kind())?,
        Error::KeyFile { cause, .. } if cause.kind() == ErrorKind::AlreadyExists => "choose another name",
        Error::Remote { .. } if error.exit_code() == ExitCode::Authentication => "get a new token",
        Error::ClientNotAllowed => "add its network to --allow-from to serve it",
        Error::TargetNotAllowed { .. } => "add it to --allow-to if clients may reach it",
        Error::Loop { .. } => "check the target that the client names, and the proxy",
        // Each route may need different advice.
        Error::NoRoute { .. } => "use -d to see each attempt",
        Error::Bind { available, .. } if available.is_empty() => return None,
        Error::Bind { available, .. } => {
            return Some(format!("use {}", listed(available, MAX_SHOWN_ADDRESSES)));
        }
        Error::NoAddress { family, setting, .. } => {
            return Some(format!("specify an {family} address or a name, or leave out {setting}"));
        }
        Error::Config(_)
        | Error::TakenOver { .. }
        | Error::Denied { .. }
        | Error::Idle { .. }
        | Error::ClientGone
        | Error::ClientRejected(_)
        | Error::Remote { .. }
        | Error::Client { .. }
        | Error::Input(_)
        | Error::Output(_)
        | Error::ReaderGone
        | Error::NoExitStatus { .. }
        | Error::Terminated(_)
        | Error::ForwardRefused { .. }
        | Error::KeyFile { .. }
        | Error::System { .. } => return None,
    };
    Some(hint.to_owned())
}

fn dial_hint(cause: ErrorKind, is_socket: bool) -> Option<&'static str> {
    Some(match cause {
        ErrorKind::ConnectionRefused if is_socket => "check that the program that listens there is running",
        ErrorKind::PermissionDenied if is_socket => "check the permissions of the socket and its directory",
        ErrorKind::ConnectionRefused => "check that it is running and the port is right",
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => "check the network",
        ErrorKind::TimedOut => "check host, port and firewall",
        ErrorKind::PermissionDenied => "check the firewall and the permissions of this machine",
        ErrorKind::NotFound => "check the path",
        _ => return None,
    })
}

fn listen_hint(address: &ListenAddress, cause: ErrorKind) -> Option<&'static str> {
    Some(match (cause, matches!(address, ListenAddress::Unix(_))) {
        (ErrorKind::AddrInUse, true) => "choose another path, or stop the process that listens there",
        (ErrorKind::ResourceBusy, true) => "choose another directory, or stop that process",
        (_, true) => "check the directory and its permissions",
        (ErrorKind::AddrInUse, false) => "choose another port, or stop the process that uses it",
        (ErrorKind::PermissionDenied, false) => "choose a port above 1023, or run connect as root",
        _ => return None,
    })
}

fn negotiation_hint(cause: &proto::Error) -> Option<&'static str> {
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
        E::Link(failure) => super::link::hint(failure)?,
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

fn tls_hint(peer: &Peer, cause: &TlsFailure, only_in_url: bool) -> Option<String> {
    let is_target = peer.protocol.is_none();
    let role = if is_target { "target" } else { "proxy" };
    let hint = match cause {
        TlsFailure::NotTls | TlsFailure::Closed | TlsFailure::Malformed(_) if is_target => {
            LEAVE_OUT_TLS.into()
        }
        TlsFailure::NotTls => {
            web::tls_hint(peer).unwrap_or_else(|| "use http:// (or remove +tls), or check the port".into())
        }
        TlsFailure::Closed | TlsFailure::Malformed(_) => {
            web::tls_hint(peer).unwrap_or_else(|| USE_PLAIN.into())
        }
        TlsFailure::Incompatible(_) => enable_versions(role),
        TlsFailure::Misbehaved(_) => report_to(role),
        TlsFailure::Alert(alert) | TlsFailure::LateAlert(alert) => alert_hint(alert, role),
        TlsFailure::Certificate(problem) => certificate_hint(problem, role),
        TlsFailure::Other(_) => return None,
    };
    if only_in_url && hint.contains("--tls-") {
        return Some(format!("{hint} (with --tls-target, in the URL given to -x)"));
    }
    Some(hint)
}

fn alert_hint(alert: &TlsAlert, role: &str) -> String {
    match alert {
        TlsAlert::ProtocolVersion => enable_versions(role),
        TlsAlert::NothingInCommon(_) => format!(
            "ask the {role}'s administrator to enable current cipher suites, and RSA, P-256 or P-384 for its certificate"
        ),
        TlsAlert::CertificateRequired | TlsAlert::HandshakeFailure => {
            "specify a client certificate with --tls-cert and --tls-key".into()
        }
        TlsAlert::UnknownCa | TlsAlert::CertificateExpired | TlsAlert::CertificateRejected(_) => {
            format!("specify a client certificate that the {role} accepts, with --tls-cert and --tls-key")
        }
        TlsAlert::UnrecognizedName => "specify another name with --tls-server-name".into(),
        TlsAlert::AccessDenied => format!("ask the {role}'s administrator for access"),
        TlsAlert::Other(_) => report_to(role),
    }
}

fn enable_versions(role: &str) -> String {
    format!("ask the {role}'s administrator to enable TLS 1.2 or 1.3")
}

fn report_to(role: &str) -> String {
    format!("report this to the {role}'s administrator")
}

fn certificate_hint(problem: &CertificateProblem, role: &str) -> String {
    use CertificateProblem as P;
    let or_pin = |advice: String, pin: &Option<String>| match pin {
        Some(pin) => format!("{advice}, or pin the {role}'s key with --insecure --tls-pin {pin}"),
        None => advice,
    };
    match problem {
        P::Expired { .. } | P::NotYetValid { .. } => {
            format!("check the clock of this machine, or report this to the {role}'s administrator")
        }
        P::WrongName { .. } => format!(
            "if it is the right {role}, use a name from the certificate, or give one with --tls-server-name"
        ),
        P::NoName { .. } => {
            format!("trust its key with --insecure --tls-pin, or report this to the {role}'s administrator")
        }
        P::SelfSigned { pin } => {
            or_pin(format!("if it is the right {role}, trust the certificate with --tls-ca FILE"), pin)
        }
        P::UnknownIssuer { pin, .. } => {
            or_pin("specify the authority's certificate with --tls-ca FILE".to_owned(), pin)
        }
        P::BadSignature { .. } => format!(
            "ask the {role}'s administrator whether the authority has a new key, because an impostor may be using its name"
        ),
        P::NotPinned { .. } => format!(
            "pass this pin to --tls-pin only if the {role} has a new key, because an impostor may have answered"
        ),
        P::UnsupportedAlgorithm { pin, .. } => or_pin(
            format!(
                "ask the {role}'s administrator for a certificate that is signed with RSA, P-256, P-384 or Ed25519"
            ),
            pin,
        ),
        P::OldVersion(_) => format!("ask the {role}'s administrator for a new certificate"),
        P::WrongKey => {
            format!("report this to the {role}'s administrator, because an impostor may have answered")
        }
        P::Unreadable | P::Other(_) => report_to(role),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::addr::Endpoint;
    use crate::plan::Target;

    fn scheme(name: &str, reason: Unusable) -> UnusableScheme {
        UnusableScheme { name: name.into(), reason }
    }

    /// Regression test: the advice to run a relay for NTLM took precedence, although leaving out
    /// `-a` would have been enough.
    #[test]
    fn a_scheme_that_only_a_excludes_is_advised_before_a_relay() {
        let ntlm = scheme("NTLM", Unusable::NeedsRelay);
        let basic = scheme("Basic", Unusable::NotAllowed);
        for offered in [vec![ntlm.clone(), basic.clone()], vec![basic.clone(), ntlm.clone()], vec![basic]] {
            assert_eq!(scheme_hint(&offered), Some("leave out -a, or add the scheme to it"));
        }
        assert!(scheme_hint(&[ntlm]).is_some_and(|hint| hint.contains("cntlm")));
        assert_eq!(scheme_hint(&[scheme("Bearer", Unusable::Unsupported)]), None);
        assert_eq!(scheme_hint(&[]), None);
    }

    #[test]
    fn the_first_byte_suggests_the_protocol() {
        for (got, hint) in [
            (b'H', "try -H, because it may be an HTTP proxy"),
            (0, "try -4 -R remote, because it may be a SOCKS4 proxy"),
            (5, "try -5, because it may be a SOCKS5 proxy"),
            (b'+', CHECK_TYPE),
        ] {
            assert_eq!(first_byte_hint(got), hint);
        }
    }

    fn target(host: &str, port: &str) -> Endpoint {
        Endpoint { host: Host::parse(host).unwrap(), port: crate::addr::parse_port(port).unwrap() }
    }

    /// Every hint for a refused request or a failed lookup.
    fn hints_for(host: &str) -> Vec<String> {
        let refused = (0..=255).flat_map(|code| {
            let target = Box::new(target(host, "22"));
            [
                proto::Error::Socks4Refused { target: target.clone(), code },
                proto::Error::Socks5Refused { target, code },
            ]
        });
        let refused = refused.filter_map(|cause| negotiation_hint(&cause).map(str::to_owned));
        let unresolved = [false, true].map(|explicit| {
            let peer = Peer::target(&Target::Tcp(target(host, "22")));
            Error::Resolve { peer, cause: "unknown".into(), explicit }
        });
        refused.chain(unresolved.iter().filter_map(Error::hint)).collect()
    }

    #[test]
    fn the_hint_for_a_refused_onion_name_advised_to_show_it_to_a_name_server() {
        let hints = hints_for("abc.onion");
        assert!(hints.len() > 20, "{hints:?}");
        for hint in hints {
            assert!(!hint.contains("-R local") && !hint.contains("-R both"), "{hint}");
        }
    }

    #[test]
    fn a_hint_to_resolve_a_name_here_says_who_sees_the_name() {
        let local: Vec<_> =
            hints_for("host.example").into_iter().filter(|hint| hint.contains("-R local")).collect();
        assert_eq!(local.len(), 3, "{local:?}");
        for hint in local {
            assert!(hint.contains("reveals the name to your DNS server"), "{hint}");
        }
        assert!(first_byte_hint(4).contains("-4 -R remote"));
        // An address cannot be resolved elsewhere.
        for hint in hints_for("192.0.2.1") {
            assert!(!hint.contains("-R local"), "{hint}");
        }
    }

    #[test]
    fn a_403_on_port_443_was_explained_by_the_port() {
        let refused = |port, text: &str, sent_user_agent| proto::Error::HttpRefused {
            target: target("host.example", port).into(),
            status: 403,
            text: text.into(),
            expects_tls: false,
            sent_user_agent,
        };
        let hint = |port, text, sent| negotiation_hint(&refused(port, text, sent)).unwrap();
        assert!(hint("22", "Forbidden", false).contains("port 443 only"));
        for sent_user_agent in [false, true] {
            let hint = hint("443", "Forbidden", sent_user_agent);
            assert!(hint.contains("allow this host") && !hint.contains("443"), "{hint}");
            assert_eq!(hint.contains("--user-agent"), !sent_user_agent, "{hint}");
        }
        for port in ["22", "443"] {
            assert!(hint(port, "Forbidden: unknown User-Agent", false).contains("your browser"));
            assert!(!hint(port, "Forbidden: unknown User-Agent", true).contains("your browser"));
        }
    }

    #[test]
    fn a_password_is_advised_unless_it_was_offered() {
        let no_method =
            |userpass_offered| proto::Error::NoMethod { offered: String::new(), userpass_offered };
        assert!(negotiation_hint(&no_method(false)).is_some_and(|hint| hint.contains("SOCKS5_PASSWORD")));
        assert!(negotiation_hint(&no_method(true)).is_some_and(|hint| !hint.contains("SOCKS5_PASSWORD")));
    }
}
