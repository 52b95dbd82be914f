//! The remote ends: a target, and a SOCKS5 proxy that acts as the target after the handshake.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::kit::exchange::{Channel, Ending, HalfClose, Job, exchange};
use crate::kit::stream::Random;
use crate::kit::{SOCKS5_GRANTED, proxy, reset_on_close};
use crate::scenario::{Interruption, Session};

/// Timeout for a client that sends nothing after it connects, and for a session that makes no
/// progress.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Stack size of each thread: small, because there are many threads.
const STACK_SIZE: usize = 512 * 1024;

/// The maximum number of failures to print.
const MAX_PRINTED: u64 = 20;

/// The combined results from all threads.
#[derive(Default)]
pub(crate) struct Results {
    /// The sessions whose data has arrived completely at the target.
    complete: Mutex<HashSet<u64>>,
    changed: Condvar,
    pub(crate) failures: AtomicU64,
    /// The number of sessions that the proxy refused.
    pub(crate) refused: AtomicU64,
    /// The number of bytes received and compared.
    pub(crate) bytes: AtomicU64,
}

impl Results {
    /// Counts a failure. Prints the first [`MAX_PRINTED`] at once, because the run may last another
    /// hour.
    pub(crate) fn fail(&self, what: &str) {
        if self.failures.fetch_add(1, Ordering::SeqCst) < MAX_PRINTED {
            println!("FAILED: {what}");
        }
    }

    /// Waits until all data of a session has arrived at the target. Returns `false` on a timeout.
    pub(crate) fn await_complete(&self, id: u64) -> bool {
        let complete = self.complete.lock().unwrap();
        let (mut complete, _) =
            self.changed.wait_timeout_while(complete, IDLE_TIMEOUT, |all| !all.contains(&id)).unwrap();
        complete.remove(&id)
    }
}

/// The addresses of the remote ends.
#[derive(Clone, Copy)]
pub(crate) struct Peers {
    pub(crate) target: SocketAddr,
    pub(crate) proxy: SocketAddr,
}

impl Peers {
    /// Starts the target and the proxy.
    pub(crate) fn start(results: &Arc<Results>, seed: u64) -> io::Result<Self> {
        let start = |serve: fn(TcpStream, u64, &Results) -> io::Result<()>| {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let address = listener.local_addr()?;
            let results = Arc::clone(results);
            thread::spawn(move || accept(&listener, seed, &results, serve));
            Ok::<_, io::Error>(address)
        };
        Ok(Self {
            target: start(|stream, _, results| serve_target(stream, results))?,
            proxy: start(serve_proxy)?,
        })
    }
}

fn accept(
    listener: &TcpListener,
    seed: u64,
    results: &Arc<Results>,
    serve: fn(TcpStream, u64, &Results) -> io::Result<()>,
) {
    for number in 0.. {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                results.fail(&format!("a peer cannot accept: {error}"));
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let (seed, results) = (seed ^ number, Arc::clone(results));
        // Ignore errors: a client that disconnects before its header is complete has sent no data
        // that could be lost.
        let thread = thread::Builder::new().stack_size(STACK_SIZE);
        thread.spawn(move || serve(stream, seed, &results)).expect("a thread for a connection");
    }
}

/// Serves a client as a SOCKS5 proxy without authentication. Occasionally refuses the request or
/// disconnects.
fn serve_proxy(mut stream: TcpStream, seed: u64, results: &Results) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    proxy::read_greeting(&mut stream)?;
    let mut random = Random::new(seed);
    let refuses = random.percent(3);
    if refuses {
        results.refused.fetch_add(1, Ordering::SeqCst);
        match random.below(4) {
            0 => return Ok(()),
            1 => return reset_on_close(&stream),
            _ => {}
        }
    }
    stream.write_all(&[5, proxy::NO_AUTHENTICATION])?;
    proxy::read_socks5_request(&mut stream)?;
    if refuses {
        return stream.write_all(&proxy::socks5_code(2));
    }
    stream.write_all(&SOCKS5_GRANTED)?;
    serve_target(stream, results)
}

fn serve_target(mut stream: TcpStream, results: &Results) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    let mut header = [0; Session::HEADER];
    stream.read_exact(&mut header)?;
    let Some(session) = Session::from_header(header) else {
        results.fail(&format!("the target received an invalid header: {header:02x?}"));
        return Ok(());
    };
    stream.set_nonblocking(true)?;
    let mut channel = Channel::Socket(stream);
    let job = Job {
        send: session.down,
        receive: session.up,
        pace: session.target,
        abort_after: match session.interruption {
            Interruption::TargetResets(after) => Some(after),
            _ => None,
        },
        half_close: if session.target_waits_for_eof { HalfClose::AfterEof } else { HalfClose::AtOnce },
        idle_timeout: IDLE_TIMEOUT,
    };
    let outcome = exchange(&mut channel, &job);
    results.bytes.fetch_add(outcome.received, Ordering::Relaxed);
    match outcome.ending {
        Ending::Clean if outcome.received == job.receive.len => {
            results.complete.lock().unwrap().insert(session.id);
            results.changed.notify_all();
        }
        Ending::Clean if !session.may_end_early => results.fail(&format!(
            "session {}: the target got EOF after {} of {} bytes",
            session.id, outcome.received, job.receive.len
        )),
        Ending::WrongData | Ending::Stalled => {
            results.fail(&format!("session {}: the target: {outcome:?} of {session:?}", session.id));
        }
        Ending::Clean | Ending::Failed(_) | Ending::Aborting => {}
    }
    if let (Ending::Aborting, Channel::Socket(stream)) = (outcome.ending, channel) {
        reset_on_close(&stream)?;
    }
    Ok(())
}
