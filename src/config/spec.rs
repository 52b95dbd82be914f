//! Where a proxy is and who we are to it: `[scheme://][user[:password]@]host[:port][/…][?…]`.

use super::query::Query;
use crate::addr::{Endpoint, Host, Port, parse_port, split_port};
use crate::error::Error;
use crate::secret::{self, Secret};

/// The schemes that a specification may name, depending on the option it is for.
pub(super) struct Kind {
    schemes: &'static [&'static str],
    /// What to say to the others.
    advice: &'static str,
    /// Whether a `?` begins options, rather than being dropped with the path.
    has_query: bool,
}

/// For `-H` and `-h`.
pub(super) const HTTP: Kind =
    Kind { schemes: &["http", "https"], advice: "use -S or -s for a SOCKS proxy", has_query: false };
/// For `-S` and `-s`.
pub(super) const SOCKS: Kind = Kind {
    schemes: &["socks", "socks4", "socks4a", "socks5", "socks5h"],
    advice: "use -H or -h for an HTTP proxy",
    has_query: false,
};

/// For `-T` and `-t`.
pub(super) const TELNET: Kind =
    Kind { schemes: &["telnet"], advice: "use -S for a SOCKS proxy, -H for an HTTP proxy", has_query: false };

/// For `-x` and `CONNECT_PROXY`.
pub(super) const ANY: Kind = Kind {
    schemes: &[
        "http",
        "https",
        "socks",
        "socks4",
        "socks4a",
        "socks5",
        "socks5h",
        "telnet",
        "socks+tls",
        "socks4+tls",
        "socks4a+tls",
        "socks5+tls",
        "socks5h+tls",
        "telnet+tls",
    ],
    advice: "known are http, https, socks4, socks4a, socks5, socks5h and telnet, with +tls behind the last five, and \
             direct",
    has_query: true,
};

impl Kind {
    /// Whether a word begins with one of the schemes.
    pub(super) fn has_scheme_of(&self, word: &str) -> bool {
        split_scheme(word).0.is_some_and(|scheme| self.find(scheme).is_some())
    }

    fn find(&self, scheme: &str) -> Option<&'static str> {
        self.schemes.iter().find(|known| known.eq_ignore_ascii_case(scheme)).copied()
    }
}

/// A proxy's specification, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) scheme: Option<&'static str>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) query: Query,
    pub(super) host: Host,
    port: Option<Port>,
}

impl Spec {
    /// Takes a word apart that came from `source`, an option or a variable.
    ///
    /// With a scheme it is a URL: user and password are percent-decoded, and a path is dropped. Without one they are
    /// taken as they stand. The last `@` ends them, so a user name may hold one. No error shows them.
    pub(super) fn parse(word: &str, source: &str, kind: &Kind) -> Result<Self, Error> {
        let complain = |what: String| Error::Config(format!("the proxy in {source}: {what}"));
        let (named, rest) = split_scheme(word);
        let scheme = named.and_then(|scheme| kind.find(scheme));
        if let (Some(named), None) = (named, scheme) {
            return Err(complain(format!("its scheme '{named}' is of another kind; {}", kind.advice)));
        }
        let is_url = scheme.is_some() || kind.has_query;
        let (rest, query) = match rest.split_once('?') {
            Some((_, query)) if kind.has_query && query.contains('@') => {
                return Err(complain(
                    "a '?' in a user name or password is written %3F, and an '@' behind it %40".into(),
                ));
            }
            Some((rest, query)) if kind.has_query => (rest, Query::parse(query).map_err(complain)?),
            _ => (rest, Query::default()),
        };
        let rest = match rest.split_once('/') {
            // What stands before the '/' is not repeated: it could be the start of a password.
            Some((_, path)) if is_url && path.contains('@') => {
                return Err(complain("a '/' in a URL's user name or password is written %2F".into()));
            }
            Some((authority, _)) if is_url => authority,
            _ => rest,
        };
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, rest),
        };
        let (host, port) = split_port(before_slash(address));
        // In a chain it could be part of a password with a comma in it.
        let repeats = !kind.has_query;
        let host = Host::parse(host).map_err(|error| {
            complain(if repeats { error.to_string() } else { "what should be its host is none".into() })
        })?;
        let port = match port {
            None => None,
            Some(port) => Some(parse_port(port).ok_or_else(|| {
                complain(format!(
                    "{} is not a port from 1 to 65535",
                    if repeats { format!("'{port}'") } else { "what stands behind its ':'".into() }
                ))
            })?),
        };
        let (user, password) = match login.map(|login| (login, login.split_once(':'))) {
            None => (None, None),
            Some((user, None)) => (Some(user), None),
            Some((_, Some((user, password)))) => (Some(user), Some(password)),
        };
        let decode = |text: &str| if is_url { percent_decoded(text) } else { text.as_bytes().to_vec() };
        let user = user
            .map(|user| String::from_utf8(decode(user)))
            .transpose()
            .map_err(|_| complain("its user name is not UTF-8".into()))?;
        let password = password.map(|password| Secret::new(decode(password)));
        Ok(Self { scheme, user, password, query, host, port })
    }

    /// Where the proxy is, with this port if none is named.
    pub(super) fn endpoint(&self, default: u16) -> Result<Endpoint, Error> {
        let port = self.port.or(Port::new(default));
        let port = port.ok_or_else(|| Error::Config(format!("no port given for {}", self.host)))?;
        Ok(Endpoint { host: self.host.clone(), port })
    }
}

/// The scheme of a URL, and what follows it.
fn split_scheme(word: &str) -> (Option<&str>, &str) {
    match secret::after_scheme(word.as_bytes()) {
        0 => (None, word),
        rest => (Some(&word[..rest - "://".len()]), &word[rest..]),
    }
}

fn before_slash(text: &str) -> &str {
    text.split('/').next().unwrap_or_default()
}

/// `%XX` becomes its byte; a `%` without two hexadecimal digits stands for itself (RFC 3986 §2.1).
pub(super) fn percent_decoded(text: &str) -> Vec<u8> {
    // As long as the text at most: growing would leave a copy of a password behind.
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let byte = match after {
            [high, low, ..] if *first == b'%' => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        bytes.push(byte.map_or(*first, |(high, low)| high << 4 | low));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    bytes
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests;
