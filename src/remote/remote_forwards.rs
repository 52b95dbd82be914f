//! `--remote-forward`: listeners at the server, whose connections this machine forwards.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::failure::Failure;
use super::forwarded::Forwarded;
use super::link::{Awaited, Link};
use crate::connector::Connector;
use crate::error::{Error, Peer};
use crate::net::ClientEnd;
use crate::plan::{Local, Plan, RemoteForward, RemoteListener, Route, Target};
use crate::proto::ssh::QUEUE_PORT;
use crate::ssh::connection::{ChannelId, Connection};
use crate::ssh::error::Error as SshError;
use crate::ssh::wire::{Reader, Write};
use crate::stream::{Events, Interest, PollSet, Stream};
use crate::sys::{self, Channel};
use crate::text::printable;
use crate::trace;

/// The reasons to refuse a channel (RFC 4254 §5.1).
const PROHIBITED: u32 = 1;
const CONNECT_FAILED: u32 = 2;

/// The remote forwards of a run.
pub(super) struct RemoteForwards {
    forwards: Vec<Forward>,
    /// The connections that are being opened at this end.
    openings: Openings,
}

/// A remote forward.
struct Forward {
    listener: Listener,
    /// The address, as the user wrote it.
    text: String,
    /// Connects to the target.
    connector: Arc<Connector>,
    target: Target,
    /// The server listens.
    is_granted: bool,
    /// The user has let the server choose the port.
    has_any_port: bool,
}

/// The address that the server listens on, in the form of the messages about it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listener {
    /// An address and a port; 0 until the server has chosen one.
    Tcp(String, u32),
    Unix(String),
}

/// The connections that threads open. Names may have to be resolved, which blocks.
struct Openings {
    sender: Sender<Opened>,
    receiver: Receiver<Opened>,
    /// Becomes readable when a thread has finished.
    wake: Channel,
    waker: Arc<Channel>,
}

/// A connection that was opened at this end, or the failure.
struct Opened {
    channel: ChannelId,
    client: String,
    target: String,
    result: Result<Box<dyn Stream>, Error>,
}

impl Listener {
    fn new(listener: &RemoteListener) -> Self {
        match listener {
            RemoteListener::Tcp { address, port } => Self::Tcp(address.clone(), (*port).into()),
            RemoteListener::Unix(path) => Self::Unix(path.clone()),
            RemoteListener::Queue(name) => Self::Tcp(name.clone(), QUEUE_PORT),
        }
    }

    /// Returns the name and the data of the request to listen (RFC 4254 §7.1, OpenSSH's `PROTOCOL`
    /// §2.4).
    fn request(&self) -> (&'static str, Vec<u8>) {
        let mut data = Vec::new();
        match self {
            Self::Tcp(address, port) => {
                data.put_string(address).put_u32(*port);
                ("tcpip-forward", data)
            }
            Self::Unix(path) => {
                data.put_string(path);
                ("streamlocal-forward@openssh.com", data)
            }
        }
    }

    /// Parses the request for a channel: the listener that a client has connected to, and the
    /// client. Returns `None` for another type of channel, and for malformed data.
    fn connected(kind: &str, data: &[u8]) -> Option<(Self, String)> {
        let mut reader = Reader::new(data);
        match kind {
            "forwarded-tcpip" => {
                let listener = Self::Tcp(reader.text().ok()?.to_owned(), reader.u32().ok()?);
                let (address, port) = (printable(reader.string().ok()?), reader.u32().ok()?);
                let client = if address.contains(':') {
                    format!("[{address}]:{port}")
                } else {
                    format!("{address}:{port}")
                };
                Some((listener, client))
            }
            "forwarded-streamlocal@openssh.com" => {
                let path = reader.text().ok()?.to_owned();
                let client = format!("unix:{}", printable(path.as_bytes()));
                Some((Self::Unix(path), client))
            }
            _ => None,
        }
    }
}

