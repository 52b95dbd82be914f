//! Invalid command lines and settings.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

use super::{Message, Row, row};
use crate::kit::*;

/// Returns a row with a malformed command line.
pub(super) fn syntax(situation: &'static str, args: &'static str, advice: &'static str) -> Row {
    row(2, "Usage", situation, advice, move || Message::from_outcome(&connect(args).run()))
}

/// Returns a row with an invalid value on the command line.
pub(super) fn value(situation: &'static str, args: &'static str, advice: &'static str) -> Row {
    row(2, "Config", situation, advice, move || Message::from_outcome(&connect(args).run()))
}

/// Returns a row that sets these environment variables.
fn variables(
    situation: &'static str,
    variables: &'static [(&'static str, &'static str)],
    args: &'static str,
    advice: &'static str,
) -> Row {
    row(2, "Config", situation, advice, move || {
        let program = connect(args);
        Message::from_outcome(
            &variables.iter().fold(program, |program, (name, value)| program.env(name, value)).run(),
        )
    })
}

/// Returns a row in which the option's `FILE` is a file with this content.
fn file(situation: &'static str, option: &'static str, content: &'static [u8], args: &'static str) -> Row {
    row(2, "Config", situation, "", move || {
        let file = TempPath::file("file", content);
        fs::set_permissions(&*file, fs::Permissions::from_mode(0o600)).unwrap();
        let option = option.replace("FILE", &file.display().to_string());
        Message::from_outcome(&connect("").args(option).args(args).run())
            .naming(file.display(), "/home/me/file")
    })
}

const SOCKS: &str = "-S socks.example host.example 22";
const HTTP: &str = "-H proxy.example host.example 22";
const TLS: &str = "-H https://proxy.example host.example 22";

