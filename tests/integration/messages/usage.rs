//! Words and settings that make no sense.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

use super::{Row, Told, row};
use crate::kit::*;

/// A command line that is malformed.
fn syntax(situation: &'static str, args: &'static str, advice: &'static str) -> Row {
    row(2, "Usage", situation, advice, move || Told::by(&connect(args).run()))
}

/// A well-formed command line with an invalid value in it.
fn words(situation: &'static str, words: &'static str, advice: &'static str) -> Row {
    row(2, "Config", situation, advice, move || Told::by(&connect(words).run()))
}

/// Told of these words with these variables set.
fn with(
    situation: &'static str,
    variables: &'static [(&'static str, &'static str)],
    words: &'static str,
    advice: &'static str,
) -> Row {
    row(2, "Config", situation, advice, move || {
        let program = connect(words);
        Told::by(&variables.iter().fold(program, |program, (name, value)| program.env(name, value)).run())
    })
}

/// Told of an option that names a file with this content; it is called `name` in the message.
fn file(situation: &'static str, option: &'static str, content: &'static [u8], words: &'static str) -> Row {
    row(2, "Config", situation, "", move || {
        let file = TempPath::file("file", content);
        fs::set_permissions(&*file, fs::Permissions::from_mode(0o600)).unwrap();
        let option = option.replace("FILE", &file.display().to_string());
        Told::by(&connect("").args(option).args(words).run()).naming(file.display(), "/home/me/file")
    })
}

const SOCKS: &str = "-S socks.example host.example 22";
const HTTP: &str = "-H proxy.example host.example 22";
const TLS: &str = "-H https://proxy.example host.example 22";

pub(super) fn rows() -> Vec<Row> {
    [options(), targets(), proxies(), chains(), passwords(), headers(), tls(), local()]
        .into_iter()
        .flatten()
        .collect()
}

fn options() -> Vec<Row> {
    vec![
        syntax(
            "No host",
            "-n",
            "The host and the port stand behind the options: `connect -n host.example 22`.",
        ),
        syntax("No port", "host.example", "A link to the program named `connect-22` needs none."),
        syntax("An option that does not exist", "-X host.example 22", ""),
        syntax("An option with a typing error", "--eagr host.example 22", ""),
        syntax("An option without its value", "-S", ""),
        syntax("A value for an option that takes none", "--eager=yes host.example 22", ""),
        syntax("Options behind the host", "host.example 22 -d", ""),
        words(
            "A time that is no number",
            "-w soon host.example 22",
            "`-w 2.5` is two and a half seconds; 0 is no limit.",
        ),
        words("`--check` in another form", "--check=xml host.example 22", ""),
        words("`--help` of something else", "--help=more", ""),
        words("`--generate` of something else", "--generate pdf", ""),
        words("Another version of the PROXY protocol", "--proxy-protocol v3 host.example 22", ""),
        with("A relay that does not exist", &[("CONNECT_RELAY", "fast")], "host.example 22", ""),
        row(2, "Config", "A word that is not UTF-8", "", || {
            use std::os::unix::ffi::OsStrExt;
            let word = std::ffi::OsStr::from_bytes(b"h\xff");
            Told::by(&connect("").arg(word).arg("22").run())
        }),
        row(2, "Config", "A variable that is not UTF-8", "", || {
            use std::os::unix::ffi::OsStrExt;
            let value = std::ffi::OsStr::from_bytes(b"h\xff");
            Told::by(&connect("-s host.example 22").env("SOCKS_SERVER", value).run())
        }),
    ]
}

fn targets() -> Vec<Row> {
    vec![
        words("A port that does not exist", "host.example 70000", ""),
        syntax("Two ports", "host.example:22 23", ""),
        words("A host that cannot be one", "ho/st 22", ""),
        row(2, "Config", "An empty host", "", || Told::by(&connect("").arg("").arg("22").run())),
        words("Brackets without an IPv6 address", "[host] 22", ""),
        row(2, "Config", "A name that is too long", "", || {
            Told::by(&connect("").arg("h".repeat(256)).arg("22").run())
        }),
        words("A proxy in the place of the host", "me:secret@socks.example:1080 22", ""),
        words("A socket without a path", "unix:", ""),
        syntax("A port behind a socket", "unix:/run/some.sock 22", ""),
        words(
            "A proxy on the way to a socket",
            "-S socks.example unix:/run/some.sock",
            "A socket is reached directly.",
        ),
    ]
}

