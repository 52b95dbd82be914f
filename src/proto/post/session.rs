//! The server's state of one tunnel.

use std::time::Duration;

use super::message::{ANSWER_HEAD, Answer, Key, MAX_BODY, Request, Reset, ResetCode};
use super::streams::{DownStream, UpStream};

/// A tunnel without a request for this long expires, and its target is reset.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(60);
/// A tunnel whose token has become invalid waits this long for a new one. Then its target is reset.
pub(super) const RENEWAL_TIMEOUT: Duration = Duration::from_secs(30);
/// A tunnel that has ended is remembered for this long, to answer repeated requests.
pub const FINISHED_TTL: Duration = Duration::from_secs(10);
/// Requests of one tunnel that wait for the target at the same time. Further ones replace the
/// first.
pub const MAX_OPENERS: usize = 4;

/// The number by which the driver knows a request that is not answered yet.
pub type ClientId = u64;

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The request.
    pub client: ClientId,
    /// The HTTP status.
    pub status: u16,
    /// The body: an [`Answer`] with status 200, otherwise a text for the user, which may be empty.
    pub body: Vec<u8>,
}

/// A change that the driver must carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Reset the connection to the target.
    Reset,
    /// Close the connection to the target.
    Close,
    /// Check the new token of this request.
    Renew(ClientId),
}

/// The state of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The target is not connected yet.
    Opening,
    /// The target is connected.
    Open,
    /// The target is connected, and the token has become invalid. A new one may replace it.
    Suspended,
    /// Both streams have ended and are acknowledged.
    Finished,
    /// The tunnel was reset. The client may not know yet.
    Reset,
}

/// An OPEN that waits.
#[derive(Debug)]
struct Opener {
    client: ClientId,
    /// The position after what the client has received.
    down: u64,
}

/// A POLL that waits for bytes from the target.
#[derive(Debug)]
struct HeldPoll {
    client: ClientId,
    /// The position after what the client has received.
    down: u64,
    until: Duration,
    is_opened: bool,
}

/// A request whose bytes wait until the target accepts some.
#[derive(Debug)]
struct Blocked {
    client: ClientId,
    position: u64,
    data: Vec<u8>,
    is_eof: bool,
    down: u64,
    until: Duration,
    is_opened: bool,
}

/// One tunnel.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: Key,
    state: State,
    up: UpStream,
    down: DownStream,
    /// Requests that wait for the target, or for the check of a new token.
    openers: Vec<Opener>,
    poll: Option<HeldPoll>,
    blocked: Option<Blocked>,
    /// The reason for the reset; the client receives it after all other data.
    reset: Option<Reset>,
    /// The status and the reason with which all requests are answered.
    rejection: Option<(u16, String)>,
    /// The driver has shut down the connection to the target for writing.
    is_shut_down: bool,
    expires: Duration,
    max_wait: Duration,
    /// The time for which the table has set an alarm.
    pub(super) alarm: Option<Duration>,
}

impl Session {
    pub(super) fn new(key: Key, client: ClientId, max_wait: Duration, now: Duration) -> Self {
        Self {
            key,
            state: State::Opening,
            up: UpStream::default(),
            down: DownStream::default(),
            openers: vec![Opener { client, down: 0 }],
            poll: None,
            blocked: None,
            reset: None,
            rejection: None,
            is_shut_down: false,
            expires: now + SESSION_TIMEOUT,
            max_wait,
            alarm: None,
        }
    }

