//! SSH packets: those of a server before encryption, and encrypted ones that were changed.
//!
//! The first byte selects the cipher, the second the fragmentation, and the next two a bit to
//! change. The rest is what the server sends, and the content of the encrypted packets.
#![no_main]

use connect::ssh::algorithms::{Offer, Role};
use connect::ssh::cipher::{Cipher, Keys, Mac, Opened, Opener, Sealer};
use connect::ssh::error::Error;
use connect::ssh::transport::{Event, Limits, Transport};
use connect_fuzz::ssh::transport;
use libfuzzer_sys::fuzz_target;

/// Receives bytes in pieces of this size. Returns the events, the error, and the number of bytes
/// that were sent.
fn receive(bytes: &[u8], piece: usize) -> (Vec<Event>, Option<Error>, usize) {
    let mut client: Transport = transport(Role::Client, Offer::default(), Limits::default());
    let mut events = Vec::new();
    for part in bytes.chunks(piece) {
        client.receive(part);
        loop {
            match client.next_event() {
                Ok(Some(event)) => {
                    assert_ne!(event, Event::HostKey, "no signature can be guessed");
                    events.push(event);
                }
                Ok(None) => break,
                Err(error) => return (events, Some(error), client.output().len()),
            }
        }
    }
    (events, None, client.output().len())
}

/// Opens packets that arrive in pieces of this size. Returns the payloads, and the error.
fn open(mut opener: Opener, wire: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<Error>) {
    let (mut input, mut payloads) = (Vec::new(), Vec::new());
    for part in wire.chunks(piece) {
        input.extend_from_slice(part);
        loop {
            match opener.open(&mut input) {
                Ok(Opened::Incomplete) => break,
                Ok(Opened::Packet { payload, length, .. }) => {
                    assert!(!payload.is_empty() && payload.end <= length && length <= input.len());
                    payloads.push(input[payload].to_vec());
                    input.drain(..length);
                }
                Err(error) => return (payloads, Some(error)),
            }
        }
    }
    (payloads, None)
}

fn keys(cipher: Cipher, mac: Mac) -> Keys {
    let bytes = |length| vec![7; length].into();
    let mac = if cipher.is_aead() { 0 } else { mac.key_length() };
    Keys { iv: bytes(cipher.iv_length()), cipher: bytes(cipher.key_length()), mac: bytes(mac) }
}

fuzz_target!(|input: &[u8]| {
    let [selection, fragmentation, bit_high, bit_low, bytes @ ..] = input else { return };
    let piece = 1 + usize::from(*fragmentation);

    // Everything depends on the bytes alone, and not on the pieces in which they arrive.
    let whole = receive(bytes, bytes.len().max(1));
    assert_eq!(receive(bytes, piece), whole);
    assert!(whole.2 <= 2 * bytes.len() + 8 * 1024, "an answer of {} bytes", whole.2);

    // Packets arrive as they were sent.
    let cipher = Cipher::ALL[usize::from(*selection) % Cipher::ALL.len()];
    let mac = Mac::ALL[usize::from(*selection >> 4) % Mac::ALL.len()];
    let (mut sealer, mut wire) = (Sealer::default(), Vec::new());
    sealer.rekey(cipher, mac, &keys(cipher, mac)).expect("the keys fit");
    let payloads: Vec<_> = bytes.chunks(1 + piece / 2).map(<[u8]>::to_vec).collect();
    for payload in &payloads {
        sealer.seal(&[payload], &mut wire, || Some([5; 16])).expect("random bytes");
    }
    let opener = || {
        let mut opener = Opener::default();
        opener.rekey(cipher, mac, &keys(cipher, mac)).expect("the keys fit");
        opener
    };
    assert_eq!(open(opener(), &wire, piece), (payloads.clone(), None));

    // None arrives after a bit was changed.
    if !wire.is_empty() {
        let bit = usize::from(u16::from_be_bytes([*bit_high, *bit_low])) % (wire.len() * 8);
        wire[bit / 8] ^= 1 << (bit % 8);
        let (received, error) = open(opener(), &wire, piece);
        assert!(payloads.starts_with(&received) && received.len() < payloads.len());
        let is_expected = matches!(error, None | Some(Error::Corrupt | Error::PacketLength));
        assert!(is_expected, "{error:?}");
    }
    assert_eq!(open(opener(), bytes, piece).0, [[0; 0]; 0], "packets that nobody has sealed");
});
