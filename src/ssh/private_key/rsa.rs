//! The numbers of RSA keys.
//!
//! `ring` signs with the Chinese remainder theorem and needs `dP = d mod (p - 1)` and `dQ`, which
//! OpenSSH's format lacks. `dP` is also the inverse of the public exponent `e` modulo `p - 1`. As
//! `e` is 65537, one pass over the bytes of `p` with numbers of 32 bits computes `dP`: `e * dP` is
//! `1 + k * (p - 1)` for the `k` below `e` that makes it a multiple of `e`. A big-integer crate
//! would be larger than this whole module. Every divisor is constant, so an optimized build has no
//! division instruction, and the time does not depend on the key. `ring` checks each signature with
//! the public key before it returns it, so a damaged key reveals nothing.

use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::RsaKeyPair;
use zeroize::Zeroizing;

use super::error::KeyFileError;

#[cfg(test)]
mod tests;

/// The public exponent that all common programs use.
const EXPONENT: u32 = 65537;

/// The encoded exponent.
const EXPONENT_BYTES: [u8; 3] = [1, 0, 1];

/// The shortest and the longest modulus that `ring` signs with, in bits.
const MIN_BITS: usize = 2048;
const MAX_BITS: usize = 4096;

/// The numbers in a private key file, as magnitudes without leading zeros.
pub(super) struct Numbers<'a> {
    pub(super) modulus: &'a [u8],
    pub(super) exponent: &'a [u8],
    pub(super) private_exponent: &'a [u8],
    pub(super) p: &'a [u8],
    pub(super) q: &'a [u8],
    /// The inverse of `q` modulo `p`.
    pub(super) coefficient: &'a [u8],
}

impl Numbers<'_> {
    pub(super) fn key_pair(&self) -> Result<RsaKeyPair, KeyFileError> {
        check_public(self.modulus, self.exponent)?;
        let (d_p, d_q) = (inverse_exponent(self.p), inverse_exponent(self.q));
        RsaKeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents { n: self.modulus, e: self.exponent },
            d: self.private_exponent,
            p: self.p,
            q: self.q,
            dP: &d_p,
            dQ: &d_q,
            qInv: self.coefficient,
        })
        .map_err(|_| KeyFileError::Malformed)
    }
}

/// Checks that `ring` can sign with keys of this size. The lengths of the two primes must be
/// multiples of 512 bits.
pub(super) fn check_public(modulus: &[u8], exponent: &[u8]) -> Result<(), KeyFileError> {
    let first = modulus.first().ok_or(KeyFileError::Malformed)?;
    let bits = 8 * modulus.len() - first.leading_zeros() as usize;
    if bits < MIN_BITS {
        return Err(KeyFileError::RsaTooShort(bits));
    }
    if bits > MAX_BITS || !bits.div_ceil(2).is_multiple_of(512) {
        return Err(KeyFileError::RsaLength(bits));
    }
    if exponent == EXPONENT_BYTES { Ok(()) } else { Err(KeyFileError::RsaExponent) }
}

/// Returns the inverse of [`EXPONENT`] modulo `prime - 1`, with the length of `prime`. The result
/// has no meaning if there is no inverse, or if the last byte of `prime` is even.
fn inverse_exponent(prime: &[u8]) -> Zeroizing<Vec<u8>> {
    let order =
        |index: usize| u32::from(if index + 1 == prime.len() { prime[index] & 0xfe } else { prime[index] });
    let remainder = (0..prime.len()).fold(0, |remainder, index| (remainder << 8 | order(index)) % EXPONENT);
    // EXPONENT is prime, so `remainder^(EXPONENT - 2)` is the inverse of `remainder`.
    let factor = EXPONENT - power(remainder, EXPONENT - 2);

    // 1 + factor * (prime - 1), with three more bytes than `prime`.
    let mut product = Zeroizing::new(vec![0; 3 + prime.len()]);
    let mut carry = 1;
    for index in (0..prime.len()).rev() {
        carry += factor * order(index);
        product[3 + index] = low_byte(carry);
        carry >>= 8;
    }
    product[..3].copy_from_slice(&carry.to_be_bytes()[1..]);

    let mut quotient = Zeroizing::new(Vec::with_capacity(product.len()));
    let mut remainder = 0;
    for byte in product.iter() {
        remainder = remainder << 8 | u32::from(*byte);
        quotient.push(low_byte(remainder / EXPONENT));
        remainder %= EXPONENT;
    }
    quotient.drain(..3);
    quotient
}

fn low_byte(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

/// Returns `base^exponent` modulo [`EXPONENT`]. The exponent is not secret.
fn power(base: u32, exponent: u32) -> u32 {
    let times = |a: u32, b: u32| {
        let product = u64::from(a) * u64::from(b) % u64::from(EXPONENT);
        u32::try_from(product).unwrap_or_default()
    };
    (0..u32::BITS).rev().fold(1, |result, bit| {
        let square = times(result, result);
        if exponent >> bit & 1 == 1 { times(square, base) } else { square }
    })
}
