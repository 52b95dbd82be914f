//! The command line, tested by checking the requests that fake proxies and targets receive.

use crate::kit::*;

/// Starts a proxy that accepts any target.
fn socks5_proxy() -> Server {
    socks5_none().send("welcome").drain().serve()
}

/// Runs connect with a SOCKS5 proxy in place of `{S}`, and returns the target that connect
/// requested.
#[track_caller]
fn requested_target(template: &str) -> String {
    let proxy = socks5_proxy();
    connect(template.replace("{S}", &proxy.to_string())).run().expect_code(0).expect_stdout("welcome");
    proxy.finish_one().target.unwrap()
}

#[test]
fn letters_can_be_combined_and_take_their_values_from_the_next_args() {
    for args in [
        "-S {S}",
        "-dS {S}",
        "-Sd {S}",
        "-d -S {S}",
        "-SR {S} remote",
        "-RS remote {S}",
        "-dSRwa {S} remote 3 none",
        "-wS 3 {S}",
        "-5S {S}",
        "-S5 {S}",
        "-S{S}",
        "-dS{S}",
        "-w3 -S {S}",
    ] {
        assert_eq!(requested_target(&format!("{args} host.example 22")), "host.example:22", "{args}");
    }
}

#[test]
fn the_last_proxy_option_wins_with_its_own_value() {
    for args in [
        "-S 127.0.0.1:1 -S {S}",
        "-SS 127.0.0.1:1 {S}",
        "-H 127.0.0.1:1 -S {S}",
        "-HS 127.0.0.1:1 {S}",
        "-n -S {S}",
        "-h -S {S}",
        "-s -S {S}",
        "-H you:her@127.0.0.1:1 -S {S}",
        "-H not:a:spec -S {S}",
    ] {
        assert_eq!(requested_target(&format!("{args} host.example 22")), "host.example:22", "{args}");
    }
}

#[test]
fn the_last_proxy_option_never_takes_the_value_of_another() {
    // The C program uses the value of -S as the proxy for -h.
    let unused = RefusingPort::new();
    for (args, variable) in [("-S 127.0.0.1:{P} -h", "HTTP_PROXY"), ("-H 127.0.0.1:{P} -s", "SOCKS5_SERVER")]
    {
        let args = args.replace("{P}", &unused.port().to_string());
        connect(format!("{args} host.example 22")).run().expect_failure(2, &[variable]);
    }
    let target = script().send("welcome").drain().serve();
    let run = connect(format!("-S 127.0.0.1:{} -n {}", unused.port(), target.args())).run();
    run.expect_success().expect_stdout("welcome");
    target.finish();
}

#[test]
fn the_last_socks_version_wins() {
    for args in ["-4 -5 -S {S}", "-45S {S}", "-S {S} -4 -5", "-4 -S {S} -5"] {
        assert_eq!(requested_target(&format!("{args} host.example 22")), "host.example:22", "{args}");
    }
    for args in ["-5 -4 -S {S}", "-54S {S}", "-5 -S {S} -4", "-4S {S}", "-S4 {S}"] {
        let proxy = socks4_granted().early("welcome").drain().serve();
        let args = args.replace("{S}", &proxy.to_string());
        connect(format!("{args} 10.1.2.3 22")).run().expect_success().expect_stdout("welcome");
        assert_eq!(proxy.finish_one().target.as_deref(), Some("10.1.2.3:22"), "{args}");
    }
}

#[test]
fn host_and_port_are_one_arg_or_two() {
    for (args, target) in [
        ("host.example 22", "host.example:22"),
        ("host.example:22", "host.example:22"),
        ("host.example 0022", "host.example:22"),
        ("host.example ssh", "host.example:22"),
        ("host.example:smtp", "host.example:25"),
        ("host.example 65535", "host.example:65535"),
        ("192.0.2.7:22", "192.0.2.7:22"),
        ("2001:db8::7 22", "[2001:db8::7]:22"),
        ("[2001:db8::7] 22", "[2001:db8::7]:22"),
        ("[2001:db8::7]:22", "[2001:db8::7]:22"),
        ("::1 https", "[::1]:443"),
    ] {
        assert_eq!(requested_target(&format!("-S {{S}} {args}")), target, "{args}");
    }
}

#[test]
fn a_single_dash_has_no_effect_and_two_end_the_options() {
    for args in ["- -S {S} host.example 22", "-S {S} - host.example 22", "-S {S} -- host.example 22"] {
        assert_eq!(requested_target(args), "host.example:22", "{args}");
    }
}

