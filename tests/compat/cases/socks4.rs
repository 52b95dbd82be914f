//! SOCKS4 and 4a.

use std::time::Duration;

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::kit::{SOCKS4_GRANTED, Script, script};
use crate::peers::{hello, socks4, socks4_reply};

fn with(name: &'static str, proxy: Script) -> Case {
    case(name, "-d -4 -S bob@{proxy} host.example 22").peer("proxy", proxy)
}

pub(super) fn cases() -> Vec<Case> {
    let refused = |name, code| {
        with(name, socks4_reply([0, code, 0, 0, 0, 0, 0, 0]))
            .fails()
            .both("stdout: \"\"")
            .both("bob\\x00host.example\\x00")
    };
    vec![
        with("socks4: a name that we cannot resolve", socks4())
            .input("ping\n")
            .ok()
            .both("debug: socks_resolve=LOCAL (1)")
            .both("\\x04\\x01\\x00\\x16\\x00\\x00\\x00\\x01bob\\x00host.example\\x00ping\\n")
            .both("stdout: \"HELLO\\n\""),
        case("socks4: a name that we can resolve", "-4 -S bob@{proxy} ten.example 22")
            .peer("proxy", socks4())
            .ok()
            .both("\\x04\\x01\\x00\\x16\\n\\x01\\x02\\x03bob\\x00"),
        case("socks4: -R remote", "-4 -R remote -S bob@{proxy} ten.example 22")
            .peer("proxy", socks4())
            .ok()
            .both("\\x04\\x01\\x00\\x16\\x00\\x00\\x00\\x01bob\\x00ten.example\\x00"),
        case("socks4: -R local", "-4 -R local -S bob@{proxy} ten.example 22")
            .peer("proxy", socks4())
            .ok()
            .both("\\x04\\x01\\x00\\x16\\n\\x01\\x02\\x03bob\\x00"),
        case("socks4: -R both, a name that we cannot resolve", "-4 -R both -S bob@{proxy} host.example 22")
            .peer("proxy", socks4())
            .ok()
            .both("bob\\x00host.example\\x00"),
        case("socks4: -R both, a name that we can resolve", "-4 -R both -S bob@{proxy} ten.example 22")
            .peer("proxy", socks4())
            .ok()
            .differs([Wire], "resolve-both")
            .theirs("bob\\x00ten.example\\x00")
            .ours("\\x04\\x01\\x00\\x16\\n\\x01\\x02\\x03bob\\x00"),
        case("socks4: -R local, unknown name", "-4 -R local -S bob@{proxy} host.example 22")
            .peer("proxy", socks4())
            .differs([Exit, Output, Wire], "resolve-local")
            .theirs("bob\\x00host.example\\x00")
            .ours("exit: not zero"),
        refused("socks4: reply 91", 91),
        refused("socks4: reply 92", 92),
        refused("socks4: reply 93", 93),
        refused("socks4: reply 94", 94),
        with("socks4: version 4 in the reply", socks4_reply([4, 90, 0, 0, 0, 0, 0, 0]))
            .ok()
            .both("stdout: \"HELLO\\n\""),
        with("socks4: another version in the reply", socks4_reply([5, 90, 0, 0, 0, 0, 0, 0]))
            .differs([Exit, Output, Debug], "socks-checked")
            .theirs("exit: zero")
            .ours("exit: not zero"),
        with(
            "socks4: the reply in pieces",
            script()
                .read_socks4_request()
                .send([0, 90, 0])
                .pause(Duration::from_millis(30))
                .send([0; 5])
                .followed_by(hello()),
        )
        .ok()
        .differs([Debug], "debug-replies")
        .both("stdout: \"HELLO\\n\""),
        with(
            "socks4: session data in the same segment as the reply",
            script()
                .read_socks4_request()
                .send([&SOCKS4_GRANTED[..], b"EARLY\n"].concat())
                .followed_by(hello()),
        )
        .ok()
        .both("stdout: \"EARLY\\nHELLO\\n\""),
        with("socks4: the proxy closes at once", script()).fails(),
        with("socks4: the proxy closes within the reply", script().read_socks4_request().send([0, 90]))
            .fails()
            .differs([Debug], "debug-replies"),
        case(
            "socks4: a name that is too long",
            &format!("-4 -R remote -S {{proxy}} {} 22", vec!["n".repeat(60); 5].join(".")),
        )
        .peer("proxy", socks4())
        .fails()
        .differs([Wire], "long-names")
        .theirs("proxy 1 got")
        .ours("exit: not zero"),
    ]
}
