//! Waits for a peer until a deadline, and shows a status line on the terminal while the wait lasts.
//!
//! The line is erased before each wait returns, so it never mixes with other output. Only
//! single-session runs show it; `--listen` does not.

use std::io;
use std::time::{Duration, Instant};

use super::deadline::Deadline;
use crate::error::{Error, GIVEN_UP, Peer};
use crate::sys::{self, Channel, Ready, SignalReport, Watch};
use crate::text::escaped;
use crate::trace::{STATUS_INTERVAL, StatusLine, in_charset, shorten, width};

/// Interval between checks that the client is still connected, during a wait that does not poll
/// descriptors, such as a name lookup.
const CLIENT_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// The reason why a wait ended without the expected event.
#[derive(Debug)]
pub(super) enum WaitError {
    /// The deadline has passed.
    TimedOut,
    /// The client that the connection is for has disconnected.
    ClientGone,
    /// A system call failed.
    Io(io::Error),
}

impl From<io::Error> for WaitError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A wait for a peer: the peer, the expected event, and the deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait<'a> {
    pub(super) peer: &'a Peer,
    /// A noun phrase for messages, such as "the answer to CONNECT".
    pub(super) what: &'static str,
    pub(super) deadline: Deadline<'a>,
}

impl<'a> Wait<'a> {
    pub(super) fn new(peer: &'a Peer, what: &'static str, deadline: &Deadline<'a>) -> Self {
        Self { peer, what, deadline: *deadline }
    }

    /// Waits with [`sys::poll`]. Returns `false` if `timeout` or the deadline passes first.
    ///
    /// # Errors
    /// [`WaitError::ClientGone`] if the client has disconnected, or [`WaitError::Io`].
    pub(super) fn poll<'w>(
        &self,
        watches: &mut Vec<Watch<'w>>,
        timeout: Option<Duration>,
    ) -> Result<bool, WaitError>
    where
        'a: 'w,
    {
        let timeout = [timeout, self.deadline.left()].into_iter().flatten().min();
        let mut client = self.deadline.client().filter(|_| sys::HANGUP_IS_GONE);
        let check = self.deadline.client().filter(|_| !sys::HANGUP_IS_GONE).map(|_| CLIENT_CHECK_INTERVAL);
        let ready = self.wait_with_status(timeout, check, |timeout| {
            let own = watches.len();
            watches.extend(client.map(|client| sys::watch(client, false, false)));
            let ready = sys::poll(watches, timeout);
            let client_ready = watches.drain(own..).any(|watch| Ready::from_watch(&watch).gone);
            if client_ready {
                // `wait_with_status` checks whether the client is really gone. If not, stop polling
                // it, because every further poll would return at once.
                client = None;
            }
            match ready {
                Ok(false) => None,
                Ok(true) if client_ready && !watches.iter().any(is_ready) => None,
                ready => Some(ready),
            }
        });
        match ready {
            Ok(ready) => Ok(ready?),
            Err(WaitError::TimedOut) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Calls `wait` until it returns something or `timeout` has passed. Between the calls, updates
    /// the status line and checks that the client is still connected. `wait` is passed the maximum
    /// time to block, and returns `None` if nothing happened.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::ClientGone`].
    pub(super) fn poll_with_status<T>(
        &self,
        timeout: Option<Duration>,
        wait: impl FnMut(Option<Duration>) -> Option<T>,
    ) -> Result<T, WaitError> {
        let check = self.deadline.client().map(|_| CLIENT_CHECK_INTERVAL);
        self.wait_with_status(timeout, check, wait)
    }

    /// Implements [`poll_with_status`](Self::poll_with_status). `check` is the maximum time between
    /// checks of the client; `None` if no such checks are needed.
    fn wait_with_status<T>(
        &self,
        timeout: Option<Duration>,
        check: Option<Duration>,
        mut wait: impl FnMut(Option<Duration>) -> Option<T>,
    ) -> Result<T, WaitError> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut update = self.deadline.status_from();
        let mut line = StatusLine::default();
        let (mut report_from, mut report) = (self.deadline.report_from(), None);
        let client = self.deadline.client();
        loop {
            let next = [end, update, report_from].into_iter().flatten().min();
            let left = next.map(|next| next.saturating_duration_since(Instant::now()));
            let result = wait([left, check].into_iter().flatten().min());
            if client.is_some_and(Channel::is_broken) {
                return Err(WaitError::ClientGone);
            }
            let now = Instant::now();
            if let Some(result) = result {
                return Ok(result);
            }
            if end.is_some_and(|end| end <= now) {
                return Err(WaitError::TimedOut);
            }
            if report_from.is_some_and(|from| from <= now) {
                (report_from, report) = (None, self.signal_report());
            }
            if update.is_some_and(|update| update <= now) {
                // A signal may arrive right after the line is printed.
                let clear = |width| report.as_ref().into_iter().for_each(|report| report.clear_line(width));
                let is_shown = line.show(|columns| self.line(columns), clear);
                update = is_shown.then(|| now + STATUS_INTERVAL);
            }
        }
    }

    /// While the returned guard exists, a signal that ends the program first prints what this wait
    /// is for. Returns `None` if the deadline requests no reports.
    pub(super) fn signal_report(&self) -> Option<SignalReport> {
        self.deadline.report_from()?;
        let what = in_charset(escaped(&format!("{} ({})", self.peer, self.what)));
        let now = Instant::now();
        let since = now.checked_sub(self.deadline.elapsed()).unwrap_or(now);
        SignalReport::start(what, since, GIVEN_UP)
    }

    /// Returns `true` if a long wait would show the status line.
    pub(super) fn shows_status(&self) -> bool {
        self.deadline.status_from().is_some() && StatusLine::can_show()
    }

    /// Returns the error for a wait that failed.
    pub(super) fn error(&self, error: WaitError) -> Error {
        match error {
            WaitError::TimedOut => self.timed_out(),
            WaitError::ClientGone => Error::ClientGone,
            WaitError::Io(cause) => Error::System { what: "wait for an answer", cause },
        }
    }

    /// Returns the error to report if the deadline passes before the peer sends `self.what`.
    fn timed_out(&self) -> Error {
        let doing = match (self.what.strip_prefix("the end of "), self.what.strip_prefix("the opening of ")) {
            (Some(process), _) => format!("did not complete {process}"),
            (_, Some(channel)) => format!("did not open {channel}"),
            _ => format!("did not send {}", self.what),
        };
        Error::TimedOut { peer: self.peer.clone(), doing, limit: self.deadline.limit() }
    }

    /// Formats the status line, shortened to fit in `columns`. The elapsed time is always kept.
    fn line(&self, columns: usize) -> String {
        let elapsed = self.deadline.elapsed().as_secs_f64();
        let time = match self.deadline.left() {
            Some(_) => format!(", {elapsed:.0} s of {} s", self.deadline.limit().as_secs_f64()),
            None => format!(", {elapsed:.0} s"),
        };
        let what = escaped(&format!("connect: waiting for {}: {}", self.peer, self.what));
        let line = format!("{what}{time}; Ctrl-C to stop");
        if width(&line) <= columns {
            return line;
        }
        shorten(&what, &time, columns)
    }
}

