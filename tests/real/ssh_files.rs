//! Files of OpenSSH and of `openssl`: `known_hosts` compared with `ssh-keygen -F`, private keys of
//! both programs, and the test data of OpenSSH's own unit tests.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use connect::ssh::certificate::{Certificate, CertificateError};
use connect::ssh::known_hosts::{HostName, KnownHosts, Marker, new_line};
use connect::ssh::private_key::{KeyFile, KeyFileError, PrivateKey, PublicKeyLine, generate};
use connect::ssh::public_key::{KeyError, PublicKey};
use connect::ssh::wire::Write as _;
use ring::digest::{SHA512, digest};
use ring::hmac;

use crate::context::{Case, Context, Topic};
use crate::peers::run;
use random_lines::{NAMES, Random};

#[path = "../../src/ssh/known_hosts/tests/random_lines.rs"]
mod random_lines;

/// The data of OpenSSH's unit tests, from Debian's package `openssh-tests`.
const TEST_DATA: &str = "/usr/lib/openssh/regress/unittests";

/// The types of keys that can sign, as options of `ssh-keygen`.
const TYPES: [&str; 6] = [
    "-t ed25519",
    "-t ecdsa -b 256",
    "-t ecdsa -b 384",
    "-t rsa -b 2048",
    "-t rsa -b 3072",
    "-t rsa -b 4096",
];

/// A line that applies to a name: its number, its marker, and the fingerprint of its key.
type Found = (usize, Marker, String);

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("ssh-files");
    topic.ours("10,000 random lines of known_hosts apply to the same names as in ssh-keygen", random_lines);
    topic.ours("known_hosts deviates from ssh-keygen only where that is safer", deviations);
    topic.ours("ssh-keygen finds new lines of known_hosts", new_lines);
    topic.ours("the known_hosts of OpenSSH's unit tests gives the same lines", unit_test_hosts);
    topic.ours("the certificates of OpenSSH's unit tests are read", unit_test_certificates);
    topic.ours("the private keys of OpenSSH's unit tests are read", unit_test_keys);
    for options in TYPES {
        topic.ours(
            format!("a private key of ssh-keygen {options} is read in every format"),
            move |context| {
                every_format(context, options);
            },
        );
    }
    for options in ["-t ed25519", "-t ecdsa -b 384 -Z aes256-gcm@openssh.com", "-t rsa -b 2048 -Z aes256-ctr"]
    {
        topic.ours(format!("an encrypted private key of ssh-keygen {options} is read"), move |context| {
            encrypted(context, options);
        });
    }
    for command in [
        "genpkey -algorithm ed25519",
        "genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256",
        "genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-384",
        "genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048",
        // Parameters first, then a SEC1 key.
        "ecparam -genkey -name prime256v1",
        "genrsa -traditional 2048",
    ] {
        topic.ours(format!("a private key of openssl {command} is read"), move |context| {
            of_openssl(context, command);
        });
    }
    topic.ours("ssh-keygen reads a key that we generate", generated);
    topic.into_cases()
}

/// Runs a program in the folder of the case, and returns its output. The arguments are separated by
/// spaces; `_` is the empty argument.
#[track_caller]
fn run_in(context: &Context, command: &str) -> Vec<u8> {
    let mut words = command.split(' ').map(|word| if word == "_" { "" } else { word });
    let program = words.next().unwrap();
    let args: Vec<_> = words.collect();
    let output = run(context.peers.command(program, &args).current_dir(&context.folder));
    output.unwrap_or_else(|error| panic!("{command}: {error}"))
}

fn read(context: &Context, name: &str) -> Vec<u8> {
    fs::read(context.folder.join(name)).unwrap()
}

fn unit_test_file(name: &str) -> Vec<u8> {
    let path = Path::new(TEST_DATA).join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns an Ed25519 key. Different bytes make different keys.
fn ed25519(byte: u8) -> PublicKey {
    let mut blob = Vec::new();
    blob.put_string("ssh-ed25519").put_string([byte; 32]);
    PublicKey::parse(&blob).unwrap()
}

/// Returns the first field of a line with a hashed name.
fn hashed(name: &str, salt: [u8; 20]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    let hash = hmac::sign(&key, name.as_bytes());
    format!("|1|{}|{}", BASE64_STANDARD.encode(salt), BASE64_STANDARD.encode(hash))
}

/// Returns the lines that apply to a name, according to `ssh-keygen`.
fn found_by_openssh(context: &Context, name: &HostName, file: &Path) -> Vec<Found> {
    let args = ["-l", "-F", name.as_str(), "-f"];
    // `ssh-keygen` exits with 1 if it finds no line.
    let output = context.peers.command("ssh-keygen", &args).arg(file).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = output.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let place = line.strip_prefix(&format!("# Host {} found: line ", name.as_str()));
        let (number, marker) = place.expect(line).split_once(' ').unwrap();
        let marker = match marker.trim() {
            "" => Marker::HostKey,
            "CA" => Marker::Authority,
            "REVOKED" => Marker::Revoked,
            other => panic!("unknown marker {other}"),
        };
        let key = lines.next().unwrap().split(' ').nth(2).unwrap();
        found.push((number.parse().unwrap(), marker, key.to_owned()));
    }
    found
}

