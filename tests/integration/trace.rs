//! The log lines that `-d` prints. They are the same as in the C program, because people search for
//! these lines and recipes show them.

use std::time::Duration;

use crate::kit::*;
#[cfg(unix)]
use crate::wire::login_name;

/// Expects these lines on stderr in this order, possibly with others in between. `{P}` stands for
/// `port`.
#[track_caller]
fn expect_lines_in_order(out: &Outcome, port: u16, expected: &str) {
    let text = out.stderr_text();
    let mut lines = text.lines();
    for wanted in expected.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let wanted = format!("DEBUG: {}", wanted.replace("{P}", &port.to_string()));
        assert!(lines.any(|line| line == wanted), "no line `{wanted}`, or not in this order:\n{text}");
    }
    for line in text.lines() {
        assert!(line.starts_with("DEBUG: "), "not a debug line: {line:?}\n{text}");
    }
}

#[test]
fn a_direct_session_is_logged() {
    let target = script().send("HELLO\n").expect("ping\n").expect_eof().serve();
    let out = connect(format!("-d {}", target.args())).input("ping\n").run();
    out.expect_code(0).expect_stdout("HELLO\n");
    expect_lines_in_order(
        &out,
        target.port(),
        "relay_method = DIRECT (1)
         local_type=stdio
         dest_host=127.0.0.1
         dest_port={P}
         connecting to 127.0.0.1:{P}
         connected
         start relaying.
         relaying done.",
    );
}

#[test]
fn name_resolution_is_logged() {
    let target = script().expect_eof().serve();
    let out = connect(format!("-d localhost {}", target.port())).run();
    out.expect_code(0);
    expect_lines_in_order(
        &out,
        target.port(),
        "dest_host=localhost
         resolving host by name: localhost
         resolved: localhost (127.0.0.1)
         connecting to 127.0.0.1:{P}
         connected",
    );
}

#[test]
fn a_socks5_session_with_user_and_password_is_logged() {
    let proxy = socks5_userpass("bob", "secret").send("HELLO\n").expect_eof().serve();
    let run = connect(format!("-d -w 9 -S bob@{proxy} target.example 22")).env("SOCKS5_PASSWORD", "secret");
    let out = run.run();
    out.expect_code(0).expect_stdout("HELLO\n").expect_stderr_lacks("secret");
    expect_lines_in_order(
        &out,
        proxy.port(),
        "relay_method = SOCKS (2)
         relay_host=127.0.0.1
         relay_port={P}
         relay_user=bob
         socks_version=5
         socks_resolve=REMOTE (2)
         local_type=stdio
         dest_host=target.example
         dest_port=22
         setting timeout: 9 seconds
         connecting to 127.0.0.1:{P}
         >>> 05 02 00 02
         <<< 05 02
         >>> xx xx xx xx ...
         <<< 01 00
         >>> 05 01 00 03 0e 74 61 72 67 65 74 2e 65 78 61 6d 70 6c 65 00 16
         <<< 05 00 00 01
         <<< 00 00 00 00 00 00
         connected
         start relaying.
         relaying done.",
    );
}

#[test]
fn a_socks4_session_is_logged() {
    let proxy = socks4_granted().send("HELLO\n").expect_eof().serve();
    let out = connect(format!("-d -4 -S bob@{proxy} 10.1.2.3 22")).run();
    out.expect_code(0).expect_stdout("HELLO\n");
    expect_lines_in_order(
        &out,
        proxy.port(),
        "relay_method = SOCKS (2)
         relay_host=127.0.0.1
         relay_port={P}
         relay_user=bob
         socks_version=4
         socks_resolve=LOCAL (1)
         local_type=stdio
         dest_host=10.1.2.3
         dest_port=22
         connecting to 127.0.0.1:{P}
         >>> 04 01 00 16 0a 01 02 03 62 6f 62 00
         <<< 00 5a 00 00 00 00 00 00
         connected
         start relaying.
         relaying done.",
    );
}

