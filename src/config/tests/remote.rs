//! Work at an SSH server (`--ssh`).

use super::*;
use crate::plan::{CopyProtocol, Copying, Direction, Remote, Task, Tty};

#[track_caller]
fn remote(line: &str, variables: &[(&str, &str)]) -> Remote {
    match planned(line, variables).local {
        Local::Remote(remote) => *remote,
        other => panic!("{line}: {other:?}"),
    }
}

/// Returns the hops of the only route, each as the name and the address.
#[track_caller]
fn hops(line: &str) -> Vec<String> {
    let plan = planned(line, &[]);
    assert_eq!(plan.routes.len(), 1, "{line}");
    plan.hops().map(|hop| format!("{} {}", hop.protocol.name(), hop.proxy)).collect()
}

#[test]
fn the_server_is_the_last_hop() {
    for (line, expected) in [
        ("--ssh me@box", &["SSH box:22"][..]),
        ("--ssh ssh://me@box:2222", &["SSH box:2222"]),
        ("--ssh=box:2222 ls", &["SSH box:2222"]),
        ("--ssh [::1]:22 ls", &["SSH [::1]:22"]),
        ("-x socks5://p,ssh://jump --ssh box", &["SOCKS5 p:1080", "SSH jump:22", "SSH box:22"]),
        ("-S p --ssh box ls", &["SOCKS5 p:1080", "SSH box:22"]),
    ] {
        assert_eq!(hops(line), expected, "{line}");
    }
    assert_eq!(planned("--ssh me@box", &[]).target.to_string(), "box");
    let plan = planned("-x http://p|direct --ssh me@box", &[]);
    let last: Vec<_> = plan.routes.iter().map(|route| route.hops.last().unwrap().proxy.to_string()).collect();
    assert_eq!(last, ["box:22", "box:22"]);
}

#[test]
fn a_queue_needs_an_ssh_server_at_the_end_of_the_route() {
    for (line, proxy, expected) in [
        ("-x ssh://h queue:jobs", "", Target::Queue("jobs".into())),
        ("-A queue:jobs", "socks5://p,ssh://h", Target::Queue("jobs".into())),
        ("-A queue:22", "SSH://h", Target::Queue("22".into())),
        ("-A queue:22", "socks5://p", Target::Tcp(endpoint("queue", 22))),
        ("-A queue:22", "", Target::Tcp(endpoint("queue", 22))),
    ] {
        assert_eq!(planned(line, &[("CONNECT_PROXY", proxy)]).target, expected, "{line} {proxy}");
    }
}

#[test]
fn the_server_is_part_of_the_chain_for_passwords() {
    let login = |line: &str| {
        let plan = planned(line, &[("CONNECT_SSH_PASSWORD", "pw")]);
        let hop = plan.hops().last().unwrap().clone();
        let login = hop.protocol.login().unwrap();
        (login.user.as_ref().map(ToString::to_string), login.password.is_some())
    };
    assert_eq!(login("--ssh box"), (None, true));
    assert_eq!(login("--ssh a@b@box"), (Some("a@b".into()), true));
    assert_eq!(login("--ssh ssh://a%40b:pw@box"), (Some("a@b".into()), true));
    // Another hop's password is not for the server.
    assert_eq!(login("-S p --ssh box"), (None, false));
    assert_eq!(login("-S p --ssh me@box"), (Some("me".into()), true));
}

#[test]
fn the_task_depends_on_options_and_operands() {
    for (line, expected) in [
        ("--ssh box", Task::Shell),
        ("--ssh box ls -l --ssh", Task::Command("ls -l --ssh".into())),
        ("--ssh box -- -x", Task::Command("-x".into())),
        ("--subsystem netconf --ssh box", Task::Subsystem("netconf".into())),
        ("--local-forward 8080=80 --ssh box", Task::Forwards),
        ("--remote-forward 0=80 --ssh box sleep 9", Task::Command("sleep 9".into())),
    ] {
        assert_eq!(remote(line, &[]).task, expected, "{line}");
    }
    let copying = Copying {
        direction: Direction::Get,
        files: vec!["a".into(), "b".into()],
        destination: "c/".into(),
        recursive: true,
        preserve: true,
        protocol: Some(CopyProtocol::Scp),
    };
    let line = "--get --recursive --preserve --copy-by scp --ssh box a b c/";
    assert_eq!(remote(line, &[]).task, Task::Copy(copying));
    let Task::Copy(copying) = remote("--ssh box --put - x", &[]).task else { panic!("no copy") };
    assert_eq!((copying.direction, copying.protocol), (Direction::Put, None));
}

