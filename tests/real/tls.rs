//! TLS to the proxy, with valid and invalid certificates, and to the target. The TLS servers are
//! squid's `https_port`, stunnel in front of microsocks, tinyproxy and sshd, and `HAProxy` in front
//! of sshd.

use std::fs;
use std::process::Command;

use crate::context::{Case, Context, Topic, expect_same, program, run_with_open_input};
use crate::kit::Program;
use crate::peers::{Endpoint, run};
use crate::servers::{
    HAPROXY_TLS, HAPROXY_TLS_ANNOUNCED, MICROSOCKS, SQUID_TLS, STUNNEL, STUNNEL_CLIENT, STUNNEL_EXPIRED,
    STUNNEL_LONE, STUNNEL_SELF, STUNNEL_SOCKS, STUNNEL_SSHD, STUNNEL_TLS12, STUNNEL_TLS13, STUNNEL_WRONG,
    Server,
};

/// The name of a route, and the schemes and ports of its proxies.
type Route = (&'static str, &'static [(&'static str, Endpoint)]);

const ROUTES: [Route; 6] = [
    ("socks5-stunnel", &[("socks5h+tls", STUNNEL_SOCKS)]),
    ("http-stunnel", &[("https", STUNNEL)]),
    ("http-squid-tls", &[("https", SQUID_TLS)]),
    ("http-stunnel12", &[("https", STUNNEL_TLS12)]),
    ("http-stunnel13", &[("https", STUNNEL_TLS13)]),
    ("http-twice", &[("https", STUNNEL), ("https", STUNNEL_TLS12)]),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("tls");
    for &(name, proxies) in &ROUTES {
        topic.ours(format!("scp sends and fetches a file through {name}"), |context| {
            sends_and_fetches_a_file(context, proxies);
        });
        topic.ours(format!("ssh runs a command through {name}"), |context| {
            let out = client(context, "ssh", proxies, &["target", "echo hello; exit 3"]).run();
            out.expect_code(3).expect_stdout("hello\n").expect_stderr("");
            expect_session(context, proxies, 1);
        });
    }
    // sshd closes the connection after the line that `expect_banner` sends, because it is not an
    // SSH banner. The session ends cleanly if the proxy then closes its TLS session, too.
    for (name, endpoint) in [("stunnel", STUNNEL), ("squid", SQUID_TLS)] {
        topic.ours(format!("the end of a session through {name} is clean"), move |context| {
            context.expect_banner(through(context, endpoint, &ca(context))).expect_stderr("");
            expect_session(context, &[("https", endpoint)], 1);
        });
    }
    topic.ours("a client certificate is presented", |context| {
        let args = client_certificate(context, "client");
        context.expect_banner(through(context, STUNNEL_CLIENT, &args));
    });
    topic.ours("a proxy that requires a client certificate is reported", |context| {
        let out = run_with_open_input(through(context, STUNNEL_CLIENT, &ca(context)));
        context.expect_failure(&out, 5, &["client certificate is required"]);
    });
    topic.ours("a client certificate that the proxy rejects is reported", |context| {
        let args = client_certificate(context, "stranger");
        let out = run_with_open_input(through(context, STUNNEL_CLIENT, &args));
        context.expect_failure(&out, 5, &["client certificate|unknown_ca"]);
    });
    topic.ours("a certificate for another name is rejected", |context| {
        expect_distrusted(context, STUNNEL_WRONG, &["other.example", "localhost"]);
    });
    topic.ours("an expired certificate is rejected", |context| {
        context.peers.certificates().wait_for_expiry();
        expect_distrusted(context, STUNNEL_EXPIRED, &["expired on 20"]);
    });
    topic.ours("a certificate without its intermediate is rejected", |context| {
        expect_distrusted(context, STUNNEL_LONE, &["'Real Intermediate'", "trusted"]);
    });
    topic.ours("a self-signed certificate is rejected", |context| {
        expect_distrusted(context, STUNNEL_SELF, &["self-signed"]);
    });
    topic.ours("a pinned key is accepted, and another key is not", pins_a_key);
    topic.ours("a server without TLS is reported", |context| {
        // Use sshd, because it sends first. A server that waits for the client would cause a
        // timeout.
        let url = format!("https://localhost:{}", context.port());
        let out = run_with_open_input(context.connect(format!(
            "{} -H {url} 127.0.0.1 {}",
            ca(context),
            context.port()
        )));
        context.expect_failure(&out, 5, &["TLS", "http://"]);
    });
    topic.ours("a proxy that requires TLS is reported to plain HTTP", |context| {
        let port = context.peers.port(STUNNEL);
        let args = format!("-w 5 -H http://localhost:{port} 127.0.0.1 {}", context.port());
        context.expect_failure(&context.connect(args).run(), 5, &[&format!("localhost:{port}")]);
    });
    topic.ours("--check reports the TLS session", |context| {
        let url = format!("https://localhost:{}", context.peers.port(SQUID_TLS));
        let args = format!("--check {} -x {url} 127.0.0.1 {}", ca(context), context.port());
        let out = context.connect(args).run();
        out.expect_code(0);
        let text = out.stdout_text();
        let is_reported =
            |line: &str| ["TLS 1.3", "certificate", "Real Authority"].iter().all(|part| line.contains(part));
        assert!(text.lines().any(is_reported), "{out:?}\n  expected: a line about TLS");
    });
    targets(&mut topic);
    topic.into_cases()
}

/// The cases with TLS to the target.
fn targets(topic: &mut Topic) {
    for (name, endpoint) in [("stunnel", STUNNEL_SSHD), ("HAProxy", HAPROXY_TLS)] {
        topic.ours(format!("ssh runs a command on a host behind {name}"), move |context| {
            for route in routes_to_target(context) {
                let out =
                    to_target(context, "ssh", endpoint, &route, &["target", "echo hello; exit 3"]).run();
                out.expect_code(3).expect_stdout("hello\n").expect_stderr("");
            }
        });
        topic.ours(format!("scp sends and fetches a file on a host behind {name}"), move |context| {
            copies_behind_tls(context, endpoint);
        });
    }
    topic.ours("HAProxy takes a PROXY protocol header before TLS", |context| {
        let port = context.peers.port(HAPROXY_TLS_ANNOUNCED);
        let args = format!("--proxy-protocol v2 --tls-target {} localhost {port}", ca(context));
        context.expect_banner(context.connect(args));
        context.expect_log(Server::Haproxy, &["127.0.0.1:", &format!(" to 127.0.0.1:{port}\n")]);
    });
    topic.ours("HAProxy leads another server name elsewhere", |context| {
        let port = context.peers.port(HAPROXY_TLS);
        let args = format!("-q --insecure --tls-server-name other.example --tls-target localhost {port}");
        let out = run_with_open_input(context.connect(args));
        assert!(!out.stdout_text().contains("SSH-2.0-"), "{out:?}\n  expected: no session");
    });
    topic.ours("an sshd without TLS is reported", |context| {
        let args = format!("--tls-target {} 127.0.0.1 {}", ca(context), context.port());
        let out = run_with_open_input(context.connect(args));
        context.expect_failure(&out, 5, &["127.0.0.1", "does not speak TLS", "--tls-target"]);
    });
}

/// Returns the options for each kind of route to the target: direct, and through proxies without
/// and with TLS.
fn routes_to_target(context: &Context) -> [String; 3] {
    let authority = context.peers.certificates().path("ca", "pem").display().to_string();
    let (socks, https) = (context.address(MICROSOCKS), context.peers.port(STUNNEL));
    [String::new(), format!("-S {socks}"), format!("-x https://localhost:{https}?tls-ca={authority}")]
}

/// Prepares a run of ssh or scp to sshd behind this TLS server.
fn to_target(context: &Context, client: &str, endpoint: Endpoint, route: &str, args: &[&str]) -> Program {
    let (connect, port) = (context.peers.connect.display(), context.peers.port(endpoint));
    let options = format!("{connect} --tls-target {} {route} localhost {port}", ca(context));
    args.iter().fold(program(client, context.ssh_options(&options)), Program::arg)
}

fn copies_behind_tls(context: &Context, endpoint: Endpoint) {
    let [up, down] = context.peers.big_files();
    let copy = context.folder.join("copy");
    let (here, there) = (copy.display().to_string(), format!("target:{}", copy.display()));
    let args = ["-q", &up.display().to_string(), &there];
    to_target(context, "scp", endpoint, "", &args).run().expect_success();
    expect_same(up, &fs::read(&copy).unwrap());
    let args = ["-q", &format!("target:{}", down.display()), &here];
    to_target(context, "scp", endpoint, "", &args).run().expect_success();
    expect_same(down, &fs::read(&copy).unwrap());
}

/// Returns the option that makes the program trust the suite's CA.
fn ca(context: &Context) -> String {
    format!("--tls-ca {}", context.peers.certificates().path("ca", "pem").display())
}

fn client_certificate(context: &Context, name: &str) -> String {
    let [certificate, key] =
        ["pem", "key"].map(|extension| context.peers.certificates().path(name, extension));
    format!("{} --tls-cert {} --tls-key {}", ca(context), certificate.display(), key.display())
}

/// Prepares a run of the program through one HTTPS proxy.
fn through(context: &Context, endpoint: Endpoint, options: &str) -> Program {
    let port = context.peers.port(endpoint);
    context.connect(format!("{options} -H https://localhost:{port} 127.0.0.1 {}", context.port()))
}

/// Prepares a run of ssh or scp through a chain of TLS proxies.
fn client(context: &Context, client: &str, proxies: &[(&str, Endpoint)], args: &[&str]) -> Program {
    let urls = proxies
        .iter()
        .map(|(scheme, endpoint)| format!("{scheme}://localhost:{}", context.peers.port(*endpoint)));
    let urls: Vec<String> = urls.collect();
    let connect = context.peers.connect.display();
    let options = format!("{connect} {} -x {} %h %p", ca(context), urls.join(","));
    args.iter().fold(program(client, context.ssh_options(&options)), Program::arg)
}

/// Expects at least `count` sessions to the target in the log of the last proxy.
#[track_caller]
fn expect_session(context: &Context, proxies: &[(&str, Endpoint)], count: usize) {
    let target = format!("127.0.0.1:{}", context.port());
    let (server, parts) = match proxies.last() {
        Some(("socks5h+tls", _)) => (Server::Microsocks, ["connected to ".to_owned(), target]),
        Some((_, last)) if last.server == Server::Squid => {
            (Server::Squid, ["TCP_TUNNEL/200 ".to_owned(), format!("CONNECT {target} - ")])
        }
        _ => (Server::Tinyproxy, ["Request ".to_owned(), format!("CONNECT {target} ")]),
    };
    context.expect_log_lines(server, &parts.each_ref().map(String::as_str), count);
}

fn sends_and_fetches_a_file(context: &Context, proxies: &[(&str, Endpoint)]) {
    let [up, down] = context.peers.big_files();
    let copy = context.folder.join("copy");
    let (here, there) = (copy.display().to_string(), format!("target:{}", copy.display()));
    client(context, "scp", proxies, &["-q", &up.display().to_string(), &there]).run().expect_success();
    expect_same(up, &fs::read(&copy).unwrap());
    let from = format!("target:{}", down.display());
    client(context, "scp", proxies, &["-q", &from, &here]).run().expect_success();
    expect_same(down, &fs::read(&copy).unwrap());
    expect_session(context, proxies, 2);
}

#[track_caller]
fn expect_distrusted(context: &Context, endpoint: Endpoint, parts: &[&str]) {
    let out = run_with_open_input(through(context, endpoint, &ca(context)));
    let proxy = format!("localhost:{}", context.peers.port(endpoint));
    context.expect_failure(&out, 5, &[&[&*proxy, "certificate"], parts].concat());
}

/// Computes the pin as curl's manual describes, and expects only the pinned key to be accepted.
fn pins_a_key(context: &Context) {
    let script = "openssl x509 -in \"$0\" -pubkey -noout | openssl pkey -pubin -outform der |
        openssl dgst -sha256 -binary | openssl enc -base64";
    let certificate = context.peers.certificates().path("self", "pem");
    let pin = run(Command::new("sh").args(["-c", script]).arg(certificate)).unwrap();
    let options = format!("--insecure --tls-pin sha256//{}", String::from_utf8_lossy(&pin).trim());
    context.expect_banner(through(context, STUNNEL_SELF, &options));
    let out = run_with_open_input(through(context, STUNNEL, &options));
    context.expect_failure(&out, 5, &["pin"]);
}
