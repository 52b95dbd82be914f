//! Tokens that hops send: sources, the hop that gets them, and the output that must not have them.

use std::cell::RefCell;
#[cfg(unix)]
use std::fs;

use connect::cli::{self, Request};
use connect::config::{self, Sources};
use connect::plan::Plan;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::kit::*;
#[cfg(target_os = "linux")]
use crate::listening::eventually;
#[cfg(unix)]
use crate::listening::listening;
use crate::websocket::server::WsServer;

/// A token with the claims `{"aud":"hub.example","exp":4102444800,"role":"dest","session":"ssh"}`.
/// The client does not verify the signature.
const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJhdWQiOiJodWIuZXhhbXBsZSIsImV4cCI6NDEwMjQ0NDgwMCwicm9sZSI6ImRlc3QiLCJz\
                     ZXNzaW9uIjoic3NoIn0.c2lnbmF0dXJl";

/// Starts a server that returns the head of the request, and ends the session.
fn server() -> WsServer<String> {
    WsServer::start("", |mut socket, head| {
        socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).unwrap();
        while socket.read().is_ok() {}
        head
    })
}

/// Returns the Authorization field of a request.
fn authorization(head: &str) -> Option<&str> {
    head.lines().find_map(|line| line.strip_prefix("Authorization: "))
}

#[track_caller]
fn expect_token(program: impl FnOnce(u16) -> Program) {
    let server = server();
    program(server.port()).run().expect_success().expect_stderr("");
    assert_eq!(authorization(&server.finish()), Some(&*format!("Bearer {TOKEN}")));
}

#[test]
fn the_token_comes_from_a_file_a_descriptor_or_the_environment() {
    let file = TempPath::private("token", format!("{TOKEN}\r\nmore\n"));
    let path = file.display();
    let to = |port| format!("-x ws://127.0.0.1:{port}/ host.example 22");
    expect_token(|port| connect(format!("--token-file {path} {}", to(port))));
    expect_token(|port| connect(to(port)).env("CONNECT_TOKEN", TOKEN));
    expect_token(|port| connect(to(port)).env("CONNECT_TOKEN_FILE", &*file));
    expect_token(|port| connect(format!("-x ws://127.0.0.1:{port}/#token-file={path} host.example 22")));
    // An option takes precedence over a variable, and the URL over both.
    let other = TempPath::private("other", "other\n");
    expect_token(|port| connect(format!("--token-file {path} {}", to(port))).env("CONNECT_TOKEN", "other"));
    expect_token(|port| {
        let args = format!("--token-file {}", other.display());
        connect(format!("{args} -x ws://127.0.0.1:{port}/#token-file={path} host.example 22"))
    });
    let server = server();
    connect(to(server.port())).run().expect_success();
    assert_eq!(authorization(&server.finish()), None);
}

#[cfg(unix)]
#[test]
fn the_token_comes_from_an_inherited_descriptor() {
    for source in ["--token-fd 3", "--token-file /dev/fd/3"] {
        expect_token(|port| {
            let target = format!("-x ws://127.0.0.1:{port}/ host.example 22");
            let script = format!("{} {source} {target} 3< <(echo {TOKEN})", program_path());
            Program::new("bash").arg("-c").arg(script)
        });
    }
}

#[cfg(unix)]
#[test]
fn a_listener_reads_the_token_file_again_for_each_session() {
    let file = TempPath::private("token", "first\n");
    let server = server();
    let run = listening(format!(
        "--token-file {} --listen 127.0.0.1:0 -x ws://127.0.0.1:{}/ host.example 22",
        file.display(),
        server.port()
    ));
    fs::write(&*file, "renewed\n").unwrap();
    drop(run.client());
    assert_eq!(authorization(&server.finish()), Some("Bearer renewed"));
    run.stop(rustix::process::Signal::TERM);
}

