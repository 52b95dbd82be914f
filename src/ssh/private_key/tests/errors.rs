//! Files that cannot be used, and the reasons.

use super::*;

/// An OpenSSH file whose public key consists of a type and `fields`.
fn container(key_type: &str, fields: &[&[u8]], [cipher, kdf]: [&str; 2], options: &[u8]) -> Vec<u8> {
    let mut public = Vec::new();
    public.put_string(key_type);
    for field in fields {
        public.put_string(field);
    }
    let mut file = Vec::new();
    file.put(openssh::MAGIC).put_string(cipher).put_string(kdf).put_string(options).put_u32(1);
    file.put_string(public).put_string([0; 64]);
    encode("OPENSSH PRIVATE KEY", &file)
}

fn message(error: &KeyFileError) -> String {
    error.advice("FILE").map_or(error.to_string(), |advice| format!("{error}; {advice}"))
}

#[test]
fn unsupported_types_are_named() {
    let cases: [(&str, &[&[u8]], &str); 6] = [
        ("ecdsa-sha2-nistp521", &[], "P-521 needs an agent; run ssh-add FILE"),
        ("ssh-dss", &[], "DSA is obsolete"),
        ("sk-ssh-ed25519@openssh.com", &[], "security keys need an agent; run ssh-add FILE"),
        ("sk-ecdsa-sha2-nistp256@openssh.com", &[], "security keys need an agent; run ssh-add FILE"),
        ("ssh-\x1bxmss@openssh.com ", &[], r"unsupported key type ssh-\x1bxmss@openssh.com"),
        ("ssh-rsa", &[&[35], &[0x7f; 256]], "RSA with 2047 bits is too short, at least 2048 are required"),
    ];
    for (key_type, fields, expected) in cases {
        for protection in [["none", "none"], ["aes256-ctr", "bcrypt"]] {
            let file = container(key_type, fields, protection, &[]);
            assert_eq!(message(&error(&file)), expected, "{key_type}");
        }
    }
    let dir = Dir::new("types");
    for (options, expected) in [
        ("-t ecdsa -b 521", "P-521 needs an agent; run ssh-add FILE"),
        ("-t ecdsa -b 521 -m PEM", "P-521 needs an agent; run ssh-add FILE"),
        ("-t ecdsa -b 521 -m PKCS8", "P-521 needs an agent; run ssh-add FILE"),
        ("-t rsa -b 1024", "RSA with 1024 bits is too short, at least 2048 are required"),
        ("-t rsa -b 1024 -m PEM", "RSA with 1024 bits is too short, at least 2048 are required"),
        ("-t rsa -b 2560", "RSA with 2560 bits needs an agent; run ssh-add FILE"),
    ] {
        let file = dir.ssh_key("key", options);
        assert_eq!(message(&error(&file)), expected, "{options}");
        dir.remove("key");
    }
}

#[test]
fn other_formats_are_named() {
    let dir = Dir::new("formats");
    let rewrite = "encrypted PEM; run ssh-keygen -p -f FILE";
    for options in ["-t ecdsa -m PEM", "-t rsa -m PEM", "-t rsa -m PKCS8"] {
        dir.run(&format!("ssh-keygen -q -N pass123 -f key {options}"));
        assert_eq!(message(&error(&dir.read("key"))), rewrite, "{options}");
        // The advice works.
        dir.run("ssh-keygen -q -p -P pass123 -N pass123 -a 1 -f key");
        KeyFile::parse(&dir.read("key")).unwrap().into_private_key(Some(b"pass123")).unwrap();
        dir.remove("key");
    }
    let public_line = generate(random, "").unwrap().key.public_line();
    let wrong_end = dir.run("openssl genpkey -algorithm ed25519");
    let wrong_end =
        String::from_utf8(wrong_end).unwrap().replace("END PRIVATE", "END RSA PRIVATE").into_bytes();
    let cases: [(&[u8], &str); 10] = [
        (
            b"PuTTY-User-Key-File-3: ssh-ed25519\n",
            "PuTTY format; run puttygen FILE -O private-openssh-new -o NEW_FILE",
        ),
        (public_line.as_bytes(), "a public key, expected a private key"),
        (b"---- BEGIN SSH2 PUBLIC KEY ----\n", "a public key, expected a private key"),
        (&encode("RSA PUBLIC KEY", b"x"), "a public key, expected a private key"),
        (&encode("DSA PRIVATE KEY", b"x"), "DSA is obsolete"),
        (&encode("CERTIFICATE", b"x"), "not a private key"),
        (b"", "not a private key"),
        (b"SSH PRIVATE KEY FILE FORMAT 1.1\n\0", "not a private key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "malformed"),
        (&wrong_end, "malformed"),
    ];
    for (file, expected) in cases {
        assert_eq!(message(&error(file)), expected);
    }
}

#[test]
fn a_missing_public_key_is_reported() {
    let dir = Dir::new("no-public-key");
    dir.write("key", &dir.run("openssl ecparam -genkey -noout -name secp384r1"));
    for options in ["-no_public", "-conv_form compressed"] {
        dir.write("bare", &dir.run(&format!("openssl ec -in key {options}")));
        let error = error(&dir.read("bare"));
        assert_eq!(message(&error), "missing public key; run ssh-keygen -p -f FILE", "{options}");
        dir.run("ssh-keygen -q -p -N _ -f bare");
        assert_eq!(plain(&dir.read("bare")).public_key(), plain(&dir.read("key")).public_key());
    }
    dir.write("other", &dir.run("openssl ecparam -genkey -noout -name secp256k1"));
    assert_eq!(message(&error(&dir.read("other"))), "unsupported key type EC on an unnamed or unknown curve");
}

#[test]
fn limits_of_the_encryption_are_checked() {
    let ed25519 = |cipher: &str, kdf: &str, salt: &[u8], rounds: u32| {
        let mut options = Vec::new();
        options.put_string(salt).put_u32(rounds);
        error(&container("ssh-ed25519", &[&[1; 32]], [cipher, kdf], &options))
    };
    assert_eq!(ed25519("aes256-ctr", "bcrypt", &[1; 16], 10_001), KeyFileError::Rounds(10_001));
    assert_eq!(
        message(&KeyFileError::Rounds(10_001)),
        "10001 rounds of bcrypt, the limit is 10000; run ssh-add FILE"
    );
    let cbc = ed25519("aes256-cbc", "bcrypt", &[1; 16], 16);
    assert_eq!(message(&cbc), "encrypted with aes256-cbc; run ssh-keygen -p -f FILE");
    for malformed in [
        ed25519("aes256-ctr", "bcrypt", &[], 16),
        ed25519("aes256-ctr", "bcrypt", &[1; 16], 0),
        ed25519("aes256-ctr", "none", &[1; 16], 16),
        ed25519("none", "bcrypt", &[1; 16], 16),
        // The tag is missing.
        ed25519("aes256-gcm@openssh.com", "bcrypt", &[1; 16], 16),
    ] {
        assert_eq!(malformed, KeyFileError::Malformed);
    }
}
