//! The client of a POST tunnel.

use std::time::Duration;

use zeroize::Zeroizing;

use super::classify::{Verdict, classify};
use super::client_streams::{Incoming, Outgoing};
use super::exchange::Response;
use super::failure::Failure;
use super::lane::{Jitter, Lane, Sent};
use super::message::{Key, Opening, Request, Reset, ResetCode, Sid};

mod failing;
mod renewal;

/// Maximum number of bytes that the client holds for the server.
pub const MAX_UNACKNOWLEDGED: usize = 512 * 1024;
/// Length of the first bodies. It doubles with each full body that the server accepts.
const FIRST_BODY: usize = 64 * 1024;
/// Minimum length of a body after answers with status 413.
const MIN_BODY: usize = 1024;
/// The holds of a POLL, in seconds. Each POLL that ends early selects the next one.
const HOLDS: [u64; 6] = [25, 12, 6, 3, 1, 0];
/// Maximum interval between two POLLs that are not held.
pub const MAX_POLL_INTERVAL: Duration = Duration::from_secs(10);
/// Maximum delay before bytes are sent again for which the server has no room.
const MAX_ROOM_INTERVAL: Duration = Duration::from_secs(1);
/// Time for which OPEN is repeated while a web server in front answers that it does not reach the
/// server. A server that is being restarted is back by then.
pub const OPEN_RETRY_TIME: Duration = Duration::from_secs(5);

/// The two sequences of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Requests with data and the final acknowledgement.
    Up,
    /// POLLs.
    Down,
}

/// The next task of a sequence.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Send a request with this body, and report the result.
    Send {
        /// The body. OPEN contains the token.
        body: Zeroizing<Vec<u8>>,
        /// The time for which the server may hold the request.
        hold: Duration,
    },
    /// Wait until this time, or until another call changes the tunnel.
    Wait(Option<Duration>),
    /// The sequence is over.
    Done,
}

/// The settings of a tunnel.
#[derive(Debug)]
pub struct Settings {
    /// The identifier.
    pub sid: Sid,
    /// The key.
    pub key: Key,
    /// The token; empty for none.
    pub token: Zeroizing<Vec<u8>>,
    /// The target as the user gave it; empty for none.
    pub target: Vec<u8>,
    /// The time for which requests may fail before the tunnel is given up.
    pub resume: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    /// The local end has aborted the tunnel, and the server may not know yet.
    Aborting,
    Done,
}

/// The state of the token.
#[derive(Debug)]
enum Renewal {
    /// The server has not rejected it.
    None,
    /// The server has rejected it, for this reason.
    Needed(String),
    /// The next request of this direction sends a new one.
    Due(Direction),
}

/// A tunnel. Time is the time since an arbitrary start.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    state: State,
    failure: Option<Failure>,
    outgoing: Outgoing,
    incoming: Incoming,
    up: Lane,
    down: Lane,
    max_body: usize,
    /// An index into [`HOLDS`].
    hold: usize,
    /// The server's longest hold; `None` before the first answer.
    max_hold: Option<Duration>,
    jitter: Jitter,
    /// The time of the first response in a row that says that a web server does not reach the
    /// server.
    unavailable_since: Option<Duration>,
    renewal: Renewal,
}

