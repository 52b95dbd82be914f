//! Two ends joined by a pipe, without a network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use super::frame::{Kind, header, open_payload};
use super::*;
use crate::proto::post::{Reset, ResetCode};

mod frames;
mod lifecycle;
mod model;
mod streams;

const ID: LinkId = LinkId([0x5a; 16]);

const HELLO: Hello = Hello { resumes: false, id: ID, epoch: 0, received: 0, window: 1024 * 1024 };

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn frame(kind: Kind, stream: u32, payload: &[u8]) -> Vec<u8> {
    [&header(kind, stream, payload.len())[..], payload].concat()
}

/// An event that owns its data.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Established,
    Opened(u32, String),
    Connected(u32),
    Data(u32, Vec<u8>),
    Eof(u32),
    Reset(u32, ResetCode, Vec<u8>),
    GoAway,
    Ended(ResetCode),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Established => Self::Established,
            Event::Opened(stream, target) => Self::Opened(stream.0, target),
            Event::Connected(stream) => Self::Connected(stream.0),
            Event::Data(stream, bytes) => Self::Data(stream.0, bytes.to_vec()),
            Event::Eof(stream) => Self::Eof(stream.0),
            Event::Reset(stream, reset, unread) => Self::Reset(stream.0, reset.code, unread),
            Event::GoAway(_) => Self::GoAway,
            Event::Ended(reset) => Self::Ended(reset.code),
        }
    }
}

/// Passes bytes to a link whose local sides accept everything.
fn receive(link: &mut Link, mut bytes: &[u8], now: Duration) -> Result<Vec<Seen>, Violation> {
    let mut events = Vec::new();
    while let Some(event) = link.receive(&mut bytes, now)? {
        if let Event::Data(stream, data) = event {
            link.accepted(stream, data, data.len(), now);
        }
        events.push(event.into());
    }
    assert!(bytes.is_empty());
    Ok(events)
}

/// Takes all bytes for the pipe.
fn sent(link: &mut Link, now: Duration) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let pending = link.pending(now);
        if pending.is_empty() {
            return bytes;
        }
        let count = pending.len();
        bytes.extend_from_slice(pending);
        link.written(count);
    }
}

/// Parses the first frame of a pipe and removes it.
fn take_hello(bytes: &mut &[u8]) -> Hello {
    match Decoder::default().next(bytes) {
        Ok(Some(Frame::Hello(hello))) => hello,
        other => panic!("{other:?}"),
    }
}

fn settings() -> Settings {
    Settings::default()
}

/// Both ends, each of which has received the HELLO of the other.
fn joined(dest: Settings, origin: Settings) -> (Link, Link) {
    let mut dest = Link::dest(dest, ID);
    assert!(dest.connect(ms(0)));
    let hello = sent(&mut dest, ms(0));
    let mut input = hello.as_slice();
    let mut origin = Link::origin(origin, &take_hello(&mut input), ms(0)).unwrap();
    assert!(input.is_empty());
    let answer = sent(&mut origin, ms(0));
    assert_eq!(receive(&mut dest, &answer, ms(0)), Ok(vec![Seen::Established]));
    (dest, origin)
}

/// Carries bytes in both directions until there are none. Returns the events of dest and origin.
fn settle(dest: &mut Link, origin: &mut Link, now: Duration) -> [Vec<Seen>; 2] {
    let mut events = [Vec::new(), Vec::new()];
    loop {
        let (up, down) = (sent(dest, now), sent(origin, now));
        if up.is_empty() && down.is_empty() {
            return events;
        }
        events[1].extend(receive(origin, &up, now).unwrap());
        events[0].extend(receive(dest, &down, now).unwrap());
    }
}

/// Sends all of `data` in turns, as long as the pipe accepts everything.
fn send_all(link: &mut Link, stream: StreamId, data: &[u8]) -> usize {
    let mut position = 0;
    while position < data.len() {
        link.set_ready(stream);
        let Some(turn) = link.next_turn() else { break };
        assert_eq!(turn.stream, stream);
        position += link.send(stream, &data[position..data.len().min(position + turn.room)]);
    }
    position
}
