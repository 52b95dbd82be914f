//! Advice for failed TLS handshakes.

use super::advice::LEAVE_OUT_TLS;
use super::web;
use crate::error::{CertificateProblem, Peer, TlsAlert, TlsFailure};

const USE_PLAIN: &str = "check the port, or use http:// if the proxy does not use TLS";

/// Returns the advice for a failed TLS handshake. `only_in_url` is set if TLS options for the proxy
/// must be in its URL.
pub(super) fn tls_hint(peer: &Peer, cause: &TlsFailure, only_in_url: bool) -> Option<String> {
    let is_target = peer.protocol.is_none();
    let role = if is_target { "target" } else { "proxy" };
    let hint = match cause {
        TlsFailure::NotTls | TlsFailure::Closed | TlsFailure::Malformed(_) if is_target => {
            LEAVE_OUT_TLS.into()
        }
        TlsFailure::NotTls => {
            web::tls_hint(peer).unwrap_or_else(|| "use http:// (or remove +tls), or check the port".into())
        }
        TlsFailure::Closed | TlsFailure::Malformed(_) => {
            web::tls_hint(peer).unwrap_or_else(|| USE_PLAIN.into())
        }
        TlsFailure::Incompatible(_) => enable_versions(role),
        TlsFailure::Misbehaved(_) => report_to(role),
        TlsFailure::Alert(alert) | TlsFailure::LateAlert(alert) => alert_hint(alert, role),
        TlsFailure::Certificate(problem) => certificate_hint(problem, role),
        TlsFailure::Other(_) => return None,
    };
    if only_in_url && hint.contains("--tls-") {
        return Some(format!("{hint} (with --tls-target, in the URL given to -x)"));
    }
    Some(hint)
}

fn alert_hint(alert: &TlsAlert, role: &str) -> String {
    match alert {
        TlsAlert::ProtocolVersion => enable_versions(role),
        TlsAlert::NothingInCommon(_) => format!(
            "ask the {role}'s administrator to enable current cipher suites, and RSA, P-256 or P-384 for its certificate"
        ),
        TlsAlert::CertificateRequired | TlsAlert::HandshakeFailure => {
            "specify a client certificate with --tls-cert and --tls-key".into()
        }
        TlsAlert::UnknownCa | TlsAlert::CertificateExpired | TlsAlert::CertificateRejected(_) => {
            format!("specify a client certificate that the {role} accepts, with --tls-cert and --tls-key")
        }
        TlsAlert::UnrecognizedName => "specify another name with --tls-server-name".into(),
        TlsAlert::AccessDenied => format!("ask the {role}'s administrator for access"),
        TlsAlert::Other(_) => report_to(role),
    }
}

fn enable_versions(role: &str) -> String {
    format!("ask the {role}'s administrator to enable TLS 1.2 or 1.3")
}

fn report_to(role: &str) -> String {
    format!("report this to the {role}'s administrator")
}

fn certificate_hint(problem: &CertificateProblem, role: &str) -> String {
    use CertificateProblem as P;
    let or_pin = |advice: String, pin: &Option<String>| match pin {
        Some(pin) => format!("{advice}, or pin the {role}'s key with --insecure --tls-pin {pin}"),
        None => advice,
    };
    match problem {
        P::Expired { .. } | P::NotYetValid { .. } => {
            format!("check the clock of this machine, or report this to the {role}'s administrator")
        }
        P::WrongName { .. } => format!(
            "if it is the right {role}, use a name from the certificate, or give one with --tls-server-name"
        ),
        P::NoName { .. } => {
            format!("trust its key with --insecure --tls-pin, or report this to the {role}'s administrator")
        }
        P::SelfSigned { pin } => {
            or_pin(format!("if it is the right {role}, trust the certificate with --tls-ca FILE"), pin)
        }
        P::UnknownIssuer { pin, .. } => {
            or_pin("specify the authority's certificate with --tls-ca FILE".to_owned(), pin)
        }
        P::BadSignature { .. } => format!(
            "ask the {role}'s administrator whether the authority has a new key, because an impostor may be using its name"
        ),
        P::NotPinned { .. } => format!(
            "pass this pin to --tls-pin only if the {role} has a new key, because an impostor may have answered"
        ),
        P::UnsupportedAlgorithm { pin, .. } => or_pin(
            format!(
                "ask the {role}'s administrator for a certificate that is signed with RSA, P-256, P-384 or Ed25519"
            ),
            pin,
        ),
        P::OldVersion(_) => format!("ask the {role}'s administrator for a new certificate"),
        P::WrongKey => {
            format!("report this to the {role}'s administrator, because an impostor may have answered")
        }
        P::Unreadable | P::Other(_) => report_to(role),
    }
}