#[test]
fn variables_come_from_the_option_or_the_environment() {
    let set = [("LANG", "C"), ("TERM", "vt100")];
    let planned = remote("--env A=b=c --env LANG --env UNSET --env EMPTY= --ssh box", &set);
    let expected = [("A", "b=c"), ("LANG", "C"), ("EMPTY", "")];
    assert_eq!(planned.variables, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!((planned.terminal.as_deref(), planned.tty), (Some("vt100"), Tty::Auto));
    assert_eq!(remote("--tty yes --ssh box", &[]).tty, Tty::Yes);
}

#[test]
fn forwards_are_parsed() {
    let local = |value: &str| {
        let planned = remote(&format!("--local-forward {value} --ssh box"), &[]);
        let forward = &planned.local_forwards[0];
        format!("{} {}", forward.from, forward.to)
    };
    for (value, expected) in [
        ("8080=80", "localhost:8080 localhost:80"),
        ("0.0.0.0:8080=inner:80", "0.0.0.0:8080 inner:80"),
        ("[::1]:0=[::2]:80", "[::1]:0 [::2]:80"),
        ("unix:/tmp/a=unix:/run/b=c", "unix:/tmp/a unix:/run/b=c"),
        ("8080=queue:jobs", "localhost:8080 queue:jobs"),
    ] {
        assert_eq!(local(value), expected, "{value}");
    }
    let remote = |value: &str| {
        let planned = remote(&format!("--remote-forward {value} --ssh box"), &[]);
        let forward = &planned.remote_forwards[0];
        format!("{} {}", forward.from, forward.to)
    };
    for (value, expected) in [
        ("0=80", "localhost:0 localhost:80"),
        ("*:8080=inner:80", ":8080 inner:80"),
        ("unix:/tmp/a=unix:/run/b", "unix:/tmp/a unix:/run/b"),
        ("queue:jobs=80", "queue:jobs localhost:80"),
    ] {
        assert_eq!(remote(value), expected, "{value}");
    }
}

#[test]
fn forwards_have_a_keep_alive_unless_it_is_set() {
    let seconds = |line: &str| remote(line, &[]).keep_alive.map(|time| time.as_secs());
    for (line, expected) in [
        ("--ssh box", None),
        ("--local-forward 1=2 --ssh box", Some(25)),
        ("--local-forward 1=2 --keepalive 7 --ssh box", Some(7)),
        ("--local-forward 1=2 --keepalive 0 --ssh box", None),
        ("--local-forward 1=2 --ssh ssh://box?keepalive=9", Some(9)),
        ("--keepalive 7 --ssh box ls", Some(7)),
    ] {
        assert_eq!(seconds(line), expected, "{line}");
    }
}

#[test]
fn invalid_command_lines_are_errors() {
    for (line, expected) in [
        ("--put a b", "--put requires --ssh"),
        ("--env A=b host 22", "--env requires --ssh"),
        ("--subsystem sftp host 22", "--subsystem requires --ssh"),
        ("-p 1 --ssh box", "-p cannot be combined with --ssh"),
        ("-P 1 --ssh box", "-P cannot be combined with --ssh"),
        ("--listen 1 --ssh box", "--listen cannot be combined with --ssh"),
        ("-F --ssh box", "-F cannot be combined with --ssh"),
        ("--proxy-protocol v1 --ssh box", "--proxy-protocol cannot be combined with --ssh"),
        ("--put --get --ssh box a b", "--put cannot be combined with --get"),
        ("--put --subsystem x --ssh box a b", "--put cannot be combined with --subsystem"),
        ("--get --local-forward 1=2 --ssh box a b", "--get cannot be combined with --local-forward"),
        ("--put --ssh box a", "--put requires operands: FILE... DEST"),
        ("--put --ssh box - a b", "'-' must be the only FILE of --put"),
        (
            "--put --copy-by scp --ssh box - a",
            "--put - cannot be combined with --copy-by scp, which announces the size first",
        ),
        ("--put --copy-by rcp --ssh box a b", "invalid value 'rcp' for --copy-by; use sftp or scp"),
        ("--recursive --ssh box", "--recursive requires --put or --get"),
        ("--subsystem x --ssh box ls", "--subsystem cannot be combined with a command"),
        ("--tty maybe --ssh box", "invalid value 'maybe' for --tty; use auto, yes or no"),
        ("--tty no --local-forward 1=2 --ssh box", "--tty has no effect without a command"),
        ("--env A=b --remote-forward 1=2 --ssh box", "--env has no effect without a command"),
        ("--env =x --ssh box", "missing name of the variable in --env"),
        (
            "--local-forward 80 --ssh box",
            "invalid value '80' for --local-forward; use FROM=TO, as in 8080=inner:80",
        ),
        (
            "--local-forward queue:a=80 --ssh box",
            "invalid value for --local-forward: FROM is [ADDR:]PORT or unix:PATH",
        ),
        (
            "--local-forward 80=0 --ssh box",
            "invalid value for --local-forward: port 0 is possible only in FROM",
        ),
        (
            "--remote-forward 80=queue:a --ssh box",
            "invalid value for --remote-forward: TO is [HOST:]PORT or unix:PATH",
        ),
        (
            "--remote-forward queue:a.b=80 --ssh box",
            "invalid value for --remote-forward: the name of a queue has 1 to 64 letters, digits, '-' and '_'",
        ),
        (
            "--ssh me:pw@box",
            "invalid server in --ssh: ':' in the user name; to give a password, write an ssh:// URL",
        ),
        (
            "--ssh box?ssh-strict=yes",
            "invalid server in --ssh: unexpected '?' or '/'; to set options, write an ssh:// URL",
        ),
        ("--ssh http://box", "invalid server in --ssh: expected an ssh:// URL; put proxies into -x"),
        (
            "ssh://me:pw@box 22",
            "unexpected operand 'ssh://me:****@box': to run a command at an SSH server, use --ssh",
        ),
    ] {
        assert_eq!(error(line, &[]), expected, "{line}");
    }
}
