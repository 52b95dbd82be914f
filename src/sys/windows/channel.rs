//! A stream of bytes that is read and written without ever waiting.
//!
//! Pipes and consoles can be neither polled nor read without waiting. So each of the standard handles gets a thread
//! that carries its bytes to or from a socket, and the relay polls sockets only.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::windows::io::{AsHandle, AsRawHandle, AsSocket, BorrowedSocket};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation::{ERROR_PIPE_NOT_CONNECTED, INVALID_HANDLE_VALUE};

use super::socketpair::streams;
use crate::sys::is_transient;
use crate::sys::layer::{LayerHandle, clone_io_error};

/// How much a thread carries at once.
const CHUNK: usize = 64 * 1024;

/// So long may what stands ready in standard input take until its channel is ready to be read: its thread has to be
/// scheduled first.
pub const STDIN_SETTLE_TIME: Duration = Duration::from_millis(250);

/// One end of a relay. No operation waits, provided that [`poll`](super::poll()) has reported the socket ready.
#[derive(Debug)]
pub struct Channel {
    socket: TcpStream,
    /// Why the thread behind the socket has ended, which the socket cannot tell.
    failure: Failure,
    /// Carries what is written to standard output.
    carrier: Option<JoinHandle<()>>,
    /// What it is the upper end of. It is the last field: when it goes, the socket is closed.
    layer: Option<Box<LayerHandle>>,
}

impl Channel {
    /// Standard input, or `None` if the program was started without one.
    ///
    /// # Errors
    /// No thread or socket can be had.
    pub fn stdin() -> io::Result<Option<Self>> {
        let Some(input) = file(&io::stdin()) else { return Ok(None) };
        let (ours, theirs) = streams()?;
        let failure = Failure::default();
        let noted = failure.clone();
        // Nobody waits for this thread: when the remote has ended, the session has, whatever may still be typed.
        thread::Builder::new().name("stdin".into()).spawn(move || {
            // Noted before the socket ends: whoever sees its end looks here.
            noted.note(carry(input, &theirs));
            let _ = theirs.shutdown(Shutdown::Write);
        })?;
        Self::nonblocking(ours, failure, None).map(Some)
    }

    /// Standard output, or `None` if the program was started without one.
    ///
    /// # Errors
    /// No thread or socket can be had.
    pub fn stdout() -> io::Result<Option<Self>> {
        let Some(output) = file(&io::stdout()) else { return Ok(None) };
        let (ours, theirs) = streams()?;
        let failure = Failure::default();
        let noted = failure.clone();
        let carrier = thread::Builder::new().name("stdout".into()).spawn(move || {
            let result = carry(&theirs, output);
            // Whoever reads it has left, which the library tells of some of these errors only.
            noted.note(result.map_err(|error| {
                if is_broken_pipe(&error) { io::ErrorKind::BrokenPipe.into() } else { error }
            }));
            drop(theirs);
        })?;
        Self::nonblocking(ours, failure, Some(carrier)).map(Some)
    }

    /// A connected socket, which becomes non-blocking if it is not.
    #[must_use]
    pub fn socket(stream: TcpStream) -> Self {
        // It is ours alone; should it fail, reading after poll does not wait either.
        let _ = stream.set_nonblocking(true);
        Self { socket: stream, failure: Failure::default(), carrier: None, layer: None }
    }

    /// Its bytes come from a layer and go there.
    pub(in crate::sys) fn with_layer(self, layer: LayerHandle) -> Self {
        Self { layer: Some(Box::new(layer)), ..self }
    }

