//! The clients whose request is not complete yet. Each holds a thread, so their number is limited.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::listen::openers::MAX_OPENING;
use crate::listen::unauthenticated::Unauthenticated;

/// Maximum number of such clients. Beyond that, the oldest is closed, so that the other threads
/// can connect targets.
const MAX_HANDSHAKES: usize = MAX_OPENING - 32;

/// Maximum number of such clients from one address, or from one /64 network of IPv6.
const MAX_HANDSHAKES_PER_ADDRESS: usize = MAX_OPENING / 2;

/// A function that makes the handshake of a client fail.
type Interrupt = Box<dyn FnOnce() + Send>;

/// The clients whose request is not complete yet.
pub(super) struct Handshakes(Mutex<State>);

struct State {
    next_id: usize,
    clients: Unauthenticated,
    interrupts: HashMap<usize, (Interrupt, Arc<AtomicBool>)>,
}

/// One of these clients. Drop it when its request is complete, or has failed.
pub(super) struct Ticket {
    id: usize,
    handshakes: Arc<Handshakes>,
    was_closed: Arc<AtomicBool>,
}

impl Handshakes {
    pub(super) fn new() -> Arc<Self> {
        let clients = Unauthenticated::with_limits(MAX_HANDSHAKES, MAX_HANDSHAKES_PER_ADDRESS);
        Arc::new(Self(Mutex::new(State { next_id: 0, clients, interrupts: HashMap::new() })))
    }

    /// Adds a client at this address. If there are too many, closes the oldest.
    pub(super) fn begin(self: &Arc<Self>, address: Option<IpAddr>, interrupt: Interrupt) -> Ticket {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let oldest = state.clients.add(id, address);
        let oldest = oldest.and_then(|oldest| state.interrupts.remove(&oldest));
        let was_closed = Arc::new(AtomicBool::new(false));
        state.interrupts.insert(id, (interrupt, Arc::clone(&was_closed)));
        drop(state);
        if let Some((interrupt, was_closed)) = oldest {
            was_closed.store(true, Ordering::Relaxed);
            interrupt();
        }
        Ticket { id, handshakes: Arc::clone(self), was_closed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Returns `true` if the client was closed to make room for another.
    pub(super) fn was_closed(&self) -> bool {
        self.was_closed.load(Ordering::Relaxed)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.handshakes.lock();
        state.clients.remove(self.id);
        state.interrupts.remove(&self.id);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn the_oldest_client_makes_room_unless_its_request_is_complete() {
        let (handshakes, closed) = (Handshakes::new(), Arc::new(AtomicUsize::new(0)));
        let begin = |address: [u8; 4]| {
            let closed = Arc::clone(&closed);
            let interrupt = move || {
                closed.fetch_add(1, Ordering::Relaxed);
            };
            handshakes.begin(Some(address.into()), Box::new(interrupt))
        };
        drop(begin([192, 0, 2, 1]));
        let first = begin([192, 0, 2, 1]);
        let others: Vec<_> = (1..MAX_HANDSHAKES_PER_ADDRESS).map(|_| begin([192, 0, 2, 1])).collect();
        assert!(!first.was_closed());
        let _elsewhere = begin([192, 0, 2, 2]);
        assert!(!first.was_closed());
        let _last = begin([192, 0, 2, 1]);
        assert!(first.was_closed() && !others[0].was_closed());
        assert_eq!(closed.load(Ordering::Relaxed), 1);
        drop((first, others));
        assert_eq!(handshakes.lock().interrupts.len(), 2);
    }
}
