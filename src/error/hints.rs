//! Advice for the user, based on the cause of a failure. This is the only module that knows both
//! the causes and the flags.

use std::io::ErrorKind;

use super::{CertificateProblem, Error, Peer, TlsAlert, TlsFailure};
use crate::plan::ListenAddress;
use crate::proto::{self, Awaited, Unencodable, Unusable, UnusableScheme};

const CHECK_TYPE: &str = "check the type and port of the proxy";
const USE_TLS: &str = "use https://, because it expects TLS";
const USE_PLAIN: &str = "check the port, or use http:// if the proxy does not use TLS";
const ASK_ADMIN: &str = "report this to the proxy's administrator";
const CHECK_TARGET: &str = "check that the target is running and the port is right";
const TARGET_DOWN: &str = "check that the target is up and reachable from the proxy";
const TLS_VERSIONS: &str = "ask the proxy's administrator to enable TLS 1.2 or 1.3";

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
        Error::Resolve { explicit: true, .. } => "try -R both, or -R remote to let the proxy resolve it",
        Error::Resolve { peer: Peer { protocol: None, .. }, .. } => {
            "check the spelling and the name server, or let a proxy resolve it (-S, -H)"
        }
        Error::Resolve { .. } => "check the spelling and the name server",
        Error::Dial { attempts, .. } => dial_hint(attempts.last()?.1.kind())?,
        Error::Negotiation { cause, .. } => negotiation_hint(cause)?,
        Error::Tls { cause, .. } => return tls_hint(cause),
        Error::Lost { .. } => CHECK_TYPE,
        Error::RejectedBefore { .. } => "correct it and restart connect",
        Error::TimedOut { .. } => "check host, port and firewall, or raise the limit with -w SECONDS",
        Error::NoPassword { variables, .. } => {
            return variables.map(|names| format!("set {names}, or run connect in a terminal"));
        }
        Error::Listen { address, cause } => listen_hint(address, cause.kind())?,
        // Each route may need different advice.
        Error::NoRoute { .. } => "use -d to see each attempt",
        Error::Config(_)
        | Error::Idle { .. }
        | Error::ClientGone
        | Error::Remote { .. }
        | Error::Client { .. }
        | Error::Input(_)
        | Error::Output(_)
        | Error::ReaderGone
        | Error::System { .. } => return None,
    };
    Some(hint.to_owned())
}

fn dial_hint(cause: ErrorKind) -> Option<&'static str> {
    Some(match cause {
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
        E::Closed(Awaited::Socks5EagerReply) => "try without --eager",
        E::Closed(_) => "check the type and port of the proxy, and that it can reach the target",
        E::MalformedHttp(_) | E::HeaderTooLong(_) => ASK_ADMIN,
        E::NotTheProtocol { got, .. } => first_byte_hint(*got),
        E::AddressType(_) => CHECK_TYPE,
        E::NoMethod { userpass_offered: false, .. } => {
            "if it requires a password, set SOCKS5_USER and SOCKS5_PASSWORD, or use -a userpass"
        }
        E::NoMethod { .. } | E::MethodNotOffered(_) => {
            "ask the proxy's administrator which method it requires"
        }
        E::Socks5Refused { code, .. } => socks5_hint(*code)?,
        E::Socks4Refused { code: 91, by_name: false, .. } => {
            "check that the target is up and allowed by the proxy"
        }
        E::Socks4Refused { code: 91, .. } => {
            "try -R local, or -5, because it may not resolve names (SOCKS4a)"
        }
        E::Socks4Refused { code: 92 | 93, .. } => {
            "try -5, or ask the proxy's administrator to disable the identd check"
        }
        E::WrongPassword { .. } => "check the user name and password",
        E::WrongHeader { .. } => "check its value, or give a user name and password instead of the header",
        E::NoScheme { offered, .. } => scheme_hint(offered)?,
        E::HttpRefused { expects_tls: true, .. } | E::NotHttp { is_tls: true, .. } => USE_TLS,
        E::HttpRefused { status, .. } => status_hint(*status)?,
        E::NoAnswerLine(_) => "check the command sent to the proxy (-c)",
        E::NotHttp { .. } => "check that it is an HTTP proxy, or use -S for a SOCKS proxy",
        E::NotEncodable(Unencodable::Socks4Ipv6) => "use SOCKS5 (-5)",
        E::NotEncodable(Unencodable::HttpHostNotAscii) => "use the xn-- form of the name",
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
        0 | 4 => "try -4, because it may be a SOCKS4 proxy",
        5 => "try -5, because it may be a SOCKS5 proxy",
        _ => CHECK_TYPE,
    }
}

