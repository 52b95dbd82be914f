//! Many streams at once, on one thread.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::epoll;

use crate::flow::ready_within;

/// Time limit for a new session, and for progress in any session.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Accepts the next session. `number` is for the error message.
pub(super) fn accept(listener: &TcpListener, number: usize) -> io::Result<TcpStream> {
    if !ready_within(listener, TIMEOUT) {
        return Err(io::Error::other(format!("session {number} does not reach the target")));
    }
    Ok(listener.accept()?.0)
}

/// Calls `step` for each stream that is ready, until each has done its share. `step` gets the
/// stream's index, the stream and what is left of its share, and returns how much it has done; 0
/// means EOF.
pub(super) fn do_shares<S: AsFd>(
    streams: &mut [S],
    ready: epoll::EventFlags,
    share: u64,
    mut step: impl FnMut(usize, &mut S, u64) -> io::Result<usize>,
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
            match step(index, &mut streams[index], left[index]) {
                Ok(0) => return Err(io::Error::other("a session ended early")),
                Ok(done) => left[index] -= done as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if left[index] == 0 {
                epoll::delete(&epoll, streams[index].as_fd())?;
                unfinished -= 1;
            }
        }
    }
    Ok(())
}
