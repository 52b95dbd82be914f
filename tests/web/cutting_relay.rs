//! A TCP relay that cuts each of its connections after some time.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, sleep};
use std::time::Duration;

/// The relay forwards a chunk of at most this size, and then pauses, so that a transfer lasts for
/// several connections.
const CHUNK: usize = 64 * 1024;
const CHUNK_PAUSE: Duration = Duration::from_millis(3);

/// A relay to one port.
pub(crate) struct CuttingRelay {
    pub(crate) port: u16,
    cuts: Arc<AtomicUsize>,
}

impl CuttingRelay {
    /// Starts a relay to the server at this port, which cuts each connection this time after the
    /// first bytes from the server.
    pub(crate) fn start(server: u16, lifetime: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&cuts);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // The server may be down. The client then sees a closed connection.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    relay(client, server, lifetime, &counter);
                }
            }
        });
        Self { port, cuts }
    }

    /// Returns the number of connections that were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

fn relay(client: TcpStream, server: TcpStream, lifetime: Duration, cuts: &Arc<AtomicUsize>) {
    let (answer, answered) = channel();
    for (from, to, answer) in [(&client, &server, None), (&server, &client, Some(answer))] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        thread::spawn(move || forward(from, to, answer));
    }
    let cuts = Arc::clone(cuts);
    thread::spawn(move || {
        // A request that is cut before its answer would be an error.
        let _ = answered.recv();
        sleep(lifetime);
        // A connection that has ended is not connected.
        if [client, server].iter().all(|socket| socket.shutdown(Shutdown::Both).is_ok()) {
            cuts.fetch_add(1, Ordering::Relaxed);
        }
    });
}

fn forward(mut from: TcpStream, mut to: TcpStream, mut answer: Option<Sender<()>>) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        if to.write_all(&chunk[..length]).is_err() {
            break;
        }
        // Dropping the sender starts the time.
        drop(answer.take());
        sleep(CHUNK_PAUSE);
    }
    let _ = to.shutdown(Shutdown::Write);
}
