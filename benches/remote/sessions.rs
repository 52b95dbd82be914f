//! Many sessions through one listener, with both ends of each session in this process.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::net::{RecvFlags, recv};

use crate::flow::{CHUNK, Flow, ready_within};

/// How long to wait for a new session, or for progress in any session.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Sessions {
    listener: TcpListener,
    clients: Vec<TcpStream>,
    targets: Vec<TcpStream>,
}

impl Sessions {
    pub(crate) fn new() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        Ok(Self { listener, clients: Vec::new(), targets: Vec::new() })
    }

    /// Returns the address of the target.
    pub(crate) fn target(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Adds this client's session. Passes one byte through the session, so that the relay allocates
    /// all resources for it.
    pub(crate) fn add(&mut self, mut client: TcpStream) -> io::Result<()> {
        if !ready_within(&self.listener, TIMEOUT) {
            return Err(io::Error::other(format!(
                "session {} does not reach the target",
                self.targets.len() + 1
            )));
        }
        let (mut target, _) = self.listener.accept()?;
        target.write_all(b"!")?;
        client.set_read_timeout(Some(TIMEOUT))?;
        client.read_exact(&mut [0])?;
        target.set_nonblocking(true)?;
        client.set_nonblocking(true)?;
        self.clients.push(client);
        self.targets.push(target);
        Ok(())
    }

    /// Moves this many bytes from the targets to the clients, an equal share in each session.
    pub(crate) fn move_down(&mut self, bytes: u64) -> io::Result<Flow> {
        let share = bytes / self.clients.len() as u64;
        let (clients, targets) = (&self.clients, &self.targets);
        thread::scope(|scope| {
            let chunk = vec![b'.'; CHUNK];
            scope.spawn(move || {
                move_share(targets, epoll::EventFlags::OUT, share, |mut target, left| {
                    let piece = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
                    target.write(&chunk[..piece])
                })
            });
            let mut buffer = vec![0; 1 << 20];
            let started = Instant::now();
            move_share(clients, epoll::EventFlags::IN, share, |client, _| {
                Ok(recv(client, &mut buffer[..], RecvFlags::TRUNC)?.1)
            })?;
            Ok(Flow { bytes: share * clients.len() as u64, elapsed: started.elapsed() })
        })
    }
}

/// Calls `step` for each stream that is ready, until each has moved its share of the bytes.
fn move_share(
    streams: &[TcpStream],
    ready: epoll::EventFlags,
    share: u64,
    mut step: impl FnMut(&TcpStream, u64) -> io::Result<usize>,
) -> io::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (index, stream) in streams.iter().enumerate() {
        epoll::add(&epoll, stream.as_fd(), epoll::EventData::new_u64(index as u64), ready)?;
    }
    let mut left = vec![share; streams.len()];
    let mut unfinished = streams.len();
    let mut events = Vec::with_capacity(streams.len());
    while unfinished > 0 {
        events.clear();
        let timeout = TIMEOUT.try_into().ok();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref())?;
        if events.is_empty() {
            return Err(io::Error::other(format!("no progress in {unfinished} sessions")));
        }
        for event in &events {
            let index = usize::try_from(event.data.u64()).expect("an index of `streams`");
            match step(&streams[index], left[index]) {
                Ok(0) => return Err(io::Error::other("a session ended early")),
                Ok(length) => left[index] -= length as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if left[index] == 0 {
                epoll::delete(&epoll, &streams[index])?;
                unfinished -= 1;
            }
        }
    }
    Ok(())
}
