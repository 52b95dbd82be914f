//! Failures.

use crate::text::printable;

/// A failure after which nothing more can be copied over the channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The peer has ended the copy with this text.
    #[error("{}", cause(.0))]
    Fatal(Vec<u8>),
    /// The peer has sent text instead of an scp record.
    #[error("did not answer with scp: received \"{}\"", printable(.0))]
    NotScp(Vec<u8>),
    /// A record, or a text, is too long.
    #[error("an scp record that is too long")]
    TooLong,
    /// A record is malformed.
    #[error("malformed scp record \"{}\"", printable(.0))]
    Malformed(Vec<u8>),
    /// A record is not allowed at this place.
    #[error("unexpected scp record {0:?}")]
    Unexpected(char),
    /// The name of a file or directory could leave the target directory, or differs from the
    /// requested one.
    #[error("scp record with the invalid name \"{}\"", printable(.0))]
    Name(Vec<u8>),
    /// The channel has ended within a file or directory.
    #[error("the copy ended early")]
    Incomplete,
}

/// A name that scp cannot transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The name contains a newline, which ends a record.
    #[error("scp cannot copy a name that contains a newline; use --copy-by sftp")]
    Newline,
    /// The name is empty, `.` or `..`, or contains `/` or NUL.
    #[error("invalid name")]
    Unsafe,
}

/// Returns the cause in an error line of scp, such as `scp: FILE: No such file or directory`.
#[must_use]
pub fn cause(line: &[u8]) -> String {
    let line = line.strip_prefix(b"scp: ").unwrap_or(line);
    let known = [
        (&b"No such file or directory"[..], "no such file"),
        (b"Permission denied", "permission denied"),
        (b"not a regular file", "not a regular file"),
        (b"Is a directory", "is a directory"),
        (b"No space left on device", "no space left"),
    ];
    match known.iter().find(|(end, _)| line.trim_ascii_end().ends_with(end)) {
        Some((_, cause)) => (*cause).into(),
        None => printable(line),
    }
}
