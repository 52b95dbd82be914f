//! New lines.

use super::HostName;
use super::line::last_is_hashed;
use super::pattern::hashed;
use crate::ssh::public_key::PublicKey;

/// Returns the bytes to append to a file so that it contains a key of the server.
///
/// The name is hashed, with the random `salt`, if the last entry without a marker is. The bytes
/// begin with a newline if the file lacks a final one.
#[must_use]
pub fn new_line(content: &[u8], name: &HostName, key: &PublicKey, salt: [u8; 20]) -> Vec<u8> {
    let separator = if content.last().is_none_or(|byte| *byte == b'\n') { "" } else { "\n" };
    let name = name.as_str();
    if last_is_hashed(content) || !is_literal(name) {
        format!("{separator}{} {key}\n", hashed(name, salt)).into_bytes()
    } else {
        format!("{separator}{name} {key}\n").into_bytes()
    }
}

/// Returns `true` if the name, as a field of a line, matches only itself.
fn is_literal(name: &str) -> bool {
    let is_special =
        |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"*?,".contains(&byte);
    !name.is_empty() && !name.starts_with(['!', '|', '@', '#']) && !name.bytes().any(is_special)
}