#[test]
fn standard_input_contains_the_token_unless_the_session_uses_it() {
    let server = server();
    let mut run = connect(format!(
        "--token-file - -p 127.0.0.1:0 -x ws://127.0.0.1:{}/ host.example 22",
        server.port()
    ))
    .input(format!("{TOKEN}\n"))
    .start();
    run.wait_stderr_has("listening on ");
    let port: u16 = run.stderr_so_far().trim().rsplit(':').next().unwrap().parse().unwrap();
    let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(authorization(&server.finish()), Some(&*format!("Bearer {TOKEN}")));
    drop(client);
    run.wait();
    for local in ["", "-P 0"] {
        let out = connect(format!("--token-file - {local} -x ws://127.0.0.1:1/ host.example 22")).run();
        out.expect_failure(2, &["cannot read the token from standard input: it carries the session"]);
    }
}

#[test]
fn no_output_contains_the_token() {
    let server = server();
    let file = TempPath::private("token", format!("{TOKEN}\n"));
    let run = connect(format!(
        "-dd --token-file {} -x ws://127.0.0.1:{}/ host.example 22",
        file.display(),
        server.port()
    ));
    let out = run.run();
    out.expect_code(0);
    assert!(server.finish().contains(TOKEN));
    let log = out.stderr_text();
    for part in TOKEN.split('.') {
        assert!(!log.contains(part), "{log}");
    }
    out.expect_stderr_has("role dest, session ssh, audience hub.example, expires 2100-01-01T00:00:00Z");
    let check =
        connect(format!("--check --token-file {} -x ws://127.0.0.1:1/ host.example 22", file.display()));
    let report = check.run();
    let text = String::from_utf8(report.stdout.clone()).unwrap() + &report.stderr_text();
    assert!(text.contains("expires 2100-01-01T00:00:00Z") && !text.contains(&TOKEN[..20]), "{text}");
}

/// The user may have given the token instead of its file.
#[test]
fn a_token_instead_of_its_file_is_masked() {
    for local in ["", "--check "] {
        let out = connect(format!("{local}--token-file {TOKEN} -x ws://127.0.0.1:1/ host.example 22")).run();
        out.expect_failure(2, &["--token-file: cannot read the token from the file it names"]);
        assert!(!out.stderr_text().contains(&TOKEN[..20]), "{out:?}");
    }
}

