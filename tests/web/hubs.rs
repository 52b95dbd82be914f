//! Several hubs behind haproxy and nginx, with the configurations in `examples/relay`.
//!
//! Each session has an origin of its own, whose target sends the session's number. The hubs log
//! each request (`-d`), which shows the hub that has a session.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::context::{Case, Context, Topic};
use crate::daemon::{Daemon, free_port};
use crate::kit::Running;
use crate::peers::write;
use crate::sessions::{target, wait_for_listener};

const SESSIONS: usize = 90;

/// Each of these sessions has clients that stay connected.
const LIVE: usize = 20;

/// The addresses of the hubs in the examples.
pub(crate) const HUBS: [&str; 3] = ["192.0.2.11:8080", "192.0.2.12:8080", "192.0.2.13:8080"];

/// Clients that start at once.
const BATCH: usize = 30;

/// Time limit for a whole case, and for each wait in it.
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Balancer {
    Haproxy,
    Nginx,
}

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("hubs");
    for (balancer, name) in [(Balancer::Haproxy, "haproxy"), (Balancer::Nginx, "nginx")] {
        topic.ours(
            format!("{name}: only the sessions of a hub that goes down move, and none when it returns"),
            move |context| hub_goes_down_and_returns(context, balancer),
        );
        topic.ours(
            format!("{name}: a hub that shuts down keeps its connections while its sessions move"),
            move |context| hub_shuts_down(context, balancer),
        );
        topic.ours(format!("{name}: statistics and unknown paths are not passed on"), move |context| {
            only_sessions_are_passed_on(context, balancer);
        });
    }
    topic.into_cases()
}

/// A hub, which may be killed and started again at the same port.
struct Hub {
    port: u16,
    run: Running,
    /// The length of its log when the current step began.
    mark: usize,
}

impl Hub {
    fn start(context: &Context, port: u16) -> Self {
        // On a busy machine, its sessions may take long to move.
        let args =
            format!("-d --open --drain 150 --trust-forwarded 127.0.0.1/32 --relay ws://127.0.0.1:{port}");
        let run = context.connect(args).limit(LIMIT).start();
        wait_for_listener(&run, port);
        Self { port, run, mark: 0 }
    }

    fn kill(&mut self) {
        self.run.signal(Signal::KILL);
        self.run.wait();
        // The outcome of the run contains the log.
        self.mark = 0;
    }

    /// Returns the sessions of the requests of this kind since the step began, in their order.
    fn requests(&self, kind: &str) -> Vec<usize> {
        let log = self.run.stderr_so_far();
        let start = format!("Request({kind} {{ session: \"s");
        let sessions = log[self.mark..].split(&start).skip(1);
        let numbers = sessions.filter_map(|rest| rest.split_once('"')?.0.parse().ok());
        numbers.collect()
    }

    /// Returns the number of sessions with an origin.
    fn sessions(&self) -> usize {
        let page = page(self.port, "/v1/stats").1;
        let number = page.split("\"sessions\":").nth(1).and_then(|rest| rest.split(['}', ',']).next());
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no statistics: {page}"))
    }
}

/// Returns the status and the body of a page.
pub(crate) fn page(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: hub.example\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (answer[9..12].parse().unwrap(), body.to_owned())
}

/// A client that stays connected.
struct Live {
    session: usize,
    is_link: bool,
    run: Running,
}

impl Live {
    /// Sends a line, and expects the target's answer.
    fn expect_echo(&mut self, line: &str) {
        self.run.send(line);
        self.run.wait_stdout_has(line);
    }
}

/// Three hubs and a balancer, with the origins of all sessions.
struct Cluster<'a> {
    context: &'a Context<'a>,
    hubs: Vec<Hub>,
    balancer: Daemon,
    origins: Vec<Daemon>,
}

