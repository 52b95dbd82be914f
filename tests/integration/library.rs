//! Tunnels through the library, with hops that no command line can select.

use std::time::Duration;

use connect::net::{Context, TlsCache, Tunnel};
use connect::plan::Plan;
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

/// Connects to the target of the plan.
#[track_caller]
pub(crate) fn open_tunnel(plan: &Plan) -> Tunnel {
    let tls = TlsCache::default();
    let context = Context { client: None, prompt: &Nobody, tls: &tls, gate: None, own: None, progress: &() };
    connect::net::connect(plan, context).unwrap()
}

/// Returns the first bytes from the tunnel.
#[track_caller]
pub(crate) fn first_bytes(tunnel: &mut Tunnel) -> Vec<u8> {
    let (mut bytes, limit) = (vec![0; 16], Duration::from_secs(10));
    let count = connect::stream::read_within(&mut *tunnel.stream, &mut bytes, limit).unwrap().unwrap();
    bytes.truncate(count);
    bytes
}
