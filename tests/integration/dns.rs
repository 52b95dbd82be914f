//! `-R ADDRESS`: the given name server resolves the target's name.
//!
//! Most names end in a dot, so that this machine's search list does not apply to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::kit::*;
use crate::listening::{listening, read_to_end};
use crate::wire::UNKNOWN;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const NXDOMAIN: Answer = Answer::Code(3);

/// Starts a name server that gives the same answer to every query.
fn always(answer: Answer) -> NameServer {
    NameServer::start(V4, move |_| answer.clone())
}

fn addresses(addresses: &[IpAddr]) -> NameServer {
    always(Answer::Addresses(addresses.to_vec()))
}

#[test]
fn a_name_server_is_reached_over_ipv4_and_ipv6() {
    for at in [V4, V6] {
        let dns = NameServer::start(at, |_| Answer::Addresses(vec![V4]));
        let target = script().send("welcome").serve();
        let out = connect(format!("-R {dns} host.example. {}", target.port())).run();
        out.expect_success().expect_stdout("welcome");
        let mut asked = dns.asked();
        asked.sort();
        let question = |kind: &str| (Transport::Udp, format!("host.example. {kind}"));
        assert_eq!(asked, [question("A"), question("AAAA")]);
        target.finish();
    }
}

/// Returns a target on `::1`, and a socket that makes the same port on 127.0.0.1 refuse
/// connections. Without that socket, another test's server might listen on that port.
fn ipv6_only_target() -> (Server, Socket) {
    loop {
        let target = Server::each_v6([script().send("welcome")]);
        let reserved = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if reserved.bind(&SocketAddr::new(V4, target.port()).into()).is_ok() {
            return (target, reserved);
        }
        std::io::read_to_string(TcpStream::connect((V6, target.port())).unwrap()).unwrap();
        target.finish();
    }
}

#[test]
fn all_addresses_of_both_families_are_tried() {
    let target = Server::each_v6([script().send("welcome")]);
    let dns = addresses(&[V6]);
    connect(format!("-R {dns} host.example. {}", target.port())).run().expect_stdout("welcome");
    target.finish();
    let (target, _reserved) = ipv6_only_target();
    let dns = addresses(&[V4, V6]);
    connect(format!("-R {dns} host.example. {}", target.port())).run().expect_stdout("welcome");
    target.finish();
}

#[test]
fn a_socks_proxy_gets_the_resolved_address() {
    let found = [IpAddr::from([192, 0, 2, 7]), "2001:db8::7".parse().unwrap()];
    for (options, found, told) in [
        ("", &found[..], "192.0.2.7:22"),
        ("", &found[1..], "[2001:db8::7]:22"),
        ("-4", &found[..], "192.0.2.7:22"),
    ] {
        let dns = addresses(found);
        let proxy = if options == "-4" { socks4_granted() } else { socks5_none() }.serve();
        let out = connect(format!("{options} -R {dns} -S {proxy} host.example. 22")).run();
        out.expect_success();
        assert_eq!(proxy.finish_one().target.as_deref(), Some(told));
    }
}

#[test]
fn variables_can_set_the_name_server() {
    for (name, options) in
        [("SOCKS5_RESOLVE", ""), ("SOCKS_RESOLVE", ""), ("SOCKS4_RESOLVE", "-4"), ("SOCKS_RESOLVE", "-4")]
    {
        let dns = addresses(&["192.0.2.7".parse().unwrap()]);
        let proxy = if options == "-4" { socks4_granted() } else { socks5_none() }.serve();
        let out = connect(format!("{options} -S {proxy} host.example. 22")).env(name, dns.to_string()).run();
        out.expect_success();
        assert_eq!(proxy.finish_one().target.as_deref(), Some("192.0.2.7:22"), "{name}");
    }
}

#[test]
fn the_message_contains_the_answer_and_the_address_of_the_name_server() {
    for (answer, message) in [
        (NXDOMAIN, "reports no such host (NXDOMAIN)"),
        (Answer::Addresses(Vec::new()), "reports no address for this name"),
        (Answer::Code(2), "failed to resolve it (SERVFAIL)"),
        (Answer::Code(5), "refused the query (REFUSED)"),
        (Answer::Code(4), "answered with an error"),
    ] {
        let dns = always(answer);
        let message = format!("cannot resolve host.example.:22: name server {dns} {message}");
        let out = connect(format!("-R {dns} host.example. 22")).run();
        out.expect_failure(3, &[&message, "check the spelling and the name server"]).expect_stdout("");
        let proxy = RefusingPort::new();
        let out = connect(format!("-R {dns} -S 127.0.0.1:{} host.example. 22", proxy.port())).run();
        out.expect_failure(3, &[&message, "try -R both, or -R remote"]).expect_stdout("");
    }
}

