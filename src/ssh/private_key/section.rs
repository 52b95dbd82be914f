//! The section of an OpenSSH key file that contains the private key.

use super::ecdsa::Curve;
use super::error::KeyFileError;
use super::key::PrivateKey;
use super::rsa::Numbers;
use super::signer::Signer;
use crate::ssh::public_key::PublicKey;
use crate::ssh::wire::Reader;

/// The length of the longest block.
const MAX_BLOCK: usize = 16;

/// Checks the length of a section, which is padded to blocks of the cipher.
pub(super) fn check_length(section: &[u8], block: usize) -> Result<(), KeyFileError> {
    if section.is_empty() || !section.len().is_multiple_of(block) {
        return Err(KeyFileError::Malformed);
    }
    Ok(())
}

/// Returns `true` if the two check integers are equal. They differ after decryption with a wrong
/// passphrase.
pub(super) fn has_equal_checks(section: &[u8]) -> bool {
    let mut reader = Reader::new(section);
    reader.u32().is_ok_and(|first| reader.u32() == Ok(first))
}

/// Reads the private key, which must belong to `public`.
pub(super) fn read(section: &[u8], public: &PublicKey) -> Result<PrivateKey, KeyFileError> {
    let mut reader = Reader::new(section);
    if reader.u32()? != reader.u32()? {
        return Err(KeyFileError::Malformed);
    }
    let signer = read_key(&mut reader)?;
    let comment = reader.string()?;
    // The padding is 1, 2, 3 and so on. It is shorter than a block.
    let padding = reader.rest();
    if padding.len() >= MAX_BLOCK || !padding.iter().zip(1..).all(|(byte, expected)| *byte == expected) {
        return Err(KeyFileError::Malformed);
    }
    let key = PrivateKey::new(signer, comment)?;
    if key.public_key() == public { Ok(key) } else { Err(KeyFileError::Malformed) }
}

fn read_key(reader: &mut Reader<'_>) -> Result<Signer, KeyFileError> {
    match reader.string()? {
        b"ssh-ed25519" => {
            let (public, private) = (reader.string()?, reader.string()?);
            // The private key repeats the public key after the seed.
            let (seed, copy) = private.split_at_checked(32).ok_or(KeyFileError::Malformed)?;
            if copy != public {
                return Err(KeyFileError::Malformed);
            }
            Signer::ed25519(seed, Some(public))
        }
        b"ssh-rsa" => {
            let mut integers = [&[][..]; 6];
            for integer in &mut integers {
                *integer = reader.positive_integer()?;
            }
            let [modulus, exponent, private_exponent, coefficient, p, q] = integers;
            Signer::rsa(&Numbers { modulus, exponent, private_exponent, p, q, coefficient })
        }
        name => {
            let curve = Curve::ALL.into_iter().find(|curve| curve.key_type().as_bytes() == name);
            let curve = curve.ok_or_else(|| KeyFileError::for_type(name))?;
            let (curve_name, point) = (reader.text()?, reader.string()?);
            if curve_name != curve.name() {
                return Err(KeyFileError::Malformed);
            }
            Signer::ecdsa(curve, reader.positive_integer()?, point)
        }
    }
}
