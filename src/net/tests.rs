#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::addr::Host;
use crate::hops::http;
use crate::plan::{Hop, Local, Login, RelaySettings, SocketSettings};
use crate::proto::Redactor;
use crate::secret::AskPassword;
use crate::secret::Secret;

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

/// Returns a plan that uses the HTTP proxy on this listener and has no time limits.
fn plan_through(proxy: &TcpListener) -> Plan {
    let address = proxy.local_addr().unwrap();
    let login = Login { user: Some("me".into()), password: Some("secret".into()), ..Login::default() };
    let hop = Hop {
        proxy: Target::Tcp(Endpoint {
            host: Host::Ip(address.ip()),
            port: address.port().try_into().unwrap(),
        }),
        protocol: Arc::new(http::Proxy { login, ..http::Proxy::default() }),
        tls: None,
    };
    Plan {
        local: Local::Stdio,
        target: Target::Tcp(Endpoint {
            host: Host::parse("host.example").unwrap(),
            port: 22.try_into().unwrap(),
        }),
        routes: vec![Route { hops: vec![hop], ..Route::default() }],
        askpass: None,
        limits: Limits::default(),
        shows_status: false,
        eager: false,
        proxy_protocol: None,
        target_tls: None,
        sockets: SocketSettings::default(),
        relay: RelaySettings::default(),
    }
}

/// Each connection to the proxy used to get its own limit of 30 seconds.
#[test]
fn the_limit_of_a_proxy_does_not_start_again_with_each_connection_that_it_requests() {
    let pause = Duration::from_millis(50);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let plan = plan_through(&listener);
    let proxy = thread::spawn(move || {
        let challenge = "HTTP/1.1 407 No\r\nConnection: close\r\nContent-Length: 0\r\n\
            Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n\r\n";
        for answer in [challenge, "HTTP/1.1 200 OK\r\n\r\n"] {
            let (mut client, _) = listener.accept().unwrap();
            while client.read(&mut [0; 4096]).unwrap() == 4096 {}
            thread::sleep(pause);
            client.write_all(answer.as_bytes()).unwrap();
        }
    });
    let Target::Tcp(target) = &plan.target else { unreachable!() };
    let shared = Arc::new(Shared::new(Box::new(Nobody)));
    let setup = Setup {
        shows_status: false,
        sockets: &plan.sockets,
        eager: false,
        limits: plan.limits,
        binding: &Binding::ANY,
        redactor: &Redactor::default(),
        context: Context { client: None, shared: &shared, forward: None, progress: &() },
        shares_tunnels: false,
    };
    let mut deadline = Deadline::start(None);
    let mut hops = prepare_hops(&plan.routes[0].hops, 1, (target.clone(), None), &setup, &deadline).unwrap();
    let proxy_peer = hops[0].peer.clone();
    connect_hops(&mut hops, &proxy_peer, None, &setup, &mut deadline).unwrap();
    assert!(hops[0].spent >= pause * 2, "{:?}", hops[0].spent);
    let left = hops[0].deadline(&deadline).left();
    assert!(left.is_some_and(|left| left + pause * 2 <= Limits::HANDSHAKE_TIMEOUT), "{left:?}");
    proxy.join().unwrap();
}
