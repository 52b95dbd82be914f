//! From the plan's settings to those of the library: this is where certificates and keys are read.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::verifier::{ProblemSlot, Verifier};
use crate::error::{Error, os_message};
use crate::plan::Tls;
use crate::text::printable;
use crate::trace::trace;

/// The most that is read of a file, in bytes: a thousand times what any of them needs, and an end for one that has none.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// All that a handshake needs but the name.
pub(super) fn configuration(tls: &Tls, problem: &Arc<ProblemSlot>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let own = match &tls.authorities {
        Some(file) if !tls.insecure => certificates(file)?,
        _ => Vec::new(),
    };
    let chain = if tls.insecure { None } else { Some(chain(tls, &own, &provider)?) };
    let verifier = Verifier {
        chain,
        own,
        pins: tls.pins.clone(),
        provider: Arc::clone(&provider),
        problem: Arc::clone(problem),
    };
    let failed = |error: rustls::Error| Error::Config(format!("TLS cannot be set up: {error}"));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(failed)?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut configuration = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = key(&identity.key)?;
            builder.with_client_auth_cert(certificates(&identity.certificate)?, key).map_err(|error| {
                let (certificate, key) = (shown(&identity.certificate), shown(&identity.key));
                Error::Config(format!(
                    "the TLS certificate in {certificate} and the key in {key} do not work: {error}"
                ))
            })?
        }
    };
    // Each connection is one of its own, and is not to be recognized as the same user's by who listens.
    configuration.resumption = Resumption::disabled();
    Ok(configuration)
}

/// Who may vouch for a proxy: those that the user names, or else those that the system trusts.
fn chain(
    tls: &Tls,
    own: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &tls.authorities {
        roots.add_parsable_certificates(own.iter().cloned());
        if roots.is_empty() {
            return Err(Error::Config(format!(
                "no certificate in {} can be used as an authority's",
                shown(file)
            )));
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        found.errors.iter().for_each(|error| trace!("the system's certificates: {error}"));
        let (used, ignored) = roots.add_parsable_certificates(found.certs);
        trace!("the system's certificates: {used} used, {ignored} not understood");
        if roots.is_empty() {
            return Err(Error::Config(
                "the system has no certificates of authorities, so that no proxy can be trusted; name a file with \
                 --tls-ca"
                    .into(),
            ));
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| Error::Config(format!("TLS cannot be set up: {error}")))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => {
            Err(Error::Config(format!("there is no certificate in {} (PEM: BEGIN CERTIFICATE)", shown(file))))
        }
        Err(error) => {
            Err(Error::Config(format!("the certificates in {} make no sense: {error}", shown(file))))
        }
    }
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read(file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let has = |label: &[u8]| text.windows(label.len()).any(|window| window == label);
        let what = match error {
            _ if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") => {
                "is encrypted, and there is nobody to ask for its passphrase: openssl pkey writes it without"
                    .into()
            }
            pem::Error::NoItemsFound => "is not there (PEM: BEGIN PRIVATE KEY)".into(),
            error => format!("makes no sense: {error}"),
        };
        Error::Config(format!("the private key in {} {what}", shown(file)))
    })
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut text = Zeroizing::new(Vec::new());
    let read = File::open(file).and_then(|open| open.take(MAX_FILE).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(Error::Config(format!(
            "{}, which TLS needs, cannot be read: {}",
            shown(file),
            os_message(&error)
        ))),
    }
}

fn shown(path: &Path) -> String {
    printable(path.to_string_lossy().as_bytes())
}
