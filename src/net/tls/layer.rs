//! The thread that runs a TLS layer, with plaintext at its upper end and TLS records at its lower
//! end.
//!
//! - Each direction reads only when its buffer is empty, so a slow receiver causes backpressure and
//!   memory stays bounded.
//! - All decrypted plaintext is taken out of rustls before each poll, because poll cannot report
//!   it.
//! - A half-close at the upper end becomes a `close_notify`, and data from the peer is still
//!   delivered. A `close_notify` from the peer becomes a half-close, and data from the upper end is
//!   still sent.
//! - EOF without `close_notify` is an error, as are a reset and an alert.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use rustls::ClientConnection;
use zeroize::Zeroize;

use super::messages;
use super::verifier::Slot;
use crate::error::TlsAlert;
use crate::sys::{self, LayerThread, Ready};
use crate::trace::trace;

/// Maximum number of bytes to read at once, and thus to buffer, in each direction. Encryption adds
/// a few bytes per record.
const CAPACITY: usize = 64 * 1024;

/// Maximum length of the plaintext in one record (RFC 8446 §5.1).
const MAX_RECORD: usize = 16 * 1024;

/// Maximum number of records to encrypt on a TLS 1.2 connection, whose keys cannot be renewed.
/// Beyond this, rustls would accept plaintext without ever sending it.
const MAX_TLS12_RECORDS: u64 = (1 << 23) - 8;

/// How long the peer may go without sending or accepting anything after the upper end was closed.
/// After that, the remaining data is discarded.
const DRAIN_STALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum total time to drain after the upper end was closed. After that, the remaining data is
/// discarded even if the peer still accepts data. This is enough for a link of about 1 KiB/s to
/// drain the layer and the socket pair.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(300);

/// Encrypts and decrypts until both directions have ended. Stores the alert with which the peer
/// ends the connection, if it sends one.
pub(super) fn run(mut tls: ClientConnection, layer: &LayerThread, alert: &Slot<TlsAlert>) {
    // rustls needs no buffer limit: each chunk is written out before the next is read.
    tls.set_buffer_limit(None);
    let buffer = || vec![0; CAPACITY].into_boxed_slice();
    TlsLayer {
        layer,
        tls,
        alert,
        up: Direction::Open,
        records: Buffer::default(),
        down: Direction::Open,
        plaintext: Buffer { bytes: Vec::with_capacity(CAPACITY), start: 0 },
        up_chunk: buffer(),
        down_chunk: buffer(),
        record_count: 0,
        draining_since: None,
    }
    .run();
    trace!("TLS layer ended");
}

/// The state of one direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Open,
    /// The source has ended, but the buffer is not empty yet.
    Draining,
    Closed,
}

/// Bytes that have not been written yet.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Writes until the buffer is empty or the channel is full. Returns `true` if the buffer is
    /// empty.
    fn drain(&mut self, to: &sys::Channel) -> io::Result<bool> {
        while !self.is_empty() {
            match to.write(&self.bytes[self.start..]) {
                Ok(count) => self.start += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.start = 0;
        Ok(true)
    }
}

struct TlsLayer<'a> {
    layer: &'a LayerThread,
    tls: ClientConnection,
    alert: &'a Slot<TlsAlert>,
    /// The direction from the upper end to the peer.
    up: Direction,
    /// Encrypted records for the peer.
    records: Buffer,
    /// The direction from the peer to the upper end.
    down: Direction,
    /// Decrypted bytes for the upper end.
    plaintext: Buffer,
    /// The read buffer for plaintext from the upper end.
    up_chunk: Box<[u8]>,
    /// The read buffer for records from the peer.
    down_chunk: Box<[u8]>,
    /// The number of data records encrypted so far.
    record_count: u64,
    /// When the upper end was closed; `None` while it is open. Data written before then is still
    /// sent.
    draining_since: Option<Instant>,
}

