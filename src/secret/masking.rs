//! Masks passwords in text that the user wrote, before it is printed.
//!
//! The user may have put a proxy in the wrong place, or forgotten part of it. All code that repeats
//! such text in a message, `-d` line or report calls one of these functions.

use std::borrow::Cow;
use std::ops::Range;

use super::{after_scheme, password_in, secret_option};

/// The number of digits in the largest port. A longer number may be a password.
const MAX_PORT_DIGITS: usize = 5;

/// Returns a word with its password masked, for a message. Call this for every word that is quoted
/// in an error.
///
/// Without an `@`, `user:password` looks like a host and a port, so everything after the colon is
/// masked unless it could be a port.
#[must_use]
pub fn masked(word: &str) -> Cow<'_, str> {
    let (word, option) = split_option(word);
    match password_in(word.as_bytes()) {
        password if password.is_empty() => mask(word, after_host(word), option),
        password => mask(word, password, option),
    }
}

/// Returns text in which only a password before an `@` is masked. Used for paths and commands, in
/// which colons are common.
#[must_use]
pub fn masked_text(text: &str) -> Cow<'_, str> {
    let (text, option) = split_option(text);
    mask(text, password_in(text.as_bytes()), option)
}

/// Splits off the value of the first secret option in a URL's query, and everything after it.
fn split_option(word: &str) -> (&str, &str) {
    word.split_at(secret_option(word.as_bytes()).unwrap_or(word.len()))
}

fn mask<'a>(word: &'a str, password: Range<usize>, option: &str) -> Cow<'a, str> {
    let option = if option.is_empty() { "" } else { "****" };
    match (password.is_empty(), option) {
        (true, "") => word.into(),
        (true, _) => format!("{word}{option}").into(),
        _ => format!("{}****{}{option}", &word[..password.start], &word[password.end..]).into(),
    }
}

/// Returns the range of the text after a host and a colon; empty if that text could be a port.
fn after_host(word: &str) -> Range<usize> {
    let after_user = word.rfind('@').map_or(0, |at| at + 1);
    let start = after_scheme(word.as_bytes()).max(after_user);
    let host = &word[start..];
    if is_socket(host) {
        return 0..0;
    }
    let host = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if is_ipv6(address) => rest,
        _ if is_ipv6(host) => return 0..0,
        _ => host,
    };
    match host.split_once(':') {
        Some((_, port)) if !is_port(port) => word.len() - port.len()..word.len(),
        _ => 0..0,
    }
}

/// Returns `true` for the path of a UNIX-domain socket, which may be percent-encoded.
fn is_socket(word: &str) -> bool {
    let Some(path) = word.strip_prefix("unix:") else { return false };
    path.starts_with('/') || path.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%2F"))
}

/// Returns `true` if `text` is empty, or is a port that may be followed by a path or a query.
fn is_port(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    match text[digits..].chars().next() {
        None => digits <= MAX_PORT_DIGITS,
        Some(next) => (1..=MAX_PORT_DIGITS).contains(&digits) && matches!(next, '/' | '?'),
    }
}

/// Returns `true` for an IPv6 address or network, even an invalid one.
fn is_ipv6(word: &str) -> bool {
    let (address, zone) = word.split_once('%').unwrap_or((word, ""));
    let has_colons = address.contains("::") || address.matches(':').count() >= 7;
    has_colons
        && address.chars().all(|c| c.is_ascii_hexdigit() || ":./[]".contains(c))
        && zone.chars().all(|c| c.is_ascii_alphanumeric() || "._-]/:".contains(c))
}

/// Returns a word that should be a number, such as the port after a host, or `None` if it must not
/// be quoted because it may be a password.
#[must_use]
pub fn quotable_number(word: &str) -> Option<&str> {
    let is_short = word.len() <= MAX_PORT_DIGITS && word.bytes().all(|byte| byte.is_ascii_digit());
    is_short.then_some(word)
}

/// Returns the name of an option as typed, without its `=VALUE`. Anything else attached to the name
/// is masked.
#[must_use]
pub fn masked_option(arg: &str) -> Cow<'_, str> {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name = &arg[..arg.find(|c| !is_in_name(c)).unwrap_or(arg.len())];
    match arg[name.len()..].chars().next() {
        None | Some('=') => name.into(),
        Some(_) => format!("{name}****").into(),
    }
}

