//! Joins a client and a server by a network that drops, repeats, delays, truncates and reorders
//! requests and answers. In spite of that, bytes must arrive exactly once and in order, in both
//! directions.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use zeroize::Zeroizing;

use super::client::{Client, Direction, Next, Settings};
use super::exchange::Response;
use super::failure::Failure;
use super::message::{Key, Reset, ResetCode, Sid};
use super::session::{ClientId, Reply};
use super::table::{Event, Table};

const SID: [u8; 16] = [0x5a; 16];

/// A generator of reproducible numbers.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.next(100) < percent
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| u8::try_from(self.next(256)).unwrap_or_default()).collect()
    }
}

/// Something that happens at a certain time.
enum Happening {
    /// The server receives a request.
    Request {
        client: ClientId,
        body: Vec<u8>,
    },
    /// The client receives an answer, or notices that its connection broke.
    Result {
        direction: Direction,
        attempt: u64,
        response: Option<Response>,
    },
    Connected,
    /// The server has checked the token of a request.
    Checked {
        client: ClientId,
        is_valid: bool,
    },
}

/// The end of the tunnel at the target.
struct Target {
    to_send: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    has_received_eof: bool,
    waits_for_eof: bool,
    has_ended: bool,
    opened: u32,
    closed: u32,
}

struct Model {
    numbers: Numbers,
    now: Duration,
    /// The percentage of requests, and of answers, with a fault.
    faults: u64,
    client: Client,
    table: Table,
    queue: BTreeMap<(Duration, u64), Happening>,
    counter: u64,
    /// The attempt in flight in each direction.
    attempts: [Option<u64>; 2],
    /// The direction and the attempt for each request at the server.
    clients: BTreeMap<ClientId, (Direction, u64)>,
    target: Target,
    input: Vec<u8>,
    pushed: usize,
    output: Vec<u8>,
    /// The number of tokens that have expired.
    expired: u64,
    /// The token expires this often.
    expiries: u64,
}

/// Returns the token that is valid after some have expired.
fn token(expired: u64) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(format!("token {expired}").into_bytes())
}

impl Model {
    fn new(seed: u64, faults: u64, max_wait: u64, up: usize, down: usize) -> Self {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (input, to_send) = (numbers.bytes(up), numbers.bytes(down));
        let settings = Settings {
            sid: Sid::new(SID),
            key: Key::new([1; 16]),
            token: token(0),
            target: Vec::new(),
            resume: Duration::from_secs(600),
        };
        let target = Target {
            to_send,
            sent: 0,
            received: Vec::new(),
            has_received_eof: false,
            waits_for_eof: numbers.percent(50),
            has_ended: false,
            opened: 0,
            closed: 0,
        };
        Self {
            numbers,
            now: Duration::ZERO,
            faults,
            client: Client::new(settings),
            table: Table::new(Duration::from_secs(max_wait), 10),
            queue: BTreeMap::new(),
            counter: 0,
            attempts: [None; 2],
            clients: BTreeMap::new(),
            target,
            input,
            pushed: 0,
            output: Vec::new(),
            expired: 0,
            expiries: 0,
        }
    }

    fn schedule(&mut self, delay_ms: u64, happening: Happening) {
        self.counter += 1;
        self.queue.insert((self.now + Duration::from_millis(delay_ms), self.counter), happening);
    }

    /// Sends a request through the network.
    fn send(&mut self, direction: Direction, body: &[u8]) {
        self.counter += 1;
        let attempt = self.counter;
        self.attempts[direction as usize] = Some(attempt);
        let broken = || Happening::Result { direction, attempt, response: None };
        let delay = self.numbers.next(30);
        if self.numbers.percent(self.faults) {
            match self.numbers.next(4) {
                // Lost or truncated: the server ignores a body that is too short.
                0 => return self.schedule(delay, broken()),
                // The client gives up, and the request arrives late.
                1 => {
                    self.schedule(delay, broken());
                    let late = delay + self.numbers.next(5000);
                    return self.deliver(late, None, body);
                }
                // Repeated, once or twice, at any time.
                _ => {
                    for _ in 0..=self.numbers.next(2) {
                        let late = self.numbers.next(3000);
                        self.deliver(late, None, body);
                    }
                }
            }
        }
        self.deliver(delay, Some((direction, attempt)), body);
    }

    fn deliver(&mut self, delay: u64, from: Option<(Direction, u64)>, body: &[u8]) {
        self.counter += 1;
        let client = self.counter;
        self.clients.extend(from.map(|from| (client, from)));
        self.schedule(delay, Happening::Request { client, body: body.to_vec() });
    }

