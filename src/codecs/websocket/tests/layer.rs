//! The codec as a layer on a socket.

use std::io::Read;
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::stream::{Layered, Stream, close};
use crate::sys::Channel;

/// A connected socket, and the socket of its peer.
fn connected() -> (Channel, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    (Channel::socket(stream), peer)
}

/// Returns a server's end of a WebSocket connection, and the client's socket.
fn layer() -> (Layered<WebSocket>, TcpStream) {
    let (channel, peer) = connected();
    (Layered::new(Box::new(channel), server()), peer)
}

#[test]
fn a_server_tells_its_client_that_the_stream_is_incomplete() {
    let (mut layer, mut peer) = layer();
    layer.write(b"part").unwrap();
    layer.reset_on_close();
    close(Box::new(layer));
    let mut received = Vec::new();
    peer.read_to_end(&mut received).unwrap();
    assert_eq!(received, b"\x82\x04part\x88\x02\x03\xf3");
}

#[test]
fn after_its_closing_message_a_server_resets_the_connection_if_the_stream_is_incomplete() {
    let (mut layer, mut peer) = layer();
    layer.shut_down_writing().unwrap();
    layer.reset_on_close();
    close(Box::new(layer));
    let error = peer.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_client_sends_its_closing_message_last_if_the_server_would_discard_data_at_it() {
    let (channel, mut peer) = connected();
    let mut layer = Layered::new(Box::new(channel), client(HalfClose::Neither));
    assert!(!layer.can_half_close());
    layer.shut_down_writing().unwrap();
    layer.write(b"more").unwrap();
    close(Box::new(layer));
    let mut received = Vec::new();
    peer.read_to_end(&mut received).unwrap();
    assert_eq!(received, [masked(b"\x82\x04more"), masked(b"\x88\x02\x03\xe8")].concat());
}
