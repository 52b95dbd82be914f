//! Parameter files: `~/.connectrc`, then `/etc/connectrc`.
//!
//! One `NAME = value` a line; a `#` begins a comment, unless it stands in a quoted value; blanks around name and value
//! are dropped. A later line wins. A line that makes no sense is reported with file and line, and skipped.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::words as error_words;
use crate::secret;
use crate::sys;
use crate::text::printable;
use crate::trace::trace;

/// The most that is read of a file, in bytes. Whoever needs more means harm.
const MAX_FILE: u64 = 1024 * 1024;

/// The names that a file may set.
const NAMES: [&str; 26] = [
    "CONNECT_DIRECT",
    "CONNECT_PASSWORD",
    "CONNECT_PROXY",
    "CONNECT_USER",
    "HTTP_DIRECT",
    "HTTP_PROXY",
    "HTTP_PROXY_PASSWORD",
    "HTTP_PROXY_USER",
    "SOCKS4_DIRECT",
    "SOCKS4_RESOLVE",
    "SOCKS4_SERVER",
    "SOCKS4_USER",
    "SOCKS5_AUTH",
    "SOCKS5_DIRECT",
    "SOCKS5_PASSWD",
    "SOCKS5_PASSWORD",
    "SOCKS5_RESOLVE",
    "SOCKS5_SERVER",
    "SOCKS5_USER",
    "SOCKS_DIRECT",
    "SOCKS_PASSWORD",
    "SOCKS_RESOLVE",
    "SOCKS_SERVER",
    "SOCKS_USER",
    "SSH_ASKPASS",
    "TELNET_PROXY",
];

/// What one file sets.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Parameters {
    values: Vec<(&'static str, Zeroizing<String>)>,
}

/// The names: values may be passwords.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values.iter().map(|(name, _)| name)).finish()
    }
}

/// A line of a file, taken apart.
type Line<'a> = Result<Option<(&'a str, &'a str)>, String>;

impl Parameters {
    /// Reads a file. What is wrong with it is told to `warn`; a file that does not exist is as good as an empty one.
    pub(super) fn read(path: &Path, warn: &dyn Fn(&str)) -> Self {
        // Mostly there is no file, and nothing to be said.
        let name = || printable(path.to_string_lossy().as_bytes());
        let content = match read(path) {
            Ok(content) => content,
            // What is kept from us is not for us: the system's file may be root's. A home that is a file, like /dev/null,
            // holds none.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
                ) =>
            {
                trace!("{}: {}", name(), error_words(&error));
                return Self::default();
            }
            Err(error) => {
                warn(&format!("{}: skipped: {}", name(), error_words(&error)));
                return Self::default();
            }
        };
        let name = name();
        trace!("Reading parameter file({name})");
        let parameters = Self::parse(&content, &|line, what| warn(&format!("{name}:{line}: {what}")));
        let has_password = parameters.values.iter().any(|(name, value)| secret::holds_password(name, value));
        if has_password && sys::others_can_read(path) {
            warn(&format!("{name} holds a password and others can read it; try: chmod 600 {name}"));
        }
        parameters
    }

    /// The value of a parameter, if the file sets it.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    fn parse(content: &[u8], complain: &dyn Fn(usize, &str)) -> Self {
        let mut parameters = Self::default();
        // Some editors begin a file with a byte order mark.
        let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
        for (index, line) in content.split(|&byte| byte == b'\n').enumerate() {
            match parse_line(line) {
                Ok(None) => {}
                Ok(Some((name, value))) => match NAMES.iter().find(|known| **known == name) {
                    Some(known) => {
                        let secret = secret::holds_password(known, value);
                        let shown = if secret { "****".into() } else { printable(value.as_bytes()) };
                        trace!("Parameter `{known}' is set to `{shown}'");
                        parameters.values.push((known, Zeroizing::new(value.to_owned())));
                    }
                    None => {
                        complain(
                            index + 1,
                            &format!("unknown parameter '{}', skipped", printable(name.as_bytes())),
                        );
                    }
                },
                Err(what) => complain(index + 1, &what),
            }
        }
        parameters
    }
}

/// Something other than a file (a directory, a pipe that would never end) is not read.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = match std::fs::metadata(path)? {
        data if data.is_file() => data.len(),
        data if data.is_dir() => return Err(io::Error::other("it is a directory")),
        // The customary way to have no such file.
        _ if path.canonicalize()? == Path::new("/dev/null") => 0,
        _ => return Err(io::Error::other("it is not a file")),
    };
    if length > MAX_FILE {
        return Err(io::Error::other(format!("it is longer than {} KiB", MAX_FILE / 1024)));
    }
    // Large enough from the start: growing would leave a copy of a password behind.
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1));
    File::open(path)?.take(MAX_FILE).read_to_end(&mut content)?;
    Ok(content)
}