#[test]
fn the_message_is_about_the_name_as_typed() {
    // Names completed from this machine's search list do not exist.
    let dns = NameServer::start(V4, |asked| match asked.name.as_str() {
        "host.example." => Answer::Code(2),
        _ => NXDOMAIN,
    });
    connect(format!("-R {dns} host.example 22")).run().expect_failure(3, &["SERVFAIL"]);
}

#[test]
fn an_invalid_dns_name_is_not_queried() {
    let dns = addresses(&[V4]);
    for name in ["a..b", &format!("{}.example", "x".repeat(64))] {
        connect(format!("-R {dns} {name} 22")).run().expect_failure(3, &[name, "not a DNS name"]);
    }
    assert_eq!(dns.asked(), []);
}

#[test]
fn socks4_needs_an_ipv4_address() {
    let (dns, proxy) = (addresses(&[V6]), RefusingPort::new());
    let out = connect(format!("-4 -R {dns} -S 127.0.0.1:{} host.example. 22", proxy.port())).run();
    out.expect_failure(3, &["no IPv4 address", "SOCKS4"]);
}

#[test]
fn a_truncated_or_missing_udp_answer_is_retried_over_tcp() {
    for by_udp in [Answer::Truncated, Answer::Garbage, Answer::Silence] {
        let answer = by_udp.clone();
        let dns = NameServer::start(V4, move |asked| match asked.transport {
            Transport::Udp => answer.clone(),
            Transport::Tcp => Answer::Addresses(vec![V4]),
        });
        let target = script().send("welcome").serve();
        let out = connect(format!("-w 2 -R {dns} host.example. {}", target.port())).run();
        out.expect_success().expect_stdout("welcome");
        assert!(dns.asked().contains(&(Transport::Tcp, "host.example. A".into())), "{by_udp:?}");
        target.finish();
    }
}

/// Every address was dialled and listed in the message, up to 150 kB. Elsewhere than on Linux, only
/// 127.0.0.1 is local.
#[cfg(target_os = "linux")]
#[test]
fn a_name_with_thousands_of_addresses_made_an_endless_message() {
    let many: Vec<_> = (0..200).map(|n| IpAddr::from([127, 0, 1, n])).collect();
    let dns = NameServer::start(V4, move |asked| match asked.transport {
        Transport::Udp => Answer::Truncated,
        Transport::Tcp => Answer::Addresses(many.clone()),
    });
    let refusing = RefusingPort::new();
    let port = refusing.port();
    let args = format!("-R {dns} host.example. {port}");
    let out = connect(format!("-w 30 {args}")).run();
    let list = "127.0.1.3:{P}: Connection refused, 12 more); check".replace("{P}", &port.to_string());
    out.expect_failure(4, &["at 16 of its 200 addresses (127.0.1.0:", &list]);
    let out = connect(format!("-d -w 30 {args}")).run();
    let lines = out.stderr_text();
    assert_eq!(lines.lines().filter(|line| line.starts_with("DEBUG: resolved: ")).count(), 16, "{lines}");
    assert_eq!(lines.lines().filter(|line| line.starts_with("DEBUG: connecting ")).count(), 16, "{lines}");
    out.expect_stderr_has("host.example. has 184 more addresses, which are not used");
    let out = connect(format!("--check -w 30 {args}")).run();
    let lines = out.stdout_text();
    assert!(lines.contains("127.0.1.15, 184 more, which are not used\n"), "{lines}");
    assert!(!lines.contains("127.0.1.16"), "{lines}");
}

#[test]
fn a_forged_answer_is_ignored() {
    let dns = always(Answer::Forged { first: "192.0.2.66".parse().unwrap(), then: V4 });
    let target = script().send("welcome").serve();
    let out = connect(format!("-R {dns} host.example. {}", target.port())).run();
    out.expect_success().expect_stdout("welcome");
    assert!(dns.asked().iter().all(|(transport, _)| *transport == Transport::Udp));
    target.finish();
}

#[test]
fn an_invalid_message_is_not_an_answer() {
    let dns = always(Answer::Garbage);
    let out = connect(format!("-w 2 -R {dns} host.example. 22")).run();
    out.expect_failure(3, &[&format!("name server {dns} did not answer (UDP: "), "TCP: "]);
}

