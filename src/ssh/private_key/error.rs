//! The reasons that a key file cannot be used.

use crate::ssh::wire::Malformed;
use crate::text::printable;

/// The most rounds of bcrypt, which take about a minute. `ssh-keygen` uses 16 unless `-a` is given.
pub(super) const MAX_ROUNDS: u32 = 10_000;

/// The reason that a key file cannot be used, as in `cannot use key FILE: REASON; ADVICE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// The file contains an encrypted key, and no passphrase was given.
    #[error("encrypted, and neither terminal nor askpass for the passphrase")]
    Encrypted,
    /// The passphrase does not decrypt the key.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The file is an encrypted PEM file. Only the OpenSSH format is supported for encrypted keys.
    #[error("encrypted PEM")]
    EncryptedPem,
    /// The file is encrypted with this cipher, which is not supported.
    #[error("encrypted with {0}")]
    Cipher(String),
    /// The key derivation has this many rounds.
    #[error("{0} rounds of bcrypt, the limit is {MAX_ROUNDS}")]
    Rounds(u32),
    /// The key is on the curve P-521.
    #[error("P-521 needs an agent")]
    P521,
    /// The key is on a FIDO security key.
    #[error("security keys need an agent")]
    SecurityKey,
    /// The key is a DSA key.
    #[error("DSA is obsolete")]
    Dsa,
    /// The RSA key has this many bits, fewer than 2048.
    #[error("RSA with {0} bits is too short, at least 2048 are required")]
    RsaTooShort(usize),
    /// The RSA key has this many bits. `ring` signs with 2048, 3072 and 4096.
    #[error("RSA with {0} bits needs an agent")]
    RsaLength(usize),
    /// The public exponent of the RSA key is not 65537.
    #[error("RSA with a public exponent other than 65537 needs an agent")]
    RsaExponent,
    /// The file contains a key of this type, which is not supported.
    #[error("unsupported key type {0}")]
    Unsupported(String),
    /// The file has an EC private key, but not its public key as an uncompressed point.
    #[error("missing public key")]
    MissingPublicKey,
    /// The file contains a public key.
    #[error("a public key, expected a private key")]
    PublicKey,
    /// The file was written by `PuTTY`.
    #[error("PuTTY format")]
    Putty,
    /// The file has no known format.
    #[error("not a private key")]
    UnknownFormat,
    /// The file is damaged.
    #[error("malformed")]
    Malformed,
}

impl KeyFileError {
    /// Returns the command that makes the key usable; `None` if there is no such command.
    #[must_use]
    pub fn advice(&self, file: &str) -> Option<String> {
        match self {
            Self::EncryptedPem | Self::Cipher(_) | Self::MissingPublicKey => {
                Some(format!("run ssh-keygen -p -f {file}"))
            }
            Self::Rounds(_) | Self::P521 | Self::SecurityKey | Self::RsaLength(_) | Self::RsaExponent => {
                Some(format!("run ssh-add {file}"))
            }
            Self::Putty => Some(format!("run puttygen {file} -O private-openssh-new -o NEW_FILE")),
            Self::Encrypted
            | Self::WrongPassphrase
            | Self::Dsa
            | Self::RsaTooShort(_)
            | Self::Unsupported(_)
            | Self::PublicKey
            | Self::UnknownFormat
            | Self::Malformed => None,
        }
    }

    /// Makes the error for a key type that has no signer.
    pub(super) fn for_type(name: &[u8]) -> Self {
        match name {
            b"ecdsa-sha2-nistp521" => Self::P521,
            b"ssh-dss" => Self::Dsa,
            name if name.starts_with(b"sk-") => Self::SecurityKey,
            name => Self::Unsupported(printable(name)),
        }
    }
}

impl From<Malformed> for KeyFileError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}
