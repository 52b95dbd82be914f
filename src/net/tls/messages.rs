//! Translates errors from the TLS library, and describes the established connection for the log.

use std::io;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConnection, CommonState, Error as TlsError, ProtocolVersion,
};

use super::algorithm;
use super::certificate::{Certificate, display_pin, pin};
use super::description;
use crate::error::{CertificateProblem, TlsAlert, TlsFailure};
use crate::text::date::date;
use crate::text::{listed, printable};

/// Maximum number of certificate names to list in a message.
const MAX_NAMES: usize = 4;

/// Translates the verifier's error about `certificate`, the first certificate that the proxy sent.
pub(super) fn certificate_problem(
    error: &CertificateError,
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    name: &ServerName<'_>,
) -> CertificateProblem {
    use CertificateError as E;
    let at = |time: &UnixTime| date(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
    match error {
        E::ExpiredContext { not_after, .. } => CertificateProblem::Expired { on: at(not_after) },
        E::NotValidYetContext { not_before, .. } => CertificateProblem::NotYetValid { from: at(not_before) },
        E::NotValidForName | E::NotValidForNameContext { .. } => wrong_name(certificate, name),
        E::UnknownIssuer => unknown_issuer(certificate, intermediates),
        E::BadEncoding => CertificateProblem::Unreadable,
        E::BadSignature => CertificateProblem::BadSignature { issuer: issuer(certificate) },
        // rustls returns `Other` if a CA certificate is used as a server certificate.
        E::Other(_) if Certificate::parse(certificate).is_some_and(|parsed| parsed.is_ca()) => {
            unknown_issuer(certificate, intermediates)
        }
        error => unsupported(error, certificate, intermediates),
    }
}

/// Translates the error about the signature with which the peer proves that it has the key of
/// `certificate`.
pub(super) fn signature_problem(
    error: &CertificateError,
    certificate: &CertificateDer<'_>,
) -> CertificateProblem {
    match error {
        CertificateError::BadSignature => CertificateProblem::WrongKey,
        error => match unsupported(error, certificate, &[]) {
            // A pin would not help, because the peer signs with this key.
            CertificateProblem::UnsupportedAlgorithm { algorithm, .. } => {
                CertificateProblem::UnsupportedAlgorithm { algorithm, pin: None }
            }
            problem => problem,
        },
    }
}

/// Translates an error about a certificate with an algorithm or a version that is not supported,
/// and any other error.
fn unsupported(
    error: &CertificateError,
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> CertificateProblem {
    use CertificateError as E;
    let algorithm = match error {
        E::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            algorithm::signature(signature_algorithm_id)
        }
        E::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id,
            public_key_algorithm_id,
        } => format!(
            "{} and a key of type {}",
            algorithm::signature(signature_algorithm_id),
            algorithm::key(public_key_algorithm_id)
        ),
        error => {
            // rustls returns `Other` for a certificate whose version is not 3.
            let chain = [certificate].into_iter().chain(intermediates);
            let mut versions = chain.filter_map(|certificate| Some(Certificate::parse(certificate)?.version));
            return match versions.find(|version| *version != 3) {
                Some(version) if matches!(error, E::Other(_)) => CertificateProblem::OldVersion(version),
                _ => CertificateProblem::Other(description::certificate_error(error)),
            };
        }
    };
    CertificateProblem::UnsupportedAlgorithm { algorithm, pin: shown_pin(certificate) }
}

fn shown_pin(certificate: &CertificateDer<'_>) -> Option<String> {
    pin(certificate).map(|pin| display_pin(&pin))
}

fn wrong_name(certificate: &CertificateDer<'_>, expected: &ServerName<'_>) -> CertificateProblem {
    let expected = expected.to_str().into_owned();
    let names = Certificate::parse(certificate).map(|parsed| parsed.names()).unwrap_or_default();
    if names.is_empty() {
        return CertificateProblem::NoName { expected };
    }
    let names: Vec<_> = names.iter().map(|name| printable(name.as_bytes())).collect();
    CertificateProblem::WrongName { names: listed(&names, MAX_NAMES), expected }
}

