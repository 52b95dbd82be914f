//! Each route from ssh to sshd: through web servers, and to and from other WebSocket programs.
//!
//! Through each of them, ssh runs a command, scp copies a file of 64 MiB in both directions, and
//! git clones a repository.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::context::{Case, Context, Topic, expect_same, fed, program};
use crate::kit::Program;
use crate::peers::{Endpoint, run};
use crate::servers::{
    APACHE_EVENT, APACHE_EVENT_TLS, APACHE_PREFORK, HAPROXY, HUB, HUB_TLS, LIGHTTPD, NGINX, NGINX_TLS, NODE,
    NODE_SUBPROTOCOL, POST, POST_TLS, PYTHON, SQUID, SQUID_ACCELERATOR, STUNNEL_LIGHTTPD, STUNNEL_WEBSOCKIFY,
    Server, WEBSOCAT, WEBSOCKET, WEBSOCKET_TLS, WEBSOCKIFY,
};
use crate::websocket_servers::{script, websocat};

/// Time limit for copying a file while other cases run on the same processors.
const COPY_TIMEOUT: Duration = Duration::from_secs(180);

/// The size of the file in the repository.
const REPOSITORY_SIZE: u64 = 5_000_000;

/// A way to reach sshd.
pub(crate) struct Route {
    pub(crate) name: &'static str,
    via: Via,
}

/// The way from ssh to sshd.
enum Via {
    /// The scheme and the path of our hop, and the server.
    Plain(&'static str, Endpoint, &'static str),
    /// The same over TLS.
    Tls(&'static str, Endpoint, &'static str),
    /// A function that returns the `ProxyCommand`.
    Command(fn(&Context) -> String),
}

const fn plain(name: &'static str, scheme: &'static str, server: Endpoint, path: &'static str) -> Route {
    Route { name, via: Via::Plain(scheme, server, path) }
}

const fn tls(name: &'static str, scheme: &'static str, server: Endpoint, path: &'static str) -> Route {
    Route { name, via: Via::Tls(scheme, server, path) }
}

const fn command(name: &'static str, command: fn(&Context) -> String) -> Route {
    Route { name, via: Via::Command(command) }
}

/// Routes that use the POST hop.
pub(crate) const POST_ROUTES: &[Route] = &[
    plain("post to the listener", "post+http", POST, "/tunnel"),
    tls("post to the TLS listener", "post+https", POST_TLS, "/tunnel"),
    plain("post to lighttpd", "post+http", LIGHTTPD, "/tunnel"),
    tls("post to stunnel and lighttpd", "post+https", STUNNEL_LIGHTTPD, "/tunnel"),
    plain("post to apache-event", "post+http", APACHE_EVENT, "/tunnel"),
    tls("post to apache-event with TLS", "post+https", APACHE_EVENT_TLS, "/tunnel"),
    plain("post to apache-prefork", "post+http", APACHE_PREFORK, "/tunnel"),
    plain("post to nginx", "post+http", NGINX, "/tunnel"),
    tls("post to nginx with TLS and a UNIX socket", "post+https", NGINX_TLS, "/unix"),
    plain("post to nginx as an HTTP proxy", "post+http", NGINX, "/post"),
    plain("post to haproxy", "post+http", HAPROXY, "/tunnel"),
    plain("post to squid as an accelerator", "post+http", SQUID_ACCELERATOR, "/tunnel"),
    command("post through squid to nginx with TLS", |context| {
        let authority = context.peers.certificates().path("ca", "pem");
        let (squid, nginx) = (context.address(SQUID), context.peers.port(NGINX_TLS));
        let url = format!("post+https://localhost:{nginx}/tunnel#tls-ca={}", authority.display());
        connect(context, &format!("http://{squid},{url}"))
    }),
];

