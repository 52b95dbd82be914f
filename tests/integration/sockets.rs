//! Options for the TCP sockets of a run.

#[cfg(feature = "dns")]
use std::net::IpAddr;
#[cfg(target_os = "linux")]
use std::net::SocketAddr;

use crate::kit::*;
#[cfg(target_os = "linux")]
use crate::listening::{eventually, listening};

#[cfg(target_os = "linux")]
/// Returns the time until TCP probes the peer of the connection from `local` to `remote`, in
/// seconds. `None` if the socket has no keep-alive timer.
fn keep_alive_timer(local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    /// `TIMER_KEEPALIVE` in the kernel's `inet_diag.h`, or none, as shown in /proc/net/tcp.
    const KEEP_ALIVE: u64 = 2;
    const NONE: u64 = 0;
    // `USER_HZ`, which is 100 on all common platforms.
    const TICKS: u64 = 100;
    let hexadecimal = |address: SocketAddr| {
        let SocketAddr::V4(address) = address else { panic!("{address} is not IPv4") };
        format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
    };
    let (local, remote) = (hexadecimal(local), hexadecimal(remote));
    let mut found = None;
    // Another timer may be active until the peer has acknowledged all data.
    eventually("a socket without unacknowledged data", || {
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let mut rows = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let Some(row) = rows.find(|row| row[1] == local && row[2] == remote) else { return false };
        let (timer, ticks) = row[5].split_once(':').unwrap();
        let [timer, ticks] = [timer, ticks].map(|number| u64::from_str_radix(number, 16).unwrap());
        found = (timer == KEEP_ALIVE).then(|| ticks.div_ceil(TICKS));
        [KEEP_ALIVE, NONE].contains(&timer)
    });
    found
}

