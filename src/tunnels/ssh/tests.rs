//! Streams of a shared connection, whose server the tests play.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use super::turns::Turns;
use super::*;
use crate::addr::{Endpoint, Host};
use crate::proto;
use crate::ssh::algorithms::Offer;
use crate::ssh::connection::{ChannelId, Event, MAX_CHANNELS, Source};
use crate::ssh::testing::{connected, connected_with};
use crate::ssh::transport::{Limits, Transport};
use crate::stream::{Interest, PollSet};
use crate::sys::{self, Channel};

/// Returns a limit for hanging only.
fn timeout() -> Duration {
    Duration::from_secs(60)
}

struct Server {
    connection: Connection,
    socket: Channel,
    /// The channels in the order of their requests.
    channels: Vec<ChannelId>,
    accepts: bool,
}

impl Server {
    /// Moves what can be moved, and answers requests.
    fn step(&mut self) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = self.socket.read(&mut buffer) {
            let _ = self.connection.receive(&buffer[..count]);
        }
        while let Some(event) = self.connection.next_event() {
            match event {
                Event::Asked(id, ..) if self.accepts => {
                    self.connection.accept(id).unwrap();
                    self.channels.push(id);
                }
                Event::Asked(id, ..) => self.connection.refuse(id, 2, "Connection refused").unwrap(),
                _ => {}
            }
        }
        self.connection.on_time(Duration::ZERO).unwrap();
        while let Ok(count @ 1..) = self.socket.write(self.connection.transport().output()) {
            self.connection.sent(count);
        }
    }

    fn read(&mut self, channel: ChannelId, into: &mut Vec<u8>) -> bool {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.connection.read(channel, Source::Data, &mut buffer).unwrap() {
                Some(0) => return true,
                Some(count) => into.extend_from_slice(&buffer[..count]),
                None => return false,
            }
        }
    }
}

fn target() -> Target {
    Target::Tcp(Endpoint { host: Host::parse("h.example").unwrap(), port: 22.try_into().unwrap() })
}

/// Returns a shared connection, its first stream, and the server.
fn shared((client, server): (Transport, Transport)) -> (SharedConnection, Box<dyn Stream>, Server) {
    let (below, socket) = sys::channel_pair().unwrap();
    let (client, connection) = (Connection::new(client), Connection::new(server));
    let mut server = Server { connection, socket, channels: Vec::new(), accepts: true };
    let settings = Settings { server: "S".into(), keep_alive: None };
    let shared = SharedConnection::start(client, Box::new(below), settings).unwrap();
    let first = open(&shared, &mut server);
    (shared, first, server)
}

/// Repeats a step until it returns a value.
fn wait_for<T>(mut step: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + timeout();
    loop {
        if let Some(value) = step() {
            return value;
        }
        assert!(Instant::now() < end, "nothing happens");
        thread::yield_now();
    }
}

fn open(shared: &SharedConnection, server: &mut Server) -> Box<dyn Stream> {
    let Opened::Stream(mut stream) = shared.open(&target()).unwrap() else { panic!("no stream") };
    wait_for(|| {
        server.step();
        done(stream.flush())
    })
    .unwrap();
    stream
}

/// Returns `None` for an operation that must be repeated.
fn done<T>(result: io::Result<T>) -> Option<io::Result<T>> {
    match result {
        Err(error) if sys::is_transient(&error) => None,
        result => Some(result),
    }
}

/// Returns bytes that depend on the channel.
fn pattern(channel: usize, length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from((index * 7 + index / 251 + channel * 13) % 256).unwrap()).collect()
}

