//! The ways in which a negotiation with a proxy can fail.

use std::fmt;

use super::{link, post};
use crate::addr::Endpoint;

use crate::text::listed;

/// The cause of a failed negotiation. Displayed after the proxy's name: "SOCKS5 proxy
/// socks.example:1080 …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The proxy closed the connection before the negotiation was complete.
    #[error("closed the connection before sending {0}")]
    Closed(Awaited),
    /// SOCKS: the first byte of a reply is not the expected version number.
    #[error("did not answer with {expected} (first byte {got:#04x})")]
    NotTheProtocol {
        /// The expected message.
        expected: SocksMessage,
        /// The first byte received.
        got: u8,
    },
    /// SOCKS5: the proxy selected a method that was not offered (RFC 1928 §3).
    #[error("selected an authentication method that was not offered (SOCKS5 method {0:#04x})")]
    MethodNotOffered(u8),
    /// SOCKS5: the proxy replied `FF`, no acceptable method (RFC 1928 §3).
    #[error("accepts none of the offered authentication methods ({offered})")]
    NoMethod {
        /// The names of the offered methods, quoted.
        offered: String,
        /// `true` if we offered user/password.
        userpass_offered: bool,
    },
    /// SOCKS5: the reply has an unknown address type (RFC 1928 §5).
    #[error("sent an invalid reply (SOCKS5 address type {0:#04x})")]
    AddressType(u8),
    /// SOCKS5: the reply reports a failure (RFC 1928 §6).
    #[error("refused to connect to {target}: {} (SOCKS5 reply {})", socks5_reply(*.code), shown_reply(*.code))]
    Socks5Refused {
        /// The target, as it was sent to the proxy.
        target: Box<Endpoint>,
        /// The reply code, not 0.
        code: u8,
    },
    /// SOCKS4: the reply reports a failure.
    #[error("refused to connect to {target}: {} (SOCKS4 reply {code})", socks4_reply(*.code))]
    Socks4Refused {
        /// The target, as it was sent to the proxy. A name requires SOCKS4a.
        target: Box<Endpoint>,
        /// The reply code, not 90.
        code: u8,
    },
    /// The proxy rejected the user name and password.
    #[error("rejected user '{user}': authentication failed{}", after_space(.text))]
    WrongPassword {
        /// The user name.
        user: String,
        /// The proxy's answer or a description of it, in parentheses. May be empty.
        text: String,
    },
    /// HTTP: the proxy rejected the `Proxy-Authorization` header that the user supplied.
    #[error("rejected the Proxy-Authorization header: authentication failed{}", after_space(.text))]
    WrongHeader {
        /// The proxy's answer, in parentheses.
        text: String,
    },
    /// The system returned no random bytes, which Digest needs for the client nonce.
    #[error("requires Digest authentication, and this system returned no random bytes for a nonce")]
    NoRandomness,
    /// HTTP: the proxy requires authentication but offers no scheme that we can use.
    #[error("requires {} (HTTP status {status})", authentication(.offered))]
    NoScheme {
        /// The offered schemes, in the proxy's order. May be empty.
        offered: Vec<UnusableScheme>,
        /// 401 or 407.
        status: u16,
    },
    /// HTTP: the final status is not 2xx, 401 or 407.
    #[error("refused to connect to {target}: {status}{}", after_space(.text))]
    HttpRefused {
        /// The target.
        target: Box<Endpoint>,
        /// The status code.
        status: u16,
        /// The reason phrase, the first line or the title of the body, and the destination of a
        /// redirect.
        text: String,
        /// `true` if the text says that the port expects HTTPS.
        expects_tls: bool,
        /// `true` if the request had a `User-Agent`.
        sent_user_agent: bool,
    },
    /// HTTP: the status is 2xx, but a web page follows.
    #[error("sent a web page instead of a tunnel to {target}: {status}{}", after_space(.text))]
    WebPage {
        /// The target.
        target: Box<Endpoint>,
        /// The status code.
        status: u16,
        /// The reason phrase and the title of the page.
        text: String,
    },
    /// WebSocket: the final status is not 101 or 401.
    #[error("did not open a WebSocket: {status}{}", after_space(.text))]
    NoWebSocket {
        /// The status code.
        status: u16,
        /// The reason phrase, the first line or the title of the body, and the destination of a
        /// redirect.
        text: String,
        /// `true` if the text says that the port expects HTTPS.
        expects_tls: bool,
    },
    /// WebSocket: the status is 101, but the response violates RFC 6455 §4.1.
    #[error("sent an invalid response to the WebSocket request: {0}")]
    BadUpgrade(BadUpgrade),
    /// The server rejected the token, or requires one: the status is 401.
    #[error("{}{}", if *.sent { "rejected the token" } else { "requires a token" }, after_colon(.text))]
    Token {
        /// `true` if the request had a token.
        sent: bool,
        /// The reason phrase and the first line of the body.
        text: String,
    },
    /// POST tunnel: the server refused it, or does not serve one.
    #[error("{0}")]
    Post(post::Failure),
    /// Link: the hub or the origin refused it, or it failed later.
    #[error("{0}")]
    Link(Box<link::Failure>),
    /// SSH: the connection, the login or the channel failed.
    #[cfg(feature = "ssh")]
    #[error("{0}")]
    Ssh(Box<super::ssh::Failure>),
    /// Telnet: a line reports a failure.
    #[error("refused to connect to {target}: {text}")]
    TelnetRefused {
        /// The target.
        target: Box<Endpoint>,
        /// The line.
        text: String,
    },
    /// Telnet: no line reported success or failure within this limit, in KiB.
    #[error("sent {0} KiB of text without reporting success or failure")]
    NoAnswerLine(usize),
    /// HTTP: the response does not start with an HTTP/1 status line.
    #[error("did not answer with HTTP: the response starts with '{start}'")]
    NotHttp {
        /// The start of the response.
        start: String,
        /// `true` if the response looks like a TLS alert.
        is_tls: bool,
    },
    /// HTTP: the response has a malformed header or chunked coding.
    #[error("sent a malformed HTTP response: {0}")]
    MalformedHttp(String),
    /// HTTP: the header exceeds this limit, in KiB.
    #[error("sent more than {0} KiB of HTTP header")]
    HeaderTooLong(usize),
    /// A field of the request is longer than the protocol allows.
    #[error("cannot carry this request: {what} is {length} bytes long, but {protocol} allows only {limit}")]
    TooLong {
        /// The name of the field.
        what: &'static str,
        /// The length of the field in bytes.
        length: usize,
        /// The protocol that sets the limit.
        protocol: &'static str,
        /// The maximum length in bytes.
        limit: usize,
    },
    /// The protocol cannot express part of the request.
    #[error("cannot carry this request: {0}")]
    NotEncodable(Unencodable),
}

