//! A stream of bytes on a descriptor that is read and written without ever waiting.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use socket2::{Domain, SockAddr, Socket, Type};

use super::entry;
use crate::sys::layer::LayerHandle;

/// What stands ready in standard input can be read at once.
pub const STDIN_SETTLE_TIME: Duration = Duration::ZERO;

/// One end of a relay. No operation waits, provided that [`poll`](super::poll()) has reported the descriptor ready.
///
/// `O_NONBLOCK` is never set on an inherited descriptor: it belongs to the open file, which is shared with the
/// shell and with everyone else who has it.
#[derive(Debug)]
pub struct Channel {
    fd: Fd,
    kind: Kind,
    /// Found out when there is something to write: a relay by splice(2) never writes.
    writer: OnceLock<Writer>,
    /// How many bytes have been read from it.
    taken: AtomicU64,
    /// The other end has been told that there is no more.
    shut: AtomicBool,
    /// What it is the upper end of. It is the last field: when it goes, the descriptor is closed.
    layer: Option<Box<LayerHandle>>,
}

#[derive(Debug)]
enum Fd {
    Standard(BorrowedFd<'static>),
    Owned(OwnedFd),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Each call can say that it must not wait.
    Socket,
    Pipe,
    /// A terminal or another device.
    Device,
    /// Always ready.
    File,
}

/// How to write without waiting.
#[derive(Debug)]
struct Writer {
    /// A description of our own.
    own: Option<OwnedFd>,
    /// Writing more than `PIPE_BUF` bytes may wait though there is room for some.
    may_wait: bool,
}

impl Channel {
    /// Standard input, or `None` if the program was started with it closed.
    ///
    /// # Errors
    /// The descriptor cannot be examined.
    pub fn stdin() -> io::Result<Option<Self>> {
        entry::was_open(0).then(|| Self::standard(rustix::stdio::stdin())).transpose()
    }

    /// Standard output, or `None` if the program was started with it closed.
    ///
    /// # Errors
    /// The descriptor cannot be examined.
    pub fn stdout() -> io::Result<Option<Self>> {
        if !entry::was_open(1) {
            return Ok(None);
        }
        Self::standard(rustix::stdio::stdout()).map(Some)
    }

    /// A connected socket of our own. It should be non-blocking: splice(2) cannot be told for each call, as others can.
    #[must_use]
    pub fn socket(stream: impl Into<OwnedFd>) -> Self {
        Self::new(Fd::Owned(stream.into()), Kind::Socket)
    }

    fn new(fd: Fd, kind: Kind) -> Self {
        let (writer, taken, shut) = (OnceLock::new(), AtomicU64::new(0), AtomicBool::new(false));
        Self { fd, kind, writer, taken, shut, layer: None }
    }

    /// Its bytes come from a layer and go there.
    pub(in crate::sys) fn with_layer(self, layer: LayerHandle) -> Self {
        Self { layer: Some(Box::new(layer)), ..self }
    }

    pub(super) fn count_read(&self, count: u64) {
        self.taken.fetch_add(count, Ordering::Relaxed);
    }

    /// Connects to a UNIX-domain socket.
    ///
    /// # Errors
    /// What connect(2) says; that it would block after so long if the listener takes nobody in.
    pub fn unix(path: &Path, patience: Option<Duration>) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // connect(2) waits as long as a write may. None at all would be any time.
        socket.set_write_timeout(patience.map(|patience| patience.max(Duration::from_millis(1))))?;
        socket.connect(&SockAddr::unix(path)?)?;
        socket.set_write_timeout(None)?;
        socket.set_nonblocking(true)?;
        Ok(Self::socket(socket))
    }

