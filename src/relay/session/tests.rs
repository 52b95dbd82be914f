//! Tests a session in-process, over loopback connections.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use super::*;
use crate::plan::Target;

const READY: Ready = Ready { read: true, write: true, gone: false };

/// The channels of a stdio session, and the streams at their other ends.
struct Ends {
    channels: PerChannel<Channel>,
    streams: PerChannel<TcpStream>,
    peer: Peer,
    pool: Pool,
}

impl Ends {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let pairs = PerChannel::<()>::default().map(|()| {
            let stream = TcpStream::connect(address).unwrap();
            let (channel, _) = listener.accept().unwrap();
            channel.set_nonblocking(true).unwrap();
            (Channel::socket(channel), stream)
        });
        let peer = Peer::target(&Target::Unix("somewhere".into()));
        let PerChannel { input, remote, output } = pairs;
        Self {
            channels: PerChannel { input: input.0, remote: remote.0, output: output.0 },
            streams: PerChannel { input: input.1, remote: remote.1, output: output.1 },
            peer,
            pool: Pool::default(),
        }
    }

    fn session(&self, settings: RelaySettings) -> Session<'_> {
        let PerChannel { input, remote, output } = &self.channels;
        let ends = [Some(input), Some(output)];
        Session::new(LocalEnd::Stdio, ends, remote, &self.peer, settings, &self.pool)
    }
}

fn wait_to_read(channel: &Channel) {
    sys::poll(&mut [sys::watch(channel, true, false)], None).unwrap();
}

#[test]
fn a_channel_that_is_not_ready_after_all_blocks_nothing() {
    let ends = Ends::new();
    let mut session = ends.session(RelaySettings::default());
    session.on_ready(PerChannel { input: READY, remote: READY, output: READY });
    assert!(!session.is_closed());
    let interest = session.interest();
    assert!(interest.input.unwrap().read && interest.remote.unwrap().read);
    assert_eq!(session.timeout(), None);
}

#[test]
fn after_eof_from_the_remote_the_first_pause_ends_the_session() {
    let mut ends = Ends::new();
    ends.streams.remote.shutdown(Shutdown::Write).unwrap();
    ends.streams.input.write_all(b"late").unwrap();
    wait_to_read(&ends.channels.remote);
    wait_to_read(&ends.channels.input);
    let mut session = ends.session(RelaySettings::default());
    session.on_ready(PerChannel { remote: READY, ..PerChannel::default() });
    assert!(session.interest().input.unwrap().read, "input that is available is still sent");
    assert_eq!(session.timeout(), Some(sys::STDIN_SETTLE_TIME));
    session.on_ready(PerChannel { input: READY, remote: READY, ..PerChannel::default() });
    assert_eq!(session.timeout(), Some(LATE_INPUT_GRACE + sys::STDIN_SETTLE_TIME));
    session.on_timeout();
    assert!(session.is_closed());
    session.into_result().0.unwrap();
    let mut late = [0; 4];
    ends.streams.remote.read_exact(&mut late).unwrap();
    assert_eq!(&late, b"late");
}

#[test]
fn the_idle_timeout_bounds_every_poll_and_ends_the_session() {
    let ends = Ends::new();
    let idle = Duration::from_millis(20);
    let mut session = ends.session(RelaySettings { idle: Some(idle), ..RelaySettings::default() });
    assert!(session.timeout().unwrap() <= idle);
    std::thread::sleep(idle);
    session.on_timeout();
    assert!(session.is_closed());
    assert!(matches!(session.into_result().0, Err(Error::Idle { limit, .. }) if limit == idle));
}

/// The remote reads nothing, so some of the data sent to it cannot arrive.
#[cfg(target_os = "linux")]
#[test]
fn a_session_that_failed_polls_nothing_while_its_data_drains() {
    let ends = Ends::new();
    let idle = Duration::from_millis(20);
    while ends.channels.remote.write(&[0; 4096]).is_ok() {}
    let mut session = ends.session(RelaySettings { idle: Some(idle), ..RelaySettings::default() });
    std::thread::sleep(idle);
    session.on_timeout();
    assert!(!session.is_closed(), "reset at once");
    let interest = session.interest();
    assert!(interest.input.is_none() && interest.remote.is_none() && interest.output.is_none());
    assert_eq!(session.timeout(), Some(DRAIN_POLL_INTERVAL));
    // The idle timeout is shorter than the stall timeout, and therefore replaces it.
    while !session.is_closed() {
        std::thread::sleep(DRAIN_POLL_INTERVAL);
        session.on_timeout();
    }
}