/// Returns the lines that apply to a name, according to `connect`. Lines for the name without its
/// port are left out, because `ssh-keygen -F` does not search for them.
fn found(name: &HostName, text: &[u8]) -> Vec<Found> {
    // An alias has no bare name to fall back to.
    let mut known = KnownHosts::new(HostName::alias(name.as_str()));
    known.add_file("F", text);
    let line =
        |entry: &connect::ssh::known_hosts::Entry| (entry.place().line, entry.marker(), entry.fingerprint());
    known.entries().iter().map(line).collect()
}

/// Returns keys of every type that OpenSSH 9.2 reads, as lines show them.
fn all_keys(context: &Context) -> Vec<String> {
    let mut keys = Vec::new();
    for options in ["ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 2048", "rsa -b 1024", "dsa"] {
        let name = options.replace(' ', "");
        run_in(context, &format!("ssh-keygen -q -N _ -C _ -f {name} -t {options}"));
        keys.push(String::from_utf8(read(context, &format!("{name}.pub"))).unwrap().trim().to_owned());
    }
    keys.push(ed25519(1).to_string());
    let mut security_key = Vec::new();
    security_key.put_string("sk-ssh-ed25519@openssh.com").put_string([1; 32]).put_string("ssh:");
    keys.push(format!("sk-ssh-ed25519@openssh.com {}", BASE64_STANDARD.encode(security_key)));
    keys
}

fn random_lines(context: &Context) {
    let keys = all_keys(context);
    let mut random = Random(1);
    let lines: Vec<_> = (0..10_000).map(|_| random.line(&keys)).collect();
    let known = lines.join("\n");
    let file = context.file("known_hosts", &known);
    let mut total = 0;
    for (host, port) in NAMES {
        let name = HostName::new(host, port);
        let ours = found(&name, known.as_bytes());
        let theirs = found_by_openssh(context, &name, &file);
        let only = |one: &[Found], other: &[Found]| -> Vec<_> {
            let differing = one.iter().filter(|found| !other.contains(found));
            differing.map(|found| (found.clone(), lines[found.0 - 1].clone())).collect()
        };
        assert_eq!(only(&ours, &theirs), [], "only connect finds these for {host}:{port}");
        assert_eq!(only(&theirs, &ours), [], "only OpenSSH finds these for {host}:{port}");
        total += ours.len();
    }
    assert!(total > 2000, "only {total} lines apply");
}

fn deviations(context: &Context) {
    let key = ed25519(1).to_string();
    let blob = |put: &dyn Fn(&mut Vec<u8>)| {
        let mut blob = Vec::new();
        put(&mut blob);
        BASE64_STANDARD.encode(blob)
    };
    let future = blob(&|blob| {
        blob.put_string("ssh-future").put_string("key");
    });
    let dsa = blob(&|blob| {
        blob.put_string("ssh-dss").put_integer(&[5]);
    });
    let rsa = blob(&|blob| {
        blob.put_string("ssh-rsa").put_integer(&[1, 0, 1]).put_integer(&[0x81; 256]);
    });
    let certificate = include_str!("../../src/ssh/certificate/testdata/ed25519-cert.pub");
    let name = HostName::new("h", 22);
    for (line, reason, ours, theirs) in [
        // OpenSSH ignores the line, and would accept the key.
        (format!("@revoked\th {key}"), "a tab after a marker", true, false),
        (format!("h ssh-future {future}"), "an unknown type", true, false),
        (format!("h ssh-dss {dsa}"), "an unsupported key that is malformed", true, false),
        (format!("h rsa-sha2-256 {rsa}"), "an algorithm as the type", false, true),
        (format!("h {certificate}"), "a certificate, which OpenSSH reads but never matches", false, true),
    ] {
        let file = context.file("known_hosts", &line);
        let lines = [found(&name, line.as_bytes()).len(), found_by_openssh(context, &name, &file).len()];
        assert_eq!(lines, [ours, theirs].map(usize::from), "{reason}");
    }
}

