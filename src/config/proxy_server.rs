//! The listeners whose clients name the target: `--listen` with a scheme.

use std::sync::Arc;

use super::access;
use super::network::parse_network;
use super::rcfile;
use super::service::port_after_host;
use super::setting::{Setting, is_path};
use super::sources::Sources;
use super::tcp_address::parse_tcp;
use crate::addr::{Host, split_port};
use crate::bypass::{Pattern, Prefix};
use crate::cli::{Args, ServerArgs};
use crate::error::{Error, os_message};
use crate::plan::{AllowedTarget, Identity, ListenAddress, ProxyServer, ServerIdentity};
use crate::proto::server::{self, Kind, Logins};
use crate::secret;
use crate::sys;
use crate::text::printable;

/// Returns the listeners if they speak a protocol; `None` if HOST is the target of all clients.
///
/// # Errors
/// [`Error::Usage`] if both kinds of listeners are combined, or if an option has no effect.
pub(super) fn proxy_server(args: &Args, sources: &Sources<'_>) -> Result<Option<ProxyServer>, Error> {
    let ServerArgs { allow_to, allow_from, password_file, certificate, key, client_authorities, .. } =
        &args.server;
    let (with_scheme, without): (Vec<_>, Vec<_>) =
        args.listen.iter().partition(|value| value.contains("://"));
    access::expect_no_web_options(&args.server)?;
    if with_scheme.is_empty() {
        let unused = [
            ("--allow-to", !allow_to.is_empty()),
            ("--allow-from", !allow_from.is_empty()),
            ("--listen-password-file", password_file.is_some()),
            ("--serve-cert", certificate.is_some()),
            ("--serve-key", key.is_some()),
            ("--serve-client-ca", client_authorities.is_some()),
        ];
        return match unused.iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => Err(Error::Usage(format!(
                "{option} has no effect without --listen socks5://, http:// or https://"
            ))),
            None => Ok(None),
        };
    }
    if let (Some(with), Some(without)) = (with_scheme.first(), without.first()) {
        return Err(Error::Usage(format!(
            "--listen {} cannot be combined with --listen {}: only the clients of the first name their target; \
             run connect twice",
            secret::masked(with),
            secret::masked(without)
        )));
    }
    let listeners = with_scheme.iter().map(|value| listener(value)).collect::<Result<Vec<_>, _>>()?;
    let uses_tls = listeners.iter().any(|(_, kind)| kind.tls);
    let identity = identity(uses_tls, "https", &args.server, sources)?;
    let logins = password_file.as_deref().map(|path| logins(path, sources)).transpose()?.map(Arc::new);
    let allow_to = allow_to.iter().map(|value| allowed_target(value)).collect::<Result<_, _>>()?;
    let allow_from = allowed_clients(&args.server)?;
    if logins.is_none()
        && allow_from.is_empty()
        && let Some((at, kind)) = listeners.iter().find(|(at, _)| !is_loopback(at))
    {
        return Err(Error::Config(format!(
            "--listen {}://{at}: any machine could use this proxy; require a login with --listen-password-file, or \
             specify the clients with --allow-from",
            kind.scheme
        )));
    }
    Ok(Some(ProxyServer { listeners, identity, logins, allow_to, allow_from }))
}

fn listener(value: &str) -> Result<(ListenAddress, &'static Kind), Error> {
    let (scheme, at) = value.split_once("://").unwrap_or_default();
    let kind = server::find(scheme).ok_or_else(|| {
        Error::Config(format!(
            "unknown scheme '{}' in --listen; use socks5, http or https",
            printable(secret::masked(scheme).as_bytes())
        ))
    })?;
    Ok((parse_tcp(at.strip_suffix('/').unwrap_or(at), "--listen")?, kind))
}

/// Returns `true` if only programs on this machine can connect.
fn is_loopback(at: &ListenAddress) -> bool {
    match at {
        ListenAddress::Tcp { host: Host::Ip(ip), .. } => ip.is_loopback(),
        ListenAddress::Tcp { host: Host::Name(name), .. } => name.is_localhost(),
        ListenAddress::Unix(_) | ListenAddress::SystemdSocket(_) => false,
    }
}

