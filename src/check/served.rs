//! The servers for web clients, which have the same settings: listeners with a scheme, and hubs.

use crate::plan::{
    HubServer, ListenAddress, Local, PostServer, PostTransport, ServerIdentity, WebAccess, WebSocketServer,
};
use crate::proto::hub::RoleLimit;

/// A server for web clients.
pub(super) struct Served<'a> {
    /// The addresses to listen on, each with its URL.
    pub(super) listeners: Vec<(&'a ListenAddress, String)>,
    pub(super) identity: Option<&'a ServerIdentity>,
    pub(super) access: &'a WebAccess,
}

impl<'a> Served<'a> {
    /// Returns the server in a plan; `None` if the plan serves no web clients.
    pub(super) fn in_plan(local: &'a Local) -> Option<Self> {
        match local {
            Local::WebSocket(server) => Some(Self::websocket(server)),
            Local::Post(server) => Some(Self::post(server)),
            Local::Hub(server) => Some(Self::hub(server)),
            _ => None,
        }
    }

    fn websocket(server: &'a WebSocketServer) -> Self {
        let listeners = server.listeners.iter().map(|listener| {
            let scheme = if listener.tls { "wss" } else { "ws" };
            (&listener.at, format!("{scheme}://{}{}", listener.at, listener.path))
        });
        let listeners = listeners.collect();
        Self { listeners, identity: server.identity.as_ref(), access: &server.access }
    }

    fn post(server: &'a PostServer) -> Self {
        let listeners = server.listeners.iter().map(|listener| {
            let scheme = match listener.transport {
                PostTransport::Http => "post+http",
                PostTransport::Https => "post+https",
                PostTransport::Scgi => "scgi",
            };
            let url = match &listener.at {
                at @ ListenAddress::Unix(_) => format!("{scheme}:{at}?path={}", listener.path),
                at => format!("{scheme}://{at}{}", listener.path),
            };
            (&listener.at, url)
        });
        let listeners = listeners.collect();
        Self { listeners, identity: server.identity.as_ref(), access: &server.access }
    }

    fn hub(server: &'a HubServer) -> Self {
        let listeners = server.listeners.iter().map(|listener| {
            let scheme = if listener.tls { "wss" } else { "ws" };
            let role = match listener.role {
                None => "",
                Some(RoleLimit::Origin) => ", origins only",
                Some(RoleLimit::Dest) => ", clients only",
            };
            (&listener.at, format!("{scheme}://{}{}{role}", listener.at, listener.prefix))
        });
        let listeners = listeners.collect();
        Self { listeners, identity: server.identity.as_ref(), access: &server.access }
    }
}
