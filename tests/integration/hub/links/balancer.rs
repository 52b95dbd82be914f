//! A TCP proxy between a client and a hub, which simulates an unreliable network: it cuts
//! connections, and can switch to another hub.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::kit::stream::Random;

/// The proxy.
#[derive(Clone)]
pub(super) struct Balancer {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: Mutex<SocketAddr>,
    accepted: AtomicUsize,
    /// Everything that has passed, in both directions.
    seen: Mutex<Vec<u8>>,
    /// Cuts each direction after a random number of bytes, up to about twice this number.
    cut_after: Option<usize>,
}

impl Balancer {
    /// Starts a proxy to this address.
    pub(super) fn start(target: SocketAddr) -> Self {
        Self::with(target, None)
    }

    /// Starts a proxy that cuts each connection after `bytes` bytes, more or less.
    pub(super) fn cutting(target: SocketAddr, bytes: usize) -> Self {
        Self::with(target, Some(bytes))
    }

    fn with(target: SocketAddr, cut_after: Option<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            accepted: AtomicUsize::new(0),
            seen: Mutex::default(),
            cut_after,
        });
        let balancer = Self { address: listener.local_addr().unwrap(), shared };
        let accepting = balancer.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                accepting.accept(&client.unwrap());
            }
        });
        balancer
    }

    fn accept(&self, client: &TcpStream) {
        let number = self.shared.accepted.fetch_add(1, Ordering::SeqCst);
        let target = *self.shared.target.lock().unwrap();
        // Nothing listens there at the moment, so the client is disconnected.
        let Ok(server) = TcpStream::connect(target) else { return };
        for (index, (from, to)) in
            [(client, &server), (&server, client)].map(clone_both).into_iter().enumerate()
        {
            let shared = Arc::clone(&self.shared);
            let seed = (2 * number + index) as u64;
            std::thread::spawn(move || shared.copy(&from, &to, seed));
        }
    }

    /// Forwards further connections to another address.
    pub(super) fn lead_to(&self, target: SocketAddr) {
        *self.shared.target.lock().unwrap() = target;
    }

    /// Returns the number of connections so far.
    pub(super) fn count(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Returns `true` if these bytes have passed.
    pub(super) fn has_seen(&self, bytes: &[u8]) -> bool {
        self.shared.seen.lock().unwrap().windows(bytes.len()).any(|window| window == bytes)
    }
}

fn clone_both((from, to): (&TcpStream, &TcpStream)) -> (TcpStream, TcpStream) {
    (from.try_clone().unwrap(), to.try_clone().unwrap())
}

impl Shared {
    fn copy(&self, mut from: &TcpStream, mut to: &TcpStream, seed: u64) {
        let limit = self.cut_after.map(|bytes| Random::new(seed).below(2 * bytes as u64));
        let (mut buffer, mut count) = (vec![0; 16 * 1024], 0);
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            count += length as u64;
            if self.cut_after.is_none() {
                self.seen.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
            // The head of the request must pass, or the first attempt fails.
            let cuts = limit.is_some_and(|limit| count > limit.max(2000));
            let length = if cuts { length / 2 } else { length };
            if to.write_all(&buffer[..length]).is_err() || cuts {
                break;
            }
        }
        for end in [from, to] {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}
