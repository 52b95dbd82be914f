//! Telnet-style proxies: hosts that open a connection at a command.

use std::sync::Arc;

use super::kind::{HopKind, LoginParameters, Scheme, Settings, UseTls};
use crate::error::Error;
use crate::plan::{HopRequest, Protocol};
use crate::proto::{Negotiation, TELNET_COMMAND, Telnet};
use crate::secret::{UserName, masked_text};

/// Telnet-style proxies.
#[derive(Debug)]
pub struct Kind;

/// A telnet-style proxy. It receives names unresolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The command to send, with `%h` and `%p` for the target's host and port.
    pub command: String,
    /// The user name shown in the `-d` output; it is not sent to the proxy.
    pub user: Option<UserName>,
}

const LOGIN: LoginParameters = LoginParameters { users: &["CONNECT_USER"], passwords: &[] };

impl HopKind for Kind {
    fn name(&self) -> &'static str {
        "telnet"
    }

    fn option(&self) -> Option<&'static str> {
        Some("-T")
    }

    fn schemes(&self) -> &'static [Scheme] {
        const SCHEMES: [Scheme; 1] = [Scheme::new("telnet", 23).tls(UseTls::WithSuffix)];
        &SCHEMES
    }

    fn build(&self, _: &Scheme, settings: &mut dyn Settings) -> Result<Arc<dyn Protocol>, Error> {
        let command = settings.url_option("command").or_else(|| settings.telnet_command());
        let command = command.unwrap_or_else(|| TELNET_COMMAND.into());
        Ok(Arc::new(Proxy { command, user: settings.login(&LOGIN)?.user }))
    }
}

impl Protocol for Proxy {
    fn name(&self) -> &'static str {
        Kind.name()
    }

    fn relay_method(&self) -> &'static str {
        "TELNET (4)"
    }

    fn user(&self) -> Option<&UserName> {
        self.user.as_ref()
    }

    fn bypass_parameters(&self) -> &'static [&'static str] {
        &["CONNECT_DIRECT"]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![("command", masked_text(&self.command).into_owned())]
    }

    fn negotiation(&self, request: HopRequest<'_>) -> Box<dyn Negotiation> {
        let HopRequest { destination, redactor, .. } = request;
        Box::new(Telnet::new(destination, self.command.clone()).with_redactor(redactor))
    }
}
