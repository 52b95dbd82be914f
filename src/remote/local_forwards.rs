//! `--local-forward`: listeners at this end, whose connections the server forwards.

use std::time::{Duration, Instant};

use super::forwarded::Forwarded;
use crate::error::Error;
use crate::listen::{ACCEPT_RETRY_DELAY, ErrorReport, bind};
use crate::plan::{ListenAddress, LocalForward, RemoteTarget, SocketSettings};
use crate::ssh::connection::Connection;
use crate::ssh::error::Error as SshError;
use crate::ssh::wire::Write;
use crate::stream::{Events, PollSet};
use crate::sys::{self, Client, Listener};
use crate::trace;

/// The port of a named queue, which servers ignore.
const QUEUE_PORT: u32 = 1;

/// The listeners of all local forwards.
#[derive(Default)]
pub(super) struct LocalForwards {
    listeners: Vec<(Listener, RemoteTarget)>,
    keep_alive: Option<Duration>,
    /// When to accept again after an error.
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
            for listener in bind::listen(from)? {
                if let (ListenAddress::Tcp { port: 0, .. }, Some(bound)) = (from, listener.address()) {
                    trace::message(&format!("listening on {bound}"));
                }
                listeners.push((listener, to.clone()));
            }
        }
        Ok(Self { listeners, keep_alive: settings.keep_alive, ..Self::default() })
    }

    /// Returns the listeners to wait for: none while `is_full`, or for some time after an error.
    fn waiting(&self, is_full: bool) -> &[(Listener, RemoteTarget)] {
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

    /// Returns the time after which listeners that are paused must be registered again; `None` for
    /// never.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.retry_at.map(|time| time.saturating_duration_since(Instant::now()))
    }

    /// Accepts at most one client of each of the `count` listeners that were registered.
    pub(super) fn accept(&mut self, count: usize, events: &mut Events) -> Vec<(Client, RemoteTarget)> {
        if self.retry_at.is_some_and(|time| Instant::now() >= time) {
            self.retry_at = None;
        }
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

/// Requests a channel for a client.
///
/// # Errors
/// Nothing can be sent to the server any more.
pub(super) fn open(
    connection: &mut Connection,
    client: Client,
    to: &RemoteTarget,
) -> Result<Option<Forwarded>, SshError> {
    let Client { channel: local, name, addrs } = client;
    let (kind, data) = request(to, addrs.map(|(_, theirs)| theirs));
    let Some(channel) = connection.open(kind, &data)? else { return Ok(None) };
    Ok(Some(Forwarded::new(channel, Box::new(local), name, to.to_string(), false)))
}

/// Returns the type and the data of a channel to this target (RFC 4254 §7.2, OpenSSH's `PROTOCOL`
/// §2.4).
fn request(to: &RemoteTarget, client: Option<std::net::SocketAddr>) -> (&'static str, Vec<u8>) {
    let mut data = Vec::new();
    let (host, port) = match to {
        RemoteTarget::Unix(path) => {
            data.put_string(path).put_string("").put_u32(0);
            return ("direct-streamlocal@openssh.com", data);
        }
        RemoteTarget::Tcp { host, port } => (host, u32::from(*port)),
        RemoteTarget::Queue(name) => (name, QUEUE_PORT),
    };
    data.put_string(host).put_u32(port);
    match client {
        Some(client) => data.put_string(client.ip().to_string()).put_u32(client.port().into()),
        // A client of a UNIX-domain socket has no address.
        None => data.put_string("127.0.0.1").put_u32(0),
    };
    ("direct-tcpip", data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_name_the_target_and_the_client() {
        let client = Some(([192, 0, 2, 1], 5).into());
        for (to, client, kind, data) in [
            (
                RemoteTarget::Tcp { host: "h".into(), port: 80 },
                client,
                "direct-tcpip",
                &b"\0\0\0\x01h\0\0\0\x50\0\0\0\x09192.0.2.1\0\0\0\x05"[..],
            ),
            (
                RemoteTarget::Queue("q".into()),
                None,
                "direct-tcpip",
                b"\0\0\0\x01q\0\0\0\x01\0\0\0\x09127.0.0.1\0\0\0\0",
            ),
            (
                RemoteTarget::Unix("/s".into()),
                client,
                "direct-streamlocal@openssh.com",
                b"\0\0\0\x02/s\0\0\0\0\0\0\0\0",
            ),
        ] {
            assert_eq!(request(&to, client), (kind, data.to_vec()), "{to}");
        }
    }
}
