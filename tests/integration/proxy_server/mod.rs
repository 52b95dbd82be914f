//! `--listen` with a scheme: listeners whose clients name the target.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::kit::*;
use crate::listening::*;

mod forward;
mod http;
mod per_target;
mod rules;
mod socks;
#[cfg(feature = "tls")]
mod tls;

/// Starts a SOCKS listener with these args.
pub(crate) fn socks(args: &str) -> Listening {
    listening(format!("--listen socks5://127.0.0.1:0 {args}"))
}

/// Starts an HTTP listener with these args.
pub(crate) fn http(args: &str) -> Listening {
    listening(format!("--listen http://127.0.0.1:0 {args}"))
}

/// A target that sends back what it receives.
pub(crate) fn echo() -> Server {
    Server::repeat(|| script().echo())
}

/// Returns a SOCKS5 request for a name.
pub(crate) fn socks5_request_for(host: &str, port: u16) -> Vec<u8> {
    let length = u8::try_from(host.len()).unwrap();
    [b"\x05\x01\0\x03", &[length][..], host.as_bytes(), &port.to_be_bytes()].concat()
}

/// Performs a SOCKS5 handshake without a login. Returns the code in the reply, and the connection.
#[track_caller]
pub(crate) fn socks5(run: &Listening, host: &str, port: u16) -> (u8, TcpStream) {
    let mut client = run.client();
    client.write_all(b"\x05\x01\0").unwrap();
    assert_eq!(read(&client, 2), b"\x05\0");
    client.write_all(&socks5_request_for(host, port)).unwrap();
    let reply = read(&client, 10);
    assert_eq!((reply[0], reply[2], reply[3]), (5, 0, 1), "{reply:?}");
    (reply[1], client)
}

/// Sends a request to an HTTP listener, and returns everything that comes back until EOF.
#[track_caller]
pub(crate) fn ask(run: &Listening, request: &str) -> String {
    let mut client = run.client();
    client.write_all(request.as_bytes()).unwrap();
    read_to_end(client)
}

/// Sends CONNECT for this target. Returns the status, and the connection after the head.
#[track_caller]
pub(crate) fn tunnel(run: &Listening, target: &str) -> (u16, TcpStream) {
    let mut client = run.client();
    client.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).unwrap();
    let head = head(&client);
    (status(&head), client)
}

/// Reads a head up to the empty line.
#[track_caller]
pub(crate) fn head(mut client: impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {}", show(&head)));
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Waits for this many messages, and returns them. A client gets its answer before the message is
/// printed.
#[track_caller]
pub(crate) fn close_after(run: Listening, count: usize) -> Vec<String> {
    eventually("the messages", || run.messages().len() >= count);
    let messages = run.close();
    assert_eq!(messages.len(), count, "{messages:?}");
    messages
}

#[track_caller]
pub(crate) fn status(head: &str) -> u16 {
    let status =
        head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
    status.unwrap_or_else(|| panic!("no status in {head:?}"))
}
