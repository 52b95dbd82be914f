//! An origin (`--origin`): registers with a hub, and connects the hub's clients to its target.
//!
//! - This thread serves the control connection, and another one dials it.
//! - A pool of threads opens the connections for the hub's offers.
//! - The reactors relay, as for the clients of a listener.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::connector::Connector;
use crate::error::Error;
use crate::hops::hub::{Purpose, random_session};
use crate::listen::start_reactors;
use crate::plan::OriginSettings;
use crate::proto::hub::{FromHub, ToHub};
use crate::proto::websocket::{Close, CloseCode};
use crate::stream::{Interest, Registration, Stream};
use crate::sys::{self, Background, Poller, PollerEvents, Source, Termination};
use crate::trace::{self, trace};
use control::{Control, Event};
use offers::Offers;
use schedule::Schedule;
use shared::{Message, Shared, spawn};
use spares::Spares;

mod control;
mod links;
mod offers;
mod schedule;
mod shared;
mod spares;

/// Delay after a failed wait, so that a permanent failure does not occupy a processor.
const ERROR_DELAY: Duration = Duration::from_millis(100);

/// Runs an origin until a termination signal arrives.
///
/// # Errors
/// The first attempt to register failed, the hub has rejected the token, or another origin has
/// taken over the session.
pub fn run(connector: Connector, settings: &OriginSettings) -> Result<(), Error> {
    let failed = |what| move |cause| Error::System { what, cause };
    // Before any thread is started.
    let background = settings.background.then(Background::start).transpose();
    let background = background.map_err(failed("continue in the background"))?;
    let termination = Termination::watch().map_err(failed("watch for signals"))?;
    let session = match &settings.session {
        Some(session) => session.clone(),
        None => random_session()?,
    };
    let reactors = start_reactors()?;
    let poller = Poller::new().map_err(failed("wait for the hub"))?;
    let spares = Spares::new(settings.spare).map_err(failed("wait for the target"))?;
    let (settings, messages) = (settings.clone(), Mutex::default());
    let shared = Arc::new(Shared { connector, settings, session, reactors, spares, poller, messages });
    let signalled = Arc::clone(&shared);
    spawn("signals", move || signalled.await_termination(&termination))?;
    trace::never_block();
    Origin::new(shared, background).run()
}

/// Returns a line that sets a variable. Session names and numbers need no quoting.
fn assignment(name: &str, value: &str) -> String {
    format!("{name}=\"{value}\"; export {name};\n")
}

/// The control connections of an origin: usually one, and two while one replaces the other.
struct Origin {
    shared: Arc<Shared>,
    offers: Offers,
    controls: BTreeMap<usize, Control>,
    next_id: usize,
    schedule: Schedule,
    /// The process is to detach once the origin is registered.
    background: Option<Background>,
    is_dialling: bool,
    /// The hub has registered the origin once.
    was_ready: bool,
    runnable: Vec<usize>,
    sources: Vec<(Source, Interest)>,
}

impl Origin {
    fn new(shared: Arc<Shared>, background: Option<Background>) -> Self {
        let offers = Offers::new(&shared.settings, Arc::clone(&shared));
        Self {
            shared,
            offers,
            controls: BTreeMap::new(),
            next_id: 0,
            schedule: Schedule::new(Instant::now()),
            background,
            is_dialling: false,
            was_ready: false,
            runnable: Vec::new(),
            sources: Vec::new(),
        }
    }

    fn run(mut self) -> Result<(), Error> {
        let mut events = PollerEvents::new();
        let shared = Arc::clone(&self.shared);
        loop {
            let now = Instant::now();
            if !self.is_dialling && self.schedule.is_due(now) {
                self.dial()?;
            }
            if shared.poller.wait(&mut events, self.timeout(now)).is_err() {
                thread::sleep(ERROR_DELAY);
                continue;
            }
            let running =
                Registration::tasks_to_run(Some(&events), &mut self.runnable, |id, index, ready| {
                    self.controls.get_mut(&id).map(|task| task.registration.note(index, ready)).is_some()
                });
            for id in running {
                self.advance(id)?;
            }
            for message in shared.take_messages() {
                match message {
                    Message::Terminate => {
                        self.close_all();
                        return Ok(());
                    }
                    Message::Refuse(message) => self.refuse(&message),
                    Message::Dialled(result) => self.dialled(result)?,
                }
            }
            self.check_hubs()?;
        }
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        if !self.runnable.is_empty() {
            return Some(Duration::ZERO);
        }
        let dial = (!self.is_dialling).then(|| self.schedule.time_left(now));
        self.controls.values().filter_map(|control| control.time_left(now)).chain(dial).min()
    }

    /// Starts to dial a control connection on another thread.
    fn dial(&mut self) -> Result<(), Error> {
        self.is_dialling = true;
        let shared = Arc::clone(&self.shared);
        spawn("dial", move || {
            let result = shared.connect(Purpose::Control).map(|tunnel| tunnel.stream);
            shared.send(Message::Dialled(result));
        })
    }