impl<'a> Cluster<'a> {
    fn start(context: &'a Context<'a>, balancer: Balancer) -> Self {
        let hubs: Vec<_> = HUBS.iter().map(|_| Hub::start(context, free_port())).collect();
        let balancer = start_balancer(context, balancer, &hubs);
        Self { context, hubs, balancer, origins: Vec::new() }
    }

    /// Starts the origins of these sessions. Their clients may have to wait until they are
    /// registered.
    fn start_origins(&mut self, sessions: Range<usize>) {
        for session in sessions {
            let (port, _) = target(move |mut client, _| {
                thread::spawn(move || {
                    writeln!(client, "session {session}")?;
                    std::io::copy(&mut client.try_clone()?, &mut client)
                });
            });
            let url = self.url("relay+wss", &format!("/s{session}#"));
            let program = self.context.peers.connect.display().to_string();
            let mut origin = self.context.peers.command(&program, &["--origin", &url, "127.0.0.1"]);
            origin.arg(port.to_string());
            let output = self.context.folder.join("origins.log");
            self.origins.push(Daemon::spawn("origin", origin, &output, Vec::new()).unwrap());
        }
    }

    /// Returns a URL of the balancer. `path` ends in the character before the options.
    fn url(&self, scheme: &str, path: &str) -> String {
        let authority = self.context.peers.certificates().path("ca", "pem");
        format!("{scheme}://localhost:{}{path}tls-ca={}", self.balancer.ports[0], authority.display())
    }

    /// Starts a client that keeps a link to the origin of a session.
    fn link(&self, session: usize) -> Running {
        let url = self.url("relay+wss", &format!("/s{session}#"));
        self.context.connect(format!("-x {url}")).limit(LIMIT).start()
    }

    /// Starts clients that stay connected: one with a link and one without for some sessions.
    fn start_live(&self) -> Vec<Live> {
        let start = |session, is_link| {
            let run = if is_link { self.link(session) } else { self.client(session) };
            Live { session, is_link, run }
        };
        let live: Vec<_> =
            (0..LIVE).flat_map(|session| [start(session, false), start(session, true)]).collect();
        for client in &live {
            client.run.wait_stdout_has(format!("session {}\n", client.session));
        }
        live
    }

    /// Starts a client of a session.
    fn client(&self, session: usize) -> Running {
        let url = self.url("wss", &format!("/v1/s{session}/dest#"));
        self.context.connect(format!("-x {url}")).limit(LIMIT).start()
    }

    /// Connects a client to each session, and expects the right target.
    fn visit_all(&self) {
        for begin in (0..SESSIONS).step_by(BATCH) {
            let clients: Vec<_> = (begin..begin + BATCH).map(|session| self.client(session)).collect();
            for (session, client) in (begin..).zip(clients) {
                client.finish().expect_success().expect_stdout(format!("session {session}\n"));
            }
        }
    }

    /// Visits all sessions until the balancer has asked this hub for those that have moved to
    /// others. nginx has no table of sessions: it asks the hub that has returned first, and then
    /// the next one.
    fn visit_until_asked(&mut self, hub: usize, moved: &BTreeMap<usize, usize>) {
        let begin = Instant::now();
        loop {
            self.mark();
            self.visit_all();
            let asked: BTreeSet<_> = self.hubs[hub].requests("Dest").into_iter().collect();
            if asked.iter().eq(moved.keys()) {
                return;
            }
            assert!(begin.elapsed() < LIMIT, "expected {moved:?}, got {asked:?}");
        }
    }

    /// Begins a step.
    fn mark(&mut self) {
        for hub in &mut self.hubs {
            hub.mark = hub.run.stderr_so_far().len();
        }
    }

    /// Returns the hub of each session in the requests of this kind since the step began. A session
    /// at two hubs is an error.
    fn hubs_of(&self, kind: &str) -> BTreeMap<usize, usize> {
        let mut found = BTreeMap::new();
        for (number, hub) in self.hubs.iter().enumerate() {
            for session in hub.requests(kind) {
                let other = found.insert(session, number);
                assert!(
                    other.is_none_or(|other| other == number),
                    "{kind} of session {session} at hubs {other:?} and {number}"
                );
            }
        }
        found
    }

