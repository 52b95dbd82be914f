//! Sessions over every route: ssh runs a command, scp copies in both directions, and ssh takes over
//! the connection from the program (`ProxyUseFdpass`).

use std::fs;

use crate::context::{Case, Context, Topic, expect_same, fed, program};
use crate::kit::Program;
use crate::peers::Endpoint;
use crate::servers::{
    DANTED, DANTED_USER, MICROSOCKS, MICROSOCKS_USER, SQUID, SQUID_USER, SSH_D, Server, TINYPROXY,
    TINYPROXY_USER, USER,
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Socks5,
    /// The program resolves the target's name.
    Socks4,
    /// The proxy resolves the target's name.
    Socks4a,
    Http,
}

/// A route to the target, with at most one proxy.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(crate) name: &'static str,
    proxy: Option<(Protocol, Endpoint)>,
}

const fn route(name: &'static str, protocol: Protocol, endpoint: Endpoint) -> Route {
    Route { name, proxy: Some((protocol, endpoint)) }
}

const DIRECT: Route = Route { name: "", proxy: None };
pub(crate) const SOCKS5_MICROSOCKS: Route = route("socks5-microsocks", Protocol::Socks5, MICROSOCKS);
pub(crate) const SOCKS5_MICROSOCKS_USER: Route =
    route("socks5-microsocks-user", Protocol::Socks5, MICROSOCKS_USER);
const SOCKS5_DANTED: Route = route("socks5-danted", Protocol::Socks5, DANTED);
pub(crate) const SOCKS5_DANTED_USER: Route = route("socks5-danted-user", Protocol::Socks5, DANTED_USER);
const SOCKS5_SSH_D: Route = route("socks5-ssh-D", Protocol::Socks5, SSH_D);
pub(crate) const HTTP_TINYPROXY: Route = route("http-tinyproxy", Protocol::Http, TINYPROXY);
pub(crate) const HTTP_TINYPROXY_USER: Route = route("http-tinyproxy-user", Protocol::Http, TINYPROXY_USER);
pub(crate) const HTTP_SQUID_USER: Route = route("http-squid-user", Protocol::Http, SQUID_USER);

const ROUTES: [Route; 13] = [
    DIRECT,
    SOCKS5_MICROSOCKS,
    SOCKS5_MICROSOCKS_USER,
    SOCKS5_DANTED,
    SOCKS5_DANTED_USER,
    // Not SOCKS4a: danted 1.4 mistakes the 0.0.0.x of a SOCKS4a request for an address.
    route("socks4-danted", Protocol::Socks4, DANTED),
    SOCKS5_SSH_D,
    route("socks4-ssh-D", Protocol::Socks4, SSH_D),
    route("socks4a-ssh-D", Protocol::Socks4a, SSH_D),
    HTTP_TINYPROXY,
    HTTP_TINYPROXY_USER,
    route("http-squid", Protocol::Http, SQUID),
    HTTP_SQUID_USER,
];

impl Route {
    /// Returns the suffix for the names of this route's cases.
    fn label(&self) -> String {
        if self.proxy.is_some() { format!("through {}", self.name) } else { "without a proxy".into() }
    }

    /// Returns the program's options for this route.
    pub(crate) fn options(&self, context: &Context) -> String {
        let Some((protocol, endpoint)) = self.proxy else { return "-n".into() };
        let address = context.address(endpoint);
        match protocol {
            Protocol::Socks5 => format!("-S {address}"),
            Protocol::Socks4 => format!("-4 -R local -S {address}"),
            Protocol::Socks4a => format!("-4 -R remote -S {address}"),
            Protocol::Http => format!("-H {address}"),
        }
    }