impl TlsLayer<'_> {
    fn run(&mut self) {
        // Plaintext may have arrived together with the end of the handshake.
        self.take_plaintext();
        let (mut up, mut down) = (true, true);
        loop {
            if up {
                self.encrypt();
            }
            if down {
                self.receive();
            }
            // rustls may have its own messages to send, for example after a key update.
            self.send();
            if self.layer.is_aborted() {
                return self.layer.lower().reset_on_close();
            }
            let down_is_over = self.down == Direction::Closed || self.draining_since.is_some();
            if self.up == Direction::Closed && down_is_over {
                return;
            }
            match self.wait() {
                Some(ready) => (up, down) = ready,
                None => return,
            }
        }
    }

    /// Polls both ends and returns which directions can make progress: (up, down). Returns `None`
    /// if the upper end was closed and the time to drain is up, or if polling failed.
    fn wait(&mut self) -> Option<(bool, bool)> {
        let wants_plaintext = self.up == Direction::Open && self.records.is_empty();
        let wants_records = self.down == Direction::Open && self.plaintext.is_empty();
        let mut watches = Vec::with_capacity(2);
        // Leave out an end with no events of interest, because poll would report its hang-up
        // forever.
        let lower = (wants_records || !self.records.is_empty()).then(|| {
            watches.push(sys::watch(self.layer.lower(), wants_records, !self.records.is_empty()));
            watches.len() - 1
        });
        let upper = (self.draining_since.is_none() || wants_plaintext).then(|| {
            watches.push(sys::watch(&self.layer.upper, wants_plaintext, !self.plaintext.is_empty()));
            watches.len() - 1
        });
        let timeout = match self.draining_since {
            Some(since) => Some(drain_timeout(since.elapsed())?),
            None => self.layer.recheck_interval(),
        };
        match sys::poll(&mut watches, timeout) {
            Ok(false) if self.draining_since.is_some() => return None,
            Ok(_) => {}
            Err(cause) => {
                self.layer.fail(cause);
                return None;
            }
        }
        let ready = |index: Option<usize>| {
            index.map_or_else(Ready::default, |index| Ready::from_watch(&watches[index]))
        };
        let (lower, upper) = (ready(lower), ready(upper));
        if self.layer.handle_is_gone(upper) {
            self.draining_since.get_or_insert_with(Instant::now);
        }
        Some((upper.read || lower.write, lower.read || upper.write || upper.gone))
    }

    /// Reads plaintext from the upper end and encrypts it.
    fn encrypt(&mut self) {
        if self.up != Direction::Open || !self.records.is_empty() {
            return;
        }
        let chunk = &mut self.up_chunk;
        // Set this before the read: bytes that have left the pair but are not in flight yet would
        // briefly count as delivered.
        self.layer.set_in_flight(1);
        match self.layer.upper.read(chunk) {
            Ok(count @ 1..) => {
                self.layer.set_in_flight(count);
                let written = self.tls.writer().write_all(&chunk[..count]);
                // The plaintext may contain a password.
                chunk[..count].zeroize();
                self.record_count += count.div_ceil(MAX_RECORD) as u64;
                if let Err(error) = written {
                    self.fail(error);
                } else if self.record_count >= MAX_TLS12_RECORDS && messages::is_tls12(&self.tls) {
                    self.fail(messages::keys_exhausted());
                }
            }
            Err(error) if sys::is_transient(&error) => self.layer.set_in_flight(0),
            // EOF, or the upper end was dropped. Send close_notify in both cases, unless the
            // session was aborted.
            Ok(_) | Err(_) => {
                self.up = Direction::Draining;
                if !self.layer.is_aborted() {
                    self.tls.send_close_notify();
                }
            }
        }
    }

    /// Sends the records that rustls has for the peer.
    fn send(&mut self) {
        while self.tls.wants_write() {
            // Writing to a Vec cannot fail.
            let _ = self.tls.write_tls(&mut self.records.bytes);
        }
        match self.records.drain(self.layer.lower()) {
            Ok(true) => {
                self.layer.set_in_flight(0);
                if self.up == Direction::Draining {
                    self.up = Direction::Closed;
                }
            }
            Ok(false) => {}
            // The connection broke. Do not report that here, because an alert from the peer may
            // still explain it.
            Err(_) => {
                self.records = Buffer::default();
                self.up = Direction::Closed;
                self.layer.stop_reading();
            }
        }
    }

    /// Receives records from the peer and passes their plaintext to the upper end.
    fn receive(&mut self) {
        if self.down == Direction::Closed {
            return;
        }
        if self.down == Direction::Open && self.plaintext.is_empty() {
            match self.layer.lower().read(&mut self.down_chunk) {
                Ok(0) => self.fail(messages::missing_close_notify()),
                Ok(count) => self.decrypt(count),
                Err(error) if sys::is_transient(&error) => {}
                Err(error) => self.fail(error),
            }
        }
        match self.plaintext.drain(&self.layer.upper) {
            Ok(true) if self.down == Direction::Draining => {
                self.down = Direction::Closed;
                // Ignore the error: if the upper end was closed, it needs no half-close.
                let _ = self.layer.upper.shut_down_writing();
            }
            Ok(_) => {}
            // The upper end was closed: discard the rest.
            Err(_) => self.down = Direction::Closed,
        }
    }

    /// Decrypts the first `count` bytes of `down_chunk`.
    fn decrypt(&mut self, count: usize) {
        let chunk = std::mem::take(&mut self.down_chunk);
        let mut rest = &chunk[..count];
        while !rest.is_empty() && self.down == Direction::Open {
            // Reading from memory cannot fail, and rustls has room because we always take out all
            // of its plaintext.
            if let Err(error) = self.tls.read_tls(&mut rest) {
                self.fail(error);
            }
            let processed = self.tls.process_new_packets();
            // Plaintext that precedes an error is still delivered.
            self.take_plaintext();
            if let Err(error) = processed {
                if let rustls::Error::AlertReceived(description) = error {
                    self.alert.set(messages::alert(description));
                }
                self.fail(messages::layer_error(&error));
            }
        }
        self.down_chunk = chunk;
    }

    /// Takes all plaintext from rustls.
    fn take_plaintext(&mut self) {
        match self.tls.reader().read_to_end(&mut self.plaintext.bytes) {
            // The peer has sent close_notify.
            Ok(_) => self.down = Direction::Draining,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.fail(error),
        }
    }

    /// Ends both directions. Plaintext that has already arrived is still delivered.
    fn fail(&mut self, cause: io::Error) {
        trace!("TLS: {cause}");
        self.layer.fail(cause);
        self.down = Direction::Draining;
        self.up = Direction::Closed;
        self.layer.stop_reading();
    }
}

/// Returns how long to wait for the peer after draining for `elapsed`; `None` if the time is up.
fn drain_timeout(elapsed: Duration) -> Option<Duration> {
    let remaining = DRAIN_TIMEOUT.checked_sub(elapsed).filter(|remaining| !remaining.is_zero())?;
    Some(remaining.min(DRAIN_STALL_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that accepted or sent one byte every few seconds used to hold the thread forever.
    #[test]
    fn a_peer_that_trickled_kept_a_closed_layer_forever() {
        let interval = DRAIN_STALL_TIMEOUT.saturating_sub(Duration::from_millis(100));
        let mut elapsed = Duration::ZERO;
        while let Some(timeout) = drain_timeout(elapsed) {
            assert!(timeout <= DRAIN_STALL_TIMEOUT);
            elapsed += timeout.min(interval);
        }
        assert_eq!(elapsed, DRAIN_TIMEOUT);
    }
}
