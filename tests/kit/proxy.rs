//! The server side of SOCKS4, SOCKS5 and HTTP CONNECT.
//!
//! The fake proxies in this project use these functions: the scripted proxies in the test kit, and
//! the proxies in the soak test, the benchmark and the quick-start example. This file uses nothing
//! else from the kit, so that other programs can include it on its own.
//!
//! Each function that reads consumes exactly one message and leaves the bytes after it unread.
#![allow(dead_code, reason = "no program speaks every protocol")]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};

/// The SOCKS5 method "no authentication required" (RFC 1928, section 3).
pub(crate) const NO_AUTHENTICATION: u8 = 0;

/// The SOCKS5 method "username/password" (RFC 1929).
pub(crate) const USER_PASSWORD: u8 = 2;

/// The SOCKS5 method reply that accepts none of the methods offered.
pub(crate) const NO_METHOD: [u8; 2] = [5, 0xff];

/// The SOCKS4 reply that grants a request.
pub(crate) const SOCKS4_GRANTED: [u8; 8] = socks4_code(90);

/// The SOCKS5 reply that grants a request; the bound address is 0.0.0.0:0.
pub(crate) const SOCKS5_GRANTED: [u8; 10] = socks5_code(0);

/// The HTTP response that opens the tunnel.
pub(crate) const HTTP_GRANTED: &str = "HTTP/1.1 200 OK\r\n\r\n";

/// Returns the SOCKS4 reply with this code: 90 to 93.
pub(crate) const fn socks4_code(code: u8) -> [u8; 8] {
    [0, code, 0, 0, 0, 0, 0, 0]
}

/// Returns the SOCKS5 reply with this code, 0 to 8 in RFC 1928, section 6.
pub(crate) const fn socks5_code(code: u8) -> [u8; 10] {
    [5, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

/// Reads a SOCKS5 greeting and returns the methods that it offers.
pub(crate) fn read_greeting(client: &mut impl Read) -> io::Result<Vec<u8>> {
    let [version, count] = read_array(client)?;
    if version != 5 {
        return Err(malformed(format!("expected a SOCKS5 greeting, got version {version}")));
    }
    read_vec(client, count.into())
}

/// Reads a SOCKS5 greeting and selects `method`. If the client does not offer it, rejects the
/// client and fails.
pub(crate) fn select_method(client: &mut (impl Read + Write), method: u8) -> io::Result<()> {
    let offered = read_greeting(client)?;
    if offered.contains(&method) {
        return client.write_all(&[5, method]);
    }
    client.write_all(&NO_METHOD)?;
    Err(malformed(format!("expected method {method} to be offered, got {offered:?}")))
}

/// Reads a user name and a password (RFC 1929, section 2).
pub(crate) fn read_login(client: &mut impl Read) -> io::Result<(String, String)> {
    let [version] = read_array(client)?;
    if version != 1 {
        return Err(malformed(format!("expected version 1 of the sub-negotiation, got {version}")));
    }
    Ok((read_counted(client)?, read_counted(client)?))
}

/// Returns the reply that accepts or rejects a login.
pub(crate) fn login_reply(accepted: bool) -> [u8; 2] {
    [1, u8::from(!accepted)]
}

/// Reads a SOCKS5 CONNECT request and returns its target as `host:port`, with an IPv6 address in
/// brackets.
pub(crate) fn read_socks5_request(client: &mut impl Read) -> io::Result<String> {
    let start = read_array::<4>(client)?;
    if start[..3] != [5, 1, 0] {
        return Err(malformed(format!("expected a SOCKS5 CONNECT request, got {start:?}")));
    }
    // Read the address and the port in one call, to keep the overhead low in benchmarks.
    let length = match start[3] {
        1 => 4,
        3 => read_array::<1>(client)?[0].into(),
        4 => 16,
        other => return Err(malformed(format!("unknown address type {other}"))),
    };
    let mut host = read_vec(client, length + 2)?;
    let port = u16::from_be_bytes(tail(&mut host));
    let host = match start[3] {
        1 => Ipv4Addr::from(tail(&mut host)).to_string(),
        4 => format!("[{}]", Ipv6Addr::from(tail::<16>(&mut host))),
        _ => text(host),
    };
    Ok(format!("{host}:{port}"))
}

/// Reads a SOCKS4 or SOCKS4a CONNECT request. Returns its user name, and its target as `host:port`.
pub(crate) fn read_socks4_request(client: &mut impl Read) -> io::Result<(String, String)> {
    let [version, command, high, low] = read_array(client)?;
    if [version, command] != [4, 1] {
        return Err(malformed(format!("expected a SOCKS4 CONNECT request, got {:?}", [version, command])));
    }
    let ip = read_array(client)?;
    let user = read_terminated(client)?;
    let host = match ip {
        [0, 0, 0, 1..=255] => read_terminated(client)?,
        _ => Ipv4Addr::from(ip).to_string(),
    };
    Ok((user, format!("{host}:{}", u16::from_be_bytes([high, low]))))
}

/// Reads the head of an HTTP request, up to and including the blank line.
///
/// The function reads one byte at a time. If that is too slow, pass a `BufReader`, but only if the
/// client sends nothing more before the response.
pub(crate) fn read_head(client: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read_array::<1>(client)?);
    }
    Ok(text(head))
}

/// Returns the target in the head of a CONNECT request.
pub(crate) fn connect_target(head: &str) -> io::Result<&str> {
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    target.ok_or_else(|| malformed(format!("expected a CONNECT request, got {head:?}")))
}

/// Returns the value of the first header field with this name, ignoring case.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1.trim())
}

/// Returns the `user:password` that a request sends with Basic authentication (RFC 7617).
pub(crate) fn basic_login(head: &str) -> Option<String> {
    let encoded = header(head, "Proxy-Authorization")?.strip_prefix("Basic ")?;
    String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()
}

/// Relays in both directions, passing on half-closes, until both directions have ended.
///
/// If one side breaks, both connections are shut down in both directions.
pub(crate) fn relay(client: &TcpStream, target: &TcpStream) {
    let one_way = |mut from: &TcpStream, mut to: &TcpStream| {
        let _ = if io::copy(&mut from, &mut to).is_ok() {
            to.shutdown(Shutdown::Write)
        } else {
            from.shutdown(Shutdown::Both).and(to.shutdown(Shutdown::Both))
        };
    };
    thread::scope(|scope| {
        scope.spawn(|| one_way(client, target));
        one_way(target, client);
    });
}

/// Makes closing this connection send a reset.
pub(crate) fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

fn read_array<const N: usize>(client: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_vec(client: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads a string with a one-byte length prefix.
fn read_counted(client: &mut impl Read) -> io::Result<String> {
    let [length] = read_array(client)?;
    read_vec(client, length.into()).map(text)
}

/// Reads a NUL-terminated string.
fn read_terminated(client: &mut impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        match read_array(client)? {
            [0] => return Ok(text(bytes)),
            byte => bytes.extend(byte),
        }
    }
}

/// Removes and returns the last `N` bytes.
fn tail<const N: usize>(bytes: &mut Vec<u8>) -> [u8; N] {
    let mut tail = [0; N];
    tail.copy_from_slice(&bytes.split_off(bytes.len() - N));
    tail
}

/// Returns the bytes as text, or in Rust's debug format if they are not UTF-8.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| format!("{:?}", error.into_bytes()))
}

fn malformed(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
