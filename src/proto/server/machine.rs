//! The interface between a server and its driver.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::filter::Filter;
use super::logins::Logins;
use super::reason::{Refusal, Rejection};
use crate::addr::Endpoint;
use crate::proto::{ForwardRequest, Limit, Wire};

/// A kind of listener.
#[derive(Debug)]
pub struct Kind {
    /// The scheme in `--listen SCHEME://[ADDR:]PORT`.
    pub scheme: &'static str,
    /// The protocol's name, for messages.
    pub name: &'static str,
    /// `true` if the protocol runs over TLS.
    pub tls: bool,
    /// Creates the state machine for one client. With [`Logins`], the client must log in.
    pub make: fn(Option<Arc<Logins>>) -> Box<dyn Server>,
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme
    }
}

impl Eq for Kind {}

/// An action that a server requests from its driver.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes.
    Send(Wire),
    /// Receive bytes and pass them to [`Server::receive`].
    Receive(Limit),
    /// Connect to this target, then call [`Server::connected`] or [`Server::refused`].
    Connect(Endpoint),
    /// Connect to the target of the listener, if the client may use it, then call
    /// [`Server::connected`] or [`Server::refused`].
    Open,
    /// Relay between the client and the target.
    Relay,
    /// Relay, and pass the bytes of each direction through a filter.
    Forward(Filters),
    /// Close the connection. Contains the reason if the driver does not know it already.
    Close(Option<Rejection>),
}

/// The filters of a session in which a request is forwarded.
pub struct Filters {
    /// The bytes to send to the target before those from the client.
    pub head: Wire,
    /// For the bytes from the client.
    pub request: Box<dyn Filter>,
    /// For the bytes from the target.
    pub response: Box<dyn Filter>,
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filters")
    }
}

/// Two filters are never equal, because only their effect could be compared.
impl PartialEq for Filters {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for Filters {}

/// The server side of a proxy protocol, for one client.
pub trait Server: Send {
    /// Returns the next action for the driver.
    fn step(&mut self) -> Step;

    /// Processes received bytes and returns how many of them belong to the handshake: at least one,
    /// unless `bytes` is empty. Pass the rest again after the next step, or treat it as data for
    /// the target.
    fn receive(&mut self, bytes: &[u8]) -> usize;

    /// Reports that the client closed the connection.
    fn closed(&mut self);

    /// Reports that the client has not completed its request in time.
    fn timed_out(&mut self);

    /// Returns the request that an HTTP proxy can forward, instead of opening a tunnel to the
    /// target; `None` if there is none.
    fn forward_request(&self) -> Option<&Arc<ForwardRequest>> {
        None
    }

    /// Reports that the target is connected. `bound` is our address on that connection, if it is
    /// known. With `is_forwarding`, a proxy has received the
    /// [request to forward](Self::forward_request) instead.
    fn connected(&mut self, bound: Option<SocketAddr>, is_forwarding: bool);

    /// Reports that the target was not connected.
    fn refused(&mut self, why: Refusal);
}

/// Shows no fields: those of every implementation would make the program larger, and its start
/// slower.
impl fmt::Debug for dyn Server + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}
