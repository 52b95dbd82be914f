//! Named queues at SSH servers.

use crate::cli::{Args, ProxyArg};
use crate::plan::Target;

/// The longest name of a queue.
const MAX_NAME: usize = 64;

/// The rule for names, for messages.
pub(super) const NAME_RULE: &str = "the name of a queue has 1 to 64 letters, digits, '-' and '_'";

/// Returns `true` for a name that a queue can have.
pub(super) fn is_name(name: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_valid)
}

/// Returns `true` if the operand `queue:NAME` is the name of a queue, because the last proxy of
/// `-x` is an SSH server. Otherwise, `queue` is a host.
pub(super) fn is_possible(args: &Args) -> bool {
    let ProxyArg::Proxies(urls) = &args.proxy else { return false };
    ends_at_ssh(urls.join(",").as_bytes())
}

/// Returns the queue in the operands if the proxies of `-A` may end at an SSH server.
pub(super) fn with_auto(args: &Args) -> Option<Target> {
    let name = args.host.strip_prefix("queue:")?;
    let is_target = matches!(args.proxy, ProxyArg::Auto) && !args.clients_name_targets();
    (is_target && args.port.is_none() && is_name(name)).then(|| Target::Queue(name.into()))
}

/// Returns `true` if the last proxy of one of these routes is an SSH server.
pub(super) fn ends_at_ssh(urls: &[u8]) -> bool {
    let last = |route: &[u8]| -> Option<bool> {
        let url = route.rsplit(|&byte| byte == b',').next()?.trim_ascii();
        Some(url.get(..6)?.eq_ignore_ascii_case(b"ssh://"))
    };
    urls.split(|&byte| byte == b'|').any(|route| last(route).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_needs_an_ssh_server_as_the_last_hop() {
        for (urls, expected) in [
            (&["ssh://h"][..], true),
            (&["socks5://p", "SSH://h:2222"], true),
            (&["socks5://p, ssh://h"], true),
            (&["http://p|ssh://h"], true),
            (&["ssh://h", "socks5://p"], false),
            (&["ssh://h,socks5://p"], false),
            (&[], false),
        ] {
            let proxy = ProxyArg::Proxies(urls.iter().map(ToString::to_string).collect());
            assert_eq!(is_possible(&Args { proxy, ..Args::default() }), expected, "{urls:?}");
        }
        assert!(!is_possible(&Args::default()));
    }

    #[test]
    fn names_have_a_length_and_few_characters() {
        for (name, expected) in
            [("a", true), ("a-b_C9", true), ("", false), ("a.b", false), ("a b", false), ("ä", false)]
        {
            assert_eq!(is_name(name), expected, "{name}");
        }
        assert!(is_name(&"x".repeat(64)) && !is_name(&"x".repeat(65)));
    }
}
