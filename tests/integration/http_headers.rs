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
    let file = TempPath::private("headers", "# for the proxy\r\nX-One: 1\r\n\r\n \nX-Two: é\n#X-Three: 3");
    let options = format!("--header|X-Zero: 0|--header|@{}", file.display());
    assert_eq!(added(&options, &[]), "X-Zero: 0|X-One: 1|X-Two: é");
}

/// The first header had an invalid name.
#[test]
fn a_header_file_from_windows_was_rejected_for_its_byte_order_mark() {
    let file = TempPath::private("headers", from_windows("X-One: 1\nX-Two: 2\n", false));
    assert_eq!(added(&format!("--header|@{}", file.display()), &[]), "X-One: 1|X-Two: 2");
    let file = TempPath::private("headers", from_windows("X-One: 1\n", true));
    let program = connect("--header").arg(format!("@{}", file.display())).args("-H 127.0.0.1:1 host 22");
    program.run().expect_failure(2, &["--header: cannot read", "UTF-16 text, expected UTF-8"]);
}

/// Like a file with a password.
#[cfg(unix)]
#[test]
fn a_header_file_that_others_can_read_gets_a_warning() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    for (content, mode, warned) in [
        ("Via: 1.1 me\nX-Token: abc\n", 0o644, true),
        ("X-Token: abc\n", 0o640, true),
        ("X-Token: abc\n", 0o604, true),
        ("X-Token: abc\n", 0o600, false),
        ("# X-Token: abc\nVia: 1.1 me\nUser-Agent: x\n", 0o644, false),
    ] {
        let file = TempPath::file("headers", content);
        set_permissions(&*file, Permissions::from_mode(mode)).unwrap();
        let path = file.display();
        let warning = format!(
            "connect: {path} contains a possibly secret header and other users can read it; run: chmod 600 {path}\n"
        );
        let proxy = Server::repeat(|| http_ok().drain());
        let args = format!("-H {proxy} host.example 22");
        let value = format!("@{path}");
        for program in
            [connect("--header").arg(&value).args(&args), connect(&args).env("CONNECT_HEADER", &value)]
        {
            program.run().expect_code(0).expect_stderr(if warned { &warning } else { "" });
        }
        proxy.finish();
    }
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

/// Such a header used to be an error.
#[test]
fn a_host_header_of_the_user_replaces_the_generated_one() {
    for (options, variable) in [("--header Host:front.example", ""), ("", "host: front.example")] {
        let proxy = script()
            .expect("CONNECT host.example:22 HTTP/1.1\r\nHost: front.example\r\n\r\n")
            .send(HTTP_GRANTED);
        let proxy = proxy.early("welcome").serve();
        let run = connect(format!("{options} -H {proxy} host.example 22"));
        let run = if variable.is_empty() { run } else { run.env("CONNECT_HEADER", variable) };
        run.run().expect_success().expect_stdout("welcome");
        proxy.finish();
    }
}

/// Returns the requests that two HTTP proxies get. `{1}` and `{2}` in the args are the proxies.
#[track_caller]
fn chained(options: &[&str], chain: &str, header: Option<&str>) -> [String; 2] {
    let last = http_ok().early("welcome").drain().serve();
    let first = http_ok().relay_to(last.to_string()).serve();
    let chain = chain.replace("{1}", &first.to_string()).replace("{2}", &last.to_string());
    let run = options.iter().fold(connect(""), Program::arg).arg("-x").arg(chain);
    let run = header.into_iter().fold(run, |run, header| run.env("CONNECT_HEADER", header));
    run.args("host.example 22").run().expect_success().expect_stdout("welcome");
    [first, last].map(|proxy| proxy.finish_one().head.unwrap())
}

#[test]
fn public_headers_are_sent_to_every_http_proxy_of_a_chain() {
    for head in chained(&["--header", "Via: 1.1 me"], "http://{1},http://{2}", None) {
        assert!(head.contains("\r\nVia: 1.1 me\r\n"), "{head}");
    }
    for head in chained(&[], "http://{1},http://{2}", Some("User-Agent: probe/1")) {
        assert!(head.contains("\r\nUser-Agent: probe/1\r\n"), "{head}");
    }
}

