#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use std::sync::atomic::{AtomicU8, Ordering};

use super::*;
use crate::ssh::error::Error;

#[allow(clippy::unnecessary_wraps, reason = "the type of `Random`")]
fn random() -> Option<[u8; 16]> {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    Some([NEXT.fetch_add(1, Ordering::Relaxed); 16])
}

const METHODS: [Method; 4] = [Method::MlKem768X25519, Method::Curve25519, Method::NistP256, Method::NistP384];

#[test]
fn both_sides_agree() {
    for method in METHODS {
        let client = ClientShare::new(method, random).unwrap();
        let (server_public, server) = respond(method, client.public(), random).unwrap();
        let client = client.agree(&server_public).unwrap();
        assert_eq!(client.0, server.0, "{method:?}");
        let is_string = client.0.len() == 36;
        assert!(is_string || method != Method::MlKem768X25519);
    }
}

#[test]
fn an_invalid_public_value_is_an_error() {
    for method in METHODS {
        let valid = ClientShare::new(method, random).unwrap().public().to_vec();
        let mut off_curve = valid.clone();
        if let Some(byte) = off_curve.last_mut() {
            *byte ^= 1;
        }
        let mut kem_out_of_range = valid.clone();
        kem_out_of_range[..1184.min(valid.len())].fill(0xff);
        let mut invalid =
            vec![Vec::new(), vec![0; valid.len()], valid[1..].to_vec(), [&valid[..], &[0]].concat()];
        match method {
            Method::Curve25519 => {}
            Method::MlKem768X25519 => invalid.push(kem_out_of_range),
            Method::NistP256 | Method::NistP384 => invalid.push(off_curve),
        }
        for public in invalid {
            let result = respond(method, &public, random);
            assert!(matches!(result, Err(Error::PublicValue)), "{method:?}, {} bytes", public.len());
            let client = ClientShare::new(method, random).unwrap();
            assert!(matches!(client.agree(&public), Err(Error::PublicValue)), "{method:?}");
        }
    }
}

/// The all-zero result that RFC 8731 §3 requires to be rejected: the peer sends a point of low
/// order.
#[test]
fn a_point_of_low_order_is_an_error() {
    let mut one = [0; 32];
    one[0] = 1;
    for point in [[0; 32], one] {
        assert!(matches!(respond(Method::Curve25519, &point, random), Err(Error::PublicValue)));
    }
}

#[test]
fn keys_longer_than_the_hash_are_derived_in_steps() {
    let secret = SharedSecret(Zeroizing::new(b"\0\0\0\x01k".to_vec()));
    let derivation =
        Derivation { method: Method::Curve25519, secret: &secret, exchange_hash: b"H", session_id: b"S" };
    let first = digest::digest(&SHA256, b"\0\0\0\x01kHCS");
    let second = digest::digest(&SHA256, &[b"\0\0\0\x01kH", first.as_ref()].concat());
    let keys = derivation.keys(Direction::ToServer, Cipher::ChaCha20Poly1305, Mac::ALL[0]);
    assert_eq!(*keys.cipher, [first.as_ref(), second.as_ref()].concat());
    assert!(keys.iv.is_empty() && keys.mac.is_empty());
    let other = derivation.keys(Direction::ToClient, Cipher::Aes128Ctr, Mac::ALL[1]);
    assert_eq!(other.cipher.as_slice(), &digest::digest(&SHA256, b"\0\0\0\x01kHDS").as_ref()[..16]);
    assert_eq!((other.iv.len(), other.mac.len()), (16, 64));
}
