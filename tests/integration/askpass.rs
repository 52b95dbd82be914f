//! `SSH_ASKPASS`: a program prompts for the password, as with OpenSSH.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::kit::*;
use crate::rcfile::home;

/// An askpass program for a test. It writes its files to the directory that contains it.
pub(crate) struct Asker {
    directory: TempPath,
    name: &'static str,
}

impl Asker {
    /// Creates a shell script that appends its arguments to the file `arguments`, one per line, and
    /// then runs the commands in `script`. `$D` is the askpass program's directory.
    pub(crate) fn new(name: &'static str, script: &str) -> Self {
        let asker = Self { directory: TempPath::directory("askers"), name };
        let directory = asker.directory.display();
        let text =
            format!("#!/bin/sh\nD='{directory}'\nprintf '%s\\n' \"$@\" >>\"$D/arguments\"\n{script}\n");
        // Let cp write the file. If this process wrote it, a concurrently forked child could
        // inherit the descriptor, and executing a file that is open for writing fails with ETXTBSY.
        let draft = asker.directory.join("draft");
        fs::write(&draft, text).unwrap();
        let copied = std::process::Command::new("cp").arg(&draft).arg(asker.path()).status().unwrap();
        assert!(copied.success());
        fs::set_permissions(asker.path(), Permissions::from_mode(0o700)).unwrap();
        asker
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.directory.join(self.name)
    }

    /// Returns the contents of a file that the askpass program wrote, or an empty string if the
    /// file does not exist.
    pub(crate) fn output(&self, file: &str) -> String {
        fs::read_to_string(self.directory.join(file)).unwrap_or_default()
    }

    /// Checks that the askpass program never ran.
    #[track_caller]
    fn expect_unused(&self) {
        assert_eq!(self.output("arguments"), "");
    }

    /// Prepares a run of `connect` that uses this askpass program.
    pub(crate) fn connect(&self, args: impl AsRef<str>) -> Program {
        connect(args).env("SSH_ASKPASS", self.path()).env("DISPLAY", ":0")
    }
}

fn prints_secret() -> Asker {
    Asker::new("askpass", "echo secret")
}

/// Starts a SOCKS5 proxy that accepts the user bob with this password.
fn socks5(password: &str) -> Server {
    socks5_userpass("bob", password).early("welcome").expect("ping").expect_eof().serve()
}

#[track_caller]
fn expect_accepted(asker: &Asker, password: &str) {
    let proxy = socks5(password);
    let out = asker.connect(format!("-S bob@{proxy} host.example 22")).input("ping").run();
    out.expect_success().expect_stdout("welcome");
    proxy.finish();
}

/// Starts a SOCKS5 proxy that requires a password and expects not to receive one.
fn gets_no_password() -> Server {
    script().expect_bytes(3).expect_bytes(1).send([5, 2]).expect_eof().serve()
}

#[track_caller]
fn expect_no_password(asker: &Asker, parts: &[&str]) {
    let proxy = gets_no_password();
    let out = asker.connect(format!("-S bob@{proxy} host.example 22")).run();
    out.expect_failure(6, &["SOCKS5 proxy", "'bob'", "SSH_ASKPASS"])
        .expect_failure(6, parts)
        .expect_stdout("");
    proxy.finish();
}

#[test]
fn the_prompt_is_the_only_argument() {
    let asker = prints_secret();
    expect_accepted(&asker, "secret");
    assert_eq!(asker.output("arguments"), "Enter SOCKS5 password for bob@127.0.0.1: \n");

    let asker = prints_secret();
    let proxy = http_basic("bob", "secret").early("welcome").expect("ping").expect_eof().serve();
    let out = asker.connect(format!("-H bob@{proxy} host.example 22")).input("ping").run();
    out.expect_success().expect_stdout("welcome");
    assert_eq!(asker.output("arguments"), "Enter proxy authentication password for bob@127.0.0.1: \n");
    proxy.finish();
}

#[test]
fn path_and_prompt_are_not_interpreted_by_a_shell() {
    const USER: &str = "$(touch \"$D/owned\");`id`'\"\\ & * bob";
    let asker = Asker::new("ask $(touch x); pass & 'it'", "echo secret");
    let proxy = socks5_userpass(USER, "secret").expect_eof().serve();
    asker.connect(format!("-S {proxy} host 22")).env("SOCKS5_USER", USER).run().expect_success();
    assert_eq!(asker.output("arguments"), format!("Enter SOCKS5 password for {USER}@127.0.0.1: \n"));
    assert!(!asker.directory.join("owned").exists());
    proxy.finish();
}

