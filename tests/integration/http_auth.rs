//! HTTP CONNECT with a known user name and password. The prompt tests are in `password`.

use crate::kit::*;
use crate::wire::*;

const CHALLENGE: &str = "HTTP/1.1 407 Proxy Authentication Required\r\n\
    Proxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";

/// Returns a request with these credentials, `user:password` in base64.
fn request(base64: &str) -> String {
    let target = "host.example:22";
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {base64}\r\n\r\n")
}

#[test]
fn a_known_password_is_sent_with_the_first_request_in_one_write() {
    let proxy = script()
        .expect_at_once(request("bWU6c2VjcmV0"))
        .send("HTTP/1.1 200 OK\r\n\r\n")
        .early("welcome")
        .expect("ping")
        .expect_eof()
        .serve();
    let run = connect(format!("-H me:secret@{proxy} host.example 22")).input("ping").run();
    run.expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn a_user_name_alone_is_not_sent() {
    let proxy = http_ok().drain().serve();
    connect(format!("-H me@{proxy} host.example 22")).env("HTTP_PROXY_USER", "you").run().expect_success();
    assert!(!proxy.finish_one().head.unwrap().contains("Authorization"));
}

/// Returns `user:password` as the proxy received it. `{S}` in `spec` stands for the proxy.
#[track_caller]
fn login(spec: &str, environment: &[(&str, &str)]) -> String {
    let proxy = http_ok().drain().serve();
    let run = connect(format!("-H {} host.example 22", spec.replace("{S}", &proxy.to_string())));
    let run = environment.iter().fold(run, |run, (name, value)| run.env(name, value));
    run.run().expect_success();
    let head = proxy.finish_one().head.unwrap();
    let given = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: Basic "));
    base64_decoded(given.unwrap_or_else(|| panic!("no credentials in {head:?}")))
}

fn base64_decoded(text: &str) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap()
}

#[test]
fn the_user_comes_from_the_proxy_option_or_the_first_variable_that_is_set() {
    let variables = [("HTTP_PROXY_USER", "http"), ("CONNECT_USER", "all")];
    let others = [("HTTP_PROXY_PASSWORD", "pw"), ("SOCKS5_USER", "no"), ("SOCKS_USER", "no")];
    for (skipped, expected) in ["http:pw", "all:pw"].into_iter().enumerate() {
        let environment = [&variables[skipped..], &others].concat();
        assert_eq!(login("{S}", &environment), expected);
        assert_eq!(login("spec@{S}", &environment), "spec:pw");
    }
}

#[cfg(unix)]
#[test]
fn the_default_user_is_the_login_name() {
    assert_eq!(login("{S}", &[("HTTP_PROXY_PASSWORD", "pw")]), format!("{}:pw", login_name()));
}

#[test]
fn the_password_comes_from_the_proxy_option_or_the_first_variable_that_is_set() {
    let variables = [("HTTP_PROXY_PASSWORD", "http"), ("CONNECT_PASSWORD", "all")];
    let others = [("SOCKS5_PASSWORD", "no"), ("SOCKS_PASSWORD", "no"), ("HTTP_PROXY_PASSWD", "no")];
    for (skipped, expected) in ["me:http", "me:all"].into_iter().enumerate() {
        let environment = [&variables[skipped..], &others].concat();
        assert_eq!(login("me@{S}", &environment), expected);
        assert_eq!(login("me:spec@{S}", &environment), "me:spec");
    }
    // An empty value counts as set.
    assert_eq!(login("me@{S}", &[("HTTP_PROXY_PASSWORD", ""), ("CONNECT_PASSWORD", "all")]), "me:");
}

#[test]
fn user_and_password_in_the_proxy_option_are_decoded_only_in_a_url() {
    let long = "p".repeat(600);
    for (spec, variable, expected) in [
        ("a@b:pw@{S}", "", "a@b:pw"),
        ("me:p:s:s@{S}", "", "me:p:s:s"),
        ("me:p%41ss@{S}", "", "me:p%41ss"),
        ("http://me:p%40s%3As%2F%20%c3%a9@{S}/path", "", "me:p@s:s/ é"),
        ("bücher:pässe@{S}", "", "bücher:pässe"),
        ("me@{S}", "a b # c", "me:a b # c"),
        ("me@{S}", "p:a:s@s", "me:p:a:s@s"),
        ("me@{S}", &long, &format!("me:{long}")),
    ] {
        assert_eq!(login(spec, &[("HTTP_PROXY_PASSWORD", variable)]), expected, "{spec}");
    }
}

