//! What a proxy can do wrong, and what it can refuse.

use std::net::SocketAddr;

use super::{socks4, socks5};

/// Why a negotiation failed. Read after the proxy's name: "SOCKS5 proxy h:1080 …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection ended too early.
    #[error("closed the connection while we waited for {0}")]
    Closed(&'static str),
    /// The first byte of a reply is not the protocol's.
    #[error("gives an answer that is not {expected}: it begins with byte {got:#04x}")]
    NotTheProtocol {
        /// What the specification asks for.
        expected: &'static str,
        /// What came.
        got: u8,
    },
    /// SOCKS5: a method was chosen that was not offered (RFC 1928 §3).
    #[error("wants a way to authenticate that was not offered (SOCKS5 method {0:#04x})")]
    MethodNotOffered(u8),
    /// SOCKS5: `FF`, no acceptable method (RFC 1928 §3).
    #[error("accepts none of the authentication methods we offered ({offered})")]
    NoMethod {
        /// The names of the methods offered.
        offered: String,
        /// Whether user and password were among them.
        userpass_offered: bool,
    },
    /// SOCKS5: the address type of the reply is unknown (RFC 1928 §5).
    #[error("sent a reply that makes no sense (SOCKS5 address type {0:#04x})")]
    AddressType(u8),
    /// SOCKS5: the reply code (RFC 1928 §6).
    #[error("refused {target}: {} (SOCKS5 reply {code})", socks5::reply(*.code))]
    Socks5Refused {
        /// Where we wanted to go.
        target: String,
        /// The code, not 0.
        code: u8,
    },
    /// SOCKS4: the reply code.
    #[error("refused {target}: {} (SOCKS4 reply {code})", socks4::reply(*.code))]
    Socks4Refused {
        /// Where we wanted to go.
        target: String,
        /// The code, not 90.
        code: u8,
    },
    /// User and password were sent and not accepted.
    #[error("did not accept user '{user}' and the password{}", said(.text))]
    WrongPassword {
        /// Who we said we are.
        user: String,
        /// What the proxy answered, if it used words.
        text: String,
    },
    /// HTTP: what the user gave as a header of his own was not accepted.
    #[error("did not accept the Proxy-Authorization that was given as a header{}", said(.text))]
    WrongHeader {
        /// What the proxy answered.
        text: String,
    },
    /// This machine has no random number, which Digest needs.
    #[error("cannot be answered: this machine gives us no random number for a nonce")]
    NoRandomness,
    /// HTTP: the proxy asks for authentication in none of the schemes that we can.
    #[error("asks for authentication we cannot do: {offered} (HTTP status {status})")]
    NoScheme {
        /// The schemes offered, by name; or that none was.
        offered: String,
        /// 401 or 407.
        status: u16,
    },
    /// HTTP: a final status that is no success.
    #[error("refused {target}: {status}{}", said(.text))]
    HttpRefused {
        /// Where we wanted to go.
        target: String,
        /// The status code.
        status: u16,
        /// The reason phrase and the start of the body.
        text: String,
    },
    /// Telnet: a line that says no.
    #[error("refused {target}: {text}")]
    TelnetRefused {
        /// Where we wanted to go.
        target: String,
        /// The line.
        text: String,
    },
    /// Telnet: much text, and no verdict in it.
    #[error("sent {0} KiB of text and never said whether it is connected")]
    NoAnswerLine(usize),
    /// HTTP: an answer that is no HTTP, or broken.
    #[error("sent a malformed HTTP answer: {0}")]
    MalformedHttp(String),
    /// HTTP: the head is longer than we read.
    #[error("sent more than {0} KiB of HTTP header")]
    HeaderTooLong(usize),
    /// Something that the request must hold does not fit into it.
    #[error("cannot be asked: {what} is {length} bytes long, and {protocol} allows {limit}")]
    TooLong {
        /// Which field.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The protocol that has the limit.
        protocol: &'static str,
        /// The most bytes.
        limit: usize,
    },
    /// Something that the request must hold cannot be said in it.
    #[error("cannot be asked: {0}")]
    NotEncodable(&'static str),
}

/// The first byte of what a TLS server says to whoever speaks something else (RFC 8446 §5.1), and as it is shown.
const TLS_ALERT: u8 = 0x15;
const TLS_ALERT_SHOWN: &str = "'\\x15";
const TRY_TLS: &str = "it speaks TLS: name it with https://";

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" {text}") }
}

