//! Fake proxies that negotiate properly. Each is a [`Script`] that goes on inside the tunnel:
//! `socks5_none().relay()`, or `http_ok().early(b"banner").drain()`. Record: user, password,
//! target, head.

use base64::prelude::{BASE64_STANDARD, Engine};

use super::script::{Script, script};
use super::server::Session;
use super::show::show;

/// SOCKS4 or 4a; grants everything.
pub(crate) fn socks4_granted() -> Script {
    socks4_reply(90)
}

/// SOCKS4 or 4a; replies with this code: 91 rejected, 92 no identd, 93 user mismatch.
pub(crate) fn socks4_reply(code: u8) -> Script {
    socks4_request().send([0, code, 0, 0, 0, 0, 0, 0])
}

/// SOCKS5 without authentication; grants everything.
pub(crate) fn socks5_none() -> Script {
    socks5_request().send(SOCKS5_GRANTED)
}

/// SOCKS5 without authentication; replies with this code, 1 to 8 in RFC 1928.
pub(crate) fn socks5_refused(code: u8) -> Script {
    socks5_request().send([5, code, 0, 1, 0, 0, 0, 0, 0, 0])
}

/// SOCKS5 that insists on this user and password (RFC 1929). With other ones it says so and
/// closes, and the script ends there, which is no failure: see the record.
pub(crate) fn socks5_userpass(user: &str, password: &str) -> Script {
    let (user, password) = (user.to_owned(), password.to_owned());
    socks5_method(2)
        .then("read user and password", move |session| {
            let version = session.receive(1)?;
            if version != [1] {
                return Err(format!("expected version 1 of the sub-negotiation, got {version:?}"));
            }
            let given = (read_counted(session)?, read_counted(session)?);
            let right = given == (user, password);
            let mut record = session.record();
            (record.user, record.password) = (Some(given.0), Some(given.1));
            drop(record);
            session.send(&[1, u8::from(!right)])?;
            if !right {
                session.end_script();
            }
            Ok(())
        })
        .then("read a SOCKS5 request", read_socks5_request)
        .send(SOCKS5_GRANTED)
}

/// HTTP proxy that opens the tunnel: `HTTP/1.1 200 OK` and nothing else.
pub(crate) fn http_ok() -> Script {
    http_reply("HTTP/1.1 200 OK\r\n\r\n")
}

/// HTTP proxy that reads a request head and sends this.
pub(crate) fn http_reply(reply: impl AsRef<[u8]>) -> Script {
    http_request().send(reply)
}

/// HTTP proxy that lets in who comes with this user and password by Basic authentication;
/// everybody else gets a 407 on a kept-alive connection. A client that goes away after a 407, to
/// dial again, ends the script, which is no failure.
pub(crate) fn http_basic(user: &str, password: &str) -> Script {
    const REFUSED: &[u8] = b"HTTP/1.1 407 Proxy Authentication Required\r\n\
        Proxy-Authenticate: Basic realm=\"test\"\r\nContent-Length: 6\r\n\r\nbadge?";
    let wanted = BASE64_STANDARD.encode(format!("{user}:{password}"));
    script()
        .then("read CONNECT requests until one has the password", move |session| {
            let mut result = read_http_request(session);
            while result.is_ok() {
                let head = session.record().head.clone().unwrap_or_default();
                let given = header(&head, "proxy-authorization");
                if given.is_some_and(|value| value == format!("Basic {wanted}")) {
                    return Ok(());
                }
                session.send(REFUSED)?;
                result = read_http_request(session);
                if result.is_err() {
                    session.end_script();
                    return Ok(());
                }
            }
            result
        })
        .send("HTTP/1.1 200 OK\r\n\r\n")
}

/// SOCKS4 or 4a up to the request; a reply is to follow.
pub(crate) fn socks4_request() -> Script {
    script().then("read a SOCKS4 request", read_socks4_request)
}

/// SOCKS5 without authentication up to the request; a reply is to follow.
pub(crate) fn socks5_request() -> Script {
    socks5_method(0).then("read a SOCKS5 request", read_socks5_request)
}

/// HTTP up to the head of the request; a reply is to follow.
pub(crate) fn http_request() -> Script {
    script().then("read a CONNECT request", read_http_request)
}

/// The reply of SOCKS4: granted.
pub(crate) const SOCKS4_GRANTED: [u8; 8] = [0, 90, 0, 0, 0, 0, 0, 0];

/// The reply of SOCKS5: granted, bound to 0.0.0.0:0.
pub(crate) const SOCKS5_GRANTED: [u8; 10] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

/// Reads the greeting, and chooses a method, which must have been offered.
fn socks5_method(method: u8) -> Script {
    script()
        .then(format!("read a SOCKS5 greeting with method {method}"), move |session| {
            let start = session.receive(2)?;
            let offered = session.receive(usize::from(start[1]))?;
            if start[0] == 5 && offered.contains(&method) {
                return Ok(());
            }
            Err(format!("it began with {}, offered were {}", show(&start), show(&offered)))
        })
        .send([5, method])
}

fn read_socks5_request(session: &mut Session) -> Result<(), String> {
    let start = session.receive(4)?;
    if start[..3] != [5, 1, 0] {
        return Err(format!("expected a request to connect, got {}", show(&start)));
    }
    let host = match start[3] {
        1 => std::net::Ipv4Addr::from(array::<4>(session)?).to_string(),
        3 => read_counted(session)?,
        4 => format!("[{}]", std::net::Ipv6Addr::from(array::<16>(session)?)),
        other => return Err(format!("address type {other}")),
    };
    let port = u16::from_be_bytes(array(session)?);
    session.record().target = Some(format!("{host}:{port}"));
    Ok(())
}

fn read_socks4_request(session: &mut Session) -> Result<(), String> {
    let start = session.receive(2)?;
    if start != [4, 1] {
        return Err(format!("expected a request to connect, got {}", show(&start)));
    }
    let port = u16::from_be_bytes(array(session)?);
    let ip: [u8; 4] = array(session)?;
    let user = read_terminated(session)?;
    let host = match ip {
        [0, 0, 0, 1..=255] => read_terminated(session)?,
        _ => std::net::Ipv4Addr::from(ip).to_string(),
    };
    let mut record = session.record();
    record.user = Some(user);
    record.target = Some(format!("{host}:{port}"));
    Ok(())
}

pub(super) fn read_http_request(session: &mut Session) -> Result<(), String> {
    let head = text(session.receive_until(b"\r\n\r\n")?);
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let target = target.ok_or_else(|| format!("no CONNECT request: {head:?}"))?.to_owned();
    let mut record = session.record();
    record.target = Some(target);
    record.head = Some(head);
    Ok(())
}

/// The value of a header field, its name in any case.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.into_iter().find(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1.trim())
}

fn array<const N: usize>(session: &mut Session) -> Result<[u8; N], String> {
    Ok(session.receive(N)?.try_into().unwrap())
}

/// A string after a byte with its length.
fn read_counted(session: &mut Session) -> Result<String, String> {
    let length = session.receive(1)?[0];
    session.receive(length.into()).map(text)
}

/// A string before a NUL.
fn read_terminated(session: &mut Session) -> Result<String, String> {
    let mut bytes = session.receive_until(&[0])?;
    bytes.pop();
    Ok(text(bytes))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| format!("{:?}", error.into_bytes()))
}
