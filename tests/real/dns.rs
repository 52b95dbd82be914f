//! `-R` with the address of a name server: dnsmasq, which knows the names under `real.test`.

use std::path::Path;

use rustix::process::Signal;

use crate::context::{Case, Context, Topic, program};
use crate::kit::Program;
use crate::peers::is_root;
use crate::servers::{DNSMASQ, SSH_D, Server};

pub(crate) fn cases() -> Vec<Case> {
    // The C program accepts the address of a name server but still queries the system's name
    // server, so these cases do not apply to it.
    let mut topic = Topic::new("dns");
    topic.ours("both record types are queried", |context| {
        resolves_itself(context, &context.address(DNSMASQ), "ipv4");
    });
    topic.ipv6("a name server with an IPv6 address works", |context| {
        resolves_itself(context, &format!("[::1]:{}", context.peers.port(DNSMASQ)), "ipv6");
    });
    topic.ipv6("a target that has only an IPv6 address works", |context| {
        context.expect_banner(asking(context, "", "six.real.test"));
    });
    for version in ["5", "4"] {
        topic.ours(format!("a SOCKS{version} proxy gets the address"), move |context| {
            let options = format!("-{version} -S {}", context.address(SSH_D));
            context.expect_banner(asking(context, &options, "host.real.test"));
            let port = context.port();
            let request = format!("dynamic request: socks{version} host 127.0.0.1 port {port}");
            context.expect_log(Server::SshD, &[&request]);
        });
    }
    topic.ours("ssh runs a command", |context| {
        let connect = format!("{} -R {} %h %p", context.peers.connect.display(), context.address(DNSMASQ));
        let ssh = program("ssh", context.ssh_options(&connect)).arg("-o").arg("HostName=host.real.test");
        ssh.arg("target").arg("echo hi").run().expect_success().expect_stdout("hi\n");
    });
    // 61 addresses do not fit into a UDP answer of 512 bytes. The session is established only if
    // the one that sshd listens on is among the first 16, because dnsmasq rotates the answer.
    topic.ours("a large answer is fetched by TCP", |context| {
        let out = asking(context, "-d", "many.real.test").run();
        out.expect_stderr_has("trying TCP").expect_stderr_has("many.real.test has 45 more addresses");
        let text = out.stderr_text();
        assert_eq!(text.lines().filter(|line| line.contains("DEBUG: resolved: ")).count(), 16, "{out:?}");
    });
    topic.ours("an alias is followed", |context| {
        context.expect_banner(asking(context, "", "alias.real.test"));
    });
    topic.ours("the search list is used", |context| {
        let text = "search elsewhere.test real.test\nnameserver 127.0.0.99\n";
        let config = context.file("resolv.conf", text);
        let args = format!("-R {} search {}", context.address(DNSMASQ), context.port());
        context.expect_banner(with_file(context, &config, "/etc/resolv.conf", &args));
        for domain in ["elsewhere.test", "real.test"] {
            context.expect_log(Server::Dnsmasq, &[&format!("query[A] search.{domain} from ")]);
        }
    });
    topic.ours("the hosts file is not used", |context| {
        let hosts = context.file("hosts", "127.0.0.1 listed.real.test\n");
        // Without -R, the name resolves, which proves that the hosts file is in effect.
        let args = format!("listed.real.test {}", context.port());
        context.expect_banner(with_file(context, &hosts, "/etc/hosts", &args));
        let args = format!("-R {} listed.real.test. {}", context.address(DNSMASQ), context.port());
        let out = with_file(context, &hosts, "/etc/hosts", &args).run();
        context.expect_failure(&out, 3, &["no such"]);
    });
    for (name, host, cause) in [
        ("a name that does not exist is reported", "no-such-host.real.test", "no such"),
        ("a refused query is reported", "host.elsewhere.test", "REFUSED"),
        ("a name without an address is reported", "only-text.real.test", "no address"),
    ] {
        topic.ours(name, move |context| {
            let out = asking(context, "", host).run();
            let (target, server) = (format!("{host}:{}", context.port()), context.address(DNSMASQ));
            context.expect_failure(&out, 3, &[&target, &format!("name server {server}"), cause]);
        });
    }
    topic.ours("a silent name server is a timeout", |context| {
        let daemon = context.peers.start_dnsmasq("dnsmasq-silent").unwrap();
        let server = format!("127.0.0.1:{}", daemon.ports[0]);
        daemon.signal(Signal::STOP);
        let out = context.connect(format!("-w 1 -R {server} host.real.test {}", context.port())).run();
        daemon.signal(Signal::CONT);
        context.expect_failure(&out, 7, &["timed out after 1 second", &format!("name server {server}")]);
    });
    topic.ours("a port where no name server listens is reported", |context| {
        let server = format!("127.0.0.1:{}", context.peers.closed_port());
        let out = context.connect(format!("-R {server} host.real.test {}", context.port())).run();
        context.expect_failure(&out, 3, &[&format!("name server {server}"), "refused"]);
    });
    topic.into_cases()
}

/// Prepares a run of the program in which it resolves `host` through dnsmasq.
fn asking(context: &Context, options: &str, host: &str) -> Program {
    let server = context.address(DNSMASQ);
    context.connect(format!("{options} -R {server} {host} {}", context.port()))
}

fn resolves_itself(context: &Context, server: &str, label: &str) {
    let host = format!("{label}.real.test");
    context.expect_banner(context.connect(format!("-R {server} {host} {}", context.port())));
    for kind in ["A", "AAAA"] {
        context.expect_log(Server::Dnsmasq, &[&format!("query[{kind}] {host} from ")]);
    }
}

/// Prepares a run of the program in a mount namespace where `file` replaces `place`, a file in
/// `/etc`.
fn with_file(context: &Context, file: &Path, place: &str, args: &str) -> Program {
    let unshare: &[&str] = if is_root() { &["--mount"] } else { &["--map-root-user", "--mount"] };
    let script = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
    let shell = program("unshare", unshare).arg("sh").arg("-c").arg(script).arg("sh").arg(file).arg(place);
    args.split_whitespace().fold(shell.arg(&context.peers.connect), Program::arg)
}
