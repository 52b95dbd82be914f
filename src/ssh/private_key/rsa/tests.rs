#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "that is how a test fails")]

use super::*;

#[test]
fn the_inverse_of_the_exponent_is_exact() {
    // Odd numbers stand for primes here; only divisibility by the exponent matters.
    for prime in
        [0x000f_1e2d_3c4b_5a69_u64, 0xffff_ffff_ffff_ffc5, 0x8000_0000_0000_001d, 65539, 65537 * 4 + 3]
    {
        let inverse = inverse_exponent(&prime.to_be_bytes());
        let inverse = u64::from_be_bytes(inverse.as_slice().try_into().unwrap());
        assert!(inverse < prime);
        assert_eq!(u128::from(inverse) * 65537 % u128::from(prime - 1), 1, "{prime}");
    }
}

#[test]
fn any_bytes_have_some_result() {
    for prime in [&[][..], &[0], &[1], &[1, 0, 2], &[0xff; 600]] {
        assert_eq!(inverse_exponent(prime).len(), prime.len());
    }
}

#[test]
fn only_sizes_that_ring_signs_with_are_accepted() {
    let check = |bits: usize| {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] = 0xff >> (modulus.len() * 8 - bits);
        check_public(&modulus, &EXPONENT_BYTES)
    };
    for bits in [2048, 3071, 3072, 4095, 4096] {
        assert_eq!(check(bits), Ok(()), "{bits}");
    }
    for bits in [1, 768, 1024, 2047] {
        assert_eq!(check(bits), Err(KeyFileError::RsaTooShort(bits)));
    }
    for bits in [2049, 2560, 4097, 8192] {
        assert_eq!(check(bits), Err(KeyFileError::RsaLength(bits)));
    }
    assert_eq!(check_public(&[0xff; 256], &[35]), Err(KeyFileError::RsaExponent));
    assert_eq!(check_public(&[], &EXPONENT_BYTES), Err(KeyFileError::Malformed));
}
