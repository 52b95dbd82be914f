#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use super::*;
use crate::hub::report::Report;
use crate::hub::statistics::Statistics;
use crate::hub::worker::{Arrived, Mailbox, Shared};
use crate::listen::Gate;
use crate::plan::TokenCheck;
use crate::proto::hub::{HeadReader, Site};
use crate::sys::{self, Channel};
use crate::token::{Role as TokenRole, Usage};

const FIELDS: &str = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                      Sec-WebSocket-Protocol: connect.origin.v1\r\n\r\n";

const ORIGIN: ConnectionId = 1;
const DEST: ConnectionId = 2;
const DATA: ConnectionId = 3;

/// Adds a connection with a request for this path, and returns the other end.
fn add(worker: &mut Worker, id: ConnectionId, path: &str) -> Channel {
    let site = Site { prefix: String::new(), role: None, origins: Vec::new() };
    let head = format!("GET /v1/lab/{path} HTTP/1.1\r\n{FIELDS}");
    let (_, request) = HeadReader::default().receive(head.as_bytes(), &site).unwrap();
    let (ours, theirs) = sys::channel_pair().unwrap();
    let from = "192.0.2.1".parse().unwrap();
    let usage = Usage { role: TokenRole::Dest, session: Some("lab") };
    let lease = Gate::new(&TokenCheck::Open).unwrap().admit(None, usage, from).unwrap();
    worker.add(Arrived {
        id,
        stream: Box::new(ours),
        request: request.unwrap(),
        early: Vec::new(),
        lease,
        name: "client".into(),
        from,
        since: Instant::now(),
    });
    theirs
}

/// Returns the text that a peer has received.
fn received(peer: &Channel) -> String {
    let mut buffer = [0; 4096];
    let count = peer.read(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

/// Makes a pair, and returns the worker, and the ends of the connections that are not its own.
fn pair() -> (Worker, [Channel; 3]) {
    let shared = Shared { statistics: Statistics::new(), report: Report::default(), keep_alive: None };
    let mut worker = Worker::new(Arc::new(Mailbox::new().unwrap()), Arc::new(shared));
    let origin = add(&mut worker, ORIGIN, "origin");
    assert!(received(&origin).contains(r#"{"t":"ready"}"#));
    let dest = add(&mut worker, DEST, "dest");
    let offer = received(&origin);
    let (_, id) = offer.split_once(r#""id":""#).unwrap();
    let data = add(&mut worker, DATA, &format!("accept/{}", &id[..32]));
    assert!(received(&dest).starts_with("HTTP/1.1 101 "));
    (worker, [origin, dest, data])
}

/// A frame that fills all buffers of a connection.
fn long_frame() -> Vec<u8> {
    let length = 16 << 20;
    let mut frame = vec![0x82, 0xff];
    frame.extend_from_slice(&u64::to_be_bytes(length));
    frame.resize(frame.len() + 4 + usize::try_from(length).unwrap(), 0);
    frame
}

#[test]
fn a_side_that_accepts_nothing_for_300_seconds_ends_its_pair() {
    assert_eq!(STALLED_PEER_TIMEOUT, Duration::from_secs(300));
    let (mut worker, [_origin, dest, _data]) = pair();
    let almost = Instant::now() + Duration::from_secs(299);
    worker.relay(DATA, &long_frame());
    assert!(!worker.connections[&DEST].output.is_empty());
    let filled = Instant::now();
    worker.tick(almost);
    assert!(worker.connections.contains_key(&DEST) && worker.shared.statistics.pairs() == 1);
    // A side that accepts some bytes has as much time again.
    let mut buffer = vec![0; 1 << 20];
    while dest.read(&mut buffer).is_ok() {}
    worker.connections.get_mut(&DEST).unwrap().flush().unwrap();
    worker.tick(filled + STALLED_PEER_TIMEOUT);
    assert!(worker.connections.contains_key(&DEST));
    worker.tick(Instant::now() + STALLED_PEER_TIMEOUT);
    assert!(!worker.connections.contains_key(&DEST) && worker.shared.statistics.pairs() == 0);
    assert!(worker.connections[&DATA].ending.is_some(), "the other side does not end");
}
