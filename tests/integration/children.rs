//! Child processes: what commands and password programs inherit, what they can read of `connect`,
//! and how long it waits for them.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::askpass::Asker;
use crate::kit::*;
use crate::listening::*;
use crate::rcfile::home;

/// Runs the program with three inherited descriptors: 3 and 9 are `/dev/null`, and 7 is a pipe with
/// a password.
fn with_descriptors(args: &str) -> Program {
    let line = "exec 3</dev/null 9</dev/null; echo hunter2 | \"$0\" \"$@\" 7<&0 </dev/null";
    Program::new("/bin/sh").arg("-c").arg(line).arg(program_path()).args(args)
}

#[test]
fn commands_inherited_the_descriptor_of_the_password() {
    let note = TempPath::new("note");
    let list = format!(
        "for n in 3 4 5 6 7 8 9; do if true <&$n; then echo $n >>{0}; fi; done 2>/dev/null; echo ran >>{0}",
        note.display()
    );
    let asker = Asker::new("askpass", &format!("{list}; echo hunter2"));
    let home = home(format!("Match exec '{list}'\nSOCKS5_RESOLVE = remote\n"));
    let proxy = Server::repeat(|| socks5_userpass("bob", "hunter2").expect_eof());
    let run = |option: &str, value: &str| {
        let program = with_descriptors(option).arg(value).args(format!("-S bob@{proxy} host.example 22"));
        program.env("HOME", &*home).env("SHELL", "/bin/sh")
    };
    // The command of the Match block runs each time, and another program in two of these runs.
    run("--password-fd", "7").run().expect_success();
    run("--password-command", &format!("{list}; echo hunter2")).run().expect_success();
    let askpass = run("-a", "userpass").env("SSH_ASKPASS", asker.path()).env("DISPLAY", ":0");
    askpass.run().expect_success();
    assert_eq!(fs::read_to_string(&*note).unwrap(), "ran\n".repeat(5));
}

#[test]
fn commands_inherited_the_raised_descriptor_limit_of_a_listener() {
    let note = TempPath::new("note");
    let proxy = Server::repeat(|| socks5_userpass("bob", "secret").echo());
    let program = with_ulimit("-Sn 77", "-d --listen 127.0.0.1:0 --password-command")
        .arg(format!("ulimit -Sn >{}; echo secret", note.display()))
        .args(format!("-S bob@{proxy} host.example 22"));
    let run = Listening::start(program.env("SHELL", "/bin/sh"));
    expect_echo(run.client(), "hello");
    assert_eq!(fs::read_to_string(&*note).unwrap(), "77\n");
    run.close();
}

/// The kernel discarded the exit status of each command, so all of them seemed to have failed.
#[test]
fn commands_failed_if_the_parent_process_ignored_sigchld() {
    let asker = Asker::new("askpass", "echo secret");
    let exec = home("Match exec 'exit 0'\nSOCKS5_USER = bob\n");
    let proxy = Server::repeat(|| socks5_userpass("bob", "secret").early("welcome").expect_eof());
    let run = |program: Program| {
        let out = program.args(format!("-S {proxy} host.example 22")).ignoring(Signal::CHILD).run();
        out.expect_success().expect_stdout("welcome");
    };
    let command = || connect("--password-command").arg("echo secret").env("SHELL", "/bin/sh");
    run(command().env("SOCKS5_USER", "bob"));
    run(asker.connect("").env("SOCKS5_USER", "bob"));
    run(command().env("HOME", &*exec));
}

/// A shell with SIGCHLD ignored or SIGTERM blocked does not work as usual either.
#[cfg(target_os = "linux")]
#[test]
fn commands_do_not_inherit_signals_that_are_ignored_or_blocked_by_mistake() {
    let note = TempPath::new("note");
    let line = format!("grep -E '^Sig(Blk|Ign)' /proc/self/status >{}; echo secret", note.display());
    let proxy = socks5_userpass("bob", "secret").expect_eof().serve();
    let program = connect("--password-command").arg(line).env("SHELL", "/bin/sh");
    let program = program.args(format!("-S bob@{proxy} host.example 22"));
    let program = program.ignoring(Signal::CHILD).ignoring(Signal::PIPE).ignoring(Signal::HUP);
    program.blocking(Signal::TERM).blocking(Signal::CHILD).run().expect_success();
    let read = fs::read_to_string(&*note).unwrap();
    // The first 31 signals; the C library uses some of the others.
    let sets = read.lines().map(|line| u64::from_str_radix(&line[8..], 16).unwrap() & 0x7fff_ffff);
    // SIGHUP is signal 1. It stays ignored, as `nohup` requires.
    assert_eq!(sets.collect::<Vec<_>>(), [0, 1], "{read}");
    proxy.finish();
}

