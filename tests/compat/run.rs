//! One run of one program in one case, and what was seen of it.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::case::{Case, Stdin};
use crate::kit::{Program, Pty, RefusingPort, Running, Server, SilentPort, script};
use crate::name_server::NameServer;
use crate::peer::Talk;
use crate::world::World;

/// A run that takes longer is stopped.
const LIMIT: Duration = Duration::from_secs(10);

/// What was seen, as text: each line begins with what it is about.
pub(crate) struct Seen {
    pub(crate) exit: &'static str,
    pub(crate) output: String,
    pub(crate) wire: String,
    pub(crate) prompt: String,
    pub(crate) debug: String,
    /// All of stderr, for failure reports.
    pub(crate) stderr: String,
}

/// What a run needs from the machine, and the values of the placeholders.
struct Around {
    peers: Vec<(&'static str, Server)>,
    ports: Vec<(&'static str, u16)>,
    _refused: Option<RefusingPort>,
    _silent: Option<SilentPort>,
    _name_server: Option<NameServer>,
}

impl Around {
    fn new(case: &Case) -> Self {
        let mentions = |name: &str| {
            let variables = case.variables.iter().map(|(_, value)| value.as_str());
            variables.chain([case.words.as_str()]).any(|text| text.contains(&format!("{{{name}")))
        };
        let peers: Vec<_> = case.peers.iter().map(|(name, talks)| (*name, serve(talks))).collect();
        let mut ports: Vec<_> = peers.iter().map(|(name, server)| (*name, server.port())).collect();
        let refused = mentions("refused").then(RefusingPort::new);
        let silent = mentions("silent").then(SilentPort::new);
        let name_server = mentions("dns").then(NameServer::new);
        ports.extend(refused.as_ref().map(|port| ("refused", port.port())));
        ports.extend(silent.as_ref().map(|port| ("silent", port.port())));
        ports.extend(name_server.as_ref().map(|server| ("dns", server.port())));
        if mentions("local") {
            ports.push(("local", free_port()));
        }
        Self { peers, ports, _refused: refused, _silent: silent, _name_server: name_server }
    }

    fn fill(&self, text: &str, directory: &str) -> String {
        let mut text = text.replace("{dir}", directory);
        for (name, port) in &self.ports {
            text = text.replace(&format!("{{{name}.port}}"), &port.to_string());
            let address = if *name == "local" { port.to_string() } else { format!("127.0.0.1:{port}") };
            text = text.replace(&format!("{{{name}}}"), &address);
        }
        text
    }

    /// The other way round: ports and paths, which differ from run to run, become names.
    fn unfill(&self, text: &str, directory: &str) -> String {
        let mut text = text.replace(directory, "{dir}");
        for (name, port) in &self.ports {
            text = replace_number(&text, &port.to_string(), &format!("{{{name}}}"));
        }
        text
    }
}

/// Replaces a number where it is not a part of a longer one.
fn replace_number(text: &str, number: &str, name: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(number) {
        let (before, after) = (&rest[..at], &rest[at + number.len()..]);
        let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let part = is_digit(before.chars().next_back().or(out.chars().next_back()))
            || is_digit(after.chars().next());
        out.push_str(before);
        out.push_str(if part { number } else { name });
        rest = after;
    }
    out + rest
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap().local_addr().unwrap().port()
}

fn serve(talks: &[Talk]) -> Server {
    let last = talks.last().cloned().unwrap_or_default();
    let talks = Mutex::new(VecDeque::from(talks.to_vec()));
    Server::repeat(move || {
        let talk = talks.lock().unwrap().pop_front().unwrap_or_else(|| last.clone());
        script().then("talk", move |session| {
            let mut all = Vec::new();
            talk.perform(session.stream(), &mut |bytes| {
                all.extend_from_slice(bytes);
                session.record().received.clone_from(&all);
            });
            if talk.ends_by_reset() {
                session.close();
            }
            Ok(())
        })
    })
}

/// Runs the case with this program; for longer than `hangs` only if nothing is said there.
pub(crate) fn run(case: &Case, program: &Path, hangs: Option<Duration>) -> Seen {
    let around = Around::new(case);
    let world = World::new(case, &|text, directory| around.fill(text, directory));
    let directory = world.name();
    let fill = |text: &str| around.fill(text, &directory);

    let mut command = world.program(program, case.called, case.redirection).limit(Duration::from_secs(60));
    for word in words(&case.words) {
        command = command.arg(fill(&word));
    }
    if case.knows_password {
        command = command.env("SOCKS5_PASSWORD", "secret");
    }
    for (name, value) in &case.variables {
        command = command.env(name, fill(value));
    }
    let prompt = Arc::new(Mutex::new(Vec::new()));
    if let Some(line) = case.typed {
        command = type_when_asked(command, line, &prompt);
    }
    let mut running = start(command, &case.stdin);
    let client = case.client.clone().map(|talk| {
        let port = fill("{local}").parse().expect("a client needs {local} in the words");
        let (after, outside) = (case.client_after, case.from_outside);
        thread::spawn(move || {
            thread::sleep(after);
            connect(&talk, port, outside)
        })
    });

    let hung = !ends_within(&running, hangs.unwrap_or(LIMIT));
    if hung {
        running.signal(Signal::KILL);
    }
    let outcome = running.wait();
    assert!(outcome.code != Some(97), "an /etc of its own: {}", outcome.stderr_text());
    let client = client.map(|client| client.join().unwrap());

    let unfill = |text: String| around.unfill(&text, &directory);
    let mut output = line("stdout", &outcome.stdout);
    if let Some(got) = client {
        output += &line("client got", &got);
    }
    let mut asked = line("terminal", &prompt.lock().unwrap());
    asked += &line("askpass", &world.asked().unwrap_or_default());
    let stderr = unfill(outcome.stderr_text());
    let seen = Seen {
        exit: match outcome.code {
            _ if hung => "exit: none, stopped\n",
            Some(0) => "exit: zero\n",
            _ => "exit: not zero\n",
        },
        output: unfill(output),
        wire: String::new(),
        prompt: unfill(asked),
        debug: debug_lines(&stderr),
        stderr,
    };
    let mut wire = String::new();
    for (name, server) in around.peers {
        for (number, record) in (1..).zip(server.finish()).take(5) {
            wire += &line(&format!("{name} {number} got"), &record.received);
        }
    }
    let ports =
        Around { peers: Vec::new(), ports: around.ports, _refused: None, _silent: None, _name_server: None };
    Seen { wire: ports.unfill(&wire, &directory), ..seen }
}

/// Words of a command line; `'…'` holds blanks together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn start(command: Program, stdin: &Stdin) -> Running {
    match stdin {
        Stdin::Bytes(bytes) => command.input(bytes.clone()).start(),
        Stdin::Open(bytes) => {
            let mut running = command.start();
            running.send(bytes);
            running
        }
    }
}

fn type_when_asked(command: Program, line: &'static str, prompt: &Arc<Mutex<Vec<u8>>>) -> Program {
    let pty = Pty::new();
    let command = command.terminal(&pty);
    let prompt = Arc::clone(prompt);
    thread::spawn(move || {
        let mut byte = [0];
        // It fails after some seconds of silence, and then there was no question.
        while (&pty).read(&mut byte).is_ok_and(|length| length > 0) {
            let mut asked = prompt.lock().unwrap();
            asked.push(byte[0]);
            if asked.ends_with(b": ") {
                drop(asked);
                let _ = (&pty.master).write_all(format!("{line}\n").as_bytes());
                // The terminal has to stay until the program has gone.
                thread::sleep(LIMIT);
                return;
            }
        }
    });
    command
}

fn ends_within(running: &Running, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while running.is_running() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
    true
}

/// The client of a local port: what it got.
fn connect(talk: &Talk, port: u16, outside: bool) -> Vec<u8> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let deadline = Instant::now() + Duration::from_secs(3);
    let mut got = Vec::new();
    if outside {
        if TcpStream::connect(SocketAddr::from(([127, 0, 0, 2], port))).is_ok() {
            return b"(reached from outside)".to_vec();
        }
        got.extend_from_slice(b"(not reached from outside) ");
    }
    let stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            Err(_) => return [&got, b"(no connection)".as_slice()].concat(),
        }
    };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    talk.perform(&stream, &mut |bytes| got.extend_from_slice(bytes));
    got
}

