//! HTTP clients: CONNECT, and requests that are forwarded.

use super::*;

/// A web server that answers each request with `response`.
fn web(response: &'static str) -> Server {
    Server::repeat(move || script().expect_until("\r\n\r\n").send(response))
}

#[test]
fn connect_opens_a_tunnel_and_passes_on_early_bytes() {
    let target = echo();
    let run = http("");
    for host in ["127.0.0.1", "localhost"] {
        let mut client = run.client();
        let request = format!("CONNECT {host}:{} HTTP/1.1\r\nHost: x\r\n\r\nearly", target.port());
        client.write_all(request.as_bytes()).unwrap();
        assert_eq!(head(&client), "HTTP/1.1 200 Connection established\r\n\r\n");
        assert_eq!(read(&client, 5), b"early");
        expect_echo(&client, "later");
    }
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_request_for_a_url_is_forwarded() {
    let server = web(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nhello",
    );
    let run = http("");
    let answer = ask(
        &run,
        &format!(
            "GET http://{server}/a?b HTTP/1.1\r\nHost: other.example\r\nProxy-Connection: keep-alive\r\n\
             Proxy-Authorization: Basic eDp5\r\nCookie: a=b\r\n\r\n"
        ),
    );
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: 1.1 connect\r\nConnection: close\r\n\r\nhello"
    );
    assert_eq!(run.close(), [""; 0]);
    assert_eq!(
        String::from_utf8(server.records()[0].received.clone()).unwrap(),
        format!(
            "GET /a?b HTTP/1.1\r\nHost: {server}\r\nCookie: a=b\r\nVia: 1.1 connect\r\nConnection: close\r\n\r\n"
        )
    );
}

#[test]
fn a_large_body_in_each_direction_is_forwarded_as_it_is() {
    const SIZE: usize = 3_000_000;
    let body = "0123456789abcdef".repeat(SIZE / 16);
    let sent = body.clone();
    let server = Server::repeat(move || {
        script()
            .expect_until("\r\n\r\n")
            .expect(&sent)
            .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"))
            .send(&sent)
    });
    let run = http("");
    let request =
        format!("POST http://{server}/ HTTP/1.1\r\nHost: h\r\nContent-Length: {SIZE}\r\n\r\n{body}");
    let answer = ask(&run, &request);
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.len(), SIZE);
    assert!(answer.ends_with(&body));
    assert_eq!(run.close(), [""; 0]);
}

