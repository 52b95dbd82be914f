//! HTTP CONNECT (RFC 9110 §9.3.6). `https` is the same after TLS.

use std::any::Any;
use std::sync::Arc;

use super::kind::{HopKind, LoginParameters, Scheme, Settings, UseTls, password_fact, user_fact};
use crate::error::Error;
use crate::plan::{Dial, HopRequest, KnownCredentials, Login, Protocol};
use crate::proto::server::PassAll;
use crate::proto::{HttpConnect, HttpSettings, Negotiation};
use crate::stream::{Filtered, Stream};
use crate::sys;

/// HTTP CONNECT.
#[derive(Debug)]
pub struct Kind;

/// An HTTP proxy. It receives names unresolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// Credentials for Basic (RFC 7617) and Digest (RFC 7616).
    pub login: Login,
    /// Authentication schemes, extra header fields and the HTTP version.
    pub settings: HttpSettings,
}

const LOGIN: LoginParameters = LoginParameters {
    users: &["HTTP_PROXY_USER", "CONNECT_USER"],
    passwords: &["HTTP_PROXY_PASSWORD", "CONNECT_PASSWORD"],
};

impl HopKind for Kind {
    fn name(&self) -> &'static str {
        "HTTP"
    }

    fn option(&self) -> Option<&'static str> {
        Some("-H")
    }

    fn schemes(&self) -> &'static [Scheme] {
        const SCHEMES: [Scheme; 2] = [Scheme::new("http", 80), Scheme::new("https", 443).tls(UseTls::Always)];
        &SCHEMES
    }

    fn build(&self, _: &Scheme, settings: &mut dyn Settings) -> Result<Arc<dyn Protocol>, Error> {
        let http = settings.http()?;
        Ok(Arc::new(Proxy { login: settings.login(&LOGIN)?, settings: http }))
    }
}

impl Protocol for Proxy {
    fn name(&self) -> &'static str {
        Kind.name()
    }

    fn relay_method(&self) -> &'static str {
        "HTTP (3)"
    }

    fn login(&self) -> Option<&Login> {
        Some(&self.login)
    }

    fn without_password(&self) -> Option<Arc<dyn Protocol>> {
        Some(Arc::new(Self { login: self.login.without_password(), ..self.clone() }))
    }

    fn prompt_names(&self) -> (&'static str, &'static str) {
        ("proxy authentication", "HTTP_PROXY_PASSWORD")
    }

    fn known_credentials(&self, _: bool) -> KnownCredentials {
        KnownCredentials::WithPassword
    }

    fn sends_own_login(&self) -> bool {
        self.settings.headers.iter().any(|header| header.is("Proxy-Authorization"))
    }

    fn bypass_parameters(&self) -> &'static [&'static str] {
        &["HTTP_DIRECT", "CONNECT_DIRECT"]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![user_fact(self.login.user.as_ref()), password_fact(&self.login, "proxy")]
    }

    fn negotiation(&self, request: HopRequest<'_>) -> Box<dyn Negotiation> {
        let HopRequest { destination, known, redactor, forward, .. } = request;
        let negotiation = HttpConnect::new(destination, self.settings.clone(), sys::random);
        Box::new(negotiation.forwarding(forward).with_redactor(redactor).with_credentials(known))
    }

    fn forwards_requests(&self) -> bool {
        true
    }

    /// The start of the response to a forwarded request has already been received.
    fn establish(
        &self,
        negotiation: &mut dyn Negotiation,
        connection: Box<dyn Stream>,
        _: &dyn Fn() -> Arc<dyn Dial>,
    ) -> Box<dyn Stream> {
        let machine = (negotiation as &mut dyn Any).downcast_mut::<HttpConnect>();
        let answer = machine.map(HttpConnect::take_answer).unwrap_or_default();
        if answer.is_empty() {
            connection
        } else {
            Box::new(Filtered::new(connection, Box::new(PassAll::default()), &answer))
        }
    }
}
