//! Environment variables: the proxy, the user, and name resolution.

use crate::case::Aspect::{Debug, Exit, Output, Wire};
use crate::case::{Case, case};
use crate::peers::{http, socks4, socks5, socks5_no_method, socks5_password, target, telnet_reply};

pub(super) fn cases() -> Vec<Case> {
    let mut all = proxies();
    all.extend(more_proxies());
    all.extend(users());
    all.extend(other());
    all
}

fn proxies() -> Vec<Case> {
    const TO_PROXY: &str = "debug: relay_port={proxy}";
    let socks = |name| case(name, "-d -s host.example 22").peer("proxy", socks5()).ok().both(TO_PROXY);
    let socks4s = |name| case(name, "-d -4 -s host.example 22").peer("proxy", socks4()).ok().both(TO_PROXY);
    let none = |name, args| case(name, args).fails();
    vec![
        socks("variables: SOCKS5_SERVER").env("SOCKS5_SERVER", "{proxy}"),
        socks("variables: SOCKS_SERVER").env("SOCKS_SERVER", "{proxy}"),
        socks("variables: SOCKS5_SERVER before SOCKS_SERVER")
            .env("SOCKS5_SERVER", "{proxy}")
            .env("SOCKS_SERVER", "{refused}")
            .env("SOCKS4_SERVER", "{refused}"),
        socks4s("variables: SOCKS4_SERVER").env("SOCKS4_SERVER", "{proxy}"),
        socks4s("variables: SOCKS4_SERVER before SOCKS_SERVER")
            .env("SOCKS4_SERVER", "{proxy}")
            .env("SOCKS_SERVER", "{refused}")
            .env("SOCKS5_SERVER", "{refused}"),
        socks4s("variables: SOCKS_SERVER for SOCKS4").env("SOCKS_SERVER", "{proxy}"),
        socks("variables: SOCKS_SERVER with a user")
            .env("SOCKS_SERVER", "bob@{proxy}")
            .both("debug: relay_user=bob"),
        case("variables: -s -4 equals -4 -s", "-d -s -4 host.example 22")
            .env("SOCKS4_SERVER", "{proxy}")
            .peer("proxy", socks4())
            .ok()
            .both(TO_PROXY),
        case("variables: -S before SOCKS5_SERVER", "-d -S {proxy} host.example 22")
            .env("SOCKS5_SERVER", "bob@{refused}")
            .peer("proxy", socks5())
            .ok()
            .both(TO_PROXY)
            .both("debug: relay_user=root"),
        none("variables: -s, none set", "-s host.example 22"),
        none("variables: -s, only SOCKS4_SERVER set", "-s host.example 22").env("SOCKS4_SERVER", "{refused}"),
        none("variables: -4s, only SOCKS5_SERVER set", "-4s host.example 22")
            .env("SOCKS5_SERVER", "{refused}"),
        case("variables: HTTP_PROXY", "-d -h host.example 22")
            .env("HTTP_PROXY", "{proxy}")
            .peer("proxy", http())
            .over_http()
            .ok()
            .both(TO_PROXY),
        case("variables: HTTP_PROXY as a URL", "-d -h host.example 22")
            .env("HTTP_PROXY", "http://bob@{proxy}/")
            .peer("proxy", http())
            .over_http()
            .ok()
            .both(TO_PROXY)
            .both("debug: relay_user=bob"),
        none("variables: -h, none set", "-h host.example 22"),
        case("variables: TELNET_PROXY", "-d -t host.example 22")
            .env("TELNET_PROXY", "{proxy}")
            .peer("proxy", telnet_reply("connected to x\n"))
            .ok()
            .both(TO_PROXY)
            .both("debug: relay_method = TELNET (4)"),
        none("variables: -t, none set", "-t host.example 22"),
        case("variables: not used without an option", "-d 127.0.0.1 {target.port}")
            .env("HTTP_PROXY", "{refused}")
            .env("SOCKS_SERVER", "{refused}")
            .env("TELNET_PROXY", "{refused}")
            .peer("target", target())
            .ok()
            .both("debug: relay_method = DIRECT (1)"),
    ]
}

