//! Passwords: masks them when printed, zeroes them when dropped, and locates them in arguments and
//! variables.

use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

use crate::parameters::{self, Kind};

mod first_line;
mod masking;
mod shared_key;

pub use first_line::{FirstLineError, read_first_line};
pub use masking::{
    is_name, masked, masked_chain, masked_option, masked_targets, masked_text, quotable_number,
};
pub use shared_key::SharedKey;

/// A password, as bytes. It has no `Display`, its `Debug` output is masked, and its memory is
/// zeroed on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of the bytes without copying them.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns the bytes, for the wire.
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

/// A user name, as bytes, because protocols send bytes and old configuration files are in Latin-1.
/// Displayed as text, with bytes that are not UTF-8 as `\xNN`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserName(Vec<u8>);

impl UserName {
    /// Takes ownership of the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the name as text; `None` if it is not UTF-8.
    #[must_use]
    pub fn to_str(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok()
    }
}

impl From<&str> for UserName {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for UserName {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| {
            f.write_str(chunk.valid())?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
        })
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserName({self})")
    }
}

/// A source of passwords at run time: the user or a command.
pub trait AskPassword: Send + Sync {
    /// Returns `true` if the user can be prompted, for example on a terminal.
    fn can_be_asked(&self) -> bool;

    /// Prompts the user and blocks until they answer.
    ///
    /// # Errors
    /// A message for the user that says why there is no answer.
    fn ask(&self, prompt: &str) -> Result<Secret, String>;

    /// Prompts the user even if they have answered the same prompt before. If `is_visible`, the
    /// answer may be displayed.
    ///
    /// # Errors
    /// See [`ask`](Self::ask).
    fn ask_anew(&self, prompt: &str, is_visible: bool) -> Result<Secret, String> {
        let _ = is_visible;
        self.ask(prompt)
    }

    /// Runs the user's command and blocks until it has printed the password. `source` names the
    /// setting that contains the command, for error messages.
    ///
    /// # Errors
    /// A message for the user that says why there is no password.
    fn run(&self, command: &str, source: &str) -> Result<Secret, String>;

    /// Returns the last answer to this prompt, if it is known without asking the user again.
    fn last_answer(&self, _prompt: &str) -> Option<Secret> {
        None
    }

    /// Returns the last password that this command printed, if it is known without running the
    /// command again.
    fn last_output(&self, _command: &str) -> Option<Secret> {
        None
    }

    /// Forgets all answers, so that the next prompt asks the user again.
    fn forget(&self) {}
}

/// Returns the index of the first byte after a URL's scheme, or 0 if it has none. A `://` that
/// follows an earlier `:` or `@` is part of a password.
#[must_use]
pub fn after_scheme(word: &[u8]) -> usize {
    let Some(end) = word.iter().position(|byte| b":@".contains(byte)) else { return 0 };
    if word[end..].starts_with(b"://") { end + 3 } else { 0 }
}

/// Returns the range of the secrets in an argument such as `-Suser:password@proxy` or
/// `http://user:password@proxy?header=X-Token:%20abc`; empty if it has none. After the first secret
/// option in the query, everything counts as secret.
#[must_use]
pub fn in_arg(word: &[u8]) -> Range<usize> {
    let password = password_in(word);
    match secret_option(word) {
        None => password,
        Some(start) if password.is_empty() => start..word.len(),
        Some(start) => start.min(password.start)..word.len(),
    }
}

/// Returns the range of the password between the first `:` and the last `@`; empty if there is
/// none.
fn password_in(word: &[u8]) -> Range<usize> {
    let after_scheme = after_scheme(word);
    let Some(end) = word.iter().rposition(|&byte| byte == b'@') else { return 0..0 };
    let user = word.get(after_scheme..end).unwrap_or_default().iter().position(|&byte| byte == b':');
    user.map_or(0..0, |user| after_scheme + user + 1..end)
}

/// Returns the start of the value of the first secret option in the query of a proxy's URL, or of
/// the first URL in a chain that has one; `None` if there is no such option.
pub(crate) fn secret_option(word: &[u8]) -> Option<usize> {
    let is_start = |byte: &u8| b"?#&".contains(byte);
    let starts = word.iter().enumerate().filter(|(_, byte)| is_start(byte)).map(|(at, _)| at + 1);
    starts.into_iter().find_map(|start| {
        let length = word[start..].iter().position(|byte| is_start(byte) || *byte == b'=')?;
        let end = start + length;
        let kind = parameters::url_option(&percent_decoded(&word[start..end]));
        (word[end] == b'=' && kind == Some(Kind::Secret)).then_some(end + 1)
    })
}

