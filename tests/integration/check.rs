//! `--check`: the report shows the plan, the origin of each setting, and every stage of the
//! connection.

use crate::kit::*;
use crate::rcfile::home;

/// Returns the lines of standard output without indentation or times.
#[track_caller]
fn report(out: &Outcome) -> Vec<String> {
    let line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let is_unit = |index: usize| words.get(index).is_some_and(|word| word.starts_with("ms"));
        let kept = words.iter().enumerate().filter(|(index, _)| !is_unit(*index) && !is_unit(index + 1));
        kept.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
    };
    out.stdout_text().lines().map(line).collect()
}

#[track_caller]
fn expect_lines(out: &Outcome, expected: &[&str]) {
    let report = report(out);
    let mut rest = report.iter();
    for line in expected {
        assert!(rest.any(|printed| printed == line), "no {line:?} in this order: {report:#?}\n{out:?}");
    }
}

#[test]
fn the_report_has_the_plan_the_origin_of_each_setting_and_every_stage() {
    let second = http_basic("me", "pw").early("SSH-2.0-test\r\n").drain().serve();
    let first = socks5_none().relay().serve();
    let home = home(format!("\nCONNECT_PROXY = socks5h://{first},http://me@{second}\n"));
    let out = connect("-w 20 --check -A host.example 22")
        .env("HOME", &*home)
        .env("HTTP_PROXY_PASSWORD", "pw")
        .run();
    out.expect_code(0).expect_stderr("");
    expect_lines(
        &out,
        &[
            "Plan for host.example:22",
            &format!("SOCKS5 proxy {first} → HTTP proxy {second} → host.example:22"),
            &format!(
                "{first}: user login name; password prompted for if the proxy requests one; names resolved by the proxy"
            ),
            &format!("{second}: user me; password configured"),
            "time limit: 20 seconds in all",
            "Settings",
            &format!(
                "CONNECT_PROXY {}:2 socks5h://{first},http://me@{second}",
                home.join(".connectrc").display()
            ),
            "HTTP_PROXY_PASSWORD environment ****",
            "all other settings are defaults",
            "Connecting",
            &format!("✓ dial connected to SOCKS5 proxy {first} (hop 1 of 2) at {first}"),
            &format!("✓ hop SOCKS5 proxy {first} (hop 1 of 2) opened the tunnel"),
            &format!("✓ hop HTTP proxy {second} (hop 2 of 2) opened the tunnel"),
            "✓ target host.example:22 sent: SSH-2.0-test",
            "Success after",
        ],
    );
    assert!(!out.stdout_text().contains("pw") && !out.stdout_text().contains('\x1b'), "{out:?}");
    second.finish();
    first.finish();
}

#[test]
fn a_failure_is_reported_with_advice_and_the_exit_code_of_a_session() {
    let refusing = RefusingPort::new();
    let args = format!("-H 127.0.0.1:{} host 22", refusing.port());
    let out = connect(format!("--check {args}")).run();
    out.expect_code(4).expect_stderr("");
    expect_lines(
        &out,
        &[
            &format!("✗ dial cannot connect to HTTP proxy 127.0.0.1:{}: Connection refused", refusing.port()),
            "try: check that it is running and the port is right",
            "Failed with exit code 4.",
        ],
    );
    connect(args).run().expect_code(4);

    let proxy = socks5_refused(2).drain().serve();
    let out = connect(format!("--check -S {proxy} host 22")).run();
    out.expect_code(5);
    let at = format!(
        "✗ hop SOCKS5 proxy {proxy} refused to connect to host:22: connection not allowed by the proxy's rules (SOCKS5 reply 2)"
    );
    expect_lines(&out, &[&at]);
    // Invalid arguments are reported just as they are without --check.
    connect("--check -x ftp://h host 22").run().expect_failure(2, &["ftp"]);
    connect("--check=xml host 22").run().expect_failure(2, &["invalid value 'xml' for --check"]);
}

