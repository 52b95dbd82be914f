//! The allowed authentication methods: SOCKS5 methods and HTTP schemes.

use super::proxy_url::ProxyUrl;
use super::sources::Sources;
use crate::cli::Args;
use crate::error::Error;
use crate::proto::{HttpScheme, Socks5Method};
use crate::secret;

/// A parsed list such as `none,userpass,digest`, grouped by kind of proxy.
#[derive(Debug, Default, PartialEq, Eq)]
struct MethodList {
    socks5: Vec<Socks5Method>,
    http: Vec<HttpScheme>,
}

/// The kinds of proxies that a list applies to. `-a` applies to both.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Socks5,
    Http,
    Both,
}

/// Returns the methods to offer to a SOCKS5 proxy; `None` if no URL, option or parameter sets them.
pub(super) fn methods(
    url: &mut ProxyUrl,
    args: &Args,
    sources: &Sources<'_>,
) -> Result<Option<Vec<Socks5Method>>, Error> {
    Ok(list(url, Scope::Socks5, args, sources)?.map(|list| list.socks5))
}

/// Returns the schemes allowed with an HTTP proxy; `None` if no URL, option or parameter sets them.
pub(super) fn schemes(
    url: &mut ProxyUrl,
    args: &Args,
    sources: &Sources<'_>,
) -> Result<Option<Vec<HttpScheme>>, Error> {
    Ok(list(url, Scope::Http, args, sources)?.map(|list| list.http))
}

fn list(
    url: &mut ProxyUrl,
    scope: Scope,
    args: &Args,
    sources: &Sources<'_>,
) -> Result<Option<MethodList>, Error> {
    if let Some(text) = url.query.take("auth") {
        // Do not quote the value: it may be part of a password that was not percent-encoded.
        return MethodList::parse(&text, "auth=", scope).map(Some).map_err(|_| {
            let (source, known) = (&url.source, scope.known());
            Error::Config(format!(
                "invalid proxy in {source}: invalid auth= value; use {known}; separate several with %2C"
            ))
        });
    }
    if let Some(text) = &args.auth {
        let list = MethodList::parse(text, "-a", Scope::Both)?;
        // A list that names only methods for the other kind of proxy does not restrict this one.
        if !list.is_empty(scope) {
            sources.option("-a", text);
            return Ok(Some(list));
        }
    }
    let parameter = if scope == Scope::Http { "HTTP_PROXY_AUTH" } else { "SOCKS5_AUTH" };
    let setting = sources.first(&[parameter])?;
    setting.map(|setting| MethodList::parse(&setting.value, &setting.source(), scope)).transpose()
}

impl Scope {
    fn known(self) -> &'static str {
        match self {
            Self::Socks5 => "none or userpass",
            Self::Http => "basic or digest",
            Self::Both => "none or userpass for SOCKS5, basic or digest for HTTP",
        }
    }
}

impl MethodList {
    fn parse(text: &str, source: &str, scope: Scope) -> Result<Self, Error> {
        let mut list = Self::default();
        for name in text.split(',').map(|name| name.trim().to_ascii_lowercase()) {
            match name.as_str() {
                "none" if scope != Scope::Http => list.socks5.push(Socks5Method::None),
                "userpass" if scope != Scope::Http => list.socks5.push(Socks5Method::UserPass),
                "basic" if scope != Scope::Socks5 => list.http.push(HttpScheme::Basic),
                "digest" if scope != Scope::Socks5 => list.http.push(HttpScheme::Digest),
                name => {
                    let problem = match name {
                        "gssapi" | "chap" | "negotiate" | "ntlm" => "unsupported",
                        _ => "unknown",
                    };
                    return Err(Error::Config(format!(
                        "{problem} authentication method '{}' in {source}; use {}",
                        secret::masked(name),
                        scope.known()
                    )));
                }
            }
        }
        Ok(list)
    }

    fn is_empty(&self, scope: Scope) -> bool {
        if scope == Scope::Http { self.http.is_empty() } else { self.socks5.is_empty() }
    }
}
