//! Translates errors from the TLS library, and describes the established connection for the log.

use std::io;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConnection, Error as TlsError, ProtocolVersion};

use super::certificate::{Certificate, date, display_pin, pin};
use crate::error::{CertificateProblem, TlsAlert, TlsFailure};
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
        E::NotValidForNameContext { .. } => wrong_name(certificate, name),
        E::UnknownIssuer => unknown_issuer(certificate, intermediates),
        E::BadEncoding => CertificateProblem::Unreadable,
        E::BadSignature => CertificateProblem::BadSignature { issuer: issuer(certificate) },
        // rustls returns `Other` if a CA certificate is used as a server certificate.
        E::Other(_) if Certificate::parse(certificate).is_some_and(|parsed| parsed.is_ca()) => {
            unknown_issuer(certificate, intermediates)
        }
        error => CertificateProblem::Other(error.to_string()),
    }
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
    let pin = pin(certificate).map(|pin| display_pin(&pin));
    if Certificate::parse(certificate).is_some_and(|parsed| parsed.is_self_issued()) {
        return CertificateProblem::SelfSigned { pin };
    }
    CertificateProblem::UnknownIssuer { issuer: issuer(certificate), alone: intermediates.is_empty(), pin }
}

/// Returns the name of the issuer. `None` if the certificate is malformed or does not name one.
fn issuer(certificate: &CertificateDer<'_>) -> Option<String> {
    Certificate::parse(certificate)?.issuer().map(printable)
}

/// Translates an error that ended the handshake, unless it concerns the proxy's certificate.
pub(super) fn handshake_failure(error: &TlsError) -> TlsFailure {
    match error {
        TlsError::AlertReceived(description) => TlsFailure::Alert(alert(*description)),
        TlsError::PeerIncompatible(_) => TlsFailure::Incompatible(error.to_string()),
        TlsError::InvalidMessage(_)
        | TlsError::InappropriateMessage { .. }
        | TlsError::PeerSentOversizedRecord => TlsFailure::Malformed(error.to_string()),
        error => TlsFailure::Other(error.to_string()),
    }
}

/// Returns `true` if this byte can start a server's first record, which is a handshake message or
/// an alert (RFC 8446 §5.1).
pub(super) fn starts_record(first: u8) -> bool {
    matches!(first, 0x15 | 0x16)
}

fn alert(description: AlertDescription) -> TlsAlert {
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
        other => TlsAlert::Other(format!("{other:?}")),
    }
}

/// Translates an error that occurred after the handshake. The result has the kind
/// `ConnectionAborted`, because both directions have failed.
pub(super) fn layer_error(error: &TlsError) -> io::Error {
    aborted(match error {
        TlsError::AlertReceived(description) => format!("TLS alert: {}", alert(*description)),
        TlsError::DecryptError => "TLS: received data that cannot be decrypted".into(),
        error => format!("TLS: {error}"),
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
pub(super) fn is_tls12(tls: &ClientConnection) -> bool {
    tls.protocol_version() == Some(ProtocolVersion::TLSv1_2)
}

/// Describes the negotiated parameters and the proxy's certificate, for `-d` and `--check`.
pub(super) fn facts(tls: &ClientConnection) -> String {
    let mut facts = Vec::new();
    facts.extend(tls.protocol_version().map(|version| format!("{version:?}")));
    facts.extend(tls.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())));
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
