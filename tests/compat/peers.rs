//! Peers that many cases use. They accept everything that either program sends; the bytes are
//! compared afterwards.

use crate::kit::{HTTP_GRANTED, SOCKS4_GRANTED, Script, header, script};

/// A SOCKS5 reply that grants the request, with 127.0.0.1:4660 as the bound address.
pub(crate) const SOCKS5_GRANTED: [u8; 10] = [5, 0, 0, 1, 127, 0, 0, 1, 18, 52];

/// The target's side of a session: sends a line, then reads until EOF.
pub(crate) fn hello() -> Script {
    script().send("HELLO\n").drain()
}

/// A target that is reached without a proxy.
pub(crate) fn target() -> Script {
    hello()
}

/// A SOCKS5 proxy that requires no password.
pub(crate) fn socks5() -> Script {
    socks5_reply(SOCKS5_GRANTED)
}

/// A SOCKS5 proxy that requires a password and accepts any.
pub(crate) fn socks5_password() -> Script {
    let login = script().read_greeting().send([5, 2]).read_login().send([1, 0]);
    login.read_socks5_request().send(SOCKS5_GRANTED).followed_by(hello())
}

/// A SOCKS5 proxy that sends this reply to the request.
pub(crate) fn socks5_reply(reply: impl AsRef<[u8]>) -> Script {
    script().read_greeting().send([5, 0]).read_socks5_request().send(reply).followed_by(hello())
}

/// A SOCKS5 proxy that rejects every method offered.
pub(crate) fn socks5_no_method() -> Script {
    script().read_greeting().send(crate::kit::NO_METHOD)
}

/// A SOCKS4 proxy that sends this reply.
pub(crate) fn socks4_reply(reply: impl AsRef<[u8]>) -> Script {
    script().read_socks4_request().send(reply).followed_by(hello())
}

/// A SOCKS4 proxy that grants the request.
pub(crate) fn socks4() -> Script {
    socks4_reply(SOCKS4_GRANTED)
}

/// An HTTP proxy that sends this response.
pub(crate) fn http_reply(reply: impl AsRef<[u8]>) -> Script {
    script().read_connect_request().send(reply).followed_by(hello())
}

/// An HTTP proxy that opens the tunnel.
pub(crate) fn http() -> Script {
    http_reply(HTTP_GRANTED)
}

/// An HTTP proxy that challenges with this response and accepts any password.
pub(crate) fn http_challenging(challenge: impl AsRef<[u8]>) -> Script {
    authorized_or(challenge).send(HTTP_GRANTED).followed_by(hello())
}

/// Reads a request. If it has no credentials, sends this response and ends the script.
pub(crate) fn authorized_or(challenge: impl AsRef<[u8]>) -> Script {
    let challenge = challenge.as_ref().to_vec();
    script().then("read a request with credentials", move |session| {
        let head = session.read_connect_request()?;
        if header(&head, "Proxy-Authorization").or(header(&head, "Authorization")).is_none() {
            session.end_script();
            session.send(&challenge)?;
        }
        Ok(())
    })
}

/// A telnet-style proxy that sends this answer to the command.
pub(crate) fn telnet_reply(reply: impl AsRef<[u8]>) -> Script {
    script().send("welcome\r\n").expect_until("\n").send(reply).followed_by(hello())
}
