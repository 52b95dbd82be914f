//! Channels that are no plain sockets: a socket pair, at whose other end a thread carries the bytes over another channel.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Channel, HANGUP_IS_GONE, Ready, pair, poll, watch};

/// A thread that carries bytes needs little more than a session does.
const STACK: usize = 256 * 1024;
/// How often to look whether the upper end is gone, where the system does not tell.
const RECHECK_INTERVAL: Duration = Duration::from_millis(200);

/// The state that the thread and the upper channel share.
#[derive(Debug)]
struct Shared {
    /// What the bytes go over.
    lower: Channel,
    /// Why the layer ended before its time.
    fault: OnceLock<io::Error>,
    /// Bytes that have been taken from the pair, and are not in the lower channel yet.
    in_flight: AtomicUsize,
    /// The upper end is being closed, and is not coming back.
    handle_dropped: AtomicBool,
    /// It is no good end: the peer must not take it for one.
    aborted: AtomicBool,
    /// Nothing more goes down.
    refuses_writes: AtomicBool,
}

/// What a channel knows of the layer that it is the upper end of. When it is dropped, which must be after the channel's
/// own socket, what was written has been passed on, or there is nobody who takes it.
#[derive(Debug)]
pub(super) struct LayerHandle {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The thread's side of a layer.
#[derive(Debug)]
pub struct LayerThread {
    /// The end of the pair.
    pub upper: Channel,
    shared: Arc<Shared>,
}

/// Makes a channel whose bytes `carry` takes to and from `lower`, on a thread of its own.
///
/// # Errors
/// No sockets or no thread can be had.
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
    let thread = thread::Builder::new().name("layer".into()).stack_size(STACK).spawn(work)?;
    Ok(ours.with_layer(LayerHandle { shared, thread: Some(thread) }))
}

impl LayerHandle {
    /// Why it ended, if that was before its time.
    pub(super) fn fault(&self) -> Option<io::Error> {
        self.shared.fault.get().map(clone_io_error)
    }

    /// Why nothing can be written, if nothing can, and the socket does not tell.
    #[cfg(windows)]
    pub(super) fn refuses(&self) -> Option<io::Error> {
        self.shared.refuses_writes.load(Ordering::SeqCst).then(|| io::ErrorKind::BrokenPipe.into())
    }

    pub(super) fn abort(&self) {
        self.shared.aborted.store(true, Ordering::SeqCst);
    }

    /// What has left the pair, `in_pair` of which was known before, and has not arrived.
    pub(super) fn undelivered(&self, in_pair: usize) -> usize {
        // In this order: what moves on meanwhile is counted twice rather than not at all.
        in_pair
            + self.shared.in_flight.load(Ordering::SeqCst)
            + self.shared.lower.undelivered().unwrap_or_default()
    }
}

impl Drop for LayerHandle {
    fn drop(&mut self) {
        self.shared.handle_dropped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It has said all it had to say in `fault`.
            let _ = thread.join();
        }
    }
}

impl LayerThread {
    /// What the bytes go over.
    #[must_use]
    pub fn lower(&self) -> &Channel {
        &self.shared.lower
    }

    /// Before something is taken from the pair, and when it is in the lower channel: so many bytes are in between.
    pub fn set_in_flight(&self, count: usize) {
        self.shared.in_flight.store(count, Ordering::SeqCst);
    }

    /// Why it ends before its time. The first reason counts.
    pub fn fail(&self, cause: io::Error) {
        let _ = self.shared.fault.set(cause);
    }

    /// Whether the upper end is gone, as far as `ready` and the channel itself tell.
    #[must_use]
    pub fn handle_is_gone(&self, ready: Ready) -> bool {
        HANGUP_IS_GONE && ready.gone || self.shared.handle_dropped.load(Ordering::SeqCst)
    }

