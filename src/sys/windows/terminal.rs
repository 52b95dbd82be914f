//! The console, for password prompts and the status line.

use std::fs::File;
use std::io;
#[cfg(feature = "ssh")]
use std::io::{Read, Write};
use std::os::windows::io::AsRawHandle;
use std::sync::{Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::System::Console::{
    CONSOLE_MODE, CONSOLE_SCREEN_BUFFER_INFO, GetConsoleMode, GetConsoleScreenBufferInfo,
    SetConsoleCtrlHandler, SetConsoleMode,
};
use windows_sys::core::BOOL;
#[cfg(feature = "ssh")]
use zeroize::Zeroizing;

/// The console mode that the handler restores, or `None` if none is saved.
static SAVED: Mutex<Option<Saved>> = Mutex::new(None);

struct Saved {
    console: File,
    mode: CONSOLE_MODE,
}

/// Returns `true` if there is a console for a prompt.
#[must_use]
pub fn has_terminal() -> bool {
    open().is_ok()
}

/// Returns the number of columns of the console on standard error. `None` if standard error is not
/// a console.
#[must_use]
pub fn error_terminal() -> Option<usize> {
    let mut console = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: the pointer is valid for a screen buffer description. The call fails if the handle is
    // not a console.
    let is_console =
        unsafe { GetConsoleScreenBufferInfo(io::stderr().as_raw_handle(), &raw mut console) } != 0;
    is_console.then(|| usize::try_from(console.dwSize.X).unwrap_or_default())
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("CONIN$")
}

/// Prints a prompt, and reads a line that the user sees while typing it.
///
/// # Errors
/// There is no terminal, or the user has sent EOF.
#[cfg(feature = "ssh")]
pub fn read_visible_line(prompt: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let (mut input, mut output) = (open()?, File::options().read(true).write(true).open("CONOUT$")?);
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

/// A guard: while it exists, a handler restores the console's mode before Ctrl-C or closing the
/// window ends the program. The mode belongs to the console, so the shell would otherwise be left
/// without echo.
#[derive(Debug)]
pub struct RestoreTerminal(());

impl RestoreTerminal {
    /// Saves the console's mode and installs the control handler.
    ///
    /// # Errors
    /// There is no console.
    pub fn on_signals() -> io::Result<Self> {
        let console = open()?;
        let mut mode = 0;
        // SAFETY: the handle is open, and the pointer is valid for a mode.
        if unsafe { GetConsoleMode(console.as_raw_handle(), &raw mut mode) } == 0 {
            return Err(io::Error::last_os_error());
        }
        *saved() = Some(Saved { console, mode });
        handle_events(true)?;
        Ok(Self(()))
    }
}

impl Drop for RestoreTerminal {
    fn drop(&mut self) {
        let _ = handle_events(false);
        *saved() = None;
    }
}

fn saved() -> MutexGuard<'static, Option<Saved>> {
    SAVED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn handle_events(add: bool) -> io::Result<()> {
    // SAFETY: the handler is a function with the required signature.
    match unsafe { SetConsoleCtrlHandler(Some(restore), BOOL::from(add)) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Restores the console's mode. Runs on a thread of its own, so it may block on the lock.
extern "system" fn restore(_: u32) -> BOOL {
    if let Some(Saved { console, mode }) = &*saved() {
        // SAFETY: the file owns the open handle, and the mode was read from the same console.
        unsafe { SetConsoleMode(console.as_raw_handle(), *mode) };
    }
    // 0: not handled. The system's handler runs next, and ends the program.
    0
}
