//! Describes the TLS library's errors in words. Most of its own texts are names of Rust values,
//! such as `HandshakePayloadTooLarge`.

use std::fmt::Debug;

use rustls::pki_types::pem;
use rustls::{
    AlertDescription, CertificateError, CipherSuite, Error, InconsistentKeys, InvalidMessage,
    PeerIncompatible, ProtocolVersion,
};

/// Describes any error, as the cause of a message.
pub(super) fn error(error: &Error) -> String {
    match error {
        Error::AlertReceived(description) => format!("alert {}", alert_name(*description)),
        Error::DecryptError => "a message cannot be decrypted".into(),
        Error::FailedToGetCurrentTime => "this machine has no valid time".into(),
        Error::FailedToGetRandomBytes => "this system returned no random bytes".into(),
        Error::General(text) => in_words(text),
        Error::InappropriateHandshakeMessage { got_type, .. } => {
            format!("unexpected handshake message ({})", words(got_type))
        }
        Error::InappropriateMessage { got_type, .. } => format!("unexpected message ({})", words(got_type)),
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the key does not belong to the certificate".into()
        }
        Error::InconsistentKeys(_) => "the key cannot be compared with the certificate".into(),
        Error::InvalidCertRevocationList(why) => format!("invalid revocation list ({})", words(why)),
        Error::InvalidCertificate(why) => format!("invalid certificate: {}", certificate_error(why)),
        Error::InvalidEncryptedClientHello(why) => words(why),
        Error::InvalidMessage(why) => invalid_message(why),
        Error::NoCertificatesPresented => "it sent no certificate".into(),
        Error::Other(other) => in_words(&other.to_string()),
        Error::PeerIncompatible(why) => incompatibility(why),
        Error::PeerMisbehaved(why) => words(why),
        Error::PeerSentOversizedRecord => "a record is too long".into(),
        error => words(error),
    }
}

/// Describes the part of a message that is invalid.
fn invalid_message(why: &InvalidMessage) -> String {
    match why {
        InvalidMessage::DuplicateExtension(number) => format!("duplicate extension {number}"),
        InvalidMessage::IllegalEmptyList(what) => format!("empty list ({})", in_words(what)),
        InvalidMessage::InvalidCcs => "invalid change of the cipher".into(),
        InvalidMessage::MissingData(what) => format!("missing data ({})", in_words(what)),
        InvalidMessage::TrailingData(what) => format!("trailing data ({})", in_words(what)),
        InvalidMessage::UnexpectedMessage(what) => format!("unexpected message ({})", in_words(what)),
        why => words(why),
    }
}

/// Describes what the two sides do not have in common.
pub(super) fn incompatibility(why: &PeerIncompatible) -> String {
    let text = match why {
        PeerIncompatible::ExtendedMasterSecretExtensionRequired => "it lacks the extended master secret",
        PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            "it accepts no signature algorithm of the client certificate"
        }
        PeerIncompatible::NoKxGroupsInCommon => "no common group for the key exchange",
        PeerIncompatible::ServerDoesNotSupportTls12Or13 => "it supports neither TLS 1.2 nor TLS 1.3",
        why => return words(why),
    };
    text.into()
}

/// Describes why a certificate is not trusted, as a clause about the certificate.
pub(super) fn certificate_error(error: &CertificateError) -> String {
    use CertificateError as E;
    let text = match error {
        E::ApplicationVerificationFailure => "it cannot be verified",
        E::BadEncoding => "it cannot be parsed",
        E::BadSignature => "its signature is wrong",
        E::Expired => "its validity period is invalid",
        E::ExpiredContext { .. } => "it has expired",
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "it is not for server authentication",
        E::NotValidForName | E::NotValidForNameContext { .. } => "it is for another name",
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet",
        E::Revoked => "it is revoked",
        E::UnhandledCriticalExtension => "it has a critical extension that is not supported",
        E::UnknownIssuer => "its issuer is unknown",
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its signature algorithm is not supported"
        }
        E::Other(other) => return path_error(&other.to_string()),
        error => return words(error),
    };
    text.into()
}

