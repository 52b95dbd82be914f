//! Verification of a peer's certificate: chain, name, validity period and pins.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::{Certificate, display_pin, pin};
use super::messages::{certificate_problem, signature_problem};
use crate::error::CertificateProblem;

/// The description of a failure, kept until the connection fails. Neither an error of the TLS
/// library nor one of a layer can carry it.
#[derive(Debug)]
pub(super) struct Slot<T>(Mutex<Option<T>>);

/// The reason to reject the peer's certificate.
pub(super) type ProblemSlot = Slot<CertificateProblem>;

impl<T> Slot<T> {
    /// Takes the description. `None` if there was no such failure.
    pub(super) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn set(&self, problem: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// The rules for accepting a certificate, shared by all sessions with the same settings.
#[derive(Debug)]
pub(super) struct Trust {
    /// `None` for `--insecure`.
    pub(super) chain: Option<Arc<WebPkiServerVerifier>>,
    /// The certificates from `--tls-ca` or the system. The proxy's certificate is trusted if it is
    /// one of them, whether or not it is a CA certificate. webpki accepts neither a CA certificate
    /// as a server certificate nor any other certificate as an authority.
    pub(super) trusted: Vec<CertificateDer<'static>>,
    pub(super) pins: Vec<[u8; 32]>,
    pub(super) provider: Arc<CryptoProvider>,
}

/// The verifier of one session. It checks the pins, if there are any, and, without `--insecure`,
/// the chain, the name and the validity period.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) trust: Arc<Trust>,
    pub(super) problem: Arc<ProblemSlot>,
}

impl Trust {
    fn check_chain(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), CertificateError> {
        let Some(chain) = &self.chain else { return Ok(()) };
        let checked = if self.trusted.contains(certificate) {
            check_directly(certificate, name, now)
        } else {
            chain.verify_server_cert(certificate, intermediates, name, &[], now).map(drop)
        };
        checked.map_err(|error| match error {
            Error::InvalidCertificate(error) => error,
            _ => CertificateError::ApplicationVerificationFailure,
        })
    }

    fn check_pins(&self, certificate: &CertificateDer<'_>) -> Result<(), CertificateProblem> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let pin = pin(certificate).ok_or(CertificateProblem::Unreadable)?;
        if self.pins.contains(&pin) {
            Ok(())
        } else {
            Err(CertificateProblem::NotPinned { pin: display_pin(&pin) })
        }
    }
}

impl Verifier {
    /// Stores why the peer's signature of the handshake was rejected, if that is due to its
    /// certificate.
    fn signature_failed(&self, error: &Error, certificate: &CertificateDer<'_>) {
        if let Error::InvalidCertificate(error) = error {
            self.problem.set(signature_problem(error, certificate));
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.trust.check_chain(certificate, intermediates, name, now).inspect_err(|error| {
            self.problem.set(certificate_problem(error, certificate, intermediates, name));
        })?;
        self.trust.check_pins(certificate).map_err(|problem| {
            self.problem.set(problem);
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
        let algorithms = &self.trust.provider.signature_verification_algorithms;
        let verified = verify_tls12_signature(message, certificate, signed, algorithms);
        verified.inspect_err(|error| self.signature_failed(error, certificate))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.trust.provider.signature_verification_algorithms;
        let verified = verify_tls13_signature(message, certificate, signed, algorithms);
        verified.inspect_err(|error| self.signature_failed(error, certificate))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Verifies the name and the validity period of a certificate that is trusted directly, without a
/// chain.
fn check_directly(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), Error> {
    let validity = Certificate::parse(certificate).and_then(|certificate| certificate.validity());
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
