#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! Every error of the TLS library, as of rustls 0.23.

use std::sync::Arc;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{
    CertRevocationListError, ContentType, EncryptedClientHelloError, ExtendedKeyPurpose, HandshakeType,
    OtherError, PeerMisbehaved,
};

use super::*;

/// Returns a list of unit variants.
macro_rules! each {
    ($kind:ident: $($variant:ident)*) => {
        [$($kind::$variant),*]
    };
}

fn other(text: &str) -> OtherError {
    OtherError(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(text)))
}

fn invalid_messages() -> Vec<InvalidMessage> {
    let mut all = each!(InvalidMessage: CertificatePayloadTooLarge HandshakePayloadTooLarge InvalidCcs InvalidContentType InvalidCertificateStatusType InvalidCertRequest InvalidDhParams InvalidEmptyPayload InvalidKeyUpdate InvalidServerName MessageTooLarge MessageTooShort MissingKeyExchange NoSignatureSchemes UnknownProtocolVersion UnsupportedCompression UnsupportedCurveType EmptyTicketValue IllegalEmptyValue PreSharedKeyIsNotFinalExtension UnknownHelloRetryRequestExtension UnknownCertificateExtension).to_vec();
    all.extend([
        InvalidMessage::DuplicateExtension(43),
        InvalidMessage::IllegalEmptyList("ServerNames"),
        InvalidMessage::MissingData("ServerHello"),
        InvalidMessage::TrailingData("CertificatePayloadTls13"),
        InvalidMessage::UnexpectedMessage("HelloRetryRequest"),
    ]);
    all
}

fn misbehaviors() -> Vec<PeerMisbehaved> {
    each!(PeerMisbehaved: AttemptedDowngradeToTls12WhenTls13IsSupported BadCertChainExtensions CipherSuiteDifferedOnRetry DisallowedEncryptedExtension DuplicateClientHelloExtensions DuplicateEncryptedExtensions DuplicateHelloRetryRequestExtensions DuplicateNewSessionTicketExtensions DuplicateServerHelloExtensions DuplicateServerNameTypes EarlyDataAttemptedInSecondClientHello EarlyDataExtensionWithoutResumption EarlyDataOfferedWithVariedCipherSuite EchAcceptanceVariedAfterRetry HandshakeHashVariedAfterRetry IllegalHelloRetryRequestWithEmptyCookie IllegalHelloRetryRequestWithNoChanges IllegalHelloRetryRequestWithOfferedGroup IllegalHelloRetryRequestWithUnofferedCipherSuite IllegalHelloRetryRequestWithUnofferedNamedGroup IllegalHelloRetryRequestWithUnsupportedVersion IllegalHelloRetryRequestWithWrongSessionId IllegalHelloRetryRequestWithInvalidEch IllegalMiddleboxChangeCipherSpec IllegalTlsInnerPlaintext IncorrectBinder InvalidCertCompression InvalidMaxEarlyDataSize InvalidKeyShare KeyEpochWithPendingFragment KeyUpdateReceivedInQuicConnection MessageInterleavedWithHandshakeMessage MissingBinderInPskExtension MissingKeyShare MissingPskExtensionInSecondClientHello MissingPskModesExtension MissingQuicTransportParameters OfferedDuplicateCertificateCompressions OfferedDuplicateKeyShares OfferedEarlyDataWithOldProtocolVersion OfferedEmptyApplicationProtocol OfferedIncorrectCompressions PskExtensionMustBeLast PskExtensionWithMismatchedIdsAndBinders RefusedToFollowHelloRetryRequest RejectedEarlyDataInterleavedWithHandshakeMessage ResumptionAttemptedWithVariedEms ResumptionOfferedWithVariedCipherSuite ResumptionOfferedWithVariedEms ResumptionOfferedWithIncompatibleCipherSuite SelectedDifferentCipherSuiteAfterRetry SelectedInvalidPsk SelectedTls12UsingTls13VersionExtension SelectedUnofferedApplicationProtocol SelectedUnofferedCertCompression SelectedUnofferedCipherSuite SelectedUnofferedCompression SelectedUnofferedKxGroup SelectedUnofferedPsk SelectedUnusableCipherSuiteForVersion ServerEchoedCompatibilitySessionId ServerHelloMustOfferUncompressedEcPoints ServerNameDifferedOnRetry ServerNameMustContainOneHostName SignedKxWithWrongAlgorithm SignedHandshakeWithUnadvertisedSigScheme TooManyEmptyFragments TooManyKeyUpdateRequests TooManyRenegotiationRequests TooManyWarningAlertsReceived TooMuchEarlyDataReceived UnexpectedCleartextExtension UnsolicitedCertExtension UnsolicitedEncryptedExtension UnsolicitedSctList UnsolicitedServerHelloExtension WrongGroupForKeyShare UnsolicitedEchExtension).to_vec()
}

