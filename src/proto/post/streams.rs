//! The server's ends of the two streams of a tunnel.

use std::collections::VecDeque;

/// The maximum number of bytes that the server holds in each direction.
pub const MAX_HELD: usize = 1024 * 1024;

/// Room that must be available in the up stream before a request that waits for it continues, so
/// that a target that accepts a few bytes at a time does not cost a request for each.
const MIN_ROOM: usize = 64 * 1024;

/// Unused capacity that an idle tunnel may keep.
const MAX_IDLE_CAPACITY: usize = 4 * 1024;

/// The bytes from the client that the target has not accepted yet.
#[derive(Debug, Default)]
pub(super) struct UpStream {
    /// The number of positions received, in order.
    received: u64,
    held: VecDeque<u8>,
    has_ended: bool,
    /// The target has closed, so bytes for it are dropped.
    is_discarding: bool,
}

impl UpStream {
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns the next bytes for the target.
    pub(super) fn pending(&self) -> &[u8] {
        let (first, second) = self.held.as_slices();
        if first.is_empty() { second } else { first }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Accepts as many new bytes as there is room for, and EOF after them. Bytes after a
    /// gap are ignored, and so are bytes after EOF. Returns `false` if there was no room for any of
    /// the new bytes.
    pub(super) fn accept(&mut self, position: u64, data: &[u8], is_eof: bool) -> bool {
        let Some(known) = self.received.checked_sub(position) else { return true };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        if self.has_ended || known > data.len() {
            return true;
        }
        let new = &data[known..];
        let room = if self.is_discarding { usize::MAX } else { MAX_HELD - self.held.len() };
        let accepted = &new[..new.len().min(room)];
        if !self.is_discarding {
            self.held.extend(accepted);
        }
        self.received += accepted.len() as u64;
        if is_eof && accepted.len() == new.len() {
            self.has_ended = true;
            self.received += 1;
        }
        new.is_empty() || !accepted.is_empty()
    }

    /// Returns `true` if a request whose bytes did not fit should be tried again.
    pub(super) fn has_room(&self) -> bool {
        self.is_discarding || MAX_HELD - self.held.len() >= MIN_ROOM
    }

    /// Removes bytes that the target has accepted.
    pub(super) fn consume(&mut self, count: usize) {
        self.held.drain(..count.min(self.held.len()));
    }

    /// Drops all bytes, those that are still to come as well.
    pub(super) fn discard(&mut self) {
        self.is_discarding = true;
        self.held = VecDeque::new();
    }

    pub(super) fn shrink(&mut self) {
        shrink(&mut self.held);
    }
}

/// The bytes from the target that the client has not acknowledged yet.
#[derive(Debug, Default)]
pub(super) struct DownStream {
    /// The number of positions that the client has acknowledged.
    acknowledged: u64,
    held: VecDeque<u8>,
    has_ended: bool,
    /// The client has acknowledged EOF.
    is_end_acknowledged: bool,
}

impl DownStream {
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(super) fn is_end_acknowledged(&self) -> bool {
        self.is_end_acknowledged
    }

    /// Returns the position after the last byte.
    fn data_end(&self) -> u64 {
        self.acknowledged - u64::from(self.is_end_acknowledged) + self.held.len() as u64
    }

    /// Returns the position after the last byte, and after EOF if there is one.
    pub(super) fn end(&self) -> u64 {
        self.data_end() + u64::from(self.has_ended)
    }

    /// Returns the number of bytes to read from the target.
    pub(super) fn room(&self) -> usize {
        if self.has_ended { 0 } else { MAX_HELD - self.held.len() }
    }

    /// Adds bytes from the target.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.held.extend(bytes);
    }

    /// Adds EOF.
    pub(super) fn finish(&mut self) {
        self.has_ended = true;
    }

    /// Drops what the client has received before this position, which is not after
    /// [`end`](Self::end).
    pub(super) fn acknowledge(&mut self, position: u64) {
        let Some(count) = position.checked_sub(self.acknowledged) else { return };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let bytes = count.min(self.held.len());
        self.held.drain(..bytes);
        self.acknowledged += bytes as u64;
        if count > bytes && self.has_ended && !self.is_end_acknowledged {
            self.is_end_acknowledged = true;
            self.acknowledged += 1;
        }
    }

    /// Drops all bytes.
    pub(super) fn discard(&mut self) {
        self.acknowledge(self.data_end());
        self.held = VecDeque::new();
    }

