//! Advice for the user, based on the cause of a failure. This is the only module that knows both
//! the causes and the flags.

use std::io::ErrorKind;

use super::{Error, ExitCode, MAX_SHOWN_ADDRESSES, Peer};
use crate::plan::{ListenAddress, Target};
use crate::text::listed;
use advice::{CHECK_TYPE, LEAVE_OUT_TLS, NEW_TOKEN};
use negotiation::negotiation_hint;
use tls::tls_hint;

mod advice;
mod negotiation;
mod tls;
mod web;

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
