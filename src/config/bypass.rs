//! Parses lists of targets that bypass the proxy into a [`BypassList`].

use std::net::{IpAddr, Ipv4Addr};

use crate::addr::{parse_port, split_port, to_ascii};
use crate::bypass::{BypassList, Entry, Pattern, Prefix};
use crate::secret;
use crate::text::printable;

/// Parses a comma-separated list, as in `SOCKS5_DIRECT`. Skips each invalid entry and passes a
/// warning about it to `warn`.
pub(super) fn parse(list: &str, source: &str, warn: &dyn Fn(&str)) -> BypassList {
    let mut entries = Vec::new();
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (bypass, pattern) = match entry.strip_prefix('!') {
            Some(rest) => (false, rest.trim()),
            None => (true, entry),
        };
        if let Some(pattern) = parse_pattern(pattern) {
            entries.push(Entry { bypass, pattern, port: None });
            continue;
        }
        // An entry may be a part of a password that contains a comma.
        let shown = if list.contains('@') { "****".into() } else { secret::masked(entry) };
        warn(&format!(
            "{source}: invalid entry '{}' ignored; use a network (10.0.0.0/8, 10., 2001:db8::/32) or a name",
            printable(shown.as_bytes())
        ));
    }
    BypassList::new(entries)
}

/// Parses `no_proxy` by curl's rules: commas or blanks separate entries, `*` alone matches every
/// target, and an entry may end in a port. Invalid entries are skipped silently, because they may
/// be meant for another program.
pub(super) fn parse_no_proxy(list: &str) -> BypassList {
    let entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
    let parse_entry = |entry| {
        let any_port = no_proxy_pattern(entry).map(|pattern| (pattern, None));
        let with_port = || match split_port(entry) {
            (pattern, Some(port)) => no_proxy_pattern(pattern).zip(Some(Some(parse_port(port)?))),
            _ => None,
        };
        let (pattern, port) = any_port.or_else(with_port)?;
        Some(Entry { bypass: true, pattern, port })
    };
    BypassList::new(entries.filter_map(parse_entry).collect())
}

fn no_proxy_pattern(entry: &str) -> Option<Pattern> {
    if entry == "*" { Some(Pattern::Everything) } else { parse_pattern(entry) }
}

/// Parses a network or a domain; `None` if the text is neither.
pub(super) fn parse_pattern(text: &str) -> Option<Pattern> {
    if !text.is_ascii() {
        let (start, name) = text.split_at(text.len() - text.trim_start_matches(['*', '.']).len());
        return parse_pattern(&format!("{start}{}", to_ascii(name)?));
    }
    if text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'/')
    {
        return parse_ipv4(text).map(Pattern::Network);
    }
    if text.contains(':') {
        return parse_ipv6(text).map(Pattern::Network);
    }
    let name = text.strip_prefix('*').unwrap_or(text);
    let name = name.strip_prefix('.').unwrap_or(name);
    // A trailing dot marks a fully qualified name; names are compared without it.
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_label = |label: &str| !label.is_empty() && label.chars().all(is_valid);
    name.split('.').all(is_label).then(|| Pattern::Domain(name.to_ascii_lowercase()))
}

/// Parses `10.1.2.3`, `10.1.2.0/24`, `10.1.2.0/255.255.255.0`, or a partial address: the prefix of
/// `10.1.2.` or `10.1.2` is 24 bits long.
fn parse_ipv4(text: &str) -> Option<Prefix> {
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    let mut bytes = [0; 4];
    let parts: Vec<&str> = address.strip_suffix('.').unwrap_or(address).split('.').collect();
    if parts.len() > 4 || (parts.len() == 4 && address.ends_with('.')) {
        return None;
    }
    for (byte, part) in bytes.iter_mut().zip(&parts) {
        *byte = part.parse().ok()?;
    }
    let length = match mask {
        None => u8::try_from(parts.len() * 8).ok()?,
        Some(mask) if mask.contains('.') => mask_length(mask.parse().ok()?)?,
        Some(mask) => mask.parse().ok()?,
    };
    Prefix::new(IpAddr::from(bytes), length)
}

fn parse_ipv6(text: &str) -> Option<Prefix> {
    let (address, length) = text.split_once('/').unwrap_or((text, "128"));
    let address = address.strip_prefix('[').map_or(Some(address), |rest| rest.strip_suffix(']'))?;
    Prefix::new(IpAddr::V6(address.parse().ok()?), length.parse().ok()?)
}