    /// Appends the bytes from a position on, at most `max`. Returns `true` if EOF follows them.
    pub(super) fn copy_from(&self, position: u64, max: usize, body: &mut Vec<u8>) -> bool {
        if position < self.acknowledged {
            return false;
        }
        let start = usize::try_from(position - self.acknowledged).unwrap_or(usize::MAX).min(self.held.len());
        let end = self.held.len().min(start.saturating_add(max));
        let (first, second) = self.held.as_slices();
        let in_first = first.len();
        body.extend_from_slice(&first[start.min(in_first)..end.min(in_first)]);
        body.extend_from_slice(&second[start.max(in_first) - in_first..end.max(in_first) - in_first]);
        end == self.held.len() && self.has_ended && !self.is_end_acknowledged
    }

    pub(super) fn shrink(&mut self) {
        shrink(&mut self.held);
    }
}

/// Releases the memory of an empty buffer.
fn shrink(buffer: &mut VecDeque<u8>) {
    if buffer.is_empty() && buffer.capacity() > MAX_IDLE_CAPACITY {
        *buffer = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_bytes_and_bytes_after_a_gap_are_dropped() {
        let mut up = UpStream::default();
        assert!(up.accept(0, b"abc", false));
        assert!(up.accept(0, b"abc", false) && up.accept(4, b"x", true));
        assert_eq!((up.pending(), up.received()), (&b"abc"[..], 3));
        assert!(up.accept(1, b"bcde", true));
        assert_eq!((up.pending(), up.received(), up.has_ended()), (&b"abcde"[..], 6, true));
        assert!(up.accept(1, b"bcde", true) && up.accept(6, b"late", false));
        assert_eq!((up.pending(), up.received()), (&b"abcde"[..], 6));
    }

    #[test]
    fn bytes_beyond_the_limit_wait_for_room() {
        let mut up = UpStream::default();
        let data = vec![b'x'; MAX_HELD + 10];
        assert!(up.accept(0, &data, true), "a part fits");
        assert_eq!((up.received(), up.has_ended()), (MAX_HELD as u64, false));
        assert!(!up.accept(0, &data, true));
        up.consume(MIN_ROOM - 1);
        assert!(!up.has_room());
        up.consume(1);
        assert!(up.has_room() && up.accept(0, &data, true) && up.has_ended());
        assert_eq!(up.received(), MAX_HELD as u64 + 11);
    }

    #[test]
    fn bytes_for_a_target_that_has_closed_are_received_and_dropped() {
        let mut up = UpStream::default();
        assert!(up.accept(0, b"abc", false));
        up.discard();
        assert!(up.accept(3, &vec![0; 2 * MAX_HELD], true));
        assert_eq!((up.pending(), up.received()), (&b""[..], 4 + 2 * MAX_HELD as u64));
    }

    #[test]
    fn bytes_are_kept_until_they_are_acknowledged() {
        let mut down = DownStream::default();
        let copy = |down: &DownStream, position, max| {
            let mut body = Vec::new();
            let is_end = down.copy_from(position, max, &mut body);
            (String::from_utf8_lossy(&body).into_owned(), is_end)
        };
        down.push(b"abcdef");
        assert_eq!(copy(&down, 0, 100), ("abcdef".into(), false));
        down.acknowledge(2);
        down.acknowledge(1);
        assert_eq!(copy(&down, 1, 100), (String::new(), false));
        assert_eq!(copy(&down, 3, 2), ("de".into(), false));
        down.push(b"gh");
        down.finish();
        assert_eq!((copy(&down, 2, 100), down.end(), down.room()), (("cdefgh".into(), true), 9, 0));
        assert_eq!(copy(&down, 2, 5), ("cdefg".into(), false));
        down.acknowledge(8);
        assert_eq!((copy(&down, 8, 100), down.is_end_acknowledged()), ((String::new(), true), false));
        down.acknowledge(9);
        assert_eq!((copy(&down, 9, 100), down.is_end_acknowledged()), ((String::new(), false), true));
        assert_eq!((down.end(), down.acknowledged()), (9, 9));
    }

    #[test]
    fn an_idle_stream_owns_no_buffer() {
        let (mut up, mut down) = (UpStream::default(), DownStream::default());
        up.accept(0, &vec![0; 100_000], false);
        down.push(&vec![0; 100_000]);
        up.consume(100_000);
        down.acknowledge(100_000);
        up.shrink();
        down.shrink();
        assert_eq!((up.held.capacity(), down.held.capacity()), (0, 0));
    }
}
