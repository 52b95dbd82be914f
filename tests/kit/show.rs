//! Formats bytes for failure messages.

use std::fmt::Write;

/// Formats `bytes` as their length and an escaped string, followed by hex unless they are plain
/// text. Truncates long input.
pub(crate) fn show(bytes: &[u8]) -> String {
    const SHOWN: usize = 400;
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    let start = &bytes[..bytes.len().min(SHOWN)];
    let mut out = format!("{} bytes \"{}\"", bytes.len(), start.escape_ascii());
    let is_text = |byte: &u8| matches!(byte, b'\r' | b'\n' | b'\t' | b' '..=b'~');
    if !start.iter().all(is_text) {
        out.push_str(" =");
        for byte in &start[..start.len().min(64)] {
            let _ = write!(out, " {byte:02x}");
        }
    }
    if bytes.len() > SHOWN {
        out.push_str(" ...");
    }
    out
}
