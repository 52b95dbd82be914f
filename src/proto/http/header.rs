//! Header fields that the user adds to requests.

use super::challenge::is_token;
use crate::secret::Secret;

/// A header field for every request, validated on creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: Secret,
}

/// Fields that never contain a secret. Any other field may contain a password or token.
const PUBLIC: [&str; 15] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "forwarded",
    "host",
    "pragma",
    "proxy-connection",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

impl Header {
    /// Parses a `Name: value` line.
    ///
    /// # Errors
    /// Returns the cause, without quoting the line, because it may contain a secret.
    pub fn parse(line: &str) -> Result<Self, &'static str> {
        let (name, value) = line.split_once(':').ok_or("missing colon in header; expected Name: value")?;
        Self::new(name, value)
    }

    /// Creates a field.
    ///
    /// # Errors
    /// Returns the cause if the name or value is invalid, or if the field must not be set.
    pub fn new(name: &str, value: &str) -> Result<Self, &'static str> {
        if name.is_empty() || !name.chars().all(is_token) {
            return Err("invalid header name before the colon");
        }
        match name.to_ascii_lowercase().as_str() {
            "connection" => {
                return Err("the Connection header cannot be set; the connection becomes the tunnel");
            }
            "content-length" | "transfer-encoding" => {
                return Err(
                    "Content-Length and Transfer-Encoding cannot be set; a CONNECT request has no content",
                );
            }
            _ => {}
        }
        let value = value.trim_matches([' ', '\t']);
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err("invalid control character in a header value");
        }
        Ok(Self { name: name.to_owned(), value: Secret::from(value) })
    }

    /// Returns `true` if the field has this name, ignoring case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Returns the name as the user wrote it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the value.
    pub(super) fn value(&self) -> &Secret {
        &self.value
    }

    /// Returns `true` if the value must not be displayed.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        !PUBLIC.iter().any(|name| self.is(name))
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
    fn a_header_that_would_break_the_request_is_rejected_with_the_cause() {
        for (line, why) in [
            ("X-Token abc", "missing colon"),
            (": abc", "name"),
            ("X Token: abc", "name"),
            ("X-Token : abc", "name"),
            ("X-\u{e9}: abc", "name"),
            ("X\r\nY: abc", "name"),
            ("X: a\r\nY: b", "control"),
            ("X: a\nb", "control"),
            ("X: a\0b", "control"),
            ("X: a\u{85}b", "control"),
            ("connection: close", "Connection"),
            ("Content-Length: 5", "no content"),
            ("Transfer-Encoding: chunked", "no content"),
        ] {
            let error = Header::parse(line).unwrap_err();
            assert!(error.contains(why), "{line:?}: {error}");
        }
    }

    #[test]
    fn only_the_values_of_known_public_fields_are_displayed() {
        for name in [
            "Proxy-Authorization",
            "Authorization",
            "Cookie",
            "X-Api-Token",
            "X-Anything",
            "X-Forwarded-Access-Token",
        ] {
            assert!(Header::new(name, "x").unwrap().is_secret(), "{name}");
        }
        for name in ["User-Agent", "PROXY-CONNECTION", "accept", "Host", "Via", "X-Forwarded-For"] {
            assert!(!Header::new(name, "x").unwrap().is_secret(), "{name}");
        }
    }
}
