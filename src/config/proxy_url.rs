//! Proxy URLs: `[scheme://][user[:password]@]host[:port][/…][?…]`, or `unix:/path` instead of host
//! and port. With some schemes: `scheme://host[:port][/path][?query][#…]`.

use std::borrow::Cow;
use std::path::PathBuf;

use super::scheme::{Selection, Syntax};
use super::setting::{REMOVE_QUOTES, quoted};
use crate::addr::{AddrError, Endpoint, Host, Port, parse_port, split_port};
use crate::error::Error;
use crate::parameters::{self, Kind};
use crate::plan::Target;
use crate::secret::{self, Secret, UserName, percent_decoded};
use crate::text::reorders_or_hides;

/// A proxy's URL, split into its parts. The scheme is optional in the URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProxyUrl {
    /// The option or variable that holds the URL, for error messages.
    pub(super) source: String,
    pub(super) syntax: Syntax,
    pub(super) selection: Selection,
    pub(super) user: Option<UserName>,
    pub(super) password: Option<Secret>,
    address: Address,
    /// The path and the query, for a scheme whose server gets them.
    pub(super) path: String,
    /// The options of the hop.
    pub(super) query: Query,
}

/// The address in a proxy's URL.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    Tcp { host: Host, port: Option<Port> },
    Unix(PathBuf),
}

/// The error for an `@` after `unix:/`, which may end a password or be part of the path.
const UNENCODED_AT: &str = "unencoded '@' after 'unix:'; write a URL, with %40 for an '@' in the path, \
    or with %2F for a '/' in a password";

impl ProxyUrl {
    /// Parses the value of `source`, an option or a variable.
    ///
    /// With a scheme, or with `Syntax::Url`, the user and password are percent-decoded. Otherwise
    /// they are taken literally and may contain a `/`. In both cases, the host begins after the
    /// last `@`, so a user name may contain an `@`. A path after the host is dropped, except that
    /// of `localhost` with a SOCKS scheme: curl treats that as the path of a socket.
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid URL. The message never contains the user or the password.
    pub(super) fn parse(text: &[u8], source: &str, syntax: Syntax) -> Result<Self, Error> {
        let invalid = |what: String| Error::Config(format!("invalid proxy in {source}: {what}"));
        let text = text.trim_ascii();
        if quoted(text).is_some() {
            return Err(invalid(REMOVE_QUOTES.into()));
        }
        let has_query = syntax == Syntax::Url;
        let (scheme_name, rest) = split_scheme_or_socket(text);
        let selection = scheme_name.as_deref().and_then(|name| syntax.find(name));
        if let (Some(name), None) = (scheme_name, selection) {
            return Err(invalid(format!("unexpected scheme '{name}'; {}", syntax.advice())));
        }
        if let Some(selection) = selection.filter(|selection| selection.scheme.has_path) {
            return Self::with_path(rest, source, syntax, selection).map_err(invalid);
        }
        let is_url = selection.is_some() || has_query;
        let (rest, query) = match split_once(rest, b'?') {
            Some((_, query)) if has_query && query.contains(&b'@') => {
                return Err(invalid(
                    "unencoded '?' or '@' in the user name or password; write %3F for '?' and %40 for '@'"
                        .into(),
                ));
            }
            Some((rest, query)) if has_query => (rest, Query::parse(query).map_err(invalid)?),
            _ => (rest, Query::default()),
        };
        let selection = selection.unwrap_or_else(|| syntax.default_scheme());
        let (login, address) = match split_socket(rest, is_url, selection.is_socks()) {
            _ if rest.starts_with(b"unix:/") && rest.contains(&b'@') => {
                return Err(invalid(UNENCODED_AT.into()));
            }
            Some((_, path)) if path.contains(&b'@') => return Err(invalid(UNENCODED_AT.into())),
            Some((login, path)) => (login, Address::Unix(socket_path(path, is_url).map_err(invalid)?)),
            None => {
                let (login, address) = split_login(rest, is_url).map_err(invalid)?;
                let has_password = login.is_some_and(|login| login.contains(&b':'));
                (login, tcp_address(address, is_url, has_query, has_password).map_err(invalid)?)
            }
        };
        let (user, password) = match login.map(|login| (login, split_once(login, b':'))) {
            None => (None, None),
            Some((user, None)) => (Some(user), None),
            Some((_, Some((user, password)))) => (Some(user), Some(password)),
        };
        let decode = |text: &[u8]| if is_url { percent_decoded(text) } else { text.to_vec() };
        let user = user.map(|user| UserName::new(decode(user)));
        let password = password.map(|password| Secret::new(decode(password)));
        Ok(Self {
            source: source.to_owned(),
            syntax,
            selection,
            user,
            password,
            address,
            path: String::new(),
            query,
        })
    }

