//! Routes: chains of proxies by their URLs, and what to try when one does not lead to the target.
//!
//! `socks5://a,http://b | http://c | direct`: through `a` and then `b`; else through `c`; else directly.

use super::hop::{self, login, parse_resolve};
use super::query::Query;
use super::sources::Sources;
use super::spec::{self, Spec};
use super::{auth, bypass, request, tls};
use crate::cli::Args;
use crate::error::Error;
use crate::plan::{Bypass, Hop, Login, Protocol, Resolve, Route};
use crate::proto::TELNET_COMMAND;
use crate::secret;

/// The most hops of a route: who names more has made a loop.
const MAX_HOPS: usize = 16;

/// The way through no proxy.
pub(super) fn direct(typed: &Args) -> Result<Route, Error> {
    Ok(Route { name_server: resolve_typed(typed)?.and_then(Resolve::server), ..Route::default() })
}

/// The way through these proxies. What counts for targets that need none is said for the kind of the last one.
pub(super) fn through(hops: Vec<Hop>, typed: &Args, sources: &Sources<'_>) -> Result<Route, Error> {
    let Some(Hop { protocol, .. }) = hops.last() else { return direct(typed) };
    let name_server = protocol.resolve().or(resolve_typed(typed)?).and_then(Resolve::server);
    Ok(Route { bypass: bypass(protocol, typed, sources)?, name_server, hops })
}

/// The routes that `words`, which come from `source`, describe: a `|` stands between routes, a comma between hops.
pub(super) fn routes(
    words: &str,
    source: &str,
    typed: &Args,
    sources: &Sources<'_>,
) -> Result<Vec<Route>, Error> {
    let each = words.split(['|', ',']).map(str::trim);
    // What has none may be the rest of a password with a comma in it, which must not end up in a message.
    if each.clone().count() > 1
        && each.clone().any(|word| !is_direct(word) && !word.is_empty() && !has_scheme(word))
    {
        return Err(Error::Config(format!(
            "the proxies in {source}: each of several has its scheme, as in socks5://HOST; a comma in a user name or \
             password is written %2C, and a bar %7C"
        )));
    }
    words.split('|').map(|words| route(words, source, typed, sources)).collect()
}

fn has_scheme(word: &str) -> bool {
    secret::after_scheme(word.as_bytes()) > 0
}

fn route(words: &str, source: &str, typed: &Args, sources: &Sources<'_>) -> Result<Route, Error> {
    let wrong = |what: &str| Err(Error::Config(format!("the proxies in {source}: {what}")));
    let words: Vec<_> = words.split(',').map(str::trim).collect();
    let alone = words.len() == 1;
    if words.contains(&"") {
        return wrong("one is missing before, between or behind commas and bars");
    }
    if words.iter().any(|word| is_direct(word)) {
        return if alone {
            direct(typed)
        } else {
            wrong("direct is a way of its own: write it behind a '|', and not among proxies")
        };
    }
    if words.len() > MAX_HOPS {
        return wrong(&format!("there are {} in a row, and {MAX_HOPS} are allowed", words.len()));
    }
    let hops = words.iter().map(|word| by_url(word, alone, source, typed, sources));
    through(hops.collect::<Result<_, _>>()?, typed, sources)
}