fn incompatibilities() -> Vec<PeerIncompatible> {
    let mut all = each!(PeerIncompatible: EcPointsExtensionRequired ExtendedMasterSecretExtensionRequired IncorrectCertificateTypeExtension KeyShareExtensionRequired NamedGroupsExtensionRequired NoCertificateRequestSignatureSchemesInCommon NoCipherSuitesInCommon NoEcPointFormatsInCommon NoKxGroupsInCommon NoSignatureSchemesInCommon NullCompressionRequired ServerDoesNotSupportTls12Or13 ServerSentHelloRetryRequestWithUnknownExtension ServerTlsVersionIsDisabledByOurConfig SignatureAlgorithmsExtensionRequired SupportedVersionsExtensionRequired Tls12NotOffered Tls12NotOfferedOrEnabled Tls13RequiredForQuic UncompressedEcPointsRequired UnsolicitedCertificateTypeExtension).to_vec();
    all.push(PeerIncompatible::ServerRejectedEncryptedClientHello(None));
    all
}

fn certificate_errors() -> Vec<CertificateError> {
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1));
    let mut all = each!(CertificateError: BadEncoding Expired NotValidYet Revoked UnhandledCriticalExtension UnknownIssuer UnknownRevocationStatus ExpiredRevocationList BadSignature NotValidForName InvalidPurpose InvalidOcspResponse ApplicationVerificationFailure).to_vec();
    all.extend([
        CertificateError::ExpiredContext { time, not_after: time },
        CertificateError::NotValidYetContext { time, not_before: time },
        CertificateError::ExpiredRevocationListContext { time, next_update: time },
        CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: vec![6, 1, 42],
            supported_algorithms: Vec::new(),
        },
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![6, 1, 42],
            public_key_algorithm_id: vec![6, 1, 42],
        },
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("proxy.example").unwrap(),
            presented: vec!["other.example".into()],
        },
        CertificateError::InvalidPurposeContext {
            required: ExtendedKeyPurpose::ServerAuth,
            presented: vec![ExtendedKeyPurpose::Other(vec![1, 3])],
        },
    ]);
    all.extend(PATH_ERRORS.map(|name| CertificateError::Other(other(name))));
    all
}

/// The errors of webpki that rustls passes on without a name of its own.
const PATH_ERRORS: [&str; 27] = [
    "CaUsedAsEndEntity",
    "CertDistrusted",
    "EmptyEkuExtension",
    "EndEntityUsedAsCa",
    "ExtensionValueInvalid",
    "InvalidCrlNumber",
    "InvalidNetworkMaskConstraint",
    "InvalidSerialNumber",
    "MalformedDnsIdentifier",
    "MalformedExtensions",
    "MalformedNameConstraint",
    "MaximumNameConstraintComparisonsExceeded",
    "MaximumPathBuildCallsExceeded",
    "MaximumPathDepthExceeded",
    "MaximumSignatureChecksExceeded",
    "NameConstraintViolation",
    "PathLenConstraintViolated",
    "SignatureAlgorithmMismatch",
    "UnsupportedCertVersion",
    "UnsupportedCriticalExtension",
    "UnsupportedCrlIssuingDistributionPoint",
    "UnsupportedCrlVersion",
    "UnsupportedDeltaCrl",
    "UnsupportedIndirectCrl",
    "UnsupportedNameType",
    "UnsupportedRevocationReason",
    "UnsupportedRevocationReasonsPartitioning",
];

fn errors() -> Vec<Error> {
    let mut all = each!(Error: NoCertificatesPresented UnsupportedNameType DecryptError EncryptError FailedToGetCurrentTime FailedToGetRandomBytes HandshakeNotComplete PeerSentOversizedRecord NoApplicationProtocol BadMaxFragmentSize).to_vec();
    all.extend(invalid_messages().into_iter().map(Error::from));
    all.extend(misbehaviors().into_iter().map(Error::from));
    all.extend(incompatibilities().into_iter().map(Error::from));
    all.extend(certificate_errors().into_iter().map(Error::from));
    all.extend((0..=255).map(|number| Error::AlertReceived(AlertDescription::from(number))));
    all.extend(each!(CertRevocationListError: BadSignature InvalidCrlNumber InvalidRevokedCertSerialNumber IssuerInvalidForCrl ParseError UnsupportedCrlVersion UnsupportedCriticalExtension UnsupportedDeltaCrl UnsupportedIndirectCrl UnsupportedRevocationReason).map(Error::from));
    all.extend(
        each!(EncryptedClientHelloError: InvalidConfigList NoCompatibleConfig SniRequired).map(Error::from),
    );
    all.extend(each!(InconsistentKeys: KeyMismatch Unknown).map(Error::from));
    let content_types = (0..=255).map(ContentType::from);
    all.extend(content_types.map(|got_type| Error::InappropriateMessage { expect_types: vec![], got_type }));
    let handshake_types = (0..=255).map(HandshakeType::from);
    all.extend(
        handshake_types
            .map(|got_type| Error::InappropriateHandshakeMessage { expect_types: vec![], got_type }),
    );
    all.push(Error::General("failed to parse private key as RSA, ECDSA, or EdDSA: InvalidEncoding".into()));
    all.push(Error::Other(other("KeyRejected")));
    all
}

