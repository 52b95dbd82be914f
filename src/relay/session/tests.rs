//! Tests a session in-process, over loopback connections.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use super::*;
use crate::plan::Target;
#[cfg(target_os = "linux")]
use crate::stream::Layered;
#[cfg(target_os = "linux")]
use crate::stream::testing::Frames;
use crate::sys::Channel;

const READY: Ready = Ready { read: true, write: true, gone: false };

/// A stdio session, and the streams at the other ends of its sockets.
struct Fixture {
    session: Session,
    streams: PerStream<TcpStream>,
    pool: Pool,
}

impl Fixture {
    fn new(settings: RelaySettings) -> Self {
        Self::with(settings, |_| {})
    }

    /// Lets `prepare` use the connection to the remote before the session starts.
    fn with(settings: RelaySettings, prepare: impl FnOnce(&Channel)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let [input, remote, output] = [(); 3].map(|()| {
            let stream = TcpStream::connect(address).unwrap();
            let (channel, _) = listener.accept().unwrap();
            channel.set_nonblocking(true).unwrap();
            (Channel::socket(channel), stream)
        });
        prepare(&remote.0);
        let local = LocalEnd::Stdio { input: Some(input.0), output: Some(output.0) };
        let peer = Peer::target(&Target::Unix("somewhere".into()));
        Self {
            session: Session::new(local, Box::new(remote.0), peer, settings),
            streams: PerStream { input: input.1, remote: remote.1, output: output.1 },
            pool: Pool::default(),
        }
    }
}

fn wait_to_read(stream: Option<&(dyn Stream + 'static)>) {
    let channel = stream.unwrap().as_channel().unwrap();
    sys::poll(&mut [sys::watch(channel, true, false)], None).unwrap();
}

#[test]
fn a_stream_that_is_not_ready_after_all_blocks_nothing() {
    let Fixture { mut session, streams: _streams, pool } = Fixture::new(RelaySettings::default());
    session.on_ready(PerStream { input: READY, remote: READY, output: READY }, &pool);
    assert!(!session.is_closed());
    let interest = session.interest();
    assert!(interest.input.read && interest.remote.read);
    assert_eq!(session.timeout(), None);
}

#[test]
fn after_eof_from_the_remote_the_first_pause_ends_the_session() {
    let Fixture { mut session, mut streams, pool } = Fixture::new(RelaySettings::default());
    streams.remote.shutdown(Shutdown::Write).unwrap();
    streams.input.write_all(b"late").unwrap();
    wait_to_read(Some(&*session.remote));
    wait_to_read(session.local.input());
    session.on_ready(PerStream { remote: READY, ..PerStream::default() }, &pool);
    assert!(session.interest().input.read, "input that is available is still sent");
    assert_eq!(session.timeout(), Some(sys::STDIN_SETTLE_TIME));
    session.on_ready(PerStream { input: READY, remote: READY, ..PerStream::default() }, &pool);
    assert_eq!(session.timeout(), Some(LATE_INPUT_GRACE + sys::STDIN_SETTLE_TIME));
    session.on_timeout();
    assert!(session.is_closed());
    session.into_outcome().result.unwrap();
    let mut late = [0; 4];
    streams.remote.read_exact(&mut late).unwrap();
    assert_eq!(&late, b"late");
}

#[test]
fn the_idle_timeout_bounds_every_poll_and_ends_the_session() {
    let idle = Duration::from_millis(20);
    let settings = RelaySettings { idle: Some(idle), ..RelaySettings::default() };
    let Fixture { mut session, streams: _streams, .. } = Fixture::new(settings);
    assert!(session.timeout().unwrap() <= idle);
    std::thread::sleep(idle);
    session.on_timeout();
    assert!(session.is_closed());
    assert!(matches!(session.into_outcome().result, Err(Error::Idle { limit, .. }) if limit == idle));
}

/// The remote reads nothing, so some of the data sent to it cannot arrive.
#[cfg(target_os = "linux")]
#[test]
fn a_session_that_failed_polls_nothing_while_its_data_drains() {
    let idle = Duration::from_millis(20);
    let settings = RelaySettings { idle: Some(idle), ..RelaySettings::default() };
    let fixture = Fixture::with(settings, |remote| while remote.write(&[0; 4096]).is_ok() {});
    let Fixture { mut session, streams: _streams, .. } = fixture;
    std::thread::sleep(idle);
    session.on_timeout();
    assert!(!session.is_closed(), "reset at once");
    let interest = session.interest();
    assert!(!interest.input.any() && !interest.remote.any() && !interest.output.any());
    assert_eq!(session.timeout(), Some(DRAIN_POLL_INTERVAL));
    // The idle timeout is shorter than the stall timeout, and therefore replaces it.
    while !session.is_closed() {
        std::thread::sleep(DRAIN_POLL_INTERVAL);
        session.on_timeout();
    }
}

/// A client sent more than the remote accepted, and reset its connection. When the remote accepted
/// more, its connection was closed cleanly, as if it had received everything.
#[cfg(target_os = "linux")]
#[test]
fn a_layer_with_room_to_write_ended_a_failed_session_without_its_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let [(client, client_peer), (remote, mut remote_peer)] = [(); 2].map(|()| {
        let peer = TcpStream::connect(address).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        (Channel::socket(stream), peer)
    });
    let remote = Layered::new(Box::new(remote), Frames::default());
    let local = LocalEnd::Client(Box::new(client));
    let peer = Peer::target(&Target::Unix("somewhere".into()));
    let mut session = Session::new(local, Box::new(remote), peer, RelaySettings::default());
    // The remote has sent everything, and the layer holds bytes for it.
    remote_peer.write_all(&[0]).unwrap();
    while session.remote.write(&[7; 200]).is_ok() {}
    Channel::socket(client_peer).reset_on_close();
    let pool = Pool::default();
    let is_draining = |session: &Session| matches!(session.state, State::Draining(_));
    while !session.is_closed() {
        if is_draining(&session) {
            remote_peer.set_nonblocking(true).unwrap();
            while remote_peer.read(&mut [0; 4096]).is_ok() {}
        }
        let timeout = session.timeout();
        let mut polls = PollSet::default();
        session.register(&mut polls);
        match polls.wait(timeout).unwrap() {
            Some(events) => session.on_events(events, &pool),
            None => session.on_timeout(),
        }
    }
    assert!(matches!(session.into_outcome().result, Err(Error::Input(_))));
    remote_peer.set_nonblocking(false).unwrap();
    let end =
        std::iter::repeat_with(|| remote_peer.read(&mut [0; 4096])).find(|read| !matches!(read, Ok(1..)));
    assert_eq!(end.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

/// When waits kept failing, each failure started the wait for the data again.
#[cfg(target_os = "linux")]
#[test]
fn a_failed_session_whose_waits_failed_never_ended() {
    let settings = RelaySettings::default();
    let fixture = Fixture::with(settings, |remote| while remote.write(&[0; 4096]).is_ok() {});
    let Fixture { mut session, mut streams, .. } = fixture;
    session.fail(io::ErrorKind::OutOfMemory.into());
    assert!(!session.is_closed(), "reset at once");
    session.fail(io::ErrorKind::TimedOut.into());
    assert!(session.is_closed());
    let result = session.into_outcome().result;
    assert!(matches!(result, Err(Error::System { cause, .. }) if cause.kind() == io::ErrorKind::OutOfMemory));
    let mut received = Vec::new();
    assert_eq!(streams.remote.read_to_end(&mut received).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}