fn new_lines(context: &Context) {
    let key = ed25519(1);
    let mut known = format!("{} {key}", hashed("other", [9; 20])).into_bytes();
    for (index, (host, port)) in NAMES.into_iter().enumerate() {
        let name = HostName::new(host, port);
        let line = new_line(&known, &name, &key, [3; 20]);
        known.extend_from_slice(&line);
        let file = context.file("known_hosts", &known);
        let found = found_by_openssh(context, &name, &file);
        assert_eq!(found, [(index + 2, Marker::HostKey, key.fingerprint())]);
    }
}

fn unit_test_hosts(context: &Context) {
    let known = unit_test_file("hostkeys/testdata/known_hosts");
    let file = Path::new(TEST_DATA).join("hostkeys/testdata/known_hosts");
    for host in ["prometheus.example.com", "sisyphus.example.com", "192.0.2.1", "2001:db8::1"] {
        let name = HostName::new(host, 22);
        let ours = found(&name, &known);
        assert_eq!(ours, found_by_openssh(context, &name, &file), "{host}");
        assert!(ours.len() >= 8, "{host}: {}", ours.len());
    }
}

fn unit_test_certificates(_: &Context) {
    let read = |name: String| String::from_utf8(unit_test_file(&format!("sshkey/testdata/{name}"))).unwrap();
    for name in ["ed25519_1", "ecdsa_1", "rsa_1", "rsa_1_sha1", "rsa_1_sha512"] {
        let line = read(format!("{name}-cert.pub"));
        let blob = BASE64_STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap();
        match Certificate::parse(&blob) {
            Ok(certificate) => {
                assert_eq!(certificate.key().fingerprint(), read(format!("{name}.fp")).trim());
            }
            // These keys have 1024 bits.
            Err(error) => {
                assert_eq!((error, &name[..3]), (CertificateError::Key(KeyError::RsaLength), "rsa"));
            }
        }
    }
}

fn unit_test_keys(_: &Context) {
    let read = |name: &str| unit_test_file(&format!("sshkey/testdata/{name}"));
    let passphrase = read("pw");
    let open = |name: &str| KeyFile::parse(&read(name))?.into_private_key(Some(passphrase.trim_ascii()));
    for (name, public) in [
        ("ed25519_1", "ed25519_1.pub"),
        ("ed25519_1_pw", "ed25519_1.pub"),
        ("ed25519_2", "ed25519_2.pub"),
        ("ecdsa_1", "ecdsa_1.pub"),
        ("ecdsa_n", "ecdsa_1.pub"),
        ("rsa_2", "rsa_2.pub"),
    ] {
        let key = open(name).unwrap();
        let line = PublicKeyLine::parse_file(&read(public)).unwrap();
        assert_eq!(line.key().unwrap(), *key.public_key(), "{name}");
        expect_signs(&key);
    }
    for (names, expected) in [
        ("dsa_1 dsa_2 dsa_n dsa_n_pw", KeyFileError::Dsa),
        ("rsa_1 rsa_1_sha1 rsa_1_sha512 rsa_n rsa_n_pw", KeyFileError::RsaTooShort(1024)),
        ("ecdsa_1_pw rsa_1_pw", KeyFileError::EncryptedPem),
        ("ecdsa_2", KeyFileError::P521),
        ("ecdsa_n_pw", KeyFileError::Cipher("aes256-cbc".to_owned())),
        (
            "ecdsa_sk1 ecdsa_sk1_pw ecdsa_sk2 ed25519_sk1 ed25519_sk1_pw ed25519_sk2",
            KeyFileError::SecurityKey,
        ),
        ("ed25519_1.pub rsa_1-cert.pub ecdsa_sk1.pub", KeyFileError::PublicKey),
        ("ed25519_1.fp", KeyFileError::UnknownFormat),
    ] {
        for name in names.split(' ') {
            assert_eq!(open(name).unwrap_err(), expected, "{name}");
        }
    }
}

fn plain(file: &[u8]) -> PrivateKey {
    KeyFile::parse(file).unwrap().into_private_key(None).unwrap()
}

/// Checks that the public key verifies a signature with each algorithm.
#[track_caller]
fn expect_signs(key: &PrivateKey) {
    for algorithm in key.public_key().algorithms() {
        let signature = key.sign(algorithm, b"message").unwrap();
        assert!(key.public_key().verifies(algorithm, b"message", &signature), "{algorithm}");
    }
}