/// Returns the certificates for listeners, if any of them uses TLS. `scheme` is the scheme of such
/// a listener.
pub(super) fn identity(
    uses_tls: bool,
    scheme: &str,
    args: &ServerArgs,
    sources: &Sources<'_>,
) -> Result<Option<ServerIdentity>, Error> {
    tls_identity(uses_tls, &format!("--listen {scheme}://"), args, sources)
}

/// Returns the certificates for servers, if any of them uses TLS. `server` is the option for such a
/// server.
pub(super) fn tls_identity(
    uses_tls: bool,
    server: &str,
    args: &ServerArgs,
    sources: &Sources<'_>,
) -> Result<Option<ServerIdentity>, Error> {
    let ServerArgs { certificate, key, client_authorities, .. } = args;
    match (uses_tls, certificate) {
        (true, None) => {
            Err(Error::Config(format!("{server} requires a certificate; specify one with --serve-cert")))
        }
        (false, _) if certificate.is_some() || key.is_some() => {
            Err(Error::Usage(format!("--serve-cert and --serve-key have no effect without {server}")))
        }
        (false, _) if client_authorities.is_some() => {
            Err(Error::Usage(format!("--serve-client-ca has no effect without {server}")))
        }
        (false, _) => Ok(None),
        (true, Some(certificate)) => Ok(Some(ServerIdentity {
            own: Identity {
                certificate: sources.path(certificate),
                key: sources.path(key.as_ref().unwrap_or(certificate)),
            },
            client_authorities: client_authorities.as_ref().map(|path| sources.path(path)),
        })),
    }
}

/// Returns the networks of `--allow-from`.
pub(super) fn allowed_clients(args: &ServerArgs) -> Result<Vec<Prefix>, Error> {
    args.allow_from.iter().map(|value| allowed_client(value)).collect()
}

/// Reads the logins that the listeners accept.
fn logins(path: &str, sources: &Sources<'_>) -> Result<Logins, Error> {
    let setting = sources.option("--listen-password-file", path);
    let failed = |why: String| Error::Config(format!("--listen-password-file: {why}"));
    let name = shown(&setting);
    sources.protect_memory();
    let (content, metadata) = rcfile::read(&sources.path(&setting.value))
        .map_err(|error| failed(format!("cannot read {name}: {}", os_message(&error))))?;
    if sys::others_can_read(&metadata) {
        (sources.warn())(&rcfile::readable_secret(&name, "passwords"));
    }
    Logins::parse(&content).map_err(|error| failed(format!("invalid login in {name}: {error}")))
}

/// Returns the path of the password file for a message. Without a slash, the value may be a
/// password.
fn shown(path: &Setting) -> String {
    if is_path(&path.value) {
        printable(secret::masked_text(&path.value).as_bytes())
    } else {
        "the file it names".into()
    }
}

/// Parses a value of `--allow-to`.
fn allowed_target(value: &str) -> Result<AllowedTarget, Error> {
    let invalid = || {
        Error::Config(format!(
            "invalid value '{}' for --allow-to; use HOST, HOST:PORT or a network such as 10.0.0.0/8",
            printable(secret::masked(value).as_bytes())
        ))
    };
    let (host, port) = split_port(value);
    let port = port.map(port_after_host).transpose().map_err(|_| invalid())?;
    let domain = host.strip_prefix('*').unwrap_or(host).strip_prefix('.');
    let name = |text: &str| match Host::parse(text) {
        Ok(Host::Name(name)) if !text.contains('*') => {
            Some(name.as_str().trim_end_matches('.').to_lowercase())
        }
        _ => None,
    };
    let host = if host == "*" {
        Some(Pattern::Everything)
    } else if let Some(domain) = domain {
        name(domain).map(Pattern::Domain)
    } else {
        parse_network(host).map(Pattern::Network).or_else(|| name(host).map(Pattern::Name))
    };
    Ok(AllowedTarget { host: host.ok_or_else(invalid)?, port })
}

