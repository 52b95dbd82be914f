//! The relay hub (`--relay`): origins and clients meet at a session, and the hub passes their bytes
//! on.
//!
//! - This thread accepts connections.
//! - One thread reads requests and checks their tokens (`front`).
//! - The workers, one per processor, serve the sessions (`worker`).

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::listen::{ACCEPT_RETRY_DELAY, Acceptor, ErrorReport, Gate, prepare_for_many_clients};
use crate::net::ServerTls;
use crate::plan::{HubListener, HubServer, Plan};
use crate::proto::hub::Site;
use crate::stream::Stream;
use crate::sys::{self, Client};
use crate::trace;
use front::{Accepted, Front, Inbox};
use statistics::Statistics;
use worker::{Mailbox, Message, Shared, Worker};

mod connection;
mod front;
pub mod origin;
mod output;
mod rendezvous;
mod report;
mod statistics;
mod status;
mod worker;

/// Stack size of a thread.
const STACK_SIZE: usize = 256 * 1024;
/// Interval between checks whether a hub that shuts down has ended all connections.
const DRAIN_CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// Time for the last messages of a hub that shuts down.
const HUB_STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A running hub.
struct Hub {
    inbox: Arc<Inbox>,
    workers: Vec<Arc<Mailbox>>,
    shared: Arc<Shared>,
    /// For each address in the plan, its site, and whether it uses TLS.
    sites: Vec<(Arc<Site>, bool)>,
    tls: Option<ServerTls>,
}

/// Runs the hub until a termination signal arrives, and then until its pairs have ended or
/// `--drain` is over.
///
/// # Errors
/// A listener could not be opened, a file could not be read, or a thread could not be started.
pub fn serve(plan: &Plan, server: &HubServer) -> Result<(), Error> {
    let failed = |what| move |cause| Error::System { what, cause };
    sys::reload_on_hangup().map_err(failed("watch for signals"))?;
    let tls = server.identity.as_ref().map(ServerTls::load).transpose()?;
    let gate = Gate::new(&server.access.check)?;
    prepare_for_many_clients();
    let hub = Hub::start(server, gate, tls).map_err(failed("start the threads that relay"))?;
    let at: Vec<_> = server.listeners.iter().map(|listener| listener.at.clone()).collect();
    let acceptor = Acceptor::open(&at, &plan.sockets)?;
    trace::never_block();
    let mut report = ErrorReport::default();
    hub.accept(&acceptor, &mut report, None);
    hub.drain(&acceptor, &mut report, server.drain);
    Ok(())
}

impl Hub {
    fn start(server: &HubServer, gate: Gate, tls: Option<ServerTls>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            statistics: Statistics::new(),
            report: report::Report::default(),
            keep_alive: server.keep_alive,
        });
        let count = thread::available_parallelism().map_or(1, NonZero::get);
        let mut workers = Vec::with_capacity(count);
        for _ in 0..count {
            let mailbox = Arc::new(Mailbox::new()?);
            let worker = (Arc::clone(&mailbox), Arc::clone(&shared));
            spawn("hub", move || Worker::new(worker.0, worker.1).run())?;
            workers.push(mailbox);
        }
        let inbox = Arc::new(Inbox::new()?);
        let forwarders = server.access.forwarders.clone();
        let front = (Arc::clone(&inbox), workers.clone(), Arc::clone(&shared));
        spawn("requests", move || Front::new(front.0, front.1, front.2, gate, forwarders).run())?;
        let site = |listener: &HubListener| {
            let HubListener { tls, prefix, role, .. } = listener;
            let origins = server.access.origins.clone();
            (Arc::new(Site { prefix: prefix.clone(), role: *role, origins }), *tls)
        };
        let sites = server.listeners.iter().map(site).collect();
        Ok(Self { inbox, workers, shared, sites, tls })
    }

    /// Accepts connections until a termination signal arrives or, with `until`, until that time.
    fn accept(&self, acceptor: &Acceptor, report: &mut ErrorReport, until: Option<Instant>) {
        loop {
            let next = match until {
                None => acceptor.next_client_at(None),
                Some(until) => acceptor.next_client_before(until),
            };
            match next {
                Ok(Some((index, client))) => {
                    if let Err(error) = self.add(index, client) {
                        report.error(&error);
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    report.error(&error);
                    thread::sleep(ACCEPT_RETRY_DELAY);
                }
            }
        }
    }

    fn add(&self, index: usize, client: Client) -> Result<(), Error> {
        let Client { channel, name, addrs } = client;
        let (Some((site, uses_tls)), Some((_, theirs))) = (self.sites.get(index), addrs) else {
            return Ok(());
        };
        let stream: Box<dyn Stream> = Box::new(channel);
        let stream = match self.tls.as_ref().filter(|_| *uses_tls) {
            Some(tls) => tls.accept(stream)?,
            None => stream,
        };
        let address = theirs.ip().to_canonical();
        self.inbox.send(Accepted { stream, site: Arc::clone(site), name, address });
        Ok(())
    }

    /// Refuses new sessions, and waits until all pairs have ended or the time is over. Balancers
    /// still get an answer. A second signal ends the process at once.
    fn drain(&self, acceptor: &Acceptor, report: &mut ErrorReport, time: Duration) {
        self.inbox.is_draining.store(true, Ordering::Release);
        for worker in &self.workers {
            worker.send(Message::Drain(time.as_secs()));
        }
        // An error would only mean that a second signal is ignored.
        let _ = acceptor.begin_session();
        let end = Instant::now() + time;
        let is_busy = || {
            self.shared.statistics.pairs() > 0
                || self.workers.iter().any(|worker| !worker.is_quiet.load(Ordering::Acquire))
        };
        while is_busy() && Instant::now() < end {
            self.accept(acceptor, report, Some(Instant::now() + DRAIN_CHECK_INTERVAL));
        }
        for worker in &self.workers {
            worker.send(Message::Stop);
        }
        let end = Instant::now() + HUB_STOP_TIMEOUT;
        let is_open = |worker: &Arc<Mailbox>| worker.open.load(Ordering::Acquire) > 0;
        while self.workers.iter().any(is_open) && Instant::now() < end {
            thread::sleep(DRAIN_CHECK_INTERVAL);
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().name(name.into()).stack_size(STACK_SIZE).spawn(run).map(drop)
}
