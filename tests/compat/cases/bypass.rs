//! Targets that bypass the proxy.

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::kit::script;
use crate::peers::{http, socks4, socks5, socks5_no_method, target, telnet_reply};

const DIRECT: &str = "debug: connecting to 127.0.0.1:{target}";
const PROXY: &str = "debug: connecting to 127.0.0.1:{proxy}";

fn to(name: &'static str, host: &str, list: &str) -> Case {
    case(name, &format!("-d -S {{proxy}} {host} {{target.port}}")).env("SOCKS_DIRECT", list)
}

/// Expects this list to make both programs connect directly.
fn direct(name: &'static str, host: &str, list: &str) -> Case {
    to(name, host, list).peer("proxy", socks5()).peer("target", target()).ok().both(DIRECT)
}

/// Expects this list to make both programs use the proxy. The proxy rejects the client before it
/// sends its request, because the request would contain a port that differs from run to run.
fn through(name: &'static str, host: &str, list: &str) -> Case {
    let refuses = socks5_no_method();
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
        direct("bypass: an address", "127.0.0.1", "127.0.0.1"),
        direct("bypass: address and prefix length", "127.0.0.1", "127.0.0.0/8"),
        direct("bypass: address and mask", "127.0.0.1", "127.0.0.0/255.0.0.0"),
        direct("bypass: the first byte of a network", "127.0.0.1", "127."),
        direct("bypass: two bytes of a network", "127.0.0.1", "127.0."),
        direct("bypass: three bytes without the dot", "127.0.0.1", "127.0.0"),
        through("bypass: another network", "127.0.0.1", "10.0.0.0/8,127.1."),
        through("bypass: a longer prefix", "127.0.0.1", "127.0.0.128/25"),
        direct("bypass: the second entry", "127.0.0.1", "10.0.0.0/8,127."),
        through("bypass: the first match decides, negated", "127.0.0.1", "!127.0.0.1,127."),
        direct("bypass: the first match decides, not negated", "127.0.0.1", "127.,!127.0.0.1"),
        direct("bypass: a name", "loop.example", "loop.example"),
        direct("bypass: a name in upper case", "LOOP.example", "loop.EXAMPLE"),
        direct("bypass: a domain", "loop.example", "example"),
        direct("bypass: a domain with a dot", "loop.example", ".example"),
        direct("bypass: a domain with *", "loop.example", "*.example"),
        direct("bypass: a dot before the full name", "loop.example", ".loop.example"),
        direct("bypass: * before the full name", "loop.example", "*.loop.example"),
        through("bypass: a part of a label", "loop.example", "op.example,xample"),
        through("bypass: a part of a label with a dot", "loop.example", ".op.example"),
        through("bypass: a negated name", "loop.example", "!loop.example,example"),
        through("bypass: a name is not resolved to match an address", "loop.example", "127."),
        through("bypass: an address does not match a name", "127.0.0.1", "loop.example"),
        direct("bypass: a resolved address with -R local", "loop.example", "127.")
            .env("SOCKS_RESOLVE", "local"),
        direct("bypass: everything", "127.0.0.1", "0.0.0.0/0"),
    ]
}

fn variables() -> Vec<Case> {
    let five = |name| {
        case(name, "-d -S {proxy} 127.0.0.1 {target.port}")
            .peer("proxy", script().read_greeting())
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
        five("bypass: SOCKS5_DIRECT")
            .env("SOCKS5_DIRECT", "127.")
            .env("SOCKS_DIRECT", "10.")
            .ok()
            .both(DIRECT),
        five("bypass: CONNECT_DIRECT for SOCKS5").env("CONNECT_DIRECT", "127.").ok().both(DIRECT),
        five("bypass: SOCKS5_DIRECT overrides CONNECT_DIRECT")
            .env("SOCKS5_DIRECT", "10.")
            .env("CONNECT_DIRECT", "127.")
            .fails()
            .both(PROXY),
        five("bypass: SOCKS4_DIRECT does not apply to SOCKS5")
            .env("SOCKS4_DIRECT", "127.")
            .fails()
            .both(PROXY),
        five("bypass: HTTP_DIRECT does not apply to SOCKS5").env("HTTP_DIRECT", "127.").fails().both(PROXY),
        four("bypass: SOCKS4_DIRECT")
            .env("SOCKS4_DIRECT", "127.")
            .env("SOCKS_DIRECT", "10.")
            .ok()
            .both(DIRECT),
        four("bypass: SOCKS_DIRECT for SOCKS4").env("SOCKS_DIRECT", "127.").ok().both(DIRECT),
        web("bypass: HTTP_DIRECT").env("HTTP_DIRECT", "127.").env("CONNECT_DIRECT", "10.").ok().both(DIRECT),
        web("bypass: CONNECT_DIRECT for HTTP").env("CONNECT_DIRECT", "127.").ok().both(DIRECT),
        web("bypass: SOCKS_DIRECT does not apply to HTTP")
            .env("SOCKS_DIRECT", "127.")
            .over_http()
            .ok()
            .both(PROXY),
        case("bypass: CONNECT_DIRECT for telnet", "-d -T {proxy} 127.0.0.1 {target.port}")
            .env("CONNECT_DIRECT", "127.")
            .peer("proxy", telnet_reply("connected to x\n"))
            .peer("target", target())
            .ok()
            .both(DIRECT),
        case("bypass: without a proxy", "-d 127.0.0.1 {target.port}")
            .env("CONNECT_DIRECT", "127.")
            .peer("target", target())
            .ok()
            .both(DIRECT),
    ]
}

fn more() -> Vec<Case> {
    let differs = |case: Case, id| {
        case.peer("proxy", script().read_greeting())
            .peer("target", target())
            .differs([Exit, Output, Wire, Debug], id)
    };
    let blank = |name, host: &str, list: &str| differs(to(name, host, list), "direct-blanks");
    vec![
        blank("bypass: blanks around entries", "127.0.0.1", "10.0.0.0/8 , 127.0.0.0/8")
            .theirs(PROXY)
            .ours(DIRECT),
        blank("bypass: blanks around names", "loop.example", "a.example, loop.example")
            .theirs(PROXY)
            .ours(DIRECT),
        differs(to("bypass: an empty list", "127.0.0.1", ""), "direct-empty").theirs(DIRECT).ours(PROXY),
        differs(to("bypass: an empty entry", "127.0.0.1", "10.,,11."), "direct-empty")
            .theirs(DIRECT)
            .ours(PROXY),
        differs(case("bypass: no_proxy", "-d -S {proxy} 127.0.0.1 {target.port}"), "no-proxy")
            .env("no_proxy", "127.0.0.1")
            .theirs(PROXY)
            .ours(DIRECT),
        differs(case("bypass: NO_PROXY", "-d -S {proxy} loop.example {target.port}"), "no-proxy")
            .env("NO_PROXY", ".example")
            .theirs(PROXY)
            .ours(DIRECT),
        case("bypass: an IPv6 prefix", "-d -S {proxy} ::1 {refused.port}")
            .env("SOCKS_DIRECT", "::/64")
            .peer("proxy", script().read_greeting())
            .fails()
            .differs([Wire, Debug], "direct-ipv6")
            .theirs(PROXY)
            .ours("debug: connecting to [::1]:{refused}"),
    ]
}
