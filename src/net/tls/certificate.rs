//! What a certificate says of itself (RFC 5280 §4.1), as far as the library does not tell: who has signed it, which key
//! is in it, and from when to when it is good. Whatever else is in it is passed over, and nonsense is none.

use std::ops::RangeInclusive;

/// Tags of DER (X.690 §8).
const INTEGER: u8 = 0x02;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
/// The types of a name's parts: organization (2.5.4.10) and common name (2.5.4.3).
const NAMES: [[u8; 3]; 2] = [[0x55, 4, 3], [0x55, 4, 10]];

/// The parts of a certificate, as they are encoded.
pub(super) struct Certificate<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    validity: &'a [u8],
    /// The `SubjectPublicKeyInfo`.
    pub(super) key: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Takes it apart.
    pub(super) fn of(der: &'a [u8]) -> Option<Self> {
        let mut fields = Reader(Reader(Reader(der).content(SEQUENCE)?).content(SEQUENCE)?);
        if fields.0.first() == Some(&VERSION) {
            fields.content(VERSION)?;
        }
        fields.content(INTEGER)?;
        fields.content(SEQUENCE)?;
        let issuer = fields.content(SEQUENCE)?;
        let validity = fields.content(SEQUENCE)?;
        let subject = fields.content(SEQUENCE)?;
        let key = fields.element(SEQUENCE)?.1;
        Some(Self { issuer, subject, validity, key })
    }

    /// Whether it names itself as the one who has signed it.
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// The common name of who has signed it, or else the organization.
    pub(super) fn issuer(&self) -> Option<&'a [u8]> {
        NAMES.iter().find_map(|wanted| name_part(self.issuer, wanted))
    }

    /// From when to when it is good, in seconds since 1970.
    pub(super) fn validity(&self) -> Option<RangeInclusive<i64>> {
        let mut times = Reader(self.validity);
        Some(times.time()?..=times.time()?)
    }
}

/// The last part of this type that a name has.
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

/// Reads one element after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The content of the next element, which must have this tag.
    fn content(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element(tag).map(|(content, _)| content)
    }

    /// The content of the next element, and all of it.
    fn element(&mut self, tag: u8) -> Option<(&'a [u8], &'a [u8])> {
        let all = self.0;
        let [first, length, rest @ ..] = all else { return None };
        let (length, rest) = match usize::from(*length) {
            short @ ..=0x7f => (short, rest),
            // A certificate is not longer than three bytes can say.
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

    /// A point in time, which is UTC (RFC 5280 §4.1.2.5).
    fn time(&mut self) -> Option<i64> {
        let (century, digits) = if *self.0.first()? == UTC_TIME {
            let digits = self.content(UTC_TIME)?;
            // Years from 50 on are of the last century.
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

/// Days since 1970-01-01 in the Gregorian calendar. The year begins in March here, so that a leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 153 + 2) / 5
        + day
        - 719_469
}

/// A point in time as people write it: `2026-11-21 20:53 UTC`.
pub(super) fn date(seconds: i64) -> String {
    let (day, minute) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) / 60);
    // The year cannot be after this one, nor far before it.
    let mut year = 1970 + day.div_euclid(365);
    while days(year, 1, 1) > day {
        year -= 1;
    }
    let month = (2..=12).take_while(|&month| days(year, month, 1) <= day).last().unwrap_or(1);
    let day = day - days(year, month, 1) + 1;
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData, date_time_ymd};

    use super::*;

    fn certificate() -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["proxy.example".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example Works");
        params.distinguished_name.push(DnType::CommonName, "proxy");
        (params.not_before, params.not_after) = (date_time_ymd(1999, 2, 28), date_time_ymd(2096, 2, 29));
        (params.self_signed(&key).unwrap().der().to_vec(), key)
    }

    #[test]
    fn a_certificate_says_who_signed_it_with_which_key_and_for_how_long() {
        let (der, key) = certificate();
        let certificate = Certificate::of(&der).unwrap();
        assert!(certificate.is_self_issued());
        assert_eq!(certificate.issuer().unwrap(), b"proxy");
        assert_eq!(certificate.key, key.subject_public_key_info());
        let validity = certificate.validity().unwrap();
        assert_eq!(date(*validity.start()), "1999-02-28 00:00 UTC");
        assert_eq!(date(*validity.end()), "2096-02-29 00:00 UTC");
    }

    #[test]
    fn no_piece_of_a_certificate_and_no_wrong_byte_in_it_is_a_panic() {
        let (mut der, _) = certificate();
        let look = |der: &[u8]| {
            if let Some(certificate) = Certificate::of(der) {
                let _ = (certificate.issuer(), certificate.validity().map(|validity| date(*validity.end())));
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

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (-1, "1969-12-31 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (253_402_300_799, "9999-12-31 23:59 UTC"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }
}