/// Returns `true` if a word in a parameter file may be quoted as the name of a parameter. A word
/// that mixes uppercase and lowercase letters may be the end of a base64 secret, whose `=` padding
/// makes the word look like a name.
#[must_use]
pub fn is_name(word: &str) -> bool {
    let has = |is: fn(&u8) -> bool| word.as_bytes().iter().any(is);
    !(has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase))
}

/// Returns a chain of proxies, separated by commas and bars, with its passwords masked. A piece
/// that could be the rest of a password is not treated as another proxy.
#[must_use]
pub fn masked_chain(chain: &str) -> Cow<'_, str> {
    let separators = chain.match_indices([',', '|']).map(|(at, _)| at).chain([chain.len()]);
    let last_at = chain.rfind('@');
    let (mut shown, mut start) = (String::new(), 0);
    for end in separators {
        let (piece, rest) = (&chain[start..end], &chain[end..]);
        let is_whole = last_at.is_none_or(|at| at < end) || is_public(piece) || piece.contains('@');
        if rest.is_empty() || is_proxy(&rest[1..]) && is_whole {
            shown.push_str(&masked(piece));
            shown.extend(rest.chars().next());
            start = end + 1;
        }
    }
    shown.into()
}

/// Returns `true` if the rest of a chain begins with a proxy URL, `direct` or an empty piece.
fn is_proxy(rest: &str) -> bool {
    let piece = rest.split([',', '|']).next().unwrap_or_default().trim();
    piece.is_empty() || piece.starts_with("direct") || after_scheme(piece.as_bytes()) > 0
}

/// Returns `true` if `word`, a proxy URL, has only a host and optionally a port, with nothing that
/// could begin a password.
fn is_public(word: &str) -> bool {
    let rest = &word[after_scheme(word.as_bytes())..];
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    match host.rsplit_once(':') {
        Some((_, port)) => port.trim_end().bytes().all(|byte| byte.is_ascii_digit()) || host.ends_with(']'),
        None => true,
    }
}