    /// Handles a request.
    pub(super) fn request(
        &mut self,
        client: ClientId,
        request: &Request<'_>,
        data: &[u8],
        now: Duration,
        replies: &mut Vec<Reply>,
    ) -> Option<Change> {
        let may_renew = self.state == State::Suspended && (request.opening.is_some() || request.is_reset);
        if let Some((status, text)) = self.rejection.as_ref().filter(|_| !may_renew) {
            replies.push(Reply { client, status: *status, body: text.clone().into() });
            return None;
        }
        self.extend(now);
        if request.down > self.down.end() {
            let body = "acknowledges bytes that were not sent".into();
            replies.push(Reply { client, status: 400, body });
            return None;
        }
        if request.is_reset {
            let change = self.abort(replies);
            replies.push(self.reply(client, request.down, false, false));
            return change;
        }
        let is_opened = request.opening.is_some();
        if matches!(self.state, State::Opening | State::Suspended) && is_opened {
            if self.openers.len() >= MAX_OPENERS {
                let Opener { client, down } = self.openers.remove(0);
                replies.push(self.reply(client, down, false, false));
            }
            self.openers.push(Opener { client, down: request.down });
            return self.is_suspended().then_some(Change::Renew(client));
        }
        self.down.acknowledge(request.down);
        let is_accepted = self.state != State::Open || self.up.accept(request.up, data, request.is_eof);
        if request.is_poll {
            let wait = Duration::from_millis(u64::from(request.wait) * 100).min(self.max_wait);
            let poll = HeldPoll { client, down: request.down, until: now + wait, is_opened };
            self.hold(poll, wait.is_zero(), replies);
        } else if is_accepted || self.max_wait.is_zero() {
            replies.push(self.reply(client, request.down, false, is_opened));
        } else {
            self.release_blocked(replies);
            let blocked = Blocked {
                client,
                position: request.up,
                data: data.to_vec(),
                is_eof: request.is_eof,
                down: request.down,
                until: now + self.max_wait,
                is_opened,
            };
            self.blocked = Some(blocked);
        }
        self.settle(now, replies)
    }

    /// Answers a POLL, or holds it until there is something to answer.
    fn hold(&mut self, poll: HeldPoll, answers_now: bool, replies: &mut Vec<Reply>) {
        // A repeated request that the client does not wait for anymore.
        if poll.down < self.down.acknowledged() {
            replies.push(self.reply(poll.client, poll.down, false, poll.is_opened));
            return;
        }
        self.release_poll(replies);
        if answers_now {
            replies.push(self.reply(poll.client, poll.down, true, poll.is_opened));
        } else {
            self.poll = Some(poll);
        }
    }

    /// Answers the held POLL without data.
    fn release_poll(&mut self, replies: &mut Vec<Reply>) {
        if let Some(poll) = self.poll.take() {
            replies.push(self.reply(poll.client, poll.down, false, poll.is_opened));
        }
    }

    /// Answers the blocked request as it is.
    fn release_blocked(&mut self, replies: &mut Vec<Reply>) {
        if let Some(blocked) = self.blocked.take() {
            replies.push(self.reply(blocked.client, blocked.down, false, blocked.is_opened));
        }
    }

    /// Answers the requests that need not wait any longer, and ends the tunnel if all is done.
    fn settle(&mut self, now: Duration, replies: &mut Vec<Reply>) -> Option<Change> {
        if let Some(mut blocked) = self.blocked.take_if(|_| self.up.has_room() || self.state != State::Open) {
            if self.state == State::Open {
                self.up.accept(blocked.position, &blocked.data, blocked.is_eof);
            }
            blocked.data = Vec::new();
            replies.push(self.reply(blocked.client, blocked.down, false, blocked.is_opened));
        }
        let is_over = self.reset.is_some() || self.down.is_end_acknowledged();
        if let Some(poll) = self.poll.take_if(|poll| is_over || poll.down < self.down.end()) {
            self.extend(now);
            replies.push(self.reply(poll.client, poll.down, true, poll.is_opened));
        }
        if self.poll.is_some() {
            self.down.shrink();
            if self.up.is_empty() {
                self.up.shrink();
            }
        }
        let is_done = self.up.has_ended() && self.up.is_empty() && self.down.is_end_acknowledged();
        if self.state == State::Open && is_done {
            self.state = State::Finished;
            self.expires = now + FINISHED_TTL;
            return Some(Change::Close);
        }
        None
    }