/// A server that repeats the token in its refusal does not get it into a message.
#[test]
fn a_token_that_the_server_repeats_is_masked() {
    use std::io::Write;

    let server = WsServer::raw(|mut stream| {
        let head = crate::websocket::server::read_head(&mut stream);
        let body = authorization(&head).unwrap().to_owned();
        write!(stream, "HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    });
    let run = connect(format!("-d -x ws://127.0.0.1:{}/ host.example 22", server.port()));
    let out = run.env("CONNECT_TOKEN", TOKEN).run();
    server.finish();
    out.expect_code(6);
    for part in TOKEN.split('.') {
        assert!(!out.stderr_text().contains(part), "{out:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_token_in_the_environment_is_erased() {
    let server = WsServer::start("Connect-Half-Close: 1\r\n", |mut socket, _| {
        crate::websocket::server::read_to_close(&mut socket)
    });
    let run = connect(format!("-x ws://127.0.0.1:{}/ host.example 22", server.port()));
    let mut run = run.env("CONNECT_TOKEN", TOKEN).env("LANDMARK", "an-unhidden-landmark").start();
    let environment = || fs::read(format!("/proc/{}/environ", run.pid())).unwrap();
    eventually("the token is erased", || {
        let environment = String::from_utf8_lossy(&environment()).into_owned();
        environment.contains("an-unhidden-landmark") && !environment.contains(&TOKEN[..20])
    });
    run.close_stdin();
    server.finish();
    run.wait();
}

/// Returns the plan for this command line, and the warnings.
fn planned(line: &str) -> (Result<Plan, String>, Vec<String>) {
    let args = format!("connect {line}");
    let Ok(Request::Session(args)) = cli::parse(args.split(' ').map(Into::into)) else { panic!("{line}") };
    let warnings = RefCell::new(Vec::new());
    let warn = |line: &str| warnings.borrow_mut().push(line.to_owned());
    let variable = |_: &str| None;
    let plan = config::plan(&args, &Sources::with_files(&variable, &warn, Vec::new()));
    (plan.map_err(|error| error.to_string()), warnings.into_inner())
}

/// Returns the token of each hop.
fn tokens(line: &str) -> Vec<Option<String>> {
    let plan = planned(line).0.unwrap();
    let token = |hop: &connect::plan::Hop| {
        hop.protocol.token().map(|token| String::from_utf8_lossy(token.value.expose()).into_owned())
    };
    plan.hops().map(token).collect()
}

#[test]
fn the_token_of_the_run_is_for_the_last_hop_that_sends_one() {
    let (run, own) = (TempPath::private("run", "run\n"), TempPath::private("own", "own\n"));
    let (run, own) = (format!("--token-file {}", run.display()), own.display());
    let some = |token: &str| Some(token.to_owned());
    for (chain, expected) in [
        ("wss://a/".to_owned(), vec![some("run")]),
        ("http://p,wss://a/,socks5h://s".into(), vec![None, some("run"), None]),
        ("wss://a/,wss://b/".into(), vec![None, some("run")]),
        (format!("wss://a/#token-file={own},wss://b/"), vec![some("own"), some("run")]),
        ("wss://a/|wss://b/|direct".into(), vec![some("run"), some("run")]),
    ] {
        assert_eq!(tokens(&format!("{run} -x {chain} host 22")), expected, "{chain}");
    }
}

#[test]
fn a_token_that_is_sent_unencrypted_causes_a_warning() {
    let file = TempPath::private("token", "token\n");
    let warnings = |chain: &str| planned(&format!("--token-file {} -x {chain} host 22", file.display())).1;
    let warning = warnings("ws://gw.example/t");
    assert_eq!(
        warning,
        ["warning: the token for ws://gw.example:80 is sent unencrypted; use a server with TLS"]
    );
    for chain in ["wss://gw.example/t", "ws://127.0.0.1:8080/t", "ws://localhost/t", "ws://[::1]:8080/"] {
        assert_eq!(warnings(chain), [""; 0], "{chain}");
    }
}

#[test]
fn a_token_that_cannot_be_sent_is_an_error() {
    for (content, why) in [
        ("a b\n", "blanks or characters other than ASCII"),
        ("ä\n", "blanks or characters other than ASCII"),
        ("\n", "its first line is empty"),
        (&*"x".repeat(2049), "longer than 2048 bytes"),
        (&*"x".repeat(1024 * 1024), "longer than 4096 bytes"),
    ] {
        let file = TempPath::private("token", content);
        let error = planned(&format!("--token-file {} -x wss://a/ host 22", file.display())).0.unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let error = planned("-x wss://a/#token=abcdef host 22").0.unwrap_err();
    assert!(error.contains("a token in a URL can be read by others") && !error.contains("abcdef"), "{error}");
    for option in ["--token-file x", "--token-fd 3", "--keepalive 5"] {
        let error = planned(&format!("{option} -S proxy host 22")).0.unwrap_err();
        assert!(error.contains("has no effect"), "{error}");
    }
}

/// Servers of other projects may take a token in the query.
#[test]
fn a_token_in_the_query_is_not_shown() {
    let server = server();
    let url = format!("ws://127.0.0.1:{}/?x=y&token=hunter2", server.port());
    let out = connect(format!("-dd -x {url} host.example 22")).run();
    assert!(server.finish().starts_with("GET /?x=y&token=hunter2 HTTP/1.1\r\n"));
    assert!(out.code == Some(0) && !out.stderr_text().contains("hunter2"), "{}", out.stderr_text());
    let closed = RefusingPort::new().port();
    for scheme in ["ws", "post+http"] {
        let url = format!("{scheme}://127.0.0.1:{closed}/tunnel?x=y&token=hunter2");
        let out = connect(format!("--check -dd -x {url} host.example 22")).run();
        let text = format!("{}{}", out.stdout_text(), out.stderr_text());
        assert!(text.contains("path /tunnel?x=y&token=****;") && !text.contains("hunter2"), "{text}");
    }
}
