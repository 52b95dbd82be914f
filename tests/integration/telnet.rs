//! Telnet-style proxies with the real program.

use std::time::Duration;

use crate::kit::*;
use crate::wire::*;

const COMMAND: &str = "telnet host.example 22\r\n";
const SUCCESS: &str = "Connected to host.example.\r\n";
const SUCCESS_AND_EARLY: &str = "Trying...\r\nConnected to host.example.\r\nSSH-2.0-early\r\n\0\x7f";

/// Returns a proxy that expects exactly this command and sends this answer.
fn proxy(command: &str, answer: impl AsRef<[u8]>) -> Script {
    script().expect_at_once(command).send(answer)
}

fn through(proxy: &Server) -> Program {
    connect(format!("-T {proxy} host.example 22"))
}

#[test]
fn the_default_command_is_for_the_telnet_program() {
    for target in ["host.example 22", "host.example:22", "192.0.2.7 25", "::1 22", "[2001:db8::7]:443"] {
        let expected = match target {
            "192.0.2.7 25" => "telnet 192.0.2.7 25\r\n",
            "::1 22" => "telnet ::1 22\r\n",
            "[2001:db8::7]:443" => "telnet 2001:db8::7 443\r\n",
            _ => COMMAND,
        };
        let proxy = proxy(expected, SUCCESS).expect("ping").send("pong").expect_eof().serve();
        connect(format!("-T {proxy} {target}")).input("ping").run().expect_success().expect_stdout("pong");
        proxy.finish();
    }
}

#[test]
fn a_command_is_sent_with_host_port_and_control_characters_expanded() {
    for (command, expected) in [
        ("c %h:%p", "c host.example:22\r\n"),
        (r"user\r\nconnect\t%h %p\n", "user\r\nconnect\thost.example 22\n\r\n"),
        (r"%% \\ %x \q %", "% \\ %x \\q %\r\n"),
        ("", "\r\n"),
    ] {
        let proxy = proxy(expected, SUCCESS).expect_eof().serve();
        connect("-c").arg(command).args(format!("-T {proxy} host.example 22")).run().expect_success();
        proxy.finish();
    }
}

#[test]
fn a_variable_may_name_the_proxy_and_port_23_is_the_default() {
    let proxy = proxy(COMMAND, SUCCESS).expect_eof().serve();
    connect("-t host.example 22").env("TELNET_PROXY", proxy.to_string()).run().expect_success();
    proxy.finish();

    connect("-t host.example 22").run().expect_failure(2, &["TELNET_PROXY", "-T"]);
    connect("-t host.example 22").env("TELNET_PROXY", "").run().expect_failure(2, &["TELNET_PROXY", "-T"]);
    connect("-T socks5://h host.example 22").run().expect_failure(2, &["-T", "-S"]);
    for proxy in [UNKNOWN.to_owned(), format!("telnet://{UNKNOWN}/")] {
        let out = connect(format!("-T {proxy} host.example 22")).run();
        out.expect_failure(3, &[&format!("telnet proxy {UNKNOWN}:23")]);
    }
}

#[test]
fn the_name_is_sent_as_typed() {
    let proxy = proxy("telnet LocalHost 22\r\n", SUCCESS).expect_eof().serve();
    connect(format!("-R local -T {proxy} LocalHost 22")).run().expect_success();
    proxy.finish();
}

#[test]
fn nothing_but_the_command_is_sent_before_the_success_line() {
    let gate = Gate::new();
    let proxy = script()
        .send("welcome\r\n")
        .expect(COMMAND)
        .send("Trying\r\n")
        .expect_silence(Duration::from_millis(100))
        .send(SUCCESS)
        .expect("ping")
        .open(&gate)
        .expect_eof()
        .send("pong")
        .serve();
    through(&proxy).input("ping").run().expect_success().expect_stdout("pong");
    gate.wait();
    proxy.finish();
}

#[test]
fn the_answer_establishes_the_tunnel_in_any_fragmentation() {
    let at = SUCCESS_AND_EARLY.find("SSH").unwrap();
    let early = &SUCCESS_AND_EARLY[at..];
    let whole = proxy(COMMAND, SUCCESS_AND_EARLY);
    let bytewise = script().expect(COMMAND).send_bytewise(SUCCESS_AND_EARLY);
    let in_two = |cut: usize| {
        let (first, second) = SUCCESS_AND_EARLY.split_at(cut);
        script().expect(COMMAND).send(first).pause(Duration::from_millis(3)).send(second)
    };
    let cuts = (at - 3..=at + 3).map(in_two);
    for script in [whole, bytewise].into_iter().chain(cuts) {
        let proxy = script.expect("ping").expect_eof().serve();
        through(&proxy).input("ping").run().expect_success().expect_stdout(early);
        proxy.finish();
    }
}