    /// Sends an answer through the network.
    fn answer(&mut self, reply: Reply) {
        let Some((direction, attempt)) = self.clients.remove(&reply.client) else { return };
        let delay = self.numbers.next(30);
        let response = Response {
            status: reply.status,
            content_type: Some("application/octet-stream".into()),
            body: reply.body,
            ..Response::default()
        };
        let response = if self.numbers.percent(self.faults) {
            match self.numbers.next(3) {
                // A gateway answers instead.
                0 => Some(Response { status: 502, ..Response::default() }),
                1 => Some(Response {
                    status: 200,
                    content_type: Some("text/html".into()),
                    ..Response::default()
                })
                .filter(|_| self.client.is_open()),
                _ => None,
            }
        } else {
            Some(response)
        };
        self.schedule(delay, Happening::Result { direction, attempt, response });
    }

    fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Request { client, body } => {
                self.table.request(client, self.client.sid(), &body, self.now);
            }
            Happening::Connected | Happening::Checked { is_valid: true, .. } => {
                self.table.connected(self.client.sid(), self.now);
            }
            Happening::Checked { client, is_valid: false } => {
                self.table.not_renewed(self.client.sid(), client, 401, "expired", self.now);
            }
            Happening::Result { direction, attempt, response } => {
                if self.attempts[direction as usize] != Some(attempt) {
                    return;
                }
                self.attempts[direction as usize] = None;
                match response {
                    Some(response) => {
                        let new = self.client.answered(direction, &response, self.now);
                        self.output.extend_from_slice(new);
                    }
                    None => self.client.broken(direction, "cut", false, self.now),
                }
                self.client.renew(direction, token(self.expired));
            }
        }
    }

    fn handle_events(&mut self) {
        for event in self.table.take_events() {
            match event {
                Event::Reply(reply) => self.answer(reply),
                Event::Open { sid, token } => {
                    assert_eq!((sid, &token), (self.client.sid(), &self::token(0)));
                    self.target.opened += 1;
                    let delay = self.numbers.next(200);
                    self.schedule(delay, Happening::Connected);
                }
                Event::Renew { client, token, .. } => {
                    let is_valid = token == self::token(self.expired);
                    let delay = self.numbers.next(200);
                    self.schedule(delay, Happening::Checked { client, is_valid });
                }
                Event::Wake(_) => {}
                Event::Reset(_) => panic!("the target was reset"),
                Event::Close(_) => {
                    self.target.closed += 1;
                    self.target.has_received_eof = true;
                }
            }
        }
    }

    /// Moves some bytes between the server and the target.
    fn move_target(&mut self) {
        let (sid, now) = (self.client.sid(), self.now);
        let pending = self.table.pending(sid);
        let max = 1 + usize::try_from(self.numbers.next(100_000)).unwrap();
        let accepted = pending[..pending.len().min(max)].to_vec();
        if !accepted.is_empty() && self.numbers.percent(70) {
            self.target.received.extend_from_slice(&accepted);
            self.table.written(sid, accepted.len(), now);
        }
        if self.table.must_shut_down(sid) {
            self.target.has_received_eof = true;
        }
        if !self.table.is_open(sid) {
            return;
        }
        let max = self.table.room(sid).min(usize::try_from(self.numbers.next(100_000)).unwrap());
        let rest = &self.target.to_send[self.target.sent..];
        let part = rest[..rest.len().min(max)].to_vec();
        if !part.is_empty() {
            self.target.sent += part.len();
            self.table.received(sid, &part, now);
        } else if rest.is_empty()
            && !self.target.has_ended
            && (self.target.has_received_eof || !self.target.waits_for_eof)
        {
            self.target.has_ended = true;
            self.table.target_ended(sid, now);
        }
    }

    fn move_local(&mut self) {
        if !self.client.is_open() || self.pushed > self.input.len() {
            return;
        }
        let max = self.client.room().min(usize::try_from(self.numbers.next(100_000)).unwrap());
        let end = self.input.len().min(self.pushed + max);
        if end > self.pushed {
            self.client.push(&self.input[self.pushed..end], self.now);
            self.pushed = end;
        } else if end == self.input.len() {
            self.client.close();
            self.pushed += 1;
        }
    }

    /// Lets the client send what it can. Returns the time at which it must be asked again.
    fn advance_client(&mut self) -> Option<Duration> {
        let mut next = None::<Duration>;
        for direction in [Direction::Up, Direction::Down] {
            if self.attempts[direction as usize].is_some() {
                continue;
            }
            match self.client.next(direction, self.now) {
                Next::Send { body, .. } => self.send(direction, &body),
                Next::Wait(Some(at)) => next = Some(next.map_or(at, |next| next.min(at))),
                Next::Wait(None) | Next::Done => {}
            }
        }
        next
    }

    /// Makes the token invalid now and then.
    fn expire_token(&mut self) {
        let sid = self.client.sid();
        let is_open = self.client.is_open() && self.table.is_open(sid);
        if self.expired < self.expiries && is_open && self.numbers.percent(10) {
            self.expired += 1;
            self.table.rejected(sid, 401, "expired", self.now);
        }
    }

    /// Runs until the client is done.
    fn run(&mut self) {
        for _ in 0..200_000 {
            self.move_local();
            self.move_target();
            self.expire_token();
            self.handle_events();
            let wake_up = self.advance_client();
            // The server may still hold bytes for the target.
            if self.client.is_done() && self.table.pending(self.client.sid()).is_empty() {
                return;
            }
            let step = self.now + Duration::from_millis(20);
            let first = self.queue.first_key_value().map(|((at, _), _)| *at);
            let next = [first, wake_up, self.table.deadline(), Some(step)].into_iter().flatten().min();
            self.now = next.unwrap_or(step).max(self.now);
            while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let happening = entry.remove();
                self.handle(happening);
                self.handle_events();
            }
            self.table.time_out(self.now);
            self.handle_events();
        }
        panic!("no end after {:?}: {:?}", self.now, self.client);
    }

    fn check(&self, seed: u64) {
        assert_eq!(self.client.failure(), None, "seed {seed}");
        assert!(
            self.target.received == self.input,
            "seed {seed}: up {} {}",
            self.target.received.len(),
            self.input.len()
        );
        assert!(self.output == self.target.to_send, "seed {seed}: down");
        assert!(self.target.has_received_eof && self.client.has_down_ended(), "seed {seed}");
        assert_eq!(self.target.opened, 1, "seed {seed}: one connection for all requests");
    }
}

