//! Settings with their origin, for error messages and `--check`.

use std::fmt;

use crate::parameters::{self, Kind};
use crate::secret::{self, SharedKey};
use crate::text::printable;

/// The place where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An option on the command line.
    Option(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// A line of a parameter file.
    File {
        /// The path, made printable.
        path: String,
        /// The line number, from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(option) => f.write_str(option),
            Self::Variable(name) => write!(f, "{name} in the environment"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
        }
    }
}

/// Masks a value as [`masked`] does. The value need not be UTF-8.
pub(super) fn masked_bytes(name: &str, value: &[u8]) -> String {
    masked(name, &String::from_utf8_lossy(value))
}

/// Makes the value of an option or a parameter fit to be shown, with passwords masked.
pub(super) fn masked(name: &str, value: &str) -> String {
    let shown = match (name, parameters::kind(name.as_bytes())) {
        ("-x" | "CONNECT_PROXY", _) => secret::masked_chain(value),
        // The user may have given the password itself instead of a path.
        ("--password-file" | "CONNECT_PASSWORD_FILE", _) if !is_path(value) => "****".into(),
        ("--token-file" | "token-file=" | "CONNECT_TOKEN_FILE", _) if is_like_token(value) => "****".into(),
        ("--key-file" | "key-file=" | "CONNECT_KEY_FILE", _) if is_like_key(value) => "****".into(),
        ("--user-agent" | "CONNECT_USER_AGENT", _) => secret::masked_text(value),
        (_, Some(Kind::Secret)) => "****".into(),
        (_, Some(Kind::Header)) if !value.starts_with('@') => "****".into(),
        (_, Some(Kind::Targets)) => secret::masked_targets(value),
        (_, Some(Kind::Header | Kind::Path | Kind::Netrc | Kind::Command)) => secret::masked_text(value),
        // Long options may have paths and commands, whose colons separate nothing.
        (option, None) if option.starts_with("--") => secret::masked_text(value),
        (_, Some(Kind::Plain | Kind::User | Kind::Proxies) | None) => secret::masked(value),
    };
    printable(shown.as_bytes())
}

/// Returns `true` if a value is a path rather than a password in the wrong place.
pub(super) fn is_path(value: &str) -> bool {
    value.contains(['/', '\\'])
}

/// Returns `true` if a value may be a token instead of the name of its file.
pub(super) fn is_like_token(value: &str) -> bool {
    // The headers of JSON Web Tokens begin like this.
    !is_path(value) && (value.len() >= 64 || value.starts_with("eyJ"))
}

/// Returns `true` if a value may be a key instead of the name of its file.
pub(super) fn is_like_key(value: &str) -> bool {
    SharedKey::parse(value.as_bytes()).is_some()
}

/// The value of an option or a parameter, with its origin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting<T = String> {
    /// The name of the option or parameter.
    pub(super) name: &'static str,
    pub(super) value: T,
    pub(super) origin: Origin,
}

impl<T> Setting<T> {
    /// Returns the name for an error message, with file and line if the value comes from a file.
    pub(super) fn source(&self) -> String {
        match &self.origin {
            Origin::File { .. } => format!("{} ({})", self.name, self.origin),
            _ => self.name.to_owned(),
        }
    }
}

/// Returns a value without the line ending at its end, of this system or another.
pub(super) fn without_line_end(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|byte| !b"\r\n".contains(byte)).map_or(0, |last| last + 1);
    &value[..end]
}

/// Returns the text between the quotes of a value in quotes; `None` for other values. A shell would
/// have removed the quotes, but `docker run --env-file` and others keep them.
pub(super) fn quoted(value: &[u8]) -> Option<&[u8]> {
    let pairs = [["\""; 2], ["'"; 2], ["“", "”"], ["‘", "’"]].map(|pair| pair.map(str::as_bytes));
    pairs.iter().find_map(|[open, close]| value.strip_prefix(*open)?.strip_suffix(*close))
}

/// The cause and the advice of an error about a value in quotes.
pub(super) const REMOVE_QUOTES: &str = "the value is in quotes; remove the quotes";

/// A setting that the plan depends on, as shown by `--check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRecord {
    /// The name of the option or parameter.
    pub name: &'static str,
    /// The value, with passwords masked.
    pub value: String,
    /// The place where the value was set.
    pub origin: Origin,
}
