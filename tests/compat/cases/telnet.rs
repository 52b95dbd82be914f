//! Telnet-style proxies: commands and answers.

use std::time::Duration;

use crate::case::Aspect::{Debug, Wire};
use crate::case::{Case, case};
use crate::kit::script;
use crate::peers::{hello, target, telnet_reply};

fn with(name: &'static str, reply: &str) -> Case {
    case(name, "-d -T {proxy} host.example 22").peer("proxy", telnet_reply(reply))
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = answers();
    all.extend(commands());
    all
}

fn answers() -> Vec<Case> {
    let good = |name, reply| {
        with(name, reply).ok().both("stdout: \"HELLO\\n\"").both("\"telnet host.example 22\\r\\n")
    };
    let bad = |name, reply: &str| {
        let proxy = script().send("welcome\r\n").expect_until("\n").send(reply);
        case(name, "-d -T {proxy} host.example 22")
            .peer("proxy", proxy)
            .fails()
            .both("stdout: \"\"")
            .both("\"telnet host.example 22\\r\\n")
    };
    let no_phrase =
        |name, reply: &str| bad(name, reply).differs([Debug], "debug-replies").theirs("debug: <<< \"\"\n");
    vec![
        good("telnet: connected to", "connected to host.example\r\n")
            .input("ping\n")
            .both("debug: >>> \"telnet host.example 22\\r\\n\"")
            .both("debug: <<< \"welcome\\r\\n\"")
            .both("debug: <<< \"connected to host.example\\r\\n\"")
            .both("22\\r\\nping\\n\""),
        good("telnet: Connected to", "Connected to x\n"),
        good("telnet: the phrase in the middle of a line", "You are CONNECTED TO it\r\n"),
        good(
            "telnet: the phrase after other lines",
            "Trying 10.1.2.3...\r\nEscape character is ^].\r\nConnected to x.\r\n",
        ),
        with("telnet: session data in the same segment as the answer", "connected to x\r\nEARLY\n")
            .ok()
            .both("stdout: \"EARLY\\nHELLO\\n\""),
        case("telnet: an answer in pieces", "-T {proxy} host.example 22")
            .peer(
                "proxy",
                script()
                    .expect_until("\n")
                    .send("connec")
                    .pause(Duration::from_millis(30))
                    .send("ted to x\r\nEARLY\n")
                    .followed_by(hello()),
            )
            .ok()
            .both("stdout: \"EARLY\\nHELLO\\n\""),
        bad("telnet: failed", "Connection failed\r\n"),
        bad("telnet: refused", "connect: Connection refused\r\n"),
        bad("telnet: rejected", "Host rejected\r\n"),
        bad("telnet: closed", "Connection closed by foreign host\r\n"),
        no_phrase("telnet: a refusal word at the start of a line does not count", "refused\r\n"),
        no_phrase("telnet: no known phrase", "Trying...\r\nunknown host\r\n"),
        no_phrase("telnet: an incomplete line", "conn"),
        case("telnet: the proxy closes at once", "-T {proxy} host.example 22")
            .peer("proxy", script())
            .fails(),
        case("telnet: connection refused", "-T {refused} host.example 22").fails(),
    ]
}

fn commands() -> Vec<Case> {
    let says = |name, args, sent| {
        let proxy = script().pause(Duration::from_millis(20)).send("connected to x\n").followed_by(hello());
        case(name, args).peer("proxy", proxy).ok().both(sent)
    };
    let memory = |name, args, ours| {
        let proxy = script().pause(Duration::from_millis(20)).send("connected to x\n").followed_by(hello());
        case(name, args)
            .peer("proxy", proxy)
            .ok()
            .differs([Wire], "telnet-command")
            .theirs("proxy 1 got")
            .ours(ours)
    };
    vec![
        says("telnet: the default command", "-T {proxy} 10.1.2.3 22", "got: \"telnet 10.1.2.3 22\\r\\n\""),
        says(
            "telnet: a service name as the port",
            "-T {proxy} host.example ssh",
            "got: \"telnet host.example 22\\r\\n\"",
        ),
        says(
            "telnet: -c",
            "-c 'open %h:%p' -T {proxy} host.example 22",
            "got: \"open host.example:22\\r\\n\"",
        ),
        says(
            "telnet: -c after -T",
            "-T {proxy} -c 'open %p %h' host.example 22",
            "got: \"open 22 host.example\\r\\n\"",
        ),
        says(
            "telnet: -c with line ends",
            "-c 'a %h\\r\\nb %p\\t|' -T {proxy} host.example 22",
            "got: \"a host.example\\r\\nb 22\\t|\\r\\n\"",
        ),
        says("telnet: -c and -t", "-c 'go %h' -t host.example 22", "got: \"go host.example\\r\\n\"")
            .env("TELNET_PROXY", "{proxy}"),
        memory(
            "telnet: -c with a percent sign",
            "-c '100%% %h' -T {proxy} host.example 22",
            "got: \"100% host.example\\r\\n\"",
        ),
        memory(
            "telnet: -c with a backslash",
            "-c 'a\\\\\\\\b' -T {proxy} host.example 22",
            "got: \"a\\\\\\\\b\\r\\n\"",
        ),
        case("telnet: -c without a telnet-style proxy", "-c 'open %h' 127.0.0.1 {target.port}")
            .peer("target", target())
            .ok(),
        case("telnet: -c alone", "-d -c 'open %h' host.example 22")
            .fails()
            .both("debug: relay_method = DIRECT (1)"),
    ]
}
