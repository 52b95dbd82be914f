//! An origin: `--origin`.

use super::proxy_server::allowed_clients;
use super::sources::Sources;
use super::{access, chain, key};
use crate::cli::{Args, OriginArgs};
use crate::error::Error;
use crate::hops::hub::websocket_path;
use crate::plan::OriginSettings;
use crate::secret;
use crate::sys;
use crate::text::printable;
use crate::token::is_session_name;

/// The form of a valid URL.
const EXPECTED: &str = "expected relay+ws://HOST/SESSION or relay+wss://HOST/SESSION";

/// Returns the settings of the origin; `None` without `--origin`.
///
/// # Errors
/// [`Error::Usage`] if options exclude each other, [`Error::Config`] if one is invalid.
pub(super) fn origin(args: &Args, sources: &Sources<'_>) -> Result<Option<OriginSettings>, Error> {
    let OriginArgs { hub, max_at_once, max_total, spare, plain, background } = &args.origin;
    let Some(hub) = hub else {
        let unused = [
            ("--max-at-once", max_at_once.is_some()),
            ("--max-total", max_total.is_some()),
            ("--spare", spare.is_some()),
            ("--plain", *plain),
            ("--background", *background),
        ];
        return match unused.iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => Err(Error::Usage(format!("{option} has no effect without --origin"))),
            None => Ok(None),
        };
    };
    expect_no_others(args)?;
    let text = websocket_urls(&sources.option("--origin", hub).value)?;
    let mut routes = chain::routes(text.as_bytes(), "--origin", args, sources)?;
    let hops = routes.pop().map(|route| route.hops).unwrap_or_default();
    let path = hops.last().and_then(websocket_path).ok_or_else(|| invalid(EXPECTED))?;
    let (prefix, session) = path.rsplit_once('/').unwrap_or_default();
    let session = Some(session).filter(|session| !session.is_empty());
    if session.is_some_and(|session| !is_session_name(session)) || prefix.contains(['?', '%']) {
        return Err(invalid("invalid session name in the path; use up to 64 letters, digits and '._~-'"));
    }
    let key = key::for_run(args, sources)?;
    if args.host.starts_with("unix:") && !args.origin.plain && key.is_none() {
        return Err(Error::Usage("--origin unix:FILE needs --key-file FILE or --plain".into()));
    }
    Ok(Some(OriginSettings {
        prefix: prefix.trim_end_matches('/').into(),
        session: session.map(str::to_owned),
        hops,
        allow_from: allowed_clients(&args.server)?,
        max_at_once: max_at_once.as_deref().map(|value| limit(value, "--max-at-once")).transpose()?,
        max_total: max_total.as_deref().map(|value| limit(value, "--max-total")).transpose()?,
        spare: spare.as_deref().map_or(Ok(0), |value| limit(value, "--spare"))?,
        background: *background,
        keep_alive: access::keep_alive(args, sources)?,
        resume: access::resume(args, sources)?,
        window: access::window(args, sources)?,
        key,
    }))
}

fn invalid(what: &str) -> Error {
    Error::Config(format!("invalid value for --origin: {what}"))
}

