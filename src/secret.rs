//! Passwords: masked when shown, wiped when dropped, and where they stand in words and variables.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

/// A password, as bytes. It has no `Display`, its `Debug` is masked, and its memory is wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; no copy is left behind.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the wire.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(****)")
    }
}

/// Somebody who may know a password.
pub trait AskPassword {
    /// Whether there is somebody to ask, on a terminal for instance.
    fn can_be_asked(&self) -> bool;

    /// Asks, with this prompt; waits as long as it takes.
    ///
    /// # Errors
    /// Why there was no answer, in words for the user.
    fn ask(&self, prompt: &str) -> Result<Secret, String>;

    /// Has a command of the user's say it, which stands in `source`; waits as long as it takes.
    ///
    /// # Errors
    /// Why it did not, in words for the user.
    fn run(&self, command: &str, source: &str) -> Result<Secret, String>;
}

/// The variables whose value is a password, or may hold one.
const PASSWORDS: [&str; 6] = [
    "CONNECT_HEADER",
    "CONNECT_PASSWORD",
    "HTTP_PROXY_PASSWORD",
    "SOCKS5_PASSWD",
    "SOCKS5_PASSWORD",
    "SOCKS_PASSWORD",
];

/// Where a URL goes on behind its scheme, or 0. A `://` behind a `:` or an `@` belongs to a password.
#[must_use]
pub fn after_scheme(word: &[u8]) -> usize {
    let Some(end) = word.iter().position(|byte| b":@".contains(byte)) else { return 0 };
    if word[end..].starts_with(b"://") { end + 3 } else { 0 }
}

/// Where the password stands in a word such as `-Suser:password@proxy` or `http://user:password@proxy`; nowhere is an
/// empty range.
#[must_use]
pub fn in_word(word: &[u8]) -> Range<usize> {
    let after_scheme = after_scheme(word);
    let Some(end) = word.iter().rposition(|&byte| byte == b'@') else { return 0..0 };
    let user = word.get(after_scheme..end).unwrap_or_default().iter().position(|&byte| byte == b':');
    user.map_or(0..0, |user| after_scheme + user + 1..end)
}

/// Whether the value of a variable is a password.
#[must_use]
pub fn is_password(name: &[u8]) -> bool {
    PASSWORDS.iter().any(|known| known.as_bytes() == name)
}

/// The option whose value is a header field, as in `--header 'X-Token: abc'`.
const HEADER: &[u8] = b"--header";

/// The words of a command line, looked at one after another.
#[derive(Debug, Default)]
pub struct Words {
    /// The next one is the value of `--header`.
    header: bool,
}

impl Words {
    /// Where the password stands in the next word.
    pub fn password_in(&mut self, word: &[u8]) -> Range<usize> {
        let is_header = std::mem::replace(&mut self.header, word == HEADER);
        match word.strip_prefix(HEADER) {
            _ if is_header => in_header(word, 0),
            Some([b'=', ..]) => in_header(word, HEADER.len() + 1),
            _ => in_word(word),
        }
    }
}

/// The value of a header field that begins at `start`, all of it where it has no name. A file is no secret.
fn in_header(word: &[u8], start: usize) -> Range<usize> {
    let header = &word[start..];
    if header.starts_with(b"@") {
        return 0..0;
    }
    let colon = header.iter().position(|&byte| byte == b':');
    let value = colon.map_or(start, |colon| start + colon + 1);
    let blanks = word[value..].iter().take_while(|&&byte| byte == b' ').count();
    value + blanks..word.len()
}

/// Where the password stands in the value of a variable of the environment or of a file. Of several proxies it is all from
/// the first password to the last.
#[must_use]
pub fn in_variable(name: &[u8], value: &[u8]) -> Range<usize> {
    if is_password(name) {
        return 0..value.len();
    }
    let is_proxy = [&b"_PROXY"[..], b"_SERVER"]
        .iter()
        .any(|end| name.len() >= end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end));
    if is_proxy { in_word(value) } else { 0..0 }
}

/// A word without the password in it, for a message: whoever puts a proxy in the wrong place has typed it all the same.
#[must_use]
pub fn masked(word: &str) -> Cow<'_, str> {
    match in_word(word.as_bytes()) {
        password if password.is_empty() => word.into(),
        password => format!("{}****{}", &word[..password.start], &word[password.end..]).into(),
    }
}

/// The same for several proxies in a row, with commas and bars between them. What could be the rest of a password is not
/// taken for another proxy.
#[must_use]
pub fn masked_chain(words: &str) -> Cow<'_, str> {
    let separators = words.match_indices([',', '|']).map(|(at, _)| at).chain([words.len()]);
    let (mut shown, mut start) = (String::new(), 0);
    for end in separators {
        let (piece, rest) = (&words[start..end], &words[end..]);
        if piece.contains('@') || is_open(piece) || !rest.contains('@') {
            shown.push_str(&masked(piece));
            shown.extend(rest.chars().next());
            start = end + 1;
        }
    }
    shown.into()
}

