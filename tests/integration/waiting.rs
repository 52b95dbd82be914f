//! The status line, which shows on a terminal what the program is waiting for, and `-q`.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::kit::*;

/// The program's output on a terminal.
pub(crate) struct Screen<'a> {
    pty: &'a Pty,
    output: Vec<u8>,
}

impl Screen<'_> {
    pub(crate) fn new(pty: &Pty) -> Screen<'_> {
        Screen { pty, output: Vec::new() }
    }

    /// Reads until the output contains this text.
    #[track_caller]
    pub(crate) fn wait_has(&mut self, wanted: &str) {
        while !String::from_utf8_lossy(&self.output).contains(wanted) {
            let mut bytes = [0; 4096];
            let count = self.pty.read(&mut bytes).unwrap_or_else(|error| {
                panic!("waiting for {wanted:?}: {error}; output: {}", show(&self.output))
            });
            self.output.extend_from_slice(&bytes[..count]);
        }
    }

    /// Returns the lines that are visible at the end, and all output.
    pub(crate) fn finish(mut self) -> (Vec<String>, String) {
        File::from(self.pty.slave()).write_all(b"\nEND").unwrap();
        self.wait_has("END");
        let output = String::from_utf8(self.output).unwrap();
        let mut lines = Vec::new();
        for line in output.split('\n') {
            let mut visible: Vec<char> = Vec::new();
            // A carriage return moves to the first column, and the text after it overwrites the
            // line.
            for piece in line.split('\r') {
                let piece: Vec<_> = piece.chars().collect();
                visible.splice(..piece.len().min(visible.len()), piece);
            }
            lines.push(String::from_iter(visible).trim_end().to_owned());
        }
        lines.retain(|line| !line.is_empty() && line != "END");
        (lines, output)
    }
}

pub(crate) trait AtTerminal {
    /// Makes this the program's controlling terminal and standard error, with the program in the
    /// foreground.
    fn at(self, pty: &Pty) -> Program;
}

impl AtTerminal for Program {
    fn at(self, pty: &Pty) -> Program {
        self.terminal(pty).stderr(pty.slave()).env("TERM", "xterm")
    }
}

#[test]
fn the_status_line_appears_during_a_long_wait_and_is_erased_after_it() {
    let (gate, pty) = (Gate::new(), Pty::with_columns(120));
    let proxy = socks5_request().wait_for(&gate).send(SOCKS5_GRANTED).send("hello").drain().serve();
    let start = Instant::now();
    let run = connect(format!("-S {proxy} host 22")).at(&pty).start();
    let mut screen = Screen::new(&pty);
    screen.wait_has(&format!("connect: waiting for SOCKS5 proxy {proxy}: the reply to the SOCKS5 request, "));
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
    screen.wait_has(" s of 30 s; Ctrl-C to stop");
    // The status line is updated in place.
    screen.wait_has(" to stop\rconnect: waiting for ");
    gate.open();
    run.finish().expect_code(0).expect_stdout("hello");
    let (lines, output) = screen.finish();
    assert!(lines.is_empty(), "{lines:?} {output:?}");
    assert!(!output.contains("\n\r") && output.matches('\n').count() == 1, "not one line: {output:?}");
    proxy.finish();
}

#[test]
fn the_status_line_is_erased_before_an_error_is_printed() {
    // Some serial lines report a width of 0.
    let (gate, pty) = (Gate::new(), Pty::with_columns(0));
    let proxy = http_request().wait_for(&gate).send("HTTP/1.1 403 Forbidden\r\n\r\n").serve();
    let run = connect(format!("-H {proxy} host 22")).at(&pty).start();
    let mut screen = Screen::new(&pty);
    screen.wait_has(" s of 30 s");
    gate.open();
    run.finish().expect_code(5);
    let (lines, output) = screen.finish();
    assert_eq!(lines.len(), 1, "{lines:?} {output:?}");
    assert!(
        lines[0].starts_with(&format!("connect: HTTP proxy {proxy} refused to connect to host:22: 403")),
        "{lines:?}"
    );
    proxy.finish();
}

const COLUMNS: u16 = 78;

/// A function that prepares a run on the given terminal.
type Start<'a> = dyn Fn(&Pty) -> Program + Sync + 'a;

/// Runs the program until it times out. Returns the visible lines and all output.
#[track_caller]
fn run_until_timeout(run: impl FnOnce(&Pty) -> Program) -> (Vec<String>, String) {
    let pty = Pty::with_columns(COLUMNS);
    run(&pty).run().expect_code(7);
    Screen::new(&pty).finish()
}

/// Returns sockets that receive queries over UDP and TCP on one port, and never answer.
pub(crate) fn silent_name_server() -> (TcpListener, UdpSocket) {
    let on_one_port = || {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind(tcp.local_addr().unwrap());
        udp.ok().map(|udp| (tcp, udp))
    };
    (0..100).find_map(|_| on_one_port()).expect("a port that is free for UDP and TCP")
}

/// A UNIX-domain socket whose backlog is full, so that connect(2) blocks.
#[cfg(target_os = "linux")]
struct FullBacklog {
    path: TempPath,
    _listener: std::os::unix::net::UnixListener,
    _waiting: std::os::unix::net::UnixStream,
}

