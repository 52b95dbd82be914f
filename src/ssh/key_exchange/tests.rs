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

/// A vector of <https://c2sp.org/CCTV/ML-KEM> for FIPS 203, `unluckysample/ML-KEM-768.txt`: from
/// the random bytes `d`, `z` and `m` follow the encapsulation key and the ciphertext, of which this
/// test has the first and the last 32 bytes. RFC 8731 has no vectors.
#[test]
fn the_key_and_the_ciphertext_follow_from_the_random_bytes_as_in_fips_203() {
    const D: [u128; 2] =
        [0x82c4_a361_586b_9715_c237_5a45_fb85_c32d, 0x04be_7fe6_e26a_cd82_0ec5_d408_0093_afe1];
    const Z: [u128; 2] =
        [0x8476_0135_6015_1d98_6dc7_834d_cb57_c75f, 0x845f_8d7e_e715_58d0_955f_3f4f_eb72_3cf2];
    const M: [u128; 2] =
        [0xe48f_74ad_416e_9963_1003_ded1_478a_ec62, 0xa02c_245d_88ed_7f2f_ae92_aedf_13ca_03b3];
    const KEY_START: [u128; 2] =
        [0xad56_8015_b876_90eb_be1f_b438_ee8a_22b9, 0xac43_79a1_2422_e340_37c2_3134_1c31_6bc0];
    const KEY_END: [u128; 2] =
        [0x9a79_5daa_dc9c_ce56_db4b_fd02_cf18_93c6, 0x441a_1b78_f1bd_d9b1_3626_b9f2_1b7c_6161];
    const CIPHERTEXT_START: [u128; 2] =
        [0x696e_f169_9d5a_c2aa_9a01_2a64_c60c_6c21, 0x4dce_dec7_5ff8_7fb3_a585_0044_202a_790b];
    const CIPHERTEXT_END: [u128; 2] =
        [0x09c7_640a_cea9_8265_5b32_94ee_0371_019b, 0x1345_59be_391c_29d9_90f8_2f8a_1dd4_a715];
    fn recorded() -> Option<[u8; 16]> {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let next = usize::from(NEXT.fetch_add(1, Ordering::Relaxed));
        [D, Z, M].concat().get(next).map(|bytes| bytes.to_be_bytes())
    }
    let bytes = |half: [u128; 2]| half.map(u128::to_be_bytes).concat();
    let client = ClientShare::new(Method::MlKem768X25519, recorded).unwrap();
    let key = &client.public()[..1184];
    assert_eq!([&key[..32], &key[1152..]], [&*bytes(KEY_START), &*bytes(KEY_END)]);
    let (answer, server) = respond(Method::MlKem768X25519, client.public(), recorded).unwrap();
    let ciphertext = &answer[..1088];
    let expected = [&*bytes(CIPHERTEXT_START), &*bytes(CIPHERTEXT_END)];
    assert_eq!([&ciphertext[..32], &ciphertext[1056..]], expected);
    assert_eq!(client.agree(&answer).unwrap().0, server.0);
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
