//! The controlling terminal, for password prompts and the status line.

use std::fs::File;
use std::io;
#[cfg(feature = "ssh")]
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::{mem, ptr};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

#[cfg(feature = "ssh")]
use zeroize::Zeroizing;

use super::signals;

/// The signals that end the program and must not leave the terminal with echo off. The terminal
/// does not send SIGINT during a prompt, but rpassword raises it when it reads Ctrl-C.
const SIGNALS: [libc::c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// The settings that the signal handler restores; null if none are saved.
static SAVED: AtomicPtr<Saved> = AtomicPtr::new(ptr::null_mut());

/// `true` once the signal handler has started, which means that the program is about to end. The
/// handler sets this before it loads `SAVED`. After that, the target of `SAVED` must not be freed.
static ENDING: AtomicBool = AtomicBool::new(false);

struct Saved {
    terminal: File,
    settings: Termios,
    /// The actions of the signals before ours.
    previous: [libc::sigaction; SIGNALS.len()],
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

/// Prints a prompt, and reads a line that the user sees while typing it.
///
/// # Errors
/// There is no terminal, or the user has sent EOF.
#[cfg(feature = "ssh")]
pub fn read_visible_line(prompt: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let (mut input, mut output) = {
        let terminal = open()?;
        (terminal.try_clone()?, terminal)
    };
    output.write_all(prompt.as_bytes())?;
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    let mut byte = [0];
    while line.len() < MAX_LINE {
        if input.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match byte[0] {
            b'\n' => break,
            b'\r' => {}
            other => line.push(other),
        }
    }
    Ok(line)
}

/// The longest line that a user can enter.
#[cfg(feature = "ssh")]
const MAX_LINE: usize = 4096;

/// A guard: while it exists, a handler restores the terminal's settings before a signal takes its
/// previous action: that of a listener, or the default action, which ends the program. A signal
/// that is ignored stays ignored.
#[derive(Debug)]
pub struct RestoreTerminal {
    previous: [libc::sigaction; SIGNALS.len()],
}

impl RestoreTerminal {
    /// Saves the terminal's settings and installs the signal handlers.
    ///
    /// # Errors
    /// There is no controlling terminal.
    pub fn on_signals() -> io::Result<Self> {
        let terminal = open()?;
        let settings = tcgetattr(&terminal)?;
        let previous = SIGNALS.map(signals::action);
        SAVED.store(Box::into_raw(Box::new(Saved { terminal, settings, previous })), Ordering::SeqCst);

        // SAFETY: sigaction is plain data. An all-zero one has no flags and an empty mask.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        let handler: Handler = restore_and_forward;
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        let guard = Self { previous };
        guard.replaced().for_each(|(signal, _)| set_action(signal, &action));
        Ok(guard)
    }

    /// Returns the signals whose action we replace, and their previous actions.
    fn replaced(&self) -> impl Iterator<Item = (libc::c_int, &libc::sigaction)> {
        let all = SIGNALS.into_iter().zip(&self.previous);
        all.filter(|(_, previous)| previous.sa_sigaction != libc::SIG_IGN)
    }
}

impl Drop for RestoreTerminal {
    fn drop(&mut self) {
        self.replaced().for_each(|(signal, previous)| set_action(signal, previous));
        let saved = SAVED.swap(ptr::null_mut(), Ordering::SeqCst);
        // The handler may be running on another thread right now. In the total order of these
        // operations, either its store to ENDING precedes this load, or its load of SAVED follows
        // the swap.
        if !saved.is_null() && !ENDING.load(Ordering::SeqCst) {
            // SAFETY: the pointer comes from Box::into_raw, the swap made us its only owner, and no
            // handler has loaded it.
            drop(unsafe { Box::from_raw(saved) });
        }
    }
}

/// A signal handler that was installed with `SA_SIGINFO`.
type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Sets the action of a signal.
fn set_action(signal: libc::c_int, action: &libc::sigaction) {
    // SAFETY: the pointer is valid for a sigaction. Its handler is either the one that was
    // installed before or `restore_and_forward`, which is async-signal-safe.
    unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
}

/// Restores the terminal, then lets the signal take its previous action. Calls only
/// async-signal-safe functions.
extern "C" fn restore_and_forward(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    ENDING.store(true, Ordering::SeqCst);
    let saved = SAVED.load(Ordering::SeqCst);
    // SAFETY: the pointer is null, or points to a Saved that will not be freed, because ENDING is
    // set.
    let Some(saved) = (unsafe { saved.as_ref() }) else {
        // The guard is being dropped on another thread and has restored the previous action, which
        // the signal takes when this handler returns.
        // SAFETY: raise is async-signal-safe.
        unsafe { libc::raise(signal) };
        return;
    };
    // The terminal may be gone. tcsetattr is async-signal-safe (POSIX.1).
    let _ = tcsetattr(&saved.terminal, OptionalActions::Now, &saved.settings);
    let previous = SIGNALS.iter().zip(&saved.previous).find(|(known, _)| **known == signal);
    if let Some((_, previous)) = previous.filter(|(_, action)| action.sa_sigaction != libc::SIG_DFL) {
        // SAFETY: the action belongs to a handler that was installed for this signal, and its flags
        // say which arguments that takes. These are the arguments that we got.
        unsafe { call(previous, signal, info, context) };
        return;
    }
    // SAFETY: signal and raise are async-signal-safe. The signal is blocked while its handler runs,
    // so the raised signal takes its default action when the handler returns.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// Calls the handler of an action.
///
/// # Safety
/// The action must have a handler, which may be called for this signal.
unsafe fn call(
    action: &libc::sigaction,
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let handler = action.sa_sigaction as *const ();
    if action.sa_flags & libc::SA_SIGINFO == 0 {
        // SAFETY: without SA_SIGINFO, a handler takes only the signal.
        let handler: extern "C" fn(libc::c_int) = unsafe { mem::transmute(handler) };
        handler(signal);
    } else {
        // SAFETY: with SA_SIGINFO, a handler takes these arguments.
        let handler: Handler = unsafe { mem::transmute(handler) };
        handler(signal, info, context);
    }
}
