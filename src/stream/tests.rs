//! Tests layers with a codec that does little: a length byte before each message, and an empty
//! message as EOF.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use super::*;

/// Messages of at most 200 bytes, each after its length. An empty one ends the stream; one of 255
/// bytes is invalid.
#[derive(Debug, Default)]
struct Frames {
    received: Vec<u8>,
    plain: VecDeque<u8>,
    has_ended: bool,
    wire: Vec<u8>,
}

impl Codec for Frames {
    fn read_wire(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            self.received.push(*byte);
            match self.received[0] {
                255 => return Err(io::ErrorKind::InvalidData.into()),
                0 => self.has_ended = true,
                length if usize::from(length) < self.received.len() => {
                    self.plain.extend(self.received.drain(..).skip(1));
                }
                _ => continue,
            }
            return Ok(index + 1);
        }
        Ok(bytes.len())
    }

    fn truncated(&self) -> io::Error {
        io::ErrorKind::UnexpectedEof.into()
    }

    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.plain.read(buffer)? {
            0 if !self.has_ended => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn has_plain(&self) -> bool {
        !self.plain.is_empty() || self.has_ended
    }

    fn write_plain(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(200);
        self.wire.push(u8::try_from(count).unwrap());
        self.wire.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn pending_wire(&self) -> &[u8] {
        &self.wire
    }

    fn wire_written(&mut self, count: usize) {
        self.wire.drain(..count);
    }

    fn close(&mut self) {
        self.wire.push(0);
    }
}

/// Returns a layer and the socket at the other end of its connection.
fn layer() -> (Layered<Frames>, TcpStream) {
    let (channel, peer) = connected();
    (Layered::new(Box::new(channel), Frames::default()), peer)
}

fn connected() -> (Channel, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    (Channel::socket(stream), peer)
}

/// Waits until the stream has something to read.
fn wait(stream: &dyn Stream, want: Interest) -> Ready {
    let mut polls = PollSet::default();
    stream.register(want, &mut polls);
    let mut events = polls.wait(Some(Duration::from_secs(10))).unwrap().unwrap();
    stream.ready(want, &mut events)
}

/// Reads until EOF or an error. Returns the bytes and the error.
fn read_all(stream: &mut dyn Stream) -> (Vec<u8>, Option<io::ErrorKind>) {
    let (mut all, mut buffer) = (Vec::new(), [0; 3]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (all, None),
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                assert!(wait(stream, Interest::READ).read);
            }
            Err(error) => return (all, Some(error.kind())),
        }
    }
}

#[test]
fn messages_arrive_in_any_fragmentation() {
    let wire = b"\x04some\x01x\x07message\x00";
    for split in 0..wire.len() {
        let (mut layer, mut peer) = layer();
        peer.write_all(&wire[..split]).unwrap();
        let mut first = [0; 100];
        // Everything that has arrived is returned at once.
        if split > 5 {
            wait(&layer, Interest::READ);
            let count = layer.peek(&mut first).unwrap();
            assert!(b"somexmessage".starts_with(&first[..count]) && count >= 4, "{split}: {count}");
        }
        peer.write_all(&wire[split..]).unwrap();
        assert_eq!(read_all(&mut layer), (b"somexmessage".to_vec(), None), "{split}");
    }
}

#[test]
fn bytes_that_a_layer_holds_are_ready_without_a_poll() {
    let (mut layer, mut peer) = layer();
    peer.write_all(b"\x04some\x04more").unwrap();
    wait(&layer, Interest::READ);
    assert_eq!(layer.read(&mut [0; 2]).unwrap(), 2);
    // The socket is empty.
    assert!(wait(&layer, Interest::READ).read);
    assert_eq!(read_within(&mut layer, &mut [0; 9], Duration::ZERO).unwrap(), Some(6));
    assert_eq!(read_within(&mut layer, &mut [0; 9], Duration::ZERO).unwrap(), None);
}

#[test]
fn an_end_without_the_closing_message_is_an_error_after_the_data() {
    let endings: [(&[u8], io::ErrorKind); 3] = [
        (b"", io::ErrorKind::UnexpectedEof),
        (b"\x05cut", io::ErrorKind::UnexpectedEof),
        (b"\xff", io::ErrorKind::InvalidData),
    ];
    for (ending, expected) in endings {
        let (mut layer, mut peer) = layer();
        peer.write_all(b"\x04some").unwrap();
        peer.write_all(ending).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut layer), (b"some".to_vec(), Some(expected)), "{ending:?}");
        assert_eq!(layer.read(&mut [0; 1]).unwrap_err().kind(), expected, "the error is reported again");
        assert_eq!(layer.write(b"x").unwrap_err().kind(), expected);
    }
}

/// The reason why the connection broke may still arrive.
#[test]
fn a_write_that_fails_leaves_the_received_bytes() {
    let (mut layer, mut peer) = layer();
    peer.write_all(b"\x06reason\x00").unwrap();
    wait(&layer, Interest::READ);
    Channel::shut_down_writing(layer.below_channel().unwrap()).unwrap();
    assert_eq!(layer.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(layer.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(layer.undelivered() <= 1, "nothing but the FIN");
    assert_eq!(read_all(&mut layer), (b"reason".to_vec(), None));
}

#[test]
fn a_full_connection_stops_the_writer_and_closing_waits_for_it() {
    let (mut layer, mut peer) = layer();
    let mut written = 0;
    let full = loop {
        match layer.write(&[7; 200]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    assert!(layer.undelivered() > 0);
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        received
    });
    close(Box::new(layer));
    let received = reader.join().unwrap();
    assert_eq!((received.len(), received.last()), (written / 200 * 201 + 1, Some(&0)));
}

#[test]
fn an_aborted_layer_sends_no_closing_message() {
    for is_aborted in [false, true] {
        let (mut layer, mut peer) = layer();
        layer.write(b"x").unwrap();
        if is_aborted {
            layer.reset_on_close();
        }
        drop(layer);
        let mut received = Vec::new();
        let result = peer.read_to_end(&mut received);
        assert_eq!(result.is_err(), is_aborted);
        assert_eq!(received.ends_with(b"\0"), !is_aborted);
    }
}

#[test]
fn a_layer_on_a_layer_is_a_stream_like_any_other() {
    let (inner, mut peer) = layer();
    let mut outer = Layered::new(Box::new(inner), Frames::default());
    peer.write_all(b"\x02\x03a\x02bc\x01\x00\x00").unwrap();
    assert_eq!(read_all(&mut outer), (b"abc".to_vec(), None));
    assert_eq!(outer.write(b"xy").unwrap(), 2);
    drop(outer);
    let mut received = Vec::new();
    peer.read_to_end(&mut received).unwrap();
    assert_eq!(received, b"\x03\x02xy\x01\x00\x00");
}
