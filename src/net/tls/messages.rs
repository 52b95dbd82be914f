//! Translates errors of the TLS library, and describes the established connection for the log.

use std::io;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConnection, Error as TlsError, ProtocolVersion};

use super::certificate::{Certificate, date, display_pin, pin};
use crate::error::{CertificateProblem, TlsAlert, TlsFailure};
use crate::text::printable;

/// The maximum number of names from a certificate in a message.
const MAX_NAMES: usize = 4;

/// Translates the verifier's error about `certificate`, the first of those that the proxy sent.
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
        // The library reports a CA certificate in the place of a server's as `Other`.
        E::Other(_) if Certificate::parse(certificate).is_some_and(|parsed| parsed.is_ca()) => {
            unknown_issuer(certificate, intermediates)
        }
        error => CertificateProblem::Other(error.to_string()),
    }
}

fn wrong_name(certificate: &CertificateDer<'_>, expected: &ServerName<'_>) -> CertificateProblem {
    let expected = expected.to_str().into_owned();
    let names = Certificate::parse(certificate).map(|parsed| parsed.names()).unwrap_or_default();
    let mut shown: Vec<_> = names.iter().take(MAX_NAMES).map(|name| printable(name.as_bytes())).collect();
    if shown.is_empty() {
        return CertificateProblem::NoName { expected };
    }
    if names.len() > MAX_NAMES {
        shown.push(format!("{} more", names.len() - MAX_NAMES));
    }
    CertificateProblem::WrongName { names: shown.join(", "), expected }
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

/// Returns the name of the issuer. `None` if the certificate has none that can be displayed.
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

/// Whether a byte can be the first of what a TLS server says (RFC 8446 §5.1): a handshake, or an alert.
pub(super) fn is_record(first: u8) -> bool {
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

/// What broke a connection that stood. The kind is that of a lost connection: both directions are concerned.
pub(super) fn fault(error: &TlsError) -> io::Error {
    lost(match error {
        TlsError::AlertReceived(description) => format!("TLS alert: {}", alert(*description)),
        TlsError::DecryptError => "TLS: what came cannot be decrypted".into(),
        error => format!("TLS: {error}"),
    })
}

/// The peer closed without `close_notify`: somebody else may have closed in its place.
pub(super) fn cut_off() -> io::Error {
    lost("the TLS connection was cut off without close_notify".into())
}

/// The keys must not encrypt any more.
pub(super) fn used_up() -> io::Error {
    lost("the keys of this TLS 1.2 connection are used up".into())
}

fn lost(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, what)
}

/// Whether it is the version whose keys cannot be renewed.
pub(super) fn has_old_version(tls: &ClientConnection) -> bool {
    tls.protocol_version() == Some(ProtocolVersion::TLSv1_2)
}

/// What was agreed upon, and what the certificate says of itself.
pub(super) fn facts(tls: &ClientConnection) -> String {
    let mut facts = Vec::new();
    facts.extend(tls.protocol_version().map(|version| format!("{version:?}")));
    facts.extend(tls.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())));
    if let Some(first) = tls.peer_certificates().and_then(<[_]>::first) {
        if let Some(certificate) = Certificate::parse(first) {
            let issuer = certificate.issuer().map(printable);
            facts.extend(issuer.map(|issuer| format!("certificate by '{issuer}'")));
            facts.extend(
                certificate.validity().map(|validity| format!("good until {}", date(*validity.end()))),
            );
        }
        facts.extend(pin(first).map(|pin| format!("key {}", display_pin(&pin))));
    }
    facts.join(", ")
}
