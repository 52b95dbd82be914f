#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use std::fmt::Write as _;

use base64::prelude::{BASE64_STANDARD, Engine};

use super::*;
use crate::ssh::certificate::{Certificate, Problem as CertificateProblem};
use crate::ssh::public_key::PublicKey;
use crate::ssh::wire::Write;
use pattern::hashed;
use random_lines::Random;

mod lines;
mod random_lines;
mod verdicts;

/// Returns an Ed25519 key. Different bytes make different keys.
fn ed25519(byte: u8) -> PublicKey {
    let mut blob = Vec::new();
    blob.put_string("ssh-ed25519").put_string([byte; 32]);
    PublicKey::parse(&blob).unwrap()
}

/// Returns an ECDSA key.
fn ecdsa(byte: u8) -> PublicKey {
    let mut blob = Vec::new();
    blob.put_string("ecdsa-sha2-nistp256").put_string("nistp256");
    blob.put_string([&[4][..], &[byte; 64]].concat());
    PublicKey::parse(&blob).unwrap()
}

/// Returns an RSA key with this many bytes, as a line shows it.
fn rsa(bytes: usize) -> String {
    let mut blob = Vec::new();
    blob.put_string("ssh-rsa").put_integer(&[1, 0, 1]).put_integer(&vec![0x81; bytes]);
    format!("ssh-rsa {}", BASE64_STANDARD.encode(blob))
}

/// Returns a key of a type that we do not support, as a line shows it.
fn dsa() -> String {
    let mut blob = Vec::new();
    blob.put_string("ssh-dss").put_integer(&[5]);
    format!("ssh-dss {}", BASE64_STANDARD.encode(blob))
}

fn read(host: &str, port: u16, content: impl AsRef<[u8]>) -> KnownHosts {
    let mut known = KnownHosts::new(HostName::new(host, port));
    known.add_file("F", content.as_ref());
    known
}

/// Returns the numbers of the lines that apply to a server.
fn lines(host: &str, port: u16, content: impl AsRef<[u8]>) -> Vec<usize> {
    read(host, port, content).entries().iter().map(|entry| entry.place().line).collect()
}

/// Returns the invalid lines and the reasons.
fn problems(content: impl AsRef<[u8]>) -> Vec<(usize, Invalid)> {
    let known = read("h", 22, content);
    known.problems().iter().map(|problem| (problem.place.line, problem.reason)).collect()
}

/// The fuzz target starts with these files.
#[test]
fn every_file_has_the_properties_that_are_fuzzed() {
    let key = "AAAAC3NzaC1lZDI1NTE5AAAAIGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6MDEyMzQ1";
    for content in [
        String::new(),
        "\n".to_owned(),
        "\r".to_owned(),
        format!("* ssh-ed25519 {key}"),
        format!("@revoked * ssh-ed25519 {key}"),
        format!("host.example {}\r\n[host.example]:2222 {}", ed25519(1), dsa()),
        format!("|1|rNN47AP03kFcATRiPyzf8EPOm7E=|TMl1TcXPFCy+i/19PlW/HzuD1rA= {}", ecdsa(1)),
    ] {
        testing::check(content.as_bytes());
    }
}

#[test]
fn random_files_have_the_properties_that_are_fuzzed() {
    let keys = [ed25519(1).to_string(), ecdsa(1).to_string(), dsa(), rsa(128), rsa(256)];
    let mut random = Random(2);
    for _ in 0..500 {
        let lines: Vec<_> = (0..random.below(8)).map(|_| random.line(&keys)).collect();
        testing::check(lines.join("\n").as_bytes());
    }
}

#[test]
fn a_port_is_part_of_the_name() {
    assert_eq!(HostName::new("H.Example", 22).as_str(), "h.example");
    assert_eq!(HostName::new("H.Example", 2222).as_str(), "[h.example]:2222");
    assert_eq!(HostName::new("2001:DB8::1", 2222).as_str(), "[2001:db8::1]:2222");
    assert_eq!(HostName::alias("Alias").as_str(), "alias");
    let content = format!("[h]:2222 {0}\nh {0}\n[*]:2222 {0}\n* {0}\n[h]:22 {0}\n", ed25519(1));
    let applies = |port| {
        let known = read("h", port, &content);
        let entries = known.entries().iter();
        entries.map(|entry| (entry.place.line, entry.is_fallback)).collect::<Vec<_>>()
    };
    assert_eq!(applies(22), [(2, false), (4, false)]);
    assert_eq!(applies(2222), [(1, false), (2, true), (3, false), (4, false)]);
    assert_eq!(applies(2223), [(2, true), (4, false)]);
}

