//! The end of a session: its result, resets, and the wait for data that has not arrived yet.

use std::io;
use std::mem;
use std::time::{Duration, Instant};

use super::{End, Session, State};
use crate::error::{Error, Peer};
use crate::relay::drain::Drain;
use crate::relay::flow::Fault;
use crate::relay::local_end::LocalEnd;
use crate::relay::outcome::{Ending, output_error};
use crate::stream::{Closing, Stream};
use crate::sys::{self, Ready};

/// Time for the last bytes, and the reason, after the client may no longer be served.
const REVOKED_TIMEOUT: Duration = Duration::from_millis(500);

impl Session {
    /// Ends the session because poll failed. A session that has already ended keeps its result, and
    /// waits no longer.
    pub(in crate::relay) fn fail(&mut self, cause: io::Error) {
        match mem::replace(&mut self.state, State::Closed) {
            State::Open | State::OutputOnly { .. } | State::InputOnly { .. } => {
                self.end(Err(Error::System { what: "wait for data", cause }));
            }
            State::Draining(drains) => {
                for (end, _) in drains {
                    if let Some(stream) = self.end_mut(end) {
                        stream.reset_on_close();
                    }
                }
            }
            State::Closing(_) | State::Closed => {}
        }
    }

    /// Ends the session because its client may no longer be served: the client's stream fails from
    /// now on. A stalled session does not read from its client, so this does.
    pub(in crate::relay) fn revoke_client(&mut self) {
        let cause = match self.local.input_mut().map(|client| client.read(&mut [0; 1])) {
            Some(Err(cause)) if !sys::is_transient(&cause) => cause,
            _ => return,
        };
        self.cut_at = Instant::now().checked_add(REVOKED_TIMEOUT);
        if matches!(self.state, State::Open) {
            self.end(Err(Error::Input(cause)));
        }
    }

    /// Resets what is left of the session.
    pub(super) fn cut(&mut self) {
        for end in [End::Local, End::Remote] {
            if let Some(stream) = self.end_mut(end) {
                stream.reset_on_close();
            }
        }
        self.state = State::Closed;
    }

    /// Ends the session with `result`, or with the error of a failed flow if `result` is `Ok`.
    /// After an error, resets each end that may be missing data: a FIN would claim that all data
    /// arrived.
    pub(super) fn end(&mut self, result: Result<(), Error>) {
        self.remote_ended = self.down.source_ended() && !self.down.has_fault();
        // Once a peer has broken the connection, it will not acknowledge any more data.
        let local_is_gone = self.up.read_failed() || self.down.sink_is_gone();
        let remote_is_gone = self.down.read_failed() || self.up.sink_is_gone();
        let (down_is_incomplete, up_is_incomplete) = (self.down.is_incomplete(), self.up.is_incomplete());
        let ending = self.ending();
        let unanswered = !self.has_received() && !self.local_ended_first();
        self.result = result.and_then(|()| self.take_error(unanswered)).map(|()| ending);
        let (reset_local, reset_remote) =
            self.result.as_ref().map_or_else(|error| self.resets_after(error), |_| (false, false));
        let (reset_local, reset_remote) =
            (reset_local && down_is_incomplete, reset_remote && up_is_incomplete);
        self.allow_clean_close(!reset_local, !reset_remote);
        let mut drains = Vec::new();
        for (end, reset, is_gone) in
            [(End::Local, reset_local, local_is_gone), (End::Remote, reset_remote, remote_is_gone)]
        {
            match self.end_mut(end) {
                Some(stream) if reset && is_gone => stream.reset_on_close(),
                Some(_) if reset => drains.push((end, Drain::new(self.idle.limit()))),
                _ => {}
            }
        }
        self.state = State::Draining(drains);
        self.reset_drained();
    }

    /// Returns how the session ends if there is no error.
    fn ending(&self) -> Ending {
        if !self.remote_ended || self.has_received() {
            return Ending::Normal;
        }
        let after_local = self.local_ended_first();
        Ending::Silent { after_local, has_sent: self.up.progress_count() > 0 }
    }

    /// Returns `true` if the local end sent EOF before the remote did, and the remote took what was
    /// sent.
    fn local_ended_first(&self) -> bool {
        let ended_first = match self.local {
            // If both ends have sent EOF, chance may decide which one we see first. An EOF that is
            // already available therefore counts as the first.
            LocalEnd::Stdio { .. } => self.up.source_ended(),
            // A client may send EOF because it has seen the remote's, so the order matters.
            LocalEnd::Client(_) => self.local_ended_first == Some(true),
            // The remote does not see the EOF of a client.
            LocalEnd::PersistentClient(_) => false,
        };
        // A write that failed means that the remote did not take what was sent.
        ended_first && !self.up.has_fault()
    }

    pub(super) fn has_received(&self) -> bool {
        self.down.progress_count() > 0
    }