    /// Parses the part after `://` of a URL whose path and query are for the server. It has no user
    /// name or password, and its options follow `#`.
    fn with_path(text: &[u8], source: &str, syntax: Syntax, selection: Selection) -> Result<Self, String> {
        let (url, options) = split_once(text, b'#').unwrap_or((text, b""));
        if url.contains(&b'@') {
            return Err(format!(
                "user name or password in a {}:// URL; use --token-file FILE, and write %40 for an '@' in the path",
                selection.name()
            ));
        }
        let end = url.iter().position(|byte| b"/?".contains(byte)).unwrap_or(url.len());
        let (authority, path) = url.split_at(end);
        // A URL contains only visible ASCII characters (RFC 3986 §2).
        if !path.iter().all(u8::is_ascii_graphic) {
            return Err("invalid character in the path; percent-encode it".into());
        }
        let path = String::from_utf8_lossy(path);
        Ok(Self {
            source: source.to_owned(),
            syntax,
            selection,
            user: None,
            password: None,
            address: tcp_address(authority, true, true, false)?,
            path: if path.starts_with('/') { path.into_owned() } else { format!("/{path}") },
            query: Query::parse(options)?,
        })
    }

    /// Returns the proxy's address, with the scheme's default port if the URL has none.
    pub(super) fn target(&self) -> Target {
        match &self.address {
            Address::Tcp { host, port } => Target::Tcp(Endpoint {
                host: host.clone(),
                port: port.unwrap_or(self.selection.default_port()),
            }),
            Address::Unix(path) => Target::Unix(path.clone()),
        }
    }

    /// Returns `true` if the URL names a port.
    #[cfg(feature = "ssh")]
    pub(super) fn has_port(&self) -> bool {
        matches!(self.address, Address::Tcp { port: Some(_), .. })
    }

    /// Replaces the address.
    #[cfg(feature = "ssh")]
    pub(super) fn set_address(&mut self, host: Host, port: Port) {
        self.address = Address::Tcp { host, port: Some(port) };
    }

    /// Returns `true` if the proxy is at a UNIX-domain socket.
    pub(super) fn is_socket(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }

    /// Fails if the query contains an option that no part of the configuration has taken.
    pub(super) fn expect_no_more_options(&self) -> Result<(), Error> {
        let Some((name, value)) = self.query.pairs.first() else { return Ok(()) };
        let known = match self.query.known.as_slice() {
            [] => "it has no options".to_owned(),
            known => format!("use {}", known.join(", ")),
        };
        // Quote names only: other text may be the end of a password that contains a '?'.
        let is_name = value.is_some()
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let separator = if self.selection.scheme.has_path { '#' } else { '?' };
        let name = if is_name { format!(" '{name}'") } else { format!(" after '{separator}'") };
        Err(Error::Config(format!(
            "invalid proxy in {}: unknown option{name} for {}://; {known}",
            self.source,
            self.selection.name()
        )))
    }
}

/// Splits a proxy at a UNIX-domain socket into the login, if it has one, and the path. Returns
/// `None` for a proxy with a host.
fn split_socket(rest: &[u8], is_url: bool, is_socks: bool) -> Option<(Option<&[u8]>, &[u8])> {
    let slash = rest.iter().position(|&byte| byte == b'/').filter(|_| is_url);
    let end = slash.unwrap_or(rest.len());
    let start = rest[..end].iter().rposition(|&byte| byte == b'@').map_or(0, |at| at + 1);
    let login = rest[..start].strip_suffix(b"@");
    if is_url && is_socks && rest[start..end].eq_ignore_ascii_case(b"localhost") && rest.len() > end + 1 {
        return Some((login, &rest[end..]));
    }
    let path = rest[start..].strip_prefix(b"unix:")?;
    let is_encoded = || is_url && path.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"%2F"));
    (path.starts_with(b"/") || is_encoded()).then_some((login, path))
}