#[test]
fn a_secret_header_is_not_sent_to_every_http_proxy_of_a_chain() {
    let file = TempPath::private("headers", "Via: 1.1 me\nX-Token: abcdef\n");
    let in_file = format!("@{}", file.display());
    for header in ["Proxy-Authorization: Basic abcdef", "X-Token: abcdef", "Cookie:abcdef", &in_file] {
        let proxy = Server::each([]);
        let chain = format!("-x http://{proxy},socks5://127.0.0.1:1,http://127.0.0.1:1 host.example 22");
        let with_option = connect("--header").arg(header).args(&chain);
        for (program, name) in
            [(with_option, "--header"), (connect(&chain).env("CONNECT_HEADER", header), "CONNECT_HEADER")]
        {
            let out = program.run();
            out.expect_failure(2, &[name, "2 HTTP proxies", "?header=NAME:%20VALUE"])
                .expect_stderr_lacks("abcdef");
        }
        proxy.finish();
    }
    // A chain with one HTTP proxy has no other that could get it.
    let last = http_ok().early("welcome").drain().serve();
    let first = socks5_none().relay_to(last.to_string()).serve();
    let run =
        connect(format!("--header X-Token:abc -x socks5://{first},http://{last} host.example 22")).run();
    run.expect_success();
    assert!(last.finish_one().head.unwrap().contains("\r\nX-Token: abc\r\n"));
    first.finish();
}

#[test]
fn a_header_in_the_url_of_a_proxy_is_sent_to_that_proxy_only() {
    let chain = "http://{1}?header=X-Token:%20one%2Ctwo&header=X-Site:%26,http://{2}/?%68eader=X-Token%3Atwo";
    let [first, last] = chained(&[], chain, None);
    assert!(first.contains("\r\nX-Token: one,two\r\nX-Site: &\r\n"), "{first}");
    assert!(
        last.contains("\r\nX-Token: two\r\n") && !last.contains("one") && !last.contains("Site"),
        "{last}"
    );

    let [first, last] = chained(&["--header", "Host:all"], "http://{1}?header=host:one,http://{2}", None);
    assert!(first.contains("\r\nHost: one\r\n") && last.contains("\r\nHost: all\r\n"), "{first}{last}");

    let [first, last] = chained(&[], "http://{1},http://{2}?header=Proxy-Authorization:Basic%20YTpi", None);
    assert!(!first.contains("Authorization") && last.contains("\r\nProxy-Authorization: Basic YTpi\r\n"));

    // It takes precedence over a header for all proxies.
    let options = ["--header", "Via: all", "--user-agent", "all/1"];
    let chain = "http://{1}?header=via:one&header=User-Agent:one/1,http://{2}";
    let [first, last] = chained(&options, chain, None);
    assert!(first.contains("\r\nvia: one\r\nUser-Agent: one/1\r\n") && !first.contains("all"), "{first}");
    assert!(last.contains("\r\nVia: all\r\nUser-Agent: all/1\r\n"), "{last}");

    for (url, parts) in [
        ("http://127.0.0.1:1?header=abcdef", &["-x", "header=", "missing colon"][..]),
        ("http://127.0.0.1:1?header=%40/abcdef", &["-x", "header=", "missing colon"]),
        ("http://127.0.0.1:1?header=Connection:abcdef", &["-x", "header=", "Connection"]),
        ("http://127.0.0.1:1?header=X:a%0d%0aabcdef", &["-x", "header=", "control"]),
        ("http://127.0.0.1:1?header=X:a,abcdef", &["-x", "missing scheme"]),
        ("http://127.0.0.1:1?header=X:a@abcdef", &["-x", "unencoded"]),
        ("socks5://127.0.0.1:1?header=X:abcdef", &["-x", "unknown option 'header' for socks5://"]),
    ] {
        connect(format!("-x {url} h 22")).run().expect_failure(2, parts).expect_stderr_lacks("abcdef");
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
    connect("--header Host:a --header host:b -H 127.0.0.1:1 h 22").run().expect_failure(2, &["Host"]);
    let run = connect("-H 127.0.0.1:1 h 22").env("CONNECT_HEADER", "abcdef").run();
    run.expect_failure(2, &["CONNECT_HEADER", "missing colon"]).expect_stderr_lacks("abcdef");
}

#[test]
fn a_header_in_the_url_of_a_proxy_is_never_shown() {
    let home = |url: &str| home(format!("CONNECT_PROXY = {url}\n"));
    for args in ["-dd", "--check", "--check=json", "-d --check"] {
        let reply = "HTTP/1.1 403 No abcdef\r\nContent-Length: 0\r\n\r\n";
        let proxy = Server::repeat(move || http_reply(reply));
        let url = format!("http://{proxy}?header=X-Token:%20abcdef&auth=basic");
        for program in [
            connect(format!("{args} -x {url} host.example 22")),
            connect(format!("{args} -A host.example 22")).env("CONNECT_PROXY", &url),
            connect(format!("{args} -A host.example 22")).env("HOME", &*home(&url)),
            connect(format!("{args} {url} 22")),
            connect(format!("{args} -H {url} host.example 22")),
            connect(format!("{args} -S {url} host.example 22")),
        ] {
            let out = program.run();
            out.expect_stderr_lacks("abcdef");
            assert!(!out.stdout_text().contains("abcdef"), "{out:?}");
        }
        proxy.finish();
    }
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
