//! Whether a proxy is who it should be.

use std::sync::{Arc, Mutex, PoisonError};

use base64::prelude::{BASE64_STANDARD, Engine};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use sha2::{Digest, Sha256};

use super::certificate::Certificate;
use super::messages::{self, Distrust};

/// What was wrong with a certificate, in words: the library's error cannot hold them.
#[derive(Debug, Default)]
pub(super) struct Complaint(Mutex<Option<Distrust>>);

impl Complaint {
    /// Takes the words, if there are any.
    pub(super) fn take(&self) -> Option<Distrust> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, distrust: Distrust) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(distrust);
    }
}

/// Checks the chain, the name and the time, unless it is told not to; and the key, if there are pins.
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None` for `--insecure`.
    pub(super) chain: Option<Arc<WebPkiServerVerifier>>,
    /// The user's own certificates. One that is among them is trusted as it is, be it one that signs others or not.
    pub(super) own: Vec<CertificateDer<'static>>,
    pub(super) pins: Vec<[u8; 32]>,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) complaint: Arc<Complaint>,
}

impl Verifier {
    fn check_chain(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), CertificateError> {
        let Some(chain) = &self.chain else { return Ok(()) };
        let checked = if self.own.contains(certificate) {
            check_own(certificate, name, now)
        } else {
            chain.verify_server_cert(certificate, others, name, &[], now).map(drop)
        };
        checked.map_err(|error| match error {
            Error::InvalidCertificate(error) => error,
            _ => CertificateError::ApplicationVerificationFailure,
        })
    }

    fn check_pins(&self, certificate: &CertificateDer<'_>) -> Result<(), Distrust> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let pin = pin(certificate).ok_or_else(Distrust::unreadable)?;
        if self.pins.contains(&pin) { Ok(()) } else { Err(Distrust::other_key(&shown(&pin))) }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check_chain(certificate, others, name, now).inspect_err(|error| {
            self.complaint.note(messages::distrust(error, certificate, others, name));
        })?;
        self.check_pins(certificate).map_err(|distrust| {
            self.complaint.note(distrust);
            CertificateError::ApplicationVerificationFailure
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A certificate that the user trusts by itself: it must be for this name, and for this time.
fn check_own(certificate: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
    let validity = Certificate::of(certificate).and_then(|certificate| certificate.validity());
    let (validity, time) = (validity.ok_or(CertificateError::BadEncoding)?, now);
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let at = |seconds: i64| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    };
    if seconds < *validity.start() {
        let not_before = at(*validity.start());
        return Err(CertificateError::NotValidYetContext { time, not_before }.into());
    }
    if seconds > *validity.end() {
        return Err(CertificateError::ExpiredContext { time, not_after: at(*validity.end()) }.into());
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
}

/// SHA-256 of the key in a certificate.
pub(super) fn pin(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    Some(Sha256::digest(Certificate::of(certificate)?.key).into())
}

/// A pin as it is typed.
pub(super) fn shown(pin: &[u8; 32]) -> String {
    format!("sha256//{}", BASE64_STANDARD.encode(pin))
}
