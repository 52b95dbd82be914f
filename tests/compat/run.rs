//! Runs one program in one case and reports what it did.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::case::{Case, Stdin};
use crate::kit::{Answer, NameServer, Program, Pty, RefusingPort, Running, Script, Server, SilentPort};
use crate::sandbox::Sandbox;

/// Time limit for a run, after which the program is killed.
const RUN_LIMIT: Duration = Duration::from_secs(10);

/// Time limit for a client to connect to the local port.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Read timeout for a client.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);

/// The report on a run, as text. Each line begins with a label.
pub(crate) struct Report {
    pub(crate) exit: &'static str,
    pub(crate) output: String,
    pub(crate) wire: String,
    pub(crate) prompt: String,
    pub(crate) debug: String,
    /// All of stderr, for failure reports.
    pub(crate) stderr: String,
}

/// The peers and ports for a run, which replace the placeholders in a case.
struct Fixtures {
    peers: Vec<(&'static str, Server)>,
    ports: Vec<(&'static str, u16)>,
    _refused: Option<RefusingPort>,
    _silent: Option<SilentPort>,
    _name_server: Option<NameServer>,
}

impl Fixtures {
    fn new(case: &Case) -> Self {
        let mentions = |name: &str| {
            let variables = case.variables.iter().map(|(_, value)| value.as_str());
            variables.chain([case.args.as_str()]).any(|text| text.contains(&format!("{{{name}")))
        };
        let peers: Vec<_> =
            case.peers.iter().map(|(name, script)| (*name, Server::lenient(script))).collect();
        let mut ports: Vec<_> = peers.iter().map(|(name, server)| (*name, server.port())).collect();
        let refused = mentions("refused").then(RefusingPort::new);
        let silent = mentions("silent").then(SilentPort::new);
        let name_server = mentions("dns").then(name_server);
        ports.extend(refused.as_ref().map(|port| ("refused", port.port())));
        ports.extend(silent.as_ref().map(|port| ("silent", port.port())));
        ports.extend(name_server.as_ref().map(|server| ("dns", server.port())));
        if mentions("local") {
            ports.push(("local", free_port()));
        }
        Self { peers, ports, _refused: refused, _silent: silent, _name_server: name_server }
    }

    /// Replaces the placeholders with their values.
    fn fill(&self, text: &str, directory: &str) -> String {
        let mut text = text.replace("{dir}", directory);
        for (name, port) in &self.ports {
            text = text.replace(&format!("{{{name}.port}}"), &port.to_string());
            let address = if *name == "local" { port.to_string() } else { format!("127.0.0.1:{port}") };
            text = text.replace(&format!("{{{name}}}"), &address);
        }
        text
    }

    /// Replaces the values with placeholders, because ports and paths differ from run to run.
    fn unfill(&self, text: &str, directory: &str) -> String {
        let mut text = text.replace(directory, "{dir}");
        for (name, port) in &self.ports {
            text = replace_number(&text, &port.to_string(), &format!("{{{name}}}"));
        }
        text
    }
}

/// Replaces each occurrence of `number` that is not part of a longer number.
fn replace_number(text: &str, number: &str, name: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(number) {
        let (before, after) = (&rest[..at], &rest[at + number.len()..]);
        let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let is_part = is_digit(before.chars().next_back().or(out.chars().next_back()))
            || is_digit(after.chars().next());
        out.push_str(before);
        out.push_str(if is_part { number } else { name });
        rest = after;
    }
    out + rest
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap().local_addr().unwrap().port()
}

/// Starts a name server that resolves every name to 10.9.9.9 and has no IPv6 addresses.
fn name_server() -> NameServer {
    let address = Ipv4Addr::new(10, 9, 9, 9).into();
    NameServer::start(Ipv4Addr::LOCALHOST.into(), move |_| Answer::Addresses(vec![address]))
}

/// Runs the case with this program, and kills the program after `limit` (default [`RUN_LIMIT`]).
pub(crate) fn run(case: &Case, program: &Path, limit: Option<Duration>) -> Report {
    let fixtures = Fixtures::new(case);
    let sandbox = Sandbox::new(case, &|text, directory| fixtures.fill(text, directory));
    let directory = sandbox.name();
    let fill = |text: &str| fixtures.fill(text, &directory);

    let mut command =
        sandbox.program(program, case.program_name, case.redirection).limit(Duration::from_secs(60));
    for arg in split_args(&case.args) {
        command = command.arg(fill(&arg));
    }
    if case.has_password {
        command = command.env("SOCKS5_PASSWORD", "secret");
    }
    for (name, value) in &case.variables {
        command = command.env(name, fill(value));
    }
    let prompt = Arc::new(Mutex::new(Vec::new()));
    if let Some(line) = case.typed {
        command = answer_prompt(command, line, &prompt);
    }
    let mut running = start(command, &case.stdin);
    let client = case.client.clone().map(|script| {
        let port = fill("{local}").parse().expect("a client needs {local} in the arguments");
        let (delay, outside) = (case.client_delay, case.client_from_outside);
        thread::spawn(move || {
            thread::sleep(delay);
            connect(script, port, outside)
        })
    });

    let hung = !exits_within(&running, limit.unwrap_or(RUN_LIMIT));
    if hung {
        running.signal(Signal::KILL);
    }
    let outcome = running.wait();
    assert!(outcome.code != Some(97), "cannot mount /etc: {}", outcome.stderr_text());
    let client = client.map(|client| client.join().unwrap());

    let unfill = |text: String| fixtures.unfill(&text, &directory);
    let mut output = line("stdout", &outcome.stdout);
    if let Some(got) = client {
        output += &line("client got", &got);
    }
    let mut prompts = line("terminal", &prompt.lock().unwrap());
    prompts += &line("askpass", &sandbox.askpass_prompt().unwrap_or_default());
    let stderr = unfill(outcome.stderr_text());
    let report = Report {
        exit: match outcome.code {
            _ if hung => "exit: none, killed\n",
            Some(0) => "exit: zero\n",
            _ => "exit: not zero\n",
        },
        output: unfill(output),
        wire: String::new(),
        prompt: unfill(prompts),
        debug: debug_lines(&stderr),
        stderr,
    };
    let mut wire = String::new();
    for (name, server) in fixtures.peers {
        for (number, record) in (1..).zip(server.finish()).take(5) {
            wire += &line(&format!("{name} {number} got"), &record.received);
        }
    }
    let ports = Fixtures {
        peers: Vec::new(),
        ports: fixtures.ports,
        _refused: None,
        _silent: None,
        _name_server: None,
    };
    Report { wire: ports.unfill(&wire, &directory), ..report }
}

/// Splits a command line into arguments at spaces outside `'…'`.
fn split_args(line: &str) -> Vec<String> {
    let mut args = Vec::new();
    let mut arg: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                arg.get_or_insert_default();
            }
            ' ' if !quoted => args.extend(arg.take()),
            _ => arg.get_or_insert_default().push(c),
        }
    }
    args.extend(arg);
    args
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

