//! A WebSocket connection after its handshake, as a [`Codec`].

use std::io;

use crate::proto::Random;
use crate::proto::websocket::{
    Close, CloseCode, Decoder, HalfClose, Header, Item, Malformed, Mask, Opcode, Sender,
};
use crate::stream::{Chunk, Codec};
use crate::text::printable;
use keys::Keys;

pub use ending::{Closed, ClosingCode};
pub use revocation::Revocation;

mod ending;
mod keys;
mod revocation;

/// Maximum length of the payload of a frame that we send.
const MAX_PAYLOAD: usize = 64 * 1024;

/// The side of a WebSocket connection.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// Masks its frames with keys from this source.
    Client(Random),
    /// Does not mask its frames.
    Server,
}

/// A WebSocket connection. All messages together are one stream of bytes.
///
/// - Holds at most 64 KiB in each direction, whatever the length of frames and messages.
/// - Decoding stops after each Ping, so that its Pong can be written first. If the peer accepts no
///   bytes, decoding continues, and the latest Ping gets a Pong later.
#[derive(Debug)]
pub struct WebSocket {
    half_close: HalfClose,
    /// The masking keys of a client.
    keys: Option<Keys>,
    decoder: Decoder,
    plain: Chunk,
    wire: Chunk,
    /// The payload of the latest Ping, whose Pong has to wait for `wire`.
    owed_pong: Option<Vec<u8>>,
    /// The peer's Close.
    received_close: Option<Close>,
    /// The code of our Close.
    sent_close: Option<CloseCode>,
    /// Ends the connection if its client may no longer use it.
    revocation: Option<Revocation>,
    /// The code of the Close at the end; `None` for a normal one.
    closing_code: Option<ClosingCode>,
}

impl WebSocket {
    /// Starts after the handshake.
    #[must_use]
    pub fn new(role: Role, half_close: HalfClose) -> Self {
        let (keys, sender) = match role {
            Role::Client(random) => (Some(Keys::new(random)), Sender::Server),
            Role::Server => (None, Sender::Client),
        };
        Self {
            half_close,
            keys,
            decoder: Decoder::new(sender),
            plain: Chunk::default(),
            wire: Chunk::default(),
            owed_pong: None,
            received_close: None,
            sent_close: None,
            revocation: None,
            closing_code: None,
        }
    }

    /// Lets this handle end the connection.
    #[must_use]
    pub fn with_revocation(self, revocation: Revocation) -> Self {
        Self { revocation: Some(revocation), ..self }
    }

    /// Ends the connection with the code of this handle.
    #[must_use]
    pub fn closing_with(self, code: ClosingCode) -> Self {
        Self { closing_code: Some(code), ..self }
    }

    /// Fails with a Close if the connection was ended.
    fn expect_permission(&mut self) -> io::Result<()> {
        let Some((code, error)) = self.revocation.as_ref().and_then(Revocation::error) else { return Ok(()) };
        self.send_close(code, &error.to_string())?;
        Err(error)
    }

    fn append(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        let mask = self.keys.as_mut().map(Keys::next).transpose()?;
        let header = Header::new(opcode, payload.len(), mask);
        let header = header.bytes();
        let frame = self.wire.extend(header.len() + payload.len())?;
        let (start, body) = frame.split_at_mut(header.len());
        start.copy_from_slice(header);
        copy(payload, body, mask);
        Ok(())
    }

    /// Adds a Close frame, unless one was sent.
    fn send_close(&mut self, code: CloseCode, reason: &str) -> io::Result<()> {
        if self.sent_close.is_some() {
            return Ok(());
        }
        self.sent_close = Some(code);
        self.owed_pong = None;
        self.append(Opcode::Close, &[&code.0.to_be_bytes(), reason.as_bytes()].concat())
    }

    /// Adds the Pong for the latest Ping, or keeps it until earlier bytes have been written.
    fn send_pong(&mut self, payload: Vec<u8>) -> io::Result<()> {
        if self.sent_close.is_some() {
            return Ok(());
        }
        if self.wire.is_empty() {
            return self.append(Opcode::Pong, &payload);
        }
        self.owed_pong = Some(payload);
        Ok(())
    }

    fn malformed(&mut self, cause: Malformed) -> io::Error {
        // The Close is a courtesy: without memory or random bytes for it, report only the frame.
        let _ = self.send_close(CloseCode::PROTOCOL_ERROR, "");
        io::Error::new(io::ErrorKind::InvalidData, format!("malformed WebSocket frame: {cause}"))
    }

