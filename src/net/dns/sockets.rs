//! The sockets on which a name server is asked.
//!
//! They are those of the library, with two things more. UDP sockets are connected, since only then does the system
//! report that nobody listens there and the user need not wait to learn it. And what the system says is remembered,
//! since the library loses it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioRuntimeProvider, TokioTime};
use tokio::io::{Interest, ReadBuf};
use tokio::net::UdpSocket;

use crate::error::os_message;

type Pending<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Makes sockets.
#[derive(Clone, Default)]
pub(super) struct Sockets {
    library: TokioRuntimeProvider,
    trouble: Trouble,
}

/// What the system said first.
#[derive(Clone, Default)]
struct Trouble(Arc<OnceLock<String>>);

impl Trouble {
    fn remember<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.0.get_or_init(|| os_message(error));
        }
        result
    }
}

impl Sockets {
    /// What the system said of the first socket that failed.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.0.get().map(String::as_str)
    }
}

impl RuntimeProvider for Sockets {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = TokioTime;
    type Udp = Connected;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.library.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        limit: Option<Duration>,
    ) -> Pending<Self::Tcp> {
        let connected = self.library.connect_tcp(server, local, limit);
        let trouble = self.trouble.clone();
        Box::pin(async move { trouble.remember(connected.await) })
    }

    fn bind_udp(&self, local: SocketAddr, peer: SocketAddr) -> Pending<Self::Udp> {
        let bound = self.library.bind_udp(local, peer);
        let trouble = self.trouble.clone();
        Box::pin(async move {
            // A port that is taken is no trouble: the library tries another.
            let socket = bound.await?;
            trouble.remember(socket.connect(peer).await)?;
            Ok(Connected { socket, peer, trouble })
        })
    }
}

/// A UDP socket with one peer.
pub(super) struct Connected {
    socket: UdpSocket,
    peer: SocketAddr,
    trouble: Trouble,
}

impl Connected {
    /// The error that the system reports; would-block if it has none after all.
    fn error(&self) -> io::Result<usize> {
        self.socket.try_io(Interest::ERROR, || {
            Err(self.socket.take_error()?.unwrap_or_else(|| io::ErrorKind::WouldBlock.into()))
        })
    }
}

#[async_trait]
impl DnsUdpSocket for Connected {
    type Time = TokioTime;

    /// Waits for an error too, which is no reason to wake up to whoever only reads.
    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            let ready = self.socket.ready(Interest::READABLE | Interest::ERROR).await?;
            let received = if ready.is_error() { self.error() } else { self.socket.try_recv(buffer) };
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return Ok((self.trouble.remember(received)?, self.peer)),
            }
        }
    }

    fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buffer = ReadBuf::new(buffer);
        let received = self.socket.poll_recv(context, &mut buffer);
        received.map_ok(|()| (buffer.filled().len(), self.peer))
    }

    fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        _: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_send(context, bytes).map(|sent| self.trouble.remember(sent))
    }
}
