//! TLS on the way to a proxy.
//!
//! The handshake runs where the negotiations do, over the same connection and under the same
//! deadline. After it a layer ([`sys::layered`]) encrypts and decrypts on a thread of its own, and
//! what goes on with the connection sees a channel like any other. Nothing here runs, and no
//! certificate is read, for a plan without TLS.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::connection::{Connection, WaitError};
use super::deadline::Deadline;
use super::progress::{Progress, Stage};
use super::waiting::Wait;
use crate::addr::Host;
use crate::error::{Error, Peer, TlsFailure};
use crate::plan::{Hop, Limits};
use crate::proto::Limit;
use crate::sys;
use crate::trace::trace;
use settings::configuration;
use verifier::ProblemSlot;

mod certificate;
mod layer;
mod messages;
mod settings;
mod verifier;

/// What a proxy is asked for first, as it reads in a message.
const WAITING_FOR: &str = "its TLS handshake";
/// The most that is read at once.
const PIECE: usize = 4096;

/// All that a handshake with one proxy needs.
#[derive(Debug)]
pub(super) struct Client {
    configuration: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// Why the proxy's certificate was rejected.
    problem: Arc<ProblemSlot>,
}

impl Client {
    /// Reads the certificates and the key that the plan names. None is needed for a hop without
    /// TLS.
    ///
    /// # Errors
    /// A file makes no sense, or the proxy's name cannot be that of a certificate.
    pub(super) fn for_hop(hop: &Hop, peer: &Peer) -> Result<Option<Self>, Error> {
        let Some(tls) = &hop.tls else { return Ok(None) };
        let name = server_name(tls.server_name.as_ref().unwrap_or(&hop.proxy.host), peer)?;
        let problem = Arc::new(ProblemSlot::default());
        let configuration = Arc::new(configuration(tls, &problem)?);
        Ok(Some(Self { configuration, name, problem }))
    }

    /// Shakes hands, and puts TLS around the connection.
    ///
    /// # Errors
    /// The proxy does not speak TLS, is not trusted, does not trust us, or was too slow.
    pub(super) fn secure(
        &self,
        mut connection: Connection,
        peer: &Peer,
        reach: &Deadline,
        progress: &dyn Progress,
    ) -> Result<Connection, Error> {
        let until = Wait::new(peer, WAITING_FOR, &reach.or_start(Limits::HANDSHAKE_TIMEOUT));
        let mut tls = ClientConnection::new(Arc::clone(&self.configuration), self.name.clone())
            .map_err(|error| failed(peer, messages::handshake_failure(&error)))?;
        shake_hands(&mut connection, &mut tls, &until).map_err(|trouble| self.words(trouble, &until))?;
        let facts = messages::facts(&tls);
        trace!("TLS with {peer}: {facts}");
        progress.reached(&Stage::Secured { peer, facts: &facts });
        let run = move |layer: &sys::LayerThread| layer::run(tls, layer);
        sys::layered(connection.into_channel(), run)
            .map(Connection::new)
            .map_err(|cause| Error::System { what: "start a thread for TLS", cause })
    }

    fn words(&self, trouble: HandshakeError, until: &Wait<'_>) -> Error {
        let peer = until.peer;
        match trouble {
            HandshakeError::Wait(WaitError::TimedOut) => until.timed_out(),
            HandshakeError::Wait(WaitError::Io(cause)) => {
                Error::Lost { peer: peer.clone(), waiting_for: WAITING_FOR, cause }
            }
            HandshakeError::Closed => failed(peer, TlsFailure::Closed),
            HandshakeError::NotTls => failed(peer, TlsFailure::NotTls),
            HandshakeError::Tls(error) => match self.problem.take() {
                Some(problem) => failed(peer, TlsFailure::Certificate(problem)),
                None => failed(peer, messages::handshake_failure(&error)),
            },
        }
    }
}

fn failed(peer: &Peer, cause: TlsFailure) -> Error {
    Error::Tls { peer: peer.clone(), cause }
}

/// Talks until both sides know what they need to.
fn shake_hands(
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
        let received = connection.receive(Limit::Bytes(PIECE), until)?;
        let mut bytes = received.bytes();
        if bytes.is_empty() {
            return Err(HandshakeError::Closed);
        }
        if std::mem::take(&mut is_first) && !messages::is_record(bytes[0]) {
            return Err(HandshakeError::NotTls);
        }
        while !bytes.is_empty() {
            // Memory does not fail to be read.
            tls.read_tls(&mut bytes).map_err(WaitError::Io)?;
            if let Err(error) = tls.process_new_packets() {
                // The proxy is told why. If it cannot be, that is not what went wrong.
                let _ = send(connection, tls, until);
                return Err(HandshakeError::Tls(error));
            }
        }
    }
}

/// Sends what the library has ready.
fn send(connection: &mut Connection, tls: &mut ClientConnection, until: &Wait<'_>) -> Result<(), WaitError> {
    let mut records = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut records)?;
    }
    match connection.send(&records, until) {
        // It may have said why before it closed: that is read next.
        Err(WaitError::Io(_)) | Ok(()) => Ok(()),
        timed_out => timed_out,
    }
}

/// Why there was no handshake.
enum HandshakeError {
    Wait(WaitError),
    /// In the middle of it.
    Closed,
    /// What came first cannot be TLS.
    NotTls,
    Tls(rustls::Error),
}

impl From<WaitError> for HandshakeError {
    fn from(error: WaitError) -> Self {
        Self::Wait(error)
    }
}

/// The name that the certificate must be for. An address of this link has a zone, which is nobody
/// else's business.
fn server_name(host: &Host, peer: &Peer) -> Result<ServerName<'static>, Error> {
    let name = match host {
        Host::Ip(ip) => return Ok(ServerName::from(*ip)),
        Host::Name(name) => name.as_str(),
    };
    let without_zone = name.split('%').next().unwrap_or(name);
    ServerName::try_from(without_zone.to_owned()).map_err(|_| {
        Error::Config(format!(
            "{peer}: no certificate can be for '{name}'; give its name with --tls-server-name"
        ))
    })
}
