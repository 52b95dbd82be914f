//! What went wrong with TLS, for people: what it is, and what to try.

use std::io;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConnection, Error as TlsError, ProtocolVersion};

use super::certificate::{Certificate, date};
use super::verifier::{pin, shown};
use crate::error::{Error, Peer};
use crate::text::printable;

/// How many names of a certificate are shown.
const NAMES: usize = 4;
const CLOCK: &str = "check this machine's clock, and tell who runs the proxy";
const TRY_PLAIN: &str = "check the port, or use http:// if TLS is not meant";

/// Why a certificate is not trusted, and what to try.
#[derive(Debug)]
pub(super) struct Distrust {
    what: String,
    hint: String,
}

impl Distrust {
    fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }

    /// The key is none of those that are pinned.
    pub(super) fn other_key(pin: &str) -> Self {
        let hint =
            "somebody else may have answered; if the proxy has a new key, this is its pin for --tls-pin";
        Self::new(format!("has a key that is not pinned: {pin}"), hint)
    }

    /// There is no key to be found in it.
    pub(super) fn unreadable() -> Self {
        Self::new("has a certificate that cannot be read", "tell who runs the proxy")
    }

    pub(super) fn into_error(self, peer: &Peer) -> Error {
        Error::Tls { peer: peer.clone(), what: self.what, hint: Some(self.hint) }
    }
}

/// Why this certificate is not trusted.
pub(super) fn distrust(
    error: &CertificateError,
    certificate: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    name: &ServerName<'_>,
) -> Distrust {
    use CertificateError as E;
    let at = |time: &rustls::pki_types::UnixTime| date(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
    match error {
        E::ExpiredContext { not_after, .. } => {
            Distrust::new(format!("has a certificate that expired on {}", at(not_after)), CLOCK)
        }
        E::NotValidYetContext { not_before, .. } => {
            Distrust::new(format!("has a certificate that is good only from {} on", at(not_before)), CLOCK)
        }
        E::NotValidForNameContext { presented, .. } => wrong_name(presented, name),
        E::UnknownIssuer => unknown_issuer(certificate, others),
        E::BadEncoding => Distrust::unreadable(),
        E::BadSignature => Distrust::new(
            format!("has a certificate that is not by the {} that is trusted here", issuer(certificate)),
            "the authority may have a new key, or somebody else uses its name: ask who runs the proxy",
        ),
        // The library has no word of its own for it.
        E::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            unknown_issuer(certificate, others)
        }
        error => Distrust::new(
            format!("has a certificate that is not trusted: {error}"),
            "tell who runs the proxy",
        ),
    }
}

fn wrong_name(presented: &[String], wanted: &ServerName<'_>) -> Distrust {
    // As the library shows them: `DnsName("proxy.example")`.
    let bare = |name: &String| {
        let name = name.split_once('(').map_or(name.as_str(), |(_, name)| name.trim_end_matches(')'));
        printable(name.trim_matches('"').as_bytes())
    };
    let mut names: Vec<_> = presented.iter().take(NAMES).map(bare).collect();
    if presented.len() > NAMES {
        names.push(format!("{} more", presented.len() - NAMES));
    }
    let wanted = wanted.to_str();
    if names.is_empty() {
        return Distrust::new(
            format!("has a certificate without a name that counts (subjectAltName), and not for {wanted}"),
            "trust its key with --tls-pin and --insecure, or tell who runs the proxy",
        );
    }
    Distrust::new(
        format!("has a certificate for {}, and not for {wanted}", names.join(", ")),
        "if that is the right proxy, use the name that it has, or give it with --tls-server-name",
    )
}

