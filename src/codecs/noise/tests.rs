//! The published vectors, handshakes, and messages in every fragmentation.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use snow::Builder;
use snow::resolvers::{BoxedCryptoResolver, CryptoResolver};
use snow::types::{Cipher, Dh, Hash, Random};

use super::crypto::Primitives;
use super::*;
use crate::secret::SharedKey;
use x25519::FixedDh;

mod x25519;

/// The primitives of the program with a Diffie-Hellman function that accepts a given private key.
struct WithFixedDh;

impl CryptoResolver for WithFixedDh {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Primitives.resolve_rng()
    }

    fn resolve_dh(&self, _: &snow::params::DHChoice) -> Option<Box<dyn Dh>> {
        Some(Box::new(FixedDh::default()))
    }

    fn resolve_hash(&self, choice: &snow::params::HashChoice) -> Option<Box<dyn Hash>> {
        Primitives.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &snow::params::CipherChoice) -> Option<Box<dyn Cipher>> {
        Primitives.resolve_cipher(choice)
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|index| u8::from_str_radix(&text[index..index + 2], 16).unwrap()).collect()
}

/// `Noise_NNpsk0_25519_AESGCM_SHA256` in the vectors of Cacophony.
const VECTOR_PROLOGUE: &str = "4a6f686e2047616c74";
const VECTOR_KEY: &str = "54686973206973206d7920417573747269616e20706572737065637469766521";
const VECTOR_EPHEMERALS: [&str; 2] = [
    "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
    "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
];
const VECTOR_HASH: &str = "9f3b1f9afd7767767b5b9d1069844a6154fdbdcc36dfb3e31c0fffc5c973d530";
const VECTOR_MESSAGES: [(&str, &str); 6] = [
    (
        "4c756477696720766f6e204d69736573",
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79447c37a89fc17813788d30df2d59501d60\
         66f5f8aecc3406bbd9829f2d24a531b1",
    ),
    (
        "4d757272617920526f746862617264",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088432f29d79368ef9de4e1ae7a362fb05bf0\
         ad668e026bf5714554497b3a720461",
    ),
    ("462e20412e20486179656b", "7c01e898a6201f36aecee532e29cd0b7f8ffa29d3366ad0dce39a6"),
    ("4361726c204d656e676572", "a9ff535aace3db6a1da1a7fb00fe2de2622bb373abad9fb42c00e0"),
    (
        "4a65616e2d426170746973746520536179",
        "6cfc49a3e65472edc2d0152abe5ce950170a8a47c959f30bd48b5f0aacf29adbfd",
    ),
    (
        "457567656e2042f6686d20766f6e2042617765726b",
        "9bc86e6d974ed21ba04604a94aa68de21677eb409ead070c0cd569b069ee19ba142aa4c1a9",
    ),
];

#[test]
fn the_published_vectors() {
    let (prologue, key) = (hex(VECTOR_PROLOGUE), hex(VECTOR_KEY).try_into().unwrap());
    let ephemerals = VECTOR_EPHEMERALS.map(hex);
    let builder = |index: usize| {
        let protocol = "Noise_NNpsk0_25519_AESGCM_SHA256".parse().unwrap();
        let builder = Builder::with_resolver(protocol, Box::new(WithFixedDh)).psk(0, &key).unwrap();
        builder.prologue(&prologue).unwrap().fixed_ephemeral_key_for_testing_only(&ephemerals[index])
    };
    let mut ends = [builder(0).build_initiator().unwrap(), builder(1).build_responder().unwrap()];
    let mut buffer = [0; 1024];
    for (index, (payload, encrypted)) in VECTOR_MESSAGES[..2].iter().enumerate() {
        let count = ends[index].write_message(&hex(payload), &mut buffer).unwrap();
        assert_eq!(buffer[..count], hex(encrypted));
        let count = ends[1 - index].read_message(&hex(encrypted), &mut buffer).unwrap();
        assert_eq!(buffer[..count], hex(payload));
    }
    assert_eq!(ends[0].get_handshake_hash(), hex(VECTOR_HASH));
    let mut ends = ends.map(|end| end.into_transport_mode().unwrap());
    for (index, (payload, encrypted)) in VECTOR_MESSAGES[2..].iter().enumerate() {
        let sender = index % 2;
        let count = ends[sender].write_message(&hex(payload), &mut buffer).unwrap();
        assert_eq!(buffer[..count], hex(encrypted));
        let count = ends[1 - sender].read_message(&hex(encrypted), &mut buffer).unwrap();
        assert_eq!(buffer[..count], hex(payload));
    }
}

fn key() -> SharedKey {
    SharedKey::new([7; 32])
}

/// Takes the bytes that a handshake has to send.
fn sent(handshake: &mut Handshake) -> Vec<u8> {
    let bytes = handshake.pending_wire().to_vec();
    handshake.wire_written(bytes.len());
    bytes
}

