//! Ports behind which nobody answers.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A port of loopback that refuses connections, and that nobody else gets meanwhile.
pub(crate) struct RefusingPort(Socket);

impl RefusingPort {
    pub(crate) fn new() -> Self {
        Self(bound())
    }

    pub(crate) fn port(&self) -> u16 {
        port(&self.0)
    }
}

/// A port of loopback where connecting hangs, as behind a firewall that drops packets.
pub(crate) struct SilentPort {
    listener: Socket,
    _queue: Vec<Socket>,
}

impl SilentPort {
    /// Fills the queue of a listener that accepts nobody, until one more has to wait.
    pub(crate) fn new() -> Self {
        let listener = bound();
        listener.listen(0).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port(&listener))).into();
        let mut queue = Vec::new();
        for _ in 0..64 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let waits = socket.connect_timeout(&address, std::time::Duration::from_millis(100));
            if waits.is_err() {
                return Self { listener, _queue: queue };
            }
            queue.push(socket);
        }
        panic!("the queue of a listener has no end here");
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