/// Returns `true` if a text contains the `Debug` output of a Rust value: punctuation, or a name in
/// which a capital letter follows a small one.
fn is_dump(text: &str) -> bool {
    let is_name = |word: &str| {
        word != "EdDSA"
            && word
                .as_bytes()
                .windows(2)
                .any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
    };
    text.contains(['{', '[', '"']) || text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_name)
}

/// The message for a proxy that sends garbage ended in "message of type
/// `HandshakePayloadTooLarge`".
#[test]
fn an_error_was_described_by_a_rust_name() {
    let all = errors();
    assert!(all.len() > 700, "{}", all.len());
    for error in all {
        let text = super::error(&error);
        assert!(!text.is_empty() && !is_dump(&text), "{error:?}: {text}");
        assert!(text.is_ascii(), "{error:?}: {text}");
    }
}

#[test]
fn rust_names_are_split_into_words() {
    for (error, text) in [
        (Error::from(InvalidMessage::HandshakePayloadTooLarge), "handshake payload too large"),
        (InvalidMessage::MissingData("ServerHello").into(), "missing data (server hello)"),
        (PeerMisbehaved::SelectedUnofferedCipherSuite.into(), "selected unoffered cipher suite"),
        (PeerMisbehaved::SelectedUnofferedKxGroup.into(), "selected unoffered key exchange group"),
        (
            PeerMisbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported.into(),
            "attempted downgrade to TLS 1.2 when TLS 1.3 is supported",
        ),
        (PeerIncompatible::EcPointsExtensionRequired.into(), "EC points extension required"),
        (InconsistentKeys::KeyMismatch.into(), "the key does not belong to the certificate"),
        (Error::EncryptError, "encrypt error"),
        (
            CertificateError::Other(other("UnsupportedCertVersion")).into(),
            "invalid certificate: it is not of X.509 version 3",
        ),
        (
            CertificateError::Other(other("FromTheFuture(7)")).into(),
            "invalid certificate: from the future(7)",
        ),
    ] {
        assert_eq!(super::error(&error), text);
    }
}

#[test]
fn alerts_have_the_names_of_the_rfc() {
    for (number, name) in [
        (0, "close_notify"),
        (20, "bad_record_mac"),
        (42, "bad_certificate"),
        (48, "unknown_ca"),
        (70, "protocol_version"),
        (80, "internal_error"),
        (112, "unrecognized_name"),
        (115, "unknown_psk_identity"),
        (120, "no_application_protocol"),
        (200, "200"),
    ] {
        assert_eq!(alert_name(AlertDescription::from(number)), name);
    }
}

#[test]
fn versions_and_cipher_suites_have_their_registered_names() {
    assert_eq!(version(ProtocolVersion::TLSv1_3), "TLS 1.3");
    assert_eq!(version(ProtocolVersion::TLSv1_2), "TLS 1.2");
    assert_eq!(cipher_suite(CipherSuite::TLS13_AES_128_GCM_SHA256), "TLS_AES_128_GCM_SHA256");
    let old = CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;
    assert_eq!(cipher_suite(old), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
}

/// A malformed PEM file was described by a list of byte values.
#[test]
fn a_malformed_pem_file_was_described_by_a_rust_value() {
    for error in [
        pem::Error::MissingSectionEnd { end_marker: b"-----END CERTIFICATE-----".to_vec() },
        pem::Error::IllegalSectionStart { line: b"-----BEGIN".to_vec() },
        pem::Error::Base64Decode("InvalidCharacter(33)".into()),
        pem::Error::NoItemsFound,
        pem::Error::SectionTooLarge,
        pem::Error::Io(std::io::ErrorKind::UnexpectedEof.into()),
    ] {
        let text = pem_error(&error);
        assert!(!text.is_empty() && !is_dump(&text), "{error:?}: {text}");
    }
}
