//! Requests of an origin to its hub.

use std::any::Any;
use std::io;
use std::sync::Arc;

use super::websocket::Proxy;
use crate::codecs::websocket::{ClosingCode, Role, WebSocket};
use crate::error::Error;
use crate::plan::{Dial, Hop, HopRequest, OriginSettings, Plan, Protocol, Route, Target, TargetUse, Token};
use crate::proto::Negotiation;
use crate::proto::hub::{Id, ORIGIN_PROTOCOL};
use crate::proto::websocket::{HalfClose, Handshake, Request};
use crate::stream::{Layered, Stream};
use crate::sys;

/// The purpose of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A control connection. The tunnel carries frames.
    Control,
    /// The connection for an offer. The tunnel carries the client's bytes, and ends with a Close
    /// with this code.
    Accept(Id, ClosingCode),
}

/// A request to a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HubRequest {
    server: Proxy,
    path: String,
    purpose: Purpose,
}

/// Returns the hop that requests this from the hub at `hop`, a WebSocket server. `None` for a hop
/// of another kind.
fn request(hop: &Hop, prefix: &str, session: &str, purpose: Purpose) -> Option<Hop> {
    let server = hop.protocol.as_any().downcast_ref::<Proxy>()?.clone();
    let path = match &purpose {
        Purpose::Control => format!("{prefix}/v1/{session}/origin"),
        Purpose::Accept(offer, _) => format!("{prefix}/v1/{session}/accept/{offer}"),
    };
    Some(Hop { protocol: Arc::new(HubRequest { server, path, purpose }), ..hop.clone() })
}

/// Returns a plan that connects an origin to its hub. `plan` is that of the run.
#[must_use]
pub fn plan_to_hub(plan: &Plan, settings: &OriginSettings, session: &str, purpose: Purpose) -> Plan {
    let mut hops = settings.hops.clone();
    let hub = hops.pop().and_then(|hub| request(&hub, &settings.prefix, session, purpose));
    hops.extend(hub);
    Plan {
        target: Target::AtServer(None),
        routes: vec![Route { hops, ..Route::default() }],
        target_tls: None,
        proxy_protocol: None,
        ..plan.clone()
    }
}

/// Returns a random session name: a UUID (RFC 9562, version 4).
///
/// # Errors
/// The system has no random numbers.
pub fn random_session() -> Result<String, Error> {
    let cause = || io::Error::other("no random numbers");
    let mut bytes =
        sys::random().ok_or_else(|| Error::System { what: "choose a session", cause: cause() })?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Ok(parts.join("-"))
}

/// Returns the path in the URL of a WebSocket server; `None` for a hop of another kind.
#[must_use]
pub fn websocket_path(hop: &Hop) -> Option<String> {
    Some(hop.protocol.as_any().downcast_ref::<Proxy>()?.path.to_string())
}

impl Protocol for HubRequest {
    fn name(&self) -> &'static str {
        "relay hub"
    }

    fn relay_method(&self) -> &'static str {
        self.server.relay_method()
    }

    fn token(&self) -> Option<&Token> {
        self.server.token()
    }

    fn bypass_parameters(&self) -> &'static [&'static str] {
        &[]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        self.server.facts()
    }

    fn leaves_bytes_alone(&self) -> bool {
        false
    }

    fn target_use(&self) -> TargetUse {
        TargetUse { host: false, port: false }
    }

    fn negotiation(&self, request: HopRequest<'_>) -> Box<dyn Negotiation> {
        let HopRequest { token, redactor, .. } = request;
        let subprotocols = match self.purpose {
            Purpose::Control => ORIGIN_PROTOCOL.to_owned(),
            Purpose::Accept(..) => String::new(),
        };
        let (host, path) = (self.server.host.clone(), self.path.clone());
        let request = Request {
            host,
            path,
            token,
            subprotocols,
            needs_subprotocol: false,
            resumed_link: None,
            half_close: HalfClose::Neither,
        };
        Box::new(Handshake::new(request, sys::random, redactor))
    }

    fn establish(
        &self,
        negotiation: &mut dyn Negotiation,
        connection: Box<dyn Stream>,
        _: &dyn Fn() -> Arc<dyn Dial>,
    ) -> Box<dyn Stream> {
        let Purpose::Accept(_, closing_code) = &self.purpose else { return connection };
        let handshake = (negotiation as &mut dyn Any).downcast_ref::<Handshake>();
        let half_close = handshake.map_or(HalfClose::Neither, Handshake::half_close);
        let codec = WebSocket::new(Role::Client(sys::random), half_close).closing_with(closing_code.clone());
        Box::new(Layered::new(connection, codec).with_keep_alive(self.server.keep_alive))
    }
}
