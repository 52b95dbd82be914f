//! Refusals and protocol violations by a proxy.

use std::net::TcpStream;

use super::session::port_in;
use super::{Message, Row, row};
use crate::kit::*;
use crate::listening::expect_disconnect;

/// Returns a row that uses a SOCKS proxy with this script.
fn socks(
    code: i32,
    variant: &'static str,
    situation: impl Into<String>,
    advice: &'static str,
    args: &'static str,
    proxy: impl Fn() -> Script + Send + Sync + 'static,
) -> Row {
    through(code, variant, situation, advice, args, "socks.example:1080", proxy)
}

/// Returns a row that uses an HTTP proxy with this script.
fn http(
    code: i32,
    variant: &'static str,
    situation: impl Into<String>,
    advice: &'static str,
    args: &'static str,
    proxy: impl Fn() -> Script + Send + Sync + 'static,
) -> Row {
    through(code, variant, situation, advice, args, "proxy.example:8080", proxy)
}

fn through(
    code: i32,
    variant: &'static str,
    situation: impl Into<String>,
    advice: &'static str,
    args: &'static str,
    name: &'static str,
    proxy: impl Fn() -> Script + Send + Sync + 'static,
) -> Row {
    row(code, variant, situation, advice, move || {
        // Authentication may need additional connections.
        let scripts = std::sync::Mutex::new(vec![proxy(), proxy(), proxy()]);
        let server = Server::repeat(move || scripts.lock().unwrap().pop().unwrap());
        // The target follows the proxy unless it is part of the args.
        let target = if args.ends_with("PROXY") { "host.example 22" } else { "" };
        let args = format!("{args} {target}").replace("PROXY", &server.to_string());
        Message::from_outcome(&connect(args).run()).naming(&server, name)
    })
}

pub(super) fn rows() -> Vec<Row> {
    [socks5(), onion_services(), socks4(), other_protocols(), http_responses(), telnet(), authentication()]
        .into_iter()
        .flatten()
        .collect()
}

fn socks5() -> Vec<Row> {
    let codes = [
        (1, "The SOCKS5 proxy fails without giving a reason"),
        (2, "The SOCKS5 proxy's rules forbid the target"),
        (3, "The SOCKS5 proxy cannot reach the target's network"),
        (4, "The SOCKS5 proxy cannot reach the target, or cannot resolve its name"),
        (5, "The target refuses the SOCKS5 proxy's connection"),
        (6, "The target is too many hops away from the SOCKS5 proxy"),
        (7, "The SOCKS5 proxy does not support CONNECT"),
        (8, "The SOCKS5 proxy does not support names"),
        (99, "The SOCKS5 proxy sends an unknown reply code"),
    ];
    let refused = codes.map(|(code, situation)| {
        socks(5, "Socks5Refused", situation, "", "-S PROXY", move || socks5_refused(code).drain())
    });
    let other = [
        socks(
            5,
            "Socks5Refused",
            "The SOCKS5 proxy does not support IP addresses, or at least not IPv6",
            "",
            "-S PROXY 2001:db8::1 22",
            || socks5_refused(8).drain(),
        ),
        socks(5, "AddressType", "The SOCKS5 proxy's reply is invalid", "", "-S PROXY", || {
            socks5_request().send([5, 0, 0, 9, 0]).drain()
        }),
        socks(
            5,
            "MethodNotOffered",
            "The SOCKS5 proxy selects an authentication method that was not offered",
            "",
            "-S PROXY",
            || script().expect_bytes(2).send([5, 3]).drain(),
        ),
        socks(5, "Closed", "The SOCKS5 proxy closes the connection", "", "-S PROXY", || {
            script().expect_bytes(2)
        }),
        socks(5, "Closed", "The SOCKS5 proxy does not support `--eager`", "", "--eager -S PROXY", || {
            script().expect_bytes(2).send([5, 0]).expect_bytes(19)
        }),
        socks(5, "Lost", "The proxy resets the connection", "", "-S PROXY", || {
            script().expect_bytes(2).reset()
        }),
    ];
    refused.into_iter().chain(other).collect()
}

