//! The certificate of the targets that speak TLS.

use std::fs;
use std::io;
use std::sync::Arc;

use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;

use crate::competitors::TARGET_CERTIFICATE;
use crate::options::scratch_directory;

/// Creates a self-signed certificate, and writes it to the file that the relays trust.
pub(super) fn server_config() -> io::Result<Arc<ServerConfig>> {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).map_err(io::Error::other)?;
    fs::write(scratch_directory().join(TARGET_CERTIFICATE), cert.pem())?;
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key.into())
        });
    config.map(Arc::new).map_err(io::Error::other)
}
