//! The links of an origin: each has a thread that outlives its pipes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::error::Error;
use crate::listen::Openers;
use crate::proto::link::{
    Cause, Decoder, Frame, HELLO_TIMEOUT, Hello, Link, LinkId, Settings, StreamId, rejection,
};
use crate::proto::post::{Reset, ResetCode};
use crate::proto::websocket::CloseCode;
use crate::stream::Stream;
use crate::trace::trace;
use crate::tunnels::link::{Insecure, Mailbox, Message, Pipe, PipeEnd, Role, Runner, Side, secure};

/// The links of an origin.
pub(super) struct Links {
    shared: Arc<Shared>,
    entries: Mutex<BTreeMap<LinkId, Entry>>,
    /// Connects the targets of streams.
    targets: Openers<Opening>,
}

struct Entry {
    /// The identity of the dest, as the hub reports it. No other may resume the link.
    subject: String,
    mailbox: Arc<Mailbox>,
}

/// A stream whose target is to be connected.
struct Opening {
    stream: StreamId,
    mailbox: Arc<Mailbox>,
}

/// The reason why a pipe does not carry a link.
#[derive(Debug)]
pub(super) enum Unserved {
    /// The dest has no key or another one, or uses one that this origin does not have.
    Key,
    /// The pipe has ended, or its first frame is not a valid HELLO.
    Pipe(String),
}

impl Links {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let connecting = Arc::clone(&shared);
        let connect = move |Opening { stream, mailbox }| {
            let result = connecting.connect_target().map(|tunnel| tunnel.stream);
            let result = result.map_err(|error| unreachable(&connecting, &error));
            mailbox.post(Message::Connected(stream, result));
        };
        Self { shared, entries: Mutex::default(), targets: Openers::new(connect) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LinkId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `true` if this identity may resume the link.
    pub(super) fn may_resume(&self, id: LinkId, subject: &str) -> bool {
        self.lock().get(&id).is_some_and(|entry| entry.subject == subject)
    }

    /// Continues a link over a pipe that the hub has joined.
    ///
    /// # Errors
    /// The pipe carries another link, or none.
    pub(super) fn resume(&self, id: LinkId, pipe: Pipe) -> Result<(), Unserved> {
        let (pipe, hello, first) = self.greet(pipe)?;
        let mailbox = self.lock().get(&id).map(|entry| Arc::clone(&entry.mailbox));
        match mailbox.filter(|_| hello.resumes && hello.id == id) {
            Some(mailbox) => mailbox.post(Message::Resumed(hello, pipe, first)),
            None => pipe.reject(&rejection("unknown link")),
        }
        Ok(())
    }

    /// Serves a new link on this thread until it ends. Its first stream gets `target`, or one that
    /// is connected later.
    ///
    /// # Errors
    /// The pipe carries no link.
    pub(super) fn serve(
        self: &Arc<Self>,
        pipe: Pipe,
        target: Option<Box<dyn Stream>>,
        subject: String,
    ) -> Result<(), Unserved> {
        let (pipe, hello, first) = self.greet(pipe)?;
        let failed = |error: std::io::Error| Unserved::Pipe(error.to_string());
        let resume = self.shared.settings.resume;
        let settings = Settings { resume, window: self.shared.settings.window, ..Settings::default() };
        let Ok(link) = Link::origin(settings, &hello, Duration::ZERO) else {
            pipe.reject(&rejection("invalid HELLO"));
            return Err(Unserved::Pipe("the HELLO does not start a link".into()));
        };
        let (mailbox, wake) = Mailbox::new().map_err(failed)?;
        let mailbox = Arc::new(mailbox);
        if !self.register(hello.id, Entry { subject, mailbox: Arc::clone(&mailbox) }) {
            pipe.reject(&rejection("the link exists"));
            return Err(Unserved::Pipe("the HELLO starts a link that exists".into()));
        }
        let role = Origin { target, links: Arc::clone(self), mailbox: Arc::clone(&mailbox) };
        Runner::new(link, Box::new(role), (mailbox, wake), resume).run_origin(pipe, &first);
        self.lock().remove(&hello.id);
        Ok(())
    }

    /// Adds a link. Returns `false` if one with this name exists.
    fn register(&self, id: LinkId, entry: Entry) -> bool {
        let mut entries = self.lock();
        let is_new = !entries.contains_key(&id);
        if is_new {
            entries.insert(id, entry);
        }
        is_new
    }

    /// Performs the handshake of the encryption, and reads the HELLO. Returns it with the bytes
    /// after it.
    fn greet(&self, pipe: Pipe) -> Result<(Pipe, Hello, Vec<u8>), Unserved> {
        let key = self.shared.settings.key.as_ref();
        let mut pipe =
            secure(pipe, key, &self.shared.session, Side::Origin).map_err(|insecure| match insecure {
                Insecure::Key => Unserved::Key,
                Insecure::Ended(end) => Unserved::Pipe(end.to_string()),
            })?;
        match read_hello(&mut pipe) {
            Ok((hello, first)) => Ok((pipe, hello, first)),
            Err(Unserved::Key) => {
                pipe.close(CloseCode::WRONG_KEY);
                Err(Unserved::Key)
            }
            Err(error) => {
                pipe.close(CloseCode::PROTOCOL_ERROR);
                Err(error)
            }
        }
    }
}

/// Reads the HELLO of a dest. Returns it with the bytes after it.
fn read_hello(pipe: &mut Pipe) -> Result<(Hello, Vec<u8>), Unserved> {
    let end = Instant::now() + HELLO_TIMEOUT;
    let (mut decoder, mut buffer, mut is_first) = (Decoder::default(), [0; 4096], true);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let count = match pipe.read_within(&mut buffer, left) {
            Ok(Some(count)) => count,
            Ok(None) => return Err(Unserved::Pipe("no HELLO in time".into())),
            Err(end) => return Err(Unserved::Pipe(end.to_string())),
        };
        // An encrypted pipe begins with the length of the first message, which is below 256.
        if std::mem::take(&mut is_first) && buffer[0] == 0 {
            return Err(Unserved::Key);
        }
        let mut input = &buffer[..count];
        match decoder.next(&mut input) {
            Ok(Some(Frame::Hello(hello))) => return Ok((hello, input.to_vec())),
            Ok(None) => {}
            Ok(Some(_)) => return Err(Unserved::Pipe("the first frame is not a HELLO".into())),
            Err(malformed) => return Err(Unserved::Pipe(malformed.to_string())),
        }
    }
}

