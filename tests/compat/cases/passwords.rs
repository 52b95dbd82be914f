//! Passwords from variables, from an askpass program, and from the terminal.

use crate::case::Aspect::{Debug, Exit, Output, Prompt, Wire};
use crate::case::{Case, case};
use crate::peers::{http_challenging, socks4, socks5, socks5_password};

const WANTED: &str = "HTTP/1.0 407 Who?\r\nProxy-Authenticate: Basic realm=\"r\"\r\n\r\n";

fn socks(name: &'static str) -> Case {
    case(name, "-d -S bob@{proxy} host.example 22").without_password().peer("proxy", socks5_password())
}

fn http(name: &'static str) -> Case {
    case(name, "-H bob@{proxy} host.example 22").peer("proxy", http_challenging(WANTED))
}

/// Expects our program, which already knows the password, to send it with the first request.
fn http_at_once(name: &'static str, line: &'static str) -> Case {
    http(name)
        .differs([Wire], "http-credentials-first")
        .ok()
        .theirs("proxy 2 got")
        .both(line)
        .ours("proxy 1 got")
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = variables();
    all.extend(asked());
    all
}

fn variables() -> Vec<Case> {
    // base64 of bob:one
    const ONE: &str = "Proxy-Authorization: Basic Ym9iOm9uZQ==\\r\\n";
    vec![
        socks("password: SOCKS5_PASSWD")
            .env("SOCKS5_PASSWD", "one")
            .env("SOCKS5_PASSWORD", "two")
            .env("SOCKS_PASSWORD", "three")
            .env("CONNECT_PASSWORD", "four")
            .ok()
            .both("\\x03bob\\x03one")
            .both("debug: >>> xx xx xx xx ..."),
        socks("password: SOCKS5_PASSWORD")
            .env("SOCKS5_PASSWORD", "two")
            .env("SOCKS_PASSWORD", "three")
            .env("CONNECT_PASSWORD", "four")
            .ok()
            .both("\\x03bob\\x03two"),
        socks("password: SOCKS_PASSWORD")
            .env("SOCKS_PASSWORD", "three")
            .env("CONNECT_PASSWORD", "four")
            .ok()
            .differs([Wire], "socks-password")
            .theirs("\\x03bob\\x04four")
            .ours("\\x03bob\\x05three"),
        socks("password: CONNECT_PASSWORD for SOCKS5")
            .env("CONNECT_PASSWORD", "four")
            .env("HTTP_PROXY_PASSWORD", "no")
            .ok()
            .both("\\x03bob\\x04four"),
        socks("password: non-ASCII").env("SOCKS5_PASSWORD", "pé").ok().both("\\x03bob\\x03p\\xc3\\xa9"),
        socks("password: blanks are kept").env("SOCKS5_PASSWORD", " a b ").ok().both("\\x05 a b "),
        socks("password: too long for SOCKS5")
            .env("SOCKS5_PASSWORD", "p".repeat(256))
            .fails()
            .differs([Wire, Debug], "long-passwords")
            .theirs("\\x03bob\\x00pppp")
            .ours("exit: not zero"),
        case("password: not used by SOCKS4", "-4 -S bob@{proxy} host.example 22")
            .env("SOCKS_PASSWORD", "one")
            .env("CONNECT_PASSWORD", "two")
            .peer("proxy", socks4())
            .ok()
            .both("bob\\x00host.example\\x00"),
        http_at_once("password: HTTP_PROXY_PASSWORD", ONE)
            .env("HTTP_PROXY_PASSWORD", "one")
            .env("CONNECT_PASSWORD", "two"),
        http_at_once("password: CONNECT_PASSWORD for HTTP", ONE)
            .env("CONNECT_PASSWORD", "one")
            .env("SOCKS5_PASSWORD", "no"),
        http("password: non-ASCII over HTTP")
            .env("HTTP_PROXY_PASSWORD", "é")
            .ok()
            .differs([Wire], "http-non-ascii")
            .theirs("Proxy-Authorization: Basic")
            .ours("Proxy-Authorization: Basic Ym9iOsOp\\r\\n"),
    ]
}

