//! Proxy arguments.

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::peers::{http, socks5, socks5_password, target, telnet_reply};

pub(super) fn cases() -> Vec<Case> {
    let mut all = users();
    all.extend(urls());
    all
}

fn users() -> Vec<Case> {
    let default = |name, args, port| case(name, args).fails().both("debug: relay_host=127.99.0.1").both(port);
    vec![
        default(
            "proxy: the default port of SOCKS",
            "-d -S 127.99.0.1 host.example 22",
            "debug: relay_port=1080",
        ),
        default(
            "proxy: the default port of HTTP",
            "-d -H 127.99.0.1 host.example 22",
            "debug: relay_port=80",
        ),
        default(
            "proxy: the default port of telnet",
            "-d -T 127.99.0.1 host.example 22",
            "debug: relay_port=23",
        ),
        case("proxy: a host name", "-d -S loop.example:{proxy.port} host.example 22")
            .peer("proxy", socks5())
            .ok()
            .both("debug: relay_host=loop.example")
            .both("debug: connecting to 127.0.0.1:{proxy}"),
        case("proxy: an unknown host name", "-d -S host.example:1 host.example 22")
            .fails()
            .both("debug: relay_host=host.example"),
        case("proxy: a user", "-d -S bob@{proxy} host.example 22")
            .env("SOCKS5_PASSWORD", "secret")
            .peer("proxy", socks5_password())
            .ok()
            .both("debug: relay_user=bob")
            .both("\\x01\\x03bob\\x06secret"),
        case("proxy: a user with an @", "-d -S a@b@{proxy} host.example 22")
            .env("SOCKS5_PASSWORD", "secret")
            .peer("proxy", socks5_password())
            .ok()
            .both("debug: relay_user=a@b")
            .both("\\x01\\x03a@b\\x06secret"),
        case("proxy: a user with a %", "-d -S a%40b@{proxy} host.example 22")
            .env("SOCKS5_PASSWORD", "secret")
            .peer("proxy", socks5_password())
            .ok()
            .both("debug: relay_user=a%40b")
            .both("\\x01\\x05a%40b\\x06secret"),
        case("proxy: a user and a password", "-d -S bob:secret@{proxy} host.example 22")
            .env("SOCKS5_PASSWORD", "other")
            .peer("proxy", socks5_password())
            .ok()
            .differs([Wire, Debug], "password-in-spec")
            .theirs("debug: relay_user=bob:secret")
            .theirs("bob:secret\\x05other")
            .ours("debug: relay_user=bob\n")
            .ours("\\x01\\x03bob\\x06secret"),
        case("proxy: a user of an HTTP proxy", "-d -H bob@{refused} host.example 22")
            .fails()
            .both("debug: relay_user=bob"),
        case("proxy: a user of a telnet-style proxy", "-d -T bob@{proxy} host.example 22")
            .peer("proxy", telnet_reply("connected to x\n"))
            .ok()
            .both("debug: relay_user=bob"),
    ]
}

fn urls() -> Vec<Case> {
    let bad = |name, args| case(name, args).fails();
    let invalid_port = |name, args| {
        case(name, args)
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire, Debug], "proxy-port")
            .theirs("exit: zero")
            .ours("exit: not zero")
    };
    vec![
        case("proxy: http:// is ignored", "-d -H http://{proxy} host.example 22")
            .peer("proxy", http())
            .over_http()
            .ok()
            .both("debug: relay_host=127.0.0.1"),
        case("proxy: HTTP:// in upper case is ignored", "-d -H HTTP://{proxy} host.example 22")
            .peer("proxy", http())
            .over_http()
            .ok()
            .both("debug: relay_host=127.0.0.1"),
        case("proxy: a path is ignored", "-d -H http://{proxy}/path/more host.example 22")
            .peer("proxy", http())
            .over_http()
            .ok()
            .both("debug: relay_port={proxy}"),
        case("proxy: a path without a scheme is ignored", "-d -H {proxy}/path host.example 22")
            .peer("proxy", http())
            .over_http()
            .ok()
            .both("debug: relay_port={proxy}"),
        case("proxy: a user after http://", "-d -H http://bob@{proxy}/ host.example 22")
            .peer("proxy", http())
            .over_http()
            .ok()
            .both("debug: relay_user=bob"),
        case("proxy: a SOCKS scheme", "-d -S socks5://{proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire, Debug], "proxy-schemes")
            .theirs("exit: not zero")
            .ours("exit: zero")
            .ours("debug: relay_port={proxy}"),
        case("proxy: another protocol's scheme", "-d -S http://{proxy} host.example 22")
            .peer("proxy", socks5())
            .differs([Exit, Output, Wire, Debug], "proxy-schemes")
            .theirs("exit: zero")
            .ours("exit: not zero"),
        case("proxy: an IPv6 address", "-d -S [::1]:{refused.port} host.example 22")
            .differs([Debug], "ipv6")
            .fails()
            .theirs("debug: relay_host=[\n")
            .ours("debug: relay_host=::1\n"),
        invalid_port("proxy: a letter after the port", "-d -S {proxy}x host.example 22"),
        invalid_port("proxy: a second port", "-d -S {proxy}:2 host.example 22"),
        bad("proxy: port 0", "-S 127.0.0.1:0 host.example 22"),
        bad("proxy: a service as the port", "-S 127.0.0.1:ssh host.example 22"),
        bad("proxy: no port after the colon", "-S 127.0.0.1: host.example 22"),
        bad("proxy: empty", "-S '' host.example 22"),
        bad("proxy: no host", "-H :80 host.example 22"),
        bad("proxy: connection refused", "-S {refused} host.example 22"),
        case("proxy: an invalid proxy that is not used", "-S 127.0.0.1:nosuch -n 127.0.0.1 {target.port}")
            .peer("target", target())
            .ok(),
    ]
}
