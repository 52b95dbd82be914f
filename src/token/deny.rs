//! Deny-files: the tokens that a server refuses although they are valid.

use super::claims::Claims;
use super::lines::{LineError, parse_lines};
use super::pattern::Pattern;

/// The tokens that a server refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenyList {
    ids: Vec<String>,
    subjects: Vec<String>,
    sessions: Vec<Pattern>,
}

impl DenyList {
    /// Parses lines of the form `jti ID`, `sub SUBJECT` or `session GLOB`.
    ///
    /// # Errors
    /// A line is invalid.
    pub fn parse(text: &[u8]) -> Result<Self, LineError> {
        let mut list = Self::default();
        parse_lines(text, |line| {
            let (kind, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let value = value.trim_start();
            match kind {
                "jti" | "sub" | "session" if value.is_empty() => {
                    return Err("missing value after jti, sub or session");
                }
                "jti" => list.ids.push(value.to_owned()),
                "sub" => list.subjects.push(value.to_owned()),
                "session" => list.sessions.push(Pattern::new(value)),
                _ => return Err("expected 'jti ID', 'sub SUBJECT' or 'session NAME'"),
            }
            Ok(())
        })?;
        Ok(list)
    }

    /// Returns `true` if a token with these claims is refused for this session.
    pub(super) fn includes(&self, claims: &Claims, session: Option<&str>) -> bool {
        let has = |list: &[String], value: Option<&String>| value.is_some_and(|value| list.contains(value));
        has(&self.ids, claims.id.as_ref())
            || has(&self.subjects, claims.subject.as_ref())
            || session.is_some_and(|session| self.sessions.iter().any(|pattern| pattern.matches(session)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_token_is_denied_by_its_id_its_subject_or_its_session() {
        let list = DenyList::parse(b"# gone\njti 17\n\nsub\tJane  Doe \r\nsession lab*\n").unwrap();
        let claims = |id: Option<&str>, subject: Option<&str>| Claims {
            id: id.map(str::to_owned),
            subject: subject.map(str::to_owned),
            ..Claims::default()
        };
        for (id, subject, session, expected) in [
            (Some("17"), None, None, true),
            (None, Some("Jane  Doe"), Some("web"), true),
            (None, None, Some("lab2"), true),
            (Some("18"), Some("17"), Some("web"), false),
            (Some("1"), Some("jane  doe"), None, false),
            (None, None, None, false),
        ] {
            assert_eq!(
                list.includes(&claims(id, subject), session),
                expected,
                "{id:?} {subject:?} {session:?}"
            );
        }
        assert!(!DenyList::default().includes(&claims(Some("17"), None), Some("lab")));
    }

    #[test]
    fn an_invalid_line_is_an_error() {
        for line in ["jti", "sub  ", "session", "17", "JTI 17", "id 17"] {
            assert_eq!(DenyList::parse(format!("jti 1\n{line}").as_bytes()).unwrap_err().line, 2, "{line}");
        }
    }
}
