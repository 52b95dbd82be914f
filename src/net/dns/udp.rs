//! UDP sockets that are connected to the name server.
//!
//! Only on those does the system report that nobody listens there, so that the user need not wait to learn it. The
//! library's own sockets are not connected.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioRuntimeProvider, TokioTime};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

type Pending<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// The library's sockets, but for those of UDP.
#[derive(Clone, Default)]
pub(super) struct Sockets(TokioRuntimeProvider);

/// A socket that speaks to one peer.
pub(super) struct Connected {
    socket: UdpSocket,
    peer: SocketAddr,
}

impl RuntimeProvider for Sockets {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = TokioTime;
    type Udp = Connected;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.0.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        limit: Option<Duration>,
    ) -> Pending<Self::Tcp> {
        self.0.connect_tcp(server, local, limit)
    }

    fn bind_udp(&self, local: SocketAddr, peer: SocketAddr) -> Pending<Self::Udp> {
        let bound = self.0.bind_udp(local, peer);
        Box::pin(async move {
            let socket = bound.await?;
            socket.connect(peer).await?;
            Ok(Connected { socket, peer })
        })
    }
}

impl DnsUdpSocket for Connected {
    type Time = TokioTime;

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
        self.socket.poll_send(context, bytes)
    }
}
