//! User names and passwords for proxies: from the plan, the system, the user or a command.

use crate::error::{Error, Peer};
use crate::plan::{Hop, Login, PasswordPrompt, Target};
use crate::proto::Credentials;
use crate::secret::{AskPassword, Secret, UserName};
use crate::sys;
use crate::text::fill_in;

/// Returns the user name and password for a hop. If the plan has no user name, uses the login name.
/// If the plan has no password, prompts for it or runs the password command.
pub(super) fn credentials(hop: &Hop, peer: &Peer, prompt: &dyn AskPassword) -> Result<Credentials, Error> {
    let user = user(hop, peer)?;
    let (what, variables) = hop.protocol.prompt_names();
    // A protocol without passwords never asks for credentials.
    let none = Login::default();
    let login = hop.protocol.login().unwrap_or(&none);
    if let Some(password) = login.password.clone() {
        return Ok(Credentials { user, password });
    }
    let (answer, variables) = match &login.ask {
        PasswordPrompt::User => {
            let text = format!("Enter {what} password for {user}@{}: ", hop.proxy.host());
            (prompt.ask(&text), Some(variables))
        }
        PasswordPrompt::Command { line, source } => {
            (run_password_command(line, source, hop, &user.to_string(), prompt), None)
        }
    };
    let no_password = |cause: String| Error::NoPassword {
        peer: peer.clone(),
        user: user.to_string().into(),
        cause: cause.into(),
        variables,
    };
    let password = answer.map_err(no_password)?;
    Ok(Credentials { user, password })
}

/// Returns the user name and password for a hop, if they are known without asking the user and
/// without running a command.
pub(super) fn last_credentials(hop: &Hop, peer: &Peer, prompt: &dyn AskPassword) -> Option<Credentials> {
    credentials(hop, peer, &OnlyKnown(prompt)).ok()
}

/// Repeats earlier answers. Never prompts the user or runs a command.
struct OnlyKnown<'a>(&'a dyn AskPassword);

impl AskPassword for OnlyKnown<'_> {
    fn can_be_asked(&self) -> bool {
        false
    }

    fn ask(&self, prompt: &str) -> Result<Secret, String> {
        self.0.last_answer(prompt).ok_or_else(String::new)
    }

    fn run(&self, command: &str, _: &str) -> Result<Secret, String> {
        self.0.last_output(command).ok_or_else(String::new)
    }
}

/// Runs the password command, with `%h`, `%p` and `%u` replaced by the proxy's host, the proxy's
/// port and the user name.
fn run_password_command(
    line: &str,
    source: &str,
    hop: &Hop,
    user: &str,
    prompt: &dyn AskPassword,
) -> Result<Secret, String> {
    let (host, port) = match &hop.proxy {
        Target::Tcp(proxy) => (proxy.host.to_string(), proxy.port.to_string()),
        // A path may contain characters that are unsafe in a shell command.
        Target::Unix(_) | Target::Queue(_) | Target::AtServer(_) => ("localhost".into(), String::new()),
    };
    let line = fill_in(line, &[('h', &host), ('p', &port), ('u', user)])
        .map_err(|what| format!("the command in {source} cannot be run: {what}"))?;
    prompt.run(&line, source)
}

/// Returns the user name for a hop: the one in the plan, or else the login name.
pub(super) fn user(hop: &Hop, peer: &Peer) -> Result<UserName, Error> {
    let login_name = || sys::login_name().map(UserName::from);
    hop.protocol.user().cloned().or_else(login_name).ok_or_else(|| {
        Error::Config(format!("no user name for {peer}: the system has no name for this user"))
    })
}
