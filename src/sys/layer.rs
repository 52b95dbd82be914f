//! Layered channels: a thread carries the bytes between one end of a socket pair and another
//! channel, for example to encrypt them. The other end of the pair is used like a plain socket.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Channel, HANGUP_IS_GONE, Ready, pair, poll, watch};

/// Stack size of a layer's thread.
const STACK_SIZE: usize = 256 * 1024;
/// How often to check whether the upper end is gone, on systems where poll does not report that.
const RECHECK_INTERVAL: Duration = Duration::from_millis(200);

/// The state that the upper channel and the thread share.
#[derive(Debug)]
struct Shared {
    /// The channel below the layer.
    lower: Channel,
    /// The error that ended the layer.
    fault: OnceLock<io::Error>,
    /// Number of bytes read from the pair but not yet written to the lower channel.
    in_flight: AtomicUsize,
    /// The upper channel is being dropped.
    handle_dropped: AtomicBool,
    /// Abort: reset the lower connection instead of closing it cleanly.
    aborted: AtomicBool,
    /// Writes to the upper channel must fail.
    refuses_writes: AtomicBool,
}

/// The part of an upper channel that controls its layer.
///
/// Dropping the handle blocks until the thread has passed on all written data, or the peer is gone.
/// The channel's own socket must be closed first.
#[derive(Debug)]
pub(super) struct LayerHandle {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The thread's side of a layer.
#[derive(Debug)]
pub struct LayerThread {
    /// The thread's end of the socket pair.
    pub upper: Channel,
    shared: Arc<Shared>,
}

/// Creates a channel on top of `lower`. `carry` runs on a new thread and moves the bytes between
/// the two channels.
///
/// # Errors
/// The socket pair or the thread could not be created.
pub fn layered(lower: Channel, carry: impl FnOnce(&LayerThread) + Send + 'static) -> io::Result<Channel> {
    let (ours, theirs) = pair()?;
    let shared = Arc::new(Shared {
        lower,
        fault: OnceLock::new(),
        in_flight: AtomicUsize::new(0),
        handle_dropped: AtomicBool::new(false),
        aborted: AtomicBool::new(false),
        refuses_writes: AtomicBool::new(false),
    });
    let layer = LayerThread { upper: theirs, shared: Arc::clone(&shared) };
    let work = move || {
        carry(&layer);
        layer.shut_down();
    };
    let thread = thread::Builder::new().name("layer".into()).stack_size(STACK_SIZE).spawn(work)?;
    Ok(ours.with_layer(LayerHandle { shared, thread: Some(thread) }))
}

impl LayerHandle {
    /// Returns the error that ended the layer. `None` while the layer is running, and after a clean
    /// end.
    pub(super) fn fault(&self) -> Option<io::Error> {
        self.shared.fault.get().map(clone_io_error)
    }

    /// Returns the error with which a write must fail, if any. On Windows the socket itself reports
    /// no error.
    #[cfg(windows)]
    pub(super) fn write_error(&self) -> Option<io::Error> {
        self.shared.refuses_writes.load(Ordering::SeqCst).then(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Requests a reset of the lower connection instead of a clean close.
    pub(super) fn abort(&self) {
        self.shared.aborted.store(true, Ordering::SeqCst);
    }

    /// Sets whether the lower connection is reset when the process ends without closing it.
    pub(super) fn set_reset_on_exit(&self, reset: bool) {
        self.shared.lower.set_reset_on_exit(reset);
    }

    /// Returns the number of written bytes that have not reached the peer. `in_pair` of them are
    /// still in the socket pair.
    #[cfg(target_os = "linux")]
    pub(super) fn undelivered(&self, in_pair: usize) -> usize {
        // The order matters: a byte that moves on between two loads is counted twice rather than
        // missed.
        in_pair
            + self.shared.in_flight.load(Ordering::SeqCst)
            + self.shared.lower.undelivered().unwrap_or_default()
    }
}

impl Drop for LayerHandle {
    fn drop(&mut self) {
        self.shared.handle_dropped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // Ignore a panic in the thread: any error to report is in `fault`.
            let _ = thread.join();
        }
    }
}

impl LayerThread {
    /// Returns the channel below the layer.
    #[must_use]
    pub fn lower(&self) -> &Channel {
        &self.shared.lower
    }

    /// Sets the number of bytes that are neither in the pair nor in the lower channel. Call this
    /// before reading from the pair, and again after writing to the lower channel.
    pub fn set_in_flight(&self, count: usize) {
        self.shared.in_flight.store(count, Ordering::SeqCst);
    }

    /// Records the error that ends the layer. Later calls have no effect.
    pub fn fail(&self, cause: io::Error) {
        let _ = self.shared.fault.set(cause);
    }

