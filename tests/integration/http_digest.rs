//! HTTP CONNECT with Digest, and the fallbacks if the proxy rejects it. The fake proxy verifies
//! each response.

use crate::kit::*;

const BASIC: &str = "bWU6c2VjcmV0";

fn proxy() -> HttpDigest {
    HttpDigest::new("me", "secret")
}

/// Runs a session that takes this many connections to the proxy, and returns the requests. `{P}` in
/// `options` stands for the proxy.
#[track_caller]
fn session(proxy: &HttpDigest, connections: usize, options: &str) -> Vec<String> {
    let scripts = (1..=connections).map(|n| {
        let script = proxy.script();
        if n == connections { script.early("welcome").expect("ping").expect_eof() } else { script }
    });
    let server = Server::each(scripts);
    let run = connect(format!("{} host.example 22", options.replace("{P}", &server.to_string())));
    run.input("ping").run().expect_success().expect_stdout("welcome");
    server.finish();
    proxy.heads()
}

fn authorization(head: &str) -> Option<&str> {
    head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: "))
}

#[test]
fn each_algorithm_is_supported_with_each_parameter() {
    for (algorithm, qop) in [
        ("", None),
        ("", Some("auth")),
        ("MD5", None),
        ("MD5", Some("auth")),
        ("MD5-sess", Some("auth,auth-int")),
        ("SHA-256", None),
        ("SHA-256", Some("auth-int, auth")),
        ("SHA-256-sess", Some("auth")),
        ("SHA-512-256", Some("auth")),
        ("SHA-512-256-sess", Some("auth")),
    ] {
        for more in ["", ", userhash=true", ", charset=UTF-8"] {
            let proxy = HttpDigest { algorithms: vec![algorithm], qop, extra_parameters: more, ..proxy() };
            assert_eq!(session(&proxy, 1, "-a digest -H me:secret@{P}").len(), 2, "{algorithm} {qop:?}");
        }
    }
}

#[test]
fn a_non_ascii_user_name_is_accepted() {
    for more in ["", ", charset=UTF-8", ", charset=UTF-8, userhash=true"] {
        let proxy = HttpDigest { extra_parameters: more, ..HttpDigest::new("jörg \"x\"\\%", "pässwörd") };
        session(&proxy, 1, "-a digest -H http://j%C3%B6rg%20%22x%22%5C%25:p%C3%A4ssw%C3%B6rd@{P}");
    }
}

#[test]
fn the_strongest_algorithm_is_used() {
    let algorithms = vec!["MD5", "SHA-512-256", "SHA-256"];
    let proxy = HttpDigest { algorithms, other_challenges: "Basic realm=x, Negotiate", ..proxy() };
    let heads = session(&proxy, 1, "-a digest -H me:secret@{P}");
    assert!(heads[1].contains("algorithm=SHA-512-256,"), "{heads:?}");
}

#[test]
fn a_known_password_is_sent_preemptively_unless_digest_is_first() {
    let offering = || HttpDigest { other_challenges: "Basic realm=x", ..proxy() };
    let first = |options: &str| {
        let heads = session(&offering(), 1, options);
        assert!(authorization(&heads[1]).unwrap().starts_with("Digest "), "{heads:?}");
        authorization(&heads[0]).map(str::to_owned)
    };
    let basic = Some(format!("Basic {BASIC}"));
    assert_eq!(first("-H me:secret@{P}"), basic);
    assert_eq!(first("-a basic,digest -H me:secret@{P}"), basic);
    assert_eq!(first("-a none,userpass -H me:secret@{P}"), basic);
    assert_eq!(first("-a digest -H me:secret@{P}"), None);
    assert_eq!(first("-a Digest,BASIC -H me:secret@{P}"), None);
    assert_eq!(first("-x http://me:secret@{P}?auth=digest"), None);
}

#[test]
fn a_variable_may_set_the_schemes() {
    let proxy = proxy();
    let server = proxy.script().drain().serve();
    let run = connect(format!("-H me:secret@{server} host.example 22")).env("HTTP_PROXY_AUTH", "digest");
    run.run().expect_success();
    server.finish();
    assert_eq!(authorization(&proxy.heads()[0]), None);
}

#[test]
fn basic_is_never_sent_if_it_is_excluded() {
    for challenge in ["Basic realm=x", "Basic realm=x, Digest realm=x, nonce=y, algorithm=SHA-1"] {
        let refusal =
            format!("HTTP/1.1 407 No\r\nProxy-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n");
        let server = http_reply(refusal).expect_disconnect().serve();
        let run = connect(format!("-a digest -H me:secret@{server} host.example 22")).run();
        run.expect_failure(6, &["Basic (excluded by -a)", "407"]).expect_stdout("");
        assert!(!server.finish_one().head.unwrap().contains("Authorization"));
    }
}