/// Returns the number of leading one bits; `None` if a one bit follows a zero bit.
fn mask_length(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    (bits.leading_ones() == bits.count_ones()).then(|| u8::try_from(bits.count_ones()).unwrap_or(32))
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::addr::{Endpoint, Host};

    /// Parses `host` or `host:port`; the default port is 22.
    fn target(text: &str) -> Endpoint {
        let (host, port) = split_port(text);
        let port = parse_port(port.unwrap_or("22")).unwrap();
        Endpoint { host: Host::parse(host).unwrap(), port }
    }

    fn matches(list: &str, host: &str) -> Option<bool> {
        let list = parse(list, "TEST", &|warning| panic!("{warning}"));
        list.matches(&target(host))
    }

    #[test]
    fn every_form_of_an_entry_matches_its_targets() {
        for (list, matching, other) in [
            ("10.1.2.0/24", "10.1.2.255", "10.1.3.0"),
            ("10.1.2.0/255.255.255.0", "10.1.2.255", "10.1.3.0"),
            ("10.1.2.", "10.1.2.3", "10.1.20.3"),
            ("10.", "10.255.0.1", "11.0.0.1"),
            ("127.0.0", "127.0.0.9", "127.0.1.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::10.1.1.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("fe80::/10", "fe80::1%eth0", "fe80.example"),
            ("eth0", "www.eth0", "fe80::1%www.eth0"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("example.com", "example.com", "notexample.com"),
            ("example.com", "a.b.EXAMPLE.com", "example.com.evil.test"),
            (".example.com", "example.com", "xexample.com"),
            ("*.example.com", "www.example.com", "example.org"),
            ("Example.COM", "www.example.com.", "com"),
            (".example.com.", "www.example.com", "com"),
            (" 10.0.0.0/8 ,\texample.com ", "example.com", "11.0.0.1"),
            ("10.0.0.0/8", "10.0.0.1", "10.0.0.1.example.com"),
            ("localhost", "localhost", "127.0.0.1"),
            ("*.BÜCHER.example.", "www.bücher.example", "bucher.example"),
            ("xn--bcher-kva.example", "bücher.example", "bücher.example.com"),
            // The virama is not a letter.
            ("हिन्दी.example", "www.हिन्दी.example", "xn--j2bd4cyac.example"),
            ("例え。テスト", "www.例え.テスト", "例え"),
            ("１９２.0.2.0", "192.0.2.0", "192.0.2.1"),
        ] {
            assert_eq!(matches(list, matching), Some(true), "{list} and {matching}");
            assert_eq!(matches(list, other), None, "{list} and {other}");
        }
    }

    #[test]
    fn the_first_matching_entry_decides() {
        let list = "!10.1.2.3, 10.1.2., !example.com, www.example.com";
        for (host, expected) in [
            ("10.1.2.3", Some(false)),
            ("10.1.2.4", Some(true)),
            ("www.example.com", Some(false)),
            ("elsewhere", None),
        ] {
            assert_eq!(matches(list, host), expected, "{host}");
        }
    }

    #[test]
    fn an_invalid_entry_is_reported_and_the_others_apply() {
        let warnings = RefCell::new(Vec::new());
        let list = parse(
            "10.0.0.0/33,999.1.1.1,1.2.3.4.5,10.0.0.0/255.0.255.0,::1/129,a b,*,!,good",
            "HTTP_DIRECT",
            &|warning| warnings.borrow_mut().push(warning.to_owned()),
        );
        let warnings = warnings.into_inner();
        assert_eq!(warnings.len(), 8, "{warnings:?}");
        assert!(warnings.iter().all(|line| line.starts_with("HTTP_DIRECT: invalid entry '")), "{warnings:?}");
        assert_eq!(list.matches(&target("good")), Some(true));
    }

    #[test]
    fn an_extra_dot_makes_an_entry_invalid() {
        for entry in ["10..", "10.1.2.3.", "10.1.2.3./32", "10..1", ".", "..", "a..b", "a.example..", "*..a"]
        {
            let warnings = RefCell::new(0);
            assert!(parse(entry, "TEST", &|_| *warnings.borrow_mut() += 1).is_empty(), "{entry}");
            assert_eq!(warnings.into_inner(), 1, "{entry}");
            assert!(parse_no_proxy(entry).is_empty(), "{entry}");
        }
    }

    #[test]
    fn empty_entries_match_nothing() {
        for list in ["", ",", " , ,"] {
            assert_eq!(matches(list, "10.0.0.1"), None);
        }
    }

    #[test]
    fn no_proxy_follows_the_rules_of_curl() {
        for (list, host, expected) in [
            ("localhost 127.0.0.1,.corp.example", "a.corp.example", Some(true)),
            ("localhost 127.0.0.1", "127.0.0.1", Some(true)),
            ("*", "anything", Some(true)),
            ("*", "::1", Some(true)),
            ("corp.example.", "corp.example", Some(true)),
            ("bad/entry,ok", "ok", Some(true)),
            ("10.0.0.0/8", "10.1.1.1", Some(true)),
            ("[::1]", "::1", Some(true)),
            ("2001:db8::/32", "[2001:db8::7]:443", Some(true)),
            ("[2001:db8::]/32", "2001:db8::7", Some(true)),
            ("example.com", "notexample.com", None),
            (".example.com", "notexample.com", None),
            (".example.com", "example.com", Some(true)),
            ("EXAMPLE.com.", "a.example.COM.", Some(true)),
            ("192.168.0.0/16", "192.168.5.5:80", Some(true)),
            ("192.168.0.0/16", "192.169.0.1", None),
            ("192.168.0.1", "192.168.0.10", None),
            ("10.0.0.0/8", "10.example", None),
            ("example.com:443", "www.example.com:443", Some(true)),
            ("example.com:443", "www.example.com:80", None),
            ("10.0.0.0/8:22", "10.1.1.1:22", Some(true)),
            ("10.0.0.0/8:22", "10.1.1.1:23", None),
            ("[::1]:22", "::1", Some(true)),
            ("[::1]:22", "[::1]:23", None),
            ("::1:22", "::1", None),
            ("*:22", "anything", Some(true)),
            ("*:22", "anything:23", None),
            ("a.example:0,b.example:ssh,c.example:", "a.example", None),
            ("b.example:ssh", "b.example", None),
            ("http://b.example:22", "b.example", None),
        ] {
            assert_eq!(parse_no_proxy(list).matches(&target(host)), expected, "{list} and {host}");
        }
    }

    #[test]
    fn a_list_may_have_a_thousand_entries() {
        let list: Vec<_> = (0..1000).map(|n| format!("host{n}.example")).collect();
        assert_eq!(matches(&list.join(","), "host999.example"), Some(true));
    }
}
