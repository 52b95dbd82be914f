//! Work at SSH servers (`--ssh`): commands, and forwards in both directions.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;

use rustix::process::Signal;

use crate::context::{Case, Context, Topic, expect_same, fed};
use crate::kit::{Program, TIMEOUT, bytes, data, pipe};
use crate::peers::{Endpoint, endpoint};
use crate::servers::{Server, USER};
use crate::ssh_hops::key;
use crate::ssh_servers::SSHD_ANY;
use crate::ssh_target::{self, DOWN, UP};

/// The number of bytes to transfer in each direction.
const SIZE: u64 = 8 << 20;

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("ssh-remote");
    for (name, endpoint) in [("sshd", SSHD_ANY), ("dropbear", endpoint(Server::Dropbear, 0))] {
        topic.ours(format!("{name} runs a command"), move |context| {
            let input = &context.file("input", bytes(UP, usize::try_from(SIZE).unwrap()));
            let out = at(context, endpoint, "").arg("cat; echo complaint >&2; exit 3");
            let out = fed(out, input).run();
            out.expect_code(3).expect_stderr("complaint\n");
            expect_same(input, &out.stdout);
        });
        topic.ours(format!("{name} connects to the target of a local forward"), move |context| {
            forwards(context, endpoint, "--local-forward 127.0.0.1:0", "listening on 127.0.0.1:");
        });
        topic.ours(format!("{name} listens for a remote forward"), move |context| {
            forwards(context, endpoint, "--remote-forward 0", "listening on port ");
        });
    }
    // dropbear listens on ::1 if 127.0.0.1 is in use.
    topic.ours("sshd refuses a remote forward to a port in use", |context| {
        let from = context.address(SSHD_ANY);
        let out = at(context, SSHD_ANY, &format!("--remote-forward {from}=9")).run();
        context.expect_failure(&out, 5, &[&format!("refused --remote-forward {from}")]);
    });
    topic.into_cases()
}

/// Prepares a run at an SSH server.
fn at(context: &Context, endpoint: Endpoint, options: &str) -> Program {
    let known = context.folder.join("known_hosts");
    context.connect(format!(
        "-q --ssh {USER}@{} --ssh-agent off --ssh-known-hosts {} --ssh-strict accept-new {} {options}",
        context.address(endpoint),
        known.display(),
        key(context)
    ))
}

/// Sends and receives [`SIZE`] bytes at the same time through a forward whose listener has any
/// port. The run prints this port after `announcement`.
#[track_caller]
fn forwards(context: &Context, endpoint: Endpoint, from: &str, announcement: &str) {
    let target = ssh_target::exchanging(SIZE);
    let (reader, stderr) = pipe();
    let run = at(context, endpoint, &format!("{from}=127.0.0.1:{}", target.port));
    let run = run.stderr(stderr).start();
    let mut messages = BufReader::new(reader);
    let mut line = String::new();
    messages.read_line(&mut line).unwrap();
    let port = line.split_once(announcement).and_then(|(_, rest)| rest.split_whitespace().next());
    let port: u16 = port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port: {line:?}"));
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut writer = client.try_clone().unwrap();
    let sending = thread::spawn(move || io::copy(&mut data(UP, SIZE), &mut writer));
    let down = ssh_target::sum(&mut &client);
    // The digest at the target shows that data is missing.
    let _ = sending.join();
    assert_eq!(down, ssh_target::sum(&mut data(DOWN, SIZE)), "from the target");
    assert_eq!(target.finish(), ssh_target::sum(&mut data(UP, SIZE)), "at the target");
    run.signal(Signal::TERM);
    run.finish().expect_code(0);
    let rest: Vec<_> = messages.lines().map_while(Result::ok).collect();
    assert_eq!(rest, [""; 0], "messages");
}