    /// Returns `true` if the upper channel has been dropped. `ready` is the result of the last poll
    /// of `upper`.
    #[must_use]
    pub fn handle_is_gone(&self, ready: Ready) -> bool {
        HANGUP_IS_GONE && ready.gone || self.shared.handle_dropped.load(Ordering::SeqCst)
    }

    /// Returns how often to call [`handle_is_gone`](Self::handle_is_gone). `None` if poll wakes up
    /// when the upper channel is dropped.
    #[must_use]
    pub fn recheck_interval(&self) -> Option<Duration> {
        (!HANGUP_IS_GONE).then_some(RECHECK_INTERVAL)
    }

    /// Returns `true` if the lower connection must be reset instead of closed cleanly.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.shared.aborted.load(Ordering::SeqCst)
    }

    /// Makes further writes to the upper channel fail.
    pub fn stop_reading(&self) {
        self.shared.refuses_writes.store(true, Ordering::SeqCst);
        self.set_in_flight(0);
        self.upper.shut_down_reading();
    }

    /// Shuts down both directions of the pair, then drains unread input.
    ///
    /// Closing a socket with unread data makes the kernel send a reset. A reset would turn a clean
    /// EOF into an error, and may discard data still in flight.
    fn shut_down(&self) {
        self.stop_reading();
        // Fails if the upper end is gone.
        let _ = self.upper.shut_down_writing();
        let mut unread = [0; 4096];
        loop {
            match self.upper.read(&mut unread) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut watches = [watch(&self.upper, true, false)];
                    let waited = poll(&mut watches, self.recheck_interval());
                    if waited.is_err() || self.handle_is_gone(Ready::from_watch(&watches[0])) {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }
}

/// Copies an error, because `io::Error` is not `Clone`. The copy of a custom error keeps only its
/// kind and text.
#[must_use]
pub fn clone_io_error(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Instant;

    use super::*;

    /// Returns an upper channel whose layer runs `carry`.
    fn upper(carry: impl FnOnce(&LayerThread) + Send + 'static) -> Channel {
        layered(pair().unwrap().0, carry).unwrap()
    }

    fn wait_to_read(channel: &Channel) {
        poll(&mut [watch(channel, true, false)], None).unwrap();
    }

    fn wait_until_handle_is_gone(layer: &LayerThread) {
        loop {
            let mut watches = [watch(&layer.upper, false, false)];
            poll(&mut watches, Some(Duration::from_millis(50))).unwrap();
            if layer.handle_is_gone(Ready::from_watch(&watches[0])) {
                return;
            }
        }
    }

    #[test]
    fn unread_data_does_not_turn_eof_into_a_reset() {
        let upper = upper(|layer| wait_to_read(&layer.upper));
        upper.write(b"never read").unwrap();
        // Wait until the other end is not only shut down, but closed.
        thread::sleep(Duration::from_millis(50));
        wait_to_read(&upper);
        assert_eq!(upper.read(&mut [0; 9]).unwrap(), 0);
        assert!(upper.fault().is_none());
        let refused = upper.write(b"more").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_fault_is_reported_after_the_data_before_it() {
        let upper = upper(|layer| {
            layer.upper.write(b"before").unwrap();
            layer.fail(io::Error::new(io::ErrorKind::ConnectionAborted, "the first error"));
            layer.fail(io::ErrorKind::TimedOut.into());
        });
        let mut bytes = [0; 9];
        wait_to_read(&upper);
        assert_eq!(upper.read(&mut bytes).unwrap(), 6);
        wait_to_read(&upper);
        for error in [upper.read(&mut bytes).unwrap_err(), upper.peek(&mut bytes).unwrap_err()] {
            assert_eq!(error.to_string(), "the first error");
        }
        assert_eq!(upper.fault().unwrap().to_string(), "the first error");
    }

    #[test]
    fn dropping_the_upper_channel_waits_for_data_in_flight() {
        const TRANSIT: Duration = Duration::from_millis(100);
        let upper = upper(|layer| {
            wait_until_handle_is_gone(layer);
            assert!(layer.is_aborted());
            thread::sleep(TRANSIT);
        });
        upper.reset_on_close();
        let started = Instant::now();
        drop(upper);
        assert!(started.elapsed() >= TRANSIT);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn data_held_by_the_layer_counts_as_undelivered() {
        let upper = upper(|layer| {
            wait_to_read(&layer.upper);
            layer.set_in_flight(4);
            layer.upper.read(&mut [0; 9]).unwrap();
            layer.upper.write(b"!").unwrap();
            wait_until_handle_is_gone(layer);
        });
        assert_eq!(upper.undelivered(), Some(0));
        upper.write(b"four").unwrap();
        wait_to_read(&upper);
        assert_eq!(upper.undelivered(), Some(4));
    }
}