    /// Waits until the hubs have this number of sessions in all.
    fn wait_for_sessions(&self, hubs: &[usize], count: usize) {
        let sum = || hubs.iter().map(|hub| self.hubs[*hub].sessions()).sum::<usize>();
        wait_until(&format!("{count} sessions"), || sum() == count);
    }

    /// Starts origins of new sessions until the hub gets one, which shows that the balancer uses
    /// it.
    fn wait_until_used(&mut self, hub: usize) {
        let begin = Instant::now();
        let mut next = self.origins.len();
        while self.hubs[hub].requests("Origin").is_empty() {
            assert!(begin.elapsed() < LIMIT, "the balancer does not use hub {hub}");
            self.start_origins(next..next + 1);
            next += 1;
            sleep(Duration::from_millis(200));
        }
    }
}

fn wait_until(what: &str, is_done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_done() {
        assert!(begin.elapsed() < LIMIT, "waiting for {what}");
        sleep(Duration::from_millis(50));
    }
}

/// Starts a balancer with its example. Only addresses and files differ.
fn start_balancer(context: &Context, balancer: Balancer, hubs: &[Hub]) -> Daemon {
    let folder = &context.folder;
    let certificates = context.peers.certificates();
    let [certificate, key] = ["pem", "key"].map(|extension| certificates.path("good", extension));
    let pem = [&certificate, &key].map(|path| fs::read_to_string(path).unwrap()).concat();
    let pem = context.file("hub.pem", pem);
    let files = |text: &str| {
        let text = HUBS.iter().zip(hubs).fold(text.to_owned(), |text, (address, hub)| {
            assert!(text.contains(address), "no {address} in {text}");
            text.replace(address, &format!("127.0.0.1:{}", hub.port))
        });
        text.replace("/etc/haproxy/hub.example.pem", &pem.display().to_string())
            .replace("/etc/nginx/hub.example.pem", &certificate.display().to_string())
            .replace("/etc/nginx/hub.example.key", &key.display().to_string())
    };
    let daemon = Daemon::start("balancer", 1, &folder.join("balancer.log"), |ports| match balancer {
        Balancer::Haproxy => {
            let config = files(include_str!("../../examples/relay/haproxy.cfg"))
                .replace("log /dev/log local0", "log stderr format raw local0")
                .replace("bind :443", &format!("bind 127.0.0.1:{}", ports[0]));
            context.peers.command("haproxy", &["-db", "-f", &write(folder, "config", config)])
        }
        Balancer::Nginx => {
            let site = files(include_str!("../../examples/relay/nginx.conf"))
                .replace("listen 443", &format!("listen 127.0.0.1:{}", ports[0]));
            let paths: String = ["client_body", "proxy", "scgi", "fastcgi", "uwsgi"]
                .map(|name| format!("{name}_temp_path {}/{name};\n", folder.display()))
                .concat();
            let config = format!(
                "daemon off;
                user root;
                pid {folder}/pid;
                error_log stderr;
                events {{ worker_connections 2000; }}
                http {{
                access_log {folder}/access.log;
                {paths}
                {site}
                }}\n",
                folder = folder.display(),
            );
            context.peers.command("nginx", &["-e", "stderr", "-c", &write(folder, "config", config)])
        }
    });
    daemon.unwrap_or_else(|error| panic!("{error}"))
}

