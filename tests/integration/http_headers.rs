//! Options that change the requests to HTTP proxies: `--header`, `--user-agent`, `--http1.0`.

use crate::kit::*;
use crate::rcfile::home;

/// Runs connect with these options and variables, and returns the request headers after `Host`,
/// separated by `|`.
#[track_caller]
fn added(options: &str, environment: &[(&str, &str)]) -> String {
    let proxy = http_ok().drain().serve();
    // Headers contain spaces, so the options are separated by `|`.
    let args = options.split('|').filter(|_| !options.is_empty());
    let run = args.fold(connect(""), Program::arg);
    let run = environment.iter().fold(run, |run, (name, value)| run.env(name, value));
    run.args(format!("-H {proxy} host.example 22")).run().expect_success();
    let head = proxy.finish_one().head.unwrap();
    let start = "CONNECT host.example:22 HTTP/1.1\r\nHost: host.example:22\r\n";
    head.strip_prefix(start).unwrap_or_else(|| panic!("{head:?}")).trim_end().replace("\r\n", "|")
}

#[test]
fn headers_are_sent_in_order() {
    assert_eq!(added("", &[]), "");
    assert_eq!(
        added("--header|X-Token: a b|--header=x-two:3|--header|X-Token: c", &[]),
        "X-Token: a b|x-two: 3|X-Token: c"
    );
}

#[test]
fn headers_may_come_from_a_file() {
    let file = TempPath::file("headers", "# for the proxy\r\nX-One: 1\r\n\r\n \nX-Two: é\n#X-Three: 3");
    let options = format!("--header|X-Zero: 0|--header|@{}", file.display());
    assert_eq!(added(&options, &[]), "X-Zero: 0|X-One: 1|X-Two: é");
}

#[test]
fn the_user_agent_can_be_set() {
    assert_eq!(added("--user-agent|Mozilla/5.0 (X11)", &[]), "User-Agent: Mozilla/5.0 (X11)");
    let variable = [("CONNECT_USER_AGENT", "probe/1")];
    assert_eq!(added("", &variable), "User-Agent: probe/1");
    assert_eq!(added("--user-agent|", &variable), "");
    assert_eq!(added("--header|user-agent: mine", &variable), "user-agent: mine");
}

#[test]
fn a_header_may_come_from_a_variable_or_a_parameter_file() {
    let variable = [("CONNECT_HEADER", "X-Token: abc")];
    assert_eq!(added("", &variable), "X-Token: abc");
    assert_eq!(added("--header|X-Other: d", &variable), "X-Other: d");
    let home = home("CONNECT_HEADER = \"X-Token: a#b\"\n");
    assert_eq!(added("", &[("HOME", home.to_str().unwrap())]), "X-Token: a#b");
}

#[test]
fn http_1_0_is_used_on_request() {
    let proxy = script()
        .expect("CONNECT host.example:22 HTTP/1.0\r\nHost: host.example:22\r\n\r\n")
        .send("HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\n")
        .early("welcome")
        .serve();
    connect(format!("--http1.0 -H {proxy} host.example 22")).run().expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn headers_are_sent_to_every_http_proxy_of_a_chain() {
    let last = http_ok().early("welcome").drain().serve();
    let first = http_ok().relay_to(last.to_string()).serve();
    let run = connect(format!("--header X-A:b -x http://{first},http://{last} host.example 22")).run();
    run.expect_success().expect_stdout("welcome");
    for proxy in [first, last] {
        assert!(proxy.finish_one().head.unwrap().contains("\r\nX-A: b\r\n"));
    }
}

#[test]
fn a_proxy_authorization_header_replaces_any_other_authentication() {
    let options = "--header|Proxy-Authorization: Bearer abcdef";
    let password = [("HTTP_PROXY_USER", "me"), ("HTTP_PROXY_PASSWORD", "secret")];
    assert_eq!(added(options, &password), "Proxy-Authorization: Bearer abcdef");

    let challenge = "HTTP/1.1 407 Bad abcdef\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    let proxy = http_reply(challenge).expect_disconnect().serve();
    let run =
        connect("--header").arg("Proxy-Authorization: Bearer abcdef").args(format!("-H me:pw@{proxy} h 22"));
    let out = run.run();
    out.expect_failure(6, &["Proxy-Authorization", "header", "407 Bad xxxxx"]).expect_stderr_lacks("abcdef");
    proxy.finish();
}

#[test]
fn an_invalid_header_is_an_error_with_its_source_and_without_its_value() {
    let file = TempPath::file("headers", "X-One: 1\n\nabcdef\n");
    let in_file = format!("@{}", file.display());
    for (value, parts) in [
        ("abcdef", &["--header", "missing colon"][..]),
        ("X abcdef: y", &["--header", "name"]),
        ("Host: abcdef", &["--header", "Host"]),
        ("Content-Length: abcdef", &["no content"]),
        ("transfer-encoding: abcdef", &["no content"]),
        ("Connection: abcdef", &["Connection"]),
        ("X: abcdef\r\nY: z", &["control"]),
        ("@/nonexistent/file", &["--header", "/nonexistent/file", "cannot read"]),
        ("@", &["--header", "cannot read"]),
        (&in_file, &["headers", ":3: ", "missing colon"]),
    ] {
        let proxy = Server::repeat(|| script().expect_eof());
        let run = connect("--header").arg(value).args(format!("-H {proxy} host.example 22")).run();
        run.expect_failure(2, parts).expect_stdout("").expect_stderr_lacks("abcdef");
        proxy.finish();
    }
    connect("--header User-Agent:a --user-agent b -H 127.0.0.1:1 h 22")
        .run()
        .expect_failure(2, &["User-Agent"]);
    let run = connect("-H 127.0.0.1:1 h 22").env("CONNECT_HEADER", "abcdef").run();
    run.expect_failure(2, &["CONNECT_HEADER", "missing colon"]).expect_stderr_lacks("abcdef");
}

#[test]
fn only_values_of_public_fields_are_logged() {
    let proxy = http_reply("HTTP/1.1 403 No abcdef\r\nContent-Length: 0\r\n\r\n").serve();
    let run = connect("-dd --user-agent probe/1 --header").arg("X-Token: abcdef");
    let out = run.args(format!("-H {proxy} host.example 22")).run();
    out.expect_code(5).expect_stderr_has("X-Token: xxxxx").expect_stderr_has("User-Agent: probe/1");
    out.expect_stderr_has("403 No xxxxx").expect_stderr_lacks("abcdef");
    proxy.finish();
}
