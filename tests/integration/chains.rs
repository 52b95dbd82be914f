//! `-x` and `-A`: chains of proxies, and fallback routes.

use std::time::Duration;

use crate::kit::*;
use crate::wire::*;

/// Returns a script for a telnet-style proxy that expects a request for `target` and relays to it.
fn telnet(target: &Server) -> Script {
    let command = format!("telnet {}\r\n", target.args());
    script().expect(command).send("Connected to it.\r\n").relay_to(target)
}

/// Checks that a session to this target works.
#[track_caller]
fn expect_session(target: Server, args: &str) -> Outcome {
    let out = connect(format!("{args} {}", target.args())).input("ping").run();
    out.expect_success().expect_stdout("welcome").expect_stderr("");
    target.finish();
    out
}

fn target() -> Server {
    script().send("welcome").expect("ping").expect_eof().serve()
}

#[test]
fn a_chain_of_all_protocols_works_and_each_proxy_gets_its_own_credentials() {
    let target = target();
    let last = telnet(&target).serve();
    let fourth = socks4_granted().relay().serve();
    let third = socks5_userpass("u3", "p@3,|").relay().serve();
    let second = http_basic("u2", "p2").relay().serve();
    let first = socks5_none().relay().serve();
    let at = target.to_string();
    let chain = format!(
        "-x socks5h://{first},http://u2:p2@{second} -x socks5://u3:p%403%2C%7C@{third} \
         --proxy=socks4://u4@{fourth},telnet://{last}"
    );
    expect_session(target, &chain);
    let (first, second, third, fourth) =
        (first.finish_one(), second.finish_one(), third.finish_one(), fourth.finish_one());
    let asked = [&first, &second, &third, &fourth].map(|record| record.target.clone().unwrap());
    let next = |record: &Record| record.target.clone().unwrap();
    assert_eq!(asked.len(), 4);
    assert!(next(&first).starts_with("127.0.0.1:") && next(&fourth) != at);
    assert_eq!((first.user, third.user.as_deref(), fourth.user.as_deref()), (None, Some("u3"), Some("u4")));
    last.finish();
}

/// splice(2) must work with any combination of proxies.
#[test]
fn ten_mebibytes_are_relayed_each_way_through_three_proxies() {
    const SIZE: u64 = 10 * MIB;
    let target = script().exchange(7, SIZE).serve();
    let (third, second) = (http_ok().relay().serve(), socks4_granted().relay().serve());
    let first = socks5_none().relay().serve();
    let chain = format!("-x socks5://{first},socks4://{second},http://{third}");
    let mut run = connect(format!("{chain} {}", target.args())).start();
    run.feed(data(7, SIZE));
    let out = run.finish();
    out.expect_success();
    assert_eq!(out.stdout.len() as u64, SIZE);
    target.finish();
}

#[test]
fn a_chain_may_contain_the_same_proxy_sixteen_times() {
    let target = target();
    let proxy = Server::repeat(|| http_ok().relay());
    let chain = vec![format!("http://{proxy}"); 16].join(",");
    expect_session(target, &format!("-x {chain}"));
    assert_eq!(proxy.finish().len(), 16);
}

#[test]
fn the_error_names_the_hop_that_failed() {
    let refusing = RefusingPort::new();
    let run = connect(format!("-x socks5://127.0.0.1:{},http://next.example host 22", refusing.port())).run();
    run.expect_failure(4, &[&format!("SOCKS5 proxy 127.0.0.1:{} (hop 1 of 2)", refusing.port()), "refused"]);

    let second = socks5_refused(2).expect_disconnect().serve();
    let first = http_ok().relay().serve();
    let run = connect(format!("-x http://{first},socks5h://{second},http://third.example:81 host 22")).run();
    let at = format!("SOCKS5 proxy {second} (hop 2 of 3) refused to connect to third.example:81");
    run.expect_failure(5, &[&at]);
    second.finish();

    let first = socks5_refused(5).expect_disconnect().serve();
    let run = connect(format!("-x socks5h://{first},http://next.example:81 host 22")).run();
    run.expect_failure(5, &["(hop 1 of 2) refused to connect to next.example:81"]);

    let second = http_basic("me", "right").serve();
    let first = socks5_none().relay().serve();
    let run = connect(format!("-x socks5://{first},http://me:wrong@{second} host 22")).run();
    run.expect_failure(6, &["(hop 2 of 2)", "'me'"]).expect_stderr_lacks("wrong");
}

