//! Name resolution, connections and time limits.

use super::{Message, Row, row};
use crate::kit::*;
use crate::wire::UNKNOWN;

pub(super) fn rows() -> Vec<Row> {
    [names(), addresses(), time()].into_iter().flatten().collect()
}

/// Returns a row with a host name that the system's resolver rejects without asking a server.
fn unknown(situation: &'static str, args: &'static str, name: &'static str, advice: &'static str) -> Row {
    row(3, "Resolve", situation, advice, move || {
        Message::from_outcome(&connect(args.replace("NAME", UNKNOWN)).run()).naming(UNKNOWN, name)
    })
}

fn names() -> Vec<Row> {
    vec![
        unknown(
            "The name of the target is unknown",
            "NAME 22",
            "host.example",
            "Inside a firewall, often only the proxy can resolve outside names.",
        ),
        unknown("The name of the proxy is unknown", "-S NAME host.example 22", "socks.example", ""),
        unknown(
            "The name of the target is unknown on this machine, and `-R local` disables the proxy's resolver",
            "-R local -S 127.0.0.1:1 NAME 22",
            "host.example",
            "",
        ),
        row(3, "Resolve", "An onion service without Tor", "A name in `.onion` is never sent to DNS.", || {
            Message::from_outcome(&connect("abc.onion 22").run())
        }),
        row(3, "Resolve", "The zone of an address names no interface", "", || {
            Message::from_outcome(&connect("fe80::1%eth7 22").run())
        }),
        row(3, "Resolve", "A name in `.invalid`", "", || {
            Message::from_outcome(&connect("host.invalid 22").run())
        }),
    ]
}

fn addresses() -> Vec<Row> {
    let refusing = |variant: &'static str,
                    situation: &'static str,
                    args: &'static str,
                    names: [&'static str; 2],
                    advice| {
        row(4, variant, situation, advice, move || {
            let ports = [RefusingPort::new(), RefusingPort::new()];
            let args = args.replace("P1", &ports[0].port().to_string());
            let args = args.replace("P2", &ports[1].port().to_string());
            let message = Message::from_outcome(&connect(args).run());
            let message = message.naming(format!("127.0.0.1:{}", ports[0].port()), names[0]);
            message.naming(format!("127.0.0.1:{}", ports[1].port()), names[1])
        })
    };
    vec![
        row(
            1,
            "Bind",
            "`--bind` names an address of another machine",
            "`ip addr` lists the addresses of this machine.",
            || {
                let run = connect("--bind 192.0.2.1 host.example 22").run();
                let text = run.stderr_text();
                let addresses = text.split_once("; use ").map_or("", |(_, addresses)| addresses.trim_end());
                Message::from_outcome(&run).naming(addresses, "127.0.0.1, 192.0.2.7, ::1")
            },
        ),
        row(
            1,
            "Bind",
            "`--bind` names an interface that this machine lacks",
            "`ip link` lists the interfaces.",
            || {
                let run = connect("--bind tun7 host.example 22").run();
                let text = run.stderr_text();
                let interfaces =
                    text.split_once("; use ").map_or("", |(_, interfaces)| interfaces.trim_end());
                Message::from_outcome(&run).naming(interfaces, "lo, eth0, tun0")
            },
        ),
        row(
            4,
            "Dial",
            "Link-local address without a zone",
            "A link-local address is valid on one interface only.",
            || Message::from_outcome(&connect("fe80::1 22").run()),
        ),
        row(
            4,
            "NoAddress",
            "An address of the other family with `--ipv4` or `--ipv6`",
            "A name may have addresses of both families.",
            || Message::from_outcome(&connect("--ipv4 ::1 22").run()),
        ),
        refusing("Dial", "The target refuses the connection", "127.0.0.1 P1", ["host.example:22", ""], ""),
        refusing(
            "Dial",
            "The proxy refuses the connection",
            "-S 127.0.0.1:P1 host.example 22",
            ["socks.example:1080", ""],
            "",
        ),
        refusing(
            "NoRoute",
            "All routes fail",
            "-x http://127.0.0.1:P1|socks5h://127.0.0.1:P2 host.example 22",
            ["proxy.example:8080", "socks.example:1080"],
            "The exit code is that of the last route.",
        ),
        row(4, "Dial", "The UNIX-domain socket does not exist", "", || {
            Message::from_outcome(&connect("unix:/nonexistent/socket").run())
        }),
        row(4, "Dial", "Nothing listens on the proxy's UNIX-domain socket", "", || {
            let stale = TempPath::new("stale");
            drop(std::os::unix::net::UnixListener::bind(&*stale).unwrap());
            let out = connect(format!("-S unix:{} host.example 22", stale.display())).run();
            Message::from_outcome(&out).naming(stale.display(), "/run/tor/socks")
        }),
    ]
}

fn time() -> Vec<Row> {
    let silent = |situation: &'static str, args: &'static str, name: &'static str| {
        row(7, "TimedOut", situation, "A firewall that drops packets has this effect.", move || {
            let silent = SilentPort::new();
            let out = connect(args.replace("PORT", &silent.port().to_string())).run();
            Message::from_outcome(&out).naming(format!("127.0.0.1:{}", silent.port()), name)
        })
    };
    vec![
        silent("The target does not answer", "-w 1 127.0.0.1 PORT", "host.example:22"),
        silent("The proxy does not answer", "-w 1 -H 127.0.0.1:PORT host.example 22", "proxy.example:8080"),
        row(
            7,
            "TimedOut",
            "The proxy accepts the connection but sends nothing",
            "The server may not be a proxy, or the proxy is waiting for the target.",
            || {
                let proxy = http_request().hold().serve();
                Message::from_outcome(&connect(format!("-w 1 -H {proxy} host.example 22")).run())
                    .naming(&proxy, "proxy.example:8080")
            },
        ),
        row(7, "Idle", "The session is idle for too long", "", || {
            let target = script().hold().serve();
            let mut run = connect(format!("--idle-timeout 1 {}", target.args())).start();
            Message::from_outcome(&run.wait()).naming(&target, "host.example:22")
        }),
    ]
}