/// `what: bytes`, all of them unless there are very many.
fn line(what: &str, bytes: &[u8]) -> String {
    if bytes.len() > 700 {
        let sum = bytes.iter().fold(7_u32, |sum, &byte| sum.wrapping_mul(16_777_619) ^ u32::from(byte));
        return format!("{what}: {} bytes, sum {sum:08x}\n", bytes.len());
    }
    format!("{what}: \"{}\"\n", bytes.escape_ascii())
}

/// The debug lines whose form people know, in order.
fn debug_lines(stderr: &str) -> String {
    const STARTS: [&str; 14] = [
        "relay_method = ",
        "relay_host=",
        "relay_port=",
        "relay_user=",
        "socks_version=",
        "socks_resolve=",
        "local_type=",
        "local_port=",
        "dest_host=",
        "dest_port=",
        "connecting to ",
        ">>> ",
        "<<< ",
        "relaying done.",
    ];
    const WHOLE: [&str; 2] = ["connected", "start relaying."];
    let known = |line: &&str| STARTS.iter().any(|start| line.starts_with(start)) || WHOLE.contains(line);
    let lines = stderr.lines().filter_map(|line| line.strip_prefix("DEBUG: ")).filter(known);
    lines.fold(String::new(), |all, line| all + "debug: " + line + "\n")
}
