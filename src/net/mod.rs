//! From a plan to a connected stream: resolve, dial, negotiate with each hop.

use std::net::TcpStream;

use crate::addr::{Endpoint, Host};
use crate::error::{Error, Peer};
use crate::plan::{Hop, Plan, Protocol, Resolve};
use crate::proto::{HttpConnect, Negotiation, Socks4, Socks5, Socks5Method};
use crate::secret::AskPassword;
use crate::trace::trace;
use deadline::Deadline;
use login::{credentials, user};
use negotiate::{Outcome, negotiate};

mod connection;
mod deadline;
mod dial;
mod login;
mod negotiate;
mod resolve;

/// One hop on the way, and what is left to be said to it.
struct Leg<'a> {
    hop: &'a Hop,
    peer: Peer,
    negotiation: Box<dyn Negotiation>,
}

/// Makes the tunnel that the plan asks for.
///
/// Not one byte that belongs to the tunnel has been read from the stream, which is non-blocking.
///
/// # Errors
/// Any stage of the way failed, or its limit has passed.
pub fn connect(plan: &Plan, ask: &dyn AskPassword) -> Result<TcpStream, Error> {
    let mut deadline = Deadline::start(plan.limits.reach);
    let first = plan.hops.first().map_or_else(|| Peer::target(&plan.target), Peer::from);
    let mut legs = Vec::with_capacity(plan.hops.len());
    for (index, hop) in plan.hops.iter().enumerate() {
        let next = plan.hops.get(index + 1).map_or(&plan.target, |next| &next.proxy);
        let negotiation = negotiation(hop, next, ask, &deadline)?;
        legs.push(Leg { hop, peer: Peer::from(hop), negotiation });
    }
    // Each negotiation asks for a new connection once or twice at the most.
    'connection: loop {
        let mut connection = dial::dial(&first, &deadline)?;
        for leg in &mut legs {
            match negotiate(&mut connection, leg, ask, &mut deadline)? {
                Outcome::Established => {}
                Outcome::Reconnect => {
                    trace!("connecting again");
                    for leg in &mut legs {
                        leg.negotiation.restart();
                    }
                    continue 'connection;
                }
            }
        }
        return Ok(connection.into_stream());
    }
}

/// The machine that asks `hop` for a tunnel to `next`.
fn negotiation(
    hop: &Hop,
    next: &Endpoint,
    ask: &dyn AskPassword,
    deadline: &Deadline,
) -> Result<Box<dyn Negotiation>, Error> {
    Ok(match &hop.protocol {
        Protocol::Socks4 { resolve, .. } => {
            let next = resolved(next, *resolve, true, deadline)?;
            Box::new(Socks4::new(next, user(hop)?))
        }
        Protocol::Socks5 { resolve, methods, login } => {
            let next = resolved(next, *resolve, false, deadline)?;
            let methods = methods.clone().unwrap_or_else(|| {
                // A server may insist on a password as soon as one is offered, so only who has one offers it.
                let mut methods = vec![Socks5Method::None];
                if login.password.is_some() || ask.can_be_asked() {
                    methods.push(Socks5Method::UserPass);
                }
                methods
            });
            Box::new(Socks5::new(next, methods))
        }
        Protocol::Http { login } => {
            let known = login.password.is_some().then(|| credentials(hop, ask)).transpose()?;
            Box::new(HttpConnect::new(next.clone(), known))
        }
    })
}

/// The next stage in the form in which a SOCKS proxy is to be told of it.
fn resolved(next: &Endpoint, how: Resolve, ipv4_only: bool, deadline: &Deadline) -> Result<Endpoint, Error> {
    let Host::Name(name) = &next.host else { return Ok(next.clone()) };
    if how == Resolve::Remote {
        return Ok(next.clone());
    }
    let found = resolve::lookup(name, deadline).and_then(|addresses| {
        let fits = |address: &&std::net::IpAddr| !ipv4_only || address.is_ipv4();
        addresses
            .iter()
            .find(fits)
            .copied()
            .ok_or_else(|| resolve::Failure::unknown("it has no IPv4 address"))
    });
    match found {
        Ok(address) => {
            trace!("resolved: {} ({address})", name.as_str());
            Ok(Endpoint { host: Host::Ip(address), port: next.port })
        }
        Err(failure) if how == Resolve::Local => Err(failure.into_error(Peer::target(next), deadline, true)),
        Err(failure) => {
            trace!("failed to resolve locally: {}", failure.cause());
            Ok(next.clone())
        }
    }
}
