//! The access rules of listeners for web clients: tokens, origins and the web servers in front.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::network::parse_network;
use super::rcfile;
use super::setting::Setting;
use super::sources::Sources;
use crate::cli::{Args, ServerArgs};
use crate::error::{Error, os_message};
use crate::plan::{TokenCheck, WebAccess};
use crate::proto::link::MIN_WINDOW;
use crate::proto::server::Origin;
use crate::secret;
use crate::text::printable;
use crate::token::{DenyList, KeySet, LineError};

/// Time without input before a Ping, if `--keepalive` is not given. Below the limits of common
/// proxies, of which the lowest is 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// Time for which a tunnel survives without a connection, if `--resume` is not given.
const RESUME_TIMEOUT: Duration = Duration::from_secs(60);

/// Time from a termination signal to the end of a hub, if `--drain` is not given.
const DRAIN: Duration = Duration::from_secs(30);

/// The limit of the bytes of a link that may be on their way, if `--window` is not given.
const DEFAULT_WINDOW: u32 = 1024 * 1024;

/// The values of `--window`.
const WINDOWS: RangeInclusive<u32> = MIN_WINDOW..=1024 * 1024 * 1024;

/// Longest hold of a poll, if `--max-wait` is not given.
const MAX_WAIT: Duration = Duration::from_secs(25);

/// Returns the value of `--keepalive`; `None` for no Pings.
///
/// # Errors
/// The value is invalid.
pub(super) fn keep_alive(args: &Args, sources: &Sources<'_>) -> Result<Option<Duration>, Error> {
    sources.mark_used("--keepalive");
    match &args.keep_alive {
        None => Ok(Some(KEEP_ALIVE)),
        Some(value) => {
            whole_seconds(value, "--keepalive").map(|time| Some(time).filter(|time| !time.is_zero()))
        }
    }
}

/// Returns the value of `--resume`.
///
/// # Errors
/// The value is invalid.
pub(super) fn resume(args: &Args, sources: &Sources<'_>) -> Result<Duration, Error> {
    sources.mark_used("--resume");
    args.resume.as_deref().map_or(Ok(RESUME_TIMEOUT), |value| whole_seconds(value, "--resume"))
}

/// Returns the value of `--window`.
///
/// # Errors
/// The value is invalid.
pub(super) fn window(args: &Args, sources: &Sources<'_>) -> Result<u32, Error> {
    sources.mark_used("--window");
    let Some(value) = &args.window else { return Ok(DEFAULT_WINDOW) };
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let valid = value.parse().ok().filter(|window| is_number && WINDOWS.contains(window));
    valid.ok_or_else(|| {
        Error::Config(format!(
            "invalid value '{}' for --window; use a number of bytes from {} to {}",
            shown(value),
            WINDOWS.start(),
            WINDOWS.end()
        ))
    })
}

/// Returns the value of `--max-wait`.
///
/// # Errors
/// The value is invalid.
pub(super) fn max_wait(args: &Args) -> Result<Duration, Error> {
    args.server.max_wait.as_deref().map_or(Ok(MAX_WAIT), |value| whole_seconds(value, "--max-wait"))
}

/// Returns the value of `--drain`.
///
/// # Errors
/// The value is invalid.
pub(super) fn drain(args: &Args) -> Result<Duration, Error> {
    args.server.drain.as_deref().map_or(Ok(DRAIN), |value| whole_seconds(value, "--drain"))
}

pub(super) fn whole_seconds(value: &str, option: &str) -> Result<Duration, Error> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<u16>() {
        Ok(seconds) if is_number => Ok(Duration::from_secs(seconds.into())),
        _ => Err(Error::Config(format!(
            "invalid value '{}' for {option}; use a whole number of seconds up to {}",
            shown(value),
            u16::MAX
        ))),
    }
}

/// Fails if an option for listeners that check tokens was given. Called if there is no such
/// listener.
pub(super) fn expect_no_web_options(args: &ServerArgs) -> Result<(), Error> {
    let ServerArgs {
        token_keys, open, relay_name, deny_file, allow_origin, trust_forwarded, max_wait, ..
    } = args;
    let unused = [
        ("--token-keys", token_keys.is_some()),
        ("--open", *open),
        ("--relay-name", relay_name.is_some()),
        ("--deny-file", deny_file.is_some()),
        ("--allow-origin", !allow_origin.is_empty()),
        ("--trust-forwarded", !trust_forwarded.is_empty()),
        ("--max-wait", max_wait.is_some()),
    ];
    match unused.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => {
            Err(Error::Usage(format!("{option} has no effect: no listener speaks a protocol with tokens")))
        }
        None => Ok(()),
    }
}