/// Checks that the key belongs to `key.pub` and that `ssh-keygen` verifies its signatures.
#[track_caller]
fn expect_key_of_file(context: &Context, key: &PrivateKey) {
    let line = PublicKeyLine::parse_file(&read(context, "key.pub")).unwrap();
    assert_eq!(line.key().unwrap(), *key.public_key());
    expect_signs(key);
    context.file("allowed", format!("me {}\n", key.public_key()));
    let message = context.file("message", "message");
    for algorithm in key.public_key().algorithms() {
        context.file("signature", ssh_signature(key, algorithm));
        let verify = ["-Y", "verify", "-f", "allowed", "-I", "me", "-n", "test", "-s", "signature"];
        let mut verify = context.peers.command("ssh-keygen", &verify);
        let input = fs::File::open(&message).unwrap();
        let output = verify.current_dir(&context.folder).stdin(input).output().unwrap();
        assert!(output.status.success(), "{algorithm}: {output:?}");
    }
}

/// Signs as in OpenSSH's `PROTOCOL.sshsig`.
fn ssh_signature(key: &PrivateKey, algorithm: &str) -> String {
    let mut signed = Vec::new();
    signed.put(b"SSHSIG").put_string("test").put_string("").put_string("sha512");
    signed.put_string(digest(&SHA512, b"message"));
    let mut file = Vec::new();
    file.put(b"SSHSIG").put_u32(1).put_string(key.public_key().blob()).put_string("test").put_string("");
    file.put_string("sha512").put_string(key.sign(algorithm, &signed).unwrap());
    let mut text = "-----BEGIN SSH SIGNATURE-----\n".to_owned();
    writeln!(text, "{}\n-----END SSH SIGNATURE-----", BASE64_STANDARD.encode(file)).unwrap();
    text
}

fn every_format(context: &Context, options: &str) {
    run_in(context, &format!("ssh-keygen -q -N _ -C me@host -f key {options}"));
    let key = plain(&read(context, "key"));
    assert_eq!(key.comment(), "me@host");
    assert_eq!(key.public_line().as_bytes(), read(context, "key.pub").trim_ascii());
    expect_key_of_file(context, &key);
    if options == "-t ed25519" {
        return;
    }
    // PEM is PKCS#1 for RSA, and SEC1 for ECDSA.
    for format in ["PEM", "PKCS8"] {
        run_in(context, &format!("ssh-keygen -q -p -N _ -f key -m {format}"));
        let file = read(context, "key");
        assert_eq!(file.starts_with(b"-----BEGIN PRIVATE KEY"), format == "PKCS8");
        expect_key_of_file(context, &plain(&file));
    }
}

fn encrypted(context: &Context, options: &str) {
    run_in(context, &format!("ssh-keygen -q -N pass -C c -a 2 -f key {options}"));
    let file = read(context, "key");
    let KeyFile::Encrypted(encrypted) = KeyFile::parse(&file).unwrap() else { panic!("not encrypted") };
    let key = encrypted.decrypt(b"pass").unwrap();
    assert_eq!(key.public_key(), encrypted.public_key());
    expect_key_of_file(context, &key);
    let open = |passphrase| KeyFile::parse(&file).unwrap().into_private_key(passphrase);
    for wrong in ["", "wrong"] {
        let result = open(Some(wrong.as_bytes()));
        assert_eq!(result.unwrap_err(), KeyFileError::WrongPassphrase, "{wrong:?}");
    }
    assert_eq!(open(None).unwrap_err(), KeyFileError::Encrypted);
}

fn of_openssl(context: &Context, command: &str) {
    let file = run_in(context, &format!("openssl {command}"));
    let key = plain(&file);
    assert_eq!(key.comment(), "");
    expect_signs(&key);
    // With CR LF, and text around the section.
    let file = String::from_utf8(file).unwrap().replace('\n', "\r\n");
    let file = format!("Bag Attributes: none\r\n{file}\r\n");
    assert_eq!(plain(file.as_bytes()).public_key(), key.public_key());
    context.file("private", file);
    run_in(context, "openssl pkey -in private -pubout -out public");
    assert_eq!(KeyFile::parse(&read(context, "public")).unwrap_err(), KeyFileError::PublicKey);
    if key.public_key().type_name() == "ssh-ed25519" {
        let signature = key.sign("ssh-ed25519", b"message").unwrap();
        context.file("signature", &signature[signature.len() - 64..]);
        context.file("message", "message");
        run_in(context, "openssl pkeyutl -verify -pubin -inkey public -rawin -in message -sigfile signature");
    } else {
        run_in(context, "openssl pkey -in private -traditional -out pkcs1");
        assert_eq!(plain(&read(context, "pkcs1")).public_key(), key.public_key());
    }
}

fn generated(context: &Context) {
    let random = || {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(bytes)
    };
    // Every length of padding.
    for length in 0..8 {
        let new = generate(random, &"c".repeat(length)).unwrap();
        let path: PathBuf = context.file("key", &*new.file);
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let line = run_in(context, "ssh-keygen -y -f key");
        assert_eq!(line.trim_ascii(), new.key.public_line().as_bytes());
    }
}
