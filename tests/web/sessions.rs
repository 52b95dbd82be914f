//! Many sessions at once, and the faults of simpler tunnels over HTTP: one connection for all
//! clients, reconnections that nobody notices, no authentication, and data sent twice.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use crate::context::{Case, Context, Topic, fed};
use crate::daemon::free_port;
use crate::kit::Running;
use crate::routes::{POST_ROUTES, Route, WEBSOCKET_ROUTES, part_of_big_file};
use crate::servers::{LIGHTTPD, NGINX, Server};

const SESSIONS: usize = 20;

/// The number of bytes that each of many sessions sends and receives.
const PART: u64 = 1_000_000;

/// The routes on which many sessions run at once: one for each kind of server in between.
const BUSY_ROUTES: [&str; 6] = [
    "post to lighttpd",
    "post to apache-event",
    "post to apache-prefork",
    "post to nginx",
    "ws to nginx",
    "ws to the listener",
];

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("sessions");
    for route in POST_ROUTES.iter().chain(WEBSOCKET_ROUTES) {
        if BUSY_ROUTES.contains(&route.name) {
            topic.ours(format!("{SESSIONS} sessions at once do not mix: {}", route.name), |context| {
                many_sessions(context, route);
            });
        }
    }
    for scheme in ["post+http", "ws"] {
        topic.ours(format!("{scheme}: each session has its own connection to the target"), move |context| {
            has_own_connection(context, scheme);
        });
        topic.ours(format!("{scheme}: the target answers after the client's EOF"), move |context| {
            target_answers_after_eof(context, scheme);
        });
        topic.ours(format!("{scheme}: a target that closes ends the session"), move |context| {
            target_closes(context, scheme);
        });
        topic.ours(
            format!("{scheme}: a target that resets the connection breaks the session"),
            move |context| {
                target_resets(context, scheme);
            },
        );
        topic.ours(format!("{scheme}: a server needs tokens or --open"), move |context| {
            let port = free_port();
            let out = context.connect(format!("--listen {scheme}://127.0.0.1:{port}/t 127.0.0.1 22")).run();
            context.expect_failure(&out, 2, &["--token-keys", "--open"]);
        });
    }
    for (path, parts) in [
        ("/login", ["is not a POST tunnel", "text/html"]),
        ("/page.html", ["404", ""]),
        ("/absent", ["404", ""]),
        ("/moved", ["302", ""]),
    ] {
        topic.ours(format!("post: a web server without a tunnel at {path} is reported"), move |context| {
            let out = context.connect(format!("-x post+http://{}{path}", context.address(NGINX))).run();
            context.expect_failure(&out, 5, &parts);
        });
    }
    for (server, name) in [(NGINX, "nginx"), (LIGHTTPD, "lighttpd")] {
        topic.ours(format!("ws: {name} without a WebSocket is reported"), move |context| {
            let out = context.connect(format!("-x ws://{}/absent", context.address(server))).run();
            context.expect_failure(&out, 5, &["404"]);
        });
    }
    for (path, part) in [("/login", "200"), ("/moved", "302"), ("/stripped", "426")] {
        topic.ours(format!("ws: nginx at {path} is reported"), move |context| {
            let out = context.connect(format!("-x ws://{}{path}", context.address(NGINX))).run();
            context.expect_failure(&out, 5, &[part]);
        });
    }
    topic.into_cases()
}

fn many_sessions(context: &Context, route: &Route) {
    let part = part_of_big_file(context, PART);
    let start = |number| fed(route.ssh(context, &format!("cat && echo end of {number}")), &part).start();
    let sessions: Vec<_> = (0..SESSIONS).map(start).collect();
    let part = fs::read(&part).unwrap();
    for (number, mut session) in sessions.into_iter().enumerate() {
        let out = session.wait();
        out.expect_success();
        let expected = [&*part, format!("end of {number}\n").as_bytes()].concat();
        assert!(out.stdout == expected, "session {number} differs: {out:?}");
    }
    context.expect_log_lines(Server::Sshd, &["Accepted publickey"], SESSIONS);
}

