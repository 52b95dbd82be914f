//! Tunnels through the library, with hops that no command line can select.

use std::sync::Arc;
use std::time::Duration;

use connect::addr::{Endpoint, Host, parse_port};
use connect::net::{Context, Shared, Tunnel};
use connect::plan::{Hop, Limits, Local, Plan, RelaySettings, Route, SocketSettings, Target};
use connect::secret::{AskPassword, Secret};

/// A user who cannot be prompted.
struct Nobody;

impl AskPassword for Nobody {
    fn can_be_asked(&self) -> bool {
        false
    }

    fn ask(&self, _: &str) -> Result<Secret, String> {
        Err("nobody".into())
    }

    fn run(&self, _: &str, _: &str) -> Result<Secret, String> {
        Err("nobody".into())
    }
}

/// Returns a plan with one route, which leads to `host.example:22` through these hops.
pub(crate) fn plan_through(hops: Vec<Hop>) -> Plan {
    Plan {
        local: Local::Stdio,
        target: endpoint("host.example", "22"),
        routes: vec![Route { hops, ..Route::default() }],
        askpass: None,
        limits: Limits::Total(Duration::from_secs(10)),
        shows_status: false,
        eager: false,
        proxy_protocol: None,
        target_tls: None,
        sockets: SocketSettings::default(),
        relay: RelaySettings::default(),
    }
}

pub(crate) fn endpoint(host: &str, port: &str) -> Target {
    Target::Tcp(Endpoint { host: Host::parse(host).unwrap(), port: parse_port(port).unwrap() })
}

/// Connects to the target of the plan.
#[track_caller]
pub(crate) fn open_tunnel(plan: &Plan) -> Tunnel {
    let prompt = Box::new(Nobody);
    let shared = Arc::new(Shared::new(prompt).remembering_logins());
    connect::net::connect(plan, Context { client: None, shared: &shared, forward: None, progress: &() })
        .unwrap()
}

/// Returns the first bytes from the tunnel.
#[track_caller]
pub(crate) fn first_bytes(tunnel: &mut Tunnel) -> Vec<u8> {
    let (mut bytes, limit) = (vec![0; 16], Duration::from_secs(10));
    let count = connect::stream::read_within(&mut *tunnel.stream, &mut bytes, limit).unwrap().unwrap();
    bytes.truncate(count);
    bytes
}