impl Openings {
    fn new() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let (wake, waker) = sys::channel_pair()?;
        Ok(Self { sender, receiver, wake, waker: Arc::new(waker) })
    }

    /// Starts a thread that connects to the target.
    fn start(
        &self,
        connector: &Arc<Connector>,
        channel: ChannelId,
        client: String,
        target: String,
    ) -> std::io::Result<()> {
        let (connector, sender, waker) =
            (Arc::clone(connector), self.sender.clone(), Arc::clone(&self.waker));
        let open = move || {
            let tunnel = connector.connect_for(ClientEnd { channel: None, addrs: None });
            let result = tunnel.map(|tunnel| tunnel.stream);
            // The run may have ended.
            let _ = sender.send(Opened { channel, client, target, result });
            let _ = waker.write(&[0]);
        };
        thread::Builder::new().name("forward".into()).spawn(open).map(drop)
    }
}

impl RemoteForwards {
    /// Prepares the forwards of a run with this plan.
    ///
    /// # Errors
    /// Descriptors are short.
    pub(super) fn new(forwards: &[RemoteForward], plan: &Plan) -> Result<Option<Self>, Error> {
        if forwards.is_empty() {
            return Ok(None);
        }
        let prepare = |forward: &RemoteForward| {
            let plan = Plan {
                local: Local::Listen(Vec::new()),
                target: forward.to.clone(),
                routes: vec![Route::default()],
                askpass: None,
                shows_status: false,
                ..plan.clone()
            };
            Forward {
                listener: Listener::new(&forward.from),
                text: forward.text.clone(),
                connector: Arc::new(Connector::new(plan)),
                target: forward.to.clone(),
                is_granted: false,
                has_any_port: matches!(forward.from, RemoteListener::Tcp { port: 0, .. }),
            }
        };
        let openings =
            Openings::new().map_err(|cause| Error::System { what: "forward connections", cause })?;
        Ok(Some(Self { forwards: forwards.iter().map(prepare).collect(), openings }))
    }

    /// Requests all forwards.
    pub(super) fn request(&self, link: &mut Link) -> Result<(), Failure> {
        for (index, forward) in self.forwards.iter().enumerate() {
            let (name, data) = forward.listener.request();
            link.global_request(name, &data, Awaited::Forward(index))?;
        }
        Ok(())
    }

    /// Returns the first forward that the server has not answered, as the user wrote it.
    pub(super) fn unanswered(&self) -> Option<&str> {
        self.forwards.iter().find(|forward| !forward.is_granted).map(|forward| forward.text.as_str())
    }

    /// Processes the server's answer to a request. Prints the port that the server has chosen.
    pub(super) fn answered(
        &mut self,
        index: usize,
        answer: Option<&[u8]>,
        server: &Peer,
    ) -> Result<(), Failure> {
        let Some(forward) = self.forwards.get_mut(index) else { return Ok(()) };
        let Some(data) = answer else {
            return Err(Error::ForwardRefused { peer: server.clone(), from: forward.text.clone() }.into());
        };
        forward.is_granted = true;
        if let Listener::Tcp(_, port @ 0) = &mut forward.listener {
            let malformed = |_| SshError::Violation("the answer to a remote forward names no port");
            *port = Reader::new(data).u32().map_err(malformed)?;
            // The user cannot know the port otherwise, so -q does not hide it.
            trace::message(&format!("listening on port {port} of {}", server.address.host()));
        }
        Ok(())
    }

    /// Processes the server's request for a channel: connects to the target of the forward to which
    /// it belongs, and refuses all others. Passes the client and the failure to `report`.
    pub(super) fn asked(
        &mut self,
        connection: &mut Connection,
        id: ChannelId,
        kind: &str,
        data: &[u8],
        mut report: impl FnMut(&str, &Error),
    ) -> Result<(), Failure> {
        let connected = Listener::connected(kind, data);
        let found = connected.and_then(|(listener, client)| Some((find(&self.forwards, &listener)?, client)));
        let Some((forward, client)) = found else { return refuse(connection, id) };
        let target = forward.target.to_string();
        if let Err(cause) = self.openings.start(&forward.connector, id, client.clone(), target) {
            connection.refuse(id, CONNECT_FAILED, "connection failed")?;
            report(&client, &Error::System { what: "start a thread", cause });
        }
        Ok(())
    }

