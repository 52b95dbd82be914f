//! The request of wstunnel (version 10): the target is in a JSON Web Token, which its client sends
//! as a subprotocol.

use std::net::IpAddr;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::addr::{Endpoint, Host};

/// The key of the signature. wstunnel's servers do not verify it, because every client has the
/// same.
const KEY: &[u8] = b"connect";

/// Block size of SHA-256, in bytes.
const BLOCK: usize = 64;

/// Returns the path of the request for a URL with this path.
#[must_use]
pub fn path(prefix: &str) -> String {
    match prefix.trim_matches('/') {
        "" => "/v1/events".into(),
        prefix => format!("/{prefix}/events"),
    }
}

/// Returns the subprotocols of a request for a connection to `target`. `id` is a random number.
#[must_use]
pub fn subprotocols(id: [u8; 16], target: &Endpoint) -> String {
    let header = json!({"typ": "JWT", "alg": "HS256"});
    // The server parses the host as that of a URL, in which IPv6 addresses have brackets.
    let host = match &target.host {
        Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
        host => host.to_string(),
    };
    let claims = json!({
        "id": uuid(id),
        "p": {"Tcp": {"proxy_protocol": false}},
        "r": host,
        "rp": target.port.get(),
    });
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac(KEY, signed.as_bytes()));
    format!("v1, authorization.bearer.{signed}.{signature}")
}

/// Formats random bytes as a UUID of version 4 (RFC 9562 §5.4).
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let number = u128::from_be_bytes(bytes);
    let digits = format!("{number:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// HMAC with SHA-256 (RFC 2104). The key has at most 64 bytes.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| {
        let mut block = [byte; BLOCK];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::proto::testing::endpoint;

    /// RFC 4231 §4.2 and §4.3.
    #[test]
    fn the_test_vectors_of_hmac() {
        for (key, message, expected) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
        ] {
            let hash = hmac(key, message);
            let (high, low) = hash.split_at(16);
            let number = |bytes: &[u8]| u128::from_be_bytes(bytes.try_into().unwrap());
            assert_eq!(format!("{:032x}{:032x}", number(high), number(low)), expected);
        }
    }

    #[test]
    fn the_token_names_the_target() {
        let protocols = subprotocols([0xff; 16], &endpoint("2001:db8::1", "22"));
        let token = protocols.strip_prefix("v1, authorization.bearer.").unwrap();
        let parts: Vec<_> =
            token.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        let parse = |part: &[u8]| serde_json::from_slice::<Value>(part).unwrap();
        assert_eq!(parse(&parts[0]), json!({"typ": "JWT", "alg": "HS256"}));
        let claims = json!({
            "id": "ffffffff-ffff-4fff-bfff-ffffffffffff",
            "p": {"Tcp": {"proxy_protocol": false}},
            "r": "[2001:db8::1]",
            "rp": 22,
        });
        assert_eq!((parse(&parts[1]), parts[2].len(), parts.len()), (claims, 32, 3));
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_eq!(parts[2], hmac(KEY, signed.as_bytes()));
    }

    #[test]
    fn the_path_has_the_prefix_of_the_server() {
        for (prefix, expected) in [
            ("/", "/v1/events"),
            ("/v1", "/v1/events"),
            ("/secret/", "/secret/events"),
            ("/a/b", "/a/b/events"),
        ] {
            assert_eq!(path(prefix), expected);
        }
    }
}
