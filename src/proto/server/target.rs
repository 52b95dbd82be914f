//! The targets that clients name.

use super::reason::Rejection;
use crate::addr::Host;

/// Parses the host that a client names.
///
/// Accepts fewer characters than [`Host::parse`]: a `Match exec` command may contain the name, and
/// the client must not be able to add to that command.
pub(super) fn parse_host(text: &str) -> Result<Host, Rejection> {
    let host = Host::parse(text).map_err(|_| Rejection::InvalidTarget)?;
    let is_harmless = |name: &str| {
        !name.starts_with('-') && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    match &host {
        Host::Name(name) if !is_harmless(name.as_str()) => Err(Rejection::InvalidTarget),
        Host::Name(_) | Host::Ip(_) => Ok(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_add_to_a_command_that_contains_its_target() {
        for text in ["host.example", "a_b-c", "bücher.example", "192.0.2.1", "::1", "[::1]", "localhost."] {
            assert!(parse_host(text).is_ok(), "{text}");
        }
        for text in
            ["", "a;b", "$(id)", "a&b", "-oProxyCommand", "a*", "~", "a!b", "fe80::1%eth0", "a=b", "(", "%h"]
        {
            assert_eq!(parse_host(text), Err(Rejection::InvalidTarget), "{text}");
        }
    }
}
