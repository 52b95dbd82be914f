//! The tunnels that are compared, and their command lines.

use super::tunnel::{Command, Tunnel, find_peer, websocat, websocat_client, websocat_server};
use super::{hub, ssh};
use crate::competitors::{BASELINE, Competitor, OURS, Tool};
use crate::options::{Options, TunnelKind};

/// Names of the participants that serve as references for the others.
pub(super) const REFERENCES: &[&str] = &[BASELINE, OURS];

/// The names of other programs that `--only` accepts.
pub(super) const PEERS: [&str; 6] = ["bore", "httptunnel", "nginx", "ssh", "websocat", "websockify"];

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
            TunnelKind::Ssh => ssh::ours(ours),
        });
    }
    tunnels.extend(match kind {
        TunnelKind::WebSocket => websocat(options).map(|program| {
            Tunnel::new("websocat", vec![websocat_server(&program)], websocat_client(&program))
        }),
        TunnelKind::Post => httptunnel(options),
        TunnelKind::Hub | TunnelKind::Ssh => None,
    });
    tunnels.extend(match kind {
        TunnelKind::Hub => hub::others(options, competitors),
        TunnelKind::Ssh => ssh::others(options),
        TunnelKind::WebSocket | TunnelKind::Post => Vec::new(),
    });
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

/// Returns nginx's configuration with its ports.
pub(super) fn nginx_config(ports: [u16; 2]) -> String {
    NGINX.replace("{a}", &ports[0].to_string()).replace("{b}", &ports[1].to_string())
}