/// Returns the access rules for these listeners, each given as its URL and its path.
///
/// # Errors
/// An option is missing or invalid, or a file of `--token-keys` or `--deny-file` is.
pub(super) fn web_access(
    args: &ServerArgs,
    listeners: &[(&str, &str)],
    sources: &Sources<'_>,
) -> Result<WebAccess, Error> {
    let url = listeners.first().map_or("", |(url, _)| url);
    let expect_session = || {
        let without_session = listeners.iter().find(|(_, path)| session_in(path).is_none());
        without_session.map_or(Ok(()), |(url, _)| {
            Err(Error::Config(format!(
                "--listen {}: the path needs a last segment of letters, digits and '._~-', which tokens name as their session",
                shown(url)
            )))
        })
    };
    let check = token_check(args, &format!("--listen {}", shown(url)), expect_session, sources)?;
    access(args, check)
}

/// Returns the access rules of a hub. `url` is the first of its addresses.
///
/// # Errors
/// See [`web_access`].
pub(super) fn hub_access(args: &ServerArgs, url: &str, sources: &Sources<'_>) -> Result<WebAccess, Error> {
    access(args, token_check(args, &format!("--relay {}", shown(url)), || Ok(()), sources)?)
}

fn access(args: &ServerArgs, check: TokenCheck) -> Result<WebAccess, Error> {
    let origins = args.allow_origin.iter().map(|value| origin(value)).collect::<Result<_, _>>()?;
    let forwarders = args.trust_forwarded.iter().map(|value| {
        parse_network(value).ok_or_else(|| {
            Error::Config(format!(
                "invalid value '{}' for --trust-forwarded; use a network such as 10.0.0.0/8",
                shown(value)
            ))
        })
    });
    Ok(WebAccess { check, origins, forwarders: forwarders.collect::<Result<_, _>>()? })
}

/// Returns the check of tokens. `server` is the option that needs one. Calls `expect_session` if
/// tokens must name the session of a listener.
fn token_check(
    args: &ServerArgs,
    server: &str,
    expect_session: impl FnOnce() -> Result<(), Error>,
    sources: &Sources<'_>,
) -> Result<TokenCheck, Error> {
    let ServerArgs { token_keys, open, relay_name, deny_file, .. } = args;
    let Some(keys) = token_keys else {
        for (option, value) in [("--relay-name", relay_name), ("--deny-file", deny_file)] {
            if value.is_some() {
                return Err(Error::Usage(format!("{option} has no effect without --token-keys")));
            }
        }
        return if *open {
            Ok(TokenCheck::Open)
        } else {
            Err(Error::Usage(format!("{server} needs --token-keys FILE or --open")))
        };
    };
    if !cfg!(feature = "relay") {
        return Err(Error::Config(
            "cannot check tokens (--token-keys): this build does not support tokens".into(),
        ));
    }
    if *open {
        return Err(Error::Usage("--token-keys cannot be combined with --open".into()));
    }
    let Some(audience) = relay_name.clone().filter(|name| !name.is_empty()) else {
        return Err(Error::Usage("--token-keys needs --relay-name NAME, the audience of the tokens".into()));
    };
    expect_session()?;
    let keys = sources.option("--token-keys", keys);
    let set = parsed(&keys, sources, KeySet::parse)?;
    if set.is_empty() {
        return Err(Error::Config(format!(
            "--token-keys: no keys in {}; add the line that --mint-signing-key prints",
            shown(&keys.value)
        )));
    }
    let denied = deny_file.as_ref().map(|path| sources.option("--deny-file", path));
    denied.iter().try_for_each(|path| parsed(path, sources, DenyList::parse).map(drop))?;
    let denied = denied.map(|path| sources.path(&path.value));
    Ok(TokenCheck::Keys { keys: sources.path(&keys.value), audience, denied })
}

/// Returns the session of a listener's path: its last segment. `None` if that cannot be a session.
pub(super) fn session_in(path: &str) -> Option<&str> {
    let (_, last) = path.rsplit_once('/')?;
    crate::token::is_session_name(last).then_some(last)
}