#[test]
fn bytes_arrive_once_and_in_order_over_any_network() {
    for seed in 0..150 {
        let mut numbers = Numbers(seed + 1);
        let mut size = || usize::try_from(numbers.next(1 << (4 + seed % 18))).unwrap();
        let (up, down) = (size(), size());
        let (faults, max_wait) = (
            [0, 12, 30, 50][usize::try_from(seed % 4).unwrap()],
            [25, 0, 3][usize::try_from(seed % 3).unwrap()],
        );
        let mut model = Model::new(seed, faults, max_wait, up, down);
        model.run();
        model.check(seed);
        assert!(faults > 0 || model.target.closed == 1, "seed {seed}: the server knows that all is done");
    }
}

#[test]
fn a_tunnel_that_has_ended_is_forgotten() {
    for seed in 0..20 {
        let mut model = Model::new(seed, 12, 25, 1000, 1000);
        model.run();
        model.queue.clear();
        // A lost last request leaves a tunnel that expires.
        let opened = model.target.closed == 1;
        for _ in 0..4 {
            model.now += Duration::from_secs(if opened { 11 } else { 61 });
            model.table.time_out(model.now);
            model.table.take_events();
        }
        assert!(model.table.is_empty() && model.table.deadline().is_none(), "seed {seed}");
    }
}

#[test]
fn a_new_token_continues_the_tunnel_over_any_network() {
    let mut renewed = 0;
    for seed in 0..60 {
        let faults = [0, 12, 20][usize::try_from(seed % 3).unwrap()];
        let mut model =
            Model::new(seed, faults, [25, 0][usize::try_from(seed % 2).unwrap()], 300_000, 300_000);
        model.expiries = 3;
        model.run();
        model.check(seed);
        renewed += model.expired;
    }
    assert!(renewed > 60, "{renewed}");
}

#[test]
fn a_server_that_was_restarted_loses_the_session() {
    let mut model = Model::new(7, 0, 25, 5_000_000, 100_000);
    model.target.waits_for_eof = true;
    while model.output.is_empty() {
        model.move_local();
        model.move_target();
        model.handle_events();
        model.advance_client();
        if let Some(entry) = model.queue.first_entry() {
            model.now = entry.key().0;
            let happening = entry.remove();
            model.handle(happening);
        }
        model.handle_events();
    }
    model.table = Table::new(Duration::from_secs(25), 10);
    model.target.to_send.clear();
    model.target.sent = 0;
    model.run();
    assert_eq!(model.client.failure(), Some(&Failure::SessionLost));
    assert!(model.table.is_empty() && model.target.opened == 1, "no silent new session");
}

#[test]
fn a_target_that_fails_resets_the_tunnel_after_its_data() {
    let mut model = Model::new(3, 12, 25, 10, 300_000);
    model.target.waits_for_eof = true;
    while model.target.sent < 300_000 {
        model.move_local();
        model.move_target();
        model.handle_events();
        model.advance_client();
        model.now += Duration::from_millis(10);
        while let Some(entry) = model.queue.first_entry().filter(|entry| entry.key().0 <= model.now) {
            let happening = entry.remove();
            model.handle(happening);
            model.handle_events();
        }
    }
    model.table.failed(model.client.sid(), Reset::new(ResetCode::CutOff), model.now);
    model.target.to_send.truncate(model.target.sent);
    model.run();
    assert_eq!(model.client.failure(), Some(&Failure::Reset(Reset::new(ResetCode::CutOff))));
    assert!(model.output == model.target.to_send, "all data before the reset has arrived");
}