fn hub_goes_down_and_returns(context: &Context, balancer: Balancer) {
    let mut cluster = Cluster::start(context, balancer);
    cluster.start_origins(0..SESSIONS);
    cluster.wait_for_sessions(&[0, 1, 2], SESSIONS);
    let before = cluster.hubs_of("Origin");
    assert_eq!(before.len(), SESSIONS);
    for _ in 0..3 {
        cluster.visit_all();
    }
    for kind in ["Origin", "Dest", "Accept"] {
        assert_eq!(cluster.hubs_of(kind), before, "{kind}");
    }
    for hub in 0..HUBS.len() {
        assert!(before.values().any(|other| *other == hub), "hub {hub} has no session");
    }

    let mut live = cluster.start_live();
    cluster.mark();
    cluster.hubs[1].kill();
    cluster.wait_for_sessions(&[0, 2], SESSIONS);
    // Links are resumed at another hub. Other connections end with their hub.
    for client in &mut live {
        if client.is_link || before[&client.session] != 1 {
            client.expect_echo("while a hub is down\n");
        } else {
            client.run.wait().expect_code(8);
        }
    }
    live.retain(|client| client.is_link || before[&client.session] != 1);
    let moved = cluster.hubs_of("Origin");
    let homeless: Vec<_> = before.iter().filter(|(_, hub)| **hub == 1).map(|(session, _)| session).collect();
    assert!(moved.keys().eq(homeless), "others moved, too: {moved:?}\nbefore: {before:?}");
    cluster.visit_all();
    let mut expected = before.clone();
    expected.extend(&moved);
    assert_eq!(cluster.hubs_of("Dest"), expected);

    cluster.mark();
    cluster.hubs[1] = Hub::start(context, cluster.hubs[1].port);
    cluster.wait_until_used(1);
    cluster.mark();
    match balancer {
        Balancer::Haproxy => {
            cluster.visit_all();
            assert_eq!(cluster.hubs_of("Dest"), expected);
        }
        Balancer::Nginx => cluster.visit_until_asked(1, &moved),
    }
    assert_eq!(cluster.hubs_of("Origin"), BTreeMap::new());
    for mut client in live {
        client.expect_echo("after the hub has returned\n");
        client.run.finish().expect_success();
    }
}

fn hub_shuts_down(context: &Context, balancer: Balancer) {
    let mut cluster = Cluster::start(context, balancer);
    cluster.start_origins(0..SESSIONS);
    cluster.wait_for_sessions(&[0, 1, 2], SESSIONS);
    let before = cluster.hubs_of("Origin");
    let mut live = cluster.start_live();
    let hub = before[&0];
    let others: Vec<_> = (0..HUBS.len()).filter(|other| *other != hub).collect();
    cluster.mark();
    cluster.hubs[hub].run.signal(Signal::TERM);
    // The balancer may not know yet.
    cluster.visit_all();
    cluster.wait_for_sessions(&others, SESSIONS);
    for client in &mut live {
        client.expect_echo("during the drain\n");
    }
    let unmoved = others.iter().flat_map(|other| cluster.hubs[*other].requests("Origin"));
    let unmoved: Vec<_> = unmoved.filter(|session| before[session] != hub).collect();
    assert!(unmoved.is_empty(), "sessions of other hubs registered again: {unmoved:?}");
    for client in live {
        client.run.finish().expect_success();
    }
    // The last connection has ended before the time of --drain.
    let end = cluster.hubs[hub].run.wait();
    end.expect_code(0);
}

fn only_sessions_are_passed_on(context: &Context, balancer: Balancer) {
    let cluster = Cluster::start(context, balancer);
    let authority = context.peers.certificates().path("ca", "pem").display().to_string();
    for path in ["/", "/v1/health", "/v1/stats", "/metrics", "/status", "/v1/a%20b/dest"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: hub.example\r\nConnection: close\r\n\r\n");
        let target = format!("localhost {}", cluster.balancer.ports[0]);
        let out = context.connect(format!("--tls-target --tls-ca {authority} {target}")).input(request).run();
        assert!(out.stdout.starts_with(b"HTTP/1.1 404 "), "{path}: {out:?}");
    }
    for hub in &cluster.hubs {
        assert_eq!(page(hub.port, "/v1/health"), (200, "ok\n".to_owned()));
        assert!(!hub.run.stderr_so_far().contains("Request("), "{}", hub.run.stderr_so_far());
    }
}