#[test]
fn every_route_is_reported() {
    let refusing = RefusingPort::new();
    let target = script().send("hello\nworld").drain().serve();
    let args = format!("http://127.0.0.1:{}|direct {}", refusing.port(), target.args());
    let out = connect(format!("--check -x {args}")).run();
    out.expect_code(0);
    let failed =
        format!("✗ dial cannot connect to HTTP proxy 127.0.0.1:{}: Connection refused", refusing.port());
    let greeting = format!("✓ target {target} sent: hello");
    expect_lines(&out, &["Connecting by route 1 of 2", &failed, "Connecting by route 2 of 2", &greeting]);
    target.finish();

    let both = format!("http://127.0.0.1:{0}|socks5://127.0.0.1:{0} host 22", refusing.port());
    let out = connect(format!("--check -x {both}")).run();
    out.expect_code(4);
    assert_eq!(report(&out).iter().filter(|line| line.starts_with('✗')).count(), 2, "{out:?}");
}

/// A proxy that only pretends to open the tunnel can send it as the target's greeting.
#[test]
fn a_password_that_a_proxy_repeats_as_a_greeting_was_reported() {
    let basic = "Proxy-Authorization: Basic bWU6Y29ycmVjdGhvcnNl";
    for greeting in [format!("{basic}\r\n"), "me:correct&#104;orse\n".into(), "me:correcthors".into()] {
        let proxy = http_ok().early(greeting).drain().serve();
        let run = connect(format!("--check -H me@{proxy} host.example 22"));
        let out = run.env("HTTP_PROXY_PASSWORD", "correcthorse").run();
        out.expect_code(0);
        let report = report(&out).join("\n");
        assert!(report.contains("sent: ") && report.contains("xxxxx"), "{report}");
        assert!(!report.contains("correct") && !report.contains("bWU6"), "{report}");
        proxy.finish();
    }
}

#[test]
fn a_target_in_the_bypass_list_is_reported() {
    let target = script().drain().serve();
    let out =
        connect(format!("--check -H proxy.invalid {}", target.args())).env("no_proxy", "127.0.0.1").run();
    out.expect_code(0);
    expect_lines(
        &out,
        &[
            "no_proxy environment 127.0.0.1",
            "– direct the target is in the bypass list: no proxy is used",
            &format!("✓ dial connected to {target} at {target}"),
            &format!("– target {target} sent no greeting"),
        ],
    );
    target.finish();
}

#[test]
fn nothing_is_read_from_standard_input_and_no_port_is_opened() {
    let target = script().send("hi").expect_disconnect().serve();
    let out = connect(format!("--check -p 1 {}", target.args())).input("not for the target").run();
    out.expect_code(0);
    expect_lines(&out, &["time limit: the system's"]);
    target.finish();
}

/// The user may have put user and password into one setting.
#[test]
fn a_password_in_the_wrong_setting_is_masked() {
    for args in ["--check", "--check=json", "-d --check"] {
        let proxy = http_ok().drain().serve();
        let run = connect(format!("{args} -H {proxy} host.example 22"));
        let run = run.env("HTTP_PROXY_USER", "me:hunter2").env("no_proxy", "a.example:22,me:hunter2");
        let out = run.run();
        out.expect_code(0).expect_stderr_lacks("hunter2");
        let report = out.stdout_text();
        assert!(report.contains("me:****") && !report.contains("hunter2"), "{out:?}");
        assert!(report.contains("a.example:22,me:****"), "{out:?}");
        proxy.finish();
    }
}

