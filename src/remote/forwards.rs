//! The forwarded connections of a run.

use std::time::Duration;

use super::failure::{Failure, refused};
use super::forwarded::{Forwarded, Status};
use super::link::Link;
use super::local_forwards::{self, LocalForwards};
use super::remote_forwards::{self, RemoteForwards};
use crate::error::{Error, Peer};
use crate::listen::Report;
use crate::plan::{Plan, Remote};
use crate::ssh::connection::{ChannelId, Connection, MAX_CHANNELS};
use crate::ssh::error::Error as SshError;
use crate::stream::{Events, PollSet};

/// The forwarded connections of a run.
pub(super) struct Forwards {
    local: LocalForwards,
    remote: Option<RemoteForwards>,
    connections: Vec<Forwarded>,
    server: Peer,
    report: Report,
}

impl Forwards {
    /// Opens the listeners at this end.
    ///
    /// # Errors
    /// A listener could not be opened.
    pub(super) fn open(remote: &Remote, plan: &Plan, server: &Peer) -> Result<Self, Error> {
        Ok(Self {
            local: LocalForwards::open(&remote.local_forwards, &plan.sockets)?,
            remote: RemoteForwards::new(&remote.remote_forwards, plan)?,
            connections: Vec::new(),
            server: server.clone(),
            report: Report::default(),
        })
    }

    /// Requests the listeners at the server.
    pub(super) fn request(&self, link: &mut Link) -> Result<(), Failure> {
        self.remote.as_ref().map_or(Ok(()), |remote| remote.request(link))
    }

    /// Returns the first remote forward that the server has not answered, as the user wrote it.
    pub(super) fn unanswered(&self) -> Option<&str> {
        self.remote.as_ref()?.unanswered()
    }

    /// Processes the server's answer to the request for a remote forward.
    pub(super) fn answered(&mut self, index: usize, answer: Option<&[u8]>) -> Result<(), Failure> {
        match &mut self.remote {
            Some(remote) => remote.answered(index, answer, &self.server),
            None => Ok(()),
        }
    }

    /// Processes the server's request for a channel.
    pub(super) fn asked(
        &mut self,
        connection: &mut Connection,
        id: ChannelId,
        kind: &str,
        data: &[u8],
    ) -> Result<(), Failure> {
        match &mut self.remote {
            Some(remote) => {
                let failed = |client: &str, error: &Error| report(&mut self.report, client, error);
                remote.asked(connection, id, kind, data, failed)
            }
            None => remote_forwards::refuse(connection, id),
        }
    }

    /// Records that the server has opened a channel.
    pub(super) fn opened(&mut self, id: ChannelId) {
        if let Some(found) = self.connections.iter_mut().find(|it| it.channel() == id) {
            found.opened();
        }
    }

    /// Reports that the server has not opened a channel, and resets its client.
    pub(super) fn refused(&mut self, id: ChannelId, reason: u32, text: String) {
        let Some(index) = self.connections.iter().position(|it| it.channel() == id) else { return };
        let connection = self.connections.swap_remove(index);
        let error = refused(&self.server, SshError::ChannelRefused { reason, text }, connection.target());
        report(&mut self.report, connection.client(), &error);
        connection.abort();
    }

    /// Moves data of all connections.
    pub(super) fn advance(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        // Each turn begins with another connection, so that none takes all the room for output.
        if self.connections.len() > 1 {
            self.connections.rotate_left(1);
        }
        let mut failed = Ok(());
        self.connections.retain_mut(|forwarded| match forwarded.advance(connection) {
            Ok(Status::Open) => true,
            Ok(Status::Done) => false,
            Ok(Status::Broken(cause)) => {
                let address = forwarded.client().to_owned();
                report(&mut self.report, &address, &Error::Client { address: address.clone(), cause });
                false
            }
            Err(error) => {
                failed = Err(error.into());
                true
            }
        });
        failed
    }

    fn is_full(&self) -> bool {
        // One channel is left for the program.
        self.connections.len() + 1 >= MAX_CHANNELS
    }

    /// Adds the listeners and the connections at this end to a set. Returns the number of
    /// listeners.
    pub(super) fn register<'a>(&'a self, connection: &Connection, polls: &mut PollSet<'a>) -> usize {
        for forwarded in &self.connections {
            forwarded.register(connection, polls);
        }
        if let Some(remote) = &self.remote {
            remote.register(polls);
        }
        self.local.register(self.is_full(), polls)
    }

    /// Accepts clients and opened connections, after a wait with the descriptors of
    /// [`register`](Self::register).
    pub(super) fn ready(
        &mut self,
        connection: &mut Connection,
        listeners: usize,
        events: &mut Events,
    ) -> Result<(), Failure> {
        for forwarded in &self.connections {
            forwarded.ready(events);
        }
        if let Some(remote) = &mut self.remote {
            let failed = |client: &str, error: &Error| report(&mut self.report, client, error);
            self.connections.extend(remote.opened(connection, events, failed)?);
        }
        for (client, to) in self.local.accept(listeners, events) {
            self.connections.extend(local_forwards::open(connection, client, &to)?);
        }
        Ok(())
    }

    /// Returns the time until paused listeners must be registered again; `None` for never.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.local.time_left()
    }

    /// Resets all connections at this end.
    pub(super) fn abort(self) {
        self.connections.into_iter().for_each(Forwarded::abort);
    }
}

/// Reports the failure of a connection in one line.
fn report(report: &mut Report, client: &str, error: &Error) {
    let error = error.user_message();
    // Some messages name the client.
    let line = if error.contains(client) { error } else { format!("client {client}: {error}") };
    report.message(&line);
}
