//! Files with private keys.
#![no_main]

use connect::ssh::private_key::{KeyFile, PublicKeyLine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    let _ = PublicKeyLine::parse_file(content);
    let Ok(KeyFile::Plain(key)) = KeyFile::parse(content) else { return };
    // The key can sign, and its public key verifies the signature.
    for algorithm in key.public_key().algorithms() {
        let signature = key.sign(algorithm, b"message").expect("the key has this algorithm");
        assert!(key.public_key().verifies(algorithm, b"message", &signature));
    }
});
