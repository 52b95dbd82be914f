//! The dest's end of a link.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::mailbox::{DialFailure, Mailbox, Message};
use super::pipe::{Pipe, PipeEnd};
use super::redial::PipeSource;
use super::role::Role;
use super::runner::Runner;
use super::secure::{Insecure, Side, secure};
use super::state::StreamState;
use super::stream::LinkStream;
use crate::plan::{Multiplexer, Opened, Target};
use crate::proto::link::{Cause, Failure, Link, LinkId, Settings, StreamId};
use crate::proto::post::{Reset, ResetCode};
use crate::proto::websocket::CloseCode;
use crate::secret::SharedKey;
use crate::trace::{STATUS_INTERVAL, StatusLine, resuming, trace};

/// Size of the stack of a thread. Connecting to the hub needs most of it.
const STACK_SIZE: usize = 256 * 1024;

/// Time for which a link for many streams continues without one.
pub const LINK_LINGER_TIME: Duration = Duration::from_secs(60);

/// The settings of a dest.
#[derive(Clone, Debug)]
pub struct DestSettings {
    /// The settings of the link.
    pub link: Settings,
    /// The name of the session.
    pub session: String,
    /// The key for the end-to-end encryption; `None` for none.
    pub key: Option<SharedKey>,
    /// Time for which the link continues without a stream.
    pub linger: Duration,
}

/// A link of a dest, which opens streams.
pub struct DestLink {
    mailbox: Arc<Mailbox>,
    accepts: Arc<Accepts>,
}

/// `true` while the thread accepts new streams. The lock is held while a stream is being opened, so
/// that the link does not end meanwhile.
#[derive(Debug)]
struct Accepts(Mutex<bool>);

impl Accepts {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DestLink {
    /// Starts the thread of a link over a pipe that the hub has joined with an origin.
    ///
    /// # Errors
    /// The thread could not be started, or descriptors are short.
    pub fn start(
        settings: DestSettings,
        id: LinkId,
        pipe: Pipe,
        source: Arc<dyn PipeSource>,
    ) -> io::Result<Self> {
        let link = Self::prepare(settings, id, pipe, source)?;
        link.0.start()?;
        Ok(link.1)
    }

    /// Starts the thread of a link with one stream, which ends the link.
    ///
    /// # Errors
    /// The thread could not be started, or descriptors are short.
    pub fn start_single(
        settings: DestSettings,
        id: LinkId,
        pipe: Pipe,
        source: Arc<dyn PipeSource>,
    ) -> io::Result<LinkStream> {
        let settings = DestSettings { linger: Duration::ZERO, ..settings };
        let (thread, link) = Self::prepare(settings, id, pipe, source)?;
        // Before the thread starts, or it would end the link.
        let stream = link.add_stream()?;
        thread.start()?;
        Ok(stream)
    }

    fn prepare(
        settings: DestSettings,
        id: LinkId,
        pipe: Pipe,
        source: Arc<dyn PipeSource>,
    ) -> io::Result<(Thread, Self)> {
        let (mailbox, wake) = Mailbox::new()?;
        let mailbox = Arc::new(mailbox);
        let accepts = Arc::new(Accepts(Mutex::new(true)));
        let DestSettings { link, session, key, linger } = settings;
        let role = Dest {
            id,
            session: session.clone(),
            linger,
            resume: link.resume,
            source,
            mailbox: Arc::clone(&mailbox),
            accepts: Arc::clone(&accepts),
            streams: BTreeMap::new(),
            ended: Vec::new(),
            lost: None,
            failed: None,
        };
        let (resume, link) = (link.resume, Link::dest(link, id));
        let runner = Runner::new(link, Box::new(role), (Arc::clone(&mailbox), wake), resume);
        Ok((Thread { runner, pipe, key, session }, Self { mailbox, accepts }))
    }

    fn add_stream(&self) -> io::Result<LinkStream> {
        let (stream, state, inner) = LinkStream::new(Arc::clone(&self.mailbox))?;
        self.mailbox.post(Message::Open(state, Box::new(inner)));
        Ok(stream)
    }
}

impl Multiplexer for DestLink {
    /// The origin has a target of its own.
    fn open(&self, _: &Target) -> io::Result<Opened> {
        let accepts = self.accepts.lock();
        if *accepts { Ok(Opened::Stream(Box::new(self.add_stream()?))) } else { Ok(Opened::Ended) }
    }
}

impl fmt::Debug for DestLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DestLink")
    }
}

/// A thread that has not started.
struct Thread {
    runner: Runner,
    pipe: Pipe,
    key: Option<SharedKey>,
    session: String,
}