#[test]
fn a_megabyte_after_the_success_line_is_delivered() {
    let proxy = proxy(COMMAND, SUCCESS).send_data(1, MIB).expect_eof().serve();
    let out = through(&proxy).run();
    assert_eq!(Digest::from_reader(&out.stdout[..]), Digest::from_reader(data(1, MIB)));
    out.expect_success();
    proxy.finish();
}

#[test]
fn a_refusal_is_quoted() {
    for text in ["connection failed", "Connection Refused", "request REJECTED", "line  closed by peer"] {
        let proxy = proxy(COMMAND, format!("Trying...\r\n{text}\r\nmore\r\n")).serve();
        let parts = [&format!("telnet proxy {proxy} refused to connect to host.example:22: {text}")[..]];
        through(&proxy).run().expect_failure(5, &parts).expect_stdout("");
        proxy.finish();
    }
}

#[test]
fn control_characters_in_a_refusal_are_escaped() {
    let proxy = proxy(COMMAND, "\x1b]0;owned\x07\x1b[2J host\r refused \u{202e}\u{9b}it\r\n").serve();
    let out = through(&proxy).run();
    out.expect_failure(5, &[r"\x1b]0;owned\x07\x1b[2J host\r refused \u{202e}\u{9b}it"]);
    assert!(!out.stderr.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n'), "{out:?}");
    proxy.finish();
}

#[test]
fn eof_before_the_success_line_is_an_error() {
    for text in ["", "login: ", "Trying...\r\n", "connected to nothing, since the line does not end"] {
        let proxy = proxy(COMMAND, text).close().serve();
        through(&proxy).run().expect_failure(5, &["telnet proxy", "closed the connection"]).expect_stdout("");
        proxy.finish();
    }
    let proxy = proxy(COMMAND, "connection refused").close().serve();
    through(&proxy).run().expect_failure(5, &["refused to connect to host.example:22: connection refused"]);
    proxy.finish();
    let proxy = script().expect(COMMAND).reset().serve();
    through(&proxy).run().expect_failure(5, &["telnet proxy", "the line that reports success"]);
    proxy.finish();
}

#[test]
fn an_endless_answer_is_an_error() {
    for text in ["x".repeat(1000), "neither success nor failure\r\n".repeat(40)] {
        let proxy = script().expect(COMMAND).then("send until the program closes", move |session| {
            while session.send(text.as_bytes()).is_ok() {}
            Ok(())
        });
        let proxy = proxy.serve();
        let out = through(&proxy).run();
        out.expect_failure(5, &["telnet proxy", "64 KiB", "success or failure"]).expect_stdout("");
        out.expect_within(PROMPTLY);
        proxy.finish();
    }
}

#[test]
fn the_limit_covers_a_silent_proxy_and_a_slow_one() {
    let silent = script().expect(COMMAND).expect_disconnect();
    let slow = script().expect(COMMAND).then("send a line now and then", |session| {
        while session.send(b"Trying...\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    });
    for script in [silent, slow] {
        let proxy = script.serve();
        let out = connect(format!("-w 0.3 -T {proxy} host.example 22")).run();
        out.expect_failure(7, &["0.3 seconds", "telnet proxy", "the line that reports success"]);
        out.expect_within(PROMPTLY);
        proxy.finish();
    }
}

#[test]
fn the_debug_log_shows_the_conversation_line_by_line() {
    let proxy = proxy(COMMAND, "Trying...\r\nConnected to x\r\nSSH-2.0-early\r\n").expect_eof().serve();
    let out = connect(format!("-d -T {proxy} host.example 22")).run();
    out.expect_code(0).expect_stderr_has("DEBUG: relay_method = TELNET (4)\n");
    out.expect_stderr_has("DEBUG: >>> \"telnet host.example 22\\r\\n\"\n");
    out.expect_stderr_has("DEBUG: <<< \"Trying...\\r\\n\"\nDEBUG: <<< \"Connected to x\\r\\n\"\n");
    out.expect_stderr_lacks("SSH-2.0-early");
    proxy.finish();
}
