//! The state that all threads of an origin share.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::spares::Spares;
use crate::connector::Connector;
use crate::error::Error;
use crate::hops::hub::{Purpose, plan_to_hub};
use crate::net::Tunnel;
use crate::plan::{OriginSettings, Target};
use crate::proto::hub::ToHub;
use crate::relay::Reactors;
use crate::stream::Stream;
use crate::sys::{self, Poller, Termination};

/// Stack size of a thread. The system's resolver needs most of it.
const STACK_SIZE: usize = 256 * 1024;

/// A message to the thread of the control connection.
pub(super) enum Message {
    /// The result of dialling a control connection.
    Dialled(Result<Box<dyn Stream>, Error>),
    Refuse(ToHub),
    /// A termination signal has arrived.
    Terminate,
}

/// The state that all threads share.
pub(super) struct Shared {
    pub(super) connector: Connector,
    pub(super) settings: OriginSettings,
    pub(super) session: String,
    pub(super) reactors: Reactors,
    pub(super) spares: Spares,
    pub(super) poller: Poller,
    pub(super) messages: Mutex<Vec<Message>>,
}

impl Shared {
    pub(super) fn send(&self, message: Message) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        // If this fails, the thread finds the message when it wakes up for another reason.
        let _ = self.poller.wake();
    }

    pub(super) fn take_messages(&self) -> Vec<Message> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Refuses an offer.
    pub(super) fn refuse(&self, message: ToHub) {
        self.send(Message::Refuse(message));
    }

    pub(super) fn await_termination(&self, termination: &Termination) {
        // An error would mean that no signal can be awaited, so none ends the wait.
        let _ = sys::poll(&mut [sys::watch(termination, true, false)], None);
        self.send(Message::Terminate);
    }

    /// Returns a connection to the target.
    pub(super) fn connect_target(&self) -> Result<Tunnel, Error> {
        self.spares.take().map_or_else(|| self.open_target(), Ok)
    }

    /// Opens a connection to the target. A UNIX-domain socket must belong to our user, because the
    /// one that it replaces could have been removed by another.
    pub(super) fn open_target(&self) -> Result<Tunnel, Error> {
        let tunnel = self.connector.connect(None)?;
        if !matches!(self.connector.plan().target, Target::Unix(_)) {
            return Ok(tunnel);
        }
        let is_same_user = tunnel.stream.socket().map_or(Ok(true), sys::is_same_user);
        let cause = match is_same_user {
            Ok(true) => return Ok(tunnel),
            Ok(false) => io::Error::new(io::ErrorKind::PermissionDenied, "served by another user"),
            Err(error) => error,
        };
        let peer = tunnel.peers.remote;
        Err(Error::Dial { attempts: vec![(peer.address.to_string(), cause)], peer, ignored: 0 })
    }

    /// Opens a connection to the hub.
    pub(super) fn connect(&self, purpose: Purpose) -> Result<Tunnel, Error> {
        let plan = plan_to_hub(self.connector.plan(), &self.settings, &self.session, purpose);
        self.connector.connect_with(&plan, &())
    }
}

/// Starts a thread.
pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = thread::Builder::new().name(name.into()).stack_size(STACK_SIZE).spawn(run);
    thread.map(drop).map_err(|cause| Error::System { what: "start a thread", cause })
}
