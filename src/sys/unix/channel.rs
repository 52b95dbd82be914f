//! Byte streams on file descriptors, with non-blocking reads and writes.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::fs::Mode;
use rustix::fs::{FileType, OFlags};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{Ready, entry, poll, watch};

/// Time limit for available input to show up in poll. Zero on Unix, where poll watches the
/// descriptor itself.
pub const STDIN_SETTLE_TIME: Duration = Duration::ZERO;

/// One end of a relay. No operation blocks after [`poll`](super::poll()) has reported the
/// descriptor ready.
///
/// `O_NONBLOCK` is never set on an inherited descriptor. The flag belongs to the open file
/// description, which is shared with the shell and other processes.
#[derive(Debug)]
pub struct Channel {
    fd: Fd,
    kind: Kind,
    /// Initialized on the first write; a channel that only uses splice(2) never needs a writer.
    writer: OnceLock<Writer>,
    /// Number of bytes read so far.
    bytes_read: AtomicU64,
    /// The write side has been shut down.
    is_shut_down: AtomicBool,
}

#[derive(Debug)]
enum Fd {
    Standard(BorrowedFd<'static>),
    Owned(OwnedFd),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Supports `MSG_DONTWAIT`.
    Socket,
    Pipe,
    /// A terminal or another character device.
    Device,
    /// A regular file, which is always ready.
    File,
}

/// The method of writing without blocking.
#[derive(Debug)]
struct Writer {
    /// A non-blocking open file description of our own.
    own: Option<OwnedFd>,
    /// A write of more than `PIPE_BUF` bytes may block even after poll has reported room.
    may_block: bool,
}

/// Creates a pair of connected sockets.
///
/// # Errors
/// Descriptors are short.
pub fn channel_pair() -> io::Result<(Channel, Channel)> {
    let (one, other) = UnixStream::pair()?;
    one.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    Ok((Channel::socket(one), Channel::socket(other)))
}

impl Channel {
    /// Returns standard input, or `None` if it was closed at program start.
    ///
    /// # Errors
    /// fstat(2) failed.
    pub fn stdin() -> io::Result<Option<Self>> {
        entry::was_open(0).then(|| Self::standard(rustix::stdio::stdin())).transpose()
    }

    /// Returns standard output, or `None` if it was closed at program start.
    ///
    /// # Errors
    /// fstat(2) failed.
    pub fn stdout() -> io::Result<Option<Self>> {
        if !entry::was_open(1) {
            return Ok(None);
        }
        Self::standard(rustix::stdio::stdout()).map(Some)
    }

    /// Returns standard error, or `None` if it was closed at program start.
    ///
    /// # Errors
    /// fstat(2) failed.
    #[cfg(feature = "ssh")]
    pub fn stderr() -> io::Result<Option<Self>> {
        entry::was_open(2).then(|| Self::standard(rustix::stdio::stderr())).transpose()
    }

    /// Creates a channel on a connected socket of our own. The socket should be non-blocking,
    /// because splice(2) has no flag like `MSG_DONTWAIT` for sockets.
    #[must_use]
    pub fn socket(stream: impl Into<OwnedFd>) -> Self {
        Self::new(Fd::Owned(stream.into()), Kind::Socket)
    }

    fn new(fd: Fd, kind: Kind) -> Self {
        let (writer, bytes_read) = (OnceLock::new(), AtomicU64::new(0));
        Self { fd, kind, writer, bytes_read, is_shut_down: AtomicBool::new(false) }
    }

    /// Counts bytes that splice(2) moved out of the channel.
    pub(super) fn count_read(&self, count: u64) {
        self.bytes_read.fetch_add(count, Ordering::Relaxed);
    }

