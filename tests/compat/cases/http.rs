//! HTTP proxies: status codes, authentication, and all sorts of responses.

use std::time::Duration;

use crate::case::Aspect::{Debug, Exit, Output, Prompt, Wire};
use crate::case::{Case, case};
use crate::kit::{HTTP_GRANTED, script};
use crate::peers::{authorized_or, hello, http, http_challenging, http_reply};

fn with(name: &'static str, reply: &str) -> Case {
    case(name, "-d -H {proxy} host.example 22").peer("proxy", http_reply(reply)).over_http()
}

/// Expects this reply to establish a session.
fn opens(name: &'static str, reply: &str) -> Case {
    with(name, reply).ok().both("stdout: \"HELLO\\n\"")
}

/// Expects both programs to fail. Only our program reads the body of the refusal.
fn refuses(name: &'static str, status: &str) -> Case {
    with(name, &format!("HTTP/1.0 {status}\r\nContent-Length: 3\r\n\r\nno\n"))
        .differs([Debug], "http-reason")
        .fails()
        .both("stdout: \"\"")
        .both("CONNECT host.example:22 HTTP/1.")
}

/// Expects one program to succeed and the other to fail.
fn splits(case: Case, id: &'static str) -> Case {
    case.differs([Exit, Output, Debug], id)
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = statuses();
    all.extend(replies());
    all.extend(authentication());
    all
}

fn statuses() -> Vec<Case> {
    let two = |name, status: &str| {
        splits(with(name, &format!("HTTP/1.1 {status} Fine\r\n\r\n")), "http-2xx")
            .theirs("exit: not zero")
            .ours("exit: zero")
            .ours("stdout: \"HELLO\\n\"")
    };
    vec![
        case("http: a session", "-d -H {proxy} host.example 22")
            .peer("proxy", http())
            .over_http()
            .input("ping\n")
            .ok()
            .both("stdout: \"HELLO\\n\"")
            .theirs("\"CONNECT host.example:22 HTTP/1.0\\r\\n\\r\\nping\\n\"")
            .ours("\"CONNECT host.example:22 HTTP/1.1\\r\\nHost: host.example:22\\r\\n\\r\\nping\\n\""),
        splits(
            case("http: 200 with a web page", "-d -H {proxy} host.example 22")
                .peer(
                    "proxy",
                    script().read_connect_request().send(
                        "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html><title>Hello</title></html>\n",
                    ),
                )
                .over_http(),
            "http-page",
        )
        .theirs("exit: zero")
        .theirs("<html>")
        .ours("exit: not zero")
        .ours("stdout: \"\""),
        case("http: granted, and closed without data", "-d -H {proxy} host.example 22")
            .peer("proxy", script().read_connect_request().send(HTTP_GRANTED))
            .over_http()
            .input_stays_open("")
            .differs([Exit], "granted-and-closed")
            .theirs("exit: zero")
            .ours("exit: not zero"),
        two("http: 201", "201"),
        two("http: 204", "204"),
        two("http: 299", "299"),
        refuses("http: 400", "400 Bad Request"),
        refuses("http: 403", "403 Forbidden"),
        refuses("http: 404", "404 Not Found"),
        refuses("http: 405", "405 Method Not Allowed"),
        refuses("http: 500", "500 Internal Server Error"),
        refuses("http: 502", "502 Bad Gateway"),
        refuses("http: 503", "503 Service Unavailable"),
        refuses("http: 504", "504 Gateway Timeout"),
        refuses("http: 301", "301 Moved Permanently"),
        refuses("http: 307", "307 Temporary Redirect"),
        with("http: 302 is not followed", "HTTP/1.0 302 Found\r\nLocation: http://{other}/\r\n\r\n")
            .peer("other", http())
            .differs([Debug], "http-reason")
            .fails()
            .both("stdout: \"\""),
        case("http: 302 without Location", "-H {proxy} host.example 22")
            .peer("proxy", script().read_connect_request().send("HTTP/1.0 302 Found\r\n\r\n"))
            .theirs_hangs()
            .differs([Exit, Wire], "http-302")
            .theirs("exit: none")
            .theirs("proxy 5 got")
            .ours("exit: not zero"),
    ]
}

