//! Patterns of session names.

/// A pattern in which each `*` matches any text, also none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns `true` if the pattern matches the whole text.
    pub(super) fn matches(&self, text: &str) -> bool {
        let Some((prefix, rest)) = self.0.split_once('*') else { return self.0 == text };
        let Some(mut left) = text.strip_prefix(prefix) else { return false };
        let mut pieces = rest.split('*').peekable();
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                return left.ends_with(piece);
            }
            // The first place where a piece matches leaves the most text for the next pieces.
            let Some(at) = left.find(piece) else { return false };
            left = &left[at + piece.len()..];
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_matches_any_text() {
        for (pattern, matching, others) in [
            ("lab1", &["lab1"][..], &["lab", "lab12", "Lab1", ""][..]),
            ("lab*", &["lab", "lab1", "lab*"], &["la", "xlab", ""]),
            ("*", &["", "a", "a.b"], &[]),
            ("*1", &["1", "lab1", "11"], &["12", ""]),
            ("a*b*c", &["abc", "a1b2c", "abbcc", "abcbc"], &["ab", "acb", "abcx", "xabc"]),
            ("a*a", &["aa", "aba"], &["a", "ab"]),
            ("", &[""], &["a"]),
        ] {
            for text in matching {
                assert!(Pattern::new(pattern).matches(text), "{pattern} {text}");
            }
            for text in others {
                assert!(!Pattern::new(pattern).matches(text), "{pattern} {text}");
            }
        }
    }
}