#[test]
fn without_a_proxy_option_the_connection_is_direct_whatever_the_environment_says() {
    for option in ["", "-n"] {
        let target = script().send("welcome").drain().serve();
        let mut run = connect(format!("{option} {}", target.args()));
        for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "SOCKS_SERVER", "SOCKS5_SERVER"] {
            run = run.env(name, "127.0.0.1:1");
        }
        run.run().expect_success().expect_stdout("welcome");
        target.finish();
    }
}

#[test]
fn a_direct_connection_may_use_ipv6() {
    for form in ["::1 {P}", "[::1] {P}", "[::1]:{P}"] {
        let target = Server::each_v6([script().send("welcome").expect("ping").expect_eof()]);
        let args = form.replace("{P}", &target.port().to_string());
        connect(args).input("ping").run().expect_success().expect_stdout("welcome");
        target.finish();
    }
}

#[test]
fn the_programs_name_supplies_a_missing_port() {
    for (name, args, target) in [
        ("connect-25", "host.example", "host.example:25"),
        ("connect-smtp", "host.example", "host.example:25"),
        ("connect-25.exe", "host.example", "host.example:25"),
        ("connect-smtp.exe", "host.example", "host.example:25"),
        ("connect-25.tar.gz", "[::1]", "[::1]:25"),
        ("connect-25", "::1", "[::1]:25"),
        ("connect-25", "host.example 22", "host.example:22"),
        ("connect-25", "host.example:22", "host.example:22"),
        ("connect-nosuch", "host.example 22", "host.example:22"),
        ("connect-proxy", "host.example 22", "host.example:22"),
    ] {
        let proxy = socks5_proxy();
        let run = connect(format!("-S {proxy} {args}")).named(name).run();
        run.expect_success().expect_stdout("welcome");
        assert_eq!(proxy.finish_one().target.as_deref(), Some(target), "{name} {args}");
    }
}

#[test]
fn a_program_name_without_a_valid_port_is_an_error() {
    for name in ["connect", "connect-", "connect-proxy", "connect-proxy.exe", "myconnect-25", "connect25"] {
        connect("host.example")
            .named(name)
            .run()
            .expect_failure(2, &["port", "host.example"])
            .expect_stdout("");
    }
    for name in ["connect-nosuch", "connect-0", "connect-99999", "connect-25-x"] {
        let port = name.split_once('-').unwrap().1;
        connect("host.example").named(name).run().expect_failure(2, &["port", port]).expect_stdout("");
    }
}

#[test]
fn the_help_goes_to_standard_output() {
    let brief = ["Usage: connect", "-S ", "-H ", "-R ", "-w ", "--version", "Examples:"];
    let full = [&brief[..], &["HTTP_PROXY_PASSWORD", "Exit codes:"]].concat();
    for (args, parts) in [("--help", &brief[..]), ("--help=all", &full)] {
        let out = connect(args).run();
        out.expect_success();
        for part in parts {
            assert!(out.stdout_text().contains(part), "{part} in {out:?}");
        }
    }
}

#[test]
fn the_version_goes_to_standard_output() {
    let version = concat!("connect ", env!("CARGO_PKG_VERSION"), "\n");
    for args in ["-V", "--version", "-dV", "-V host 22", "-nV"] {
        connect(args).run().expect_success().expect_stdout(version);
    }
}

#[test]
fn help_and_version_work_with_an_invalid_configuration() {
    for args in ["--help", "-V", "--version"] {
        let run = connect(args).env("SOCKS_RESOLVE", "nonsense").env("SOCKS5_AUTH", "nonsense").run();
        assert!(!run.expect_success().stdout.is_empty());
    }
}

#[test]
fn without_args_version_and_usage_are_printed() {
    let out = connect("").run();
    out.expect_success();
    assert!(out.stdout_text().starts_with(concat!("connect ", env!("CARGO_PKG_VERSION"))), "{out:?}");
    assert!(out.stdout_text().contains("Usage: connect ["), "{out:?}");
}

/// Expects exit code 2, one line on standard error, and nothing on standard output.
#[track_caller]
fn expect_invalid(run: Program, parts: &[&str]) {
    run.run().expect_failure(2, parts).expect_stdout("");
}

