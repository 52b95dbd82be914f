//! A real ssh-agent, used through a hub and UNIX-domain sockets.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::context::{Case, Context, Topic, program};
use crate::daemon::Daemon;
use crate::kit::{Program, Running};
use crate::peers::run;
use crate::servers::Server;
use crate::token_hub::{Hub, wait_for_socket};

/// Clients of the agent at once.
const AGENT_CLIENTS: usize = 32;

/// The addresses of the hub's machine and of the container.
const HUB_ADDRESS: &str = "10.77.0.1";
const CONTAINER_ADDRESS: &str = "10.77.0.2";

/// Time limit for the hub's origin and client to run.
const LIMIT: Duration = Duration::from_secs(600);

/// The protocol between the two ends.
#[derive(Clone, Copy)]
enum Ends {
    /// The hub sees all bytes.
    Plain,
    /// The ends have a key.
    Encrypted,
}

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("agents");
    for (ends, name) in [(Ends::Plain, "ws"), (Ends::Encrypted, "relay+ws with a key")] {
        topic.ours(
            format!("{name}: {AGENT_CLIENTS} clients at once use an agent through a hub"),
            move |context| {
                agent(context, ends, None);
            },
        );
    }
    topic.ours("relay+ws with a key: a container that sees only the hub uses the agent", |context| {
        agent(context, Ends::Encrypted, Some(&Container::start(context)));
    });
    topic.into_cases()
}

/// A network namespace whose only link leads to the hub.
struct Container {
    /// A process that keeps the namespace.
    process: Daemon,
    pid: String,
}

impl Container {
    fn start(context: &Context) -> Self {
        let command = context.peers.command("unshare", &["--net", "sleep", "infinity"]);
        let process =
            Daemon::spawn("container", command, &context.folder.join("container"), Vec::new()).unwrap();
        let pid = process.pid().to_string();
        let container = Self { process, pid };
        // The namespace exists once it differs from this one.
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        while namespace(&container.pid) == namespace("self") {
            assert!(!container.process.has_exited(), "unshare failed");
            sleep(Duration::from_millis(10));
        }
        let ip = |args: &str| run(context.peers.command("ip", &[]).args(args.split(' '))).unwrap();
        ip(&format!("link add hub type veth peer name eth0 netns {}", container.pid));
        ip(&format!("addr add {HUB_ADDRESS}/30 dev hub"));
        ip("link set hub up");
        let inside = |args: &str| run(container.command(context, "ip").args(args.split(' '))).unwrap();
        inside(&format!("addr add {CONTAINER_ADDRESS}/30 dev eth0"));
        inside("link set eth0 up");
        inside("link set lo up");
        container
    }

    /// Returns a command in the container.
    fn command(&self, context: &Context, program: &str) -> Command {
        context.peers.command("nsenter", &[&format!("--net=/proc/{}/ns/net", self.pid), program])
    }

    fn program(&self, inner: &str) -> Program {
        program("nsenter", [format!("--net=/proc/{}/ns/net", self.pid)]).arg(inner)
    }
}

/// A real agent is offered through the hub, and used through a socket elsewhere.
fn agent(context: &Context, ends: Ends, container: Option<&Container>) {
    let [agent, socket] = ["agent", "forwarded"].map(|name| context.folder.join(name));
    let _agent = start_agent(context, &agent);
    let address = if container.is_some() { HUB_ADDRESS } else { "127.0.0.1" };
    let hub = Hub::open_at(context, address);
    let session = format!("{address}:{}/agent", hub.port);
    let (offer, use_it) = match ends {
        Ends::Plain => {
            ("--plain".to_owned(), format!("-x ws://{}", session.replace("/agent", "/v1/agent/dest")))
        }
        Ends::Encrypted => {
            let key = format!("--key-file {}", mint_key(context));
            (key.clone(), format!("-x relay+ws://{session} {key}"))
        }
    };
    let origin = context.connect(format!("--origin relay+ws://{session} {offer} unix:{}", agent.display()));
    let origin = origin.limit(LIMIT).start();
    origin.wait_stdout_has("SOCKET_ID");
    let inside = |name: &Path| match container {
        Some(container) => container.program(&name.display().to_string()),
        None => Program::new(name),
    };
    let client = inside(&context.peers.connect).args(format!("{use_it} --listen unix:{}", socket.display()));
    let client = client.limit(LIMIT).start();
    wait_for_socket(&client, &socket);
    if container.is_some() {
        let sshd = inside(&context.peers.connect).args(format!("127.0.0.1 {}", context.port())).run();
        sshd.expect_code(4);
    }

    let list = || inside(Path::new("/usr/bin/ssh-add")).arg("-l").env("SSH_AUTH_SOCK", &socket).start();
    let lists: Vec<Running> = (0..AGENT_CLIENTS).map(|_| list()).collect();
    for list in lists {
        let out = list.finish();
        assert!(out.expect_success().stdout_text().contains("(ED25519)"), "{out:?}");
    }
    // sshd accepts the agent's key.
    let options = context.ssh_options("none");
    let login = program("ssh", options).arg("-oIdentitiesOnly=no").arg("-oIdentityFile=none");
    let login =
        login.arg(format!("-oIdentityAgent={}", socket.display())).arg("-T").arg("target").arg("echo in");
    login.run().expect_success().expect_stdout("in\n");
}

/// Starts an agent with the key that sshd accepts.
fn start_agent(context: &Context, socket: &Path) -> Daemon {
    context.peers.daemon(Server::Sshd);
    let mut command = context.peers.command("ssh-agent", &["-D", "-a"]);
    command.arg(socket);
    let agent = Daemon::spawn("ssh-agent", command, &context.folder.join("agent.log"), Vec::new()).unwrap();
    while !socket.exists() {
        assert!(!agent.has_exited(), "ssh-agent did not start");
        sleep(Duration::from_millis(10));
    }
    let mut add = context.peers.command("ssh-add", &["-q"]);
    run(add.arg(context.peers.work.join("sshd/user")).env("SSH_AUTH_SOCK", socket)).unwrap();
    agent
}

/// Creates a key for both ends, and returns its file.
fn mint_key(context: &Context) -> String {
    let minted = context.connect("--mint-key").run();
    let key = context.file("agent.key", &minted.expect_success().stdout);
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    key.display().to_string()
}
