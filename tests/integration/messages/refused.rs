//! What a proxy can answer.

use super::{Row, Told, row};
use crate::kit::*;

/// Told of a SOCKS proxy that does so.
fn socks(
    code: i32,
    kind: &'static str,
    situation: impl Into<String>,
    advice: &'static str,
    words: &'static str,
    proxy: impl Fn() -> Script + Send + Sync + 'static,
) -> Row {
    through(code, kind, situation, advice, words, "socks.example:1080", proxy)
}

fn http(
    code: i32,
    kind: &'static str,
    situation: impl Into<String>,
    advice: &'static str,
    words: &'static str,
    proxy: impl Fn() -> Script + Send + Sync + 'static,
) -> Row {
    through(code, kind, situation, advice, words, "proxy.example:8080", proxy)
}

fn through(
    code: i32,
    kind: &'static str,
    situation: impl Into<String>,
    advice: &'static str,
    words: &'static str,
    name: &'static str,
    proxy: impl Fn() -> Script + Send + Sync + 'static,
) -> Row {
    row(code, kind, situation, advice, move || {
        // A question about passwords may cost a second connection.
        let again = Server::repeat({
            let script = std::sync::Mutex::new(Vec::new());
            script.lock().unwrap().extend([proxy(), proxy(), proxy()]);
            move || script.lock().unwrap().pop().unwrap()
        });
        let words = format!("{words} host.example 22").replace("PROXY", &again.to_string());
        Told::by(&connect(words).run()).naming(&again, name)
    })
}

pub(super) fn rows() -> Vec<Row> {
    [socks5(), socks4(), other_protocols(), answers_of_http(), telnet(), authentication()]
        .into_iter()
        .flatten()
        .collect()
}

fn socks5() -> Vec<Row> {
    let codes = [
        (1, "The SOCKS5 proxy does not say why"),
        (2, "The SOCKS5 proxy's rules do not allow the target"),
        (3, "The SOCKS5 proxy does not reach the target's network"),
        (4, "The SOCKS5 proxy does not reach the target, or does not know its name"),
        (5, "The target refused the SOCKS5 proxy's connection"),
        (6, "The target is too far away from the SOCKS5 proxy"),
        (7, "The SOCKS5 proxy makes no connections to elsewhere"),
        (8, "The SOCKS5 proxy knows no names, or no IPv6"),
        (99, "The SOCKS5 proxy has a reason of its own"),
    ];
    let refused = codes.map(|(code, situation)| {
        socks(5, "Socks5Refused", situation, "", "-S PROXY", move || socks5_refused(code).drain())
    });
    let odd = [
        socks(5, "AddressType", "The SOCKS5 proxy's answer makes no sense", "", "-S PROXY", || {
            socks5_request().send([5, 0, 0, 9, 0]).drain()
        }),
        socks(
            5,
            "MethodNotOffered",
            "The SOCKS5 proxy wants something else than what was offered",
            "",
            "-S PROXY",
            || script().expect_bytes(2).send([5, 3]).drain(),
        ),
        socks(5, "Closed", "The SOCKS5 proxy closes the connection", "", "-S PROXY", || {
            script().expect_bytes(2)
        }),
        socks(
            5,
            "Closed",
            "The SOCKS5 proxy closes it after `--eager`",
            "Leave `--eager` out.",
            "--eager -S PROXY",
            || script().expect_bytes(2).send([5, 0]).expect_bytes(19),
        ),
        socks(5, "Lost", "The proxy's connection breaks", "", "-S PROXY", || {
            script().expect_bytes(2).reset()
        }),
    ];
    refused.into_iter().chain(odd).collect()
}

fn socks4() -> Vec<Row> {
    let by_name = [
        (91, "The SOCKS4 proxy refuses a name"),
        (92, "The SOCKS4 proxy wants to ask this machine who you are, and cannot"),
        (93, "The SOCKS4 proxy was told by this machine that you are somebody else"),
        (99, "The SOCKS4 proxy has a reason of its own"),
    ];
    let by_name = by_name.map(|(code, situation)| {
        socks(5, "Socks4Refused", situation, "", "-4 -R remote -S me@PROXY", move || socks4_reply(code))
    });
    let by_address = row(5, "Socks4Refused", "The SOCKS4 proxy refuses an address", "", || {
        let proxy = socks4_reply(91).serve();
        Told::by(&connect(format!("-4 -S me@{proxy} 10.0.0.1 22")).run()).naming(&proxy, "socks.example:1080")
    });
    by_name.into_iter().chain([by_address]).collect()
}