/// Returns the RESET for a target that could not be connected.
fn unreachable(shared: &Shared, error: &Error) -> Reset {
    let text = format!("{}: {}", shared.connector.plan().target, error.refusal().text());
    Reset { code: ResetCode::Unreachable, text }
}

/// The origin's part of the thread of a link.
struct Origin {
    /// The connection for the first stream.
    target: Option<Box<dyn Stream>>,
    links: Arc<Links>,
    mailbox: Arc<Mailbox>,
}

impl Role for Origin {
    fn opened(&mut self, stream: StreamId, _: &str) {
        if let Some(target) = self.target.take() {
            return self.mailbox.post(Message::Connected(stream, Ok(target)));
        }
        let targets = &self.links.targets;
        let opening = Opening { stream, mailbox: Arc::clone(&self.mailbox) };
        if !targets.wait_for_room(Duration::ZERO) || targets.run(opening).is_err() {
            let result = Err(Reset::new(ResetCode::TooMany));
            self.mailbox.post(Message::Connected(stream, result));
        }
    }

    fn pipe_lost(&mut self, end: &PipeEnd) -> Option<Cause> {
        match end {
            PipeEnd::Malformed(why) => Some(Cause::Unusable(why.clone())),
            // The dest may dial again. The hub ends its connection if it may not.
            PipeEnd::Normal | PipeEnd::Closed(..) | PipeEnd::CutOff(_) => None,
        }
    }

    fn stream_ended(&mut self, stream: StreamId, reset: Option<&Reset>) {
        match reset {
            Some(reset) => trace!("the client reset stream {}: {:?}", stream.number(), reset.code),
            None => trace!("stream {} has ended", stream.number()),
        }
    }

    fn ended(&mut self, cause: Option<&Cause>) {
        match cause {
            Some(cause) => trace!("the link has ended: {cause:?}"),
            None => trace!("the link has ended"),
        }
    }
}
