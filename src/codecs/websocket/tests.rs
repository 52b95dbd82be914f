//! The codec, with frames in every fragmentation.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io;

use super::*;

mod differential;
mod layer;

/// The masking key in the examples of RFC 6455 §5.7, four times.
fn rfc_random() -> Option<[u8; 16]> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    [key, key, key, key].concat().try_into().ok()
}

fn client(half_close: HalfClose) -> WebSocket {
    WebSocket::new(Role::Client(rfc_random), half_close)
}

fn server() -> WebSocket {
    WebSocket::new(Role::Server, HalfClose::Both)
}

/// Returns a frame as a server sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            frame.push(126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// Masks a frame of at most 125 bytes with the key of the RFC's examples.
fn masked(frame: &[u8]) -> Vec<u8> {
    let key = rfc_random().unwrap();
    let payload = frame[2..].iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]);
    [frame[0], frame[1] | 0x80].into_iter().chain(key[..4].iter().copied()).chain(payload).collect()
}

/// Everything that a codec does with the bytes that it receives.
#[derive(Debug, PartialEq, Eq)]
struct Received {
    plain: Vec<u8>,
    /// `Ok` at EOF and for a stream that may continue.
    result: Result<bool, String>,
    /// The bytes that the codec has sent.
    sent: Vec<u8>,
}

/// Passes bytes to a codec, in parts that end at the given positions, as `Layered` does.
fn receive(mut codec: WebSocket, bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> Received {
    let (mut plain, mut sent, mut start) = (Vec::new(), Vec::new(), 0);
    for end in ends.into_iter().chain([bytes.len()]) {
        let mut part = &bytes[start..end];
        start = end;
        while !part.is_empty() {
            let result = codec.read_wire(part);
            plain.extend(drain(&mut codec));
            sent.extend(written(&mut codec));
            match result {
                Ok(count) => part = &part[count..],
                Err(error) => return Received { plain, result: Err(error.to_string()), sent },
            }
        }
    }
    let has_ended = codec.has_plain();
    Received { plain, result: Ok(has_ended), sent }
}

/// Takes the plaintext.
fn drain(codec: &mut WebSocket) -> Vec<u8> {
    let (mut plain, mut buffer) = (Vec::new(), [0; 1000]);
    loop {
        match codec.read_plain(&mut buffer) {
            Ok(0) => return plain,
            Ok(count) => plain.extend(&buffer[..count]),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return plain;
            }
        }
    }
}

/// Takes the bytes for the peer.
fn written(codec: &mut WebSocket) -> Vec<u8> {
    let mut sent = Vec::new();
    while !codec.pending_wire().is_empty() {
        let bytes = codec.pending_wire().to_vec();
        codec.wire_written(bytes.len());
        sent.extend(bytes);
    }
    sent
}

/// Passes bytes to a new codec in each fragmentation. The result must always be the same.
fn receive_all_ways(make: impl Fn() -> WebSocket, bytes: &[u8]) -> Received {
    let whole = receive(make(), bytes, []);
    assert_eq!(receive(make(), bytes, 1..bytes.len()), whole, "byte by byte");
    for at in 1..bytes.len() {
        assert_eq!(receive(make(), bytes, [at]), whole, "split at {at}");
    }
    whole
}

fn delivered(plain: &[u8]) -> Received {
    Received { plain: plain.to_vec(), result: Ok(false), sent: Vec::new() }
}

/// RFC 6455 §5.7.
#[test]
fn decodes_the_examples_of_the_rfc() {
    let client = || client(HalfClose::Both);
    let unmasked = b"\x81\x05Hello";
    assert_eq!(receive_all_ways(client, unmasked), delivered(b"Hello"));
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(receive_all_ways(server, masked), delivered(b"Hello"));
    let fragments = b"\x01\x03Hel\x80\x02lo";
    assert_eq!(receive_all_ways(client, fragments), delivered(b"Hello"));
    let ping = b"\x89\x05Hello";
    let answer = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(receive_all_ways(client, ping), Received { sent: answer.to_vec(), ..delivered(b"") });
    let data = vec![b'a'; 256];
    assert_eq!(receive_all_ways(client, &[b"\x82\x7e\x01\x00", &data[..]].concat()), delivered(&data));
    let data = vec![b'a'; 65536];
    let frame = [b"\x82\x7f\0\0\0\0\0\x01\0\0", &data[..]].concat();
    for ends in [vec![], vec![1], vec![9], vec![10], vec![11], vec![40_000]] {
        assert_eq!(receive(client(), &frame, ends), delivered(&data));
    }
}