    /// Lets those ends of a local port's session close cleanly that are not to be reset. The remote
    /// of a persistent session stays open.
    fn allow_clean_close(&mut self, local: bool, remote: bool) {
        let remote = match &self.local {
            LocalEnd::Stdio { .. } => return,
            LocalEnd::Client(_) => remote,
            LocalEnd::PersistentClient(_) => false,
        };
        for end in [(End::Local, local), (End::Remote, remote)]
            .into_iter()
            .filter_map(|(end, clean)| clean.then_some(end))
        {
            if let Some(stream) = self.end_mut(end) {
                stream.set_reset_on_exit(false);
            }
        }
    }

    /// Resets each stream whose data has arrived or whose wait has timed out. Closes the session
    /// after the last reset.
    pub(super) fn reset_drained(&mut self) {
        let State::Draining(mut drains) = mem::replace(&mut self.state, State::Closed) else { return };
        drains.retain_mut(|(end, drain)| self.end_mut(*end).is_some_and(|stream| !drain.try_reset(stream)));
        self.state = if drains.is_empty() { self.close_layers() } else { State::Draining(drains) };
    }

    /// Closes the layers of both ends, except those of a remote that outlives the session. Returns
    /// the new state.
    fn close_layers(&mut self) -> State {
        let ends = if self.local.is_persistent() { &[End::Local][..] } else { &[End::Local, End::Remote] };
        let mut closings = Vec::new();
        for &end in ends {
            if let Some(stream) = self.end_mut(end) {
                closings.extend(Closing::begin(stream).map(|closing| (end, closing)));
            }
        }
        if closings.is_empty() { State::Closed } else { State::Closing(closings) }
    }

    /// Writes more of what the layers hold.
    pub(super) fn advance_closing(&mut self, local: Ready, remote: Ready) {
        let State::Closing(mut closings) = mem::replace(&mut self.state, State::Closed) else { return };
        closings.retain_mut(|(end, closing)| {
            let ready = if *end == End::Local { local } else { remote };
            self.end_mut(*end).is_some_and(|stream| !closing.advance(stream, ready))
        });
        if closings.iter().all(|(end, _)| *end == End::Local) {
            self.report_lost_data();
        }
        if !closings.is_empty() {
            self.state = State::Closing(closings);
        }
    }

    /// Turns success into an error if the remote has not received everything.
    fn report_lost_data(&mut self) {
        if self.result.is_ok()
            && let Some(cause) = self.remote.lost_data()
        {
            self.result = Err(Error::Remote { peer: self.peer.clone(), cause, unanswered: false });
        }
    }

    /// Returns the stream of one end, which for the local end is the output.
    fn end_mut(&mut self, end: End) -> Option<&mut (dyn Stream + 'static)> {
        match end {
            End::Local => self.local.output_mut(),
            End::Remote => Some(&mut *self.remote),
        }
    }

    /// Returns `(reset_local, reset_remote)`: which ends to reset after this error.
    fn resets_after(&self, error: &Error) -> (bool, bool) {
        match (error, &self.local) {
            // ssh closes its end without reading the rest even after a normal session.
            (Error::ReaderGone, LocalEnd::Stdio { .. }) => (false, false),
            (_, LocalEnd::Stdio { .. }) => (false, true),
            (_, LocalEnd::Client(_)) | (Error::Idle { .. } | Error::System { .. }, _) => (true, true),
            // The remote connection stays open for the next client. Reset this client only if the
            // remote failed.
            (error, LocalEnd::PersistentClient(_)) => {
                (matches!(error, Error::Remote { .. } | Error::Negotiation { .. }), false)
            }
        }
    }

    /// Takes the error that ended a flow, if any. `unanswered` is for [`Error::remote`].
    fn take_error(&mut self, unanswered: bool) -> Result<(), Error> {
        let lost = |cause, peer: &Peer| Error::remote(peer.clone(), cause, unanswered);
        match self.down.take_fault() {
            Some(fault) if fault.is_ours() => return Err(local_error(fault)),
            Some(Fault::Read(cause)) => return Err(lost(cause, &self.peer)),
            Some(Fault::Write(cause)) => return Err(output_error(cause)),
            None => {}
        }
        match self.up.take_fault() {
            Some(fault) if fault.is_ours() => Err(local_error(fault)),
            Some(Fault::Read(cause)) => Err(Error::Input(cause)),
            Some(Fault::Write(cause)) if !self.remote_stopped_reading(&cause) => Err(lost(cause, &self.peer)),
            _ => Ok(()),
        }
    }

    /// Returns `true` if a write to the remote failed only because the remote closed without
    /// reading the rest, which is not an error. `EPIPE` always means this; a reset means this only
    /// after the remote's EOF.
    fn remote_stopped_reading(&self, cause: &io::Error) -> bool {
        match cause.kind() {
            io::ErrorKind::BrokenPipe => true,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => self.remote_ended,
            _ => false,
        }
    }
}

/// Returns the error for a flow that failed because this machine is out of memory.
fn local_error(fault: Fault) -> Error {
    let (Fault::Read(cause) | Fault::Write(cause)) = fault;
    Error::System { what: "relay data", cause }
}