#[cfg(target_os = "linux")]
impl FullBacklog {
    fn new() -> Self {
        use std::os::unix::net::{UnixListener, UnixStream};
        let path = TempPath::new("s");
        let listener = UnixListener::bind(&*path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let waiting = UnixStream::connect(&*path).unwrap();
        Self { path, _listener: listener, _waiting: waiting }
    }
}

#[test]
fn every_kind_of_wait_shows_the_status_line() {
    let silent = SilentPort::new();
    let second = script().drain().serve();
    let first = socks5_none().relay().serve();
    let mut cases = vec![
        (format!("-H 127.0.0.1:{} host 22", silent.port()), ": connection, "),
        (format!("-x socks5://{first},http://{second} host 22"), " (hop 2 of 2)"),
    ];
    let (tcp, udp) = silent_name_server();
    if cfg!(feature = "dns") {
        let server = udp.local_addr().unwrap();
        cases.push((format!("-R {server} host.example 22"), "host.example:22: name resolution"));
    }
    let no_tls = script().drain().serve();
    if cfg!(feature = "tls") {
        cases.push((format!("-H https://{no_tls} host 22"), "its TLS handshake"));
    } else {
        let _ = TcpStream::connect(("127.0.0.1", no_tls.port()));
    }
    #[cfg(target_os = "linux")]
    let socket = FullBacklog::new();
    // connect(2) used to block for the whole timeout, with no status line.
    #[cfg(target_os = "linux")]
    cases.push((format!("unix:{}", socket.path.display()), "waiting for unix:"));
    std::thread::scope(|scope| {
        for (args, expected) in cases {
            scope.spawn(move || {
                let (lines, output) = run_until_timeout(|pty| connect(format!("-w 6.5 {args}")).at(pty));
                assert!(output.contains(expected), "{args}: no {expected:?} in {output:?}");
                let widths = output.split(['\r', '\n']).filter(|line| line.contains("waiting for"));
                let widest = widths.map(|line| line.chars().count()).max();
                assert!(widest < Some(COLUMNS.into()), "{widest:?} {output:?}");
                assert_eq!(lines.len(), 1, "{args}: {output:?}");
                assert!(lines[0].starts_with("connect: timed out after 6.5 seconds: "), "{lines:?}");
            });
        }
    });
    drop(tcp);
    second.finish();
    first.finish();
    no_tls.finish();
}

#[test]
fn there_is_no_status_line_where_it_is_unwanted_or_unreadable() {
    let silent = SilentPort::new();
    let args = format!("-w 3.5 127.0.0.1 {}", silent.port());
    let in_background = |pty: &Pty| {
        // With job control, the program has its own process group, which is not in the foreground.
        let line = format!("set -m; {} {args} & wait $!", program_path());
        Program::new("/bin/sh").arg("-c").arg(line).at(pty)
    };
    let cases: [(&str, &Start<'_>); 5] = [
        ("-q", &|pty| connect(format!("-q {args}")).at(pty)),
        ("-d", &|pty| connect(format!("-d {args}")).at(pty)),
        ("TERM=dumb", &|pty| connect(&args).at(pty).env("TERM", "dumb")),
        ("in the background", &in_background),
        ("not the controlling terminal", &|pty| connect(&args).stderr(pty.slave())),
    ];
    std::thread::scope(|scope| {
        for (name, case) in cases {
            scope.spawn(move || {
                let (lines, output) = run_until_timeout(case);
                assert!(!output.contains("waiting for"), "{name}: {output:?}");
                assert!(
                    lines.iter().any(|line| line.starts_with("connect: timed out")),
                    "{name}: {output:?}"
                );
            });
        }
        scope.spawn(|| {
            connect(&args).run().expect_failure(7, &["timed out"]);
        });
    });
}

/// Time spent at the prompt is not time spent waiting for the proxy.
#[test]
fn the_status_line_does_not_overwrite_a_prompt() {
    let script_text = "#!/bin/sh\nsleep 3\necho secret\n";
    let asker = TempPath::file("asker", script_text);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&*asker, executable).unwrap();
    let (proxy, pty) = (socks5_userpass("me", "secret").send("hello").drain().serve(), Pty::new());
    let run = connect(format!("-S me@{proxy} host 22")).at(&pty);
    let run = run.env("SSH_ASKPASS", asker.as_os_str()).env("SSH_ASKPASS_REQUIRE", "force");
    run.run().expect_code(0).expect_stdout("hello");
    let (_, output) = Screen::new(&pty).finish();
    assert!(!output.contains("waiting for"), "{output:?}");
    proxy.finish();
}

#[test]
fn quiet_hides_warnings_but_not_errors() {
    let home = crate::rcfile::home("nonsense\n");
    let refusing = RefusingPort::new();
    let stderr = |options: &str| {
        let args = format!("{options} -S 127.0.0.1:{} host 22", refusing.port());
        let out = connect(args).env("HOME", &*home).run();
        out.expect_code(4);
        out.stderr_text()
    };
    assert_eq!(stderr("").lines().count(), 2);
    for options in ["-q", "--quiet", "-d -q"] {
        let text = stderr(options);
        assert_eq!(text.lines().count(), 1, "{options}: {text}");
        assert!(text.starts_with("connect: cannot connect to"), "{options}: {text}");
    }
    // If both -q and -d are given, the last one wins.
    let text = stderr("-q -d");
    assert!(text.contains("DEBUG: ") && text.contains(".connectrc:1: "), "{text}");
}

/// The program reads the file once for each hop.
#[test]
fn a_warning_is_printed_only_once() {
    let home = TempPath::directory("home");
    let file = home.join(".netrc");
    std::fs::write(&file, "default login me password secret\n").unwrap();
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let port = RefusingPort::new();
    let chain = format!("socks5h://me@127.0.0.1:{},http://me@proxy.example", port.port());
    let out = connect(format!("--netrc -x {chain} host 22")).env("HOME", &*home).run();
    out.expect_code(4);
    let text = out.stderr_text();
    assert_eq!(text.matches("chmod 600").count(), 1, "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
}
