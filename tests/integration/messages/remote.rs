//! Work at an SSH server (`--ssh`).

use connect::ssh::connection::{ChannelId, Connection};
use connect::ssh::sftp::wire::{Request, StatusCode};

use super::usage::{syntax, value};
use super::{Message, Row, row};
use crate::copies::peers::{Fault, Step, scp, sftp};
use crate::kit::*;
use crate::listening::eventually;
use crate::remote::at;
use crate::ssh::host::{HANG_UP, Host, Log, exit_by_signal, prints};
use crate::ssh::server::{Setup, Target};

pub(super) fn rows() -> Vec<Row> {
    [usage(), values(), ends(), copies(), local_failures(), scp_failures()].into_iter().flatten().collect()
}

fn usage() -> Vec<Row> {
    vec![
        syntax("`--put` without `--ssh`", "--put file name", ""),
        syntax("`--listen` and `--ssh`", "--listen 8080 --ssh bastion", ""),
        syntax("`--put` and `--get`", "--put --get --ssh bastion file name", ""),
        syntax("`--put` with one operand", "--put --ssh bastion file", ""),
        syntax("`--put` with `-` and other files", "--put --ssh bastion - file directory/", ""),
        syntax("Standard input copied by scp", "--put --copy-by scp --ssh bastion - name", ""),
        syntax("`--recursive` without copies", "--recursive --ssh bastion", ""),
        syntax("Subsystem without a name", "--subsystem= --ssh bastion", ""),
        syntax("Subsystem and a command", "--subsystem sftp --ssh bastion ls", ""),
        syntax("`--tty` without a command", "--tty yes --local-forward 8080=80 --ssh bastion", ""),
        syntax(
            "SSH server as the host",
            "ssh://me@bastion ls",
            "To reach a target through an SSH server, put the server into `-x`.",
        ),
    ]
}

fn values() -> Vec<Row> {
    vec![
        value("Password in the short form of an SSH server", "--ssh me:secret@bastion", ""),
        value("Option in the short form of an SSH server", "--ssh bastion?ssh-strict=yes", ""),
        value("Invalid port of an SSH server", "--ssh bastion:x", ""),
        value("Another proxy as the SSH server", "--ssh socks5://socks.example", ""),
        value("SSH server at a UNIX-domain socket", "--ssh ssh://unix:/run/sshd", ""),
        value("Unknown protocol for copies", "--put --copy-by rcp --ssh bastion file name", ""),
        value("Unknown value of `--tty`", "--tty maybe --ssh bastion", ""),
        value("Variable without a name", "--env =value --ssh bastion", ""),
        value("Forward without a target", "--local-forward 8080 --ssh bastion", ""),
        value("Local forward from a queue", "--local-forward queue:jobs=80 --ssh bastion", ""),
        value(
            "Local forward from a UNIX-domain socket without a path",
            "--local-forward unix:=80 --ssh bastion",
            "",
        ),
        value("Forward to port 0", "--local-forward 8080=0 --ssh bastion", ""),
        value("Forward to all addresses", "--local-forward 8080=*:80 --ssh bastion", ""),
        value("Forward with an invalid port", "--local-forward 8080=inner:x --ssh bastion", ""),
        value("Remote forward to a queue", "--remote-forward 8080=queue:jobs --ssh bastion", ""),
        value("Invalid name of a queue", "--remote-forward queue:a.b=80 --ssh bastion", ""),
    ]
}

/// Returns a row with a run at this server.
fn remote(
    code: i32,
    variant: &'static str,
    situation: &'static str,
    advice: &'static str,
    args: (&'static str, &'static str),
    setup: impl Fn() -> Setup + Send + Sync + 'static,
) -> Row {
    row(code, variant, situation, advice, move || {
        let server = setup().start();
        let out = at(&server, args.0, args.1).run();
        let message =
            Message::from_outcome(&out).naming(format!("127.0.0.1:{}", server.port()), "bastion:22");
        server.finish();
        message
    })
}

/// A host on which every program does this once.
fn host(act: impl Fn(&mut Connection, ChannelId, &Log) + Copy + Send + 'static) -> Setup {
    let log = Log::default();
    let end = log.clone();
    let start = move |_: &str| -> Option<Target> {
        let end = end.clone();
        Some(Box::new(move |connection, channel| {
            act(connection, channel, &end);
            false
        }))
    };
    Host::new(start).with_log(&log).setup().0
}

fn ends() -> Vec<Row> {
    let command = ("", "ls");
    vec![
        remote(255, "Ssh", "A server refuses a command", "", command, || Host::new(|_| None).setup().0),
        remote(255, "Terminated", "A signal ends a command at a server", "", command, || {
            host(|connection, channel, _| {
                exit_by_signal(connection, channel, "TERM");
            })
        }),
        remote(255, "Terminated", "A server reports no exit status", "", command, || {
            host(|connection, channel, _| connection.close_sending(channel).unwrap())
        }),
        remote(
            255,
            "NoExitStatus",
            "The connection to a server is lost while a command runs",
            "The command may still be running.",
            command,
            || host(|_, _, log| log.push(HANG_UP.into())),
        ),
        remote(
            5,
            "ForwardRefused",
            "A server refuses to listen for a remote forward",
            "The port may be in use there, or the server may permit no remote forwards (`AllowTcpForwarding`).",
            ("--remote-forward 80=8080", ""),
            || Host::new(|_| None).setup().0,
        ),
    ]
}