/// A proxy of one kind is taken for one of another.
fn other_protocols() -> Vec<Row> {
    let first = |bytes: &'static [u8]| move || script().expect_bytes(2).send(bytes).drain();
    let kind = "NotTheProtocol";
    // As nginx says it.
    let plain = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>\r\n<head><title>400 The plain HTTP \
                 request was sent to HTTPS port</title></head>\r\n</html>\r\n";
    vec![
        socks(
            5,
            kind,
            "It is an HTTP proxy, and no SOCKS proxy",
            "",
            "-S PROXY",
            first(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ),
        socks(
            5,
            kind,
            "It is an ssh server, and no SOCKS proxy",
            "",
            "-S PROXY",
            first(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
        ),
        socks(
            5,
            kind,
            "It speaks TLS, and was named as a plain SOCKS proxy",
            "",
            "-S PROXY",
            first(b"\x15\x03\x01\0\x02\x02\x46"),
        ),
        socks(5, kind, "It speaks SOCKS version 4 only", "", "-S PROXY", first(b"\0\x5b\0\0\0\0\0\0")),
        socks(5, kind, "It speaks SOCKS version 5 only", "", "-4 -R remote -S me@PROXY", first(b"\x05\xff")),
        socks(5, kind, "It is something else altogether", "", "-S PROXY", first(b"+OK POP3 ready\r\n")),
        http(5, "MalformedHttp", "It is a SOCKS proxy, and no HTTP proxy", "", "-H PROXY", || {
            http_request().send(b"\x05\xff").drain()
        }),
        http(5, "MalformedHttp", "It speaks TLS, and was named with `http://`", "", "-H PROXY", || {
            http_request().send(b"\x15\x03\x01\0\x02\x02\x46").drain()
        }),
        http(
            5,
            "HttpRefused",
            "It speaks TLS and says so, and was named with `http://`",
            "",
            "-H PROXY",
            move || http_reply(plain),
        ),
        http(
            5,
            "Closed",
            "The HTTP proxy closes the connection without a word",
            "",
            "-H PROXY",
            http_request,
        ),
    ]
}

fn answers_of_http() -> Vec<Row> {
    let answer = |situation: &'static str, reply: &'static str| {
        http(5, "HttpRefused", situation, "", "-H PROXY", move || {
            http_reply(format!("HTTP/1.1 {reply}\r\n\r\n"))
        })
    };
    vec![
        answer("The HTTP proxy allows other ports only", "403 Forbidden\r\nContent-Length: 0"),
        answer(
            "The HTTP proxy does not know the target",
            "503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 24\r\n\r\nUnable to resolve host.",
        ),
        answer("It is a web server, and no proxy", "405 Method Not Allowed\r\nContent-Length: 0"),
        answer(
            "The network wants you to log in",
            "302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0",
        ),
        http(5, "HeaderTooLong", "The HTTP proxy's answer has no end", "", "-H PROXY", || {
            let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "x".repeat(70_000));
            http_request().send(head).drain()
        }),
    ]
}

fn telnet() -> Vec<Row> {
    let proxy = |kind, situation: &'static str, advice, answer: fn() -> Vec<u8>| {
        through(5, kind, situation, advice, "-T PROXY", "telnet.example:23", move || {
            script().expect_until("\r\n").send(answer()).drain()
        })
    };
    vec![
        proxy("TelnetRefused", "The telnet-style proxy refuses", "", || b"connection refused\r\n".to_vec()),
        proxy(
            "NoAnswerLine",
            "The telnet-style proxy talks, and does not say whether it is connected",
            "",
            || b"welcome\r\n".repeat(8000),
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
            "The SOCKS5 proxy wants a password, and none was offered",
            "",
            "-S PROXY",
            || script().expect([5, 1, 0]).send([5, 0xff]),
        ),
        socks(
            6,
            "NoMethod",
            "The SOCKS5 proxy wants to know who you are in another way",
            "",
            "-S me:secret@PROXY",
            || script().expect([5, 2, 0, 2]).send([5, 0xff]),
        ),
        socks(
            6,
            "WrongPassword",
            "The SOCKS5 proxy does not accept the password",
            "",
            "-S me:wrong@PROXY",
            || socks5_userpass("me", "secret"),
        ),
        http(
            6,
            "WrongPassword",
            "The HTTP proxy does not accept the password",
            "",
            "-H me:wrong@PROXY",
            move || challenge("Basic realm=\"corp\""),
        ),
        http(
            6,
            "WrongHeader",
            "The HTTP proxy does not accept the header of yours",
            "",
            "--header Proxy-Authorization:Bearer-of-mine -H PROXY",
            move || challenge("Bearer"),
        ),
        http(6, "NoScheme", "The HTTP proxy wants NTLM or Kerberos", "", "-H me:secret@PROXY", move || {
            challenge("Negotiate\r\nProxy-Authenticate: NTLM")
        }),
        http(
            6,
            "NoScheme",
            "The HTTP proxy wants what `-a` does not allow",
            "",
            "-a digest -H me:secret@PROXY",
            move || challenge("Basic realm=\"corp\""),
        ),
        http(
            6,
            "NoPassword",
            "The HTTP proxy wants a password, and there is nobody to ask",
            "`--password-file`, `--password-command` and `--netrc` are other places for it.",
            "-H me@PROXY",
            move || challenge("Basic realm=\"corp\""),
        ),
        http(
            6,
            "NoPassword",
            "The command that should say the password does not",
            "",
            "--password-command false -H me@PROXY",
            move || challenge("Basic realm=\"corp\""),
        ),
        http(
            5,
            "Closed",
            "The HTTP proxy closes the connection in the middle of its answer",
            "",
            "-H PROXY",
            || http_request().send("HTTP/1.1 200 OK\r\n"),
        ),
    ]
}
