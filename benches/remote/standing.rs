//! A target that serves any number of connections.

use std::io::{self, PipeWriter};
use std::net::TcpListener;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};

use super::service::{Service, serve};

/// A target for any number of connections. Dropping it closes its port.
pub(crate) struct Standing {
    pub(crate) port: u16,
    /// The thread exits when this end of a pipe closes.
    _release: PipeWriter,
}

impl Standing {
    pub(crate) fn start(service: Service) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let (released, release) = io::pipe()?;
        thread::spawn(move || -> io::Result<()> {
            loop {
                let waits =
                    &mut [PollFd::new(&listener, PollFlags::IN), PollFd::new(&released, PollFlags::IN)];
                poll(waits, None)?;
                if !waits[1].revents().is_empty() {
                    return Ok(());
                }
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                let released = released.try_clone()?;
                thread::spawn(move || serve(service, stream, &released));
            }
        });
        Ok(Self { port, _release: release })
    }
}
