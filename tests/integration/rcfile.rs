//! `~/.connectrc`: what it may set, what beats it, and what it may do wrong.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
#[cfg(unix)]
use std::time::Duration;

use crate::kit::*;
use crate::wire::*;

/// A home directory whose `.connectrc`, private to the user, holds this.
pub(crate) fn home(content: impl AsRef<[u8]>) -> TempPath {
    let home = TempPath::directory("home");
    fs::write(home.join(".connectrc"), content).unwrap();
    set_mode(&home.join(".connectrc"), 0o600);
    home
}

#[cfg(unix)]
fn set_mode(file: &Path, mode: u32) {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

/// A profile directory is private as it is.
#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

fn at_home(words: &str, home: &TempPath) -> Program {
    connect(words).env("HOME", &**home)
}

/// The session goes through the proxy that the file names, with these lines on stderr about the file, each without
/// `connect: ` and the file's name.
#[track_caller]
fn expect_session(content: impl AsRef<[u8]>, complaints: &[&str]) {
    let proxy = socks5_none().early("welcome").expect("ping").expect_eof().serve();
    let content = String::from_utf8_lossy(content.as_ref()).replace("{P}", &proxy.to_string());
    expect_session_at(&home(content), complaints);
    proxy.finish();
}

#[track_caller]
fn expect_session_at(home: &TempPath, complaints: &[&str]) {
    let out = at_home("-s host.example 22", home).input("ping").run();
    out.expect_code(0).expect_stdout("welcome").expect_stderr(&lines(home, complaints));
}

fn lines(home: &TempPath, complaints: &[&str]) -> String {
    let file = home.join(".connectrc");
    let lines: Vec<_> =
        complaints.iter().map(|what| format!("connect: {}{what}\n", file.display())).collect();
    lines.concat()
}

#[test]
fn every_socks_proxy_may_be_named() {
    for (options, name) in [("-s", "SOCKS5_SERVER"), ("-s", "SOCKS_SERVER"), ("-5s", "SOCKS5_SERVER")] {
        let proxy = socks5_none().expect_eof().serve();
        let home = home(format!("{name} = {proxy}\n"));
        at_home(&format!("{options} host.example 22"), &home).run().expect_success();
        assert_eq!(proxy.finish_one().target.as_deref(), Some("host.example:22"), "{name}");
    }
    for name in ["SOCKS4_SERVER", "SOCKS_SERVER"] {
        let proxy = socks4_granted().expect_eof().serve();
        let home = home(format!("{name} = {proxy}\nSOCKS4_RESOLVE = remote"));
        at_home("-4s host.example 22", &home).run().expect_success();
        assert_eq!(proxy.finish_one().target.as_deref(), Some("host.example:22"), "{name}");
    }
}

#[test]
fn the_http_and_the_telnet_proxy_may_be_named() {
    let proxy = http_ok().expect_eof().serve();
    at_home("-h host.example 22", &home(format!("HTTP_PROXY = http://{proxy}/"))).run().expect_success();
    assert_eq!(proxy.finish_one().target.as_deref(), Some("host.example:22"));

    let proxy = script().expect("telnet host.example 22\r\n").send("connected to it\n").expect_eof().serve();
    at_home("-t host.example 22", &home(format!("TELNET_PROXY = {proxy}"))).run().expect_success();
    proxy.finish();
}

#[test]
fn user_and_password_may_be_given_under_every_name() {
    for (options, user, password) in [
        ("-S", "SOCKS5_USER", "SOCKS5_PASSWD"),
        ("-S", "SOCKS_USER", "SOCKS5_PASSWORD"),
        ("-S", "CONNECT_USER", "SOCKS_PASSWORD"),
        ("-S", "SOCKS5_USER", "CONNECT_PASSWORD"),
        ("-H", "HTTP_PROXY_USER", "HTTP_PROXY_PASSWORD"),
        ("-H", "CONNECT_USER", "CONNECT_PASSWORD"),
    ] {
        let proxy =
            if options == "-S" { socks5_userpass("bob", "secret") } else { http_basic("bob", "secret") };
        let proxy = proxy.expect_eof().serve();
        let home = home(format!("{user} = bob\n{password} = secret\n"));
        at_home(&format!("{options} {proxy} host.example 22"), &home).run().expect_success();
        proxy.finish();
    }
    for name in ["SOCKS4_USER", "SOCKS_USER", "CONNECT_USER"] {
        let proxy = script().expect(b"\x04\x01\0\x16\x0a\x01\x02\x03bob\0").send(SOCKS4_GRANTED).serve();
        at_home(&format!("-4S {proxy} 10.1.2.3 22"), &home(format!("{name} = bob"))).run().expect_success();
        proxy.finish();
    }
}

#[test]
fn who_resolves_and_which_methods_are_offered_may_be_set() {
    for name in ["SOCKS5_RESOLVE", "SOCKS_RESOLVE"] {
        let home = home(format!("{name} = local"));
        let out = at_home(&format!("-S 127.0.0.1:1 {UNKNOWN} 22"), &home).run();
        out.expect_failure(3, &[UNKNOWN, "-R both"]);
    }
    for name in ["SOCKS4_RESOLVE", "SOCKS_RESOLVE"] {
        let proxy = socks4_granted().expect_eof().serve();
        at_home(&format!("-4S {proxy} localhost 22"), &home(format!("{name} = remote")))
            .run()
            .expect_success();
        assert_eq!(proxy.finish_one().target.as_deref(), Some("localhost:22"), "{name}");
    }
    let proxy = script().expect_at_once([5, 1, 2]).send([5, 0xff]).serve();
    at_home(&format!("-S {proxy} host 22"), &home("SOCKS5_AUTH = userpass")).run().expect_code(6);
    proxy.finish();
    let out = at_home("-S 127.0.0.1:1 host 22", &home("SOCKS5_AUTH = gssapi")).run();
    out.expect_failure(2, &["SOCKS5_AUTH", "gssapi"]);
}

#[test]
fn the_direct_lists_may_be_set() {
    for (words, name) in [
        ("-S", "SOCKS5_DIRECT"),
        ("-S", "SOCKS_DIRECT"),
        ("-4S", "SOCKS4_DIRECT"),
        ("-4S", "SOCKS_DIRECT"),
        ("-H", "HTTP_DIRECT"),
        ("-S", "CONNECT_DIRECT"),
        ("-4S", "CONNECT_DIRECT"),
        ("-H", "CONNECT_DIRECT"),
        ("-T", "CONNECT_DIRECT"),
    ] {
        let target = script().send("direct").expect_eof().serve();
        let (proxy, home) = (Server::each([]), home(format!("{name} = 127.")));
        let out = at_home(&format!("{words} {proxy} {}", target.args()), &home).run();
        out.expect_success().expect_stdout("direct");
        target.finish();
        proxy.finish();
    }
}

#[test]
fn the_environment_wins_over_the_file_and_the_command_line_over_both() {
    let home = home("SOCKS_SERVER = file@127.0.0.1:1\nSOCKS5_USER = file\nSOCKS5_PASSWORD = file\n");
    let proxy = socks5_userpass("env", "env").expect_eof().serve();
    let run = at_home("-s host 22", &home).env("SOCKS_SERVER", proxy.to_string());
    run.env("SOCKS5_USER", "env").env("SOCKS5_PASSWORD", "env").run().expect_success();
    proxy.finish();

    let proxy = socks5_userpass("cmd", "cmd").expect_eof().serve();
    let run = at_home(&format!("-S cmd:cmd@{proxy} host 22"), &home).env("SOCKS_SERVER", "env@127.0.0.1:1");
    run.env("SOCKS5_USER", "env").env("SOCKS5_PASSWORD", "env").run().expect_success();
    proxy.finish();
}

#[test]
fn a_parameter_of_the_file_wins_over_a_less_special_one_of_the_environment() {
    // As in the C program, which looks everywhere for one name before it looks for the next.
    let proxy = socks5_userpass("file", "secret").expect_eof().serve();
    let home = home("SOCKS5_USER = file");
    let run = at_home(&format!("-S {proxy} host 22"), &home).env("SOCKS_USER", "env");
    run.env("SOCKS5_PASSWORD", "secret").run().expect_success();
    proxy.finish();
}

#[test]
fn an_empty_variable_is_set_and_hides_the_file() {
    let proxy = script().expect(b"\x04\x01\0\x16\x0a\x01\x02\x03\0").send(SOCKS4_GRANTED).serve();
    let home = home("SOCKS4_USER = bob");
    let run = at_home(&format!("-4S {proxy} 10.1.2.3 22"), &home).env("SOCKS4_USER", "");
    run.run().expect_success();
    proxy.finish();
}

#[test]
fn lines_may_be_written_in_many_ways() {
    let long = "x".repeat(100_000);
    for content in [
        "SOCKS_SERVER={P}",
        "SOCKS_SERVER = {P}",
        "  \tSOCKS_SERVER\t=\t{P}  \t\n",
        "SOCKS_SERVER = {P} # where it is\n",
        "SOCKS_SERVER = {P}#where it is\n",
        "# first\n\n   # second\nSOCKS_SERVER = {P}\n\n#",
        "SOCKS_SERVER = \"{P}\"\n",
        "SOCKS_SERVER = '{P}' # quoted\n",
        "SOCKS_SERVER = 127.0.0.1:1\nSOCKS_SERVER = {P}\n",
        "SOCKS_SERVER = {P}\r\n\r\n# text\r\nSOCKS_USER = bob\r\n",
        "\u{feff}SOCKS_SERVER = {P}\r\n",
        "\u{feff}# text\nSOCKS_SERVER = {P}",
        &format!("# {long}\nSOCKS_USER = {long}\nSOCKS_SERVER = {{P}}"),
        &format!("{long}SOCKS_SERVER = {{P}}").replace('x', " "),
    ] {
        expect_session(content, &[]);
    }
}

#[test]
fn quotes_hold_blanks_and_comment_signs() {
    for (value, password) in [
        ("\" a # b \"", " a # b "),
        ("'it \"is\"' # comment", "it \"is\""),
        ("\"it's\"", "it's"),
        ("it's \"so\"", "it's \"so\""),
        (r"'back\slash'", r"back\slash"),
        ("a=b", "a=b"),
        ("päss", "päss"),
        ("''", ""),
    ] {
        let proxy = http_basic("bob", password).expect_eof().serve();
        let home = home(format!("HTTP_PROXY_PASSWORD = {value}\n"));
        at_home(&format!("-H bob@{proxy} host 22"), &home).run().expect_success();
        proxy.finish();
    }
}

#[test]
fn a_line_without_sense_is_reported_with_file_and_line_and_the_session_goes_on() {
    for (line, complaint) in [
        ("SOCKS_SERVER 127.0.0.1:1", "no '=' (NAME = value), skipped"),
        ("garbage", "no '=' (NAME = value), skipped"),
        ("FOO = bar", "unknown parameter 'FOO', skipped"),
        ("socks_server = 127.0.0.1:1", "unknown parameter 'socks_server', skipped"),
        ("ALL_PROXY = socks5://127.0.0.1:1", "unknown parameter 'ALL_PROXY', skipped"),
        ("DISPLAY = :0", "unknown parameter 'DISPLAY', skipped"),
        ("SOCKS_SERVER # = x", "no '=' before the comment (NAME = value), skipped"),
        ("SOCKS_SERVER = '127.0.0.1:1", "a quote without its end, skipped"),
        ("SOCKS_SERVER = '127.0.0.1':1", "words after the closing quote, skipped"),
        ("\0\x01\0", "no '=' (NAME = value), skipped"),
    ] {
        let content = format!("SOCKS_SERVER = {{P}}\n\n{line}\n# end\n");
        expect_session(content, &[&format!(":3: {complaint}")]);
    }
}

#[test]
fn what_is_not_utf_8_is_reported_and_cannot_write_to_the_terminal() {
    let proxy = socks5_none().early("welcome").expect("ping").expect_eof().serve();
    let start = b"\xff\xfe\nSOCKS_USER = \xe9\n\x1b]0;owned\x07=\xc2\x9b\n".to_vec();
    let home = home([start, format!("SOCKS_SERVER = {proxy}").into_bytes()].concat());
    let complaints = [
        ":1: not UTF-8, skipped",
        ":2: not UTF-8, skipped",
        ":3: what stands before '=' is not a parameter's name, skipped",
    ];
    expect_session_at(&home, &complaints);
    proxy.finish();
}

#[test]
fn a_file_of_garbage_gives_a_line_for_each_of_its_lines_and_no_more() {
    let proxy = socks5_none().expect_eof().serve();
    let home = home(bytes(3, 100_000));
    let out = at_home(&format!("-S {proxy} host 22"), &home).run();
    out.expect_code(0);
    let start = format!("connect: {}:", home.join(".connectrc").display());
    let text = String::from_utf8(out.stderr.clone()).unwrap();
    assert!(text.lines().count() > 100 && text.lines().all(|line| line.starts_with(&start)), "{out:?}");
    assert!(!out.stderr.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n'), "{out:?}");
    proxy.finish();
}

#[test]
fn a_password_in_a_line_without_sense_is_not_repeated() {
    for line in ["SOCKS5_PASSWORD hunter2", "SOCKS5_PASSWORD: hunter2=x", "SOCKS5_PASSWORD hunter2 = x"] {
        let proxy = socks5_none().expect_eof().serve();
        let out = at_home(&format!("-d -S {proxy} host 22"), &home(line)).run();
        out.expect_code(0).expect_stderr_has(".connectrc:1: ").expect_stderr_lacks("hunter2");
        proxy.finish();
    }
}

#[cfg(unix)]
#[test]
fn what_is_in_the_place_of_a_file_is_skipped() {
    let proxy = Server::repeat(|| socks5_none().early("welcome").expect("ping").expect_eof());
    let expect = |home: &TempPath, complaints: &[&str]| {
        let run = at_home(&format!("-S {proxy} host.example 22"), home).input("ping").run();
        run.expect_code(0).expect_stdout("welcome").expect_stderr(&lines(home, complaints));
        run.expect_within(Duration::from_secs(3));
    };
    let with = |make: &dyn Fn(&Path)| {
        let home = TempPath::directory("home");
        make(&home.join(".connectrc"));
        home
    };
    expect(&TempPath::directory("home"), &[]);
    expect(&home(""), &[]);
    expect(&with(&|path| fs::create_dir(path).unwrap()), &[": skipped: it is a directory"]);
    expect(&with(&fifo), &[": skipped: it is not a file"]);
    expect(&with(&|path| symlink("nowhere", path).unwrap()), &[]);
    expect(&with(&|path| symlink("/dev/null", path).unwrap()), &[]);
    expect(&with(&|path| symlink("/dev/zero", path).unwrap()), &[": skipped: it is not a file"]);
    // What cannot be opened, not even by root.
    let looped = with(&|path| symlink(".connectrc", path).unwrap());
    expect(&looped, &[": skipped: Too many levels of symbolic links"]);
    expect(&home(" ".repeat(2 << 20)), &[": skipped: it is longer than 1024 KiB"]);
    expect(&home("\n".repeat(1 << 20)), &[]);
}

#[cfg(unix)]
fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::from_bits_truncate(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

#[cfg(unix)]
#[test]
fn a_link_to_a_file_is_read() {
    let proxy = socks5_none().early("welcome").expect("ping").expect_eof().serve();
    let (file, home) = (home(format!("SOCKS_SERVER = {proxy}")), TempPath::directory("home"));
    symlink(file.join(".connectrc"), home.join(".connectrc")).unwrap();
    expect_session_at(&home, &[]);
    proxy.finish();
}

#[cfg(unix)]
#[test]
fn a_file_with_a_password_that_others_can_read_gets_one_warning() {
    let proxy = Server::repeat(|| socks5_userpass("bob", "secret").expect_eof());
    let file = |content: &str, mode| {
        let home = home(content);
        set_mode(&home.join(".connectrc"), mode);
        home
    };
    let with_password = "SOCKS5_PASSWORD = secret\nSOCKS_PASSWORD = x\nHTTP_PROXY_PASSWORD = x\n";
    for (content, mode, warned) in [
        (with_password, 0o644, true),
        (with_password, 0o640, true),
        (with_password, 0o604, true),
        (with_password, 0o600, false),
        (with_password, 0o611, false),
        ("SOCKS5_USER = bob\n", 0o644, false),
        ("# CONNECT_PASSWORD = x\n", 0o644, false),
        ("SOCKS5_SERVER = bob@h:1\nHTTP_PROXY = http://bob@h:1\n", 0o644, false),
        ("HTTP_PROXY = http://bob:x@h:1\n", 0o644, true),
        ("SOCKS_SERVER = bob:x@h:1\n", 0o644, true),
        ("SOCKS5_PASSWD = x\n", 0o644, true),
    ] {
        let home = file(content, mode);
        let run = at_home(&format!("-S bob:secret@{proxy} host 22"), &home).run();
        let path = home.join(".connectrc");
        let path = path.display();
        let warning =
            format!("connect: {path} holds a password and others can read it; try: chmod 600 {path}\n");
        run.expect_code(0).expect_stderr(if warned { &warning } else { "" });
    }
}

#[test]
fn the_trace_shows_what_the_file_sets_but_no_password() {
    let proxy = socks5_userpass("bob", "hunter2").expect_eof().serve();
    let home = home(format!(
        "SOCKS_SERVER = bob:hunter2@{proxy}\nSOCKS5_PASSWD = hunter2\nSOCKS5_PASSWORD = hunter2\n\
         SOCKS_PASSWORD = hunter2\nCONNECT_PASSWORD = hunter2\nHTTP_PROXY_PASSWORD = hunter2\n\
         HTTP_PROXY = http://bob:hunter2@h:1/\nTELNET_PROXY = hunter2:x@h\nSOCKS4_SERVER = bob@h:1\n"
    ));
    let out = at_home("-dd -s host 22", &home).run();
    out.expect_code(0).expect_stderr_lacks("hunter2");
    let file = home.join(".connectrc");
    out.expect_stderr_has(&format!("DEBUG: Reading parameter file({})\n", file.display()));
    out.expect_stderr_has("DEBUG: Parameter `SOCKS4_SERVER' is set to `bob@h:1'\n");
    out.expect_stderr_has("DEBUG: Parameter `SOCKS5_PASSWD' is set to `****'\n");
    proxy.finish();
}

#[test]
fn without_a_home_directory_the_session_goes_on() {
    for home in ["", "/nonexistent", "/dev/null", "/etc/passwd"] {
        let proxy = socks5_none().expect_eof().serve();
        connect(format!("-S {proxy} host 22")).env("HOME", home).run().expect_success();
        proxy.finish();
    }
}

#[cfg(unix)]
#[test]
fn without_the_variable_home_the_session_goes_on() {
    let proxy = socks5_none().expect_eof().serve();
    let program = Program::new("env").args("-u HOME").arg(env!("CARGO_BIN_EXE_connect"));
    program.args(format!("-S {proxy} host 22")).run().expect_success();
    proxy.finish();
}

#[test]
fn the_file_is_not_read_when_nothing_can_come_of_it() {
    let home = home("garbage\nSOCKS5_PASSWORD = x\n");
    set_mode(&home.join(".connectrc"), 0o644);
    let target = Server::repeat(|| script().expect_eof());
    for words in [format!("127.0.0.1 {}", target.port()), format!("-n {target}")] {
        at_home(&words, &home).run().expect_success();
        at_home(&format!("-d {words}"), &home).run().expect_stderr_lacks("connectrc");
    }
    at_home("--version", &home).run().expect_success();
    at_home("-S 127.0.0.1:1 host", &home).run().expect_failure(2, &["no port"]);
}

#[test]
fn the_file_is_read_once() {
    let proxy = http_basic("bob", "secret").expect_eof().serve();
    let home =
        home(format!("HTTP_PROXY = {proxy}\nHTTP_PROXY_USER = bob\nHTTP_PROXY_PASSWORD = secret\nx\n"));
    let out = at_home("-h host 22", &home).run();
    out.expect_code(0).expect_stderr(&lines(&home, &[":4: no '=' (NAME = value), skipped"]));
    proxy.finish();
}

#[test]
fn the_example_is_read_without_a_complaint_and_so_is_each_line_that_it_offers() {
    let example = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/connectrc")).unwrap();
    // What is prose has a blank behind the #.
    let offered = |line: &&str| line.starts_with('#') && line.len() > 1 && !line.starts_with("# ");
    let active: Vec<_> = example.lines().filter(offered).map(|line| &line[1..]).collect();
    assert!(active.len() > 10, "{active:?}");
    let together = active.join("\n");
    for content in active.into_iter().chain([&*example, &together]) {
        let target = script().send("welcome").expect_eof().serve();
        let home = home(content);
        let password = home.join(".config/proxy-password");
        fs::create_dir(home.join(".config")).unwrap();
        fs::write(&password, "secret\n").unwrap();
        set_mode(&password, 0o600);
        let out = at_home(&format!("-A {}", target.args()), &home).env("no_proxy", "127.0.0.1").run();
        out.expect_success().expect_stdout("welcome");
        target.finish();
    }
}