/// Returns a row with a copy by an sftp server that has a directory `d` and a file `f`. `FILE` in
/// `args` is a local file, and `TREE` a local directory. The directories `d` and `TREE` contain a
/// link to themselves.
fn copy(
    code: i32,
    situation: &'static str,
    advice: &'static str,
    args: (&'static str, &'static str),
    fault: Fault,
) -> Row {
    row(code, "Copy", situation, advice, move || {
        let root = TempPath::directory("root");
        std::fs::create_dir(root.join("d")).unwrap();
        std::fs::write(root.join("f"), "content").unwrap();
        let (local, tree) = (TempPath::file("local", "content"), TempPath::directory("tree"));
        for directory in [root.join("d"), tree.to_path_buf()] {
            std::os::unix::fs::symlink(".", directory.join("loop")).unwrap();
        }
        let path = root.to_path_buf();
        let server = Host::new(move |_| Some(sftp(&path, fault))).setup().0.start();
        let operands = args.1.replace("FILE", &local.display().to_string());
        let out = at(&server, args.0, &operands.replace("TREE", &tree.display().to_string())).run();
        let message = Message::from_outcome(&out)
            .naming(format!("127.0.0.1:{}", server.port()), "bastion:22")
            .naming(local.display(), "file")
            .naming(tree.display(), "tree");
        server.finish();
        message
    })
}

fn copies() -> Vec<Row> {
    let denied: Fault =
        |request| matches!(request, Request::Open { .. }).then_some(StatusCode::PERMISSION_DENIED);
    vec![
        copy(5, "The server does not have the file", "", ("--get", "missing -"), |_| None),
        copy(
            5,
            "The server does not permit a copy",
            "The other files are copied. The exit code is that of the first failure.",
            ("--put", "FILE d/"),
            denied,
        ),
        copy(1, "The file at the server is a directory", "", ("--get", "d /tmp"), |_| None),
        copy(1, "The file to copy does not exist", "", ("--put", "FILE.missing d/"), |_| None),
        remote(5, "Copy", "A server has no sftp", "", ("--put --copy-by sftp", "/etc/passwd x"), || {
            Host::new(|_| None).setup().0
        }),
        remote(
            5,
            "Copy",
            "A server has neither sftp nor scp",
            "Copies need one of them at the server.",
            ("--get", "x -"),
            || Host::new(|_| None).setup().0,
        ),
    ]
}

fn local_failures() -> Vec<Row> {
    let recursive = "--recursive --get";
    vec![
        copy(1, "The copy of a directory has the name of a file", "", (recursive, "d FILE"), |_| None),
        copy(1, "The directory for a copy does not exist", "", ("--get", "d FILE.missing/"), |_| None),
        copy(5, "The destination at the server is a file", "", ("--put", "FILE FILE f"), |_| None),
        copy(1, "The file to copy is a device", "", ("--put", "/dev/null d/"), |_| None),
        copy(1, "A directory for standard output", "", (recursive, "d -"), |_| None),
        copy(
            1,
            "A symbolic link at the server leads to a directory above it",
            "The link is skipped, and the other files are copied.",
            (recursive, "d TREE"),
            |_| None,
        ),
        copy(
            1,
            "A symbolic link leads to a directory above it",
            "The link is skipped, and the other files are copied.",
            ("--recursive --put", "TREE d/"),
            |_| None,
        ),
        row(1, "Copy", "A signal ends a copy", "The partial file is removed.", || {
            let root = TempPath::directory("root");
            let path = root.to_path_buf();
            let server = Host::new(move |_| Some(sftp(&path, |_| None))).setup().0.start();
            let mut run = at(&server, "--put", "- file").start();
            run.send("some");
            eventually("the partial file", || root.join(".file.part").exists());
            run.signal(rustix::process::Signal::TERM);
            let message = Message::from_outcome(&run.wait());
            server.finish();
            message
        }),
    ]
}

/// Returns a row with a copy by an scp that follows this script and then exits with 1.
fn by_scp(
    code: i32,
    situation: &'static str,
    advice: &'static str,
    args: (&'static str, &'static str),
    script: &'static [Step],
) -> Row {
    remote(code, "Copy", situation, advice, args, move || Host::new(move |_| Some(scp(script, 1))).setup().0)
}

fn scp_failures() -> Vec<Row> {
    let get = ("--copy-by scp --get", "x -");
    vec![
        remote(
            5,
            "Copy",
            "Standard input for a server without sftp",
            "Write it to a file, and copy that.",
            ("--put", "- x"),
            || Host::new(|_| None).setup().0,
        ),
        remote(
            1,
            "Copy",
            "A path without a name, copied by scp",
            "",
            ("--copy-by scp --get", ".. /tmp"),
            || Host::new(|_| None).setup().0,
        ),
        by_scp(
            8,
            "The server sends another file than the requested one",
            "",
            get,
            &[(b"\0", b"C0644 1 y\n")],
        ),
        remote(5, "Copy", "The server's scp reports no exit status", "", get, || {
            host(|connection, channel, _| connection.close_sending(channel).unwrap())
        }),
        remote(5, "Copy", "The server's shell does not find scp", "", get, || {
            Host::new(|_| Some(prints("", "sh: scp: not found\n", 127))).setup().0
        }),
    ]
}