/// Name and value of a line; nothing if it is blank or a comment.
fn parse_line(line: &[u8]) -> Line<'_> {
    let Ok(line) = std::str::from_utf8(line) else { return Err("not UTF-8, skipped".into()) };
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, rest) = line.split_once('=').ok_or("no '=' (NAME = value), skipped")?;
    if name.contains('#') {
        return Err("no '=' before the comment (NAME = value), skipped".into());
    }
    // It is not repeated: where an '=' is missing or misplaced it may be a password.
    if !name.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err("what stands before '=' is not a parameter's name, skipped".into());
    }
    Ok(Some((name.trim(), value(rest.trim())?)))
}

/// A value up to a comment, or one in quotes, which may hold a `#` and outer blanks.
fn value(rest: &str) -> Result<&str, String> {
    let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return Ok(rest.split('#').next().unwrap_or_default().trim_end());
    };
    let (inside, after) = rest[1..].split_once(quote).ok_or("a quote without its end, skipped")?;
    match after.trim_start() {
        "" => Ok(inside),
        comment if comment.starts_with('#') => Ok(inside),
        _ => Err("words after the closing quote, skipped".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn parse(content: &[u8]) -> (Parameters, Vec<String>) {
        let complaints = RefCell::new(Vec::new());
        let complain = |line: usize, what: &str| complaints.borrow_mut().push(format!("{line}: {what}"));
        (Parameters::parse(content, &complain), complaints.into_inner())
    }

    #[test]
    fn a_line_is_name_and_value() {
        for (line, expected) in [
            ("SOCKS_SERVER=h:1", "h:1"),
            (" \tSOCKS_SERVER\t = \t h:1 \t ", "h:1"),
            ("SOCKS_SERVER = h:1\r", "h:1"),
            ("SOCKS_SERVER = h:1 # trailing", "h:1"),
            ("SOCKS_SERVER = h:1#x", "h:1"),
            ("SOCKS_SERVER = a=b", "a=b"),
            ("SOCKS_SERVER =", ""),
            ("SOCKS_SERVER = \"a # b \"", "a # b "),
            ("SOCKS_SERVER = 'it \"is\"' # comment", "it \"is\""),
            ("SOCKS_SERVER = first\nSOCKS_SERVER = second", "second"),
            ("# c\n\n  # c\n\nSOCKS_SERVER = h", "h"),
            ("\u{feff}SOCKS_SERVER = h", "h"),
        ] {
            let (parameters, complaints) = parse(line.as_bytes());
            assert_eq!(parameters.get("SOCKS_SERVER"), Some(expected), "{line}");
            assert_eq!(complaints, [""; 0], "{line}");
        }
    }

    #[test]
    fn a_line_without_sense_is_named_and_skipped() {
        let content = b"SOCKS_SERVER h\nFOO = bar\nsocks_user = x\n\xff = x\nSOCKS_USER = 'x\nA # = b\n= b\nSOCKS_USER = \"a\" b\nSOCKS_AUTH=x\nSOCKS_USER = good";
        let (parameters, complaints) = parse(content);
        assert_eq!(
            complaints,
            [
                "1: no '=' (NAME = value), skipped",
                "2: unknown parameter 'FOO', skipped",
                "3: unknown parameter 'socks_user', skipped",
                "4: not UTF-8, skipped",
                "5: a quote without its end, skipped",
                "6: no '=' before the comment (NAME = value), skipped",
                "7: unknown parameter '', skipped",
                "8: words after the closing quote, skipped",
                "9: unknown parameter 'SOCKS_AUTH', skipped",
            ]
        );
        assert_eq!(parameters.get("SOCKS_USER"), Some("good"));
        assert_eq!(parameters.get("SOCKS_SERVER"), None);
    }

    #[test]
    fn a_line_may_be_of_any_length_and_the_last_needs_no_end() {
        let long = "x".repeat(100_000);
        let (parameters, complaints) = parse(format!("SOCKS_USER = {long}").as_bytes());
        assert_eq!((parameters.get("SOCKS_USER"), complaints.len()), (Some(long.as_str()), 0));
    }

    #[test]
    fn what_is_no_file_is_skipped_with_a_word() {
        for (path, expected) in [("/", Some("/: skipped: it is a directory")), ("/nonexistent/file", None)] {
            let told = RefCell::new(None);
            let parameters =
                Parameters::read(Path::new(path), &|what| *told.borrow_mut() = Some(what.to_owned()));
            assert_eq!((parameters, told.into_inner().as_deref()), (Parameters::default(), expected));
        }
    }
}
