//! Telnet-style proxies: a command goes out, lines come back until one is a verdict.

use std::time::Duration;

use crate::kit::*;
use crate::wire::*;

const COMMAND: &str = "telnet host.example 22\r\n";
const GOOD: &str = "Connected to host.example.\r\n";
const GOOD_AND_EARLY: &str = "Trying...\r\nConnected to host.example.\r\nSSH-2.0-early\r\n\0\x7f";

/// A proxy that is sent exactly this, and then says that.
fn proxy(command: &str, answer: impl AsRef<[u8]>) -> Script {
    script().expect_at_once(command).send(answer)
}

fn through(proxy: &Server) -> Program {
    connect(format!("-T {proxy} host.example 22"))
}

#[test]
fn the_default_command_is_that_of_the_telnet_program() {
    for target in ["host.example 22", "host.example:22", "192.0.2.7 25", "::1 22", "[2001:db8::7]:443"] {
        let expected = match target {
            "192.0.2.7 25" => "telnet 192.0.2.7 25\r\n",
            "::1 22" => "telnet ::1 22\r\n",
            "[2001:db8::7]:443" => "telnet 2001:db8::7 443\r\n",
            _ => COMMAND,
        };
        let proxy = proxy(expected, GOOD).expect("ping").send("pong").expect_eof().serve();
        connect(format!("-T {proxy} {target}")).input("ping").run().expect_success().expect_stdout("pong");
        proxy.finish();
    }
}

#[test]
fn a_command_is_sent_with_host_port_and_control_characters_in_it() {
    for (command, expected) in [
        ("c %h:%p", "c host.example:22\r\n"),
        (r"user\r\nconnect\t%h %p\n", "user\r\nconnect\thost.example 22\n\r\n"),
        (r"%% \\ %x \q %", "% \\ %x \\q %\r\n"),
        ("", "\r\n"),
    ] {
        let proxy = proxy(expected, GOOD).expect_eof().serve();
        connect("-c").arg(command).args(format!("-T {proxy} host.example 22")).run().expect_success();
        proxy.finish();
    }
}

#[test]
fn the_proxy_may_be_named_by_the_environment_and_port_23_is_its_default() {
    let proxy = proxy(COMMAND, GOOD).expect_eof().serve();
    connect("-t host.example 22").env("TELNET_PROXY", proxy.to_string()).run().expect_success();
    proxy.finish();

    connect("-t host.example 22").run().expect_failure(2, &["TELNET_PROXY", "-T"]);
    connect("-t host.example 22").env("TELNET_PROXY", "").run().expect_failure(2, &["TELNET_PROXY", "-T"]);
    connect("-T socks5://h host.example 22").run().expect_failure(2, &["-T", "-S"]);
    for word in [UNKNOWN.to_owned(), format!("telnet://{UNKNOWN}/")] {
        let out = connect(format!("-T {word} host.example 22")).run();
        out.expect_failure(3, &[&format!("telnet proxy {UNKNOWN}:23")]);
    }
}

#[test]
fn the_proxy_gets_the_name_as_it_was_typed() {
    let proxy = proxy("telnet LocalHost 22\r\n", GOOD).expect_eof().serve();
    connect(format!("-R local -T {proxy} LocalHost 22")).run().expect_success();
    proxy.finish();
}

#[test]
fn nothing_is_sent_before_the_good_line_but_the_command() {
    let gate = Gate::new();
    let proxy = script()
        .send("welcome\r\n")
        .expect(COMMAND)
        .send("Trying\r\n")
        .expect_silence(Duration::from_millis(100))
        .send(GOOD)
        .expect("ping")
        .open(&gate)
        .expect_eof()
        .serve();
    through(&proxy).input("ping").run().expect_success();
    gate.wait();
    proxy.finish();
}

#[test]
fn every_way_in_which_the_answer_can_arrive_opens_the_tunnel() {
    let at = GOOD_AND_EARLY.find("SSH").unwrap();
    let early = &GOOD_AND_EARLY[at..];
    let whole = proxy(COMMAND, GOOD_AND_EARLY);
    let bytewise = script().expect(COMMAND).send_bytewise(GOOD_AND_EARLY);
    let in_two = |cut: usize| {
        let (first, second) = GOOD_AND_EARLY.split_at(cut);
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
fn a_megabyte_behind_the_good_line_is_delivered() {
    let proxy = proxy(COMMAND, GOOD).send_data(1, MIB).expect_eof().serve();
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
fn a_refusal_cannot_write_to_the_terminal() {
    let proxy = proxy(COMMAND, "\x1b]0;owned\x07\x1b[2J host\r refused \u{202e}\u{9b}it\r\n").serve();
    let out = through(&proxy).run();
    out.expect_failure(5, &[r"\x1b]0;owned\x07\x1b[2J host\r refused \u{202e}\u{9b}it"]);
    assert!(!out.stderr.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n'), "{out:?}");
    proxy.finish();
}

#[test]
fn a_proxy_that_closes_without_a_verdict_is_a_failure() {
    for text in ["", "login: ", "Trying...\r\n", "connected to nothing, since the line does not end"] {
        let proxy = proxy(COMMAND, text).close().serve();
        through(&proxy).run().expect_failure(5, &["telnet proxy", "closed the connection"]).expect_stdout("");
        proxy.finish();
    }
    let proxy = proxy(COMMAND, "connection refused").close().serve();
    through(&proxy).run().expect_failure(5, &["refused to connect to host.example:22: connection refused"]);
    proxy.finish();
    let proxy = script().expect(COMMAND).reset().serve();
    through(&proxy).run().expect_failure(5, &["telnet proxy", "the line that reports the connection"]);
    proxy.finish();
}

#[test]
fn a_proxy_that_talks_for_ever_is_left() {
    for text in ["x".repeat(1000), "a line without a verdict\r\n".repeat(40)] {
        let proxy = script().expect(COMMAND).then("talk until it has gone", move |session| {
            while session.send(text.as_bytes()).is_ok() {}
            Ok(())
        });
        let proxy = proxy.serve();
        let out = through(&proxy).run();
        out.expect_failure(5, &["telnet proxy", "64 KiB", "success or failure"]).expect_stdout("");
        out.expect_within(Duration::from_secs(5));
        proxy.finish();
    }
}

#[test]
fn a_silent_proxy_and_a_slow_talker_are_bound_by_the_limit() {
    let silent = script().expect(COMMAND).expect_disconnect();
    let slow = script().expect(COMMAND).then("say a line now and then", |session| {
        while session.send(b"Trying...\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    });
    for script in [silent, slow] {
        let proxy = script.serve();
        let out = connect(format!("-w 0.3 -T {proxy} host.example 22")).run();
        out.expect_failure(7, &["0.3 seconds", "telnet proxy", "the line that reports the connection"]);
        out.expect_within(Duration::from_secs(2));
        proxy.finish();
    }
}

#[test]
fn the_dialogue_is_traced_line_by_line() {
    let proxy = proxy(COMMAND, "Trying...\r\nConnected to x\r\nSSH-2.0-early\r\n").expect_eof().serve();
    let out = connect(format!("-d -T {proxy} host.example 22")).run();
    out.expect_code(0).expect_stderr_has("DEBUG: relay_method = TELNET (4)\n");
    out.expect_stderr_has("DEBUG: >>> \"telnet host.example 22\\r\\n\"\n");
    out.expect_stderr_has("DEBUG: <<< \"Trying...\\r\\n\"\nDEBUG: <<< \"Connected to x\\r\\n\"\n");
    out.expect_stderr_lacks("SSH-2.0-early");
    proxy.finish();
}