/// Gives the program a terminal on which a user answers the first prompt with `line`.
fn answer_prompt(command: Program, line: &'static str, prompt: &Arc<Mutex<Vec<u8>>>) -> Program {
    let pty = Pty::new();
    let command = command.terminal(&pty);
    let prompt = Arc::clone(prompt);
    thread::spawn(move || {
        let mut byte = [0];
        // The read times out if there is no prompt.
        while (&pty).read(&mut byte).is_ok_and(|length| length > 0) {
            let mut shown = prompt.lock().unwrap();
            shown.push(byte[0]);
            if shown.ends_with(b": ") {
                drop(shown);
                let _ = (&pty.master).write_all(format!("{line}\n").as_bytes());
                // The terminal must stay open until the program has exited.
                thread::sleep(RUN_LIMIT);
                return;
            }
        }
    });
    command
}

fn exits_within(running: &Running, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while running.is_running() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Runs a client of the local port and returns the bytes that it received.
fn connect(script: Script, port: u16, outside: bool) -> Vec<u8> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let deadline = Instant::now() + CONNECT_TIMEOUT;
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
    got.extend(script.run_on(stream, CLIENT_TIMEOUT));
    got
}

/// Formats `what: bytes`. Long data is shown as its length and a checksum.
fn line(what: &str, bytes: &[u8]) -> String {
    if bytes.len() > 700 {
        let sum = bytes.iter().fold(7_u32, |sum, &byte| sum.wrapping_mul(16_777_619) ^ u32::from(byte));
        return format!("{what}: {} bytes, sum {sum:08x}\n", bytes.len());
    }
    format!("{what}: \"{}\"\n", bytes.escape_ascii())
}

/// Returns the debug lines that both programs print, in order.
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
