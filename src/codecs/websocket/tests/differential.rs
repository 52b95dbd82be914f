//! The codec beside another implementation, tungstenite.

use std::io::{Cursor, Read, Write};

use proptest::prelude::*;
use tungstenite::protocol::{Role as TheirRole, WebSocketConfig};
use tungstenite::{Error, Message};

use super::*;

/// A transport with some bytes to read. It keeps what is written.
struct Transport {
    input: Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(role: TheirRole, bytes: &[u8]) -> tungstenite::WebSocket<Transport> {
    let transport = Transport { input: Cursor::new(bytes.to_vec()), output: Vec::new() };
    tungstenite::WebSocket::from_raw_socket(transport, role, Some(WebSocketConfig::default()))
}

/// The end of a stream, as tungstenite sees it.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    Open,
    Closed,
    Malformed,
}

/// Reads with tungstenite: the payload of all complete messages, and how the stream ended.
fn read_with_theirs(role: TheirRole, bytes: &[u8]) -> (Vec<u8>, Ending) {
    let mut socket = theirs(role, bytes);
    let mut plain = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Binary(data)) => plain.extend_from_slice(&data),
            Ok(Message::Text(text)) => plain.extend_from_slice(text.as_bytes()),
            Ok(Message::Close(_)) => return (plain, Ending::Closed),
            Ok(_) => {}
            Err(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
                return (plain, Ending::Open);
            }
            Err(Error::Protocol(_)) => return (plain, Ending::Malformed),
            Err(error) => panic!("{error}"),
        }
    }
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let valid = prop::sample::select(vec![0x82, 0x81, 0x02, 0x01, 0x00, 0x80, 0x89, 0x8a]);
    let first = prop_oneof![20 => valid, 1 => any::<u8>()];
    // Text, because tungstenite rejects a text message that is not UTF-8.
    let length = prop_oneof![8 => 0..20_usize, 2 => 120..130_usize, 1 => 65_530..65_540_usize];
    let close = any::<u16>().prop_map(|code| frame(0x88, &code.to_be_bytes()));
    let frames = (first, length).prop_map(|(first, length)| frame(first, &vec![b'a' + first % 16; length]));
    prop_oneof![30 => frames, 1 => close]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepts_and_rejects_the_same_frames_as_tungstenite(
        frames in prop::collection::vec(any_frame(), 1..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let bytes = frames.concat();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        ends.sort_unstable();
        let ours = receive(client(HalfClose::Both), &bytes, ends);
        let (plain, ending) = read_with_theirs(TheirRole::Client, &bytes);
        // Our codec delivers an incomplete message, too.
        prop_assert!(ours.plain.starts_with(&plain));
        let is_closed = |error: &str| error.starts_with("WebSocket closed");
        match &ours.result {
            Ok(false) => prop_assert_eq!(ending, Ending::Open),
            Ok(true) => prop_assert_eq!(ending, Ending::Closed),
            Err(error) if is_closed(error) => prop_assert_eq!(ending, Ending::Closed),
            // tungstenite answers an invalid close code instead of rejecting it.
            Err(error) if error.ends_with("invalid close code") => prop_assert_ne!(ending, Ending::Open),
            Err(_) => prop_assert_eq!(ending, Ending::Malformed),
        }
    }

    #[test]
    fn tungstenite_reads_what_we_write(parts in prop::collection::vec(0..70_000_usize, 1..5)) {
        let data: Vec<u8> = (0..70_000_u32).map(|i| i.to_be_bytes()[3]).collect();
        let ours = [(client(HalfClose::Both), TheirRole::Server), (server(), TheirRole::Client)];
        for (mut codec, role) in ours {
            let (mut sent, mut expected) = (Vec::new(), Vec::<u8>::new());
            for &length in &parts {
                let count = codec.write_plain(&data[..length]).unwrap();
                expected.extend(&data[..count]);
                sent.extend(written(&mut codec));
            }
            prop_assert_eq!(read_with_theirs(role, &sent), (expected.clone(), Ending::Open));
            codec.close();
            sent.extend(written(&mut codec));
            prop_assert_eq!(read_with_theirs(role, &sent), (expected, Ending::Closed));
        }
    }

    #[test]
    fn we_read_what_tungstenite_writes(parts in prop::collection::vec(0..70_000_usize, 1..5)) {
        let data: Vec<u8> = (0..70_000_u32).map(|i| i.to_be_bytes()[3]).collect();
        let ours = [(TheirRole::Server, HalfClose::Ours), (TheirRole::Client, HalfClose::Both)];
        for (role, half_close) in ours {
            let (mut socket, mut expected) = (theirs(role, b""), Vec::<u8>::new());
            for &length in &parts {
                socket.write(Message::binary(data[..length].to_vec())).unwrap();
                socket.write(Message::Ping(b"?".to_vec().into())).unwrap();
                expected.extend(&data[..length]);
            }
            socket.close(None).unwrap();
            let make = || if role == TheirRole::Server { client(half_close) } else { server() };
            let bytes = &socket.get_ref().output;
            let received = receive(make(), bytes, [1, bytes.len() / 2, bytes.len() - 1]);
            prop_assert_eq!(&received.plain, &expected);
            prop_assert_eq!(received.result, Ok(true));
            prop_assert!(received.sent.len() >= 3 * parts.len(), "each Ping gets a Pong");
        }
    }
}
