//! The encoding of frames, in every fragmentation.

use super::*;
use crate::proto::link::frame::reset_payload;

/// Everything that a decoder returns, with adjacent pieces of DATA joined.
#[derive(Debug, PartialEq)]
struct Decoded {
    frames: Vec<String>,
    data: Vec<(u32, Vec<u8>)>,
    received: u64,
    error: Option<Malformed>,
}

fn decode(decoder: &mut Decoder, bytes: &[u8], size: usize) -> Decoded {
    let mut result = Decoded { frames: Vec::new(), data: Vec::new(), received: 0, error: None };
    'all: for mut input in bytes.chunks(size) {
        loop {
            match decoder.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Frame::Data(stream, part))) => match result.data.last_mut() {
                    Some((last, data)) if *last == stream.0 => data.extend_from_slice(part),
                    _ => result.data.push((stream.0, part.to_vec())),
                },
                Ok(Some(frame)) => result.frames.push(format!("{frame:?}")),
                Err(error) => {
                    result.error = Some(error);
                    break 'all;
                }
            }
        }
        assert!(input.is_empty());
    }
    result.received = decoder.received();
    result
}

/// Decodes bytes in fragments of every size up to 60 bytes, which must not matter.
fn decode_fragments(bytes: &[u8]) -> Decoded {
    let whole = decode(&mut Decoder::default(), bytes, usize::MAX);
    for size in 1..=60 {
        assert_eq!(decode(&mut Decoder::default(), bytes, size), whole, "in fragments of {size} bytes");
    }
    whole
}

/// One frame of each type.
fn all_frames() -> Vec<Vec<u8>> {
    let reset = reset_payload(&Reset { code: ResetCode::Unreachable, text: "no route".into() });
    vec![
        HELLO.encode(),
        frame(Kind::Open, 1, &open_payload(65_536, "localhost:22")),
        frame(Kind::Data, 1, b"some data"),
        frame(Kind::Data, 1, b""),
        frame(Kind::Window, 1, &70_000_u64.to_be_bytes()),
        frame(Kind::Ack, 0, &71_000_u64.to_be_bytes()),
        frame(Kind::Ping, 0, b"12345678"),
        frame(Kind::Pong, 0, b"87654321"),
        [&[200, 0, 0, 9, 0, 0, 0, 3][..], b"any"].concat(),
        frame(Kind::Eof, 1, &[]),
        frame(Kind::Reset, 3, &reset),
        frame(Kind::GoAway, 0, &reset),
        frame(Kind::Reset, 0, &reset),
    ]
}

#[test]
fn all_frames_are_decoded_in_every_fragmentation() {
    let decoded = decode_fragments(&all_frames().concat());
    assert_eq!(decoded.error, None);
    assert_eq!(decoded.data, [(1, b"some data".to_vec())]);
    let reset = "Reset { code: Unreachable, text: \"no route\" }";
    let expected = [
        format!("Hello({HELLO:?})"),
        "Open { stream: StreamId(1), window: 65536, target: \"localhost:22\" }".into(),
        "DataStart { stream: StreamId(1), length: 9 }".into(),
        "DataStart { stream: StreamId(1), length: 0 }".into(),
        "Window(StreamId(1), 70000)".into(),
        "Ack(71000)".into(),
        format!("Ping({:?})", b"12345678"),
        format!("Pong({:?})", b"87654321"),
        "Eof(StreamId(1))".into(),
        format!("Reset(StreamId(3), {reset})"),
        format!("GoAway({reset})"),
        format!("ResetLink({reset})"),
    ];
    assert_eq!(decoded.frames, expected);
    // Counted: OPEN 26, DATA 17 and 8, WINDOW 16, EOF 8, RESET and GOAWAY 18 each.
    assert_eq!(decoded.received, 26 + 17 + 8 + 16 + 8 + 3 * 18);
}

#[test]
fn the_bytes_of_the_contract() {
    let hello = Hello { resumes: true, id: ID, epoch: 2, received: 3, window: 0x0010_0000 };
    let id = "5a".repeat(16);
    let expected = format!("0100000000000028434e435401010000{id}00000002000000000000000300100000");
    let bytes = (0..96).step_by(2).map(|index| u8::from_str_radix(&expected[index..index + 2], 16).unwrap());
    assert_eq!(hello.encode(), bytes.collect::<Vec<u8>>());
    assert_eq!(frame(Kind::Data, 0x01_0203, b"x"), [3, 1, 2, 3, 0, 0, 0, 1, b'x']);
    assert_eq!(open_payload(65_536, "a:1"), *b"\0\x01\0\0\0\x03a:1");
}

#[test]
fn an_incomplete_frame_is_not_returned() {
    for frame in all_frames().split_off(1).iter().filter(|frame| frame.len() > 8) {
        for length in 0..frame.len() {
            let bytes = [&HELLO.encode()[..], &frame[..length]].concat();
            let decoded = decode_fragments(&bytes);
            assert_eq!((decoded.error, decoded.received), (None, 0));
            let is_data = frame[0] == Kind::Data as u8 && length >= 8;
            assert_eq!(decoded.frames.len(), 1 + usize::from(is_data), "{length} bytes of {frame:?}");
        }
    }
}

