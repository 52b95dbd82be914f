//! Reads direct lists: which targets are reached without the proxy. Their meaning is in [`BypassList`].

use std::net::{IpAddr, Ipv4Addr};

use crate::addr::{parse_port, split_port};
use crate::bypass::{BypassList, Entry, Pattern, Prefix};
use crate::text::printable;

/// Reads a comma-separated list, as in `SOCKS5_DIRECT`. A broken entry is told to `warn` and left out.
pub(super) fn parse(list: &str, source: &str, warn: &dyn Fn(&str)) -> BypassList {
    let mut entries = Vec::new();
    for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let (negated, pattern) = match word.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, word),
        };
        match parse_pattern(pattern) {
            Some(pattern) => entries.push(Entry { bypass: !negated, pattern, port: None }),
            None => warn(&format!(
                "{source}: '{}' is neither a network (10.0.0.0/8, 10., 2001:db8::/32) nor a name, skipped",
                printable(word.as_bytes())
            )),
        }
    }
    BypassList::new(entries)
}

/// Reads `no_proxy` by curl's rules: blanks separate as well as commas, `*` alone means every target, and a port may stand
/// behind an entry. What makes no sense is skipped in silence, since others read it too.
pub(super) fn parse_no_proxy(list: &str) -> BypassList {
    let words = list.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    let entry = |word| {
        let any_port = no_proxy_pattern(word).map(|pattern| (pattern, None));
        let with_port = || match split_port(word) {
            (word, Some(port)) => no_proxy_pattern(word).zip(Some(Some(parse_port(port)?))),
            _ => None,
        };
        let (pattern, port) = any_port.or_else(with_port)?;
        Some(Entry { bypass: true, pattern, port })
    };
    BypassList::new(words.filter_map(entry).collect())
}

fn no_proxy_pattern(word: &str) -> Option<Pattern> {
    if word == "*" { Some(Pattern::Everything) } else { parse_pattern(word) }
}

pub(super) fn parse_pattern(word: &str) -> Option<Pattern> {
    if word.starts_with(|c: char| c.is_ascii_digit())
        && word.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'/')
    {
        return parse_ipv4(word).map(Pattern::Network);
    }
    if word.contains(':') {
        return parse_ipv6(word).map(Pattern::Network);
    }
    let name = word.strip_prefix('*').unwrap_or(word);
    let name = name.strip_prefix('.').unwrap_or(name);
    // Fully qualified or not, it is the same name.
    let name = name.strip_suffix('.').unwrap_or(name);
    let valid = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let is_label = |label: &str| !label.is_empty() && label.chars().all(valid);
    name.split('.').all(is_label).then(|| Pattern::Domain(name.to_lowercase()))
}

/// `10.1.2.3`, `10.1.2.0/24`, `10.1.2.0/255.255.255.0`, or `10.1.2.` or `10.1.2`, where the bytes given are
/// the mask.
fn parse_ipv4(word: &str) -> Option<Prefix> {
    let (address, mask) = match word.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (word, None),
    };
    let mut bytes = [0; 4];
    let given: Vec<&str> = address.strip_suffix('.').unwrap_or(address).split('.').collect();
    if given.len() > 4 || (given.len() == 4 && address.ends_with('.')) {
        return None;
    }
    for (byte, word) in bytes.iter_mut().zip(&given) {
        *byte = word.parse().ok()?;
    }
    let length = match mask {
        None => u8::try_from(given.len() * 8).ok()?,
        Some(mask) if mask.contains('.') => mask_length(mask.parse().ok()?)?,
        Some(mask) => mask.parse().ok()?,
    };
    Prefix::new(IpAddr::from(bytes), length)
}

fn parse_ipv6(word: &str) -> Option<Prefix> {
    let (address, length) = word.split_once('/').unwrap_or((word, "128"));
    let address = address.strip_prefix('[').map_or(Some(address), |rest| rest.strip_suffix(']'))?;
    Prefix::new(IpAddr::V6(address.parse().ok()?), length.parse().ok()?)
}

/// The length of a mask whose ones are all in front.
fn mask_length(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    (bits.leading_ones() == bits.count_ones()).then(|| u8::try_from(bits.count_ones()).unwrap_or(32))
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::addr::{Endpoint, Host};

    fn target(word: &str) -> Endpoint {
        let (host, port) = split_port(word);
        let port = parse_port(port.unwrap_or("22")).unwrap();
        Endpoint { host: Host::parse(host).unwrap(), port }
    }

    fn verdict(list: &str, host: &str) -> Option<bool> {
        let list = parse(list, "TEST", &|what| panic!("{what}"));
        list.matches(&target(host))
    }

    #[test]
    fn every_form_of_an_entry_fits_what_it_should() {
        for (list, direct, not_direct) in [
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
        ] {
            assert_eq!(verdict(list, direct), Some(true), "{list} and {direct}");
            assert_eq!(verdict(list, not_direct), None, "{list} and {not_direct}");
        }
    }

    #[test]
    fn the_first_entry_that_fits_decides() {
        let list = "!10.1.2.3, 10.1.2., !example.com, www.example.com";
        for (host, expected) in [
            ("10.1.2.3", Some(false)),
            ("10.1.2.4", Some(true)),
            ("www.example.com", Some(false)),
            ("elsewhere", None),
        ] {
            assert_eq!(verdict(list, host), expected, "{host}");
        }
    }

    #[test]
    fn a_broken_entry_is_named_and_the_others_hold() {
        let told = RefCell::new(Vec::new());
        let list = parse(
            "10.0.0.0/33,999.1.1.1,1.2.3.4.5,10.0.0.0/255.0.255.0,::1/129,a b,*,!,good",
            "HTTP_DIRECT",
            &|what| {
                told.borrow_mut().push(what.to_owned());
            },
        );
        assert_eq!(told.borrow().len(), 8, "{told:?}");
        assert!(told.borrow().iter().all(|line| line.starts_with("HTTP_DIRECT: '")), "{told:?}");
        assert_eq!(list.matches(&target("good")), Some(true));
    }

    #[test]
    fn a_dot_too_many_is_no_network_and_no_name() {
        for word in ["10..", "10.1.2.3.", "10.1.2.3./32", "10..1", ".", "..", "a..b", "a.example..", "*..a"] {
            let told = RefCell::new(0);
            assert!(parse(word, "TEST", &|_| *told.borrow_mut() += 1).is_empty(), "{word}");
            assert_eq!(told.into_inner(), 1, "{word}");
            assert!(parse_no_proxy(word).is_empty(), "{word}");
        }
    }

    #[test]
    fn empty_entries_fit_nothing() {
        for list in ["", ",", " , ,"] {
            assert_eq!(verdict(list, "10.0.0.1"), None);
        }
    }

    #[test]
    fn no_proxy_has_its_own_separators_and_star() {
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
    fn a_list_may_be_long() {
        let list: Vec<_> = (0..1000).map(|n| format!("host{n}.example")).collect();
        assert_eq!(verdict(&list.join(","), "host999.example"), Some(true));
    }
}