/// The program under test as a listener of its own, in front of a target that the case plays.
pub(crate) struct Listener {
    pub(crate) run: Running,
    pub(crate) url: String,
}

impl Listener {
    /// Starts a listener and waits until it accepts connections.
    pub(crate) fn start(context: &Context, scheme: &str, port: u16, target: u16) -> Self {
        let url = format!("{scheme}://127.0.0.1:{port}/tunnel");
        let run = context.connect(format!("--listen {url} --open 127.0.0.1 {target}")).start();
        wait_for_listener(&run, port);
        Self { run, url }
    }
}

/// Waits until the program listens on this port.
pub(crate) fn wait_for_listener(run: &Running, port: u16) {
    let start = std::time::Instant::now();
    while !crate::daemon::has_listener(port) {
        assert!(
            run.is_running() && start.elapsed() < crate::kit::TIMEOUT,
            "no listener: {}",
            run.stderr_so_far()
        );
        thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Plays a target: calls `serve` with each connection and its number. Returns the target's port.
pub(crate) fn target(serve: impl Fn(TcpStream, usize) + Send + 'static) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let accept = move || {
        for (number, client) in listener.incoming().flatten().enumerate() {
            serve(client, number);
        }
    };
    (port, thread::spawn(accept))
}

/// Two sessions that overlap in time: each connection to the target shows its number.
fn has_own_connection(context: &Context, scheme: &str) {
    let (target, _) = target(|mut client, number| {
        thread::spawn(move || {
            client.write_all(format!("connection {number}\n").as_bytes()).unwrap();
            std::io::copy(&mut client.try_clone().unwrap(), &mut client)
        });
    });
    let listener = Listener::start(context, scheme, free_port(), target);
    let client = || context.connect(format!("-x {}", listener.url)).start();
    let mut first = client();
    first.wait_stdout_has("connection 0\n");
    let mut second = client();
    second.wait_stdout_has("connection 1\n");
    for (session, text) in [(&mut first, "to the first\n"), (&mut second, "to the second\n")] {
        session.send(text);
        session.wait_stdout_has(text);
    }
    let [first, second] = [first.finish(), second.finish()];
    first.expect_success().expect_stdout("connection 0\nto the first\n");
    second.expect_success().expect_stdout("connection 1\nto the second\n");
}

/// The client must not be connected to the target a second time.
fn target_closes(context: &Context, scheme: &str) {
    let (target, _) = target(|mut client, number| {
        client.write_all(format!("goodbye {number}\n").as_bytes()).unwrap();
    });
    let listener = Listener::start(context, scheme, free_port(), target);
    let mut session = context.connect(format!("-x {}", listener.url)).start();
    // Input that arrives later must not open another connection.
    session.wait_stdout_has("goodbye 0\n");
    let out = session.wait();
    out.expect_success().expect_stdout("goodbye 0\n");
    let next = context.connect(format!("-x {}", listener.url)).run();
    next.expect_success().expect_stdout("goodbye 1\n");
}

/// The client's EOF reaches the target, whose answer still reaches the client.
fn target_answers_after_eof(context: &Context, scheme: &str) {
    let (target, _) = target(|mut client, _| {
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        client.write_all(format!("{} bytes\n", received.len()).as_bytes()).unwrap();
        client.write_all(&received).unwrap();
    });
    let listener = Listener::start(context, scheme, free_port(), target);
    let sent = crate::kit::bytes(3, 3_000_000);
    let out = context.connect(format!("-x {}", listener.url)).input(sent.clone()).run();
    out.expect_success();
    assert!(out.stdout == [b"3000000 bytes\n", &*sent].concat(), "{out:?}");
}

fn target_resets(context: &Context, scheme: &str) {
    let (target, _) = target(|mut client, _| {
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    });
    let listener = Listener::start(context, scheme, free_port(), target);
    let mut session = context.connect(format!("-x {}", listener.url)).start();
    session.wait_stdout_has("hello");
    session.send("hello");
    session.wait().expect_failure(8, &["lost the connection", "data may be missing"]);
    assert!(listener.run.is_running(), "{}", listener.run.stderr_so_far());
}
