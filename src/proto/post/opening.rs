//! Opens a tunnel: the first request of a client, as a negotiation.

use std::time::Duration;

use zeroize::Zeroizing;

use super::super::http::Random;
use super::super::{Awaited, Credentials, Error, Limit, Negotiation, Redactor, Step, Wire};
use super::client::{Client, Direction, Next, Settings};
use super::exchange::{Resource, Response, ResponseReader};
use super::failure::Failure;
use super::message::{Key, Sid};
use crate::secret::secret_option;

/// The negotiation with the server of a POST tunnel. Repeats the request on new connections while
/// that may help.
#[derive(Debug)]
pub struct OpenTunnel {
    resource: Resource,
    redactor: Redactor,
    /// `None` if the system returned no random bytes, or once the tunnel was taken.
    client: Option<Client>,
    reader: ResponseReader,
    state: State,
    /// The time spent waiting between the requests, which is the client's clock.
    waited: Duration,
    note: Option<String>,
    has_token: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Send,
    Receive,
    /// Pause before the next request.
    Pause(Duration),
    Reconnect,
    Done {
        keeps_alive: bool,
    },
}

/// A tunnel that is open.
#[derive(Debug)]
pub struct OpenedTunnel {
    /// The client, whose first request has been answered.
    pub client: Client,
    /// The parts of its requests.
    pub resource: Resource,
    /// The time of the client's clock.
    pub now: Duration,
    /// The connection of the first request can carry others.
    pub keeps_alive: bool,
    /// Masks secrets in errors.
    pub redactor: Redactor,
}

impl OpenTunnel {
    /// Creates a negotiation. `target` is the target as the user gave it, and `resume` the time for
    /// which requests may fail.
    #[must_use]
    pub fn new(
        resource: Resource,
        token: Zeroizing<Vec<u8>>,
        target: String,
        resume: Duration,
        random: Random,
        redactor: Redactor,
    ) -> Self {
        let has_token = !token.is_empty();
        let client = random().zip(random()).map(|(sid, key)| {
            let (sid, key, target) = (Sid::new(sid), Key::new(key), target.into_bytes());
            Client::new(Settings { sid, key, token, target, resume })
        });
        Self {
            resource,
            reader: ResponseReader::new(redactor.clone()),
            redactor,
            client,
            state: State::Send,
            waited: Duration::ZERO,
            note: None,
            has_token,
        }
    }

    /// Takes the tunnel once the negotiation is done.
    pub fn take(&mut self) -> Option<OpenedTunnel> {
        let State::Done { keeps_alive } = self.state else { return None };
        Some(OpenedTunnel {
            client: self.client.take()?,
            resource: self.resource.clone(),
            now: self.waited,
            keeps_alive,
            redactor: self.redactor.clone(),
        })
    }

    fn client(&mut self) -> Result<&mut Client, Error> {
        self.client.as_mut().ok_or(Error::Post(Failure::NoRandomness))
    }

    fn request(&mut self) -> Result<Step, Error> {
        let waited = self.waited;
        match self.client()?.next(Direction::Up, waited) {
            Next::Send { body, .. } => {
                self.state = State::Receive;
                let sid = self.client()?.sid();
                let head = self.resource.head(sid, body.len());
                // A web server in front may take a token in the query.
                let start = secret_option(&head).unwrap_or(head.len());
                let (line, rest) = head.split_at(start);
                let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
                let (secret, fields) = rest.split_at(end);
                let parts = [(line, false), (secret, true), (fields, false), (&body[..], true)];
                Ok(Step::Send(Wire::from_parts(&parts)))
            }
            Next::Wait(Some(at)) => {
                self.state = State::Pause(at.saturating_sub(waited));
                self.step()
            }
            Next::Wait(None) | Next::Done => Err(Error::Closed(self.waiting_for())),
        }
    }

    fn answered(&mut self, response: &Response) -> Result<(), Error> {
        let (waited, keeps_alive) = (self.waited, response.keeps_alive);
        self.client()?.answered(Direction::Up, response, waited);
        self.note = Some(format!("the server answered with status {}", response.status));
        self.decide(keeps_alive)
    }

    /// Ends the negotiation, or plans the next request.
    fn decide(&mut self, keeps_alive: bool) -> Result<(), Error> {
        let (waited, sent) = (self.waited, self.has_token);
        let client = self.client()?;
        match client.failure() {
            Some(Failure::Token(text)) => return Err(Error::Token { sent, text: text.clone() }),
            Some(failure) => return Err(Error::Post(failure.clone())),
            None => {}
        }
        self.state = if client.is_open() {
            State::Done { keeps_alive }
        } else {
            match client.not_before(Direction::Up) {
                at if at > waited => State::Pause(at.saturating_sub(waited)),
                _ => State::Reconnect,
            }
        };
        Ok(())
    }
}

impl Negotiation for OpenTunnel {
    fn check(&self) -> Result<(), Error> {
        if self.client.is_some() { Ok(()) } else { Err(Error::Post(Failure::NoRandomness)) }
    }

    fn restart(&mut self) {
        if !matches!(self.state, State::Done { .. }) {
            self.state = State::Send;
        }
        self.reader = ResponseReader::new(self.redactor.clone());
    }

