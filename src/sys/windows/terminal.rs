//! The console, while a password is typed.

use std::fs::File;
use std::io;

/// Whether there is a console to ask on.
#[must_use]
pub fn has_terminal() -> bool {
    open().is_ok()
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("CONIN$")
}

/// Windows gives each program its own view of the console's mode: nothing is left to restore.
#[derive(Debug)]
pub struct RestoreTerminal(());

impl RestoreTerminal {
    /// Checks that there is a console.
    ///
    /// # Errors
    /// There is none.
    pub fn on_signals() -> io::Result<Self> {
        open().map(|_| Self(()))
    }
}