/// Returns the rows for names that only Tor can resolve.
fn onion_services() -> Vec<Row> {
    const EXTENDED: &str =
        "Tor sends this code if `SocksPort` in its configuration has the flag `ExtendedErrors`.";
    let codes = [
        (4, "Tor cannot reach the onion service", ""),
        (8, "The SOCKS5 proxy is not Tor, and cannot resolve the name of an onion service", ""),
        (0xf0, "Tor cannot find the onion service", EXTENDED),
        (0xf1, "Tor cannot read the descriptor of the onion service", EXTENDED),
        (0xf2, "Tor cannot contact the onion service", EXTENDED),
        (0xf3, "Tor's rendezvous with the onion service fails", EXTENDED),
        (0xf4, "The onion service requires a key", EXTENDED),
        (0xf5, "The onion service rejects your key", EXTENDED),
        (0xf6, "The address of the onion service is invalid", EXTENDED),
        (0xf7, "The onion service does not answer", EXTENDED),
    ];
    let socks5 = codes.map(|(code, situation, advice)| {
        socks(5, "Socks5Refused", situation, advice, "-S PROXY abc.onion 22", move || {
            socks5_refused(code).drain()
        })
    });
    let socks4 = socks(
        5,
        "Socks4Refused",
        "The SOCKS4 proxy refuses an onion service",
        "",
        "-4 -R remote -S me@PROXY abc.onion 22",
        || socks4_reply(91),
    );
    socks5.into_iter().chain([socks4]).collect()
}

fn socks4() -> Vec<Row> {
    let by_name = [
        (91, "The SOCKS4 proxy refuses a name"),
        (92, "The SOCKS4 proxy requires an ident server on this machine"),
        (93, "The ident server on this machine reports a different user name"),
        (99, "The SOCKS4 proxy sends an unknown reply code"),
    ];
    let by_name = by_name.map(|(code, situation)| {
        socks(5, "Socks4Refused", situation, "", "-4 -R remote -S me@PROXY", move || socks4_reply(code))
    });
    let by_address = socks(
        5,
        "Socks4Refused",
        "The SOCKS4 proxy refuses an address",
        "",
        "-4 -S me@PROXY 10.0.0.1 22",
        || socks4_reply(91),
    );
    by_name.into_iter().chain([by_address]).collect()
}