/// Only the second hop needs a new connection, but that hop can be reached only through the first.
#[cfg(unix)]
#[test]
fn a_reconnect_for_one_hop_goes_through_all_hops_before_it() {
    let closing = "HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm=\"x\"\r\nConnection: close\r\n\r\n";
    let second = Server::each([http_reply(closing).close(), http_basic("me", "pw").early("welcome").drain()]);
    let first = Server::each([socks5_none().relay(), socks5_none().relay()]);
    let asker = crate::askpass::Asker::new("askpass", "echo pw");
    let run = asker.connect(format!("-x socks5://{first},http://me@{second} host 22")).run();
    run.expect_success().expect_stdout("welcome");
    assert_eq!(first.finish().len(), 2);
    second.finish();
}

/// No proxy receives another proxy's password.
#[test]
fn in_a_chain_general_credentials_apply_only_to_hops_with_a_user_name() {
    let chain = |args: &str| {
        let second = http_ok().early("welcome").drain().serve();
        let first = http_ok().relay().serve();
        let args = args.replace("{1}", &first.to_string()).replace("{2}", &second.to_string());
        let run = connect(format!("-x {args} host 22"));
        let run = run.env("CONNECT_USER", "general").env("HTTP_PROXY_PASSWORD", "general");
        run.run().expect_success().expect_stdout("welcome");
        [first, second].map(|proxy| proxy.finish_one().head.unwrap().contains("Proxy-Authorization"))
    };
    assert_eq!(chain("http://{1},http://{2}"), [false, false]);
    assert_eq!(chain("http://me@{1},http://{2}"), [true, false]);
    assert_eq!(chain("http://{1},http://me@{2}"), [false, true]);
    let alone = http_ok().drain().serve();
    let run = connect(format!("-x http://{alone} host 22")).env("HTTP_PROXY_PASSWORD", "general").run();
    run.expect_success();
    assert!(alone.finish_one().head.unwrap().contains("Proxy-Authorization"));
}

#[test]
fn the_query_of_a_url_sets_options_of_its_hop() {
    let proxy = socks5_none().early("welcome").drain().serve();
    connect(format!("-x socks5://{proxy}?resolve=remote&auth=none {UNKNOWN} 22")).run().expect_success();
    let record = proxy.finish_one();
    assert_eq!(record.target, Some(format!("{UNKNOWN}:22")));

    let proxy = script().expect("open host 22!\r\n").send("connected to\n").early("welcome").drain().serve();
    connect(format!("-x telnet://{proxy}/?command=open%20%25h%20%25p! host 22")).run().expect_success();
    proxy.finish();
}

/// The scheme in the proxy URL decides where the target's name is resolved, as with curl.
#[test]
fn socks5_resolves_locally_if_possible_and_socks5h_at_the_proxy() {
    let asked = |scheme: &str, proxy: Script| {
        let proxy = proxy.drain().serve();
        connect(format!("-x {scheme}://{proxy} localhost 22")).run().expect_success();
        proxy.finish_one().target.unwrap()
    };
    assert!(localhost().contains(&asked("socks5", socks5_none())));
    assert_eq!(asked("socks5h", socks5_none()), "localhost:22");
    assert_eq!(asked("socks4a", socks4_granted()), "localhost:22");
    assert_eq!(asked("socks4", socks4_granted()), "127.0.0.1:22");
}

#[test]
fn an_invalid_chain_is_an_error_before_dialling() {
    let seventeen = vec!["http://h"; 17].join(",");
    for (chain, parts) in [
        (seventeen.as_str(), ["17", "16"]),
        ("ftp://h", ["ftp", "socks5h"]),
        ("http://h,,http://i", ["missing proxy", ""]),
        ("http://h,", ["missing proxy", ""]),
        ("http://h,i:8080", ["missing scheme", "%2C"]),
        ("http://me:se,cret@h", ["missing scheme", "%2C"]),
        ("http://me:12|cret@h", ["missing scheme", "%7C"]),
        ("http://h|", ["missing proxy", ""]),
        ("|direct", ["missing proxy", ""]),
        ("direct,http://h", ["direct", "'|'"]),
        ("http://h,direct://", ["direct", "'|'"]),
        ("http://h?resolve=local", ["unknown option 'resolve'", "http://"]),
        ("socks5://h?resolv=local", ["unknown option 'resolv'", "use resolve, auth"]),
        ("socks5://h?resolve=never", ["invalid resolve= value; use local", ""]),
        ("socks5://h?auth=chap", ["invalid auth= value; use none or userpass", ""]),
        ("http://h:0", ["invalid port;", "65535"]),
        ("http://", ["invalid host name", ""]),
        ("http://me:se?cret@h", ["%3F", ""]),
        ("http://me:se/cret@h", ["%2F", ""]),
        ("socks5://h:ssh", ["port", ""]),
        ("http://me:se12,http://cret@h", ["port", ""]),
    ] {
        let out = connect("").arg("-x").arg(chain).args("host 22").run();
        out.expect_failure(2, &parts).expect_stderr_lacks("cret").expect_stderr_lacks("12");
    }
    connect("").arg("-x").args("http://h unix:/s").run().expect_failure(2, &["it is a local socket"]);
}

