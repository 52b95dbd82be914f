//! Test data that need not be stored: a seeded pseudo-random stream, and a checksum computed on
//! the fly.

use std::fmt;
use std::io::{self, Read, Write};

/// Returns a pseudo-random stream of `len` bytes. The same `seed` gives the same bytes.
pub(crate) fn data(seed: u64, len: u64) -> Data {
    // The odd multiplier spreads small seeds, and `+ 1` keeps xorshift from starting at zero.
    Data { state: (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15), left: len, word: [0; 8], unread: 0 }
}

/// Returns the stream [`data`]`(seed, len)` in memory.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(len);
    data(seed, len as u64).read_to_end(&mut all).unwrap();
    all
}

/// The stream that [`data`] returns.
pub(crate) struct Data {
    state: u64,
    left: u64,
    /// The current word. Its last `unread` bytes have not been read yet.
    word: [u8; 8],
    unread: usize,
}

impl Data {
    fn next(&mut self) -> [u8; 8] {
        let mut x = self.state;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.state = x;
        x.to_le_bytes()
    }
}

impl Read for Data {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let (head, rest) = buffer[..length].split_at_mut(length.min(self.unread));
        head.copy_from_slice(&self.word[8 - self.unread..][..head.len()]);
        self.unread -= head.len();
        let mut words = rest.chunks_exact_mut(8);
        for word in &mut words {
            word.copy_from_slice(&self.next());
        }
        let tail = words.into_remainder();
        if !tail.is_empty() {
            self.word = self.next();
            tail.copy_from_slice(&self.word[..tail.len()]);
            self.unread = 8 - tail.len();
        }
        self.left -= length as u64;
        Ok(length)
    }
}

/// The length and checksum of a byte stream, independent of how it was split into writes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    /// Number of bytes.
    pub(crate) len: u64,
    hash: u64,
    word: [u8; 8],
    filled: usize,
}

impl Digest {
    pub(crate) fn new() -> Self {
        Self { len: 0, hash: 0xCBF2_9CE4_8422_2325, word: [0; 8], filled: 0 }
    }

    /// Reads `source` up to EOF or an error.
    pub(crate) fn from_reader(mut source: impl Read) -> Self {
        let mut digest = Self::new();
        // An error such as a reset is not fatal here, because the digest's length shows that data
        // is missing.
        if let Err(error) = copy(&mut source, &mut digest) {
            eprintln!("reading stopped after {} bytes: {error}", digest.len);
        }
        digest
    }

    fn add(&mut self, word: [u8; 8]) {
        self.hash = (self.hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01B3);
        self.hash ^= self.hash >> 29;
    }
}

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.len += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() && self.filled > 0 {
            self.word[self.filled] = rest[0];
            self.filled = (self.filled + 1) % 8;
            rest = &rest[1..];
            if self.filled == 0 {
                self.add(self.word);
                self.word = [0; 8];
            }
        }
        let mut words = rest.chunks_exact(8);
        for word in &mut words {
            self.add(word.try_into().unwrap());
        }
        let tail = words.remainder();
        if !tail.is_empty() {
            self.word[..tail.len()].copy_from_slice(tail);
            self.filled = tail.len();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = u64::from_le_bytes(self.word);
        write!(f, "{} bytes with checksum {:016x}", self.len, self.hash ^ tail.rotate_left(7))
    }
}

/// Copies like `io::copy`, but always through a buffer. `io::copy` may splice, and a test pipe
/// would then accept more data than its nominal size.
pub(crate) fn copy(source: &mut impl Read, sink: &mut impl Write) -> io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut total = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(length) => {
                sink.write_all(&buffer[..length])?;
                total += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns a text as Notepad and PowerShell on Windows write it: in UTF-8 or UTF-16, with a byte
/// order mark.
pub(crate) fn from_windows(text: &str, utf_16: bool) -> Vec<u8> {
    let text = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    if utf_16 { text.encode_utf16().flat_map(u16::to_le_bytes).collect() } else { text.into_bytes() }
}