/// The second request would contain the password for the proxy.
#[test]
fn nothing_after_the_body_reaches_the_target() {
    let server = Server::repeat(|| {
        script()
            .expect_until("0\r\n\r\n")
            .expect_silence(std::time::Duration::from_millis(300))
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let run = http("");
    let second = format!("GET http://{server}/ HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\n\r\n");
    let answer = ask(
        &run,
        &format!(
            "POST http://{server}/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
             5;x\r\nhello\r\n0\r\nX: y\r\n\r\n{second}"
        ),
    );
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    run.close();
    let received = String::from_utf8(server.records()[0].received.clone()).unwrap();
    assert!(received.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{received}");
}

#[test]
fn the_end_of_a_request_does_not_close_the_connection_to_the_target() {
    let server = Server::repeat(|| {
        script()
            .expect_until("\r\n\r\n")
            .expect_silence(std::time::Duration::from_millis(300))
            .send("HTTP/1.1 200 OK\r\n\r\nuntil EOF")
    });
    let run = http("");
    let mut client = run.client();
    client.write_all(format!("GET http://{server}/ HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(read_to_end(client).ends_with("until EOF"));
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it_from_the_target() {
    let server = Server::repeat(|| {
        script()
            .expect_until("\r\n\r\n")
            .send("HTTP/1.1 100 Continue\r\n\r\n")
            .expect("hello")
            .send("HTTP/1.1 204 No Content\r\n\r\n")
    });
    let run = http("");
    let mut client = run.client();
    let request = format!(
        "PUT http://{server}/ HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    );
    client.write_all(request.as_bytes()).unwrap();
    assert!(head(&client).starts_with("HTTP/1.1 100 Continue\r\n"));
    client.write_all(b"hello").unwrap();
    assert_eq!(status(&read_to_end(client)), 204);
    run.close();
}

#[test]
fn a_target_that_does_not_answer_with_http_becomes_a_502() {
    let run = http("");
    for server in [
        web("SSH-2.0-x\r\n\r\n"),
        web("HTTP/1.1 407 No\r\n\r\n"),
        web(""),
        web("HTTP/1.1 200 OK\r\n a: b\r\n\r\n"),
    ] {
        let answer = ask(&run, &format!("GET http://{server}/ HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(status(&answer), 502, "{answer}");
        assert!(answer.contains("\r\n\r\nconnect: the target "), "{answer}");
    }
    run.close();
}

#[test]
fn a_client_learns_why_its_target_was_not_reached() {
    let (refusing, silent) = (RefusingPort::new(), SilentPort::new());
    let run = http("-w 0.5");
    for (target, code, why) in [
        (format!("127.0.0.1:{}", refusing.port()), 502, "connection refused"),
        ("host.invalid:22".into(), 502, "unknown host name"),
        (format!("127.0.0.1:{}", silent.port()), 504, "timed out"),
    ] {
        for request in [format!("CONNECT {target} HTTP/1.1"), format!("GET http://{target}/ HTTP/1.1")] {
            let answer = ask(&run, &format!("{request}\r\nHost: h\r\n\r\n"));
            assert_eq!(status(&answer), code, "{answer}");
            assert!(
                answer.ends_with(&format!("\r\n\r\nconnect: cannot connect to {target}: {why}\n")),
                "{answer}"
            );
        }
    }
    close_after(run, 6);
    for (reply, code) in [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403),
        ("HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n", 504),
        ("HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n", 502),
    ] {
        let proxy = Server::repeat(move || http_reply(reply));
        let run = http(&format!("-H {proxy}"));
        let answer = ask(&run, "CONNECT host.example:443 HTTP/1.1\r\n\r\n");
        assert_eq!(status(&answer), code, "{answer}");
        assert!(!answer.contains(&proxy.to_string()), "{answer}");
        run.close();
    }
}

#[test]
fn a_request_that_is_not_for_a_proxy_is_refused() {
    let run = http("");
    for (request, code, why) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 405, "requested a page of this listener"),
        ("GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 501, "requested a URL scheme other than http"),
        (
            "POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "both",
        ),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "another version of HTTP"),
    ] {
        let answer = ask(&run, request);
        assert_eq!(status(&answer), code, "{answer}");
        run.wait_for_line(why);
    }
    let mut client = run.client();
    client.write_all(b"\x16\x03\x01\0\0").unwrap();
    expect_disconnect(client);
    run.wait_for_line("did not send an HTTP request (first byte 0x16)");
    close_after(run, 5);
}

#[test]
fn a_login_is_required_if_there_is_a_password_file() {
    let target = echo();
    let file = TempPath::file("logins", "alice:secret");
    #[cfg(unix)]
    std::fs::set_permissions(&*file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let run = http(&format!("--listen-password-file {}", file.display()));
    let request = |login: &str| format!("CONNECT {target} HTTP/1.1\r\nHost: h\r\n{login}\r\n");
    let mut client = run.client();
    let basic = "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n";
    client.write_all(request(basic).as_bytes()).unwrap();
    assert_eq!(status(&head(&client)), 200);
    expect_echo(client, "hello");
    for login in ["", "Proxy-Authorization: Basic YWxpY2U6d3Jvbmc=\r\n"] {
        let answer = ask(&run, &request(login));
        assert_eq!(status(&answer), 407);
        assert!(answer.contains("\r\nProxy-Authenticate: Basic realm=\"connect\""), "{answer}");
    }
    let messages = close_after(run, 2).join("\n");
    assert!(!messages.contains("secret") && !messages.contains("YWxpY2U6"), "{messages}");
}

#[test]
fn a_malformed_chunk_is_answered_and_the_target_gets_no_complete_request() {
    let server = Server::lenient(&script().expect_until("\r\n\r\n").expect_reset());
    let run = http("");
    let mut client = run.client();
    let request =
        format!("POST http://{server}/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
    client.write_all(request.as_bytes()).unwrap();
    assert_eq!(status(&head(&client)), 400);
    drop(client);
    run.wait_for_line("invalid chunk size");
    run.close();
}