#[test]
fn channels_wait_in_turn_for_room() {
    let (mut client, _) = connected(&Offer::default());
    client.sent(client.output().len());
    let mut connection = Connection::new(client);
    let ids: Vec<_> = (0..4).map(|_| connection.open("x", b"").unwrap().unwrap()).collect();
    let mut turns = Turns::default();
    assert!(turns.may_write(ids[0], 1) && !turns.may_write(ids[0], 0));
    turns.wait(ids[2]);
    turns.wait(ids[1]);
    turns.wait(ids[2]);
    assert!(!turns.may_write(ids[0], 1), "others wait");
    assert_eq!((turns.grant(0), turns.grant(1), turns.grant(1)), (None, Some(ids[2]), None));
    assert!(turns.may_write(ids[2], 1) && !turns.may_write(ids[1], 1));
    turns.wrote(ids[2]);
    turns.wait(ids[2]);
    assert_eq!(turns.grant(1), Some(ids[1]), "a channel that has written waits behind the others");
    turns.give_up(ids[1]);
    assert_eq!(turns.grant(2), Some(ids[2]));
    assert!(!turns.may_write(ids[0], 1) && turns.may_write(ids[0], 2), "one packet is reserved");
}

/// All channels send in both directions at once, except for some whose ends never read.
#[test]
fn stuck_channels_stop_no_other() {
    const LENGTH: usize = 150_000;
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let (shared, first, mut server) = shared(connected_with(&Offer::default(), limits));
    let mut streams: Vec<Box<dyn Stream>> = vec![first];
    while streams.len() < MAX_CHANNELS {
        streams.push(open(&shared, &mut server));
    }
    assert!(matches!(shared.open(&target()).unwrap(), Opened::Full));
    let is_stuck = |index: usize| index.is_multiple_of(4);
    let (mut up, mut down) = (vec![0; MAX_CHANNELS], vec![0; MAX_CHANNELS]);
    let mut received = vec![(Vec::new(), Vec::new()); MAX_CHANNELS];
    let data: Vec<_> = (0..MAX_CHANNELS).map(|index| pattern(index, LENGTH)).collect();
    wait_for(|| {
        for index in 0..MAX_CHANNELS {
            let rest = if is_stuck(index) { &data[index][..] } else { &data[index][up[index]..] };
            up[index] += streams[index].write(rest).unwrap_or_default();
            let channel = server.channels[index];
            let rest = if is_stuck(index) { &data[index][..] } else { &data[index][down[index]..] };
            down[index] += server.connection.write(channel, rest).unwrap();
            if !is_stuck(index) {
                let mut buffer = [0; 8192];
                let count = streams[index].read(&mut buffer).unwrap_or_default();
                received[index].0.extend_from_slice(&buffer[..count]);
                server.read(channel, &mut received[index].1);
            }
        }
        server.step();
        let is_complete =
            |index: usize| received[index].0.len() == LENGTH && received[index].1.len() == LENGTH;
        (0..MAX_CHANNELS).all(|index| is_stuck(index) || is_complete(index)).then_some(())
    });
    for (index, (down, up)) in received.iter().enumerate().filter(|(index, _)| !is_stuck(*index)) {
        assert!(*down == data[index] && *up == data[index], "channel {index}");
    }
    assert!(server.connection.transport().algorithms().is_some());
}

#[test]
fn a_wait_ends_with_each_event_of_the_channel() {
    let (shared, _first, mut server) = shared(connected(&Offer::default()));
    let mut stream = open(&shared, &mut server);
    let channel = server.channels[1];
    let wait = |stream: &dyn Stream, want: Interest| {
        let mut polls = PollSet::default();
        stream.register(want, &mut polls);
        let mut events = polls.wait(Some(timeout())).unwrap().unwrap();
        let ready = stream.ready(want, &mut events);
        (ready.read, ready.write)
    };
    server.connection.write(channel, b"data").unwrap();
    server.step();
    assert_eq!(wait(&*stream, Interest::READ), (true, false));
    let mut buffer = [0; 16];
    assert_eq!((stream.peek(&mut buffer).unwrap(), stream.read(&mut buffer).unwrap()), (4, 4));
    assert!(stream.read(&mut buffer).is_err_and(|error| sys::is_transient(&error)));
    // The window is full until the server reads.
    let chunk = vec![7; 64 * 1024];
    let mut sent = 0;
    wait_for(|| {
        server.step();
        sent += stream.write(&chunk).unwrap_or_default();
        (!server.connection.is_gone(channel) && sent == 2 << 20).then_some(())
    });
    let mut received = Vec::new();
    wait_for(|| {
        server.step();
        server.read(channel, &mut received);
        (received.len() == sent).then_some(())
    });
    server.step();
    assert_eq!(wait(&*stream, Interest::WRITE), (false, true));
    server.connection.send_eof(channel).unwrap();
    server.step();
    assert_eq!(wait(&*stream, Interest::READ), (true, false));
    assert_eq!(stream.read(&mut buffer).unwrap(), 0);
    stream.write(b"last").unwrap();
    wait_for(|| {
        server.step();
        done(stream.finish())
    })
    .unwrap();
    drop(stream);
    received.clear();
    wait_for(|| {
        server.step();
        server.read(channel, &mut received).then_some(())
    });
    assert_eq!(received, b"last");
    wait_for(|| {
        server.step();
        server.connection.has_closed(channel).then_some(())
    });
}

