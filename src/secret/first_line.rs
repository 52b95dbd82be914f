//! Reads a password from the first line of a stream.

use std::io::{self, Read};

use zeroize::Zeroizing;

use super::Secret;
use crate::text::{BOM, bom_length};

/// The longest password that [`read_first_line`] accepts, in bytes.
const MAX_PASSWORD: usize = 4096;

/// An error from [`read_first_line`].
#[derive(Debug, thiserror::Error)]
pub enum FirstLineError {
    /// The line is empty.
    #[error("its first line is empty")]
    Empty,
    /// The stream ended before its first byte.
    #[error("its first line is empty")]
    NoLine,
    /// The line is longer than 4096 bytes, not counting its line ending.
    #[error("its first line is longer than {MAX_PASSWORD} bytes")]
    TooLong,
    /// The line begins with a byte order mark of UTF-16.
    #[error("its first line is in UTF-16, expected UTF-8")]
    Utf16,
    /// The stream could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<FirstLineError> for io::Error {
    fn from(error: FirstLineError) -> Self {
        match error {
            FirstLineError::Io(error) => error,
            other => Self::other(other),
        }
    }
}

/// Reads the first line, which ends at LF or EOF. The password is the part before the first CR, as
/// in OpenSSH's askpass protocol, and after a byte order mark.
///
/// Reads byte by byte and not beyond the LF, because another program may read the next line.
///
/// # Errors
/// The line is empty, longer than 4096 bytes or in UTF-16, or the stream cannot be read.
pub fn read_first_line(mut from: impl Read) -> Result<Secret, FirstLineError> {
    // Allocate the maximum up front, because growing would leave a copy of the password behind.
    let mut password = Zeroizing::new(Vec::with_capacity(MAX_PASSWORD));
    let (mut length, mut has_bom, mut has_cr) = (0, false, false);
    loop {
        match read_byte(&mut from)? {
            None if length == 0 && !has_cr => return Err(FirstLineError::NoLine),
            None | Some(b'\n') => break,
            Some(b'\r') if !has_cr => has_cr = true,
            Some(_) if length == MAX_PASSWORD => return Err(FirstLineError::TooLong),
            Some(byte) => {
                length += 1;
                if !has_cr {
                    password.push(byte);
                }
                // Only once: otherwise an endless series of marks would never reach the limit.
                if !has_bom && password.as_slice() == BOM {
                    password.clear();
                    (length, has_bom) = (0, true);
                }
            }
        }
    }
    if bom_length(&password).is_err() {
        return Err(FirstLineError::Utf16);
    }
    if password.is_empty() {
        return Err(FirstLineError::Empty);
    }
    Ok(Secret::new(password.to_vec()))
}

/// Returns the next byte, or `None` at EOF.
fn read_byte(from: &mut impl Read) -> io::Result<Option<u8>> {
    let mut byte = Zeroizing::new([0]);
    loop {
        match from.read(&mut *byte) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(byte[0])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_lf_or_eof_and_the_password_at_the_first_cr() {
        for (text, password, rest) in [
            ("secret", "secret", ""),
            ("secret\nmore\n", "secret", "more\n"),
            ("secret\r\nmore\n", "secret", "more\n"),
            ("secret\r", "secret", ""),
            ("a\rb\n", "a", ""),
            ("a\rb\r\nmore\n", "a", "more\n"),
            (" two words \n", " two words ", ""),
            ("\u{feff}secret\r\nmore\n", "secret", "more\n"),
            ("se\u{feff}cret", "se\u{feff}cret", ""),
            ("\u{feff}\u{feff}secret", "\u{feff}secret", ""),
        ] {
            let mut stream = text.as_bytes();
            let line = read_first_line(&mut stream);
            assert_eq!(line.ok(), Some(Secret::from(password)), "{text:?}");
            assert_eq!(stream, rest.as_bytes(), "{text:?}");
        }
        for text in ["\n", "\r", "\r\n", "\nsecret\n"] {
            let line = read_first_line(text.as_bytes());
            assert!(matches!(line, Err(FirstLineError::Empty)), "{text:?}: {line:?}");
        }
        assert!(matches!(read_first_line(io::empty()), Err(FirstLineError::NoLine)));
    }

    /// Notepad and PowerShell write such files.
    #[test]
    fn a_line_in_utf_16_is_an_error_that_says_so() {
        let text: Vec<u16> = "\u{feff}secret\n".encode_utf16().collect();
        for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let text: Vec<u8> = text.iter().copied().flat_map(bytes).collect();
            let line = read_first_line(text.as_slice());
            assert!(matches!(line, Err(FirstLineError::Utf16)), "{line:?}");
        }
    }

    #[test]
    fn a_password_of_4096_bytes_is_accepted_and_one_byte_more_is_not() {
        for end in ["", "\n", "\r\n", "\nmore"] {
            let longest = "x".repeat(MAX_PASSWORD);
            let line = read_first_line(format!("{longest}{end}").as_bytes());
            assert_eq!(line.ok(), Some(Secret::from(longest.as_str())), "{end:?}");
            let line = read_first_line(format!("\u{feff}{longest}{end}").as_bytes());
            assert_eq!(line.ok(), Some(Secret::from(longest.as_str())), "{end:?}");
            let line = read_first_line(format!("{longest}x{end}").as_bytes());
            assert!(matches!(line, Err(FirstLineError::TooLong)), "{end:?}: {line:?}");
        }
        assert!(matches!(read_first_line(io::repeat(b'x')), Err(FirstLineError::TooLong)));
        let marks = "\u{feff}".repeat(MAX_PASSWORD);
        assert!(matches!(read_first_line(marks.as_bytes()), Err(FirstLineError::TooLong)));
        assert!(matches!(read_first_line(b"a\r".chain(io::repeat(b'x'))), Err(FirstLineError::TooLong)));
    }
}
