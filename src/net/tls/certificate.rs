//! A minimal reader for X.509 certificates (RFC 5280 §4.1), for fields that the TLS library does
//! not expose. Nothing is verified here. Unknown parts are skipped; malformed parts are treated as
//! absent.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};

use crate::text::date::days;
use crate::text::{listed, printable};

/// DER tags (X.690 §8).
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// Context-specific tags of a certificate's optional fields.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// Context-specific tags in a `subjectAltName`.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// The attributes that name an issuer, in order of preference: common name (2.5.4.3), organization
/// (2.5.4.10).
const NAME_ATTRIBUTES: [[u8; 3]; 2] = [[0x55, 4, 3], [0x55, 4, 10]];
/// Object identifiers of extensions: 2.5.29.17 and 2.5.29.19.
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 17];
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 19];

/// Maximum number of names in the description of a certificate.
const MAX_SHOWN_NAMES: usize = 4;

/// The encoded fields of a certificate.
pub(super) struct Certificate<'a> {
    /// The X.509 version, counted from 1.
    pub(super) version: u8,
    issuer: &'a [u8],
    subject: &'a [u8],
    validity: &'a [u8],
    /// The encoded extensions; empty if there are none.
    extensions: &'a [u8],
    /// The `SubjectPublicKeyInfo`.
    pub(super) key: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Splits a certificate into its fields. `None` if it is malformed.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut fields = Reader(Reader(Reader(der).content(SEQUENCE)?).content(SEQUENCE)?);
        // The encoded version counts from 0, and is omitted for version 1.
        let version = match fields.0.first() {
            Some(&VERSION) => match Reader(fields.content(VERSION)?).content(INTEGER)? {
                [number] => number.saturating_add(1),
                _ => return None,
            },
            _ => 1,
        };
        fields.content(INTEGER)?;
        fields.content(SEQUENCE)?;
        let issuer = fields.content(SEQUENCE)?;
        let validity = fields.content(SEQUENCE)?;
        let subject = fields.content(SEQUENCE)?;
        let key = fields.element(SEQUENCE)?.1;
        let extensions = fields.find(EXTENSIONS).and_then(|field| Reader(field).content(SEQUENCE));
        Some(Self { version, issuer, subject, validity, extensions: extensions.unwrap_or_default(), key })
    }

    /// Returns `true` if the issuer and the subject are the same.
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Returns `true` if this is a CA certificate (RFC 5280 §4.2.1.9).
    pub(super) fn is_ca(&self) -> bool {
        let constraints = self.extension(&BASIC_CONSTRAINTS);
        let is_ca = constraints.and_then(|value| Reader(Reader(value).content(SEQUENCE)?).content(BOOLEAN));
        is_ca.is_some_and(|value| value != [0])
    }

    /// Returns the host names and IP addresses in the `subjectAltName` (RFC 5280 §4.2.1.6).
    pub(super) fn names(&self) -> Vec<String> {
        let value = self.extension(&SUBJECT_ALT_NAME).and_then(|value| Reader(value).content(SEQUENCE));
        let mut names = Reader(value.unwrap_or_default());
        let mut found = Vec::new();
        while let Some((tag, content)) = names.next() {
            found.extend(match tag {
                DNS_NAME => Some(String::from_utf8_lossy(content).into_owned()),
                IP_ADDRESS => ip_address(content),
                _ => None,
            });
        }
        found
    }

    /// Returns the value of the extension with this object identifier.
    fn extension(&self, wanted: &[u8]) -> Option<&'a [u8]> {
        let mut extensions = Reader(self.extensions);
        while let Some(extension) = extensions.content(SEQUENCE) {
            let mut fields = Reader(extension);
            if fields.content(OBJECT)? == wanted {
                return fields.find(OCTET_STRING);
            }
        }
        None
    }

    /// Returns the common name of the subject, or else its organization.
    fn subject(&self) -> Option<&'a [u8]> {
        NAME_ATTRIBUTES.iter().find_map(|wanted| name_part(self.subject, wanted))
    }

    /// Returns the common name of the issuer, or else its organization.
    pub(super) fn issuer(&self) -> Option<&'a [u8]> {
        NAME_ATTRIBUTES.iter().find_map(|wanted| name_part(self.issuer, wanted))
    }

    /// Returns the validity period in seconds since 1970.
    pub(super) fn validity(&self) -> Option<RangeInclusive<i64>> {
        let mut times = Reader(self.validity);
        Some(times.time()?..=times.time()?)
    }
}

/// Describes the owner of a certificate by its subject and its names: `of 'server' for a.example`.
/// `None` if it has neither, or is malformed.
pub(super) fn owner_text(der: &[u8]) -> Option<String> {
    let certificate = Certificate::parse(der)?;
    let subject = certificate.subject().map(|subject| format!("of '{}'", printable(subject)));
    let names = listed(&certificate.names(), MAX_SHOWN_NAMES);
    let names = (!names.is_empty()).then(|| format!("for {}", printable(names.as_bytes())));
    let parts: Vec<_> = subject.into_iter().chain(names).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn ip_address(octets: &[u8]) -> Option<String> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(|octets| Ipv4Addr::from(octets).to_string()),
        16 => <[u8; 16]>::try_from(octets).ok().map(|octets| Ipv6Addr::from(octets).to_string()),
        _ => None,
    }
}

