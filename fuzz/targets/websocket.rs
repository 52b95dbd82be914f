//! WebSocket frames, for a client and for a server.
//!
//! The first byte selects the side and its half-close mode, and the second the fragmentation.
#![no_main]

use connect::codecs::websocket::{Role, WebSocket};
use connect::proto::websocket::HalfClose;
use connect::stream::Codec;
use connect_fuzz::MEMORY;
use libfuzzer_sys::fuzz_target;

/// Maximum memory of a codec: the buffers of both directions, and a Ping.
const MAX_MEMORY: usize = 2 * 65 * 1024 + 4096;

fuzz_target!(|input: &[u8]| {
    let [setup, fragmentation, bytes @ ..] = input else { return };
    let is_server = setup & 1 != 0;
    let half_close = [HalfClose::Both, HalfClose::Ours, HalfClose::Neither][usize::from(setup >> 1) % 3];
    let make = || {
        let role = if is_server { Role::Server } else { Role::Client(|| Some([0x5a; 16])) };
        WebSocket::new(role, half_close)
    };
    let whole = receive(make(), bytes, usize::MAX);
    for size in [1, 1 + usize::from(*fragmentation)] {
        assert_eq!(receive(make(), bytes, size), whole, "in fragments of {size} bytes");
    }
    let (plain, ends, is_malformed) = reference(bytes, is_server);
    assert_eq!(whole.plain, plain);
    assert_eq!(whole.has_ended || whole.error.as_deref().is_some_and(|it| it.contains("closed")), ends);
    assert_eq!(whole.error.is_some_and(|it| it.contains("malformed")), is_malformed);

    // The other side reads what this one writes.
    let mut sent = Vec::new();
    let mut codec = make();
    for part in bytes.chunks(1 + usize::from(*fragmentation)) {
        assert_eq!(codec.write_plain(part).ok(), Some(part.len()));
        sent.extend(written(&mut codec));
    }
    assert_eq!(reference(&sent, !is_server), (bytes.to_vec(), false, false));
});

/// Everything that a codec does with the bytes that it receives.
#[derive(Debug, PartialEq)]
struct Received {
    plain: Vec<u8>,
    has_ended: bool,
    error: Option<String>,
    sent: Vec<u8>,
}

/// Passes bytes to a codec in fragments of this size, as a layer does.
fn receive(mut codec: WebSocket, bytes: &[u8], size: usize) -> Received {
    let mut received = Received { plain: Vec::new(), has_ended: false, error: None, sent: Vec::new() };
    for fragment in bytes.chunks(size) {
        let mut rest = fragment;
        while !rest.is_empty() && received.error.is_none() {
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            match codec.read_wire(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) => received.error = Some(error.to_string()),
            }
            assert!(MEMORY.peak_usage() - before <= MAX_MEMORY);
            received.take_plain(&mut codec);
            received.sent.extend(written(&mut codec));
        }
    }
    received
}

impl Received {
    fn take_plain(&mut self, codec: &mut WebSocket) {
        let mut buffer = [0; 512];
        while codec.has_plain() && !self.has_ended {
            let count = codec.read_plain(&mut buffer).unwrap_or_default();
            self.has_ended = count == 0;
            self.plain.extend(&buffer[..count]);
        }
    }
}

/// Takes the bytes for the peer.
fn written(codec: &mut WebSocket) -> Vec<u8> {
    let mut sent = Vec::new();
    while !codec.pending_wire().is_empty() {
        sent.extend(codec.pending_wire());
        codec.wire_written(codec.pending_wire().len());
    }
    sent
}

/// Parses frames in one piece, independently of the codec. Returns the payload, and whether the
/// stream ends with a Close, or with a malformed frame.
fn reference(mut bytes: &[u8], is_from_client: bool) -> (Vec<u8>, bool, bool) {
    let (mut plain, mut is_in_message) = (Vec::new(), false);
    let malformed = |plain| (plain, false, true);
    loop {
        let [first, ..] = bytes else { return (plain, false, false) };
        let (is_final, opcode) = (first & 0x80 != 0, first & 0xf);
        let is_valid = match opcode {
            0 => is_in_message,
            1 | 2 => !is_in_message,
            8..=10 => is_final,
            _ => false,
        };
        if first & 0x70 != 0 || !is_valid {
            return malformed(plain);
        }
        let [_, second, rest @ ..] = bytes else { return (plain, false, false) };
        if (second & 0x80 != 0) != is_from_client || (opcode >= 8 && second & 0x7f > 125) {
            return malformed(plain);
        }
        let (length, rest) = match (second & 0x7f, rest) {
            (126, [a, b, rest @ ..]) => match u64::from(u16::from_be_bytes([*a, *b])) {
                ..126 => return malformed(plain),
                length => (length, rest),
            },
            (127, rest) if rest.len() >= 8 => {
                let (length, rest) = rest.split_at(8);
                match length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)) {
                    ..0x1_0000 | 0x8000_0000_0000_0000.. => return malformed(plain),
                    length => (length, rest),
                }
            }
            (126 | 127, _) => return (plain, false, false),
            (short, rest) => (u64::from(short), rest),
        };
        let key_length = if is_from_client { 4 } else { 0 };
        let Some((key, rest)) = rest.split_at_checked(key_length) else { return (plain, false, false) };
        let available = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
        let unmask = |(index, byte): (usize, &u8)| byte ^ key.get(index % 4).unwrap_or(&0);
        let payload: Vec<u8> = rest[..available].iter().enumerate().map(unmask).collect();
        let is_complete = available as u64 == length;
        match (opcode, payload.as_slice()) {
            (0..=2, _) => {
                plain.extend(payload);
                is_in_message = !is_final;
            }
            (_, _) if !is_complete => return (plain, false, false),
            (8, []) => return (plain, true, false),
            (8, [high, low, ..]) => {
                let code = u16::from_be_bytes([*high, *low]);
                let is_sendable = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
                return (plain, is_sendable, !is_sendable);
            }
            (8, [_]) => return malformed(plain),
            _ => {}
        }
        bytes = &rest[available..];
    }
}