/// A violation of RFC 6455 §4.1 by a response with status 101.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadUpgrade {
    /// A header field that the response must have.
    #[error("missing '{0}'")]
    Missing(&'static str),
    /// `Sec-WebSocket-Accept` does not fit our key.
    #[error("wrong Sec-WebSocket-Accept")]
    WrongAccept,
    /// The server has selected an extension, although none was offered.
    #[error("unexpected extension '{0}'")]
    Extension(String),
    /// The server has selected a subprotocol that was not offered.
    #[error("unexpected subprotocol '{0}'")]
    Subprotocol(String),
}

/// A SOCKS message that starts with a version number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SocksMessage {
    /// A SOCKS4 reply.
    #[error("SOCKS version 4")]
    Socks4,
    /// A SOCKS5 method selection or reply.
    #[error("SOCKS version 5")]
    Socks5,
}

/// A message that a negotiation waits for. Displayed after "waiting for" and "before sending".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Awaited {
    /// The reply to a SOCKS4 request.
    Socks4Reply,
    /// The SOCKS5 method selection.
    Socks5Method,
    /// The SOCKS5 user/password authentication status.
    Socks5Status,
    /// The reply to a SOCKS5 request.
    Socks5Reply,
    /// The reply to a SOCKS5 request that was sent together with the greeting (`--eager`).
    Socks5EagerReply,
    /// The first byte of the response to CONNECT.
    HttpResponse,
    /// The rest of the response to CONNECT.
    HttpResponseRest,
    /// The line in which a telnet-style proxy reports success.
    TelnetLine,
    /// The first byte of the response to the request for a WebSocket.
    WebSocketResponse,
    /// The rest of that response.
    WebSocketResponseRest,
    /// Another message, as a noun phrase.
    Message(&'static str),
}