    /// Returns the answer to a request that has received everything before `down`.
    fn reply(&self, client: ClientId, down: u64, has_data: bool, is_opened: bool) -> Reply {
        let tenths = self.max_wait.as_millis() / 100;
        let mut answer = Answer {
            is_opened,
            wait: u16::try_from(tenths).unwrap_or(u16::MAX),
            up: self.up.received(),
            down,
            ..Answer::default()
        };
        let reset = self.reset.as_ref().filter(|_| down == self.down.end());
        answer.is_reset = reset.is_some();
        let mut body = vec![0; ANSWER_HEAD];
        match reset {
            Some(reset) => reset.encode(&mut body),
            None if has_data => {
                answer.is_eof = self.down.copy_from(down, MAX_BODY - ANSWER_HEAD, &mut body);
            }
            None => {}
        }
        body[..ANSWER_HEAD].copy_from_slice(&answer.encode());
        Reply { client, status: 200, body }
    }

    /// Ends the tunnel for the client.
    fn abort(&mut self, replies: &mut Vec<Reply>) -> Option<Change> {
        if matches!(self.state, State::Finished | State::Reset) {
            return None;
        }
        self.end_with(Reset::new(ResetCode::CutOff));
        self.down.discard();
        self.release_all(replies);
        Some(Change::Reset)
    }

    fn end_with(&mut self, reset: Reset) {
        self.state = State::Reset;
        self.reset.get_or_insert(reset);
        self.up.discard();
    }

    fn release_all(&mut self, replies: &mut Vec<Reply>) {
        for Opener { client, down } in std::mem::take(&mut self.openers) {
            replies.push(self.reply(client, down, false, false));
        }
        self.release_poll(replies);
        self.release_blocked(replies);
    }

    /// Records that the target is connected, or that the new token is valid.
    pub(super) fn connected(&mut self, now: Duration, replies: &mut Vec<Reply>) {
        if matches!(self.state, State::Opening | State::Suspended) {
            self.state = State::Open;
            self.rejection = None;
            self.expires = now + SESSION_TIMEOUT;
            for Opener { client, down } in std::mem::take(&mut self.openers) {
                replies.push(self.reply(client, down, false, true));
            }
        }
    }

    /// Records that the tunnel cannot be opened, or that the connection to the target failed. The
    /// client still receives the bytes before the failure.
    pub(super) fn failed(&mut self, reset: Reset, now: Duration, replies: &mut Vec<Reply>) {
        match self.state {
            State::Opening => {
                self.end_with(reset);
                self.expires = now + SESSION_TIMEOUT;
                self.release_all(replies);
            }
            // After EOF, the target is not interested in more bytes. Everything it sent has
            // arrived, so this is no failure.
            State::Open | State::Suspended if self.down.has_ended() => {
                self.up.discard();
                self.settle(now, replies);
            }
            State::Open | State::Suspended => {
                self.end_with(reset);
                self.settle(now, replies);
            }
            State::Finished | State::Reset => {}
        }
    }

    /// Records that the target accepts no more bytes. It may still have sent some, so the driver
    /// reads on.
    pub(super) fn write_failed(&mut self, now: Duration, replies: &mut Vec<Reply>) {
        self.up.discard();
        self.settle(now, replies);
    }

    /// Answers all requests with this status from now on. An open tunnel whose token is invalid
    /// waits for a new one.
    pub(super) fn reject(
        &mut self,
        status: u16,
        text: &str,
        now: Duration,
        replies: &mut Vec<Reply>,
    ) -> Option<Change> {
        let is_client_done = self.up.has_ended() && self.down.is_end_acknowledged();
        if status == 401 && (is_client_done || self.is_suspended()) {
            // Without a client, the target only has to receive the rest.
            return None;
        }
        let waiting =
            [self.poll.take().map(|poll| poll.client), self.blocked.take().map(|blocked| blocked.client)];
        let openers = std::mem::take(&mut self.openers).into_iter().map(|opener| opener.client);
        let waiting = openers.chain(waiting.into_iter().flatten());
        replies.extend(waiting.map(|client| Reply { client, status, body: text.into() }));
        if status == 401 && self.state == State::Open {
            self.state = State::Suspended;
            self.expires = now + RENEWAL_TIMEOUT;
            self.rejection = Some((status, text.into()));
            return None;
        }
        let had_target = self.has_target();
        self.end_with(Reset::new(ResetCode::Policy));
        self.down.discard();
        self.rejection = Some((status, text.into()));
        self.expires = now + FINISHED_TTL;
        had_target.then_some(Change::Reset)
    }