#[test]
fn an_http_session_with_basic_authentication_is_logged() {
    let proxy = http_basic("bob", "secret").send("HELLO\n").expect_eof().serve();
    let out = connect(format!("-d -H bob:secret@{proxy} target.example 22")).run();
    out.expect_code(0)
        .expect_stdout("HELLO\n")
        .expect_stderr_lacks("secret")
        .expect_stderr_lacks("Ym9iOnNlY3JldA");
    expect_lines_in_order(
        &out,
        proxy.port(),
        r#"relay_method = HTTP (3)
         relay_host=127.0.0.1
         relay_port={P}
         relay_user=bob
         local_type=stdio
         dest_host=target.example
         dest_port=22
         connecting to 127.0.0.1:{P}
         >>> "CONNECT target.example:22 HTTP/1.1\r\n"
         >>> "Host: target.example:22\r\n"
         >>> "Proxy-Authorization: Basic xxxxx\r\n"
         >>> "\r\n"
         <<< "HTTP/1.1 200 OK\r\n"
         <<< "\r\n"
         connected
         start relaying.
         relaying done."#,
    );
}

#[test]
fn the_resolve_mode_is_logged() {
    for (options, line) in [
        ("-S", "socks_resolve=REMOTE (2)"),
        ("-R remote -S", "socks_resolve=REMOTE (2)"),
        ("-R local -S", "socks_resolve=LOCAL (1)"),
        ("-R both -S", "socks_resolve=BOTH (3)"),
        ("-4 -S", "socks_resolve=LOCAL (1)"),
        ("-4 -R both -S", "socks_resolve=BOTH (3)"),
    ] {
        let out = connect(format!("-d {options} 127.0.0.1:1 10.1.2.3 22")).run();
        assert!(out.stderr_text().lines().any(|l| l == format!("DEBUG: {line}")), "{options}: {out:?}");
    }
}

#[cfg(unix)]
#[test]
fn the_login_name_is_logged_if_no_user_is_given() {
    let refusing = RefusingPort::new();
    let out = connect(format!("-d -S 127.0.0.1:{} host 22", refusing.port())).run();
    out.expect_code(4).expect_stderr_has(&format!("DEBUG: relay_user={}\n", login_name()));
}

#[test]
fn nothing_is_logged_without_the_option() {
    let proxy = socks5_userpass("bob", "secret").send("HELLO\n").expect_eof().serve();
    connect(format!("-S bob:secret@{proxy} target.example 22"))
        .run()
        .expect_success()
        .expect_stdout("HELLO\n");
    proxy.finish();
}

