//! Work at an SSH server (`--ssh`).

use super::Row;
use super::usage::{syntax, value};

pub(super) fn rows() -> Vec<Row> {
    [usage(), values()].into_iter().flatten().collect()
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
