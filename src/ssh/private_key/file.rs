//! The format of a key file.

use super::error::KeyFileError;
use super::key::PrivateKey;
use super::openssh::{self, KeyFile};
use super::pem::Sections;
use super::pkcs;
use super::public_line::PublicKeyLine;
use crate::ssh::public_key::PublicKey;

impl KeyFile {
    /// Reads a file in OpenSSH's format, PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// See [`KeyFileError`]; never [`KeyFileError::Encrypted`] or
    /// [`KeyFileError::WrongPassphrase`].
    pub fn parse(file: &[u8]) -> Result<Self, KeyFileError> {
        if file.starts_with(b"PuTTY-User-Key-File-") {
            return Err(KeyFileError::Putty);
        }
        let mut sections = Sections::new(file);
        let mut has_public_key = false;
        while let Some(section) = sections.next()? {
            let read = match section.label {
                b"OPENSSH PRIVATE KEY" => return openssh::read(&section.bytes),
                b"ENCRYPTED PRIVATE KEY" => return Err(KeyFileError::EncryptedPem),
                b"DSA PRIVATE KEY" => return Err(KeyFileError::Dsa),
                b"PRIVATE KEY" => pkcs::read_pkcs8,
                b"RSA PRIVATE KEY" => pkcs::read_pkcs1,
                b"EC PRIVATE KEY" => pkcs::read_sec1,
                label => {
                    has_public_key |= label.ends_with(b"PUBLIC KEY");
                    continue;
                }
            };
            if section.is_encrypted {
                return Err(KeyFileError::EncryptedPem);
            }
            return read(&section.bytes).map(Self::Plain);
        }
        let is_public = has_public_key
            || file.starts_with(b"---- BEGIN SSH2 PUBLIC KEY ----")
            || PublicKeyLine::parse_file(file).is_some();
        Err(if is_public { KeyFileError::PublicKey } else { KeyFileError::UnknownFormat })
    }

    /// Returns the public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        match self {
            Self::Plain(key) => key.public_key(),
            Self::Encrypted(key) => key.public_key(),
        }
    }

    /// Returns the private key, decrypted if necessary.
    ///
    /// # Errors
    /// [`KeyFileError::Encrypted`] if the key is encrypted and `passphrase` is `None`; otherwise
    /// [`KeyFileError::WrongPassphrase`] for a wrong one.
    pub fn into_private_key(self, passphrase: Option<&[u8]>) -> Result<PrivateKey, KeyFileError> {
        match self {
            Self::Plain(key) => Ok(key),
            Self::Encrypted(key) => key.decrypt(passphrase.ok_or(KeyFileError::Encrypted)?),
        }
    }
}
