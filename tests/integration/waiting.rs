//! The line that says at a terminal what is waited for, and `-q`.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::kit::*;

/// What the program has written to a terminal.
struct Screen<'a> {
    pty: &'a Pty,
    said: Vec<u8>,
}

impl Screen<'_> {
    fn of(pty: &Pty) -> Screen<'_> {
        Screen { pty, said: Vec::new() }
    }

    /// Reads until this was said.
    #[track_caller]
    fn wait_has(&mut self, wanted: &str) {
        while !String::from_utf8_lossy(&self.said).contains(wanted) {
            let mut bytes = [0; 4096];
            let count = self.pty.read(&mut bytes).unwrap_or_else(|error| {
                panic!("waiting for {wanted:?}: {error}; said: {}", show(&self.said))
            });
            self.said.extend_from_slice(&bytes[..count]);
        }
    }

    /// The lines that stand there in the end, and all that was ever said.
    fn finish(mut self) -> (Vec<String>, String) {
        File::from(self.pty.slave()).write_all(b"\nEND").unwrap();
        self.wait_has("END");
        let said = String::from_utf8(self.said).unwrap();
        let mut lines = Vec::new();
        for line in said.split('\n') {
            let mut stands: Vec<char> = Vec::new();
            // Each return begins at the first column again, over what stands there.
            for piece in line.split('\r') {
                let piece: Vec<_> = piece.chars().collect();
                stands.splice(..piece.len().min(stands.len()), piece);
            }
            lines.push(String::from_iter(stands).trim_end().to_owned());
        }
        lines.retain(|line| !line.is_empty() && line != "END");
        (lines, said)
    }
}

trait AtTerminal {
    /// Somebody sits there: standard error is the terminal, and the program is in its foreground.
    fn at(self, pty: &Pty) -> Program;
}

impl AtTerminal for Program {
    fn at(self, pty: &Pty) -> Program {
        self.terminal(pty).stderr(pty.slave()).env("TERM", "xterm")
    }
}

#[test]
fn who_waits_is_told_for_what_and_the_line_goes_when_the_tunnel_stands() {
    let (gate, pty) = (Gate::new(), Pty::with_columns(120));
    let proxy = socks5_request().wait_for(&gate).send(SOCKS5_GRANTED).send("hello").drain().serve();
    let start = Instant::now();
    let run = connect(format!("-S {proxy} host 22")).at(&pty).start();
    let mut screen = Screen::of(&pty);
    screen
        .wait_has(&format!("connect: waiting for SOCKS5 proxy {proxy}: the answer to the SOCKS5 request, "));
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
    screen.wait_has(" s of 30 s; Ctrl-C to stop");
    // It is brought up to date, in its place.
    screen.wait_has(" to stop\rconnect: waiting for ");
    gate.open();
    run.finish().expect_code(0).expect_stdout("hello");
    let (lines, said) = screen.finish();
    assert!(lines.is_empty(), "{lines:?} {said:?}");
    assert!(!said.contains("\n\r") && said.matches('\n').count() == 1, "it stays in one line: {said:?}");
    proxy.finish();
}

#[test]
fn the_line_goes_before_an_error_is_told() {
    // Some serial lines do not know how wide the terminal is.
    let (gate, pty) = (Gate::new(), Pty::with_columns(0));
    let proxy = http_request().wait_for(&gate).send("HTTP/1.1 403 Forbidden\r\n\r\n").serve();
    let run = connect(format!("-H {proxy} host 22")).at(&pty).start();
    let mut screen = Screen::of(&pty);
    screen.wait_has(" s of 30 s");
    gate.open();
    run.finish().expect_code(5);
    let (lines, said) = screen.finish();
    assert_eq!(lines.len(), 1, "{lines:?} {said:?}");
    assert!(lines[0].starts_with(&format!("connect: HTTP proxy {proxy} refused host:22: 403")), "{lines:?}");
    proxy.finish();
}

const COLUMNS: u16 = 78;

/// Describes a run at this terminal.
type Start<'a> = dyn Fn(&Pty) -> Program + Sync + 'a;

/// Runs it until it gives up; what was said at the terminal, and what stood there in the end.
#[track_caller]
fn gives_up(run: impl FnOnce(&Pty) -> Program) -> (Vec<String>, String) {
    let pty = Pty::with_columns(COLUMNS);
    run(&pty).run().expect_code(7);
    Screen::of(&pty).finish()
}

/// It takes questions by UDP and by TCP, at one port, and answers none.
fn silent_name_server() -> (TcpListener, UdpSocket) {
    let at_one_port = || {
        let by_tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let by_udp = UdpSocket::bind(by_tcp.local_addr().unwrap());
        by_udp.ok().map(|by_udp| (by_tcp, by_udp))
    };
    (0..100).find_map(|_| at_one_port()).expect("a port that is free for UDP and TCP")
}

