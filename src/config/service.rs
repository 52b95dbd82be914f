//! Service names.

use dns_lookup::{AddrInfoHints, SockType};

use crate::addr::{AddrError, Port, parse_port};

/// The services that people name with this program, for machines without a list of services: a bare container has
/// no `/etc/services`.
const KNOWN: [(&str, u16); 14] = [
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("http", 80),
    ("pop3", 110),
    ("nntp", 119),
    ("imap", 143),
    ("https", 443),
    ("submission", 587),
    ("rsync", 873),
    ("imaps", 993),
    ("pop3s", 995),
    ("socks", 1080),
];

/// A port by its number or by the name of its service.
///
/// # Errors
/// It is neither.
pub(super) fn port_or_service(word: &str) -> Result<Port, AddrError> {
    parse_port(word).or_else(|| port(word)).ok_or_else(|| AddrError::BadPort(word.to_owned()))
}

/// The TCP port of a service, as the system knows it.
fn port(name: &str) -> Option<Port> {
    // A number is none of its business: getaddrinfo would take one that is no port, or one behind a blank.
    let is_name = name.contains(|c: char| c.is_ascii_alphabetic());
    if !is_name || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = dns_lookup::getaddrinfo(None, Some(name), Some(hints)).ok();
    let port = found.and_then(|mut found| Some(found.next()?.ok()?.sockaddr.port()));
    let known = || KNOWN.iter().find(|(known, _)| *known == name).map(|(_, port)| *port);
    port.or_else(known).and_then(Port::new)
}
