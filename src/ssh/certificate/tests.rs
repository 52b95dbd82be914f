#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use base64::prelude::{BASE64_STANDARD, Engine};

use super::lists::MAX_ITEMS;
use super::*;

/// Host certificates for `web.example` by `ssh-keygen -s`, and the algorithms of the two keys.
const HOSTS: [(&str, &str, &str); 4] = [
    (include_str!("testdata/ed25519-cert.pub"), "ssh-ed25519", "ecdsa-sha2-nistp256"),
    (include_str!("testdata/ecdsa-256-cert.pub"), "ecdsa-sha2-nistp256", "ssh-ed25519"),
    (include_str!("testdata/ecdsa-384-cert.pub"), "ecdsa-sha2-nistp384", "ssh-rsa"),
    (include_str!("testdata/rsa-2048-cert.pub"), "ssh-rsa", "ecdsa-sha2-nistp384"),
];

/// A certificate for the user `alice` with `force-command` and `source-address`.
const USER: &str = include_str!("testdata/user-cert.pub");

/// 2026-06-01, within the validity of the Ed25519 certificate: the year 2026.
const SUMMER: u64 = 1_780_272_000;

/// Returns the type and the encoded certificate of a `.pub` file.
fn decode(line: &str) -> (&str, Vec<u8>) {
    let mut fields = line.split(' ');
    let type_name = fields.next().unwrap();
    (type_name, BASE64_STANDARD.decode(fields.next().unwrap()).unwrap())
}

fn parse(line: &str) -> Certificate {
    Certificate::parse(&decode(line).1).unwrap()
}

#[test]
fn certificates_of_every_type_are_read() {
    for (line, key_type, authority_type) in HOSTS {
        let (type_name, blob) = decode(line);
        let certificate = Certificate::parse(&blob).unwrap();
        assert_eq!(certificate.type_name(), type_name);
        assert_eq!(certificate.blob(), blob);
        assert_eq!(certificate.key().type_name(), key_type);
        assert_eq!(certificate.authority().type_name(), authority_type);
        assert_eq!(certificate.kind(), Kind::Host);
        assert_eq!(certificate.check_host("web.example", SUMMER), Ok(()));
        assert_eq!((certificate.critical_options(), certificate.extensions()), (&[][..], &[][..]));
    }
}

/// The expected values are from `ssh-keygen -L`.
#[test]
fn the_fields_of_a_host_certificate_are_read() {
    let certificate = parse(HOSTS[0].0);
    assert_eq!(certificate.key_id(), "web server");
    assert_eq!(certificate.serial(), 7);
    assert_eq!(certificate.principals(), ["web.example", "www.web.example"]);
    assert_eq!(certificate.key().fingerprint(), "SHA256:x8NClRllUCKEtx7t3mdANyzwL9rFvK9Uhjl3tZ99Rdk");
    assert_eq!(certificate.authority().fingerprint(), "SHA256:sha3V1gFZJ0XNRIG6wClpCs6gwbpFv8ZDM+j5/GqGDY");
}

#[test]
fn the_options_of_a_user_certificate_are_read() {
    let certificate = parse(USER);
    let options = certificate.critical_options().iter();
    let options: Vec<_> = options.map(|option| (option.name.as_str(), option.text())).collect();
    assert_eq!(options, [("force-command", Ok("date")), ("source-address", Ok("10.0.0.0/8"))]);
    let names: Vec<_> = certificate.extensions().iter().map(|option| option.name.as_str()).collect();
    assert!(names.contains(&"permit-pty"), "{names:?}");
    assert_eq!(certificate.extensions()[0].text(), Err(Malformed));
    assert_eq!(certificate.principals(), ["alice"]);
}

#[test]
fn a_certificate_is_for_hosts_by_name_and_date() {
    let certificate = parse(HOSTS[0].0);
    let (start, end) = (1_767_225_600, 1_798_761_600);
    for (now, expected) in [
        (start - 1, Err(Problem::NotYetValid(start))),
        (start, Ok(())),
        (end - 1, Ok(())),
        (end, Err(Problem::Expired(end))),
    ] {
        assert_eq!(certificate.check_host("www.web.example", now), expected);
    }
    let problem = certificate.check_host("other.example", SUMMER).unwrap_err();
    assert_eq!(problem.to_string(), "principal \"web.example,www.web.example\", expected \"other.example\"");
    assert_eq!(parse(USER).check_host("alice", SUMMER), Err(Problem::UserCertificate));
}

#[test]
fn a_certificate_without_principals_or_with_a_critical_option_is_not_valid() {
    let mut certificate = parse(HOSTS[1].0);
    let option = CertificateOption { name: "a\nb".into(), data: Vec::new() };
    certificate.critical_options.push(option);
    let problem = certificate.check_host("web.example", SUMMER).unwrap_err();
    assert_eq!(problem.to_string(), "critical option \"a\\nb\"");
    certificate.principals.clear();
    assert_eq!(certificate.check_host("web.example", SUMMER), Err(Problem::NoPrincipals));
}

#[test]
fn dates_are_shown_in_utc() {
    assert_eq!(Problem::Expired(1_798_761_600).to_string(), "expired on 2027-01-01 00:00 UTC");
    assert_eq!(Problem::NotYetValid(u64::MAX).to_string(), "not valid before 9999-12-31 23:59 UTC");
}

#[test]
fn a_truncated_or_changed_certificate_is_an_error() {
    for (line, ..) in HOSTS.into_iter().chain([(USER, "", "")]) {
        let (_, blob) = decode(line);
        for length in 0..blob.len() {
            assert!(Certificate::parse(&blob[..length]).is_err(), "{length} bytes of {line}");
        }
        assert!(Certificate::parse(&[&blob[..], &[0]].concat()).is_err(), "a byte after {line}");
        for index in 0..blob.len() {
            let mut changed = blob.clone();
            changed[index] ^= 1;
            assert!(Certificate::parse(&changed).is_err(), "byte {index} of {line}");
        }
    }
}

#[test]
fn the_signature_covers_the_certificate() {
    let (_, mut blob) = decode(HOSTS[0].0);
    let name = blob.windows(11).position(|window| window == b"web.example").unwrap();
    blob[name] = b'w' ^ 1;
    assert_eq!(Certificate::parse(&blob), Err(CertificateError::Signature));
}

#[test]
fn lists_are_limited() {
    let list = |count: usize| [0; 4].repeat(count);
    assert_eq!(principals(&list(MAX_ITEMS)).unwrap().len(), MAX_ITEMS);
    assert_eq!(principals(&list(MAX_ITEMS + 1)), Err(Malformed));
    assert_eq!(options(b"\0\0\0\x01a"), Err(Malformed));
}