    /// Connects to a UNIX-domain socket.
    ///
    /// # Errors
    /// connect(2) failed. `WouldBlock` means that the listener's backlog was full until `timeout`
    /// expired.
    pub fn unix(path: &Path, timeout: Option<Duration>) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // The send timeout applies to connect(2), too. A timeout of zero would mean no timeout.
        socket.set_write_timeout(timeout.map(|timeout| timeout.max(Duration::from_millis(1))))?;
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
                return Writer { own: None, may_block: false };
            }
            let own = self.reopen();
            Writer { may_block: own.is_none(), own }
        })
    }

    /// Reopens the pipe or terminal for writing, with `O_NONBLOCK`. Returns `None` if that is not
    /// possible.
    ///
    /// The new open file description is ours alone, so the flag affects no other process. A write
    /// can fill the whole pipe instead of stopping after `PIPE_BUF` bytes, and a terminal stopped
    /// by Ctrl-S does not block us. Other devices are not reopened, because opening one can have
    /// side effects.
    #[cfg(target_os = "linux")]
    fn reopen(&self) -> Option<OwnedFd> {
        if self.kind != Kind::Pipe && !self.is_reopenable_terminal() {
            return None;
        }
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let path = format!("/proc/self/fd/{}", self.as_fd().as_raw_fd());
        rustix::fs::open(path, flags, Mode::empty()).ok()
    }

    /// Returns `true` for a terminal unless its major device number is 5: opening `/dev/ptmx`, the
    /// controlling side of a pseudo-terminal, would create another terminal.
    #[cfg(target_os = "linux")]
    fn is_reopenable_terminal(&self) -> bool {
        io::IsTerminal::is_terminal(&self.as_fd())
            && rustix::fs::fstat(self).is_ok_and(|status| rustix::fs::major(status.st_rdev) != 5)
    }

    /// Returns `None`: on other systems, opening a file in `/dev/fd` does not create a new open
    /// file description.
    #[cfg(not(target_os = "linux"))]
    fn reopen(&self) -> Option<OwnedFd> {
        None
    }

    /// Reads available bytes. Returns 0 at EOF.
    ///
    /// # Errors
    /// read(2) failed; `WouldBlock` if nothing is available.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.kind {
            Kind::Socket => self.receive(buffer, RecvFlags::DONTWAIT)?,
            _ => rustix::io::read(self, buffer)?,
        };
        self.count_read(count as u64);
        Ok(count)
    }

    /// Peeks at available bytes of a socket. Returns 0 at EOF.
    ///
    /// # Errors
    /// recv(2) failed; `WouldBlock` if nothing is available.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, RecvFlags::DONTWAIT | RecvFlags::PEEK)
    }

    fn receive(&self, buffer: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
        Ok(rustix::net::recv(self, buffer, flags)?.1)
    }

    /// Returns `true` if the peer has disconnected for good: the connection was reset, or the peer
    /// closed a UNIX-domain socket and left no data to read. A half-closed connection is not
    /// broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        let mut watches = [watch(self, false, false)];
        if poll(&mut watches, Some(Duration::ZERO)).is_err() || !Ready::from_watch(&watches[0]).gone {
            return false;
        }
        // Some systems report a half-close as a hang-up. Only a reset removes the peer's address.
        match rustix::net::getpeername(self) {
            Ok(Some(peer)) if peer.address_family() != AddressFamily::UNIX => false,
            Ok(_) => !matches!(self.peek(&mut [0; 1]), Ok(1..)),
            Err(_) => true,
        }
    }

    /// Writes as many bytes as there is room for.
    ///
    /// # Errors
    /// write(2) failed; `WouldBlock` if there is no room.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.kind == Kind::Socket {
            return Ok(rustix::net::send(self, bytes, SendFlags::DONTWAIT)?);
        }
        let writer = self.writer();
        let fd = writer.own.as_ref().map_or_else(|| self.as_fd(), OwnedFd::as_fd);
        let limit = if writer.may_block { rustix::pipe::PIPE_BUF } else { usize::MAX };
        Ok(rustix::io::write(fd, &bytes[..bytes.len().min(limit)])?)
    }

    /// Half-closes a socket: the peer reads EOF after the data already written.
    ///
    /// # Errors
    /// shutdown(2) failed.
    pub fn shut_down_writing(&self) -> io::Result<()> {
        rustix::net::shutdown(self, Shutdown::Write)?;
        self.is_shut_down.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the error hidden by an EOF, if the connection was in fact reset. `None` if the EOF
    /// is genuine. Call this after a read has returned EOF.
    #[must_use]
    pub fn fault(&self) -> Option<io::Error> {
        self.was_reset().then(|| io::ErrorKind::ConnectionReset.into())
    }

    /// Returns `true` if a TCP connection was in fact reset when a read from it returned EOF.
    /// Always `false` after [`shut_down_writing`](Self::shut_down_writing), because a reset and a
    /// genuine EOF look alike then.
    ///
    /// The kernel reports a reset once, to the first call that asks. A splice(2) that moves some
    /// bytes before it encounters the reset never reports it. Then only the connection's state,
    /// `TCP_CLOSE`, shows the reset. A reset that came after a genuine FIN leaves the same state.
    /// In that case, the kernel's count of received bytes is one higher than ours, because it
    /// includes the FIN.
    #[cfg(target_os = "linux")]
    fn was_reset(&self) -> bool {
        /// `TCP_CLOSE` in the kernel's `tcp_states.h`.
        const CLOSED: u8 = 7;
        /// The first fields of `struct tcp_info`, up to `tcpi_bytes_received`.
        #[repr(C)]
        struct Info {
            state: u8,
            between: [u8; 127],
            bytes_received: u64,
        }
        const LENGTH: libc::socklen_t = 136;
        if self.is_shut_down.load(Ordering::Relaxed) {
            return false;
        }
        let mut info = Info { state: 0, between: [0; 127], bytes_received: 0 };
        const { assert!(size_of::<Info>() == LENGTH as usize) };
        let mut length = LENGTH;
        // SAFETY: the option's structure begins with these fields, and the kernel writes at most
        // `length` bytes.
        let status = unsafe {
            let (fd, info) = (self.as_fd().as_raw_fd(), (&raw mut info).cast());
            libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, info, &raw mut length)
        };
        status == 0
            && length == LENGTH
            && info.state == CLOSED
            && info.bytes_received <= self.bytes_read.load(Ordering::Relaxed)
    }

    /// Returns `false`: without splice(2), every reset is reported as an error.
    #[cfg(not(target_os = "linux"))]
    fn was_reset(&self) -> bool {
        false
    }

    /// Makes closing this channel reset the connection, so that the peer does not mistake the close
    /// for a clean EOF. A reset discards all [`undelivered`](Self::undelivered) bytes.
    ///
    /// This works only for TCP sockets. Inherited sockets are left alone.
    pub fn reset_on_close(&self) {
        if let Fd::Owned(fd) = &self.fd {
            // Has no effect on other kinds of socket.
            let _ = rustix::net::sockopt::set_socket_linger(fd, Some(Duration::ZERO));
        }
    }

    /// Sets whether the connection is reset when the process ends without closing it: killed by a
    /// signal, or for lack of memory. The peers then do not mistake that for a clean EOF. Closing
    /// the channel resets the connection, too, so turn this off before a clean close.
    ///
    /// This works only for TCP sockets: others cannot be reset.
    pub fn set_reset_on_exit(&self, reset: bool) {
        if let Fd::Owned(fd) = &self.fd {
            let _ = rustix::net::sockopt::set_socket_linger(fd, reset.then_some(Duration::ZERO));
        }
    }

    /// Returns the number of written bytes that the peer has not acknowledged. `None` if the kernel
    /// does not report that for this channel.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn undelivered(&self) -> Option<usize> {
        let mut count = 0;
        // SAFETY: this request writes one int.
        let status = unsafe { libc::ioctl(self.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
        usize::try_from(count).ok().filter(|_| status == 0)
    }

    /// Returns `None`: only Linux reports undelivered bytes.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn undelivered(&self) -> Option<usize> {
        None
    }

    /// Flushes standard output. A no-op here, because writes are not buffered.
    ///
    /// # Errors
    /// Never fails on Unix.
    pub fn finish(self) -> io::Result<()> {
        Ok(())
    }

    /// Returns `true` if [`write`](Self::write) never blocks, even if [`poll`](super::poll()) was
    /// not called first.
    #[must_use]
    pub fn can_write_unpolled(&self) -> bool {
        !self.writer().may_block
    }

    /// Returns `true` for pipes. Even inherited pipes can be spliced, because `SPLICE_F_NONBLOCK`
    /// applies to any pipe.
    #[cfg(target_os = "linux")]
    pub(super) fn is_pipe(&self) -> bool {
        self.kind == Kind::Pipe
    }

    /// Returns `true` for sockets that we opened, which are non-blocking.
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
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::sys::{poll, watch};

    /// Connects a channel to a peer, reads five bytes, and passes the peer to `then`. Returns the
    /// channel once it is readable again.
    fn channel_whose_peer_does(then: impl FnOnce(TcpStream)) -> Channel {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"hello").unwrap();
        stream.set_nonblocking(true).unwrap();
        let channel = Channel::socket(stream);
        poll(&mut [watch(&channel, true, false)], None).unwrap();
        assert_eq!(channel.read(&mut [0; 9]).unwrap(), 5);
        then(peer);
        poll(&mut [watch(&channel, true, false)], None).unwrap();
        channel
    }

    /// Writes until the kernel reports an error, checks that a read then returns EOF, and returns
    /// the error.
    fn write_until_error(channel: &Channel) -> io::ErrorKind {
        let error = loop {
            if let Err(error) = channel.write(b"x") {
                break error.kind();
            }
            std::thread::yield_now();
        };
        assert_eq!(channel.read(&mut [0; 9]).unwrap(), 0);
        error
    }

    #[test]
    fn a_reset_reported_to_a_write_is_recognized_after_eof() {
        let channel = channel_whose_peer_does(|peer| Channel::socket(peer).reset_on_close());
        assert_eq!(write_until_error(&channel), io::ErrorKind::ConnectionReset);
        assert!(channel.was_reset());
    }

    /// The peer closes cleanly, and its kernel answers later data with a reset.
    #[test]
    fn a_reset_after_eof_was_taken_for_a_reset_before_it() {
        let channel = channel_whose_peer_does(drop);
        assert_eq!(write_until_error(&channel), io::ErrorKind::BrokenPipe);
        assert!(!channel.was_reset());
    }

    #[test]
    fn eof_is_not_a_reset() {
        let channel = channel_whose_peer_does(drop);
        assert_eq!(channel.read(&mut [0; 9]).unwrap(), 0);
        assert!(!channel.was_reset());
    }
}
