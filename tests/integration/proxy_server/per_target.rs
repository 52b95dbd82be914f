//! Settings that depend on the target that a client names.

#[cfg(unix)]
use std::fs;

use super::*;
#[cfg(unix)]
use crate::rcfile::home;

fn with_env(args: &str, variables: &[(&str, &str)]) -> Listening {
    let program = connect(format!("-d --listen socks5://127.0.0.1:0 {args}"));
    Listening::start(variables.iter().fold(program, |program, (name, value)| program.env(name, value)))
}

#[test]
fn no_proxy_and_bypass_lists_apply_to_each_target() {
    let target = echo();
    for (option, variable) in [("-h", "no_proxy"), ("-h", "HTTP_DIRECT"), ("-s", "SOCKS5_DIRECT")] {
        let proxy = if option == "-h" {
            Server::repeat(|| http_ok().echo())
        } else {
            Server::repeat(|| socks5_none().echo())
        };
        let address = proxy.to_string();
        let variables = [("HTTP_PROXY", &*address), ("SOCKS_SERVER", &*address), (variable, "127.0.0.1")];
        let run = with_env(option, &variables);
        let (code, client) = socks5(&run, "127.0.0.1", target.port());
        assert_eq!(code, 0);
        expect_echo(client, "direct");
        assert!(proxy.records().is_empty(), "{variable}");
        let (code, client) = socks5(&run, "host.example", 22);
        assert_eq!(code, 0);
        expect_echo(client, "proxied");
        assert_eq!(proxy.records().len(), 1, "{variable}");
        assert_eq!(run.close(), [""; 0]);
    }
}

#[cfg(unix)]
#[test]
fn match_blocks_apply_to_each_target() {
    let (first, second) = (Server::repeat(|| socks5_none().echo()), Server::repeat(|| socks5_none().echo()));
    let home = home(format!(
        "SOCKS_SERVER = 127.0.0.1:1\nMatch host *.first.example\nSOCKS_SERVER = {first}\n\
         Match exec \"test %h:%p = exec.example:22\"\nSOCKS_SERVER = {second}\n\
         Match host !*.first.example,* port 443\nSOCKS_SERVER = {second}\n"
    ));
    let run = with_env("-s", &[("HOME", home.to_str().unwrap())]);
    for (host, port) in
        [("a.first.example", 443), ("b.first.example", 22), ("exec.example", 22), ("other", 443)]
    {
        let (code, client) = socks5(&run, host, port);
        assert_eq!(code, 0, "{host}:{port}");
        expect_echo(client, "hello");
    }
    assert_eq!(socks5(&run, "other", 22).0, 1);
    run.close();
    let targets = |server: &Server| {
        server.records().iter().map(|record| record.target.clone().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(targets(&first), ["a.first.example:443", "b.first.example:22"]);
    assert_eq!(targets(&second), ["exec.example:22", "other:443"]);
}

/// The signal killed the listener, which reported that ssh may have given up.
#[cfg(unix)]
#[test]
fn a_signal_during_a_match_exec_command_did_not_end_the_listener_cleanly() {
    let marker = TempPath::new("marker");
    let command = format!("exec sleep 5 >{} 2>&1", marker.display());
    let home = home(format!("Match exec \"{command}\"\nCONNECT_TCP_KEEPALIVE = 60\n"));
    let run = with_env("", &[("HOME", home.to_str().unwrap())]);
    let mut client = run.client();
    client.write_all(&[b"\x05\x01\0", &*socks5_request_for("127.0.0.1", 1)].concat()).unwrap();
    eventually("the command", || marker.exists());
    assert_eq!(run.close(), [""; 0]);
}

/// No `exec` command runs before there is a target.
#[cfg(unix)]
#[test]
fn a_client_cannot_add_to_a_match_exec_command() {
    let (marker, proxy) = (TempPath::new("marker"), Server::repeat(|| socks5_none().echo()));
    let home = home(format!(
        "SOCKS_SERVER = 127.0.0.1:1\nMatch exec \"touch {} && test %h\"\nSOCKS_SERVER = {proxy}\n",
        marker.display()
    ));
    let run = with_env("-s", &[("HOME", home.to_str().unwrap())]);
    for host in ["a;id", "$(id)", "a&id", "-x"] {
        assert_eq!(socks5(&run, host, 22).0, 4, "{host}");
    }
    assert!(!marker.exists());
    assert_eq!(socks5(&run, "host.example", 22).0, 0);
    assert!(marker.exists(), "the command never runs");
    run.close();
}

#[cfg(unix)]
#[test]
fn a_changed_file_applies_to_the_next_client() {
    let (before, after) = (Server::repeat(|| socks5_none().echo()), Server::repeat(|| socks5_none().echo()));
    let home = home(format!("SOCKS_SERVER = {before}\n"));
    let run = with_env("-s", &[("HOME", home.to_str().unwrap())]);
    expect_echo(socks5(&run, "host.example", 22).1, "hello");
    fs::write(home.join(".connectrc"), format!("SOCKS_SERVER = {after}\n")).unwrap();
    expect_echo(socks5(&run, "host.example", 22).1, "hello");
    assert_eq!((before.records().len(), after.records().len()), (1, 1));
    assert_eq!(run.close(), [""; 0]);
}

/// A pipe can be read only once, but each session needs its password.
#[cfg(unix)]
#[test]
fn a_password_from_a_descriptor_serves_all_clients() {
    let proxy = Server::repeat(|| socks5_userpass("me", "secret").echo());
    let line = format!(
        "exec {} -d --listen socks5://127.0.0.1:0 --password-fd 3 -S me@{proxy} 3<<END\nsecret\nEND\n",
        program_path()
    );
    let run = Listening::start(Program::new("/bin/sh").arg("-c").arg(line));
    for _ in 0..3 {
        let (code, client) = socks5(&run, "host.example", 22);
        assert_eq!(code, 0);
        expect_echo(client, "hello");
    }
    assert_eq!(run.close(), [""; 0]);
}

/// The variables in the process's memory are overwritten after the start.
#[test]
fn passwords_in_variables_and_args_serve_all_clients() {
    let proxy = Server::repeat(|| socks5_userpass("me", "secret").echo());
    let server = proxy.to_string();
    for (args, variables) in [
        (
            "-s".to_owned(),
            vec![("SOCKS_SERVER", &*server), ("SOCKS5_USER", "me"), ("SOCKS5_PASSWORD", "secret")],
        ),
        (format!("-S me:secret@{proxy}"), vec![]),
    ] {
        let run = with_env(&args, &variables);
        for _ in 0..2 {
            let (code, client) = socks5(&run, "host.example", 22);
            assert_eq!(code, 0);
            expect_echo(client, "hello");
        }
        assert_eq!(run.close(), [""; 0]);
    }
}
