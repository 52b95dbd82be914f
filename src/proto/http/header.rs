//! What the user adds to a request: further header fields.

use super::challenge::is_token;
use crate::secret::Secret;

/// A header field that goes with every request, valid ever after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: Secret,
}

/// Fields whose value nobody keeps secret: all others may hold a password or a token, whatever they are called.
const OPEN: [&str; 6] =
    ["accept", "accept-language", "cache-control", "pragma", "proxy-connection", "user-agent"];

impl Header {
    /// Reads a line, `Name: value`.
    ///
    /// # Errors
    /// What is wrong with it. The words do not repeat it: it may hold a secret.
    pub fn parse(line: &str) -> Result<Self, &'static str> {
        let (name, value) = line.split_once(':').ok_or("it has no colon (Name: value)")?;
        Self::new(name, value)
    }

    /// A field with this name and value.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(name: &str, value: &str) -> Result<Self, &'static str> {
        if name.is_empty() || !name.chars().all(is_token) {
            return Err("what stands before the colon is not the name of a header field");
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => return Err("Host is the target, which is named already"),
            "connection" => return Err("Connection is ours to say: the connection becomes the tunnel"),
            "content-length" | "transfer-encoding" => {
                return Err("a CONNECT request has no content, whose length or coding could be said");
            }
            _ => {}
        }
        let value = value.trim_matches([' ', '\t']);
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err("a control character in the value of a header field");
        }
        Ok(Self { name: name.to_owned(), value: Secret::from(value) })
    }

    /// Whether it is the field of this name.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The name, as it was given.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The value, for the wire.
    pub(super) fn value(&self) -> &Secret {
        &self.value
    }

    /// Whether its value must not be shown.
    pub(super) fn is_secret(&self) -> bool {
        !OPEN.iter().any(|open| self.is(open))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Header;

    #[test]
    fn a_line_is_a_name_and_a_value() {
        for (line, name, value) in [
            ("X-Token: abc", "X-Token", "abc"),
            ("x:\t a: b \t", "x", "a: b"),
            ("!#$%&'*+-.^_`|~9:", "!#$%&'*+-.^_`|~9", ""),
            ("User-Agent: Wörter und\tTabs", "User-Agent", "Wörter und\tTabs"),
        ] {
            let header = Header::parse(line).unwrap();
            assert_eq!((header.name(), header.value().expose()), (name, value.as_bytes()));
            assert!(!format!("{header:?}").contains("abc"));
        }
    }

    #[test]
    fn what_would_break_the_request_is_refused_with_a_reason() {
        for (line, why) in [
            ("X-Token abc", "no colon"),
            (": abc", "name"),
            ("X Token: abc", "name"),
            ("X-Token : abc", "name"),
            ("X-\u{e9}: abc", "name"),
            ("X\r\nY: abc", "name"),
            ("X: a\r\nY: b", "control"),
            ("X: a\nb", "control"),
            ("X: a\0b", "control"),
            ("X: a\u{85}b", "control"),
            ("Host: elsewhere", "Host"),
            ("HOST:elsewhere", "Host"),
            ("connection: close", "Connection"),
            ("Content-Length: 5", "no content"),
            ("Transfer-Encoding: chunked", "no content"),
        ] {
            let error = Header::parse(line).unwrap_err();
            assert!(error.contains(why), "{line:?}: {error}");
        }
    }

    #[test]
    fn only_what_is_known_to_be_harmless_may_be_shown() {
        for name in ["Proxy-Authorization", "Authorization", "Cookie", "X-Api-Token", "X-Anything"] {
            assert!(Header::new(name, "x").unwrap().is_secret(), "{name}");
        }
        for name in ["User-Agent", "PROXY-CONNECTION", "accept"] {
            assert!(!Header::new(name, "x").unwrap().is_secret(), "{name}");
        }
    }
}
