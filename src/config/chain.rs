//! Routes: chains of proxy URLs, and the fallbacks after them.
//!
//! `socks5://a,http://b | http://c | direct` is three routes: through `a` and then `b`; through
//! `c`; direct.

use super::bypass;
use super::hop::{self, ChainSize, parse_resolve};
use super::proxy_url::ProxyUrl;
use super::scheme::Syntax;
use super::setting::{REMOVE_QUOTES, Setting, quoted};
use super::sources::Sources;
use crate::cli::Args;
use crate::error::Error;
use crate::plan::{Bypass, Hop, Protocol, Resolve, Route};
use crate::secret;

/// The maximum number of hops in a route. A longer chain is a mistake, such as a loop in a
/// generated configuration.
const MAX_HOPS: usize = 16;

/// Returns the route without a proxy.
pub(super) fn direct_route(args: &Args) -> Result<Route, Error> {
    Ok(Route { name_server: resolve_option(args)?.and_then(Resolve::server), ..Route::default() })
}

/// Returns the route through these proxies. The last proxy's protocol selects the bypass parameters
/// for the whole route, because that proxy connects to the target.
pub(super) fn route_through(hops: Vec<Hop>, args: &Args, sources: &Sources<'_>) -> Result<Route, Error> {
    let Some(Hop { protocol, .. }) = hops.last() else { return direct_route(args) };
    let name_server = protocol.resolve().or(resolve_option(args)?).and_then(Resolve::server);
    Ok(Route { bypass: bypass(&**protocol, args, sources)?, name_server, hops })
}

/// Parses the routes in the value of `source`: `|` separates routes, and a comma separates hops.
pub(super) fn routes(
    text: &[u8],
    source: &str,
    args: &Args,
    sources: &Sources<'_>,
) -> Result<Vec<Route>, Error> {
    if quoted(text).is_some() {
        return Err(Error::Config(format!("invalid proxies in {source}: {REMOVE_QUOTES}")));
    }
    let urls = text.split(|byte| b"|,".contains(byte)).map(<[u8]>::trim_ascii);
    // A part without a scheme may be the rest of a password that contains a comma: do not quote it.
    if urls.clone().count() > 1
        && urls.clone().any(|url| !is_direct(url) && !url.is_empty() && !has_scheme(url))
    {
        return Err(Error::Config(format!(
            "invalid proxies in {source}: missing scheme; write each proxy as SCHEME://HOST, with ',' as %2C and \
             '|' as %7C in user names and passwords"
        )));
    }
    text.split(|byte| *byte == b'|').map(|chain| route(chain, source, args, sources)).collect()
}

fn has_scheme(url: &[u8]) -> bool {
    secret::after_scheme(url) > 0
}

fn route(chain: &[u8], source: &str, args: &Args, sources: &Sources<'_>) -> Result<Route, Error> {
    let invalid = |what: &str| Err(Error::Config(format!("invalid proxies in {source}: {what}")));
    let urls: Vec<_> = chain.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
    let is_only = urls.len() == 1;
    if urls.contains(&&b""[..]) {
        return invalid("missing proxy before or after a ',' or '|'");
    }
    if urls.iter().any(|url| is_direct(url)) {
        return if is_only {
            direct_route(args)
        } else {
            invalid("'direct' cannot be part of a chain; put it after a '|' as a fallback")
        };
    }
    if urls.len() > MAX_HOPS {
        return invalid(&format!("{} proxies in one chain; use at most {MAX_HOPS}", urls.len()));
    }
    let urls = urls.iter().map(|url| ProxyUrl::parse(url, source, Syntax::Url));
    let urls: Vec<_> = urls.collect::<Result<_, _>>()?;
    if urls.iter().skip(1).any(ProxyUrl::is_socket) {
        return invalid("a UNIX-domain socket can only be the first proxy of a chain");
    }
    let http_proxies = urls.iter().filter(|url| url.selection.kind.option() == Some("-H")).count();
    let last_with_token = urls.iter().rposition(|url| url.selection.kind.sends_token());
    let last_with_key = urls.iter().rposition(|url| url.selection.kind.has_key());
    // The server of `--ssh` is the last hop.
    let proxies = urls.len() + usize::from(args.remote.server.is_some());
    let hops = urls.into_iter().enumerate().map(|(index, url)| {
        let gets_token = last_with_token == Some(index);
        let gets_key = last_with_key == Some(index);
        hop::from_url(url, ChainSize { proxies, http_proxies, gets_token, gets_key }, args, sources)
    });
    route_through(hops.collect::<Result<_, _>>()?, args, sources)
}

fn resolve_option(args: &Args) -> Result<Option<Resolve>, Error> {
    args.resolve.as_deref().map(|value| parse_resolve(value, "-R")).transpose()
}

fn is_direct(url: &[u8]) -> bool {
    ["direct", "direct:", "direct://"].iter().any(|known| url.eq_ignore_ascii_case(known.as_bytes()))
}

/// Returns the bypass settings: the most specific list that is set for the protocol, `no_proxy`,
/// and `-D`.
fn bypass(protocol: &dyn Protocol, args: &Args, sources: &Sources<'_>) -> Result<Bypass, Error> {
    let list = sources.first(protocol.bypass_parameters())?;
    let warns_of_quotes = |setting: &Setting| {
        let is_quoted = quoted(setting.value.as_bytes()).is_some();
        if is_quoted {
            (sources.warn())(&format!("invalid list in {}: {REMOVE_QUOTES}", setting.source()));
        }
        is_quoted
    };
    let list = list.filter(|setting| !warns_of_quotes(setting));
    let list = list.map(|setting| bypass::parse(&setting.value, &setting.source(), sources.warn()));
    let no_proxy = sources.first(&["no_proxy", "NO_PROXY"])?.filter(|setting| !warns_of_quotes(setting));
    let no_proxy = no_proxy.map(|setting| bypass::parse_no_proxy(&setting.value));
    let (list, no_proxy) = (list.unwrap_or_default(), no_proxy.unwrap_or_default());
    Ok(Bypass { list, no_proxy, own_networks: args.own_networks })
}
