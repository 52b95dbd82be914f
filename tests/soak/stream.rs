//! What is sent: streams that nobody has to store, and of which any part that is lost, doubled or another's is noticed.

use std::sync::OnceLock;

/// No power of two, so that a piece that is lost shows whatever its size.
const PERIOD: usize = 1_000_003;
/// The longest piece that is looked at in one go.
pub(crate) const PIECE: usize = 64 * 1024;

/// `len` bytes of a pattern, from a place in it that `seed` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) seed: u64,
    pub(crate) len: u64,
}

impl Stream {
    /// What comes after the first `position` bytes, a piece of it; nothing at the end.
    pub(crate) fn at(&self, position: u64) -> &'static [u8] {
        let start = (self.seed.wrapping_mul(7919) % PERIOD as u64 + position) % PERIOD as u64;
        let start = usize::try_from(start).expect("less than the period");
        let left = usize::try_from(self.len - position).map_or(PIECE, |left| left.min(PIECE));
        &pattern()[start..start + left]
    }

    /// Whether these bytes are what comes after the first `position`, and no more than there is.
    pub(crate) fn has(&self, mut position: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if position > self.len {
                return false;
            }
            let piece = self.at(position);
            let count = piece.len().min(bytes.len());
            if count == 0 || piece[..count] != bytes[..count] {
                return false;
            }
            position += count as u64;
            bytes = &bytes[count..];
        }
        true
    }
}

/// Numbers that look like chance, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Splitmix64.
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// Less than `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit.max(1)
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// One period, and a piece more, so that every piece is in one place.
fn pattern() -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let mut dice = Dice::new(1);
        let mut all: Vec<u8> = (0..PERIOD).map(|_| dice.roll().to_le_bytes()[0]).collect();
        all.extend_from_within(..PIECE);
        all
    })
}