impl Client {
    /// Creates a tunnel that is not open yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let jitter = Jitter::new(&settings.sid.to_string());
        Self {
            settings,
            state: State::Opening,
            failure: None,
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
            up: Lane::default(),
            down: Lane::default(),
            max_body: FIRST_BODY,
            hold: 0,
            max_hold: None,
            jitter,
            unavailable_since: None,
            renewal: Renewal::None,
        }
    }

    /// Returns the identifier.
    #[must_use]
    pub fn sid(&self) -> Sid {
        self.settings.sid
    }

    /// Returns `true` once the server has connected to the target.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state != State::Opening && self.failure.is_none()
    }

    /// Returns the reason why the tunnel has failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Returns `true` once nothing is left to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Returns `true` once nothing is left to be sent: the server has received all data and EOF,
    /// and knows that its own EOF has arrived if there is one.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.is_done() || self.outgoing.is_end_acknowledged && !self.incoming.has_ended
    }

    /// Returns `true` once the server has sent EOF.
    #[must_use]
    pub fn has_down_ended(&self) -> bool {
        self.incoming.has_ended
    }

    /// Returns the number of bytes that the server has not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.outgoing.held.len()
    }

    /// Returns the number of bytes that [`push`](Self::push) accepts.
    #[must_use]
    pub fn room(&self) -> usize {
        if self.outgoing.is_closed { 0 } else { MAX_UNACKNOWLEDGED.saturating_sub(self.outgoing.held.len()) }
    }

    /// Adds local input.
    pub fn push(&mut self, bytes: &[u8], now: Duration) {
        self.outgoing.held.extend(bytes);
        self.down.hurry(now);
    }

    /// Adds EOF of the local input.
    pub fn close(&mut self) {
        self.outgoing.is_closed = true;
    }

    /// Aborts the tunnel: the local end was cut off.
    pub fn abort(&mut self) {
        match self.state {
            State::Open => {
                self.state = State::Aborting;
                self.outgoing.held.clear();
                // The last request need not wait for the one in flight.
                self.up = Lane::default();
            }
            State::Opening => self.state = State::Done,
            State::Aborting | State::Done => {}
        }
    }

    /// Ends the tunnel because of a failure that no retry can avoid.
    pub fn fail(&mut self, failure: Failure) {
        if self.state != State::Done {
            self.state = State::Done;
            self.failure = Some(failure);
        }
    }

    /// Returns the next task. Must not be called while a request of this direction is in flight.
    pub fn next(&mut self, direction: Direction, now: Duration) -> Next {
        let lane = match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        };
        let not_before = lane.not_before;
        let task = match (direction, self.state) {
            (_, State::Done) | (Direction::Down, State::Aborting) => return Next::Done,
            (Direction::Down, State::Open) if self.incoming.has_ended => return Next::Done,
            (Direction::Down, State::Opening) => return Next::Wait(None),
            (Direction::Up, State::Open) if self.sends_token(direction) => Self::open_request,
            (Direction::Down, State::Open) if self.sends_token(direction) => Self::reopen_request,
            (_, State::Open) if self.is_suspended() => return Next::Wait(None),
            (Direction::Up, State::Open) if !self.has_up_task() => return Next::Wait(None),
            (Direction::Up, State::Opening) => Self::open_request,
            (Direction::Up, State::Open) => Self::data_request,
            (Direction::Up, State::Aborting) => Self::reset_request,
            (Direction::Down, State::Open) => Self::poll_request,
        };
        if not_before > now {
            return Next::Wait(Some(not_before));
        }
        task(self, now)
    }

    fn has_up_task(&self) -> bool {
        !self.outgoing.held.is_empty()
            || self.outgoing.is_closed && !self.outgoing.is_end_acknowledged
            || self.incoming.has_ended && !self.incoming.is_end_acknowledged
    }

    /// Returns a request without flags.
    fn request(&self) -> Request<'static> {
        let key = self.settings.key.clone();
        Request { up: self.outgoing.acknowledged, down: self.incoming.received, ..Request::new(key) }
    }

    /// Returns the record of a request that is sent now.
    fn sent(&self, now: Duration, length: usize) -> Sent {
        let (up, down) = (self.outgoing.acknowledged, self.incoming.received);
        Sent { at: now, up, length, down, hold: Duration::ZERO, is_outdated: false }
    }

    fn open_request(&mut self, now: Duration) -> Next {
        self.up.sent = Some(self.sent(now, 0));
        self.open_message()
    }

    /// Sends a new token in place of a POLL.
    fn reopen_request(&mut self, now: Duration) -> Next {
        self.down.sent = Some(self.sent(now, 0));
        self.open_message()
    }

    fn open_message(&self) -> Next {
        let Settings { token, target, .. } = &self.settings;
        let opening = Opening { token, target };
        let body = Request { opening: Some(opening), ..self.request() }.encode(0);
        // Connecting to the target takes time, too.
        Next::Send { body: Zeroizing::new(body), hold: self.longest_hold() }
    }

    fn data_request(&mut self, now: Duration) -> Next {
        let length = self.outgoing.held.len().min(self.max_body);
        let is_eof = self.outgoing.is_closed
            && length == self.outgoing.held.len()
            && !self.outgoing.is_end_acknowledged;
        let mut body = Request { is_eof, ..self.request() }.encode(length);
        self.outgoing.copy(length, &mut body);
        self.up.sent = Some(self.sent(now, length));
        Next::Send { body: Zeroizing::new(body), hold: self.longest_hold() }
    }

    fn reset_request(&mut self, now: Duration) -> Next {
        let mut body = Request { is_reset: true, ..self.request() }.encode(2);
        Reset::new(ResetCode::CutOff).encode(&mut body);
        self.up.sent = Some(self.sent(now, 0));
        Next::Send { body: Zeroizing::new(body), hold: Duration::ZERO }
    }

    fn poll_request(&mut self, now: Duration) -> Next {
        // After a failure, an immediate answer shows that the server is back.
        let hold = if self.down.failures > 0 { Duration::ZERO } else { self.hold() };
        let wait = u16::try_from(hold.as_millis() / 100).unwrap_or(u16::MAX);
        let body = Request { is_poll: true, wait, ..self.request() }.encode(0);
        self.down.sent = Some(Sent { hold, ..self.sent(now, 0) });
        Next::Send { body: Zeroizing::new(body), hold }
    }

    fn longest_hold(&self) -> Duration {
        self.max_hold.unwrap_or(Duration::from_secs(HOLDS[0]))
    }

    /// Returns the hold of the next POLL.
    fn hold(&self) -> Duration {
        Duration::from_secs(HOLDS[self.hold]).min(self.longest_hold())
    }

    /// Handles the answer to the request in flight. Returns the bytes for the local end, which are
    /// not empty only for [`Direction::Down`].
    pub fn answered<'a>(&mut self, direction: Direction, response: &'a Response, now: Duration) -> &'a [u8] {
        let lane = self.lane(direction);
        let Some(sent) = lane.sent.take() else { return &[] };
        let is_opening = self.state == State::Opening;
        match classify(response, is_opening) {
            Verdict::Answer(answer, data) => {
                if let Some(cause) = self.check(&answer, data.len(), direction) {
                    self.retry(direction, cause, None, now);
                    return &[];
                }
                self.lane(direction).succeed();
                self.max_hold = Some(Duration::from_millis(u64::from(answer.wait) * 100));
                if answer.is_reset {
                    self.reset(data);
                    return &[];
                }
                if is_opening {
                    self.state = State::Open;
                }
                self.note_opened(&answer);
                self.outgoing.acknowledge(answer.up);
                match direction {
                    Direction::Up => {
                        self.up_answered(sent, now);
                        &[]
                    }
                    Direction::Down => self.down_answered(sent, answer.down, answer.is_eof, data, now),
                }
            }
            Verdict::TooLong => {
                if direction == Direction::Up && sent.length > MIN_BODY {
                    self.max_body = (sent.length.min(self.max_body) / 2).max(MIN_BODY);
                } else {
                    self.retry(direction, "HTTP status 413".into(), None, now);
                }
                &[]
            }
            Verdict::Retry(cause) => {
                if direction == Direction::Down && response.status == 504 {
                    self.shorten_hold();
                }
                let since = *self.unavailable_since.get_or_insert(now);
                if is_opening && now.saturating_sub(since) >= OPEN_RETRY_TIME.min(self.settings.resume) {
                    let is_refused = response.status == 429;
                    self.fail(if is_refused { Failure::Refused(cause) } else { Failure::NotOpened(cause) });
                } else {
                    self.retry(direction, cause, response.retry_after, now);
                }
                &[]
            }
            Verdict::Final(Failure::Token(why)) if self.can_renew() => {
                self.token_rejected(why, &sent);
                &[]
            }
            Verdict::Final(failure) => {
                self.end_with(failure);
                &[]
            }
        }
    }

    /// Returns the time before which no request of this direction is sent.
    #[must_use]
    pub fn not_before(&self, direction: Direction) -> Duration {
        match direction {
            Direction::Up => self.up.not_before,
            Direction::Down => self.down.not_before,
        }
    }

    /// Returns `true` if requests of this direction must be abandoned: the tunnel is over, or the
    /// local end has aborted it.
    #[must_use]
    pub fn abandons(&self, direction: Direction) -> bool {
        match self.state {
            State::Opening | State::Open => false,
            // The last request must not wait for the one in flight.
            State::Aborting => direction == Direction::Down || self.up.sent.is_none(),
            State::Done => true,
        }
    }

    fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// Returns the reason why an answer cannot be one to the request in flight.
    fn check(&self, answer: &super::Answer, length: usize, direction: Direction) -> Option<String> {
        let is_gap = direction == Direction::Down && answer.down > self.incoming.received && length > 0;
        let is_opened = self.state != State::Opening || answer.is_opened || answer.is_reset;
        (answer.up > self.outgoing.end() || is_gap || !is_opened).then(|| "unexpected answer".into())
    }

    fn up_answered(&mut self, sent: Sent, now: Duration) {
        if self.state == State::Aborting {
            self.state = State::Done;
            return;
        }
        self.incoming.is_end_acknowledged |= self.incoming.has_ended && sent.down == self.incoming.received;
        // The answer to a POLL may have acknowledged the data before.
        let progress = self.outgoing.acknowledged > sent.up;
        if progress || sent.length == 0 {
            self.up.speed_up();
        } else {
            self.up.slow_down(now, MAX_ROOM_INTERVAL);
        }
        if progress && sent.length == self.max_body {
            self.max_body = (self.max_body * 2).min(MAX_UNACKNOWLEDGED);
        }
        if progress {
            self.down.hurry(now);
        }
        self.finish_if_complete();
    }

    fn down_answered<'a>(
        &mut self,
        sent: Sent,
        down: u64,
        is_eof: bool,
        data: &'a [u8],
        now: Duration,
    ) -> &'a [u8] {
        let new = self.incoming.accept(down, is_eof, data);
        if !new.is_empty() || self.incoming.has_ended {
            self.down.speed_up();
        } else if now.saturating_sub(sent.at) * 2 < sent.hold || self.hold().is_zero() {
            // The server does not hold POLLs, or something on the way answers in its place.
            self.down.slow_down(now, MAX_POLL_INTERVAL);
        }
        new
    }

    /// Ends the tunnel once both directions are complete, and both ends know.
    fn finish_if_complete(&mut self) {
        if self.outgoing.is_end_acknowledged && self.incoming.has_ended && self.incoming.is_end_acknowledged {
            self.state = State::Done;
        }
    }

    fn reset(&mut self, data: &[u8]) {
        if self.state == State::Aborting {
            self.state = State::Done;
        } else {
            self.end_with(Failure::Reset(Reset::decode(data)));
        }
    }
}

#[cfg(test)]
mod tests;
