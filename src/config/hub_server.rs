//! The relay hub: `--relay`.

use super::access;
use super::proxy_server::tls_identity;
use super::sources::Sources;
use super::tcp_address::parse_tcp;
use crate::cli::{Args, ServerArgs};
use crate::error::Error;
use crate::plan::{HubListener, HubServer};
use crate::proto::hub::RoleLimit;
use crate::secret;
use crate::text::printable;

/// Returns the hub of `--relay`.
///
/// # Errors
/// [`Error::Usage`] if an option has no effect, [`Error::Config`] if one is invalid.
pub(super) fn hub_server(args: &Args, sources: &Sources<'_>) -> Result<HubServer, Error> {
    let first = args.relay.first().map_or("", String::as_str);
    expect_no_others(args)?;
    let listeners = args.relay.iter().map(|value| listener(value)).collect::<Result<Vec<_>, _>>()?;
    let uses_tls = listeners.iter().any(|listener| listener.tls);
    Ok(HubServer {
        identity: tls_identity(uses_tls, "--relay wss://", &args.server, sources)?,
        access: access::hub_access(&args.server, first, sources)?,
        keep_alive: access::keep_alive(args, sources)?,
        drain: access::drain(args)?,
        listeners,
    })
}

/// Rejects options without an effect on a hub.
fn expect_no_others(args: &Args) -> Result<(), Error> {
    let ServerArgs { allow_to, allow_from, password_file, max_wait, .. } = &args.server;
    for (option, is_given) in [
        ("--allow-to", !allow_to.is_empty()),
        ("--allow-from", !allow_from.is_empty()),
        ("--listen-password-file", password_file.is_some()),
        ("--max-wait", max_wait.is_some()),
    ] {
        if is_given {
            return Err(Error::Usage(format!("{option} has no effect on --relay")));
        }
    }
    let allowed = Args {
        relay: args.relay.clone(),
        server: args.server.clone(),
        keep_alive: args.keep_alive.clone(),
        tcp_keep_alive: args.tcp_keep_alive.clone(),
        verbosity: args.verbosity,
        check: args.check.clone(),
        name_port: args.name_port.clone(),
        ..Args::default()
    };
    if *args == allowed {
        return Ok(());
    }
    Err(Error::Usage("--relay takes no host and no options for sessions".into()))
}

/// Parses `ws://[ADDR:]PORT[/PREFIX]`, with `?role=` after it.
fn listener(value: &str) -> Result<HubListener, Error> {
    let invalid =
        |what: &str| Err(Error::Config(format!("invalid value '{}' for --relay: {what}", shown(value))));
    let (tls, rest) = match value.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ws") => (false, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("wss") => (true, rest),
        _ => return invalid("expected ws://ADDR:PORT or wss://ADDR:PORT"),
    };
    let (rest, role) = match rest.split_once('?') {
        None => (rest, None),
        Some((rest, "role=origin")) => (rest, Some(RoleLimit::Origin)),
        Some((rest, "role=dest")) => (rest, Some(RoleLimit::Dest)),
        Some(_) => return invalid("unknown option after '?'; use role=origin or role=dest"),
    };
    let (address, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let prefix = prefix.trim_end_matches('/');
    if prefix.contains(['#', '?', '%']) || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
        return invalid("expected a path such as /hub");
    }
    Ok(HubListener { at: parse_tcp(address, "--relay")?, tls, prefix: prefix.into(), role })
}

fn shown(value: &str) -> String {
    printable(secret::masked_text(value).as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn planned(relay: &[&str], change: impl FnOnce(&mut Args)) -> Result<HubServer, Error> {
        let mut args =
            Args { relay: relay.iter().map(|&value| value.to_owned()).collect(), ..Args::default() };
        args.server.open = true;
        change(&mut args);
        hub_server(&args, &Sources::with_files(&|_| None, &|_| (), Vec::new()))
    }

    fn error(relay: &[&str], change: impl FnOnce(&mut Args)) -> String {
        planned(relay, change).unwrap_err().to_string()
    }

    #[test]
    fn an_address_may_have_a_prefix_and_a_role() {
        let relay = [
            "ws://127.0.0.1:8080",
            "WS://8081/",
            "ws://[::1]:8082/hub/a/",
            "ws://0.0.0.0:8083?role=origin",
            "ws://0.0.0.0:8084/hub?role=dest",
        ];
        let server = planned(&relay, |_| ()).unwrap();
        let shown: Vec<_> =
            server.listeners.iter().map(|it| format!("{} {} {:?}", it.at, it.prefix, it.role)).collect();
        assert_eq!(
            shown,
            [
                "127.0.0.1:8080  None",
                "localhost:8081  None",
                "[::1]:8082 /hub/a None",
                "0.0.0.0:8083  Some(Origin)",
                "0.0.0.0:8084 /hub Some(Dest)",
            ]
        );
    }

    #[test]
    fn invalid_addresses_and_options_are_errors() {
        for (value, expected) in [
            ("8080", "expected ws://"),
            ("http://8080", "expected ws://"),
            ("ws://8080?x", "unknown option after '?'"),
            ("ws://8080?role=stats", "unknown option after '?'"),
            ("ws://8080/a#b", "expected a path"),
            ("ws://8080/%41", "expected a path"),
            ("ws://", "--relay: "),
        ] {
            assert!(error(&[value], |_| ()).contains(expected), "{value}: {}", error(&[value], |_| ()));
        }
        assert!(error(&["wss://8443"], |_| ()).starts_with("--relay wss:// requires a certificate"));
        let ws = &["ws://8080"][..];
        assert_eq!(
            error(ws, |args| args.server.open = false),
            "--relay ws://8080 needs --token-keys FILE or --open"
        );
        assert_eq!(
            error(ws, |args| args.server.max_wait = Some("1".into())),
            "--max-wait has no effect on --relay"
        );
        let takes_none = "--relay takes no host and no options for sessions";
        assert_eq!(error(ws, |args| args.host = "host".into()), takes_none);
        assert_eq!(error(ws, |args| args.listen.push("1".into())), takes_none);
        assert!(error(ws, |args| args.server.drain = Some("x".into())).contains("--drain"));
    }
}
