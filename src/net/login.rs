//! Who we are to a proxy: from the plan, from the system, or from the user.

use crate::error::{Error, Peer};
use crate::plan::{Hop, Login, PasswordPrompt, Protocol};
use crate::proto::Credentials;
use crate::secret::{AskPassword, Secret};
use crate::sys;
use crate::text::fill_in;

/// User and password for a hop. What the plan does not know is looked up, or asked for.
pub(super) fn credentials(hop: &Hop, peer: &Peer, ask: &dyn AskPassword) -> Result<Credentials, Error> {
    let user = user(hop, peer)?;
    let (login, what, variables) = match &hop.protocol {
        Protocol::Socks5 { login, .. } => (login, "SOCKS5", "SOCKS5_PASSWORD"),
        Protocol::Http { login, .. } => (login, "proxy authentication", "HTTP_PROXY_PASSWORD"),
        // Never asked: there is no password in these protocols.
        Protocol::Socks4 { .. } | Protocol::Telnet { .. } => (&Login::default(), "proxy", "CONNECT_PASSWORD"),
    };
    if let Some(password) = login.password.clone() {
        return Ok(Credentials { user, password });
    }
    let (answer, variables) = match &login.ask {
        PasswordPrompt::User => {
            let prompt = format!("Enter {what} password for {user}@{}: ", hop.proxy.host);
            (ask.ask(&prompt), Some(variables))
        }
        PasswordPrompt::Command { line, source } => (said_by(line, source, hop, &user, ask), None),
    };
    let no_password = |cause: String| Error::NoPassword {
        peer: peer.clone(),
        user: user.as_str().into(),
        cause: cause.into(),
        variables,
    };
    let password = answer.map_err(no_password)?;
    Ok(Credentials { user, password })
}

/// What a command says that is told which proxy and which user it is about.
fn said_by(line: &str, source: &str, hop: &Hop, user: &str, ask: &dyn AskPassword) -> Result<Secret, String> {
    let (host, port) = (hop.proxy.host.to_string(), hop.proxy.port.to_string());
    let line = fill_in(line, &[('h', &host), ('p', &port), ('u', user)])
        .map_err(|what| format!("the command in {source} is not run: {what}"))?;
    ask.run(&line, source)
}

/// The user name for a hop.
pub(super) fn user(hop: &Hop, peer: &Peer) -> Result<String, Error> {
    hop.protocol.user().map(str::to_owned).or_else(sys::login_name).ok_or_else(|| {
        Error::Config(format!("no user name for {peer}: the system does not know who runs this"))
    })
}