/// Returns the SHA-256 hash of the public key in a certificate.
pub(super) fn pin(der: &[u8]) -> Option<[u8; 32]> {
    Some(Sha256::digest(Certificate::parse(der)?.key).into())
}

/// Formats a pin in the form that `--tls-pin` accepts.
pub(super) fn display_pin(pin: &[u8; 32]) -> String {
    format!("sha256//{}", BASE64_STANDARD.encode(pin))
}

/// Returns the last attribute of this type in a name.
fn name_part<'a>(name: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    let mut sets = Reader(name);
    while let Some(set) = sets.content(SET) {
        let mut part = Reader(Reader(set).content(SEQUENCE)?);
        if part.content(OBJECT)? == wanted {
            let (&tag, _) = part.0.split_first()?;
            found = part.content(tag);
        }
    }
    found
}

/// A reader for a sequence of DER elements.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// Reads the next element and returns its content. `None` if its tag differs.
    pub(super) fn content(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element(tag).map(|(content, _)| content)
    }

    /// Reads the next element, with any tag.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let tag = *self.0.first()?;
        self.content(tag).map(|content| (tag, content))
    }

    /// Skips to the next element with this tag and returns its content.
    fn find(&mut self, wanted: u8) -> Option<&'a [u8]> {
        loop {
            let (tag, content) = self.next()?;
            if tag == wanted {
                return Some(content);
            }
        }
    }

    /// Reads the next element and returns its content and its complete encoding. `None` if its tag
    /// differs.
    fn element(&mut self, tag: u8) -> Option<(&'a [u8], &'a [u8])> {
        let all = self.0;
        let [first, length, rest @ ..] = all else { return None };
        let (length, rest) = match usize::from(*length) {
            short @ ..=0x7f => (short, rest),
            // The lengths in a certificate fit in three bytes.
            long @ 0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (*first == tag).then(|| (content, &all[..all.len() - rest.len()]))
    }

    /// Reads a time and returns it in seconds since 1970. Certificates use only UTC (RFC 5280
    /// §4.1.2.5).
    fn time(&mut self) -> Option<i64> {
        let (century, digits) = if *self.0.first()? == UTC_TIME {
            let digits = self.content(UTC_TIME)?;
            // RFC 5280 §4.1.2.5.1: a two-digit year of 50 or more is 19YY, a smaller one 20YY.
            (if *digits.first()? >= b'5' { 1900 } else { 2000 }, digits)
        } else {
            let (century, digits) = self.content(GENERALIZED_TIME)?.split_at_checked(2)?;
            (100 * number(century)?, digits)
        };
        let digits = digits.strip_suffix(b"Z").filter(|digits| digits.len() == 12)?;
        let mut numbers = digits.chunks(2).map(number);
        let mut next = || numbers.next().flatten();
        let (year, month, day) = (century + next()?, next()?, next()?);
        let (hours, minutes, seconds) = (next()?, next()?, next()?);
        if !(1..=12).contains(&month) {
            return None;
        }
        Some(((days(year, month, day) * 24 + hours) * 60 + minutes) * 60 + seconds)
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData, date_time_ymd};

    use super::*;
    use crate::text::date::date;

    fn certificate() -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names = ["proxy.example", "192.0.2.1", "2001:db8::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example Works");
        params.distinguished_name.push(DnType::CommonName, "proxy");
        (params.not_before, params.not_after) = (date_time_ymd(1999, 2, 28), date_time_ymd(2096, 2, 29));
        (params.self_signed(&key).unwrap().der().to_vec(), key)
    }

    #[test]
    fn a_certificate_has_an_issuer_names_a_key_and_a_validity_period() {
        let (der, key) = certificate();
        let certificate = Certificate::parse(&der).unwrap();
        assert_eq!(certificate.version, 3);
        assert!(certificate.is_self_issued());
        assert!(!certificate.is_ca());
        assert_eq!(certificate.names(), ["proxy.example", "192.0.2.1", "2001:db8::1"]);
        assert_eq!(certificate.issuer().unwrap(), b"proxy");
        assert_eq!(certificate.key, key.subject_public_key_info());
        let validity = certificate.validity().unwrap();
        assert_eq!(date(*validity.start()), "1999-02-28 00:00 UTC");
        assert_eq!(date(*validity.end()), "2096-02-29 00:00 UTC");
    }

    #[test]
    fn a_certificate_is_described_by_subject_and_names() {
        let (der, _) = certificate();
        assert_eq!(owner_text(&der).unwrap(), "of 'proxy' for proxy.example, 192.0.2.1, 2001:db8::1");
        assert_eq!(owner_text(b"nonsense"), None);
    }

    #[test]
    fn truncated_and_corrupt_certificates_do_not_panic() {
        let (mut der, _) = certificate();
        let look = |der: &[u8]| {
            if let Some(certificate) = Certificate::parse(der) {
                let _ = (certificate.issuer(), certificate.validity().map(|validity| date(*validity.end())));
                let _ = (certificate.is_ca(), certificate.names(), owner_text(der));
            }
        };
        for index in 0..der.len() {
            look(&der[..index]);
            for wrong in [0, 1, 0x30, 0x7f, 0x80, 0x83, 0x84, 0xff, der[index] ^ 1] {
                let right = std::mem::replace(&mut der[index], wrong);
                look(&der);
                der[index] = right;
            }
        }
    }
}