/// Returns a list of targets, separated by commas and blanks, with passwords masked.
#[must_use]
pub fn masked_targets(list: &str) -> Cow<'_, str> {
    if list.contains('@') {
        return masked_text(list);
    }
    let entries = list.split_inclusive([',', ' ', '\t']);
    let shown = entries.map(|entry| {
        let word = entry.trim_end_matches([',', ' ', '\t']);
        format!("{}{}", masked(word), &entry[word.len()..])
    });
    shown.collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_an_argument_is_masked() {
        for (word, shown) in [
            ("http://me:pw@proxy", "http://me:****@proxy"),
            ("me:1234@proxy:80", "me:****@proxy:80"),
            ("me@proxy", "me@proxy"),
            ("socks5h://me:pw@unix:/run/s", "socks5h://me:****@unix:/run/s"),
            ("proxy", "proxy"),
            ("http://me:pw@proxy:80?header=X:abc", "http://me:****@proxy:80?header=****"),
            ("http://proxy?auth=basic&%68eader=X:a@b", "http://proxy?auth=basic&%68eader=****"),
            ("http://me:pw?header=X:a@b", "http://me:********"),
            ("http://proxy?header=", "http://proxy?header="),
        ] {
            assert_eq!(masked(word), shown);
        }
    }

    #[test]
    fn a_password_where_a_port_is_expected_is_masked() {
        for (word, shown) in [
            ("me:hunter2", "me:****"),
            ("-Sme:hunter2", "-Sme:****"),
            ("http://me:hunter2", "http://me:****"),
            ("http://me:hunter2/", "http://me:****"),
            ("me:8080x", "me:****"),
            ("me:123456", "me:****"),
            ("me:/hunter2", "me:****"),
            ("me:hunter2:80", "me:****"),
            ("me:80:hunter2", "me:****"),
            ("me:ab:cd::ef", "me:****"),
            ("x@me:hunter2", "x@me:****"),
            ("[me:hunter2", "[me:****"),
            ("[me:hunter2]:80", "[me:****"),
            ("[::1]:hunter2", "[::1]:****"),
        ] {
            assert_eq!(masked(word), shown);
        }
        for word in [
            "proxy:1080",
            "proxy:99999",
            "http://proxy:8080/path",
            "http://proxy:8080?resolve=local",
            "proxy:",
            "me:@proxy",
            "me@proxy:80",
            "me@[::1]:80",
            "::1",
            "[::1]",
            "[::1",
            "::1]:22",
            "[::1]:22",
            "2001:db8::/129",
            "1:2:3:4:5:6:7:8:9",
            "unix:/run/tor/socks",
            "socks5h://unix:%2Frun%2Ftor%2Fa:b",
            "me@unix:/run/s",
            "fe80::1%eth0",
            "[fe80::1%eth0]:22",
            "1:30",
            "",
            ":",
            "é",
        ] {
            assert_eq!(masked(word), word);
        }
    }

    #[test]
    fn only_a_short_number_is_quoted_as_one() {
        for (word, expected) in
            [("99999", true), ("", true), ("123456", false), ("80/x", false), ("x", false)]
        {
            assert_eq!(quotable_number(word).is_some(), expected, "{word}");
        }
    }

    #[test]
    fn text_with_colons_is_masked_only_before_an_at_sign() {
        for (text, shown) in [
            (r"C:\Users\me", r"C:\Users\me"),
            ("curl -x http://me:pw@proxy", "curl -x http://me:****@proxy"),
            ("curl 'http://proxy?header=X:abc'", "curl 'http://proxy?header=****"),
            ("Mozilla/5.0 (rv:1)", "Mozilla/5.0 (rv:1)"),
        ] {
            assert_eq!(masked_text(text), shown);
        }
    }

    #[test]
    fn an_option_is_quoted_without_what_is_attached_to_it() {
        for (arg, shown) in [
            ("--eagr", "--eagr"),
            ("--http1.0", "--http1.0"),
            ("--pass=hunter2", "--pass"),
            ("--Sme:hunter2@p", "--Sme****"),
            ("--proxy:me:hunter2", "--proxy****"),
            ("-Sme:hunter2@p", "-Sme****"),
            ("-d", "-d"),
        ] {
            assert_eq!(masked_option(arg), shown);
        }
    }

    #[test]
    fn the_end_of_a_secret_in_base64_is_not_a_name() {
        for (word, expected) in
            [("SOCKS5_SEVER", true), ("socks_server", true), ("", true), ("aHVudGVyMg", false)]
        {
            assert_eq!(is_name(word), expected, "{word}");
        }
    }

    #[test]
    fn every_password_of_a_chain_is_masked() {
        for (chain, shown) in [
            (
                "http://a:b@one:80, socks5://c:d@two | direct",
                "http://a:****@one:80, socks5://c:****@two | direct",
            ),
            ("one:1080,http://[::1]:80/,socks://c:d@two", "one:1080,http://[::1]:80/,socks://c:****@two"),
            ("http://a:b,c@one", "http://a:****@one"),
            ("http://a:b@c:d@one", "http://a:****@one"),
            ("socks5://one?resolve=local,a:b@two", "socks5://one?resolve=local,a:****@two"),
            ("http://a:b,x://c@one", "http://a:****@one"),
            // Without a scheme, a piece may be the rest of a password.
            ("a:b@one,c:d@two", "a:****@two"),
            ("a:b|c,d@one|e:f@two", "a:****@two"),
            ("me:12,w@one", "me:****@one"),
            ("http://me:p@ss,word@one", "http://me:****@one"),
            ("http://me:hunter2,http://one", "http://me:****,http://one"),
            ("http://one,me:hunter2", "http://one,me:****"),
            ("me:hunter2", "me:****"),
            ("http://one,|direct", "http://one,|direct"),
            ("http://one?header=X:1,socks://c:d@two", "http://one?header=****,socks://c:****@two"),
            // Unless it is encoded, a comma in a header is an error.
            ("http://one?header=X:1,abc,direct", "http://one?header=****,direct"),
            ("direct", "direct"),
            ("", ""),
        ] {
            assert_eq!(masked_chain(chain), shown);
        }
    }

    #[test]
    fn a_password_in_a_list_of_targets_is_masked() {
        for (list, shown) in [
            ("10.0.0.0/8, ::1,.example:443 host", "10.0.0.0/8, ::1,.example:443 host"),
            ("a,me:hunter2,b", "a,me:****,b"),
            ("a,me:hun,ter2@b", "a,me:****@b"),
        ] {
            assert_eq!(masked_targets(list), shown);
        }
    }
}
