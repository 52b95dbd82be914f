//! Key files of other programs: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017, appendix A.1.2) and SEC1 (RFC
//! 5915).

use super::der::{
    BIT_STRING, CONTEXT_0, CONTEXT_1, CONTEXT_1_PRIMITIVE, Der, NULL, OBJECT_IDENTIFIER, OCTET_STRING,
    whole_bytes,
};
use super::ecdsa::Curve;
use super::error::KeyFileError;
use super::key::PrivateKey;
use super::rsa::Numbers;
use super::signer::Signer;

// Object identifiers, encoded.
const ED25519: &[u8] = &[0x2b, 101, 112];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
pub(super) const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
pub(super) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
pub(super) const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
const P521: &[u8] = &[0x2b, 0x81, 4, 0, 35];

/// Reads PKCS#8: a key of any type.
pub(super) fn read_pkcs8(der: &[u8]) -> Result<PrivateKey, KeyFileError> {
    let mut outer = Der::new(der);
    let mut key = outer.sequence()?;
    outer.end()?;
    // Version 1 is 0; version 2, which may have a public key, is 1.
    if !matches!(key.integer()?, [] | [1]) {
        return Err(KeyFileError::Malformed);
    }
    let mut algorithm = key.sequence()?;
    let private = key.element(OCTET_STRING)?;
    key.optional(CONTEXT_0)?;
    let public = key.optional(CONTEXT_1_PRIMITIVE)?.map(whole_bytes).transpose()?;
    key.end()?;
    let signer = match algorithm.element(OBJECT_IDENTIFIER)? {
        ED25519 => {
            let mut private = Der::new(private);
            let seed = private.element(OCTET_STRING)?;
            private.end()?;
            Signer::ed25519(seed, public)?
        }
        RSA => {
            algorithm.optional(NULL)?;
            rsa(private)?
        }
        EC => ec(private, Some(curve(algorithm.optional(OBJECT_IDENTIFIER)?)?))?,
        DSA => return Err(KeyFileError::Dsa),
        _ => return Err(KeyFileError::Unsupported("in PKCS#8".to_owned())),
    };
    algorithm.end()?;
    PrivateKey::new(signer, b"")
}

/// Reads PKCS#1: an RSA key.
pub(super) fn read_pkcs1(der: &[u8]) -> Result<PrivateKey, KeyFileError> {
    PrivateKey::new(rsa(der)?, b"")
}

/// Reads SEC1: an EC key that names its curve.
pub(super) fn read_sec1(der: &[u8]) -> Result<PrivateKey, KeyFileError> {
    PrivateKey::new(ec(der, None)?, b"")
}

fn rsa(der: &[u8]) -> Result<Signer, KeyFileError> {
    let mut outer = Der::new(der);
    let mut key = outer.sequence()?;
    outer.end()?;
    if !key.integer()?.is_empty() {
        return Err(KeyFileError::Malformed);
    }
    let mut integers = [&[][..]; 8];
    for integer in &mut integers {
        *integer = key.integer()?;
    }
    key.end()?;
    let [modulus, exponent, private_exponent, p, q, _, _, coefficient] = integers;
    Signer::rsa(&Numbers { modulus, exponent, private_exponent, p, q, coefficient })
}

/// Reads an EC key. PKCS#8 names the curve outside.
fn ec(der: &[u8], outer_curve: Option<Curve>) -> Result<Signer, KeyFileError> {
    let mut outer = Der::new(der);
    let mut key = outer.sequence()?;
    outer.end()?;
    if key.integer()? != [1] {
        return Err(KeyFileError::Malformed);
    }
    let scalar = key.element(OCTET_STRING)?;
    let parameters = key.optional(CONTEXT_0)?;
    let public = key.optional(CONTEXT_1)?;
    key.end()?;
    let inner_curve =
        parameters.map(|parameters| curve(Der::new(parameters).optional(OBJECT_IDENTIFIER)?)).transpose()?;
    let curve = outer_curve.or(inner_curve).ok_or(KeyFileError::Malformed)?;
    if inner_curve.is_some_and(|inner| inner != curve) {
        return Err(KeyFileError::Malformed);
    }
    let mut public = Der::new(public.ok_or(KeyFileError::MissingPublicKey)?);
    let point = whole_bytes(public.element(BIT_STRING)?)?;
    public.end()?;
    Signer::ecdsa(curve, scalar, point)
}

/// Returns the curve with this object identifier; `None` means a curve given by its numbers.
fn curve(identifier: Option<&[u8]>) -> Result<Curve, KeyFileError> {
    match identifier {
        Some(P256) => Ok(Curve::P256),
        Some(P384) => Ok(Curve::P384),
        Some(P521) => Err(KeyFileError::P521),
        _ => Err(KeyFileError::Unsupported("EC on an unnamed or unknown curve".to_owned())),
    }
}
