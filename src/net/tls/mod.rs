//! TLS connections to proxies and to the target.
//!
//! The handshake runs like a negotiation, on the same connection and under the same deadline.
//! Afterwards [`TlsCodec`] encrypts and decrypts in a layer of the stream. For a plan without TLS,
//! no certificates are read. All sessions of a run share the certificates and keys ([`TlsCache`]).

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::connection::Connection;
use super::deadline::Deadline;
use super::progress::{Progress, Stage};
use super::waiting::{Wait, WaitError};
use crate::addr::{Endpoint, Host};
use crate::error::{Error, Peer, TlsAlert, TlsFailure};
use crate::plan::{Target, Tls};
use crate::proto::Limit;
use crate::stream::Layered;
use crate::trace::trace;
pub(super) use cache::TlsCache;
use codec::TlsCodec;
pub use server::ServerTls;
use verifier::{ProblemSlot, Slot};

mod algorithm;
mod cache;
mod certificate;
mod codec;
mod description;
mod messages;
mod server;
mod settings;
mod verifier;

/// The peer's part of the handshake, for messages.
const WAITING_FOR: &str = "its TLS handshake";

/// Maximum number of bytes to receive in one call.
const READ_SIZE: usize = 4096;

/// The client side of TLS with one peer: a proxy or the target.
#[derive(Debug)]
pub(super) struct Client {
    configuration: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// The reason to reject the peer's certificate.
    problem: Arc<ProblemSlot>,
    /// The alert that ended the connection after the handshake.
    late_alert: Arc<Slot<TlsAlert>>,
    /// See [`Tls::only_in_url`].
    only_in_url: bool,
}

impl Client {
    /// Prepares TLS with a peer. Reads the certificates and the key unless they are cached.
    ///
    /// # Errors
    /// A file is missing or invalid, or the peer has no valid TLS server name.
    pub(super) fn new(tls: &Tls, peer: &Peer, cache: &TlsCache) -> Result<Self, Error> {
        let name = match (&tls.server_name, &peer.address) {
            (Some(name), _)
            | (None, Target::Tcp(Endpoint { host: name, .. }) | Target::AtServer(Some(name))) => {
                server_name(name, peer)?
            }
            (None, Target::Unix(_) | Target::Queue(_)) => {
                return Err(Error::Config(format!(
                    "no TLS server name for {peer}: a UNIX-domain socket has none; specify the name in the proxy's \
                     certificate with --tls-server-name"
                )));
            }
            (None, Target::AtServer(None)) => {
                return Err(Error::Config(
                    "no TLS server name for the target; specify host and port, or --tls-server-name".into(),
                ));
            }
        };
        let problem = Arc::new(ProblemSlot::default());
        let configuration = Arc::new(cache.settings(tls)?.for_session(&problem));
        Ok(Self { configuration, name, problem, late_alert: Arc::default(), only_in_url: tls.only_in_url })
    }

    /// Performs the handshake and returns the connection with TLS on top.
    ///
    /// # Errors
    /// The handshake failed ([`Error::Tls`]), the connection broke, or the deadline has passed.
    pub(super) fn secure(
        &self,
        mut connection: Connection,
        peer: &Peer,
        deadline: &Deadline<'_>,
        progress: &dyn Progress,
    ) -> Result<Connection, Error> {
        let until = Wait::new(peer, WAITING_FOR, deadline);
        let mut tls = ClientConnection::new(Arc::clone(&self.configuration), self.name.clone())
            .map_err(|error| self.failed(peer, messages::handshake_failure(&error, false)))?;
        handshake(&mut connection, &mut tls, &until).map_err(|error| self.error(error, &tls, &until))?;
        let facts = messages::facts(&tls);
        trace!("TLS with {peer}: {facts}");
        progress.reached(&Stage::Secured { peer, facts: &facts });
        let codec = TlsCodec::new(tls, Arc::clone(&self.late_alert));
        Ok(Connection::new(Box::new(Layered::new(connection.into_stream(), codec))))
    }

