//! OpenSSH certificates (OpenSSH's `PROTOCOL.certkeys`).

use super::public_key::{KeyError, PublicKey};
use super::wire::{Malformed, Reader, Write};
use lists::{options, principals};

mod lists;
#[cfg(test)]
mod tests;
mod validity;

pub use lists::CertificateOption;
pub use validity::Problem;

/// The algorithms for certificates: the name in negotiations, and the algorithm of the signatures
/// that the certified key makes. The preferred one is first.
pub const ALGORITHMS: [(&str, &str); 5] = [
    ("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"),
    ("ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256"),
    ("ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384"),
    ("rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-512"),
    ("rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-256"),
];

/// The types of certificates: the type of the certificate, the type of its key, and the number of
/// fields of that key.
const TYPES: [(&str, &str, usize); 4] = [
    ("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", 1),
    ("ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256", 2),
    ("ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384", 2),
    ("ssh-rsa-cert-v01@openssh.com", "ssh-rsa", 2),
];

/// Returns the signature algorithm of a certificate algorithm; `None` if the name is of a plain key
/// or not supported.
#[must_use]
pub fn signature_algorithm(certificate_algorithm: &str) -> Option<&'static str> {
    ALGORITHMS.iter().find(|(name, _)| *name == certificate_algorithm).map(|(_, signature)| *signature)
}

/// The purpose of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Certifies the key of a user.
    User,
    /// Certifies the key of a host.
    Host,
}

/// The reason that a certificate cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The certificate, its key or the key of its authority is malformed or not supported.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The signature of the authority is invalid.
    #[error("the authority's signature is invalid")]
    Signature,
}

impl From<Malformed> for CertificateError {
    fn from(malformed: Malformed) -> Self {
        Self::Key(malformed.into())
    }
}

/// A certificate, whose signature has been verified. Its authority may be anyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    blob: Vec<u8>,
    key: PublicKey,
    type_name: &'static str,
    serial: u64,
    kind: Kind,
    key_id: String,
    principals: Vec<String>,
    valid_after: u64,
    valid_before: u64,
    critical_options: Vec<CertificateOption>,
    extensions: Vec<CertificateOption>,
    authority: PublicKey,
}

impl Certificate {
    /// Decodes a certificate and verifies its signature.
    ///
    /// # Errors
    /// The certificate is malformed or not supported, or its signature is invalid.
    pub fn parse(blob: &[u8]) -> Result<Self, CertificateError> {
        let mut reader = Reader::new(blob);
        let name = reader.text()?;
        let format = TYPES.into_iter().find(|(type_name, ..)| *type_name == name);
        let (type_name, key_type, key_fields) = format.ok_or(KeyError::Unsupported)?;
        let _nonce = reader.string()?;
        let key = plain_key(&mut reader, key_type, key_fields)?;
        let serial = reader.u64()?;
        let kind = match reader.u32()? {
            1 => Kind::User,
            2 => Kind::Host,
            _ => return Err(Malformed.into()),
        };
        let key_id = String::from_utf8_lossy(reader.string()?).into_owned();
        let principals = principals(reader.string()?)?;
        let (valid_after, valid_before) = (reader.u64()?, reader.u64()?);
        let critical_options = options(reader.string()?)?;
        let extensions = options(reader.string()?)?;
        let _reserved = reader.string()?;
        let authority = PublicKey::parse(reader.string()?)?;
        let signed = &blob[..blob.len() - reader.clone().rest().len()];
        let signature = reader.string()?;
        reader.end()?;
        let algorithm = Reader::new(signature).text()?;
        if !authority.verifies(algorithm, signed, signature) {
            return Err(CertificateError::Signature);
        }
        Ok(Self {
            blob: blob.to_vec(),
            key,
            type_name,
            serial,
            kind,
            key_id,
            principals,
            valid_after,
            valid_before,
            critical_options,
            extensions,
            authority,
        })
    }

    /// Returns the encoded certificate.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Returns the type of the certificate in files and in encoded certificates.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Returns the certified key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Returns the number that the authority gave to the certificate.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Returns the purpose of the certificate.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the name that the authority gave to the certificate, for logs.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the names of the users or hosts that the certificate is for.
    #[must_use]
    pub fn principals(&self) -> &[String] {
        &self.principals
    }

    /// Returns the options that a verifier must understand to accept the certificate.
    #[must_use]
    pub fn critical_options(&self) -> &[CertificateOption] {
        &self.critical_options
    }

    /// Returns the options that a verifier may ignore.
    #[must_use]
    pub fn extensions(&self) -> &[CertificateOption] {
        &self.extensions
    }

    /// Returns the key of the authority that signed the certificate.
    #[must_use]
    pub fn authority(&self) -> &PublicKey {
        &self.authority
    }
}

/// Reads the fields of the certified key.
fn plain_key(reader: &mut Reader<'_>, key_type: &str, fields: usize) -> Result<PublicKey, KeyError> {
    let mut blob = Vec::new();
    blob.put_string(key_type);
    for _ in 0..fields {
        blob.put_string(reader.string()?);
    }
    PublicKey::parse(&blob)
}