    /// Answers the request of a suspended tunnel whose new token is not accepted. Another request
    /// may have a valid one.
    pub(super) fn refuse_renewal(
        &mut self,
        client: ClientId,
        status: u16,
        text: &str,
        replies: &mut Vec<Reply>,
    ) {
        let count = self.openers.len();
        self.openers.retain(|opener| opener.client != client);
        if self.openers.len() < count {
            replies.push(Reply { client, status, body: text.into() });
        }
    }

    /// Returns `true` if the driver should move bytes between the tunnel and the target.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Returns `true` if the tunnel waits for a new token.
    pub(super) fn is_suspended(&self) -> bool {
        self.state == State::Suspended
    }

    /// Returns the next bytes for the target.
    pub(super) fn pending(&self) -> &[u8] {
        self.up.pending()
    }

    /// Returns `true` if the connection to the target must be shut down for writing.
    pub(super) fn must_shut_down(&self) -> bool {
        self.up.has_ended() && self.up.is_empty() && !self.is_shut_down
    }

    pub(super) fn shut_down(&mut self) {
        self.is_shut_down = true;
    }

    pub(super) fn written(
        &mut self,
        count: usize,
        now: Duration,
        replies: &mut Vec<Reply>,
    ) -> Option<Change> {
        self.up.consume(count);
        self.settle(now, replies)
    }

    /// Returns the number of bytes to read from the target.
    pub(super) fn room(&self) -> usize {
        self.down.room()
    }

    pub(super) fn received(&mut self, bytes: &[u8], now: Duration, replies: &mut Vec<Reply>) {
        if self.state == State::Open {
            self.down.push(bytes);
            self.settle(now, replies);
        }
    }

    /// Records EOF from the target.
    pub(super) fn target_ended(&mut self, now: Duration, replies: &mut Vec<Reply>) {
        if self.state == State::Open {
            self.down.finish();
            self.settle(now, replies);
        }
    }

    /// Forgets a request whose connection is closed.
    pub(super) fn client_gone(&mut self, client: ClientId) {
        self.openers.retain(|opener| opener.client != client);
        self.poll.take_if(|poll| poll.client == client);
        self.blocked.take_if(|blocked| blocked.client == client);
    }

    /// Returns `true` if this request is held: it has the key of the tunnel, and its token was
    /// accepted.
    pub(super) fn holds(&self, client: ClientId) -> bool {
        self.poll.as_ref().is_some_and(|poll| poll.client == client)
            || self.blocked.as_ref().is_some_and(|blocked| blocked.client == client)
    }

    /// Returns the time of the next call of [`time_out`](Self::time_out).
    pub(super) fn deadline(&self) -> Duration {
        let poll = self.poll.as_ref().map(|poll| poll.until);
        let blocked = self.blocked.as_ref().map(|blocked| blocked.until);
        [poll, blocked].into_iter().flatten().fold(self.expires, Duration::min)
    }

    /// Answers the requests whose hold is over. Returns `true` if the tunnel has expired.
    pub(super) fn time_out(&mut self, now: Duration, replies: &mut Vec<Reply>) -> bool {
        let had_request = self.poll.is_some() || self.blocked.is_some();
        if self.poll.as_ref().is_some_and(|poll| poll.until <= now) {
            self.release_poll(replies);
        }
        if self.blocked.as_ref().is_some_and(|blocked| blocked.until <= now) {
            self.release_blocked(replies);
        }
        // Connecting to the target has a limit of its own.
        if had_request || self.state == State::Opening {
            self.extend(now);
        }
        self.expires <= now
    }

    /// Postpones the expiry. A tunnel that has finished is only remembered.
    fn extend(&mut self, now: Duration) {
        if !matches!(self.state, State::Finished | State::Suspended) {
            self.expires = now + SESSION_TIMEOUT;
        }
    }

    /// Returns `true` if the connection to the target must be reset when the tunnel expires.
    pub(super) fn has_target(&self) -> bool {
        matches!(self.state, State::Open | State::Suspended)
    }
}
