//! SOCKS5: requests, replies, and failures.

use std::time::Duration;

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::kit::{Script, script};
use crate::peers::{SOCKS5_GRANTED, hello, socks5, socks5_no_method, socks5_password, socks5_reply};

const ARGS: &str = "-d -S bob@{proxy} host.example 22";

fn with(name: &'static str, proxy: Script) -> Case {
    case(name, ARGS).env("SOCKS5_PASSWORD", "secret").peer("proxy", proxy)
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = requests();
    all.extend(codes());
    all.extend(broken());
    all
}

fn requests() -> Vec<Case> {
    let bound_v6 = [[5, 0, 0, 4].as_slice(), &[9; 16], &[0, 80]].concat();
    vec![
        with("socks5: no password", socks5()).input("ping\n").ok()
            .both("\\x05\\x02\\x00\\x02\\x05\\x01\\x00\\x03\\x0chost.example\\x00\\x16ping\\n").both("stdout: \"HELLO\\n\"")
            .both("debug: <<< 05 00 00 01\n").both("debug: <<< 7f 00 00 01 12 34\n"),
        with("socks5: a password", socks5_password()).input("ping\n").ok()
            .both("\\x05\\x02\\x00\\x02\\x01\\x03bob\\x06secret\\x05\\x01\\x00\\x03\\x0chost.example\\x00\\x16ping\\n"),
        with("socks5: the bound address is a name", socks5_reply(b"\x05\0\0\x03\x05bound\0\x50")).ok()
            .both("stdout: \"HELLO\\n\""),
        with("socks5: the bound address is an IPv6 address", socks5_reply(bound_v6)).ok().both("stdout: \"HELLO\\n\""),
        with("socks5: the reserved byte is ignored", socks5_reply([5, 0, 127, 1, 127, 0, 0, 1, 18, 52])).ok()
            .both("stdout: \"HELLO\\n\""),
        with("socks5: replies in pieces", script().read_greeting().send([5]).pause(Duration::from_millis(30)).send([0]).read_socks5_request().send([5, 0, 0])
            .pause(Duration::from_millis(30)).send([1, 127, 0]).pause(Duration::from_millis(30)).send([0, 1, 18, 52]).followed_by(hello())).ok().differs([Debug], "debug-replies").both("stdout: \"HELLO\\n\""),
        with("socks5: session data in the same segment as the reply",
            script().read_greeting().send([5, 0]).read_socks5_request().send([&SOCKS5_GRANTED[..], b"EARLY\n"].concat()).followed_by(hello())).ok()
            .both("stdout: \"EARLY\\nHELLO\\n\""),
        case("socks5: a long name", &format!("-S {{proxy}} {} 22", vec!["n".repeat(60); 4].join("."))).peer("proxy", socks5())
            .ok().both("\\x03\\xf3nnn"),
        case("socks5: a name that is too long", &format!("-S {{proxy}} {} 22", vec!["n".repeat(60); 5].join(".")))
            .peer("proxy", socks5()).fails().differs([Wire], "long-names").theirs("proxy 1 got").ours("exit: not zero"),
    ]
}

fn codes() -> Vec<Case> {
    let names = [
        "socks5: reply 1",
        "socks5: reply 2",
        "socks5: reply 3",
        "socks5: reply 4",
        "socks5: reply 5",
        "socks5: reply 6",
        "socks5: reply 7",
        "socks5: reply 8",
        "socks5: reply 9",
        "socks5: reply 255",
    ];
    let codes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 255];
    let replies = names.into_iter().zip(codes);
    let mut all: Vec<_> = replies
        .map(|(name, code)| {
            let reply = [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
            with(name, socks5_reply(reply)).fails().both("stdout: \"\"").both("host.example\\x00\\x16")
        })
        .collect();
    all.extend([
        with("socks5: no method accepted", socks5_no_method()).fails().both("debug: <<< 05 ff\n"),
        with("socks5: password rejected", script().read_greeting().send([5, 2]).read_login().send([1, 1]))
            .fails()
            .both("debug: <<< 01 01\n"),
    ]);
    all
}

fn broken() -> Vec<Case> {
    let strict = |name, proxy| {
        with(name, proxy).differs([Exit, Output], "socks-checked").theirs("exit: zero").ours("exit: not zero")
    };
    vec![
        with("socks5: the proxy closes at once", script()).fails(),
        with("socks5: the proxy closes after the greeting", script().read_greeting()).fails(),
        with(
            "socks5: the proxy closes after the request",
            script().read_greeting().send([5, 0]).read_socks5_request(),
        )
        .fails(),
        with(
            "socks5: the proxy closes within the reply",
            script().read_greeting().send([5, 0]).read_socks5_request().send([5, 0, 0]),
        )
        .fails()
        .differs([Debug], "debug-replies")
        .both("debug: <<< 05 00\n"),
        with("socks5: the proxy resets the connection", script().read_greeting().reset()).fails(),
        with("socks5: an unknown method that was not offered", script().read_greeting().send([5, 128]))
            .fails(),
        with("socks5: another version in the method reply", script().read_greeting().send([4, 0])).fails(),
        strict("socks5: another version in the reply", socks5_reply([4, 0, 0, 1, 127, 0, 0, 1, 18, 52]))
            .differs([Debug], "socks-checked"),
        strict("socks5: an unknown bound address type", socks5_reply([5, 0, 0, 9]))
            .differs([Debug], "socks-checked"),
        case(
            "socks5: password authentication that was not offered",
            "-a none -S bob@{proxy} host.example 22",
        )
        .env("SOCKS5_PASSWORD", "secret")
        .peer("proxy", socks5_password())
        .differs([Exit, Output, Wire], "socks-checked")
        .theirs("\\x03bob\\x06secret")
        .ours("exit: not zero"),
    ]
}