#[test]
fn credentials_that_basic_cannot_encode_are_an_error_before_anything_is_sent() {
    for (user, password, part) in [
        ("a:b", "pw", "':'"),
        ("a\r\nb", "pw", "control"),
        ("me", "p\nw", "control"),
        ("me", "p\x7fw", "control"),
    ] {
        let proxy = Server::repeat(|| script().expect_eof());
        let run = connect(format!("-H {proxy} host.example 22")).env("HTTP_PROXY_USER", user);
        run.env("HTTP_PROXY_PASSWORD", password).run().expect_failure(2, &[part]).expect_stdout("");
        proxy.finish();
    }
}

#[test]
fn a_rejected_password_is_an_error_with_the_user_name_and_without_the_password() {
    let with_401 = CHALLENGE.replace("407 Proxy Authentication Required", "401 Unauthorized");
    let with_www = with_401.replace("Proxy-Authenticate", "WWW-Authenticate");
    for (reply, status) in [(CHALLENGE, "407"), (&*with_401, "401"), (&*with_www, "401")] {
        let proxy = script()
            .expect_at_once(request("Ym9iOmh1bnRlcjI="))
            .send(reply)
            .then("expect no other request", |session| match session.receive_up_to(1000) {
                Ok(bytes) if !bytes.is_empty() => Err(format!("got {}", show(&bytes))),
                // EOF and reset are both fine.
                _ => Ok(()),
            })
            .serve();
        let out = connect(format!("-H bob:hunter2@{proxy} host.example 22")).run();
        out.expect_failure(6, &[&format!("HTTP proxy {proxy}"), "'bob'", "password", status])
            .expect_stdout("");
        out.expect_stderr_lacks("hunter2");
        proxy.finish();
    }
}

#[test]
fn neither_the_password_nor_its_base64_appears_in_the_debug_log() {
    for code in [0, 6] {
        let proxy = if code == 0 { http_basic("bob", "hunter2") } else { http_reply(CHALLENGE) }.serve();
        let out = connect(format!("-dd -H bob:hunter2@{proxy} host.example 22")).run();
        out.expect_code(code).expect_stderr_has("Basic xxxxx");
        out.expect_stderr_lacks("hunter2").expect_stderr_lacks("Ym9iOmh1bnRlcjI");
        proxy.finish();
    }
}

/// The program used to wait for the rest of the body until the time limit.
#[test]
fn a_challenge_without_all_of_its_body_used_up_the_time_limit() {
    let challenge =
        "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 1000\r\n\r\nshort";
    let proxy = Server::each([
        http_reply(challenge).expect_disconnect(),
        http_basic("me", "secret").early("welcome").drain(),
    ]);
    let out = connect(format!("-a digest,basic -H me:secret@{proxy} host.example 22")).run();
    out.expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn unsupported_schemes_are_listed() {
    let status = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n";
    for (fields, offered) in [
        ("Proxy-Authenticate: Negotiate\r\n", "Negotiate"),
        ("Proxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate\r\n", "NTLM, Negotiate"),
        ("Proxy-Authenticate: Digest realm=\"Basic, x\", nonce=\"Basic\", qop=\"auth-int\"\r\n", "Digest"),
        ("", "no scheme"),
        ("Proxy-Authenticate:\r\n", "no scheme"),
    ] {
        for user in ["me@", "me:hunter2@"] {
            let proxy = http_reply(format!("{status}{fields}\r\n")).serve();
            let out = connect(format!("-H {user}{proxy} host.example 22")).run();
            out.expect_failure(6, &[&proxy.to_string(), offered, "407"]).expect_stdout("");
            out.expect_stderr_lacks("hunter2");
            proxy.finish();
        }
    }
}

#[test]
fn credentials_echoed_by_the_proxy_are_masked() {
    for status in [403, 407] {
        let proxy = script()
            .expect(request("bWU6c2VjcmV0"))
            .send(format!(
                "HTTP/1.1 {status} you sent bWU6c2VjcmV0\r\nProxy-Authenticate: Basic realm=bWU6c2VjcmV0\r\n\
                 Content-Length: 12\r\n\r\nbWU6c2VjcmV0"
            ))
            .serve();
        let run = connect(format!("-d -H me:secret@{proxy} host.example 22")).run();
        run.expect_stderr_has("xxxxx").expect_stderr_lacks("bWU6c2VjcmV0");
        assert_ne!(run.code, Some(0));
    }
}
