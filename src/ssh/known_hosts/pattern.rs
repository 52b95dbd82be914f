//! The host names of a line.

use base64::prelude::{BASE64_STANDARD, Engine};
use ring::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};

use super::invalid::Invalid;

/// The length of a salt and of a hash, which are SHA-1 outputs.
const HASH_LENGTH: usize = 20;

/// The longest pattern, in bytes. A line with a longer one matches nothing in OpenSSH.
const MAX_PATTERN: usize = 1022;

/// The host names of a line.
#[derive(Debug)]
pub(super) enum Names<'a> {
    /// One name, as its HMAC.
    Hashed { salt: [u8; HASH_LENGTH], hash: [u8; HASH_LENGTH] },
    /// Patterns, with commas.
    Patterns(&'a [u8]),
}

impl<'a> Names<'a> {
    /// Parses the first field of a line.
    pub(super) fn parse(field: &'a [u8]) -> Result<Self, Invalid> {
        if field.starts_with(b"|") {
            let (salt, hash) = parse_hash(field).ok_or(Invalid::Hash)?;
            return Ok(Self::Hashed { salt, hash });
        }
        if field.split(|byte| *byte == b',').any(|pattern| pattern.len() > MAX_PATTERN) {
            return Err(Invalid::LongPattern);
        }
        Ok(Self::Patterns(field))
    }

    /// Returns `true` if the line applies to a name in lower case.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => {
                let key = hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
            Self::Patterns(patterns) => list_matches(patterns, name.as_bytes()),
        }
    }
}

/// Hashes a name, as the first field of a line.
pub(super) fn hashed(name: &str, salt: [u8; HASH_LENGTH]) -> String {
    let key = hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    let hash = hmac::sign(&key, name.as_bytes());
    format!("|1|{}|{}", BASE64_STANDARD.encode(salt), BASE64_STANDARD.encode(hash))
}

/// Decodes `|1|SALT|HASH`.
fn parse_hash(field: &[u8]) -> Option<([u8; HASH_LENGTH], [u8; HASH_LENGTH])> {
    let mut parts = field.strip_prefix(b"|1|")?.split(|byte| *byte == b'|');
    let mut decode = || BASE64_STANDARD.decode(parts.next()?).ok()?.try_into().ok();
    let decoded = (decode()?, decode()?);
    parts.next().is_none().then_some(decoded)
}

/// Returns `true` if a pattern matches the name and no pattern with `!` does.
fn list_matches(patterns: &[u8], name: &[u8]) -> bool {
    let mut matched = false;
    for pattern in patterns.split(|byte| *byte == b',') {
        match pattern.strip_prefix(b"!") {
            Some(excluded) if matches(excluded, name) => return false,
            Some(_) => {}
            None => matched |= matches(pattern, name),
        }
    }
    matched
}

/// Matches a pattern with `*` and `?`, in any case, in time proportional to the product of the
/// lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at_pattern, mut at_name) = (0, 0);
    // The positions after the last `*`, and of the name's rest that it leaves to the pattern.
    let mut retry = None;
    while at_name < name.len() {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                at_pattern += 1;
                retry = Some((at_pattern, at_name));
            }
            Some(byte) if *byte == b'?' || byte.eq_ignore_ascii_case(&name[at_name]) => {
                at_pattern += 1;
                at_name += 1;
            }
            _ => {
                // Let the last `*` match one more byte. Earlier ones need not be tried again.
                let Some((after_star, rest)) = retry else { return false };
                at_pattern = after_star;
                at_name = rest + 1;
                retry = Some((after_star, at_name));
            }
        }
    }
    pattern[at_pattern..].iter().all(|byte| *byte == b'*')
}
