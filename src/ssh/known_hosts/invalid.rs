//! The reasons to skip a line.

/// The reason that a line is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The line has an unknown marker, or two.
    #[error("unknown marker; expected @cert-authority or @revoked")]
    Marker,
    /// The hashed name is malformed.
    #[error("malformed hash of a host name")]
    Hash,
    /// A pattern is too long.
    #[error("a host name has more than 1022 bytes")]
    LongPattern,
    /// The line has no key.
    #[error("missing key")]
    NoKey,
    /// The key is for version 1 of the protocol.
    #[error("a key for SSH version 1")]
    Version1,
    /// The key is not in base64.
    #[error("the key is not valid base64")]
    Base64,
    /// The key is malformed.
    #[error("malformed key")]
    Key,
    /// The encoded key has another type than the line says.
    #[error("the key does not have the type that the line gives")]
    OtherType,
    /// The line has a certificate.
    #[error("a certificate; expected a key")]
    Certificate,
}
