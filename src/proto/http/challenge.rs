//! What a proxy asks for: the challenges of an answer (RFC 9110 §11.6.1 and §11.7.1).

use super::head::Head;

/// One challenge.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) scheme: String,
    /// Names in lower case; values without quotes and escapes.
    parameters: Vec<(String, String)>,
    /// It is written as the grammar wants it. One that is not can be named, and not answered with more than a name.
    sound: bool,
}

impl Challenge {
    /// Whether it is what the grammar allows, each parameter at most once.
    pub(super) fn is_sound(&self) -> bool {
        self.sound
    }

    /// The value of a parameter, which is named in lower case.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn named(scheme: &str) -> Self {
        Self { scheme: scheme.to_owned(), parameters: Vec::new(), sound: true }
    }

    /// Takes what stands between two commas, and is no scheme of its own.
    fn add(&mut self, text: &str) {
        match parameter(text) {
            Some((name, value)) if self.parameter(&name).is_none() => self.parameters.push((name, value)),
            _ => self.sound = false,
        }
    }
}

/// All challenges, in the proxy's order: several may stand in one line, or in several.
///
/// Proxies that answer 401 name them in `WWW-Authenticate` or in `Proxy-Authenticate`; both count.
pub(super) fn challenges(head: &Head) -> Vec<Challenge> {
    let fields = ["proxy-authenticate", "www-authenticate"];
    fields.iter().flat_map(|field| head.values(field)).flat_map(in_line).collect()
}

/// `Basic realm="x"` and `Negotiate` begin a challenge, `charset="UTF-8"` and `nonce = "y"` go on with the last.
pub(super) fn in_line(line: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    for part in split_outside_quotes(line).into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        let (token, rest) = split_token(part);
        if token.is_empty() || rest.trim_start().starts_with('=') {
            if let Some(last) = challenges.last_mut() {
                last.add(part);
            }
            continue;
        }
        let mut challenge = Challenge::named(token);
        match rest.strip_prefix([' ', '\t']).map(str::trim) {
            None => challenge.sound = rest.is_empty(),
            Some(first) if is_token68(first) => {}
            Some(first) => challenge.add(first),
        }
        challenges.push(challenge);
    }
    challenges
}

/// Splits a list at its commas, but not at those in a quoted string.
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

/// `name = value`, or `name = "value"`, with or without the blanks.
fn parameter(text: &str) -> Option<(String, String)> {
    let (name, rest) = split_token(text);
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    let value = if let Some(quoted) = value.strip_prefix('"') {
        unquoted(quoted)?
    } else {
        let (token, after) = split_token(value);
        (!token.is_empty() && after.is_empty()).then(|| token.to_owned())?
    };
    (!name.is_empty()).then(|| (name.to_ascii_lowercase(), value))
}

/// The value of a quoted string, up to its closing quote, behind which there must be nothing (RFC 9110 §5.6.4).
fn unquoted(quoted: &str) -> Option<String> {
    let mut value = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    loop {
        let c = match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(value),
            '\\' => characters.next()?,
            c => c,
        };
        // Not behind a backslash either: it would be repeated in the answer.
        if c.is_control() && c != '\t' {
            return None;
        }
        value.push(c);
    }
}

/// Base64 or the like, as it goes with Negotiate (RFC 9110 §11.2).
fn is_token68(text: &str) -> bool {
    let start = text.trim_end_matches('=');
    !start.is_empty() && start.chars().all(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c))
}

/// The token at the start, which may be empty, and the rest.
fn split_token(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

/// Whether a character may stand in a token (RFC 9110 §5.6.2).
pub(super) fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::{Challenge, in_line};

    /// A challenge as it was read: its scheme, its parameters, and `?` if it is not sound.
    fn read(line: &str) -> Vec<String> {
        let shown = |challenge: &Challenge| {
            let parameters = challenge.parameters.iter().map(|(name, value)| format!(" {name}=<{value}>"));
            let mark = if challenge.sound { "" } else { " ?" };
            format!("{}{}{mark}", challenge.scheme, parameters.collect::<String>())
        };
        in_line(line).iter().map(shown).collect()
    }

    #[test]
    fn challenges_are_read_as_the_grammar_has_them() {
        for (line, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("Basic", &["Basic"]),
            ("Basic realm=x", &["Basic realm=<x>"]),
            ("Basic\trealm = \"x\"", &["Basic realm=<x>"]),
            // RFC 9110 §11.6.1 has this one.
            (
                "Basic realm=\"simple\", Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\"",
                &["Basic realm=<simple>", "Newauth realm=<apps> type=<1> title=<Login to \"apps\">"],
            ),
            ("Negotiate, NTLM , Basic", &["Negotiate", "NTLM", "Basic"]),
            ("Negotiate YII=, Basic", &["Negotiate", "Basic"]),
            ("NTLM TlRMTVNTUAAC+/==", &["NTLM"]),
            // Not a parameter without a value, but base64.
            ("Digest nonce=", &["Digest"]),
            (
                "Digest REALM=\"a, b\",,nonce=\"c\\\\d=\" , Qop=\"auth,auth-int\"",
                &["Digest realm=<a, b> nonce=<c\\d=> qop=<auth,auth-int>"],
            ),
            ("Digest realm=\"\", nonce=\"Basic\"", &["Digest realm=<> nonce=<Basic>"]),
            // What belongs to no challenge.
            ("realm=\"x\", Basic", &["Basic"]),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn a_bad_challenge_is_known_for_it_and_does_no_harm_to_the_next() {
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
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
