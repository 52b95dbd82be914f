//! The user's terminal while a program at a server uses it, which is not supported on Windows.

use std::io;

/// The size of a terminal: columns, rows, and width and height in pixels.
pub type TerminalSize = (u32, u32, u32, u32);

/// The console in raw mode.
#[derive(Debug)]
pub struct RawTerminal {}

/// Returns `false`: the console has no raw mode here, so that `auto` requests no terminal.
#[must_use]
pub fn input_is_terminal() -> bool {
    false
}

/// Returns `None`: the console's size is of no use without raw mode.
#[must_use]
pub fn terminal_size() -> Option<TerminalSize> {
    None
}

/// `true` if a terminal can be requested for a program at a server.
pub const HAS_RAW_TERMINAL: bool = false;

impl RawTerminal {
    /// Fails.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn enter() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Does nothing.
    pub fn set_flow_control(&self, _: bool) {}

    /// Returns no settings.
    #[must_use]
    pub fn modes(&self) -> Vec<(u8, u32)> {
        Vec::new()
    }
}
