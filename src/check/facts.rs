//! What a plan says of a hop, in words.

use crate::config::Origin;
use crate::plan::{Hop, Limits, Login, PasswordPrompt, Plan, Protocol, Resolve, Tls};
use crate::text::printable;

/// Each fact with its name, in the order in which they matter.
pub(super) fn of(hop: &Hop) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let login_name = || "your login name".to_owned();
    match &hop.protocol {
        Protocol::Socks4 { user, .. } => facts.push(("user", user.clone().unwrap_or_else(login_name))),
        Protocol::Socks5 { login, .. } | Protocol::Http { login, .. } => {
            facts.push(("user", login.user.clone().unwrap_or_else(login_name)));
            facts.push(("password", password(login)));
        }
        Protocol::Telnet { command, .. } => facts.push(("command", command.clone())),
    }
    if let Some(resolve) = hop.protocol.resolve() {
        facts.push(("names", names(resolve)));
    }
    if let Some(tls) = &hop.tls {
        facts.push(("tls", trust(tls)));
    }
    facts
}

fn trust(tls: &Tls) -> String {
    let whom = match &tls.authorities {
        _ if tls.insecure && tls.pins.is_empty() => "any certificate is trusted".into(),
        _ if tls.insecure => "the key must be a pinned one".into(),
        Some(file) => format!("authorities in {} are trusted", printable(file.to_string_lossy().as_bytes())),
        None => "the system's authorities are trusted".into(),
    };
    let pinned = if tls.pins.is_empty() || tls.insecure { "" } else { ", and the key must be a pinned one" };
    let name = tls.server_name.as_ref().map(|name| format!(", for the name {name}")).unwrap_or_default();
    format!("{whom}{pinned}{name}")
}

fn password(login: &Login) -> String {
    match (&login.password, &login.ask) {
        (Some(_), _) => "known".into(),
        (None, PasswordPrompt::User) => "asked for, if the proxy wants one".into(),
        (None, PasswordPrompt::Command { source, .. }) => {
            format!("said by the command in {source}, if the proxy wants one")
        }
    }
}

fn names(resolve: Resolve) -> String {
    match resolve {
        Resolve::Local => "resolved here".into(),
        Resolve::Server(server) => format!("resolved here, by name server {server}"),
        Resolve::LocalFirst | Resolve::Both => "resolved here, or by the proxy if that fails".into(),
        Resolve::Remote => "resolved by the proxy".into(),
    }
}

/// The time limits.
pub(super) fn limits(plan: &Plan) -> String {
    match plan.limits.reach {
        Some(limit) => format!("{} seconds in all", limit.as_secs_f64()),
        None if plan.routes.iter().all(|route| route.hops.is_empty()) => "the system's own".into(),
        None if plan.routes.len() > 1 => format!(
            "{} seconds for each route but the last, {} for each negotiation",
            Limits::ROUTE.as_secs(),
            Limits::NEGOTIATION.as_secs()
        ),
        None => format!("{} seconds for each negotiation", Limits::NEGOTIATION.as_secs()),
    }
}

/// Where a value was found.
pub(super) fn place(origin: &Origin) -> String {
    match origin {
        Origin::Option(_) => "command line".into(),
        Origin::Variable(_) => "environment".into(),
        Origin::File { .. } | Origin::Default => origin.to_string(),
    }
}

/// A way in one line: `HTTP proxy a:80 → SOCKS5 proxy b:1080 → host:22`.
pub(super) fn way(hops: &[Hop], plan: &Plan) -> String {
    if hops.is_empty() {
        return format!("directly to {}", plan.target);
    }
    let hops = hops.iter().map(|hop| format!("{} proxy {}", hop.protocol.name(), hop.proxy));
    hops.chain([plan.target.to_string()]).collect::<Vec<_>>().join(" → ")
}