/// Routes that use the WebSocket hop.
pub(crate) const WEBSOCKET_ROUTES: &[Route] = &[
    plain("ws to the listener", "ws", WEBSOCKET, "/tunnel"),
    tls("ws to the TLS listener", "wss", WEBSOCKET_TLS, "/tunnel"),
    command("ws to a hub", |context| {
        context.peers.daemon(Server::Origin);
        hop(context, "ws", HUB, "/v1/lab/dest")
    }),
    command("ws to a hub with TLS", |context| {
        context.peers.daemon(Server::Origin);
        tls_hop(context, "wss", HUB_TLS, "/v1/lab/dest")
    }),
    plain("ws to nginx", "ws", NGINX, "/ssh"),
    tls("ws to nginx with TLS", "wss", NGINX_TLS, "/ssh"),
    plain("ws to haproxy", "ws", HAPROXY, "/tunnel"),
    plain("ws to apache-event", "ws", APACHE_EVENT, "/ssh"),
    command("ws through squid to websockify", |context| {
        let [squid, server] = [SQUID, WEBSOCKIFY].map(|endpoint| context.address(endpoint));
        connect(context, &format!("http://{squid},ws://{server}/"))
    }),
    plain("ws to websockify", "ws", WEBSOCKIFY, "/"),
    tls("ws to stunnel and websockify", "wss", STUNNEL_WEBSOCKIFY, "/"),
    plain("ws to websocat", "ws", WEBSOCAT, "/#eof=close"),
    plain("ws to python", "ws", PYTHON, "/"),
    plain("ws to node", "ws", NODE, "/"),
];

/// Routes from other WebSocket clients to the listener.
const CLIENT_ROUTES: &[Route] = &[
    command("ws from websocat", |context| {
        format!("{} --binary ws://{}/tunnel", websocat(), context.address(WEBSOCKET))
    }),
    command("ws from python", |context| {
        format!(
            "/usr/bin/python3 {} ws://{}/tunnel",
            script("client.py").display(),
            context.address(WEBSOCKET)
        )
    }),
    command("ws from python with TLS", |context| {
        let (port, authority) =
            (context.peers.port(WEBSOCKET_TLS), context.peers.certificates().path("ca", "pem"));
        let script = script("client.py");
        format!("/usr/bin/python3 {} wss://localhost:{port}/tunnel {}", script.display(), authority.display())
    }),
    command("ws from node", |context| {
        format!("node {} ws://{}/tunnel", script("client.js").display(), context.address(WEBSOCKET))
    }),
];

pub(crate) fn cases(full: bool) -> Vec<Case> {
    let mut topic = Topic::new("routes");
    for route in POST_ROUTES.iter().chain(WEBSOCKET_ROUTES).chain(CLIENT_ROUTES) {
        topic.ours(format!("ssh runs a command: {}", route.name), |context| runs_a_command(context, route));
        topic.ours(format!("scp copies a file both ways: {}", route.name), |context| copies(context, route));
        topic.ours(format!("git clones: {}", route.name), |context| clones(context, route));
        if full {
            topic.ours(format!("ssh is idle for 70 s: {}", route.name), |context| is_idle(context, route));
        }
    }
    topic.ours("a subprotocol that was not offered is refused", |context| {
        let out = context.connect(format!("-x ws://{}/", context.address(NODE_SUBPROTOCOL))).run();
        context.expect_failure(&out, 5, &["subprotocol"]);
    });
    topic.into_cases()
}

/// Returns the `ProxyCommand` for this chain of proxies.
fn connect(context: &Context, chain: &str) -> String {
    format!("{} -x {chain} %h %p", context.peers.connect.display())
}

fn hop(context: &Context, scheme: &str, endpoint: Endpoint, path: &str) -> String {
    connect(context, &format!("{scheme}://{}{path}", context.address(endpoint)))
}

fn tls_hop(context: &Context, scheme: &str, endpoint: Endpoint, path: &str) -> String {
    let (port, authority) = (context.peers.port(endpoint), context.peers.certificates().path("ca", "pem"));
    connect(context, &format!("{scheme}://localhost:{port}{path}#tls-ca={}", authority.display()))
}