    /// Returns the target's host as the user would type it.
    fn host(&self) -> &'static str {
        match self.proxy {
            Some((Protocol::Socks4 | Protocol::Socks4a, _)) => "localhost",
            _ => "127.0.0.1",
        }
    }

    /// Adds the user name and password to the environment if the proxy requires them.
    pub(crate) fn with_credentials(&self, program: Program) -> Program {
        let Some((protocol, endpoint)) = self.proxy else { return program };
        match (protocol, endpoint.password()) {
            (_, None) => program,
            (Protocol::Http, Some(password)) => {
                program.env("HTTP_PROXY_USER", USER).env("HTTP_PROXY_PASSWORD", password)
            }
            (_, Some(password)) => program.env("SOCKS5_USER", USER).env("SOCKS5_PASSWORD", password),
        }
    }

    /// Returns ssh's options for the route. `option` is an additional option for the program.
    pub(crate) fn ssh_options(&self, context: &Context, option: &str) -> Vec<String> {
        let connect = context.peers.connect.display();
        let mut options = context.ssh_options(&format!("{connect} {option} {} %h %p", self.options(context)));
        options.extend(["-o".into(), format!("HostName={}", self.host())]);
        options
    }

    /// Prepares a run of ssh, scp or sftp over the route.
    pub(crate) fn client(&self, context: &Context, client: &str, option: &str, args: &[&str]) -> Program {
        let client = program(client, self.ssh_options(context, option));
        self.with_credentials(args.iter().fold(client, Program::arg))
    }

    /// Returns the server that logs a session to the target over this route, and the parts of its
    /// log line.
    fn log_line(&self, context: &Context) -> (Server, Vec<String>) {
        let port = context.port();
        let target = format!("127.0.0.1:{port}");
        let Some((protocol, endpoint)) = self.proxy else {
            return (
                Server::Sshd,
                vec![format!("Connection from 127.0.0.1 port "), format!(" on 127.0.0.1 port {port}")],
            );
        };
        let dynamic = |version, host| vec![format!("dynamic request: {version} host {host} port {port}")];
        let parts = match (endpoint.server, protocol) {
            (Server::SshD, Protocol::Socks4a) => dynamic("socks4", "localhost"),
            (Server::SshD, Protocol::Socks4) => dynamic("socks4", "127.0.0.1"),
            (Server::SshD, _) => dynamic("socks5", "127.0.0.1"),
            (Server::DantedUser, _) => {
                vec!["connect [: ".into(), format!("username%{USER}@"), format!(" 127.0.0.1.{port}")]
            }
            (Server::Danted, _) => vec!["connect [: ".into(), format!(" 127.0.0.1.{port}")],
            (Server::Tinyproxy | Server::TinyproxyUser, _) => {
                vec!["Request ".into(), format!("CONNECT {target} ")]
            }
            (Server::Squid, _) => {
                let user = endpoint.password().map_or("-", |_| USER);
                vec!["TCP_TUNNEL/200 ".into(), format!("CONNECT {target} {user} ")]
            }
            _ => vec![format!("connected to {target}")],
        };
        (endpoint.server, parts)
    }

    /// Expects that at least `count` sessions to the target used this route.
    #[track_caller]
    pub(crate) fn expect_sessions(&self, context: &Context, count: usize) {
        let (server, parts) = self.log_line(context);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        context.expect_log_lines(server, &parts, count);
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("routes");
    for route in &ROUTES {
        let label = route.label();
        topic.both(format!("scp sends a file {label}"), |context| sends_a_file(context, route));
        topic.both(format!("scp fetches a file {label}"), |context| fetches_a_file(context, route));
        topic.ours(format!("ssh takes over the connection {label}"), |context| {
            takes_over(context, route);
        });
        topic.both(format!("ssh runs a command {label}"), |context| runs_a_command(context, route));
    }
    // These SOCKS servers keep bytes that arrive together with the greeting. microsocks drops them.
    for route in &[SOCKS5_DANTED, SOCKS5_DANTED_USER, SOCKS5_SSH_D] {
        topic.ours(format!("an early request works {}", route.label()), |context| {
            let out = route.client(context, "ssh", "--eager", &["target", "echo hello"]).run();
            out.expect_success().expect_stdout("hello\n");
            route.expect_sessions(context, 1);
        });
    }
    // Fails once microsocks no longer drops early bytes. Then update the documentation of
    // `--eager`.
    topic.ours("microsocks loses an early request, and a timeout reports it", |context| {
        let proxy = context.address(MICROSOCKS);
        let out = context.connect(format!("--eager -w 2 -S {proxy} 127.0.0.1 {}", context.port())).run();
        context.expect_failure(&out, 7, &["SOCKS5", "--eager"]);
    });
    topic.into_cases()
}

fn runs_a_command(context: &Context, route: &Route) {
    // The remote command's exit status also comes back through the tunnel. If ssh itself failed,
    // its exit status would be 255.
    let command = "echo \"hello from $SSH_CONNECTION\"; exit 3";
    let out = route.client(context, "ssh", "", &["target", command]).run();
    out.expect_code(3);
    let text = out.stdout_text();
    let is_greeting = text.starts_with("hello from ") && text.ends_with(&format!(" {}\n", context.port()));
    assert!(is_greeting, "{out:?}\n  expected: the greeting of the command");
    route.expect_sessions(context, 1);
}

/// Expects ssh to take over the connection. ssh continues only after the program has exited, and
/// the session fails if the program read one byte too many or too few from the proxy.
fn takes_over(context: &Context, route: &Route) {
    let [up, _] = context.peers.big_files();
    let ssh = route.client(context, "ssh", "-F", &["-o", "ProxyUseFdpass=yes", "target", "cat; exit 3"]);
    let out = fed(ssh, up).run();
    out.expect_code(3);
    expect_same(up, &out.stdout);
    route.expect_sessions(context, 1);
}

fn sends_a_file(context: &Context, route: &Route) {
    let [up, _] = context.peers.big_files();
    let copy = context.folder.join("copy");
    let to = format!("target:{}", copy.display());
    route.client(context, "scp", "", &["-q", &up.display().to_string(), &to]).run().expect_success();
    expect_same(up, &fs::read(copy).unwrap());
    route.expect_sessions(context, 1);
}

fn fetches_a_file(context: &Context, route: &Route) {
    let [_, down] = context.peers.big_files();
    let copy = context.folder.join("copy");
    let from = format!("target:{}", down.display());
    route.client(context, "scp", "", &["-q", &from, &copy.display().to_string()]).run().expect_success();
    expect_same(down, &fs::read(copy).unwrap());
    route.expect_sessions(context, 1);
}
