//! The path of a UNIX-domain socket that listens: creates it, and removes it again.
//!
//! Several processes may use the same path. Each of them holds a lock on the directory while it
//! checks the path and changes it.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

/// Time limit for locking a directory. Other processes hold the lock for less than a millisecond.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Delay between two attempts to get the lock.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(10);

/// Identifies a socket in the file system: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64, u64);

/// Listens on a socket that only the user can connect to. Replaces a socket left behind by a dead
/// process. Also returns the socket's identity, for [`remove`]; `None` if it has vanished already.
pub(super) fn bind(path: &Path) -> io::Result<(UnixListener, Option<Identity>)> {
    let _lock = lock_directory(path)?;
    let listener = match bind_private(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            fs::remove_file(path)?;
            bind_private(path)?
        }
        result => result?,
    };
    Ok((listener, identity(path)))
}

/// Removes a socket that [`bind`] created, unless another file is at its path by now. The socket
/// must still be open: otherwise another one might have the same identity.
pub(super) fn remove(path: &Path, created: Identity) {
    let _lock = lock_directory(path);
    if identity(path) == Some(created) {
        let _ = fs::remove_file(path);
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let data = fs::symlink_metadata(path).ok()?;
    Some(Identity(data.dev(), data.ino()))
}

/// Locks the directory of a path until the result is dropped. Leaves no lock file behind. Returns
/// `None` if the directory cannot be locked: it may be unreadable, or on a file system without
/// locks.
fn lock_directory(path: &Path) -> io::Result<Option<OwnedFd>> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::open(parent.unwrap_or(Path::new(".")), flags, Mode::empty());
    let Ok(directory) = parent else { return Ok(None) };
    let started = Instant::now();
    loop {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(directory)),
            Err(Errno::WOULDBLOCK) if started.elapsed() < LOCK_TIMEOUT => thread::sleep(LOCK_RETRY_DELAY),
            Err(Errno::WOULDBLOCK) => {
                let cause = "another process has locked its directory";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, cause));
            }
            Err(_) => return Ok(None),
        }
    }
}

/// Binds a socket with mode 0600. The umask belongs to the whole process, so this must be called
/// before other threads start.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    bound
}

/// Returns `true` if the path is a socket on which no process listens. Does not block: if the
/// listener's backlog is full, connect(2) returns `EAGAIN`.
fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    is_socket && connect().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
