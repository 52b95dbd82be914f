//! The options that select how much is printed.

/// The amount of output on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// `-q`: errors only.
    Quiet,
    /// Errors, warnings and the status line.
    #[default]
    Normal,
    /// The number of times `-d` was given.
    Debug(u8),
}
