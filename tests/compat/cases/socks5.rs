//! SOCKS5: requests, replies, and what goes wrong.

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::peer::{GRANTED5, socks5, socks5_reply, talk};

const WORDS: &str = "-d -S bob@{proxy} host.example 22";

fn with(name: &'static str, proxy: crate::peer::Talk) -> Case {
    case(name, WORDS).env("SOCKS5_PASSWORD", "secret").peer("proxy", proxy)
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
        with("socks5: a password", crate::peer::socks5_password()).input("ping\n").ok()
            .both("\\x05\\x02\\x00\\x02\\x01\\x03bob\\x06secret\\x05\\x01\\x00\\x03\\x0chost.example\\x00\\x16ping\\n"),
        with("socks5: the bound address is a name", socks5_reply(b"\x05\0\0\x03\x05bound\0\x50")).ok()
            .both("stdout: \"HELLO\\n\""),
        with("socks5: the bound address is of IPv6", socks5_reply(bound_v6)).ok().both("stdout: \"HELLO\\n\""),
        with("socks5: the reserved byte is ignored", socks5_reply([5, 0, 127, 1, 127, 0, 0, 1, 18, 52])).ok()
            .both("stdout: \"HELLO\\n\""),
        with("socks5: replies in pieces", talk().greeting().send([5]).pause(30).send([0]).request5().send([5, 0, 0])
            .pause(30).send([1, 127, 0]).pause(30).send([0, 1, 18, 52]).session()).ok().differs([Debug], "debug-replies").both("stdout: \"HELLO\\n\""),
        with("socks5: the first bytes of the session come with the reply",
            talk().greeting().send([5, 0]).request5().send([&GRANTED5[..], b"EARLY\n"].concat()).session()).ok()
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
        with("socks5: no method accepted", talk().greeting().send([5, 255]))
            .fails()
            .both("debug: <<< 05 ff\n"),
        with("socks5: the password is refused", talk().greeting().send([5, 2]).user_pass().send([1, 1]))
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
        with("socks5: it closes at once", talk()).fails(),
        with("socks5: it closes after the greeting", talk().greeting()).fails(),
        with("socks5: it closes after the method", talk().greeting().send([5, 0]).request5()).fails(),
        with("socks5: it closes in the reply", talk().greeting().send([5, 0]).request5().send([5, 0, 0]))
            .fails()
            .differs([Debug], "debug-replies")
            .both("debug: <<< 05 00\n"),
        with("socks5: it resets", talk().greeting().reset()).fails(),
        with("socks5: a method that was not offered and nobody knows", talk().greeting().send([5, 128]))
            .fails(),
        with("socks5: another version in the method reply", talk().greeting().send([4, 0])).fails(),
        strict("socks5: another version in the reply", socks5_reply([4, 0, 0, 1, 127, 0, 0, 1, 18, 52]))
            .differs([Debug], "socks-checked"),
        strict("socks5: an unknown kind of bound address", socks5_reply([5, 0, 0, 9]))
            .differs([Debug], "socks-checked"),
        case("socks5: a password though none was offered", "-a none -S bob@{proxy} host.example 22")
            .env("SOCKS5_PASSWORD", "secret")
            .peer("proxy", crate::peer::socks5_password())
            .differs([Exit, Output, Wire], "socks-checked")
            .theirs("\\x03bob\\x06secret")
            .ours("exit: not zero"),
    ]
}