impl Error {
    /// What the user may try.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotTheProtocol { got: b'H', .. } => "it may be an HTTP proxy: try -H",
            Self::NotTheProtocol { got: b'S', .. } => "it may be an ssh server: try without a proxy",
            Self::NotTheProtocol { got: TLS_ALERT, .. } => {
                "it may speak TLS: name it with +tls, as in -x socks5h+tls://HOST"
            }
            Self::NotTheProtocol { got: 0 | 4, .. } => "it may speak SOCKS version 4: try -4",
            Self::NotTheProtocol { got: 5, .. } => "it may speak SOCKS version 5: try -5",
            Self::NotTheProtocol { .. } | Self::AddressType(_) => "check the proxy's kind and port",
            Self::MethodNotOffered(_) => "ask who runs the proxy which one it wants",
            Self::NoMethod { userpass_offered: false, .. } => {
                "it probably wants a user and a password: set SOCKS5_USER and SOCKS5_PASSWORD, or -a userpass"
            }
            Self::NoMethod { .. } => "ask who runs the proxy which method it wants",
            Self::Socks5Refused { code: 1 | 3 | 6, .. } => {
                "the target may be down, or out of the proxy's reach"
            }
            Self::Socks5Refused { code: 2 | 7, .. } => "ask who runs the proxy to allow it",
            Self::Socks5Refused { code: 4, .. } => "check the name, or try -R local",
            Self::Socks5Refused { code: 5, .. } => "check that the target runs and that the port is right",
            Self::Socks5Refused { code: 8, .. } => "try -R remote",
            Self::Closed(_) => "it may be a proxy of another kind, or one that cannot reach the target",
            Self::Socks4Refused { code: 91, target } if target.parse::<SocketAddr>().is_ok() => {
                "the target may be down, or not allowed there"
            }
            Self::Socks4Refused { code: 91, .. } => "it may not know names (SOCKS4a): try -R local, or -5",
            Self::Socks4Refused { code: 92 | 93, .. } => {
                "try -5, or ask who runs the proxy to do without identd, which tells it who you are"
            }
            Self::WrongPassword { .. } => "check the user name and the password",
            Self::WrongHeader { .. } => "check its value, or leave it out and name user and password",
            Self::NoScheme { offered, .. } if offered.contains("NTLM") || offered.contains("Negotiate") => {
                "a relay on this machine that knows it (cntlm, px) can be named with -H"
            }
            Self::NoScheme { offered, .. } if offered.contains("-a does not") => {
                "leave out -a, or name it there"
            }
            Self::HttpRefused { status: 300..=399, .. } => {
                "redirects are not followed; the network may want you to log in with a browser first"
            }
            Self::HttpRefused { status: 400, text, .. } if text.contains("HTTPS") => TRY_TLS,
            Self::HttpRefused { status: 403, .. } => "many proxies allow CONNECT to port 443 only",
            Self::HttpRefused { status: 400 | 404 | 405 | 501, .. } => {
                "it may be a web server, or a proxy without CONNECT: check host and port"
            }
            Self::HttpRefused { status: 502..=504, .. } => {
                "the proxy did not reach the target: check its name and port"
            }
            Self::NoAnswerLine(_) => "check the command that it is sent (-c)",
            Self::MalformedHttp(what) if what.contains(TLS_ALERT_SHOWN) => TRY_TLS,
            Self::MalformedHttp(_) => "check that it is an HTTP proxy: for SOCKS use -S",
            _ => return None,
        })
    }
}

/// Checks that a field fits its length byte or limit.
pub(super) fn fits(
    what: &'static str,
    bytes: &[u8],
    protocol: &'static str,
    limit: usize,
) -> Result<(), Error> {
    if bytes.len() > limit {
        return Err(Error::TooLong { what, length: bytes.len(), protocol, limit });
    }
    Ok(())
}
