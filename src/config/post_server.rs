//! The listeners for POST tunnels: `--listen` with `post+http`, `post+https` or `scgi`.

use super::access;
use super::listen_url::{address_and_path, check_path, expect_unused, invalid, split_all};
use super::proxy_server::{allowed_clients, identity};
use super::sources::Sources;
use super::tcp_address::parse_tcp;
use crate::cli::Args;
use crate::error::Error;
use crate::plan::{ListenAddress, PostListener, PostServer, PostTransport};

/// Returns the listeners if they serve POST tunnels; `None` if none of them does.
///
/// # Errors
/// [`Error::Usage`] if they are combined with listeners of another kind, or if an option has no
/// effect.
pub(super) fn post_server(args: &Args, sources: &Sources<'_>) -> Result<Option<PostServer>, Error> {
    let Some(transports) = split_all(&args.listen, split)? else { return Ok(None) };
    let unused = [
        ("--allow-to", !args.server.allow_to.is_empty()),
        ("--listen-password-file", args.server.password_file.is_some()),
        // Browsers have no use for POST tunnels, so no page may use one.
        ("--allow-origin", !args.server.allow_origin.is_empty()),
    ];
    expect_unused(&unused, &args.listen[0])?;
    let listeners = transports.into_iter().map(listener).collect::<Result<Vec<_>, _>>()?;
    let uses_tls = listeners.iter().any(|listener| listener.transport == PostTransport::Https);
    let urls: Vec<_> =
        args.listen.iter().map(String::as_str).zip(listeners.iter().map(|it| &*it.path)).collect();
    Ok(Some(PostServer {
        access: access::web_access(&args.server, &urls, sources)?,
        identity: identity(uses_tls, "post+https", &args.server, sources)?,
        allow_from: allowed_clients(&args.server)?,
        max_wait: access::max_wait(args)?,
        listeners,
    }))
}

/// Splits the value of `--listen` into the protocol and the rest. `None` for another scheme.
fn split(value: &str) -> Option<(PostTransport, &str)> {
    let (scheme, rest) = match value.split_once("://") {
        Some(parts) => parts,
        None => value
            .split_once(':')
            .filter(|(scheme, rest)| scheme.eq_ignore_ascii_case("scgi") && rest.starts_with("unix:"))?,
    };
    let transport = match scheme.to_ascii_lowercase().as_str() {
        "post+http" => PostTransport::Http,
        "post+https" => PostTransport::Https,
        "scgi" => PostTransport::Scgi,
        _ => return None,
    };
    Some((transport, rest))
}

fn listener((transport, rest): (PostTransport, &str)) -> Result<PostListener, Error> {
    let (at, path) = if let Some(socket) = rest.strip_prefix("unix:") {
        let (file, path) = socket.split_once("?path=").unwrap_or((socket, "/"));
        if file.is_empty() {
            return Err(Error::Config("missing path after 'unix:' in --listen".into()));
        }
        check_path(path, rest)?;
        (ListenAddress::Unix(file.into()), path)
    } else {
        let (address, path) = address_and_path(rest)?;
        (parse_tcp(address, "--listen")?, path)
    };
    if let (PostTransport::Http | PostTransport::Https, ListenAddress::Unix(_)) = (transport, &at) {
        return Err(invalid(rest, "a UNIX-domain socket needs scgi:unix:FILE"));
    }
    Ok(PostListener { at, transport, path: path.into() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::cli::ServerArgs;

    fn planned(listen: &[&str], change: impl FnOnce(&mut ServerArgs)) -> Result<Option<PostServer>, Error> {
        let listen = listen.iter().map(|&value| value.to_owned()).collect();
        let mut args = Args { listen, ..Args::default() };
        args.server.open = true;
        change(&mut args.server);
        post_server(&args, &Sources::with_files(&|_| None, &|_| (), Vec::new()))
    }

    fn error(listen: &[&str], change: impl FnOnce(&mut ServerArgs)) -> String {
        planned(listen, change).unwrap_err().to_string()
    }

    #[test]
    fn a_listener_has_an_address_and_a_path() {
        let listen = [
            "post+http://127.0.0.1:8080/tunnel",
            "SCGI://9001",
            "scgi://[::1]:9001/a/b",
            "scgi:unix:/run/tunnel?path=/tunnel",
            "scgi:unix:/run/other",
        ];
        let server = planned(&listen, |_| ()).unwrap().unwrap();
        let shown: Vec<_> = server
            .listeners
            .iter()
            .map(|listener| format!("{:?} {} {}", listener.transport, listener.at, listener.path))
            .collect();
        assert_eq!(
            shown,
            [
                "Http 127.0.0.1:8080 /tunnel",
                "Scgi localhost:9001 /",
                "Scgi [::1]:9001 /a/b",
                "Scgi unix:/run/tunnel /tunnel",
                "Scgi unix:/run/other /",
            ]
        );
        for other in [&["8080"][..], &["http://8080"], &["unix:/a"], &["ws://8080"]] {
            assert_eq!(planned(other, |_| ()).unwrap(), None);
        }
    }

    #[test]
    fn options_and_listeners_that_do_not_fit_are_errors() {
        assert!(error(&["scgi://9001", "8080"], |_| ()).contains("cannot be combined"));
        assert!(error(&["scgi://9001", "http://8080"], |_| ()).contains("cannot be combined"));
        assert!(error(&["scgi://9001/a?b"], |_| ()).contains("expected a path"));
        assert!(error(&["scgi:unix:/a?path=b"], |_| ()).contains("expected a path"));
        assert!(error(&["scgi:unix:"], |_| ()).contains("missing path"));
        assert!(error(&["post+http://unix:/a"], |_| ()).contains("scgi:unix:FILE"));
        assert!(error(&["post+https://8443"], |_| ()).contains("--serve-cert"));
        assert!(error(&["scgi://9001"], |args| args.open = false).contains("--token-keys FILE or --open"));
        assert!(
            error(&["scgi://9001"], |args| args.allow_to.push("a".into()))
                .contains("--allow-to has no effect")
        );
        let password_file = |args: &mut ServerArgs| args.password_file = Some("a".into());
        assert!(error(&["scgi://9001"], password_file).contains("--listen-password-file has no effect"));
    }
}