/// Returns the path of a socket.
fn socket_path(path: &[u8], is_url: bool) -> Result<PathBuf, String> {
    let decoded = if is_url { percent_decoded(path) } else { path.to_vec() };
    let path = String::from_utf8(decoded).map_err(|_| "the path after 'unix:' is not UTF-8".to_owned())?;
    if path.chars().any(|c| c.is_control() || reorders_or_hides(c)) {
        return Err("the path after 'unix:' contains control characters".into());
    }
    match path.trim_start_matches('/') {
        "" => Err("missing path after 'unix:'".into()),
        relative => Ok(format!("/{relative}").into()),
    }
}

/// Splits a proxy with a host into the login, if it has one, and the host with its port.
fn split_login(rest: &[u8], is_url: bool) -> Result<(Option<&[u8]>, &[u8]), String> {
    let rest = match split_once(rest, b'/') {
        // Do not quote the text before the '/': it may be the start of a password.
        Some((_, path)) if is_url && path.contains(&b'@') => {
            return Err("unencoded '/' in the user name or password; write %2F".into());
        }
        Some((authority, _)) if is_url => authority,
        _ => rest,
    };
    Ok(match rest.iter().rposition(|&byte| byte == b'@') {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    })
}

/// Parses a host with an optional port. Errors do not quote text that may be the rest of a
/// password: one with a comma in a chain, or one with an `@` elsewhere.
fn tcp_address(address: &[u8], is_url: bool, is_chain: bool, has_password: bool) -> Result<Address, String> {
    let address = split_once(address, b'/').map_or(address, |(address, _)| address);
    // Only user and password may have another encoding.
    let address = str::from_utf8(address).map_err(|_| "invalid host name: not UTF-8".to_owned())?;
    let (host, port) = split_port(address);
    let decoded = is_url.then(|| decoded_zone(host)).flatten();
    let host = decoded.as_deref().unwrap_or(host);
    let host = Host::parse(host).map_err(|error| match error {
        AddrError::BadCharacter { .. } | AddrError::BadBrackets(_) | AddrError::NotInternational(_)
            if has_password =>
        {
            "invalid host name".to_owned()
        }
        _ if is_chain => "invalid host name".into(),
        error => error.to_string(),
    })?;
    let parse = |port| {
        parse_port(port).ok_or_else(|| {
            if address.starts_with("unix:") && !is_chain && !has_password {
                return "the path after 'unix:' must begin with '/'".to_owned();
            }
            // Without an `@`, `user:password` looks like a host and a port.
            let port = secret::quotable_number(port).filter(|_| !is_chain);
            let port = port.map(|port| format!(" '{port}'")).unwrap_or_default();
            format!("invalid port{port}; use a number from 1 to 65535")
        })
    };
    Ok(Address::Tcp { host, port: port.map(parse).transpose()? })
}

/// Returns `true` if one of these URLs names a UNIX-domain socket.
pub(super) fn names_socket(urls: &[u8]) -> bool {
    urls.split(|byte| b",|".contains(byte)).any(|url| {
        let (scheme, rest) = split_scheme_or_socket(url.trim_ascii());
        let is_socks = scheme.is_none_or(|scheme| scheme.to_ascii_lowercase().starts_with("socks"));
        // The syntax depends on the option that uses the value, so try all of them.
        let without_query = split_once(rest, b'?').map_or(rest, |(rest, _)| rest);
        let is_socket =
            |is_url| [rest, without_query].iter().any(|rest| split_socket(rest, is_url, is_socks).is_some());
        is_socket(true) || is_socket(false)
    })
}

/// Returns `true` if the text begins with a scheme that `syntax` allows. Looks inside quotes, too,
/// which [`ProxyUrl::parse`] reports.
pub(super) fn has_scheme(text: &[u8], syntax: Syntax) -> bool {
    split_scheme(quoted(text).unwrap_or(text)).0.is_some_and(|name| syntax.find(&name).is_some())
}

/// Returns `true` if the path and the query of this URL are for the server.
fn has_path(url: &[u8]) -> bool {
    let name = split_scheme(url.trim_ascii()).0;
    name.and_then(|name| Syntax::Url.find(&name)).is_some_and(|selection| selection.scheme.has_path)
}

