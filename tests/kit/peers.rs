//! Ports that never accept a connection.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A loopback port that refuses connections. The port stays bound, so that no other process can use
/// it.
pub(crate) struct RefusingPort(Socket);

impl RefusingPort {
    pub(crate) fn new() -> Self {
        Self(bound())
    }

    pub(crate) fn port(&self) -> u16 {
        port(&self.0)
    }
}

/// A loopback port on which connection attempts hang, as they would behind a firewall that drops
/// packets.
pub(crate) struct SilentPort {
    listener: Socket,
    _backlog: Vec<Socket>,
}

impl SilentPort {
    /// Fills the backlog of a listener that never accepts, until a connection attempt hangs.
    pub(crate) fn new() -> Self {
        let listener = bound();
        listener.listen(0).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port(&listener))).into();
        let mut backlog = Vec::new();
        for _ in 0..64 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let waits = socket.connect_timeout(&address, std::time::Duration::from_millis(100));
            if waits.is_err() {
                return Self { listener, _backlog: backlog };
            }
            backlog.push(socket);
        }
        panic!("64 connections did not fill the backlog");
    }

    pub(crate) fn port(&self) -> u16 {
        port(&self.listener)
    }
}

fn bound() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket
}

fn port(socket: &Socket) -> u16 {
    socket.local_addr().unwrap().as_socket().unwrap().port()
}