impl Thread {
    fn start(self) -> io::Result<()> {
        let Self { runner, pipe, key, session } = self;
        spawn(move || {
            let pipe = secure(pipe, key.as_ref(), &session, Side::Dest).map_err(|insecure| match insecure {
                Insecure::Key => Cause::Key,
                Insecure::Ended(end) => Cause::Unusable(end.to_string()),
            });
            runner.run_dest(pipe);
        })
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("link".into()).stack_size(STACK_SIZE).spawn(run).map(drop)
}

/// The dest's part of the thread.
struct Dest {
    id: LinkId,
    session: String,
    linger: Duration,
    resume: Duration,
    source: Arc<dyn PipeSource>,
    mailbox: Arc<Mailbox>,
    accepts: Arc<Accepts>,
    /// The streams that have not ended.
    streams: BTreeMap<StreamId, Arc<StreamState>>,
    /// The streams that have ended, with a frame that may not be sent yet.
    ended: Vec<Arc<StreamState>>,
    lost: Option<LostPipe>,
    /// The failure that ended the link.
    failed: Option<Cause>,
}

/// A pipe that is being replaced, and the status line that shows this.
struct LostPipe {
    since: Instant,
    /// The host of the hub; `None` to show nothing.
    hub: Option<String>,
    /// The next update.
    update_at: Instant,
    line: StatusLine,
}

impl Dest {
    fn failure(&self, cause: Cause) -> Failure {
        Failure { session: self.session.clone(), cause }
    }
}

impl Role for Dest {
    fn dial(&mut self, delay: Duration) {
        let (id, source, mailbox) = (self.id, Arc::clone(&self.source), Arc::clone(&self.mailbox));
        let result = spawn(move || {
            thread::sleep(delay);
            mailbox.post(Message::Dialled(source.open(id)));
        });
        if let Err(error) = result {
            self.mailbox.post(Message::Dialled(Err(DialFailure::Temporary(error.to_string()))));
        }
    }

    fn pipe_lost(&mut self, end: &PipeEnd) -> Option<Cause> {
        let cause = match end {
            PipeEnd::Normal | PipeEnd::CutOff(_) => None,
            PipeEnd::Malformed(why) => Some(Cause::Unusable(why.clone())),
            PipeEnd::Closed(code, reason) => match (*code, reason.clone()) {
                (CloseCode::GOING_AWAY | CloseCode(1011..=1014), _) => None,
                (CloseCode::TOKEN_EXPIRED, _) if self.source.has_new_token() => None,
                (CloseCode::TOKEN_EXPIRED, reason) => Some(Cause::Token(reason)),
                (CloseCode::TOKEN_DENIED, reason) => Some(Cause::Denied(reason)),
                (CloseCode::WRONG_KEY, _) => Some(Cause::Key),
                _ => Some(Cause::Unusable(end.to_string())),
            },
        };
        self.mailbox.set_resuming(cause.is_none());
        if cause.is_none() && self.lost.is_none() {
            let since = Instant::now();
            let (hub, update_at) = (self.source.status_host(), since + STATUS_INTERVAL);
            self.lost = Some(LostPipe { since, hub, update_at, line: StatusLine::default() });
        }
        cause
    }

    fn established(&mut self) {
        self.mailbox.set_resuming(false);
        if self.lost.take().is_some() {
            trace!("link resumed");
        }
    }

    fn added(&mut self, state: Arc<StreamState>, id: Option<StreamId>) {
        if let Some(id) = id {
            state.set_id(id);
            self.streams.insert(id, state);
            return;
        }
        *self.accepts.lock() = false;
        let going_away = || Cause::Reset(Reset::new(ResetCode::GoingAway));
        state.fail(self.failure(self.failed.clone().unwrap_or_else(going_away)));
        state.finish();
    }

    fn stream_ended(&mut self, stream: StreamId, reset: Option<&Reset>) {
        let Some(state) = self.streams.get(&stream) else { return };
        if let Some(reset) = reset {
            state.fail(self.failure(Cause::Reset(reset.clone())));
        }
        // The only stream ends with the link, once the origin has everything.
        if !self.linger.is_zero() {
            self.ended.extend(self.streams.remove(&stream));
        }
    }

    fn flushed(&mut self) {
        self.ended.drain(..).for_each(|state| state.finish());
    }

    fn linger(&self) -> Option<Duration> {
        Some(self.linger)
    }

    fn refuse_streams(&mut self, mailbox: &Mailbox) -> bool {
        let mut accepts = self.accepts.lock();
        *accepts &= !mailbox.is_empty();
        !*accepts
    }

    fn time_left(&self) -> Option<Duration> {
        let lost = self.lost.as_ref().filter(|lost| lost.hub.is_some())?;
        Some(lost.update_at.saturating_duration_since(Instant::now()))
    }

    fn on_time(&mut self) {
        let Some(lost) = &mut self.lost else { return };
        lost.update_at = Instant::now() + STATUS_INTERVAL;
        if let Some(hub) = &lost.hub {
            let (lost_for, limit) = (lost.since.elapsed(), self.resume);
            lost.line.show(|columns| resuming(hub, lost_for, limit, columns), |_| ());
        }
    }

    fn ended(&mut self, cause: Option<&Cause>) {
        *self.accepts.lock() = false;
        self.mailbox.set_resuming(false);
        self.lost = None;
        self.failed = cause.cloned();
        self.flushed();
        for state in std::mem::take(&mut self.streams).into_values() {
            if let Some(cause) = cause {
                state.fail(self.failure(cause.clone()));
            }
            state.finish();
        }
    }
}
