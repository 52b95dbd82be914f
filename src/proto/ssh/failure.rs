//! The messages about channels that were not opened.

use std::fmt::Display;

use crate::ssh::error::Error;
use crate::ssh::reason;

/// The reasons of a server that refuses a channel (RFC 4254 §5.1).
const PROHIBITED: u32 = 1;
const CONNECT_FAILED: u32 = 2;
const UNKNOWN_TYPE: u32 = 3;
const SHORTAGE: u32 = 4;

/// The failure of a negotiation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message(&"the SSH server"))]
pub struct Failure {
    /// The cause.
    pub cause: Error,
    /// The stage that was not completed.
    pub stage: Stage,
    /// The user name, made printable.
    pub user: Box<str>,
    /// The target.
    pub target: Box<str>,
    /// The reasons why keys could not be used.
    pub unusable: Vec<String>,
}

/// A stage of the negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The exchange of identification lines.
    Identification,
    /// The first key exchange, and the decision about the host key.
    KeyExchange,
    /// User authentication.
    Login,
    /// The request for a channel.
    Channel,
}

impl Stage {
    /// Returns the end of "closed the connection before".
    fn end(self) -> &'static str {
        match self {
            Self::Identification => "it sent its identification",
            Self::KeyExchange => "the key exchange was complete",
            Self::Login => "authentication was complete",
            Self::Channel => "the channel was open",
        }
    }
}

impl Failure {
    /// Returns `true` if the server could not connect to the target.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self.cause, Error::ChannelRefused { reason: CONNECT_FAILED, .. })
    }

    /// Returns `true` if the server did not accept the user.
    #[must_use]
    pub fn is_login(&self) -> bool {
        match self.cause {
            Error::Rejected { .. } | Error::FurtherAuthentication(_) => true,
            Error::Closed | Error::Disconnected { .. } => self.stage == Stage::Login,
            _ => false,
        }
    }

    /// Returns the message about this server.
    #[must_use]
    pub fn message(&self, server: &dyn Display) -> String {
        match &self.cause {
            Error::Rejected { tried, .. } if tried.is_empty() && !self.unusable.is_empty() => {
                self.unusable.join("; ")
            }
            Error::Rejected { tried, accepts } => self.rejected(server, tried, accepts),
            Error::FurtherAuthentication(methods) => {
                format!("{server} requires further authentication: {methods}")
            }
            Error::ChannelRefused { reason, text } if !self.target.is_empty() => {
                self.refused(server, *reason, text)
            }
            Error::Closed => {
                format!("lost the connection to {server}: closed before {}", self.stage.end())
            }
            Error::Disconnected { text, .. }
                if self.stage == Stage::Login && text.starts_with("Too many authentication failures") =>
            {
                format!("{server} closed the connection after too many attempts; offer fewer keys with -i")
            }
            cause => cause.message(server),
        }
    }

    fn rejected(&self, server: &dyn Display, tried: &str, accepts: &str) -> String {
        let tried = if tried.is_empty() {
            "there is no key or password to try".into()
        } else {
            format!("tried {tried}")
        };
        let message =
            format!("{server} rejected user \"{}\": {tried}; the server accepts {accepts}", self.user);
        [&[message], &self.unusable[..]].concat().join("; ")
    }

    fn refused(&self, server: &dyn Display, reason: u32, text: &str) -> String {
        let target = &self.target;
        let reason = match (reason, text) {
            (CONNECT_FAILED, "") => return format!("{server} could not connect to {target}"),
            (CONNECT_FAILED, text) => {
                return format!("{server} could not connect to {target}: {}", with_small_initial(text));
            }
            (PROHIBITED, _) => "administratively prohibited",
            (UNKNOWN_TYPE, _) => "unknown channel type",
            (SHORTAGE, _) => "resource shortage",
            (_, text) => text,
        };
        format!("{server} refused to forward to {target}: {reason}")
    }

    /// Returns the reason code and the text of the DISCONNECT to send; `None` if the peer has ended
    /// the connection, or does not speak SSH.
    pub(super) fn farewell(&self) -> Option<(u32, &'static str)> {
        Some(match &self.cause {
            Error::NotSsh(_)
            | Error::Version1
            | Error::Closed
            | Error::Disconnected { .. }
            | Error::NoRandomBytes => return None,
            Error::HostKey(_) => (reason::HOST_KEY_NOT_VERIFIABLE, "host key not trusted"),
            Error::Rejected { .. } | Error::FurtherAuthentication(_) => {
                (reason::NO_MORE_AUTH_METHODS, "no more authentication methods")
            }
            Error::ChannelRefused { .. } => (reason::BY_APPLICATION, ""),
            cause => cause.farewell(),
        })
    }
}

/// Returns a text such as `Connection refused` as the end of a sentence.
fn with_small_initial(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
