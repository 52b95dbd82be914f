//! Chains of real proxies, and fallback routes.
//!
//! With ssh, the proxies are set in the environment, because ssh expands percent signs in a
//! `ProxyCommand`.

use std::fs;
use std::sync::Mutex;

use crate::context::{Case, Context, Topic, expect_same, expect_secret_kept, fed, program};
use crate::kit::Program;
use crate::servers::{
    DANTED, MICROSOCKS, MICROSOCKS_USER, PASSWORD, PLAIN_PASSWORD, SQUID_USER, Server, TINYPROXY,
    TINYPROXY_USER, USER, WRONG_PASSWORD,
};

/// Held by each case that uses the chain of three proxies, because the logs of the first two
/// proxies do not show which case a session belongs to.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("chains");
    topic.ours("scp sends a file through three proxies", |context| {
        let _turn = context.wait_for_turn(&TURN);
        let [up, _] = context.peers.big_files();
        let copy = context.folder.join("copy");
        let to = format!("target:{}", copy.display());
        through_chain(context, "scp", "", &["-q", &up.display().to_string(), &to]).run().expect_success();
        expect_same(up, &fs::read(copy).unwrap());
        expect_chain(context);
    });
    topic.ours("ssh takes over the connection through three proxies", |context| {
        let _turn = context.wait_for_turn(&TURN);
        let [up, _] = context.peers.big_files();
        let args = ["-o", "ProxyUseFdpass=yes", "target", "cat; exit 3"];
        let out = fed(through_chain(context, "ssh", "-F", &args), up).run();
        out.expect_code(3);
        expect_same(up, &out.stdout);
        expect_chain(context);
    });
    topic.ours("ssh runs a command through three proxies", |context| {
        let _turn = context.wait_for_turn(&TURN);
        let out = through_chain(context, "ssh", "", &["target", "echo hello; exit 3"]).run();
        out.expect_code(3).expect_stdout("hello\n").expect_stderr("");
        expect_chain(context);
    });
    // danted does not discard bytes that arrive together with the greeting. The request to the HTTP
    // proxy is sent only after danted has replied.
    topic.ours("an early request works through a chain", |context| {
        let [first, second] = [DANTED, TINYPROXY].map(|proxy| context.address(proxy));
        let ssh = context.ssh("--eager -A", "echo hello");
        let out = ssh.env("CONNECT_PROXY", format!("socks5h://{first},http://{second}")).run();
        out.expect_success().expect_stdout("hello\n");
        context
            .expect_log(Server::Tinyproxy, &["Request ", &format!("CONNECT 127.0.0.1:{} ", context.port())]);
    });
    topic.ours("a wrong password is reported with its hop", |context| {
        let [first, second] = [MICROSOCKS, SQUID_USER].map(|proxy| context.address(proxy));
        let chain = format!("socks5://{first},http://{USER}:{WRONG_PASSWORD}@{second}");
        let out = context.connect(format!("-x {chain} 127.0.0.1 {}", context.port())).run();
        context.expect_failure(&out, 6, &[&second, "hop 2 of 2", USER]);
        expect_secret_kept(&out, WRONG_PASSWORD);
    });
    topic.ours("an unreachable next hop is reported with the proxy that refused it", |context| {
        let (proxy, closed) = (context.address(TINYPROXY), context.peers.closed_port());
        let chain = format!("http://{proxy},socks5://127.0.0.1:{closed}");
        let out = context.connect(format!("-x {chain} 127.0.0.1 {}", context.port())).run();
        context.expect_failure(&out, 5, &[&proxy, "hop 1 of 2", &format!("127.0.0.1:{closed}")]);
    });
    topic.ours("the first fallback route that works is used", |context| {
        let closed = context.peers.closed_port();
        let [second, third] = [SQUID_USER, MICROSOCKS].map(|proxy| context.address(proxy));
        let routes = format!(
            "socks5://127.0.0.1:{closed} | http://{USER}:{WRONG_PASSWORD}@{second} | socks5://{third}"
        );
        let out = context.ssh("-A", "echo hello").env("CONNECT_PROXY", routes).run();
        out.expect_code(0).expect_stdout("hello\n");
        context.expect_log(Server::Microsocks, &[&format!("connected to 127.0.0.1:{}", context.port())]);
    });
    topic.ours("every fallback route that fails is reported", |context| {
        let (closed, port) = (context.peers.closed_port(), context.port());
        let routes = format!("socks5://127.0.0.1:{closed}|http://127.0.0.1:{closed}");
        let out = context.connect(format!("-x {routes} 127.0.0.1 {port}")).run();
        let target = format!("127.0.0.1:{port}");
        context.expect_failure(&out, 4, &[&target, "1. ", "SOCKS5 proxy ", "2. ", "HTTP proxy "]);
    });
    topic.ours("the usual variables name the proxy", |context| {
        let proxy = format!("http://{}/", context.address(TINYPROXY));
        let out = context.ssh("-A", "echo hello").env("https_proxy", proxy).run();
        out.expect_success().expect_stdout("hello\n");
        context
            .expect_log(Server::Tinyproxy, &["Request ", &format!("CONNECT 127.0.0.1:{} ", context.port())]);
    });
    topic.ours("--check reports each hop, and no password", check_reports_each_hop);
    topic.into_cases()
}

/// Returns a chain of three proxies, each of which requires a password.
fn chain(context: &Context) -> String {
    let [first, second, third] =
        [MICROSOCKS_USER, TINYPROXY_USER, SQUID_USER].map(|proxy| context.address(proxy));
    let special = percent_encoded(PASSWORD);
    format!(
        "socks5h://{USER}:{PLAIN_PASSWORD}@{first},http://{USER}:{PLAIN_PASSWORD}@{second},\
        http://{USER}:{special}@{third}"
    )
}

fn through_chain(context: &Context, client: &str, option: &str, args: &[&str]) -> Program {
    let proxy_command = format!("{} {option} -A %h %p", context.peers.connect.display());
    let client = program(client, context.ssh_options(&proxy_command));
    args.iter().fold(client, Program::arg).env("CONNECT_PROXY", chain(context))
}

/// Expects that each proxy connected to the next one, and the last one to the target.
#[track_caller]
fn expect_chain(context: &Context) {
    let [second, third] = [TINYPROXY_USER, SQUID_USER].map(|proxy| context.address(proxy));
    let target = format!("CONNECT 127.0.0.1:{} {USER} ", context.port());
    context.expect_log(Server::MicrosocksUser, &[&format!("connected to {second}")]);
    context.expect_log(Server::TinyproxyUser, &["Request ", &format!("CONNECT {third} ")]);
    context.expect_log(Server::Squid, &["TCP_TUNNEL/200 ", &target]);
}

fn check_reports_each_hop(context: &Context) {
    let _turn = context.wait_for_turn(&TURN);
    let check = context.connect(format!("--check -A 127.0.0.1 {}", context.port()));
    let out = check.env("CONNECT_PROXY", chain(context)).run();
    out.expect_code(0);
    let text = out.stdout_text();
    let hops = text.lines().filter(|line| line.contains('✓') && line.contains("tunnel")).count();
    assert_eq!(hops, 3, "{out:?}");
    assert!(text.lines().any(|line| line.contains('✓') && line.contains("SSH-2.0-OpenSSH")), "{out:?}");
    for secret in [PLAIN_PASSWORD, PASSWORD, &percent_encoded(PASSWORD), "S3cret%20", "p@ss"] {
        expect_secret_kept(&out, secret);
    }
}

/// Returns the text with everything but ASCII letters and digits percent-encoded.
pub(crate) fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
