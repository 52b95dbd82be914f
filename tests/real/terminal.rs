//! Passwords typed at a terminal while stdin and stdout carry the session, and runs without a
//! terminal.

use std::fs;
use std::io::{Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::context::{Case, Context, Topic, expect_secret_kept};
use crate::kit::{Pty, set_nonblocking};
use crate::peers::Endpoint;
use crate::routes::{HTTP_TINYPROXY, HTTP_TINYPROXY_USER, Route, SOCKS5_MICROSOCKS, SOCKS5_MICROSOCKS_USER};
use crate::servers::{MICROSOCKS_USER, PLAIN_PASSWORD, TINYPROXY_USER, USER, WRONG_PASSWORD};

/// Time limit for the prompt to appear.
const PROMPT_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("terminal");
    for (name, route, variable, prompt) in [
        ("SOCKS5", SOCKS5_MICROSOCKS_USER, "SOCKS5_USER", "Enter SOCKS5 password for alice@127.0.0.1: "),
        (
            "HTTP",
            HTTP_TINYPROXY_USER,
            "HTTP_PROXY_USER",
            "Enter proxy authentication password for alice@127.0.0.1: ",
        ),
    ] {
        topic.both(
            format!("a password for {name} is asked for without echo, and ssh goes on"),
            move |context| {
                asks(context, &route, variable, prompt);
            },
        );
    }
    topic.both("the echo is on again after a wrong answer", |context| {
        let mut terminal = Terminal::new();
        let proxy = context.address(MICROSOCKS_USER);
        let connect = context.connect(format!("-S {proxy} 127.0.0.1 {}", context.port()));
        let mut run = connect.env("SOCKS5_USER", USER).terminal(&terminal.pty).start();
        run.close_stdin();
        terminal.answer(&format!("Enter SOCKS5 password for {USER}@127.0.0.1: "), WRONG_PASSWORD);
        let out = run.wait();
        context.expect_failure(&out, 6, &[&proxy]);
        expect_secret_kept(&out, WRONG_PASSWORD);
        terminal.expect_restored(WRONG_PASSWORD);
    });
    for (name, route) in [("SOCKS5", SOCKS5_MICROSOCKS), ("HTTP", HTTP_TINYPROXY)] {
        topic.both(format!("no password is asked for if {name} needs none"), move |context| {
            let mut terminal = Terminal::new();
            let ssh = route.client(context, "ssh", "", &["target", "echo hi"]);
            let out = ssh.terminal(&terminal.pty).run();
            out.expect_code(0).expect_stdout("hi\n");
            assert_eq!(terminal.screen(), "");
            route.expect_sessions(context, 1);
        });
    }
    for (name, option, endpoint, variables) in [
        ("SOCKS5", "-S", MICROSOCKS_USER, ["SOCKS5_USER", "SOCKS5_PASSWORD"]),
        ("HTTP", "-H", TINYPROXY_USER, ["HTTP_PROXY_USER", "HTTP_PROXY_PASSWORD"]),
    ] {
        topic.both(
            format!("without a terminal, a missing password for {name} is an error"),
            move |context| {
                fails_without_terminal(context, option, endpoint, variables);
            },
        );
    }
    topic.into_cases()
}

/// A terminal with a simulated user.
struct Terminal {
    pty: Pty,
    screen: String,
}

impl Terminal {
    fn new() -> Self {
        let pty = Pty::new();
        set_nonblocking(&pty.master, true);
        Self { pty, screen: String::new() }
    }

    /// Returns everything written to the terminal so far.
    fn screen(&mut self) -> &str {
        let mut bytes = [0; 1024];
        while let Ok(length @ 1..) = self.pty.master.read(&mut bytes) {
            self.screen.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
        &self.screen
    }

    /// Waits until the prompt is shown and echo is off, then types the answer.
    #[track_caller]
    fn answer(&mut self, prompt: &str, answer: &str) {
        let start = Instant::now();
        while !self.screen().contains(prompt) || self.pty.echoes() {
            assert!(start.elapsed() < PROMPT_TIMEOUT, "no prompt on the screen: {:?}", self.screen);
            sleep(Duration::from_millis(5));
        }
        self.pty.master.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }

    /// Expects that the terminal did not echo the secret, and that echo is back on.
    #[track_caller]
    fn expect_restored(&mut self, secret: &str) {
        assert!(!self.screen().contains(secret), "the terminal echoed the password");
        assert!(self.pty.echoes(), "the terminal was left without echo");
    }
}

fn asks(context: &Context, route: &Route, variable: &str, prompt: &str) {
    let mut terminal = Terminal::new();
    let input = fs::read(context.peers.work.join("sshd/user.pub")).unwrap_or_default();
    // Do not use `with_credentials`: this case types the password.
    let options = route.ssh_options(context, "");
    let ssh = crate::context::program("ssh", options).arg("target").arg("cat; exit 5");
    let ssh = ssh.env(variable, USER).terminal(&terminal.pty).input(&*input);
    let mut run = ssh.start();
    terminal.answer(prompt, PLAIN_PASSWORD);
    run.wait().expect_code(5).expect_stdout(&input).expect_stderr("");
    terminal.expect_restored(PLAIN_PASSWORD);
    route.expect_sessions(context, 1);
}

/// Expects an error that names the password variable. The program must not read the password from
/// stdin, which carries the session.
fn fails_without_terminal(context: &Context, option: &str, endpoint: Endpoint, variables: [&str; 2]) {
    let proxy = context.address(endpoint);
    let connect = context.connect(format!("{option} {proxy} 127.0.0.1 {}", context.port()));
    let out = connect.env(variables[0], USER).run();
    context.expect_failure(&out, 6, &[&proxy, variables[1]]);
}
