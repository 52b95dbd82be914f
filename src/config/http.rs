//! Settings for HTTP proxies: header fields, version and authentication schemes.

use std::path::Path;

use super::auth;
use super::proxy_url::ProxyUrl;
use super::rcfile::read;
use super::setting::Origin;
use super::sources::Sources;
use crate::cli::Args;
use crate::error::{Error, os_message};
use crate::proto::{HttpHeader, HttpSettings};
use crate::secret::{self, Secret};
use crate::text::printable;

/// Returns the settings for an HTTP proxy. Removes `auth=` from its URL.
pub(super) fn settings(
    url: &mut ProxyUrl,
    args: &Args,
    sources: &Sources<'_>,
) -> Result<HttpSettings, Error> {
    let mut settings = HttpSettings { http_1_0: args.http.http_1_0, ..HttpSettings::default() };
    if let Some(schemes) = auth::schemes(url, args, sources)? {
        settings.schemes = schemes;
    }
    settings.headers = headers(args, sources)?;
    let has_user_agent = settings.headers.iter().any(|header| header.is("User-Agent"));
    if has_user_agent && args.http.user_agent.is_some() {
        return Err(Error::Config(
            "--header and --user-agent both set User-Agent; use only one of them".into(),
        ));
    }
    if has_user_agent {
        return Ok(settings);
    }
    let agent = sources.option_or("--user-agent", args.http.user_agent.as_ref(), &["CONNECT_USER_AGENT"])?;
    if let Some(agent) = agent.filter(|agent| !agent.value.is_empty()) {
        let header = HttpHeader::new("User-Agent", &agent.value);
        settings.headers.push(header.map_err(|error| Error::Config(format!("{}: {error}", agent.source())))?);
    }
    Ok(settings)
}

/// Returns the headers from the command line or, if there are none, from `CONNECT_HEADER`.
fn headers(args: &Args, sources: &Sources<'_>) -> Result<Vec<HttpHeader>, Error> {
    let mut headers = Vec::new();
    for value in &args.http.headers {
        sources.record("--header", &Origin::Option("--header"), || "****".into());
        headers.extend(parse_headers(value, "--header")?);
    }
    if args.http.headers.is_empty()
        && let Some(value) = sources.secret(&["CONNECT_HEADER"])
    {
        headers = parse_headers(&value, "CONNECT_HEADER")?;
    }
    Ok(headers)
}

/// Parses `Name: value`, or `@FILE` with one header per line. In a file, blank lines and lines that
/// begin with `#` are skipped. Errors do not quote a header, because its value may be a secret.
fn parse_headers(value: &Secret, source: &str) -> Result<Vec<HttpHeader>, Error> {
    let text = |bytes| str::from_utf8(bytes).map_err(|_| "not UTF-8");
    let header = |line| text(line).and_then(HttpHeader::parse);
    let Some(path) = value.expose().strip_prefix(b"@") else {
        let header = header(value.expose()).map_err(|error| Error::Config(format!("{source}: {error}")))?;
        return Ok(vec![header]);
    };
    let shown = printable(secret::masked_text(&String::from_utf8_lossy(path)).as_bytes());
    let path =
        text(path).map_err(|error| Error::Config(format!("{source}: cannot read {shown}: {error}")))?;
    let (content, _) = read(Path::new(path))
        .map_err(|error| Error::Config(format!("{source}: cannot read {shown}: {}", os_message(&error))))?;
    let lines = content.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.enumerate().filter(|(_, line)| !line.trim_ascii().is_empty() && line[0] != b'#');
    lines
        .map(|(index, line)| {
            header(line).map_err(|error| Error::Config(format!("{shown}:{}: {error}", index + 1)))
        })
        .collect()
}
