#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use super::super::message::{Answer, Key, MAX_BODY, Opening};
use super::super::session::{FINISHED_TTL, MAX_OPENERS, RENEWAL_TIMEOUT, SESSION_TIMEOUT};
use super::super::streams::MAX_HELD;
use super::*;

/// The longest hold of a POLL.
const fn max_wait() -> Duration {
    secs(25)
}

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn sid() -> Sid {
    Sid::new([9; 16])
}

fn request() -> Request<'static> {
    Request::new(Key::new([1; 16]))
}

fn open() -> Request<'static> {
    Request { opening: Some(Opening { token: b"token", target: b"" }), ..request() }
}

fn poll(down: u64) -> Request<'static> {
    Request { is_poll: true, wait: 1000, down, ..request() }
}

/// A table, and what its driver has seen.
struct Server {
    table: Table,
    now: Duration,
    next_client: ClientId,
    replies: Vec<Reply>,
    others: Vec<Event>,
}

impl Server {
    fn new() -> Self {
        let table = Table::new(max_wait(), 3);
        Self { table, now: secs(100), next_client: 0, replies: Vec::new(), others: Vec::new() }
    }

    /// Returns a server with an open tunnel.
    fn opened() -> Self {
        let mut server = Self::new();
        let client = server.send(&open(), b"");
        assert_eq!(server.status(client), None);
        let token = Zeroizing::new(b"token".to_vec());
        assert_eq!(server.others.pop(), Some(Event::Open { sid: sid(), token }));
        server.run(|table, now| table.connected(sid(), now));
        assert!(server.answer(client).0.is_opened);
        server
    }

    fn run<T>(&mut self, act: impl FnOnce(&mut Table, Duration) -> T) -> T {
        let result = act(&mut self.table, self.now);
        for event in self.table.take_events() {
            match event {
                Event::Reply(reply) => self.replies.push(reply),
                Event::Wake(_) => {}
                other => self.others.push(other),
            }
        }
        result
    }

    fn send(&mut self, request: &Request<'_>, data: &[u8]) -> ClientId {
        let mut body = request.encode(data.len());
        body.extend_from_slice(data);
        self.next_client += 1;
        let client = self.next_client;
        self.run(|table, now| table.request(client, sid(), &body, now));
        client
    }

    /// Takes the reply to a request. `None` if it is not answered yet.
    fn reply(&mut self, client: ClientId) -> Option<Reply> {
        let index = self.replies.iter().position(|reply| reply.client == client)?;
        Some(self.replies.remove(index))
    }

    fn status(&mut self, client: ClientId) -> Option<u16> {
        self.reply(client).map(|reply| reply.status)
    }

    fn answer(&mut self, client: ClientId) -> (Answer, Vec<u8>) {
        let reply = self.reply(client).expect("no answer");
        let (answer, data) = Answer::decode(&reply.body).expect("no message");
        assert_eq!(answer.wait, 250);
        (answer, data.to_vec())
    }

    /// Sends a request that is answered at once.
    fn ask(&mut self, request: &Request<'_>, data: &[u8]) -> (Answer, Vec<u8>) {
        let client = self.send(request, data);
        self.answer(client)
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.run(Table::time_out);
    }
}

#[test]
fn a_repeated_open_connects_once() {
    let mut server = Server::new();
    let (first, second) = (server.send(&open(), b""), server.send(&open(), b""));
    assert_eq!(server.others.len(), 1);
    server.run(|table, now| table.connected(sid(), now));
    assert!(server.answer(first).0.is_opened && server.answer(second).0.is_opened);
    assert!(server.ask(&open(), b"").0.is_opened);
    assert_eq!(server.others.len(), 1);
}

#[test]
fn only_the_last_requests_wait_for_the_target() {
    let mut server = Server::new();
    let clients: Vec<_> = (0..=MAX_OPENERS).map(|_| server.send(&open(), b"")).collect();
    assert!(!server.answer(clients[0]).0.is_opened);
    assert!(clients[1..].iter().all(|client| server.reply(*client).is_none()));
}

#[test]
fn a_target_that_cannot_be_connected_is_a_reset() {
    let mut server = Server::new();
    let client = server.send(&open(), b"");
    let reset = Reset { code: ResetCode::Unreachable, text: "localhost:22: connection refused".into() };
    server.run(|table, now| table.failed(sid(), reset.clone(), now));
    let (answer, data) = server.answer(client);
    assert!(answer.is_reset && !answer.is_opened && Reset::decode(&data) == reset);
    assert!(server.ask(&open(), b"").0.is_reset, "a repeated OPEN has the same answer");
    server.wait(SESSION_TIMEOUT);
    assert!(server.table.is_empty());
    assert_eq!(server.others.len(), 1, "no target to reset");
}