/// Escape sequences and line breaks could forge the text of a dialog.
#[test]
fn control_characters_in_a_user_name_reached_the_askpass_program() {
    const USER: &str = "bob\x1b[2J\nEnter password for root";
    let asker = prints_secret();
    let proxy = socks5_userpass(USER, "secret").expect_eof().serve();
    asker.connect(format!("-S {proxy} host 22")).env("SOCKS5_USER", USER).run().expect_success();
    let shown = "bob\\x1b[2J\\nEnter password for root";
    assert_eq!(asker.output("arguments"), format!("Enter SOCKS5 password for {shown}@127.0.0.1: \n"));
    proxy.finish();
}

#[test]
fn the_first_line_of_its_output_is_the_password() {
    for (script, password) in [
        ("echo secret", "secret"),
        ("printf secret", "secret"),
        ("printf 'secret\\r\\n'", "secret"),
        ("printf 'secret\\rmore'", "secret"),
        ("printf 'secret\\nmore\\n'; echo more", "secret"),
        ("printf ' two words \\n'", " two words "),
        ("printf 'p\\303\\244ss\\n'", "päss"),
        ("printf sec; sleep 0.05; printf 'ret\\n'", "secret"),
        ("echo secret; seq 2000 | head -c 4000", "secret"),
    ] {
        expect_accepted(&Asker::new("askpass", script), password);
    }
    expect_accepted(&Asker::new("askpass", "head -c 255 /dev/zero | tr '\\0' x"), &"x".repeat(255));
}

#[test]
fn a_failure_and_a_missing_answer_are_different_errors() {
    for script in ["exit 1", "echo secret; exit 1", "echo secret; exit 255", "kill -9 $$", "exec false"] {
        expect_no_password(&Asker::new("askpass", script), &["askpass was cancelled or failed"]);
    }
    expect_no_password(
        &Asker::new("askpass", "exit 0"),
        &["askpass printed no password: its first line is empty"],
    );
}

#[test]
fn an_empty_answer_was_not_a_password() {
    for script in ["echo", "printf '\\r\\n'", "printf '\\nsecret\\n'"] {
        expect_accepted(&Asker::new("askpass", script), "");
    }
}

#[test]
fn endless_output_is_an_error() {
    // SIGPIPE kills `yes` once `connect` stops reading.
    expect_no_password(&Asker::new("askpass", "exec yes"), &["askpass was cancelled or failed"]);
    let long = "head -c 9000 /dev/zero | tr '\\0' x";
    for script in ["exec cat /dev/zero", long, &format!("{long}; exit 0")] {
        expect_no_password(
            &Asker::new("askpass", script),
            &["askpass printed no password: its first line is longer than 4096 bytes"],
        );
    }
}

#[test]
fn a_program_that_cannot_be_started_is_an_error_with_the_reason() {
    let mut asker = prints_secret();
    fs::set_permissions(asker.path(), Permissions::from_mode(0o600)).unwrap();
    expect_no_password(&asker, &["failed to start", "Permission denied"]);
    asker.name = "nonexistent";
    expect_no_password(&asker, &["nonexistent", "failed to start", "No such file"]);
    asker.name = ".";
    expect_no_password(&asker, &["failed to start"]);
}