/// Parses a value of `--allow-from`.
fn allowed_client(value: &str) -> Result<Prefix, Error> {
    parse_network(value).ok_or_else(|| {
        Error::Config(format!(
            "invalid value '{}' for --allow-from; use a network such as 10.0.0.0/8",
            printable(secret::masked(value).as_bytes())
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn planned(listen: &[&str], change: impl FnOnce(&mut ServerArgs)) -> Result<Option<ProxyServer>, Error> {
        let listen = listen.iter().map(|&value| value.to_owned()).collect();
        let mut args = Args { listen, ..Args::default() };
        change(&mut args.server);
        proxy_server(&args, &Sources::with_files(&|_| None, &|_| (), Vec::new()))
    }

    fn error(listen: &[&str], change: impl FnOnce(&mut ServerArgs)) -> String {
        planned(listen, change).unwrap_err().to_string()
    }

    #[test]
    fn a_listener_with_a_scheme_speaks_a_protocol() {
        let server = planned(&["socks5://1080", "HTTP://127.0.0.1:3128/", "http://[::1]:0"], |_| ());
        let listeners = server.unwrap().unwrap().listeners;
        let shown: Vec<_> = listeners.iter().map(|(at, kind)| format!("{} {at}", kind.scheme)).collect();
        assert_eq!(shown, ["socks5 localhost:1080", "http 127.0.0.1:3128", "http [::1]:0"]);
        assert_eq!(planned(&["1080", "unix:/a"], |_| ()).unwrap(), None);
    }

    #[test]
    fn options_that_do_not_fit_the_listeners_are_errors() {
        assert!(error(&["socks5://1080", "8080"], |_| ()).contains("run connect twice"));
        assert!(error(&["gopher://70"], |_| ()).contains("unknown scheme 'gopher'"));
        assert!(error(&["https://3129"], |_| ()).contains("--serve-cert"));
        assert!(error(&["http://x:y:z"], |_| ()).contains("--listen: "));
        let key = |server: &mut ServerArgs| server.key = Some("key.pem".into());
        assert!(error(&["http://3128"], key).contains("no effect without --listen https://"));
        assert!(error(&["8080"], key).contains("--serve-key has no effect"));
        assert!(error(&["8080"], |server| server.allow_to.push("a".into())).contains("--allow-to has no"));
    }

    #[test]
    fn a_listener_beyond_loopback_requires_a_login_or_known_clients() {
        for open in ["0.0.0.0:1080", "[::]:1080", "192.0.2.1:1080", "proxy.example:1080"] {
            let listen = format!("socks5://{open}");
            assert!(error(&[&listen], |_| ()).contains("--allow-from"), "{open}");
            let allowed = planned(&[&listen], |server| server.allow_from.push("10.0.0.0/8".into()));
            assert!(allowed.is_ok(), "{open}: {allowed:?}");
        }
        for closed in ["127.0.0.9:1080", "[::1]:1080", "localhost:1080", "1080"] {
            assert!(planned(&[&format!("http://{closed}")], |_| ()).is_ok(), "{closed}");
        }
    }

    #[test]
    fn allowed_targets_are_names_domains_and_networks() {
        let parsed = |value: &str| {
            allowed_target(value).map_or_else(
                |error| error.to_string(),
                |allowed| format!("{:?} {:?}", allowed.host, allowed.port),
            )
        };
        for (value, expected) in [
            ("Host.Example.", "Name(\"host.example\") None"),
            ("host.example:22", "Name(\"host.example\") Some(22)"),
            ("host:ssh", "Name(\"host\") Some(22)"),
            (".corp.example:443", "Domain(\"corp.example\") Some(443)"),
            ("*.corp.example", "Domain(\"corp.example\") None"),
            ("*", "Everything None"),
            ("*:443", "Everything Some(443)"),
        ] {
            assert_eq!(parsed(value), expected, "{value}");
        }
        for value in [
            "10.0.0.0/8",
            "10.0.0.0/8:22",
            "192.0.2.1",
            "2001:db8::/32",
            "[2001:db8::/32]:22",
            "[::1]:22",
            "::1",
        ] {
            assert!(parsed(value).starts_with("Network("), "{value}: {}", parsed(value));
        }
        for value in ["", ":22", "host:0", "host:70000", "10.0.0.0/33", "a b", "*a", "http://host", "a/b"] {
            assert!(parsed(value).contains("invalid value"), "{value}: {}", parsed(value));
        }
        for value in ["host", "", "10.", "10.0.0.0/x", "*"] {
            assert!(allowed_client(value).is_err(), "{value}");
        }
    }
}
