//! Names and addresses.

use super::{Row, Told, row};
use crate::kit::*;
use crate::wire::UNKNOWN;

pub(super) fn rows() -> Vec<Row> {
    [names(), addresses(), time()].into_iter().flatten().collect()
}

/// The system says without asking anybody that there is no such name.
fn unknown(situation: &'static str, words: &'static str, name: &'static str, advice: &'static str) -> Row {
    row(3, "Resolve", situation, advice, move || {
        Told::by(&connect(words.replace("NAME", UNKNOWN)).run()).naming(UNKNOWN, name)
    })
}

fn names() -> Vec<Row> {
    vec![
        unknown(
            "The target's name is unknown",
            "NAME 22",
            "host.example",
            "Behind a firewall the names of the outside are often known to the proxy only.",
        ),
        unknown("The proxy's name is unknown", "-S NAME host.example 22", "socks.example", ""),
        unknown(
            "The target's name is unknown here, and `-R local` says that it has to be known",
            "-R local -S 127.0.0.1:1 NAME 22",
            "host.example",
            "",
        ),
    ]
}

fn addresses() -> Vec<Row> {
    let refusing = |kind: &'static str,
                    situation: &'static str,
                    words: &'static str,
                    names: [&'static str; 2],
                    advice| {
        row(4, kind, situation, advice, move || {
            let ports = [RefusingPort::new(), RefusingPort::new()];
            let words =
                words.replace("P1", &ports[0].port().to_string()).replace("P2", &ports[1].port().to_string());
            let told = Told::by(&connect(words).run());
            let told = told.naming(format!("127.0.0.1:{}", ports[0].port()), names[0]);
            told.naming(format!("127.0.0.1:{}", ports[1].port()), names[1])
        })
    };
    vec![
        refusing(
            "Dial",
            "The target does not take the connection",
            "127.0.0.1 P1",
            ["host.example:22", ""],
            "",
        ),
        refusing(
            "Dial",
            "The proxy does not take the connection",
            "-S 127.0.0.1:P1 host.example 22",
            ["socks.example:1080", ""],
            "",
        ),
        refusing(
            "NoRoute",
            "Neither way leads there",
            "-x http://127.0.0.1:P1|socks5h://127.0.0.1:P2 host.example 22",
            ["proxy.example:8080", "socks.example:1080"],
            "The exit code is that of the last way.",
        ),
        row(4, "Dial", "The socket is not there", "", || {
            Told::by(&connect("unix:/nonexistent/socket").run())
        }),
    ]
}

fn time() -> Vec<Row> {
    let silent = |situation: &'static str, words: &'static str, name: &'static str| {
        row(7, "TimedOut", situation, "A firewall that drops packets looks like this.", move || {
            let silent = SilentPort::new();
            let told = Told::by(&connect(words.replace("PORT", &silent.port().to_string())).run());
            told.naming(format!("127.0.0.1:{}", silent.port()), name)
        })
    };
    vec![
        silent("The target does not answer", "-w 1 127.0.0.1 PORT", "host.example:22"),
        silent("The proxy does not answer", "-w 1 -H 127.0.0.1:PORT host.example 22", "proxy.example:8080"),
        row(
            7,
            "TimedOut",
            "The proxy takes the connection, and says nothing",
            "It may be no proxy, or one that cannot reach the target.",
            || {
                let proxy = http_request().hold().serve();
                Told::by(&connect(format!("-w 1 -H {proxy} host.example 22")).run())
                    .naming(&proxy, "proxy.example:8080")
            },
        ),
        row(7, "Idle", "Nothing was moved for too long", "", || {
            let target = script().hold().serve();
            let mut run = connect(format!("--idle-timeout 1 {}", target.args())).start();
            Told::by(&run.wait()).naming(&target, "host.example:22")
        }),
    ]
}
