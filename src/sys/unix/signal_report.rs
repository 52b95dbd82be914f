//! Reports what the program was waiting for if a signal ends it. For example, ssh sends SIGHUP once
//! its `ConnectTimeout` has passed.

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::time::Instant;

use super::signals;

/// The signals that are reported, with their names and whether another program usually sends them.
const SIGNALS: [(libc::c_int, &str, bool); 3] =
    [(libc::SIGHUP, "SIGHUP", true), (libc::SIGTERM, "SIGTERM", true), (libc::SIGINT, "SIGINT", false)];

/// Maximum length of a report. A pipe that poll(2) reports writable has room for as many bytes.
const MAX_LENGTH: usize = if crate::sys::PIPE_ROOM < 1024 { crate::sys::PIPE_ROOM } else { 1024 };

/// The report that the signal handler prints; null if there is none.
static CURRENT: AtomicPtr<Report> = AtomicPtr::new(ptr::null_mut());

/// `true` once a signal handler has started, which means that the process is about to die. The
/// handler sets this before it loads `CURRENT`. After that, the target of `CURRENT` must not be
/// freed.
static DYING: AtomicBool = AtomicBool::new(false);

struct Report {
    what: String,
    since: Instant,
    /// Added unless the user sent the signal from the terminal.
    hint: &'static str,
    /// The number of columns to clear, because the status line is on the screen; 0 if it is not.
    columns: AtomicUsize,
}

/// A guard: while it exists, a signal that ends the program first prints what the program was
/// waiting for, and for how long. Signals without their default action are not reported: they were
/// ignored at program start, or end a listener in its own way.
#[derive(Debug)]
pub struct SignalReport {
    previous: [libc::sigaction; SIGNALS.len()],
}

