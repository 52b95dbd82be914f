#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use super::*;
use crate::ssh::public_key::PublicKey;
use crate::ssh::wire::Write;
use recorded::Dir;

mod damage;
mod errors;
mod recorded;

fn plain(file: &[u8]) -> PrivateKey {
    KeyFile::parse(file).unwrap().into_private_key(None).unwrap()
}

fn error(file: &[u8]) -> KeyFileError {
    KeyFile::parse(file).unwrap_err()
}

/// Checks that every algorithm of the key makes signatures which the public key verifies.
fn assert_signs(key: &PrivateKey) {
    for algorithm in key.public_key().algorithms() {
        let signature = key.sign(algorithm, b"message").unwrap();
        assert!(key.public_key().verifies(algorithm, b"message", &signature), "{algorithm}");
        assert!(!key.public_key().verifies(algorithm, b"other message", &signature), "{algorithm}");
    }
    assert_eq!(key.sign("ssh-rsa", b"message"), None);
}

/// Removes the text encoding of a file with one section.
fn decode(file: &[u8]) -> Vec<u8> {
    pem::Sections::new(file).next().unwrap().unwrap().bytes.to_vec()
}

/// Adds the text encoding.
fn encode(label: &str, bytes: &[u8]) -> Vec<u8> {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let base64 = BASE64_STANDARD.encode(bytes);
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n").into_bytes()
}

fn random() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

#[test]
fn a_new_key_is_read_back() {
    for comment in ["", "a", "me@host", "über", &"long".repeat(1000)] {
        let new = generate(random, comment).unwrap();
        let key = plain(&new.file);
        assert_eq!(key.public_key(), new.key.public_key());
        assert_eq!((key.comment(), new.key.comment()), (comment, comment));
        assert_signs(&key);
        assert!(new.file.capacity() == new.file.len());
    }
    let [first, second] = [(); 2].map(|()| generate(random, "").unwrap());
    assert_ne!(first.key.public_key(), second.key.public_key());
    assert!(generate(|| None, "").is_none());
}

#[test]
fn debug_output_shows_only_the_public_key() {
    let new = generate(random, "comment").unwrap();
    let fingerprint = new.key.public_key().fingerprint();
    assert_eq!(format!("{:?}", new.key), format!("PrivateKey(ED25519 {fingerprint})"));
    assert_eq!(format!("{new:?}"), format!("NewKey {{ key: {:?}, .. }}", new.key));
    let dir = Dir::new("debug");
    dir.run("ssh-keygen -q -t ed25519 -a 1 -N secret -f key");
    let file = KeyFile::parse(&dir.read("key")).unwrap();
    let public = file.public_key().clone();
    assert_eq!(format!("{file:?}"), format!("Encrypted(EncryptedKey({public:?}, Aes256Ctr, ..))"));
}

#[test]
fn a_public_line_is_one_line() {
    let key = generate(random, "a\nssh-rsa b\x1b\u{9b}").unwrap().key;
    assert_eq!(key.public_line(), format!("{} assh-rsa b", key.public_key()));
    let key = generate(random, "").unwrap().key;
    assert_eq!(key.public_line(), key.public_key().to_string());
    let line =
        PublicKeyLine::parse_file(format!("# comment\r\n\n  {}\tmy  key\r\n", key.public_key()).as_bytes());
    let line = line.unwrap();
    assert_eq!((line.type_name(), line.comment()), ("ssh-ed25519", "my  key"));
    assert_eq!(line.key().unwrap(), *key.public_key());
    assert!(!line.is_certificate());
    let line = key.public_line();
    let (type_name, base64) = line.split_once(' ').unwrap();
    for invalid in
        ["", "#", type_name, base64, &format!("ssh-rsa {base64}"), &format!("{type_name} x{base64}")]
    {
        assert_eq!(PublicKeyLine::parse_file(invalid.as_bytes()), None, "{invalid}");
    }
}
