//! Scripted proxies, which record the user name, the password, the target and the request head.
//!
//! Each proxy is a [`Script`]. Steps added to the script run inside the tunnel:
//! `socks5_none().relay()`, or `http_ok().early(b"banner").drain()`.

use super::proxy::{self, HTTP_GRANTED, SOCKS5_GRANTED};
use super::script::{Script, script};
use super::show::show;

/// Returns a SOCKS4 or SOCKS4a proxy that grants the request.
pub(crate) fn socks4_granted() -> Script {
    socks4_reply(90)
}

/// Returns a SOCKS4 or SOCKS4a proxy that replies with this code: 90 (granted), 91 (rejected), 92
/// (no identd) or 93 (user mismatch).
pub(crate) fn socks4_reply(code: u8) -> Script {
    socks4_request().send(proxy::socks4_code(code))
}

/// Returns a SOCKS5 proxy without authentication that grants the request.
pub(crate) fn socks5_none() -> Script {
    socks5_request().send(SOCKS5_GRANTED)
}

/// Returns a SOCKS5 proxy without authentication that replies with this code, 1 to 8 in RFC 1928.
pub(crate) fn socks5_refused(code: u8) -> Script {
    socks5_request().send(proxy::socks5_code(code))
}

/// Returns a SOCKS5 proxy that requires this user and password (RFC 1929).
///
/// The proxy rejects any other credentials and closes the connection. The script then ends without
/// a failure, and the record contains the rejected credentials.
pub(crate) fn socks5_userpass(user: &str, password: &str) -> Script {
    let expected = (user.to_owned(), password.to_owned());
    socks5_method(proxy::USER_PASSWORD)
        .then("check user and password", move |session| {
            let accepted = session.read_login()? == expected;
            if !accepted {
                session.end_script();
            }
            session.send(&proxy::login_reply(accepted))
        })
        .read_socks5_request()
        .send(SOCKS5_GRANTED)
}

/// Returns an HTTP proxy that opens the tunnel with `HTTP/1.1 200 OK` and no header fields.
pub(crate) fn http_ok() -> Script {
    http_reply(HTTP_GRANTED)
}

/// Returns an HTTP proxy that reads a request head and sends this reply.
pub(crate) fn http_reply(reply: impl AsRef<[u8]>) -> Script {
    http_request().send(reply)
}

/// Returns an HTTP proxy that requires this user and password with Basic authentication.
///
/// Any other request gets a 407, and the connection stays open. If the client disconnects after a
/// 407 in order to reconnect, the script ends without a failure.
pub(crate) fn http_basic(user: &str, password: &str) -> Script {
    const REJECTED: &[u8] = b"HTTP/1.1 407 Proxy Authentication Required\r\n\
        Proxy-Authenticate: Basic realm=\"test\"\r\nContent-Length: 6\r\n\r\nbadge?";
    let expected = format!("{user}:{password}");
    script()
        .then("read CONNECT requests until one has the password", move |session| {
            let mut head = session.read_connect_request()?;
            while proxy::basic_login(&head).as_ref() != Some(&expected) {
                session.send(REJECTED)?;
                let Ok(next) = session.read_connect_request() else {
                    session.end_script();
                    break;
                };
                head = next;
            }
            Ok(())
        })
        .send(HTTP_GRANTED)
}

/// Returns the steps of a SOCKS4 or SOCKS4a proxy up to the request. The caller adds the reply.
pub(crate) fn socks4_request() -> Script {
    script().read_socks4_request()
}

/// Returns the steps of a SOCKS5 proxy without authentication up to the request. The caller adds
/// the reply.
pub(crate) fn socks5_request() -> Script {
    socks5_method(proxy::NO_AUTHENTICATION).read_socks5_request()
}

/// Returns the steps of an HTTP proxy up to the request head. The caller adds the response.
pub(crate) fn http_request() -> Script {
    script().read_connect_request()
}

/// Returns the steps that read a SOCKS5 greeting and select a method, which the client must offer.
fn socks5_method(method: u8) -> Script {
    script()
        .then(format!("read a SOCKS5 greeting that offers method {method}"), move |session| {
            let offered = proxy::read_greeting(session).map_err(|error| error.to_string())?;
            if offered.contains(&method) {
                return Ok(());
            }
            Err(format!("the client offered {}", show(&offered)))
        })
        .send([5, method])
}
