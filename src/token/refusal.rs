//! The reasons to refuse a token.

use crate::text::date::rfc3339;

/// A reason to refuse a token, for the client and for the log. Contains nothing of the token but
/// times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The client sent no token.
    #[error("token missing")]
    Missing,
    /// The token is longer than [`MAX_TOKEN`](super::MAX_TOKEN).
    #[error("token too long")]
    TooLong,
    /// The token does not consist of three parts in canonical base64url.
    #[error("malformed token")]
    Malformed,
    /// No key of the server has signed the token.
    #[error("token not signed by a known key")]
    Signature,
    /// The algorithm or the type in the header is not supported.
    #[error("unsupported token: '{0}' in its header")]
    Header(&'static str),
    /// A claim has an invalid value, or is missing although it is required.
    #[error("token with invalid or missing claim '{0}'")]
    Claim(&'static str),
    /// The token has expired.
    #[error("token expired at {}", rfc3339(*.0))]
    Expired(u64),
    /// The token is not valid yet.
    #[error("token not valid before {}", rfc3339(*.0))]
    NotYetValid(u64),
    /// The token was issued in the future.
    #[error("token issued in the future, at {}", rfc3339(*.0))]
    IssuedLater(u64),
    /// The key that has signed the token was removed from the keys file.
    #[error("the key of the token was removed")]
    KeyRemoved,
    /// The token is for another server.
    #[error("token for another audience")]
    Audience,
    /// The token is for another role.
    #[error("token for another role")]
    Role,
    /// The token is for another session.
    #[error("token for another session")]
    Session,
    /// The keys file limits the key to other sessions or roles.
    #[error("token signed by a key for other sessions or roles")]
    KeyLimits,
    /// The deny-file contains the token, its subject or the session.
    #[error("token denied")]
    Denied,
    /// The token's `max` claim permits no more connections.
    #[error("limit of {0} connection{s} at a time with this token", s = if *.0 == 1 { "" } else { "s" })]
    InUse(u32),
    /// Too many tokens from the client's address have failed within a second.
    #[error("too many failing tokens from this address")]
    TooManyFailures,
}

impl Refusal {
    /// Returns the status of the HTTP response.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Missing
            | Self::TooLong
            | Self::Malformed
            | Self::Signature
            | Self::Header(_)
            | Self::Claim(_)
            | Self::Expired(_)
            | Self::NotYetValid(_)
            | Self::IssuedLater(_)
            | Self::KeyRemoved => 401,
            Self::Audience | Self::Role | Self::Session | Self::KeyLimits | Self::Denied => 403,
            Self::InUse(_) | Self::TooManyFailures => 429,
        }
    }

    /// Returns the label for log and statistics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self.status() {
            401 => "token",
            403 => "forbidden",
            _ => "limit",
        }
    }

    /// Returns the code of the WebSocket Close frame that ends a connection for this reason.
    #[must_use]
    pub fn close_code(self) -> u16 {
        if self.status() == 401 { 4401 } else { 4403 }
    }
}