#[test]
fn a_token_that_is_or_becomes_invalid_ends_the_tunnel() {
    let reject = |table: &mut Table, now| table.rejected(sid(), 401, "token expired", now);
    let mut server = Server::new();
    let client = server.send(&open(), b"");
    server.run(reject);
    let reply = server.reply(client).unwrap();
    assert_eq!((reply.status, &reply.body[..]), (401, &b"token expired"[..]));
    let mut server = suspended();
    server.wait(RENEWAL_TIMEOUT);
    assert_eq!(server.others, [Event::Reset(sid())]);
    assert!(server.table.is_empty());
    let mut server = Server::opened();
    server.run(|table, now| table.rejected(sid(), 403, "token denied", now));
    assert_eq!(server.others, [Event::Reset(sid())]);
}

/// Returns a server whose tunnel waits for a new token, and holds bytes for both ends.
fn suspended() -> Server {
    let mut server = Server::opened();
    server.ask(&request(), b"up");
    server.run(|table, now| table.received(sid(), b"down", now));
    let held = server.send(&poll(4), b"");
    server.run(|table, now| table.rejected(sid(), 401, "token expired", now));
    assert_eq!(server.status(held), Some(401));
    server
}

#[test]
fn a_tunnel_accepts_no_bytes_until_it_has_a_new_token() {
    let mut server = suspended();
    for request in [poll(0), Request { up: 2, ..request() }] {
        let client = server.send(&request, b"");
        assert_eq!(server.status(client), Some(401));
    }
    // An acknowledgement of these bytes was sent to the client.
    assert_eq!((server.table.pending(sid()), server.table.room(sid())), (&b"up"[..], 0));
    // Somebody repeats the request with the old token.
    let (old, new) = (server.send(&open(), b""), server.send(&open(), b""));
    let token = || Zeroizing::new(b"token".to_vec());
    let renew = |client| Event::Renew { sid: sid(), client, token: token() };
    assert_eq!(server.others, [renew(old), renew(new)]);
    server.run(|table, now| table.not_renewed(sid(), old, 401, "token expired", now));
    assert_eq!((server.status(old), server.status(new)), (Some(401), None));
    server.run(|table, now| table.connected(sid(), now));
    assert!(server.answer(new).0.is_opened);
    server.run(|table, now| table.received(sid(), b"more", now));
    assert_eq!(server.ask(&poll(4), b"").1, b"more");
    server.wait(RENEWAL_TIMEOUT);
    assert!(server.table.is_open(sid()));
}

#[test]
fn a_tunnel_that_waits_for_a_token_can_be_reset_or_denied() {
    let mut server = suspended();
    let client = server.send(&Request { is_reset: true, ..request() }, b"");
    assert_eq!((server.status(client), &server.others[..]), (Some(200), &[Event::Reset(sid())][..]));
    let mut server = suspended();
    let client = server.send(&open(), b"");
    server.others.clear();
    server.run(|table, now| table.not_renewed(sid(), client, 403, "token denied", now));
    assert_eq!((server.status(client), &server.others[..]), (Some(403), &[Event::Reset(sid())][..]));
}

#[test]
fn tunnels_without_a_valid_token_do_not_fill_the_table() {
    let mut server = Server::new();
    for _ in 0..10 {
        let clients = [server.send(&open(), b""), server.send(&open(), b"")];
        server.run(|table, now| table.rejected(sid(), 401, "token missing", now));
        assert_eq!(clients.map(|client| server.status(client)), [Some(401); 2]);
        assert!(server.table.is_empty() && server.table.deadline().is_none());
    }
    // A tunnel that the client aborts before its token is checked.
    let opener = server.send(&open(), b"");
    server.ask(&Request { is_reset: true, ..request() }, b"\0\x04");
    server.run(|table, now| table.rejected(sid(), 401, "token missing", now));
    assert_eq!(server.status(opener), Some(200));
    assert!(server.table.is_empty() && server.table.deadline().is_none());
}

#[test]
fn a_request_with_the_key_is_held() {
    let mut server = Server::opened();
    let other = server.send(&Request { key: Key::new([2; 16]), ..poll(0) }, b"");
    let held = server.send(&poll(0), b"");
    assert!(server.table.holds(sid(), held) && !server.table.holds(sid(), other));
    server.run(|table, now| table.received(sid(), b"x", now));
    assert!(!server.table.holds(sid(), held));
}