#[test]
fn a_silent_name_server_times_out() {
    let dns = always(Answer::Silence);
    let out = connect(format!("-w 1 -R {dns} host.example. 22")).run();
    out.expect_failure(7, &["timed out after 1 second", &format!("name server {dns}"), "host.example.:22"]);
    out.expect_within(PROMPTLY);
    assert!(out.elapsed >= Duration::from_millis(950), "{out:?}");
    // An answer to one of the two queries is enough.
    let dns = NameServer::start(V4, |asked| match asked.kind {
        "A" => Answer::Addresses(vec![V4]),
        _ => Answer::Silence,
    });
    let target = script().send("welcome").serve();
    let out = connect(format!("-w 2 -R {dns} host.example. {}", target.port())).run();
    out.expect_success().expect_stdout("welcome");
    target.finish();
}

/// The timeout used to be reported as an empty answer.
#[test]
fn a_name_server_that_is_silent_on_tcp_after_truncation_times_out() {
    let dns = NameServer::start(V4, |asked| match asked.transport {
        Transport::Udp => Answer::Truncated,
        Transport::Tcp => Answer::Silence,
    });
    let out = connect(format!("-w 1 -R {dns} host.example. 22")).run();
    out.expect_failure(7, &["timed out after 1 second", &format!("name server {dns}"), "host.example.:22"]);
}

#[test]
fn a_refused_query_fails_without_waiting_for_the_timeout() {
    let port = RefusingPort::new();
    let out = connect(format!("-R 127.0.0.1:{} host.example. 22", port.port())).run();
    out.expect_failure(3, &[&format!("name server 127.0.0.1:{} did not answer", port.port()), "refused"]);
    // Allow time for a UDP timeout: the port is reserved for TCP only, so another program may use
    // it for UDP.
    out.expect_within(PROMPTLY);
}

#[test]
fn only_the_targets_name_is_queried() {
    let dns = addresses(&[V4]);
    connect(format!("-R {dns} -S {UNKNOWN} host.example. 22")).run().expect_failure(3, &["SOCKS5 proxy"]);
    assert!(dns.asked().iter().all(|(_, question)| question.starts_with("host.example. ")));
    let dns = addresses(&[V4]);
    let proxy = http_ok().serve();
    connect(format!("-R {dns} -H {proxy} host.example. 22")).run().expect_success();
    assert_eq!(proxy.finish_one().target.as_deref(), Some("host.example.:22"));
    assert_eq!(dns.asked(), []);
    let target = script().send("welcome").serve();
    connect(format!("-R {dns} {}", target.args())).run().expect_stdout("welcome");
    assert_eq!(dns.asked(), []);
    target.finish();
}

/// RFC 6761: these names always refer to this machine.
#[test]
fn localhost_was_sent_to_the_name_server() {
    let dns = addresses(&["192.0.2.7".parse().unwrap()]);
    for name in ["localhost", "localhost.", "LOCALHOST", "a.localhost", "b.a.localhost."] {
        let target = script().send("welcome").serve();
        let out = connect(format!("-R {dns} {name} {}", target.port())).run();
        out.expect_success().expect_stdout("welcome");
        target.finish();
        for options in ["", "-4"] {
            let proxy = if options == "-4" { socks4_granted() } else { socks5_none() }.serve();
            connect(format!("{options} -R {dns} -S {proxy} {name} 22")).run().expect_success();
            assert_eq!(proxy.finish_one().target.as_deref(), Some("127.0.0.1:22"));
        }
    }
    assert_eq!(dns.asked(), []);
}

