//! What is said to an HTTP proxy besides the target: header fields, and the version.

use std::path::Path;

use super::auth;
use super::origin::Origin;
use super::rcfile::read;
use super::sources::Sources;
use crate::cli::Args;
use crate::error::{Error, os_message};
use crate::proto::{HttpHeader, HttpSettings};
use crate::secret::Secret;
use crate::text::printable;

/// The settings for an HTTP proxy whose URL, in `source`, has this `auth=`.
pub(super) fn settings(
    auth_in_url: Option<&str>,
    source: &str,
    typed: &Args,
    sources: &Sources<'_>,
) -> Result<HttpSettings, Error> {
    let mut settings = HttpSettings { http_1_0: typed.requests.http_1_0, ..HttpSettings::default() };
    if let Some(schemes) = auth::schemes(auth_in_url, source, typed, sources)? {
        settings.schemes = schemes;
    }
    settings.headers = headers(typed, sources)?;
    let in_headers = settings.headers.iter().any(|header| header.is("User-Agent"));
    if let (true, Some(_)) = (in_headers, &typed.requests.user_agent) {
        return Err(Error::Config("--header names a User-Agent, and --user-agent another one".into()));
    }
    if in_headers {
        return Ok(settings);
    }
    let agent =
        sources.typed_or("--user-agent", typed.requests.user_agent.as_ref(), &["CONNECT_USER_AGENT"])?;
    if let Some(agent) = agent.filter(|agent| !agent.value.is_empty()) {
        let header = HttpHeader::new("User-Agent", &agent.value);
        settings.headers.push(header.map_err(|why| Error::Config(format!("{}: {why}", agent.source())))?);
    }
    Ok(settings)
}

/// Those that were typed, or else the one of a parameter.
fn headers(typed: &Args, sources: &Sources<'_>) -> Result<Vec<HttpHeader>, Error> {
    let mut headers = Vec::new();
    for value in &typed.requests.headers {
        sources.record("--header", &Origin::Option("--header"), || "****".into());
        headers.extend(in_value(value, "--header")?);
    }
    if typed.requests.headers.is_empty()
        && let Some(value) = sources.secret(&["CONNECT_HEADER"])
    {
        headers = in_value(&value, "CONNECT_HEADER")?;
    }
    Ok(headers)
}

/// `Name: value`, or `@FILE` with such lines, among which blank ones and those that begin with a `#` do not count. No error
/// repeats a line: it may hold a secret.
fn in_value(value: &Secret, source: &str) -> Result<Vec<HttpHeader>, Error> {
    let text = |bytes| str::from_utf8(bytes).map_err(|_| "it is not UTF-8");
    let header = |line| text(line).and_then(HttpHeader::parse);
    let Some(path) = value.expose().strip_prefix(b"@") else {
        let header = header(value.expose()).map_err(|why| Error::Config(format!("{source}: {why}")))?;
        return Ok(vec![header]);
    };
    let shown = printable(path);
    let path = text(path).map_err(|why| Error::Config(format!("{source}: {shown}: {why}")))?;
    let (content, _) = read(Path::new(path)).map_err(|error| {
        Error::Config(format!("{source} names {shown}, which cannot be read: {}", os_message(&error)))
    })?;
    let lines = content.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.enumerate().filter(|(_, line)| !line.trim_ascii().is_empty() && line[0] != b'#');
    lines
        .map(|(index, line)| {
            header(line).map_err(|why| Error::Config(format!("{shown}:{}: {why}", index + 1)))
        })
        .collect()
}
