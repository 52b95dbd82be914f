//! SSH servers of several projects as a hop: logins, transfers with key exchanges, half-close, and
//! refusals.

use std::io;
use std::thread;

use crate::context::{Case, Context, Topic, expect_same, fed, program};
use crate::kit::{Program, bytes, data, pipe};
use crate::peers::{Endpoint, endpoint};
use crate::servers::{PASSWORD, Server, USER, WRONG_PASSWORD};
use crate::ssh_servers::{SSHD_ANY, SSHD_BOTH, SSHD_PASSWORD};
use crate::ssh_target::{self, DOWN, UP};

const MIB: u64 = 1 << 20;

/// An SSH server that forwards connections.
#[derive(Clone, Copy)]
struct Peer {
    name: &'static str,
    endpoint: Endpoint,
    /// The number of MiB to transfer in each direction. The Python libraries move a few MiB in a
    /// second.
    size: u64,
    /// The words of a line in the log for each key exchange, and the number of lines to expect in a
    /// transfer; `None` for a server that starts no key exchange.
    rekeyed: Option<(&'static str, usize)>,
    /// The server offers keyboard-interactive.
    asks: bool,
}

const TINYSSHD: Endpoint = endpoint(Server::Tinysshd, 0);

fn peers() -> [Peer; 5] {
    let peer = |name, endpoint, size, rekeyed| Peer { name, endpoint, size, rekeyed, asks: true };
    [
        // The first key exchange of each connection of another case adds a line, too.
        peer("sshd", SSHD_ANY, 64, Some(("SSH2_MSG_NEWKEYS received", 40))),
        Peer { asks: false, ..peer("dropbear", endpoint(Server::Dropbear, 0), 64, None) },
        // asyncssh sends up to a window (2 MiB) of data during each key exchange.
        peer("asyncssh", endpoint(Server::Asyncssh, 0), 24, Some(("Completed key exchange", 10))),
        peer("paramiko", endpoint(Server::Paramiko, 0), 8, Some(("Rekeying (hit ", 2))),
        peer("ssh2", endpoint(Server::Ssh2, 0), 64, Some(("keys exchanged", 2))),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("ssh-hop");
    for peer in peers() {
        add_cases(&mut topic, peer);
    }
    topic.ours("sshd accepts a password without questions", |context| {
        logs_in(context, SSHD_PASSWORD, "", Some(PASSWORD), "password");
    });
    topic.ours("sshd requires a key and then a password", |context| {
        let user = key(context);
        logs_in(context, SSHD_BOTH, &user, Some(PASSWORD), "password");
        let out = hop(context, SSHD_BOTH, &format!("-q {user}")).arg(context.port().to_string()).run();
        context.expect_failure(&out, 6, &["requires further authentication: password"]);
    });
    topic.ours("libssh's sample server carries 1 MiB both ways", sample_server);
    topic.ours("tinysshd accepts a key and refuses to forward", |context| {
        let options = format!("{} --ssh-ciphers chacha20-poly1305@openssh.com", key(context));
        let out = hop(context, TINYSSHD, &options).arg(context.port().to_string()).run();
        context.expect_code(&out, 5);
        out.expect_stderr_has("lacks strict key exchange: chacha20-poly1305@openssh.com is used because");
        out.expect_stderr_has(&format!("refused to forward to 127.0.0.1:{}", context.port()));
    });
    topic.ours("tinysshd has no safe cipher without strict key exchange", |context| {
        let out =
            hop(context, TINYSSHD, &format!("-q {}", key(context))).arg(context.port().to_string()).run();
        context.expect_failure(
            &out,
            5,
            &["lacks strict key exchange: chacha20-poly1305@openssh.com is not safe"],
        );
    });
    topic.into_cases()
}

fn add_cases(topic: &mut Topic, peer: Peer) {
    let Peer { name, endpoint, size, rekeyed, asks } = peer;
    let title = match rekeyed {
        Some(_) => format!("{name} carries {size} MiB both ways, with key exchanges meanwhile"),
        None => format!("{name} carries {size} MiB both ways"),
    };
    topic.ours(title, move |context| {
        let hop = hop(context, endpoint, &key(context));
        transfer(|port| hop.arg(port.to_string()), size * MIB);
        if let Some((line, count)) = rekeyed {
            context.expect_log_lines(endpoint.server, &[line], count);
        }
    });
    topic.ours(format!("{name} passes on EOF, and the answer to it"), move |context| {
        let target = ssh_target::answering_eof();
        let out = hop(context, endpoint, &format!("-q {}", key(context)));
        let out = out.arg(target.port.to_string()).input("olleh").run();
        out.expect_success().expect_stdout("hello").expect_stderr("");
        target.finish();
    });
    topic.ours(format!("{name} carries ssh"), move |context| {
        let up = &context.file("up", bytes(UP, 1 << 20));
        let args = args(context, &context.address(endpoint), &key(context), USER);
        let proxy_command = format!("{} {args} %h %p", context.peers.connect.display());
        let ssh = program("ssh", context.ssh_options(&proxy_command));
        let out = fed(ssh.arg("target").arg("cat; exit 3"), up).run();
        out.expect_code(3);
        expect_same(up, &out.stdout);
    });
    topic.ours(format!("{name} accepts a key"), move |context| {
        logs_in(context, endpoint, &key(context), None, "publickey (ED25519 SHA256:");
    });
    topic.ours(format!("{name} accepts a password"), move |context| {
        let method = if asks { "keyboard-interactive" } else { "password" };
        logs_in(context, endpoint, "", Some(PASSWORD), method);
    });
    topic.ours(format!("{name} rejects a wrong password"), move |context| {
        let hop = hop(context, endpoint, "-q").env("CONNECT_SSH_PASSWORD", WRONG_PASSWORD);
        let out = hop.arg(context.port().to_string()).run();
        let message = out.stderr_text();
        assert!(message.contains(&format!("rejected user \"{USER}\": tried ")), "{out:?}");
        out.expect_code(6).expect_stdout("").expect_stderr_lacks(WRONG_PASSWORD);
    });
    topic.ours(format!("{name} cannot connect to a closed port"), move |context| {
        let port = context.peers.closed_port();
        let out = hop(context, endpoint, &format!("-q {}", key(context))).arg(port.to_string()).run();
        context.expect_failure(&out, 4, &[&format!("could not connect to 127.0.0.1:{port}")]);
    });
}

/// Returns the option for the key that the servers accept.
pub(crate) fn key(context: &Context) -> String {
    format!("-i {}", context.peers.ssh_folder().join("user").display())
}

/// Returns the arguments for a run through an SSH server.
fn args(context: &Context, address: &str, options: &str, user: &str) -> String {
    let known = context.folder.join("known_hosts").display().to_string();
    format!(
        "-x ssh://{user}@{address} --ssh-agent off --ssh-known-hosts {known} --ssh-strict accept-new -R remote {options}"
    )
}

/// Prepares a run through an SSH server to a port of loopback, without the port.
fn hop(context: &Context, endpoint: Endpoint, options: &str) -> Program {
    context.connect(args(context, &context.address(endpoint), options, USER)).arg("127.0.0.1")
}

/// Expects that the server accepts the user by this method.
#[track_caller]
fn logs_in(context: &Context, endpoint: Endpoint, options: &str, password: Option<&str>, method: &str) {
    let hop = hop(context, endpoint, &format!("-d {options}")).arg(context.port().to_string());
    let hop = match password {
        Some(password) => hop.env("CONNECT_SSH_PASSWORD", password),
        None => hop,
    };
    let out = context.expect_banner(hop);
    out.expect_stderr_has(&format!("user {USER} accepted: {method}")).expect_stderr_lacks(PASSWORD);
}

/// Sends and receives this many bytes at the same time.
#[track_caller]
fn transfer(args: impl FnOnce(u16) -> Program, length: u64) {
    let target = ssh_target::exchanging(length);
    let (input, mut writer) = pipe();
    let (mut reader, output) = pipe();
    let mut running = args(target.port).stdin(input).stdout(output).start();
    let sending = thread::spawn(move || {
        // The digest at the target shows that data is missing.
        let _ = io::copy(&mut data(UP, length), &mut writer);
        writer
    });
    let down = ssh_target::sum(&mut reader);
    // Some servers close the whole channel at EOF, so stdin stays open.
    let writer = sending.join();
    let out = running.wait();
    drop(writer);
    out.expect_code(0);
    assert_eq!(down, ssh_target::sum(&mut data(DOWN, length)), "from the target: {out:?}");
    assert_eq!(target.finish(), ssh_target::sum(&mut data(UP, length)), "at the target: {out:?}");
}

/// libssh's sample server closes the channel at EOF, and discards data for which the window is too
/// small. Our window of 2 MiB has room for all of this.
fn sample_server(context: &Context) {
    let server = context.peers.start_sample_server(&context.folder);
    let address = format!("127.0.0.1:{}", server.ports[0]);
    let args = args(context, &address, "", "user");
    let run = |port: u16| {
        context.connect(args).arg("127.0.0.1").arg(port.to_string()).env("CONNECT_SSH_PASSWORD", "pwd")
    };
    transfer(run, MIB);
}
