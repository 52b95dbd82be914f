//! Tests layers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use super::testing::Frames;
use super::*;

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

/// Writes until there is no room. Returns the number of bytes written.
fn fill(layer: &mut Layered<Frames>) -> usize {
    let mut written = 0;
    loop {
        match layer.write(&[7; 200]) {
            Ok(count) => written += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return written;
            }
        }
    }
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

/// A peer that sent empty TLS records without a pause kept a thread with many sessions busy.
#[test]
fn a_peer_that_kept_sending_messages_without_bytes_stopped_a_read_and_a_wait_from_ending() {
    let (mut layer, mut peer) = layer();
    peer.set_nonblocking(true).unwrap();
    while peer.write(&[254; 4096]).is_ok() {}
    assert_eq!(layer.read(&mut [0; 9]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(layer.below_channel().unwrap().peek(&mut [0]).is_ok(), "one read took everything");
    peer.set_nonblocking(false).unwrap();
    peer.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    let sender = std::thread::spawn(move || while peer.write_all(&[254; 4096]).is_ok() {});
    let received = read_within(&mut layer, &mut [0; 9], Duration::from_millis(50));
    assert_eq!(received.unwrap(), None);
    drop(layer);
    sender.join().unwrap();
}

/// On Windows, each such wait took 50 ms, the minimum for a poll.
#[test]
fn a_wait_for_bytes_that_a_layer_holds_took_time() {
    let (mut layer, mut peer) = layer();
    peer.write_all(b"\x04some\x04more").unwrap();
    wait(&layer, Interest::READ);
    layer.read(&mut [0; 2]).unwrap();
    let started = Instant::now();
    for _ in 0..400 {
        assert!(wait(&layer, Interest::READ).read);
    }
    // 20 seconds, if each wait took 50 ms.
    assert!(started.elapsed() < Duration::from_secs(10));
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

/// The wait for room to write them returned at once, again and again.
#[test]
fn a_layer_kept_bytes_for_a_connection_that_had_failed() {
    let (mut layer, mut peer) = layer();
    Channel::shut_down_writing(layer.below_channel().unwrap()).unwrap();
    assert_eq!(layer.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    peer.write_all(b"\x08question").unwrap();
    assert!(wait(&layer, Interest::READ).read);
    layer.codec_mut().wire.extend_from_slice(b"\x06answer");
    assert_eq!(layer.read(&mut [0; 9]).unwrap(), 8);
    assert_eq!(layer.codec_mut().wire, b"");
}

#[test]
fn a_full_connection_stops_the_writer_and_closing_waits_for_it() {
    let (mut layer, mut peer) = layer();
    let written = fill(&mut layer);
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

/// The closing message of the inner layer was lost if there was no room when it was dropped.
#[test]
fn closing_waits_for_the_layers_below() {
    let (inner, mut peer) = layer();
    let mut outer = Layered::new(Box::new(inner), Frames::default());
    while outer.write(&[7; 200]).is_ok() {}
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        received
    });
    close(Box::new(outer));
    let received = reader.join().unwrap();
    // The outer layer's message is at the end of a message of the inner layer, whose own follows.
    assert!(received.ends_with(&[0, 0]), "{:?}", &received[received.len() - 10..]);
}

#[test]
fn finishing_a_layer_sends_the_closing_messages_of_all_layers() {
    let (inner, mut peer) = layer();
    let mut outer = Layered::new(Box::new(inner), Frames::default());
    outer.write(b"x").unwrap();
    outer.finish().unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut received = [0; 6];
    peer.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"\x02\x01x\x01\x00\x00");
}

/// Returns `true` if this is a reset under wine 8, which reports one as EOF.
fn is_reset_reported_as_eof(is_reset: bool) -> bool {
    cfg!(windows) && is_reset
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
        assert!(result.is_err() == is_aborted || is_reset_reported_as_eof(is_aborted));
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

/// A handshake over a layer spun until its deadline: the socket had room, so each wait returned at
/// once, but reading did not send what the layer held.
#[test]
fn a_read_without_bytes_left_those_for_the_peer_in_the_layer() {
    let (mut layer, mut peer) = layer();
    fill(&mut layer);
    let reader = std::thread::spawn(move || {
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"\x04last") {
            let mut buffer = [0; 4096];
            let count = peer.read(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..count]);
        }
        peer
    });
    layer.codec_mut().wire.extend_from_slice(b"\x04last");
    let mut wait_count = 0;
    while !layer.codec_mut().wire.is_empty() && wait_count < 1000 {
        wait(&layer, Interest::READ);
        assert_eq!(layer.read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        wait_count += 1;
    }
    reader.join().unwrap();
}

/// An HTTP proxy answered 200 with a web page in two TLS records. The page was taken for a tunnel,
/// because the second record was never seen.
#[test]
fn a_second_peek_did_not_see_what_had_arrived_since_the_first() {
    let (mut layer, mut peer) = layer();
    let mut buffer = [0; 100];
    for (message, expected) in [(b"\x02<!", "<!"), (b"\x02do", "<!do")] {
        peer.write_all(message).unwrap();
        sys::poll(&mut [sys::watch(layer.below_channel().unwrap(), true, false)], None).unwrap();
        let count = layer.peek(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], expected.as_bytes());
    }
    assert_eq!(layer.peek(&mut buffer[..3]).unwrap(), 3);
    peer.write_all(b"\x01c\x00").unwrap();
    assert_eq!(read_all(&mut layer), (b"<!doc".to_vec(), None));
    assert_eq!(layer.peek(&mut buffer).unwrap(), 0);
}

/// A signal that ended `-P` between two clients told a TLS server that the session was complete.
#[test]
fn a_layer_that_is_reset_on_exit_sent_its_closing_message() {
    for resets in [true, false] {
        let (mut layer, mut peer) = layer();
        layer.write(b"x").unwrap();
        layer.set_reset_on_exit(true);
        layer.set_reset_on_exit(resets);
        drop(layer);
        let mut received = Vec::new();
        assert!(peer.read_to_end(&mut received).is_err() == resets || is_reset_reported_as_eof(resets));
        assert_eq!(received.ends_with(b"\0"), !resets);
    }
}

#[test]
fn a_silent_peer_gets_a_ping_and_the_stream_fails_without_an_answer() {
    let (layer, mut peer) = layer();
    let mut layer = layer.with_keep_alive(Some(Duration::ZERO));
    assert_eq!(layer.time_left(), Some(Duration::ZERO));
    layer.on_time();
    let mut ping = [0; 1];
    peer.read_exact(&mut ping).unwrap();
    assert_eq!(ping, [254]);
    let left = layer.time_left().unwrap();
    assert!(left > Duration::from_secs(30), "{left:?}");

    // Input of any kind is an answer.
    peer.write_all(&[254]).unwrap();
    wait(&layer, Interest::READ);
    assert_eq!(layer.read(&mut ping).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(layer.time_left(), Some(Duration::ZERO));

    layer.on_time();
    layer.keep_alive_mut().unwrap().expire();
    layer.on_time();
    let error = layer.read(&mut ping).unwrap_err();
    assert_eq!(error.to_string(), "no answer to a Ping within 35 seconds");
    assert_eq!(layer.time_left(), None);
}

#[test]
fn a_layer_on_a_layer_keeps_the_one_below_alive() {
    let (below, mut peer) = layer();
    let below = below.with_keep_alive(Some(Duration::ZERO));
    let mut above = Layered::new(Box::new(below), Frames::default());
    assert_eq!(above.time_left(), Some(Duration::ZERO));
    above.on_time();
    let mut ping = [0; 1];
    peer.read_exact(&mut ping).unwrap();
    assert_eq!(ping, [254]);
}