/// Describes an error of webpki, given its Rust name. rustls passes on those for which it has no
/// name of its own.
fn path_error(name: &str) -> String {
    let text = match variant(name) {
        "CaUsedAsEndEntity" => "it is the certificate of an authority",
        "CertDistrusted" => "its key is not trusted any more",
        "EmptyEkuExtension" => "its list of purposes is empty",
        "EndEntityUsedAsCa" => "its issuer is not an authority",
        "ExtensionValueInvalid" | "MalformedExtensions" => "it has a malformed extension",
        "InvalidNetworkMaskConstraint" | "MalformedNameConstraint" => "it has a malformed name constraint",
        "InvalidSerialNumber" => "its serial number is invalid",
        "MalformedDnsIdentifier" => "it contains a malformed name",
        "MaximumNameConstraintComparisonsExceeded"
        | "MaximumPathBuildCallsExceeded"
        | "MaximumPathDepthExceeded"
        | "MaximumSignatureChecksExceeded" => "its chain is too complex",
        "NameConstraintViolation" => "its issuer may not issue certificates for this name",
        "PathLenConstraintViolated" => "its chain is longer than an authority in it allows",
        "SignatureAlgorithmMismatch" => "it names two different signature algorithms",
        "UnsupportedCertVersion" => "it is not of X.509 version 3",
        "UnsupportedCriticalExtension" => "it has a critical extension that is not supported",
        _ => return in_words(name),
    };
    text.into()
}

/// Describes an error in a PEM file. Quotes nothing from the file, which may hold a key.
pub(super) fn pem_error(error: &pem::Error) -> String {
    let text = match error {
        pem::Error::Base64Decode(_) => "its base64 is malformed",
        pem::Error::IllegalSectionStart { .. } => "a line with BEGIN is malformed",
        pem::Error::MissingSectionEnd { .. } => "the line with END is missing",
        pem::Error::NoItemsFound => "it is empty",
        pem::Error::SectionTooLarge => "it is too long",
        error => return words(error),
    };
    text.into()
}

/// Returns the name of an alert in RFC 8446 §6, or its number.
pub(super) fn alert_name(description: AlertDescription) -> String {
    match description {
        AlertDescription::UnrecognisedName => "unrecognized_name".into(),
        AlertDescription::Unknown(number) => number.to_string(),
        description => split(variant(&format!("{description:?}"))).join("_").to_ascii_lowercase(),
    }
}

/// Returns the name of a protocol version, such as `TLS 1.3`.
pub(super) fn version(version: ProtocolVersion) -> String {
    format!("{version:?}").replace("TLSv", "TLS ").replace('_', ".")
}

/// Returns the IANA name of a cipher suite. rustls prefixes those of TLS 1.3 with `TLS13_`.
pub(super) fn cipher_suite(suite: CipherSuite) -> String {
    format!("{suite:?}").replace("TLS13_", "TLS_")
}

/// Returns the name of an enum variant as words: `PeerSentOversizedRecord` is "peer sent oversized
/// record".
fn words(value: &impl Debug) -> String {
    in_words(variant(&format!("{value:?}")))
}

/// Returns the name of the variant from its `Debug` output, without the fields.
fn variant(debug: &str) -> &str {
    debug.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default()
}

/// Replaces Rust names in a text with words.
fn in_words(text: &str) -> String {
    let mut result = String::with_capacity(text.len() + 8);
    for part in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let name = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let parts = split(name);
        if parts.len() > 1 && name != "EdDSA" || text == name {
            result.push_str(&parts.iter().map(|part| word(part)).collect::<Vec<_>>().join(" "));
        } else {
            result.push_str(name);
        }
        result.push_str(&part[name.len()..]);
    }
    result
}

/// Returns the word for a part of a Rust name.
fn word(part: &str) -> String {
    match part {
        "Tls12" => "TLS 1.2".into(),
        "Tls13" => "TLS 1.3".into(),
        "Kx" => "key exchange".into(),
        "Cert" => "certificate".into(),
        "Sig" => "signature".into(),
        "Crl" | "Dh" | "Ec" | "Ech" | "Ems" | "Ocsp" | "Psk" | "Sni" | "Tls" => part.to_ascii_uppercase(),
        part if part.len() > 1 && part.bytes().all(|byte| byte.is_ascii_uppercase()) => part.into(),
        part => part.to_ascii_lowercase(),
    }
}

/// Splits a Rust name at its capital letters: `UnknownPSKIdentity` is `Unknown`, `PSK`, `Identity`.
fn split(name: &str) -> Vec<&str> {
    let bytes = name.as_bytes();
    let is_start = |&at: &usize| {
        let follows_lowercase = !bytes[at - 1].is_ascii_uppercase();
        let precedes_lowercase = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        bytes[at].is_ascii_uppercase() && (follows_lowercase || precedes_lowercase)
    };
    let mut parts = Vec::new();
    let mut start = 0;
    for end in (1..bytes.len()).filter(is_start).chain([bytes.len()]) {
        parts.push(&name[start..end]);
        start = end;
    }
    parts
}

#[cfg(test)]
mod tests;
