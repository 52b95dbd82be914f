//! Proxies that grant the request although the tunnel leads nowhere.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use crate::kit::*;
use crate::listening::*;

const GREETING: &str = "SSH-2.0-client\r\n";

/// Returns the message about a proxy.
fn message(proxy: &str) -> String {
    format!(
        "{proxy} granted the request for host.example:22, but the connection was closed before the target sent anything"
    )
}

/// ssh only said "UNKNOWN port 65535", and `connect` nothing.
#[test]
fn a_tunnel_that_was_granted_and_led_nowhere_passed_for_a_session() {
    for read_first in [0, GREETING.len()] {
        let nowhere = |granted: Script| granted.expect_bytes(read_first).serve();
        for (proxy, option, kind) in [
            (nowhere(http_ok()), "-H", "HTTP proxy"),
            (nowhere(socks5_none()), "-S", "SOCKS5 proxy"),
            (nowhere(socks4_granted()), "-R remote -4 -S", "SOCKS4 proxy"),
        ] {
            let mut run = connect(format!("{option} {proxy} host.example 22")).start();
            run.send_if_running(GREETING);
            let out = run.wait();
            // The proxy resets the connection if the greeting arrives before it closes.
            let was_reset = read_first == 0 && out.stderr_text().contains("connection was reset");
            let expected = message(&format!("{kind} {proxy}"));
            let expected = if was_reset { expected.replace("closed", "reset") } else { expected };
            out.expect_failure(5, &[&expected, "blocked behind the proxy"]);
            out.expect_stdout("");
            proxy.finish();
        }
    }
}

/// A proxy that closes without reading ssh's greeting resets the connection.
#[test]
fn a_reset_instead_of_the_first_byte_passed_for_a_lost_session() {
    for mode in ["splice", "copy"] {
        let proxy = http_ok().expect_bytes(GREETING.len()).reset().serve();
        let message = message(&format!("HTTP proxy {proxy}")).replace("closed", "reset");
        let mut run = connect(format!("-H {proxy} host.example 22")).env("CONNECT_RELAY", mode).start();
        run.send(GREETING);
        run.wait().expect_failure(5, &[&message, "blocked behind the proxy"]);
        proxy.finish();
    }
    let proxy = http_ok().reset().serve();
    let out = connect(format!("--check -H {proxy} host.example 22")).run();
    out.expect_code(5);
    let message = message(&format!("HTTP proxy {proxy}")).replace("closed", "reset");
    assert!(out.stdout_text().contains(&message), "{out:?}");
    proxy.finish();
}

#[test]
fn a_client_that_is_reset_before_the_first_byte_is_reported() {
    for option in ["-p", "-P"] {
        let proxy = http_ok().expect_bytes(GREETING.len()).reset().serve();
        let run = listening(format!("{option} 0 -H {proxy} host.example 22"));
        let mut client = run.client();
        client.write_all(GREETING.as_bytes()).unwrap();
        expect_disconnect(&client);
        let message = message(&format!("HTTP proxy {proxy}")).replace("closed", "reset");
        run.end().expect_failure(5, &[&message]);
        proxy.finish();
    }
}

/// The proxy closes before the client sends anything, so the first write fails, too.
#[test]
fn a_client_of_a_listener_that_writes_into_a_reset_connection_is_reported_likewise() {
    let proxy = Server::repeat(|| http_ok().reset());
    let run = listening(format!("--listen 0 -H {proxy} host.example 22"));
    let about = message(&format!("HTTP proxy {proxy}")).replace("closed", "reset");
    for count in 1..=3 {
        let mut client = run.client();
        // The client may have been reset before.
        let _ = client.write_all(GREETING.as_bytes());
        expect_disconnect(&client);
        run.wait_for_lines(&about, count);
    }
    assert_eq!(run.close().len(), 3);
}

/// The session carried data, or only sent data.
#[test]
fn a_reset_after_the_first_byte_or_after_eof_is_a_lost_session() {
    for (script, input) in [
        (http_ok().send("x").expect_bytes(GREETING.len()), None),
        (http_ok().expect(GREETING).expect_eof(), Some(GREETING)),
    ] {
        let proxy = script.reset().serve();
        let program = connect(format!("-H {proxy} host.example 22"));
        let out = if let Some(input) = input {
            program.input(input).run()
        } else {
            let mut run = program.start();
            run.wait_stdout_has("x");
            run.send(GREETING);
            run.wait()
        };
        out.expect_failure(8, &["lost the connection to HTTP proxy", "data may be missing"]);
        proxy.finish();
    }
}

#[test]
fn the_last_proxy_of_a_chain_is_the_one_that_granted_the_request() {
    for mode in ["splice", "copy"] {
        let last = http_ok().serve();
        let first = socks5_none().relay_to(last.to_string()).serve();
        let args = format!("-x socks5h://{first},http://{last} host.example 22");
        let mut run = connect(args).env("CONNECT_RELAY", mode).start();
        run.wait().expect_failure(5, &[&message(&format!("HTTP proxy {last} (hop 2 of 2)"))]);
        first.finish();
        last.finish();
    }
}

