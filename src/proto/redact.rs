//! Masks our secrets in what peers send, because some proxies repeat the request.
//!
//! A secret is recognized in the encodings that proxies use: character references of HTML, percent
//! encoding, escapes with a backslash, and folded or chunked over several lines.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::Credentials;
use crate::secret::Secret;
use crate::text::printable;

/// The text displayed instead of a secret.
const MASK: &[u8] = b"xxxxx";

/// Shorter secrets are not masked: they match by chance, and the mask would then reveal them.
const MIN_LENGTH: usize = 4;

/// The maximum length of a chunk-size line within a secret.
const MAX_BREAK: usize = 64;

/// The secrets to mask: passwords, everything derived from them that was sent, and secret header
/// values.
///
/// Clones share the secrets. All hops of a chain need the same ones, because a proxy sees what is
/// sent to the next one, and can answer instead of it.
#[derive(Clone, Debug, Default)]
pub struct Redactor(Arc<Mutex<Vec<Secret>>>);

impl Redactor {
    /// Adds a secret, unless it is too short.
    pub fn add(&self, secret: &Secret) {
        let mut secrets = self.secrets();
        if secret.expose().len() >= MIN_LENGTH && !secrets.contains(secret) {
            secrets.push(secret.clone());
        }
    }

    /// Adds a password, and its encoding together with the user name for Basic (RFC 7617 §2).
    pub fn add_credentials(&self, credentials: &Credentials) {
        let (user, password) = (credentials.user.as_bytes(), credentials.password.expose());
        let mut plain = Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.len()));
        for part in [user, b":", password] {
            plain.extend(part);
        }
        self.add_base64(&BASE64.encode(&plain));
        self.add(&credentials.password);
    }

    /// Adds the value of a header field: whole, without its first word, because in `Bearer TOKEN`
    /// the token alone is secret, and the password in a value for Basic.
    pub(super) fn add_header_value(&self, value: &Secret) {
        self.add(value);
        let Some(blank) = value.expose().iter().position(|&byte| byte == b' ') else { return };
        let (scheme, token) = (&value.expose()[..blank], value.expose()[blank + 1..].trim_ascii());
        self.add(&Secret::new(token.to_vec()));
        if scheme.eq_ignore_ascii_case(b"basic")
            && let Ok(plain) = BASE64.decode(token).map(Secret::new)
        {
            let password = plain.expose().iter().position(|&byte| byte == b':').map_or(0, |colon| colon + 1);
            self.add(&Secret::new(plain.expose()[password..].to_vec()));
        }
    }

    /// Adds base64 with and without its padding.
    fn add_base64(&self, text: &str) {
        self.add(&text.into());
        self.add(&text.trim_end_matches('=').into());
    }

    /// Adds the secrets of another redactor.
    pub(super) fn add_all(&self, other: &Self) {
        let secrets = other.secrets().clone();
        for secret in &secrets {
            self.add(secret);
        }
    }

    /// Replaces each secret with `xxxxx`.
    #[must_use]
    pub fn redact(&self, text: &[u8]) -> Vec<u8> {
        masked(text, &self.find(text).ranges)
    }

    /// Does the same for a text that may end within a secret, because it is not complete.
    #[must_use]
    pub fn redact_start(&self, text: &[u8]) -> Vec<u8> {
        let Found { mut ranges, cut, .. } = self.find(text);
        ranges.extend(cut.map(|start| start..text.len()));
        masked(text, &merge(ranges))
    }

    /// Masks the secrets and makes the rest printable.
    ///
    /// If `text` was decoded before, it must have been masked before that, too: decoding may change
    /// or truncate a secret.
    #[must_use]
    pub fn printable(&self, text: &[u8]) -> String {
        // Mask first: `printable` may cut a secret in two, and the rest would not be recognized.
        printable(&self.redact(text))
    }

    /// Returns `true` if a secret occurs in the text.
    pub(super) fn occurs_in(&self, text: &[u8]) -> bool {
        !self.find(text).ranges.is_empty()
    }

    /// Returns the complete lines at the start of a text of which more may follow, with secrets
    /// masked, and their length in `text`. A line in which a secret may begin or continue is
    /// complete only when the secret is.
    #[must_use]
    pub fn redact_lines(&self, text: &[u8]) -> (Vec<u8>, usize) {
        let Found { ranges, undecided, .. } = self.find(text);
        let is_between = |end: usize| ranges.iter().all(|range| range.end <= end || end <= range.start);
        let end = (1..=undecided).rev().find(|&end| text[end - 1] == b'\n' && is_between(end)).unwrap_or(0);
        (masked(&text[..end], &ranges), end)
    }

    /// Finds all secrets in a text.
    fn find(&self, text: &[u8]) -> Found {
        let (mut ranges, mut undecided, mut cut) = (Vec::new(), text.len(), None);
        for secret in self.secrets().iter() {
            let units = units(secret.expose());
            for start in (0..text.len()).filter(|&start| may_begin(text[start], units[0])) {
                match compare(&units, text, start) {
                    Comparison::Equal(end) => ranges.push(start..end),
                    Comparison::Start(length) => {
                        undecided = undecided.min(start);
                        if length >= MIN_LENGTH {
                            cut = Some(cut.map_or(start, |cut: usize| cut.min(start)));
                        }
                    }
                    Comparison::Different => {}
                }
            }
        }
        Found { ranges: merge(ranges), undecided, cut }
    }

    fn secrets(&self) -> MutexGuard<'_, Vec<Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The secrets in a text.
