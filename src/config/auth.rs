//! Which ways to authenticate may be used: methods of SOCKS5, and schemes of HTTP.

use super::sources::Sources;
use crate::cli::Args;
use crate::error::Error;
use crate::proto::{HttpScheme, Socks5Method};
use crate::secret;

/// What a list names, each kind in its order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    methods: Vec<Socks5Method>,
    schemes: Vec<HttpScheme>,
}

/// What a list is for: `-a` counts for proxies of both kinds, each of which looks for its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Socks5,
    Http,
    Both,
}

/// The methods to offer to a SOCKS5 proxy, if anything says so: its URL, `-a`, a parameter.
pub(super) fn methods(
    in_url: Option<&str>,
    source: &str,
    typed: &Args,
    sources: &Sources<'_>,
) -> Result<Option<Vec<Socks5Method>>, Error> {
    let named = named(in_url, source, Kind::Socks5, typed, sources)?;
    Ok(named.map(|named| named.methods))
}

/// The schemes that may be used with an HTTP proxy, if anything says so: its URL, `-a`, a parameter.
pub(super) fn schemes(
    in_url: Option<&str>,
    source: &str,
    typed: &Args,
    sources: &Sources<'_>,
) -> Result<Option<Vec<HttpScheme>>, Error> {
    let named = named(in_url, source, Kind::Http, typed, sources)?;
    Ok(named.map(|named| named.schemes))
}

fn named(
    in_url: Option<&str>,
    source: &str,
    kind: Kind,
    typed: &Args,
    sources: &Sources<'_>,
) -> Result<Option<Named>, Error> {
    if let Some(list) = in_url {
        // It is not repeated: it could be part of a password that was not encoded.
        return parse(list, source, kind).map(Some).map_err(|_| {
            let words = if kind == Kind::Http { "basic and digest" } else { "none and userpass" };
            Error::Config(format!("a proxy in {source}: auth= takes {words}, with %2C between them"))
        });
    }
    if let Some(list) = &typed.auth {
        let named = parse(list, "-a", Kind::Both)?;
        // Words for proxies of the other kind say nothing of this one.
        if !named.is_empty(kind) {
            sources.typed("-a", list);
            return Ok(Some(named));
        }
    }
    let name = if kind == Kind::Http { "HTTP_PROXY_AUTH" } else { "SOCKS5_AUTH" };
    let found = sources.first_named(&[name])?;
    found.map(|found| parse(&found.value, &found.source(), kind)).transpose()
}

impl Named {
    fn is_empty(&self, kind: Kind) -> bool {
        if kind == Kind::Http { self.schemes.is_empty() } else { self.methods.is_empty() }
    }
}

fn parse(list: &str, source: &str, kind: Kind) -> Result<Named, Error> {
    let mut named = Named::default();
    for word in list.split(',').map(|word| word.trim().to_ascii_lowercase()) {
        match word.as_str() {
            "none" if kind != Kind::Http => named.methods.push(Socks5Method::None),
            "userpass" if kind != Kind::Http => named.methods.push(Socks5Method::UserPass),
            "basic" if kind != Kind::Socks5 => named.schemes.push(HttpScheme::Basic),
            "digest" if kind != Kind::Socks5 => named.schemes.push(HttpScheme::Digest),
            other => return Err(complaint(other, source, kind)),
        }
    }
    Ok(named)
}

fn complaint(word: &str, source: &str, kind: Kind) -> Error {
    let takes = match kind {
        Kind::Socks5 => "none and userpass",
        Kind::Http => "basic and digest",
        Kind::Both => "none and userpass for SOCKS5, basic and digest for HTTP",
    };
    Error::Config(match word {
        "gssapi" | "chap" | "negotiate" | "ntlm" => {
            let use_these = takes.replace(" and ", " or ");
            format!("{source} names {word}, which we cannot carry out; use {use_these}")
        }
        other => format!("{source} takes {takes}, not '{}'", secret::masked(other)),
    })
}
