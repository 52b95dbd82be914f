//! The tunnels that are compared, and their command lines.

use std::path::{Path, PathBuf};

use super::hub;
use crate::competitors::{BASELINE, Competitor, OURS, Tool, in_path};
use crate::options::{Options, TunnelKind, scratch_directory};

/// Names of the participants that serve as references for the others.
pub(super) const REFERENCES: &[&str] = &[BASELINE, OURS];

/// The names of other programs that `--only` accepts.
pub(super) const PEERS: [&str; 6] = ["bore", "httptunnel", "nginx", "ssh", "websocat", "websockify"];

/// A client, and the servers that lead from it to the target.
pub(crate) struct Tunnel {
    pub(crate) name: String,
    pub(crate) client: Command,
    /// In the order in which they start.
    pub(crate) servers: Vec<Command>,
    /// The port to which the client connects.
    pub(crate) entry: Port,
}

/// A port of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    A,
    B,
    /// A port that cannot be selected.
    Fixed(u16),
}

/// A command. In its arguments, `{a}` and `{b}` stand for the ports of the servers, and `{target}`
/// for the target's port on 127.0.0.1.
pub(crate) struct Command {
    pub(crate) program: PathBuf,
    pub(crate) args: String,
    pub(crate) variable: Option<(String, String)>,
    /// Starts once a server listens on this port.
    pub(crate) after: Option<Port>,
}

/// The web server between the client and the SCGI listener.
const NGINX: &str = "daemon off;
error_log /dev/null;
events {}
http {
    access_log off;
    server {
        listen 127.0.0.1:{a};
        location / {
            include /etc/nginx/scgi_params;
            scgi_pass 127.0.0.1:{b};
            client_body_buffer_size 1m;
        }
    }
}
";

/// The path at which tests/web/run installs websocat, relative to Cargo's target directory.
const WEBSOCAT: &str = "websocat-1.13.0/bin/websocat";

impl Command {
    pub(super) fn new(program: &Path, args: &str) -> Self {
        Self { program: program.to_owned(), args: args.to_owned(), variable: None, after: None }
    }

    pub(super) fn after(self, port: Port) -> Self {
        Self { after: Some(port), ..self }
    }

    pub(super) fn ours(competitor: &Competitor, args: &str) -> Self {
        Self { variable: competitor.variable.clone(), ..Self::new(&competitor.program, args) }
    }
}

impl Tunnel {
    pub(super) fn new(name: &str, servers: Vec<Command>, client: Command) -> Self {
        Self { name: name.to_owned(), client, servers, entry: Port::A }
    }
}

/// Returns the tunnels of this kind, and prints the names of programs that are not installed.
pub(super) fn find(kind: TunnelKind, options: &Options, competitors: &[Competitor]) -> Vec<Tunnel> {
    let baseline = competitors.iter().filter(|one| one.name == BASELINE);
    let mut tunnels: Vec<_> = baseline
        .map(|one| Tunnel::new(BASELINE, Vec::new(), Command::ours(one, "splice 127.0.0.1 {target}")))
        .collect();
    for ours in competitors.iter().filter(|one| one.tool == Tool::Ours) {
        tunnels.extend(match kind {
            TunnelKind::WebSocket => websocket(ours, options),
            TunnelKind::Post => post(ours, options),
            TunnelKind::Hub => hub::ours(ours),
        });
    }
    tunnels.extend(match kind {
        TunnelKind::WebSocket => websocat(options).map(|program| {
            Tunnel::new("websocat", vec![websocat_server(&program)], websocat_client(&program))
        }),
        TunnelKind::Post => httptunnel(options),
        TunnelKind::Hub => None,
    });
    if kind == TunnelKind::Hub {
        tunnels.extend(hub::others(options, competitors));
    }
    tunnels
}

/// Returns a tunnel through a SOCKS5 proxy, to which the start of the others is compared.
pub(super) fn socks5(competitors: &[Competitor]) -> Vec<Tunnel> {
    let ours = competitors.iter().filter(|one| one.tool == Tool::Ours);
    ours.map(|ours| {
        let server = Command::ours(ours, "--listen socks5://127.0.0.1:{a}");
        let client = Command::ours(ours, "-S 127.0.0.1:{a} 127.0.0.1 {target}");
        Tunnel::new(&format!("{}, SOCKS5", ours.name), vec![server], client)
    })
    .collect()
}

