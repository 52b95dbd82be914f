//! The masking keys of a client.

use std::io;

use crate::proto::Random;
use crate::proto::websocket::Mask;

/// Draws masking keys: each frame has its own, from the system's random generator (RFC 6455 §5.3).
#[derive(Clone, Debug)]
pub(super) struct Keys {
    random: Random,
    /// Random bytes for four keys.
    bytes: [u8; 16],
    /// The number of used keys in `bytes`.
    used: usize,
}

impl Keys {
    pub(super) fn new(random: Random) -> Self {
        Self { random, bytes: [0; 16], used: 4 }
    }

    pub(super) fn next(&mut self) -> io::Result<Mask> {
        if self.used == 4 {
            let none = || io::Error::other("the system provides no random bytes for WebSocket masks");
            self.bytes = (self.random)().ok_or_else(none)?;
            self.used = 0;
        }
        let (keys, _) = self.bytes.as_chunks::<4>();
        let key = keys[self.used];
        self.used += 1;
        Ok(Mask(key))
    }
}
