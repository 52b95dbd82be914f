//! The console: while a password is typed, and for words that do not stay.

use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::sync::{Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::System::Console::{
    CONSOLE_MODE, CONSOLE_SCREEN_BUFFER_INFO, GetConsoleMode, GetConsoleScreenBufferInfo,
    SetConsoleCtrlHandler, SetConsoleMode,
};
use windows_sys::core::BOOL;

/// What the handler must restore, if anything.
static SAVED: Mutex<Option<Saved>> = Mutex::new(None);

struct Saved {
    console: File,
    mode: CONSOLE_MODE,
}

/// Whether there is a console to ask on.
#[must_use]
pub fn has_terminal() -> bool {
    open().is_ok()
}

/// The columns of the console that standard error is, if it is one.
#[must_use]
pub fn error_terminal() -> Option<usize> {
    let mut console = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: the pointer is to a buffer's description; the call fails for what is no console.
    let is_console =
        unsafe { GetConsoleScreenBufferInfo(io::stderr().as_raw_handle(), &raw mut console) } != 0;
    is_console.then(|| usize::try_from(console.dwSize.X).unwrap_or_default())
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("CONIN$")
}

/// As long as this lives, Ctrl-C or a closed window restores the console's mode before it ends the program. The mode
/// is the console's, not the program's: without that, the shell would be left without echo.
#[derive(Debug)]
pub struct RestoreTerminal(());

impl RestoreTerminal {
    /// Remembers the console's mode and watches for what ends the program.
    ///
    /// # Errors
    /// There is no console.
    pub fn on_signals() -> io::Result<Self> {
        let console = open()?;
        let mut mode = 0;
        // SAFETY: the handle is open and the pointer is to a mode.
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
    // SAFETY: the handler has the signature that is asked for, and is there as long as the program.
    match unsafe { SetConsoleCtrlHandler(Some(restore), BOOL::from(add)) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Runs on a thread of its own, so it may wait for the lock.
extern "system" fn restore(_: u32) -> BOOL {
    if let Some(Saved { console, mode }) = &*saved() {
        // SAFETY: the handle is open as long as the file lives, and the mode was the console's.
        unsafe { SetConsoleMode(console.as_raw_handle(), *mode) };
    }
    // Not dealt with: the next handler is the system's, which ends the program.
    0
}
