//! SOCKS5 (RFC 1928).

use std::sync::Arc;

use super::kind::{HopKind, LoginParameters, Scheme, Settings, UseTls, names_fact, password_fact, user_fact};
use crate::error::Error;
use crate::plan::{HopRequest, KnownCredentials, Login, PasswordPrompt, Protocol, Resolve};
use crate::proto::{Negotiation, Socks5, Socks5Method};
use crate::secret::AskPassword;

/// SOCKS5.
#[derive(Debug)]
pub struct Kind;

/// A SOCKS5 proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The place to resolve names.
    pub resolve: Resolve,
    /// The authentication methods to offer; `None` to offer those that can succeed.
    pub methods: Option<Vec<Socks5Method>>,
    /// Credentials for username/password authentication (RFC 1929).
    pub login: Login,
}

const LOGIN: LoginParameters = LoginParameters {
    users: &["SOCKS5_USER", "SOCKS_USER", "CONNECT_USER"],
    passwords: &["SOCKS5_PASSWD", "SOCKS5_PASSWORD", "SOCKS_PASSWORD", "CONNECT_PASSWORD"],
};

impl HopKind for Kind {
    fn name(&self) -> &'static str {
        "SOCKS5"
    }

    fn option(&self) -> Option<&'static str> {
        Some("-S")
    }

    /// As in curl, `socks5h` resolves names at the proxy, and `socks5` locally first.
    fn schemes(&self) -> &'static [Scheme] {
        const SCHEMES: [Scheme; 3] = [
            Scheme::new("socks", 1080).tls(UseTls::WithSuffix),
            Scheme::new("socks5", 1080).tls(UseTls::WithSuffix).resolving(Resolve::Both),
            Scheme::new("socks5h", 1080).tls(UseTls::WithSuffix),
        ];
        &SCHEMES
    }

    fn build(&self, scheme: &Scheme, settings: &mut dyn Settings) -> Result<Arc<dyn Protocol>, Error> {
        let resolve = settings.resolve("SOCKS5_RESOLVE", scheme.resolve)?;
        let methods = settings.socks5_methods()?;
        Ok(Arc::new(Proxy { resolve, methods, login: settings.login(&LOGIN)? }))
    }
}

impl Protocol for Proxy {
    fn name(&self) -> &'static str {
        Kind.name()
    }

    fn relay_method(&self) -> &'static str {
        "SOCKS (2)"
    }

    fn login(&self) -> Option<&Login> {
        Some(&self.login)
    }

    fn without_password(&self) -> Option<Arc<dyn Protocol>> {
        Some(Arc::new(Self { login: self.login.without_password(), ..self.clone() }))
    }

    fn prompt_names(&self) -> (&'static str, &'static str) {
        ("SOCKS5", "SOCKS5_PASSWORD")
    }

    fn known_credentials(&self, eager: bool) -> KnownCredentials {
        if eager && self.login.password.is_some() {
            KnownCredentials::WithPassword
        } else {
            KnownCredentials::Complete
        }
    }

    fn resolve(&self) -> Option<Resolve> {
        Some(self.resolve)
    }

    fn bypass_parameters(&self) -> &'static [&'static str] {
        &["SOCKS5_DIRECT", "SOCKS_DIRECT", "CONNECT_DIRECT"]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            user_fact(self.login.user.as_ref()),
            password_fact(&self.login, "proxy"),
            names_fact(self.resolve),
        ]
    }

    fn trace_facts(&self) -> Vec<(&'static str, String)> {
        vec![("socks_version", "5".into()), ("socks_resolve", self.resolve.name().into())]
    }

    fn negotiation(&self, request: HopRequest<'_>) -> Box<dyn Negotiation> {
        let HopRequest { destination, known, eager, prompt, .. } = request;
        let (methods, can_fall_back) = match &self.methods {
            Some(methods) => (methods.clone(), false),
            None => default_methods(&self.login, eager, prompt),
        };
        let negotiation = Socks5::new(destination, methods).falling_back_to_userpass(can_fall_back);
        Box::new(negotiation.with_credentials(known).eager(eager))
    }
}

/// Returns the methods to offer without `-a`, and whether to offer user/password after the proxy
/// has refused them.
///
/// Some servers insist on a password once it is offered, so it is offered at once only if the user
/// named a user or a password. An unexpected prompt might even get another password: sshpass types
/// the target's password into every prompt.
fn default_methods(login: &Login, eager: bool, prompt: &dyn AskPassword) -> (Vec<Socks5Method>, bool) {
    use Socks5Method::{None, UserPass};
    let has_password = login.password.is_some() || login.ask != PasswordPrompt::User;
    let can_be_asked = !has_password && prompt.can_be_asked();
    match (has_password, eager) {
        // Pipelining needs a single method: with two, the proxy's choice decides what to send next.
        (true, true) => (vec![UserPass], false),
        (true, false) => (vec![None, UserPass], false),
        (false, false) if can_be_asked && login.user.is_some() => (vec![None, UserPass], false),
        (false, _) => (vec![None], can_be_asked),
    }
}