/// The background process holds the pipe from which `connect` reads the password.
#[test]
fn a_password_command_was_awaited_until_its_background_process_ended() {
    for (as_askpass, print) in [
        (false, "echo secret"),
        (false, "printf secret"),
        (false, "echo secret; seq 2000 | head -c 4000"),
        (true, "printf secret"),
    ] {
        let note = TempPath::new("note");
        let line = format!("sleep 600 2>/dev/null & echo $! >{}; sleep 0.1; {print}", note.display());
        let proxy = socks5_userpass("bob", "secret").early("welcome").expect_eof().serve();
        let asker = Asker::new("askpass", &line);
        let program = if as_askpass {
            asker.connect("")
        } else {
            connect("--password-command").arg(line).env("SHELL", "/bin/sh")
        };
        program
            .args(format!("-S bob@{proxy} host.example 22"))
            .run()
            .expect_success()
            .expect_stdout("welcome");
        // The background process may be an agent, which must survive.
        kill_noted(&note);
        proxy.finish();
    }
}

#[test]
fn the_output_of_a_background_process_is_not_awaited() {
    let note = TempPath::new("note");
    let line = format!("sleep 600 2>/dev/null & echo $! >{}", note.display());
    let proxy = script().expect([5, 2, 0, 2]).send([5, 2]).expect_eof().serve();
    let program = connect("--password-command").arg(line).env("SHELL", "/bin/sh");
    let out = program.args(format!("-S bob@{proxy} host.example 22")).run();
    kill_noted(&note);
    out.expect_failure(6, &["printed no password: its first line is empty"]);
    proxy.finish();
}

/// Kills the process whose id is in a file. It must be alive.
fn kill_noted(note: &TempPath) {
    let pid = fs::read_to_string(&**note).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[cfg(target_os = "linux")]
const MARK: &str = "an-unhidden-landmark";

/// Other programs running as the same user could read passwords from this program's environment and
/// memory.
#[cfg(target_os = "linux")]
#[test]
fn the_memory_was_not_protected_while_a_match_exec_command_ran() {
    let note = TempPath::new("note");
    // The second file shows that the command can read processes that are not protected.
    let command = format!("cat /proc/$PPID/environ /proc/$$/environ >{} 2>&1", note.display());
    let home = home(format!("Match exec '{command}'\nSOCKS5_RESOLVE = remote\n"));
    let proxy = socks5_userpass("bob", "hunter2").expect_eof().serve();
    let program = connect(format!("-S bob@{proxy} host.example 22")).unprivileged();
    let program = program.env("SOCKS5_PASSWORD", "hunter2").env("MARK", MARK).env("SHELL", "/bin/sh");
    program.env("HOME", &*home).run().expect_success();
    let read = fs::read_to_string(&*note).unwrap();
    assert!(read.contains("denied") && read.matches(MARK).count() == 1, "{read}");
    assert!(!read.contains("hunter2"), "{read}");
    proxy.finish();
}

#[cfg(target_os = "linux")]
#[test]
fn the_memory_was_not_protected_while_a_password_was_awaited() {
    for option in ["--password-fd 3", "--password-file /dev/fd/3", "--password-file /proc/self/fd/3"] {
        let proxy = socks5_userpass("bob", "secret").early("welcome").expect_eof().serve();
        let program = Program::new("/bin/sh").arg("-c").arg("exec \"$0\" \"$@\" 3<&0 </dev/null");
        let program = program.arg(program_path()).args(format!("-d {option} -S bob@{proxy} host.example 22"));
        let mut run = program.env("MARK", MARK).unprivileged().start();
        let environment = format!("/proc/{}/environ", run.pid());
        let read = || Program::new("cat").arg(&environment).unprivileged().run();
        run.wait_stderr_has("reading the password from");
        read().expect_code(1).expect_stdout("").expect_stderr_has("denied");
        run.send("secret\n");
        run.wait_stdout_has("welcome");
        run.finish();
        proxy.finish();
    }
}
