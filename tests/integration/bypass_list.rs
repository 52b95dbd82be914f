//! Bypass lists: targets to reach without the proxy.

use crate::kit::*;
use crate::wire::*;

/// A proxy option, and a function that returns the proxy's script.
type ProxyOption = (&'static str, fn() -> Script);

const OPTIONS: [ProxyOption; 4] = [
    ("-S", socks5_none),
    ("-4S", socks4_granted),
    ("-H", http_ok),
    ("-T", || script().expect_until("\r\n").send("connected to it\r\n")),
];

/// Connects to `host` with these variables, and expects a connection to the target if `bypasses` is
/// `true`, or to the proxy if it is `false`. Fails if the wrong server is contacted.
#[track_caller]
fn expect(bypasses: bool, option: &str, make: fn() -> Script, host: &str, variables: &[(&str, &str)]) {
    let target = || if host.contains(':') { Server::each_v6([answer()]) } else { answer().serve() };
    let (proxy, target) = if bypasses {
        (Server::each([]), target())
    } else {
        (make().followed_by(answer()).serve(), Server::each([]))
    };
    let mut run = connect(format!("{option} {proxy} {host} {}", target.port()));
    for (name, value) in variables {
        run = run.env(name, value);
    }
    let out = run.run();
    let case = format!("{option} to {host} with {variables:?}, bypasses: {bypasses}");
    let as_expected = out.code == Some(0) && out.stdout == b"welcome" && out.stderr.is_empty();
    assert!(as_expected, "{case}: {out:?}");
    proxy.finish();
    target.finish();
}

fn answer() -> Script {
    script().send("welcome").expect_eof()
}

/// Like [`expect`], with a SOCKS5 proxy and `list` as its bypass list.
#[track_caller]
fn expect_socks5(bypasses: bool, options: &str, host: &str, list: &str) {
    expect(bypasses, &format!("{options} -S"), socks5_none, host, &[("SOCKS5_DIRECT", list)]);
}

#[test]
fn a_network_has_many_forms() {
    for (list, bypasses) in [
        ("127.0.0.1", true),
        ("127.0.0.0/8", true),
        ("127.0.0.1/32", true),
        ("127.9.9.9/8", true),
        ("126.0.0.0/7", true),
        ("0.0.0.0/0", true),
        ("127.0.0.0/255.0.0.0", true),
        ("127.0.0.0/255.255.255.254", true),
        ("0.0.0.0/0.0.0.0", true),
        ("127.", true),
        ("127.0.", true),
        ("127.0.0.", true),
        ("127.0.0.2", false),
        ("127.0.0.2/31", false),
        ("128.0.0.0/8", false),
        ("127.0.1.0/255.255.255.0", false),
        ("12.", false),
        ("27.", false),
        ("127.0.1.", false),
        ("::1", false),
        ("::/0", false),
        ("127.0.0.1.example", false),
        ("", false),
        (",", false),
    ] {
        expect_socks5(bypasses, "", "127.0.0.1", list);
    }
}

#[test]
fn ipv6_networks_work_too() {
    for (list, bypasses) in [
        ("::1", true),
        ("[::1]", true),
        ("::/0", true),
        ("::/64", true),
        ("[::]/127", true),
        ("::2/127", false),
        ("2001:db8::/32", false),
        ("0.0.0.0/0", false),
        ("127.", false),
    ] {
        expect_socks5(bypasses, "", "[::1]", list);
    }
}

#[test]
fn a_name_matches_its_subdomains_too() {
    for (list, bypasses) in [
        ("localhost", true),
        ("LocalHost", true),
        (".localhost", true),
        ("*.localhost", true),
        ("localhost.", true),
        (".localhost.", true),
        ("host", false),
        (".host", false),
        ("*.host", false),
        ("ocalhost", false),
        ("xlocalhost", false),
        ("localhost.example", false),
        ("www.localhost", false),
        ("127.", false),
    ] {
        expect_socks5(bypasses, "", "localhost", list);
    }
    expect_socks5(true, "", "LOCALHOST", "localhost");
    // This machine cannot resolve the name, so the resolver error proves that the proxy was
    // bypassed.
    let proxy = Server::each([]);
    for list in ["example", ".EXAMPLE", "*.example", "example."] {
        for host in [UNKNOWN, &format!("{UNKNOWN}.")] {
            let run = connect(format!("-S {proxy} {host} 22")).env("SOCKS5_DIRECT", list);
            run.run().expect_failure(3, &[&format!("cannot resolve {host}:22")]);
        }
    }
    proxy.finish();
}

#[test]
fn the_first_matching_entry_decides() {
    for (list, bypasses) in [
        ("!127.0.0.1,127.", false),
        ("127.,!127.0.0.1", true),
        ("!127.0.0.2,127.", true),
        ("! 127.0.0.1 , 127.", false),
        ("10.,!10.1.,127.", true),
        ("!localhost,127.", true),
        ("!::/0,127.", true),
        ("  , 10. ,\t127.0.0.0/8\t,", true),
    ] {
        expect_socks5(bypasses, "", "127.0.0.1", list);
    }
    expect_socks5(false, "", "localhost", "!localhost,.localhost");
    // Almost as long as Windows allows for an environment variable.
    let long: Vec<_> = (0..1900).map(|number| format!("host{number}.example")).collect();
    expect_socks5(true, "", "127.0.0.1", &format!("{},127.", long.join(",")));
}

#[test]
fn each_kind_of_proxy_has_its_own_list() {
    let all = ["SOCKS5_DIRECT", "SOCKS4_DIRECT", "SOCKS_DIRECT", "HTTP_DIRECT", "CONNECT_DIRECT"];
    let own: [&[&str]; 4] = [
        &["SOCKS5_DIRECT", "SOCKS_DIRECT", "CONNECT_DIRECT"],
        &["SOCKS4_DIRECT", "SOCKS_DIRECT", "CONNECT_DIRECT"],
        &["HTTP_DIRECT", "CONNECT_DIRECT"],
        &["CONNECT_DIRECT"],
    ];
    for ((option, make), own) in OPTIONS.into_iter().zip(own) {
        for name in all {
            expect(own.contains(&name), option, make, "127.0.0.1", &[(name, "127.")]);
        }
        // Only the first list that is set is used, even if it is empty.
        for pair in own.windows(2) {
            expect(false, option, make, "127.0.0.1", &[(pair[0], "10."), (pair[1], "127.")]);
            expect(false, option, make, "127.0.0.1", &[(pair[0], ""), (pair[1], "127.")]);
            expect(true, option, make, "127.0.0.1", &[(pair[0], "127."), (pair[1], "!127.")]);
        }
    }
}

#[test]
fn a_name_that_is_resolved_locally_is_also_matched_by_its_address() {
    // `localhost` may resolve to an IPv4 or an IPv6 address.
    let list = "127.,::1";
    for (options, bypasses) in
        [("", false), ("-R remote", false), ("-R local", true), ("-R both", true), ("-R LOCAL", true)]
    {
        expect_socks5(bypasses, options, "localhost", list);
    }
    let socks4 = |bypasses, options: &str, list: &str| {
        let option = format!("{options} -4S");
        expect(bypasses, &option, socks4_granted, "localhost", &[("SOCKS4_DIRECT", list)]);
    };
    socks4(true, "", "127.");
    socks4(false, "-R remote", "127.");
    socks4(false, "", "!localhost,127.");
    socks4(true, "", "localhost,!127.");
    // HTTP and telnet-style proxies are always sent the name, so there is no address to match.
    for (option, make) in &OPTIONS[2..] {
        expect(false, &format!("-R local {option}"), *make, "localhost", &[("CONNECT_DIRECT", list)]);
    }
}

#[test]
fn an_invalid_entry_is_reported_and_the_others_apply() {
    for entry in [
        "10.0.0.0/33",
        "999.1.1.1",
        "127.0.0.0/255.0.255.0",
        "::/129",
        "a b",
        "*",
        "!",
        "1.2.3.4.5",
        "http://host",
        "host:80",
        "10.0.0.0/",
        "10..0.",
        "..example",
        "a\x1b[2Jb",
    ] {
        let (proxy, target) = (Server::each([]), answer().serve());
        let list = format!("10., {entry} ,127.");
        let run = connect(format!("-S {proxy} {}", target.args())).env("SOCKS5_DIRECT", list);
        let out = run.run();
        out.expect_code(0).expect_stdout("welcome");
        let shown = entry.replace('\x1b', "\\x1b");
        out.expect_failure(0, &[&format!("SOCKS5_DIRECT: invalid entry '{shown}' ignored; use a network")]);
        proxy.finish();
        target.finish();
    }
}

#[test]
fn no_proxy_is_checked_after_the_lists() {
    for (variables, bypasses) in [
        (&[("no_proxy", "127.0.0.1")][..], true),
        (&[("NO_PROXY", "127.0.0.1")], true),
        (&[("no_proxy", "*")], true),
        (&[("no_proxy", "localhost 127.0.0.0/8")], true),
        (&[("no_proxy", "example.com,127.0.0.1")], true),
        (&[("no_proxy", "10.0.0.0/8")], false),
        (&[("no_proxy", "nonsense/x,http://y")], false),
        (&[("no_proxy", "")], false),
        // On Windows, these are the same variable.
        (&[("no_proxy", "10.0.0.0/8"), ("NO_PROXY", "*")], cfg!(windows)),
        (&[("CONNECT_DIRECT", "!127."), ("no_proxy", "*")], false),
        (&[("CONNECT_DIRECT", "10."), ("no_proxy", "*")], true),
        (&[("CONNECT_DIRECT", "127."), ("no_proxy", "")], true),
    ] {
        for (option, make) in OPTIONS {
            expect(bypasses, option, make, "127.0.0.1", variables);
        }
    }
    for (list, bypasses) in [("localhost", true), (".localhost", true), ("localhost.", true), ("host", false)]
    {
        expect(bypasses, "-S", socks5_none, "localhost", &[("no_proxy", list)]);
    }
    // The `*_DIRECT` lists match the locally resolved address; no_proxy does not.
    expect(false, "-R local -S", socks5_none, "localhost", &[("no_proxy", "127.0.0.0/8,::1")]);
    expect(true, "-R local -S", socks5_none, "localhost", &[("CONNECT_DIRECT", "127.0.0.0/8,::1")]);
}

#[test]
fn an_entry_of_no_proxy_may_have_a_port() {
    for (list, bypasses) in [
        ("127.0.0.1:{}", true),
        ("10.0.0.1,127.0.0.0/8:{}", true),
        ("*:{}", true),
        ("127.0.0.1:1", false),
        ("127.0.0.1:", false),
    ] {
        let (proxy, target) = if bypasses {
            (Server::each([]), answer().serve())
        } else {
            (socks5_none().followed_by(answer()).serve(), Server::each([]))
        };
        let list = list.replace("{}", &target.port().to_string());
        let run = connect(format!("-S {proxy} 127.0.0.1 {}", target.port())).env("no_proxy", &list);
        let out = run.run();
        assert_eq!((out.code, &*out.stdout), (Some(0), &b"welcome"[..]), "{list}: {out:?}");
        proxy.finish();
        target.finish();
    }
}

#[test]
fn own_networks_are_bypassed_only_with_the_option() {
    for (option, make) in OPTIONS {
        expect(true, &format!("-D {option}"), make, "127.0.0.1", &[]);
        expect(false, option, make, "127.0.0.1", &[]);
        expect(false, &format!("-D {option}"), make, "localhost", &[("SOCKS4_RESOLVE", "remote")]);
        expect(false, &format!("-D {option}"), make, "127.0.0.1", &[("CONNECT_DIRECT", "!127.")]);
        expect(true, &format!("-D {option}"), make, "127.0.0.1", &[("CONNECT_DIRECT", "!10.")]);
    }
    expect(true, "-D -S", socks5_none, "[::1]", &[]);
    expect(true, "-D -R local -S", socks5_none, "localhost", &[]);
    expect(true, "-D -4S", socks4_granted, "localhost", &[]);
    // A link-local address with a zone is on a network of this machine, and no proxy can reach it.
    let unreached = Server::each([]);
    let out = connect(format!("-D -S {unreached} fe80::1%nonexistent0 22")).run();
    out.expect_failure(3, &["cannot resolve [fe80::1%nonexistent0]:22"]);
    unreached.finish();
    // This network is reserved: no machine has an address in it.
    let proxy = socks5_none().expect_eof().serve();
    connect(format!("-D -S {proxy} 240.1.2.3 22")).run().expect_success();
    assert_eq!(proxy.finish_one().target.as_deref(), Some("240.1.2.3:22"));
}

#[test]
fn the_decision_is_in_the_debug_log() {
    for (list, line) in [("127.", "127.0.0.1 is for direct."), ("10.", "127.0.0.1 is for not direct.")] {
        let silent = RefusingPort::new();
        let run = connect(format!("-d -S 127.0.0.1:{0} 127.0.0.1 {0}", silent.port()));
        run.env("SOCKS5_DIRECT", list).run().expect_code(4).expect_stderr_has(&format!("DEBUG: {line}\n"));
    }
}

#[test]
fn a_bypassed_proxy_needs_no_password() {
    let (proxy, target) = (Server::each([]), answer().serve());
    let run = connect(format!("-a userpass -S bob@{proxy} {}", target.args())).env("SOCKS5_DIRECT", "127.");
    let run = run.env("SSH_ASKPASS", "/nonexistent").env("SSH_ASKPASS_REQUIRE", "force");
    run.run().expect_success().expect_stdout("welcome");
    proxy.finish();
    target.finish();
}

#[test]
fn an_error_of_a_direct_connection_does_not_name_the_proxy() {
    let (proxy, refusing) = (Server::each([]), RefusingPort::new());
    let run = connect(format!("-S {proxy} 127.0.0.1 {}", refusing.port())).env("SOCKS5_DIRECT", "127.");
    let out = run.run();
    out.expect_failure(4, &[&format!("cannot connect to 127.0.0.1:{}", refusing.port())]);
    out.expect_stderr_lacks("SOCKS");

    let target = script().send("welcome").expect("ping").reset().serve();
    let run = connect(format!("-S {proxy} {}", target.args())).env("SOCKS5_DIRECT", "127.");
    let out = run.input("ping").run();
    out.expect_failure(8, &[&format!("lost the connection to {target}")]).expect_stderr_lacks("SOCKS");
    proxy.finish();
    target.finish();
}
