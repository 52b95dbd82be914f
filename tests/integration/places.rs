//! `Match` in `~/.connectrc`: what counts in some places only.

#[cfg(unix)]
use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use crate::kit::*;
use crate::rcfile::home;

/// Goes to this host and port through the proxy that the file names as `{P}`; the one that it names as `{X}` is the
/// wrong one.
#[track_caller]
fn expect_proxy(content: &str, words: &str) {
    let (proxy, wrong) = (socks5_none().expect_eof().serve(), Server::each([]));
    let content = content.replace("{P}", &proxy.to_string()).replace("{X}", &wrong.to_string());
    let out = connect(format!("-s {words}")).env("HOME", &*home(&content)).run();
    assert_eq!((out.code, out.stderr_text()), (Some(0), String::new()), "{content} for {words}: {out:?}");
    proxy.finish();
    wrong.finish();
}

#[test]
fn a_block_counts_where_its_conditions_are_met() {
    let (here, there) = ("SOCKS_SERVER = {P}\n", "SOCKS_SERVER = {X}\n");
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
        expect_proxy(&format!("{there}Match {met}\n{here}"), "git.corp.example 22");
        expect_proxy(&format!("{here}Match {unmet}\n{there}"), "git.corp.example 22");
        expect_proxy(&format!("Match {met}\n{here}match {unmet} # not here\n{there}"), "git.corp.example 22");
    }
}

#[test]
fn the_target_is_what_was_typed() {
    let file = "SOCKS_SERVER = {X}\nMatch host 2001:db8::* port 443\nSOCKS_SERVER = {P}\n";
    for words in ["2001:db8::7 443", "[2001:db8::7]:443", "2001:db8:0::7 https"] {
        expect_proxy(file, words);
    }
    expect_proxy("Match host git.corp.example\nSOCKS_SERVER = {P}", "GIT.corp.example.:22");
}

#[test]
fn the_environment_wins_over_a_block_as_well() {
    let proxy = socks5_none().expect_eof().serve();
    let run = connect("-s host 22").env("HOME", &*home("Match all\nSOCKS_SERVER = 127.0.0.1:1"));
    run.env("SOCKS_SERVER", proxy.to_string()).run().expect_success();
    proxy.finish();
}

#[test]
fn a_broken_match_is_told_and_its_block_counts_nowhere() {
    let proxy = socks5_none().expect_eof().serve();
    let content = format!(
        "SOCKS_SERVER = {proxy}\nMatch hots *.example\nSOCKS_SERVER = 127.0.0.1:1\nMatch all\nSOCKS_USER = me\n"
    );
    let home = home(content);
    let out = connect("-s host.example 22").env("HOME", &*home).run();
    out.expect_code(0).expect_stderr(&format!(
        "connect: {}:2: Match: 'hots' is no criterion: all, host, port, localnetwork, localuser or exec; \
         its block does not apply\n",
        home.join(".connectrc").display()
    ));
    proxy.finish();
}

#[test]
fn the_trace_says_which_blocks_count() {
    let proxy = socks5_none().expect_eof().serve();
    let home = home(format!(
        "Match host host\nSOCKS_SERVER = {proxy}\nMatch port 1\nSOCKS_SERVER = x\nMatch all\nHTTP_PROXY = y\n"
    ));
    let file = home.join(".connectrc").display().to_string();
    let out = connect("-d -s host 22").env("HOME", &*home).run();
    for line in [
        format!("Parameter `SOCKS_SERVER' is set to `{proxy}' in the block of line 1"),
        format!("{file}:1: the block applies"),
        format!("{file}:3: the block does not apply"),
    ] {
        out.expect_stderr_has(&format!("DEBUG: {line}\n"));
    }
    // Nobody has asked for what is in it.
    out.expect_code(0).expect_stderr_lacks(&format!("{file}:5: "));
    proxy.finish();
}

#[test]
fn an_error_about_a_value_names_its_line() {
    for (line, words, part) in [
        ("SOCKS_SERVER = h:0", "-s", "SOCKS_SERVER ({F}:3)"),
        ("CONNECT_PROXY = gopher://h", "-A", "CONNECT_PROXY ({F}:3)"),
        ("SOCKS5_AUTH = chap", "-S 127.0.0.1:1", "SOCKS5_AUTH ({F}:3) names chap"),
        ("SOCKS_RESOLVE = nobody", "-S 127.0.0.1:1", "SOCKS_RESOLVE ({F}:3) takes"),
    ] {
        let home = home(format!("\nMatch all\n{line}\n"));
        let part = part.replace("{F}", &home.join(".connectrc").display().to_string());
        connect(format!("{words} host 22")).env("HOME", &*home).run().expect_failure(2, &[&part]);
    }
}

