//! SOCKS4, and SOCKS4a if a name is sent.

use std::sync::Arc;

use super::kind::{HopKind, LoginParameters, Scheme, Settings, UseTls, names_fact, user_fact};
use crate::error::Error;
use crate::plan::{HopRequest, Protocol, Resolve};
use crate::proto::{Negotiation, Socks4};
use crate::secret::UserName;

/// SOCKS4.
#[derive(Debug)]
pub struct Kind;

/// A SOCKS4 proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The user ID; `None` for the login name. SOCKS4 has no password.
    pub user: Option<UserName>,
    /// The place to resolve names.
    pub resolve: Resolve,
}

const LOGIN: LoginParameters =
    LoginParameters { users: &["SOCKS4_USER", "SOCKS_USER", "CONNECT_USER"], passwords: &[] };

impl HopKind for Kind {
    fn name(&self) -> &'static str {
        "SOCKS4"
    }

    fn option(&self) -> Option<&'static str> {
        Some("-S")
    }

    /// As in curl, `socks4a` resolves names at the proxy, and `socks4` locally first.
    fn schemes(&self) -> &'static [Scheme] {
        const SCHEMES: [Scheme; 2] = [
            Scheme::new("socks4", 1080).tls(UseTls::WithSuffix).resolving(Resolve::LocalFirst),
            Scheme::new("socks4a", 1080).tls(UseTls::WithSuffix),
        ];
        &SCHEMES
    }

    fn build(&self, scheme: &Scheme, settings: &mut dyn Settings) -> Result<Arc<dyn Protocol>, Error> {
        let resolve = settings.resolve("SOCKS4_RESOLVE", scheme.resolve)?;
        Ok(Arc::new(Proxy { user: settings.login(&LOGIN)?.user, resolve }))
    }
}

impl Protocol for Proxy {
    fn name(&self) -> &'static str {
        Kind.name()
    }

    fn relay_method(&self) -> &'static str {
        "SOCKS (2)"
    }

    fn user(&self) -> Option<&UserName> {
        self.user.as_ref()
    }

    /// The request always contains the user ID.
    fn needs_user(&self) -> bool {
        true
    }

    fn resolve(&self) -> Option<Resolve> {
        Some(self.resolve)
    }

    fn requires_ipv4(&self) -> bool {
        true
    }

    fn bypass_parameters(&self) -> &'static [&'static str] {
        &["SOCKS4_DIRECT", "SOCKS_DIRECT", "CONNECT_DIRECT"]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![user_fact(self.user.as_ref()), names_fact(self.resolve)]
    }

    fn trace_facts(&self) -> Vec<(&'static str, String)> {
        vec![("socks_version", "4".into()), ("socks_resolve", self.resolve.name().into())]
    }

    fn negotiation(&self, request: HopRequest<'_>) -> Box<dyn Negotiation> {
        Box::new(Socks4::new(request.destination, request.user.unwrap_or_default()))
    }
}
