//! Measures tunnels that need a server of the same kind: WebSocket, POST, relay hub and SSH. Each
//! participant is a client between pipes, and the servers that lead to the target.

mod bulk;
mod ends;
mod hub;
mod memory;
mod pairs;
mod participants;
mod ping_pong;
mod processes;
mod slow_link;
mod ssh;
mod start;
mod tunnel;

use crate::competitors::Competitor;
use crate::experiment::Experiment;
use crate::options::{Options, TunnelKind};

/// Returns the names of other programs that `--only` accepts.
pub(crate) fn peer_names() -> impl Iterator<Item = &'static str> {
    participants::PEERS.into_iter()
}

/// The keys of the experiments of a kind.
struct Keys {
    down: &'static str,
    up: &'static str,
    ping_pong: &'static str,
    start: &'static str,
    memory: &'static str,
}

const WEBSOCKET: Keys =
    Keys { down: "ws_down", up: "ws_up", ping_pong: "ws_pingpong", start: "ws_start", memory: "ws_memory" };

const POST: Keys = Keys {
    down: "post_down",
    up: "post_up",
    ping_pong: "post_pingpong",
    start: "post_start",
    memory: "post_memory",
};

const HUB: Keys = Keys {
    down: "hub_down",
    up: "hub_up",
    ping_pong: "hub_pingpong",
    start: "hub_start",
    memory: "hub_memory",
};

const SSH: Keys = Keys {
    down: "ssh_down",
    up: "ssh_up",
    ping_pong: "ssh_pingpong",
    start: "ssh_start",
    memory: "ssh_memory",
};

/// Runs all experiments with tunnels of this kind.
pub(crate) fn experiments(
    kind: TunnelKind,
    options: &Options,
    competitors: &[Competitor],
    mut add: impl FnMut(Experiment),
) {
    let tunnels = participants::find(kind, options, competitors);
    let keys = match kind {
        TunnelKind::WebSocket => WEBSOCKET,
        TunnelKind::Post => POST,
        TunnelKind::Hub => HUB,
        TunnelKind::Ssh => SSH,
    };
    add(bulk::experiment(keys.down, bulk::Direction::Down, options, &tunnels));
    add(bulk::experiment(keys.up, bulk::Direction::Up, options, &tunnels));
    add(ping_pong::experiment(keys.ping_pong, options, &tunnels));
    if kind == TunnelKind::Ssh {
        let [near, far] = ["{a}", "{slow}"].map(|entry| ssh::for_start(options, competitors, entry));
        add(start::experiment(keys.start, options, near.iter()));
        add(start::experiment("ssh_start_at_100_ms", options, far.iter()));
        return;
    }
    let socks5 = participants::socks5(competitors);
    add(start::experiment(keys.start, options, tunnels.iter().chain(&socks5)));
    add(memory::experiment(keys.memory, options, &tunnels));
    if kind == TunnelKind::Hub {
        pairs::experiments(options, competitors, add);
    }
}
