//! `Match` blocks in `~/.connectrc`.

#[cfg(unix)]
use std::{fs, os::unix::fs::PermissionsExt};

use crate::kit::*;
use crate::rcfile::home;

/// Expects the connection to go through the proxy that replaces `{P}` in the file, not through the
/// one that replaces `{X}`.
#[track_caller]
fn expect_proxy(content: &str, target: &str) {
    let (proxy, wrong) = (socks5_none().expect_eof().serve(), Server::each([]));
    let content = content.replace("{P}", &proxy.to_string()).replace("{X}", &wrong.to_string());
    let out = connect(format!("-s {target}")).env("HOME", &*home(&content)).run();
    assert_eq!((out.code, out.stderr_text()), (Some(0), String::new()), "{content} for {target}: {out:?}");
    proxy.finish();
    wrong.finish();
}

#[test]
fn a_block_applies_if_its_conditions_are_met() {
    let (right, wrong) = ("SOCKS_SERVER = {P}\n", "SOCKS_SERVER = {X}\n");
    for (met, unmet) in [
        ("all", "!all"),
        ("localnetwork 127.0.0.0/8", "localnetwork 240.1.2.0/24"),
        ("!localnetwork 240.1.2.0/24", "!localnetwork 240.1.2.0/24,127.0.0.1"),
        ("host *.corp.example", "host *.corp.example,!git.*"),
        ("port 22,80-90", "port 23-79"),
        ("LocalUser *", "localuser nobody-has-this-name"),
        ("exec true", "exec false"),
        ("exec 'test %h:%p%% = git.corp.example:22%%'", "exec \"test %p != 22\""),
        ("host git.* port 22 exec true", "port 22 host other"),
    ] {
        if cfg!(windows) && met.contains("exec") {
            continue;
        }
        expect_proxy(&format!("{wrong}Match {met}\n{right}"), "git.corp.example 22");
        expect_proxy(&format!("{right}Match {unmet}\n{wrong}"), "git.corp.example 22");
        expect_proxy(
            &format!("Match {met}\n{right}match {unmet} # not here\n{wrong}"),
            "git.corp.example 22",
        );
    }
}

#[test]
fn the_host_is_compared_as_typed() {
    let file = "SOCKS_SERVER = {X}\nMatch host 2001:db8::* port 443\nSOCKS_SERVER = {P}\n";
    for target in ["2001:db8::7 443", "[2001:db8::7]:443", "2001:db8:0::7 https"] {
        expect_proxy(file, target);
    }
    expect_proxy("Match host git.corp.example\nSOCKS_SERVER = {P}", "GIT.corp.example.:22");
}

#[test]
fn the_environment_overrides_a_block() {
    let proxy = socks5_none().expect_eof().serve();
    let run = connect("-s host 22").env("HOME", &*home("Match all\nSOCKS_SERVER = 127.0.0.1:1"));
    run.env("SOCKS_SERVER", proxy.to_string()).run().expect_success();
    proxy.finish();
}

#[test]
fn an_invalid_match_line_is_reported_and_its_block_ignored() {
    let proxy = socks5_none().expect_eof().serve();
    let content = format!(
        "SOCKS_SERVER = {proxy}\nMatch hots *.example\nSOCKS_SERVER = 127.0.0.1:1\nMatch all\nSOCKS_USER = me\n"
    );
    let home = home(content);
    let out = connect("-s host.example 22").env("HOME", &*home).run();
    out.expect_code(0).expect_stderr(&format!(
        "connect: {}:2: unknown criterion 'hots'; use all, host, port, localnetwork, localuser or exec; Match block \
         ignored\n",
        home.join(".connectrc").display()
    ));
    proxy.finish();
}

#[test]
fn the_debug_log_says_which_blocks_apply() {
    let proxy = socks5_none().expect_eof().serve();
    let home = home(format!(
        "Match host host\nSOCKS_SERVER = {proxy}\nMatch port 1\nSOCKS_SERVER = x\nMatch all\nHTTP_PROXY = y\n"
    ));
    let file = home.join(".connectrc").display().to_string();
    let out = connect("-d -s host 22").env("HOME", &*home).run();
    for line in [
        format!("Parameter `SOCKS_SERVER' is set to `{proxy}' in the Match block of line 1"),
        format!("{file}:1: the Match block applies"),
        format!("{file}:3: the Match block does not apply"),
    ] {
        out.expect_stderr_has(&format!("DEBUG: {line}\n"));
    }
    // The session needs no value from the third block, so the log does not mention the block.
    out.expect_code(0).expect_stderr_lacks(&format!("{file}:5: "));
    proxy.finish();
}

#[test]
fn an_error_about_a_value_names_its_line() {
    for (line, args, part) in [
        ("SOCKS_SERVER = h:0", "-s", "SOCKS_SERVER ({F}:3)"),
        ("CONNECT_PROXY = gopher://h", "-A", "CONNECT_PROXY ({F}:3)"),
        ("SOCKS5_AUTH = chap", "-S 127.0.0.1:1", "'chap' in SOCKS5_AUTH ({F}:3)"),
        ("SOCKS_RESOLVE = nobody", "-S 127.0.0.1:1", "'nobody' for SOCKS_RESOLVE ({F}:3)"),
    ] {
        let home = home(format!("\nMatch all\n{line}\n"));
        let part = part.replace("{F}", &home.join(".connectrc").display().to_string());
        connect(format!("{args} host 22")).env("HOME", &*home).run().expect_failure(2, &[&part]);
    }
}

