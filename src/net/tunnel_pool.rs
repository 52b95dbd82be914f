//! Tunnels that carry many streams, which the sessions of a listener share.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::waiting::Wait;
use crate::error::Error;
use crate::plan::{Hop, Multiplexer, Opened, Target};
use crate::stream::Stream;

/// The tunnels of a process.
#[derive(Default)]
pub(super) struct TunnelPool {
    paths: Mutex<Vec<Path>>,
    changed: Condvar,
}

/// A chain of hops, and its tunnels.
struct Path {
    hops: Vec<Hop>,
    /// The tunnels that have not ended.
    tunnels: Vec<Arc<dyn Multiplexer>>,
    attempt: Attempt,
}

/// The state of the attempt to open another tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    None,
    /// A session is opening the tunnel, and the others wait for it.
    Running,
    /// The last attempt has failed. Those who waited for it try themselves.
    Failed,
}

/// The part of a session that needs a tunnel.
pub(super) enum Entry<'a> {
    /// The session uses this stream of a tunnel.
    Open(Box<dyn Stream>),
    /// The session opens a tunnel, for which others wait.
    First(Opening<'a>),
    /// The session opens a tunnel of its own, because the one it waited for failed.
    Own,
}

impl TunnelPool {
    fn lock(&self) -> MutexGuard<'_, Vec<Path>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a stream to `target` in a tunnel through these hops, after a wait while another
    /// session opens the tunnel.
    ///
    /// # Errors
    /// The deadline passes, the client disconnects, or descriptors are short.
    pub(super) fn enter(&self, path: &[Hop], target: &Target, until: &Wait<'_>) -> Result<Entry<'_>, Error> {
        let mut has_waited = false;
        let entered = until.poll_with_status(until.deadline.left(), |timeout| {
            let mut opened = None;
            let must_wait = |paths: &mut Vec<Path>| {
                let Some(known) = paths.iter_mut().find(|known| known.hops == path) else { return false };
                opened = open_stream(&mut known.tunnels, target);
                let is_running = opened.is_none() && known.attempt == Attempt::Running;
                has_waited |= is_running;
                is_running
            };
            let timeout = timeout.unwrap_or(Duration::MAX);
            let waited = self.changed.wait_timeout_while(self.lock(), timeout, must_wait);
            let (mut paths, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if let Some(opened) = opened {
                return Some(opened.map(Entry::Open));
            }
            let known = get(&mut paths, path);
            match known.attempt {
                Attempt::Running => None,
                Attempt::Failed if has_waited => Some(Ok(Entry::Own)),
                Attempt::None | Attempt::Failed => {
                    known.attempt = Attempt::Running;
                    Some(Ok(Entry::First(Opening { pool: self, path: path.to_vec(), is_open: false })))
                }
            }
        });
        let entered = entered.map_err(|error| until.error(error))?;
        entered.map_err(|cause| Error::System { what: "open a stream", cause })
    }

    /// Stores a tunnel for other sessions.
    pub(super) fn add(&self, path: &[Hop], tunnel: Arc<dyn Multiplexer>) {
        let mut paths = self.lock();
        let known = get(&mut paths, path);
        known.tunnels.push(tunnel);
        known.attempt = Attempt::None;
        self.changed.notify_all();
    }
}

/// Opens a stream in the first of these tunnels that has room. Removes those that have ended.
fn open_stream(
    tunnels: &mut Vec<Arc<dyn Multiplexer>>,
    target: &Target,
) -> Option<io::Result<Box<dyn Stream>>> {
    let mut index = 0;
    while let Some(tunnel) = tunnels.get(index) {
        match tunnel.open(target) {
            Ok(Opened::Stream(stream)) => return Some(Ok(stream)),
            Ok(Opened::Full) => index += 1,
            Ok(Opened::Ended) => drop(tunnels.remove(index)),
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

fn get<'a>(paths: &'a mut Vec<Path>, path: &[Hop]) -> &'a mut Path {
    let index = paths.iter().position(|known| known.hops == path).unwrap_or(paths.len());
    if index == paths.len() {
        paths.push(Path { hops: path.to_vec(), tunnels: Vec::new(), attempt: Attempt::None });
    }
    &mut paths[index]
}

/// A tunnel that is being opened. Dropping it without a tunnel lets the others try.
pub(super) struct Opening<'a> {
    pool: &'a TunnelPool,
    path: Vec<Hop>,
    is_open: bool,
}

impl Opening<'_> {
    /// Records the tunnel.
    pub(super) fn opened(mut self, tunnel: Arc<dyn Multiplexer>) {
        self.is_open = true;
        self.pool.add(&self.path, tunnel);
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if !self.is_open {
            get(&mut self.pool.lock(), &self.path).attempt = Attempt::Failed;
            self.pool.changed.notify_all();
        }
    }
}

impl fmt::Debug for TunnelPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TunnelPool")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::addr::{Endpoint, Host};
    use crate::error::Peer;
    use crate::net::deadline::Deadline;
    use crate::tunnels::Broken;