/// Decodes each `%XX` (RFC 3986 §2.1). A `%` without two hexadecimal digits is kept.
#[must_use]
pub fn percent_decoded(text: &[u8]) -> Vec<u8> {
    // Reserve the maximum size, because reallocating would leave a copy of a password in freed
    // memory.
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let byte = match after {
            [high, low, ..] if *first == b'%' => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        bytes.push(byte.map_or(*first, |(high, low)| high << 4 | low));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    bytes
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The option that takes a header field, as in `--header 'X-Token: abc'`.
const HEADER: &[u8] = b"--header";

/// Finds passwords in the arguments of a command line, one argument after another.
#[derive(Debug, Default)]
pub struct ArgScanner {
    /// The next argument is the value of `--header`.
    expects_header: bool,
}

impl ArgScanner {
    /// Returns the range of the password in the next argument.
    pub fn find_password(&mut self, word: &[u8]) -> Range<usize> {
        let is_header = std::mem::replace(&mut self.expects_header, word == HEADER);
        match word.strip_prefix(HEADER) {
            _ if is_header => in_header(word, 0),
            Some([b'=', ..]) => in_header(word, HEADER.len() + 1),
            _ => in_arg(word),
        }
    }
}

/// Returns the range of the value in a header field that begins at `start`, or of the whole field
/// if it has no name. `@FILE` is not secret.
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

/// Returns the range of the password in the value of a variable or parameter. In a chain of proxies
/// the range spans from the first password to the last.
#[must_use]
pub fn in_variable(name: &[u8], value: &[u8]) -> Range<usize> {
    match parameters::kind(name) {
        Some(Kind::Secret) => return 0..value.len(),
        // The path of a file is not secret.
        Some(Kind::Header) if !value.starts_with(b"@") => return 0..value.len(),
        _ => {}
    }
    let is_proxy = [&b"_PROXY"[..], b"_SERVER"]
        .iter()
        .any(|end| name.len() >= end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end));
    if is_proxy { in_arg(value) } else { 0..0 }
}

/// Returns `true` if a variable contains a password.
#[must_use]
pub fn holds_password(name: &str, value: &[u8]) -> bool {
    !in_variable(name.as_bytes(), value).is_empty()
}

#[cfg(test)]
mod tests {
    use super::{ArgScanner, Secret, in_arg, in_variable};

    #[test]
    fn the_password_of_an_argument_is_between_the_first_colon_and_the_last_at_sign() {
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
            ("http://proxy?header=X-Token:%20abc", "X-Token:%20abc"),
            ("-xhttp://proxy:80/?auth=basic&%68eader=X:abc&insecure", "X:abc&insecure"),
            ("http://me:pw@proxy?header=X:abc", "pw@proxy?header=X:abc"),
            ("http://one?header=X:a,http://me:pw@two", "X:a,http://me:pw@two"),
            ("http://proxy?header=X:a@b", "X:a@b"),
            ("http://proxy?headers=X:abc&header", ""),
            ("", ""),
        ] {
            assert_eq!(&word[in_arg(word.as_bytes())], password, "{word}");
        }
    }

    #[test]
    fn the_value_of_a_header_is_secret() {
        let mut scanner = ArgScanner::default();
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
            assert_eq!(&word[scanner.find_password(word.as_bytes())], password, "{word}");
        }
    }

    #[test]
    fn a_variable_is_a_password_or_a_proxy_that_may_contain_one() {
        for (name, value, password) in [
            ("SOCKS5_PASSWORD", "pw", "pw"),
            ("SOCKS5_PASSWD", "a:b@c", "a:b@c"),
            ("HTTP_PROXY", "me:pw@proxy", "pw"),
            ("https_proxy", "http://me:pw@proxy", "pw"),
            ("SOCKS_SERVER", "proxy", ""),
            ("CONNECT_PROXY", "a:b@one,c:d@two", "b@one,c:d"),
            ("CONNECT_PROXY", "one:1,c:d@two", "1,c:d"),
            ("CONNECT_PROXY", "http://one?header=X:abc", "X:abc"),
            ("CONNECT_PASSWORD_COMMAND", "echo a:b@c", ""),
            ("PGPASSWORD", "not ours", ""),
            ("PATH", "a:b@c", ""),
            ("", "a:b@c", ""),
        ] {
            assert_eq!(&value[in_variable(name.as_bytes(), value.as_bytes())], password, "{name}={value}");
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("hunter2").count(), 0);
        assert_eq!(secret.expose(), b"hunter2");
    }
}