/// Returns the rows in which the proxy is not of the type that the user specified.
fn other_protocols() -> Vec<Row> {
    let first = |bytes: &'static [u8]| move || script().expect_bytes(2).send(bytes).drain();
    let variant = "NotTheProtocol";
    // This is nginx's response to plain HTTP on a TLS port.
    let plain = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>\r\n<head><title>400 The plain HTTP \
                 request was sent to HTTPS port</title></head>\r\n</html>\r\n";
    vec![
        socks(
            5,
            variant,
            "The SOCKS proxy is an HTTP proxy",
            "",
            "-S PROXY",
            first(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ),
        socks(
            5,
            variant,
            "The SOCKS proxy is an ssh server",
            "",
            "-S PROXY",
            first(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
        ),
        socks(
            5,
            variant,
            "The SOCKS proxy expects TLS",
            "",
            "-S PROXY",
            first(b"\x15\x03\x01\0\x02\x02\x46"),
        ),
        socks(
            5,
            variant,
            "The proxy supports SOCKS version 4 only",
            "",
            "-S PROXY",
            first(b"\0\x5b\0\0\0\0\0\0"),
        ),
        socks(
            5,
            variant,
            "The proxy supports SOCKS version 5 only",
            "",
            "-4 -R remote -S me@PROXY",
            first(b"\x05\xff"),
        ),
        socks(
            5,
            variant,
            "The SOCKS proxy is some other server",
            "",
            "-S PROXY",
            first(b"+OK POP3 ready\r\n"),
        ),
        http(5, "NotHttp", "The HTTP proxy is a SOCKS proxy", "", "-H PROXY", || {
            http_request().send(b"\x05\xff").drain()
        }),
        http(5, "NotHttp", "The HTTP proxy expects TLS, and sends an alert", "", "-H PROXY", || {
            http_request().send(b"\x15\x03\x01\0\x02\x02\x46").drain()
        }),
        http(5, "HttpRefused", "The HTTP proxy expects TLS, and says so", "", "-H PROXY", move || {
            http_reply(plain)
        }),
        http(5, "Closed", "The HTTP proxy closes the connection", "", "-H PROXY", http_request),
    ]
}

fn http_responses() -> Vec<Row> {
    let response = |situation: &'static str, reply: &'static str| {
        http(5, "HttpRefused", situation, "", "-H PROXY", move || {
            http_reply(format!("HTTP/1.1 {reply}\r\n\r\n"))
        })
    };
    let forbidden = |situation: &'static str, args: &'static str, text: &'static str| {
        http(5, "HttpRefused", situation, "", args, move || {
            http_reply(format!("HTTP/1.1 403 {text}\r\nContent-Length: 0\r\n\r\n"))
        })
    };
    vec![
        forbidden("The HTTP proxy forbids the port or the host", "-H PROXY", "Forbidden"),
        forbidden("The HTTP proxy forbids the host", "-H PROXY host.example 443", "Forbidden"),
        forbidden(
            "The HTTP proxy forbids the host, and the request had a `User-Agent`",
            "--user-agent Example/1.0 -H PROXY host.example 443",
            "Forbidden",
        ),
        forbidden("The HTTP proxy requires a `User-Agent`", "-H PROXY", "User-Agent not allowed"),
        response(
            "The HTTP proxy cannot resolve the target's name",
            "503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 24\r\n\r\nUnable to resolve host.",
        ),
        response("The HTTP proxy is a web server", "405 Method Not Allowed\r\nContent-Length: 0"),
        response(
            "The network requires a login in a browser",
            "302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0",
        ),
        http(
            5,
            "WebPage",
            "A web server or the login page of a network answers",
            "The status reports success, but there is no tunnel.",
            "-H PROXY",
            || {
                let page = "<html><title>Welcome to nginx!</title></html>";
                let length = page.len();
                http_reply(format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{page}"
                ))
            },
        ),
        led_nowhere(
            "The proxy grants the request, and closes the connection without any data",
            "Some proxies grant every request before they connect to the target.",
            http_ok,
        ),
        led_nowhere(
            "The proxy grants the request, and resets the connection",
            "The proxy closed the connection without reading what `connect` had sent.",
            || http_ok().reset(),
        ),
        http(5, "HeaderTooLong", "The HTTP proxy's response is too long", "", "-H PROXY", || {
            let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "x".repeat(70_000));
            http_request().send(head).drain()
        }),
        http(5, "MalformedHttp", "The HTTP proxy's response is malformed", "", "-H PROXY", || {
            http_request().send("HTTP/1.1 200 OK\r\nno header field\r\n\r\n").drain()
        }),
        http(5, "Closed", "The HTTP proxy closes the connection mid-response", "", "-H PROXY", || {
            http_request().send("HTTP/1.1 200 OK\r\n")
        }),
    ]
}

/// Returns a row about a proxy that grants the request although the tunnel leads nowhere.
fn led_nowhere(situation: &'static str, advice: &'static str, script: fn() -> Script) -> Row {
    row(5, "NothingReceived", situation, advice, move || {
        let proxy = script().serve();
        let mut run = connect(format!("-H {proxy} host.example 22")).start();
        Message::from_outcome(&run.wait()).naming(&proxy, "proxy.example:8080")
    })
}

