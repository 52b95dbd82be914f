//! The state that the stream of a tunnel shares with its threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::plan::Dial;
use crate::proto::Redactor;
use crate::proto::post::{Client, Direction, Resource};
use crate::sys::{self, Channel};
use crate::trace::{StatusLine, trace};
use crate::tunnels::aborting::{Abort, Aborting};

/// The state that the stream shares with its threads.
pub(super) struct Shared {
    pub(super) client: Mutex<Client>,
    /// The state has changed.
    pub(super) changed: Condvar,
    /// The number of changes so far. Changes only while `client` is locked.
    changes: AtomicU64,
    started: Instant,
    /// The time of the client's clock at `started`.
    offset: Duration,
    pub(super) resource: Resource,
    pub(super) dial: Arc<dyn Dial>,
    pub(super) redactor: Redactor,
    /// The threads' end of the socket pair.
    pub(super) inner: Channel,
    /// Closed once nothing is left to be sent, for a stream that waits for that.
    pub(super) end_signal: Mutex<Option<Channel>>,
    /// The host in the status line; `None` if no line is shown.
    pub(super) status_host: Option<String>,
    /// The line that is shown while the server does not answer.
    pub(super) status_line: Mutex<StatusLine>,
    /// A thread updates the line.
    pub(super) updates_status: AtomicBool,
    /// Exists from an abort until the server knows.
    aborting: Mutex<Option<Aborting>>,
}

impl Shared {
    pub(super) fn new(
        client: Client,
        offset: Duration,
        resource: Resource,
        redactor: Redactor,
        dial: Arc<dyn Dial>,
        inner: Channel,
    ) -> Self {
        let status_host = dial.status_host();
        Self {
            client: Mutex::new(client),
            changed: Condvar::new(),
            changes: AtomicU64::new(0),
            started: Instant::now(),
            offset,
            resource,
            dial,
            redactor,
            inner,
            end_signal: Mutex::new(None),
            status_host,
            status_line: Mutex::default(),
            updates_status: AtomicBool::new(false),
            aborting: Mutex::new(None),
        }
    }

    pub(super) fn client(&self) -> MutexGuard<'_, Client> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of changes so far. The caller has locked the client.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Returns the time of the client's clock.
    pub(super) fn now(&self) -> Duration {
        self.offset + self.started.elapsed()
    }

    /// Tells the other thread and the user of the stream that the state has changed.
    pub(super) fn announce(&self, client: &Client) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_all();
        if client.lost_for(Duration::ZERO).is_none() {
            // Dropping the line erases it.
            *self.status_line.lock().unwrap_or_else(PoisonError::into_inner) = StatusLine::default();
        }
        if client.failure().is_some() {
            sys::disconnect(&self.inner);
        }
        if client.is_flushed() {
            *self.end_signal.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        if client.is_done() {
            *self.aborting.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl Abort for Shared {
    fn abort(&self) {
        let mut client = self.client();
        client.abort();
        if !client.is_done() {
            let mut aborting = self.aborting.lock().unwrap_or_else(PoisonError::into_inner);
            aborting.get_or_insert_with(Aborting::new);
        }
        self.announce(&client);
        drop(client);
        // Wakes up the threads.
        sys::disconnect(&self.inner);
    }
}

/// Logs a request that failed, for `-d`.
pub(super) fn log_failure(direction: Direction, cause: &str) {
    trace!("POST tunnel: request ({direction:?}) failed: {cause}");
}
