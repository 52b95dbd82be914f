//! The handshake: one message in each direction.

use std::fmt;

use snow::params::NoiseParams;
use snow::resolvers::BoxedCryptoResolver;
use snow::{Builder, HandshakeState, TransportState};

use super::crypto::Primitives;
use crate::secret::SharedKey;

/// The protocol: both ends prove that they have the key before either one sends data.
const PROTOCOL: &str = "Noise_NNpsk0_25519_AESGCM_SHA256";

/// The start of the prologue, which a NUL and the session's name follow.
const PROLOGUE: &[u8] = b"connect.mux.v1\0";

/// The length of a handshake message without payload: a public key and a tag.
const MESSAGE: usize = 48;

/// The length of a handshake message after its own length.
const FRAMED: usize = 2 + MESSAGE;

/// The reason why a handshake fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// The peer has no key: it began with a HELLO that is not encrypted.
    NoKey,
    /// The peer has a different key, or its message was changed.
    Key,
    /// The peer sent something else.
    Malformed,
    /// The system provides no random bytes.
    Unavailable,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "the other end uses no key",
            Self::Key => "the other end does not have the same key",
            Self::Malformed => "the other end did not send a Noise handshake",
            Self::Unavailable => "the system provides no random bytes",
        })
    }
}

/// One end of a handshake.
pub struct Handshake {
    state: HandshakeState,
    received: [u8; FRAMED],
    /// The number of bytes in `received`.
    filled: usize,
    wire: Vec<u8>,
}

impl Handshake {
    /// Starts the handshake of a dest, which speaks first.
    ///
    /// # Errors
    /// The system provides no random bytes.
    pub fn initiator(key: &SharedKey, session: &str) -> Result<Self, HandshakeError> {
        let mut handshake = Self::with(Box::new(Primitives), key, session, true)?;
        handshake.send()?;
        Ok(handshake)
    }

    /// Starts the handshake of an origin.
    ///
    /// # Errors
    /// Never, in practice.
    pub fn responder(key: &SharedKey, session: &str) -> Result<Self, HandshakeError> {
        Self::with(Box::new(Primitives), key, session, false)
    }

    fn with(
        primitives: BoxedCryptoResolver,
        key: &SharedKey,
        session: &str,
        is_initiator: bool,
    ) -> Result<Self, HandshakeError> {
        let build = || -> Result<HandshakeState, snow::Error> {
            let protocol: NoiseParams = PROTOCOL.parse()?;
            let prologue = [PROLOGUE, session.as_bytes()].concat();
            let builder =
                Builder::with_resolver(protocol, primitives).psk(0, key.expose())?.prologue(&prologue)?;
            if is_initiator { builder.build_initiator() } else { builder.build_responder() }
        };
        let state = build().map_err(|_| HandshakeError::Unavailable)?;
        Ok(Self { state, received: [0; FRAMED], filled: 0, wire: Vec::new() })
    }

    /// Consumes bytes from the peer up to the end of its message. Returns `true` once the message
    /// is complete.
    ///
    /// # Errors
    /// The handshake has failed.
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<bool, HandshakeError> {
        while self.filled < FRAMED {
            let Some((&byte, rest)) = input.split_first() else { return Ok(false) };
            *input = rest;
            self.received[self.filled] = byte;
            match (self.filled, byte) {
                (0, 1) => return Err(HandshakeError::NoKey),
                (0, 1..) => return Err(HandshakeError::Malformed),
                (1, length) if usize::from(length) != MESSAGE => return Err(HandshakeError::Malformed),
                _ => self.filled += 1,
            }
        }
        if !self.state.is_handshake_finished() {
            self.state.read_message(&self.received[2..], &mut []).map_err(|_| HandshakeError::Key)?;
            if !self.state.is_handshake_finished() {
                self.send()?;
            }
        }
        Ok(true)
    }

    /// Returns the number of bytes until the end of the peer's message.
    #[must_use]
    pub fn missing(&self) -> usize {
        FRAMED - self.filled
    }

    fn send(&mut self) -> Result<(), HandshakeError> {
        let mut message = [0; FRAMED];
        let length = self.state.write_message(&[], &mut message[2..]);
        if length != Ok(MESSAGE) {
            return Err(HandshakeError::Unavailable);
        }
        message[..2].copy_from_slice(&[0, 48]);
        self.wire.extend_from_slice(&message);
        Ok(())
    }

    /// Returns the bytes for the peer.
    #[must_use]
    pub fn pending_wire(&self) -> &[u8] {
        &self.wire
    }

    /// Removes the first `count` pending bytes, which have been written.
    pub fn wire_written(&mut self, count: usize) {
        self.wire.drain(..count.min(self.wire.len()));
    }

    /// Returns the established state and the bytes that are still pending.
    pub(super) fn into_transport(self) -> Option<(TransportState, Vec<u8>)> {
        Some((self.state.into_transport_mode().ok()?, self.wire))
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handshake({} bytes received)", self.filled)
    }
}

#[cfg(test)]
impl Handshake {
    /// Starts a handshake with other primitives.
    pub(super) fn for_test(
        primitives: BoxedCryptoResolver,
        key: &SharedKey,
        session: &str,
        is_initiator: bool,
    ) -> Self {
        let handshake = Self::with(primitives, key, session, is_initiator);
        let mut handshake = handshake.unwrap_or_else(|error| unreachable!("{error}"));
        if is_initiator {
            assert_eq!(handshake.send(), Ok(()));
        }
        handshake
    }
}