fn unknown_issuer(
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> CertificateProblem {
    let pin = shown_pin(certificate);
    if Certificate::parse(certificate).is_some_and(|parsed| parsed.is_self_issued()) {
        return CertificateProblem::SelfSigned { pin };
    }
    CertificateProblem::UnknownIssuer { issuer: issuer(certificate), alone: intermediates.is_empty(), pin }
}

/// Returns the name of the issuer. `None` if the certificate is malformed or does not name one.
fn issuer(certificate: &CertificateDer<'_>) -> Option<String> {
    Certificate::parse(certificate)?.issuer().map(printable)
}

/// Translates an error that ended the handshake, unless it concerns the peer's certificate.
/// `has_answered` means that the peer has selected a TLS version and a cipher suite.
pub(super) fn handshake_failure(error: &TlsError, has_answered: bool) -> TlsFailure {
    match error {
        // A server asks for a client certificate only after that.
        TlsError::AlertReceived(AlertDescription::HandshakeFailure) if !has_answered => {
            TlsFailure::Alert(TlsAlert::NothingInCommon("handshake_failure"))
        }
        TlsError::AlertReceived(description) => TlsFailure::Alert(alert(*description)),
        TlsError::PeerIncompatible(why) => TlsFailure::Incompatible(description::incompatibility(why)),
        TlsError::InvalidMessage(_)
        | TlsError::InappropriateMessage { .. }
        | TlsError::PeerSentOversizedRecord => TlsFailure::Malformed(description::error(error)),
        TlsError::PeerMisbehaved(_) | TlsError::InappropriateHandshakeMessage { .. } => {
            TlsFailure::Misbehaved(description::error(error))
        }
        error => TlsFailure::Other(description::error(error)),
    }
}

/// Returns `true` if this byte can start a server's first record, which is a handshake message or
/// an alert (RFC 8446 §5.1).
pub(super) fn starts_record(first: u8) -> bool {
    matches!(first, 0x15 | 0x16)
}

/// Translates an alert.
pub(super) fn alert(description: AlertDescription) -> TlsAlert {
    use AlertDescription as A;
    match description {
        A::HandshakeFailure => TlsAlert::HandshakeFailure,
        A::ProtocolVersion => TlsAlert::ProtocolVersion,
        A::CertificateRequired => TlsAlert::CertificateRequired,
        A::UnknownCA => TlsAlert::UnknownCa,
        A::CertificateExpired => TlsAlert::CertificateExpired,
        A::BadCertificate => TlsAlert::CertificateRejected("bad_certificate"),
        A::UnsupportedCertificate => TlsAlert::CertificateRejected("unsupported_certificate"),
        A::CertificateRevoked => TlsAlert::CertificateRejected("certificate_revoked"),
        A::CertificateUnknown => TlsAlert::CertificateRejected("certificate_unknown"),
        A::AccessDenied => TlsAlert::AccessDenied,
        A::UnrecognisedName => TlsAlert::UnrecognizedName,
        A::InsufficientSecurity => TlsAlert::NothingInCommon("insufficient_security"),
        other => TlsAlert::Other(description::alert_name(other)),
    }
}

/// Translates an error that occurred after the handshake. The result has the kind
/// `ConnectionAborted`, because both directions have failed.
pub(super) fn layer_error(error: &TlsError) -> io::Error {
    aborted(match error {
        TlsError::AlertReceived(description) => format!("TLS alert: {}", alert(*description)),
        TlsError::DecryptError => "TLS: received data that cannot be decrypted".into(),
        error => format!("TLS: {}", description::error(error)),
    })
}

/// Returns the error for EOF without `close_notify`: an attacker may have truncated the stream.
pub(super) fn missing_close_notify() -> io::Error {
    aborted("TLS connection closed without close_notify".into())
}

/// Returns the error for a TLS 1.2 connection that has sent as many records as its keys may
/// encrypt.
pub(super) fn keys_exhausted() -> io::Error {
    aborted("TLS 1.2 record limit reached".into())
}

fn aborted(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, what)
}

/// Returns `true` if the connection uses TLS 1.2, whose keys cannot be renewed.
pub(super) fn is_tls12(tls: &CommonState) -> bool {
    tls.protocol_version() == Some(ProtocolVersion::TLSv1_2)
}

/// Describes the negotiated parameters and the proxy's certificate, for `-d` and `--check`.
pub(super) fn facts(tls: &ClientConnection) -> String {
    let mut facts = Vec::new();
    facts.extend(tls.protocol_version().map(description::version));
    facts.extend(tls.negotiated_cipher_suite().map(|suite| description::cipher_suite(suite.suite())));
    if let Some(first) = tls.peer_certificates().and_then(<[_]>::first) {
        if let Some(certificate) = Certificate::parse(first) {
            let issuer = certificate.issuer().map(printable);
            facts.extend(issuer.map(|issuer| format!("certificate issued by '{issuer}'")));
            facts.extend(
                certificate.validity().map(|validity| format!("valid until {}", date(*validity.end()))),
            );
        }
        facts.extend(pin(first).map(|pin| format!("key {}", display_pin(&pin))));
    }
    facts.join(", ")
}
