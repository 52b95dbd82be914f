//! Host names, IPv4 and IPv6 addresses, and proxies given with a user name and password. Most cases
//! run the program without ssh.

use crate::chains::percent_encoded;
use crate::context::{Case, Context, Topic, program};
use crate::peers::Endpoint;
use crate::routes::{
    HTTP_SQUID_USER, HTTP_TINYPROXY_USER, Route, SOCKS5_DANTED_USER, SOCKS5_MICROSOCKS_USER,
};
use crate::servers::{
    DANTED, DANTED_USER, MICROSOCKS, MICROSOCKS_USER, PASSWORD, PLAIN_PASSWORD, SQUID, SQUID_USER, SSH_D,
    Server, TINYPROXY, TINYPROXY_USER, USER,
};

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("names");
    for mode in ["local", "remote"] {
        for version in ["5", "4"] {
            topic.both(format!("-R {mode} works with socks{version}-ssh-D"), move |context| {
                resolves_for_ssh_d(context, mode, version);
            });
        }
        topic.both(format!("-R {mode} works with socks5-danted"), move |context| {
            let (proxy, port) = (context.address(DANTED), context.port());
            context.expect_banner(context.connect(format!("-R {mode} -S {proxy} localhost {port}")));
            context.expect_log(Server::Danted, &["connect [: ", &format!(".{port}\n")]);
        });
    }
    for (name, endpoint) in [("squid", SQUID), ("tinyproxy", TINYPROXY)] {
        // An HTTP proxy always gets the name as typed.
        topic.both(format!("http-{name} receives the name"), move |context| {
            let (proxy, port) = (context.address(endpoint), context.port());
            context.expect_banner(context.connect(format!("-H {proxy} localhost {port}")));
            context.expect_log(endpoint.server, &[&format!("CONNECT localhost:{port} ")]);
        });
    }
    topic.both("a name works without a proxy", |context| {
        context.expect_banner(context.connect(format!("localhost {}", context.port())));
    });
    ipv6_cases(&mut topic);
    topic.ours("the target can be one argument", |context| {
        context.expect_banner(context.connect(format!("127.0.0.1:{}", context.port())));
    });
    let plain = |endpoint| (endpoint, PLAIN_PASSWORD);
    let special = |endpoint| (endpoint, PASSWORD);
    for (name, option, (endpoint, password), route) in [
        ("microsocks", "-S", plain(MICROSOCKS_USER), SOCKS5_MICROSOCKS_USER),
        ("danted", "-S", special(DANTED_USER), SOCKS5_DANTED_USER),
        ("tinyproxy", "-H", plain(TINYPROXY_USER), HTTP_TINYPROXY_USER),
        ("squid", "-H", special(SQUID_USER), HTTP_SQUID_USER),
    ] {
        topic.ours(format!("user and password before the address work with {name}"), move |context| {
            let proxy = format!("{USER}:{password}@{}", context.address(endpoint));
            logs_in(context, option, &proxy, &route);
        });
    }
    // In a URL, reserved characters must be percent-encoded.
    topic.ours("user and password in a URL work with squid", |context| {
        let password = percent_encoded(PASSWORD);
        let proxy = format!("http://{USER}:{password}@{}", context.address(SQUID_USER));
        logs_in(context, "-H", &proxy, &HTTP_SQUID_USER);
    });
    topic.both("a user before the address overrides the variable", |context| {
        let (proxy, port) = (context.address(MICROSOCKS_USER), context.port());
        let connect = context.connect(format!("-S {USER}@{proxy} 127.0.0.1 {port}"));
        // The password still comes from the environment.
        let connect = connect.env("SOCKS5_USER", "mallory").env("SOCKS5_PASSWORD", PLAIN_PASSWORD);
        context.expect_banner(connect);
        context.expect_log(Server::MicrosocksUser, &[&format!("connected to 127.0.0.1:{port}")]);
    });
    topic.into_cases()
}

/// Checks in the log of `ssh -D` that the request contained a name or an address, according to
/// `mode`.
fn resolves_for_ssh_d(context: &Context, mode: &str, version: &str) {
    let (proxy, port) = (context.address(SSH_D), context.port());
    context.expect_banner(context.connect(format!("-{version} -R {mode} -S {proxy} localhost {port}")));
    let request = format!("dynamic request: socks{version} host ");
    if mode == "remote" {
        context.expect_log(Server::SshD, &[&format!("{request}localhost port {port}")]);
        return;
    }
    context.expect_log(Server::SshD, &[&request, &format!(" port {port}")]);
    assert!(
        !context.news(Server::SshD).contains(&format!("{request}localhost port {port}")),
        "a name was sent"
    );
}

#[track_caller]
fn logs_in(context: &Context, option: &str, proxy: &str, route: &Route) {
    let connect = context.connect(option).arg(proxy).arg("127.0.0.1").arg(context.port().to_string());
    context.expect_banner(connect);
    route.expect_sessions(context, 1);
}

fn ipv6_cases(topic: &mut Topic) {
    topic.ipv6("an IPv6 address works without a proxy", |context| both_notations(context, "-n"));
    topic.ipv6("ssh runs a command over IPv6", |context| {
        // ssh expands %h to the address without brackets.
        let connect = format!("{} -S {} %h %p", context.peers.connect.display(), context.address(DANTED));
        let ssh = program("ssh", context.ssh_options(&connect)).arg("-o").arg("HostName=::1");
        ssh.arg("target").arg("echo hi").run().expect_success().expect_stdout("hi\n");
        context.expect_log(Server::Danted, &["connect [: ", &format!(":1.{}", context.port())]);
    });
    let proxies: [(&str, &str, Endpoint, &[&str]); 5] = [
        ("socks5-microsocks", "-S", MICROSOCKS, &["connected to ", ":1:{port}"]),
        ("socks5-danted", "-S", DANTED, &["connect [: ", ":1.{port}"]),
        ("socks5-ssh-D", "-S", SSH_D, &["dynamic request: socks5 host ::1 port {port}"]),
        ("http-tinyproxy", "-H", TINYPROXY, &["CONNECT [::1]:{port} "]),
        ("http-squid", "-H", SQUID, &["CONNECT [::1]:{port} "]),
    ];
    for (name, option, endpoint, parts) in proxies {
        topic.ipv6(format!("an IPv6 address works through {name}"), move |context| {
            both_notations(context, &format!("{option} {}", context.address(endpoint)));
            let port = context.port().to_string();
            let parts: Vec<String> = parts.iter().map(|part| part.replace("{port}", &port)).collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            context.expect_log_lines(endpoint.server, &parts, 2);
        });
    }
    topic.ipv6("an IPv6 address is an error with SOCKS4", |context| {
        let proxy = context.address(DANTED);
        let out = context.connect(format!("-4 -S {proxy} ::1 {}", context.port())).run();
        let code = out.code.unwrap_or_default();
        assert_ne!(code, 0, "{out:?}");
        context.expect_failure(&out, code, &["IPv6", "SOCKS4|SOCKS 4"]);
    });
}

/// Runs the program with the target `::1`, both bare and in brackets.
fn both_notations(context: &Context, options: &str) {
    for host in ["::1", "[::1]"] {
        context.expect_banner(context.connect(format!("{options} {host} {}", context.port())));
    }
}
