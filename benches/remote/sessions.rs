//! Bulk data in many sessions of one listener, with both ends of each session in this process.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use rustix::net::{RecvFlags, recv};

use super::ready::{TIMEOUT, accept, do_shares};
use crate::flow::{CHUNK, Flow};

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
        let mut target = accept(&self.listener, self.targets.len() + 1)?;
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
        let (clients, targets) = (&mut self.clients, &mut self.targets);
        thread::scope(|scope| {
            let chunk = vec![b'.'; CHUNK];
            scope.spawn(move || {
                do_shares(targets, EventFlags::OUT, share, |_, target, left| {
                    let piece = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
                    target.write(&chunk[..piece])
                })
            });
            let mut buffer = vec![0; 1 << 20];
            let started = Instant::now();
            do_shares(clients, EventFlags::IN, share, |_, client, _| {
                Ok(recv(client, &mut buffer[..], RecvFlags::TRUNC)?.1)
            })?;
            Ok(Flow { bytes: share * clients.len() as u64, elapsed: started.elapsed() })
        })
    }
}
