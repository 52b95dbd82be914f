//! Requests to HTTP proxies (Digest with squid's own helper, header fields, HTTP/1.0), and PROXY
//! protocol headers that `haproxy` parses.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::context::{Case, Context, Topic, expect_secret_kept, run_with_open_input};
use crate::daemon::{free_port, has_listener};
use crate::kit::Program;
use crate::peers::Endpoint;
use crate::servers::{
    LOCKED_USER, MICROSOCKS, PASSWORD, PLAIN_PASSWORD, SQUID, SQUID_DIGEST, Server, TINYPROXY,
    TINYPROXY_USER, USER, WRONG_PASSWORD,
};

/// Time limit for the program to start listening.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("http");
    topic.ours("Digest follows a refused Basic", |context| {
        // This squid also offers Basic, but rejects all Basic credentials.
        let out = context.expect_banner(with_password(through(context, SQUID_DIGEST, "-d"), PASSWORD));
        expect_secret_kept(&out, PASSWORD);
        out.expect_stderr_has("Basic").expect_stderr_has("Digest (MD5)");
        expect_digest_session(context);
    });
    topic.ours("-a digest sends no Basic", |context| {
        let connect = through(context, SQUID_DIGEST, "-d -a digest");
        let out = context.expect_banner(with_password(connect, PASSWORD));
        out.expect_stderr_lacks("Authorization: Basic");
        expect_digest_session(context);
    });
    topic.ours("a password for Digest is asked for once", asks_once);
    topic.ours("ssh runs a command after Digest", |context| {
        let proxy = context.address(SQUID_DIGEST);
        let ssh = context.ssh(&format!("-a digest -H {proxy}"), "echo hello");
        with_password(ssh, PASSWORD).run().expect_success().expect_stdout("hello\n");
        expect_digest_session(context);
    });
    topic.ours("a password that Digest does not accept is reported", |context| {
        let connect = with_password(through(context, SQUID_DIGEST, ""), WRONG_PASSWORD);
        let out = connect.env("HTTP_PROXY_USER", LOCKED_USER).run();
        context.expect_failure(&out, 6, &[&context.address(SQUID_DIGEST), LOCKED_USER, "407"]);
        expect_secret_kept(&out, WRONG_PASSWORD);
    });
    topic.ours("-a digest keeps the password from a proxy that knows Basic only", |context| {
        let out = with_password(through(context, TINYPROXY_USER, "-a digest"), PLAIN_PASSWORD).run();
        context.expect_failure(&out, 6, &[&context.address(TINYPROXY_USER), "Basic", "-a"]);
    });
    topic.ours("header fields arrive", |context| {
        let proxy = context.address(SQUID_DIGEST);
        let connect = context.connect("-a digest --header").arg("X-Probe: a b").arg("--user-agent");
        let connect = connect.arg("probe/1").arg("-H").arg(proxy).arg("127.0.0.1");
        context.expect_banner(with_password(connect.arg(context.port().to_string()), PASSWORD));
        let target = format!("CONNECT 127.0.0.1:{} ", context.port());
        context.expect_log(Server::SquidDigest, &["TCP_TUNNEL/200 ", &target, " 1.1 probe/1 a%20b\n"]);
    });
    for (name, endpoint) in [("squid", SQUID), ("tinyproxy", TINYPROXY)] {
        topic.ours(format!("HTTP/1.0 works with {name}"), move |context| {
            let out = context.expect_banner(through(context, endpoint, "-d --http1.0"));
            let is_sent = |line: &str| line.contains("CONNECT ") && line.contains("HTTP/1.0");
            assert!(out.stderr_text().lines().any(is_sent), "{out:?}\n  expected: a request of HTTP/1.0");
        });
    }
    for version in ["v1", "v2"] {
        topic.ours(format!("HAProxy accepts a PROXY protocol header {version}"), move |context| {
            let port = context.haproxy_port();
            context.expect_banner(context.connect(format!("--proxy-protocol {version} 127.0.0.1 {port}")));
            context.expect_log(Server::Haproxy, &["127.0.0.1:", &format!(" to 127.0.0.1:{port}\n")]);
        });
        topic.ours(
            format!("HAProxy learns the client of --listen from a header {version}"),
            move |context| {
                names_the_client(context, version);
            },
        );
        topic.ours(format!("a PROXY protocol header {version} works through a proxy"), move |context| {
            let (proxy, port) = (context.address(MICROSOCKS), context.haproxy_port());
            let args = format!("--proxy-protocol {version} -S {proxy} 127.0.0.1 {port}");
            context.expect_banner(context.connect(args));
        });
    }
    // Without this case, the cases above would not prove that we send a header: HAProxy must reject
    // sessions without one.
    topic.ours("HAProxy accepts no session without a PROXY protocol header", |context| {
        let port = context.haproxy_port();
        let connect = context.connect(format!("-w 5 --idle-timeout 5 127.0.0.1 {port}"));
        let out = run_with_open_input(connect);
        assert!(!out.stdout_text().contains("SSH-2.0-"), "{out:?}\n  expected: no session");
    });
    topic.into_cases()
}