/// Reads and parses a file.
fn parsed<T>(
    path: &Setting,
    sources: &Sources<'_>,
    parse: impl FnOnce(&[u8]) -> Result<T, LineError>,
) -> Result<T, Error> {
    let option = path.name;
    let name = shown(&path.value);
    let file = sources.path(&path.value);
    let (text, _) = rcfile::read(Path::new(&file))
        .map_err(|error| Error::Config(format!("{option}: cannot read {name}: {}", os_message(&error))))?;
    parse(&text).map_err(|error| Error::Config(format!("{option}: invalid {name}: {error}")))
}

fn origin(value: &str) -> Result<Origin, Error> {
    Origin::parse(value).ok_or_else(|| {
        Error::Config(format!(
            "invalid value '{}' for --allow-origin; use a scheme and a host, such as https://www.example",
            shown(value)
        ))
    })
}

fn shown(value: &str) -> String {
    printable(secret::masked_text(value).as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn access(change: impl FnOnce(&mut ServerArgs)) -> Result<WebAccess, Error> {
        let mut args = ServerArgs::default();
        change(&mut args);
        let listeners = [("ws://127.0.0.1:8080/lab/ssh", "/lab/ssh")];
        web_access(&args, &listeners, &Sources::with_files(&|_| None, &|_| (), Vec::new()))
    }

    fn error(change: impl FnOnce(&mut ServerArgs)) -> String {
        access(change).unwrap_err().to_string()
    }

    #[test]
    fn a_listener_checks_tokens_or_is_open() {
        assert_eq!(error(|_| ()), "--listen ws://127.0.0.1:8080/lab/ssh needs --token-keys FILE or --open");
        assert_eq!(access(|args| args.open = true).unwrap().check, TokenCheck::Open);
        let keys = |args: &mut ServerArgs| args.token_keys = Some("/nonexistent/keys".into());
        assert!(error(keys).starts_with("--token-keys needs --relay-name NAME"));
        let both = |args: &mut ServerArgs| (keys(args), args.open = true).1;
        assert_eq!(error(both), "--token-keys cannot be combined with --open");
        let named = |args: &mut ServerArgs| (keys(args), args.relay_name = Some("hub".into())).1;
        assert!(
            error(named).starts_with("--token-keys: cannot read /nonexistent/keys: "),
            "{}",
            error(named)
        );
        for (option, set) in [
            ("--relay-name", (|args| args.relay_name = Some("hub".into())) as fn(&mut ServerArgs)),
            ("--deny-file", |args| args.deny_file = Some("deny".into())),
        ] {
            let text = error(|args| (args.open = true, set(args)).1);
            assert_eq!(text, format!("{option} has no effect without --token-keys"));
        }
    }

    #[test]
    fn origins_and_networks_are_parsed() {
        let access = access(|args| {
            args.open = true;
            args.allow_origin = vec!["https://www.example".into(), "http://localhost:8080/".into()];
            args.trust_forwarded = vec!["10.0.0.0/8".into(), "::1".into()];
        });
        let access = access.unwrap();
        assert!(Origin::is_in("http://localhost:8080", &access.origins));
        assert_eq!((access.origins.len(), access.forwarders.len()), (2, 2));
        let text = error(|args| (args.open = true, args.allow_origin.push("www.example".into())).1);
        assert!(text.starts_with("invalid value 'www.example' for --allow-origin"), "{text}");
        let text = error(|args| (args.open = true, args.trust_forwarded.push("proxy".into())).1);
        assert!(text.starts_with("invalid value 'proxy' for --trust-forwarded"), "{text}");
    }

    #[test]
    fn the_session_is_the_last_segment_of_the_path() {
        for (path, session) in [
            ("/ssh", Some("ssh")),
            ("/lab/ssh.1", Some("ssh.1")),
            ("/", None),
            ("/ssh/", None),
            ("/a%20b", None),
            ("", None),
        ] {
            assert_eq!(session_in(path), session, "{path}");
        }
    }

    #[test]
    fn waits_have_defaults() {
        let sources = Sources::with_files(&|_| None, &|_| (), Vec::new());
        let mut args = Args::default();
        assert_eq!(max_wait(&args).unwrap(), MAX_WAIT);
        assert_eq!(keep_alive(&args, &sources).unwrap(), Some(KEEP_ALIVE));
        (args.server.max_wait, args.keep_alive) = (Some("0".into()), Some("0".into()));
        assert_eq!(max_wait(&args).unwrap(), Duration::ZERO);
        assert_eq!(keep_alive(&args, &sources).unwrap(), None);
        args.keep_alive = Some("x".into());
        assert!(keep_alive(&args, &sources).is_err() && sources.is_used("--keepalive"));
    }
}
