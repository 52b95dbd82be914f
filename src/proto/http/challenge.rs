//! Parses the authentication challenges in a response (RFC 9110 §11.6.1 and §11.7.1).

use super::head::Head;

/// An authentication challenge.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) scheme: String,
    /// Names in lower case, values unquoted.
    parameters: Vec<(String, String)>,
    /// `true` if the challenge follows the grammar. If not, only its scheme name is used.
    is_well_formed: bool,
}

impl Challenge {
    /// Returns `true` if the challenge follows the grammar and repeats no parameter.
    pub(super) fn is_well_formed(&self) -> bool {
        self.is_well_formed
    }

    /// Returns the value of a parameter. `name` must be in lower case.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn new(scheme: &str) -> Self {
        Self { scheme: scheme.to_owned(), parameters: Vec::new(), is_well_formed: true }
    }

    /// Parses a parameter and adds it, or marks the challenge as malformed.
    fn add(&mut self, text: &str) {
        match parameter(text) {
            Some((name, value)) if self.parameter(&name).is_none() => self.parameters.push((name, value)),
            _ => self.is_well_formed = false,
        }
    }
}

/// Returns all challenges in the proxy's order, from one header line or several.
///
/// Proxies that send 401 use `WWW-Authenticate` or `Proxy-Authenticate`, so both are read.
pub(super) fn challenges(head: &Head) -> Vec<Challenge> {
    let fields = ["proxy-authenticate", "www-authenticate"];
    fields.iter().flat_map(|field| head.values(field)).flat_map(parse_line).collect()
}

/// Parses a header line. `Basic realm="x"` and `Negotiate` start a challenge; `charset="UTF-8"` and
/// `nonce = "y"` belong to the previous one.
pub(super) fn parse_line(line: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    for part in split_outside_quotes(line).into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        let (token, rest) = split_token(part);
        if token.is_empty() || rest.trim_start().starts_with('=') {
            if let Some(last) = challenges.last_mut() {
                last.add(part);
            }
            continue;
        }
        let mut challenge = Challenge::new(token);
        match rest.strip_prefix([' ', '\t']).map(str::trim) {
            None => challenge.is_well_formed = rest.is_empty(),
            Some(first) if is_token68(first) => {}
            Some(first) => challenge.add(first),
        }
        challenges.push(challenge);
    }
    challenges
}

/// Splits a list at the commas outside quoted strings.
fn split_outside_quotes(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (index, c) in list.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&list[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

/// Parses `name=value` or `name="value"`, with optional blanks around `=`. `None` if malformed.
fn parameter(text: &str) -> Option<(String, String)> {
    let (name, rest) = split_token(text);
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    let value = if let Some(quoted) = value.strip_prefix('"') {
        unquote(quoted)?
    } else {
        let (token, after) = split_token(value);
        (!token.is_empty() && after.is_empty()).then(|| token.to_owned())?
    };
    (!name.is_empty()).then(|| (name.to_ascii_lowercase(), value))
}

/// Unquotes a string whose opening quote has been removed (RFC 9110 §5.6.4). `None` unless the
/// string ends at the closing quote.
fn unquote(quoted: &str) -> Option<String> {
    let mut value = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    loop {
        let c = match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(value),
            '\\' => characters.next()?,
            c => c,
        };
        // Reject control characters even if escaped, because our response repeats the value.
        if c.is_control() && c != '\t' {
            return None;
        }
        value.push(c);
    }
}

/// Returns `true` for a token68, such as the base64 text in a Negotiate challenge (RFC 9110 §11.2).
fn is_token68(text: &str) -> bool {
    let start = text.trim_end_matches('=');
    !start.is_empty() && start.chars().all(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c))
}

/// Splits off the token at the start, which may be empty.
fn split_token(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

/// Returns `true` if the character may occur in a token (RFC 9110 §5.6.2).
pub(super) fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::{Challenge, parse_line};

    /// Formats each parsed challenge: its scheme, its parameters, and `?` if it is malformed.
    fn parsed(line: &str) -> Vec<String> {
        let format = |challenge: &Challenge| {
            let parameters = challenge.parameters.iter().map(|(name, value)| format!(" {name}=<{value}>"));
            let mark = if challenge.is_well_formed { "" } else { " ?" };
            format!("{}{}{mark}", challenge.scheme, parameters.collect::<String>())
        };
        parse_line(line).iter().map(format).collect()
    }

    #[test]
    fn challenges_are_parsed_by_the_grammar() {
        for (line, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("Basic", &["Basic"]),
            ("Basic realm=x", &["Basic realm=<x>"]),
            ("Basic\trealm = \"x\"", &["Basic realm=<x>"]),
            // The example in RFC 9110 §11.6.1.
            (
                "Basic realm=\"simple\", Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\"",
                &["Basic realm=<simple>", "Newauth realm=<apps> type=<1> title=<Login to \"apps\">"],
            ),
            ("Negotiate, NTLM , Basic", &["Negotiate", "NTLM", "Basic"]),
            ("Negotiate YII=, Basic", &["Negotiate", "Basic"]),
            ("NTLM TlRMTVNTUAAC+/==", &["NTLM"]),
            // Looks like a parameter without a value, but is a token68.
            ("Digest nonce=", &["Digest"]),
            (
                "Digest REALM=\"a, b\",,nonce=\"c\\\\d=\" , Qop=\"auth,auth-int\"",
                &["Digest realm=<a, b> nonce=<c\\d=> qop=<auth,auth-int>"],
            ),
            ("Digest realm=\"\", nonce=\"Basic\"", &["Digest realm=<> nonce=<Basic>"]),
            // A parameter before any challenge.
            ("realm=\"x\", Basic", &["Basic"]),
        ] {
            assert_eq!(parsed(line), expected, "{line}");
        }
    }

    #[test]
    fn a_malformed_challenge_is_marked_and_does_not_affect_the_next() {
        for (line, expected) in [
            ("Digest nonce=\"a\", qop=, Basic realm=x", &["Digest nonce=<a> ?", "Basic realm=<x>"][..]),
            ("Digest nonce=a b, Basic", &["Digest ?", "Basic"]),
            ("Digest nonce=\"a\"b, Basic", &["Digest ?", "Basic"]),
            ("Digest nonce=\"a\x07\", Basic", &["Digest ?", "Basic"]),
            ("Digest nonce=\"a\\\x07\", Basic", &["Digest ?", "Basic"]),
            ("Digest nonce=a, Nonce=b, Basic", &["Digest nonce=<a> ?", "Basic"]),
            ("Digest nonce=a, \"x\", Basic", &["Digest nonce=<a> ?", "Basic"]),
            ("Digest =a, Basic", &["Basic"]),
            ("Digest\"x\", Basic", &["Digest ?", "Basic"]),
            ("Digest nonce=\"a, Basic", &["Digest ?"]),
            ("Digest nonce=\"a\\", &["Digest ?"]),
            ("Digest x y=z, Basic", &["Digest ?", "Basic"]),
        ] {
            assert_eq!(parsed(line), expected, "{line}");
        }
    }
}
