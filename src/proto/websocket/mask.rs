//! Masking (RFC 6455 §5.3): XOR with a key of four bytes.

/// A masking key, rotated so that its first byte applies to the next byte of payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask(pub [u8; 4]);

impl Mask {
    /// Copies `from` to `to`, which has the same length, and masks it.
    pub fn copy(self, from: &[u8], to: &mut [u8]) {
        debug_assert_eq!(from.len(), to.len());
        let [a, b, c, d] = self.0;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        // The compiler turns this loop into vector instructions.
        let (from, from_rest) = from.as_chunks::<8>();
        let (to, to_rest) = to.as_chunks_mut::<8>();
        for (from, to) in from.iter().zip(to) {
            *to = (u64::from_ne_bytes(*from) ^ wide).to_ne_bytes();
        }
        for ((from, to), key) in from_rest.iter().zip(to_rest).zip(self.0.into_iter().cycle()) {
            *to = from ^ key;
        }
    }

    /// Rotates the key past `count` bytes of payload.
    pub(super) fn advance(&mut self, count: usize) {
        self.0.rotate_left(count % 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_each_length_like_the_definition_in_the_rfc() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let plain: Vec<u8> = (0..=255).collect();
        for length in 0..plain.len() {
            let mut masked = vec![0; length];
            Mask(key).copy(&plain[..length], &mut masked);
            let expected: Vec<u8> = (0..length).map(|i| plain[i] ^ key[i % 4]).collect();
            assert_eq!(masked, expected);
            // The rest of a payload continues with the rotated key.
            let (mut rest, mut mask) = (vec![0; plain.len() - length], Mask(key));
            mask.advance(length);
            mask.copy(&plain[length..], &mut rest);
            let expected: Vec<u8> = (length..plain.len()).map(|i| plain[i] ^ key[i % 4]).collect();
            assert_eq!(rest, expected);
        }
    }
}
