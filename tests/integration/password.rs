//! Password prompts on the terminal, and the first line read from every other password source.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::askpass::Asker;
use crate::kit::*;
use crate::listening::{Listening, eventually, expect_reset};
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

    /// Returns everything on the screen so far.
    fn screen(&mut self) -> &str {
        let mut bytes = [0; 1024];
        while let Ok(length @ 1..) = self.pty.master.read(&mut bytes) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
        &self.seen
    }

    /// Waits until this prompt is shown and echo is off.
    #[track_caller]
    fn wait_for(&mut self, prompt: &str) {
        let start = Instant::now();
        while !self.screen().contains(prompt) || self.pty.echoes() {
            let echoes = self.pty.echoes();
            assert!(start.elapsed() < TIMEOUT, "on screen: {:?}, echo: {echoes}", self.seen);
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

    /// Checks that echo is back on, and that nothing but this text was written to the terminal.
    #[track_caller]
    fn expect_seen(&mut self, text: &str) {
        assert!(self.pty.echoes(), "the terminal is left without echo");
        assert_eq!(self.screen().replace("\r\n", "\n"), text);
    }
}

fn through_socks5(proxy: &Server, user: &User) -> Program {
    connect(format!("-S bob@{proxy} host.example 22")).terminal(&user.pty)
}

fn through_http(proxy: &Server, user: &User) -> Program {
    connect(format!("-H bob@{proxy} host.example 22")).terminal(&user.pty)
}

#[test]
fn a_socks5_password_is_read_without_echo_and_the_session_goes_on() {
    for password in ["secret", "  two words ", "päss#@:%41", ""] {
        let mut user = User::new();
        let proxy = socks5_userpass("bob", password).early("welcome").expect("ping").expect_eof().serve();
        // Standard input carries the session, so the answer must not be read from there.
        let mut run = through_socks5(&proxy, &user).input("ping").start();
        user.answer(SOCKS5_PROMPT, password);
        run.wait().expect_success().expect_stdout("welcome");
        user.expect_seen(&format!("{SOCKS5_PROMPT}\n"));
        proxy.finish();
    }
}

#[test]
fn an_http_password_is_read_without_echo_and_the_session_goes_on() {
    for password in ["secret", "  two words ", "päss#@:%41", ""] {
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
fn an_escape_sequence_in_a_user_name_reached_the_terminal_in_the_prompt() {
    const NAME: &str = "bob\x1b]0;owned\x07\r\u{9b}2J\u{202e}";
    let shown = "Enter SOCKS5 password for bob\\x1b]0;owned\\x07\\r\\u{9b}2J\\u{202e}@127.0.0.1: ";
    let mut user = User::new();
    let proxy = socks5_userpass(NAME, "secret").early("welcome").drain().serve();
    let program = connect(format!("-S {proxy} host.example 22")).env("SOCKS5_USER", NAME);
    let mut run = program.terminal(&user.pty).input("").start();
    user.answer(shown, "secret");
    run.wait().expect_success().expect_stdout("welcome");
    user.expect_seen(&format!("{shown}\n"));
    proxy.finish();
}

#[test]
fn a_typed_password_is_not_in_the_trace() {
    let mut user = User::new();
    let proxy = socks5_userpass("bob", "hunter2").serve();
    let mut run = connect(format!("-d -S bob@{proxy} host.example 22")).terminal(&user.pty).start();
    user.answer(SOCKS5_PROMPT, "hunter2");
    let out = run.wait();
    out.expect_stderr_lacks("hunter2").expect_stderr_has(">>> xx xx xx xx ...");
    proxy.finish();
}

#[test]
fn there_is_no_prompt_if_the_proxy_requires_no_password() {
    for args in ["-S bob@{S}", "-4 -S bob@{S}", "-H bob@{S}"] {
        let mut user = User::new();
        let script = match args.as_bytes()[1] {
            // The program can prompt on the terminal, so it offers user/password.
            b'S' => script()
                .expect_at_once([5, 2, 0, 2])
                .send([5, 0])
                .expect_bytes(19)
                .send([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
            b'4' => socks4_granted(),
            _ => http_ok(),
        };
        let proxy = script.early("welcome").drain().serve();
        let args = format!("{} host.example 22", args.replace("{S}", &proxy.to_string()));
        connect(format!("-R remote {args}"))
            .terminal(&user.pty)
            .run()
            .expect_success()
            .expect_stdout("welcome");
        user.expect_seen("");
        proxy.finish();
    }
}

/// Tor selects user/password wherever it is offered and accepts anything. Users at a terminal were
/// asked for a password that they do not have. Under sshpass, which answers every prompt, the
/// password of the ssh server went to the proxy.
#[test]
fn a_password_was_asked_for_although_nobody_had_named_a_user() {
    for options in ["-S {S}", "-x socks5h://{S}", "--eager -S {S}"] {
        let mut user = User::new();
        let proxy = script()
            .expect([5, 1, 0])
            .send([5, 0])
            .expect_bytes(19)
            .send(SOCKS5_GRANTED)
            .early("welcome")
            .drain()
            .serve();
        let options = options.replace("{S}", &proxy.to_string());
        let run = connect(format!("{options} host.example 22")).terminal(&user.pty);
        run.run().expect_success().expect_stdout("welcome");
        user.expect_seen("");
        proxy.finish();
    }
}

/// Returns the prompt for a user who is not named anywhere.
fn prompt_for_login_name() -> String {
    format!("Enter SOCKS5 password for {}@127.0.0.1: ", login_name())
}

#[test]
fn a_user_that_nobody_has_named_is_asked_only_after_no_authentication_was_refused() {
    // Some proxies close the connection, or select a method that was not offered.
    let refusals: [fn(Script) -> Script; 4] = [
        |greeting| greeting.send([5, 0xff]),
        |greeting| greeting.send([5, 2]),
        |greeting| greeting.close(),
        |greeting| greeting.reset(),
    ];
    for refuse in refusals {
        for options in ["", "--eager "] {
            for password in ["secret", ""] {
                let mut user = User::new();
                let greeting = if options.is_empty() {
                    script().expect_at_once([5, 1, 0])
                } else {
                    // The request is sent together with the greeting.
                    script().expect([5, 1, 0]).expect_bytes(19)
                };
                let login = socks5_userpass(&login_name(), password);
                let proxy =
                    Server::each([refuse(greeting), login.early("welcome").expect("ping").expect_eof()]);
                let args = format!("{options}-S {proxy} host.example 22");
                let mut run = connect(args).terminal(&user.pty).input("ping").start();
                user.answer(&prompt_for_login_name(), password);
                run.wait().expect_success().expect_stdout("welcome");
                user.expect_seen(&format!("{}\n", prompt_for_login_name()));
                let logins: Vec<_> =
                    proxy.finish().into_iter().filter_map(|record| record.password).collect();
                assert_eq!(logins, [password]);
            }
        }
    }
}

#[test]
fn nobody_is_asked_if_the_proxy_refuses_user_and_password_too() {
    let mut user = User::new();
    let refuse = |method| script().expect([5, 1, method]).send([5, 0xff]).expect_eof();
    let proxy = Server::each([refuse(0), refuse(2)]);
    let out = connect(format!("-S {proxy} host.example 22")).terminal(&user.pty).run();
    out.expect_failure(6, &["'none', 'userpass'", "administrator"]);
    user.expect_seen("");
    proxy.finish();

    // `-a` is an order: nothing else is offered.
    let proxy = Server::each([refuse(0)]);
    let out = connect(format!("-a none -S {proxy} host.example 22")).terminal(&user.pty).run();
    out.expect_failure(6, &["('none')", "-a userpass"]);
    user.expect_seen("");
    proxy.finish();
}

#[test]
fn a_rejected_password_is_an_error_without_another_prompt() {
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

    // Without `-a`, the program does not offer user/password if it cannot get a password, because
    // some servers insist on the method once it is offered.
    let proxy = script().expect([5, 1, 0]).send([5, 0xff]).expect_eof().serve();
    connect(format!("-S bob@{proxy} host.example 22")).run().expect_failure(6, &["SOCKS5_PASSWORD"]);
    proxy.finish();

    let proxy = http_basic("bob", "secret").serve();
    let out = connect(format!("-H bob@{proxy} host.example 22")).run();
    out.expect_failure(6, &[&format!("HTTP proxy {proxy}"), "'bob'", "HTTP_PROXY_PASSWORD", "terminal"]);
    proxy.finish();
}

#[test]
fn ctrl_c_at_the_prompt_restores_the_terminal_and_dies_by_sigint() {
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
        assert!(!user.screen().contains("sec"), "{:?}", user.seen);
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

/// The handler that restores the terminal took the place of the listener's: the program died, and
/// left its socket behind.
#[test]
fn a_signal_at_a_prompt_was_taken_from_the_listener() {
    for ctrl_c in [false, true] {
        let (mut user, path) = (User::new(), TempPath::new("s"));
        let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_disconnect().serve();
        let program = connect(format!("-S bob@{proxy} --listen unix:{} host.example 22", path.display()));
        let mut run = program.terminal(&user.pty).start();
        let mut client = None;
        eventually("the listener", || {
            client = UnixStream::connect(&*path).ok();
            client.is_some()
        });
        user.wait_for(SOCKS5_PROMPT);
        if ctrl_c {
            user.type_in("\x03");
        } else {
            run.signal(Signal::TERM);
        }
        run.wait().expect_code(0);
        assert!(!path.exists(), "the socket is left behind");
        assert!(user.pty.echoes(), "the terminal is left without echo");
        proxy.finish();
    }
}

#[test]
fn a_signal_at_the_prompt_of_a_session_restores_the_terminal_and_kills_the_program() {
    let mut user = User::new();
    let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_disconnect().serve();
    let args = format!("-d -p 0 -S bob@{proxy} host.example 22");
    let run = Listening::start(connect(args).terminal(&user.pty));
    let client = run.client();
    user.wait_for(SOCKS5_PROMPT);
    run.stop(Signal::TERM).expect_killed_by(Signal::TERM);
    expect_reset(client);
    assert!(user.pty.echoes(), "the terminal is left without echo");
    proxy.finish();
}

#[test]
fn a_signal_that_the_parent_process_ignored_ended_the_prompt() {
    for signal in [Signal::TERM, Signal::HUP] {
        let mut user = User::new();
        let proxy = socks5_userpass("bob", "secret").early("welcome").expect_eof().serve();
        let run = through_socks5(&proxy, &user).ignoring(signal).start();
        user.wait_for(SOCKS5_PROMPT);
        run.signal(signal);
        user.answer(SOCKS5_PROMPT, "secret");
        run.finish().expect_success().expect_stdout("welcome");
        proxy.finish();
    }
}

#[test]
fn eof_at_the_prompt_is_an_error() {
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
fn a_password_that_is_too_long_is_an_error_and_not_truncated() {
    let mut user = User::new();
    let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_eof().serve();
    let mut run = through_socks5(&proxy, &user).start();
    user.answer(SOCKS5_PROMPT, &"p".repeat(256));
    run.wait().expect_failure(2, &["password", "256", "255"]).expect_stderr_lacks("pppp");
    proxy.finish();
}

#[test]
fn the_time_at_a_socks5_prompt_does_not_count_against_the_limit() {
    let mut user = User::new();
    let proxy = socks5_userpass("bob", "secret").send("welcome").serve();
    let args = format!("-w 1 -S bob@{proxy} host.example 22");
    let mut run = connect(args).terminal(&user.pty).start();
    user.wait_for(SOCKS5_PROMPT);
    sleep(Duration::from_millis(1500));
    user.type_in("secret\n");
    run.wait().expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn the_time_at_an_http_prompt_does_not_count_against_the_limit_of_a_second_connection() {
    let mut user = User::new();
    let proxy = Server::each([
        http_reply(challenge("Connection: close\r\n", "")),
        http_basic("bob", "secret").send("welcome"),
    ]);
    let mut run = connect(format!("-w 1 -H bob@{proxy} h 22")).terminal(&user.pty).start();
    user.wait_for(HTTP_PROMPT);
    sleep(Duration::from_millis(1500));
    user.type_in("secret\n");
    run.wait().expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn the_limit_continues_after_the_prompt() {
    let mut user = User::new();
    let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_bytes(12).hold().serve();
    let mut run = connect(format!("-w 1 -S bob@{proxy} host.example 22")).terminal(&user.pty).start();
    user.wait_for(SOCKS5_PROMPT);
    sleep(Duration::from_millis(500));
    user.type_in("secret\n");
    let out = run.wait();
    out.expect_failure(7, &["1 second", "the reply to the user name and password"]);
    out.expect_within(PROMPTLY);
    assert!(out.elapsed >= Duration::from_millis(1450), "{out:?}");
    proxy.finish();
}

/// Returns a 407 response with a Basic challenge, followed by these header fields and this body.
fn challenge(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 407 Authenticate\r\nProxy-Authenticate: Basic realm=\"x\"\r\n{fields}\r\n{body}")
}

/// Types the password at the prompt, and checks that the proxy accepts it and the session works.
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
fn a_407_is_answered_on_the_same_connection_if_the_proxy_keeps_it_open() {
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
    // Basic may follow another scheme in the same field, or be in the `WWW-Authenticate` field of a
    // 401. An interim response may precede the 407.
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
fn a_407_is_answered_on_a_new_connection_if_the_proxy_closes_the_first() {
    let long = "x".repeat(100_000);
    for (first, case) in [
        (http_reply(challenge("Connection: close\r\nContent-Length: 6\r\n", "badge?")), "close"),
        (http_reply(challenge("Proxy-Connection: close\r\nContent-Length: 0\r\n", "")), "proxy close"),
        (http_reply(challenge("Content-Length: 0\r\n", "").replace("HTTP/1.1", "HTTP/1.0")), "HTTP/1.0"),
        (http_reply(challenge("", "until the end")), "a body that ends at EOF"),
        (http_reply(challenge("", "")), "an empty body that ends at EOF"),
        (http_reply(challenge("Content-Length: 100\r\n", "cut")), "a truncated body"),
        (http_reply(challenge("Content-Length: 6\r\n", "badge?")).close(), "closed at the prompt"),
        (http_reply(challenge("Content-Length: 100000\r\n", &long)), "a body too long to skip"),
    ] {
        let second = http_basic("bob", "secret").early("welcome").expect("ping");
        let proxy = Server::each([first, second]);
        expect_accepted(&proxy, case);
        proxy.finish();
    }
}

/// Returns the number of terminal descriptors that a process has open.
fn terminal_descriptors(pid: u32) -> usize {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let files = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    files.filter(|file| file.starts_with("/dev/tty") || file.starts_with("/dev/pts")).count()
}

/// Each prompt used to leak a descriptor for `/dev/tty`: after six wrong passwords, the number of
/// open descriptors had risen from 9 to 15.
#[cfg(target_os = "linux")]
#[test]
fn a_password_prompt_of_a_listener_does_not_leak_a_descriptor_of_the_terminal() {
    let mut user = User::new();
    let proxy = Server::each((0..6).map(|_| socks5_userpass("bob", "secret")));
    let args = format!("-d --listen 127.0.0.1:0 -S bob@{proxy} host.example 22");
    let run = Listening::start(connect(args).terminal(&user.pty));
    let before = terminal_descriptors(run.run.pid());
    for _ in 0..6 {
        let mut client = run.client();
        user.answer(SOCKS5_PROMPT, "wrong");
        let refused = client.read(&mut [0]).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionReset);
        user.seen.clear();
    }
    assert_eq!(terminal_descriptors(run.run.pid()), before);
    drop(run);
    proxy.finish();
}

/// Calls `run` once for each password source, with the name of the source and a program that reads
/// `first_line` from it.
fn each_source(first_line: &[u8], run: impl Fn(&str, Program)) {
    let file = TempPath::file("password", first_line);
    fs::set_permissions(&*file, Permissions::from_mode(0o600)).unwrap();
    let print = format!("cat {}", file.display());
    run("--password-file", connect("--password-file").arg(&*file));
    run("--password-command", connect("--password-command").arg(&print).env("SHELL", "/bin/sh"));
    run("--password-fd", {
        let shell = format!("exec {} --password-fd 3 \"$@\" 3<{}", program_path(), file.display());
        Program::new("/bin/sh").arg("-c").arg(shell).arg("sh")
    });
    let asker = Asker::new("askpass", &print);
    run("SSH_ASKPASS", asker.connect(""));
}

/// The sources used to differ. From a file or descriptor, `a\rb\n` was read as `a\rb`, and the
/// limit was 4,096 bytes. From a command or askpass program, it was read as `a`, and the limit was
/// 4,095 bytes.
#[test]
fn the_first_line_is_the_same_for_every_source_of_a_password() {
    let longest = "x".repeat(4096);
    for (text, password) in [
        ("a\rb\n".to_owned(), "a"),
        ("a\r\nb\n".to_owned(), "a"),
        (longest.clone(), longest.as_str()),
        (format!("{longest}\r\n"), longest.as_str()),
    ] {
        each_source(text.as_bytes(), |source, program| {
            let proxy = http_basic("bob", password).early("welcome").expect_eof().serve();
            let out = program.args(format!("-H bob@{proxy} host 22")).run();
            assert_eq!((out.code, &*out.stdout), (Some(0), &b"welcome"[..]), "{source}: {out:?}");
            proxy.finish();
        });
    }
    each_source(format!("{longest}x\n").as_bytes(), |source, program| {
        let proxy = Server::repeat(|| http_basic("bob", "x"));
        let out = program.args(format!("-H bob@{proxy} host 22")).run();
        assert!(matches!(out.code, Some(2 | 6)), "{source}: {out:?}");
        out.expect_stderr_has("its first line is longer than 4096 bytes");
    });
}