#[test]
fn an_invalid_arg_is_named_in_one_line() {
    for (args, part) in [
        ("-S", "-S"),
        ("-dS", "-S"),
        ("-H", "-H"),
        ("-R", "-R"),
        ("-w", "-w"),
        ("-a", "-a"),
        ("-X host 22", "-X"),
        ("-dXS 127.0.0.1:1 host 22", "-X"),
        ("--nonsense host 22", "--nonsense"),
        ("-n", "host"),
        ("-", "host"),
        ("--", "host"),
        ("host.example", "port"),
        ("host.example 22 extra", "extra"),
        ("host.example 22 -d", "-d"),
        ("host.example:22 23", "two ports"),
        ("host.example:22 22", "two ports"),
        ("host.example:22 extra args", "args"),
        ("host.example 0", "0"),
        ("host.example 65536", "65536"),
        ("host.example 4294967297", "4294967297"),
        ("host.example -1", "-1"),
        ("host.example +22", "+22"),
        ("host.example 22x", "22x"),
        ("host.example nosuch", "nosuch"),
        ("host.example:", "port"),
        (":22", "host"),
        ("user@host.example 22", "user@host.example"),
        ("[::1 22", "[::1"),
        ("[host.example] 22", "[host.example]"),
        ("[::1]22", "[::1]22"),
        ("-w x host 22", "x"),
        ("-w -1 host 22", "-1"),
        ("-w 1x host 22", "1x"),
        ("-w nan host 22", "nan"),
    ] {
        expect_invalid(connect(args), &[part]);
    }
}

#[test]
fn an_invalid_proxy_setting_is_named_in_one_line() {
    for (args, part) in [
        ("-S :1080 host 22", "-S"),
        ("-S bob@ host 22", "-S"),
        ("-S 127.0.0.1: host 22", "port"),
        ("-S 127.0.0.1:0 host 22", "'0'"),
        ("-S 127.0.0.1:65537 host 22", "65537"),
        ("-S 127.0.0.1:ssh host 22", "invalid port;"),
        ("-S 127.0.0.1:1:2 host 22", "'127.0.0.1:****'"),
        ("-S http://127.0.0.1:1 host 22", "-H"),
        ("-H socks5://127.0.0.1:1 host 22", "-S"),
        ("-F -H https://127.0.0.1:1 host 22", "TLS"),
        ("--tls-ca x -H http://127.0.0.1:1 host 22", "--tls-"),
        ("--insecure host 22", "--insecure"),
        ("--tls-pin sha256//YQ== -H https://127.0.0.1:1 host 22", "--tls-pin"),
        ("--tls-pin a;b -H https://127.0.0.1:1 host 22", "sha256//"),
        ("--tls-key x -H https://127.0.0.1:1 host 22", "--tls-cert"),
        ("--tls-server-name a/b -H https://127.0.0.1:1 host 22", "--tls-server-name"),
        ("-x https://127.0.0.1:1?insecure=perhaps host 22", "insecure="),
        ("-x https://127.0.0.1:1?tls-ca=/nonexistent host 22", "/nonexistent"),
        ("-H 127.0.0.1:-1 host 22", "invalid port;"),
        ("-H 127.0.0.1:65536 host 22", "'65536'"),
        ("-R elsewhere -S 127.0.0.1:1 host 22", "elsewhere"),
        ("-a chap -S 127.0.0.1:1 host 22", "chap"),
        ("-a gssapi -S 127.0.0.1:1 host 22", "gssapi"),
        ("-a none,magic -S 127.0.0.1:1 host 22", "magic"),
        ("-h host 22", "HTTP_PROXY"),
        ("-s host 22", "SOCKS5_SERVER"),
        ("-4s host 22", "SOCKS4_SERVER"),
    ] {
        expect_invalid(connect(args), &[part]);
    }
}

#[test]
fn a_host_or_port_with_blanks_or_control_characters_is_an_error() {
    for (args, part) in [
        (["", "22"], "host"),
        (["a b", "22"], "a b"),
        (["host", ""], "port"),
        (["host", " 22"], "port"),
        (["host", "22 "], "port"),
        (["host\r\nX-Evil: 1", "22"], r"\r\nX-Evil"),
        (["host\tx", "22"], r"\t"),
        (["\u{1b}[2Jhost", "22"], r"\x1b"),
        (["host\u{202e}x", "22"], r"\u{202e}"),
        (["host", "2\u{1b}[2J2"], r"\x1b"),
    ] {
        let run = args.iter().fold(connect("-H 127.0.0.1:1"), Program::arg);
        expect_invalid(run, &[part]);
    }
    expect_invalid(connect("-S").arg("").args("host 22"), &["-S"]);
    expect_invalid(connect("-a").arg("").args("-S 127.0.0.1:1 host 22"), &["-a"]);
}

#[test]
fn an_error_shows_the_blank_in_a_host() {
    for (arg, shown) in [(" host", "' '"), ("ho st", "' '"), ("host\rx", r"'\r'"), ("host\tx", r"'\t'")] {
        expect_invalid(connect("").arg(arg).arg("22"), &[shown]);
    }
}

#[test]
fn the_length_of_a_host_name_is_limited() {
    let longest = "n".repeat(255);
    assert_eq!(requested_target(&format!("-S {{S}} {longest} 22")), format!("{longest}:22"));
    expect_invalid(connect(format!("-S 127.0.0.1:1 {longest}n 22")), &["256", "255"]);
}

