//! The failures of an SSH connection.

use std::fmt::Display;

use super::reason;
use super::wire::Malformed;

/// The failure of an SSH connection, without the name of the peer. Texts from the peer are
/// printable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message(&"the peer"))]
pub enum Error {
    /// The peer did not begin with an identification, but with this text.
    NotSsh(String),
    /// The peer supports only version 1 of the protocol.
    Version1,
    /// The two sides have no algorithm of a kind in common.
    NothingInCommon {
        /// The kind of algorithm.
        kind: &'static str,
        /// The peer's algorithms.
        offers: String,
    },
    /// The peer lacks strict key exchange, and this algorithm is not safe without it
    /// (CVE-2023-48795).
    NotStrict(&'static str),
    /// The host key does not fit the algorithm, or is malformed.
    HostKeyFormat,
    /// The host key's signature of the key exchange is invalid.
    Signature,
    /// The host key differs from that of the first key exchange.
    HostKeyChanged,
    /// The public value of the peer is invalid.
    PublicValue,
    /// The MAC of a packet is wrong.
    Corrupt,
    /// The length of a packet is invalid.
    PacketLength,
    /// The padding of a packet is invalid.
    Padding,
    /// A message is malformed.
    Malformed(u8),
    /// A message is not allowed at this time.
    Unexpected(u8),
    /// The peer broke another rule.
    Violation(&'static str),
    /// The peer ended the connection with this reason code (RFC 4253 §11.1) and text.
    Disconnected {
        /// The reason code.
        reason: u32,
        /// The peer's text.
        text: String,
    },
    /// The host key is not trusted. The text is the whole message.
    HostKey(String),
    /// The server refused to open a channel, with a reason (RFC 4254 §5.1) and a text.
    ChannelRefused {
        /// The reason code.
        reason: u32,
        /// The server's text.
        text: String,
    },
    /// The server refused a request for a channel, such as one for a shell.
    RequestRefused(&'static str),
    /// The server has accepted none of the user's credentials.
    Rejected {
        /// The methods, and the keys, that were tried.
        tried: String,
        /// The methods that the server lists.
        accepts: String,
    },
    /// The server has accepted a credential, but wants another one by these methods.
    FurtherAuthentication(String),
    /// The peer closed the connection without a message.
    Closed,
    /// The keys do not fit the cipher.
    Encryption,
    /// The system has no random bytes.
    NoRandomBytes,
}

impl Error {
    /// Returns a function that makes an error for a malformed message.
    pub(super) fn malformed(message: u8) -> impl Fn(Malformed) -> Self {
        move |Malformed| Self::Malformed(message)
    }

    /// Returns the message about this peer.
    #[must_use]
    pub fn message(&self, peer: &dyn Display) -> String {
        match self {
            Self::NotSsh(text) => format!("{peer} did not answer with SSH: received \"{text}\""),
            Self::Version1 => format!("{peer} supports SSH version 1 only"),
            Self::NothingInCommon { kind, offers } => {
                format!("no {kind} in common with {peer}: the server offers {offers}")
            }
            Self::NotStrict(name) => {
                let is_mac = name.starts_with("hmac-");
                let advice = if is_mac { "" } else { "; to use it, name it in --ssh-ciphers" };
                format!("{peer} lacks strict key exchange: {name} is not safe{advice}")
            }
            Self::Corrupt => format!("{peer} sent a corrupt packet: MAC mismatch"),
            Self::Disconnected { text, .. } => format!("{peer} closed the connection: \"{text}\""),
            Self::HostKey(message) => message.clone(),
            Self::ChannelRefused { text, .. } => format!("{peer} refused to open a channel: {text}"),
            Self::RequestRefused(what) => format!("{peer} refused {what}"),
            Self::Rejected { tried, accepts } => {
                format!("{peer} rejected the user: tried {tried}; the server accepts {accepts}")
            }
            Self::FurtherAuthentication(methods) => {
                format!("{peer} requires further authentication: {methods}")
            }
            Self::Closed => format!("{peer} closed the connection without a message"),
            Self::Encryption => format!("cannot encrypt for {peer}"),
            Self::NoRandomBytes => format!("cannot encrypt for {peer}: the system provides no random bytes"),
            _ => format!("{peer} violated the protocol: {}", self.violation()),
        }
    }

    /// Describes the rule that the peer broke.
    fn violation(&self) -> String {
        match self {
            Self::HostKeyFormat => "the host key is malformed or too short".into(),
            Self::Signature => "the host key's signature is invalid".into(),
            Self::HostKeyChanged => "the host key changed during the connection".into(),
            Self::PublicValue => "the public value of the key exchange is invalid".into(),
            Self::PacketLength => "the length of a packet is invalid".into(),
            Self::Padding => "the padding of a packet is invalid".into(),
            Self::Malformed(number) => format!("malformed message {}", super::message::name(*number)),
            Self::Unexpected(number) => format!("unexpected message {}", super::message::name(*number)),
            Self::Violation(what) => (*what).into(),
            other => format!("{other:?}"),
        }
    }

    /// Returns the reason code and the text of the DISCONNECT that reports this to the peer.
    #[must_use]
    pub fn farewell(&self) -> (u32, &'static str) {
        match self {
            Self::NothingInCommon { .. }
            | Self::NotStrict(_)
            | Self::HostKeyFormat
            | Self::Signature
            | Self::PublicValue => (reason::KEY_EXCHANGE_FAILED, "key exchange failed"),
            Self::Corrupt => (reason::MAC_ERROR, "corrupt packet"),
            Self::HostKeyChanged => (reason::HOST_KEY_NOT_VERIFIABLE, "host key changed"),
            _ => (reason::PROTOCOL_ERROR, "protocol error"),
        }
    }
}