impl SignalReport {
    /// Installs the signal handlers. `what` follows "while waiting for" and must be printable;
    /// `hint` is advice for the case that another program sent the signal. Returns `None` if
    /// another thread of this process has a report.
    #[must_use]
    pub fn start(what: String, since: Instant, hint: &'static str) -> Option<Self> {
        let report = Box::into_raw(Box::new(Report { what, since, hint, columns: AtomicUsize::new(0) }));
        let is_first =
            CURRENT.compare_exchange(ptr::null_mut(), report, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if !is_first {
            // SAFETY: the pointer comes from Box::into_raw, and no other code has seen it.
            drop(unsafe { Box::from_raw(report) });
            return None;
        }
        // SAFETY: sigaction is plain data, for which the all-zero bit pattern is valid.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        let handler: extern "C" fn(libc::c_int) = report_and_die;
        action.sa_sigaction = handler as libc::sighandler_t;
        // With SIGTTOU blocked, a background process may write to the terminal.
        // SAFETY: the pointer is valid for a sigset_t.
        unsafe { libc::sigfillset(&raw mut action.sa_mask) };
        let guard = Self { previous: SIGNALS.map(|(signal, ..)| signals::action(signal)) };
        guard.replaced().for_each(|(signal, _)| set_action(signal, &action));
        Some(guard)
    }

    /// Returns the signals whose action we replace, and their previous actions.
    fn replaced(&self) -> impl Iterator<Item = (libc::c_int, &libc::sigaction)> {
        let all = SIGNALS.into_iter().map(|(signal, ..)| signal).zip(&self.previous);
        all.filter(|(_, previous)| previous.sa_sigaction == libc::SIG_DFL)
    }

    /// Clears a status line of at most this many columns before the report.
    pub fn clear_line(&self, columns: usize) {
        // SAFETY: the pointer is null or that of our own report, which only our `drop` frees.
        if let Some(report) = unsafe { CURRENT.load(Ordering::SeqCst).as_ref() } {
            report.columns.store(columns, Ordering::SeqCst);
        }
    }
}

impl Drop for SignalReport {
    fn drop(&mut self) {
        self.replaced().for_each(|(signal, previous)| set_action(signal, previous));
        let report = CURRENT.swap(ptr::null_mut(), Ordering::SeqCst);
        // The handler may be running on another thread right now. In the total order of these
        // operations, either its store to DYING precedes this load, or its load of CURRENT follows
        // the swap.
        if !report.is_null() && !DYING.load(Ordering::SeqCst) {
            // SAFETY: the pointer comes from Box::into_raw, the swap made us its only owner, and no
            // handler has loaded it.
            drop(unsafe { Box::from_raw(report) });
        }
    }
}

/// Sets the action of a signal.
fn set_action(signal: libc::c_int, action: &libc::sigaction) {
    // SAFETY: the pointer is valid for a sigaction. Its handler is either the one that was
    // installed before or `report_and_die`, which is async-signal-safe.
    unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
}

/// Prints the report, then ends the program with the same signal. Calls only async-signal-safe
/// functions.
extern "C" fn report_and_die(signal: libc::c_int) {
    DYING.store(true, Ordering::SeqCst);
    // SAFETY: the pointer is null, or points to a Report that will not be freed, because DYING is
    // set.
    if let Some(report) = unsafe { CURRENT.load(Ordering::SeqCst).as_ref() } {
        report.print(signal);
    }
    // SAFETY: signal and raise are async-signal-safe. The signal is blocked while its handler runs,
    // so the raised signal takes its default action when the handler returns.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

impl Report {
    /// Prints the report. Calls only async-signal-safe functions.
    fn print(&self, signal: libc::c_int) {
        let Some((_, name, is_sent)) = SIGNALS.iter().find(|(known, ..)| *known == signal) else { return };
        let seconds = self.since.elapsed().as_secs();
        let mut line = Line::default();
        let columns = self.columns.load(Ordering::SeqCst);
        if columns > 0 {
            line.push("\r");
            (0..columns).for_each(|_| line.push(" "));
            line.push("\r");
        }
        line.push("connect: ended by ");
        line.push(name);
        if seconds > 0 {
            line.push(" after ");
            line.push_number(seconds);
            line.push(if seconds == 1 { " second" } else { " seconds" });
        }
        line.push(" while waiting for ");
        line.push(&self.what);
        if *is_sent && !self.hint.is_empty() {
            line.push("; ");
            line.push(self.hint);
        }
        line.write();
    }
}

/// A line under construction in a signal handler, without allocation.
struct Line {
    bytes: [u8; MAX_LENGTH],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { bytes: [0; MAX_LENGTH], length: 0 }
    }
}

impl Line {
    /// Appends as much of the text as there is room for, except for the newline.
    fn push(&mut self, text: &str) {
        let room = self.bytes.iter_mut().take(MAX_LENGTH - 1).skip(self.length);
        for (place, byte) in room.zip(text.bytes()) {
            *place = byte;
            self.length += 1;
        }
    }

    fn push_number(&mut self, number: u64) {
        let mut divisor = 1;
        while number / divisor >= 10 {
            divisor *= 10;
        }
        while divisor > 0 {
            let digit = usize::try_from(number / divisor % 10).unwrap_or_default();
            self.push("0123456789".get(digit..=digit).unwrap_or_default());
            divisor /= 10;
        }
    }

    /// Writes the line to standard error. Drops it if that would block, because then nobody reads
    /// it.
    fn write(mut self) {
        if let Some(end) = self.bytes.get_mut(self.length) {
            *end = b'\n';
        }
        let mut stderr = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
        // SAFETY: the pointer is valid for one pollfd.
        if unsafe { libc::poll(&raw mut stderr, 1, 0) } == 1 {
            // SAFETY: the pointer is valid for `length` + 1 bytes, which is at most the size of the
            // buffer. A failed write cannot be reported anywhere.
            unsafe { libc::write(libc::STDERR_FILENO, self.bytes.as_ptr().cast(), self.length + 1) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &Line) -> String {
        String::from_utf8_lossy(&line.bytes[..line.length]).into_owned()
    }

    #[test]
    fn a_line_is_built_without_allocation_and_leaves_room_for_the_newline() {
        for number in [0, 7, 10, 1999, u64::MAX] {
            let mut line = Line::default();
            line.push_number(number);
            assert_eq!(text(&line), number.to_string());
        }
        let mut line = Line::default();
        (0..MAX_LENGTH).for_each(|_| line.push("ab"));
        assert_eq!(text(&line), "ab".repeat(MAX_LENGTH)[..MAX_LENGTH - 1]);
    }
}