fn unknown_issuer(certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Distrust {
    let hint = |what: &str| match pin(certificate) {
        Some(pin) => format!("{what}, or trust its key: --insecure --tls-pin {}", shown(&pin)),
        None => what.to_owned(),
    };
    if Certificate::of(certificate).is_some_and(|certificate| certificate.is_self_issued()) {
        return Distrust::new(
            "has a certificate that nobody but itself vouches for (self-signed)",
            hint("if it is the right one, name a file with it by --tls-ca"),
        );
    }
    let alone =
        if others.is_empty() { ", and it sent no certificate of an authority in between" } else { "" };
    Distrust::new(
        format!("has a certificate by {}, which is not trusted here{alone}", issuer(certificate)),
        hint("name a file with that authority's certificate by --tls-ca"),
    )
}

/// Who has signed it.
fn issuer(certificate: &CertificateDer<'_>) -> String {
    match Certificate::of(certificate).and_then(|certificate| certificate.issuer()) {
        Some(name) => format!("'{}'", printable(name)),
        None => "unnamed authority".into(),
    }
}

/// Why there was no handshake, other than for a certificate of the proxy.
pub(super) fn failed(peer: &Peer, error: &TlsError) -> Error {
    let (what, hint) = match error {
        TlsError::AlertReceived(alert) => {
            (format!("broke the TLS handshake off: {}", said(*alert)), advice(*alert))
        }
        TlsError::PeerIncompatible(why) => (
            format!("and we have no version or cipher of TLS in common ({why:?})"),
            Some("only TLS 1.2 and 1.3 are spoken"),
        ),
        TlsError::InvalidMessage(_)
        | TlsError::InappropriateMessage { .. }
        | TlsError::PeerSentOversizedRecord => {
            (format!("does not speak proper TLS ({error})"), Some(TRY_PLAIN))
        }
        error => (format!("failed at the TLS handshake: {error}"), None),
    };
    tls(peer, what, hint)
}

/// The proxy closed the connection in the middle of the handshake.
pub(super) fn closed(peer: &Peer) -> Error {
    tls(peer, "closed the connection in the TLS handshake".into(), Some(TRY_PLAIN))
}

/// What came first is no TLS.
pub(super) fn not_tls(peer: &Peer) -> Error {
    tls(peer, "does not speak TLS".into(), Some("use http:// (or leave out +tls), or check the port"))
}

fn tls(peer: &Peer, what: String, hint: Option<&str>) -> Error {
    Error::Tls { peer: peer.clone(), what, hint: hint.map(str::to_owned) }
}

/// Whether a byte can be the first of what a TLS server says (RFC 8446 §5.1): a handshake, or an alert.
pub(super) fn is_record(first: u8) -> bool {
    matches!(first, 0x15 | 0x16)
}

/// What an alert says (RFC 8446 §6).
fn said(alert: AlertDescription) -> String {
    use AlertDescription as A;
    match alert {
        A::HandshakeFailure => {
            "no cipher that it accepts, or a certificate of ours is missing (handshake_failure)".into()
        }
        A::ProtocolVersion => "it speaks none of our versions of TLS (protocol_version)".into(),
        A::CertificateRequired => "it wants a certificate of ours (certificate_required)".into(),
        A::UnknownCA => "it does not know who signed our certificate (unknown_ca)".into(),
        A::CertificateExpired => "our certificate has expired (certificate_expired)".into(),
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateRevoked | A::CertificateUnknown => {
            format!("it does not accept our certificate ({alert:?})")
        }
        A::AccessDenied => "it does not let us in (access_denied)".into(),
        A::UnrecognisedName => {
            "it has no certificate for the name that it was asked for (unrecognized_name)".into()
        }
        alert => format!("{alert:?}"),
    }
}

fn advice(alert: AlertDescription) -> Option<&'static str> {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired | A::HandshakeFailure => Some("give one with --tls-cert and --tls-key"),
        A::UnrecognisedName => Some("give another with --tls-server-name"),
        A::ProtocolVersion => Some("only TLS 1.2 and 1.3 are spoken"),
        _ => None,
    }
}

/// What broke a connection that stood. The kind is that of a lost connection: both directions are concerned.
pub(super) fn fault(error: &TlsError) -> io::Error {
    lost(match error {
        TlsError::AlertReceived(alert) => format!("TLS alert: {}", said(*alert)),
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
        if let Some(certificate) = Certificate::of(first) {
            let issuer = certificate.issuer().map(printable);
            facts.extend(issuer.map(|issuer| format!("certificate by '{issuer}'")));
            facts.extend(
                certificate.validity().map(|validity| format!("good until {}", date(*validity.end()))),
            );
        }
        facts.extend(pin(first).map(|pin| format!("key {}", shown(&pin))));
    }
    facts.join(", ")
}