impl Awaited {
    /// Returns the noun phrase that follows "waiting for" and "before sending".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Socks4Reply => "the reply to the SOCKS4 request",
            Self::Socks5Method => "the reply to the SOCKS5 greeting",
            Self::Socks5Status => "the reply to the user name and password",
            Self::Socks5Reply => "the reply to the SOCKS5 request",
            Self::Socks5EagerReply => "the reply to the SOCKS5 request, which was sent early (--eager)",
            Self::HttpResponse => "the response to CONNECT",
            Self::HttpResponseRest => "the rest of the response to CONNECT",
            Self::WebSocketResponse => "the response to the WebSocket request",
            Self::WebSocketResponseRest => "the rest of the response to the WebSocket request",
            Self::TelnetLine => "the line that reports success",
            Self::Message(what) => what,
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part of a request that a protocol cannot express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unencodable {
    /// Any protocol: an address with a zone (`fe80::1%eth0`).
    #[error("the zone of the address names an interface of this machine")]
    Zone,
    /// SOCKS4: an IPv6 address.
    #[error("SOCKS4 does not support IPv6 addresses")]
    Socks4Ipv6,
    /// SOCKS4: a user name that contains a NUL byte, which terminates the field.
    #[error("SOCKS4 does not allow a NUL byte in the user name")]
    Socks4Nul,
    /// SOCKS4: a password.
    #[error("SOCKS4 does not support passwords")]
    Socks4Password,
    /// SOCKS5: an empty user name.
    #[error("SOCKS5 does not allow an empty user name")]
    Socks5NoUser,
    /// Basic: a colon in the user name, which the server would take for the separator before the
    /// password.
    #[error("Basic authentication does not allow ':' in the user name (RFC 7617)")]
    BasicColon,
    /// Basic: a control character.
    #[error("Basic authentication does not allow control characters in the user name or password (RFC 7617)")]
    BasicControl,
    /// Digest: a control character in the user name.
    #[error("HTTP does not allow control characters in the user name")]
    DigestControl,
    /// WebSocket: the system returned no random bytes, which the request needs.
    #[error("this system returned no random bytes for the key of a WebSocket")]
    WebSocketKey,
    /// Telnet: a user name or password.
    #[error("telnet-style proxies do not support passwords")]
    TelnetPassword,
}

/// An authentication scheme that an HTTP proxy offers but we cannot use. Displayed as "NTLM" or
/// "Digest (unsupported algorithm SHA-1)", for example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableScheme {
    /// The name of the scheme, safe to print on a terminal.
    pub name: String,
    /// The reason, for messages.
    pub reason: Unusable,
}

/// The reason why an offered authentication scheme cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unusable {
    /// The scheme is not implemented.
    Unsupported,
    /// NTLM or Negotiate. A local proxy such as cntlm can handle it for us.
    NeedsRelay,
    /// The user's choice of schemes (`-a`) excludes it.
    NotAllowed,
    /// The challenge is malformed or asks for something unsupported; the text describes the
    /// problem.
    Challenge(String),
}

impl fmt::Display for UnusableScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Unusable::Unsupported | Unusable::NeedsRelay => f.write_str(&self.name),
            Unusable::NotAllowed => write!(f, "{} (excluded by -a)", self.name),
            Unusable::Challenge(why) => write!(f, "{} ({why})", self.name),
        }
    }
}

/// Maximum number of schemes to list in a message.
const MAX_SCHEMES: usize = 6;

fn authentication(offered: &[UnusableScheme]) -> String {
    if offered.is_empty() {
        return "authentication but offers no scheme".into();
    }
    format!("unsupported authentication: {}", listed(offered, MAX_SCHEMES))
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

fn after_space(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" {text}") }
}

/// Describes a SOCKS5 reply code: those of RFC 1928 §6, and those that Tor adds for onion services
/// (Tor proposal 304).
fn socks5_reply(code: u8) -> &'static str {
    match code {
        1 => "general proxy failure",
        2 => "connection not allowed by the proxy's rules",
        3 => "network unreachable from the proxy",
        4 => "host unreachable from the proxy, or the proxy cannot resolve its name",
        5 => "connection refused by the target",
        6 => "TTL expired between the proxy and the target",
        7 => "CONNECT command not supported",
        8 => "address type not supported",
        0xf0 => "the descriptor of the onion service was not found",
        0xf1 => "the descriptor of the onion service is invalid",
        0xf2 => "the introduction to the onion service failed",
        0xf3 => "the rendezvous with the onion service failed",
        0xf4 => "the onion service requires client authorization",
        0xf5 => "the onion service rejected the key for client authorization",
        0xf6 => "invalid onion service address",
        0xf7 => "the introduction to the onion service timed out",
        _ => "unknown reply code",
    }
}

/// Returns a SOCKS5 reply code as its specification writes it: Tor's codes are hexadecimal.
fn shown_reply(code: u8) -> String {
    if code < 0xf0 { code.to_string() } else { format!("0x{code:X}") }
}

/// Describes a SOCKS4 reply code.
fn socks4_reply(code: u8) -> &'static str {
    match code {
        91 => "request rejected or failed",
        92 => "the proxy cannot connect to identd on this machine",
        93 => "identd on this machine reports a different user name",
        _ => "unknown reply code",
    }
}

/// Checks that a field is no longer than `limit`.
pub(super) fn check_length(
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