fn proxies() -> Vec<Row> {
    vec![
        with("`-s`, and no variable names the proxy", &[], "-s host.example 22", ""),
        with("`-s -4`, and no variable names the proxy", &[], "-s -4 host.example 22", ""),
        with(
            "`-h`, and no variable names the proxy",
            &[],
            "-h host.example 22",
            "`-h` is no help here: that is `--help`.",
        ),
        with("`-t`, and no variable names the proxy", &[], "-t host.example 22", ""),
        words("A proxy's URL of another kind", "-S http://proxy.example host.example 22", ""),
        words("A proxy's URL for `-H` of another kind", "-H socks5://socks.example host.example 22", ""),
        words("A proxy without a host", "-S :1080 host.example 22", ""),
        words("A proxy with a port that is none", "-H proxy.example:port host.example 22", ""),
        with("The same in a variable", &[("SOCKS5_SERVER", "socks.example:port")], "-s host.example 22", ""),
        words("`-R` with something else", "-R here -S socks.example host.example 22", ""),
        words("`-a` with something else", "-a password -S socks.example host.example 22", ""),
        words("`-a` with a way that is not built", "-a gssapi -S socks.example host.example 22", ""),
    ]
}

fn chains() -> Vec<Row> {
    vec![
        words(
            "A chain with a proxy that has no scheme",
            "-x socks.example,http://proxy.example host.example 22",
            "",
        ),
        words("A chain with a comma too many", "-x socks5://socks.example, host.example 22", ""),
        words(
            "`direct` among the proxies of a chain",
            "-x socks5://socks.example,direct host.example 22",
            "",
        ),
        row(2, "Config", "A chain that is too long", "", || {
            let chain = vec!["http://proxy.example"; 17].join(",");
            Told::by(&connect(format!("-x {chain} host.example 22")).run())
        }),
        words("A scheme that does not exist", "-x ftp://proxy.example host.example 22", ""),
        words(
            "An option of a hop that does not exist",
            "-x socks5://socks.example?resolv=local host.example 22",
            "",
        ),
        words(
            "An option of a hop with another value",
            "-x socks5://socks.example?resolve=here host.example 22",
            "",
        ),
        words(
            "`auth=` of a hop with another value",
            "-x socks5://socks.example?auth=basic host.example 22",
            "",
        ),
        words(
            "`auth=` of an HTTP proxy with another value",
            "-x http://proxy.example?auth=none host.example 22",
            "",
        ),
        words("An option of a hop that is not UTF-8", "-x http://proxy.example?a=%ff host.example 22", ""),
        words("A slash in the password of a URL", "-x http://me:a/b@proxy.example host.example 22", ""),
        words(
            "A question mark in the password of a URL",
            "-x http://me:a?b@proxy.example host.example 22",
            "",
        ),
        words("A host in a URL that is none", "-x http://[proxy] host.example 22", ""),
        words("A port in a URL that is none", "-x http://proxy.example:port host.example 22", ""),
        words("A user name in a URL that is not UTF-8", "-x http://%ff@proxy.example host.example 22", ""),
    ]
}

fn passwords() -> Vec<Row> {
    vec![
        row(2, "Config", "A password file that is not there", "", || {
            Told::by(&connect("--password-file /nonexistent/password").args(SOCKS).run())
        }),
        file("A password file that is empty", "--password-file FILE", b"\n", SOCKS),
        words(
            "A password file that is standard input",
            "--password-file - -S socks.example host.example 22",
            "",
        ),
        words(
            "A descriptor that carries the session",
            "--password-fd 1 -S socks.example host.example 22",
            "",
        ),
        words("A descriptor that is not open", "--password-fd 77 -S socks.example host.example 22", ""),
        words(
            "A command with an unknown `%`",
            "--password-command get%x -S socks.example host.example 22",
            "",
        ),
        row(2, "Config", "A netrc file that is not there", "", || {
            Told::by(&connect("--netrc-file /nonexistent/netrc").args(HTTP).run())
        }),
        row(2, "TooLong", "A user name that is too long for SOCKS5", "", || {
            let user = "u".repeat(256);
            let program = connect(format!("-S {user}:secret@127.0.0.1:1 host.example 22"));
            Told::by(&program.args("").run()).naming("127.0.0.1:1", "socks.example:1080")
        }),
        row(2, "NotEncodable", "A user name with a colon, for Basic authentication", "", || {
            let program = connect("-H 127.0.0.1:1 host.example 22");
            let program = program.env("HTTP_PROXY_USER", "me:you").env("HTTP_PROXY_PASSWORD", "secret");
            Told::by(&program.run()).naming("127.0.0.1:1", "proxy.example:8080")
        }),
    ]
}

