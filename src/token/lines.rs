//! The lines of keys files and deny-files.

use crate::text::bom_length;

/// An error in a line of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct LineError {
    /// The number of the line, from 1.
    pub line: usize,
    /// The cause, which quotes nothing of the line that may be secret.
    pub why: &'static str,
}

/// Passes each line of a file to `parse`, except for empty lines and those that begin with `#`.
/// Ignores a byte order mark.
pub(super) fn parse_lines(
    text: &[u8],
    mut parse: impl FnMut(&str) -> Result<(), &'static str>,
) -> Result<(), LineError> {
    let bom = bom_length(text).map_err(|_| LineError { line: 1, why: "UTF-16 text, expected UTF-8" })?;
    for (index, line) in text[bom..].split(|&byte| byte == b'\n').enumerate() {
        let parsed = str::from_utf8(line).map_err(|_| "not UTF-8").and_then(|line| match line.trim() {
            "" => Ok(()),
            comment if comment.starts_with('#') => Ok(()),
            line => parse(line),
        });
        parsed.map_err(|why| LineError { line: index + 1, why })?;
    }
    Ok(())
}