fn more_proxies() -> Vec<Case> {
    let more = |case: Case| {
        case.differs([Exit, Output, Wire, Debug], "more-variables")
            .theirs("exit: not zero")
            .ours("exit: zero")
            .ours("debug: relay_port={proxy}")
    };
    let over_http = |name| more(case(name, "-d -h host.example 22").peer("proxy", http()));
    let empty = |name, args, proxy| {
        case(name, args)
            .peer("proxy", proxy)
            .differs([Exit, Output, Wire, Debug], "empty-proxy")
            .theirs("debug: relay_host=\n")
            .ours("exit: zero")
            .ours("debug: relay_port={proxy}")
    };
    vec![
        over_http("variables: https_proxy").env("https_proxy", "http://{proxy}"),
        over_http("variables: HTTPS_PROXY").env("HTTPS_PROXY", "http://{proxy}"),
        over_http("variables: http_proxy").env("http_proxy", "http://{proxy}"),
        over_http("variables: ALL_PROXY for -h").env("ALL_PROXY", "http://{proxy}"),
        more(case("variables: all_proxy for -s", "-d -s host.example 22").peer("proxy", socks5()))
            .env("all_proxy", "socks5://{proxy}"),
        empty("variables: an empty SOCKS5_SERVER", "-d -s host.example 22", socks5())
            .env("SOCKS5_SERVER", "")
            .env("SOCKS_SERVER", "{proxy}"),
        empty("variables: an empty HTTP_PROXY", "-d -h host.example 22", http())
            .env("HTTP_PROXY", "")
            .env("https_proxy", "http://{proxy}"),
        case("variables: HTTP_PROXY under CGI", "-d -h host.example 22")
            .env("HTTP_PROXY", "{proxy}")
            .env("REQUEST_METHOD", "GET")
            .peer("proxy", http())
            .differs([Exit, Output, Wire, Debug], "cgi")
            .theirs("exit: zero")
            .ours("exit: not zero"),
    ]
}

/// Sets all variables that name a user, each to its own name, except those in `without`.
fn user_variables(case: Case, without: &[&str]) -> Case {
    let names = [
        "SOCKS5_USER",
        "SOCKS4_USER",
        "SOCKS_USER",
        "HTTP_PROXY_USER",
        "CONNECT_USER",
        "LOGNAME",
        "USER",
        "USERNAME",
    ];
    names.into_iter().filter(|name| !without.contains(name)).fold(case, |case, name| case.env(name, name))
}

fn users() -> Vec<Case> {
    // Leaves the first `skipped` variables unset.
    let five = |name, skipped| {
        let case = case(name, "-d -S {proxy} host.example 22").peer("proxy", socks5_password());
        let row = ["SOCKS5_USER", "SOCKS_USER", "CONNECT_USER"];
        user_variables(case, &row[..skipped]).env("SOCKS5_PASSWORD", "p").ok()
    };
    let four = |name, skipped| {
        let case = case(name, "-d -4 -S {proxy} host.example 22").peer("proxy", socks4());
        user_variables(case, &["SOCKS4_USER", "SOCKS_USER", "CONNECT_USER"][..skipped]).ok()
    };
    let web = |name, skipped| {
        let case = case(name, "-d -H {proxy} host.example 22").peer("proxy", http());
        user_variables(case, &["HTTP_PROXY_USER", "CONNECT_USER"][..skipped]).over_http().ok()
    };
    vec![
        five("user: SOCKS5_USER", 0).both("debug: relay_user=SOCKS5_USER\n").both("\\x0bSOCKS5_USER\\x01p"),
        five("user: SOCKS_USER for SOCKS5", 1)
            .both("debug: relay_user=SOCKS_USER\n")
            .both("SOCKS_USER\\x01p"),
        five("user: CONNECT_USER for SOCKS5", 2).both("debug: relay_user=CONNECT_USER\n"),
        five("user: the login name for SOCKS5", 3).both("debug: relay_user=root\n").both("\\x04root\\x01p"),
        four("user: SOCKS4_USER", 0).both("debug: relay_user=SOCKS4_USER\n").both("SOCKS4_USER\\x00"),
        four("user: SOCKS_USER for SOCKS4", 1).both("debug: relay_user=SOCKS_USER\n").both("SOCKS_USER\\x00"),
        four("user: CONNECT_USER for SOCKS4", 2).both("debug: relay_user=CONNECT_USER\n"),
        four("user: the login name for SOCKS4", 3).both("debug: relay_user=root\n").both("root\\x00"),
        web("user: HTTP_PROXY_USER", 0).both("debug: relay_user=HTTP_PROXY_USER\n"),
        web("user: CONNECT_USER for HTTP", 1).both("debug: relay_user=CONNECT_USER\n"),
        web("user: the login name for HTTP", 2).both("debug: relay_user=root\n"),
        case("user: the proxy argument before the variables", "-d -S bob@{proxy} host.example 22")
            .env("SOCKS5_USER", "other")
            .env("SOCKS5_PASSWORD", "p")
            .peer("proxy", socks5_password())
            .ok()
            .both("\\x03bob\\x01p"),
        case("user: empty for SOCKS4", "-d -4 -S {proxy} host.example 22")
            .env("SOCKS4_USER", "")
            .env("CONNECT_USER", "other")
            .peer("proxy", socks4())
            .ok()
            .both("debug: relay_user=\n"),
        case("user: empty for SOCKS4, in the proxy argument", "-4 -S @{proxy} host.example 22")
            .peer("proxy", socks4())
            .ok()
            .both("\\x00\\x00\\x00\\x01\\x00host.example\\x00"),
        case("user: not in the user database", "-d 127.0.0.1 {target.port}")
            .without_account()
            .peer("target", target())
            .differs([Exit, Output, Wire, Debug], "no-account")
            .theirs("exit: not zero")
            .ours("exit: zero"),
    ]
}

