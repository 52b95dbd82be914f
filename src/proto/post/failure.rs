//! The ways in which a POST tunnel can fail for its client.

use super::message::{Reset, ResetCode};
use crate::text::printable;

/// The cause of a failed tunnel. Displayed after the server's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The answer to OPEN is no message of the protocol, such as a login page.
    #[error("is not a POST tunnel: {0}")]
    NotATunnel(String),
    /// Status 401: the token is missing or invalid.
    #[error("rejected the token: {0}")]
    Token(String),
    /// Status 403 or 409.
    #[error("refused the tunnel: {0}")]
    Refused(String),
    /// Status 400.
    #[error("rejected a request as malformed (HTTP status 400)")]
    Malformed {
        /// The server expects TLS on this port.
        expects_tls: bool,
    },
    /// Status 404 or 410 for a tunnel that was open: the server was restarted, or the tunnel has
    /// expired.
    #[error("does not know the tunnel anymore: the session is lost")]
    SessionLost,
    /// The server has reset the tunnel.
    #[error("{}", reset_text(.0))]
    Reset(Reset),
    /// The tunnel was aborted on this side, because the process ends.
    #[error("was left because this process ends")]
    Aborted,
    /// The system returned no random bytes.
    #[error("cannot be used, because this system returned no random bytes for a key")]
    NoRandomness,
    /// The server did not answer OPEN.
    #[error("did not open the tunnel: {0}")]
    NotOpened(String),
    /// No request was answered for the whole `--resume` time.
    #[error("did not answer for {seconds} seconds: {last}")]
    NoAnswer {
        /// The `--resume` time.
        seconds: u64,
        /// The last cause.
        last: String,
    },
}

/// The failure of a tunnel that was open, as the cause of an I/O error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server {0}")]
pub struct Broken(pub Failure);

fn reset_text(reset: &Reset) -> String {
    let cause = match reset.code {
        ResetCode::Policy => "refused the tunnel",
        ResetCode::Unreachable => "cannot reach the target",
        ResetCode::TooMany => "refused the tunnel: too many tunnels",
        ResetCode::CutOff => "lost the connection to the target",
        ResetCode::Protocol => "ended the tunnel because of a protocol error",
        ResetCode::GoingAway => "is shutting down",
        ResetCode::Idle => "ended the tunnel because it was idle",
    };
    match printable(reset.text.as_bytes()) {
        text if text.is_empty() => cause.into(),
        text if reset.code == ResetCode::Unreachable => format!("cannot reach {text}"),
        text => format!("{cause}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_shown_with_its_text() {
        let shown = |code, text: &str| Failure::Reset(Reset { code, text: text.into() }).to_string();
        assert_eq!(shown(ResetCode::Unreachable, ""), "cannot reach the target");
        assert_eq!(
            shown(ResetCode::Unreachable, "localhost:22: connection refused"),
            "cannot reach localhost:22: connection refused"
        );
        assert!(!shown(ResetCode::Policy, "\x1b[2J").contains('\x1b'));
        assert!(shown(ResetCode::Policy, &"x".repeat(1000)).len() < 250);
    }
}