fn websocket(ours: &Competitor, options: &Options) -> Vec<Tunnel> {
    let name = &ours.name;
    let server = || Command::ours(ours, "--listen ws://127.0.0.1:{a}/ --open 127.0.0.1 {target}");
    let client = |url: &str| Command::ours(ours, &format!("-x {url}"));
    let mut tunnels = vec![Tunnel::new(name, vec![server()], client("ws://127.0.0.1:{a}/"))];
    if let Some(websocat) = websocat(options) {
        let (to, from) = (format!("{name} to websocat"), format!("websocat to {name}"));
        let url = "ws://127.0.0.1:{a}/#eof=close";
        tunnels.push(Tunnel::new(&to, vec![websocat_server(&websocat)], client(url)));
        tunnels.push(Tunnel::new(&from, vec![server()], websocat_client(&websocat)));
    }
    if let Some(websockify) = find_peer("websockify", "websockify", options) {
        let server = Command::new(&websockify, "127.0.0.1:{a} 127.0.0.1:{target}");
        tunnels.push(Tunnel::new(
            &format!("{name} to websockify"),
            vec![server],
            client("ws://127.0.0.1:{a}/"),
        ));
    }
    tunnels
}

fn post(ours: &Competitor, options: &Options) -> Vec<Tunnel> {
    let listener = |url: &str| Command::ours(ours, &format!("--listen {url} --open 127.0.0.1 {{target}}"));
    let client = || Command::ours(ours, "-x post+http://127.0.0.1:{a}/");
    let mut tunnels = vec![Tunnel::new(&ours.name, vec![listener("post+http://127.0.0.1:{a}/")], client())];
    if let Some(nginx) = find_peer("nginx", "nginx", options) {
        let nginx = Command::new(&nginx, "-c {nginx}");
        let servers = vec![listener("scgi://127.0.0.1:{b}/"), nginx];
        tunnels.push(Tunnel::new(&format!("{}, nginx", ours.name), servers, client()));
    }
    tunnels
}

fn httptunnel(options: &Options) -> Option<Tunnel> {
    let (client, server) =
        (find_peer("httptunnel", "htc", options)?, find_peer("httptunnel", "hts", options)?);
    let server = Command::new(&server, "-w -F 127.0.0.1:{target} 127.0.0.1:{a}");
    Some(Tunnel::new("httptunnel", vec![server], Command::new(&client, "-w -s 127.0.0.1:{a}")))
}

pub(super) fn websocat_server(program: &Path) -> Command {
    Command::new(program, "--binary ws-l:127.0.0.1:{a} tcp:127.0.0.1:{target}")
}

pub(super) fn websocat_client(program: &Path) -> Command {
    Command::new(program, "--binary ws://127.0.0.1:{a}/")
}

pub(super) fn websocat(options: &Options) -> Option<PathBuf> {
    let installed = scratch_directory().with_file_name(WEBSOCAT);
    if is_selected("websocat", options) && installed.is_file() {
        return Some(installed);
    }
    find_peer("websocat", "websocat", options)
}

/// Returns the path of a peer's program. `None` if `--only` leaves the peer out, or if the program
/// is not installed.
pub(super) fn find_peer(peer: &str, program: &str, options: &Options) -> Option<PathBuf> {
    if !is_selected(peer, options) {
        return None;
    }
    let found = in_path(program);
    if found.is_none() {
        println!("{program}: not installed");
    }
    found
}

pub(super) fn is_selected(peer: &str, options: &Options) -> bool {
    options.only.is_empty() || options.only.iter().any(|only| only == peer)
}

/// Returns nginx's configuration with its ports.
pub(super) fn nginx_config(ports: [u16; 2]) -> String {
    NGINX.replace("{a}", &ports[0].to_string()).replace("{b}", &ports[1].to_string())
}
