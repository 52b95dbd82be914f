//! The far side of a relay: targets, and proxies that become the target after the handshake.
//!
//! No second relay is involved, so a tunnel through a proxy can be compared with a direct
//! connection.

mod echo;
mod ready;
mod service;
mod sessions;
mod standing;
mod tls;

use std::io::{self, BufReader, PipeWriter, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};

use crate::competitors::Route;
use crate::flow::Flow;
use crate::proxy::{self, NO_AUTHENTICATION, SOCKS5_GRANTED};
pub(crate) use echo::EchoSessions;
use service::serve;
pub(crate) use service::{GREETING, Service, hello_back};
pub(crate) use sessions::Sessions;
pub(crate) use standing::Standing;

/// A target for one connection, on its own thread.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    thread: JoinHandle<io::Result<Flow>>,
    /// Dropping this end of a pipe releases the target: its thread stops waiting and ends.
    release: PipeWriter,
}

impl Target {
    /// Starts a target that is reachable through this route.
    pub(crate) fn start(route: Route, service: Service) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (released, release) = io::pipe()?;
        let thread = thread::spawn(move || {
            // Stop waiting for a client if the target is released first.
            let waits = &mut [PollFd::new(&listener, PollFlags::IN), PollFd::new(&released, PollFlags::IN)];
            poll(waits, None)?;
            if waits[0].revents().is_empty() {
                return Ok(Flow::default());
            }
            let (mut stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            accept_tunnel(route, &mut stream)?;
            serve(service, stream, &released)
        });
        Ok(Self { address, thread, release })
    }

    /// Releases the target and returns what it received. Errors are ignored, because the other end
    /// reports them better.
    pub(crate) fn finish(self) -> Flow {
        drop(self.release);
        self.thread.join().expect("a target thread does not panic").unwrap_or_default()
    }
}

/// Grants any tunnel that the client requests.
fn accept_tunnel(route: Route, stream: &mut TcpStream) -> io::Result<()> {
    match route {
        Route::Direct => Ok(()),
        // Only `EchoSessions` have targets that speak TLS.
        Route::Tls => Err(io::ErrorKind::Unsupported.into()),
        Route::Socks5 => {
            proxy::select_method(stream, NO_AUTHENTICATION)?;
            proxy::read_socks5_request(stream)?;
            stream.write_all(&SOCKS5_GRANTED)
        }
        Route::Http => {
            // The buffer cannot swallow tunnel data, because the client sends none before the
            // response.
            proxy::read_head(&mut BufReader::with_capacity(1024, &*stream))?;
            stream.write_all(b"HTTP/1.0 200 Connection established\r\n\r\n")
        }
    }
}