/// Joins both ends in fragments of this size.
fn shake(mut dest: Handshake, mut origin: Handshake, size: usize) -> Result<[Noise; 2], HandshakeError> {
    let first = sent(&mut dest);
    assert_eq!((first.len(), &first[..2]), (50, &[0, 48][..]));
    for mut part in first.chunks(size) {
        origin.receive(&mut part)?;
    }
    let second = sent(&mut origin);
    for mut part in second.chunks(size) {
        dest.receive(&mut part)?;
    }
    Ok([dest, origin].map(|end| Noise::new(end).unwrap().unwrap()))
}

fn established() -> [Noise; 2] {
    let dest = Handshake::initiator(&key(), "lab1").unwrap();
    shake(dest, Handshake::responder(&key(), "lab1").unwrap(), 50).unwrap()
}

fn encrypt(noise: &mut Noise, mut plain: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    while !plain.is_empty() {
        let count = noise.write_plain(plain).unwrap();
        plain = &plain[count..];
        wire.extend_from_slice(noise.pending_wire());
        noise.wire_written(noise.pending_wire().len());
    }
    wire
}

/// Passes bytes to the codec in fragments of this size, as a layer does.
fn decrypt(noise: &mut Noise, bytes: &[u8], size: usize) -> (Vec<u8>, bool) {
    let (mut plain, mut buffer) = (Vec::new(), [0; 999]);
    for fragment in bytes.chunks(size) {
        let mut rest = fragment;
        while !rest.is_empty() {
            let Ok(count) = noise.read_wire(rest) else {
                assert!(!noise.has_plain(), "plaintext of a message that does not decrypt");
                return (plain, false);
            };
            rest = &rest[count..];
            while noise.has_plain() {
                let count = noise.read_plain(&mut buffer).unwrap();
                plain.extend_from_slice(&buffer[..count]);
            }
        }
    }
    (plain, true)
}

#[test]
fn data_passes_in_both_directions_in_every_fragmentation() {
    let plain: Vec<u8> = (0..300_u32).flat_map(u32::to_le_bytes).collect();
    for size in [1, 2, 3, 17, 49, 50, 51, 1000, usize::MAX] {
        let dest = Handshake::initiator(&key(), "lab1").unwrap();
        let mut ends = shake(dest, Handshake::responder(&key(), "lab1").unwrap(), size).unwrap();
        for (sender, receiver) in [(0, 1), (1, 0), (0, 1)] {
            let wire: Vec<u8> = plain.chunks(500).flat_map(|part| encrypt(&mut ends[sender], part)).collect();
            assert_eq!(wire.len(), plain.len() + 3 * 18);
            assert!(!wire.windows(16).any(|window| plain.windows(16).any(|part| part == window)));
            assert_eq!(decrypt(&mut ends[receiver], &wire, size), (plain.clone(), true));
        }
    }
}

#[test]
fn messages_have_at_most_65535_bytes_and_an_idle_end_owns_no_memory() {
    let [mut dest, mut origin] = established();
    let plain = vec![0x5a; 3 * MAX_PLAIN];
    let wire = encrypt(&mut dest, &plain);
    assert_eq!(wire.len(), 3 * (2 + 65_535));
    for size in [10_000, usize::MAX] {
        let [mut dest, mut origin] = established();
        let wire = encrypt(&mut dest, &plain);
        assert_eq!(decrypt(&mut origin, &wire, size), (plain.clone(), true));
    }
    assert_eq!(decrypt(&mut origin, &wire, 4096), (plain, true));
    assert!([&origin.received, &origin.plain, &dest.wire].iter().all(|chunk| chunk.is_empty()));
    assert!(size_of::<Noise>() <= 1024, "{}", size_of::<Noise>());
}

#[test]
fn ring_agrees_with_an_independent_x25519() {
    for _ in 0..10 {
        let with_fixed = |is_initiator| {
            let primitives: BoxedCryptoResolver = Box::new(WithFixedDh);
            Handshake::for_test(primitives, &key(), "lab1", is_initiator)
        };
        let dest = Handshake::initiator(&key(), "lab1").unwrap();
        assert!(shake(dest, with_fixed(false), 7).is_ok());
        assert!(shake(with_fixed(true), Handshake::responder(&key(), "lab1").unwrap(), 7).is_ok());
    }
}

#[test]
fn another_key_or_session_is_refused_by_the_origin() {
    for (other, session) in [(SharedKey::new([8; 32]), "lab1"), (key(), "lab2")] {
        let dest = Handshake::initiator(&other, session).unwrap();
        let mut origin = Handshake::responder(&key(), "lab1").unwrap();
        let result = shake(dest, Handshake::responder(&key(), "lab1").unwrap(), 50);
        assert_eq!(result.err(), Some(HandshakeError::Key));
        let mut dest = Handshake::initiator(&other, session).unwrap();
        assert_eq!(origin.receive(&mut &sent(&mut dest)[..]), Err(HandshakeError::Key));
        assert_eq!(origin.pending_wire(), b"");
        assert!(Noise::new(origin).unwrap().is_none());
    }
}