fn socks5_hint(code: u8) -> Option<&'static str> {
    Some(match code {
        1 | 3 | 6 => TARGET_DOWN,
        2 | 7 => "ask the proxy's administrator to allow it",
        4 => "check the host name, or try -R local",
        5 => CHECK_TARGET,
        8 => "try -R remote",
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

fn status_hint(status: u16) -> Option<&'static str> {
    Some(match status {
        300..=399 => "if the network requires a login, log in with a browser first",
        403 => "many proxies allow CONNECT to port 443 only",
        400 | 404 | 405 | 501 => "check host and port: it may be a web server, or a proxy without CONNECT",
        502..=504 => "check the name and port of the target",
        _ => return None,
    })
}

fn tls_hint(cause: &TlsFailure) -> Option<String> {
    let hint = match cause {
        TlsFailure::NotTls => "use http:// (or remove +tls), or check the port",
        TlsFailure::Closed | TlsFailure::Malformed(_) => USE_PLAIN,
        TlsFailure::Incompatible(_) | TlsFailure::Alert(TlsAlert::ProtocolVersion) => TLS_VERSIONS,
        TlsFailure::Alert(TlsAlert::CertificateRequired | TlsAlert::HandshakeFailure) => {
            "specify a client certificate with --tls-cert and --tls-key"
        }
        TlsFailure::Alert(TlsAlert::UnrecognizedName) => "specify another name with --tls-server-name",
        TlsFailure::Certificate(problem) => return Some(certificate_hint(problem)),
        TlsFailure::Alert(_) | TlsFailure::Other(_) => return None,
    };
    Some(hint.to_owned())
}

fn certificate_hint(problem: &CertificateProblem) -> String {
    use CertificateProblem as P;
    let or_pin = |advice: &str, pin: &Option<String>| match pin {
        Some(pin) => format!("{advice}, or trust its key with --insecure --tls-pin {pin}"),
        None => advice.to_owned(),
    };
    let hint = match problem {
        P::Expired { .. } | P::NotYetValid { .. } => {
            "check the clock of this machine, or report this to the proxy's administrator"
        }
        P::WrongName { .. } => {
            "if it is the right proxy, use a name from the certificate, or give one with --tls-server-name"
        }
        P::NoName { .. } => {
            "trust its key with --insecure --tls-pin, or report this to the proxy's administrator"
        }
        P::SelfSigned { pin } => {
            return or_pin("if it is the right proxy, trust the certificate with --tls-ca FILE", pin);
        }
        P::UnknownIssuer { pin, .. } => {
            return or_pin("specify the authority's certificate with --tls-ca FILE", pin);
        }
        P::BadSignature { .. } => {
            "ask the proxy's administrator whether the authority has a new key, because an impostor may be using its name"
        }
        P::NotPinned { .. } => {
            "pass this pin to --tls-pin only if the proxy has a new key, because an impostor may have answered"
        }
        P::Unreadable | P::Other(_) => ASK_ADMIN,
    };
    hint.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (0, "try -4, because it may be a SOCKS4 proxy"),
            (5, "try -5, because it may be a SOCKS5 proxy"),
            (b'+', CHECK_TYPE),
        ] {
            assert_eq!(first_byte_hint(got), hint);
        }
    }

    #[test]
    fn a_refused_name_is_to_be_resolved_elsewhere() {
        let socks4 =
            |by_name| proto::Error::Socks4Refused { target: "host.example:22".into(), by_name, code: 91 };
        assert!(negotiation_hint(&socks4(true)).is_some_and(|hint| hint.contains("-R local")));
        assert!(negotiation_hint(&socks4(false)).is_some_and(|hint| !hint.contains("-R local")));
        for (code, hint) in
            [(4, Some("check the host name, or try -R local")), (8, Some("try -R remote")), (9, None)]
        {
            assert_eq!(socks5_hint(code), hint);
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