#[test]
fn the_last_of_several_proxy_options_wins() {
    let proxy = socks5_none().early("welcome").drain().serve();
    connect(format!("-x http://no.invalid -S {proxy} host 22")).run().expect_success();
    proxy.finish();
    let proxy = socks5_none().early("welcome").drain().serve();
    connect(format!("-x http://no.invalid -n -x socks5://{proxy} host 22")).run().expect_success();
    proxy.finish();
}

// Fallback routes

#[test]
fn the_first_route_that_works_is_used() {
    let refusing = RefusingPort::new();
    let says_no = http_reply("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n").drain().serve();
    let target = target();
    let args = format!("-d -x http://127.0.0.1:{}|http://{says_no}|direct", refusing.port());
    let out = connect(format!("{args} {}", target.args())).input("ping").run();
    out.expect_code(0).expect_stdout("welcome");
    for line in
        ["route 1 of 3 failed: cannot connect to HTTP proxy", "route 2 of 3 failed: HTTP proxy", "403 No"]
    {
        out.expect_stderr_has(line);
    }
    target.finish();
    says_no.finish();
}

/// A rejected password on one route must not keep the next route from being tried.
#[test]
fn the_next_route_is_tried_whichever_hop_failed() {
    let second = http_basic("me", "right").serve();
    let first = socks5_none().relay().serve();
    let good = socks4_granted().early("welcome").drain().serve();
    let out =
        connect("").arg("-x").arg(format!("socks5://{first},http://me:wrong@{second} | socks4://{good}"));
    out.args("192.0.2.1 22").run().expect_success().expect_stdout("welcome").expect_stderr("");
    good.finish();
}

#[test]
fn when_all_routes_fail_each_error_is_shown() {
    let (one, two) = (RefusingPort::new(), RefusingPort::new());
    let args = format!("-x http://127.0.0.1:{}|socks5://127.0.0.1:{} host 22", one.port(), two.port());
    let at = |port: u16| format!("proxy 127.0.0.1:{port}: connection refused");
    connect(args).run().expect_failure(
        4,
        &[
            "all routes to host:22 failed: 1. cannot connect to HTTP",
            &at(one.port()),
            "; 2. cannot connect to SOCKS5",
            &at(two.port()),
        ],
    );
}

/// The failures used to be numbered 1 and 2, although `-d` and `--check` call the second one
/// route 3.
#[test]
fn a_failed_route_keeps_its_number_when_a_route_before_it_was_skipped() {
    let (target, proxy) = (RefusingPort::new(), RefusingPort::new());
    let out = connect("-d -x").arg(format!("direct | direct | http://127.0.0.1:{}", proxy.port()));
    let out = out.args(format!("127.0.0.1 {}", target.port())).run();
    let proxy = format!("cannot connect to HTTP proxy 127.0.0.1:{}", proxy.port());
    out.expect_code(4).expect_stderr_has(&format!("route 3 of 3 failed: {proxy}"));
    let line = out.stderr_text().lines().last().unwrap().to_owned();
    assert!(line.contains(&format!(": 1. cannot connect to 127.0.0.1:{}", target.port())), "{line}");
    assert!(line.contains(&format!("; 3. {proxy}")) && !line.contains("2. "), "{line}");
}

/// The target is dialled directly only once, so the direct route and the proxy each get half of the
/// time limit.
#[test]
fn a_skipped_route_takes_no_share_of_the_time_limit() {
    let target = SilentPort::new();
    let proxy = http_ok().early("welcome").drain().serve();
    let out = connect("-w 3 -x").arg(format!("direct | direct | http://{proxy}"));
    let out = out.args(format!("127.0.0.1 {}", target.port())).run();
    out.expect_success().expect_stdout("welcome");
    assert!(out.elapsed >= Duration::from_millis(1450), "{out:?}");
    proxy.finish();
}