pub(super) fn rows() -> Vec<Row> {
    [
        options(),
        targets(),
        proxies(),
        websocket(),
        chains(),
        passwords(),
        headers(),
        tls(),
        local(),
        proxy_server(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn options() -> Vec<Row> {
    vec![
        syntax("No host", "-n", "Host and port follow the options: `connect -n host.example 22`."),
        syntax("No port", "host.example", "A link to the program named `connect-22` needs no port."),
        syntax("Unknown option", "-X host.example 22", ""),
        value("Misspelled option", "--eagr host.example 22", ""),
        syntax("Option with a missing value", "-S", ""),
        syntax("Value for an option that takes none", "--eager=yes host.example 22", ""),
        syntax("Option after the host", "host.example 22 -d", ""),
        value(
            "Time limit that is not a number",
            "-w soon host.example 22",
            "`-w 2.5` is two and a half seconds, and 0 is no limit.",
        ),
        variables(
            "Unknown value of `CONNECT_ADDRESS_FAMILY`",
            &[("CONNECT_ADDRESS_FAMILY", "4")],
            "host.example 22",
            "",
        ),
        value("`--bind` without a value", "--bind= host.example 22", ""),
        value("`--bind` with an address of the other family", "--ipv6 --bind 192.0.2.7 host.example 22", ""),
        value(
            "Name server of the other family",
            "--ipv4 -R ::1 host.example 22",
            "Leave out `--ipv4`, or use a name server with an IPv4 address.",
        ),
        value(
            "Keep-alive time that is not a whole number",
            "--tcp-keepalive off host.example 22",
            "0 disables keep-alive.",
        ),
        value("Unknown value for `--check`", "--check=xml host.example 22", ""),
        value("Unknown value for `--help`", "--help=more", ""),
        value("Unknown value for `--generate`", "--generate pdf", ""),
        value("Unknown version of the PROXY protocol", "--proxy-protocol v3 host.example 22", ""),
        variables("Unknown value of `CONNECT_RELAY`", &[("CONNECT_RELAY", "fast")], "host.example 22", ""),
        row(2, "Config", "Argument that is not UTF-8", "", || {
            use std::os::unix::ffi::OsStrExt;
            let host = std::ffi::OsStr::from_bytes(b"h\xff");
            Message::from_outcome(&connect("").arg(host).arg("22").run())
        }),
        row(2, "Config", "Variable that is not UTF-8", "", || {
            use std::os::unix::ffi::OsStrExt;
            let value = std::ffi::OsStr::from_bytes(b"h\xff");
            let program = connect("-S socks.example host.example 22");
            Message::from_outcome(&program.env("SOCKS_RESOLVE", value).run())
        }),
        row(2, "Config", "Proxy in a variable whose host is not UTF-8", "", || {
            use std::os::unix::ffi::OsStrExt;
            let value = std::ffi::OsStr::from_bytes(b"h\xff");
            Message::from_outcome(&connect("-s host.example 22").env("SOCKS_SERVER", value).run())
        }),
    ]
}

fn targets() -> Vec<Row> {
    vec![
        value("Port out of range", "host.example 70000", ""),
        syntax("Two ports", "host.example:22 23", ""),
        value("Invalid host name", "ho/st 22", ""),
        value(
            "Host name without an ASCII form",
            "bücher..example 22",
            "International names are converted as in browsers: `bücher.example` becomes `xn--bcher-kva.example`.",
        ),
        row(2, "Config", "Empty host name", "", || {
            Message::from_outcome(&connect("").arg("").arg("22").run())
        }),
        value("Brackets without an IPv6 address", "[host] 22", ""),
        row(2, "Config", "Host name that is too long", "", || {
            Message::from_outcome(&connect("").arg("h".repeat(256)).arg("22").run())
        }),
        value("Proxy instead of the host", "me:secret@socks.example:1080 22", ""),
        value("UNIX-domain socket without a path", "unix:", ""),
        syntax("Port for a UNIX-domain socket", "unix:/run/some.sock 22", ""),
        value("Proxy for a UNIX-domain socket", "-S socks.example unix:/run/some.sock", ""),
        value(
            "UNIX-domain socket and a route without an SSH server",
            "-x ssh://bastion.example|direct unix:/run/some.sock",
            "",
        ),
        syntax("Port for a queue", "-x ssh://bastion.example queue:jobs 22", ""),
        value("Invalid name of a queue", "-x ssh://bastion.example queue:a.b", ""),
    ]
}

fn proxies() -> Vec<Row> {
    vec![
        variables("`-s` with no proxy variable set", &[], "-s host.example 22", ""),
        variables("`-s -4` with no proxy variable set", &[], "-s -4 host.example 22", ""),
        variables(
            "`-h` with `HTTP_PROXY` not set",
            &[],
            "-h host.example 22",
            "`-h` selects an HTTP proxy. For help, use `--help`.",
        ),
        variables("`-t` with `TELNET_PROXY` not set", &[], "-t host.example 22", ""),
        value("HTTP proxy URL given to `-S`", "-S http://proxy.example host.example 22", ""),
        value("SOCKS proxy URL given to `-H`", "-H socks5://socks.example host.example 22", ""),
        value("Proxy without a host", "-S :1080 host.example 22", ""),
        value("Proxy with an invalid port", "-H proxy.example:port host.example 22", ""),
        variables(
            "Proxy with an invalid port, in a variable",
            &[("SOCKS5_SERVER", "socks.example:port")],
            "-s host.example 22",
            "",
        ),
        variables(
            "Proxy in quotes, in a variable",
            &[("http_proxy", "\"http://proxy.example:8080\"")],
            "-h host.example 22",
            "Docker's `--env-file` and other tools keep the quotes of a file, unlike a shell.",
        ),
        value("Unknown value for `-R`", "-R here -S socks.example host.example 22", ""),
        value("Unknown authentication method", "-a password -S socks.example host.example 22", ""),
        value("Unsupported authentication method", "-a gssapi -S socks.example host.example 22", ""),
    ]
}

fn websocket() -> Vec<Row> {
    let url = |situation: &'static str, url: &'static str| {
        row(2, "Config", situation, "", move || {
            Message::from_outcome(&connect(format!("-x {url} host.example 22")).run())
        })
    };
    vec![
        url("User name or password in a WebSocket URL", "wss://me:secret@ws.example/tunnel"),
        url("Invalid placeholder in the path of a WebSocket URL", "wss://ws.example/%x"),
        url("Character in the path of a URL that must be encoded", "wss://ws.example/caf\u{e9}"),
        url("Invalid `dialect=` in a WebSocket URL", "ws://ws.example/#dialect=other"),
        row(2, "Config", "TLS with a target without a name", "", || {
            Message::from_outcome(&connect("--tls-target -x wss://ws.example/tunnel").run())
        }),
        url("Invalid `eof=` in a WebSocket URL", "ws://ws.example/#eof=open"),
    ]
}

fn chains() -> Vec<Row> {
    vec![
        value(
            "UNIX-domain socket after the first proxy of a chain",
            "-x http://proxy.example,socks5h://unix:/run/tor/socks host.example 22",
            "",
        ),
        value("Missing scheme in a chain", "-x socks.example,http://proxy.example host.example 22", ""),
        variables(
            "Chain in quotes, in a variable",
            &[("CONNECT_PROXY", "'socks5://socks.example|direct'")],
            "-A host.example 22",
            "",
        ),
        value("Chain with an extra comma", "-x socks5://socks.example, host.example 22", ""),
        value("`direct` as part of a chain", "-x socks5://socks.example,direct host.example 22", ""),
        row(2, "Config", "Chain with too many proxies", "", || {
            let chain = vec!["http://proxy.example"; 17].join(",");
            Message::from_outcome(&connect(format!("-x {chain} host.example 22")).run())
        }),
        value("Unknown scheme", "-x ftp://proxy.example host.example 22", ""),
        value(
            "Unknown option in a proxy's URL",
            "-x socks5://socks.example?resolv=local host.example 22",
            "",
        ),
        value("Unknown value of `resolve=`", "-x socks5://socks.example?resolve=here host.example 22", ""),
        value(
            "Unknown value of `auth=` for a SOCKS5 proxy",
            "-x socks5://socks.example?auth=basic host.example 22",
            "",
        ),
        value(
            "Unknown value of `auth=` for an HTTP proxy",
            "-x http://proxy.example?auth=none host.example 22",
            "",
        ),
        value(
            "Option in a proxy's URL that is not UTF-8",
            "-x http://proxy.example?a=%ff host.example 22",
            "",
        ),
        value(
            "Unencoded slash in a URL's user name or password",
            "-x http://me:a/b@proxy.example host.example 22",
            "",
        ),
        value(
            "Unencoded question mark in a URL's user name or password",
            "-x http://me:a?b@proxy.example host.example 22",
            "",
        ),
        value("Invalid host name in a URL", "-x http://[proxy] host.example 22", ""),
        value("Invalid port in a URL", "-x http://proxy.example:port host.example 22", ""),
    ]
}

fn passwords() -> Vec<Row> {
    vec![
        row(2, "Config", "Password file that does not exist", "", || {
            Message::from_outcome(&connect("--password-file /nonexistent/password").args(SOCKS).run())
        }),
        file("Password file with an empty first line", "--password-file FILE", b"\n", SOCKS),
        value(
            "Standard input as the password file",
            "--password-file - -S socks.example host.example 22",
            "",
        ),
        value(
            "File descriptor that carries the session",
            "--password-fd 1 -S socks.example host.example 22",
            "",
        ),
        value("File descriptor that is not open", "--password-fd 77 -S socks.example host.example 22", ""),
        value(
            "Unknown placeholder in a command",
            "--password-command get%x -S socks.example host.example 22",
            "",
        ),
        file(
            "Password file in UTF-16",
            "--password-file FILE",
            b"\xff\xfes\0e\0c\0r\0e\0t\0\n\0",
            "-S me@socks.example host.example 22",
        ),
        row(2, "Config", "Netrc file that does not exist", "", || {
            Message::from_outcome(&connect("--netrc-file /nonexistent/netrc").args(HTTP).run())
        }),
        row(
            2,
            "NotEncodable",
            "Link-local address with a zone through a proxy",
            "Only this machine knows its interfaces.",
            || {
                let out = connect("-S 127.0.0.1:1 fe80::1%eth0 22").run();
                Message::from_outcome(&out).naming("127.0.0.1:1", "socks.example:1080")
            },
        ),
        row(2, "NotEncodable", "IPv6 target through a SOCKS4 proxy", "", || {
            let out = connect("-4 -S me@127.0.0.1:1 2001:db8::1 22").run();
            Message::from_outcome(&out).naming("127.0.0.1:1", "socks.example:1080")
        }),
        row(2, "TooLong", "User name too long for SOCKS5", "", || {
            let user = "u".repeat(256);
            let program = connect(format!("-S {user}:secret@127.0.0.1:1 host.example 22"));
            Message::from_outcome(&program.args("").run()).naming("127.0.0.1:1", "socks.example:1080")
        }),
        row(2, "NotEncodable", "User name with a colon for Basic authentication", "", || {
            let program = connect("-H 127.0.0.1:1 host.example 22");
            let program = program.env("HTTP_PROXY_USER", "me:you").env("HTTP_PROXY_PASSWORD", "secret");
            Message::from_outcome(&program.run()).naming("127.0.0.1:1", "proxy.example:8080")
        }),
    ]
}

fn headers() -> Vec<Row> {
    vec![
        value("Invalid header", "--header nonsense -H proxy.example host.example 22", ""),
        row(2, "Config", "Header file that does not exist", "", || {
            Message::from_outcome(&connect("--header @/nonexistent/headers").args(HTTP).run())
        }),
        value(
            "Secret header for several HTTP proxies",
            "--header X-Token:abc -x http://one.example,http://two.example host.example 22",
            "",
        ),
        value(
            "Invalid header in a proxy's URL",
            "-x http://proxy.example?header=nonsense host.example 22",
            "",
        ),
        file("Invalid line in a header file", "--header @FILE", b"X-Site: north\nnonsense\n", HTTP),
        value("Two `Host` headers", "--header Host:a --header Host:b -H proxy.example host.example 22", ""),
        row(2, "Config", "Two User-Agent headers", "", || {
            let program = connect("--user-agent mine --header").arg("User-Agent: other");
            Message::from_outcome(&program.args(HTTP).run())
        }),
    ]
}

fn tls() -> Vec<Row> {
    vec![
        value("TLS options without TLS", "--insecure -H proxy.example host.example 22", ""),
        value("`-F` with a proxy over TLS", "-F -H https://proxy.example host.example 22", ""),
        value("`-F` with TLS to the target", "-F --tls-target host.example 22", ""),
        value("TLS to a UNIX-domain socket", "--tls-target unix:/run/some.sock", ""),
        variables(
            "Unknown value of `CONNECT_TLS_TARGET`",
            &[("CONNECT_TLS_TARGET", "on")],
            "host.example 22",
            "",
        ),
        value(
            "TLS key without a certificate",
            "--tls-key key.pem -H https://proxy.example host.example 22",
            "",
        ),
        value(
            "Proxy over TLS at a UNIX-domain socket without a name",
            "-H https://unix:/run/proxy.sock host.example 22",
            "",
        ),
        value("Invalid pin", "--tls-pin sha1//AAAA -H https://proxy.example host.example 22", ""),
        value("Invalid server name", "--tls-server-name a/b -H https://proxy.example host.example 22", ""),
        value("Unknown value of `insecure=`", "-x https://proxy.example?insecure=1 host.example 22", ""),
        value("Proxy name that no certificate can contain", "-H https://-a_b-. host.example 22", ""),
        row(2, "Config", "CA file that does not exist", "", || {
            Message::from_outcome(&connect("--tls-ca /nonexistent/ca.pem").args(TLS).run())
        }),
        file("CA file without a certificate", "--tls-ca FILE", b"nothing\n", TLS),
        file(
            "CA file with invalid PEM",
            "--tls-ca FILE",
            b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            TLS,
        ),
        row(2, "Config", "System without certificate authorities", "", || {
            let none = TempPath::file("none", "");
            Message::from_outcome(&connect(TLS).env("SSL_CERT_FILE", &*none).run())
        }),
        client_certificate("Client certificate that does not match its key", |authority| {
            authority.localhost().key_file()
        }),
        client_certificate("Client certificate without a key", |_| TempPath::file("key", "nothing")),
        client_certificate("Client certificate with an invalid key", |_| {
            TempPath::file("key", "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n")
        }),
        client_certificate("Client certificate with an encrypted key", |_| {
            TempPath::file(
                "key",
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            )
        }),
        file(
            "CA file with an invalid certificate",
            "--tls-ca FILE",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            TLS,
        ),
    ]
}

/// Returns a row that uses a client certificate with this key.
fn client_certificate(situation: &'static str, key: fn(&Authority) -> TempPath) -> Row {
    row(2, "Config", situation, "", move || {
        let authority = Authority::new("Example Authority");
        let (certificate, key) = (authority.localhost().certificate_file(), key(&authority));
        fs::set_permissions(&*key, fs::Permissions::from_mode(0o600)).unwrap();
        let options = format!("--insecure --tls-pin sha256//{}=", "A".repeat(43));
        let program = connect(options).arg("--tls-cert").arg(&*certificate).arg("--tls-key").arg(&*key);
        let message = Message::from_outcome(&program.args(TLS).run());
        message.naming(certificate.display(), "/home/me/cert.pem").naming(key.display(), "/home/me/key.pem")
    })
}

fn proxy_server() -> Vec<Row> {
    vec![
        syntax(
            "A host after `--listen` with a scheme",
            "--listen socks5://1080 host.example 22",
            "Without the scheme, all clients are connected to this host.",
        ),
        syntax("`--listen` with a scheme and without one", "--listen http://3128 --listen 8080", ""),
        value("Unknown scheme in `--listen`", "--listen socks6://1080", ""),
        value(
            "`--listen` with a scheme beyond loopback",
            "--listen socks5://0.0.0.0:1080",
            "Everyone who can reach the port could use your proxies in your name.",
        ),
        value("`--listen https://` without a certificate", "--listen https://3129", ""),
        syntax("A certificate without `--listen https://`", "--listen http://3128 --serve-cert cert.pem", ""),
        syntax("An option for `--listen` with a scheme", "--allow-to host.example host.example 22", ""),
        value("Invalid `--allow-to`", "--listen http://3128 --allow-to http://host.example", ""),
        value("Invalid `--allow-from`", "--listen http://3128 --allow-from host.example", ""),
        value(
            "The file of `--listen-password-file` does not exist",
            "--listen http://3128 --listen-password-file /nonexistent/logins",
            "",
        ),
        file(
            "Invalid line in the file of `--listen-password-file`",
            "--listen-password-file FILE",
            b"secret\n",
            "--listen http://3128",
        ),
    ]
}

fn local() -> Vec<Row> {
    vec![
        value("`-F` with a WebSocket", "-F -x ws://ws.example/tunnel host.example 22", ""),
        syntax("`-F` with a local port", "-F -p 2222 host.example 22", ""),
        syntax("`-F` with an idle timeout", "-F --idle-timeout 5 host.example 22", ""),
        syntax("`--no-shutdown` with a local port", "--no-shutdown -p 2222 host.example 22", ""),
        value(
            "`-F` without a socket as standard output",
            "-F host.example 22",
            "Use `-F` only with `ProxyUseFdpass yes` in ssh's configuration.",
        ),
        syntax("`-P` with `--proxy-protocol`", "-P 2222 --proxy-protocol v1 host.example 22", ""),
        syntax("Two kinds of local ports", "-p 2222 --listen 2223 host.example 22", ""),
        value("Invalid local port", "-p here host.example 22", ""),
        value(
            "`--listen systemd` without systemd",
            "--listen systemd host.example 22",
            "Use it in a service with a socket unit.",
        ),
        row(2, "Config", "`--password-fd` with a socket from systemd", "", || {
            let line = "LISTEN_PID=$$ LISTEN_FDS=1 exec PROGRAM --listen systemd --password-fd 3 -S socks.example \
                        host.example 22 3<&0 0</dev/null";
            let line = line.replace("PROGRAM", &program_path());
            let socket = OwnedFd::from(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
            Message::from_outcome(&Program::new("/bin/sh").arg("-c").arg(line).stdin(socket).run())
        }),
        value("Local socket without a path", "--listen unix: host.example 22", ""),
    ]
}
