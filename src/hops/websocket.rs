//! A WebSocket as a transport for the tunnel (RFC 6455): its server selects the target.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::kind::{HopKind, Scheme, Settings, UseTls, host_field, token_fact};
use crate::addr::Endpoint;
use crate::codecs::websocket::{Role, WebSocket};
use crate::error::Error;
use crate::plan::{Dial, HopRequest, Protocol, TargetUse, Token};
use crate::proto::Negotiation;
use crate::proto::websocket::{HalfClose, Handshake, Request, wstunnel};
use crate::secret::masked_text;
use crate::stream::{Layered, Stream};
use crate::sys;

/// WebSocket.
#[derive(Debug)]
pub struct Kind;

/// A WebSocket server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The value of `Host`.
    pub host: String,
    /// The path and the query.
    pub path: Template,
    /// The server sends the rest of its data after our Close (`eof=close`).
    pub sends_after_close: bool,
    /// The server is wstunnel's, which gets the target in its own way (`dialect=wstunnel`).
    pub is_wstunnel: bool,
    /// The token to send.
    pub token: Option<Token>,
    /// The time without input before a Ping; `None` for no Pings.
    pub keep_alive: Option<Duration>,
}

/// A path and query in which `%h` and `%p` stand for the host and the port of the next hop or the
/// target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// Checks that each `%` is the start of `%h`, `%p` or two hexadecimal digits.
    fn parse(text: &str) -> Option<Self> {
        let is_valid = |rest: &str| {
            let mut digits = rest.chars().take(2).filter(char::is_ascii_hexdigit);
            rest.starts_with(['h', 'p']) || digits.by_ref().count() == 2
        };
        text.split('%').skip(1).all(is_valid).then(|| Self(text.to_owned()))
    }

    /// Returns `true` if the template contains this placeholder.
    fn contains(&self, placeholder: char) -> bool {
        self.0.split('%').skip(1).any(|rest| rest.starts_with(placeholder))
    }

    fn expand(&self, destination: &Endpoint) -> String {
        // Without brackets: the server takes the value as it is.
        let (host, port) = (destination.host.to_string(), destination.port.to_string());
        let mut expanded = String::with_capacity(self.0.len() + host.len());
        let mut parts = self.0.split('%');
        expanded += parts.next().unwrap_or_default();
        for part in parts {
            let value = match part.as_bytes().first() {
                Some(b'h') => percent_encoded(&host),
                Some(b'p') => percent_encoded(&port),
                _ => {
                    expanded.push('%');
                    expanded += part;
                    continue;
                }
            };
            expanded += &value;
            expanded += &part[1..];
        }
        expanded
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Encodes all characters except the unreserved ones (RFC 3986 §2.3).
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

impl HopKind for Kind {
    fn name(&self) -> &'static str {
        "WebSocket"
    }

    fn sends_token(&self) -> bool {
        true
    }

    fn schemes(&self) -> &'static [Scheme] {
        const SCHEMES: [Scheme; 2] =
            [Scheme::new("ws", 80).with_path(), Scheme::new("wss", 443).with_path().tls(UseTls::Always)];
        &SCHEMES
    }

    fn build(&self, scheme: &Scheme, settings: &mut dyn Settings) -> Result<Arc<dyn Protocol>, Error> {
        let path = Template::parse(settings.path()).ok_or_else(|| {
            settings.invalid("invalid '%' in the path; use %h, %p, or %25 for a '%'".into())
        })?;
        let sends_after_close = match settings.url_option("eof").as_deref() {
            None => false,
            Some("close") => true,
            Some(_) => return Err(settings.invalid("invalid eof= value; use close".into())),
        };
        let is_wstunnel = match settings.url_option("dialect").as_deref() {
            None => false,
            Some("wstunnel") => true,
            Some(_) => return Err(settings.invalid("invalid dialect= value; use wstunnel".into())),
        };
        let host = settings.address().map(|address| host_field(&address, scheme)).unwrap_or_default();
        let (token, keep_alive) = (settings.token()?, settings.keep_alive()?);
        Ok(Arc::new(Proxy { host, path, sends_after_close, is_wstunnel, token, keep_alive }))
    }
}