    fn standard(fd: BorrowedFd<'static>) -> io::Result<Self> {
        let kind = match FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode) {
            FileType::Socket => Kind::Socket,
            FileType::Fifo => Kind::Pipe,
            FileType::CharacterDevice => Kind::Device,
            _ => Kind::File,
        };
        Ok(Self::new(Fd::Standard(fd), kind))
    }

    fn writer(&self) -> &Writer {
        self.writer.get_or_init(|| {
            let is_nonblocking =
                || rustix::fs::fcntl_getfl(self).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK));
            if matches!(self.kind, Kind::Socket | Kind::File) || is_nonblocking() {
                return Writer { own: None, may_wait: false };
            }
            let own = self.reopened();
            Writer { may_wait: own.is_none(), own }
        })
    }

    /// The same pipe or terminal opened anew for writing, where the system can do that: a description of our own, on
    /// which `O_NONBLOCK` hurts nobody. A write can then fill the whole pipe and not just `PIPE_BUF` bytes of it, and
    /// a terminal that is stopped does not stop us. Not for other devices: opening one can have effects of its own.
    #[cfg(target_os = "linux")]
    fn reopened(&self) -> Option<OwnedFd> {
        if self.kind != Kind::Pipe && !self.is_reopenable_terminal() {
            return None;
        }
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let path = format!("/proc/self/fd/{}", self.as_fd().as_raw_fd());
        rustix::fs::open(path, flags, Mode::empty()).ok()
    }

    /// The controlling side of a pseudo-terminal is among those of major 5: opening it makes another terminal.
    #[cfg(target_os = "linux")]
    fn is_reopenable_terminal(&self) -> bool {
        io::IsTerminal::is_terminal(&self.as_fd())
            && rustix::fs::fstat(self).is_ok_and(|status| rustix::fs::major(status.st_rdev) != 5)
    }

    /// Other systems copy the description.
    #[cfg(not(target_os = "linux"))]
    fn reopened(&self) -> Option<OwnedFd> {
        None
    }

    /// Reads what is there. No bytes are the end.
    ///
    /// # Errors
    /// What read(2) says; `WouldBlock` if nothing is there.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.kind {
            Kind::Socket => self.receive(buffer, RecvFlags::DONTWAIT)?,
            _ => rustix::io::read(self, buffer)?,
        };
        self.count_read(count as u64);
        Ok(count)
    }

    /// Looks at what is there, on a socket, and leaves it there. No bytes are the end.
    ///
    /// # Errors
    /// What recv(2) says; `WouldBlock` if nothing is there.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, RecvFlags::DONTWAIT | RecvFlags::PEEK)
    }

    fn receive(&self, buffer: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
        match rustix::net::recv(self, buffer, flags) {
            Ok((_, count @ 1..)) => Ok(count),
            Err(error @ (Errno::AGAIN | Errno::INTR)) => Err(error.into()),
            ended => {
                // A layer knows more about its end.
                self.layer.as_ref().and_then(|layer| layer.fault()).map_or(Ok(ended?.1), Err)
            }
        }
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// What write(2) says; `WouldBlock` if there is no room.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.kind == Kind::Socket {
            return match rustix::net::send(self, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => Ok(count),
                Err(error @ (Errno::AGAIN | Errno::INTR)) => Err(error.into()),
                Err(error) => {
                    Err(self.layer.as_ref().and_then(|layer| layer.fault()).unwrap_or(error.into()))
                }
            };
        }
        let writer = self.writer();
        let fd = writer.own.as_ref().map_or_else(|| self.as_fd(), OwnedFd::as_fd);
        let most = if writer.may_wait { rustix::pipe::PIPE_BUF } else { usize::MAX };
        Ok(rustix::io::write(fd, &bytes[..bytes.len().min(most)])?)
    }

    /// Tells the other end that no more will be written. Only a socket can.
    ///
    /// # Errors
    /// What shutdown(2) says.
    pub fn shut_down_writing(&self) -> io::Result<()> {
        rustix::net::shutdown(self, Shutdown::Write)?;
        self.shut.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Lets the other end's writes fail.
    pub(in crate::sys) fn shut_down_reading(&self) {
        // It fails if nobody is there.
        let _ = rustix::net::shutdown(self, Shutdown::Read);
    }

    /// What was wrong with the end that was just read, if it was none.
    #[must_use]
    pub fn fault(&self) -> Option<io::Error> {
        match &self.layer {
            Some(layer) => layer.fault(),
            None => self.was_reset().then(|| io::ErrorKind::ConnectionReset.into()),
        }
    }

    /// Whether a TCP connection whose end was just read has in fact been reset, unless this side was shut down: then it
    /// cannot be known. The system tells of that once, to whoever asks first, and splice(2) that has moved something before it
    /// meets a reset says nothing of it. What is left is a connection that is closed. A reset may also have come behind
    /// the end, to what was still being sent; the end itself the system counts as a byte that was received.
    #[cfg(target_os = "linux")]
    fn was_reset(&self) -> bool {
        /// As the kernel numbers the states.
        const CLOSED: u8 = 7;
        /// The start of its `tcp_info`, as far as it matters here.
        #[repr(C)]
        struct Info {
            state: u8,
            between: [u8; 127],
            received: u64,
        }
        /// How long that is.
        const LENGTH: libc::socklen_t = 136;
        if self.shut.load(Ordering::Relaxed) {
            return false;
        }
        let mut info = Info { state: 0, between: [0; 127], received: 0 };
        const { assert!(size_of::<Info>() == LENGTH as usize) };
        let mut length = LENGTH;
        // SAFETY: this option is a structure that begins like this one, and the system writes no more than `length`
        // bytes of it.
        let status = unsafe {
            let (fd, info) = (self.as_fd().as_raw_fd(), (&raw mut info).cast());
            libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, info, &raw mut length)
        };
        status == 0
            && length == LENGTH
            && info.state == CLOSED
            && info.received <= self.taken.load(Ordering::Relaxed)
    }

    /// Other systems have no splice(2), and their errors are known.
    #[cfg(not(target_os = "linux"))]
    fn was_reset(&self) -> bool {
        false
    }

    /// Lets closing it be a reset, which nobody takes for the end of the stream, and which discards what is
    /// [`undelivered`](Self::undelivered). Only a TCP socket can, and one that is inherited stays as it is.
    pub fn reset_on_close(&self) {
        if let Some(layer) = &self.layer {
            layer.abort();
        } else if let Fd::Owned(fd) = &self.fd {
            // Other sockets do not care.
            let _ = rustix::net::sockopt::set_socket_linger(fd, Some(Duration::ZERO));
        }
    }

    /// How many bytes were written to a socket that the other end's system does not have yet, where this can be known.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn undelivered(&self) -> Option<usize> {
        let mut count = 0;
        // SAFETY: this request writes one int.
        let status = unsafe { libc::ioctl(self.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
        let count = usize::try_from(count).ok().filter(|_| status == 0)?;
        Some(self.layer.as_ref().map_or(count, |layer| layer.undelivered(count)))
    }

    /// Other systems do not tell.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn undelivered(&self) -> Option<usize> {
        None
    }

    /// Waits until all that was written has reached standard output. Here it has.
    ///
    /// # Errors
    /// None on Unix.
    pub fn finish(self) -> io::Result<()> {
        Ok(())
    }

    /// Whether [`write`](Self::write) may be tried without asking [`poll`](super::poll()) first.
    #[must_use]
    pub fn can_write_unpolled(&self) -> bool {
        !self.writer().may_wait
    }

    /// A pipe. For splice(2) it does not matter whose it is.
    #[cfg(target_os = "linux")]
    pub(super) fn is_pipe(&self) -> bool {
        self.kind == Kind::Pipe
    }

    /// A socket that is known to be non-blocking.
    #[cfg(target_os = "linux")]
    pub(super) fn is_own_socket(&self) -> bool {
        self.kind == Kind::Socket && matches!(self.fd, Fd::Owned(_))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Fd::Standard(fd) => *fd,
            Fd::Owned(fd) => fd.as_fd(),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::sys::{poll, watch};

    /// A channel from which five bytes were read, the last ones before what its other end does now.
    fn greeted(then: impl FnOnce(TcpStream)) -> Channel {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        far.write_all(b"hello").unwrap();
        near.set_nonblocking(true).unwrap();
        let near = Channel::socket(near);
        poll(&mut [watch(&near, true, false)], None).unwrap();
        assert_eq!(near.read(&mut [0; 9]).unwrap(), 5);
        then(far);
        poll(&mut [watch(&near, true, false)], None).unwrap();
        near
    }

    /// Writes until the system has told that nobody takes it, so that reading only tells of an end.
    fn told_when_writing(near: &Channel) -> io::ErrorKind {
        let error = loop {
            if let Err(error) = near.write(b"x") {
                break error.kind();
            }
            std::thread::yield_now();
        };
        assert_eq!(near.read(&mut [0; 9]).unwrap(), 0);
        error
    }

    #[test]
    fn a_reset_that_only_writing_was_told_of_is_one() {
        let near = greeted(|far| {
            Channel::socket(far).reset_on_close();
        });
        assert_eq!(told_when_writing(&near), io::ErrorKind::ConnectionReset);
        assert!(near.was_reset());
    }

    /// The other end closed in good order, and what was still sent to it was answered by a reset.
    #[test]
    fn a_reset_behind_the_end_was_taken_for_a_reset_before_it() {
        let near = greeted(drop);
        assert_eq!(told_when_writing(&near), io::ErrorKind::BrokenPipe);
        assert!(!near.was_reset());
    }

    #[test]
    fn an_end_is_no_reset() {
        let near = greeted(drop);
        assert_eq!(near.read(&mut [0; 9]).unwrap(), 0);
        assert!(!near.was_reset());
    }
}