fn telnet() -> Vec<Row> {
    let proxy = |variant, situation: &'static str, answer: Vec<u8>| {
        through(5, variant, situation, "", "-T PROXY", "telnet.example:23", move || {
            script().expect_until("\r\n").send(&answer).drain()
        })
    };
    vec![
        proxy("TelnetRefused", "The telnet-style proxy refuses", b"connection refused\r\n".to_vec()),
        proxy(
            "NoAnswerLine",
            "The telnet-style proxy reports neither success nor failure",
            b"welcome\r\n".repeat(8000),
        ),
        through(
            5,
            "Closed",
            "The telnet-style proxy closes the connection",
            "",
            "-T PROXY",
            "telnet.example:23",
            || script().expect_until("\r\n"),
        ),
    ]
}

fn authentication() -> Vec<Row> {
    let challenge = |challenge: &str| {
        http_reply(format!(
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n"
        ))
    };
    vec![
        socks(
            6,
            "NoMethod",
            "The SOCKS5 proxy requires a password, and none was offered",
            "",
            "-S PROXY",
            || script().expect([5, 1, 0]).send([5, 0xff]),
        ),
        socks(
            6,
            "NoMethod",
            "The SOCKS5 proxy requires an unsupported authentication method",
            "",
            "-S me:secret@PROXY",
            || script().expect([5, 2, 0, 2]).send([5, 0xff]),
        ),
        socks(6, "WrongPassword", "The SOCKS5 proxy rejects the password", "", "-S me:wrong@PROXY", || {
            socks5_userpass("me", "secret")
        }),
        http(6, "WrongPassword", "The HTTP proxy rejects the password", "", "-H me:wrong@PROXY", move || {
            challenge("Basic realm=\"corp\"")
        }),
        row(
            6,
            "RejectedBefore",
            "A later `--listen` client needs a password that the proxy has already rejected",
            "`connect` sends it again after 30 minutes, or at once after a restart.",
            move || {
                let proxy = Server::repeat(move || challenge("Basic realm=\"corp\""));
                let mut run = connect(format!("-d --listen 0 -H me:wrong@{proxy} host.example 22")).start();
                let port = port_in(&mut run);
                for _ in 0..2 {
                    expect_disconnect(TcpStream::connect(("127.0.0.1", port)).unwrap());
                }
                run.wait_stderr_has("restart connect\n");
                let log = run.stderr_so_far();
                let line = log.lines().find(|line| line.contains("rejected the password")).unwrap();
                let (client, _) = line.trim_start_matches("connect: client ").split_once(": ").unwrap();
                // The listener goes on, so the exit code is that of the error.
                Message { code: Some(6), text: format!("{line}\n") }
                    .naming(client, "127.0.0.1:50000")
                    .naming(&proxy, "proxy.example:8080")
            },
        ),
        http(
            6,
            "WrongHeader",
            "The HTTP proxy rejects your `Proxy-Authorization` header",
            "",
            "--header Proxy-Authorization:Bearer-of-mine -H PROXY",
            move || challenge("Bearer"),
        ),
        http(
            6,
            "NoScheme",
            "The HTTP proxy requires NTLM or Kerberos",
            "",
            "-H me:secret@PROXY",
            move || challenge("Negotiate\r\nProxy-Authenticate: NTLM"),
        ),
        http(
            6,
            "NoScheme",
            "The HTTP proxy requires a scheme that `-a` excludes",
            "",
            "-a digest -H me:secret@PROXY",
            move || challenge("NTLM\r\nProxy-Authenticate: Basic realm=\"corp\""),
        ),
        http(
            6,
            "NoScheme",
            "The HTTP proxy requires authentication but offers no scheme",
            "",
            "-H me:secret@PROXY",
            move || challenge(""),
        ),
        http(
            6,
            "NoPassword",
            "The HTTP proxy requires a password, and there is no terminal for a prompt",
            "`--password-file`, `--password-command` and `--netrc` are other sources of a password.",
            "-H me@PROXY",
            move || challenge("Basic realm=\"corp\""),
        ),
        http(
            6,
            "NoPassword",
            "The password command fails",
            "",
            "--password-command false -H me@PROXY",
            move || challenge("Basic realm=\"corp\""),
        ),
    ]
}
