//! A tunnel in HTTP POST requests: its server selects the target.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::kind::{HopKind, Scheme, Settings, UseTls, host_field, token_fact};
use crate::error::Error;
use crate::plan::{Dial, HopRequest, Protocol, TargetUse, Token, is_placeholder};
use crate::proto::Negotiation;
use crate::proto::post::{OpenTunnel, Resource};
use crate::secret::masked_text;
use crate::stream::Stream;
use crate::sys;
use crate::tunnels::Broken;
use crate::tunnels::post::PostTunnel;

/// A POST tunnel.
#[derive(Debug)]
pub struct Kind;

/// The server of a POST tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Host, path and query of the requests.
    pub resource: Resource,
    /// The token to send.
    pub token: Option<Token>,
    /// The time for which requests may fail.
    pub resume: Duration,
}

impl HopKind for Kind {
    fn name(&self) -> &'static str {
        "HTTP POST"
    }

    fn sends_token(&self) -> bool {
        true
    }

    fn schemes(&self) -> &'static [Scheme] {
        const SCHEMES: [Scheme; 2] = [
            Scheme::new("post+http", 80).with_path(),
            Scheme::new("post+https", 443).with_path().tls(UseTls::Always),
        ];
        &SCHEMES
    }

    fn build(&self, scheme: &Scheme, settings: &mut dyn Settings) -> Result<Arc<dyn Protocol>, Error> {
        let (path, query) = match settings.path().split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (settings.path().to_owned(), None),
        };
        let authority = settings.address().map(|address| host_field(&address, scheme)).unwrap_or_default();
        let (token, resume) = (settings.token()?, settings.resume()?);
        Ok(Arc::new(Proxy { resource: Resource { authority, path, query }, token, resume }))
    }
}

impl Protocol for Proxy {
    fn name(&self) -> &'static str {
        Kind.name()
    }

    fn relay_method(&self) -> &'static str {
        "POST (6)"
    }

    fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    fn bypass_parameters(&self) -> &'static [&'static str] {
        &["CONNECT_DIRECT"]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let query = self.resource.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        vec![
            ("path", masked_text(&format!("{}{query}", self.resource.path)).into_owned()),
            token_fact(self.token.as_ref()),
            ("resumption", format!("for {} s", self.resume.as_secs())),
        ]
    }

    fn leaves_bytes_alone(&self) -> bool {
        false
    }

    fn reports_ends(&self) -> bool {
        true
    }

    /// The server has a target of its own.
    fn target_use(&self) -> TargetUse {
        TargetUse { host: false, port: false }
    }

    fn negotiation(&self, request: HopRequest<'_>) -> Box<dyn Negotiation> {
        let HopRequest { destination, token, redactor, .. } = request;
        let token = token.map(|token| Zeroizing::new(token.expose().to_vec())).unwrap_or_default();
        let Self { resource, resume, .. } = self.clone();
        let target = if is_placeholder(&destination) { String::new() } else { destination.to_string() };
        Box::new(OpenTunnel::new(resource, token, target, resume, sys::random, redactor))
    }

    fn opens_connections(&self) -> bool {
        true
    }

    fn establish(
        &self,
        negotiation: &mut dyn Negotiation,
        connection: Box<dyn Stream>,
        dial: &dyn Fn() -> Arc<dyn Dial>,
    ) -> Box<dyn Stream> {
        let opening = (negotiation as &mut dyn Any).downcast_mut::<OpenTunnel>();
        let Some(tunnel) = opening.and_then(OpenTunnel::take) else { return connection };
        match PostTunnel::start(tunnel, connection, dial()) {
            Ok(tunnel) => Box::new(tunnel),
            Err(error) => Box::new(Broken::new(error)),
        }
    }
}
