//! Passwords typed at the console.
//!
//! wine uses the terminal on stdin as the console, so the console is also the session's stdin: the
//! same input carries the password and then the data. Under ssh, a program has a console in
//! addition to a redirected stdin, but wine cannot provide both.

use std::fs::File;
use std::io::{Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::kit::*;
use crate::launched;

const USER: &str = "alice";
const PASSWORD: &str = "S3cret-passw0rd";
const PROMPT: &str = "Enter SOCKS5 password for alice@127.0.0.1:";

/// A terminal that becomes wine's console.
struct Console {
    pty: Pty,
    seen: Vec<u8>,
}

impl Console {
    fn new() -> Self {
        let pty = Pty::new();
        set_nonblocking(&pty.master, true);
        Self { pty, seen: Vec::new() }
    }

    /// Makes the console a program's terminal, stdin and stderr.
    fn attach(&self, program: Program) -> Program {
        program.terminal(&self.pty).stdin(self.pty.slave()).stderr(self.pty.slave())
    }

    /// Returns `true` if the screen shows `text`. Ignores blanks, because the console moves the
    /// cursor instead of printing them.
    fn shows(&mut self, text: &str) -> bool {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = self.pty.master.read(&mut buffer) {
            self.seen.extend_from_slice(&buffer[..length]);
        }
        let is_visible = |c: &char| !matches!(c, ' ' | '\r' | '\n');
        let wanted: String = text.chars().filter(is_visible).collect();
        let screen: String = self.text().chars().filter(is_visible).collect();
        screen.contains(&wanted)
    }

    /// Returns the text written to the screen, without escape sequences. Each sequence ends in a
    /// letter.
    fn text(&self) -> String {
        let all = String::from_utf8_lossy(&self.seen);
        let mut text = String::new();
        for (number, part) in all.split("\x1b[").enumerate() {
            let start = if number == 0 {
                0
            } else {
                part.find(|c: char| c.is_ascii_alphabetic()).map_or(0, |at| at + 1)
            };
            text.push_str(&part[start..]);
        }
        text
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let start = Instant::now();
        while !self.shows(text) {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{text:?} is not on the screen: {:?}",
                self.text()
            );
            sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the prompt, and then a moment longer, because the program turns echo off only
    /// after it has printed the prompt.
    #[track_caller]
    fn wait_for_prompt(&mut self) {
        self.wait_for(PROMPT);
        sleep(Duration::from_millis(500));
    }

    fn type_in(&mut self, keys: &str) {
        self.pty.master.write_all(keys.as_bytes()).unwrap();
    }
}

/// The target ends the session while the program waits for more input. (This test cannot type
/// Ctrl-Z, which means EOF, because wine's console does not pass it on.)
#[test]
fn a_password_is_typed_without_echo_and_what_follows_is_sent() {
    let logged_in = Gate::new();
    let proxy = socks5_userpass(USER, PASSWORD)
        .open(&logged_in)
        .expect("typed line\r\n")
        .send("typed line\r\n")
        .serve();
    let output = TempPath::file("stdout", "");
    let mut console = Console::new();
    let run = connect(format!("-S {USER}@{proxy} host.example 22")).stdout(File::create(&*output).unwrap());
    let mut run = console.attach(run).start();
    console.wait_for_prompt();
    console.type_in(&format!("{PASSWORD}\r"));
    logged_in.wait();
    // Echo is back on during the session: typed text is shown and sent.
    console.type_in("typed line\r");
    console.wait_for("typed line");
    run.wait().expect_code(0);
    proxy.finish();
    let sent = std::fs::read_to_string(&*output).unwrap();
    assert_eq!(sent, "typed line\r\n");
    assert!(!console.shows(PASSWORD), "the console echoed the password: {:?}", console.text());
}

#[test]
fn without_a_console_the_error_names_the_variable_to_set() {
    let proxy = script().expect([5, 1, 2]).send([5, 2]).expect_eof().serve();
    let out = connect(format!("-a userpass -S {USER}@{proxy} host.example 22")).stdin(Io::Null).run();
    out.expect_failure(6, &["SOCKS5_PASSWORD"]);
    proxy.finish();
}

#[test]
fn ctrl_c_at_the_prompt_restores_the_echo() {
    let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_disconnect().serve();
    let mut console = Console::new();
    let run = launched("console", format!("-S {USER}@{proxy} host.example 22")).stdout(console.pty.slave());
    let mut run = console.attach(run).start();
    console.wait_for_prompt();
    console.type_in("\x03");
    let out = run.wait();
    // On Ctrl-C, Windows ends the program with a special exit code; wine 8 ends it with 0.
    assert!(matches!(out.code, Some(130 | 0)), "{out:?}");
    assert!(console.shows("the console echoes"), "no echo is left: {:?}", console.text());
    proxy.finish();
}