/// Some services, such as graphite, only take data.
#[test]
fn a_session_that_only_sends_succeeds_with_a_warning() {
    for (options, warns) in [("", true), ("-q", false)] {
        let proxy = http_ok().expect("metric 1\n").expect_eof().serve();
        let out = connect(format!("{options} -H {proxy} host.example 22")).input("metric 1\n").run();
        out.expect_code(0).expect_stdout("");
        let text = out.stderr_text();
        let warning = format!("connect: warning: {}", message(&format!("HTTP proxy {proxy}")));
        assert_eq!(text.starts_with(&warning), warns, "{text}");
        assert_eq!(text.lines().count(), usize::from(warns), "{text}");
        proxy.finish();
    }
}

#[test]
fn a_session_that_carries_nothing_because_nothing_is_sent_succeeds() {
    let proxy = http_ok().expect_eof().serve();
    connect(format!("-H {proxy} host.example 22")).run().expect_success();
    proxy.finish();
    // The result is the same if the proxy closes before we read standard input.
    let proxy = http_ok().serve();
    connect(format!("-H {proxy} host.example 22")).stdin(Io::Null).run().expect_success();
    proxy.finish();
}

#[test]
fn a_direct_session_may_carry_nothing() {
    let target = script().serve();
    let mut run = connect(target.args()).start();
    run.wait().expect_success();
    target.finish();
}

#[test]
fn one_byte_from_the_target_is_a_session() {
    for mode in ["splice", "copy"] {
        let proxy = http_ok().send("x").serve();
        let mut run = connect(format!("-H {proxy} host.example 22")).env("CONNECT_RELAY", mode).start();
        run.wait().expect_success().expect_stdout("x");
        proxy.finish();
    }
}

#[test]
fn the_client_of_a_local_port_sees_a_clean_end_and_the_user_a_message() {
    let proxy = http_ok().expect_bytes(GREETING.len()).serve();
    let run = listening(format!("-p 0 -H {proxy} host.example 22"));
    let mut client = run.client();
    client.write_all(GREETING.as_bytes()).unwrap();
    assert_eq!(read_to_end(&client), "");
    drop(client);
    run.end().expect_failure(5, &[&message(&format!("HTTP proxy {proxy}"))]);
    proxy.finish();
}

#[test]
fn a_client_that_keeps_the_session_open_is_the_only_one_of_a_session_that_led_nowhere() {
    // The target closes while a client is connected, and between two clients.
    for between in [false, true] {
        let go = Gate::new();
        let proxy = http_ok().expect_bytes(GREETING.len()).wait_for(&go).serve();
        let run = listening(format!("-P 0 -H {proxy} host.example 22"));
        let mut client = run.client();
        client.write_all(GREETING.as_bytes()).unwrap();
        if between {
            drop(client);
            run.wait_for_line("closing local port without disconnecting");
            go.open();
        } else {
            go.open();
            expect_disconnect(&client);
        }
        run.end().expect_failure(5, &[&message(&format!("HTTP proxy {proxy}"))]);
        proxy.finish();
    }
}

#[test]
fn each_client_of_a_listener_that_was_led_nowhere_is_reported_unless_it_sent_nothing() {
    let proxy = Server::repeat(|| http_ok().expect_until("\n"));
    let run = listening(format!("--listen 0 -H {proxy} host.example 22"));
    // A client that only sends, and one that expects an answer.
    for half_closes in [true, false] {
        let mut client = run.client();
        client.write_all(GREETING.as_bytes()).unwrap();
        if half_closes {
            client.shutdown(Shutdown::Write).unwrap();
        }
        assert_eq!(read_to_end(&client), "");
    }
    let about = message(&format!("HTTP proxy {proxy}"));
    run.wait_for_lines(&about, 2);
    let messages = run.close();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages.iter().all(|line| line.starts_with("connect: client 127.0.0.1:")), "{messages:?}");

    let proxy = Server::repeat(|| http_ok().expect_eof());
    let run = listening(format!("--listen 0 -H {proxy} host.example 22"));
    drop(run.client());
    run.wait_for_line("relaying done.");
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_check_of_a_tunnel_that_led_nowhere_reported_success() {
    let verdict = |args: String, code: i32, parts: &[&str]| {
        let out = connect(&args).run();
        out.expect_code(code).expect_stderr("");
        let text = out.stdout_text();
        assert!(text.ends_with(&format!("Failed with exit code {code}.\n")), "{args}: {text}");
        for part in parts {
            assert!(text.contains(part), "{args}: no {part:?} in {text}");
        }
    };
    let proxy = http_ok().serve();
    verdict(
        format!("--check -H {proxy} host.example 22"),
        5,
        &[&message(&format!("HTTP proxy {proxy}")), "target", "try: "],
    );
    proxy.finish();
    let target = script().serve();
    let about = format!("{target} closed the connection before it sent anything");
    verdict(format!("--check {}", target.args()), 5, &[&about, "target", "try: "]);
    target.finish();
    let target = script().pause(Duration::from_millis(50)).reset().serve();
    verdict(format!("--check {}", target.args()), 8, &["lost the connection to", "target"]);
    target.finish();
    let proxy = http_ok().serve();
    let out = connect(format!("--check=json -H {proxy} host.example 22")).run();
    let object: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(object["exit_code"], 5);
    assert_eq!(object["error"], message(&format!("HTTP proxy {proxy}")));
    proxy.finish();
}
