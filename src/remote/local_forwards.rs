//! `--local-forward`: listeners at this end, whose connections the server forwards.

use std::time::{Duration, Instant};

use super::forwarded::Forwarded;
use crate::error::Error;
use crate::listen::{ACCEPT_RETRY_DELAY, ErrorReport, bind};
use crate::plan::{ListenAddress, LocalForward, SocketSettings};
use crate::proto::ssh::ChannelTarget;
use crate::ssh::connection::Connection;
use crate::ssh::error::Error as SshError;
use crate::stream::{Events, PollSet};
use crate::sys::{self, Client, Listener};
use crate::trace;
use crate::tunnels::ssh::channel_target;

/// The listeners of all local forwards.
#[derive(Default)]
pub(super) struct LocalForwards {
    listeners: Vec<(Listener, ChannelTarget)>,
    keep_alive: Option<Duration>,
    /// The time to accept again after the latest error.
    retry_at: Option<Instant>,
    errors: ErrorReport,
}

impl LocalForwards {
    /// Opens the listeners. Prints the ports that the system has chosen.
    ///
    /// # Errors
    /// A listener could not be opened.
    pub(super) fn open(forwards: &[LocalForward], settings: &SocketSettings) -> Result<Self, Error> {
        let mut listeners = Vec::new();
        for LocalForward { from, to } in forwards {
            let Some(to) = channel_target(to) else { continue };
            for listener in bind::listen(from)? {
                if let (ListenAddress::Tcp { port: 0, .. }, Some(bound)) = (from, listener.address()) {
                    trace::message(&format!("listening on {bound}"));
                }
                listeners.push((listener, to.clone()));
            }
        }
        Ok(Self { listeners, keep_alive: settings.keep_alive, ..Self::default() })
    }

    /// Returns the listeners to wait for: none while `is_full`, or until `retry_at`.
    fn waiting(&self, is_full: bool) -> &[(Listener, ChannelTarget)] {
        let is_paused = self.retry_at.is_some_and(|time| Instant::now() < time);
        if is_full || is_paused { &[] } else { &self.listeners }
    }

    /// Adds the listeners to a set. Returns how many were added.
    pub(super) fn register<'a>(&'a self, is_full: bool, polls: &mut PollSet<'a>) -> usize {
        let waiting = self.waiting(is_full);
        for (listener, _) in waiting {
            polls.push_watch(sys::watch(listener, true, false));
        }
        waiting.len()
    }

    /// Returns the time after which paused listeners must be registered again; `None` if they are
    /// not paused.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.retry_at?.checked_duration_since(Instant::now())
    }

    /// Accepts at most one client of each of the `count` listeners that were registered.
    pub(super) fn accept(&mut self, count: usize, events: &mut Events) -> Vec<(Client, ChannelTarget)> {
        let ready: Vec<_> = (0..count).map(|_| events.take().read).collect();
        let mut accepted = Vec::new();
        for (_, (listener, to)) in ready.iter().zip(&self.listeners).filter(|(is_ready, _)| **is_ready) {
            match listener.accept() {
                Ok(client) => {
                    sys::set_keep_alive(&client.channel, self.keep_alive);
                    accepted.push((client, to.clone()));
                }
                Err(error) if sys::is_transient(&error) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(cause) => {
                    self.errors.error(&Error::System { what: "accept a client", cause });
                    self.retry_at = Some(Instant::now() + ACCEPT_RETRY_DELAY);
                }
            }
        }
        accepted
    }
}

/// Requests a channel for a client. Returns `None`, and closes its connection, if there are too
/// many channels.
///
/// # Errors
/// Nothing can be sent to the server any more.
pub(super) fn open(
    connection: &mut Connection,
    client: Client,
    to: &ChannelTarget,
) -> Result<Option<Forwarded>, SshError> {
    let Client { channel: local, name, addrs } = client;
    let data = to.data(addrs.map(|(_, theirs)| theirs));
    let Some(channel) = connection.open(to.kind(), &data)? else { return Ok(None) };
    Ok(Some(Forwarded::new(channel, Box::new(local), name, to.to_string(), false)))
}