fn other() -> Vec<Case> {
    let resolves = |name, options: &str, how| {
        case(name, &format!("-d {options} -S {{refused}} ten.example 22")).fails().both(how)
    };
    let offers =
        |name, args, greeting| case(name, args).peer("proxy", socks5_no_method()).fails().both(greeting);
    vec![
        resolves("variables: SOCKS5_RESOLVE", "", "debug: socks_resolve=LOCAL (1)")
            .env("SOCKS5_RESOLVE", "local")
            .env("SOCKS_RESOLVE", "remote")
            .env("SOCKS4_RESOLVE", "remote"),
        resolves("variables: SOCKS4_RESOLVE", "-4", "debug: socks_resolve=REMOTE (2)")
            .env("SOCKS4_RESOLVE", "Remote")
            .env("SOCKS_RESOLVE", "local")
            .env("SOCKS5_RESOLVE", "local"),
        resolves("variables: SOCKS_RESOLVE", "", "debug: socks_resolve=BOTH (3)")
            .env("SOCKS_RESOLVE", "both"),
        resolves("variables: SOCKS_RESOLVE for SOCKS4", "-4", "debug: socks_resolve=BOTH (3)")
            .env("SOCKS_RESOLVE", "both"),
        resolves("variables: -R before SOCKS5_RESOLVE", "-R remote", "debug: socks_resolve=REMOTE (2)")
            .env("SOCKS5_RESOLVE", "local"),
        case("variables: an invalid SOCKS5_RESOLVE", "-d -S {refused} ten.example 22")
            .env("SOCKS5_RESOLVE", "garbage")
            .fails(),
        case("variables: an invalid SOCKS5_RESOLVE that is not used", "-d -4 -S {proxy} ten.example 22")
            .env("SOCKS5_RESOLVE", "garbage")
            .peer("proxy", socks4())
            .ok(),
        offers("variables: SOCKS5_AUTH", "-d -S {proxy} host.example 22", "debug: >>> 05 01 02\n")
            .env("SOCKS5_AUTH", "userpass"),
        offers(
            "variables: -a before SOCKS5_AUTH",
            "-d -a none -S {proxy} host.example 22",
            "debug: >>> 05 01 00\n",
        )
        .env("SOCKS5_AUTH", "userpass"),
        case("variables: an invalid SOCKS5_AUTH", "-S {proxy} host.example 22")
            .env("SOCKS5_AUTH", "bogus")
            .peer("proxy", socks5())
            .differs([Wire], "auth-checked")
            .fails()
            .theirs("proxy 1 got")
            .ours("exit: not zero"),
    ]
}