    /// Returns the failure of a connection that the peer ended with an alert after the handshake;
    /// `None` if it sent none. With TLS 1.3, a server rejects the client's certificate in this way,
    /// because the client has finished the handshake by then.
    pub(super) fn late_failure(&self, peer: &Peer) -> Option<Error> {
        self.late_alert.take().map(|alert| self.failed(peer, TlsFailure::LateAlert(alert)))
    }

    fn error(&self, error: HandshakeError, tls: &ClientConnection, until: &Wait<'_>) -> Error {
        let peer = until.peer;
        match error {
            HandshakeError::Wait(WaitError::Io(cause)) => {
                Error::Lost { peer: peer.clone(), waiting_for: WAITING_FOR, cause }
            }
            HandshakeError::Wait(error) => until.error(error),
            HandshakeError::Closed => self.failed(peer, TlsFailure::Closed),
            HandshakeError::NotTls => self.failed(peer, TlsFailure::NotTls),
            HandshakeError::Tls(error) => {
                let has_answered = tls.negotiated_cipher_suite().is_some();
                let problem = self.problem.take().map(TlsFailure::Certificate);
                self.failed(
                    peer,
                    problem.unwrap_or_else(|| messages::handshake_failure(&error, has_answered)),
                )
            }
        }
    }

    fn failed(&self, peer: &Peer, cause: TlsFailure) -> Error {
        Error::Tls { peer: peer.clone(), cause, only_in_url: self.only_in_url }
    }
}

/// Exchanges handshake messages until both sides have finished.
fn handshake(
    connection: &mut Connection,
    tls: &mut ClientConnection,
    until: &Wait<'_>,
) -> Result<(), HandshakeError> {
    let mut is_first = true;
    loop {
        send(connection, tls, until)?;
        if !tls.is_handshaking() {
            return Ok(());
        }
        let received = connection.receive(Limit::Bytes(READ_SIZE), until)?;
        let mut bytes = received.bytes();
        if bytes.is_empty() {
            return Err(HandshakeError::Closed);
        }
        if std::mem::take(&mut is_first) && !messages::starts_record(bytes[0]) {
            return Err(HandshakeError::NotTls);
        }
        while !bytes.is_empty() {
            // Reading from memory cannot fail.
            tls.read_tls(&mut bytes).map_err(WaitError::Io)?;
            if let Err(error) = tls.process_new_packets() {
                // Send the resulting alert to the peer. If that fails too, report the original
                // error.
                let _ = send(connection, tls, until);
                return Err(HandshakeError::Tls(error));
            }
        }
    }
}

/// Sends the records that rustls has for the peer.
fn send(connection: &mut Connection, tls: &mut ClientConnection, until: &Wait<'_>) -> Result<(), WaitError> {
    let mut records = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut records)?;
    }
    match connection.send(&records, until) {
        // Ignore a failed write: the peer may have sent an alert before it closed the connection,
        // and the next read will return it.
        Err(WaitError::Io(_)) | Ok(()) => Ok(()),
        timed_out => timed_out,
    }
}

/// The reason why a handshake failed.
enum HandshakeError {
    /// The connection broke, or the deadline has passed.
    Wait(WaitError),
    /// The peer closed the connection before the handshake was complete.
    Closed,
    /// The first byte of the answer cannot start a TLS record.
    NotTls,
    /// rustls rejected a message or the certificate, or received an alert.
    Tls(rustls::Error),
}

impl From<WaitError> for HandshakeError {
    fn from(error: WaitError) -> Self {
        Self::Wait(error)
    }
}

/// Returns the name that the certificate must contain. The zone of a link-local address is removed,
/// because it is meaningful only on this machine.
fn server_name(host: &Host, peer: &Peer) -> Result<ServerName<'static>, Error> {
    let name = match host {
        Host::Ip(ip) => return Ok(ServerName::from(*ip)),
        Host::Name(name) => name.as_str(),
    };
    let without_zone = name.split('%').next().unwrap_or(name);
    ServerName::try_from(without_zone.to_owned()).map_err(|_| {
        Error::Config(format!(
            "invalid TLS server name '{name}' for {peer}; specify the name in its certificate with --tls-server-name"
        ))
    })
}