#[cfg(target_os = "linux")]
/// Expects the keep-alive timers of both connections of a run with `-p`.
#[track_caller]
fn expect_timers(options: &str, is_expected: impl Fn(Option<u64>) -> bool) {
    let target = script()
        .then("send the address of the client", |session| {
            let client = session.stream().peer_addr().unwrap();
            session.send(format!("{client}\n").as_bytes())
        })
        .echo()
        .serve();
    let run = listening(format!("{options} -p 127.0.0.1:0 {}", target.args()));
    let client = run.client();
    let mut ours = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(&client), &mut ours).unwrap();
    let dialled = keep_alive_timer(ours.trim().parse().unwrap(), target.to_string().parse().unwrap());
    let accepted = keep_alive_timer(run.address(), client.local_addr().unwrap());
    for timer in [dialled, accepted] {
        assert!(is_expected(timer), "{options}: {dialled:?} {accepted:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn keep_alive_probes_a_silent_peer_after_the_given_time() {
    expect_timers("", |timer| timer.is_some_and(|seconds| seconds <= 60));
    expect_timers("--tcp-keepalive 5000", |timer| {
        timer.is_some_and(|seconds| (4000..=5000).contains(&seconds))
    });
    expect_timers("--tcp-keepalive 0", |timer| timer.is_none());
}

#[test]
fn a_family_selects_the_addresses_of_names() {
    let v6 = || Server::each_v6([socks5_none().send("welcome").drain()]);
    let v4 = || socks5_none().send("welcome").drain().serve();
    for (option, server) in [("--ipv6", v6()), ("--ipv4", v4()), ("--ipv4 --ipv6", v6())] {
        let out = connect(format!("{option} -S localhost:{} host 22", server.port())).run();
        out.expect_success().expect_stdout("welcome");
        server.finish();
    }
    let refusing = RefusingPort::new();
    for target in ["localhost", "a.localhost"] {
        let out = connect(format!("--ipv4 {target} {}", refusing.port())).run();
        let message = format!("cannot connect to {target}:{0} (127.0.0.1:{0}): ", refusing.port());
        out.expect_failure(4, &[&message, "refused"]);
    }
    let server = v6();
    let run =
        connect(format!("-S localhost:{} host 22", server.port())).env("CONNECT_ADDRESS_FAMILY", "ipv6");
    run.run().expect_success().expect_stdout("welcome");
    server.finish();
}

#[test]
fn an_address_of_the_other_family_is_an_error_unless_a_proxy_connects_to_it() {
    for (args, parts) in [
        ("--ipv4 ::1 22", &["cannot connect to [::1]:22: it has no IPv4 address, which --ipv4 requires"][..]),
        ("--ipv6 127.0.0.1 22", &["it has no IPv6 address, which --ipv6 requires", "leave out --ipv6"]),
        ("--ipv4 -S [::1]:1 host 22", &["cannot connect to SOCKS5 proxy [::1]:1: it has no IPv4 address"]),
        ("--ipv4 fe80::1%lo 22", &["cannot connect to [fe80::1%lo]:22: it has no IPv4 address"]),
    ] {
        connect(args).run().expect_failure(4, parts);
    }
    let run = connect("::1 22").env("CONNECT_ADDRESS_FAMILY", "inet").run();
    run.expect_failure(4, &["it has no IPv4 address, which CONNECT_ADDRESS_FAMILY requires"]);
    let proxy = socks5_none().drain().serve();
    connect(format!("--ipv4 -S {proxy} 2001:db8::7 22")).run().expect_success();
    assert_eq!(proxy.finish_one().target.as_deref(), Some("[2001:db8::7]:22"));
    // The other route has an address of the family.
    let target = script().send("welcome").serve();
    let out = connect(format!("--ipv4 -x http://[::1]:1|direct {}", target.args())).run();
    out.expect_success().expect_stdout("welcome");
    target.finish();
}

#[cfg(feature = "dns")]
#[test]
fn a_family_selects_the_queries_to_a_name_server() {
    let v4 = IpAddr::from([127, 0, 0, 1]);
    let found = [IpAddr::from([192, 0, 2, 7]), "2001:db8::7".parse().unwrap()];
    for (option, kind, sent) in [("--ipv4", "A", "192.0.2.7:22"), ("--ipv6", "AAAA", "[2001:db8::7]:22")] {
        let name_server_ip = if option == "--ipv4" { v4 } else { "::1".parse().unwrap() };
        let dns = NameServer::start(name_server_ip, move |_| Answer::Addresses(found.to_vec()));
        let proxy = if option == "--ipv4" {
            socks5_none().drain().serve()
        } else {
            Server::each_v6([socks5_none().drain()])
        };
        connect(format!("{option} -R {dns} -S {proxy} host.example. 22")).run().expect_success();
        assert_eq!(dns.asked(), [(Transport::Udp, format!("host.example. {kind}"))]);
        assert_eq!(proxy.finish_one().target.as_deref(), Some(sent));
    }
    let dns = NameServer::start(v4, |_| Answer::Addresses(vec!["2001:db8::7".parse().unwrap()]));
    let out = connect(format!("--ipv4 -R {dns} host.example. 22")).run();
    out.expect_failure(
        3,
        &["reports no address for this name (only IPv4 was looked up, as --ipv4 requires)"],
    );
    // SOCKS4 requires an IPv4 address in any case.
    let dns = NameServer::start("::1".parse().unwrap(), move |_| Answer::Addresses(found.to_vec()));
    let proxy = Server::each_v6([socks4_granted()]);
    connect(format!("--ipv6 -4 -R {dns} -S {proxy} host.example. 22")).run().expect_success();
    assert_eq!(proxy.finish_one().target.as_deref(), Some("192.0.2.7:22"));
}

#[test]
fn the_report_shows_the_settings_of_sockets() {
    let target = script().send("hi").drain().serve();
    let out = connect(format!("--check --bind 127.0.0.1 --ipv4 --tcp-keepalive 0 {}", target.args())).run();
    let text = out.expect_code(0).stdout_text();
    assert!(text.contains("\n  connections: from 127.0.0.1; IPv4 only; without keep-alive\n"), "{text}");
    let settings = [("--bind", "127.0.0.1"), ("--ipv4", "IPv4 only"), ("--tcp-keepalive", "0")];
    for (name, value) in settings {
        let is_row = |line: &&str| {
            line.split_whitespace().eq([name, "command", "line"].into_iter().chain(value.split(' ')))
        };
        assert!(text.lines().any(|line| is_row(&line)), "{name}: {text}");
    }
    target.finish();
}

/// Every address in 127.0.0.0/8 is an address of this machine on Linux.
#[cfg(target_os = "linux")]
const SOURCE: &str = "127.0.0.42";

/// Returns a target that sends the address from which it was reached.
#[cfg(target_os = "linux")]
fn observer() -> Script {
    script().then("send the address of the client", |session| {
        let client = session.stream().peer_addr().unwrap();
        session.send(client.ip().to_string().as_bytes())
    })
}

#[cfg(target_os = "linux")]
#[test]
fn connections_come_from_the_given_address() {
    let target = Server::repeat(observer);
    for option in ["--bind 127.0.0.42", "--bind 127.0.0.42 -A", "--bind 127.0.0.42 -w 20"] {
        connect(format!("{option} {}", target.args())).run().expect_success().expect_stdout(SOURCE);
    }
    let from_variable = || connect(target.args()).env("CONNECT_BIND", SOURCE);
    from_variable().run().expect_success().expect_stdout(SOURCE);
    connect(format!("--bind 127.0.0.43 {}", target.args()))
        .env("CONNECT_BIND", SOURCE)
        .run()
        .expect_stdout("127.0.0.43");
    let home = crate::rcfile::home(format!("CONNECT_BIND = {SOURCE}\n"));
    connect(target.args()).env("HOME", &*home).run().expect_success().expect_stdout(SOURCE);
    let v6 = Server::each_v6([observer()]);
    connect(format!("--bind [::1] {}", v6.args())).run().expect_success().expect_stdout("::1");
    // The option also applies to clients of a local port.
    let run = listening(format!("--bind {SOURCE} -p 127.0.0.1:0 {}", target.args()));
    assert_eq!(crate::listening::read_to_end(run.client()), SOURCE);
    run.end().expect_success();
    let proxy = socks5_none().then("send the address of the client", |session| {
        let client = session.stream().peer_addr().unwrap();
        session.send(client.ip().to_string().as_bytes())
    });
    let proxy = proxy.drain().serve();
    connect(format!("--bind {SOURCE} -S {proxy} host 22")).run().expect_success().expect_stdout(SOURCE);
    proxy.finish();
}

#[cfg(all(target_os = "linux", feature = "dns"))]
#[test]
fn queries_to_a_name_server_came_from_another_address_than_connections() {
    let v4 = IpAddr::from([127, 0, 0, 1]);
    let answer = move |question: &Question| match question.transport {
        Transport::Udp => Answer::Truncated,
        Transport::Tcp => Answer::Addresses(vec![v4]),
    };
    for option in [SOURCE, "lo"] {
        let dns = NameServer::start(v4, answer);
        let target = observer().serve();
        let out = connect(format!("--bind {option} -R {dns} host.example. {}", target.port())).run();
        let from = if option == "lo" { "127.0.0.1" } else { SOURCE };
        out.expect_success().expect_stdout(from);
        let clients = dns.clients();
        assert!(clients.iter().any(|(transport, _)| *transport == Transport::Tcp), "{clients:?}");
        assert!(clients.iter().all(|(_, ip)| ip.to_string() == from), "{option}: {clients:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn connections_go_through_the_given_interface() {
    let target = observer().serve();
    connect(format!("--bind lo {}", target.args())).run().expect_success().expect_stdout("127.0.0.1");
    let target = Server::each_v6([observer()]);
    connect(format!("--bind lo {}", target.args())).run().expect_success().expect_stdout("::1");
}

#[test]
fn an_address_or_interface_that_this_machine_lacks_is_an_error() {
    for (args, parts) in [
        (
            "--bind 192.0.2.1 host 22",
            &[
                "cannot connect from 192.0.2.1, as --bind requires: this machine does not have this address; use ",
                "127.0.0.1",
            ][..],
        ),
        (
            "--bind 2001:db8::1 -H proxy.invalid host 22",
            &["cannot connect from 2001:db8::1, as --bind requires: "],
        ),
        (
            "--bind nosuch0 host 22",
            &["cannot connect from nosuch0, as --bind requires: this machine has no such interface"],
        ),
        ("--bind an-interface-with-a-long-name -x http://h|direct host 22", &["no such interface"]),
    ] {
        connect(args).run().expect_failure(1, parts);
    }
    for option in
        ["--bind me:secret@proxy", "-dd --bind secret:secret", "--check --bind=http://me:secret@proxy:80"]
    {
        let out = connect(format!("{option} host 22")).run();
        let text = out.expect_code(1).stdout_text() + &out.stderr_text();
        assert!(text.contains(":****") && !text.contains(":secret"), "{text}");
    }
    let run = connect("host 22").env("CONNECT_BIND", "nosuch0").run();
    run.expect_failure(1, &["cannot connect from nosuch0, as CONNECT_BIND requires: "]);
}

#[test]
fn an_address_restricts_connections_to_its_family() {
    connect("--bind 127.0.0.1 ::1 22")
        .run()
        .expect_failure(4, &["cannot connect to [::1]:22: it has no IPv4 address, which --bind requires"]);
    let out = connect(format!("--bind ::1 localhost {}", RefusingPort::new().port())).run();
    out.expect_failure(4, &["([::1]:"]);
    // A proxy connects to either family.
    let proxy = socks5_none().drain().serve();
    connect(format!("--bind 127.0.0.1 -S {proxy} 2001:db8::7 22")).run().expect_success();
    assert_eq!(proxy.finish_one().target.as_deref(), Some("[2001:db8::7]:22"));
}

#[cfg(unix)]
#[test]
fn a_local_socket_needs_no_source_address() {
    let path = TempPath::new("s");
    let listener = std::os::unix::net::UnixListener::bind(&*path).unwrap();
    let run = connect("--bind 192.0.2.1").arg(format!("unix:{}", path.display())).start();
    drop(listener.accept().unwrap());
    run.finish().expect_success();
}

/// Only this machine knows its interfaces. The zone used to be sent, or dropped with `-R local`.
#[test]
fn a_zone_was_sent_to_a_proxy() {
    let proxy = Server::each([]);
    for options in ["-S", "-R local -S", "-R both -S", "-4 -S", "-H", "-T"] {
        let out = connect(format!("{options} {proxy} fe80::1%lo 22")).run();
        out.expect_failure(2, &["cannot carry this request: the zone of the address", "leave out the proxy"]);
    }
    let out = connect(format!("-x socks5h://{proxy},http://[fe80::1%25lo]:80 host 22")).run();
    out.expect_failure(2, &[&format!("SOCKS5 proxy {proxy} (hop 1 of 2) cannot carry this request")]);
    proxy.finish();
}

/// The loopback interface has no link-local addresses, so the connections fail. The log shows that
/// they were attempted with the zone, as a number.
#[cfg(target_os = "linux")]
#[test]
fn an_address_with_a_zone_is_reached_directly() {
    let index = std::fs::read_to_string("/sys/class/net/lo/ifindex").unwrap();
    let index = index.trim();
    let own = "SOCKS5_DIRECT";
    for (args, direct) in [
        ("fe80::1%lo 22", ""),
        ("[fe80::1%lo]:22", ""),
        ("-S proxy.invalid fe80::1%lo 22", "fe80::/10"),
        ("-R local -S proxy.invalid fe80::1%lo 22", "fe80::/10"),
        ("-x socks5h://proxy.invalid|direct fe80::1%lo 22", ""),
    ] {
        let out = connect(format!("-d -w 1 {args}")).env(own, direct).run();
        out.expect_stderr_has(&format!("connecting to [fe80::1%{index}]:22\n"));
    }
    for args in ["-S [fe80::1%lo]:22 host 22", "-x http://[fe80::1%25lo]:22 host 22"] {
        let out = connect(format!("-d -w 1 {args}")).run();
        out.expect_stderr_has(&format!("connecting to [fe80::1%{index}]:22\n"));
    }
    let out = connect("-w 1 fe80::1 22").run();
    out.expect_failure(
        4,
        &["cannot connect to [fe80::1]:22: ", "append the network interface, as in fe80::1%eth0"],
    );
    let out = connect("fe80::1%nosuch0 22").run();
    out.expect_failure(3, &["cannot resolve [fe80::1%nosuch0]:22: ", "check the zone"]);
}
