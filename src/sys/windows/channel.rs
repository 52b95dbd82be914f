//! Byte streams on sockets, with non-blocking reads and writes.
//!
//! Windows can neither poll pipes and consoles nor read them without blocking. Each standard handle
//! therefore has a thread that copies its bytes from or to a socket, and the relay polls only
//! sockets.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::windows::io::{AsHandle, AsRawHandle, AsSocket, BorrowedSocket};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation::{ERROR_PIPE_NOT_CONNECTED, INVALID_HANDLE_VALUE};

use super::socketpair::socket_pair;
use crate::sys::{clone_io_error, is_transient};

/// Buffer size of the threads that copy to and from the standard handles.
const CHUNK_SIZE: usize = 64 * 1024;

/// Time limit for available input to show up in poll, because the stdin thread must be scheduled
/// first.
pub const STDIN_SETTLE_TIME: Duration = Duration::from_millis(250);

/// One end of a relay. No operation blocks after [`poll`](super::poll()) has reported the socket
/// ready.
#[derive(Debug)]
pub struct Channel {
    socket: TcpStream,
    /// The error that ended the thread at the other end of the socket. The socket itself does not
    /// report it.
    thread_error: ThreadError,
    /// The thread that writes to standard output.
    writer: Option<JoinHandle<()>>,
}

/// Returns `true`: there are no UNIX-domain sockets.
///
/// # Errors
/// None.
pub fn is_same_user(_: &Channel) -> io::Result<bool> {
    Ok(true)
}

/// Creates a pair of connected sockets.
///
/// # Errors
/// Sockets are short.
pub fn channel_pair() -> io::Result<(Channel, Channel)> {
    let (one, other) = socket_pair()?;
    Ok((Channel::socket(one), Channel::socket(other)))
}

impl Channel {
    /// Returns standard input, or `None` if the program was started without one.
    ///
    /// # Errors
    /// A thread or socket could not be created.
    pub fn stdin() -> io::Result<Option<Self>> {
        let Some(input) = file(&io::stdin()) else { return Ok(None) };
        let (ours, theirs) = socket_pair()?;
        let thread_error = ThreadError::default();
        let reported = thread_error.clone();
        // The thread is not joined: it may block on input after the remote has ended the session.
        thread::Builder::new().name("stdin".into()).spawn(move || {
            // The error must be set before the shutdown, because the reader checks for an error at
            // EOF.
            reported.set(copy(input, &theirs));
            let _ = theirs.shutdown(Shutdown::Write);
        })?;
        Self::nonblocking(ours, thread_error, None).map(Some)
    }

    /// Returns standard output, or `None` if the program was started without one.
    ///
    /// # Errors
    /// A thread or socket could not be created.
    pub fn stdout() -> io::Result<Option<Self>> {
        Self::output(file(&io::stdout()), "stdout")
    }

    /// Returns standard error, or `None` if the program was started without one.
    ///
    /// # Errors
    /// A thread or socket could not be created.
    #[cfg(feature = "ssh")]
    pub fn stderr() -> io::Result<Option<Self>> {
        Self::output(file(&io::stderr()), "stderr")
    }

    /// Starts a thread that writes to this file; `None` if there is no file.
    fn output(file: Option<File>, name: &str) -> io::Result<Option<Self>> {
        let Some(output) = file else { return Ok(None) };
        let (ours, theirs) = socket_pair()?;
        let thread_error = ThreadError::default();
        let reported = thread_error.clone();
        let writer = thread::Builder::new().name(name.into()).spawn(move || {
            let result = copy(&theirs, output);
            // The standard library maps only some of these errors to `BrokenPipe`.
            reported.set(result.map_err(|error| {
                if is_broken_pipe(&error) { io::ErrorKind::BrokenPipe.into() } else { error }
            }));
            drop(theirs);
        })?;
        Self::nonblocking(ours, thread_error, Some(writer)).map(Some)
    }

    /// Wraps a connected socket in a channel, and sets the socket to non-blocking mode.
    #[must_use]
    pub fn socket(stream: TcpStream) -> Self {
        // Ignore a failure: a read that follows poll does not block even on a blocking socket.
        let _ = stream.set_nonblocking(true);
        Self { socket: stream, thread_error: ThreadError::default(), writer: None }
    }

