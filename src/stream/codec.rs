//! The interface of a codec: a transformation of both directions of a stream.

use std::io;

/// A transformation of both directions of a stream, such as TLS. It does no I/O.
pub trait Codec: Send {
    /// Processes bytes from the stream below, and returns how many it has consumed. It may stop
    /// when it holds plaintext, but not at the end of incomplete messages.
    ///
    /// # Errors
    /// The bytes are invalid, or report that the peer failed. Plaintext that precedes the error can
    /// still be read.
    fn read_wire(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Returns the error for an EOF of the stream below, before the codec's own EOF.
    fn truncated(&self) -> io::Error;

    /// Takes plaintext. Returns 0 at the codec's EOF.
    ///
    /// # Errors
    /// `WouldBlock` if there is none.
    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Returns `true` if [`read_plain`](Self::read_plain) will return plaintext or EOF.
    fn has_plain(&self) -> bool;

    /// Returns `true` if [`write_plain`](Self::write_plain) will accept plaintext once nothing is
    /// pending. Otherwise bytes from the peer must be processed first.
    fn accepts_plain(&self) -> bool {
        true
    }

    /// Adds plaintext to be sent, and returns how many bytes it has accepted: at least one. Called
    /// only while nothing is pending and [`accepts_plain`](Self::accepts_plain) is `true`.
    ///
    /// # Errors
    /// The codec cannot send any more.
    fn write_plain(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Returns the bytes to be written to the stream below.
    fn pending_wire(&self) -> &[u8];

    /// Removes the first `count` pending bytes, which have been written.
    fn wire_written(&mut self, count: usize);

    /// Adds the message that ends the stream.
    fn close(&mut self);

    /// Returns `true` if the peer still sends data after it has received the message that
    /// [`close`](Self::close) adds.
    fn can_half_close(&self) -> bool {
        true
    }

    /// Adds a message that the peer has to answer. Returns `false` if the protocol has none, or
    /// nothing can be sent after [`close`](Self::close).
    fn ping(&mut self) -> bool {
        false
    }

    /// Adds a message that ends the stream because it is incomplete. Returns `false` if the
    /// protocol has none: the connection has to be reset instead.
    fn abort(&mut self) -> bool {
        false
    }
}