#[test]
fn unknown_tunnels_and_other_keys_are_not_found() {
    let mut server = Server::new();
    let client = server.send(&request(), b"");
    assert_eq!(server.status(client), Some(404));
    let mut server = Server::opened();
    for other in [open(), request(), poll(0), Request { is_reset: true, ..request() }] {
        let client = server.send(&Request { key: Key::new([2; 16]), ..other }, b"");
        assert_eq!(server.status(client), Some(404));
    }
    assert!(server.table.is_open(sid()));
}

#[test]
fn malformed_requests_change_nothing() {
    let mut server = Server::new();
    for bad in
        [Request { up: 1, ..open() }, Request { down: 1, ..open() }, Request { is_reset: true, ..open() }]
    {
        let client = server.send(&bad, b"");
        assert_eq!(server.status(client), Some(400));
    }
    server.run(|table, now| table.request(99, sid(), b"\x02", now));
    assert_eq!(server.status(99), Some(400));
    assert!(server.table.is_empty());
    let mut server = Server::opened();
    let client = server.send(&Request { down: 1, ..request() }, b"abc");
    assert_eq!(server.status(client), Some(400), "acknowledges what was never sent");
    assert_eq!(server.table.pending(sid()), b"");
}

#[test]
fn data_may_be_repeated() {
    let mut server = Server::opened();
    for _ in 0..2 {
        assert_eq!(server.ask(&request(), b"abc").0.up, 3);
    }
    assert_eq!(server.ask(&Request { up: 4, ..request() }, b"gap").0.up, 3);
    assert_eq!(server.ask(&Request { up: 1, is_eof: true, ..request() }, b"bcde").0.up, 6);
    assert_eq!(server.table.pending(sid()), b"abcde");
    assert!(!server.table.must_shut_down(sid()));
    server.run(|table, now| table.written(sid(), 5, now));
    assert!(server.table.must_shut_down(sid()) && !server.table.must_shut_down(sid()), "once");
}

#[test]
fn a_request_waits_until_the_target_has_room() {
    let mut server = Server::opened();
    let full = vec![1; MAX_HELD];
    assert_eq!(server.ask(&request(), &full).0.up, MAX_HELD as u64);
    let more = Request { up: MAX_HELD as u64, is_eof: true, ..request() };
    let (first, second) = (server.send(&more, b"abc"), server.send(&more, b"abc"));
    assert_eq!(server.answer(first).0.up, MAX_HELD as u64, "the second replaces the first");
    assert!(server.reply(second).is_none());
    server.run(|table, now| table.written(sid(), MAX_HELD / 2, now));
    assert_eq!(server.answer(second).0.up, MAX_HELD as u64 + 4);
    // Without progress, the request is answered in time.
    let mut server = Server::opened();
    server.ask(&request(), &full);
    let client = server.send(&more, b"abc");
    server.wait(max_wait());
    assert_eq!(server.answer(client).0.up, MAX_HELD as u64);
}

#[test]
fn a_poll_is_held_until_there_is_data() {
    let mut server = Server::opened();
    let client = server.send(&poll(0), b"");
    assert!(server.reply(client).is_none());
    server.run(|table, now| table.received(sid(), b"hello", now));
    assert_eq!(server.answer(client), (Answer { wait: 250, ..Answer::default() }, b"hello".to_vec()));
    // A repeated one gets the same data, until it is acknowledged.
    assert_eq!(server.ask(&poll(0), b"").1, b"hello");
    assert_eq!(server.ask(&poll(2), b"").1, b"llo");
    assert_eq!(server.ask(&poll(0), b"").1, b"");
    assert_eq!(server.ask(&request(), b"").1, b"", "only a POLL carries data");
}

#[test]
fn a_held_poll_ends_in_time_or_by_another_one() {
    let mut server = Server::opened();
    let first = server.send(&poll(0), b"");
    server.wait(secs(24));
    assert!(server.reply(first).is_none());
    server.wait(secs(1));
    assert_eq!(server.answer(first).1, b"");
    let short = server.send(&Request { wait: 5, ..poll(0) }, b"");
    server.wait(Duration::from_millis(500));
    assert_eq!(server.answer(short).1, b"");
    let (first, second) = (server.send(&poll(0), b""), server.send(&poll(0), b""));
    assert_eq!(server.answer(first).1, b"");
    server.run(|table, now| table.received(sid(), b"x", now));
    assert_eq!(server.answer(second).1, b"x");
    assert!(server.ask(&Request { wait: 0, ..poll(1) }, b"").1.is_empty());
}

