//! A line of a `known_hosts` file.

use base64::prelude::{BASE64_STANDARD, Engine};

use super::invalid::Invalid;
use super::pattern::Names;
use crate::ssh::public_key::{KeyError, PublicKey};
use crate::ssh::wire::Reader;

/// The part of the type of a certificate that a plain key lacks.
const CERTIFICATE: &str = "-cert-v0";

/// The meaning of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// The host has this key.
    HostKey,
    /// `@cert-authority`: this key signs the certificates of the host.
    Authority,
    /// `@revoked`: this key is not accepted, neither from the host nor as an authority.
    Revoked,
}

/// A key in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Supported(PublicKey),
    /// A key of an unsupported type or length, which is kept to show the types of the known keys.
    Other {
        type_name: String,
        blob: Vec<u8>,
    },
}

/// A line whose key has not been decoded.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) marker: Marker,
    pub(super) names: Names<'a>,
    key_type: &'a [u8],
    key: &'a [u8],
}

impl<'a> Line<'a> {
    /// Parses a line. Returns `None` for a comment and for a blank line.
    pub(super) fn parse(line: &'a [u8]) -> Result<Option<Self>, Invalid> {
        let mut rest = trim_start(line.trim_ascii_end());
        if rest.is_empty() || rest.starts_with(b"#") {
            return Ok(None);
        }
        let marker = match rest.first() {
            Some(b'@') => parse_marker(next_field(&mut rest))?,
            _ => Marker::HostKey,
        };
        let names = next_field(&mut rest);
        if names.starts_with(b"@") {
            return Err(Invalid::Marker);
        }
        let names = Names::parse(names)?;
        let key_type = next_field(&mut rest);
        let key = next_field(&mut rest);
        if key_type.is_empty() || [key_type, key].iter().any(|field| field.starts_with(b"#")) {
            return Err(Invalid::NoKey);
        }
        if key_type.iter().all(u8::is_ascii_digit) {
            return Err(Invalid::Version1);
        }
        if key.is_empty() {
            return Err(Invalid::NoKey);
        }
        Ok(Some(Self { marker, names, key_type, key }))
    }

    /// Decodes the key.
    pub(super) fn key(&self) -> Result<Key, Invalid> {
        let blob = BASE64_STANDARD.decode(self.key).map_err(|_| Invalid::Base64)?;
        let type_name = Reader::new(&blob).text().map_err(|_| Invalid::Key)?;
        if type_name.as_bytes() != self.key_type {
            return Err(Invalid::OtherType);
        }
        if type_name.contains(CERTIFICATE) {
            return Err(Invalid::Certificate);
        }
        match PublicKey::parse(&blob) {
            Ok(key) => Ok(Key::Supported(key)),
            Err(KeyError::Malformed) => Err(Invalid::Key),
            Err(KeyError::Unsupported | KeyError::RsaLength) => {
                let type_name = type_name.to_owned();
                Ok(Key::Other { type_name, blob })
            }
        }
    }
}

fn parse_marker(marker: &[u8]) -> Result<Marker, Invalid> {
    match marker {
        b"@cert-authority" => Ok(Marker::Authority),
        b"@revoked" => Ok(Marker::Revoked),
        _ => Err(Invalid::Marker),
    }
}

/// Removes the next field, which ends at a blank or a tab, and the blanks before it. The field is
/// empty at the end of the line.
fn next_field<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let line = trim_start(rest);
    let end = line.iter().position(|byte| is_blank(*byte)).unwrap_or(line.len());
    let (field, after) = line.split_at(end);
    *rest = after;
    field
}

/// Removes blanks and tabs from the start.
fn trim_start(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !is_blank(*byte)).unwrap_or(line.len());
    &line[start..]
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns `true` if the last line that gives a host key has a hashed name.
pub(super) fn last_is_hashed(content: &[u8]) -> bool {
    content
        .rsplit(|byte| *byte == b'\n')
        .find_map(|line| Line::parse(line).ok().flatten().filter(|line| line.marker == Marker::HostKey))
        .is_some_and(|line| matches!(line.names, Names::Hashed { .. }))
}

impl Key {
    /// Returns the encoded key.
    pub(super) fn blob(&self) -> &[u8] {
        match self {
            Self::Supported(key) => key.blob(),
            Self::Other { blob, .. } => blob,
        }
    }

    /// Returns the type on the wire and in files.
    pub(super) fn type_name(&self) -> &str {
        match self {
            Self::Supported(key) => key.type_name(),
            Self::Other { type_name, .. } => type_name,
        }
    }
}