/// Creates a home directory whose `.connectrc` selects an unreachable proxy if the command
/// succeeds.
#[cfg(unix)]
fn unreachable_if(command: &str, proxy: &Server) -> TempPath {
    home(format!("SOCKS_SERVER = {proxy}\nMatch exec '{command}'\nSOCKS_SERVER = 127.0.0.1:1\n"))
}

#[cfg(unix)]
#[test]
fn a_command_receives_neither_passwords_nor_session_data() {
    let proxy = socks5_userpass("bob", "hunter2").expect("ping").expect_eof().send("pong").serve();
    let note = TempPath::new("note");
    let home = unreachable_if(&format!("cat >{0}; env >>{0}; echo noise; exit 3", note.display()), &proxy);
    let run = connect("-s host 22").env("HOME", &*home).env("SOCKS5_USER", "bob").env("SHELL", "/bin/sh");
    let run =
        run.env("SOCKS5_PASSWORD", "hunter2").env("http_proxy", "http://a:hunter2@h").env("MARK", "seen");
    run.input("ping").run().expect_success().expect_stdout("pong");
    proxy.finish();
    let seen = fs::read_to_string(&*note).unwrap();
    assert!(seen.contains("MARK=seen") && !seen.contains("hunter2") && !seen.contains("ping"), "{seen}");
}

#[cfg(unix)]
#[test]
fn a_command_runs_in_the_users_shell() {
    let shell = crate::askpass::Asker::new("my shell", "test \"$2\" = 'the command'");
    let proxy = socks5_none().expect_eof().serve();
    let home = home(format!("Match exec 'the command'\nSOCKS_SERVER = {proxy}"));
    connect("-s host 22").env("HOME", &*home).env("SHELL", shell.path()).run().expect_success();
    assert_eq!(shell.output("arguments"), "-c\nthe command\n");
    proxy.finish();
}

#[cfg(unix)]
#[test]
fn a_command_that_hangs_is_killed_with_its_children() {
    let proxy = socks5_none().expect_eof().serve();
    let note = TempPath::new("note");
    let home = unreachable_if(&format!("(sleep 60; echo lived >{0}) | cat; true", note.display()), &proxy);
    // `sleep` inherits standard error, so if `sleep` were not killed, the test would wait
    // until it exits.
    let out = connect("-w 1 -s host 22").env("HOME", &*home).run();
    out.expect_code(0).expect_within(PROMPTLY).expect_stderr(&format!(
        "connect: {}:2: the exec command did not finish within 1 second; Match block ignored\n",
        home.join(".connectrc").display()
    ));
    proxy.finish();
}

#[cfg(unix)]
#[test]
fn commands_in_a_file_that_others_can_write_to_do_not_run() {
    for (mode, runs) in [(0o600, true), (0o644, true), (0o620, false), (0o602, false), (0o666, false)] {
        let proxy = socks5_none().expect_eof().serve();
        let note = TempPath::new("note");
        let home = unreachable_if(&format!("echo ran >{}; false", note.display()), &proxy);
        let file = home.join(".connectrc");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let out = connect("-s host 22").env("HOME", &*home).run();
        out.expect_code(0).expect_stderr(&if runs {
            String::new()
        } else {
            let why =
                "exec is allowed only in a parameter file that no one but you or root can write to; Match block ignored";
            format!("connect: {}:2: {why}\n", file.display())
        });
        assert_eq!(note.exists(), runs, "{mode:o}");
        proxy.finish();
    }
}

/// The host name may come from an untrusted `ssh://` link.
#[cfg(unix)]
#[test]
fn a_host_name_cannot_inject_shell_code() {
    let note = TempPath::new("note");
    let home = home("SOCKS_SERVER = 127.0.0.1:1\nMatch exec 'ping -c 1 %h'\nSOCKS_SERVER = x");
    let host = format!("$(touch${{IFS}}{})", note.file_name().unwrap().to_str().unwrap());
    let out = connect("-s").arg(&host).arg("22").env("HOME", &*home).run();
    out.expect_code(4)
        .expect_stderr_has(".connectrc:2: %h is '$(touch")
        .expect_stderr_has("Match block ignored");
    assert!(!std::path::Path::new(note.file_name().unwrap()).exists());
}

#[test]
fn no_command_runs_if_no_value_in_its_block_is_needed() {
    let target = script().expect_eof().serve();
    let note = TempPath::new("note");
    let home = home(format!("Match exec 'echo >{}'\nSOCKS_SERVER = x\n", note.display()));
    connect(format!("-n {}", target.args())).env("HOME", &*home).run().expect_success();
    assert!(!note.exists());
    target.finish();
    let proxy = http_ok().expect_eof().serve();
    connect(format!("-H {proxy} host 22")).env("HOME", &*home).run().expect_success();
    assert!(!note.exists());
    proxy.finish();
}
