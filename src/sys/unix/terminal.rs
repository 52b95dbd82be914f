//! The controlling terminal, for password prompts and the status line.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::{mem, ptr};

use super::termination::is_ignored;

/// The signals that end the program and must not leave the terminal with echo off. The terminal
/// does not send SIGINT during a prompt, but rpassword raises it when it reads Ctrl-C.
const SIGNALS: [libc::c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// The settings that the signal handler restores; null if none are saved.
static SAVED: AtomicPtr<Saved> = AtomicPtr::new(ptr::null_mut());

/// Whether the signal handler has started, which means that the process is about to die. The
/// handler sets this before it loads `SAVED`. After that, the target of `SAVED` must not be freed.
static DYING: AtomicBool = AtomicBool::new(false);

struct Saved {
    terminal: File,
    settings: libc::termios,
}

/// Returns `true` if there is a controlling terminal for a prompt.
#[must_use]
pub fn has_terminal() -> bool {
    open().is_ok()
}

/// Returns the number of columns of the terminal on standard error. `None` if standard error is not
/// a terminal, or if this process is in the background and would disturb another program's output.
#[must_use]
pub fn error_terminal() -> Option<usize> {
    let stderr = rustix::stdio::stderr();
    let is_ours = rustix::termios::tcgetpgrp(stderr).ok()? == rustix::process::getpgrp();
    // Some serial lines report no size.
    let columns = || match rustix::termios::tcgetwinsize(stderr).map_or(0, |size| size.ws_col) {
        0 => 80,
        columns => columns.into(),
    };
    is_ours.then(columns)
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

/// A guard: while it exists, a handler restores the terminal's settings before a signal ends the
/// program. Signals that were ignored at program start stay ignored, as `nohup` requires.
#[derive(Debug)]
pub struct RestoreTerminal {
    /// The action of each signal before; `None` if the signal is ignored.
    previous: [Option<libc::sigaction>; SIGNALS.len()],
}

impl RestoreTerminal {
    /// Saves the terminal's settings and installs the signal handlers.
    ///
    /// # Errors
    /// There is no controlling terminal.
    pub fn on_signals() -> io::Result<Self> {
        let terminal = open()?;
        // SAFETY: termios is plain data, for which the all-zero bit pattern is valid. tcgetattr
        // fills it.
        let mut settings: libc::termios = unsafe { mem::zeroed() };
        // SAFETY: the descriptor is open, and the pointer is valid for a termios.
        if unsafe { libc::tcgetattr(terminal.as_raw_fd(), &raw mut settings) } == -1 {
            return Err(io::Error::last_os_error());
        }
        SAVED.store(Box::into_raw(Box::new(Saved { terminal, settings })), Ordering::SeqCst);

        // SAFETY: as for termios. An all-zero sigaction is the default action with no flags and an
        // empty mask.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        let handler: extern "C" fn(libc::c_int) = restore_and_die;
        action.sa_sigaction = handler as libc::sighandler_t;
        Ok(Self {
            previous: SIGNALS.map(|signal| (!is_ignored(signal)).then(|| replace_action(signal, &action))),
        })
    }
}

impl Drop for RestoreTerminal {
    fn drop(&mut self) {
        for (signal, previous) in SIGNALS.iter().zip(&self.previous) {
            previous.as_ref().map(|previous| replace_action(*signal, previous));
        }
        let saved = SAVED.swap(ptr::null_mut(), Ordering::SeqCst);
        // The handler may be running on another thread right now. In the total order of these
        // operations, either its store to DYING precedes this load, or its load of SAVED follows
        // the swap.
        if !saved.is_null() && !DYING.load(Ordering::SeqCst) {
            // SAFETY: the pointer comes from Box::into_raw, the swap made us its only owner, and no
            // handler has loaded it.
            drop(unsafe { Box::from_raw(saved) });
        }
    }
}

/// Sets the action of a signal, and returns the previous one.
fn replace_action(signal: libc::c_int, action: &libc::sigaction) -> libc::sigaction {
    // SAFETY: sigaction is plain data, for which the all-zero bit pattern is valid.
    let mut previous: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: both pointers are valid for a sigaction. The handler in `action` is either the one
    // that was installed before or `restore_and_die`, which is async-signal-safe. If the call
    // fails, `previous` remains the default action.
    unsafe { libc::sigaction(signal, action, &raw mut previous) };
    previous
}

/// Restores the terminal, then ends the program with the same signal. Calls only async-signal-safe
/// functions.
extern "C" fn restore_and_die(signal: libc::c_int) {
    DYING.store(true, Ordering::SeqCst);
    let saved = SAVED.load(Ordering::SeqCst);
    // SAFETY: the pointer is null, or points to a Saved that will not be freed, because DYING is
    // set.
    if let Some(saved) = unsafe { saved.as_ref() } {
        // SAFETY: the Saved owns the open descriptor, and the settings are a valid termios.
        // tcsetattr is async-signal-safe (POSIX.1).
        unsafe { libc::tcsetattr(saved.terminal.as_raw_fd(), libc::TCSANOW, &raw const saved.settings) };
    }
    // SAFETY: signal and raise are async-signal-safe. The signal is blocked while its handler runs,
    // so the raised signal takes its default action when the handler returns.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}