#[test]
fn a_poll_whose_connection_is_closed_takes_no_data() {
    let mut server = Server::opened();
    let gone = server.send(&poll(0), b"");
    server.run(|table, _| table.client_gone(sid(), gone));
    server.run(|table, now| table.received(sid(), b"x", now));
    assert!(server.replies.is_empty());
    assert_eq!(server.ask(&poll(0), b"").1, b"x");
}

#[test]
fn the_target_is_read_up_to_a_limit() {
    let mut server = Server::opened();
    assert_eq!(server.table.room(sid()), MAX_HELD);
    server.run(|table, now| table.received(sid(), &vec![1; MAX_HELD], now));
    assert_eq!(server.table.room(sid()), 0);
    let (_, data) = server.ask(&poll(0), b"");
    assert!(data.len() + 20 == MAX_BODY, "an answer is at most 1 MiB");
    server.ask(&Request { down: 1000, ..request() }, b"");
    assert_eq!(server.table.room(sid()), 1000);
}

#[test]
fn eof_of_the_target_is_a_position() {
    let mut server = Server::opened();
    server.run(|table, now| table.received(sid(), b"bye", now));
    server.run(|table, now| table.target_ended(sid(), now));
    let (answer, data) = server.ask(&poll(0), b"");
    assert!(answer.is_eof && data == b"bye");
    assert!(server.ask(&poll(3), b"").0.is_eof);
    // The client acknowledges it, and ends its own stream.
    let last = Request { is_eof: true, down: 4, ..request() };
    assert_eq!(server.ask(&last, b"").0.up, 1);
    assert_eq!(server.others, [Event::Close(sid())]);
    assert_eq!(server.ask(&last, b"").0.up, 1, "a repeated last request is answered");
    assert!(!server.ask(&poll(4), b"").0.is_eof);
    server.wait(FINISHED_TTL);
    assert!(server.table.is_empty());
}

#[test]
fn a_reset_follows_the_data_before_it() {
    let mut server = Server::opened();
    server.run(|table, now| table.received(sid(), b"last words", now));
    server.run(|table, now| table.failed(sid(), Reset::new(ResetCode::CutOff), now));
    assert!(!server.ask(&request(), b"").0.is_reset);
    let (answer, data) = server.ask(&poll(0), b"");
    assert!(!answer.is_reset && !answer.is_eof && data == b"last words");
    for request in [poll(10), Request { down: 10, ..request() }] {
        let (answer, data) = server.ask(&request, b"");
        assert!(answer.is_reset && Reset::decode(&data).code == ResetCode::CutOff);
    }
}

#[test]
fn a_target_that_closes_both_directions_does_not_fail_the_tunnel() {
    let mut server = Server::opened();
    server.run(|table, now| table.target_ended(sid(), now));
    server.ask(&request(), b"late");
    server.run(|table, now| table.failed(sid(), Reset::new(ResetCode::CutOff), now));
    assert!(server.ask(&poll(0), b"").0.is_eof);
    assert_eq!(server.ask(&Request { up: 4, is_eof: true, down: 1, ..request() }, b"more").0.up, 9);
    assert_eq!(server.others, [Event::Close(sid())]);
}

#[test]
fn a_reset_of_the_client_resets_the_target() {
    let mut server = Server::opened();
    let held = server.send(&poll(0), b"");
    let reset = Request { is_reset: true, ..request() };
    server.ask(&reset, b"\0\x04");
    assert_eq!(server.others, [Event::Reset(sid())]);
    assert!(server.reply(held).is_some());
    server.ask(&reset, b"\0\x04");
    assert_eq!(server.others.len(), 1);
    server.wait(SESSION_TIMEOUT);
    assert!(server.table.is_empty());
}

#[test]
fn a_tunnel_without_requests_expires() {
    let mut server = Server::opened();
    server.wait(secs(59));
    server.ask(&request(), b"");
    server.wait(secs(59));
    let held = server.send(&poll(0), b"");
    server.wait(secs(25));
    assert!(server.reply(held).is_some());
    server.wait(secs(59));
    assert!(server.table.is_open(sid()) && server.others.is_empty());
    server.wait(secs(1));
    assert!(server.table.is_empty());
    assert_eq!(server.others, [Event::Reset(sid())]);
}

#[test]
fn tunnels_beyond_the_limit_are_refused() {
    let mut server = Server::new();
    let body = open().encode(0);
    for index in 0..4 {
        server.run(|table, now| table.request(u64::from(index), Sid::new([index; 16]), &body, now));
    }
    assert_eq!(server.table.len(), 3);
    let (answer, data) = server.answer(3);
    assert!(answer.is_reset && Reset::decode(&data).code == ResetCode::TooMany);
}
