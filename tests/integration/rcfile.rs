//! `~/.connectrc`: its parameters, their precedence, and invalid files.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::kit::*;
use crate::wire::*;

/// Creates a home directory with a private `.connectrc` that has this content.
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

/// Does nothing on Windows, where files in a user's profile are private by default.
#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

fn at_home(args: &str, home: &TempPath) -> Program {
    connect(args).env("HOME", &**home)
}

/// Runs a session through the proxy that the file sets, and expects these warnings about the file.
/// `{P}` in `content` stands for the proxy, and `{F}` in a warning stands for the path of the file.
#[track_caller]
fn expect_session(content: impl AsRef<[u8]>, warnings: &[&str]) {
    let proxy = socks5_none().early("welcome").expect("ping").expect_eof().serve();
    let content = String::from_utf8_lossy(content.as_ref()).replace("{P}", &proxy.to_string());
    expect_session_at(&home(content), warnings);
    proxy.finish();
}

#[track_caller]
fn expect_session_at(home: &TempPath, warnings: &[&str]) {
    let out = at_home("-s host.example 22", home).input("ping").run();
    out.expect_code(0).expect_stdout("welcome").expect_stderr(&lines(home, warnings));
}

fn lines(home: &TempPath, warnings: &[&str]) -> String {
    let file = home.join(".connectrc").display().to_string();
    let lines: Vec<_> =
        warnings.iter().map(|line| format!("connect: {line}\n").replace("{F}", &file)).collect();
    lines.concat()
}

#[test]
fn a_file_from_windows_may_begin_with_a_byte_order_mark() {
    let proxy = socks5_none().early("welcome").expect("ping").expect_eof().serve();
    let content = format!("SOCKS5_SERVER = {proxy}\nSOCKS5_RESOLVE = remote\n");
    expect_session_at(&home(from_windows(&content, false)), &[]);
    proxy.finish();
    let home = home(from_windows(&content, true));
    let out = at_home("-s host.example 22", &home).run();
    let warning = lines(&home, &["cannot read {F}: UTF-16 text, expected UTF-8; file ignored"]);
    out.expect_code(2).expect_stderr_has(&warning);
}