fn is_ready(watch: &Watch<'_>) -> bool {
    let Ready { read, write, gone } = Ready::from_watch(watch);
    read || write || gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Endpoint, Host, Port};
    use crate::plan::Target;

    #[test]
    fn the_status_line_fits_the_terminal_and_drops_the_time_last() {
        let Ok(host) = Host::parse("socks.example") else { unreachable!() };
        let Some(port) = Port::new(1080) else { unreachable!() };
        let at = Target::Tcp(Endpoint { host, port });
        let peer = Peer { protocol: Some("SOCKS5"), address: at, hop: Some((1, 2)) };
        let limited = Deadline::start(Some(Duration::from_secs(30)));
        let whole =
            "connect: waiting for SOCKS5 proxy socks.example:1080 (hop 1 of 2): its greeting, 0 s of 30 s";
        let with_advice = format!("{whole}; Ctrl-C to stop");
        for (columns, expected) in [
            (with_advice.len(), with_advice.as_str()),
            (with_advice.len() - 1, whole),
            (whole.len(), whole),
            (
                whole.len() - 1,
                "connect: waiting for SOCKS5 proxy socks.example:1080 (hop 1 of 2): its greeti…, 0 s of 30 s",
            ),
            (40, "connect: waiting for SOCKS…, 0 s of 30 s"),
            (0, "…, 0 s of 30 s"),
        ] {
            let line = Wait::new(&peer, "its greeting", &limited).line(columns);
            assert_eq!(line, expected, "{columns}");
            assert!(width(&line) <= columns || columns == 0, "{line}");
        }
        let unlimited = Wait::new(&peer, "its greeting", &Deadline::start(None)).line(200);
        assert!(unlimited.ends_with(": its greeting, 0 s; Ctrl-C to stop"), "{unlimited}");
    }
}
