//! The progress line: name, percent, rate and remaining time of the file that is being copied.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::text::printable;
use crate::trace::{STATUS_INTERVAL, StatusLine, shorten, width};

/// A file that is being copied.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    name: String,
    /// `None` if it is not known.
    size: Option<u64>,
    copied: u64,
    started: Instant,
}

/// The files that are being copied. The line shows the oldest of them.
pub(super) struct Progress {
    /// `None` if nothing is shown.
    line: Option<StatusLine>,
    items: BTreeMap<u64, Item>,
    updated: Option<Instant>,
}

impl Progress {
    pub(super) fn new(is_shown: bool) -> Self {
        let line = (is_shown && StatusLine::can_show()).then(StatusLine::default);
        Self { line, items: BTreeMap::new(), updated: None }
    }

    /// Starts a file. Later files have greater numbers.
    pub(super) fn start(&mut self, number: u64, name: &[u8], size: Option<u64>) {
        if self.line.is_some() {
            let item = Item { name: printable(name), size, copied: 0, started: Instant::now() };
            self.items.insert(number, item);
        }
    }

    /// Records copied bytes.
    pub(super) fn add(&mut self, number: u64, count: usize) {
        if let Some(item) = self.items.get_mut(&number) {
            item.copied += count as u64;
        }
    }

    /// Ends a file that has failed.
    pub(super) fn fail(&mut self, number: u64) {
        self.items.remove(&number);
    }

    /// Ends a file that is complete. Its line stays on the terminal.
    pub(super) fn finish(&mut self, number: u64) {
        let Some(item) = self.items.remove(&number) else { return };
        if let Some(line) = &mut self.line {
            line.show(|columns| item.final_line(columns), |_| {});
            line.keep();
        }
        self.updated = None;
    }

    /// Erases the line, so that a message can be printed.
    pub(super) fn clear(&mut self) {
        if let Some(line) = &mut self.line {
            *line = StatusLine::default();
        }
        self.updated = None;
    }

    /// Returns the time to the next update; `None` if there is nothing to show.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        self.items.first_key_value()?;
        let due = self.updated.map_or(now, |updated| updated + STATUS_INTERVAL);
        Some(due.saturating_duration_since(now))
    }

    /// Updates the line if it is time.
    pub(super) fn update(&mut self, now: Instant) {
        if !self.time_left(now).is_some_and(|left| left.is_zero()) {
            return;
        }
        self.updated = Some(now);
        if let (Some(line), Some((_, item))) = (&mut self.line, self.items.first_key_value()) {
            line.show(|columns| item.line(now, columns), |_| {});
        }
    }
}

impl Item {
    /// Returns the line of a file that is being copied.
    fn line(&self, now: Instant, columns: usize) -> String {
        let rate = self.rate(now);
        let left = match (self.size, rate) {
            (Some(size), 1..) => Some(size.saturating_sub(self.copied) / rate),
            _ => None,
        };
        let eta = match (self.size, left) {
            (None, _) => String::new(),
            (Some(_), Some(seconds)) => format!("  {} ETA", clock(seconds)),
            (Some(_), None) => "  --:-- ETA".into(),
        };
        self.with_name(&format!("{}{eta}", self.numbers(rate)), columns)
    }

    /// Returns the last line of a file, with the time it took.
    fn final_line(&self, columns: usize) -> String {
        let now = Instant::now();
        let size = self.size.map_or(self.copied, |size| size.max(self.copied));
        let whole = Self { copied: size, size: Some(size), ..self.clone() };
        let elapsed = now.saturating_duration_since(self.started).as_secs();
        self.with_name(&format!("{}  {}", whole.numbers(self.rate(now)), clock(elapsed)), columns)
    }

    fn rate(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.started).as_millis().max(1);
        u64::try_from(u128::from(self.copied) * 1000 / elapsed).unwrap_or(u64::MAX)
    }

    fn numbers(&self, rate: u64) -> String {
        let percent = match self.size {
            Some(0) => "  100%".into(),
            Some(size) => format!("  {:3}%", u128::from(self.copied.min(size)) * 100 / u128::from(size)),
            None => String::new(),
        };
        format!("{percent}  {:>8}  {:>8}/s", amount(self.copied), amount(rate))
    }

    /// Puts the name in front, and aligns what follows.
    fn with_name(&self, rest: &str, columns: usize) -> String {
        const NAME_WIDTH: usize = 40;
        let room = NAME_WIDTH.min(columns.saturating_sub(rest.len()));
        let padding = " ".repeat(room.saturating_sub(width(&self.name)));
        shorten(&self.name, &format!("{padding}{rest}"), columns)
    }
}

/// Formats a number of bytes.
fn amount(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 {
        tenths /= 1024;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    if tenths < 1000 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// Formats a duration as minutes and seconds, or with hours.
fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(size: Option<u64>, copied: u64) -> (Item, Instant) {
        let started = Instant::now();
        (Item { name: "file".into(), size, copied, started }, started + Duration::from_secs(2))
    }

    #[test]
    fn the_line_has_percent_rate_and_remaining_time() {
        let (item, now) = item(Some(10 << 20), 4 << 20);
        let line = item.line(now, 79);
        assert_eq!(line, format!("file{}   40%   4.0 MiB   2.0 MiB/s  00:03 ETA", " ".repeat(36)));
        assert_eq!(item.line(now, 60).len(), 60);
        assert!(item.line(now, 20).len() <= 45);
    }

    #[test]
    fn an_unknown_size_shows_bytes_and_rate() {
        let (item, now) = item(None, 3000);
        assert_eq!(item.line(now, 79), format!("file{}   2.9 KiB   1.4 KiB/s", " ".repeat(36)));
    }

    #[test]
    fn a_file_that_has_not_begun_has_no_remaining_time() {
        let (item, now) = item(Some(5), 0);
        assert!(
            item.line(now, 79).ends_with("    0%       0 B       0 B/s  --:-- ETA"),
            "{}",
            item.line(now, 79)
        );
        assert!(item.final_line(79).contains("  100%       5 B"), "{}", item.final_line(79));
    }

    #[test]
    fn amounts_have_three_digits_or_a_decimal() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (102_399, "99.9 KiB")] {
            assert_eq!(amount(bytes), text);
        }
        assert_eq!(amount(102_400), "100 KiB");
        assert_eq!(amount(1 << 20), "1.0 MiB");
        assert_eq!(amount(u64::MAX), "15.9 EiB");
        assert_eq!((clock(59), clock(3599), clock(3600)), ("00:59".into(), "59:59".into(), "1:00:00".into()));
    }
}
