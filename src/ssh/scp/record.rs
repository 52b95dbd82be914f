//! The records C, D, E and T.

use super::{Error, InvalidName};
use crate::ssh::sftp::names::is_safe_name;

/// The times of a file, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The last access.
    pub access: u64,
    /// The last modification.
    pub modification: u64,
}

/// A file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, without a directory.
    pub name: Vec<u8>,
    /// The permissions.
    pub mode: u32,
    /// The size; 0 for a directory.
    pub size: u64,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// C: a file, whose data follow.
    File(Entry),
    /// D: a directory, whose entries follow.
    Directory(Entry),
    /// E: the end of a directory.
    End,
    /// T: the times of the file or directory in the next record.
    Times(Times),
}

impl Record {
    /// Encodes the record with its newline.
    ///
    /// # Errors
    /// The name contains a newline, or is not a name within a directory.
    pub fn encode(&self) -> Result<Vec<u8>, InvalidName> {
        Ok(match self {
            Self::File(entry) => entry.encode('C')?,
            Self::Directory(entry) => entry.encode('D')?,
            Self::End => b"E\n".to_vec(),
            Self::Times(Times { access, modification }) => {
                format!("T{modification} 0 {access} 0\n").into_bytes()
            }
        })
    }

    /// Decodes a record without its newline.
    ///
    /// # Errors
    /// The record is malformed, or its name is not a name within a directory.
    pub fn parse(line: &[u8]) -> Result<Self, Error> {
        let malformed = || Error::Malformed(line.to_vec());
        let (kind, content) = line.split_first().ok_or_else(malformed)?;
        let record = match kind {
            b'C' => Self::File(Entry::parse(content).ok_or_else(malformed)?),
            b'D' => Self::Directory(Entry::parse(content).ok_or_else(malformed)?),
            b'E' if content.is_empty() => Self::End,
            b'T' => Self::Times(Times::parse(content).ok_or_else(malformed)?),
            _ => return Err(malformed()),
        };
        match record {
            Self::File(entry) | Self::Directory(entry) if !is_safe_name(&entry.name) => {
                Err(Error::Name(entry.name))
            }
            record => Ok(record),
        }
    }
}

impl Entry {
    fn encode(&self, kind: char) -> Result<Vec<u8>, InvalidName> {
        if self.name.contains(&b'\n') {
            return Err(InvalidName::Newline);
        }
        if !is_safe_name(&self.name) {
            return Err(InvalidName::Unsafe);
        }
        let start = format!("{kind}{:04o} {} ", self.mode & 0o7777, self.size);
        Ok([start.as_bytes(), &self.name, b"\n"].concat())
    }

    fn parse(content: &[u8]) -> Option<Self> {
        let mut fields = content.splitn(3, |byte| *byte == b' ');
        let mode = digits(fields.next()?).filter(|mode| (4..=6).contains(&mode.len()))?;
        let mode = u32::from_str_radix(mode, 8).ok()? & 0o7777;
        let size = number(fields.next()?)?;
        Some(Self { mode, size, name: fields.next()?.to_vec() })
    }
}

impl Times {
    fn parse(content: &[u8]) -> Option<Self> {
        let mut fields = content.split(|byte| *byte == b' ');
        let mut next = || number(fields.next()?);
        let (modification, _, access, _) = (next()?, next()?, next()?, next()?);
        fields.next().is_none().then_some(Self { access, modification })
    }
}

fn digits(field: &[u8]) -> Option<&str> {
    let field = str::from_utf8(field).ok()?;
    Some(field).filter(|field| !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Parses a number that fits into 63 bits, as file systems need.
fn number(field: &[u8]) -> Option<u64> {
    digits(field)?.parse().ok().filter(|number| i64::try_from(*number).is_ok())
}
