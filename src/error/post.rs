//! Advice for the errors of POST tunnels.

use crate::proto::post::{Failure, ResetCode};

/// Returns the advice for a tunnel that could not be opened.
pub(super) fn hint(failure: &Failure) -> Option<&'static str> {
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
        Failure::Reset(reset) if reset.code == ResetCode::Unreachable => {
            "check the target that the server was started with"
        }
        _ => return None,
    })
}