/// A file that sets the proxy where this command succeeds.
#[cfg(unix)]
fn where_succeeds(command: &str, proxy: &Server) -> TempPath {
    home(format!("SOCKS_SERVER = {proxy}\nMatch exec '{command}'\nSOCKS_SERVER = 127.0.0.1:1\n"))
}

#[cfg(unix)]
#[test]
fn a_command_gets_no_password_and_nothing_of_the_session() {
    let proxy = socks5_userpass("bob", "hunter2").expect("ping").expect_eof().serve();
    let note = TempPath::new("note");
    let home = where_succeeds(&format!("cat >{0}; env >>{0}; echo noise; exit 3", note.display()), &proxy);
    let run = connect("-s host 22").env("HOME", &*home).env("SOCKS5_USER", "bob").env("SHELL", "/bin/sh");
    let run =
        run.env("SOCKS5_PASSWORD", "hunter2").env("http_proxy", "http://a:hunter2@h").env("MARK", "seen");
    run.input("ping").run().expect_success().expect_stdout("");
    proxy.finish();
    let seen = fs::read_to_string(&*note).unwrap();
    assert!(seen.contains("MARK=seen") && !seen.contains("hunter2") && !seen.contains("ping"), "{seen}");
}

#[cfg(unix)]
#[test]
fn a_command_is_run_by_the_users_shell() {
    let shell = crate::askpass::Asker::new("my shell", "test \"$2\" = 'the command'");
    let proxy = socks5_none().expect_eof().serve();
    let home = home(format!("Match exec 'the command'\nSOCKS_SERVER = {proxy}"));
    connect("-s host 22").env("HOME", &*home).env("SHELL", shell.path()).run().expect_success();
    assert_eq!(shell.output("arguments"), "-c\nthe command\n");
    proxy.finish();
}

#[cfg(unix)]
#[test]
fn a_command_that_hangs_is_killed_with_what_it_started() {
    let proxy = socks5_none().expect_eof().serve();
    let note = TempPath::new("note");
    let home = where_succeeds(&format!("(sleep 60; echo lived >{0}) | cat; true", note.display()), &proxy);
    // The sleep has our standard error, and the run would not end before it does.
    let out = connect("-w 1 -s host 22").env("HOME", &*home).run();
    out.expect_code(0).expect_within(Duration::from_secs(5)).expect_stderr(&format!(
        "connect: {}:2: its command was not done after 1 second, so the block does not apply\n",
        home.join(".connectrc").display()
    ));
    proxy.finish();
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_write_to_runs_nothing() {
    for (mode, runs) in [(0o600, true), (0o644, true), (0o620, false), (0o602, false), (0o666, false)] {
        let proxy = socks5_none().expect_eof().serve();
        let note = TempPath::new("note");
        let home = where_succeeds(&format!("echo ran >{}; false", note.display()), &proxy);
        let file = home.join(".connectrc");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let out = connect("-s host 22").env("HOME", &*home).run();
        out.expect_code(0).expect_stderr(&if runs {
            String::new()
        } else {
            let why = "exec is not run from a file that others can write to, or that is another user's";
            format!("connect: {}:2: {why}, so the block does not apply\n", file.display())
        });
        assert_eq!(note.exists(), runs, "{mode:o}");
        proxy.finish();
    }
}

/// As from an `ssh://` link.
#[cfg(unix)]
#[test]
fn a_host_cannot_smuggle_words_into_a_command() {
    let note = TempPath::new("note");
    let home = home("SOCKS_SERVER = 127.0.0.1:1\nMatch exec 'ping -c 1 %h'\nSOCKS_SERVER = x");
    let host = format!("$(touch${{IFS}}{})", note.file_name().unwrap().to_str().unwrap());
    let out = connect("-s").arg(&host).arg("22").env("HOME", &*home).run();
    out.expect_code(4).expect_stderr_has(".connectrc:2: %h is '$(touch").expect_stderr_has("does not apply");
    assert!(!std::path::Path::new(note.file_name().unwrap()).exists());
}

#[test]
fn nothing_is_run_where_no_value_is_wanted() {
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