    fn dialled(&mut self, result: Result<Box<dyn Stream>, Error>) -> Result<(), Error> {
        self.is_dialling = false;
        match result {
            Ok(stream) => {
                let id = self.next_id;
                self.next_id += 1;
                self.controls.insert(id, Control::new(stream, self.shared.settings.keep_alive));
                self.schedule.connected(Instant::now(), sys::random());
                self.arm(id)
            }
            Err(error) if !self.was_ready || error.is_final_for_origin() => Err(error),
            Err(error) => {
                trace!("{error}");
                self.schedule.failed(Instant::now(), sys::random());
                Ok(())
            }
        }
    }

    /// Handles the events of a control connection.
    fn advance(&mut self, id: usize) -> Result<(), Error> {
        let Some(control) = self.controls.get_mut(&id) else { return Ok(()) };
        let events = control.registration.take_events();
        for event in control.advance(events) {
            self.handle(id, event)?;
        }
        self.arm(id)
    }

    fn handle(&mut self, id: usize, event: Event) -> Result<(), Error> {
        match event {
            Event::Message(FromHub::Ready) => self.ready(id)?,
            Event::Message(FromHub::Offer { id: offer, from, subject, mode, resume }) => {
                if let Err((status, why)) = self.offers.accept(offer, from, &subject, mode, resume) {
                    trace!("refused client {from}: {why}");
                    self.refuse(&ToHub { id: offer, status, why });
                }
            }
            Event::Message(FromHub::Withdrawn(offer)) => self.offers.withdraw(offer),
            Event::Message(FromHub::Drain(_)) => self.schedule.soon(Instant::now(), sys::random()),
            Event::Closed(close) => self.closed(id, &close)?,
            Event::Lost(why) => self.lost(id, &why),
        }
        Ok(())
    }

    /// Handles the registration on a control connection, which replaces the others.
    fn ready(&mut self, id: usize) -> Result<(), Error> {
        for (other, control) in &mut self.controls {
            if *other == id {
                control.is_ready = true;
            } else {
                control.close(CloseCode::NORMAL);
            }
        }
        trace!("registered session {}", self.shared.session);
        if std::mem::replace(&mut self.was_ready, true) {
            return Ok(());
        }
        self.announce().map_err(Error::Output)?;
        if self.shared.settings.spare > 0 {
            let shared = Arc::clone(&self.shared);
            spawn("spare", move || shared.spares.maintain(|| shared.open_target()))?;
        }
        Ok(())
    }

    /// Prints lines for the shell that has started us.
    fn announce(&mut self) -> io::Result<()> {
        let mut text = assignment("SOCKET_ID", &self.shared.session);
        if let Some(background) = self.background.take() {
            text += &assignment("CONNECT_PID", &std::process::id().to_string());
            return background.detach(text.as_bytes());
        }
        let mut out = io::stdout();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    }

    /// Handles a Close. That of a connection that another one has replaced has no meaning.
    fn closed(&mut self, id: usize, close: &Close) -> Result<(), Error> {
        self.remove(id);
        if self.controls.values().any(|control| control.is_ready) {
            return Ok(());
        }
        let session = || self.shared.session.as_str().into();
        match close.answer() {
            CloseCode::REPLACED => Err(Error::TakenOver { session: session() }),
            CloseCode::TOKEN_DENIED => {
                let why = crate::text::printable(&close.reason).into();
                Err(Error::Denied { session: session(), why })
            }
            // The token may have been renewed. If it was not, the hub says so.
            CloseCode::TOKEN_EXPIRED => {
                self.schedule.now(Instant::now());
                Ok(())
            }
            code => {
                self.report_loss(&format!("closed with code {code}"));
                Ok(())
            }
        }
    }

    fn lost(&mut self, id: usize, why: &str) {
        let was_replaced = self.controls.iter().any(|(other, control)| *other != id && control.is_ready);
        self.remove(id);
        if !was_replaced {
            self.report_loss(why);
        }
    }

    fn report_loss(&mut self, why: &str) {
        if self.shared.connector.plan().relay.warns {
            trace::message(&format!("lost the connection to the hub: {why}; connecting again"));
        }
        self.schedule.failed(Instant::now(), sys::random());
    }

    /// Sends a refusal on the newest connection that is registered.
    fn refuse(&mut self, message: &ToHub) {
        let ready = self.controls.iter_mut().rev().find(|(_, control)| control.is_ready);
        if let Some((_, control)) = ready {
            control.refuse(message);
        }
    }

    fn check_hubs(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let due: Vec<_> = self
            .controls
            .iter_mut()
            .filter_map(|(id, control)| Some((*id, control.check_hub(now)?)))
            .collect();
        due.into_iter().try_for_each(|(id, event)| self.handle(id, event))
    }

    fn close_all(&mut self) {
        self.controls.values_mut().for_each(|control| control.close(CloseCode::NORMAL));
    }

    fn arm(&mut self, id: usize) -> Result<(), Error> {
        let Some(control) = self.controls.get_mut(&id) else { return Ok(()) };
        let mut registration = std::mem::take(&mut control.registration);
        let updated =
            registration.update(id, &self.shared.poller, &mut self.sources, |polls| control.register(polls));
        control.registration = registration;
        if updated.map_err(|cause| Error::System { what: "wait for the hub", cause })? {
            self.runnable.push(id);
        }
        Ok(())
    }

    fn remove(&mut self, id: usize) {
        if let Some(mut control) = self.controls.remove(&id) {
            control.registration.remove(&self.shared.poller);
        }
    }
}