fn asked() -> Vec<Case> {
    const SOCKS: &str = "\"Enter SOCKS5 password for bob@127.0.0.1: \"";
    const HTTP: &str = "\"Enter proxy authentication password for bob@127.0.0.1: \"";
    let helped = |case: Case| case.env("SSH_ASKPASS", "{dir}/askpass").env("DISPLAY", ":0").ok();
    vec![
        helped(socks("prompt: askpass for SOCKS5"))
            .both("askpass: \"Enter SOCKS5 password for bob@127.0.0.1: \"")
            .both("\\x03bob\\x06secret"),
        helped(http("prompt: askpass for HTTP"))
            .over_http()
            .both("askpass: \"Enter proxy authentication password for bob@127.0.0.1: \"")
            .both("Proxy-Authorization: Basic Ym9iOnNlY3JldA==\\r\\n"),
        helped(socks("prompt: askpass before the terminal"))
            .typed("typed")
            .both("\\x03bob\\x06secret")
            .both("terminal: \"\""),
        socks("prompt: askpass needs a display")
            .env("SSH_ASKPASS", "{dir}/askpass")
            .typed("typed")
            .ok()
            .both("\\x03bob\\x05typed")
            .both("askpass: \"\""),
        socks("prompt: askpass with a Wayland display")
            .env("SSH_ASKPASS", "{dir}/askpass")
            .env("WAYLAND_DISPLAY", "w")
            .typed("typed")
            .ok()
            .differs([Wire, Prompt], "askpass-rules")
            .theirs("\\x03bob\\x05typed")
            .ours("\\x03bob\\x06secret"),
        helped(socks("prompt: SSH_ASKPASS_REQUIRE=never"))
            .env("SSH_ASKPASS_REQUIRE", "never")
            .typed("typed")
            .differs([Wire, Prompt], "askpass-rules")
            .theirs("\\x03bob\\x06secret")
            .ours("\\x03bob\\x05typed"),
        socks("prompt: on the terminal for SOCKS5")
            .typed("typed")
            .ok()
            .both(SOCKS)
            .both("\\x03bob\\x05typed"),
        http("prompt: on the terminal for HTTP")
            .typed("typed")
            .over_http()
            .ok()
            .both(HTTP)
            .both("Proxy-Authorization: Basic Ym9iOnR5cGVk\\r\\n"),
        case("prompt: no user is named, and no password is required", "-d -S {proxy} host.example 22")
            .without_password()
            .typed("typed")
            .peer("proxy", socks5())
            .ok()
            .differs([Wire, Debug], "offered-password")
            .theirs("debug: >>> 05 02 00 02\n")
            .ours("debug: >>> 05 01 00\n")
            .both("terminal: \"\""),
        case("prompt: no user is named, and a password is required", "-d -S {proxy} host.example 22")
            .without_password()
            .typed("typed")
            .peer("proxy", socks5_password())
            .ok()
            .differs([Wire, Debug], "offered-password")
            .both("\"Enter SOCKS5 password for ")
            .theirs("proxy 1 got: \"\\x05\\x02\\x00\\x02")
            .ours("proxy 1 got: \"\\x05\\x01\\x00\"")
            .ours("proxy 2 got: \"\\x05\\x01\\x02")
            .both("\\x05typed"),
        socks("prompt: an empty answer").typed("").ok().both("\\x03bob\\x00"),
        case("prompt: no way to prompt", "-d -a userpass -S bob@{proxy} host.example 22")
            .without_password()
            .peer("proxy", socks5_password())
            .differs([Exit, Output, Wire, Debug], "nobody-to-ask")
            .theirs("\\x03bob)Enter SOCKS5 password for bob@127.0.0.1: ")
            .ours("exit: not zero"),
        case("prompt: a user name is not run by a shell", "-S 'x$(echo run)@{proxy}' host.example 22")
            .without_password()
            .env("SSH_ASKPASS", "{dir}/askpass")
            .env("DISPLAY", ":0")
            .peer("proxy", socks5_password())
            .ok()
            .differs([Prompt], "askpass-shell")
            .theirs("password for xrun@127.0.0.1")
            .ours("password for x$(echo run)@127.0.0.1"),
    ]
}
