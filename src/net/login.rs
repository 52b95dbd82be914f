//! Who we are to a proxy: from the plan, from the system, or from the user.

use crate::error::{Error, Peer};
use crate::plan::{Hop, Login, Protocol};
use crate::proto::Credentials;
use crate::secret::AskPassword;
use crate::sys;

/// User and password for a hop. What the plan does not know is looked up, or asked for.
pub(super) fn credentials(hop: &Hop, peer: &Peer, ask: &dyn AskPassword) -> Result<Credentials, Error> {
    let user = user(hop, peer)?;
    let (login, what, variables) = match &hop.protocol {
        Protocol::Socks5 { login, .. } => (login, "SOCKS5", "SOCKS5_PASSWORD"),
        Protocol::Http { login, .. } => (login, "proxy authentication", "HTTP_PROXY_PASSWORD"),
        // Never asked: there is no password in these protocols.
        Protocol::Socks4 { .. } | Protocol::Telnet { .. } => (&Login::default(), "proxy", "CONNECT_PASSWORD"),
    };
    let password = match &login.password {
        Some(password) => password.clone(),
        None => {
            ask.ask(&format!("Enter {what} password for {user}@{}: ", hop.proxy.host)).map_err(|cause| {
                Error::NoPassword { peer: peer.clone(), user: user.as_str().into(), cause, variables }
            })?
        }
    };
    Ok(Credentials { user, password })
}

/// The user name for a hop.
pub(super) fn user(hop: &Hop, peer: &Peer) -> Result<String, Error> {
    hop.protocol.user().map(str::to_owned).or_else(sys::login_name).ok_or_else(|| {
        Error::Usage(format!("no user name for {peer}: the system does not know who runs this"))
    })
}
