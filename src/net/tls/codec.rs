//! TLS as a [`Codec`]: plaintext on one side, TLS records on the other.
//!
//! - A half-close becomes a `close_notify`, and data from the peer is still delivered. A
//!   `close_notify` from the peer is EOF, and data is still sent.
//! - EOF without `close_notify` is an error, as are a reset and an alert.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::Connection;

use super::messages;
use super::verifier::Slot;
use crate::error::TlsAlert;
use crate::stream::{Chunk, Codec};

/// Maximum number of bytes to encrypt at once.
const MAX_PLAIN: usize = 64 * 1024;

/// Maximum length of the plaintext in one record (RFC 8446 §5.1).
const MAX_RECORD: usize = 16 * 1024;

/// Maximum number of records to encrypt on a TLS 1.2 connection, whose keys cannot be renewed.
/// Beyond this, rustls would accept plaintext without ever sending it.
const MAX_TLS12_RECORDS: u64 = (1 << 23) - 8;

/// An established TLS connection.
#[derive(Debug)]
pub(super) struct TlsCodec {
    tls: Connection,
    /// Records for the peer.
    records: Chunk,
    /// The alert with which the peer ended the connection.
    alert: Arc<Slot<TlsAlert>>,
    /// rustls holds plaintext, or the peer has sent `close_notify`.
    has_plain: bool,
    /// The number of data records encrypted so far.
    record_count: u64,
}

impl TlsCodec {
    /// Continues a connection after its handshake. Plaintext may have arrived together with the end
    /// of the handshake. Stores the alert with which the peer ends the connection in `alert`.
    pub(super) fn new(tls: impl Into<Connection>, alert: Arc<Slot<TlsAlert>>) -> Self {
        let mut tls = tls.into();
        // rustls needs no buffer limit: nothing is encrypted before all records have been written.
        tls.set_buffer_limit(None);
        let has_plain = tls.process_new_packets().is_ok_and(|state| has_plain(&state));
        Self { tls, records: Chunk::default(), alert, has_plain, record_count: 0 }
    }

    fn failed(&self, error: &rustls::Error) -> io::Error {
        if let rustls::Error::AlertReceived(description) = error {
            self.alert.set(messages::alert(*description));
        }
        messages::layer_error(error)
    }

    /// Takes the records that rustls has for the peer.
    fn take_records(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.records)?;
        }
        Ok(())
    }
}

impl Codec for TlsCodec {
    fn read_wire(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() && !self.has_plain {
            // Reading from memory cannot fail, and rustls has room because it holds no plaintext.
            self.tls.read_tls(&mut rest)?;
            let processed = self.tls.process_new_packets();
            self.take_records()?;
            let state = processed.map_err(|error| self.failed(&error))?;
            self.has_plain = has_plain(&state);
        }
        Ok(bytes.len() - rest.len())
    }

    fn truncated(&self) -> io::Error {
        messages::missing_close_notify()
    }

    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.tls.reader().read(buffer);
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.has_plain = false;
        }
        result
    }

    fn has_plain(&self) -> bool {
        self.has_plain
    }

    fn write_plain(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(MAX_PLAIN)];
        self.record_count += bytes.len().div_ceil(MAX_RECORD) as u64;
        if self.record_count >= MAX_TLS12_RECORDS && messages::is_tls12(&self.tls) {
            return Err(messages::keys_exhausted());
        }
        let count = self.tls.writer().write(bytes)?;
        self.take_records()?;
        Ok(count)
    }

    fn pending_wire(&self) -> &[u8] {
        self.records.bytes()
    }

    fn wire_written(&mut self, count: usize) {
        self.records.consume(count);
    }

    fn close(&mut self) {
        self.tls.send_close_notify();
        // If memory for the message is short, the peer reports a truncated stream.
        let _ = self.take_records();
    }
}

fn has_plain(state: &rustls::IoState) -> bool {
    state.plaintext_bytes_to_read() > 0 || state.peer_has_closed()
}
