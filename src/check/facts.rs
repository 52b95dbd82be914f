//! Descriptions of the plan's settings.

use std::path::Path;

use crate::config::Origin;
use crate::error::{Peer, seconds};
use crate::plan::{
    Bind, FamilyLimit, Hop, Identity, Limits, Local, Plan, ServerIdentity, SocketSettings, Tls, TokenCheck,
};
use crate::proto::server::Origin as WebOrigin;
use crate::text::printable;

/// Returns the settings of a hop as (name, description) pairs.
pub(super) fn for_hop(hop: &Hop) -> Vec<(&'static str, String)> {
    let mut facts = hop.protocol.facts();
    if let Some(tls) = &hop.tls {
        facts.push(("tls", trust(tls)));
    }
    facts
}

/// Describes the certificate of a server.
pub(super) fn identity(identity: &ServerIdentity) -> String {
    let ServerIdentity { own: Identity { certificate, key }, client_authorities } = identity;
    let clients = client_authorities.as_ref().map(|file| format!(", clients by {}", shown(file)));
    let key = if key == certificate { String::new() } else { format!(", key in {}", shown(key)) };
    format!("{}{key}{}", shown(certificate), clients.unwrap_or_default())
}

/// Describes the web pages that may use a server.
pub(super) fn web_pages(origins: &[WebOrigin]) -> String {
    if origins.is_empty() {
        return "refused".into();
    }
    let origins: Vec<_> = origins.iter().map(ToString::to_string).collect();
    format!("only of {}", origins.join(", "))
}

/// Describes the tokens that a server accepts.
pub(super) fn tokens(check: &TokenCheck) -> String {
    match check {
        TokenCheck::Open => "none required".into(),
        TokenCheck::Keys { keys, audience, denied } => {
            let denied = denied.as_ref().map(|file| format!(", denied in {}", shown(file)));
            format!("keys in {}, audience {audience}{}", shown(keys), denied.unwrap_or_default())
        }
    }
}

fn shown(path: &Path) -> String {
    printable(path.to_string_lossy().as_bytes())
}

/// Describes how a peer's certificate is verified.
pub(super) fn trust(tls: &Tls) -> String {
    let whom = match &tls.authorities {
        _ if tls.insecure && tls.pins.is_empty() => "accepts any certificate".into(),
        _ if tls.insecure => "accepts any certificate with a pinned key".into(),
        Some(file) => format!("trusts the authorities in {}", printable(file.to_string_lossy().as_bytes())),
        None => "trusts the system's authorities".into(),
    };
    let pinned = if tls.pins.is_empty() || tls.insecure { "" } else { ", requires a pinned key" };
    let name = tls.server_name.as_ref().map(|name| format!(", expects the name {name}")).unwrap_or_default();
    format!("{whom}{pinned}{name}")
}

/// Describes the time limits.
pub(super) fn limits(plan: &Plan) -> String {
    match plan.limits {
        Limits::Total(limit) => format!("{} seconds in all", limit.as_secs_f64()),
        Limits::Unlimited => "the system's".into(),
        Limits::PerStep if plan.target_tls.is_none() && plan.hops().next().is_none() => "the system's".into(),
        Limits::PerStep if plan.routes.len() > 1 => format!(
            "{} seconds for each route but the last, {} for each handshake",
            Limits::ROUTE_TIMEOUT.as_secs(),
            Limits::HANDSHAKE_TIMEOUT.as_secs()
        ),
        Limits::PerStep => format!("{} seconds for each handshake", Limits::HANDSHAKE_TIMEOUT.as_secs()),
    }
}

/// Describes the settings of TCP sockets; `None` if all of them are defaults.
pub(super) fn connections(settings: &SocketSettings) -> Option<String> {
    let mut facts = Vec::new();
    if let Some(Bind { to, .. }) = &settings.bind {
        facts.push(format!("from {to}"));
    }
    if let Some(FamilyLimit { family, .. }) = &settings.family {
        facts.push(format!("{family} only"));
    }
    match settings.keep_alive {
        None => facts.push("without keep-alive".into()),
        Some(SocketSettings::KEEP_ALIVE_TIME) => {}
        Some(time) => facts.push(format!("keep-alive after {}", seconds(&time))),
    }
    (!facts.is_empty()).then(|| facts.join("; "))
}

/// Describes the origin of a setting.
pub(super) fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Option(_) => "command line".into(),
        Origin::Variable(_) => "environment".into(),
        Origin::File { .. } => origin.to_string(),
    }
}

/// Returns a route as one line: `HTTP proxy a:80 → SOCKS5 proxy b:1080 → host:22`.
pub(super) fn route(hops: &[Hop], plan: &Plan) -> String {
    if hops.is_empty() {
        return format!("direct connection to {}", plan.target);
    }
    let names = hops.iter().map(server);
    match plan.local {
        // The last hop is the end of the route.
        Local::Remote(_) => names.collect::<Vec<_>>().join(" → "),
        _ => names.chain([plan.target.to_string()]).collect::<Vec<_>>().join(" → "),
    }
}

/// Returns the end of the routes: the target, or the server of `--ssh`.
pub(super) fn destination(plan: &Plan) -> String {
    match (&plan.local, plan.routes.first().and_then(|route| route.hops.last())) {
        (Local::Remote(_), Some(hop)) => server(hop),
        _ => plan.target.to_string(),
    }
}

fn server(hop: &Hop) -> String {
    Peer::proxy(hop, 0, 1).to_string()
}