#[test]
fn malformed_frames_are_errors_in_every_fragmentation() {
    let hello = HELLO.encode();
    let changed = |index: usize, byte: u8| {
        let mut hello = hello.clone();
        hello[index] = byte;
        hello
    };
    let first = [
        (frame(Kind::Data, 1, b"x"), Malformed::NoHello),
        (frame(Kind::Ping, 0, &[0; 8]), Malformed::NoHello),
        (vec![200, 0, 0, 0, 0, 0, 0, 0], Malformed::NoHello),
        (b"GET / HTTP/1.1\r\n".to_vec(), Malformed::Type(b'G')),
        (b"\0\x30NOISE00".to_vec(), Malformed::Type(0)),
        (changed(7, 39), Malformed::Length),
        (changed(3, 1), Malformed::Stream),
        (changed(8, b'c'), Malformed::Payload),
        (changed(12, 2), Malformed::Version(2)),
        (changed(13, 2), Malformed::Payload),
        (changed(14, 1), Malformed::Payload),
        (changed(15, 1), Malformed::Payload),
    ];
    for (bytes, error) in first {
        assert_eq!(decode_fragments(&bytes).error, Some(error), "{bytes:?}");
    }
    let later = [
        (hello.clone(), Malformed::SecondHello),
        (vec![0, 0, 0, 0, 0, 0, 0, 0], Malformed::Type(0)),
        (vec![11, 0, 0, 0, 0, 0, 0, 0], Malformed::Type(11)),
        (vec![127, 0, 0, 0, 0, 0, 0, 0], Malformed::Type(127)),
        (vec![3, 0, 0, 1, 0, 1, 0, 1], Malformed::Length),
        (vec![200, 0, 0, 1, 0, 1, 0, 1], Malformed::Length),
        (vec![200, 0, 0, 1, 255, 255, 255, 255], Malformed::Length),
        (frame(Kind::Open, 1, &[0; 5]), Malformed::Length),
        (frame(Kind::Open, 1, &open_payload(0, &"x".repeat(513))), Malformed::Length),
        (frame(Kind::Open, 1, b"\0\0\0\0\0\x02a"), Malformed::Payload),
        (frame(Kind::Open, 1, b"\0\0\0\0\0\0a"), Malformed::Payload),
        (frame(Kind::Open, 1, b"\0\0\0\0\0\x01\xff"), Malformed::Payload),
        (frame(Kind::Open, 0, &open_payload(0, "")), Malformed::Stream),
        (frame(Kind::Data, 0, b"x"), Malformed::Stream),
        (frame(Kind::Window, 1, &[0; 7]), Malformed::Length),
        (frame(Kind::Window, 0, &[0; 8]), Malformed::Stream),
        (frame(Kind::Eof, 1, &[0]), Malformed::Length),
        (frame(Kind::Eof, 0, &[]), Malformed::Stream),
        (frame(Kind::Reset, 1, &[0]), Malformed::Length),
        (frame(Kind::Reset, 1, &[0; 259]), Malformed::Length),
        (frame(Kind::Ack, 1, &[0; 8]), Malformed::Stream),
        (frame(Kind::Ack, 0, &[0; 9]), Malformed::Length),
        (frame(Kind::Ping, 1, &[0; 8]), Malformed::Stream),
        (frame(Kind::Ping, 0, &[0; 4]), Malformed::Length),
        (frame(Kind::Pong, 1, &[0; 8]), Malformed::Stream),
        (frame(Kind::GoAway, 1, &[0; 2]), Malformed::Stream),
        (frame(Kind::GoAway, 0, &[]), Malformed::Length),
    ];
    for (bytes, error) in later {
        let bytes = [&hello[..], &frame(Kind::Data, 1, b"before"), &bytes].concat();
        let decoded = decode_fragments(&bytes);
        assert_eq!(decoded.error, Some(error), "{bytes:?}");
        assert_eq!((decoded.data, decoded.received), (vec![(1, b"before".to_vec())], 14));
    }
}

/// A pipe that ends at any byte of a DATA frame: the next one repeats the frame, and each byte of
/// the payload is returned once.
#[test]
fn an_interrupted_frame_is_continued() {
    let data = frame(Kind::Data, 1, b"0123456789");
    let between = frame(Kind::Ping, 0, &[0; 8]);
    for first_cut in 0..data.len() {
        for second_cut in 0..=data.len() {
            let mut decoder = Decoder::default();
            let mut received = Vec::new();
            for part in [&data[..first_cut], &data[..second_cut], &data[..]] {
                let bytes = [&HELLO.encode()[..], &between, part].concat();
                let part = decode(&mut decoder, &bytes, 7);
                assert_eq!(part.error, None);
                received.extend(part.data.into_iter().flat_map(|(_, data)| data));
                if decoder.received() > 0 {
                    break;
                }
                decoder.restart(false);
            }
            assert_eq!((received.as_slice(), decoder.received()), (&b"0123456789"[..], 18));
        }
    }
}

#[test]
fn an_interrupted_frame_must_be_repeated() {
    for other in [frame(Kind::Data, 1, b"01234"), frame(Kind::Data, 3, b"0123"), frame(Kind::Eof, 1, b"")] {
        let mut decoder = Decoder::default();
        let cut = [&HELLO.encode()[..], &frame(Kind::Data, 1, b"0123")[..10]].concat();
        assert_eq!(decode(&mut decoder, &cut, 5).error, None);
        decoder.restart(true);
        assert_eq!(decode(&mut decoder, &other, 5).error, Some(Malformed::Repetition));
    }
}

#[test]
fn ids_are_written_in_hex_and_not_shown() {
    assert_eq!(LinkId::parse(&ID.hex()), Some(ID));
    assert_eq!(LinkId([0; 16]).hex(), "0".repeat(32));
    for invalid in ["", "5a", &format!("+{}", "5".repeat(31)), &"g".repeat(32), &"5".repeat(33)] {
        assert_eq!(LinkId::parse(invalid), None, "{invalid}");
    }
    assert_eq!(format!("{ID:?}"), "LinkId(****)");
}
