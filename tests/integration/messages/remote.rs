//! Work at an SSH server (`--ssh`).

use connect::ssh::connection::{ChannelId, Connection};
use connect::ssh::sftp::wire::{Request, StatusCode};

use super::usage::{syntax, value};
use super::{Message, Row, row};
use crate::copies::peers::{Fault, sftp};
use crate::kit::TempPath;
use crate::remote::at;
use crate::ssh::host::{HANG_UP, Host, Log, exit_by_signal};
use crate::ssh::server::{Setup, Target};

pub(super) fn rows() -> Vec<Row> {
    [usage(), values(), ends(), copies()].into_iter().flatten().collect()
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

/// Returns a row with a copy by an sftp server that has a directory `d`. `FILE` in `args` is a
/// local file.
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
        let local = TempPath::file("local", "content");
        let path = root.to_path_buf();
        let server = Host::new(move |_| Some(sftp(&path, fault))).setup().0.start();
        let out = at(&server, args.0, &args.1.replace("FILE", &local.display().to_string())).run();
        let message = Message::from_outcome(&out)
            .naming(format!("127.0.0.1:{}", server.port()), "bastion:22")
            .naming(local.display(), "file");
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
