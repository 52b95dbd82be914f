//! The ways in which TLS with a proxy or the target can fail.

/// The cause of a failed TLS connection. Displayed after the name of the peer, a proxy or the
/// target: "HTTP proxy proxy.example:443 …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The first byte of the peer's reply cannot start a TLS record.
    #[error("does not speak TLS")]
    NotTls,
    /// The peer closed the connection before the handshake was complete.
    #[error("closed the connection during the TLS handshake")]
    Closed,
    /// The peer sent a message that is malformed or not TLS; the text names the violation.
    #[error("violated the TLS protocol: {0}")]
    Malformed(String),
    /// The peer sent a TLS message that is not allowed at this point; the text names the violation.
    #[error("violated the TLS protocol: {0}")]
    Misbehaved(String),
    /// The two sides have no TLS version, cipher suite or other parameter in common; the text says
    /// which.
    #[error("supports no TLS version or cipher suite that we support: {0}")]
    Incompatible(String),
    /// The peer sent a fatal alert during the handshake.
    #[error("aborted the TLS handshake: {0}")]
    Alert(TlsAlert),
    /// The peer sent a fatal alert after the handshake, but before the tunnel was established.
    #[error("aborted the TLS connection: {0}")]
    LateAlert(TlsAlert),
    /// The certificate failed verification.
    #[error("has {0}")]
    Certificate(CertificateProblem),
    /// Any other error from the TLS library.
    #[error("failed the TLS handshake: {0}")]
    Other(String),
}

/// A TLS alert (RFC 8446 §6.2). Displayed with its name from the RFC, so that users can search for
/// it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsAlert {
    /// `handshake_failure` in answer to our first message, or `insufficient_security`; by name.
    #[error("no common cipher suite or signature algorithm, or no certificate for this name ({0})")]
    NothingInCommon(&'static str),
    /// `handshake_failure` later on. TLS 1.2 servers send it for a missing client certificate.
    #[error("a client certificate may be required (handshake_failure)")]
    HandshakeFailure,
    /// `protocol_version`.
    #[error("no common TLS version (protocol_version)")]
    ProtocolVersion,
    /// `certificate_required`.
    #[error("a client certificate is required (certificate_required)")]
    CertificateRequired,
    /// `unknown_ca`.
    #[error("the issuer of the client certificate is not trusted (unknown_ca)")]
    UnknownCa,
    /// `certificate_expired`.
    #[error("the client certificate has expired (certificate_expired)")]
    CertificateExpired,
    /// `bad_certificate` or another alert about the client certificate, by name.
    #[error("the client certificate was rejected, or is missing ({0})")]
    CertificateRejected(&'static str),
    /// `access_denied`.
    #[error("access denied (access_denied)")]
    AccessDenied,
    /// `unrecognized_name`.
    #[error("no certificate for the requested server name (unrecognized_name)")]
    UnrecognizedName,
    /// Any other alert, by its name in the RFC or its number.
    #[error("alert {0}")]
    Other(String),
}

/// The reason to reject a peer's certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// The certificate's `notAfter` date has passed.
    #[error("a certificate that expired on {on}")]
    Expired {
        /// The `notAfter` date.
        on: String,
    },
    /// The certificate's `notBefore` date is in the future.
    #[error("a certificate that is not valid before {from}")]
    NotYetValid {
        /// The `notBefore` date.
        from: String,
    },
    /// The certificate's names do not include the expected one.
    #[error("a certificate for {names}, not for {expected}")]
    WrongName {
        /// The names in the certificate, separated by commas; a long list ends in "N more".
        names: String,
        /// The name or address that was expected.
        expected: String,
    },
    /// The certificate has no `subjectAltName`; the common name is ignored.
    #[error("a certificate without a subjectAltName, so it does not match {expected}")]
    NoName {
        /// The name or address that was expected.
        expected: String,
    },
    /// The certificate is signed with its own key and is not one of the trusted certificates.
    #[error("a self-signed certificate that is not trusted here")]
    SelfSigned {
        /// The pin of the certificate's key, if the key could be read.
        pin: Option<String>,
    },
    /// No chain leads from the certificate to a trusted authority.
    #[error(
        "a certificate issued by {}, which is not trusted here{}",
        authority(.issuer.as_ref()),
        if *.alone { ", and sent no intermediate certificate" } else { "" }
    )]
    UnknownIssuer {
        /// The issuer's name.
        issuer: Option<String>,
        /// `true` if the peer sent no intermediate certificate.
        alone: bool,
        /// The pin of the certificate's key, if the key could be read.
        pin: Option<String>,
    },
    /// The certificate names a trusted authority as its issuer, but was not signed with that
    /// authority's key.
    #[error("a certificate whose signature does not match the trusted authority {}", authority(.issuer.as_ref()))]
    BadSignature {
        /// The issuer's name.
        issuer: Option<String>,
    },
    /// A signature in the chain uses an algorithm or a type of key that is not supported.
    #[error("a certificate chain that is signed with {algorithm}, which is not supported")]
    UnsupportedAlgorithm {
        /// The algorithm, and the type of key if that is the reason.
        algorithm: String,
        /// The pin of the certificate's key. `None` if the key could not be read or is not
        /// supported.
        pin: Option<String>,
    },
    /// The X.509 version of the certificate, or of one in its chain, is not 3.
    #[error("a certificate of X.509 version {0}, and only version 3 is supported")]
    OldVersion(u8),
    /// The peer's signature of the handshake does not match the certificate's key.
    #[error("a certificate, but not its private key")]
    WrongKey,
    /// The certificate's encoding is invalid.
    #[error("a certificate that cannot be parsed")]
    Unreadable,
    /// The certificate's key is not one of those given with `--tls-pin`.
    #[error("a key that is not pinned: {pin}")]
    NotPinned {
        /// The pin of the certificate's key.
        pin: String,
    },
    /// Any other error, as a clause about the certificate.
    #[error("a certificate that is not trusted: {0}")]
    Other(String),
}

fn authority(issuer: Option<&String>) -> String {
    issuer.map_or_else(|| "an unnamed authority".into(), |name| format!("'{name}'"))
}