/// RFC 7686: the name server would learn which onion service the user connects to. Only the proxy
/// gets the name, whatever `-R` says.
#[test]
fn onion_names_were_sent_to_name_servers() {
    let dns = addresses(&[V4]);
    let bypassed = connect(format!("-R {dns} -S 127.0.0.1:1 abc.onion 22")).env("SOCKS5_DIRECT", "onion");
    bypassed.run().expect_failure(3, &["cannot resolve abc.onion:22"]);
    for name in ["abc.onion", "B.Abc.Onion", "abc.onion."] {
        for option in [format!("-R {dns}"), "-R local".into(), "-R both".into(), String::new()] {
            for scheme in ["socks4", "socks4a", "socks5", "socks5h"] {
                let is_v4 = scheme.starts_with("socks4");
                let proxy = if is_v4 { socks4_granted() } else { socks5_none() }.serve();
                let run = connect(format!("{option} -x {scheme}://{proxy} {name} 22")).run();
                run.expect_success();
                let target = format!("{name}:22");
                assert_eq!(proxy.finish_one().target, Some(target), "{option} {scheme}");
            }
            for args in [name.to_owned(), format!("-S {name} 127.0.0.1"), format!("-x direct {name}")] {
                let out = connect(format!("-w 20 {option} {args} 22")).run();
                let parts =
                    [&format!("{name}:"), "not looked up in DNS (RFC 7686)", "through Tor, as with -S"];
                out.expect_failure(3, &parts).expect_stderr_lacks("-R ");
            }
            let refusing = RefusingPort::new();
            let route = format!("-x socks5://127.0.0.1:{}|direct", refusing.port());
            let out = connect(format!("-w 20 {option} {route} {name} 22")).run();
            out.expect_failure(3, &["1. cannot connect", "2. cannot resolve", "RFC 7686"]);
        }
        let first = socks5_request().close().serve();
        let out = connect(format!("-R {dns} -x socks5://{first},socks5://{name} 192.0.2.1 22")).run();
        out.expect_code(5);
        assert_eq!(first.finish_one().target, Some(format!("{name}:1080")));
    }
    assert_eq!(dns.asked(), []);
}

/// RFC 6761: these names do not exist.
#[test]
fn invalid_names_were_looked_up_by_the_system() {
    let dns = addresses(&[V4]);
    for option in [format!("-R {dns}"), String::new()] {
        for name in ["invalid", "host.Invalid", "host.invalid."] {
            let out = connect(format!("-w 20 {option} {name} 22")).run();
            out.expect_failure(3, &[name, "do not exist (RFC 6761)"]);
        }
    }
    for name in ["host.invalid", "abc.onion"] {
        let out = connect(format!("--listen {name}:0 127.0.0.1 22")).run();
        out.expect_failure(1, &[&format!("cannot listen on {name}:0"), "RFC"]);
    }
    assert_eq!(dns.asked(), []);
}

#[test]
fn names_below_localhost_were_looked_up_by_the_system() {
    for name in ["localhost.", "a.localhost", "b.a.LOCALHOST."] {
        let target = script().send("welcome").serve();
        let out = connect(format!("-w 20 {name} {}", target.port())).run();
        out.expect_success().expect_stdout("welcome");
        target.finish();
        let run = listening(format!("--listen {name}:0 host.example. 22"));
        assert!(run.address().ip().is_loopback());
        assert_eq!(run.close(), [""; 0]);
    }
    let proxy = socks5_none().serve();
    connect(format!("-S {proxy} a.localhost 22")).run().expect_success();
    assert_eq!(proxy.finish_one().target.as_deref(), Some("a.localhost:22"), "the proxy resolves names");
}

#[test]
fn a_target_on_the_bypass_list_uses_the_same_name_server() {
    for (options, direct) in [("-S", "SOCKS_DIRECT"), ("-H", "HTTP_DIRECT")] {
        let (dns, proxy) = (addresses(&[V4]), RefusingPort::new());
        let target = script().send("welcome").serve();
        let args = format!("-R {dns} {options} 127.0.0.1:{} host.example. {}", proxy.port(), target.port());
        connect(args).env(direct, "example").run().expect_success().expect_stdout("welcome");
        target.finish();
    }
}

#[test]
fn debug_output_names_the_name_server() {
    let dns = addresses(&["192.0.2.7".parse().unwrap()]);
    let proxy = socks5_none().serve();
    let out = connect(format!("-d -R {dns} -S {proxy} host.example. 22")).run();
    for line in [
        "socks_resolve=LOCAL (1)".to_owned(),
        format!("Using nameserver at {dns}"),
        "resolving host by name: host.example.".into(),
        "resolved: host.example. (192.0.2.7)".into(),
    ] {
        out.expect_stderr_has(&format!("DEBUG: {line}\n"));
    }
    proxy.finish();
}

/// `--listen` threads have small stacks, which must suffice for the resolver.
#[test]
fn a_session_of_a_listener_can_query_a_name_server() {
    let dns = addresses(&[V4]);
    let target = script().send("welcome").serve();
    let run = listening(format!("-R {dns} --listen 127.0.0.1:0 host.example. {}", target.port()));
    assert_eq!(read_to_end(run.client()), "welcome");
    target.finish();
}
