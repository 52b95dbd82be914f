//! Files with a public key or a certificate, such as `id_ed25519.pub` and `id_ed25519-cert.pub`.

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::ssh::public_key::{KeyError, PublicKey};
use crate::ssh::wire::Reader;

/// The end of the type of every certificate.
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// A public key or a certificate of any type, as in a `.pub` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeyLine {
    type_name: String,
    blob: Vec<u8>,
    comment: String,
}

impl PublicKeyLine {
    /// Reads a line of the form `TYPE BASE64 [COMMENT]`. Returns `None` if the line has another
    /// form or the type inside the key differs.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let (type_name, rest) = split_word(line.trim_ascii())?;
        let (base64, comment) = split_word(rest).unwrap_or((rest, b""));
        let blob = BASE64_STANDARD.decode(base64).ok()?;
        let type_name = str::from_utf8(type_name).ok()?;
        if Reader::new(&blob).text() != Ok(type_name) {
            return None;
        }
        let comment = String::from_utf8_lossy(comment).into_owned();
        Some(Self { type_name: type_name.to_owned(), blob, comment })
    }

    /// Reads the first line of a file that is neither empty nor a comment.
    #[must_use]
    pub fn parse_file(file: &[u8]) -> Option<Self> {
        let mut lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        Self::parse(lines.find(|line| !line.is_empty() && !line.starts_with(b"#"))?)
    }

    /// Returns the type, such as `ssh-ed25519` or `ssh-ed25519-cert-v01@openssh.com`.
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Returns the encoded key or certificate.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Returns the comment; empty if there is none.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Returns `true` for a certificate.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        self.type_name.ends_with(CERTIFICATE)
    }

    /// Decodes the public key.
    ///
    /// # Errors
    /// The key is malformed or its type is not supported, as for a certificate.
    pub fn key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::parse(&self.blob)
    }
}

/// Splits after the first word, and removes the blanks that follow.
fn split_word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    Some((&line[..end], line[end..].trim_ascii_start()))
}