#[test]
fn encodes_the_examples_of_the_rfc() {
    let mut codec = client(HalfClose::Both);
    assert_eq!(codec.write_plain(b"Hello").unwrap(), 5);
    assert_eq!(codec.pending_wire(), b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    let mut codec = server();
    let data = vec![b'a'; 100_000];
    for (length, header) in [
        (5, &b"\x82\x05"[..]),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\0\0\0\0\0\x01\0\0"),
    ] {
        assert_eq!(codec.write_plain(&data[..length]).unwrap(), length);
        assert_eq!(written(&mut codec), [header, &data[..length]].concat());
    }
    assert_eq!(codec.write_plain(&data).unwrap(), 65536, "a frame has at most 64 KiB");
}

#[test]
fn each_frame_of_a_client_has_a_fresh_random_key() {
    use std::sync::atomic::{AtomicU8, Ordering};
    #[allow(clippy::unnecessary_wraps, reason = "the source of random bytes may fail")]
    fn counting() -> Option<[u8; 16]> {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let first = NEXT.fetch_add(16, Ordering::Relaxed);
        Some(std::array::from_fn(|i| first + u8::try_from(i).unwrap()))
    }
    let mut codec = WebSocket::new(Role::Client(counting), HalfClose::Both);
    let keys = (0..10).map(|_| {
        codec.write_plain(b"\0\0\0\0").unwrap();
        let frame = written(&mut codec);
        assert_eq!(frame[2..6], frame[6..10], "zeroes show the key");
        frame[2..6].to_vec()
    });
    assert_eq!(keys.collect::<Vec<_>>().concat(), (0..40).collect::<Vec<u8>>());

    let mut codec = WebSocket::new(Role::Client(|| None), HalfClose::Both);
    let error = codec.write_plain(b"data").unwrap_err();
    assert_eq!(error.to_string(), "the system provides no random bytes for WebSocket masks");
    assert!(codec.pending_wire().is_empty());
}

/// The malformed frames of a server, with the reason.
fn malformed() -> Vec<(Vec<u8>, Malformed)> {
    let close = |code: u16| frame(0x88, &code.to_be_bytes());
    let mut all = vec![
        (frame(0xc2, b"a"), Malformed::ReservedBit),
        (frame(0xa2, b"a"), Malformed::ReservedBit),
        (frame(0x92, b"a"), Malformed::ReservedBit),
        (b"\x89\x7e\x00\x7e".to_vec(), Malformed::ControlLength),
        (b"\x8a\x7f\0\0\0\0\0\x01\0\0".to_vec(), Malformed::ControlLength),
        (frame(0x08, b""), Malformed::ControlFragment),
        (frame(0x09, b"ping"), Malformed::ControlFragment),
        (frame(0x80, b"a"), Malformed::Continuation),
        (frame(0x00, b"a"), Malformed::Continuation),
        ([frame(0x02, b""), frame(0x82, b"a")].concat(), Malformed::Interrupted),
        ([frame(0x01, b""), frame(0x00, b""), frame(0x01, b"a")].concat(), Malformed::Interrupted),
        (b"\x82\x7e\x00\x7da".to_vec(), Malformed::Length),
        (b"\x82\x7f\0\0\0\0\0\0\xff\xffa".to_vec(), Malformed::Length),
        (b"\x82\x7f\x80\0\0\0\0\0\0\0a".to_vec(), Malformed::Length),
        (masked(&frame(0x82, b"a")), Malformed::Masked),
        (masked(&frame(0x88, b"")), Malformed::Masked),
        (frame(0x88, b"\x03"), Malformed::Close),
    ];
    all.extend(
        [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
            .map(|opcode| (frame(0x80 | opcode, b"a"), Malformed::Opcode(opcode))),
    );
    all.extend(
        [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535].map(|code| (close(code), Malformed::Close)),
    );
    all
}

#[test]
fn data_before_a_malformed_frame_is_delivered_and_nothing_of_it() {
    let closes = b"\x88\x82\x37\xfa\x21\x3d\x34\x10";
    for (bad, cause) in malformed().into_iter().filter(|(_, cause)| *cause != Malformed::Opcode(0)) {
        let bytes = [frame(0x82, b"before"), bad.clone(), frame(0x82, b"after")].concat();
        let expected = Received {
            plain: b"before".to_vec(),
            result: Err(format!("malformed WebSocket frame: {cause}")),
            sent: closes.to_vec(),
        };
        assert_eq!(receive_all_ways(|| client(HalfClose::Both), &bytes), expected, "{bad:x?}");
    }
    let bytes = [masked(&frame(0x82, b"before")), frame(0x82, b"a")].concat();
    let expected = Received {
        plain: b"before".to_vec(),
        result: Err("malformed WebSocket frame: unmasked frame from a client".into()),
        sent: b"\x88\x02\x03\xea".to_vec(),
    };
    assert_eq!(receive_all_ways(server, &bytes), expected);
}

#[test]
fn control_frames_may_come_inside_a_message() {
    let bytes =
        [frame(0x02, b"one,"), frame(0x89, b"?"), frame(0x00, b""), frame(0x8a, b"x"), frame(0x80, b"two")];
    let received = receive_all_ways(|| client(HalfClose::Both), &bytes.concat());
    assert_eq!(received, Received { sent: masked(&frame(0x8a, b"?")), ..delivered(b"one,two") });
}

#[test]
fn payload_is_delivered_before_its_frame_is_complete() {
    let mut codec = client(HalfClose::Both);
    let huge = [&b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"[..], b"start"].concat();
    assert_eq!(codec.read_wire(&huge).unwrap(), huge.len());
    assert_eq!(drain(&mut codec), b"start");
    for _ in 0..100 {
        assert_eq!(codec.read_wire(&vec![b'x'; 65536]).unwrap(), 65536);
        assert_eq!(drain(&mut codec).len(), 65536);
    }
    assert_eq!(codec.truncated().to_string(), "WebSocket connection closed without a Close frame");
}

#[test]
fn each_ping_gets_a_pong_while_the_peer_accepts_bytes() {
    let mut codec = server();
    let pings =
        [masked(&frame(0x89, b"1")), masked(&frame(0x89, b"2")), masked(&frame(0x82, b"data"))].concat();
    let first = codec.read_wire(&pings).unwrap();
    assert_eq!(
        (first, codec.pending_wire()),
        (pings.len() - 7 - 10, &frame(0x8a, b"1")[..]),
        "stops at a Ping"
    );
    assert_eq!(written(&mut codec), frame(0x8a, b"1"));
    let second = codec.read_wire(&pings[first..]).unwrap();
    assert_eq!(written(&mut codec), frame(0x8a, b"2"));
    codec.read_wire(&pings[first + second..]).unwrap();
    assert_eq!(drain(&mut codec), b"data");
}

#[test]
fn a_peer_that_accepts_nothing_gets_a_pong_for_the_latest_ping_only() {
    let mut codec = server();
    codec.write_plain(b"unsent").unwrap();
    let longest = [b'p'; 125];
    for payload in [&b"1"[..], b"2", &longest] {
        let ping = masked(&frame(0x89, payload));
        assert_eq!(codec.read_wire(&ping).unwrap(), ping.len());
    }
    assert_eq!(codec.pending_wire(), frame(0x82, b"unsent"));
    codec.wire_written(3);
    assert_eq!(codec.pending_wire(), b"nsent");
    assert_eq!(written(&mut codec), [b"nsent".to_vec(), frame(0x8a, &longest)].concat());
}

#[test]
fn a_half_close_ends_one_direction_only() {
    let mut codec = server();
    let bytes =
        [masked(&frame(0x82, b"last")), masked(&frame(0x88, b"\x03\xe8bye")), b"junk".to_vec()].concat();
    assert_eq!(codec.read_wire(&bytes).unwrap(), bytes.len());
    assert_eq!(drain(&mut codec), b"last");
    assert_eq!(codec.read_plain(&mut [0; 9]).unwrap(), 0, "EOF");
    assert!(codec.pending_wire().is_empty());
    codec.write_plain(b"more").unwrap();
    assert_eq!(written(&mut codec), frame(0x82, b"more"));
    codec.close();
    codec.close();
    assert_eq!(written(&mut codec), b"\x88\x02\x03\xe8");
    assert_eq!(codec.write_plain(b"late").unwrap_err().kind(), io::ErrorKind::BrokenPipe);

    // Our own half-close comes first, and a Ping after it gets no Pong.
    let mut codec = client(HalfClose::Ours);
    codec.close();
    assert_eq!(written(&mut codec), masked(b"\x88\x02\x03\xe8"));
    codec.read_wire(&[frame(0x89, b""), frame(0x82, b"rest"), frame(0x88, b"")].concat()).unwrap();
    assert_eq!(codec.read_wire(&[frame(0x82, b"rest"), frame(0x88, b"")].concat()).unwrap(), 8);
    assert_eq!(drain(&mut codec), b"rest");
    assert_eq!(codec.read_plain(&mut [0; 9]).unwrap(), 0, "EOF");
    assert!(codec.pending_wire().is_empty());
}

#[test]
fn without_half_close_a_close_ends_both_directions_and_is_answered() {
    for (payload, answer) in [(&b""[..], b"\x88\x02\x03\xe8"), (b"\x03\xe8", b"\x88\x02\x03\xe8")] {
        for mode in [HalfClose::Ours, HalfClose::Neither] {
            let received = receive_all_ways(|| client(mode), &frame(0x88, payload));
            let sent = masked(answer);
            assert_eq!(received, Received { plain: Vec::new(), result: Ok(true), sent });
        }
    }
    assert!(!client(HalfClose::Neither).can_half_close());
    assert!(client(HalfClose::Ours).can_half_close() && client(HalfClose::Both).can_half_close());
}

#[test]
fn a_close_with_another_code_is_an_error_that_shows_its_reason() {
    for (code, reason, shown) in [
        (1001_u16, &b""[..], "1001 (going away)"),
        (1011, b"target\x1b[31m\xff", r"1011 (internal error): target\x1b[31m\xff"),
        (1014, b"", "1014 (bad gateway)"),
        (3000, b"", "3000"),
        (4999, "caf\u{e9}".as_bytes(), "4999: caf\u{e9}"),
    ] {
        let close = frame(0x88, &[&code.to_be_bytes(), reason].concat());
        let bytes = [frame(0x82, b"data"), close, frame(0x82, b"after")].concat();
        let received = receive_all_ways(|| client(HalfClose::Both), &bytes);
        let sent = masked(&frame(0x88, &code.to_be_bytes()));
        let result = Err(format!("WebSocket closed with code {shown}"));
        assert_eq!(received, Received { plain: b"data".to_vec(), result, sent });
    }
}

#[test]
fn a_ping_is_sent_until_the_close() {
    let mut codec = server();
    assert!(codec.ping());
    assert_eq!(written(&mut codec), frame(0x89, b""));
    codec.close();
    assert!(!codec.ping());
    assert_eq!(written(&mut codec), b"\x88\x02\x03\xe8");
}

#[test]
fn only_a_server_can_say_that_its_stream_is_incomplete() {
    let mut codec = server();
    codec.write_plain(b"part").unwrap();
    assert!(codec.abort());
    assert_eq!(written(&mut codec), [frame(0x82, b"part"), b"\x88\x02\x03\xf3".to_vec()].concat());
    codec.close();
    assert!(codec.pending_wire().is_empty(), "one Close");
    // A Close that claims that everything has arrived cannot be taken back.
    let mut codec = server();
    codec.close();
    assert!(!codec.abort());
    assert!(!client(HalfClose::Both).abort());
}