    /// Adds the descriptor that reports opened connections to a set.
    pub(super) fn register<'a>(&'a self, polls: &mut PollSet<'a>) {
        polls.push(&self.openings.wake, Interest::READ);
    }

    /// Returns the connections that were opened, each joined with its channel. Passes the client
    /// and the failure of the others to `report`.
    pub(super) fn opened(
        &mut self,
        connection: &mut Connection,
        events: &mut Events,
        mut report: impl FnMut(&str, &Error),
    ) -> Result<Vec<Forwarded>, Failure> {
        if !events.take().read {
            return Ok(Vec::new());
        }
        // The bytes only wake the loop. After an error, the next wait reports the descriptor again.
        let _ = self.openings.wake.read(&mut [0; 64]);
        let mut joined = Vec::new();
        for Opened { channel, client, target, result } in self.openings.receiver.try_iter() {
            match result {
                Ok(local) => {
                    connection.accept(channel)?;
                    joined.push(Forwarded::new(channel, local, client, target, true));
                }
                Err(error) => {
                    connection.refuse(channel, CONNECT_FAILED, "connection failed")?;
                    report(&client, &error);
                }
            }
        }
        Ok(joined)
    }
}

/// Returns the forward that a client at the server has connected to. Some servers name the port as
/// it was requested, 0, instead of the one that they have chosen.
fn find<'a>(forwards: &'a [Forward], connected: &Listener) -> Option<&'a Forward> {
    let granted = || forwards.iter().filter(|forward| forward.is_granted);
    if let Some(exact) = granted().find(|forward| forward.listener == *connected) {
        return Some(exact);
    }
    let Listener::Tcp(address, 0) = connected else { return None };
    let is_requested = |forward: &&Forward| {
        forward.has_any_port && matches!(&forward.listener, Listener::Tcp(known, _) if known == address)
    };
    let mut requested = granted().filter(is_requested);
    // With several, the target would be a guess.
    requested.next().filter(|_| requested.next().is_none())
}

/// Refuses a channel that belongs to no forward.
pub(super) fn refuse(connection: &mut Connection, id: ChannelId) -> Result<(), Failure> {
    Ok(connection.refuse(id, PROHIBITED, "no such forward")?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn tcp(address: &str, port: u32) -> Listener {
        Listener::Tcp(address.into(), port)
    }

    #[test]
    fn a_listener_is_requested_by_its_address() {
        for (listener, name, data) in [
            (
                RemoteListener::Tcp { address: "localhost".into(), port: 80 },
                "tcpip-forward",
                &b"\0\0\0\x09localhost\0\0\0\x50"[..],
            ),
            (RemoteListener::Queue("jobs".into()), "tcpip-forward", b"\0\0\0\x04jobs\0\0\0\x01"),
            (RemoteListener::Unix("/s".into()), "streamlocal-forward@openssh.com", b"\0\0\0\x02/s"),
        ] {
            assert_eq!(Listener::new(&listener).request(), (name, data.to_vec()), "{listener}");
        }
    }

    #[test]
    fn a_channel_names_the_listener_and_the_client() {
        let mut data = Vec::new();
        data.put_string("localhost").put_u32(80).put_string("2001:db8::1").put_u32(5);
        let connected = Listener::connected("forwarded-tcpip", &data).unwrap();
        assert_eq!(connected, (tcp("localhost", 80), "[2001:db8::1]:5".into()));
        for end in 0..data.len() {
            assert_eq!(Listener::connected("forwarded-tcpip", &data[..end]), None, "{end}");
        }
        let mut data = Vec::new();
        data.put_string("/s\n").put_string("");
        let (listener, client) = Listener::connected("forwarded-streamlocal@openssh.com", &data).unwrap();
        assert_eq!(listener, Listener::Unix("/s\n".into()));
        assert!(!client.contains('\n'), "{client:?}");
        assert_eq!(Listener::connected("x11", b"\0\0\0\x01a\0\0\0\0"), None);
    }
}