    /// UNIX-domain sockets are for Unix.
    ///
    /// # Errors
    /// Always.
    pub fn unix(_: &Path, _: Option<Duration>) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "UNIX-domain sockets are not supported on Windows"))
    }

    fn nonblocking(socket: TcpStream, failure: Failure, carrier: Option<JoinHandle<()>>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, failure, carrier, layer: None })
    }

    /// Reads what is there. No bytes are the end.
    ///
    /// # Errors
    /// What recv says; `WouldBlock` if nothing is there.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.received((&self.socket).read(buffer))
    }

    /// Looks at what is there and leaves it there. No bytes are the end.
    ///
    /// # Errors
    /// What recv says; `WouldBlock` if nothing is there.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.received(self.socket.peek(buffer))
    }

    /// A thread behind the socket knows more about its end.
    fn received(&self, result: io::Result<usize>) -> io::Result<usize> {
        match result {
            Ok(1..) => result,
            Err(error) if is_transient(&error) => Err(error),
            ended => self.thread_failed().map_or(ended, Err),
        }
    }

    /// Why the thread behind the socket has ended before its time, if it has.
    fn thread_failed(&self) -> Option<io::Error> {
        self.layer.as_ref().map_or_else(|| self.failure.get(), |layer| layer.fault())
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// What send says; `WouldBlock` if there is no room.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(refused) = self.layer.as_ref().and_then(|layer| layer.refuses()) {
            return Err(self.thread_failed().unwrap_or(refused));
        }
        (&self.socket).write(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => error,
            _ => self.thread_failed().unwrap_or(error),
        })
    }

    /// Tells the other end that no more will be written.
    ///
    /// # Errors
    /// What shutdown says.
    pub fn shut_down_writing(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Does nothing: the other end is not told here.
    pub(in crate::sys) fn shut_down_reading(&self) {
        let _ = self;
    }

    /// What was wrong with the end that was just read, if it was none. Here it would have been an error.
    #[must_use]
    pub fn fault(&self) -> Option<io::Error> {
        self.thread_failed()
    }

    /// Lets closing it be a reset, which nobody takes for the end of the stream, and which discards what is
    /// undelivered.
    pub fn reset_on_close(&self) {
        if let Some(layer) = &self.layer {
            layer.abort();
        } else {
            let _ = socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
        }
    }

    /// How much that is cannot be known here.
    #[must_use]
    pub fn undelivered(&self) -> Option<usize> {
        None
    }

    /// Waits until all that was written has reached standard output. Anything else needs no waiting.
    ///
    /// # Errors
    /// Standard output could not be written; `BrokenPipe` if whoever reads it has left.
    pub fn finish(self) -> io::Result<()> {
        let Some(carrier) = self.carrier else { return Ok(()) };
        let _ = self.socket.shutdown(Shutdown::Write);
        let ended = carrier.join();
        match (self.failure.get(), ended) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(()),
            (None, Err(_)) => Err(io::Error::other("its thread failed")),
        }
    }

    /// Whether [`write`](Self::write) may be tried without asking [`poll`](super::poll()) first.
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

/// Why a thread ended before its time.
#[derive(Clone, Debug, Default)]
struct Failure(Arc<OnceLock<io::Error>>);

impl Failure {
    fn note(&self, result: io::Result<()>) {
        if let Err(error) = result {
            let _ = self.0.set(error);
        }
    }

    fn get(&self) -> Option<io::Error> {
        self.0.get().map(clone_io_error)
    }
}

/// A standard handle for bytes as they are: the library's own translates what a console takes and gives.
fn file(standard: &impl AsHandle) -> Option<File> {
    let handle = standard.as_handle();
    // Both mean that there is none. Neither may be duplicated: the second would become this process itself.
    if handle.as_raw_handle().is_null() || handle.as_raw_handle() == INVALID_HANDLE_VALUE {
        return None;
    }
    handle.try_clone_to_owned().ok().map(File::from)
}

fn carry(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&chunk[..count])?,
            // The writer's end of a pipe is closed: its end.
            Err(error) if is_broken_pipe(&error) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The other end of a pipe is closed, or was disconnected.
fn is_broken_pipe(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(i32::cast_unsigned);
    error.kind() == io::ErrorKind::BrokenPipe || code == Some(ERROR_PIPE_NOT_CONNECTED)
}