    /// Fails: UNIX-domain sockets are not supported here.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn unix(_: &Path, _: Option<Duration>) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "UNIX-domain sockets are not supported on Windows"))
    }

    fn nonblocking(
        socket: TcpStream,
        thread_error: ThreadError,
        writer: Option<JoinHandle<()>>,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, thread_error, writer })
    }

    /// Reads available bytes. Returns 0 at EOF.
    ///
    /// # Errors
    /// recv failed; `WouldBlock` if nothing is available.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.received((&self.socket).read(buffer))
    }

    /// Peeks at available bytes. Returns 0 at EOF.
    ///
    /// # Errors
    /// recv failed; `WouldBlock` if nothing is available.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.received(self.socket.peek(buffer))
    }

    /// Returns `true` if the connection was reset. A half-closed connection is not broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.socket.peek(&mut [0; 1]).is_err_and(|error| !is_transient(&error))
    }

    /// Replaces EOF or a socket error with the [`fault`](Self::fault) that caused it, if any.
    fn received(&self, result: io::Result<usize>) -> io::Result<usize> {
        match result {
            Ok(1..) => result,
            Err(error) if is_transient(&error) => Err(error),
            ended => self.fault().map_or(ended, Err),
        }
    }

    /// Writes as many bytes as there is room for.
    ///
    /// # Errors
    /// send failed; `WouldBlock` if there is no room.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.socket).write(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => error,
            _ => self.fault().unwrap_or(error),
        })
    }

    /// Half-closes the socket: the peer reads EOF after the data already written.
    ///
    /// # Errors
    /// shutdown failed.
    pub fn shut_down_writing(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Returns the error that ended the thread at the other end of the socket. `None` while the
    /// thread is running, and after a clean end. Resets need no check, because on Windows a read
    /// from a reset connection fails.
    #[must_use]
    pub fn fault(&self) -> Option<io::Error> {
        self.thread_error.get()
    }

    /// Makes closing this channel reset the connection, so that the peer does not mistake the close
    /// for a clean EOF. A reset discards data that has not arrived.
    pub fn reset_on_close(&self) {
        let _ = socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Sets whether the connection is reset when the process ends without closing it. The peers
    /// then do not mistake that for a clean EOF. Closing the channel resets the connection, too, so
    /// turn this off before a clean close.
    pub fn set_reset_on_exit(&self, reset: bool) {
        let _ = socket2::SockRef::from(&self.socket).set_linger(reset.then_some(Duration::ZERO));
    }

    /// Returns `None`: Windows does not report undelivered bytes.
    #[must_use]
    pub fn undelivered(&self) -> Option<usize> {
        None
    }

    /// Flushes standard output: blocks until everything is written. A no-op for other channels.
    ///
    /// # Errors
    /// Standard output could not be written; `BrokenPipe` if its reader is gone.
    pub fn finish(self) -> io::Result<()> {
        let Some(writer) = self.writer else { return Ok(()) };
        let _ = self.socket.shutdown(Shutdown::Write);
        let joined = writer.join();
        match (self.thread_error.get(), joined) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(()),
            (None, Err(_)) => Err(io::Error::other("the writing thread panicked")),
        }
    }

    /// Returns `true`: [`write`](Self::write) never blocks, even if [`poll`](super::poll()) was not
    /// called first.
    #[must_use]
    pub fn can_write_unpolled(&self) -> bool {
        true
    }
}

impl AsSocket for Channel {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.socket.as_socket()
    }
}

/// The error that ended a thread, if any.
#[derive(Clone, Debug, Default)]
struct ThreadError(Arc<OnceLock<io::Error>>);

impl ThreadError {
    fn set(&self, result: io::Result<()>) {
        if let Err(error) = result {
            let _ = self.0.set(error);
        }
    }

    fn get(&self) -> Option<io::Error> {
        self.0.get().map(clone_io_error)
    }
}

/// Returns a standard handle as a file, or `None` if the program was started without that handle. A
/// file passes bytes unchanged, whereas the standard library's own streams convert console text.
fn file(standard: &impl AsHandle) -> Option<File> {
    let handle = standard.as_handle();
    // Both values mean that there is no handle. `INVALID_HANDLE_VALUE` must not be duplicated: it
    // is also the pseudo-handle of this process.
    if handle.as_raw_handle().is_null() || handle.as_raw_handle() == INVALID_HANDLE_VALUE {
        return None;
    }
    handle.try_clone_to_owned().ok().map(File::from)
}

/// Copies until EOF.
fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_SIZE];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&chunk[..count])?,
            // The write end of the pipe is closed: EOF.
            Err(error) if is_broken_pipe(&error) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns `true` if the other end of a pipe is closed or disconnected.
fn is_broken_pipe(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(i32::cast_unsigned);
    error.kind() == io::ErrorKind::BrokenPipe || code == Some(ERROR_PIPE_NOT_CONNECTED)
}
