//! A stream of bytes on a descriptor that is read and written without ever waiting.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::net::{RecvFlags, SendFlags};

use super::startup;

/// One end of a relay. No operation waits, provided that [`poll`](super::poll()) has reported the descriptor ready.
///
/// `O_NONBLOCK` is never set on an inherited descriptor: it belongs to the open file, which is shared with the
/// shell and with everyone else who has it.
#[derive(Debug)]
pub struct Channel {
    fd: Fd,
    kind: Kind,
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
    /// `O_NONBLOCK` is set, or it is a file, which is always ready.
    NeverWaits,
    /// A pipe or a terminal: writing more than `PIPE_BUF` bytes may wait though there is room for some.
    MayWait,
}

impl Channel {
    /// Standard input, or `None` if the program was started with it closed.
    ///
    /// # Errors
    /// The descriptor cannot be examined.
    pub fn stdin() -> io::Result<Option<Self>> {
        startup::was_open(0).then(|| Self::standard(rustix::stdio::stdin())).transpose()
    }

    /// Standard output, or `None` if the program was started with it closed.
    ///
    /// # Errors
    /// The descriptor cannot be examined.
    pub fn stdout() -> io::Result<Option<Self>> {
        if !startup::was_open(1) {
            return Ok(None);
        }
        let channel = Self::standard(rustix::stdio::stdout())?;
        Ok(Some(channel.reopened().unwrap_or(channel)))
    }

    /// A connected socket.
    #[must_use]
    pub fn socket(stream: impl Into<OwnedFd>) -> Self {
        Self { fd: Fd::Owned(stream.into()), kind: Kind::Socket }
    }

    /// Connects to a UNIX-domain socket.
    ///
    /// # Errors
    /// What connect(2) says.
    pub fn unix(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).map(Self::socket)
    }

    fn standard(fd: BorrowedFd<'static>) -> io::Result<Self> {
        let kind = match FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode) {
            FileType::Socket => Kind::Socket,
            FileType::Fifo | FileType::CharacterDevice
                if !rustix::fs::fcntl_getfl(fd)?.contains(OFlags::NONBLOCK) =>
            {
                Kind::MayWait
            }
            _ => Kind::NeverWaits,
        };
        Ok(Self { fd: Fd::Standard(fd), kind })
    }

    /// The same pipe or terminal opened anew for writing, where the system can do that: a description of our own, on
    /// which `O_NONBLOCK` hurts nobody. A write can then fill the whole pipe and not just `PIPE_BUF` bytes of it, and
    /// a terminal that is stopped does not stop us. Not for other devices: opening one can have effects of its own.
    #[cfg(target_os = "linux")]
    fn reopened(&self) -> Option<Self> {
        if self.kind != Kind::MayWait {
            return None;
        }
        let status = rustix::fs::fstat(self).ok()?;
        // The controlling side of a pseudo-terminal is among those of major 5: opening it makes another terminal.
        let is_terminal =
            io::IsTerminal::is_terminal(&self.as_fd()) && rustix::fs::major(status.st_rdev) != 5;
        if FileType::from_raw_mode(status.st_mode) != FileType::Fifo && !is_terminal {
            return None;
        }
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let fd = rustix::fs::open("/proc/self/fd/1", flags, Mode::empty()).ok()?;
        Some(Self { fd: Fd::Owned(fd), kind: Kind::NeverWaits })
    }

    /// Other systems copy the description.
    #[cfg(not(target_os = "linux"))]
    fn reopened(&self) -> Option<Self> {
        None
    }

    /// Reads what is there. No bytes are the end.
    ///
    /// # Errors
    /// What read(2) says; `WouldBlock` if nothing is there.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(match self.kind {
            Kind::Socket => rustix::net::recv(self, buffer, RecvFlags::DONTWAIT)?.1,
            Kind::NeverWaits | Kind::MayWait => rustix::io::read(self, buffer)?,
        })
    }

    /// Looks at what is there, on a socket, and leaves it there. No bytes are the end.
    ///
    /// # Errors
    /// What recv(2) says; `WouldBlock` if nothing is there.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(self, buffer, RecvFlags::DONTWAIT | RecvFlags::PEEK)?.1)
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// What write(2) says; `WouldBlock` if there is no room.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(match self.kind {
            Kind::Socket => rustix::net::send(self, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?,
            Kind::NeverWaits => rustix::io::write(self, bytes)?,
            Kind::MayWait => rustix::io::write(self, &bytes[..bytes.len().min(rustix::pipe::PIPE_BUF)])?,
        })
    }

    /// Tells the other end that no more will be written. Only a socket can.
    ///
    /// # Errors
    /// What shutdown(2) says.
    pub fn shut_down_writing(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(self, rustix::net::Shutdown::Write)?)
    }

    /// Waits until all that was written has reached where it goes. Here it has.
    ///
    /// # Errors
    /// None on Unix.
    pub fn finish(self) -> io::Result<()> {
        Ok(())
    }

    /// Whether [`write`](Self::write) may be tried without asking [`poll`](super::poll()) first.
    #[must_use]
    pub fn never_waits(&self) -> bool {
        self.kind != Kind::MayWait
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