impl Route {
    /// Returns the `ProxyCommand`.
    fn command(&self, context: &Context) -> String {
        match self.via {
            Via::Plain(scheme, server, path) => hop(context, scheme, server, path),
            Via::Tls(scheme, server, path) => tls_hop(context, scheme, server, path),
            Via::Command(command) => command(context),
        }
    }

    fn ssh_options(&self, context: &Context) -> Vec<String> {
        context.ssh_options(&self.command(context))
    }

    /// Prepares a run of ssh that executes a command on the target.
    pub(crate) fn ssh(&self, context: &Context, command: &str) -> Program {
        program("ssh", self.ssh_options(context)).arg("target").arg(command)
    }
}

/// The command's standard error ends after its standard output, and both before its exit status.
fn runs_a_command(context: &Context, route: &Route) {
    let input = context.file("input", crate::kit::bytes(1, 300_000));
    let command = "cat; exec >&-; sleep 0.2; echo late >&2; exit 7";
    let out = fed(route.ssh(context, command), &input).run();
    out.expect_code(7);
    expect_same(&input, &out.stdout);
    out.expect_stderr("late\n");
    context.expect_log(Server::Sshd, &["Accepted publickey"]);
}

fn copies(context: &Context, route: &Route) {
    let [big, _] = context.peers.big_files();
    let [there, back] = ["there", "back"].map(|name| context.folder.join(name));
    let scp = |from: String, to: String| {
        let scp = program("scp", ["-q", "-O"]).limit(COPY_TIMEOUT);
        let scp = route.ssh_options(context).iter().fold(scp, Program::arg);
        scp.arg(from).arg(to).run().expect_success();
    };
    scp(big.display().to_string(), format!("target:{}", there.display()));
    scp(format!("target:{}", there.display()), back.display().to_string());
    expect_same(big, &fs::read(&there).unwrap());
    expect_same(big, &fs::read(&back).unwrap());
}

fn clones(context: &Context, route: &Route) {
    let repository = repository(context);
    let clone = context.folder.join("clone");
    let ssh =
        route.ssh_options(context).iter().fold("ssh".to_owned(), |line, option| format!("{line} '{option}'"));
    let client = program("git", ["clone", "-q"]).arg(format!("target:{}", repository.display()));
    let client = client.arg(&clone).env("GIT_SSH_COMMAND", ssh).env("GIT_CONFIG_NOSYSTEM", "1");
    client.run().expect_success();
    expect_same(&repository.join("big"), &fs::read(clone.join("big")).unwrap());
    git(context, &["-C", "clone", "fsck", "--full"]);
}

/// Creates a repository with one big file.
fn repository(context: &Context) -> PathBuf {
    let repository = context.folder.join("repository");
    git(context, &["init", "-q", "repository"]);
    let [big, _] = context.peers.big_files();
    let mut part = File::open(big).unwrap().take(REPOSITORY_SIZE);
    std::io::copy(&mut part, &mut File::create(repository.join("big")).unwrap()).unwrap();
    git(context, &["-C", "repository", "add", "big"]);
    git(context, &["-C", "repository", "commit", "-qm", "a big file"]);
    repository
}

fn git(context: &Context, args: &[&str]) {
    let mut git = context.peers.command("git", &["-C"]);
    git.arg(&context.folder).args(["-c", "user.name=a", "-c", "user.email=a@b"]);
    run(git.env("GIT_CONFIG_NOSYSTEM", "1").args(args)).unwrap();
}

/// Idle for longer than the time limits of the servers in between, which are 60 s.
fn is_idle(context: &Context, route: &Route) {
    let out = route.ssh(context, "sleep 70; echo awake").limit(COPY_TIMEOUT).run();
    out.expect_success().expect_stdout("awake\n");
}

/// Returns a copy of the first `length` bytes of a big file.
pub(crate) fn part_of_big_file(context: &Context, length: u64) -> PathBuf {
    let [big, _] = context.peers.big_files();
    let path: &Path = &context.folder.join("part");
    let mut part = File::open(big).unwrap().take(length);
    std::io::copy(&mut part, &mut File::create(path).unwrap()).unwrap();
    path.to_owned()
}