struct Found {
    /// In ascending order, without overlaps.
    ranges: Vec<Range<usize>>,
    /// The start of a secret that may continue after the end of the text; the end if there is none.
    undecided: usize,
    /// The same, but only if the text has enough of the secret to be masked.
    cut: Option<usize>,
}

fn merge(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Masks the ranges that lie in the text.
fn masked(text: &[u8], ranges: &[Range<usize>]) -> Vec<u8> {
    let mut masked = Vec::with_capacity(text.len());
    let mut start = 0;
    for range in ranges.iter().filter(|range| range.end <= text.len()) {
        masked.extend(&text[start..range.start]);
        masked.extend(MASK);
        start = range.end;
    }
    masked.extend(&text[start..]);
    masked
}

/// Splits a secret into its characters, and into bytes where it is not UTF-8.
fn units(secret: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::with_capacity(secret.len());
    let mut rest = secret;
    for chunk in secret.utf8_chunks() {
        for length in chunk.valid().chars().map(char::len_utf8).chain(chunk.invalid().iter().map(|_| 1)) {
            let (unit, after) = rest.split_at(length);
            units.push(unit);
            rest = after;
        }
    }
    units
}

/// Returns `true` if some form of this unit may begin with this byte.
fn may_begin(byte: u8, unit: &[u8]) -> bool {
    byte == unit[0]
        || b"&%\\".contains(&byte)
        || byte == b'+' && unit == b" "
        || unit.len() > 1 && !byte.is_ascii()
}

/// The result of comparing a secret with the text at some position.
#[derive(Debug, PartialEq, Eq)]
enum Comparison {
    Different,
    /// The secret ends at this position of the text.
    Equal(usize),
    /// The text ends within the secret, after this many bytes of it.
    Start(usize),
}

/// Compares a secret with the text at `start`. Each unit of the secret may have any of its forms.
fn compare(units: &[&[u8]], text: &[u8], start: usize) -> Comparison {
    // Some forms begin like others, so there may be several positions after a unit.
    let mut positions = vec![start];
    let (mut length, mut cut) = (0, None);
    for unit in units {
        for index in 0..positions.len() {
            match line_break(&text[positions[index]..]) {
                Some(Form::Length(skipped)) if length > 0 => positions.push(positions[index] + skipped),
                Some(Form::Cut) if length > 0 => cut = Some(length),
                _ => {}
            }
        }
        let mut next = Vec::new();
        for &position in &positions {
            forms(unit, &text[position..], &mut |form| match form {
                Form::Length(length) if next.contains(&(position + length)) => {}
                Form::Length(length) => next.push(position + length),
                Form::Cut => cut = Some(length),
            });
        }
        if next.is_empty() {
            return cut.map_or(Comparison::Different, Comparison::Start);
        }
        length += unit.len();
        positions = next;
    }
    positions.into_iter().max().map_or(Comparison::Different, Comparison::Equal)
}

/// One form of a unit at the start of a text.
enum Form {
    /// The form has this length.
    Length(usize),
    /// The text ends within the form.
    Cut,
}

/// Finds all forms of a unit at the start of the text.
fn forms(unit: &[u8], text: &[u8], add: &mut impl FnMut(Form)) {
    let mut try_form = |form: &[u8]| add_prefix(form, text, add);
    try_form(unit);
    let c = match std::str::from_utf8(unit).ok().and_then(|unit| unit.chars().next()) {
        Some(c) => c,
        None => char::from(unit[0]),
    };
    match text.first() {
        // Character references, also of text that was escaped twice or more often.
        Some(b'&') => {
            for name in references(c) {
                let mut form = format!("&{name};");
                for _ in 0..3 {
                    try_form(form.as_bytes());
                    form.insert_str(1, "amp;");
                }
            }
        }
        Some(b'%') => try_form(&in_hex("%", unit)),
        Some(b'\\') => {
            try_form(&[b"\\", unit].concat());
            try_form(format!("\\u{:04x}", u32::from(c)).as_bytes());
            try_form(&in_hex("\\x", unit));
            if c.is_control() {
                try_form(c.escape_default().to_string().as_bytes());
            }
        }
        Some(b'+') if c == ' ' => try_form(b"+"),
        // A header line may be folded at a blank.
        Some(b'\r' | b'\n') if c == ' ' => {
            if let Some(form) = line_break(text) {
                add(form);
            }
        }
        // A proxy may convert to ISO 8859-1.
        Some(_) if unit.len() > 1 => {
            if let Ok(byte) = u8::try_from(c) {
                try_form(&[byte]);
            }
        }
        _ => {}
    }
}

/// Returns each byte in hexadecimal, with a prefix.
fn in_hex(prefix: &str, unit: &[u8]) -> Vec<u8> {
    unit.iter().flat_map(|byte| format!("{prefix}{byte:02x}").into_bytes()).collect()
}

/// Returns the names and numbers of a character in HTML.
fn references(c: char) -> Vec<String> {
    let name = match c {
        '&' => Some("amp"),
        '<' => Some("lt"),
        '>' => Some("gt"),
        '"' => Some("quot"),
        '\'' => Some("apos"),
        _ => None,
    };
    let number = u32::from(c);
    let numbers = [
        format!("#{number}"),
        format!("#{number:02}"),
        format!("#{number:03}"),
        format!("#x{number:x}"),
        format!("#x{number:02x}"),
    ];
    numbers.into_iter().chain(name.map(str::to_owned)).collect()
}

/// Adds this form if the text begins with it. Case is ignored except in the unit itself, because
/// the digits of an encoding have either.
fn add_prefix(form: &[u8], text: &[u8], add: &mut impl FnMut(Form)) {
    let length = form.len().min(text.len());
    let is_encoded = form.len() > 1 && form.is_ascii();
    let (form_start, text_start) = (&form[..length], &text[..length]);
    let is_equal =
        if is_encoded { form_start.eq_ignore_ascii_case(text_start) } else { form_start == text_start };
    if is_equal {
        add(if length == form.len() { Form::Length(length) } else { Form::Cut });
    }
}

/// Recognizes a line break that does not belong to the secret: a folded header line (RFC 9112
/// §5.2), or the end of a chunk and the size of the next (RFC 9112 §7.1).
fn line_break(text: &[u8]) -> Option<Form> {
    let after = text.strip_prefix(b"\r").unwrap_or(text);
    if after.is_empty() && !text.is_empty() {
        return Some(Form::Cut);
    }
    let line = after.strip_prefix(b"\n")?;
    let start = text.len() - line.len();
    let blanks = line.iter().take_while(|byte| b" \t".contains(byte)).count();
    if blanks > 0 {
        return Some(if blanks < line.len() { Form::Length(start + blanks) } else { Form::Cut });
    }
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let Some((next, _)) = line[digits..].split_first() else { return Some(Form::Cut) };
    if digits == 0 || !b" \t;\r\n".contains(next) {
        return None;
    }
    match line.iter().take(MAX_BREAK).position(|&byte| byte == b'\n') {
        Some(end) => Some(Form::Length(start + end + 1)),
        None => (line.len() < MAX_BREAK).then_some(Form::Cut),
    }
}

#[cfg(test)]
mod tests;