fn through(context: &Context, endpoint: Endpoint, options: &str) -> Program {
    let proxy = context.address(endpoint);
    context.connect(format!("{options} -H {proxy} 127.0.0.1 {}", context.port()))
}

fn with_password(program: Program, password: &str) -> Program {
    program.env("HTTP_PROXY_USER", USER).env("HTTP_PROXY_PASSWORD", password)
}

#[track_caller]
fn expect_digest_session(context: &Context) {
    let session = format!("TCP_TUNNEL/200 CONNECT 127.0.0.1:{} {USER} ", context.port());
    context.expect_log(Server::SquidDigest, &[&session]);
}

fn asks_once(context: &Context) {
    let asked = context.folder.join("asked");
    let script = format!("#!/bin/sh\necho \"$1\" >>'{}'\necho '{PASSWORD}'\n", asked.display());
    let draft = context.file("draft", script);
    let askpass = context.folder.join("askpass");
    // Let cp write the file. If this process wrote it, a child forked at the same time could
    // inherit the descriptor, and a file that is open for writing cannot be executed (ETXTBSY).
    crate::peers::run(std::process::Command::new("cp").arg(&draft).arg(&askpass)).unwrap();
    fs::set_permissions(&askpass, fs::Permissions::from_mode(0o700)).unwrap();
    let proxy = context.address(SQUID_DIGEST);
    let connect = context.connect(format!("-H {USER}@{proxy} 127.0.0.1 {}", context.port()));
    context.expect_banner(connect.env("SSH_ASKPASS", askpass).env("DISPLAY", ":0"));
    let questions = fs::read_to_string(asked).unwrap();
    assert_eq!(questions.lines().count(), 1, "the questions: {questions}");
}

/// Expects `haproxy` to log the addresses of the client's connection. Only the header contains
/// them, because `haproxy` gets its connection from a proxy.
fn names_the_client(context: &Context, version: &str) {
    let (proxy, port) = (context.address(MICROSOCKS), context.haproxy_port());
    let local = free_port();
    let listen = format!("--proxy-protocol {version} --listen 127.0.0.2:{local} -S {proxy} 127.0.0.1 {port}");
    let listener = context.connect(listen).start();
    let start = Instant::now();
    while !has_listener(local) {
        assert!(start.elapsed() < LISTEN_TIMEOUT, "no listener: {}", listener.stderr_so_far());
        sleep(Duration::from_millis(10));
    }
    let config = context.peers.ssh_config();
    let ssh =
        crate::context::program("ssh", ["-b", "127.0.0.3", "-o", "HostName=127.0.0.2", "-F"]).arg(config);
    let out = ssh.arg("-p").arg(local.to_string()).arg("target").arg("echo hello").run();
    out.expect_success().expect_stdout("hello\n");
    context.expect_log(Server::Haproxy, &["127.0.0.3:", &format!(" to 127.0.0.2:{local}\n")]);
}
