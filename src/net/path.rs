//! Connects through hops, and again to a hop whose protocol opens further connections.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::binding::Binding;
use super::connection::Connection;
use super::deadline::Deadline;
use super::dial;
use super::hop::{Context, HopState, Setup, current_token, destination, prepare_hops};
use super::negotiate::{Outcome, negotiate, send_ahead};
use super::progress::Stage;
use super::resolve::Resolver;
use super::shared::Shared;
use super::tls;
use crate::error::{Error, Peer};
use crate::plan::{Dial, DialError, Hop, Limits, SocketSettings, Target};
use crate::proto::Redactor;
use crate::secret::Secret;
use crate::stream::Stream;
use crate::trace::trace;
use crate::tunnels::Broken;

/// Dials `first`, and negotiates with each hop in turn. Without hops, `first` is the only peer.
pub(super) fn connect_hops<'a>(
    hops: &mut [HopState<'a>],
    first: &Peer,
    server: Option<SocketAddr>,
    setup: &Setup<'a>,
    deadline: &mut Deadline<'_>,
) -> Result<Connection, Error> {
    let &Setup { sockets, binding, context, .. } = setup;
    let resolver = Resolver { server, family: binding.family.as_ref(), binding };
    // The hop that requested the current connection; `None` for the first connection.
    let mut requested_by: Option<usize> = None;
    // The loop ends because each negotiation requests only a limited number of new connections.
    'connection: loop {
        let until = requested_by.map_or(*deadline, |index| hops[index].deadline(deadline));
        let mut connection =
            dial::dial(first, resolver, sockets, &until, context.shared.own_listeners(), context.progress)?;
        if let Some(index) = requested_by {
            hops[index].spent = until.elapsed();
        }
        let count = hops.len();
        for index in 0..count {
            let mut until = hops[index].deadline(deadline);
            if let HopState { tls: Some(tls), peer, .. } = &hops[index] {
                connection = tls.secure(connection, peer, &until, context.progress)?;
            }
            // Requests can be sent ahead only up to the next TLS handshake.
            if setup.eager && (index == 0 || hops[index].tls.is_some()) {
                let next = hops[index + 1..].iter().position(|hop| hop.tls.is_some());
                let end = next.map_or(hops.len(), |next| index + 1 + next);
                send_ahead(&mut connection, &mut hops[index..end], &until)?;
            }
            let hop = &mut hops[index];
            let negotiated = negotiate(&mut connection, hop, context, &mut until, deadline);
            hop.spent = until.elapsed();
            match negotiated.inspect_err(|error| hop.report_rejection(error))? {
                Outcome::Established => {
                    if let Some(login) = hop.login.take() {
                        login.accepted();
                    }
                    let is_shared =
                        setup.shares_tunnels && index + 1 == count && hop.hop.protocol.multiplexes();
                    connection = establish(hop, connection, setup, is_shared)?;
                    context.progress.reached(&Stage::Negotiated(&hop.peer));
                }
                Outcome::Reconnect => {
                    trace!("connecting again");
                    for hop in hops.iter_mut() {
                        hop.negotiation.restart();
                    }
                    requested_by = Some(index);
                    continue 'connection;
                }
            }
        }
        return Ok(connection);
    }
}

/// Returns the tunnel through the proxy, once the negotiation on `connection` is done. If sessions
/// share it, stores it in the state and returns a placeholder, which fails every operation.
fn establish(
    state: &mut HopState<'_>,
    connection: Connection,
    setup: &Setup<'_>,
    is_shared: bool,
) -> Result<Connection, Error> {
    let HopState { hop, path, peer, negotiation, tunnel, .. } = state;
    let before = &path[..path.len() - 1];
    let dial = || -> Arc<dyn Dial> { Arc::new(Redial::new(before, hop, peer, setup)) };
    let (negotiation, stream) = (&mut **negotiation, connection.into_stream());
    if !is_shared {
        return Ok(Connection::new(hop.protocol.establish(negotiation, stream, &dial)));
    }
    let failed = |cause| Error::System { what: "start a tunnel", cause };
    *tunnel = Some(hop.protocol.establish_multiplexer(negotiation, stream, &dial).map_err(failed)?);
    // The session opens a stream of the tunnel instead.
    Ok(Connection::new(Box::new(Broken::new(ErrorKind::NotConnected.into()))))
}

/// A hop and the hops before it, with all settings for connecting to it. Borrows nothing, so that a
/// session can keep it.
#[derive(Debug)]
struct Redial {
    before: Vec<Hop>,
    hop: Hop,
    /// The hop, for messages.
    peer: Peer,
    sockets: SocketSettings,
    eager: bool,
    limits: Limits,
    shows_status: bool,
    redactor: Redactor,
    shared: Arc<Shared>,
}

impl Redial {
    fn new(before: &[Hop], hop: &Hop, peer: &Peer, setup: &Setup<'_>) -> Self {
        Self {
            before: before.to_vec(),
            hop: hop.clone(),
            peer: peer.clone(),
            sockets: setup.sockets.clone(),
            eager: setup.eager,
            limits: setup.limits,
            shows_status: setup.shows_status,
            redactor: setup.redactor.clone(),
            shared: Arc::clone(setup.context.shared),
        }
    }

    fn connect(&self) -> Result<Box<dyn Stream>, Error> {
        let context = Context { client: None, shared: &self.shared, forward: None, progress: &() };
        let binding = Binding::find(&self.sockets)?;
        let setup = Setup {
            sockets: &self.sockets,
            eager: self.eager,
            limits: self.limits,
            shows_status: self.shows_status,
            binding: &binding,
            redactor: &self.redactor,
            context,
            shares_tunnels: false,
        };
        // The limit covers dialling, too: the session waits for the connection.
        let mut deadline =
            Deadline::for_plan(self.limits).or_resume(Limits::HANDSHAKE_TIMEOUT, Duration::ZERO);
        let count = self.peer.hop.map_or(self.before.len() + 1, |(_, count)| count.into());
        let mut hops = match &self.hop.proxy {
            Target::Tcp(next) => match destination(&self.before, next, None, &setup, &deadline)? {
                Some(next) => prepare_hops(&self.before, count, (next, None), &setup, &deadline)?,
                None => Vec::new(),
            },
            // No proxy can reach it, so it is the first hop.
            Target::Unix(_) | Target::Queue(_) | Target::AtServer(_) => Vec::new(),
        };
        let first = hops.first().map_or(&self.peer, |hop| &hop.peer).clone();
        let connection = connect_hops(&mut hops, &first, None, &setup, &mut deadline)?;
        let Some(settings) = &self.hop.tls else { return Ok(connection.into_stream()) };
        let tls = tls::Client::new(settings, &self.peer, &self.shared.tls)?;
        Ok(tls.secure(connection, &self.peer, &deadline, context.progress)?.into_stream())
    }
}

impl Dial for Redial {
    fn dial(&self) -> Result<Box<dyn Stream>, DialError> {
        self.connect().map_err(|error| {
            if error.is_auth_rejected() {
                self.shared.forget_passwords();
            }
            DialError::new(error)
        })
    }

    fn token(&self) -> Option<Secret> {
        self.hop.protocol.token().map(|token| current_token(token, &self.redactor))
    }

    fn status_host(&self) -> Option<String> {
        self.shows_status.then(|| self.hop.proxy.host())
    }
}
