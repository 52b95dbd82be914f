//! Targets that bypass the proxy.

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::peer::{http, socks4, socks5, target, telnet_reply};

const DIRECT: &str = "debug: connecting to 127.0.0.1:{target}";
const PROXY: &str = "debug: connecting to 127.0.0.1:{proxy}";

fn to(name: &'static str, host: &str, list: &str) -> Case {
    case(name, &format!("-d -S {{proxy}} {host} {{target.port}}")).env("SOCKS_DIRECT", list)
}

/// This list makes the target direct.
fn direct(name: &'static str, host: &str, list: &str) -> Case {
    to(name, host, list).peer("proxy", socks5()).peer("target", target()).ok().both(DIRECT)
}

/// This one does not. The proxy turns away whom it sees, since what it is asked for holds a port of this run.
fn through(name: &'static str, host: &str, list: &str) -> Case {
    let refuses = crate::peer::talk().greeting().send([5, 255]);
    to(name, host, list).peer("proxy", refuses).peer("target", target()).fails().both(PROXY)
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = forms();
    all.extend(variables());
    all.extend(more());
    all
}

fn forms() -> Vec<Case> {
    vec![
        direct("direct: an address", "127.0.0.1", "127.0.0.1"),
        direct("direct: address and length", "127.0.0.1", "127.0.0.0/8"),
        direct("direct: address and mask", "127.0.0.1", "127.0.0.0/255.0.0.0"),
        direct("direct: the bytes of a network", "127.0.0.1", "127."),
        direct("direct: two bytes of a network", "127.0.0.1", "127.0."),
        direct("direct: three bytes without the dot", "127.0.0.1", "127.0.0"),
        through("direct: another network", "127.0.0.1", "10.0.0.0/8,127.1."),
        through("direct: a longer prefix", "127.0.0.1", "127.0.0.128/25"),
        direct("direct: the second entry", "127.0.0.1", "10.0.0.0/8,127."),
        through("direct: the first match decides, no", "127.0.0.1", "!127.0.0.1,127."),
        direct("direct: the first match decides, yes", "127.0.0.1", "127.,!127.0.0.1"),
        direct("direct: a name", "loop.example", "loop.example"),
        direct("direct: a name in capitals", "LOOP.example", "loop.EXAMPLE"),
        direct("direct: a domain", "loop.example", "example"),
        direct("direct: a domain with a dot", "loop.example", ".example"),
        direct("direct: a domain with a star", "loop.example", "*.example"),
        direct("direct: a dot and the name itself", "loop.example", ".loop.example"),
        direct("direct: a star and the name itself", "loop.example", "*.loop.example"),
        through("direct: a part of a label", "loop.example", "op.example,xample"),
        through("direct: a part of a label with a dot", "loop.example", ".op.example"),
        through("direct: a negated name", "loop.example", "!loop.example,example"),
        through("direct: a name is not looked up for an address", "loop.example", "127."),
        through("direct: an address does not match a name", "127.0.0.1", "loop.example"),
        direct("direct: the resolved address", "loop.example", "127.").env("SOCKS_RESOLVE", "local"),
        direct("direct: everything", "127.0.0.1", "0.0.0.0/0"),
    ]
}

fn variables() -> Vec<Case> {
    let five = |name| {
        case(name, "-d -S {proxy} 127.0.0.1 {target.port}")
            .peer("proxy", crate::peer::talk().greeting())
            .peer("target", target())
    };
    let four = |name| {
        case(name, "-d -4 -S {proxy} 127.0.0.1 {target.port}")
            .peer("proxy", socks4())
            .peer("target", target())
    };
    let web = |name| {
        case(name, "-d -H {proxy} 127.0.0.1 {target.port}").peer("proxy", http()).peer("target", target())
    };
    vec![
        five("direct: SOCKS5_DIRECT")
            .env("SOCKS5_DIRECT", "127.")
            .env("SOCKS_DIRECT", "10.")
            .ok()
            .both(DIRECT),
        five("direct: CONNECT_DIRECT for SOCKS5").env("CONNECT_DIRECT", "127.").ok().both(DIRECT),
        five("direct: SOCKS5_DIRECT hides CONNECT_DIRECT")
            .env("SOCKS5_DIRECT", "10.")
            .env("CONNECT_DIRECT", "127.")
            .fails()
            .both(PROXY),
        five("direct: SOCKS4_DIRECT is not for SOCKS5").env("SOCKS4_DIRECT", "127.").fails().both(PROXY),
        five("direct: HTTP_DIRECT is not for SOCKS5").env("HTTP_DIRECT", "127.").fails().both(PROXY),
        four("direct: SOCKS4_DIRECT")
            .env("SOCKS4_DIRECT", "127.")
            .env("SOCKS_DIRECT", "10.")
            .ok()
            .both(DIRECT),
        four("direct: SOCKS_DIRECT for SOCKS4").env("SOCKS_DIRECT", "127.").ok().both(DIRECT),
        web("direct: HTTP_DIRECT").env("HTTP_DIRECT", "127.").env("CONNECT_DIRECT", "10.").ok().both(DIRECT),
        web("direct: CONNECT_DIRECT for HTTP").env("CONNECT_DIRECT", "127.").ok().both(DIRECT),
        web("direct: SOCKS_DIRECT is not for HTTP").env("SOCKS_DIRECT", "127.").over_http().ok().both(PROXY),
        case("direct: CONNECT_DIRECT for telnet", "-d -T {proxy} 127.0.0.1 {target.port}")
            .env("CONNECT_DIRECT", "127.")
            .peer("proxy", telnet_reply("connected to x\n"))
            .peer("target", target())
            .ok()
            .both(DIRECT),
        case("direct: without a proxy", "-d 127.0.0.1 {target.port}")
            .env("CONNECT_DIRECT", "127.")
            .peer("target", target())
            .ok()
            .both(DIRECT),
    ]
}

fn more() -> Vec<Case> {
    let differs = |case: Case, id| {
        case.peer("proxy", crate::peer::talk().greeting())
            .peer("target", target())
            .differs([Exit, Output, Wire, Debug], id)
    };
    let blank = |name, host: &str, list: &str| differs(to(name, host, list), "direct-blanks");
    vec![
        blank("direct: blanks around entries", "127.0.0.1", "10.0.0.0/8 , 127.0.0.0/8")
            .theirs(PROXY)
            .ours(DIRECT),
        blank("direct: blanks around names", "loop.example", "a.example, loop.example")
            .theirs(PROXY)
            .ours(DIRECT),
        differs(to("direct: an empty list", "127.0.0.1", ""), "direct-empty").theirs(DIRECT).ours(PROXY),
        differs(to("direct: an empty entry", "127.0.0.1", "10.,,11."), "direct-empty")
            .theirs(DIRECT)
            .ours(PROXY),
        differs(case("direct: no_proxy", "-d -S {proxy} 127.0.0.1 {target.port}"), "no-proxy")
            .env("no_proxy", "127.0.0.1")
            .theirs(PROXY)
            .ours(DIRECT),
        differs(case("direct: NO_PROXY", "-d -S {proxy} loop.example {target.port}"), "no-proxy")
            .env("NO_PROXY", ".example")
            .theirs(PROXY)
            .ours(DIRECT),
        case("direct: an IPv6 prefix", "-d -S {proxy} ::1 {refused.port}")
            .env("SOCKS_DIRECT", "::/64")
            .peer("proxy", crate::peer::talk().greeting())
            .fails()
            .differs([Wire, Debug], "direct-ipv6")
            .theirs(PROXY)
            .ours("debug: connecting to [::1]:{refused}"),
    ]
}
