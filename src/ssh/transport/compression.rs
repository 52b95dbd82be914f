//! `zlib@openssh.com` (draft-miller-secsh-compression-delayed): packets are compressed from the end
//! of authentication on. Each direction starts with an empty history after each NEWKEYS (RFC 4253
//! §6.2).

use std::fmt;

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use crate::ssh::cipher::MAX_PACKET;
use crate::ssh::error::Error;

#[cfg(test)]
mod tests;

/// The compression level of zlib's and OpenSSH's default.
const LEVEL: i32 = 6;

/// The base-2 logarithm of the window size, with a zlib header.
const WINDOW_BITS: i32 = 15;

/// The number of bytes by which an output buffer grows.
const CHUNK: usize = 4 * 1024;

/// The compression of both directions.
#[derive(Debug, Default)]
pub(super) struct Compression {
    /// Authentication is complete.
    is_started: bool,
    send: Option<Compressor>,
    receive: Option<Expander>,
    /// The current keys are for a connection with compression.
    sends: bool,
    receives: bool,
}

impl Compression {
    /// Starts compression after authentication, in the directions that negotiated it. If `receives`
    /// is not set, received packets are compressed only from the peer's next NEWKEYS on.
    pub(super) fn start(&mut self, receives: bool) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        self.switch_sending(self.sends);
        if receives {
            self.switch_receiving(self.receives);
        }
    }

    /// Starts over after this side's NEWKEYS.
    pub(super) fn switch_sending(&mut self, compresses: bool) {
        self.sends = compresses;
        self.send = (compresses && self.is_started).then(Default::default);
    }

    /// Starts over after the peer's NEWKEYS.
    pub(super) fn switch_receiving(&mut self, compresses: bool) {
        self.receives = compresses;
        self.receive = (compresses && self.is_started).then(Default::default);
    }

    /// Compresses a payload. Returns `None` if it is sent as it is.
    pub(super) fn compress(&mut self, parts: &[&[u8]]) -> Result<Option<&[u8]>, Error> {
        self.send.as_mut().map(|compressor| compressor.compress(parts)).transpose()
    }

    /// Expands a payload. Returns `None` if the payload is not compressed.
    pub(super) fn expand(&mut self, payload: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.receive.as_mut().map(|expander| expander.expand(payload)).transpose()
    }
}

struct Compressor {
    state: Box<CompressorOxide>,
    output: Vec<u8>,
}

impl Default for Compressor {
    fn default() -> Self {
        let flags = create_comp_flags_from_zip_params(LEVEL, WINDOW_BITS, 0);
        Self { state: Box::new(CompressorOxide::new(flags)), output: Vec::new() }
    }
}

impl Compressor {
    fn compress(&mut self, parts: &[&[u8]]) -> Result<&[u8], Error> {
        let mut written = 0;
        let last = parts.len().saturating_sub(1);
        for (index, mut part) in parts.iter().copied().enumerate() {
            let flush = if index == last { MZFlush::Sync } else { MZFlush::None };
            loop {
                self.output.resize(written + part.len() + CHUNK, 0);
                let result = deflate(&mut self.state, part, &mut self.output[written..], flush);
                // Without a flush, an empty part makes no progress.
                if !matches!(result.status, Ok(MZStatus::Ok) | Err(MZError::Buf)) {
                    return Err(Error::Encryption);
                }
                part = &part[result.bytes_consumed..];
                written += result.bytes_written;
                // Room that is left means that everything is written.
                if part.is_empty() && written < self.output.len() {
                    break;
                }
            }
        }
        self.output.truncate(written);
        Ok(&self.output)
    }
}

struct Expander {
    state: Box<InflateState>,
}

impl Default for Expander {
    fn default() -> Self {
        Self { state: InflateState::new_boxed(DataFormat::Zlib) }
    }
}

impl Expander {
    fn expand(&mut self, mut payload: &[u8]) -> Result<Vec<u8>, Error> {
        let (mut output, mut written) = (Vec::new(), 0);
        loop {
            output.resize(written + payload.len() + CHUNK, 0);
            let result = inflate(&mut self.state, payload, &mut output[written..], MZFlush::None);
            payload = &payload[result.bytes_consumed..];
            written += result.bytes_written;
            if written > MAX_PACKET {
                return Err(Error::Violation("a compressed packet contains more than 256 KiB"));
            }
            match result.status {
                Ok(MZStatus::Ok) => {}
                // All of the payload is expanded.
                Err(MZError::Buf) if payload.is_empty() && written > 0 => break,
                _ => return Err(Error::Violation("the compressed data of a packet is invalid")),
            }
        }
        output.truncate(written);
        Ok(output)
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl fmt::Debug for Expander {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expander").finish_non_exhaustive()
    }
}
