//! Serves POST tunnels: the clients of `--listen` with `post+http`, `post+https` or `scgi`.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::acceptor::Acceptor;
use super::gate::{Gate, Lease, session_of};
use super::openers::Openers;
use super::{ACCEPT_RETRY_DELAY, ErrorReport, prepare_for_many_clients};
use crate::addr::LOOPBACK;
use crate::bypass::Prefix;
use crate::connector::Connector;
use crate::error::Error;
use crate::net::{ClientEnd, ServerTls, Tunnel};
use crate::plan::{PostListener, PostServer, PostTransport};
use crate::stream::Stream;
use crate::sys::{self, Client};
use crate::token::{Refused, Role, Usage};
use crate::trace::{self, trace};
use connection::{ClientId, Connection, Site};
use engine::{Arrival, Engine, Mailbox, NotOpened, Opening};

mod connection;
mod engine;
mod target;

/// Stack size of the thread that serves all tunnels.
const STACK_SIZE: usize = 256 * 1024;

/// Serves POST tunnels until a termination signal arrives. Each tunnel has a connection to the
/// target of its own.
///
/// # Errors
/// A listener could not be opened, a file could not be read, or a thread could not be started.
pub fn serve_post(connector: Connector, server: &PostServer) -> Result<(), Error> {
    let failed = |what| move |cause| Error::System { what, cause };
    sys::reload_on_hangup().map_err(failed("watch for signals"))?;
    let tls = server.identity.as_ref().map(ServerTls::load).transpose()?;
    let gate = Gate::new(&server.access.check)?;
    prepare_for_many_clients();
    let mailbox = Arc::new(Mailbox::new().map_err(failed("start the threads that relay"))?);
    let at: Vec<_> = server.listeners.iter().map(|listener| listener.at.clone()).collect();
    let acceptor = Acceptor::open(&at, &connector.plan().sockets)?;
    trace::never_block();
    let openers = openers(connector, gate, &mailbox);
    let open = move |opening| openers.wait_for_room(Duration::ZERO) && openers.run(opening).is_ok();
    let engine = Engine::new(Arc::clone(&mailbox), server.max_wait, Box::new(open));
    let thread = thread::Builder::new().name("post".into()).stack_size(STACK_SIZE);
    thread.spawn(move || engine.run()).map_err(failed("start the threads that relay"))?;
    accept(&acceptor, &mailbox, server, tls.as_ref())
}

/// Accepts connections until a termination signal arrives.
fn accept(
    acceptor: &Acceptor,
    mailbox: &Mailbox,
    server: &PostServer,
    tls: Option<&ServerTls>,
) -> Result<(), Error> {
    let site = |listener: &PostListener| {
        let PostListener { transport, path, .. } = listener.clone();
        let session = session_of(&server.access.check, &path);
        Arc::new(Site { transport, path, session, forwarders: server.access.forwarders.clone() })
    };
    let sites: Vec<_> = server.listeners.iter().map(site).collect();
    let mut report = ErrorReport::default();
    loop {
        match acceptor.next_client_at(None) {
            Ok(Some((index, client))) => {
                let Some(site) = sites.get(index) else { continue };
                match connection(client, site, &server.allow_from, tls) {
                    Ok(connection) => mailbox.send(Arrival::Connection(connection)),
                    Err(error) => report.error(&error),
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                report.error(&error);
                thread::sleep(ACCEPT_RETRY_DELAY);
            }
        }
    }
}

/// Returns the threads that check tokens and connect targets.
fn openers(connector: Connector, gate: Gate, mailbox: &Arc<Mailbox>) -> Openers<Opening> {
    let mailbox = Arc::clone(mailbox);
    Openers::new(move |opening: Opening| {
        let admitted = admit(&gate, &opening);
        mailbox.send(if let Some(request) = opening.renewal {
            Arrival::Renewed(opening.sid, request, admitted)
        } else {
            let admitted = admitted.map_err(NotOpened::Rejected);
            let connected = admitted.and_then(|lease| connect(&connector, &opening.client, lease));
            Arrival::Target(opening.sid, connected)
        });
    })
}

/// Checks the token of a tunnel.
fn admit(gate: &Gate, opening: &Opening) -> Result<Lease, Refused> {
    let Opening { sid, token, client, .. } = opening;
    trace!("client {} opens tunnel {sid}", client.name);
    let usage = Usage { role: Role::Dest, session: client.site.session.as_deref() };
    let from = client.address().unwrap_or(LOOPBACK[0]);
    let token = Some(&token[..]).filter(|token| !token.is_empty());
    gate.admit(token, usage, from)
}

/// Connects the target of a new tunnel whose client has this permission.
fn connect(connector: &Connector, client: &ClientId, lease: Lease) -> Result<(Tunnel, Lease), NotOpened> {
    let client = ClientEnd { channel: None, addrs: client.addrs };
    match connector.connect_for(client) {
        Ok(tunnel) => Ok((tunnel, lease)),
        Err(error) => Err(NotOpened::Failed(error.into(), lease.identity().to_owned())),
    }
}

/// Returns the connection to a client.
fn connection(
    client: Client,
    site: &Arc<Site>,
    allowed: &[Prefix],
    tls: Option<&ServerTls>,
) -> Result<Connection, Error> {
    let Client { channel, name, addrs } = client;
    let address = addrs.map(|(_, theirs)| theirs.ip());
    if let Some(address) = address.filter(|_| !allowed.is_empty())
        && !allowed.iter().any(|network| network.contains(address))
    {
        return Err(Error::ClientNotAllowed);
    }
    let stream: Box<dyn Stream> = Box::new(channel);
    let stream = match tls.filter(|_| site.transport == PostTransport::Https) {
        Some(tls) => tls.accept(stream)?,
        None => stream,
    };
    Ok(Connection::new(stream, site, name, addrs))
}

#[cfg(test)]
mod tests;
