//! Settings for HTTP proxies: header fields, version and authentication schemes.

use std::path::Path;

use super::auth;
use super::proxy_url::ProxyUrl;
use super::rcfile::{read, readable_secret};
use super::setting::Origin;
use super::sources::Sources;
use crate::cli::Args;
use crate::error::{Error, os_message};
use crate::proto::{HttpHeader, HttpSettings};
use crate::secret::{self, Secret};
use crate::sys;
use crate::text::printable;

/// Returns the settings for an HTTP proxy. Removes `auth=` and `header=` from its URL. `proxies` is
/// the number of HTTP proxies in the chain.
pub(super) fn settings(
    url: &mut ProxyUrl,
    proxies: usize,
    args: &Args,
    sources: &Sources<'_>,
) -> Result<HttpSettings, Error> {
    let mut settings = HttpSettings { http_1_0: args.http.http_1_0, ..HttpSettings::default() };
    if let Some(schemes) = auth::schemes(url, args, sources)? {
        settings.schemes = schemes;
    }
    let user_agent = |header: &HttpHeader| header.is("User-Agent");
    let shared = shared_headers(proxies, args, sources)?;
    if shared.iter().any(user_agent) && args.http.user_agent.is_some() {
        return Err(Error::Config(
            "--header and --user-agent both set User-Agent; use only one of them".into(),
        ));
    }
    let mut headers = own_headers(url)?;
    let own = headers.len();
    for header in shared {
        if !headers[..own].iter().any(|own| own.is(header.name())) {
            headers.push(header);
        }
    }
    settings.headers = headers;
    if settings.headers.iter().filter(|header| header.is("Host")).count() > 1 {
        return Err(Error::Config("the Host header is set more than once; set it only once".into()));
    }
    if settings.headers.iter().any(user_agent) {
        return Ok(settings);
    }
    let agent = sources.option_or("--user-agent", args.http.user_agent.as_ref(), &["CONNECT_USER_AGENT"])?;
    if let Some(agent) = agent.filter(|agent| !agent.value.is_empty()) {
        let header = HttpHeader::new("User-Agent", &agent.value);
        settings.headers.push(header.map_err(|error| Error::Config(format!("{}: {error}", agent.source())))?);
    }
    Ok(settings)
}

/// Returns the headers in the query of a proxy's URL, which are for this proxy only.
fn own_headers(url: &mut ProxyUrl) -> Result<Vec<HttpHeader>, Error> {
    let parse = |value: &Secret| {
        // The query has been checked to be UTF-8.
        let text = str::from_utf8(value.expose()).unwrap_or_default();
        // Do not quote the value: it may be part of a password that was not percent-encoded.
        HttpHeader::parse(text).map_err(|error| {
            Error::Config(format!("invalid proxy in {}: invalid header= value: {error}", url.source))
        })
    };
    url.query.take_all("header").iter().map(parse).collect()
}

/// Returns the headers from the command line or, if there are none, from `CONNECT_HEADER`.
///
/// # Errors
/// [`Error::Config`] for an invalid header, and for one that may be secret if several proxies would
/// get it.
fn shared_headers(proxies: usize, args: &Args, sources: &Sources<'_>) -> Result<Vec<HttpHeader>, Error> {
    let mut headers = Vec::new();
    for value in &args.http.headers {
        sources.record("--header", &Origin::Option("--header"), || "****".into());
        headers.extend(parse_headers(value, "--header", sources.warn())?);
    }
    let mut source = "--header";
    if args.http.headers.is_empty()
        && let Some(value) = sources.secret(&["CONNECT_HEADER"])
    {
        source = "CONNECT_HEADER";
        headers = parse_headers(&value, source, sources.warn())?;
    }
    if proxies > 1 && headers.iter().any(HttpHeader::is_secret) {
        return Err(Error::Config(format!(
            "{source}: not sending a possibly secret header to {proxies} HTTP proxies; add ?header=NAME:%20VALUE to \
             the URL of the proxy that needs it"
        )));
    }
    Ok(headers)
}

/// Parses `Name: value`, or `@FILE` with one header per line. In a file, blank lines and lines that
/// begin with `#` are skipped. Errors do not quote a header, because its value may be a secret.
///
/// Warns about a file with a secret that other users can read.
fn parse_headers(value: &Secret, source: &str, warn: &dyn Fn(&str)) -> Result<Vec<HttpHeader>, Error> {
    let text = |bytes| str::from_utf8(bytes).map_err(|_| "not UTF-8");
    let header = |line| text(line).and_then(HttpHeader::parse);
    let Some(path) = value.expose().strip_prefix(b"@") else {
        let header = header(value.expose()).map_err(|error| Error::Config(format!("{source}: {error}")))?;
        return Ok(vec![header]);
    };
    let shown = printable(secret::masked_text(&String::from_utf8_lossy(path)).as_bytes());
    let name = printable(path);
    let path =
        text(path).map_err(|error| Error::Config(format!("{source}: cannot read {shown}: {error}")))?;
    let (content, metadata) = read(Path::new(path))
        .map_err(|error| Error::Config(format!("{source}: cannot read {shown}: {}", os_message(&error))))?;
    let lines = content.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.enumerate().filter(|(_, line)| !line.trim_ascii().is_empty() && line[0] != b'#');
    let headers = lines.map(|(index, line)| {
        header(line).map_err(|error| Error::Config(format!("{shown}:{}: {error}", index + 1)))
    });
    let headers: Vec<_> = headers.collect::<Result<_, _>>()?;
    if headers.iter().any(HttpHeader::is_secret) && sys::others_can_read(&metadata) {
        warn(&readable_secret(&name, "a possibly secret header"));
    }
    Ok(headers)
}
