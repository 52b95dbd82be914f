//! The sockets for queries to a name server.
//!
//! These types wrap the library's sockets for two reasons. They connect UDP sockets, because the
//! kernel reports ECONNREFUSED only on those, which saves the user from waiting for a timeout. They
//! also keep the first system error, which the library discards.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioRuntimeProvider, TokioTime};
use socket2::{Domain, Socket, Type};
use tokio::io::{Interest, ReadBuf};
use tokio::net::{TcpSocket, UdpSocket};

use crate::error::os_message;
use crate::net::binding::Binding;

type Pending<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// A runtime provider that keeps the first error of the sockets it creates.
#[derive(Clone)]
pub(super) struct Sockets {
    library: TokioRuntimeProvider,
    first_error: FirstError,
    binding: Binding,
}

/// The first error that the system reported.
#[derive(Clone, Default)]
struct FirstError(Arc<OnceLock<String>>);

impl FirstError {
    /// Records the error if it is the first, and returns the result unchanged.
    fn record<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.0.get_or_init(|| os_message(error));
        }
        result
    }
}

impl Sockets {
    /// Creates sockets that are bound to `binding`.
    pub(super) fn new(binding: &Binding) -> Self {
        let (library, first_error) = (TokioRuntimeProvider::default(), FirstError::default());
        Self { library, first_error, binding: binding.clone() }
    }

    /// Creates a non-blocking socket for queries to `server`.
    fn socket(&self, server: SocketAddr, kind: Type, port: u16) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(server), kind, None)?;
        socket.set_nonblocking(true)?;
        self.binding.bind_with_port(&socket, server, port)?;
        Ok(socket)
    }

    /// Returns the first system error; `None` if no socket has failed.
    pub(super) fn first_error(&self) -> Option<&str> {
        self.first_error.0.get().map(String::as_str)
    }
}

impl RuntimeProvider for Sockets {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = TokioTime;
    type Udp = ConnectedUdp;
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
        let first_error = self.first_error.clone();
        if self.binding.is_any() {
            let connected = self.library.connect_tcp(server, local, limit);
            return Box::pin(async move { first_error.record(connected.await) });
        }
        let socket = self.socket(server, Type::STREAM, 0);
        Box::pin(async move {
            let connected = async {
                let socket = TcpSocket::from_std_stream(socket?.into());
                socket.set_nodelay(true)?;
                // The caller enforces the time limit.
                socket.connect(server).await
            };
            first_error.record(connected.await).map(AsyncIoTokioAsStd)
        })
    }

    fn bind_udp(&self, local: SocketAddr, peer: SocketAddr) -> Pending<Self::Udp> {
        // The library chooses a random port.
        let bound = self.socket(peer, Type::DGRAM, local.port());
        let first_error = self.first_error.clone();
        Box::pin(async move {
            // A failed bind is not recorded, because the library retries with another port.
            let socket = UdpSocket::from_std(bound?.into())?;
            first_error.record(socket.connect(peer).await)?;
            Ok(ConnectedUdp { socket, peer, first_error })
        })
    }
}

/// A connected UDP socket.
pub(super) struct ConnectedUdp {
    socket: UdpSocket,
    peer: SocketAddr,
    first_error: FirstError,
}

impl ConnectedUdp {
    /// Takes the socket's pending error; `WouldBlock` if there is none after all.
    fn error(&self) -> io::Result<usize> {
        self.socket.try_io(Interest::ERROR, || {
            Err(self.socket.take_error()?.unwrap_or_else(|| io::ErrorKind::WouldBlock.into()))
        })
    }
}

#[async_trait]
impl DnsUdpSocket for ConnectedUdp {
    type Time = TokioTime;

    /// Waits for errors too, because tokio does not report them to a task that waits only for data.
    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            let ready = self.socket.ready(Interest::READABLE | Interest::ERROR).await?;
            let received = if ready.is_error() { self.error() } else { self.socket.try_recv(buffer) };
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return Ok((self.first_error.record(received)?, self.peer)),
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
        self.socket.poll_send(context, bytes).map(|sent| self.first_error.record(sent))
    }
}