/// Whether a proxy's specification has a host and perhaps a port, and nothing that could begin a password.
fn is_open(word: &str) -> bool {
    let rest = &word[after_scheme(word.as_bytes())..];
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    match host.rsplit_once(':') {
        Some((_, port)) => port.trim_end().bytes().all(|byte| byte.is_ascii_digit()) || host.ends_with(']'),
        None => true,
    }
}

/// Whether there is a password in a variable.
#[must_use]
pub fn holds_password(name: &str, value: &str) -> bool {
    !in_variable(name.as_bytes(), value.as_bytes()).is_empty()
}

#[cfg(test)]
mod tests {
    use super::{Secret, Words, in_variable, in_word, masked, masked_chain};

    #[test]
    fn the_password_of_a_word_stands_between_the_first_colon_and_the_last_at() {
        for (word, password) in [
            ("me:pw@proxy:1080", "pw"),
            ("-Sme:pw@proxy", "pw"),
            ("http://me:pw@proxy:8080/", "pw"),
            ("-Hhttp://me:p%3aw@proxy", "p%3aw"),
            ("me:p:w@rd@[::1]:1080", "p:w@rd"),
            ("me:p://w@proxy", "p://w"),
            ("http://a:b@one,socks5://c:d@two", "b@one,socks5://c:d"),
            ("me@proxy:1080", ""),
            ("proxy:1080", ""),
            ("http://proxy:1080", ""),
            ("[::1]:1080", ""),
            ("me:@proxy", ""),
            ("@://:", ""),
            ("", ""),
        ] {
            assert_eq!(&word[in_word(word.as_bytes())], password, "{word}");
        }
    }

    #[test]
    fn the_value_of_a_header_is_a_secret() {
        let mut words = Words::default();
        for (word, password) in [
            ("--header", ""),
            ("X-Token:  abc", "abc"),
            ("X-Token: abc", ""),
            ("--header", ""),
            ("X-Token:abc: d", "abc: d"),
            ("--header", ""),
            ("abc", "abc"),
            ("--header", ""),
            ("@/home/me:pw@home", ""),
            ("--header=X-Token: abc", "abc"),
            ("--header=@file", ""),
            ("--header=", ""),
            ("--headers", ""),
            ("me:pw@proxy", "pw"),
        ] {
            assert_eq!(&word[words.password_in(word.as_bytes())], password, "{word}");
        }
    }

    #[test]
    fn a_word_is_shown_without_its_password() {
        assert_eq!(masked("http://me:pw@proxy"), "http://me:****@proxy");
        assert_eq!(masked("me@proxy"), "me@proxy");
    }

    #[test]
    fn a_chain_is_shown_without_each_of_its_passwords() {
        for (words, shown) in [
            ("a:b@one,c:d@two", "a:****@one,c:****@two"),
            (
                "http://a:b@one:80, socks5://c:d@two | direct",
                "http://a:****@one:80, socks5://c:****@two | direct",
            ),
            ("one:1080,http://[::1]:80/,c:d@two", "one:1080,http://[::1]:80/,c:****@two"),
            ("http://a:b,c@one", "http://a:****@one"),
            ("a:b|c,d@one|e:f@two", "a:****@one|e:****@two"),
            ("http://a:b@c:d@one", "http://a:****@one"),
            ("socks5://one?resolve=local,a:b@two", "socks5://one?resolve=local,a:****@two"),
            ("direct", "direct"),
            ("", ""),
        ] {
            assert_eq!(masked_chain(words), shown);
        }
    }

    #[test]
    fn a_variable_is_a_password_or_a_proxy_that_may_have_one() {
        for (name, value, password) in [
            ("SOCKS5_PASSWORD", "pw", "pw"),
            ("SOCKS5_PASSWD", "a:b@c", "a:b@c"),
            ("HTTP_PROXY", "me:pw@proxy", "pw"),
            ("https_proxy", "http://me:pw@proxy", "pw"),
            ("SOCKS_SERVER", "proxy", ""),
            ("CONNECT_PROXY", "a:b@one,c:d@two", "b@one,c:d"),
            ("CONNECT_PROXY", "one:1,c:d@two", "1,c:d"),
            ("CONNECT_PASSWORD_COMMAND", "echo a:b@c", ""),
            ("PGPASSWORD", "not ours", ""),
            ("PATH", "a:b@c", ""),
            ("", "a:b@c", ""),
        ] {
            assert_eq!(&value[in_variable(name.as_bytes(), value.as_bytes())], password, "{name}={value}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("hunter2").count(), 0);
        assert_eq!(secret.expose(), b"hunter2");
    }
}