    fn step(&mut self) -> Result<Step, Error> {
        match self.state {
            State::Send => self.request(),
            State::Receive => Ok(Step::Receive(Limit::Unknown)),
            State::Pause(time) => {
                self.waited += time;
                self.state = State::Reconnect;
                Ok(Step::Pause(time))
            }
            State::Reconnect => Ok(Step::Reconnect),
            State::Done { .. } => Ok(Step::Done),
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let (count, response) = self.reader.receive(bytes)?;
        if let Some(response) = response {
            self.answered(&response)?;
        }
        Ok(count)
    }

    fn closed(&mut self) -> Result<(), Error> {
        if let Some(response) = self.reader.closed() {
            return self.answered(&response);
        }
        let waited = self.waited;
        let cause = "the server closed the connection before it answered";
        self.client()?.broken(Direction::Up, cause, false, waited);
        self.note = Some(cause.into());
        self.decide(false)
    }

    fn credentials(&mut self, _: Credentials) -> Result<(), Error> {
        Ok(())
    }

    fn take_log_note(&mut self) -> Option<String> {
        self.note.take()
    }

    fn is_text(&self) -> bool {
        true
    }

    fn waiting_for(&self) -> Awaited {
        Awaited::Message("the answer to the first request of a POST tunnel")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::super::message::{Answer, Request, Reset, ResetCode};
    use super::*;

    fn opening(resume: u64) -> OpenTunnel {
        let resource = Resource { authority: "h".into(), path: "/t".into(), query: None };
        let token = Zeroizing::new(b"token".to_vec());
        let resume = Duration::from_secs(resume);
        OpenTunnel::new(resource, token, "host:22".into(), resume, || Some([7; 16]), Redactor::default())
    }

    fn sent(machine: &mut OpenTunnel) -> Wire {
        match machine.step() {
            Ok(Step::Send(wire)) => wire,
            other => panic!("{other:?}"),
        }
    }

    fn response(status: &str, answer: Answer, data: &[u8]) -> Vec<u8> {
        let mut body = answer.encode().to_vec();
        body.extend_from_slice(data);
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), &body].concat()
    }

    #[test]
    fn the_answer_may_arrive_in_any_fragmentation() {
        let opened = response("200 OK", Answer { is_opened: true, ..Answer::default() }, b"");
        for at in 1..=opened.len() {
            let mut machine = opening(60);
            let wire = sent(&mut machine);
            let end = wire.bytes().windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            let request = Request::decode(&wire.bytes()[end..]).unwrap().0;
            assert_eq!(request.opening.unwrap().token, b"token");
            assert!(!String::from_utf8_lossy(&wire.masked("****")).contains("token"));
            let (first, second) = opened.split_at(at);
            for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
                assert_eq!(machine.step(), Ok(Step::Receive(Limit::Unknown)));
                assert_eq!(machine.receive(part), Ok(part.len()));
            }
            assert_eq!(machine.step(), Ok(Step::Done));
            let opened = machine.take().unwrap();
            assert!(opened.keeps_alive && opened.client.is_open());
        }
    }

    #[test]
    fn a_failed_backend_is_asked_again() {
        let mut machine = opening(60);
        for (times, status) in [(1, "502 Bad Gateway"), (2, "500 Internal Server Error")] {
            sent(&mut machine);
            machine.receive(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).unwrap();
            let Ok(Step::Pause(pause)) = machine.step() else { panic!("no pause") };
            assert!(pause.as_millis() >= 50 * times && pause.as_millis() <= 150 * times, "{pause:?}");
            assert_eq!(machine.step(), Ok(Step::Reconnect));
            machine.restart();
        }
        sent(&mut machine);
        assert_eq!(machine.closed(), Ok(()));
        assert!(matches!(machine.step(), Ok(Step::Pause(_))));
        assert_eq!(machine.step(), Ok(Step::Reconnect));
        let mut machine = opening(0);
        sent(&mut machine);
        assert!(matches!(machine.closed(), Err(Error::Post(Failure::NotOpened(_)))));
    }

    #[test]
    fn a_refusal_is_final() {
        let mut machine = opening(60);
        sent(&mut machine);
        let mut data = Vec::new();
        let reset = Reset { code: ResetCode::Unreachable, text: "host:22: refused".into() };
        reset.encode(&mut data);
        let answer = response("200 OK", Answer { is_reset: true, ..Answer::default() }, &data);
        assert_eq!(machine.receive(&answer), Err(Error::Post(Failure::Reset(reset))));
        let mut machine = opening(60);
        sent(&mut machine);
        let page = "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>";
        machine.receive(page.as_bytes()).unwrap();
        let text = machine.closed().unwrap_err().to_string();
        assert_eq!(text, "is not a POST tunnel: content type text/html");
        let mut machine = opening(60);
        sent(&mut machine);
        assert!(matches!(machine.receive(b"SSH-2.0-x\r\n"), Err(Error::NotHttp { .. })));
    }

    #[test]
    fn without_random_bytes_there_is_no_tunnel() {
        let resource = Resource { authority: "h".into(), path: "/t".into(), query: None };
        let redactor = Redactor::default();
        let machine =
            OpenTunnel::new(resource, Zeroizing::default(), String::new(), Duration::ZERO, || None, redactor);
        assert_eq!(machine.check(), Err(Error::Post(Failure::NoRandomness)));
    }
}