    /// How often [`handle_is_gone`](Self::handle_is_gone) must be asked, if poll does not wake up for it.
    #[must_use]
    pub fn recheck_interval(&self) -> Option<Duration> {
        (!HANGUP_IS_GONE).then_some(RECHECK_INTERVAL)
    }

    /// Whether the peer is to be told that this is no good end.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.shared.aborted.load(Ordering::SeqCst)
    }

    /// Nobody takes any more what the upper end writes.
    pub fn stop_reading(&self) {
        self.shared.refuses_writes.store(true, Ordering::SeqCst);
        self.set_in_flight(0);
        self.upper.shut_down_reading();
    }

    /// The upper end is told that there is no more, and that nobody takes what it writes. What it has written and nobody
    /// will read is taken out of the way: left behind, it would make a clean end look like a reset, and on some systems
    /// cost what has not been read at the other end.
    fn shut_down(&self) {
        self.stop_reading();
        // It fails if the upper end is gone.
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

/// An error once more: those of the library cannot be copied.
#[must_use]
pub fn clone_io_error(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use std::time::Instant;

    use super::*;

    /// An upper channel whose layer does this.
    fn upper(carry: impl FnOnce(&LayerThread) + Send + 'static) -> Channel {
        layered(pair().unwrap().0, carry).unwrap()
    }

    fn wait_to_read(channel: &Channel) {
        poll(&mut [watch(channel, true, false)], None).unwrap();
    }

    /// Waits until the upper end is gone.
    fn until_left(layer: &LayerThread) {
        loop {
            let mut watches = [watch(&layer.upper, false, false)];
            poll(&mut watches, Some(Duration::from_millis(50))).unwrap();
            if layer.handle_is_gone(Ready::from_watch(&watches[0])) {
                return;
            }
        }
    }

    #[test]
    fn what_nobody_has_read_does_not_make_a_reset_of_an_end() {
        let upper = upper(|layer| wait_to_read(&layer.upper));
        upper.write(b"nobody reads it").unwrap();
        // Until the other end is not only shut down, but closed.
        thread::sleep(Duration::from_millis(50));
        wait_to_read(&upper);
        assert_eq!(upper.read(&mut [0; 9]).unwrap(), 0);
        assert!(upper.fault().is_none());
        let refused = upper.write(b"more").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_fault_is_told_behind_what_came_before_it() {
        let upper = upper(|layer| {
            layer.upper.write(b"before").unwrap();
            layer.fail(io::Error::new(io::ErrorKind::ConnectionAborted, "the first reason"));
            layer.fail(io::ErrorKind::TimedOut.into());
        });
        let mut bytes = [0; 9];
        wait_to_read(&upper);
        assert_eq!(upper.read(&mut bytes).unwrap(), 6);
        wait_to_read(&upper);
        for error in [upper.read(&mut bytes).unwrap_err(), upper.peek(&mut bytes).unwrap_err()] {
            assert_eq!(error.to_string(), "the first reason");
        }
        assert_eq!(upper.fault().unwrap().to_string(), "the first reason");
    }

    #[test]
    fn who_drops_the_upper_end_waits_for_what_is_under_way() {
        const LONG: Duration = Duration::from_millis(100);
        let upper = upper(|layer| {
            until_left(layer);
            assert!(layer.is_aborted());
            thread::sleep(LONG);
        });
        upper.reset_on_close();
        let started = Instant::now();
        drop(upper);
        assert!(started.elapsed() >= LONG);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_held_has_not_arrived() {
        let upper = upper(|layer| {
            wait_to_read(&layer.upper);
            layer.set_in_flight(4);
            layer.upper.read(&mut [0; 9]).unwrap();
            layer.upper.write(b"!").unwrap();
            until_left(layer);
        });
        assert_eq!(upper.undelivered(), Some(0));
        upper.write(b"four").unwrap();
        wait_to_read(&upper);
        assert_eq!(upper.undelivered(), Some(4));
    }
}