#[test]
fn display_and_ssh_askpass_require_decide_whether_it_runs() {
    for (variables, runs) in [
        (&[][..], false),
        (&[("DISPLAY", "")], false),
        (&[("WAYLAND_DISPLAY", "")], false),
        (&[("DISPLAY", ":0")], true),
        (&[("WAYLAND_DISPLAY", "wayland-0")], true),
        (&[("DISPLAY", ""), ("WAYLAND_DISPLAY", "wayland-0")], true),
        (&[("SSH_ASKPASS_REQUIRE", "force")], true),
        (&[("SSH_ASKPASS_REQUIRE", "FORCE")], true),
        (&[("SSH_ASKPASS_REQUIRE", "force"), ("DISPLAY", "")], true),
        (&[("SSH_ASKPASS_REQUIRE", "prefer")], false),
        (&[("SSH_ASKPASS_REQUIRE", "prefer"), ("DISPLAY", ":0")], true),
        (&[("SSH_ASKPASS_REQUIRE", "never"), ("DISPLAY", ":0")], false),
        (&[("SSH_ASKPASS_REQUIRE", "Never"), ("DISPLAY", ":0")], false),
        (&[("SSH_ASKPASS_REQUIRE", ""), ("DISPLAY", ":0")], true),
        (&[("SSH_ASKPASS_REQUIRE", "nonsense"), ("DISPLAY", ":0")], true),
        (&[("SSH_ASKPASS_REQUIRE", "nonsense")], false),
    ] {
        let asker = prints_secret();
        let proxy = http_basic("bob", "secret").expect_eof().serve();
        let mut run = connect(format!("-H bob@{proxy} host 22")).env("SSH_ASKPASS", asker.path());
        for (name, value) in variables {
            run = run.env(name, value);
        }
        let out = run.run();
        assert_eq!(
            (out.code == Some(0), asker.output("arguments").is_empty()),
            (runs, !runs),
            "{variables:?}"
        );
        if !runs {
            out.expect_failure(6, &["HTTP_PROXY_PASSWORD", "terminal"]);
        }
        proxy.finish();
    }
}