#[test]
fn algorithms_for_known_keys_come_first() {
    let all: Vec<_> = certificate::ALGORITHMS
        .iter()
        .flat_map(|(certificate, plain)| [*plain, *certificate])
        .filter(|name| !name.contains("384"))
        .collect();
    let order = |content: String| {
        let mut algorithms = all.clone();
        read("h", 2222, content).prefer_known(&mut algorithms);
        algorithms
    };
    let (ed25519_key, ecdsa_key) = (ed25519(1), ecdsa(1));
    assert_eq!(order(String::new()), all);
    assert_eq!(order(format!("h {}", dsa())), all);
    assert_eq!(order(format!("@revoked h {ecdsa_key}")), all);
    assert_eq!(order(format!("h {ecdsa_key}"))[..2], ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
    assert_eq!(order(format!("[h]:2222 {ecdsa_key}\nh {ed25519_key}"))[..1], ["ecdsa-sha2-nistp256"]);
    assert_eq!(order(format!("h {}", rsa(256)))[..3], ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
    assert_eq!(
        order(format!("@cert-authority h {ed25519_key}\nh {}", rsa(256))),
        [
            "rsa-sha2-512-cert-v01@openssh.com",
            "rsa-sha2-256-cert-v01@openssh.com",
            "ssh-ed25519-cert-v01@openssh.com",
            "ecdsa-sha2-nistp256-cert-v01@openssh.com",
            "rsa-sha2-512",
            "rsa-sha2-256",
            "ssh-ed25519",
            "ecdsa-sha2-nistp256",
        ]
    );
}

#[test]
fn a_new_line_follows_the_style_of_the_file() {
    let key = ed25519(1);
    let name = HostName::new("h", 2222);
    let salt = [1; 20];
    let plain = format!("[h]:2222 {key}\n");
    let hashed = format!("{} {key}\n", hashed("[h]:2222", salt));
    for (content, expected) in [
        (String::new(), plain.clone()),
        (format!("g {key}\n"), plain.clone()),
        (format!("g {key}"), format!("\n{plain}")),
        (format!("{hashed}g {key}\n"), plain.clone()),
        (hashed.clone(), hashed.clone()),
        (hashed.trim_end().to_owned(), format!("\n{hashed}")),
        (format!("{hashed}@cert-authority * {key}\n# comment\ninvalid\n\n"), hashed.clone()),
    ] {
        let line = new_line(content.as_bytes(), &name, &key, salt);
        assert_eq!(String::from_utf8(line.clone()).unwrap(), expected, "after {content:?}");
        let longer = [content.as_bytes(), &line].concat();
        let found = read("h", 2222, &longer);
        let last = longer.split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(found.entries().last().map(|entry| entry.place().line), Some(last));
    }
}

#[test]
fn a_new_line_for_a_name_with_special_characters_is_hashed() {
    for host in ["*", "a,b", "a b", "a\nb", "!a", "|1|", "@revoked", "#a", ""] {
        let name = HostName::new(host, 22);
        let line = new_line(b"", &name, &ed25519(1), [1; 20]);
        assert!(line.starts_with(b"|1|"), "{host:?}");
        assert_eq!(lines(host, 22, &line), [1], "{host:?}");
        assert_eq!(lines("b", 22, &line), [0; 0], "{host:?}");
    }
}

#[test]
fn every_line_of_a_large_file_counts() {
    let mut content = String::new();
    let mut salt = [0; 20];
    for index in 0..3_000_u32 {
        salt[..4].copy_from_slice(&index.to_be_bytes());
        writeln!(content, "{} {}", hashed("other", salt), ed25519(1)).unwrap();
        writeln!(content, "host{index}.example,10.0.{}.1 {} some comment", index % 256, ed25519(2)).unwrap();
    }
    content.push_str(&"x".repeat(10_000_000 - content.len().min(9_000_000)));
    assert_eq!(lines("host2999.example", 2222, &content), [6_000]);
    let line = new_line(content.as_bytes(), &HostName::new("h", 22), &ed25519(1), [1; 20]);
    assert!(line.starts_with(b"\nh ssh-"));
}

#[test]
fn a_pin_is_a_fingerprint() {
    let key = ed25519(1);
    let fingerprint = key.fingerprint();
    assert!(Pin::parse(&fingerprint).unwrap().matches(&key));
    assert!(Pin::parse(&format!("{fingerprint}=")).unwrap().matches(&key));
    assert!(!Pin::parse(&fingerprint).unwrap().matches(&ed25519(2)));
    for invalid in ["", "SHA256:", "SHA256:AAAA", "MD5:00:11", &fingerprint[7..], &fingerprint[..49]] {
        assert_eq!(Pin::parse(invalid), None, "{invalid}");
    }
    assert_eq!(
        Pin::mismatch("SSH server h:22", &key),
        format!("host key of SSH server h:22 does not match --ssh-pin: ED25519 {fingerprint}")
    );
}

#[test]
fn the_user_answers_yes_or_no_or_the_fingerprint() {
    let key = ed25519(1);
    for (text, expected) in [
        ("yes\n", Answer::Accept),
        ("YES", Answer::Accept),
        ("no", Answer::Reject),
        (&key.fingerprint(), Answer::Accept),
        (&ed25519(2).fingerprint(), Answer::Mismatch),
        ("y", Answer::Unclear),
        ("", Answer::Unclear),
    ] {
        assert_eq!(Answer::parse(text, &key), expected, "{text}");
    }
}