/// The proxy that a URL names. In a chain of several, what variables say of all proxies counts only for those whose
/// user is named: no proxy is given the password of another.
fn by_url(word: &str, alone: bool, source: &str, typed: &Args, sources: &Sources<'_>) -> Result<Hop, Error> {
    let mut spec = Spec::parse(word, source, &spec::ANY)?;
    let scheme = spec.scheme.unwrap_or("http");
    let has_tls = scheme == "https" || scheme.ends_with("+tls");
    let tls = has_tls.then(|| tls::settings(&mut spec.query, typed, sources)).transpose()?;
    let bare = scheme.trim_end_matches("+tls");
    let general = (alone || spec.user.is_some()).then_some(sources);
    let (port, protocol) = match bare {
        "socks4" | "socks4a" => {
            let resolve = resolve(&mut spec.query, bare, source, typed)?;
            let Login { user, .. } = login(&mut spec, &hop::SOCKS4, typed, general)?;
            (1080, Protocol::Socks4 { user, resolve })
        }
        "socks" | "socks5" | "socks5h" => {
            let resolve = resolve(&mut spec.query, bare, source, typed)?;
            let auth = spec.query.take("auth");
            let methods = auth::methods(auth.as_deref(), source, typed, sources)?;
            (
                1080,
                Protocol::Socks5 { resolve, methods, login: login(&mut spec, &hop::SOCKS5, typed, general)? },
            )
        }
        "telnet" => {
            let command = spec.query.take("command").or_else(|| typed.telnet_command.clone());
            let command = command.unwrap_or_else(|| TELNET_COMMAND.into());
            let Login { user, .. } = login(&mut spec, &hop::TELNET, typed, general)?;
            (23, Protocol::Telnet { command, user })
        }
        _ => {
            let auth = spec.query.take("auth");
            let settings = request::settings(auth.as_deref(), source, typed, sources)?;
            (
                if has_tls { 443 } else { 80 },
                Protocol::Http { login: login(&mut spec, &hop::HTTP, typed, general)?, settings },
            )
        }
    };
    spec.query.finish(source, scheme)?;
    Ok(Hop { proxy: spec.endpoint(port)?, protocol, tls })
}

/// A value is not repeated: it could be part of a password that was not encoded.
fn bad_value(known: &str, source: &str) -> Error {
    Error::Config(format!("a proxy in {source}: {known}"))
}

/// Who resolves the name of what comes behind a SOCKS proxy: its URL says so, or `-R`, or the scheme, as for curl.
fn resolve(query: &mut Query, scheme: &str, source: &str, typed: &Args) -> Result<Resolve, Error> {
    if let Some(word) = query.take("resolve") {
        let known = "resolve= takes local, remote, both or the address of a name server";
        return parse_resolve(&word, source).map_err(|_| bad_value(known, source));
    }
    Ok(resolve_typed(typed)?.unwrap_or(match scheme {
        "socks4" => Resolve::LocalFirst,
        "socks5" => Resolve::Both,
        _ => Resolve::Remote,
    }))
}

fn resolve_typed(typed: &Args) -> Result<Option<Resolve>, Error> {
    typed.resolve.as_deref().map(|word| parse_resolve(word, "-R")).transpose()
}

fn is_direct(word: &str) -> bool {
    ["direct", "direct:", "direct://"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// The direct list: that of the protocol, or the one for all; then what `no_proxy` adds.
fn bypass(protocol: &Protocol, typed: &Args, sources: &Sources<'_>) -> Result<Bypass, Error> {
    let names: &[&str] = match protocol {
        Protocol::Socks4 { .. } => &["SOCKS4_DIRECT", "SOCKS_DIRECT", "CONNECT_DIRECT"],
        Protocol::Socks5 { .. } => &["SOCKS5_DIRECT", "SOCKS_DIRECT", "CONNECT_DIRECT"],
        Protocol::Http { .. } => &["HTTP_DIRECT", "CONNECT_DIRECT"],
        Protocol::Telnet { .. } => &["CONNECT_DIRECT"],
    };
    let list = sources.first_named(names)?;
    let list = list.map(|found| bypass::parse(&found.value, &found.source(), sources.warn()));
    let no_proxy = sources.first(&["no_proxy", "NO_PROXY"])?;
    let no_proxy = no_proxy.map(|words| bypass::parse_no_proxy(&words));
    let (list, no_proxy) = (list.unwrap_or_default(), no_proxy.unwrap_or_default());
    Ok(Bypass { list, no_proxy, own_networks: typed.own_networks })
}