#[test]
fn every_kind_of_wait_is_told() {
    let silent = SilentPort::new();
    let behind = script().drain().serve();
    let before = socks5_none().relay().serve();
    let mut cases = vec![
        (format!("-H 127.0.0.1:{} host 22", silent.port()), ": the connection, "),
        (format!("-x socks5://{before},http://{behind} host 22"), " (hop 2 of 2)"),
    ];
    let (by_tcp, by_udp) = silent_name_server();
    if cfg!(feature = "dns") {
        let server = by_udp.local_addr().unwrap();
        cases.push((format!("-R {server} host.example 22"), "host.example:22: the address of its name"));
    }
    let no_tls = script().drain().serve();
    if cfg!(feature = "tls") {
        cases.push((format!("-H https://{no_tls} host 22"), "its part of the TLS handshake"));
    } else {
        let _ = TcpStream::connect(("127.0.0.1", no_tls.port()));
    }
    std::thread::scope(|scope| {
        for (words, expected) in cases {
            scope.spawn(move || {
                let (lines, said) = gives_up(|pty| connect(format!("-w 3.5 {words}")).at(pty));
                assert!(said.contains(expected), "{words}: no {expected:?} in {said:?}");
                let widths = said.split(['\r', '\n']).filter(|line| line.contains("waiting for"));
                let widest = widths.map(|line| line.chars().count()).max();
                assert!(widest < Some(COLUMNS.into()), "{widest:?} {said:?}");
                assert_eq!(lines.len(), 1, "{words}: {said:?}");
                assert!(lines[0].starts_with("connect: timed out after 3.5 seconds: "), "{lines:?}");
            });
        }
    });
    drop(by_tcp);
    behind.finish();
    before.finish();
    no_tls.finish();
}

#[test]
fn it_is_not_told_where_nobody_wants_to_know_or_could_read_it() {
    let silent = SilentPort::new();
    let words = format!("-w 3.5 127.0.0.1 {}", silent.port());
    let in_background = |pty: &Pty| {
        // Job control gives it a process group of its own, which is not the terminal's.
        let line = format!("set -m; {} {words} & wait $!", program_path());
        Program::new("/bin/sh").arg("-c").arg(line).at(pty)
    };
    let cases: [(&str, &Start<'_>); 5] = [
        ("-q", &|pty| connect(format!("-q {words}")).at(pty)),
        ("-d", &|pty| connect(format!("-d {words}")).at(pty)),
        ("TERM=dumb", &|pty| connect(&words).at(pty).env("TERM", "dumb")),
        ("in the background", &in_background),
        ("a terminal that is not ours", &|pty| connect(&words).stderr(pty.slave())),
    ];
    std::thread::scope(|scope| {
        for (name, case) in cases {
            scope.spawn(move || {
                let (lines, said) = gives_up(case);
                assert!(!said.contains("waiting for"), "{name}: {said:?}");
                assert!(lines.iter().any(|line| line.starts_with("connect: timed out")), "{name}: {said:?}");
            });
        }
        scope.spawn(|| {
            connect(&words).run().expect_failure(7, &["timed out"]);
        });
    });
}

/// The time at the prompt is nobody's waiting.
#[test]
fn a_question_is_not_written_over() {
    let script_text = "#!/bin/sh\nsleep 3\necho secret\n";
    let asker = TempPath::file("asker", script_text);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&*asker, executable).unwrap();
    let (proxy, pty) = (socks5_userpass("me", "secret").send("hello").drain().serve(), Pty::new());
    let run = connect(format!("-S me@{proxy} host 22")).at(&pty);
    let run = run.env("SSH_ASKPASS", asker.as_os_str()).env("SSH_ASKPASS_REQUIRE", "force");
    run.run().expect_code(0).expect_stdout("hello");
    let (_, said) = Screen::of(&pty).finish();
    assert!(!said.contains("waiting for"), "{said:?}");
    proxy.finish();
}

#[test]
fn quiet_means_no_warnings_but_errors() {
    let home = crate::rcfile::home("nonsense\n");
    let refusing = RefusingPort::new();
    let told = |options: &str| {
        let words = format!("{options} -S 127.0.0.1:{} host 22", refusing.port());
        let out = connect(words).env("HOME", &*home).run();
        out.expect_code(4);
        out.stderr_text()
    };
    assert_eq!(told("").lines().count(), 2);
    for options in ["-q", "--quiet", "-d -q"] {
        let told = told(options);
        assert_eq!(told.lines().count(), 1, "{options}: {told}");
        assert!(told.starts_with("connect: cannot reach"), "{options}: {told}");
    }
    // The last of the two counts.
    let told = told("-q -d");
    assert!(told.contains("DEBUG: ") && told.contains(".connectrc:1: "), "{told}");
}

/// A file is looked at for each hop.
#[test]
fn a_warning_is_told_once() {
    let home = TempPath::directory("home");
    let file = home.join(".netrc");
    std::fs::write(&file, "default login me password secret\n").unwrap();
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let port = RefusingPort::new();
    let chain = format!("socks5h://me@127.0.0.1:{},http://me@proxy.example", port.port());
    let out = connect(format!("--netrc -x {chain} host 22")).env("HOME", &*home).run();
    out.expect_code(4);
    let told = out.stderr_text();
    assert_eq!(told.matches("chmod 600").count(), 1, "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
}
