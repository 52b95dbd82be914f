//! Converts a plan's TLS settings to a rustls configuration. Certificates and keys are read here.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use super::description;
use super::verifier::{ProblemSlot, Trust, Verifier};
use crate::error::{Error, os_message};
use crate::plan::{Identity, ServerIdentity, Tls};
use crate::text::{bom_length, printable};
use crate::trace::trace;

/// Maximum number of bytes to read from a certificate or key file. Protects against files that
/// never end, such as devices.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// The rustls configuration for a hop, including certificates and the key.
#[derive(Debug)]
pub(super) struct Settings {
    configuration: ClientConfig,
    trust: Arc<Trust>,
}

impl Settings {
    /// Returns the configuration for one session. Its verifier stores in `problem` why it rejected
    /// a certificate.
    pub(super) fn for_session(&self, problem: &Arc<ProblemSlot>) -> ClientConfig {
        let (trust, problem) = (Arc::clone(&self.trust), Arc::clone(problem));
        let mut configuration = self.configuration.clone();
        configuration.dangerous().set_certificate_verifier(Arc::new(Verifier { trust, problem }));
        configuration
    }
}

/// Reads the certificates and the key for a hop.
pub(super) fn load(tls: &Tls) -> Result<Settings, Error> {
    let provider = Arc::new(ring::default_provider());
    let trusted = if tls.insecure { Vec::new() } else { authorities(tls)? };
    let chain = if tls.insecure { None } else { Some(chain_verifier(tls, &trusted, &provider)?) };
    let trust = Arc::new(Trust { chain, trusted, pins: tls.pins.clone(), provider: Arc::clone(&provider) });
    let verifier = Verifier { trust: Arc::clone(&trust), problem: Arc::default() };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder
        .map_err(|error| cannot_set_up(&description::error(&error)))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut configuration = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = key(&identity.key)?;
            let certificates = certificates(&identity.certificate)?;
            builder.with_client_auth_cert(certificates, key).map_err(|error| cannot_use(identity, &error))?
        }
    };
    // A resumed session would let an eavesdropper link two connections to the same user. Hops with
    // equal settings share the configuration, and must not share tickets either.
    configuration.resumption = Resumption::disabled();
    Ok(Settings { configuration, trust })
}

/// Reads the certificate and the key for the clients of a listener, and the authorities that their
/// certificates must be from.
pub(super) fn load_server(identity: &ServerIdentity) -> Result<ServerConfig, Error> {
    let ServerIdentity { own, client_authorities } = identity;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| cannot_set_up(&description::error(&error)))?;
    let builder = match client_authorities {
        None => builder.with_no_client_auth(),
        Some(file) => builder.with_client_cert_verifier(client_verifier(file, provider)?),
    };
    let (chain, key) = (certificates(&own.certificate)?, key(&own.key)?);
    builder.with_single_cert(chain, key).map_err(|error| cannot_use(own, &error))
}

/// Reads the certificates that a server presents to its clients, its own one first.
pub(super) fn server_chain(identity: &ServerIdentity) -> Result<Vec<CertificateDer<'static>>, Error> {
    certificates(&identity.own.certificate)
}

/// Returns a verifier that requires client certificates from the authorities in this file.
fn client_verifier(file: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(file)?);
    if roots.is_empty() {
        return Err(Error::Config(format!("no usable CA certificate in {}", shown(file))));
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| cannot_set_up(&error.to_string()))
}

fn cannot_use(identity: &Identity, error: &rustls::Error) -> Error {
    let (certificate, key) = (shown(&identity.certificate), shown(&identity.key));
    Error::Config(format!(
        "cannot use the certificate in {certificate} with the key in {key}: {}",
        description::error(error)
    ))
}

/// Returns the trusted certificates: those in the file of `--tls-ca`, or else the system's.
fn authorities(tls: &Tls) -> Result<Vec<CertificateDer<'static>>, Error> {
    if let Some(file) = &tls.authorities {
        return certificates(file);
    }
    let found = rustls_native_certs::load_native_certs();
    found.errors.iter().for_each(|error| trace!("the system's certificates: {error}"));
    Ok(found.certs)
}

/// Returns the chain verifier, which trusts these authorities.
fn chain_verifier(
    tls: &Tls,
    trusted: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    let (used, ignored) = roots.add_parsable_certificates(trusted.iter().cloned());
    match &tls.authorities {
        Some(file) if roots.is_empty() => {
            return Err(Error::Config(format!("no usable CA certificate in {}", shown(file))));
        }
        None if roots.is_empty() => {
            return Err(Error::Config(
                "the system has no CA certificates to verify the server with; specify a file with --tls-ca"
                    .into(),
            ));
        }
        Some(_) => {}
        None => trace!("the system's certificates: {used} used, {ignored} ignored"),
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| cannot_set_up(&error.to_string()))
}

fn cannot_set_up(why: &str) -> Error {
    Error::Config(format!("cannot set up TLS: {why}"))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(file)?;
    let name = shown(file);
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Error::Config(format!("no certificate in {name}; expected PEM (BEGIN CERTIFICATE)"))),
        Err(error) => {
            Err(Error::Config(format!("invalid certificate in {name}: {}", description::pem_error(&error))))
        }
    }
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read(file)?;
    let name = shown(file);
    let has = |label: &[u8]| text.windows(label.len()).any(|window| window == label);
    let is_encrypted = has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED");
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        Error::Config(match error {
            _ if is_encrypted => {
                format!("the private key in {name} is encrypted; decrypt it with openssl pkey")
            }
            pem::Error::NoItemsFound => {
                format!("no private key in {name}; expected PEM (BEGIN PRIVATE KEY)")
            }
            error => format!("invalid private key in {name}: {}", description::pem_error(&error)),
        })
    })
}

/// Reads a PEM file, and removes the byte order mark at its start.
fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut text = Zeroizing::new(Vec::new());
    let read = File::open(file).and_then(|open| {
        open.take(MAX_FILE).read_to_end(&mut text)?;
        let bom = bom_length(&text).map_err(io::Error::other)?;
        text.drain(..bom);
        Ok(())
    });
    match read {
        Ok(()) => Ok(text),
        Err(error) => {
            Err(Error::Config(format!("cannot read {} for TLS: {}", shown(file), os_message(&error))))
        }
    }
}

fn shown(path: &Path) -> String {
    printable(path.to_string_lossy().as_bytes())
}
