//! Parses ports given as a number or a service name.

use dns_lookup::{AddrInfoHints, SockType};

use crate::addr::{AddrError, Port, parse_port};
use crate::secret;
use crate::text::printable;

/// Common services, for systems without `/etc/services`, such as minimal containers.
const WELL_KNOWN: [(&str, u16); 14] = [
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

/// Parses a port number or the name of a TCP service.
///
/// # Errors
/// [`AddrError::BadPort`] if the text is neither.
pub(super) fn port_or_service(text: &str) -> Result<Port, AddrError> {
    let quoted = || AddrError::BadPort(Some(printable(secret::masked(text).as_bytes())));
    parse_port(text).or_else(|| service_port(text)).ok_or_else(quoted)
}

/// Does the same for the port in `host:port`, which may be the password in `user:password`.
///
/// # Errors
/// [`AddrError::BadPort`], which quotes the port only if it is a number.
pub(super) fn port_after_host(text: &str) -> Result<Port, AddrError> {
    let quoted = |_| AddrError::BadPort(secret::quotable_number(text).map(str::to_owned));
    port_or_service(text).map_err(quoted)
}

/// Returns the TCP port of a service, from the system's database or from [`WELL_KNOWN`].
fn service_port(name: &str) -> Option<Port> {
    // Pass names only: getaddrinfo also accepts numbers, even above 65535 or with leading blanks.
    let has_letter = name.contains(|c: char| c.is_ascii_alphabetic());
    if !has_letter || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let answer = dns_lookup::getaddrinfo(None, Some(name), Some(hints)).ok();
    let port = answer.and_then(|mut answer| Some(answer.next()?.ok()?.sockaddr.port()));
    let well_known = || WELL_KNOWN.iter().find(|(known, _)| *known == name).map(|(_, port)| *port);
    port.or_else(well_known).and_then(Port::new)
}
