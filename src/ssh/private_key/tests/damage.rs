//! Damaged files: every one is refused, or still contains the same key.

use super::*;

/// Reads a file that is damaged. Returns `true` if it is still readable.
fn survives(file: &[u8], public: Option<&PublicKey>) -> bool {
    let Ok(KeyFile::Plain(read)) = KeyFile::parse(file) else { return false };
    assert!(public.is_none_or(|public| public == read.public_key()));
    true
}

/// Damages a file in every place. `public` is the public key if the file contains it.
fn damage(file: &[u8], public: Option<&PublicKey>) {
    for length in 0..file.trim_ascii_end().len() {
        assert!(!survives(&file[..length], public), "cut after {length}");
    }
    let label = str::from_utf8(pem::Sections::new(file).next().unwrap().unwrap().label).unwrap();
    let bytes = decode(file);
    assert!(survives(&encode(label, &bytes), public));
    for length in 0..bytes.len() {
        assert!(!survives(&encode(label, &bytes[..length]), public), "cut after {length}");
    }
    assert!(!survives(&encode(label, &[&bytes[..], &[0]].concat()), public));
    for index in 0..file.len() {
        let mut file = file.to_vec();
        file[index] ^= 1;
        survives(&file, public);
    }
    for index in 0..bytes.len() {
        for mask in [1, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[index] ^= mask;
            survives(&encode(label, &bytes), public);
        }
    }
}

fn damage_key(file: &[u8]) {
    damage(file, Some(plain(file).public_key()));
}

#[test]
fn a_damaged_file_has_no_other_key() {
    let dir = Dir::new("damage");
    damage_key(&generate(random, "comment").unwrap().file);
    damage_key(&dir.ssh_key("ecdsa", "-t ecdsa -b 256"));
    damage_key(&dir.ssh_key("pem", "-t ecdsa -b 256 -m PEM"));
    damage_key(&dir.ssh_key("pkcs8", "-t ecdsa -b 384 -m PKCS8"));
    // openssl writes only the seed, and each seed is a key.
    damage(&dir.run("openssl genpkey -algorithm ed25519"), None);
}

#[test]
fn a_damaged_rsa_file_has_no_other_key() {
    let dir = Dir::new("rsa");
    damage_key(&dir.ssh_key("rsa", "-t rsa -b 2048"));
    damage_key(&dir.ssh_key("pem", "-t rsa -b 2048 -m PEM"));
}

#[test]
fn a_damaged_encrypted_file_is_refused() {
    for cipher in ["aes256-ctr", "aes256-gcm@openssh.com"] {
        let dir = Dir::new(cipher);
        dir.run(&format!("ssh-keygen -q -t ed25519 -a 1 -N pass -f key -Z {cipher}"));
        let bytes = decode(&dir.read("key"));
        let label = "OPENSSH PRIVATE KEY";
        for length in 0..bytes.len() {
            assert!(KeyFile::parse(&encode(label, &bytes[..length])).is_err(), "cut after {length}");
        }
        for index in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[index] ^= 1;
            let Ok(KeyFile::Encrypted(key)) = KeyFile::parse(&encode(label, &bytes)) else { continue };
            // Decryption takes time, so only some are tried. CTR does not protect the comment.
            if index % 16 == 0 && cipher != "aes256-ctr" {
                assert!(key.decrypt(b"pass").is_err(), "byte {index}");
            }
        }
    }
}

/// CTR does not authenticate, so any bytes can follow from a damaged file.
#[test]
fn a_damaged_section_has_no_other_key() {
    let new = generate(random, "comment").unwrap();
    let file = decode(&new.file);
    let public = new.key.public_key();
    let start = file.windows(15).rposition(|window| window == b"\0\0\0\x0bssh-ed25519").unwrap() - 8;
    let section = &file[start..];
    assert!(section::read(section, public).is_ok());
    for length in 0..section.len() {
        // Padding is not counted here, so a shorter section may be readable.
        let _ = section::read(&section[..length], public);
    }
    for (index, byte) in (0..section.len()).flat_map(|index| (0..=255).map(move |byte| (index, byte))) {
        let mut section = section.to_vec();
        section[index] = byte;
        if let Ok(key) = section::read(&section, public) {
            assert_eq!(key.public_key(), public);
        }
    }
    // The first check integer, and the last byte of the padding.
    for index in [0, section.len() - 1] {
        let mut section = section.to_vec();
        section[index] ^= 1;
        assert_eq!(section::read(&section, public).map(drop), Err(KeyFileError::Malformed), "byte {index}");
    }
    assert!(section::read(section, generate(random, "").unwrap().key.public_key()).is_err());
}