/// Replaces the scheme of the hub, the last URL of a chain, by that of a WebSocket server.
fn websocket_urls(value: &str) -> Result<String, Error> {
    if value.contains('|') {
        return Err(invalid("expected a single route to the hub"));
    }
    let (before, hub) = value.rsplit_once(',').map_or(("", value), |(before, hub)| (before, hub.trim()));
    let url = match hub.split_at_checked("relay+".len()) {
        Some((start, url)) if start.eq_ignore_ascii_case("relay+") => url,
        _ => return Err(invalid(EXPECTED)),
    };
    let is_websocket = url
        .split_once("://")
        .is_some_and(|(scheme, _)| ["ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)));
    if !is_websocket {
        return Err(invalid(EXPECTED));
    }
    Ok(if before.is_empty() { url.into() } else { format!("{before},{url}") })
}

/// Rejects options without an effect on an origin.
fn expect_no_others(args: &Args) -> Result<(), Error> {
    for (option, is_given) in [
        ("-p and -P", args.local_port.is_some()),
        ("--listen", !args.listen.is_empty()),
        ("-F", args.fdpass),
        ("--no-shutdown", args.no_shutdown),
    ] {
        if is_given {
            return Err(Error::Usage(format!("--origin cannot be combined with {option}")));
        }
    }
    if args.origin.background && !sys::CAN_DETACH {
        return Err(Error::Usage("--background is not supported on Windows".into()));
    }
    let server = &args.server;
    for (option, is_given) in [
        ("--allow-to", !server.allow_to.is_empty()),
        ("--listen-password-file", server.password_file.is_some()),
        ("--serve-cert", server.certificate.is_some()),
        ("--serve-key", server.key.is_some()),
        ("--serve-client-ca", server.client_authorities.is_some()),
    ] {
        if is_given {
            return Err(Error::Usage(format!("{option} has no effect on --origin")));
        }
    }
    access::expect_no_web_options(server)
}

fn limit(value: &str, option: &str) -> Result<usize, Error> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|limit| is_number && *limit > 0).ok_or_else(|| {
        let shown = printable(secret::masked_text(value).as_bytes());
        Error::Config(format!("invalid value '{shown}' for {option}; use a whole number from 1"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn planned(hub: &str, change: impl FnOnce(&mut Args)) -> Result<Option<OriginSettings>, Error> {
        let mut args = Args { host: "localhost".into(), port: Some("22".into()), ..Args::default() };
        args.origin.hub = Some(hub.into());
        change(&mut args);
        origin(&args, &Sources::with_files(&|_| None, &|_| (), Vec::new()))
    }

    #[test]
    fn the_last_segment_of_the_path_is_the_session() {
        for (url, expected) in [
            ("relay+ws://127.0.0.1/lab1", ("", Some("lab1"))),
            ("RELAY+WSS://hub.example/a/b/lab.1#tls-server-name=x", ("/a/b", Some("lab.1"))),
            ("relay+wss://hub.example/", ("", None)),
            ("relay+wss://hub.example", ("", None)),
            ("relay+wss://hub.example/a/", ("/a", None)),
            ("http://proxy.corp:3128, relay+wss://hub.example/lab", ("", Some("lab"))),
        ] {
            let settings = planned(url, |_| ()).unwrap().unwrap();
            assert_eq!((&*settings.prefix, settings.session.as_deref()), expected, "{url}");
            assert_eq!(settings.hops.len(), 1 + url.matches(',').count());
        }
    }

    #[test]
    fn invalid_urls_and_options_are_errors() {
        let error = |hub: &str, change: fn(&mut Args)| planned(hub, change).unwrap_err().to_string();
        for (url, expected) in [
            ("ws://hub.example/lab", "expected relay+ws://"),
            ("relay+http://hub.example/lab", "expected relay+ws://"),
            ("relay+ws://a/lab,ws://b", "expected relay+ws://"),
            ("relay+ws://a/lab|direct", "single route"),
            ("relay+ws://a/l%20b", "invalid session name"),
            ("relay+ws://a/lab?x=y", "invalid session name"),
            ("relay+ws://a:b@c/lab", "user name or password"),
            ("relay+ws://a/lab#token=x", "a token in a URL"),
        ] {
            assert!(error(url, |_| ()).contains(expected), "{url}: {}", error(url, |_| ()));
        }
        let hub = "relay+ws://127.0.0.1/lab";
        assert_eq!(error(hub, |args| args.fdpass = true), "--origin cannot be combined with -F");
        let unix = |args: &mut Args| (args.host, args.port) = ("unix:/a".into(), None);
        assert_eq!(error(hub, unix), "--origin unix:FILE needs --key-file FILE or --plain");
        assert!(planned(hub, |args| (unix(args), args.origin.plain = true).1).is_ok());
        assert!(error(hub, |args| args.server.open = true).contains("--open has no effect"));
        for value in ["0", "x", "-1", "+1", ""] {
            let text =
                planned(hub, |args| args.origin.max_total = Some(value.into())).unwrap_err().to_string();
            assert!(text.contains("for --max-total; use a whole number from 1"), "{text}");
        }
        let mut args = Args::default();
        let sources = Sources::with_files(&|_| None, &|_| (), Vec::new());
        args.origin.background = true;
        let error = |args: &Args| origin(args, &sources).unwrap_err().to_string();
        assert_eq!(error(&args), "--background has no effect without --origin");
        args.origin.max_at_once = Some("1".into());
        assert_eq!(error(&args), "--max-at-once has no effect without --origin");
    }
}