fn replies() -> Vec<Case> {
    vec![
        opens("http: version 1.1 in the response", "HTTP/1.1 200 OK\r\n\r\n"),
        opens("http: no reason after the status", "HTTP/1.0 200\r\n\r\n"),
        opens("http: another reason after the status", "HTTP/1.0 200 Connection established\r\n\r\n"),
        opens("http: header fields in the response", "HTTP/1.0 200 OK\r\nVia: me\r\nX-Other: y\r\n\r\n"),
        with("http: session data in the same segment as the response", "HTTP/1.0 200 OK\r\n\r\nEARLY\n")
            .ok()
            .both("stdout: \"EARLY\\nHELLO\\n\""),
        with(
            "http: Content-Length in a 200 response is ignored",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
        )
        .ok()
        .both("stdout: \"abcdHELLO\\n\""),
        case("http: a response byte by byte", "-H {proxy} host.example 22")
            .over_http()
            .peer(
                "proxy",
                "HTTP/1.0 200 OK\r\n\r\n"
                    .bytes()
                    .fold(script().read_connect_request(), |script, byte| {
                        script.send([byte]).pause(Duration::from_millis(2))
                    })
                    .followed_by(hello()),
            )
            .ok()
            .both("stdout: \"HELLO\\n\""),
        splits(
            with("http: an interim response", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
            "http-interim",
        )
        .theirs("exit: not zero")
        .ours("exit: zero")
        .ours("stdout: \"HELLO\\n\""),
        splits(with("http: lines without CR", "HTTP/1.0 200 OK\n\n"), "http-line-ends")
            .theirs_hangs()
            .theirs("exit: none")
            .ours("exit: zero")
            .ours("stdout: \"HELLO\\n\""),
        case("http: the proxy closes within the head", "-H {proxy} host.example 22")
            .over_http()
            .peer("proxy", script().read_connect_request().send("HTTP/1.0 200 OK\r\n"))
            .theirs_hangs()
            .differs([Exit], "http-cut")
            .theirs("exit: none")
            .ours("exit: not zero"),
        case("http: the proxy closes at once", "-H {proxy} host.example 22")
            .over_http()
            .peer("proxy", script().read_connect_request())
            .fails()
            .both("stdout: \"\""),
        with("http: the response is not HTTP", "SSH-2.0-Server\r\n\r\n")
            .differs([Debug], "http-reason")
            .fails()
            .both("stdout: \"\""),
        case("http: an IPv6 address", "-H {proxy} ::1 22")
            .peer("proxy", http())
            .ok()
            .differs([Wire], "ipv6")
            .theirs("CONNECT ::1:22 ")
            .ours("CONNECT [::1]:22 HTTP/1.1\\r\\nHost: [::1]:22\\r\\n"),
        case("http: names are never resolved locally", "-R local -H {proxy} ten.example 22")
            .peer("proxy", http())
            .over_http()
            .ok()
            .both("CONNECT ten.example:22 "),
    ]
}

/// Creates a case in which the proxy challenges with this header field.
fn asked(name: &'static str, status: &str, field: &str) -> Case {
    let reply = format!("HTTP/1.0 {status} Who?\r\n{field}\r\n\r\n");
    case(name, "-H bob@{proxy} host.example 22")
        .env("SSH_ASKPASS", "{dir}/askpass")
        .env("DISPLAY", ":0")
        .peer("proxy", http_challenging(reply))
        .over_http()
}

fn authentication() -> Vec<Case> {
    const WANTED: &str = "HTTP/1.0 407 Who?\r\nProxy-Authenticate: Basic realm=\"r\"\r\n\r\n";
    const BASIC: &str = "Proxy-Authorization: Basic Ym9iOnNlY3JldA==\\r\\n\\r\\n";
    let again = |name, first: &str, second: &str| {
        case(name, "-H bob@{proxy} host.example 22")
            .env("SSH_ASKPASS", "{dir}/askpass")
            .env("DISPLAY", ":0")
            .peer("proxy", authorized_or(first).send(second))
            .over_http()
    };
    let unable = |name, field| asked(name, "407", field).fails().both("stdout: \"\"");
    vec![
        asked("http: 407", "407", "Proxy-Authenticate: Basic realm=\"r\"").ok().both(BASIC).both("proxy 2 got"),
        asked("http: 407, in lower case", "407", "proxy-authenticate: basic realm=\"r\"").ok().both(BASIC),
        asked("http: 407 without a realm", "407", "Proxy-Authenticate: Basic").ok().both(BASIC),
        asked("http: 407, Basic among other schemes", "407",
            "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Basic realm=\"r\"").ok().both(BASIC),
        asked("http: 401 with WWW-Authenticate", "401", "WWW-Authenticate: Basic realm=\"r\"").ok().both("proxy 2 got"),
        asked("http: 407, two schemes in one field", "407", "Proxy-Authenticate: Negotiate, Basic realm=\"r\"")
            .differs([Exit, Output, Wire, Prompt], "http-challenges").theirs("exit: not zero").ours("exit: zero").ours(BASIC),
        asked("http: 407, no blank after the colon", "407", "Proxy-Authenticate:Basic realm=\"r\"")
            .differs([Exit, Output, Wire, Prompt], "http-challenges").theirs("exit: not zero").ours("exit: zero").ours(BASIC),
        unable("http: 407, only NTLM", "Proxy-Authenticate: NTLM"),
        unable("http: 407 without a challenge", "X-Other: y"),
        again("http: 407 and then 403", WANTED, "HTTP/1.0 403 Forbidden\r\n\r\n").fails().both("proxy 2 got"),
        again("http: 407 twice", WANTED, WANTED).fails().both("proxy 2 got"),
        asked("http: a password known in advance", "407", "Proxy-Authenticate: Basic realm=\"r\"").env("HTTP_PROXY_PASSWORD", "secret")
            .ok().differs([Wire], "http-credentials-first").theirs("proxy 2 got").ours(BASIC),
        case("http: 407 on a persistent connection", "-H bob@{proxy} host.example 22").env("SSH_ASKPASS", "{dir}/askpass")
            .env("DISPLAY", ":0").peer("proxy", script().read_connect_request()
                .send("HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm=\"r\"\r\nContent-Length: 3\r\n\r\nno\n").read_connect_request()
                .send("HTTP/1.1 200 OK\r\n\r\n").followed_by(hello()))
            .differs([Exit, Output, Wire], "http-keep-alive")
            .theirs("proxy 2 got").ours("exit: zero").ours("proxy 1 got: \"CONNECT host.example:22 HTTP/1.1\\r\\nHost: host.example:22\\r\\n\\r\\nCONNECT "),
    ]
}