fn headers() -> Vec<Row> {
    vec![
        words("A header that is none", "--header nonsense -H proxy.example host.example 22", ""),
        row(2, "Config", "A file of headers that is not there", "", || {
            Told::by(&connect("--header @/nonexistent/headers").args(HTTP).run())
        }),
        file(
            "A file of headers with a line that is none",
            "--header @FILE",
            b"X-Site: north\nnonsense\n",
            HTTP,
        ),
        row(2, "Config", "Two user agents", "", || {
            let program = connect("--user-agent mine --header").arg("User-Agent: other");
            Told::by(&program.args(HTTP).run())
        }),
    ]
}

fn tls() -> Vec<Row> {
    vec![
        words("TLS options, and no proxy with TLS", "--insecure -H proxy.example host.example 22", ""),
        words("`-F` and a proxy with TLS", "-F -H https://proxy.example host.example 22", ""),
        words(
            "A key without its certificate",
            "--tls-key key.pem -H https://proxy.example host.example 22",
            "",
        ),
        words("A pin that is none", "--tls-pin sha1//AAAA -H https://proxy.example host.example 22", ""),
        words(
            "A server's name that is none",
            "--tls-server-name a/b -H https://proxy.example host.example 22",
            "",
        ),
        words("`insecure=` with another value", "-x https://proxy.example?insecure=1 host.example 22", ""),
        words("A proxy's name that no certificate can have", "-H https://-a_b-. host.example 22", ""),
        row(2, "Config", "A file of authorities that is not there", "", || {
            Told::by(&connect("--tls-ca /nonexistent/ca.pem").args(TLS).run())
        }),
        file("A file of authorities without a certificate", "--tls-ca FILE", b"nothing\n", TLS),
        file(
            "A file of authorities that is broken",
            "--tls-ca FILE",
            b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            TLS,
        ),
        row(2, "Config", "A system that trusts no authority", "", || {
            let none = TempPath::file("none", "");
            Told::by(&connect(TLS).env("SSL_CERT_FILE", &*none).run())
        }),
        of_ours("A certificate of ours with another one's key", |authority| authority.localhost().key_file()),
        of_ours("A certificate of ours without its key", |_| TempPath::file("key", "nothing")),
        of_ours("A certificate of ours with a key that has a passphrase", |_| {
            TempPath::file(
                "key",
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            )
        }),
        file(
            "A file of authorities that makes no sense",
            "--tls-ca FILE",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            TLS,
        ),
    ]
}

/// Told of a certificate of ours and this key.
fn of_ours(situation: &'static str, key: fn(&Authority) -> TempPath) -> Row {
    row(2, "Config", situation, "", move || {
        let authority = Authority::new("Example Authority");
        let (certificate, key) = (authority.localhost().certificate_file(), key(&authority));
        fs::set_permissions(&*key, fs::Permissions::from_mode(0o600)).unwrap();
        let options = format!("--insecure --tls-pin sha256//{}=", "A".repeat(43));
        let program = connect(options).arg("--tls-cert").arg(&*certificate).arg("--tls-key").arg(&*key);
        let told = Told::by(&program.args(TLS).run());
        told.naming(certificate.display(), "/home/me/cert.pem").naming(key.display(), "/home/me/key.pem")
    })
}

fn local() -> Vec<Row> {
    vec![
        syntax("`-F` and a local port", "-F -p 2222 host.example 22", ""),
        syntax("`-F` and an idle time", "-F --idle-timeout 5 host.example 22", ""),
        syntax("`--no-shutdown` without standard input", "--no-shutdown -p 2222 host.example 22", ""),
        words(
            "`-F`, and standard output is no socket",
            "-F host.example 22",
            "It is for ssh with `ProxyUseFdpass yes`.",
        ),
        syntax("Two kinds of local ports", "-p 2222 --listen 2223 host.example 22", ""),
        words("A local port that is none", "-p here host.example 22", ""),
        words(
            "`--listen systemd`, and systemd has not started it",
            "--listen systemd host.example 22",
            "It is for a service that has a socket unit.",
        ),
        row(2, "Config", "`--listen systemd`, and a password in the place of a socket", "", || {
            let line = "LISTEN_PID=$$ LISTEN_FDS=1 exec PROGRAM --listen systemd --password-fd 3 -S socks.example \
                        host.example 22 3<&0 0</dev/null";
            let line = line.replace("PROGRAM", &program_path());
            let socket = OwnedFd::from(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
            Told::by(&Program::new("/bin/sh").arg("-c").arg(line).stdin(socket).run())
        }),
        words("A local socket without a path", "--listen unix: host.example 22", ""),
    ]
}
