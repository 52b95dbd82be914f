//! What users do through a hub: terminals, large transfers, and sessions that outlive a token.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::termios::{Winsize, tcsetwinsize};

use crate::context::{Case, Context, Topic, program};
use crate::faults::{DOWN, UP, exchanging_target};
use crate::kit::{Digest, MIB, Program, Pty, copy, data, pipe};
use crate::servers::{BIG, HUB, Server};
use crate::sessions::target;
use crate::token_hub::{Hub, Keys, origin};

/// The terminals at once, and how long they are used.
const TERMINALS: usize = 3;
const TERMINAL_TIME: Duration = Duration::from_secs(5);
const FULL_TERMINAL_TIME: Duration = Duration::from_secs(60);

/// The interval at which top updates its screen.
const UPDATE_INTERVAL: Duration = Duration::from_millis(500);

/// Time limit for a large transfer.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(600);

/// Connections one after another whose first bytes are recorded.
const IDENTIFICATIONS: usize = 20;

pub(crate) fn cases(full: bool) -> Vec<Case> {
    let mut topic = Topic::new("scenarios");
    let time = if full { FULL_TERMINAL_TIME } else { TERMINAL_TIME };
    let size = if full { 1024 * MIB } else { BIG };
    for (client, name) in [(Client::Raw, "ws"), (Client::Link, "relay+ws")] {
        topic.ours(
            format!("{name}: {TERMINALS} ssh sessions run top at once for {} s", time.as_secs()),
            move |context| terminals(context, client, time),
        );
        topic.ours(format!("{name}: the target's greeting reaches a silent client"), move |context| {
            greeting_reaches_a_silent_client(context, client);
        });
        topic.ours(
            format!("{name}: the target receives the client's identification first"),
            move |context| {
                identification_comes_first(context, client);
            },
        );
        topic.ours(
            format!("{name}: {} MiB arrive intact both ways in fragments of random sizes", size / MIB),
            move |context| fragments(context, client, size),
        );
    }
    topic.ours("a hub that is killed and started again serves new sessions", restarted_hub);
    topic.ours("a token that expires ends the ssh session", expired_token);
    topic.into_cases()
}

/// A client of the session `lab`.
#[derive(Clone, Copy)]
enum Client {
    /// Any WebSocket client.
    Raw,
    /// A client with links, which can be resumed.
    Link,
}

impl Client {
    /// Returns the arguments for a hub.
    fn args(self, hub: u16) -> String {
        match self {
            Self::Raw => format!("-x ws://127.0.0.1:{hub}/v1/lab/dest"),
            Self::Link => format!("-x relay+ws://127.0.0.1:{hub}/lab"),
        }
    }

    /// Returns the `ProxyCommand` for a hub.
    fn proxy_command(self, context: &Context, hub: u16) -> String {
        format!("{} {}", context.peers.connect.display(), self.args(hub))
    }
}

fn ssh(context: &Context, proxy_command: &str) -> Program {
    program("ssh", context.ssh_options(proxy_command))
}

