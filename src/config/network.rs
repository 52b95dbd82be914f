//! Parses networks in options.

use super::bypass::parse_pattern;
use crate::bypass::{Pattern, Prefix};

/// Parses a network or an address. Unlike in a bypass list, an address is complete.
pub(super) fn parse_network(text: &str) -> Option<Prefix> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = inner.split_once('/').map_or(inner, |(address, _)| address);
    address.parse::<std::net::IpAddr>().ok()?;
    match parse_pattern(inner) {
        Some(Pattern::Network(prefix)) => Some(prefix),
        _ => None,
    }
}
