//! Violations of the protocol.

use crate::ssh::wire::Malformed;

/// A violation of the protocol, after which the channel is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The length of a packet is invalid.
    #[error("an sftp packet of {0} bytes")]
    PacketLength(u32),
    /// A packet of this type is malformed.
    #[error("malformed sftp packet {0}")]
    Malformed(u8),
    /// A packet of this type is not allowed at this time, or does not answer the request.
    #[error("unexpected sftp packet {0}")]
    Unexpected(u8),
    /// The reply answers no request.
    #[error("an sftp reply to a request that was not sent")]
    UnknownRequest,
    /// The peer does not support version 3.
    #[error("sftp version {0}, expected 3")]
    Version(u32),
}

impl Error {
    /// Returns a function that makes an error for a malformed packet.
    pub(super) fn malformed(kind: u8) -> impl Fn(Malformed) -> Self {
        move |Malformed| Self::Malformed(kind)
    }
}
