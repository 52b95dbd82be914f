//! Files with private and public keys.
#![no_main]

use connect::ssh::private_key::{KeyFile, PublicKeyLine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    let line = PublicKeyLine::parse_file(content);
    match KeyFile::parse(content) {
        Ok(KeyFile::Plain(key)) => {
            // The key can sign, and its public key verifies the signature, and no other.
            for algorithm in key.public_key().algorithms() {
                let signature = key.sign(algorithm, b"message").expect("the key has this algorithm");
                assert!(key.public_key().verifies(algorithm, b"message", &signature));
                assert!(!key.public_key().verifies(algorithm, b"massage", &signature));
            }
            assert_eq!(key.sign("ssh-rsa", b"message"), None, "SHA-1");
            // Its public line has the same key and comment.
            let public = PublicKeyLine::parse_file(key.public_line().as_bytes()).expect("a public key");
            assert_eq!(public.key().as_ref(), Ok(key.public_key()));
            assert!(line.is_none(), "both a private and a public key");
        }
        Ok(KeyFile::Encrypted(key)) => assert!(!key.public_key().algorithms().is_empty()),
        Err(error) => assert!(error.to_string().chars().all(|char| !char.is_control())),
    }
    // A key type that is supported has the name that precedes it.
    if let Some(line) = line
        && let Ok(key) = line.key()
    {
        assert_eq!(key.type_name(), line.type_name());
        assert_eq!(key.blob(), line.blob());
    }
});