#[test]
fn json_output_is_one_object() {
    let proxy = http_basic("me", "right").drain().serve();
    let out = connect(format!("--check=json -H me:wrong@{proxy} host 22")).run();
    out.expect_code(6).expect_stderr("");
    let object: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(object["target"], "host:22");
    assert_eq!(object["exit_code"], 6);
    assert_eq!(object["routes"][0][0]["protocol"], "HTTP");
    assert_eq!(object["routes"][0][0]["proxy"], proxy.to_string());
    assert_eq!(object["settings"][0]["value"], format!("me:****@{proxy}"));
    assert_eq!(object["settings"][0]["origin"], "command line");
    let verdicts: Vec<_> = object["steps"].as_array().unwrap().iter().map(|step| &step["verdict"]).collect();
    assert_eq!(verdicts, ["good", "bad"]);
    assert!(object["steps"][1]["milliseconds"].as_f64().unwrap() > 0.0);
    assert!(object["error"].as_str().unwrap().contains("rejected user 'me'"));
    assert!(!out.stdout_text().contains("wrong"), "{out:?}");
    proxy.finish();
}

/// A terminal with another character set shows UTF-8 as garbage.
#[test]
fn symbols_in_utf_8_were_printed_in_a_locale_without_it() {
    let proxy = Server::repeat(|| http_reply(format!("HTTP/1.1 403 {}\r\n\r\n", "x".repeat(1000))));
    for (variables, is_utf8) in [
        (&[("LC_ALL", "C")][..], false),
        (&[("LANG", "ru_RU.KOI8-R")], false),
        (&[("LC_CTYPE", "POSIX"), ("LC_ALL", "")], false),
        (&[("LANG", "")], cfg!(windows)),
        (&[("LANG", "C"), ("LC_CTYPE", "de_DE.UTF-8")], true),
    ] {
        for args in ["--check", "-d", ""] {
            let run = connect(format!("{args} -H {proxy} host.example 22"));
            let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
            let out = run.run();
            out.expect_code(5);
            let text = out.stdout_text() + &out.stderr_text();
            assert_eq!(text.is_ascii(), !is_utf8, "{variables:?}: {text}");
            assert!(is_utf8 || text.contains("xxx..."), "{variables:?}: {text}");
        }
    }
}

#[cfg(unix)]
#[test]
fn colors_need_a_terminal_and_no_no_color() {
    let colors = |variables: &[(&str, &str)]| {
        let target = script().send("hi").drain().serve();
        let pty = Pty::new();
        let run = connect(format!("--check {}", target.args())).stdout(pty.slave());
        let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        run.run().expect_code(0);
        target.finish();
        let mut output = [0; 4096];
        let count = std::io::Read::read(&mut &pty, &mut output).unwrap();
        show(&output[..count]).contains("[32m")
    };
    assert!(colors(&[("TERM", "xterm")]));
    assert!(!colors(&[("TERM", "xterm"), ("NO_COLOR", "1")]));
    assert!(!colors(&[("TERM", "dumb")]));
}

#[cfg(unix)]
#[test]
fn match_blocks_and_password_sources_are_reported() {
    let proxy = socks5_userpass("bob", "secret").send("SSH-2.0-test\r\n").drain().serve();
    let home = home(format!(
        "Match host *.example\nCONNECT_PROXY = socks5://{proxy}\nCONNECT_PASSWORD_COMMAND = echo secret\n\
         Match !all\nCONNECT_PROXY = direct\n"
    ));
    let netrc = home.join(".netrc");
    std::fs::write(&netrc, "default login bob\n").unwrap();
    let file = home.join(".connectrc").display().to_string();
    let out = connect("--check --netrc -A host.example 22").env("HOME", &*home).run();
    out.expect_code(0).expect_stderr("");
    let source = format!("CONNECT_PASSWORD_COMMAND ({file}:3)");
    expect_lines(
        &out,
        &[
            &format!(
                "{proxy}: user bob; password from the command in {source} if the proxy requests one; \
                 names resolved here, or by the proxy if that fails"
            ),
            &format!("CONNECT_PROXY {file}:2 socks5://{proxy}"),
            &format!("CONNECT_PASSWORD_COMMAND {file}:3 echo secret"),
            &format!("--netrc command line {}", netrc.display()),
            &format!("✓ hop SOCKS5 proxy {proxy} opened the tunnel"),
        ],
    );
    proxy.finish();
}