#[test]
fn a_file_may_set_each_socks_proxy() {
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
fn a_file_may_set_the_http_and_the_telnet_proxy() {
    let proxy = http_ok().expect_eof().serve();
    at_home("-h host.example 22", &home(format!("HTTP_PROXY = http://{proxy}/"))).run().expect_success();
    assert_eq!(proxy.finish_one().target.as_deref(), Some("host.example:22"));

    let proxy = script().expect("telnet host.example 22\r\n").send("connected to it\n").expect_eof().serve();
    at_home("-t host.example 22", &home(format!("TELNET_PROXY = {proxy}"))).run().expect_success();
    proxy.finish();
}

#[test]
fn a_file_may_set_user_and_password_under_each_name() {
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
fn a_file_may_set_resolution_and_authentication_methods() {
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
fn a_file_may_set_the_bypass_lists() {
    for (option, name) in [
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
        let out = at_home(&format!("{option} {proxy} {}", target.args()), &home).run();
        out.expect_success().expect_stdout("direct");
        target.finish();
        proxy.finish();
    }
}

#[test]
fn the_environment_overrides_the_file_and_the_command_line_overrides_both() {
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
fn a_specific_parameter_in_the_file_overrides_a_general_one_in_the_environment() {
    // The C program also looks up a name in all sources before it tries the next name.
    let proxy = socks5_userpass("file", "secret").expect_eof().serve();
    let home = home("SOCKS5_USER = file");
    let run = at_home(&format!("-S {proxy} host 22"), &home).env("SOCKS_USER", "env");
    run.env("SOCKS5_PASSWORD", "secret").run().expect_success();
    proxy.finish();
}

#[test]
fn an_empty_variable_overrides_the_file() {
    let proxy = script().expect(b"\x04\x01\0\x16\x0a\x01\x02\x03\0").send(SOCKS4_GRANTED).serve();
    let home = home("SOCKS4_USER = bob");
    let run = at_home(&format!("-4S {proxy} 10.1.2.3 22"), &home).env("SOCKS4_USER", "");
    run.run().expect_success();
    proxy.finish();
}

#[test]
fn a_line_may_be_written_in_many_ways() {
    let long = "x".repeat(100_000);
    for content in [
        "SOCKS_SERVER={P}",
        "SOCKS_SERVER = {P}",
        "  \tSOCKS_SERVER\t=\t{P}  \t\n",
        "SOCKS_SERVER = {P} # where it is\n",
        "SOCKS_SERVER = {P}\t#where it is\n",
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
fn a_quoted_value_may_contain_blanks_and_comment_signs() {
    for (value, password) in [
        ("\" a # b \"", " a # b "),
        ("'it \"is\"' # comment", "it \"is\""),
        ("\"it's\"", "it's"),
        ("it's \"so\"", "it's \"so\""),
        (r"'back\slash'", r"back\slash"),
        ("a=b", "a=b"),
        // Without a blank before it, a # is part of the value.
        ("a#b#", "a#b#"),
        ("a#b # c#d", "a#b"),
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
fn an_invalid_line_is_reported_with_file_and_line_and_the_session_works() {
    for (line, warning) in [
        ("SOCKS_SERVER 127.0.0.1:1", "missing '=' (NAME = value); line ignored"),
        ("garbage", "missing '=' (NAME = value); line ignored"),
        ("FOO = bar", "unknown parameter 'FOO'; line ignored"),
        ("socks_server = 127.0.0.1:1", "unknown parameter 'socks_server'; line ignored"),
        ("ALL_PROXY = socks5://127.0.0.1:1", "unknown parameter 'ALL_PROXY'; line ignored"),
        ("DISPLAY = :0", "unknown parameter 'DISPLAY'; line ignored"),
        ("SOCKS_SERVER # = x", "missing '=' before the comment (NAME = value); line ignored"),
        ("SOCKS_SERVER = '127.0.0.1:1", "missing closing quote; line ignored"),
        ("SOCKS_SERVER = '127.0.0.1':1", "unexpected text after the closing quote; line ignored"),
        ("\0\x01\0", "missing '=' (NAME = value); line ignored"),
    ] {
        let content = format!("SOCKS_SERVER = {{P}}\n\n{line}\n# end\n");
        expect_session(content, &[&format!("{{F}}:3: {warning}")]);
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_not_printed() {
    let proxy = socks5_none().early("welcome").expect("ping").expect_eof().serve();
    let start = b"\xff\nSOCKS_RESOLVE = \xe9\n\x1b]0;owned\x07=\xc2\x9b\n".to_vec();
    let home = home([start, format!("SOCKS_SERVER = {proxy}").into_bytes()].concat());
    let warnings = [
        "{F}:1: missing '=' (NAME = value); line ignored",
        "{F}:2: not UTF-8; line ignored",
        "{F}:3: invalid parameter name before '='; line ignored",
    ];
    expect_session_at(&home, &warnings);
    proxy.finish();
}

/// As in the C program, a user name and a password are bytes.
#[cfg(unix)]
#[test]
fn a_user_name_and_a_password_in_latin_1_were_rejected() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let socks5 = || {
        let login = script().expect([5, 2, 0, 2]).send([5, 2]).expect(b"\x01\x04jos\xe9\x04p\xe4ss");
        login.send([1, 1]).expect_eof()
    };
    let socks4 =
        || script().expect(b"\x04\x01\x00\x16\x7f\x00\x00\x01jos\xe9\0").send([0, 93, 0, 0, 0, 0, 0, 0]);
    let http = || {
        let head = "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n";
        let login = format!("{head}Proxy-Authorization: Basic am9z6Tpw5HNz\r\n\r\n");
        script()
            .expect(login)
            .send("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
    };
    let peers: [(&str, &str, &dyn Fn() -> Script); 3] =
        [("-s", "SOCKS5_SERVER", &socks5), ("-4 -s", "SOCKS4_SERVER", &socks4), ("-h", "HTTP_PROXY", &http)];
    for (option, name, peer) in peers {
        let args = format!("{option} 127.0.0.1 22");
        let proxy = peer().serve();
        let variables = [(name, proxy.to_string()), ("CONNECT_USER", "jos\u{e9}".into())];
        let run = variables
            .iter()
            .fold(connect(&args), |run, (name, value)| run.env(name, OsStr::from_bytes(&latin_1(value))));
        let run = run.env("CONNECT_PASSWORD", OsStr::from_bytes(b"p\xe4ss"));
        let out = run.run();
        assert!(out.code != Some(0) && !out.stderr_text().contains("UTF-8"), "{option}: {out:?}");
        proxy.finish();
        for file in [
            "{N} = {P} # \u{fc}\nCONNECT_USER = jos\u{e9}\nCONNECT_PASSWORD = 'p\u{e4}ss'\n",
            "{N} = jos\u{e9}:p\u{e4}ss@{P}\n",
        ] {
            if name == "SOCKS4_SERVER" && !file.contains("CONNECT_USER") {
                continue;
            }
            let proxy = peer().serve();
            let file = file.replace("{N}", name).replace("{P}", &proxy.to_string());
            let out = at_home(&args, &home(latin_1(&file))).run();
            assert!(out.code != Some(0) && !out.stderr_text().contains("UTF-8"), "{option}: {out:?}");
            assert_eq!(out.stderr_text().lines().count(), 1, "{option}: {out:?}");
            proxy.finish();
        }
    }
}

/// The variable was an error, and the line was ignored.
#[cfg(unix)]
#[test]
fn an_entry_in_latin_1_made_the_whole_bypass_list_invalid() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let list = latin_1("b\u{fc}cher.example,127.0.0.1");
    let invalid = "invalid entry 'b\u{fffd}cher.example' ignored";
    let target = Server::repeat(|| script().send("welcome"));
    let args = format!("-S 127.0.0.1:1 127.0.0.1 {}", target.port());
    let out = connect(&args).env("SOCKS5_DIRECT", OsStr::from_bytes(&list)).run();
    out.expect_code(0).expect_stdout("welcome").expect_stderr_has(invalid);
    let out = connect(&args).env("no_proxy", OsStr::from_bytes(&list)).run();
    out.expect_success().expect_stdout("welcome");
    let out = at_home(&args, &home([b"SOCKS5_DIRECT = ", &list[..]].concat())).run();
    out.expect_code(0).expect_stdout("welcome").expect_stderr_has(invalid);
    drop(target);
}

/// Encodes text in Latin-1.
#[cfg(unix)]
fn latin_1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

#[test]
fn a_file_of_garbage_gets_one_warning_per_line() {
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
fn a_warning_about_an_invalid_line_does_not_quote_a_password() {
    for line in [
        "SOCKS5_PASSWORD hunter2",
        "SOCKS5_PASSWORD: hunter2=x",
        "SOCKS5_PASSWORD hunter2 = x",
        // The rest of a token that an editor has wrapped.
        "SOCKS5_PASSWORD = x\naGhunter2==",
        "Match exec curl -x me:hunter2@proxy",
        "SOCKS5_DIRECT = me:hunter2@proxy",
        "SOCKS5_DIRECT = me:x,hunter2@proxy",
        "SOCKS5_DIRECT = me:hunter2",
        "CONNECT_PASSWORD_FILE = a/me:hunter2@b\nSOCKS5_PASSWORD = x",
    ] {
        let proxy = socks5_none().expect_eof().serve();
        let out = at_home(&format!("-d -S {proxy} host 22"), &home(line)).run();
        out.expect_code(0).expect_stderr_has(".connectrc").expect_stderr_lacks("hunter2");
        proxy.finish();
    }
}

/// Half of the password was shown, in the error and with `-d`, because `#` began a comment.
#[test]
fn a_password_with_a_number_sign_is_neither_cut_nor_shown() {
    for (name, option, request) in [
        ("HTTP_PROXY", "-h", "Proxy-Authorization: Basic bWU6aHVudGVyMiN4"),
        ("CONNECT_PROXY", "-A", "Proxy-Authorization: Basic bWU6aHVudGVyMiN4"),
    ] {
        let proxy = http_ok().expect_eof().serve();
        let home = home(format!("{name} = me:hunter2#x@{proxy} # hunter2\n"));
        let out = at_home(&format!("-d {option} host.example 22"), &home).run();
        out.expect_code(0).expect_stderr_lacks("hunter2").expect_stderr_lacks("#x");
        assert!(proxy.finish_one().head.unwrap().contains(request), "{name}");
    }
    let proxy = socks5_userpass("me", "hunter2#x").expect_eof().serve();
    let home_ = home(format!("SOCKS_SERVER = me:hunter2#x@{proxy}\n"));
    let out = at_home("-d -s host.example 22", &home_).run();
    out.expect_code(0).expect_stderr_lacks("hunter2").expect_stderr_lacks("#x");
    proxy.finish();
    // Without the comment, an address is left, with the password where a port is expected.
    for (name, option) in
        [("HTTP_PROXY", "-h"), ("SOCKS_SERVER", "-s"), ("CONNECT_PROXY", "-A"), ("TELNET_PROXY", "-t")]
    {
        let home = home(format!("{name} = me:hunter2 #x@127.0.0.1:1\n"));
        let out = at_home(&format!("-d {option} host.example 22"), &home).run();
        out.expect_code(2).expect_stderr_has(".connectrc:1").expect_stderr_lacks("hunter2");
    }
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_a_regular_file_is_ignored() {
    let proxy = Server::repeat(|| socks5_none().early("welcome").expect("ping").expect_eof());
    let expect = |home: &TempPath, warnings: &[&str]| {
        let run = at_home(&format!("-S {proxy} host.example 22"), home).input("ping").run();
        run.expect_code(0).expect_stdout("welcome").expect_stderr(&lines(home, warnings));
        run.expect_within(PROMPTLY);
    };
    let with = |make: &dyn Fn(&Path)| {
        let home = TempPath::directory("home");
        make(&home.join(".connectrc"));
        home
    };
    expect(&TempPath::directory("home"), &[]);
    expect(&home(""), &[]);
    expect(&with(&|path| fs::create_dir(path).unwrap()), &["cannot read {F}: is a directory; file ignored"]);
    expect(&with(&fifo), &["cannot read {F}: not a regular file; file ignored"]);
    expect(&with(&|path| symlink("nowhere", path).unwrap()), &[]);
    expect(&with(&|path| symlink("/dev/null", path).unwrap()), &[]);
    expect(
        &with(&|path| symlink("/dev/zero", path).unwrap()),
        &["cannot read {F}: not a regular file; file ignored"],
    );
    // Not even root can open a symlink loop.
    let looped = with(&|path| symlink(".connectrc", path).unwrap());
    expect(&looped, &["cannot read {F}: Too many levels of symbolic links; file ignored"]);
    expect(&home(" ".repeat(2 << 20)), &["cannot read {F}: larger than 1024 KiB; file ignored"]);
    expect(&home("\n".repeat(1 << 20)), &[]);
}

#[cfg(unix)]
fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::from_bits_truncate(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_to_a_file_is_followed() {
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
        let warning = format!(
            "connect: {path} contains a password and other users can read it; run: chmod 600 {path}\n"
        );
        run.expect_code(0).expect_stderr(if warned { &warning } else { "" });
    }
}

#[test]
fn the_debug_log_shows_the_parameters_but_no_password() {
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
fn without_a_home_directory_the_session_works() {
    for home in ["", "/nonexistent", "/dev/null", "/etc/passwd"] {
        let proxy = socks5_none().expect_eof().serve();
        connect(format!("-S {proxy} host 22")).env("HOME", home).run().expect_success();
        proxy.finish();
    }
}

#[cfg(unix)]
#[test]
fn without_the_variable_home_the_session_works() {
    let proxy = socks5_none().expect_eof().serve();
    let program = Program::new("env").args("-u HOME").arg(env!("CARGO_BIN_EXE_connect"));
    program.args(format!("-S {proxy} host 22")).run().expect_success();
    proxy.finish();
}

#[test]
fn the_file_is_not_read_unless_a_parameter_is_needed() {
    let home = home("garbage\nSOCKS5_PASSWORD = x\n");
    set_mode(&home.join(".connectrc"), 0o644);
    at_home("--version", &home).run().expect_success();
    at_home("-S 127.0.0.1:1 host", &home).run().expect_failure(2, &["missing port"]);
}

/// A file that says from which address to connect must not be ignored because there is no proxy.
#[test]
fn a_direct_connection_reads_the_file_for_the_settings_of_its_socket() {
    let home = home("CONNECT_TCP_KEEPALIVE = 7\nSOCKS5_RESOLVE = nonsense\n");
    let target = Server::repeat(|| script().expect_eof());
    for args in [format!("127.0.0.1 {}", target.port()), format!("-n {target}")] {
        at_home(&args, &home).run().expect_success();
        let out = at_home(&format!("-d {args}"), &home).run();
        out.expect_code(0).expect_stderr_has("setting TCP keep-alive: 7 seconds");
    }
}

#[test]
fn the_file_is_read_only_once() {
    let proxy = http_basic("bob", "secret").expect_eof().serve();
    let home =
        home(format!("HTTP_PROXY = {proxy}\nHTTP_PROXY_USER = bob\nHTTP_PROXY_PASSWORD = secret\nx\n"));
    let out = at_home("-h host 22", &home).run();
    out.expect_code(0).expect_stderr(&lines(&home, &["{F}:4: missing '=' (NAME = value); line ignored"]));
    proxy.finish();
}

#[test]
fn the_example_file_and_each_line_in_it_are_valid() {
    let example = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/connectrc")).unwrap();
    // A setting that is commented out has no space after the `#`.
    let is_setting = |line: &&str| line.starts_with('#') && line.len() > 1 && !line.starts_with("# ");
    let active: Vec<_> = example.lines().filter(is_setting).map(|line| &line[1..]).collect();
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
