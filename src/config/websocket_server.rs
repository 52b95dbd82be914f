//! The listeners for WebSocket clients: `--listen` with `ws` or `wss`.

use super::access;
use super::listen_url::{address_and_path, expect_unused, split_all};
use super::proxy_server::{allowed_clients, identity};
use super::sources::Sources;
use super::tcp_address::parse_tcp;
use crate::cli::Args;
use crate::error::Error;
use crate::plan::{WebSocketListener, WebSocketServer};

/// Returns the listeners if they serve WebSocket clients; `None` if none of them does.
///
/// # Errors
/// [`Error::Usage`] if they are combined with listeners of another kind, or if an option has no
/// effect.
pub(super) fn websocket_server(args: &Args, sources: &Sources<'_>) -> Result<Option<WebSocketServer>, Error> {
    let Some(parts) = split_all(&args.listen, split)? else { return Ok(None) };
    let unused = [
        ("--allow-to", !args.server.allow_to.is_empty()),
        ("--listen-password-file", args.server.password_file.is_some()),
        ("--max-wait", args.server.max_wait.is_some()),
    ];
    expect_unused(&unused, &args.listen[0])?;
    let listeners = parts.into_iter().map(listener).collect::<Result<Vec<_>, _>>()?;
    let uses_tls = listeners.iter().any(|listener| listener.tls);
    let urls: Vec<_> =
        args.listen.iter().map(String::as_str).zip(listeners.iter().map(|it| &*it.path)).collect();
    Ok(Some(WebSocketServer {
        access: access::web_access(&args.server, &urls, sources)?,
        identity: identity(uses_tls, "wss", &args.server, sources)?,
        allow_from: allowed_clients(&args.server)?,
        keep_alive: access::keep_alive(args, sources)?,
        listeners,
    }))
}

/// Splits the value of `--listen` into the use of TLS and the rest. `None` for another scheme.
fn split(value: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = value.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "ws" => Some((false, rest)),
        "wss" => Some((true, rest)),
        _ => None,
    }
}

fn listener((tls, rest): (bool, &str)) -> Result<WebSocketListener, Error> {
    let (address, path) = address_and_path(rest)?;
    Ok(WebSocketListener { at: parse_tcp(address, "--listen")?, tls, path: path.into() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::cli::ServerArgs;

    fn planned(
        listen: &[&str],
        change: impl FnOnce(&mut ServerArgs),
    ) -> Result<Option<WebSocketServer>, Error> {
        let listen = listen.iter().map(|&value| value.to_owned()).collect();
        let mut args = Args { listen, ..Args::default() };
        args.server.open = true;
        change(&mut args.server);
        websocket_server(&args, &Sources::with_files(&|_| None, &|_| (), Vec::new()))
    }

    fn error(listen: &[&str], change: impl FnOnce(&mut ServerArgs)) -> String {
        planned(listen, change).unwrap_err().to_string()
    }

    #[test]
    fn a_listener_has_an_address_and_a_path() {
        let server = planned(&["ws://127.0.0.1:8080/ssh", "WS://9001", "ws://[::1]:0/a/b"], |_| ());
        let server = server.unwrap().unwrap();
        let shown: Vec<_> = server.listeners.iter().map(|it| format!("{} {}", it.at, it.path)).collect();
        assert_eq!(shown, ["127.0.0.1:8080 /ssh", "localhost:9001 /", "[::1]:0 /a/b"]);
        for other in [&["8080"][..], &["http://8080"], &["unix:/a"], &["scgi://8080"]] {
            assert_eq!(planned(other, |_| ()).unwrap(), None);
        }
    }

    #[test]
    fn options_and_listeners_that_do_not_fit_are_errors() {
        assert!(error(&["ws://9001", "8080"], |_| ()).contains("cannot be combined"));
        assert!(error(&["ws://9001/a?b"], |_| ()).contains("expected a path"));
        assert!(error(&["ws://9001/a b"], |_| ()).contains("expected a path"));
        assert!(error(&["ws://unix:/a"], |_| ()).contains("--listen"));
        assert!(error(&["wss://8443"], |_| ()).contains("--listen wss:// requires a certificate"));
        assert!(error(&["ws://9001"], |args| args.open = false).contains("--token-keys FILE or --open"));
        let allow = error(&["ws://9001"], |args| args.allow_to.push("a".into()));
        assert!(allow.contains("--allow-to has no effect"));
        let wait = error(&["ws://9001"], |args| args.max_wait = Some("5".into()));
        assert!(wait.contains("--max-wait has no effect"));
    }
}
