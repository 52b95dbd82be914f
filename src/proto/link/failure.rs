//! The ways in which a link can fail for its dest.

use std::fmt;
use std::time::Duration;

use crate::proto::post::{Reset, ResetCode};
use crate::text::printable;

/// The failure of a link, or of one of its streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The name of the session at the hub.
    pub session: String,
    /// The cause.
    pub cause: Cause,
}

/// The cause of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// No origin offers the session.
    Absent,
    /// The origin cannot reach its target, for this reason.
    Unreachable(String),
    /// The origin did not answer the hub in time.
    NoAnswer,
    /// The hub is shutting down.
    Draining,
    /// The hub or the origin refused the request, with this status and text.
    Refused(u16, String),
    /// The hub rejected the token of an open link, for this reason.
    Token(String),
    /// The hub denied the token of an open link, for this reason.
    Denied(String),
    /// The two ends do not have the same key.
    Key,
    /// The origin reset the stream or the link.
    Reset(Reset),
    /// No pipe resumed the link.
    NotResumed {
        /// The time for which that was tried. Zero if the link does not survive its pipe.
        time: Duration,
        /// The reason why the last attempt has failed; may be empty.
        last: String,
    },
    /// The origin does not know the link anymore.
    Lost,
    /// The pipe ended in a way that no other pipe can mend.
    Unusable(String),
}

impl Failure {
    /// Describes the failure. `hub` is the address of the hub.
    #[must_use]
    pub fn describe(&self, hub: &dyn fmt::Display) -> String {
        let session = &self.session;
        let origin = format!("the origin of '{session}'");
        match &self.cause {
            Cause::Absent => format!("no origin offers '{session}' at {hub}"),
            Cause::Unreachable(why) => format!("{origin} cannot reach {why}"),
            Cause::NoAnswer => format!("{origin} did not answer"),
            Cause::Draining => format!("{hub} is shutting down"),
            Cause::Refused(status, why) if why.is_empty() => {
                format!("{hub} refused session '{session}' (HTTP status {status})")
            }
            Cause::Refused(_, why) => format!("{hub} refused session '{session}': {why}"),
            Cause::Token(why) => format!("{hub} rejected the token: {why}"),
            Cause::Denied(why) => format!("{hub} ended session '{session}': {why}"),
            Cause::Key => format!("the other end of '{session}' does not have the same key"),
            Cause::Reset(reset) => describe_reset(reset, session),
            Cause::NotResumed { time: Duration::ZERO, .. } => format!("{hub} cut the connection off"),
            Cause::NotResumed { time, last } => {
                let gap = if last.is_empty() { "" } else { ": " };
                format!("session '{session}' could not be resumed in {}{gap}{last}", seconds(*time))
            }
            Cause::Lost => format!("the session is lost: {origin} does not know it anymore"),
            Cause::Unusable(why) => format!("the connection to {origin} is unusable: {why}"),
        }
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        1 => "1 second".into(),
        count => format!("{count} seconds"),
    }
}

fn describe_reset(reset: &Reset, session: &str) -> String {
    let text = printable(reset.text.as_bytes());
    let what = match reset.code {
        ResetCode::Unreachable if !text.is_empty() => {
            return format!("the origin of '{session}' cannot reach {text}");
        }
        ResetCode::Unreachable => format!("the origin of '{session}' cannot reach its target"),
        ResetCode::Policy => format!("the origin of '{session}' refused the connection"),
        ResetCode::TooMany => format!("the origin of '{session}' has too many connections"),
        ResetCode::CutOff => format!("the target of '{session}' cut the connection off"),
        ResetCode::Protocol => format!("the origin of '{session}' reported a protocol error"),
        ResetCode::GoingAway => format!("the origin of '{session}' is shutting down"),
        ResetCode::Idle => format!("the origin of '{session}' ended the connection because it was idle"),
    };
    if text.is_empty() { what } else { format!("{what}: {text}") }
}

/// The failure as the cause of an I/O error. Displayed without the address of the hub.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(&"the hub"))
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(cause: Cause) -> String {
        Failure { session: "lab1".into(), cause }.describe(&"hub.example:443")
    }

    fn not_resumed(seconds: u64, last: &str) -> Cause {
        Cause::NotResumed { time: Duration::from_secs(seconds), last: last.into() }
    }

    #[test]
    fn a_failure_names_the_session_or_the_hub() {
        for (cause, expected) in [
            (Cause::Absent, "no origin offers 'lab1' at hub.example:443"),
            (Cause::Refused(403, "wrong role".into()), "hub.example:443 refused session 'lab1': wrong role"),
            (Cause::Refused(418, String::new()), "hub.example:443 refused session 'lab1' (HTTP status 418)"),
            (not_resumed(0, ""), "hub.example:443 cut the connection off"),
            (not_resumed(1, ""), "session 'lab1' could not be resumed in 1 second"),
            (not_resumed(60, "refused"), "session 'lab1' could not be resumed in 60 seconds: refused"),
        ] {
            assert_eq!(described(cause), expected);
        }
    }

    #[test]
    fn the_text_of_a_reset_is_printable() {
        let reset = |code, text: &str| described(Cause::Reset(Reset { code, text: text.into() }));
        assert_eq!(
            reset(ResetCode::Unreachable, "localhost:22: connection refused"),
            "the origin of 'lab1' cannot reach localhost:22: connection refused"
        );
        assert_eq!(reset(ResetCode::CutOff, ""), "the target of 'lab1' cut the connection off");
        assert!(!reset(ResetCode::Policy, "\x1b[2J").contains('\x1b'));
    }
}