    /// A tunnel with room for some streams, which ends if the number is `usize::MAX`.
    struct Tunnel(AtomicUsize);

    impl Tunnel {
        fn with_room(streams: usize) -> Arc<Self> {
            Arc::new(Self(AtomicUsize::new(streams)))
        }
    }

    impl Multiplexer for Tunnel {
        fn open(&self, _: &Target) -> io::Result<Opened> {
            match self.0.load(Ordering::Relaxed) {
                0 => Ok(Opened::Full),
                usize::MAX => Ok(Opened::Ended),
                left => {
                    self.0.store(left - 1, Ordering::Relaxed);
                    Ok(Opened::Stream(Box::new(Broken::new(io::ErrorKind::NotConnected.into()))))
                }
            }
        }
    }

    fn enter(pool: &TunnelPool) -> Result<Entry<'_>, Error> {
        let host = Host::parse("hub.example").unwrap();
        let target = Target::Tcp(Endpoint { host, port: 80.try_into().unwrap() });
        let deadline = Deadline::start(Some(Duration::from_secs(30)));
        pool.enter(&[], &target, &Wait::new(&Peer::target(&target), "a test", &deadline))
    }

    fn first(pool: &TunnelPool) -> Opening<'_> {
        let Ok(Entry::First(opening)) = enter(pool) else { panic!("expected to be the first") };
        opening
    }

    #[test]
    fn sessions_wait_for_the_one_that_opens_the_tunnel() {
        let pool = TunnelPool::default();
        let opening = first(&pool);
        thread::scope(|scope| {
            // A thread that comes too late gets a stream of the open tunnel, too.
            let waiting = scope.spawn(|| matches!(enter(&pool), Ok(Entry::Open(_))));
            thread::sleep(Duration::from_millis(20));
            opening.opened(Tunnel::with_room(2));
            assert!(waiting.join().unwrap());
        });
        assert!(matches!(enter(&pool), Ok(Entry::Open(_))), "the tunnel was forgotten");
    }

    #[test]
    fn another_tunnel_is_opened_while_the_first_one_is_full() {
        let pool = TunnelPool::default();
        let full = Tunnel::with_room(0);
        first(&pool).opened(Arc::clone(&full) as Arc<dyn Multiplexer>);
        first(&pool).opened(Tunnel::with_room(1));
        assert!(matches!(enter(&pool), Ok(Entry::Open(_))));
        drop(first(&pool));
        // One of the streams has ended.
        full.0.store(1, Ordering::Relaxed);
        assert!(matches!(enter(&pool), Ok(Entry::Open(_))), "the first tunnel was forgotten");
    }

    #[test]
    fn a_tunnel_that_has_ended_is_replaced() {
        let pool = TunnelPool::default();
        let tunnel = Tunnel::with_room(usize::MAX);
        first(&pool).opened(Arc::clone(&tunnel) as Arc<dyn Multiplexer>);
        drop(first(&pool));
        assert_eq!(Arc::strong_count(&tunnel), 1, "the tunnel was not removed");
    }

    #[test]
    fn sessions_that_waited_in_vain_do_not_wait_again() {
        let pool = TunnelPool::default();
        let opening = first(&pool);
        let started = Barrier::new(4);
        thread::scope(|scope| {
            let enter = || {
                started.wait();
                matches!(enter(&pool), Ok(Entry::Own))
            };
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(enter)).collect();
            started.wait();
            // Nothing shows that a thread waits; on a busy machine it may take some time.
            thread::sleep(Duration::from_millis(500));
            drop(opening);
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap()));
        });
        first(&pool);
    }
}