#[test]
fn the_dest_refuses_the_answer_to_another_handshake() {
    let mut first = Handshake::initiator(&key(), "lab1").unwrap();
    let mut second = Handshake::initiator(&key(), "lab1").unwrap();
    let mut origin = Handshake::responder(&key(), "lab1").unwrap();
    assert_eq!(origin.receive(&mut &sent(&mut first)[..]), Ok(true));
    let answer = sent(&mut origin);
    assert_eq!(second.receive(&mut &answer[..]), Err(HandshakeError::Key));
    assert_eq!(first.receive(&mut &answer[..]), Ok(true));
}

#[test]
fn a_handshake_without_key_is_distinguished() {
    let hello = b"\x01\0\0\0\0\0\0\x28CNCT";
    for size in [1, 2, 12] {
        let mut origin = Handshake::responder(&key(), "lab1").unwrap();
        let mut results = hello.chunks(size).map(|mut part| origin.receive(&mut part));
        assert_eq!(results.find(Result::is_err), Some(Err(HandshakeError::NoKey)));
    }
    for bytes in [&b"GET "[..], b"\0\x31", b"\0\x2f", b"\x02"] {
        let mut origin = Handshake::responder(&key(), "lab1").unwrap();
        assert_eq!(origin.receive(&mut &bytes[..]), Err(HandshakeError::Malformed));
    }
}

#[test]
fn bytes_after_the_handshake_are_left() {
    let mut dest = Handshake::initiator(&key(), "lab1").unwrap();
    let mut origin = Handshake::responder(&key(), "lab1").unwrap();
    let first = [sent(&mut dest), b"next".to_vec()].concat();
    let mut input = &first[..];
    assert_eq!((origin.receive(&mut input), input), (Ok(true), &b"next"[..]));
    // The answer may still be pending when data follows it.
    let mut origin = Noise::new(origin).unwrap().unwrap();
    let answer = origin.pending_wire().to_vec();
    origin.wire_written(answer.len());
    assert_eq!(dest.receive(&mut &answer[..]), Ok(true));
    let mut dest = Noise::new(dest).unwrap().unwrap();
    let wire = encrypt(&mut origin, b"data");
    assert_eq!(decrypt(&mut dest, &wire, 3), (b"data".to_vec(), true));
}

#[test]
fn no_bit_of_a_handshake_can_be_changed() {
    let mut dest = Handshake::initiator(&key(), "lab1").unwrap();
    let message = sent(&mut dest);
    for bit in 0..8 * message.len() {
        let mut changed = message.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let mut origin = Handshake::responder(&key(), "lab1").unwrap();
        assert!(origin.receive(&mut &changed[..]).is_err(), "bit {bit}");
    }
}

/// Each bit of the message, its tag and its length.
#[test]
fn no_bit_of_a_message_can_be_changed() {
    let plain = b"exactly these bytes";
    for bit in 0..8 * (2 + plain.len() + TAG) {
        let [mut dest, mut origin] = established();
        let mut wire = encrypt(&mut dest, plain);
        wire[bit / 8] ^= 1 << (bit % 8);
        // A longer length takes bytes of the next message.
        wire.extend(encrypt(&mut dest, &vec![0; 65_000]));
        assert_eq!(decrypt(&mut origin, &wire, 1000), (vec![], false), "bit {bit}");
    }
}

#[test]
fn repeated_and_reordered_messages_are_refused() {
    let [mut dest, mut origin] = established();
    let (first, second) = (encrypt(&mut dest, b"first"), encrypt(&mut dest, b"second"));
    assert_eq!(decrypt(&mut origin, &second, 9), (vec![], false));
    let [mut dest, mut origin] = established();
    let first_again = encrypt(&mut dest, b"first");
    assert_ne!(first, first_again);
    assert_eq!(decrypt(&mut origin, &first_again, 9), (b"first".to_vec(), true));
    assert_eq!(decrypt(&mut origin, &first_again, 9), (vec![], false));
}

#[test]
fn keys_are_base64_of_32_bytes_and_not_shown() {
    let text = b"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let dest = Handshake::initiator(&SharedKey::parse(text).unwrap(), "lab1").unwrap();
    assert!(shake(dest, Handshake::responder(&key(), "lab1").unwrap(), 50).is_ok());
    for invalid in [&b""[..], b"password", b"BwcH", &text[..43], &[&text[..], b"\n"].concat()] {
        assert!(SharedKey::parse(invalid).is_none());
    }
    assert_eq!(format!("{:?}", key()), "SharedKey(****)");
}
