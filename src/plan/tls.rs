//! Settings for TLS.

use std::path::PathBuf;

use crate::addr::Host;

/// TLS settings for a proxy or the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file of trusted authorities; `None` to trust the system's.
    pub authorities: Option<PathBuf>,
    /// The client certificate; `None` to send none.
    pub identity: Option<Identity>,
    /// SHA-256 hashes of the accepted public keys; empty to accept any.
    pub pins: Vec<[u8; 32]>,
    /// The name for SNI and certificate verification; `None` to use the peer's host.
    pub server_name: Option<Host>,
    /// Verify only the pins, not the certificate.
    pub insecure: bool,
    /// `true` if hints must refer to the proxy's URL, because the TLS options on the command line
    /// are for the target.
    pub only_in_url: bool,
}

/// The TLS settings of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerIdentity {
    /// `--serve-cert` and `--serve-key`.
    pub own: Identity,
    /// `--serve-client-ca`: a PEM file of the authorities of client certificates; `None` to require
    /// none.
    pub client_authorities: Option<PathBuf>,
}

/// A certificate with its key, to present to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The PEM file with the certificate and its intermediates.
    pub certificate: PathBuf,
    /// The PEM file with the private key, which may be the same file as `certificate`.
    pub key: PathBuf,
}
