//! The status line on the terminal: what the program waits for.

use std::env;
use std::io::{self, Write};
use std::time::Duration;

use crate::sys;

/// Interval between updates of the status line.
pub const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// The status line on the terminal. Dropping it erases the line.
#[derive(Debug, Default)]
pub struct StatusLine {
    width: usize,
}

impl StatusLine {
    /// Returns `true` if [`show`](Self::show) would show a line.
    #[must_use]
    pub fn can_show() -> bool {
        terminal().is_some()
    }

    /// Shows or updates the line. `line` returns its text, given the number of columns. Before it
    /// is printed, `announce` receives the number of columns to clear if the program ends without
    /// dropping the line. Returns `false` if there is no terminal or we are in the background.
    pub fn show(&mut self, line: impl FnOnce(usize) -> String, announce: impl FnOnce(usize)) -> bool {
        let Some(columns) = terminal() else { return false };
        // Some terminals wrap as soon as the last column is written, so leave it empty.
        let line = line(columns.saturating_sub(1));
        let before = std::mem::replace(&mut self.width, width(&line));
        announce(before.max(self.width));
        print(&format!("\r{line}{}", " ".repeat(before.saturating_sub(self.width))));
        true
    }

    /// Leaves the line on the terminal, and continues on the next one.
    pub fn keep(&mut self) {
        if std::mem::take(&mut self.width) > 0 && terminal().is_some() {
            print("\n");
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        // If the user has since moved us to the background, erasing the line would overwrite
        // another program's output.
        if self.width > 0 && terminal().is_some() {
            print(&format!("\r{}\r", " ".repeat(self.width)));
        }
    }
}

/// Returns the status line of a session that has lost its connection to `host`, shortened to fit in
/// `columns`. The time is always kept.
#[must_use]
pub fn resuming(host: &str, lost_for: Duration, limit: Duration, columns: usize) -> String {
    let what = format!("connect: connection to {} lost; resuming", super::escaped(host));
    let time = format!(" ({} s of {})", lost_for.as_secs(), limit.as_secs());
    shorten(&what, &time, columns)
}

/// Returns `what`, shortened so that it fits in `columns` with `end` after it.
#[must_use]
pub fn shorten(what: &str, end: &str, columns: usize) -> String {
    if width(what) + end.len() <= columns {
        return format!("{what}{end}");
    }
    let more = super::in_charset("…".into());
    let room = columns.saturating_sub(end.len() + width(&more));
    format!("{}{more}{end}", truncate(what, room))
}

/// Returns the terminal's width in columns. `None` if standard error is not a terminal that honours
/// carriage returns, or if we are in the background.
fn terminal() -> Option<usize> {
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    sys::error_terminal().filter(|_| !is_dumb)
}

/// Writes to standard error. A status line that cannot be written is not worth an error.
fn print(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Returns an upper bound on the number of columns that `text` occupies.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn columns(c: char) -> usize {
    if c.is_ascii() || c == '…' { 1 } else { 2 }
}

/// Returns the longest prefix of `text` that fits in `room` columns.
fn truncate(text: &str, room: usize) -> &str {
    let mut left = room;
    let overflows = |c| {
        let rest = left.checked_sub(columns(c));
        left = rest.unwrap_or_default();
        rest.is_none()
    };
    &text[..text.find(overflows).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_beyond_ascii_counts_as_two_columns() {
        assert_eq!(truncate("aéb", 2), "a");
        assert_eq!(truncate("aéb", 4), "aéb");
    }

    #[test]
    fn the_line_of_a_lost_connection_keeps_its_time() {
        let line =
            |columns| resuming("hub.example", Duration::from_millis(5900), Duration::from_secs(60), columns);
        let whole = "connect: connection to hub.example lost; resuming (5 s of 60)";
        assert_eq!(line(whole.len()), whole);
        let short = line(whole.len() - 1);
        assert!(short.ends_with(" (5 s of 60)") && width(&short) < whole.len(), "{short}");
    }
}