    fn receive_close(&mut self, payload: &[u8]) -> io::Result<()> {
        let Some(close) = Close::parse(payload) else { return Err(self.malformed(Malformed::Close)) };
        let (is_normal, answer) = (close.is_normal(), close.answer());
        let error = (!is_normal).then(|| closed(&close));
        self.received_close = Some(close);
        if self.half_close != HalfClose::Both || !is_normal {
            self.send_close(answer, "")?;
        }
        error.map_or(Ok(()), Err)
    }

    /// Returns `true` if the peer's stream has ended.
    fn has_ended(&self) -> bool {
        self.received_close.as_ref().is_some_and(Close::is_normal)
    }
}

impl Codec for WebSocket {
    fn read_wire(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while self.received_close.is_none() {
            match self.decoder.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(Item::Payload(payload, mask))) => {
                    let plain = self.plain.extend(payload.len())?;
                    copy(payload, plain, mask);
                }
                Ok(Some(Item::Control(Opcode::Ping, payload))) => {
                    self.send_pong(payload)?;
                    return Ok(bytes.len() - rest.len());
                }
                Ok(Some(Item::Control(Opcode::Close, payload))) => self.receive_close(&payload)?,
                // An unexpected Pong is only a sign of life (RFC 6455 §5.5.3).
                Ok(Some(Item::Control(..))) => {}
                Err(cause) => return Err(self.malformed(cause)),
            }
        }
        // Discard everything after a Close.
        Ok(bytes.len())
    }

    fn truncated(&self) -> io::Error {
        aborted("WebSocket connection closed without a Close frame".into())
    }

    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.expect_permission()?;
        if self.plain.is_empty() {
            return if self.has_ended() { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let count = self.plain.bytes().len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.plain.bytes()[..count]);
        self.plain.consume(count);
        Ok(count)
    }

    fn has_plain(&self) -> bool {
        let is_revoked = self.revocation.as_ref().is_some_and(Revocation::is_revoked);
        !self.plain.is_empty() || self.has_ended() || is_revoked
    }

    fn write_plain(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.expect_permission()?;
        if self.sent_close.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let payload = &bytes[..bytes.len().min(MAX_PAYLOAD)];
        self.append(Opcode::Binary, payload)?;
        Ok(payload.len())
    }

    fn pending_wire(&self) -> &[u8] {
        self.wire.bytes()
    }

    fn wire_written(&mut self, count: usize) {
        self.wire.consume(count);
        if self.wire.is_empty()
            && let Some(payload) = self.owed_pong.take()
        {
            // Without memory or random bytes for it, the next frame reports the error.
            let _ = self.append(Opcode::Pong, &payload);
        }
    }

    fn close(&mut self) {
        // Without a Close, the peer reports a truncated stream.
        let code = self.closing_code.as_ref().map_or(CloseCode::NORMAL, ClosingCode::get);
        let _ = self.send_close(code, "");
    }

    fn can_half_close(&self) -> bool {
        self.half_close != HalfClose::Neither
    }

    fn ping(&mut self) -> bool {
        self.sent_close.is_none() && self.append(Opcode::Ping, b"").is_ok()
    }

    fn abort(&mut self) -> bool {
        match self.sent_close {
            // A Close that claims that everything has arrived cannot be taken back.
            Some(code) => code != CloseCode::NORMAL,
            None => self.keys.is_none() && self.send_close(CloseCode::INTERNAL_ERROR, "").is_ok(),
        }
    }
}

/// Copies payload, and masks or unmasks it.
fn copy(from: &[u8], to: &mut [u8], mask: Option<Mask>) {
    match mask {
        Some(mask) => mask.copy(from, to),
        None => to.copy_from_slice(from),
    }
}

/// Returns the error for a Close that is not normal.
fn closed(close: &Close) -> io::Error {
    let code = close.code.unwrap_or(CloseCode::NORMAL);
    let reason = printable(&close.reason);
    // The kinds select the exit code.
    let kind = match code {
        CloseCode::TOKEN_EXPIRED => io::ErrorKind::PermissionDenied,
        CloseCode::TOKEN_DENIED => io::ErrorKind::ConnectionRefused,
        // Not a kind for resets: the server says what has failed.
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, Closed { code, reason })
}

fn aborted(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, what)
}

#[cfg(test)]
mod tests;
