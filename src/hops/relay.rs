//! An origin behind a relay hub, over a link that survives broken connections.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::kind::{HopKind, Scheme, Settings, UseTls, host_field, key_fact, token_fact};
use crate::error::Error;
use crate::plan::{Dial, HopRequest, Multiplexer, Protocol, TargetUse, Token};
use crate::proto::Negotiation;
use crate::proto::hub::{DestRequest, MUX_PROTOCOL};
use crate::proto::link::{self, LinkId};
use crate::proto::websocket::{HalfClose, Handshake, Request};
use crate::secret::SharedKey;
use crate::stream::Stream;
use crate::sys;
use crate::token::is_session_name;
use crate::tunnels::Broken;
use crate::tunnels::link::{
    DestLink, DestSettings, LINK_LINGER_TIME, Pipe, PipeSource, Redial, websocket_pipe,
};

/// A relay hub.
#[derive(Debug)]
pub struct Kind;

/// A session at a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The value of `Host`.
    pub host: String,
    /// The path before those of the hub, without a slash at the end.
    pub prefix: String,
    /// The name of the session.
    pub session: String,
    /// The token to send.
    pub token: Option<Token>,
    /// The time without input before a Ping; `None` for no Pings.
    pub keep_alive: Option<Duration>,
    /// The time for which the link survives without a connection.
    pub resume: Duration,
    /// The maximum of a stream's window, and of unacknowledged bytes.
    pub window: u32,
    /// The key for the end-to-end encryption; `None` for none.
    pub key: Option<SharedKey>,
}

impl HopKind for Kind {
    fn name(&self) -> &'static str {
        "relay hub"
    }

    fn sends_token(&self) -> bool {
        true
    }

    fn has_key(&self) -> bool {
        true
    }

    fn schemes(&self) -> &'static [Scheme] {
        const SCHEMES: [Scheme; 2] = [
            Scheme::new("relay+ws", 80).with_path(),
            Scheme::new("relay+wss", 443).with_path().tls(UseTls::Always),
        ];
        &SCHEMES
    }

    fn build(&self, scheme: &Scheme, settings: &mut dyn Settings) -> Result<Arc<dyn Protocol>, Error> {
        let (prefix, session) = settings.path().rsplit_once('/').unwrap_or_default();
        if !is_session_name(session) || prefix.contains(['?', '%']) {
            return Err(settings.invalid(
                "invalid session name in the path; use up to 64 letters, digits and '._~-'".into(),
            ));
        }
        let (prefix, session) = (prefix.trim_end_matches('/').to_owned(), session.to_owned());
        let host = settings.address().map(|address| host_field(&address, scheme)).unwrap_or_default();
        let (token, keep_alive) = (settings.token()?, settings.keep_alive()?);
        let (resume, window, key) = (settings.resume()?, settings.window()?, settings.key()?);
        Ok(Arc::new(Proxy { host, prefix, session, token, keep_alive, resume, window, key }))
    }
}

impl Protocol for Proxy {
    fn name(&self) -> &'static str {
        Kind.name()
    }

    fn relay_method(&self) -> &'static str {
        "RELAY (7)"
    }

    fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    fn bypass_parameters(&self) -> &'static [&'static str] {
        &["CONNECT_DIRECT"]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("session", self.session.clone()),
            token_fact(self.token.as_ref()),
            key_fact(self.key.as_ref()),
            ("resumption", format!("for {} s", self.resume.as_secs())),
        ]
    }

    fn leaves_bytes_alone(&self) -> bool {
        false
    }

    /// The origin has a target of its own.
    fn target_use(&self) -> TargetUse {
        TargetUse { host: false, port: false }
    }

    fn negotiation(&self, request: HopRequest<'_>) -> Box<dyn Negotiation> {
        let HopRequest { token, redactor, .. } = request;
        let request = Request {
            host: self.host.clone(),
            path: format!("{}/v1/{}/dest", self.prefix, self.session),
            token,
            subprotocols: MUX_PROTOCOL.to_owned(),
            needs_subprotocol: true,
            resumed_link: None,
            half_close: HalfClose::Neither,
        };
        let handshake = Handshake::new(request, sys::random, redactor);
        Box::new(DestRequest::new(handshake, &self.session, self.resume))
    }

    fn opens_connections(&self) -> bool {
        true
    }

    /// The origin says whether its target has ended the connection or cut it off.
    fn reports_ends(&self) -> bool {
        true
    }

    fn multiplexes(&self) -> bool {
        true
    }

    fn has_key(&self) -> bool {
        self.key.is_some()
    }

    fn establish(
        &self,
        negotiation: &mut dyn Negotiation,
        connection: Box<dyn Stream>,
        dial: &dyn Fn() -> Arc<dyn Dial>,
    ) -> Box<dyn Stream> {
        let started = self
            .first_pipe(negotiation, connection, dial)
            .and_then(|(id, pipe, source)| DestLink::start_single(self.dest_settings(), id, pipe, source));
        match started {
            Ok(stream) => Box::new(stream),
            Err(error) => Box::new(Broken::new(error)),
        }
    }

    fn establish_multiplexer(
        &self,
        negotiation: &mut dyn Negotiation,
        connection: Box<dyn Stream>,
        dial: &dyn Fn() -> Arc<dyn Dial>,
    ) -> io::Result<Arc<dyn Multiplexer>> {
        let (id, pipe, source) = self.first_pipe(negotiation, connection, dial)?;
        Ok(Arc::new(DestLink::start(self.dest_settings(), id, pipe, source)?))
    }
}

impl Proxy {
    fn dest_settings(&self) -> DestSettings {
        let Self { resume, window, .. } = *self;
        DestSettings {
            link: link::Settings { window, resume, ..link::Settings::default() },
            session: self.session.clone(),
            key: self.key.clone(),
            linger: LINK_LINGER_TIME,
        }
    }

    /// Returns the name of a new link, its first pipe, and the source of further pipes.
    fn first_pipe(
        &self,
        negotiation: &mut dyn Negotiation,
        connection: Box<dyn Stream>,
        dial: &dyn Fn() -> Arc<dyn Dial>,
    ) -> io::Result<(LinkId, Pipe, Arc<dyn PipeSource>)> {
        let first = (negotiation as &mut dyn Any).downcast_ref::<DestRequest>();
        let first = first.ok_or(io::ErrorKind::Unsupported)?.handshake();
        let no_random = || io::Error::other("the system provides no random bytes");
        let id = LinkId(sys::random().ok_or_else(no_random)?);
        let pipe = websocket_pipe(connection, first, self.keep_alive);
        let source = Redial::new(
            dial(),
            first.request().clone(),
            first.redactor().clone(),
            self.keep_alive,
            self.key.clone(),
            self.session.clone(),
        );
        Ok((id, pipe, Arc::new(source)))
    }
}