#[test]
fn a_refusal_has_the_reason_and_leaves_the_connection_open() {
    let (shared, _first, mut server) = shared(connected(&Offer::default()));
    server.accepts = false;
    let Opened::Stream(mut refused) = shared.open(&target()).unwrap() else { panic!("no stream") };
    let error = wait_for(|| {
        server.step();
        done(refused.flush())
    });
    let cause = error.unwrap_err().downcast::<proto::Error>().unwrap();
    let proto::Error::Ssh(failure) = cause else { panic!("{cause}") };
    let expected = "S could not connect to h.example:22: connection refused";
    assert_eq!((failure.is_unreachable(), failure.message(&"S").as_str()), (true, expected));
    server.accepts = true;
    open(&shared, &mut server);
}

#[test]
fn the_end_of_the_connection_is_an_error_of_each_stream() {
    let (shared, mut first, mut server) = shared(connected(&Offer::default()));
    let mut second = open(&shared, &mut server);
    server.connection.write(server.channels[1], b"part").unwrap();
    server.connection.disconnect_with(11, "maintenance");
    server.step();
    let mut buffer = [0; 16];
    assert_eq!(wait_for(|| done(second.read(&mut buffer))).unwrap(), 4);
    for stream in [&mut *first, &mut *second] {
        let error = wait_for(|| done(stream.read(&mut buffer))).unwrap_err();
        assert_eq!(error.to_string(), "S closed the connection: \"maintenance\"");
        assert!(stream.write(b"x").is_err());
    }
    assert!(matches!(shared.open(&target()).unwrap(), Opened::Ended));
}

#[test]
fn channels_whose_streams_are_dropped_are_closed_and_used_again() {
    let (shared, first, mut server) = shared(connected(&Offer::default()));
    drop(first);
    let mut ended: BTreeMap<ChannelId, bool> = BTreeMap::new();
    for round in 0..3 * MAX_CHANNELS {
        let stream = open(&shared, &mut server);
        let channel = *server.channels.last().unwrap();
        drop(stream);
        wait_for(|| {
            server.step();
            for id in server.channels.clone() {
                if server.connection.has_closed(id) {
                    server.connection.close(id).unwrap();
                    ended.insert(id, true);
                }
            }
            ended.contains_key(&channel).then_some(())
        });
        assert_eq!(server.channels.len(), round + 2);
    }
}

#[test]
fn a_server_that_answers_no_request_is_gone() {
    let (below, _socket) = sys::channel_pair().unwrap();
    let settings = Settings { server: "S".into(), keep_alive: Some(Duration::from_millis(1)) };
    let connection = Connection::new(connected(&Offer::default()).0);
    let shared = Shared::new(connection, Box::new(below), settings);
    let mut state = shared.lock();
    let channel = state.open(&channel_target(&target()).unwrap()).unwrap();
    wait_for(|| {
        state.drive(&mut [0; 64]);
        state.has_failed().then_some(())
    });
    let error = state.confirm(channel).unwrap_err();
    assert_eq!(error.to_string(), "S did not answer 3 keepalive requests");
}