/// Removes the options whose values are paths from a chain of URLs, and passes the name of each to
/// `removed`.
pub(super) fn without_paths<'a>(urls: &'a [u8], removed: &dyn Fn(&str)) -> Cow<'a, [u8]> {
    let is_kept = |pair: &&[u8]| {
        let name = percent_decoded(split_once(pair, b'=').map_or(*pair, |(name, _)| name));
        let is_path = parameters::url_option(&name) == Some(Kind::Path);
        if is_path {
            removed(&String::from_utf8_lossy(&name));
        }
        !is_path
    };
    let is_separator = |byte: &u8| b",|".contains(byte);
    let mut kept = Vec::with_capacity(urls.len());
    for url in urls.split_inclusive(is_separator) {
        let (url, separator) = match url {
            [url @ .., separator] if is_separator(separator) => (url, std::slice::from_ref(separator)),
            url => (url, &[][..]),
        };
        let separator_of_options = if has_path(url) { b'#' } else { b'?' };
        match split_once(url, separator_of_options) {
            // A query cannot contain an `@`, so this is the rest of a password.
            Some((start, query)) if separator_of_options == b'#' || !query.contains(&b'@') => {
                let pairs: Vec<_> = query.split(|&byte| byte == b'&').filter(is_kept).collect();
                kept.extend([start, &[separator_of_options], &pairs.join(&b'&')].concat());
            }
            _ => kept.extend(url),
        }
        kept.extend(separator);
    }
    if kept == urls { urls.into() } else { kept.into() }
}

/// The options of a hop in its URL: the query, or the part after `#` if the server gets the query,
/// as `name=value&name=value`, percent-decoded.
///
/// Each submodule of `config` removes the options that it handles with [`take`](Query::take).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// Names and values, with `None` for a name without `=`.
    pairs: Vec<(String, Option<Secret>)>,
    /// The names that were passed to [`Query::take_all`].
    known: Vec<&'static str>,
}

impl Query {
    fn parse(text: &[u8]) -> Result<Self, String> {
        let decoded = |part: &[u8]| String::from_utf8(percent_decoded(part));
        let pair = |pair: &[u8]| {
            let mut parts = pair.splitn(2, |&byte| byte == b'=').map(decoded);
            let name = parts.next().unwrap_or_else(|| Ok(String::new()));
            let value = parts.next().transpose();
            let value = value.map(|value| value.map(|text| Secret::new(text.into_bytes())));
            name.ok().zip(value.ok()).ok_or_else(|| "an option is not UTF-8".to_owned())
        };
        let pairs = text.split(|&byte| byte == b'&').filter(|part| !part.is_empty());
        let pairs = pairs.map(pair).collect::<Result<_, _>>()?;
        Ok(Self { pairs, known: Vec::new() })
    }

    /// Removes an option and returns its value, which is empty for a name without `=`.
    ///
    /// If the option is repeated, returns the last value. `None` means that the option is absent.
    pub(super) fn take(&mut self, name: &'static str) -> Option<String> {
        let value = self.take_all(name).pop()?;
        Some(String::from_utf8_lossy(value.expose()).into_owned())
    }

    /// Returns `true` if the option is present.
    pub(super) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(known, _)| known == name)
    }

    /// Removes an option that may be repeated, and returns its values.
    pub(super) fn take_all(&mut self, name: &'static str) -> Vec<Secret> {
        debug_assert!(parameters::url_option(name.as_bytes()).is_some(), "{name} is not in the table");
        self.known.push(name);
        let taken = self.pairs.extract_if(.., |(known, _)| known == name);
        taken.map(|(_, value)| value.unwrap_or_else(|| Secret::from(""))).collect()
    }
}

/// Splits a URL into its scheme, if it has one, and the rest.
fn split_scheme(text: &[u8]) -> (Option<Cow<'_, str>>, &[u8]) {
    match secret::after_scheme(text) {
        0 => (None, text),
        rest => (Some(String::from_utf8_lossy(&text[..rest - "://".len()])), &text[rest..]),
    }
}

/// Splits off the scheme as [`split_scheme`] does, but finds none in `unix:/PATH`, even if the path
/// contains `://`.
fn split_scheme_or_socket(text: &[u8]) -> (Option<Cow<'_, str>>, &[u8]) {
    if text.starts_with(b"unix:/") { (None, text) } else { split_scheme(text) }
}

/// Decodes the `%25` before the zone of an address in a URL (RFC 6874). Returns `None` if there is
/// none, or if it is a plain `%` before the zone 25.
fn decoded_zone(host: &str) -> Option<String> {
    let (address, zone) = host.strip_prefix('[')?.split_once("%25")?;
    (zone != "]").then(|| format!("[{address}%{zone}"))
}

/// Splits a text at the first occurrence of a byte.
fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == separator)?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests;
