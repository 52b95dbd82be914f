//! Passwords that nobody has told us: asked for on the terminal, when a proxy wants one.

use std::io::{Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::kit::*;
use crate::wire::*;

const SOCKS5_PROMPT: &str = "Enter SOCKS5 password for bob@127.0.0.1: ";
const HTTP_PROMPT: &str = "Enter proxy authentication password for bob@127.0.0.1: ";

/// A terminal and the user at it.
struct User {
    pty: Pty,
    seen: String,
}

impl User {
    fn new() -> Self {
        let pty = Pty::new();
        set_nonblocking(&pty.master, true);
        Self { pty, seen: String::new() }
    }

    /// What is on the screen by now.
    fn look(&mut self) -> &str {
        let mut bytes = [0; 1024];
        while let Ok(length @ 1..) = self.pty.master.read(&mut bytes) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
        &self.seen
    }

    /// Waits for a prompt, and for the echo to be off.
    #[track_caller]
    fn wait_for(&mut self, prompt: &str) {
        let start = Instant::now();
        while !self.look().contains(prompt) || self.pty.echoes() {
            let echoes = self.pty.echoes();
            assert!(start.elapsed() < Duration::from_secs(10), "on screen: {:?}, echo: {echoes}", self.seen);
            sleep(Duration::from_millis(5));
        }
    }

    fn type_in(&mut self, text: &str) {
        self.pty.master.write_all(text.as_bytes()).unwrap();
    }

    #[track_caller]
    fn answer(&mut self, prompt: &str, password: &str) {
        self.wait_for(prompt);
        self.type_in(&format!("{password}\n"));
    }

    /// The terminal is as it was, and nothing but this was written to it.
    #[track_caller]
    fn expect_seen(&mut self, text: &str) {
        assert!(self.pty.echoes(), "the terminal is left without echo");
        assert_eq!(self.look().replace("\r\n", "\n"), text);
    }
}

fn through_socks5(proxy: &Server, user: &User) -> Program {
    connect(format!("-S bob@{proxy} host.example 22")).terminal(&user.pty)
}

fn through_http(proxy: &Server, user: &User) -> Program {
    connect(format!("-H bob@{proxy} host.example 22")).terminal(&user.pty)
}

#[test]
fn a_socks5_password_is_asked_for_without_echo_and_the_session_goes_on() {
    for password in ["secret", "  two words ", "päss#@:%41"] {
        let mut user = User::new();
        let proxy = socks5_userpass("bob", password).early("welcome").expect("ping").expect_eof().serve();
        // The session waits on stdin meanwhile, and is not taken for the answer.
        let mut run = through_socks5(&proxy, &user).input("ping").start();
        user.answer(SOCKS5_PROMPT, password);
        run.wait().expect_success().expect_stdout("welcome");
        user.expect_seen(&format!("{SOCKS5_PROMPT}\n"));
        proxy.finish();
    }
}

#[test]
fn an_http_password_is_asked_for_without_echo_and_the_session_goes_on() {
    for password in ["secret", "  two words ", "päss#@:%41"] {
        let mut user = User::new();
        let proxy = http_basic("bob", password).early("welcome").expect("ping").expect_eof().serve();
        let mut run = through_http(&proxy, &user).input("ping").start();
        user.answer(HTTP_PROMPT, password);
        run.wait().expect_success().expect_stdout("welcome");
        user.expect_seen(&format!("{HTTP_PROMPT}\n"));
        proxy.finish();
    }
}

#[test]
fn a_password_that_was_typed_is_not_in_the_trace() {
    let mut user = User::new();
    let proxy = socks5_userpass("bob", "hunter2").serve();
    let mut run = connect(format!("-d -S bob@{proxy} host.example 22")).terminal(&user.pty).start();
    user.answer(SOCKS5_PROMPT, "hunter2");
    let out = run.wait();
    out.expect_stderr_lacks("hunter2").expect_stderr_has(">>> xx xx xx xx ...");
    proxy.finish();
}

#[test]
fn nobody_is_asked_when_the_proxy_wants_no_password() {
    for words in ["-S bob@{S}", "-4 -S bob@{S}", "-H bob@{S}"] {
        let mut user = User::new();
        let script = match words.as_bytes()[1] {
            // That there is a terminal is enough to offer it.
            b'S' => script()
                .expect_at_once([5, 2, 0, 2])
                .send([5, 0])
                .expect_bytes(19)
                .send([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
            b'4' => socks4_granted(),
            _ => http_ok(),
        };
        let proxy = script.early("welcome").drain().serve();
        let words = format!("{} host.example 22", words.replace("{S}", &proxy.to_string()));
        connect(format!("-R remote {words}"))
            .terminal(&user.pty)
            .run()
            .expect_success()
            .expect_stdout("welcome");
        user.expect_seen("");
        proxy.finish();
    }
}

#[test]
fn a_wrong_password_is_an_error_and_not_asked_for_again() {
    let mut user = User::new();
    let proxy = socks5_userpass("bob", "secret").serve();
    let mut run = through_socks5(&proxy, &user).start();
    user.answer(SOCKS5_PROMPT, "wrong");
    run.wait().expect_failure(6, &[&proxy.to_string(), "'bob'", "password"]).expect_stderr_lacks("wrong");
    user.expect_seen(&format!("{SOCKS5_PROMPT}\n"));
    proxy.finish();

    let mut user = User::new();
    let proxy = http_basic("bob", "secret").serve();
    let mut run = through_http(&proxy, &user).start();
    user.answer(HTTP_PROMPT, "wrong");
    run.wait().expect_failure(6, &[&proxy.to_string(), "'bob'", "password"]).expect_stderr_lacks("wrong");
    user.expect_seen(&format!("{HTTP_PROMPT}\n"));
    proxy.finish();
}

#[test]
fn without_a_terminal_the_error_names_the_variable_to_set() {
    let proxy = script().expect([5, 1, 2]).send([5, 2]).expect_eof().serve();
    let out = connect(format!("-a userpass -S bob@{proxy} host.example 22")).run();
    out.expect_failure(6, &[&format!("SOCKS5 proxy {proxy}"), "'bob'", "SOCKS5_PASSWORD", "terminal"]);
    proxy.finish();

    // Not offered then, so that a server that only may ask does not.
    let proxy = script().expect([5, 1, 0]).send([5, 0xff]).expect_eof().serve();
    connect(format!("-S bob@{proxy} host.example 22")).run().expect_failure(6, &["SOCKS5_PASSWORD"]);
    proxy.finish();

    let proxy = http_basic("bob", "secret").serve();
    let out = connect(format!("-H bob@{proxy} host.example 22")).run();
    out.expect_failure(6, &[&format!("HTTP proxy {proxy}"), "'bob'", "HTTP_PROXY_PASSWORD", "terminal"]);
    proxy.finish();
}

#[test]
fn ctrl_c_at_the_prompt_restores_the_terminal_and_is_a_signal() {
    for http in [false, true] {
        let mut user = User::new();
        let proxy = if http {
            http_basic("bob", "x")
        } else {
            script().expect([5, 2, 0, 2]).send([5, 2]).expect_eof()
        };
        let (proxy, prompt) = (proxy.serve(), if http { HTTP_PROMPT } else { SOCKS5_PROMPT });
        let mut run = if http { through_http(&proxy, &user) } else { through_socks5(&proxy, &user) }.start();
        user.wait_for(prompt);
        user.type_in("sec\x03");
        let out = run.wait();
        assert_eq!((out.code, out.signal), (None, Some(Signal::INT.as_raw())), "{out:?}");
        assert!(user.pty.echoes(), "the terminal is left without echo");
        assert!(!user.look().contains("sec"), "{:?}", user.seen);
        proxy.finish();
    }
}

#[test]
fn a_signal_at_the_prompt_restores_the_terminal() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        let mut user = User::new();
        let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_eof().serve();
        let mut run = through_socks5(&proxy, &user).start();
        user.wait_for(SOCKS5_PROMPT);
        run.signal(signal);
        let out = run.wait();
        assert_eq!((out.code, out.signal), (None, Some(signal.as_raw())), "{out:?}");
        assert!(user.pty.echoes(), "the terminal is left without echo after {signal:?}");
        proxy.finish();
    }
}

#[test]
fn the_end_of_input_at_the_prompt_is_no_password() {
    let mut user = User::new();
    let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_eof().serve();
    let mut run = through_socks5(&proxy, &user).start();
    user.wait_for(SOCKS5_PROMPT);
    user.type_in("\x04");
    run.wait().expect_failure(6, &[&proxy.to_string(), "'bob'", "terminal"]);
    assert!(user.pty.echoes(), "the terminal is left without echo");
    proxy.finish();
}

#[test]
fn a_password_that_is_too_long_is_an_error_and_not_cut() {
    let mut user = User::new();
    let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_eof().serve();
    let mut run = through_socks5(&proxy, &user).start();
    user.answer(SOCKS5_PROMPT, &"p".repeat(256));
    run.wait().expect_failure(2, &["password", "256", "255"]).expect_stderr_lacks("pppp");
    proxy.finish();
}

#[test]
fn the_time_at_a_socks5_prompt_does_not_count() {
    let mut user = User::new();
    let proxy = socks5_userpass("bob", "secret").send("welcome").serve();
    let words = format!("-w 1 -S bob@{proxy} host.example 22");
    let mut run = connect(words).terminal(&user.pty).start();
    user.wait_for(SOCKS5_PROMPT);
    sleep(Duration::from_millis(1500));
    user.type_in("secret\n");
    run.wait().expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn the_time_at_an_http_prompt_does_not_count_even_with_a_new_connection() {
    let mut user = User::new();
    let proxy =
        Server::each([http_reply(challenge("Connection: close\r\n", "")), http_basic("bob", "secret")]);
    let mut run = connect(format!("-w 1 -H bob@{proxy} h 22")).terminal(&user.pty).start();
    user.wait_for(HTTP_PROMPT);
    sleep(Duration::from_millis(1500));
    user.type_in("secret\n");
    run.wait().expect_success();
    proxy.finish();
}

#[test]
fn the_limit_goes_on_after_the_prompt() {
    let mut user = User::new();
    let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_bytes(12).hold().serve();
    let mut run = connect(format!("-w 1 -S bob@{proxy} host.example 22")).terminal(&user.pty).start();
    user.wait_for(SOCKS5_PROMPT);
    sleep(Duration::from_millis(500));
    user.type_in("secret\n");
    let out = run.wait();
    out.expect_failure(7, &["1 second", "the answer to user and password"]);
    out.expect_within(Duration::from_secs(3));
    assert!(out.elapsed >= Duration::from_millis(1450), "{out:?}");
    proxy.finish();
}

/// A 407 with these fields besides the challenge.
fn challenge(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 407 Authenticate\r\nProxy-Authenticate: Basic realm=\"x\"\r\n{fields}\r\n{body}")
}

/// Runs with these connections as the proxy's; the password is the right one.
#[track_caller]
fn expect_accepted(proxy: &Server, case: &str) {
    let mut user = User::new();
    let mut run = through_http(proxy, &user).input("ping").start();
    user.answer(HTTP_PROMPT, "secret");
    let out = run.wait();
    assert_eq!((out.code, &*out.stdout), (Some(0), &b"welcome"[..]), "{case}: {out:?}");
    user.expect_seen(&format!("{HTTP_PROMPT}\n"));
}

#[test]
fn a_407_is_answered_on_the_same_connection_when_the_proxy_keeps_it() {
    for (fields, body) in [
        ("Content-Length: 0\r\n", ""),
        ("Content-Length: 6\r\n", "badge?"),
        ("Content-Length: 6\r\nConnection: keep-alive\r\n", "badge?"),
        ("Transfer-Encoding: chunked\r\n", "6\r\nbadge?\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "3;x=y\r\nbad\r\n003\r\nge?\r\n0\r\nTrailer: x\r\n\r\n"),
        ("Content-Length: 6\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n", "badge?"),
        ("Content-Length: 6\r\nProxy-Authenticate: Negotiate, Digest nonce=\"a,b\"\r\n", "badge?"),
    ] {
        for bytewise in [false, true] {
            let reply = challenge(fields, body);
            let first = script().expect_until("\r\n\r\n");
            let first = if bytewise { first.send_bytewise(reply) } else { first.send(reply) };
            let proxy =
                first.followed_by(http_basic("bob", "secret").early("welcome").expect("ping")).serve();
            expect_accepted(&proxy, fields);
            proxy.finish();
        }
    }
    // Basic is found behind another scheme in one line, and in WWW-Authenticate of a 401.
    for reply in [
        "HTTP/1.1 407 A\r\nProxy-Authenticate: Negotiate, basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 401 A\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 A\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
    ] {
        let second = http_basic("bob", "secret").early("welcome").expect("ping");
        let proxy = http_reply(reply).followed_by(second).serve();
        expect_accepted(&proxy, reply);
        proxy.finish();
    }
}

#[test]
fn a_407_is_answered_on_a_new_connection_when_the_proxy_does_not_keep_the_old_one() {
    let long = "x".repeat(100_000);
    for (first, case) in [
        (http_reply(challenge("Connection: close\r\nContent-Length: 6\r\n", "badge?")), "close"),
        (http_reply(challenge("Proxy-Connection: close\r\nContent-Length: 0\r\n", "")), "proxy close"),
        (http_reply(challenge("Content-Length: 0\r\n", "").replace("HTTP/1.1", "HTTP/1.0")), "HTTP/1.0"),
        (http_reply(challenge("", "until the end")), "a body without an end"),
        (http_reply(challenge("", "")), "a body without an end that is empty"),
        (http_reply(challenge("Content-Length: 100\r\n", "cut")), "a body cut off"),
        (http_reply(challenge("Content-Length: 6\r\n", "badge?")).close(), "closed at the prompt"),
        (http_reply(challenge("Content-Length: 100000\r\n", &long)), "a body that is not worth reading"),
    ] {
        let second = http_basic("bob", "secret").early("welcome").expect("ping");
        let proxy = Server::each([first, second]);
        expect_accepted(&proxy, case);
        proxy.finish();
    }
}