impl Protocol for Proxy {
    fn name(&self) -> &'static str {
        Kind.name()
    }

    fn relay_method(&self) -> &'static str {
        "WEBSOCKET (5)"
    }

    fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    fn bypass_parameters(&self) -> &'static [&'static str] {
        &["CONNECT_DIRECT"]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let at_eof = if self.sends_after_close { "sends Close" } else { "as the server supports it" };
        let mut facts = vec![
            ("path", masked_text(&self.path.0).into_owned()),
            token_fact(self.token.as_ref()),
            ("half-close", at_eof.into()),
        ];
        facts.extend(self.is_wstunnel.then(|| ("dialect", "wstunnel".into())));
        facts
    }

    fn leaves_bytes_alone(&self) -> bool {
        false
    }

    fn reports_ends(&self) -> bool {
        true
    }

    fn target_use(&self) -> TargetUse {
        let uses = |placeholder| self.is_wstunnel || self.path.contains(placeholder);
        TargetUse { host: uses('h'), port: uses('p') }
    }

    fn negotiation(&self, request: HopRequest<'_>) -> Box<dyn Negotiation> {
        let HopRequest { destination, token, redactor, .. } = request;
        let path = self.path.expand(&destination);
        let (path, subprotocols) = if self.is_wstunnel {
            // Without random bytes, the handshake fails before it sends this.
            let id = sys::random().unwrap_or_default();
            (wstunnel::path(&path), wstunnel::subprotocols(id, &destination))
        } else {
            (path, String::new())
        };
        let request = Request {
            host: self.host.clone(),
            path,
            token,
            subprotocols,
            needs_subprotocol: false,
            resumed_link: None,
            half_close: if self.sends_after_close { HalfClose::Ours } else { HalfClose::Neither },
        };
        Box::new(Handshake::new(request, sys::random, redactor))
    }

    fn establish(
        &self,
        negotiation: &mut dyn Negotiation,
        connection: Box<dyn Stream>,
        _: &dyn Fn() -> Arc<dyn Dial>,
    ) -> Box<dyn Stream> {
        let handshake = (negotiation as &mut dyn Any).downcast_ref::<Handshake>();
        let half_close = handshake.map_or(HalfClose::Neither, Handshake::half_close);
        let codec = WebSocket::new(Role::Client(sys::random), half_close);
        Box::new(Layered::new(connection, codec).with_keep_alive(self.keep_alive))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::addr::{Host, parse_port};

    fn endpoint(host: &str, port: &str) -> Endpoint {
        Endpoint { host: Host::parse(host).unwrap(), port: parse_port(port).unwrap() }
    }

    #[test]
    fn a_template_inserts_host_and_port() {
        for (template, host, expected) in [
            ("/", "host.example", "/"),
            ("/?h=%h&p=%p", "host.example", "/?h=host.example&p=22"),
            ("/%h/%h%p", "h", "/h/h22"),
            ("/%hx%2f%E4%25h", "h", "/hx%2f%E4%25h"),
            ("/%h", "2001:db8::1", "/2001%3Adb8%3A%3A1"),
            ("/%h", "192.0.2.1", "/192.0.2.1"),
        ] {
            let template = Template::parse(template).unwrap();
            assert_eq!(template.expand(&endpoint(host, "22")), expected, "{template}");
            assert_eq!(template.contains('p'), expected.contains("22"), "{template}");
        }
    }

    #[test]
    fn any_other_percent_sign_is_invalid() {
        for template in ["/%", "/%%", "/%x", "/%2", "/%2x", "/%h%", "/%a", "/%a%h", "/%H", "/%é"] {
            assert_eq!(Template::parse(template), None, "{template}");
        }
    }

    #[test]
    fn all_but_the_unreserved_characters_are_encoded() {
        assert_eq!(percent_encoded("aZ09-._~"), "aZ09-._~");
        assert_eq!(percent_encoded("a b/?#[]@!é%"), "a%20b%2F%3F%23%5B%5D%40%21%C3%A9%25");
    }

    #[test]
    fn the_host_field_has_no_default_port() {
        let scheme = |name| Kind.schemes().iter().find(|scheme| scheme.name == name).unwrap();
        for (host, port, name, expected) in [
            ("gw.example", "80", "ws", "gw.example"),
            ("gw.example", "443", "ws", "gw.example:443"),
            ("gw.example", "443", "wss", "gw.example"),
            ("2001:db8::1", "443", "wss", "[2001:db8::1]"),
            ("2001:db8::1", "80", "wss", "[2001:db8::1]:80"),
        ] {
            assert_eq!(host_field(&endpoint(host, port), scheme(name)), expected);
        }
    }
}