#[test]
fn a_route_that_hangs_leaves_time_for_the_next() {
    let silent = script().hold().serve();
    let target = target();
    let args = format!("-w 3 -x http://{silent}|direct {}", target.args());
    let out = connect(args).input("ping").run();
    out.expect_success().expect_stdout("welcome").expect_within(Duration::from_secs(20));
    target.finish();
}

/// All three routes lead directly to the target, because `no_proxy` lists it.
#[test]
fn the_target_is_dialled_directly_only_once() {
    let refusing = RefusingPort::new();
    let out = connect(format!("-x http://a.invalid|http://b.invalid|direct 127.0.0.1 {}", refusing.port()))
        .env("no_proxy", "127.0.0.1")
        .run();
    out.expect_failure(4, &[&format!("cannot connect to 127.0.0.1:{}", refusing.port())])
        .expect_stderr_lacks("no way");
}

/// An invalid second route is an error even if the first would work.
#[test]
fn every_route_is_validated_before_the_first_is_tried() {
    connect("-x direct|ftp://h 127.0.0.1 1").run().expect_failure(2, &["ftp"]);
}

// -A

/// Runs `-A` with these variables and this parameter file. Returns `true` if the session went
/// through the proxy, and `false` if it went directly to the target.
#[track_caller]
fn automatic(variables: &[(&str, &str)], file: &str) -> bool {
    let proxy = Server::repeat(|| http_ok().early("welcome").expect("ping").expect_eof());
    let target = Server::repeat(|| script().send("welcome").expect("ping").expect_eof());
    let at = proxy.to_string();
    let home = crate::rcfile::home(file.replace("{P}", &at));
    let run = connect(format!("-A {}", target.args())).env("HOME", &*home);
    let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value.replace("{P}", &at)));
    run.input("ping").run().expect_success().expect_stdout("welcome");
    let (by_proxy, directly) = (proxy.finish().len(), target.finish().len());
    assert_eq!(by_proxy + directly, 1);
    by_proxy == 1
}

// On Windows, environment variable names are case-insensitive.
#[cfg(unix)]
#[test]
fn automatic_mode_prefers_connect_proxy_to_the_usual_variables() {
    assert!(!automatic(&[], ""));
    assert!(automatic(&[("CONNECT_PROXY", "http://{P}"), ("all_proxy", "http://no.invalid")], ""));
    assert!(automatic(&[("all_proxy", "http://no.invalid")], "CONNECT_PROXY = http://{P}"));
    let order = ["all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"];
    for (index, name) in order.into_iter().enumerate() {
        let later = order[index + 1..].iter().map(|name| (*name, "socks5://no.invalid"));
        let variables: Vec<_> = std::iter::once((name, "{P}")).chain(later).collect();
        assert!(automatic(&variables, ""), "{name}");
    }
    // An empty variable is ignored.
    assert!(automatic(&[("all_proxy", ""), ("http_proxy", "http://{P}/")], ""));
}

#[test]
fn automatic_mode_honours_no_proxy_and_direct() {
    assert!(!automatic(&[("all_proxy", "http://{P}"), ("no_proxy", "127.0.0.0/8")], ""));
    assert!(!automatic(&[("CONNECT_PROXY", "direct"), ("all_proxy", "http://{P}")], ""));
    assert!(automatic(&[("CONNECT_PROXY", "socks5://127.0.0.1:1 | http://{P}")], ""));
}

/// A web server's client can set `HTTP_PROXY` by sending a `Proxy` header ("httpoxy").
// On Windows, environment variable names are case-insensitive.
#[cfg(unix)]
#[test]
fn automatic_mode_ignores_http_proxy_under_cgi() {
    assert!(!automatic(&[("HTTP_PROXY", "http://{P}"), ("REQUEST_METHOD", "GET")], ""));
    assert!(automatic(&[("http_proxy", "http://{P}"), ("REQUEST_METHOD", "GET")], ""));
}

#[test]
fn an_error_names_the_variable_with_the_invalid_chain() {
    let run = connect("-A host 22").env("CONNECT_PROXY", "http://me:secret@h,ftp://h").run();
    run.expect_failure(2, &["CONNECT_PROXY", "ftp"]).expect_stderr_lacks("secret");
}
