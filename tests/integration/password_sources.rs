//! Passwords from files, commands, file descriptors and `~/.netrc`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::askpass::Asker;
use crate::kit::*;
use crate::listening::{Listening, read};
use crate::rcfile::home;

/// Creates a file that only its owner can read.
fn private(name: &str, content: impl AsRef<[u8]>) -> TempPath {
    let path = TempPath::new(name);
    fs::write(&*path, content).unwrap();
    fs::set_permissions(&*path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Creates a home directory with a private `.netrc` and a private `.connectrc`.
fn home_with(netrc: &str, connectrc: &str) -> TempPath {
    let home = home(connectrc);
    fs::write(home.join(".netrc"), netrc).unwrap();
    fs::set_permissions(home.join(".netrc"), fs::Permissions::from_mode(0o600)).unwrap();
    home
}

fn socks5(password: &str) -> Server {
    socks5_userpass("bob", password).early("welcome").expect_eof().serve()
}

/// Checks that both a SOCKS5 proxy and an HTTP proxy receive this password for user bob.
#[track_caller]
fn expect_password(password: &str, args: &str, variables: &[(&str, &str)]) {
    for option in ["-S", "-H"] {
        let script =
            if option == "-S" { socks5_userpass("bob", password) } else { http_basic("bob", password) };
        let proxy = script.early("welcome").expect_eof().serve();
        let mut run = connect(format!("{args} {option} bob@{proxy} host 22"));
        for (name, value) in variables {
            run = run.env(name, value);
        }
        let out = run.run();
        let case = format!("{args} {option} {variables:?}: {out:?}");
        assert_eq!(
            (out.code, &*out.stdout, out.stderr_text()),
            (Some(0), &b"welcome"[..], String::new()),
            "{case}"
        );
        proxy.finish();
    }
}

/// Expects the program to fail before it connects to the proxy.
#[track_caller]
fn expect_failure(program: Program, code: i32, parts: &[&str]) -> Outcome {
    let proxy = Server::each([]);
    let out = program.args(format!("-S bob@{proxy} host 22")).run();
    out.expect_failure(code, parts);
    proxy.finish();
    out
}

fn path_of(path: &TempPath) -> String {
    path.display().to_string()
}

#[test]
fn the_password_is_found_in_each_source() {
    let file = private("password", "secret\n");
    let netrc = private("netrc", "machine 127.0.0.1 login bob password secret\n");
    let home = home_with("machine 127.0.0.1 login bob password secret\n", "");
    let (file, netrc, home) = (&*path_of(&file), &*path_of(&netrc), &*path_of(&home));
    expect_password("secret", &format!("--password-file {file}"), &[]);
    expect_password("secret", &format!("--password-file=~/.netrc --password-file {file}"), &[]);
    expect_password("secret", &format!("--netrc-file {netrc}"), &[]);
    expect_password("secret", "--netrc", &[("HOME", home)]);
    expect_password("secret", "--netrc", &[("HOME", home), ("NETRC", netrc)]);
    expect_password("secret", "--netrc", &[("NETRC", netrc)]);
    expect_password("secret", "", &[("CONNECT_PASSWORD_FILE", file)]);
    expect_password("secret", "", &[("CONNECT_NETRC", "yes"), ("HOME", home)]);
    expect_password("secret", "", &[("CONNECT_NETRC", "~/.netrc"), ("HOME", home)]);
    expect_password("secret", "", &[("CONNECT_NETRC", netrc)]);
    for line in [
        format!("CONNECT_PASSWORD_FILE = {file}"),
        "CONNECT_NETRC = Yes".into(),
        format!("CONNECT_NETRC = {netrc}"),
        "CONNECT_NETRC = ~/.netrc".into(),
    ] {
        let home = home_with("machine 127.0.0.1 login bob password secret\n", &line);
        expect_password("secret", "", &[("HOME", &path_of(&home))]);
    }
}

#[test]
fn a_command_runs_when_a_proxy_requires_the_password() {
    for (source, rc, variable) in [
        ("--password-command", "", None),
        ("", "", Some("CONNECT_PASSWORD_COMMAND")),
        ("", "CONNECT_PASSWORD_COMMAND = echo secret", None),
    ] {
        let home = home(rc);
        let proxies = [
            ("-S", socks5("secret")),
            ("--eager -S", socks5("secret")),
            ("-a userpass -S", socks5("secret")),
            (
                "-H",
                http_reply("HTTP/1.1 407 A\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
                    .followed_by(http_basic("bob", "secret").early("welcome").expect_eof())
                    .serve(),
            ),
        ];
        for (option, proxy) in proxies {
            let mut run = connect(source).env("HOME", &*home);
            if !source.is_empty() {
                run = run.arg("echo secret");
            }
            if let Some(variable) = variable {
                run = run.env(variable, "echo secret");
            }
            let out = run.args(format!("{option} bob@{proxy} host 22")).run();
            out.expect_success().expect_stdout("welcome");
            proxy.finish();
        }
    }
}

#[test]
fn sources_have_an_order_of_precedence() {
    let file = private("password", "file\n");
    let netrc = private("netrc", "default login bob password netrc\n");
    let (file, netrc) = (path_of(&file), path_of(&netrc));
    let option = format!("--password-file {file}");
    let lines = [
        ("CONNECT_PASSWORD", "variable"),
        ("CONNECT_PASSWORD_FILE", &*file),
        ("CONNECT_PASSWORD_COMMAND", "echo command"),
        ("CONNECT_NETRC", &*netrc),
        ("SSH_ASKPASS", "/nonexistent"),
        ("SSH_ASKPASS_REQUIRE", "force"),
    ];
    expect_password("file", &option, &lines);
    expect_password("variable", "", &lines);
    expect_password("file", "", &lines[1..]);
    let proxy = socks5("command");
    let run = lines[2..].iter().fold(connect(""), |run, (name, value)| run.env(name, value));
    run.args(format!("-S bob@{proxy} host 22")).run().expect_success();
    proxy.finish();
    expect_password("netrc", "", &lines[3..]);
    expect_password("netrc", "--netrc", &[("NETRC", &netrc), ("CONNECT_NETRC", "no")]);

    // A password in the proxy option takes precedence over all other sources. If several password
    // options are given, the last one wins.
    let proxy = socks5("spec");
    let run = lines.iter().fold(connect(&option), |run, (name, value)| run.env(name, value));
    run.args(format!("-S bob:spec@{proxy} host 22")).run().expect_success();
    proxy.finish();
    let proxy = socks5("file");
    let run = connect("--password-fd 99 --password-command false").args(&option);
    run.args(format!("-S bob@{proxy} host 22")).run().expect_success();
    proxy.finish();
}

#[test]
fn no_source_is_read_unless_a_password_is_needed() {
    let note = TempPath::new("note");
    let command = format!("echo >{}; echo secret", path_of(&note));
    let wrong = "--password-command 'x' --password-file /nonexistent --netrc-file /nonexistent";
    let target = Server::repeat(|| script().expect_eof());
    let socks4 = socks4_granted().expect_eof().serve();
    for args in [format!("-n {}", target.args()), format!("-4 -R remote -S {socks4} host 22")] {
        connect(wrong).args(args).run().expect_success();
    }
    socks4.finish();
    // The program offers user/password authentication, but the proxy does not select it.
    let offered = script().expect([5, 2, 0, 2]).send([5, 0]).expect_bytes(11).send(SOCKS5_GRANTED);
    let (socks5, http) = (offered.expect_eof().serve(), http_ok().expect_eof().serve());
    for args in [format!("-S bob@{socks5} host 22"), format!("-H bob@{http} host 22")] {
        connect("--password-command").arg(&command).args(args).run().expect_success();
    }
    assert!(!note.exists());
    socks5.finish();
    http.finish();
}

#[test]
fn the_first_line_of_a_file_is_the_password() {
    for (content, password) in [
        (&b"secret"[..], &b"secret"[..]),
        (b"secret\r\nmore", b"secret"),
        (b" two words \n", b" two words "),
        (b"\xff\x80:@#%41\n", b"\xff\x80:@#%41"),
        (b"a\rb\n\n", b"a"),
        (&[b'x'; 255], &[b'x'; 255]),
    ] {
        let file = private("password", content);
        let length = u8::try_from(password.len()).unwrap();
        let login = [&b"\x01\x03bob"[..], &[length], password].concat();
        let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect(login).send([1, 1]).serve();
        connect(format!("--password-file {} -S bob@{proxy} h 22", path_of(&file))).run().expect_code(6);
        proxy.finish();
    }
}

/// The proxy rejected the password, and the entry of a netrc file was not found.
#[test]
fn the_byte_order_mark_of_a_file_from_windows_became_part_of_the_password() {
    let password = private("password", from_windows("secret\nmore\n", false));
    let netrc = private("netrc", from_windows("machine 127.0.0.1 login bob password secret\n", false));
    let print = format!("cat {}", path_of(&password));
    expect_password("secret", &format!("--password-file {}", path_of(&password)), &[]);
    expect_password("secret", &format!("--netrc-file {}", path_of(&netrc)), &[]);
    expect_password("secret", "", &[("CONNECT_PASSWORD_COMMAND", &print), ("SHELL", "/bin/sh")]);
    let asker = Asker::new("askpass", &print);
    let proxy = socks5("secret");
    asker.connect(format!("-S bob@{proxy} host 22")).run().expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn utf_16_in_a_password_file_is_an_error_that_says_so() {
    let password = private("password", from_windows("secret\n", true));
    let netrc = private("netrc", from_windows("default login bob password secret\n", true));
    let path = path_of(&password);
    let first_line = format!("from {path}: its first line is in UTF-16, expected UTF-8");
    expect_failure(connect(format!("--password-file {path}")), 2, &[&first_line]);
    let text = format!("cannot read {}: UTF-16 text, expected UTF-8", path_of(&netrc));
    expect_failure(connect(format!("--netrc-file {}", path_of(&netrc))), 2, &[&text]);
    let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_eof().serve();
    let program = connect("--password-command").arg(format!("cat {path}")).env("SHELL", "/bin/sh");
    let out = program.args(format!("-S bob@{proxy} host 22")).run();
    out.expect_failure(6, &["printed no password: its first line is in UTF-16, expected UTF-8"]);
    proxy.finish();
}

/// The file was silently ignored.
#[test]
fn utf_16_in_the_default_netrc_file_is_a_warning() {
    let netrc = private("netrc", from_windows("default login bob password secret\n", true));
    let proxy = socks5_none().close().serve();
    let program = connect(format!("--netrc -S {proxy} host 22")).env("NETRC", &*netrc);
    let warning =
        format!("connect: cannot read {}: UTF-16 text, expected UTF-8; file ignored\n", path_of(&netrc));
    program.run().expect_code(0).expect_stderr(&warning);
    proxy.finish();
}

#[test]
fn the_password_file_may_be_a_pipe() {
    let proxy = socks5("secret");
    let shell = Program::new("bash").arg("-c").arg(format!(
        "exec {} --password-file <(echo secret; echo more) -S bob@{proxy} host 22",
        program_path()
    ));
    shell.run().expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn a_file_without_a_password_is_an_error_that_names_the_file() {
    let too_long = private("password", "x".repeat(4097));
    let empty = private("password", "\nsecret");
    let directory = TempPath::directory("password");
    for (path, why) in [
        ("/nonexistent/file".to_owned(), "No such file"),
        (path_of(&directory), "Is a directory"),
        (path_of(&too_long), "its first line is longer than 4096 bytes"),
        ("/dev/zero".into(), "its first line is longer than 4096 bytes"),
        (path_of(&empty), "its first line is empty"),
        ("-".into(), "standard input: it carries the session"),
    ] {
        let out = expect_failure(connect(format!("--password-file {path}")), 2, &["--password-file: ", why]);
        assert!(path == "-" || out.stderr_text().contains(&path), "{out:?}");
    }
    let home = home("\nCONNECT_PASSWORD_FILE = ~/nothing\n");
    let place = format!(
        "CONNECT_PASSWORD_FILE ({}:2): cannot read the password from ~/nothing",
        home.join(".connectrc").display()
    );
    expect_failure(connect("").env("HOME", &*home), 2, &[&place]);
}

#[test]
fn a_password_file_that_others_can_read_gets_a_warning() {
    for (netrc, mode, warned) in
        [(false, 0o644, true), (false, 0o600, false), (true, 0o640, true), (true, 0o600, false)]
    {
        let content = if netrc { "default login bob password secret" } else { "secret" };
        let file = private("password", content);
        fs::set_permissions(&*file, fs::Permissions::from_mode(mode)).unwrap();
        let option = if netrc { "--netrc-file" } else { "--password-file" };
        let proxy = socks5("secret");
        let out = connect(format!("{option} {} -S bob@{proxy} host 22", path_of(&file))).run();
        let path = path_of(&file);
        let warning = format!(
            "connect: {path} contains a password and other users can read it; run: chmod 600 {path}\n"
        );
        out.expect_code(0).expect_stderr(if warned { &warning } else { "" });
        proxy.finish();
    }
}

/// Returns a run of bash that executes the program's command line, with `before` prepended and
/// `after` appended.
fn with_descriptor(number: &str, before: &str, after: &str, proxy: &Server) -> Program {
    Program::new("bash")
        .arg("-c")
        .arg(format!("{before}{} --password-fd {number} -S bob@{proxy} host 22{after}", program_path()))
}

#[test]
fn a_descriptor_is_read_up_to_the_end_of_the_line() {
    for (before, after, stdout) in [
        ("", " 3<<<secret", "welcome"),
        ("", " 3< <(printf secret)", "welcome"),
        ("", " 3< <(sleep 0.2; echo secret; sleep 30)", "welcome"),
        ("", " 4<&0 3< <(printf 'secret\\r\\nmore')", "welcome"),
        // The rest of the input is left for the next program.
        ("exec 3< <(echo secret; echo more); ", "; cat <&3", "welcomemore\n"),
    ] {
        let proxy = socks5("secret");
        let out = with_descriptor("3", before, after, &proxy).run();
        out.expect_success().expect_stdout(stdout).expect_within(PROMPTLY);
        proxy.finish();
    }
    let proxy = socks5("secret");
    with_descriptor("77", "", " 77<<<secret", &proxy).run().expect_success();
    proxy.finish();
}

#[test]
fn a_descriptor_that_is_closed_or_carries_the_session_is_an_error() {
    for (number, why) in [
        ("0", "are standard input, output and error"),
        ("2", "are standard input, output and error"),
        ("x", "invalid value for --password-fd"),
        ("+3", "are standard input, output and error"),
        ("99999999999", "are standard input, output and error"),
        ("99", "Bad file descriptor"),
        ("2147483648", "invalid"),
    ] {
        let args = format!("--password-fd {number}");
        // A long number, or text, may be the password itself.
        let shown = if number.len() < 3 && !matches!(number, "x" | "+3") { number } else { "" };
        expect_failure(connect(args), 2, &["--password-fd", shown, why]);
    }
    let proxy = Server::each([]);
    let out = with_descriptor("3", "", " 3</dev/null", &proxy).run();
    out.expect_failure(2, &["file descriptor 3: its first line is empty"]);
    proxy.finish();
}

#[test]
fn a_command_receives_proxy_and_user_but_no_password() {
    let proxy =
        socks5_userpass("bob", "127.0.0.1:bob:%").early("welcome").expect("ping").expect_eof().serve();
    let note = TempPath::new("note");
    let line =
        format!("env >{0}; cat >>{0}; echo 127.0.0.1:%u:%%; echo %h %p >>{0}; seq 500", path_of(&note));
    let run = connect("--password-command").arg(line).env("MARK", "seen").env("SHELL", "/bin/sh");
    let run = run.env("http_proxy", "http://a:hunter2@h").args(format!("-S bob@{proxy} host 22"));
    run.input("ping").run().expect_success().expect_stdout("welcome");
    let seen = fs::read_to_string(&*note).unwrap();
    assert!(seen.contains("MARK=seen") && !seen.contains("hunter2") && !seen.contains("ping"), "{seen}");
    assert!(seen.ends_with(&format!("127.0.0.1 {}\n", proxy.port())), "{seen}");
    proxy.finish();
}

#[test]
fn a_failing_command_is_reported_with_its_status() {
    for (line, why) in [
        ("exit 3", "failed (exit status: 3)"),
        ("echo secret; exit 1", "failed (exit status: 1)"),
        ("kill -TERM $$", "failed (signal: 15"),
        ("true", "printed no password: its first line is empty"),
        ("no-such-program-here", "failed (exit status: 127)"),
        ("head -c 5000 /dev/zero", "printed no password: its first line is longer than 4096 bytes"),
    ] {
        let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_eof().serve();
        let run = connect("--password-command").arg(format!("{line} # 2>/dev/null")).env("SHELL", "/bin/sh");
        let out = run.args(format!("-S bob@{proxy} host 22")).run();
        let parts = ["'bob'", "the command in --password-command ", why];
        out.expect_code(6).expect_stderr_lacks("secret").expect_stderr_lacks("terminal");
        assert!(parts.iter().all(|part| out.stderr_text().contains(part)), "{line}: {out:?}");
        proxy.finish();
    }
    // The user sees the command's standard error.
    let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_eof().serve();
    let home = home("CONNECT_PASSWORD_COMMAND = echo locked >&2; exit 1");
    let out = connect(format!("-S bob@{proxy} host 22")).env("HOME", &*home).run();
    let file = home.join(".connectrc");
    out.expect_code(6).expect_stderr_has("locked\n").expect_stderr_has(&format!(
        "the command in CONNECT_PASSWORD_COMMAND ({}:1) was cancelled or failed",
        file.display()
    ));
    proxy.finish();
}

#[test]
fn a_command_with_an_unsafe_placeholder_does_not_run() {
    let out = expect_failure(connect("--password-command").arg("date +%s"), 2, &["unknown placeholder %s"]);
    out.expect_stderr_has("--password-command: ");
    // The user name must not become part of the shell command.
    let note = TempPath::new("note");
    let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_eof().serve();
    let run =
        connect("--password-command").arg("echo %u").env("SOCKS5_USER", format!("`>{}`", path_of(&note)));
    run.args(format!("-S {proxy} host 22")).run().expect_failure(6, &["%u is '`>", "special to the shell"]);
    assert!(!note.exists());
    proxy.finish();
}

#[test]
fn a_command_in_a_file_that_others_can_write_to_does_not_run() {
    let home = home("CONNECT_PASSWORD_COMMAND = echo secret");
    fs::set_permissions(home.join(".connectrc"), fs::Permissions::from_mode(0o622)).unwrap();
    let proxy = script().expect([5, 1, 0]).send([5, 0xff]).expect_eof().serve();
    let out = connect(format!("-S bob@{proxy} host 22")).env("HOME", &*home).run();
    out.expect_code(6).expect_stderr_has(
        ".connectrc:1: CONNECT_PASSWORD_COMMAND ignored: a command is allowed only in a parameter file that no one but you",
    );
    proxy.finish();
}

/// Otherwise another user could have files sent to a proxy that only this user can read.
#[test]
fn a_file_that_others_can_write_to_does_not_select_other_files() {
    let home = home_with("default login bob password leak\n", "");
    let file = home.join(".connectrc");
    fs::write(home.join("password"), "leak\n").unwrap();
    fs::write(home.join("headers"), "X-Leak: leak\n").unwrap();
    let session = |mode, line: &str| {
        fs::write(&file, line).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let proxy = http_ok().expect_eof().serve();
        let out = connect(format!("-H bob@{proxy} host 22")).env("HOME", &*home).run();
        out.expect_code(0);
        (proxy.finish_one().head.unwrap(), out.stderr_text())
    };
    for (line, what) in [
        ("CONNECT_PASSWORD_FILE = ~/password", "a path"),
        ("CONNECT_NETRC = yes", "a netrc file"),
        ("CONNECT_NETRC = ~/.netrc", "a netrc file"),
        (&format!("CONNECT_HEADER = @{}", home.join("headers").display()), "a path"),
    ] {
        let secret = if line.contains("HEADER") { "X-Leak: leak" } else { "Basic Ym9iOmxlYWs=" };
        assert!(session(0o600, line).0.contains(secret), "{line}");
        for mode in [0o620, 0o602] {
            let (head, stderr) = session(mode, line);
            assert!(!head.contains(secret), "{line}: {head}");
            let name = line.split(' ').next().unwrap();
            assert_eq!(
                stderr,
                format!(
                    "connect: {}:1: {name} ignored: {what} is allowed only in a parameter file that no one but you or root can \
                     write to\n",
                    file.display()
                )
            );
        }
    }
    // The text of a header and a password do no harm.
    let (head, stderr) = session(0o602, "CONNECT_HEADER = X-Site: north\nHTTP_PROXY_PASSWORD = leak\n");
    assert!(head.contains("X-Site: north") && head.contains("Basic Ym9iOmxlYWs="), "{head}");
    assert_eq!(stderr, "");
}

#[test]
fn the_time_of_a_command_does_not_count_against_the_limit() {
    let proxy = socks5("secret");
    let run = connect("-w 1 --password-command").arg("sleep 1.5; echo secret");
    run.args(format!("-S bob@{proxy} host 22")).run().expect_success();
    proxy.finish();
}

#[test]
fn a_listener_runs_its_command_once() {
    let asker = Asker::new("command", "echo secret");
    let proxy = Server::repeat(|| socks5_userpass("bob", "secret").early("welcome").expect_disconnect());
    let args = format!("-d -S bob@{proxy} --listen 127.0.0.1:0 host.example 22");
    let listener = Listening::start(connect("--password-command").arg(asker.path()).args(args));
    for _ in 0..3 {
        assert_eq!(read(&mut listener.client(), 7), b"welcome");
    }
    assert_eq!(asker.output("arguments"), "\n");
    listener.close();
}

#[test]
fn netrc_supplies_the_user_if_none_is_given() {
    let content = "machine other login x password y\nmachine 127.0.0.1 login bob password \"two words\"\n";
    let netrc = private("netrc", content);
    for (args, user, password) in
        [("{P}", "bob", "two words"), ("bob@{P}", "bob", "two words"), (":given@{P}", "", "given")]
    {
        let proxy = http_basic(user, password).expect_eof().serve();
        let args = args.replace("{P}", &proxy.to_string());
        connect(format!("--netrc-file {} -H {args} host 22", path_of(&netrc))).run().expect_success();
        proxy.finish();
    }
    // The file has no password for carol, so the program does not offer user/password
    // authentication.
    let proxy = script().expect([5, 1, 0]).send([5, 0]).expect_bytes(11).send(SOCKS5_GRANTED).serve();
    connect(format!("--netrc-file {} -S carol@{proxy} host 22", path_of(&netrc))).run().expect_success();
    proxy.finish();
}

#[test]
fn only_the_default_netrc_file_may_be_missing() {
    let args = "--netrc-file /nonexistent/netrc";
    expect_failure(connect(args), 2, &["--netrc-file: cannot read /nonexistent/netrc: No such file"]);
    let proxy = socks5_none().expect_eof().serve();
    connect(format!("--netrc -S bob@{proxy} host.example 22")).run().expect_success();
    proxy.finish();
    let netrc = private("netrc", "default login bob password secret\nmachine \"x\n");
    let proxy = socks5("secret");
    let out = connect(format!("--netrc-file {} -S bob@{proxy} host 22", path_of(&netrc))).run();
    out.expect_code(0).expect_stderr(&format!(
        "connect: {}:2: missing closing quote; rest of the file ignored\n",
        path_of(&netrc)
    ));
    proxy.finish();
}

#[test]
fn the_debug_log_never_contains_the_password() {
    let file = private("password", "hunter2\n");
    let netrc = private("netrc", "default login bob password hunter2");
    for args in [
        format!("--password-file {}", path_of(&file)),
        format!("--netrc-file {}", path_of(&netrc)),
        format!("--password-command cat${{IFS}}{}", path_of(&file)),
    ] {
        let proxy = socks5("hunter2");
        let out = connect(format!("-dd {args} -S bob@{proxy} host 22")).run();
        out.expect_code(0).expect_stderr_lacks("hunter2").expect_stdout("welcome");
        proxy.finish();
    }
}
