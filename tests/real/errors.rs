//! Failures as the user sees them: the exit code, and one line that names the peer and the cause.

use crate::context::{Case, Context, Topic, expect_secret_kept, program, run_with_open_input};
use crate::kit::Program;
use crate::peers::{Endpoint, is_root};
use crate::servers::{
    DANTED, DANTED_USER, MICROSOCKS, MICROSOCKS_USER, SQUID, SQUID_USER, SSH_D, Server, TINYPROXY,
    TINYPROXY_USER, USER, WRONG_PASSWORD,
};

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("errors");
    let with_users = [MICROSOCKS_USER, DANTED_USER, TINYPROXY_USER, SQUID_USER];
    for endpoint in with_users {
        topic.both(format!("a wrong password for {} is an error", name_of(endpoint)), move |context| {
            let out = logging_in(context, endpoint, USER, WRONG_PASSWORD).run();
            let proxy = context.address(endpoint);
            context.expect_failure(&out, 6, &[&proxy, "password|authenticat|credential|407"]);
            expect_secret_kept(&out, WRONG_PASSWORD);
        });
    }
    topic.both("ssh shows the line about a wrong password", |context| {
        let ssh = context.ssh(&format!("-S {}", context.address(MICROSOCKS_USER)), "true");
        let out = ssh.env("SOCKS5_USER", USER).env("SOCKS5_PASSWORD", WRONG_PASSWORD).run();
        out.expect_code(255);
        expect_secret_kept(&out, WRONG_PASSWORD);
        if context.is_ours() {
            let text = out.stderr_text();
            assert!(text.lines().any(|line| line.starts_with("connect: ")), "{out:?}\n  expected: our line");
        }
    });
    for endpoint in [TINYPROXY_USER, SQUID_USER, MICROSOCKS_USER] {
        topic.both(format!("a wrong user for {} is an error", name_of(endpoint)), move |context| {
            let password = endpoint.password().unwrap();
            let out = logging_in(context, endpoint, "mallory", password).run();
            context.expect_failure(&out, 6, &[&context.address(endpoint)]);
            expect_secret_kept(&out, password);
        });
    }
    for (name, option) in [("SOCKS5", "-S"), ("SOCKS4", "-4 -S"), ("HTTP", "-H")] {
        topic.both(format!("a {name} proxy that does not listen is an error"), move |context| {
            let proxy = format!("127.0.0.1:{}", context.peers.closed_port());
            let out = context.connect(format!("{option} {proxy} 127.0.0.1 {}", context.port())).run();
            context.expect_failure(&out, 4, &[&proxy, "refused"]);
        });
    }
    topic.both("a target that does not listen is an error without a proxy", |context| {
        let closed = context.peers.closed_port();
        let out = context.connect(format!("-n 127.0.0.1 {closed}")).run();
        context.expect_failure(&out, 4, &[&format!("127.0.0.1:{closed}"), "refused"]);
    });
    let refusals: [(&str, &str, Endpoint, &str); 5] = [
        ("socks5-microsocks", "-S", MICROSOCKS, "refused"),
        ("socks5-danted", "-S", DANTED, "refused"),
        ("socks4-danted", "-4 -S", DANTED, "reject|refus|failed"),
        ("http-tinyproxy", "-H", TINYPROXY, " 500| 502| 503| 504"),
        ("http-squid", "-H", SQUID, "503"),
    ];
    for (name, option, endpoint, cause) in refusals {
        topic.both(format!("a target that does not listen is an error through {name}"), move |context| {
            let (proxy, closed) = (context.address(endpoint), context.peers.closed_port());
            let out = context.connect(format!("{option} {proxy} 127.0.0.1 {closed}")).run();
            context.expect_failure(&out, 5, &[&proxy, cause]);
        });
    }
    topic.both(
        "a target that does not listen is an error through ssh-D, which closes without an answer",
        |context| {
            let (proxy, closed) = (context.address(SSH_D), context.peers.closed_port());
            let connect = context.connect(format!("-S {proxy} 127.0.0.1 {closed}"));
            let out = run_with_open_input(connect);
            context.expect_failure(&out, 5, &[&proxy, "closed"]);
            context.expect_log(Server::SshD, &["open failed: connect failed"]);
        },
    );
    topic.both("an unknown name is an error without a proxy", |context| {
        // Without a network, the query cannot leave the machine. RFC 6761 reserves .invalid for
        // names that do not exist.
        let unshare: &[&str] = if is_root() { &["--net"] } else { &["--map-root-user", "--net"] };
        let connect = program("unshare", unshare).arg(&context.peers.connect).arg("-n");
        let out = connect.arg("no-such-host.invalid").arg(context.port().to_string()).run();
        context.expect_failure(&out, 3, &["no-such-host.invalid"]);
    });
    // microsocks closes the connection when it receives a request in another protocol.
    topic.both("a SOCKS proxy used as an HTTP proxy is an error", |context| {
        let proxy = context.address(MICROSOCKS);
        let out = context.connect(format!("-H {proxy} 127.0.0.1 {}", context.port())).run();
        context.expect_failure(&out, 5, &[&proxy]);
    });
    // tinyproxy waits for the end of a line, which never comes.
    topic.both("an HTTP proxy used as a SOCKS proxy is a timeout", |context| {
        let proxy = context.address(TINYPROXY);
        let out = context.connect(format!("-w 2 -S {proxy} 127.0.0.1 {}", context.port())).run();
        context.expect_failure(&out, 7, &[&proxy, "timed out"]);
    });
    topic.into_cases()
}

fn is_http(endpoint: Endpoint) -> bool {
    matches!(endpoint.server, Server::TinyproxyUser | Server::Squid)
}

fn name_of(endpoint: Endpoint) -> &'static str {
    match endpoint.server {
        Server::Squid => "squid-user",
        server => server.name(),
    }
}

/// Prepares a run of the program with these credentials in the environment.
fn logging_in(context: &Context, endpoint: Endpoint, user: &str, password: &str) -> Program {
    let (option, prefix) = if is_http(endpoint) { ("-H", "HTTP_PROXY") } else { ("-S", "SOCKS5") };
    let proxy = context.address(endpoint);
    let connect = context.connect(format!("{option} {proxy} 127.0.0.1 {}", context.port()));
    connect.env(format!("{prefix}_USER"), user).env(format!("{prefix}_PASSWORD"), password)
}
