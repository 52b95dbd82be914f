//! The user's terminal, and the one to request for a program at the server.

use crate::error::Error;
use crate::plan::{Remote, Task, Tty};
use crate::ssh::session::{Size, Terminal};
use crate::sys::{self, RawTerminal};

/// The size of a terminal if there is none at this end.
const DEFAULT_SIZE: Size = Size { columns: 80, rows: 24, width: 0, height: 0 };

/// The type of a terminal if the variable `TERM` is not set.
const DEFAULT_KIND: &str = "dumb";

/// Returns the size of the user's terminal.
pub(super) fn size() -> Option<Size> {
    let (columns, rows, width, height) = sys::terminal_size()?;
    Some(Size { columns, rows, width, height })
}

/// Returns `true` if the program runs in a terminal.
///
/// # Errors
/// [`Error::Usage`] if the user requests one and this system cannot provide it.
pub(super) fn is_wanted(remote: &Remote) -> Result<bool, Error> {
    match remote.tty {
        Tty::No => Ok(false),
        Tty::Auto => Ok(remote.task == Task::Shell && sys::input_is_terminal()),
        Tty::Yes if sys::HAS_RAW_TERMINAL => Ok(true),
        Tty::Yes => Err(Error::Usage("--tty yes is not supported on this system".into())),
    }
}

/// Sets the user's terminal to raw mode if there is one. Returns it, and the terminal to request.
///
/// # Errors
/// The settings of the terminal cannot be changed.
pub(super) fn enter(remote: &Remote) -> Result<(Option<RawTerminal>, Terminal), Error> {
    let raw = sys::input_is_terminal().then(RawTerminal::enter).transpose();
    let raw = raw.map_err(|cause| Error::System { what: "set the terminal to raw mode", cause })?;
    let terminal = Terminal {
        kind: remote.terminal.clone().unwrap_or_else(|| DEFAULT_KIND.into()),
        size: size().unwrap_or(DEFAULT_SIZE),
        modes: raw.as_ref().map(RawTerminal::modes).unwrap_or_default(),
    };
    Ok((raw, terminal))
}
