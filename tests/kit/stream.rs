//! Random-access test data that reveals lost, repeated or foreign bytes.

use std::sync::OnceLock;

/// The period of the pattern: a prime, so that the loss of whole blocks shifts the pattern.
const PERIOD: usize = 1_000_003;

/// The longest slice that [`Stream::at`] returns.
pub(crate) const MAX_SLICE: usize = 64 * 1024;

/// `len` bytes of a periodic pattern, starting at an offset that `seed` determines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) seed: u64,
    pub(crate) len: u64,
}

impl Stream {
    /// Returns up to [`MAX_SLICE`] bytes starting at `position`, or an empty slice at the end of
    /// the stream.
    pub(crate) fn at(&self, position: u64) -> &'static [u8] {
        let start = (self.seed.wrapping_mul(7919) % PERIOD as u64 + position) % PERIOD as u64;
        let start = usize::try_from(start).expect("less than the period");
        let length = usize::try_from(self.len - position).map_or(MAX_SLICE, |left| left.min(MAX_SLICE));
        &pattern()[start..start + length]
    }

    /// Returns `true` if the stream contains exactly `bytes` at `position`.
    pub(crate) fn has(&self, mut position: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if position > self.len {
                return false;
            }
            let expected = self.at(position);
            let count = expected.len().min(bytes.len());
            if count == 0 || expected[..count] != bytes[..count] {
                return false;
            }
            position += count as u64;
            bytes = &bytes[count..];
        }
        true
    }
}

/// A pseudo-random number generator (splitmix64). The same seed gives the same sequence.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number in the sequence.
    pub(crate) fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// Returns a number less than `limit`, or 0 if `limit` is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.any() % limit.max(1)
    }

    /// Returns `true` with a probability of `probability` percent.
    pub(crate) fn percent(&mut self, probability: u64) -> bool {
        self.below(100) < probability
    }
}

/// Returns one period of the pattern followed by its first [`MAX_SLICE`] bytes, so that every slice
/// is contiguous.
fn pattern() -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let mut random = Random::new(1);
        let mut all: Vec<u8> = (0..PERIOD).map(|_| random.any().to_le_bytes()[0]).collect();
        all.extend_from_within(..MAX_SLICE);
        all
    })
}