/// curl#876: a proxy that rejects one scheme may accept the next.
#[test]
fn a_rejected_scheme_is_followed_by_the_next() {
    let also = Some(format!("Basic {BASIC}"));
    let algorithms = vec!["MD5", "SHA-256"];
    for closes in [false, true] {
        let proxy = HttpDigest {
            algorithms: algorithms.clone(),
            also_accepts: also.clone(),
            other_challenges: "Basic realm=x",
            rejects_digest: true,
            closes,
            ..proxy()
        };
        let heads = session(&proxy, if closes { 4 } else { 1 }, "-a digest,basic -H me:secret@{P}");
        let tried: Vec<_> = heads.iter().map(|head| authorization(head).unwrap_or_default()).collect();
        let [first, second, third, last] = tried[..] else { panic!("{tried:?}") };
        assert_eq!((first, last), ("", &*format!("Basic {BASIC}")));
        assert!(second.contains("algorithm=SHA-256,") && third.contains("algorithm=MD5,"), "{tried:?}");
    }
}

#[test]
fn the_next_attempt_is_logged() {
    let proxy = HttpDigest {
        also_accepts: Some(format!("Basic {BASIC}")),
        other_challenges: "Basic",
        rejects_digest: true,
        ..proxy()
    };
    let server = proxy.script().drain().serve();
    let out = connect(format!("-d -a digest,basic -H me:secret@{server} host.example 22")).run();
    out.expect_code(0).expect_stderr_has("Digest (SHA-256) was rejected: trying Basic");
    server.finish();
}

/// hackney (#115) and proxytunnel (#33) retried forever if the proxy kept sending 407.
#[test]
fn a_wrong_password_is_sent_once_with_each_scheme() {
    let algorithms = vec!["MD5", "SHA-256", "SHA-512-256", "MD5-sess"];
    for (stale, most) in [(0, 4), (100, 6)] {
        let proxy =
            HttpDigest { algorithms: algorithms.clone(), other_challenges: "Basic", stale, ..proxy() };
        let password = if stale == 0 { "wrong" } else { "secret" };
        let server = proxy.script().expect_disconnect().serve();
        let out = connect(format!("-H me:{password}@{server} host.example 22")).run();
        out.expect_failure(6, &[&server.to_string(), "'me'", "password", "407 Who are you"])
            .expect_stdout("");
        out.expect_stderr_lacks(password);
        server.finish();
        assert_eq!(proxy.heads().len(), most);
    }
}

#[test]
fn a_proxy_that_closes_after_its_challenge_gets_a_new_connection() {
    session(&HttpDigest { closes: true, ..proxy() }, 2, "-H me:secret@{P}");
}

#[cfg(unix)]
#[test]
fn a_stale_nonce_is_replaced_without_another_prompt() {
    use crate::askpass::Asker;
    for stale in [0, 1, 2] {
        let asker =
            Asker::new("askpass", "echo >>\"$D/asked\"; [ \"$(wc -l <\"$D/asked\")\" = 1 ] && echo secret");
        let proxy = HttpDigest { stale, ..proxy() };
        let server = proxy.script().early("welcome").expect("ping").expect_eof().serve();
        let run = asker.connect(format!("-H me@{server} host.example 22"));
        run.input("ping").run().expect_success().expect_stdout("welcome");
        server.finish();
        assert_eq!(proxy.heads().len(), 2 + stale);
    }
}

#[test]
fn neither_the_password_nor_the_response_appears_in_the_debug_log() {
    // Use few parameters, so that the log shows the whole line.
    let proxy = HttpDigest { algorithms: vec![""], qop: None, ..proxy() };
    let server = proxy.script().serve();
    let out = connect(format!("-dd -a digest -H me:secret@{server} host.example 22")).run();
    out.expect_code(0).expect_stderr_has("response=\"xxxxx\"");
    server.finish();
    let heads = proxy.heads();
    let response = heads[1].split("response=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(response.len(), 32);
    out.expect_stderr_lacks("secret").expect_stderr_lacks(response);
}

#[test]
fn a_response_echoed_by_the_proxy_is_masked() {
    let server = http_reply(
        "HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm=r, nonce=n\r\nContent-Length: 0\r\n\r\n",
    )
    .then("echo the response", |session| {
        let head = String::from_utf8(session.receive_until(b"\r\n\r\n")?).unwrap();
        let response = head.split("response=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let page = format!("you said {response}");
        session.record().password = Some(response);
        let refusal = format!("HTTP/1.1 403 {page}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        session.send(refusal.as_bytes())
    })
    .serve();
    let out = connect(format!("-d -a digest -H me:secret@{server} host.example 22")).run();
    let response = server.finish_one().password.unwrap();
    out.expect_code(5).expect_stderr_has("403 you said xxxxx").expect_stderr_lacks(&response);
}

#[test]
fn an_unknown_scheme_is_an_error_before_anything_is_sent() {
    for (options, parts) in [
        ("-a digets -H {P}", &["-a", "basic or digest", "digets"][..]),
        ("-a digest,ntlm -H {P}", &["unsupported", "'ntlm'"]),
        ("-a basic,,digest -H {P}", &["-a"]),
        ("-x http://{P}?auth=none", &["invalid auth= value; use basic or digest"]),
        ("-x socks5://{P}?auth=digest", &["invalid auth= value; use none or userpass"]),
    ] {
        let server = Server::repeat(|| script().expect_eof());
        let args = format!("{} host.example 22", options.replace("{P}", &server.to_string()));
        connect(args).run().expect_failure(2, parts).expect_stdout("");
        server.finish();
    }
}
