//! Encrypted connections: handshakes, and messages that were changed.
//!
//! The first byte selects the end, the second the fragmentation, and the third and fourth a bit to
//! change.
#![no_main]

use connect::codecs::noise::{Handshake, Noise};
use connect::secret::SharedKey;
use connect::stream::Codec;
use connect_fuzz::MEMORY;
use libfuzzer_sys::fuzz_target;

/// Maximum memory of a codec: the buffers of both directions, and the plaintext.
const MAX_MEMORY: usize = 3 * 65 * 1024 + 4096;

fuzz_target!(|input: &[u8]| {
    let [setup, fragmentation, bit_high, bit_low, bytes @ ..] = input else { return };
    let size = 1 + usize::from(*fragmentation);
    let bit = usize::from(u16::from_be_bytes([*bit_high, *bit_low]));
    let key = SharedKey::new([7; 32]);

    // Bytes that were made without the key complete no handshake.
    let make = || match setup & 1 {
        0 => Handshake::initiator(&key, "lab1").expect("random bytes"),
        _ => Handshake::responder(&key, "lab1").expect("random bytes"),
    };
    let whole = refused(make(), bytes, usize::MAX);
    assert_eq!(refused(make(), bytes, size), whole);
    let _ = SharedKey::parse(bytes);

    // Data passes, and a changed bit is noticed before any of its message is delivered.
    let [mut dest, mut origin] = established(&key);
    let mut wire = Vec::new();
    for part in bytes.chunks(1 + size * 16) {
        assert_eq!(dest.write_plain(part).ok(), Some(part.len()));
        wire.extend(dest.pending_wire());
        dest.wire_written(dest.pending_wire().len());
    }
    if setup & 2 == 0 {
        assert_eq!(decrypt(&mut origin, &wire, size), (bytes.to_vec(), true));
    } else if !wire.is_empty() {
        let index = bit / 8 % wire.len();
        wire[index] ^= 1 << (bit % 8);
        let (plain, _) = decrypt(&mut origin, &wire, size);
        assert!(plain.len() < bytes.len() && bytes.starts_with(&plain));
    }

    // Anything else is refused.
    let [mut dest, _] = established(&key);
    assert_eq!(decrypt(&mut dest, bytes, size).0, b"");
});

/// Passes bytes that were made without the key. Returns the error, if there is one.
fn refused(mut handshake: Handshake, bytes: &[u8], size: usize) -> Option<String> {
    for mut part in bytes.chunks(size) {
        match handshake.receive(&mut part) {
            Ok(is_finished) => assert!(!is_finished, "a handshake without the key"),
            Err(error) => return Some(error.to_string()),
        }
    }
    None
}

fn established(key: &SharedKey) -> [Noise; 2] {
    let mut dest = Handshake::initiator(key, "lab1").expect("random bytes");
    let mut origin = Handshake::responder(key, "lab1").expect("random bytes");
    assert_eq!(origin.receive(&mut dest.pending_wire()), Ok(true));
    dest.wire_written(50);
    assert_eq!(dest.receive(&mut origin.pending_wire()), Ok(true));
    origin.wire_written(50);
    [dest, origin].map(|end| Noise::new(end).expect("memory").expect("a finished handshake"))
}

/// Passes bytes to the codec, as a layer does. Returns the plaintext, and whether there was no
/// error.
fn decrypt(noise: &mut Noise, bytes: &[u8], size: usize) -> (Vec<u8>, bool) {
    let (mut plain, mut buffer) = (Vec::new(), [0; 512]);
    for fragment in bytes.chunks(size) {
        let mut rest = fragment;
        while !rest.is_empty() {
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            let Ok(count) = noise.read_wire(rest) else {
                assert!(!noise.has_plain());
                return (plain, false);
            };
            rest = &rest[count..];
            assert!(MEMORY.peak_usage() - before <= MAX_MEMORY);
            while noise.has_plain() {
                let count = noise.read_plain(&mut buffer).unwrap_or_default();
                plain.extend(&buffer[..count]);
            }
        }
    }
    (plain, true)
}