#[test]
fn it_has_precedence_over_the_terminal() {
    let (pty, asker, proxy) = (Pty::new(), prints_secret(), socks5("secret"));
    let run = asker.connect(format!("-S bob@{proxy} host 22")).terminal(&pty).input("ping");
    run.run().expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn an_empty_variable_is_ignored() {
    let proxy = http_basic("bob", "secret").serve();
    let run = connect(format!("-H bob@{proxy} host 22")).env("SSH_ASKPASS", "").env("DISPLAY", ":0");
    run.run().expect_failure(6, &["HTTP_PROXY_PASSWORD", "there is no terminal"]);
    proxy.finish();
}

#[test]
fn it_does_not_run_if_the_password_is_known_or_not_required() {
    for (user, variable) in
        [("bob:secret@", None), ("bob@", Some("SOCKS5_PASSWORD")), ("bob@", Some("CONNECT_PASSWORD"))]
    {
        let (asker, proxy) = (prints_secret(), socks5("secret"));
        let mut run = asker.connect(format!("-S {user}{proxy} host 22")).input("ping");
        if let Some(name) = variable {
            run = run.env(name, "secret");
        }
        run.run().expect_success().expect_stdout("welcome");
        asker.expect_unused();
        proxy.finish();
    }
    let (asker, proxy) = (prints_secret(), socks5_none().expect_eof().serve());
    asker.connect(format!("-S bob@{proxy} host 22")).run().expect_success();
    asker.expect_unused();
    proxy.finish();
}

#[test]
fn a_rejected_password_is_an_error_without_another_prompt() {
    let asker = prints_secret();
    for (option, proxy) in [("-S", socks5_userpass("bob", "other")), ("-H", http_basic("bob", "other"))] {
        let proxy = proxy.serve();
        let out = asker.connect(format!("{option} bob@{proxy} host 22")).run();
        out.expect_failure(6, &["rejected user 'bob'"]).expect_stderr_lacks("secret");
        proxy.finish();
    }
    assert_eq!(asker.output("arguments").lines().count(), 2);
}

#[test]
fn the_password_is_not_in_the_trace() {
    let (asker, proxy) = (prints_secret(), socks5_userpass("bob", "secret").expect_eof().serve());
    let out = asker.connect(format!("-dd -S bob@{proxy} host 22")).run();
    out.expect_code(0).expect_stderr_lacks("secret").expect_stderr_lacks("73 65 63 72 65 74");
    proxy.finish();
}

#[test]
fn it_inherits_no_password_from_the_environment() {
    let asker = Asker::new("askpass", "env >\"$D/environment\"; echo secret");
    let proxy = socks5_userpass("bob", "secret").expect_eof().serve();
    let run = asker.connect(format!("-S bob@{proxy} host 22")).env("HTTP_PROXY_PASSWORD", "hunter2");
    let run = run.env("XAUTHORITY", "/x").env("no_proxy", "other").env("FTP_PROXY", "http://proxy");
    run.env("HTTPS_PROXY", "http://me:hunter2@proxy").run().expect_success();
    let environment = asker.output("environment");
    for kept in ["DISPLAY=:0", "XAUTHORITY=/x", "no_proxy=other", "FTP_PROXY=http://proxy"] {
        assert!(environment.lines().any(|line| line == kept), "{environment}");
    }
    // A variable that contains a password is removed, not masked.
    assert!(!environment.contains("hunter2") && !environment.contains("HTTPS_PROXY"), "{environment}");
    proxy.finish();

    let proxy = http_basic("bob", "secret").expect_eof().serve();
    let mut run = asker.connect(format!("-H bob@{proxy} host 22"));
    for name in ["SOCKS5_PASSWD", "SOCKS5_PASSWORD", "SOCKS_PASSWORD"] {
        run = run.env(name, "hunter2");
    }
    run.run().expect_success();
    assert!(!asker.output("environment").contains("hunter2"), "{}", asker.output("environment"));
    proxy.finish();
}

#[test]
fn it_inherits_neither_standard_input_nor_any_socket() {
    let asker = Asker::new("askpass", "cat >\"$D/input\"; ls -l /proc/$$/fd >\"$D/open\" 2>&1; echo secret");
    expect_accepted(&asker, "secret");
    assert_eq!(asker.output("input"), "");
    assert!(!asker.output("open").contains("socket:"), "{}", asker.output("open"));
}

#[test]
fn its_standard_error_reaches_the_user() {
    let (asker, proxy) = (Asker::new("askpass", "echo no display >&2; exit 1"), gets_no_password());
    let out = asker.connect(format!("-S bob@{proxy} host 22")).run();
    let text = out.stderr_text();
    assert!(out.code == Some(6) && text.starts_with("no display\nconnect: "), "{out:?}");
    proxy.finish();
}

#[test]
fn the_time_at_the_prompt_does_not_count_against_the_limit() {
    let asker = Asker::new("askpass", "sleep 0.8; echo secret");
    let proxy = socks5_userpass("bob", "secret").early("welcome").expect_eof().serve();
    let out = asker.connect(format!("-w 0.5 -S bob@{proxy} host 22")).run();
    out.expect_success().expect_stdout("welcome");
    assert!(out.elapsed > Duration::from_millis(750), "{out:?}");
    proxy.finish();
}

#[test]
fn the_parameter_file_may_name_it() {
    let (asker, proxy) = (prints_secret(), socks5("secret"));
    let home = home(format!("SSH_ASKPASS = {}\n", asker.path().display()));
    let run =
        connect(format!("-S bob@{proxy} host 22")).env("HOME", &*home).env("DISPLAY", ":0").input("ping");
    run.run().expect_success().expect_stdout("welcome");
    assert_eq!(asker.output("arguments").lines().count(), 1);
    proxy.finish();
}

#[cfg(unix)]
#[test]
fn a_program_named_in_a_file_that_others_can_write_to_does_not_run() {
    for mode in [0o620, 0o602, 0o666] {
        let asker = prints_secret();
        let home = home(format!("SSH_ASKPASS = {}\n", asker.path().display()));
        let file = home.join(".connectrc");
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let proxy = script().expect([5, 1, 0]).send([5, 0xff]).expect_eof().serve();
        let run = connect(format!("-S bob@{proxy} host.example 22")).env("HOME", &*home);
        let out = run.env("DISPLAY", ":0").env("SSH_ASKPASS_REQUIRE", "force").run();
        out.expect_code(6).expect_stderr_has(&format!(
            "{}:1: SSH_ASKPASS ignored: a command is allowed only in a parameter file that no one but you or root can write to\n",
            file.display()
        ));
        asker.expect_unused();
        proxy.finish();
    }
}

#[test]
fn a_name_without_a_slash_is_searched_for_in_path() {
    let (asker, proxy) = (prints_secret(), socks5_userpass("bob", "secret").expect_eof().serve());
    let path = format!("{}:/usr/bin:/bin", asker.directory.display());
    let run = connect(format!("-S bob@{proxy} host 22")).env("SSH_ASKPASS", "askpass").env("PATH", path);
    run.env("DISPLAY", ":0").run().expect_success();
    proxy.finish();
}