fn terminals(context: &Context, client: Client, time: Duration) {
    context.peers.daemon(Server::Origin);
    let command = client.proxy_command(context, context.peers.port(HUB));
    let spans: Vec<_> = thread::scope(|scope| {
        let start = |ssh| scope.spawn(move || terminal(ssh, time));
        let runs: Vec<_> = (0..TERMINALS).map(|_| start(ssh(context, &command))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let (last_start, first_end) =
        (spans.iter().map(|span| span.0).max().unwrap(), spans.iter().map(|span| span.1).min().unwrap());
    assert!(last_start < first_end, "the sessions did not overlap");
}

/// Runs top on a terminal for this time, and expects it to update its screen. Returns the times of
/// the first and the last update.
fn terminal(ssh: Program, time: Duration) -> (Instant, Instant) {
    let pty = Pty::new();
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(pty.slave(), size).unwrap();
    let ssh = ssh.arg("-tt").arg("target").arg(format!("top -d {}", UPDATE_INTERVAL.as_secs_f32()));
    let ssh = ssh.env("TERM", "xterm").limit(time + TRANSFER_TIMEOUT).terminal(&pty);
    let mut run = ssh.stdin(pty.slave()).stdout(pty.slave()).start();
    let (mut screen, mut updates) = (Vec::new(), Vec::new());
    let mut chunk = [0; 4096];
    // At least half of the updates: a busy machine may be late.
    let expected = time.as_millis() / UPDATE_INTERVAL.as_millis() / 2;
    let is_over = |first: &Instant, count: usize| first.elapsed() >= time && count as u128 >= expected;
    while !updates.first().is_some_and(|first| is_over(first, updates.len())) {
        let length = (&pty).read(&mut chunk).expect("top stopped updating its screen");
        screen.extend_from_slice(&chunk[..length]);
        let seen = String::from_utf8_lossy(&screen).matches("load average").count();
        updates.resize(seen, Instant::now());
    }
    (&pty.master).write_all(b"q").unwrap();
    // The terminal holds a few KiB, so it must be read until the program has exited.
    let is_running = run.running_check();
    let reader = thread::spawn(move || while is_running() && (&pty).read(&mut chunk).is_ok() {});
    run.wait().expect_code(0);
    drop(reader);
    (updates[0], updates[updates.len() - 1])
}

fn greeting_reaches_a_silent_client(context: &Context, client: Client) {
    context.peers.daemon(Server::Origin);
    let args = client.args(context.peers.port(HUB));
    for _ in 0..IDENTIFICATIONS {
        let client = context.connect(&args).start();
        client.wait_stdout_has("SSH-2.0-");
        client.finish().expect_success();
    }
}

/// The target is a relay to sshd that records the first bytes from the client.
fn identification_comes_first(context: &Context, client: Client) {
    let (sshd, records) = (context.port(), Arc::new(Mutex::new(Vec::new())));
    let (port, _) = target({
        let records = Arc::clone(&records);
        move |mut client, _| {
            let mut first = [0; 8];
            let mut server = TcpStream::connect(("127.0.0.1", sshd)).unwrap();
            let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                let _ = copy(&mut from_server, &mut to_client);
                to_client.shutdown(Shutdown::Write)
            });
            let records = Arc::clone(&records);
            thread::spawn(move || {
                client.read_exact(&mut first)?;
                records.lock().unwrap_or_else(PoisonError::into_inner).push(first);
                server.write_all(&first)?;
                let _ = copy(&mut client, &mut server);
                server.shutdown(Shutdown::Write)
            });
        }
    });
    let hub = Hub::open(context);
    let _origin = origin(context, hub.port, port, "");
    for _ in 0..IDENTIFICATIONS {
        let command = client.proxy_command(context, hub.port);
        ssh(context, &command)
            .arg("target")
            .arg("echo welcome")
            .run()
            .expect_success()
            .expect_stdout("welcome\n");
    }
    let records = records.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(*records, vec![*b"SSH-2.0-"; IDENTIFICATIONS]);
}

fn fragments(context: &Context, client: Client, size: u64) {
    let (port, received) = exchanging_target(size, Duration::ZERO);
    let hub = Hub::open(context);
    let _origin = origin(context, fragmenting_relay(hub.port, 1), port, "");
    let client = context.connect(client.args(fragmenting_relay(hub.port, 2)));
    let (reader, writer) = pipe();
    let down = thread::spawn(move || Digest::from_reader(reader));
    let mut client = client.limit(TRANSFER_TIMEOUT).stdout(writer).start();
    client.feed(data(UP, size));
    client.wait().expect_success();
    assert_eq!(down.join().unwrap(), Digest::from_reader(data(DOWN, size)));
    let up = received.recv_timeout(crate::kit::TIMEOUT).unwrap();
    assert_eq!(up, Digest::from_reader(data(UP, size)));
}

/// Starts a relay to this port that forwards each direction in pieces of random sizes. Returns its
/// port.
fn fragmenting_relay(to: u16, seed: u64) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (number, client) in (0..).zip(listener.incoming().flatten()) {
            let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
            for (direction, from, to) in [(0, &client, &server), (1, &server, &client)] {
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                let seed = seed << 32 | number << 1 | direction;
                thread::spawn(move || forward_in_fragments(from, to, seed));
            }
        }
    });
    port
}

/// Most pieces are smaller than a frame's header or larger than a packet.
fn forward_in_fragments(mut from: TcpStream, mut to: TcpStream, seed: u64) {
    let mut random = data(seed, u64::MAX);
    let mut number = || {
        let mut bytes = [0; 8];
        random.read_exact(&mut bytes).unwrap();
        usize::try_from(u64::from_le_bytes(bytes) >> 8).unwrap()
    };
    to.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let limit = [16, 2_000, buffer.len(), buffer.len()][number() % 4];
        let length = 1 + number() % limit;
        match from.read(&mut buffer[..length]) {
            Ok(0) => break drop(to.shutdown(Shutdown::Write)),
            Ok(length) if to.write_all(&buffer[..length]).is_ok() => {}
            // Either end has closed its connection.
            _ => break drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both))),
        }
    }
}

fn expired_token(context: &Context) {
    const LIFETIME: f32 = 5.0;
    let keys = Keys::new(context);
    let hub = keys.hub("");
    let _origin = keys.origin(hub.port, context.port());
    let begin = Instant::now();
    let token = keys.token("client.token", &format!("role=dest,session=lab,ttl={LIFETIME}"));
    let command =
        format!("{} --token-file {}", Client::Raw.proxy_command(context, hub.port), token.display());
    let session = ssh(context, &command).arg("target").arg("echo welcome; sleep 30").start();
    session.wait_stdout_has("welcome\n");
    let out = session.finish();
    // Times in tokens are whole seconds, and access ends within 2 seconds.
    let lifetime = begin.elapsed().as_secs_f32();
    assert!((LIFETIME - 1.0..LIFETIME + 3.0).contains(&lifetime), "{lifetime} s: {out:?}");
    out.expect_code(255);
    out.expect_stderr_has("token expired at ");
}

/// The session of a raw client ends, but the origin registers again.
fn restarted_hub(context: &Context) {
    let mut hub = Hub::open(context);
    let _origin = origin(context, hub.port, context.port(), "");
    let command = Client::Raw.proxy_command(context, hub.port);
    let session = ssh(context, &command).arg("target").arg("echo welcome; sleep 30").start();
    session.wait_stdout_has("welcome\n");
    hub.restart(context);
    let out = session.finish();
    out.expect_code(255);
    out.expect_stderr_has("lost the connection");
    let next = ssh(context, &command).arg("target").arg("echo welcome back").run();
    next.expect_success().expect_stdout("welcome back\n");
}