#[test]
fn the_error_is_the_last_line_and_the_only_one_that_is_not_a_debug_line() {
    let proxy = socks5_refused(2).serve();
    let out = connect(format!("-d -S {proxy} target.example 22")).run();
    out.expect_code(5);
    let text = out.stderr_text();
    let errors: Vec<_> = text.lines().filter(|line| !line.starts_with("DEBUG: ")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    assert!(errors[0].starts_with("connect: ") && text.ends_with(&format!("{}\n", errors[0])), "{text}");
    proxy.finish();
}

#[test]
fn control_characters_from_a_peer_are_escaped() {
    let proxy = http_reply("HTTP/1.1 200 O\x1b[2JK\r\nX: \x07\x1b]0;owned\r\n\r\n").send("HELLO\n").serve();
    let out = connect(format!("-d -H {proxy} target.example 22")).run();
    out.expect_code(0).expect_stdout("HELLO\n").expect_stderr_has(r"O\x1b[2JK");
    assert!(!out.stderr.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n'), "{out:?}");
    proxy.finish();
}

/// Each piece that arrived was masked by itself, and only the password as it is.
#[test]
fn a_password_that_the_proxy_repeats_in_pieces_was_logged() {
    let refusal = |rest: &str| format!("HTTP/1.1 403 No\r\n{rest}");
    let pad = "x".repeat(4096 - "HTTP/1.1 403 No\r\nX-Pad: \r\nX: me:correct".len());
    for [first, second] in [
        [refusal("X: me:correct"), "horse\r\nContent-Length: 0\r\n\r\n".into()],
        // A read ends in the middle of the password.
        [refusal(&format!("X-Pad: {pad}\r\nX: me:correcthorse\r\nContent-Length: 0\r\n\r\n")), String::new()],
        [refusal("Transfer-Encoding: chunked\r\n\r\n7\r\ncorrect\r\n"), "5\r\nhorse\r\n0\r\n\r\n".into()],
        [refusal("Content-Length: 12\r\n\r\ncorrect"), "horse".into()],
        // The proxy closes the connection in the middle of the password.
        [refusal("X: me:"), "correcthors".into()],
        [refusal("X: me:correct%6"), "8orse\r\nContent-Length: 0\r\n\r\n".into()],
    ] {
        let proxy = http_reply(&first).pause(Duration::from_millis(50)).send(&second).serve();
        let run = connect(format!("-d -H me@{proxy} host.example 22"));
        let out = run.env("HTTP_PROXY_PASSWORD", "correcthorse").run();
        out.expect_code(5).expect_stderr_lacks("correct").expect_stderr_lacks("horse");
        out.expect_stderr_has("DEBUG: <<< \"HTTP/1.1 403 No\\r\\n\"\n");
        proxy.finish();
    }
}

/// A line is logged when it is complete, and the rest when the negotiation ends.
#[test]
fn no_part_of_an_answer_is_missing_in_the_log() {
    let answer = "HTTP/1.1 200 OK\r\nVia: x\r\nX: secret me";
    let proxy =
        script().expect_until("\r\n\r\n").send_slowly(answer, 1, Duration::from_millis(1)).hold().serve();
    let run = connect(format!("-d -w 1 -H me@{proxy} host.example 22"));
    let out = run.env("HTTP_PROXY_PASSWORD", "secret message").run();
    out.expect_code(7);
    let lines = r#"<<< "HTTP/1.1 200 OK\r\n"
         <<< "Via: x\r\n"
         <<< "X: xxxxx""#;
    for line in lines.lines() {
        out.expect_stderr_has(&format!("DEBUG: {}\n", line.trim()));
    }
    drop(proxy);
}

/// The address in a reply may be a name, which is logged in hexadecimal.
#[test]
fn a_password_that_a_socks5_proxy_repeats_as_a_name_was_logged() {
    let reply = [&b"\x05\0\0\x03\x0c"[..], b"correcthorse\0\x16"].concat();
    let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect("\x01\x02me\x0ccorrecthorse").send([1, 0]);
    let proxy = proxy.read_socks5_request().send(&reply[..9]).pause(Duration::from_millis(50));
    let proxy = proxy.send(&reply[9..]).early("welcome").drain().serve();
    let run = connect(format!("-d -S me@{proxy} host.example 22")).env("SOCKS5_PASSWORD", "correcthorse");
    let out = run.run();
    out.expect_code(0)
        .expect_stdout("welcome")
        .expect_stderr_lacks("63 6f 72")
        .expect_stderr_lacks("6f 72 73 65");
    out.expect_stderr_has("DEBUG: <<< 05 00 00 03 0c 78 78 78 78 78 00 16\n");
    proxy.finish();
}

/// The first proxy of a chain can answer instead of the second, and knows both passwords.
#[test]
fn the_password_of_another_hop_was_shown() {
    let proxy = socks5_userpass("me", "first-password").expect_until("\r\n\r\n");
    let proxy = proxy.send("HTTP/1.1 403 first-password\r\n\r\nsecond-password, first-password\r\n").serve();
    let chain = format!("socks5h://me:first-password@{proxy},http://me:second-password@second.example");
    let out = connect(format!("-d -x {chain} host.example 22")).run();
    out.expect_code(5).expect_stderr_lacks("first-password").expect_stderr_lacks("second-password");
    out.expect_stderr_has("refused to connect to host.example:22: 403 xxxxx: xxxxx, xxxxx");
    proxy.finish();
}

#[cfg(unix)]
#[test]
fn an_escape_sequence_in_a_path_reached_the_terminal() {
    let out = connect("-d").arg("unix:/nonexistent/\x1b[2J\u{202e}").run();
    out.expect_code(4).expect_stderr_has("DEBUG: dest_host=unix:/nonexistent/\\x1b[2J\\u{202e}\n");
    assert!(!out.stderr.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n'), "{out:?}");
}

#[cfg(unix)]
#[test]
fn with_stderr_closed_no_debug_line_enters_the_tunnel() {
    let target = script().expect("ping").expect_eof().serve();
    let run = connect(format!("-d {}", target.args())).stderr(Io::Closed).input("ping").run();
    run.expect_code(0).expect_stdout("");
    target.finish();
}
