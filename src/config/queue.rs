//! Named queues at SSH servers.

use crate::cli::{Args, ProxyArg};

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
    let urls = urls.join(",");
    let last = |route: &str| route.rsplit(',').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    urls.split('|').any(|route| last(route).starts_with("ssh://"))
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
