//! Tunnels that carry many streams, which the sessions of a listener share.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::waiting::Wait;
use crate::error::Error;
use crate::plan::{Hop, Multiplexer};

/// The tunnels of a process, one for each chain of hops.
#[derive(Default)]
pub(super) struct TunnelPool {
    tunnels: Mutex<Vec<(Vec<Hop>, State)>>,
    changed: Condvar,
}

enum State {
    /// A session is opening the tunnel, and the others wait for it.
    Opening,
    Open(Arc<dyn Multiplexer>),
    /// The last attempt has failed. Those who waited for it try themselves.
    Failed,
}

/// The part of a session that needs a tunnel.
pub(super) enum Entry<'a> {
    /// The session uses this tunnel.
    Open(Arc<dyn Multiplexer>),
    /// The session opens a tunnel, for which others wait.
    First(Opening<'a>),
    /// The session opens a tunnel of its own, because the one it waited for failed.
    Own,
}

impl TunnelPool {
    fn lock(&self) -> MutexGuard<'_, Vec<(Vec<Hop>, State)>> {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the tunnel through these hops, after a wait while another session opens it.
    ///
    /// # Errors
    /// The deadline passes, or the client disconnects.
    pub(super) fn enter(&self, path: &[Hop], until: &Wait<'_>) -> Result<Entry<'_>, Error> {
        let mut has_waited = false;
        let entered = until.poll_with_status(until.deadline.left(), |timeout| {
            let is_opening = |tunnels: &mut Vec<_>| matches!(find(tunnels, path), Some(State::Opening));
            let mut tunnels = self.lock();
            has_waited |= is_opening(&mut tunnels);
            let timeout = timeout.unwrap_or(Duration::MAX);
            let waited = self.changed.wait_timeout_while(tunnels, timeout, is_opening);
            let (mut tunnels, _) = waited.unwrap_or_else(PoisonError::into_inner);
            match find(&mut tunnels, path) {
                Some(State::Opening) => None,
                Some(State::Open(tunnel)) => Some(Entry::Open(Arc::clone(tunnel))),
                Some(State::Failed) if has_waited => Some(Entry::Own),
                _ => {
                    set(&mut tunnels, path, State::Opening);
                    Some(Entry::First(Opening { pool: self, path: path.to_vec(), is_open: false }))
                }
            }
        });
        entered.map_err(|error| until.error(error))
    }

    /// Forgets this tunnel, which accepts no more streams.
    pub(super) fn forget(&self, path: &[Hop], ended: &Arc<dyn Multiplexer>) {
        let is_ended = |state: &State| matches!(state, State::Open(tunnel) if Arc::ptr_eq(tunnel, ended));
        self.lock().retain(|(known, state)| known != path || !is_ended(state));
    }

    /// Stores a tunnel for other sessions.
    pub(super) fn add(&self, path: &[Hop], tunnel: Arc<dyn Multiplexer>) {
        set(&mut self.lock(), path, State::Open(tunnel));
        self.changed.notify_all();
    }
}

fn find<'a>(tunnels: &'a mut [(Vec<Hop>, State)], path: &[Hop]) -> Option<&'a State> {
    tunnels.iter().find(|(known, _)| known == path).map(|(_, state)| state)
}

fn set(tunnels: &mut Vec<(Vec<Hop>, State)>, path: &[Hop], state: State) {
    tunnels.retain(|(known, _)| known != path);
    tunnels.push((path.to_vec(), state));
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
            set(&mut self.pool.lock(), &self.path, State::Failed);
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

    use std::io;
    use std::sync::Barrier;
    use std::thread;

    use super::*;
    use crate::addr::{Endpoint, Host};
    use crate::error::Peer;
    use crate::net::deadline::Deadline;
    use crate::plan::Target;
    use crate::stream::Stream;

    struct Tunnel;

    impl Multiplexer for Tunnel {
        fn open(&self) -> Option<io::Result<Box<dyn Stream>>> {
            None
        }
    }

    fn enter(pool: &TunnelPool) -> Result<Entry<'_>, Error> {
        let host = Host::parse("hub.example").unwrap();
        let peer = Peer::target(&Target::Tcp(Endpoint { host, port: 80.try_into().unwrap() }));
        let deadline = Deadline::start(Some(Duration::from_secs(30)));
        pool.enter(&[], &Wait::new(&peer, "a test", &deadline))
    }

    #[test]
    fn sessions_wait_for_the_one_that_opens_the_tunnel() {
        let pool = TunnelPool::default();
        let Ok(Entry::First(opening)) = enter(&pool) else { panic!("expected to be the first") };
        let tunnel: Arc<dyn Multiplexer> = Arc::new(Tunnel);
        thread::scope(|scope| {
            // A thread that comes too late gets the open tunnel, too.
            let waiting = scope.spawn(|| matches!(enter(&pool), Ok(Entry::Open(_))));
            thread::sleep(Duration::from_millis(20));
            opening.opened(Arc::clone(&tunnel));
            assert!(waiting.join().unwrap());
        });
        let other: Arc<dyn Multiplexer> = Arc::new(Tunnel);
        pool.forget(&[], &other);
        assert!(matches!(enter(&pool), Ok(Entry::Open(_))), "another tunnel was forgotten");
        pool.forget(&[], &tunnel);
        assert!(matches!(enter(&pool), Ok(Entry::First(_))));
    }

    #[test]
    fn sessions_that_waited_in_vain_do_not_wait_again() {
        let pool = TunnelPool::default();
        let Ok(Entry::First(opening)) = enter(&pool) else { panic!("expected to be the first") };
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
        assert!(matches!(enter(&pool), Ok(Entry::First(_))));
    }
}
