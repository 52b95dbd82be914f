//! Waiting for a peer, by a deadline; and the line at the terminal that says so where it takes long.
//!
//! The line is there only during a wait: whatever else is printed finds the terminal as it was. Nobody else prints
//! meanwhile, since listeners with several sessions tell nothing.

use std::env;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::deadline::Deadline;
use crate::error::{Error, Peer};
use crate::sys::{self, Watch};
use crate::text::escaped;

/// How often the line is brought up to date.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// A wait for one thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait<'a> {
    pub(super) peer: &'a Peer,
    /// "the answer to CONNECT".
    pub(super) what: &'static str,
    pub(super) deadline: Deadline,
}

impl<'a> Wait<'a> {
    pub(super) fn new(peer: &'a Peer, what: &'static str, deadline: &Deadline) -> Self {
        Self { peer, what, deadline: *deadline }
    }

    /// As [`sys::poll`], until the deadline, or until `patience` has passed if that is earlier.
    pub(super) fn poll(&self, watches: &mut [Watch<'_>], patience: Option<Duration>) -> io::Result<bool> {
        let patience = [patience, self.deadline.left()].into_iter().flatten().min();
        let ready = self.in_pieces(patience, |piece| match sys::poll(watches, piece) {
            Ok(false) => None,
            came => Some(came),
        });
        ready.unwrap_or(Ok(false))
    }

    /// Waits by a function that is given how long to wait at the most, and returns nothing if nothing has come. The line
    /// is brought up to date in between.
    pub(super) fn in_pieces<T>(
        &self,
        patience: Option<Duration>,
        mut wait: impl FnMut(Option<Duration>) -> Option<T>,
    ) -> Option<T> {
        let end = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mut due = self.deadline.status_from();
        let mut line = Line::default();
        loop {
            let next = [end, due].into_iter().flatten().min();
            let came = wait(next.map(|next| next.saturating_duration_since(Instant::now())));
            let now = Instant::now();
            if came.is_some() || end.is_some_and(|end| end <= now) {
                return came;
            }
            if due.is_some_and(|due| due <= now) {
                due = line.show(self).then(|| now + STATUS_INTERVAL);
            }
        }
    }

    /// Whether somebody may be told of it.
    pub(super) fn may_be_told(&self) -> bool {
        self.deadline.status_from().is_some() && terminal().is_some()
    }

    /// It has not come in time.
    pub(super) fn timed_out(&self) -> Error {
        Error::TimedOut {
            peer: self.peer.clone(),
            doing: format!("did not send {}", self.what),
            limit: self.deadline.limit(),
        }
    }

    /// In so many columns; the time is the last thing to be left out.
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
        if width(&what) + time.len() <= columns {
            return what + &time;
        }
        let room = columns.saturating_sub(time.len() + 1);
        format!("{}…{time}", cut(&what, room))
    }
}

/// What stands at the terminal. It is gone when this is dropped.
#[derive(Default)]
struct Line {
    width: usize,
}

impl Line {
    /// Returns whether there is a terminal, at which nobody else is at work.
    fn show(&mut self, wait: &Wait<'_>) -> bool {
        let Some(columns) = terminal() else { return false };
        // In the last column some terminals begin a new line.
        let line = wait.line(columns.saturating_sub(1));
        let before = std::mem::replace(&mut self.width, width(&line));
        print(&format!("\r{line}{}", " ".repeat(before.saturating_sub(self.width))));
        true
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Put into the background meanwhile, it would erase what others have written.
        if self.width > 0 && terminal().is_some() {
            print(&format!("\r{}\r", " ".repeat(self.width)));
        }
    }
}

/// The columns of a terminal that can take back what it shows, if we have one and are in its foreground.
fn terminal() -> Option<usize> {
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    sys::error_terminal().filter(|_| !is_dumb)
}

/// Blanks erase on every terminal. That it cannot be written changes nothing.
fn print(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// The columns of a text at the most.
fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn columns(c: char) -> usize {
    if c.is_ascii() || c == '…' { 1 } else { 2 }
}

/// As much of the start as fits.
fn cut(text: &str, room: usize) -> &str {
    let mut left = room;
    let fits = |c| {
        let rest = left.checked_sub(columns(c));
        left = rest.unwrap_or_default();
        rest.is_none()
    };
    &text[..text.find(fits).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Endpoint, Host, Port};
    use crate::plan::Target;

    #[test]
    fn the_line_fits_and_the_time_goes_last() {
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
        let any_time = Wait::new(&peer, "its greeting", &Deadline::start(None)).line(200);
        assert!(any_time.ends_with(": its greeting, 0 s; Ctrl-C to stop"), "{any_time}");
        assert_eq!(cut("aéb", 2), "a");
        assert_eq!(cut("aéb", 4), "aéb");
    }
}