#[cfg(unix)]
#[test]
fn args_that_are_not_utf_8_are_an_error() {
    use std::os::unix::ffi::OsStrExt;
    let arg = std::ffi::OsStr::from_bytes(b"h\xffst");
    expect_invalid(connect("").arg(arg).args("22"), &["UTF-8"]);
    expect_invalid(connect("-S").arg(arg).args("host 22"), &["UTF-8"]);
    let password = std::ffi::OsStr::from_bytes(b"me:hunter2\xff@h");
    connect("-S")
        .arg(password)
        .args("host 22")
        .run()
        .expect_failure(2, &["UTF-8"])
        .expect_stderr_lacks("hunter2");
}

/// If a user forgets `-S`, ssh displays the error message, which must not show the password.
#[test]
fn an_error_about_a_misplaced_proxy_masks_the_password() {
    for args in [
        "me:hunter2@proxy 22",
        "me:hunter2@proxy",
        "host me:hunter2@proxy",
        "host 22 me:hunter2@proxy",
        "-S -s me:hunter2@proxy 22",
        "-w me:hunter2@proxy host 22",
        "-R me:hunter2@proxy host 22",
        "-p me:hunter2@proxy host 22",
        "--listen me:hunter2@proxy host 22",
        "-a me:hunter2@proxy -S proxy host 22",
        "--nonsense=me:hunter2@proxy host 22",
        "--Sme:hunter2@proxy host 22",
        "--proxy:me:hunter2@proxy host 22",
        "host 22 --password=hunter2",
        "host 22 -Sme:hunter2@proxy",
        "host 22 X-Token:hunter2",
        "unix:/tmp/x me:hunter2@proxy:80",
        "--check=me:hunter2@proxy host 22",
        "--generate me:hunter2@proxy",
        "--help=me:hunter2@proxy",
        "--proxy-protocol me:hunter2@proxy host 22",
        "--idle-timeout me:hunter2@proxy host 22",
        "--password-fd me:hunter2@proxy -S proxy host 22",
        "--netrc-file me:hunter2@proxy -S proxy host 22",
        // The password itself instead of its source.
        "--password-fd hunter2 -S proxy host 22",
        "--password-file hunter2 -S proxy host 22",
    ] {
        let out = connect(args).run();
        out.expect_code(2).expect_stdout("").expect_stderr_lacks("hunter2");
    }
    let out = connect("--password-fd 4711471147 -S proxy host 22").run();
    out.expect_failure(2, &["--password-fd"]).expect_stderr_lacks("4711");
    connect("me:hunter2@proxy 22").run().expect_failure(2, &["me:****@proxy", "-S"]);
}

/// Without its `@HOST`, `user:password` looks like a host and a port.
#[test]
fn a_password_where_a_port_is_expected_is_not_quoted() {
    for args in [
        "me:hunter2",
        "me:hunter2 22",
        "me:hun:hunter2 22",
        "host me:hunter2",
        "host 22 me:hunter2",
        "unix:/tmp/x me:hunter2",
        "-S me:hunter2 host 22",
        "-H http://me:hunter2 host 22",
        "-H http://me:hunter2/ host 22",
        "-T me:hunter2 host 22",
        "-x me:hunter2 host 22",
        "-x http://me:80?hunter2 host 22",
        "-x http://one,me:hunter2 host 22",
        "-p me:hunter2 host 22",
        "-P me:hunter2 host 22",
        "--listen me:hunter2 host 22",
        "-R me:hunter2 -S proxy host 22",
        "-w me:hunter2 host 22",
        "-a me:hunter2 -S proxy host 22",
        "--check=me:hunter2 host 22",
        "--Sme:hunter2 host 22",
    ] {
        let out = connect(args).run();
        out.expect_code(2).expect_stdout("").expect_stderr_lacks("hunter2");
    }
    // A message still quotes a value that cannot be a password.
    connect("host:70000").run().expect_failure(2, &["invalid port '70000'"]);
    connect("host sssh").run().expect_failure(2, &["invalid port 'sssh'"]);
    connect("-H host:99999 h 22").run().expect_failure(2, &["invalid port '99999'"]);
    connect("host:22 23").run().expect_failure(2, &["two ports for host: 22 and 23"]);
}

#[test]
fn an_error_about_an_invalid_proxy_masks_the_password() {
    for proxy in [
        "me:hunter2@host:bad",
        "me:hunter2@",
        "socks5://me:hunter2@host:0",
        "http://me:hunter2@host",
        "me:p@ss:hunter2",
        "me:p@hunter2[",
    ] {
        let run = connect(format!("-d -S {proxy} host 22")).run();
        run.expect_code(2).expect_stderr_lacks("hunter2");
    }
}
